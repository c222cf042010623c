//! `intention check|create|delete|get|list|match`: who may connect to whom.

mod create;

pub(super) use create::target;

use clap::Arg;
use reqwest::Method;
use serde_json::Value;

use super::client::{Api, all_flags};
use super::go::{flag, items, number, rfc850, text};
use super::table::columns;
use super::{Call, Entry, FAILED, FAILED_OTHERWISE, boolean, form, json, print_err, print_out};
use super::{told, told_if_any};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        path: &["intention", "check"],
        words: "SOURCE DESTINATION",
        about: "Tells whether a connection is allowed",
        flags: all_flags,
        run: check,
    },
    Entry {
        path: &["intention", "create"],
        words: "SOURCE DESTINATION",
        about: "Allows or denies connections",
        flags: create::flags,
        run: create::run,
    },
    Entry {
        path: &["intention", "delete"],
        words: "ID | SOURCE DESTINATION",
        about: "Removes an intention",
        flags: all_flags,
        run: |call| told(delete(call)),
    },
    Entry {
        path: &["intention", "get"],
        words: "ID | SOURCE DESTINATION",
        about: "Prints an intention",
        flags: all_flags,
        run: |call| told(get(call)),
    },
    Entry {
        path: &["intention", "list"],
        words: "",
        about: "Lists the intentions",
        flags: all_flags,
        run: list,
    },
    Entry {
        path: &["intention", "match"],
        words: "SERVICE",
        about: "Lists the intentions of a source or destination",
        flags: match_flags,
        run: |call| told_if_any(matching(call)),
    },
];

/// Titles of the list.
const TITLES: [&str; 5] = ["ID", "Source", "Action", "Destination", "Precedence"];

fn match_flags() -> Vec<Arg> {
    let mut flags = all_flags();
    flags.extend([
        boolean("destination", "Intentions whose destination this is; so by default."),
        boolean("source", "Intentions whose source this is."),
    ]);
    flags
}

/// Exit code 1 says that the connection is denied, so faults have another.
fn check(call: &Call) -> u8 {
    match allowed(call) {
        Ok(true) => told(Ok("Allowed".to_owned())),
        Ok(false) => {
            print_out("Denied");
            FAILED
        }
        Err(fault) => {
            print_err(&fault);
            FAILED_OTHERWISE
        }
    }
}

fn allowed(call: &Call) -> Result<bool, String> {
    let words = call.words();
    let [source, destination] = words.as_slice() else {
        return Err("Error: command requires exactly two arguments: src and dst".to_owned());
    };
    let query = [("source", *source), ("destination", *destination), ("source-type", "consul")];
    let answer: Value = Api::of(call)?
        .get("connect/intentions/check", &query)
        .map_err(|fault| format!("Error checking the connection: {fault}"))?;
    Ok(flag(&answer, "Allowed"))
}

fn delete(call: &Call) -> Result<String, String> {
    let api = Api::of(call)?;
    let done = match call.words().as_slice() {
        [id] => api.tell(Method::DELETE, &format!("connect/intentions/{id}"), &[]),
        [source, destination] => {
            let query = [("source", *source), ("destination", *destination)];
            api.tell(Method::DELETE, "connect/intentions/exact", &query)
        }
        _ => return Err("command requires exactly 1 or 2 arguments".to_owned()),
    };
    done.map_err(|fault| format!("Error deleting the intention: {fault}"))?;
    Ok("Intention deleted.".to_owned())
}

/// The intention between two services, if there is one.
pub(super) fn exact(api: &Api, source: &str, destination: &str) -> Result<Option<Value>, String> {
    let query = [("source", source), ("destination", destination)];
    found(api, "connect/intentions/exact", &query)
}

/// A read whose faults have their own sentence.
fn found(api: &Api, path: &str, query: &[(&str, &str)]) -> Result<Option<Value>, String> {
    let answer = api.ask(Method::GET, path, query, Vec::new())?;
    match answer.status {
        200 => answer.json().map(|value| Some(form::value("Intention", &value))),
        404 => Ok(None),
        status => {
            let body = String::from_utf8_lossy(&answer.body);
            Err(format!("Unexpected response {status}: {body}"))
        }
    }
}

