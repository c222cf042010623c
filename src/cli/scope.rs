//! `scope list|read|write|delete`: who governs which names. These are not Consul's.

use clap::Arg;
use reqwest::Method;
use serde_json::Value;

use super::client::{Api, server_flags};
use super::go::{source, text, texts};
use super::{Call, Entry, json as go_json, table, text as text_flag, told};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        path: &["scope", "list"],
        words: "",
        about: "Lists the scopes",
        flags: flags_with_format,
        run: |call| told(list(call)),
    },
    Entry {
        path: &["scope", "read"],
        words: "PATH",
        about: "Prints a scope and what it holds",
        flags: flags_with_format,
        run: |call| told(read(call)),
    },
    Entry {
        path: &["scope", "write"],
        words: "FILE",
        about: "Writes the scope of a JSON file, or of standard input (-)",
        flags: flags_with_cas,
        run: |call| told(write(call)),
    },
    Entry {
        path: &["scope", "delete"],
        words: "PATH",
        about: "Deletes a scope that holds nothing",
        flags: flags_with_cas,
        run: |call| told(delete(call)),
    },
];

fn flags_with_format() -> Vec<Arg> {
    let mut flags = server_flags();
    flags.push(text_flag("format", "string", "`pretty` or `json`.").default_value("pretty"));
    flags
}

fn flags_with_cas() -> Vec<Arg> {
    let mut flags = server_flags();
    let help = "Only while its ModifyIndex is this; 0 while it is not there.";
    flags.push(text_flag("cas", "index", help));
    flags
}

fn list(call: &Call) -> Result<String, String> {
    call.no_words()?;
    let api = Api::of(call)?;
    let found: Value = api
        .get("anchor/scopes", &[])
        .map_err(|fault| format!("Error reading the scopes: {fault}"))?;
    if call.text("format") == Some("json") {
        return Ok(go_json::indented(&found, "    "));
    }
    let heads = ["Path", "Owner", "Services", "Instances", "Keys", "KVBytes"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    rows.extend(found.as_array().into_iter().flatten().map(|scope| {
        let used = ["Services", "Instances", "Keys", "KVBytes"].map(|name| used(scope, name));
        let named = ["Path", "Owner"].map(|name| text(scope, name).to_owned());
        named.into_iter().chain(used).collect()
    }));
    Ok(table::columns(&rows))
}

/// What a scope holds of something, and what it may hold.
fn used(scope: &Value, name: &str) -> String {
    let number = |of: &str| scope.get(of).and_then(|of| of.get(name)).and_then(Value::as_u64);
    let now = number("Usage").unwrap_or(0);
    number("Budget").map_or_else(|| now.to_string(), |most| format!("{now}/{most}"))
}

fn read(call: &Call) -> Result<String, String> {
    let path = path_of(call)?;
    let found: Value = Api::of(call)?
        .get(&path, &[])
        .map_err(|fault| format!("Error reading the scope: {fault}"))?;
    match call.text("format") {
        Some("json") => Ok(go_json::indented(&found, "    ")),
        Some("pretty") | None => Ok(pretty(&found)),
        Some(other) => Err(format!("Unknown format: {other}")),
    }
}

fn pretty(scope: &Value) -> String {
    let line = |name: &str| (format!("{name}:"), text(scope, name).to_owned());
    let mut rows = vec![line("Path"), line("Owner")];
    for name in ["Services", "Keys"] {
        rows.push((format!("{name}:"), texts(scope, name).join(", ")));
    }
    let more = ["Policy", "Inherit", "OnPartition", "MaxStale", "Retention"];
    rows.extend(more.map(line).into_iter().filter(|(_, value)| !value.is_empty()));
    for (label, name) in [
        ("Services held", "Services"),
        ("Instances held", "Instances"),
        ("Keys held", "Keys"),
        ("Bytes of keys held", "KVBytes"),
    ] {
        rows.push((format!("{label}:"), used(scope, name)));
    }
    for caller in scope.get("Callers").and_then(Value::as_array).into_iter().flatten() {
        let said = caller.as_object().into_iter().flatten();
        let said: Vec<String> =
            said.filter_map(|(name, value)| Some(format!("{name}={}", value.as_str()?))).collect();
        rows.push(("Caller:".to_owned(), said.join(" ")));
    }
    table::pairs(&rows, 2)
}

fn write(call: &Call) -> Result<String, String> {
    let [path] = call.words()[..] else {
        return Err(format!("Expected one file (got {} words)", call.words().len()));
    };
    let body = source(path)?.into_bytes();
    let scope: Value =
        go_json::read(&body).map_err(|fault| format!("Failed to read {path}: {fault}"))?;
    let at = match text(&scope, "Path") {
        "" => return Err(format!("{path}: the field Path is missing")),
        at => at.to_owned(),
    };
    let done = send(call, Method::PUT, &format!("{ONE}/{at}"), body);
    done.map_err(|fault| format!("Error writing the scope: {fault}"))?;
    Ok(format!("Scope {at} written"))
}

fn delete(call: &Call) -> Result<String, String> {
    let path = path_of(call)?;
    let done = send(call, Method::DELETE, &path, Vec::new());
    done.map_err(|fault| format!("Error deleting the scope: {fault}"))?;
    Ok(format!("Scope {} deleted", call.words()[0]))
}

fn send(call: &Call, method: Method, path: &str, body: Vec<u8>) -> Result<(), String> {
    let query: Vec<(&str, &str)> = call.said("cas").map(|cas| ("cas", cas)).into_iter().collect();
    let answer = Api::of(call)?.expect(method, path, &query, body)?;
    match go_json::read(&answer.body)? {
        Value::Bool(true) => Ok(()),
        _ => Err("its ModifyIndex is another".to_owned()),
    }
}

/// Where the API has one.
const ONE: &str = "anchor/scope";

fn path_of(call: &Call) -> Result<String, String> {
    match call.words()[..] {
        [path] => Ok(format!("{ONE}/{path}")),
        ref words => Err(format!("Expected one path of a scope (got {} words)", words.len())),
    }
}
