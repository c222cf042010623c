//! `adjacency request|accept|list|revoke`: the anchors of other scopes that this one asks and answers. These are not Consul's.

use clap::Arg;
use proconsul_anchors::duration;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::client::{Api, server_flags};
use super::go::{file, items, text};
use super::{Call, Entry, json as go_json, span, table, text as text_flag, texts, told};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        path: &["adjacency", "request"],
        words: "SCOPE",
        about: "Asks the anchor of another scope for an adjacency",
        flags: request_flags,
        run: |call| told(request(call)),
    },
    Entry {
        path: &["adjacency", "accept"],
        words: "FILE",
        about: "Accepts what another anchor stated, and prints the own statement",
        flags: offer_flags,
        run: |call| told(accept(call)),
    },
    Entry {
        path: &["adjacency", "list"],
        words: "",
        about: "Lists the adjacencies",
        flags: flags_with_format,
        run: |call| told(list(call)),
    },
    Entry {
        path: &["adjacency", "revoke"],
        words: "SCOPE",
        about: "Takes an adjacency back",
        flags: server_flags,
        run: |call| told(revoke(call)),
    },
];

const ALL: &str = "anchor/adjacencies";
const ONE: &str = "anchor/adjacency";

fn flags_with_format() -> Vec<Arg> {
    let mut flags = server_flags();
    flags.push(text_flag("format", "string", "`pretty` or `json`.").default_value("pretty"));
    flags
}

fn offer_flags() -> Vec<Arg> {
    let mut flags = server_flags();
    flags.extend([
        texts("address", "host:port", "Where the own anchor is reached; the server port of the agent unless said. May be given several times."),
        texts("action", "string", "What the other may ask here: service:read, node:read, key:read, transit; everything unless said. May be given several times."),
        texts("policy", "name", "A policy of access control that binds the other's callers; that of the anonymous token unless said. May be given several times."),
        span("ttl", "How long it holds; a year unless said."),
    ]);
    flags
}

fn request_flags() -> Vec<Arg> {
    let mut flags = offer_flags();
    flags.extend([
        text_flag(
            "to",
            "address",
            "The other agent's HTTP address: has it accept at once, and brings its statement back.",
        ),
        text_flag("to-token", "value", "ACL token for the other agent."),
    ]);
    flags
}

/// What is offered, as the API takes it.
fn offer(call: &Call) -> Map<String, Value> {
    let mut body = Map::new();
    for (field, flag) in [("Addresses", "address"), ("Actions", "action"), ("Policies", "policy")] {
        let said = call.texts(flag);
        if !said.is_empty() {
            body.insert(field.to_owned(), json!(said));
        }
    }
    if call.is_given("ttl") {
        body.insert("TTL".to_owned(), json!(duration::show(call.nanos("ttl"))));
    }
    body
}

fn put(api: &Api, path: &str, body: &Map<String, Value>) -> Result<Value, String> {
    let made = api.expect(Method::PUT, &format!("{ONE}/{path}"), &[], go_json::line(body));
    made.and_then(|answer| go_json::read(&answer.body))
}

/// What an adjacency states, on one line.
fn statement(of: &Value) -> Result<&Value, String> {
    of.get("Statement").ok_or_else(|| "the agent gave no statement".to_owned())
}

fn scope_of(call: &Call) -> Result<String, String> {
    match call.words()[..] {
        [scope] => Ok(scope.to_owned()),
        ref words => Err(format!("Expected one scope (got {} words)", words.len())),
    }
}

fn request(call: &Call) -> Result<String, String> {
    let peer = scope_of(call)?;
    let mut body = offer(call);
    body.insert("Peer".to_owned(), json!(peer));
    let api = Api::of(call)?;
    let failed = |fault| format!("Error requesting the adjacency: {fault}");
    let made = put(&api, "request", &body).map_err(failed)?;
    let ours = statement(&made)?;
    let Some(to) = call.said("to") else {
        return Ok(ours.to_string());
    };
    let other = api.elsewhere(to, call.said("to-token").unwrap_or_default());
    let mut body = Map::new();
    body.insert("Statement".to_owned(), ours.clone());
    let accepted = put(&other, "accept", &body)
        .map_err(|fault| format!("Error having the adjacency accepted by {to}: {fault}"))?;
    let mut body = offer(call);
    body.insert("Statement".to_owned(), statement(&accepted)?.clone());
    let api = Api::of(call)?;
    put(&api, "accept", &body).map_err(failed)?;
    Ok(format!("Success! Joined with scope {peer}"))
}

fn accept(call: &Call) -> Result<String, String> {
    let path = match call.words()[..] {
        [path] => path,
        ref words => return Err(format!("Expected one file (got {} words)", words.len())),
    };
    let theirs =
        go_json::read(&file(path)?).map_err(|fault| format!("Failed to read {path}: {fault}"))?;
    let mut body = offer(call);
    body.insert("Statement".to_owned(), theirs);
    let made = put(&Api::of(call)?, "accept", &body);
    let made = made.map_err(|fault| format!("Error accepting the adjacency: {fault}"))?;
    Ok(statement(&made)?.to_string())
}

fn list(call: &Call) -> Result<String, String> {
    call.no_words()?;
    let found: Value = Api::of(call)?
        .get(ALL, &[])
        .map_err(|fault| format!("Error reading the adjacencies: {fault}"))?;
    if call.text("format") == Some("json") {
        return Ok(go_json::indented(&found, "    "));
    }
    let heads = ["Peer", "State", "Addresses", "Actions", "Until", "LastContact"];
    let row = |one: &Value| {
        let joined = |field| {
            let all = items(one, field).iter().filter_map(Value::as_str);
            all.collect::<Vec<_>>().join(",")
        };
        let heard = one.get("LastContact").map_or_else(|| "-".to_owned(), |ms| format!("{ms}ms"));
        let cell = |field| text(one, field).to_owned();
        vec![
            cell("Peer"),
            cell("State"),
            joined("Addresses"),
            joined("Actions"),
            cell("Until"),
            heard,
        ]
    };
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    rows.extend(found.as_array().into_iter().flatten().map(row));
    Ok(table::columns(&rows))
}

fn revoke(call: &Call) -> Result<String, String> {
    let peer = scope_of(call)?;
    let done = Api::of(call)?.expect(Method::DELETE, &format!("{ONE}/{peer}"), &[], Vec::new());
    done.map_err(|fault| format!("Error revoking the adjacency: {fault}"))?;
    Ok(format!("Success! Revoked the adjacency with scope {peer}"))
}