fn get(call: &Call) -> Result<String, String> {
    let api = Api::of(call)?;
    let (read, missing) = match call.words().as_slice() {
        [id] => (
            found(&api, &format!("connect/intentions/{id}"), &[]),
            format!("Intention not found with ID {id:?}"),
        ),
        [source, destination] => (
            exact(&api, source, destination),
            format!("Intention not found with source {source:?} and destination {destination:?}"),
        ),
        _ => return Err("command requires exactly 1 or 2 arguments".to_owned()),
    };
    let read = read.map_err(|fault| format!("Error reading the intention: {fault}"))?;
    Ok(pretty(&read.ok_or(missing)?))
}

/// An intention for people.
fn pretty(intention: &Value) -> String {
    let mut rows = Vec::new();
    let mut tell = |name: &str, value: &str| rows.push(vec![name.to_owned(), value.to_owned()]);
    tell("Source:", &source_of(intention));
    tell("Destination:", &destination_of(intention));
    for (title, field) in [("Action:", "Action"), ("ID:", "ID"), ("Description:", "Description")] {
        if !text(intention, field).is_empty() {
            tell(title, text(intention, field));
        }
    }
    for (key, value) in intention.get("Meta").and_then(Value::as_object).into_iter().flatten() {
        tell(&format!("Meta[{key}]:"), value.as_str().unwrap_or_default());
    }
    tell("Created At:", &rfc850(text(intention, "CreatedAt")));
    let mut told = columns(&rows);
    let permissions = items(intention, "Permissions");
    if !permissions.is_empty() {
        let shown = Value::Array(permissions.to_vec());
        let shown = json::indented(&form::tree("[]IntentionPermission", &shown), "  ");
        told.push_str(&format!("\nPermissions:\n{shown}"));
    }
    told
}

fn list(call: &Call) -> u8 {
    let found = Api::of(call).and_then(|api| {
        let found = api.get::<Value>("connect/intentions", &[]);
        found.map_err(|fault| format!("Failed to retrieve the intentions list: {fault}"))
    });
    let found = match found {
        Ok(found) => found.as_array().cloned().unwrap_or_default(),
        Err(fault) => return told(Err(fault)),
    };
    if found.is_empty() {
        print_err("There are no intentions.");
        return FAILED_OTHERWISE;
    }
    let row = |one: &Value| {
        let cell = |field| text(one, field).to_owned();
        let precedence = number(one, "Precedence").to_string();
        vec![cell("ID"), cell("SourceName"), cell("Action"), cell("DestinationName"), precedence]
    };
    let mut rows = vec![TITLES.map(str::to_owned).to_vec()];
    rows.extend(found.iter().map(row));
    told(Ok(columns(&rows)))
}

fn matching(call: &Call) -> Result<String, String> {
    let words = call.words();
    let [name] = words.as_slice() else {
        return Err("Error: command requires exactly one argument: src or dst".to_owned());
    };
    if call.flag("source") && call.flag("destination") {
        return Err("Error: only one of -source or -destination may be specified".to_owned());
    }
    let by = if call.flag("source") { "source" } else { "destination" };
    let found: Value = Api::of(call)?
        .get("connect/intentions/match", &[("by", by), ("name", name)])
        .map_err(|fault| format!("Error matching the connection: {fault}"))?;
    Ok(items(&found, name).iter().map(line).collect::<Vec<_>>().join("\n"))
}

/// A name with its namespace, where that is not the usual one.
fn full_name(namespace: &str, name: &str) -> String {
    match namespace {
        "" | "default" => name.to_owned(),
        namespace => format!("{namespace}/{name}"),
    }
}

fn source_of(intention: &Value) -> String {
    full_name(text(intention, "SourceNS"), text(intention, "SourceName"))
}

fn destination_of(intention: &Value) -> String {
    full_name(text(intention, "DestinationNS"), text(intention, "DestinationName"))
}

/// `web => db (allow)`.
fn line(intention: &Value) -> String {
    let detail = match items(intention, "Permissions").len() {
        0 => text(intention, "Action").to_owned(),
        1 => "1 permission".to_owned(),
        count => format!("{count} permissions"),
    };
    format!("{} => {} ({detail})", source_of(intention), destination_of(intention))
}
