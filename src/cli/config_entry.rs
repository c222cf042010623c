//! `config delete|list|read|write`: configuration entries.

mod decode;

use clap::Arg;
use reqwest::Method;
use serde_json::Value;

use super::client::{Api, all_flags};
use super::go::{flag, source, text};
use super::{Call, Entry, boolean, form, json, number, print_err, print_out, text as text_flag};
use super::{told, told_if_any};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        path: &["config", "delete"],
        words: "",
        about: "Removes a configuration entry",
        flags: delete_flags,
        run: |call| told(delete(call)),
    },
    Entry {
        path: &["config", "list"],
        words: "",
        about: "Lists the names of the entries of a kind",
        flags: list_flags,
        run: |call| told_if_any(list(call)),
    },
    Entry {
        path: &["config", "read"],
        words: "",
        about: "Prints a configuration entry",
        flags: read_flags,
        run: |call| told(read(call)),
    },
    Entry {
        path: &["config", "write"],
        words: "FILE",
        about: "Writes a configuration entry from a file, or from standard input",
        flags: write_flags,
        run: |call| told_if_any(write(call)),
    },
];

/// The kinds that there are; each is the name of its form.
const KINDS: &[&str] = &[
    "service-defaults",
    "proxy-defaults",
    "service-router",
    "service-splitter",
    "service-resolver",
    "ingress-gateway",
    "terminating-gateway",
    "service-intentions",
    "mesh",
    "exported-services",
    "sameness-group",
    "api-gateway",
    "tcp-route",
    "file-system-certificate",
    "inline-certificate",
    "http-route",
    "control-plane-request-limit",
    "rate-limit",
    "jwt-provider",
];

/// A kind by its name.
fn kind(name: &str) -> Result<&'static str, String> {
    let known = KINDS.iter().find(|known| **known == name);
    known.copied().ok_or_else(|| format!("invalid config entry kind: {name}"))
}

fn kind_flag() -> Arg {
    text_flag("kind", "string", "Kind of the entry.")
}

fn name_flag() -> Arg {
    text_flag("name", "string", "Name of the entry.")
}

fn cas_flags() -> [Arg; 2] {
    [
        boolean("cas", "Does it only if the entry's ModifyIndex is -modify-index."),
        number("modify-index", "The index for -cas."),
    ]
}

fn delete_flags() -> Vec<Arg> {
    let mut flags = all_flags();
    flags.extend(cas_flags());
    flags.extend([
        kind_flag(),
        name_flag(),
        text_flag("filename", "string", "A file of the entry, instead of its kind and name."),
    ]);
    flags
}

fn list_flags() -> Vec<Arg> {
    let mut flags = all_flags();
    flags.extend([kind_flag(), text_flag("filter", "string", "What entries must match.")]);
    flags
}

fn read_flags() -> Vec<Arg> {
    let mut flags = all_flags();
    flags.extend([kind_flag(), name_flag()]);
    flags
}

fn write_flags() -> Vec<Arg> {
    let mut flags = all_flags();
    flags.extend(cas_flags());
    flags
}

fn api(call: &Call) -> Result<Api, String> {
    Api::of(call).map_err(|fault| fault.replacen("Error connecting", "Error connect", 1))
}

/// An entry of a file.
fn from_file(word: &str) -> Result<(&'static str, Value), String> {
    let source = source(word).map_err(|fault| format!("Failed to load data: {fault}"))?;
    decode::entry(&source).map_err(|fault| format!("Failed to decode config entry input: {fault}"))
}

/// The name under which an entry is kept: some kinds have only one.
fn name_of(kind: &str, entry: &Value) -> String {
    match kind {
        "proxy-defaults" => "global".to_owned(),
        "mesh" => "mesh".to_owned(),
        _ => text(entry, "Name").to_owned(),
    }
}

fn needed<'a>(call: &'a Call, flag: &str) -> Result<&'a str, String> {
    call.said(flag).ok_or_else(|| format!("Must specify the -{flag} parameter"))
}

/// The kind and name that flags or a file tell.
fn which(call: &Call) -> Result<(String, String), String> {
    let (kind, name, file) = (call.said("kind"), call.said("name"), call.said("filename"));
    if file.is_some() && (kind.is_some() || name.is_some()) {
        return Err("filename can't be used with kind or name".to_owned());
    }
    if kind.or(name).or(file).is_none() {
        return Err("Must specify the -kind or -filename parameter".to_owned());
    }
    if file.is_none() {
        needed(call, "kind")?;
        needed(call, "name")?;
    }
    let (cas, index) = (call.flag("cas"), call.number("modify-index"));
    if cas && index == 0 {
        return Err("Must specify a -modify-index greater than 0 with -cas".to_owned());
    }
    if index != 0 && !cas {
        return Err("Cannot specify -modify-index without -cas".to_owned());
    }
    match file {
        Some(file) => {
            let (kind, entry) = from_file(file)?;
            Ok((kind.to_owned(), name_of(kind, &entry)))
        }
        None => Ok((kind.unwrap_or("").to_owned(), name.unwrap_or("").to_owned())),
    }
}

