//! `lineage verify|export|show|proof|checkpoint`: what was done, and whether it is what was signed. These are not Consul's.

mod verify;

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;

use clap::Arg;
use reqwest::Method;
use serde_json::Value;

use super::client::{Api, server_flags};
use super::go::{items, number as number_of, text};
use super::{
    Call, Entry, boolean, json as go_json, number, print_bytes, table, text as text_flag, told,
    told_if_any,
};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        path: &["lineage", "verify"],
        words: "[SOURCE]",
        about: "Verifies a server, a data directory, an export or a proof",
        flags: verify::flags,
        run: verify::run,
    },
    Entry {
        path: &["lineage", "export"],
        words: "[FILE]",
        about: "Writes a whole lineage as lines of JSON",
        flags: scope_flags,
        run: |call| told_if_any(export(call)),
    },
    Entry {
        path: &["lineage", "checkpoint"],
        words: "",
        about: "Prints what signs a lineage now",
        flags: scope_flags,
        run: |call| told(checkpoint(call)),
    },
    Entry {
        path: &["lineage", "show"],
        words: "",
        about: "Lists entries",
        flags: show_flags,
        run: |call| told(show(call)),
    },
    Entry {
        path: &["lineage", "proof"],
        words: "UID",
        about: "Prints the proof of an entry of a record",
        flags: proof_flags,
        run: |call| told_if_any(proof(call)),
    },
];

/// Who may read what was exported: its owner.
const RIGHTS: u32 = 0o600;

/// Fields by which entries are looked for, which are flags of the same names.
const FILTERS: [(&str, &str); 7] = [
    ("uid", "Only those that speak of this record."),
    ("actor", "Only what this accessor asked for."),
    ("kind", "Only what was done so: kv_put, register, record_put:scope …"),
    ("outcome", "Only what was decided so: resolve, attest, defer, refuse."),
    ("credential", "Only what was admitted under this credential."),
    ("since", "Not before this time (RFC 3339)."),
    ("until", "Before this time (RFC 3339)."),
];

fn scope_flags() -> Vec<Arg> {
    let mut flags = server_flags();
    flags.push(text_flag("scope", "path", "Whose lineage; the datacenter's own unless said."));
    flags
}

fn show_flags() -> Vec<Arg> {
    let mut flags = scope_flags();
    flags.extend(FILTERS.map(|(name, about)| text_flag(name, "value", about)));
    flags.extend([
        boolean("reverse", "Newest first."),
        boolean("payload", "With what was changed, with -format=json."),
        text_flag("cursor", "value", "Goes on where an earlier page ended."),
        number("limit", "As many entries.").default_value("100"),
        text_flag("format", "pretty", "Output format: pretty or json.").default_value("pretty"),
    ]);
    flags
}

fn proof_flags() -> Vec<Arg> {
    let mut flags = server_flags();
    flags.push(text_flag(
        "version",
        "number",
        "Which version of the record; the newest unless said.",
    ));
    flags
}

/// Where the API has the lineage that is asked for.
fn path_of(call: &Call, api: &Api) -> Result<String, String> {
    match call.said("scope") {
        Some(scope) => Ok(format!("anchor/lineage/{scope}/")),
        None => Ok(format!("anchor/lineage/{}/", root_of(api)?)),
    }
}

/// The scope of the datacenter itself: the agent's datacenter.
fn root_of(api: &Api) -> Result<String, String> {
    let told: Value = api.get("agent/self", &[])?;
    match told.get("Config").map(|config| text(config, "Datacenter")) {
        Some(name) if !name.is_empty() => Ok(name.to_owned()),
        _ => Err("the agent does not tell its datacenter".to_owned()),
    }
}

fn export(call: &Call) -> Result<String, String> {
    let api = Api::of(call)?;
    let path = path_of(call, &api)?;
    let failed = |fault: String| format!("Error exporting the lineage: {fault}");
    match call.words()[..] {
        [] => copy(&api, &path, &mut io::stdout().lock()).map_err(failed)?,
        [file] => {
            let open =
                OpenOptions::new().write(true).create(true).truncate(true).mode(RIGHTS).open(file);
            let mut out = open.map_err(|fault| failed(format!("{file}: {fault}")))?;
            copy(&api, &path, &mut out).map_err(failed)?;
            out.sync_all().map_err(|fault| failed(fault.to_string()))?;
        }
        ref words => return Err(format!("Expected at most one file (got {} words)", words.len())),
    }
    Ok(String::new())
}

/// Copies an export as it comes.
fn copy(api: &Api, path: &str, out: &mut impl Write) -> Result<(), String> {
    api.runtime().block_on(async {
        let mut response = api.stream(path, &[("format", "ndjson")]).await?;
        while let Some(chunk) = response.chunk().await.map_err(|fault| fault.to_string())? {
            out.write_all(&chunk).map_err(|fault| fault.to_string())?;
        }
        out.flush().map_err(|fault| fault.to_string())
    })
}

fn checkpoint(call: &Call) -> Result<String, String> {
    call.no_words()?;
    let api = Api::of(call)?;
    let path = format!("{}checkpoint", path_of(call, &api)?);
    let answer = api.expect(Method::GET, &path, &[], Vec::new());
    let answer = answer.map_err(|fault| format!("Error reading the checkpoint: {fault}"))?;
    Ok(String::from_utf8_lossy(&answer.body).trim_end_matches('\n').to_owned())
}

fn show(call: &Call) -> Result<String, String> {
    call.no_words()?;
    let api = Api::of(call)?;
    let path = path_of(call, &api)?;
    let limit = call.number("limit").to_string();
    let mut query: Vec<(&str, &str)> =
        FILTERS.iter().filter_map(|(name, _)| Some((*name, call.said(name)?))).collect();
    query.push(("limit", &limit));
    query.extend(call.said("cursor").map(|cursor| ("cursor", cursor)));
    query.extend(
        ["reverse", "payload"].into_iter().filter(|flag| call.flag(flag)).map(|flag| (flag, "")),
    );
    let page: Value =
        api.get(&path, &query).map_err(|fault| format!("Error reading the lineage: {fault}"))?;
    if call.text("format") == Some("json") {
        return Ok(go_json::indented(&page, "    "));
    }
    let heads = ["Seq", "At", "Kind", "Outcome", "Rule", "Actor", "UID"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    rows.extend(items(&page, "Entries").iter().map(|entry| {
        let seq = number_of(entry, "Seq").to_string();
        let texts = heads[1..].iter().map(|head| text(entry, head).to_owned());
        std::iter::once(seq).chain(texts).collect()
    }));
    let mut shown = table::columns(&rows);
    if let Some(next) = page.get("Next").and_then(Value::as_str) {
        shown.push_str(&format!("\nMore with -cursor={next}"));
    }
    Ok(shown)
}

fn proof(call: &Call) -> Result<String, String> {
    let uid = match call.words()[..] {
        [uid] => uid,
        ref words => {
            return Err(format!("Expected one uid of a record (got {} words)", words.len()));
        }
    };
    let query: Vec<(&str, &str)> =
        call.said("version").map(|version| ("version", version)).into_iter().collect();
    let path = format!("anchor/record/{uid}/proof");
    let answer = Api::of(call)?.expect(Method::GET, &path, &query, Vec::new());
    let answer = answer.map_err(|fault| format!("Error reading the proof: {fault}"))?;
    print_bytes(&answer.body);
    Ok(String::new())
}
