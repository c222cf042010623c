//! `policy list|read|write|delete|test|explain`: by what scopes decide. These are not Consul's.

mod test;

use clap::Arg;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::client::{Api, server_flags};
use super::go::{file, flag, items, number as count, text};
use super::{Call, Entry, json as go_json, number, table, text as text_flag, texts, told};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        path: &["policy", "list"],
        words: "",
        about: "Lists the policies of scopes",
        flags: flags_with_format,
        run: |call| told(list(call)),
    },
    Entry {
        path: &["policy", "read"],
        words: "NAME",
        about: "Prints a policy",
        flags: flags_with_format,
        run: |call| told(read(call)),
    },
    Entry {
        path: &["policy", "write"],
        words: "NAME FILE",
        about: "Writes a policy",
        flags: write_flags,
        run: |call| told(write(call)),
    },
    Entry {
        path: &["policy", "delete"],
        words: "NAME",
        about: "Deletes a policy",
        flags: server_flags,
        run: |call| told(delete(call)),
    },
    Entry {
        path: &["policy", "test"],
        words: "FILE...",
        about: "Runs the tests of policies without asking an agent",
        flags: test::flags,
        run: test::run,
    },
    Entry {
        path: &["policy", "explain"],
        words: "ACTION NAME",
        about: "Tells what the policies would decide, and why",
        flags: explain_flags,
        run: |call| told(explain(call)),
    },
];

/// Where the API has them.
const ALL: &str = "anchor/policies";
const ONE: &str = "anchor/policy";

/// Fields of an inquiry that are flags of these names.
const INQUIRY: [(&str, &str, &str); 8] = [
    ("Accessor", "as", "The accessor of the token of whoever would ask."),
    ("Listener", "listener", "The listener by which it would come."),
    ("Source", "source", "The address that it would come from."),
    ("Scope", "scope", "The scope that decides; unless said, the one to which the name belongs."),
    ("Kind", "kind", "service, key, node or session; unless said, what the action is about."),
    ("Address", "address", "The address of the instance that would be registered."),
    ("Node", "node", "The node of the instance that would be registered."),
    ("Port", "port", "The port of the instance that would be registered."),
];

fn flags_with_format() -> Vec<Arg> {
    let mut flags = server_flags();
    flags.push(text_flag("format", "string", "`pretty` or `json`.").default_value("pretty"));
    flags
}

fn write_flags() -> Vec<Arg> {
    let mut flags = flags_with_format();
    flags.push(text_flag("scope", "path", "The scope whose it is; unless said, the datacenter's."));
    flags
}

fn explain_flags() -> Vec<Arg> {
    let mut flags = flags_with_format();
    flags.extend(INQUIRY.map(|(_, name, help)| match name {
        "port" => number(name, help),
        _ => text_flag(name, "string", help),
    }));
    flags.extend([
        texts("tag", "string", "A tag of the instance. May be given several times."),
        texts("meta", "key=value", "A pair of its metadata. May be given several times."),
    ]);
    flags
}

fn named(call: &Call) -> Result<String, String> {
    match call.words()[..] {
        [name] => Ok(format!("{ONE}/{name}")),
        ref words => Err(format!("Expected the name of a policy (got {} words)", words.len())),
    }
}

fn list(call: &Call) -> Result<String, String> {
    call.no_words()?;
    let found: Value = Api::of(call)?
        .get(ALL, &[])
        .map_err(|fault| format!("Error reading the policies: {fault}"))?;
    if call.text("format") == Some("json") {
        return Ok(go_json::indented(&found, "    "));
    }
    let mut rows = vec![["Name", "Scope", "Version", "Source"].map(str::to_owned).to_vec()];
    rows.extend(found.as_array().into_iter().flatten().map(|one| {
        let source = if flag(one, "FromConfiguration") { "configuration" } else { "api" };
        let version = count(one, "Version").to_string();
        vec![
            text(one, "Name").to_owned(),
            text(one, "Scope").to_owned(),
            version,
            source.to_owned(),
        ]
    }));
    Ok(table::columns(&rows))
}