fn delete(call: &Call) -> Result<String, String> {
    let (kind, name) = which(call)?;
    let index = call.number("modify-index").to_string();
    let cas = call.flag("cas");
    let query: &[(&str, &str)] = if cas { &[("cas", &index)] } else { &[] };
    let path = format!("config/{kind}/{name}");
    let answer = api(call)?.expect(Method::DELETE, &path, query, Vec::new());
    let answer =
        answer.map_err(|fault| format!("Error deleting config entry {kind}/{name}: {fault}"))?;
    if cas && !answer.says_true() {
        return Err(format!("Config entry not deleted: {kind}/{name}"));
    }
    Ok(format!("Config entry deleted: {kind}/{name}"))
}

fn list(call: &Call) -> Result<String, String> {
    let asked = needed(call, "kind")?;
    let query: Vec<(&str, &str)> =
        call.said("filter").map(|filter| ("filter", filter)).into_iter().collect();
    let found: Value = api(call)?
        .get(&format!("config/{asked}"), &query)
        .map_err(|fault| format!("Error listing config entries for kind {asked:?}: {fault}"))?;
    let entries = found.as_array().into_iter().flatten();
    Ok(entries.map(|entry| name_of(asked, entry)).collect::<Vec<_>>().join("\n"))
}

fn read(call: &Call) -> Result<String, String> {
    let (asked, name) = (needed(call, "kind")?, needed(call, "name")?);
    let api = api(call)?;
    let found = kind(asked)
        .and_then(|kind| Ok((kind, api.get::<Value>(&format!("config/{asked}/{name}"), &[])?)));
    let (kind, mut entry) =
        found.map_err(|fault| format!("Error reading config entry {asked}/{name}: {fault}"))?;
    entry["Kind"] = kind.into();
    Ok(json::indented(&form::tree(kind, &entry), "    "))
}

fn write(call: &Call) -> Result<String, String> {
    let words = call.words();
    let [word] = words.as_slice() else {
        return Err(
            "Must provide exactly one positional argument to specify the config entry to write"
                .to_owned(),
        );
    };
    let (kind, mut entry) = from_file(word)?;
    entry["Kind"] = kind.into();
    let name = name_of(kind, &entry);
    let index = call.number("modify-index").to_string();
    let query: &[(&str, &str)] = if call.flag("cas") { &[("cas", &index)] } else { &[] };
    let body = json::line(&form::tree(kind, &entry));
    let answer = api(call)?.expect(Method::PUT, "config", query, body);
    let answer = answer.map_err(|fault| refused(kind, &name, &fault))?;
    if !answer.says_true() {
        return Err(format!("Config entry not updated: {kind}/{name}"));
    }
    print_out(&format!("Config entry written: {kind}/{name}"));
    if let Some(warning) = warning(kind, &entry) {
        print_err(&format!("WARNING: {warning}"));
    }
    Ok(String::new())
}

/// Consul tells every refusal so, whatever its cause.
fn refused(kind: &str, name: &str, fault: &str) -> String {
    format!(
        "Error writing config entry {kind}/{name}: {fault} — The target config entry is referenced by gateway/router and cannot be \
         modified or deleted until it is unreferenced. Check upstream configs (routers/gateways) referencing service '{name}' with \
         `consul config list` and `consul config read`."
    )
}

/// What is allowed and not wise.
fn warning(kind: &str, entry: &Value) -> Option<&'static str> {
    let permissive = text(entry, "MutualTLSMode") == "permissive";
    match kind {
        "service-defaults" if permissive => Some(
            "MutualTLSMode=permissive is insecure. Set to `strict` when your service no longer needs to accept non-mTLS traffic. Check \
             `tcp.permissive_public_listener` metrics in Envoy for non-mTLS traffic. Refer to Consul documentation for more \
             information.",
        ),
        "proxy-defaults" if permissive => Some(
            "MutualTLSMode=permissive is insecure. To keep your services secure, set MutualTLSMode to `strict` whenever possible and \
             override with service-defaults only if necessary. To check which service-defaults are currently in permissive mode, run \
             `consul config list -kind service-defaults -filter 'MutualTLSMode = \"permissive\"'`.",
        ),
        "mesh" if flag(entry, "AllowEnablingPermissiveMutualTLS") => Some(
            "AllowEnablingPermissiveMutualTLS=true allows insecure MutualTLSMode=permissive configurations in the proxy-defaults and \
             service-defaults config entries. You can set AllowEnablingPermissiveMutualTLS=false at any time to disallow additional \
             permissive configurations. To list services in permissive mode, run `consul config list -kind service-defaults -filter \
             'MutualTLSMode = \"permissive\"'`.",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_form() {
        for kind in KINDS {
            assert!(form::exists(kind), "{kind}");
        }
    }
}