fn read(call: &Call) -> Result<String, String> {
    let path = named(call)?;
    let found: Value = Api::of(call)?
        .get(&path, &[])
        .map_err(|fault| format!("Error reading the policy: {fault}"))?;
    Ok(match call.text("format") {
        Some("json") => go_json::indented(&found, "    "),
        _ => text(&found, "Rego").trim_end().to_owned(),
    })
}

fn write(call: &Call) -> Result<String, String> {
    let [name, path] = call.words()[..] else {
        return Err("Expected the name of a policy and a file, - for the standard input".to_owned());
    };
    let source = if path == "-" { super::go::data("-")? } else { file(path)? };
    let rego = String::from_utf8(source).map_err(|_| format!("{path} is no UTF-8"))?;
    let mut body = Map::from_iter([("Rego".to_owned(), json!(rego))]);
    body.extend(call.said("scope").map(|scope| ("Scope".to_owned(), json!(scope))));
    let made = Api::of(call)?
        .expect(Method::PUT, &format!("{ONE}/{name}"), &[], go_json::line(&body))
        .and_then(|answer| go_json::read(&answer.body))
        .map_err(|fault| format!("Error writing the policy: {fault}"))?;
    Ok(match call.text("format") {
        Some("json") => go_json::indented(&made, "    "),
        _ => format!("Policy {name} has version {}", count(&made, "Version")),
    })
}

fn delete(call: &Call) -> Result<String, String> {
    let path = named(call)?;
    Api::of(call)?
        .expect(Method::DELETE, &path, &[], Vec::new())
        .map_err(|fault| format!("Error deleting the policy: {fault}"))?;
    Ok(format!("Deleted {path}"))
}

fn explain(call: &Call) -> Result<String, String> {
    let [action, name] = call.words()[..] else {
        return Err("Expected an action, e.g. service:register, and a name".to_owned());
    };
    let mut body =
        Map::from_iter([("Action".to_owned(), json!(action)), ("Name".to_owned(), json!(name))]);
    for (field, name, _) in INQUIRY {
        if name == "port" {
            body.insert(field.to_owned(), json!(call.number(name)));
        } else if let Some(text) = call.said(name) {
            body.insert(field.to_owned(), json!(text));
        }
    }
    body.insert("Tags".to_owned(), json!(call.texts("tag")));
    let pairs = call.texts("meta");
    let pairs = pairs.iter().map(|pair| match pair.split_once('=') {
        Some((key, value)) => Ok((key.to_owned(), json!(value))),
        None => Err(format!("-meta takes key=value, not {pair:?}")),
    });
    body.insert("Meta".to_owned(), Value::Object(pairs.collect::<Result<_, _>>()?));
    let told = Api::of(call)?
        .expect(Method::PUT, &format!("{ALL}/explain"), &[], go_json::line(&body))
        .and_then(|answer| go_json::read(&answer.body))
        .map_err(|fault| format!("Error explaining: {fault}"))?;
    Ok(match call.text("format") {
        Some("json") => go_json::indented(&told, "    "),
        _ => explained(&told),
    })
}

/// What is decided, then what each policy says, then what they were told.
fn explained(told: &Value) -> String {
    let decision = |of: &Value| {
        let ttl = text(of, "TTL");
        let ttl = if ttl.is_empty() { String::new() } else { format!(", for {ttl}") };
        format!("{} by rule {}{ttl}", text(of, "Outcome"), text(of, "Rule"))
    };
    let mut lines =
        vec![format!("Scope {}: {}", text(told, "Scope"), decision(told)), String::new()];
    let heads = ["Scope", "Policy", "Version", "Inherited", "Decision"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    rows.extend(items(told, "Policies").iter().map(|one| {
        let fault = text(one, "Fault").lines().last().unwrap_or_default().to_owned();
        let decided =
            if fault.is_empty() { decision(one) } else { format!("{}: {fault}", decision(one)) };
        vec![
            text(one, "Scope").to_owned(),
            text(one, "Policy").to_owned(),
            count(one, "Version").to_string(),
            flag(one, "Inherited").to_string(),
            decided,
        ]
    }));
    if rows.len() > 1 {
        lines.push(table::columns(&rows));
    } else {
        lines.push("No policy binds it.".to_owned());
    }
    lines.extend([String::new(), "Input:".to_owned(), go_json::indented(&told["Input"], "    ")]);
    lines.join("\n")
}
