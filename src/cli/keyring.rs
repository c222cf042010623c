//! `keyring`: the keys of encrypted gossip. The agent decides whether it has any; this one's does not gossip.

use std::fmt::Write as _;

use clap::Arg;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Api, agent_flags};
use super::go::{flag, number, text};
use super::told_if_any;
use super::{Call, Entry, boolean, integer, json as go_json, print_out, text as text_flag};

pub(super) const ENTRIES: &[Entry] = &[Entry {
    path: &["keyring"],
    words: "",
    about: "Reads and writes the keys of encrypted gossip",
    flags,
    run: |call| told_if_any(keyring(call)),
}];

/// Answers pass through so many other nodes at most.
const RELAY_MAX: i64 = 5;

fn flags() -> Vec<Arg> {
    let mut flags = agent_flags();
    flags.extend([
        text_flag("install", "string", "Adds a key."),
        boolean("list", "Lists the keys."),
        boolean("list-primary", "Lists the keys that encrypt."),
        boolean("local-only", "Asks this datacenter only, with -list."),
        integer("relay-factor", "How many other nodes answers pass through.").default_value("0"),
        text_flag("remove", "string", "Removes a key."),
        text_flag("use", "string", "Lets a key encrypt."),
    ]);
    flags
}

/// Flags that change something, how, and what is told before.
const CHANGES: [(&str, Method, &str); 3] = [
    ("install", Method::POST, "Installing new gossip encryption key..."),
    ("use", Method::PUT, "Changing primary gossip encryption key..."),
    ("remove", Method::DELETE, "Removing gossip encryption key..."),
];

fn keyring(call: &Call) -> Result<String, String> {
    let lists = [
        ("list", "Keys", "Gathering installed encryption keys..."),
        ("list-primary", "PrimaryKeys", "Gathering installed primary encryption keys..."),
    ];
    let list = lists.iter().find(|(name, ..)| call.flag(name));
    let asked = lists.iter().filter(|(name, ..)| call.flag(name)).count()
        + CHANGES.iter().filter(|(name, ..)| call.said(name).is_some()).count();
    match asked {
        0 => return Err(call.with_page("").trim_start().to_owned()),
        1 => {}
        _ => return Err("Only a single action is allowed".to_owned()),
    }
    let relay = call.integer("relay-factor");
    if !(0..=RELAY_MAX).contains(&relay) {
        return Err("Error parsing relay factor: Relay factor must be in range: [0, 5]".to_owned());
    }
    if call.flag("local-only") && !call.flag("list") {
        return Err(
            "Error validating local-only: local-only can only be set for list requests".to_owned()
        );
    }
    let api = Api::of(call)?;
    let relay = relay.to_string();
    let mut query = Vec::new();
    query.extend((relay != "0").then_some(("relay-factor", relay.as_str())));
    query.extend(call.flag("local-only").then_some(("local-only", "true")));
    match list {
        Some((_, field, told)) => listed(&api, &query, field, told),
        None => change(call, &api, &query),
    }
}

fn listed(api: &Api, query: &[(&str, &str)], field: &str, before: &str) -> Result<String, String> {
    print_out(&format!("==> {before}"));
    let found: Value =
        api.get("operator/keyring", query).map_err(|fault| format!("error: {fault}"))?;
    let rings = found.as_array().into_iter().flatten();
    Ok(rings.map(|ring| shown(ring, field)).collect::<Vec<_>>().join("\n"))
}

/// A ring and its keys, after an empty line.
fn shown(ring: &Value, field: &str) -> String {
    let pool = if flag(ring, "WAN") {
        "WAN".to_owned()
    } else {
        format!("{} (LAN)", text(ring, "Datacenter"))
    };
    let segment = text(ring, "Segment");
    let segment = if segment.is_empty() { String::new() } else { format!(" [{segment}]") };
    let mut told = format!("\n{pool}{segment}:\n");
    let object = |field: &str| ring.get(field).and_then(Value::as_object).into_iter().flatten();
    for (from, message) in object("Messages") {
        let message = message.as_str().unwrap_or_default();
        let _never_fails = writeln!(told, "  ===> {from}: {message}");
    }
    let nodes = number(ring, "NumNodes");
    for (key, count) in object(field) {
        let _never_fails = writeln!(told, "  {key} [{count}/{nodes}]");
    }
    told.trim_end_matches('\n').to_owned()
}

fn change(call: &Call, api: &Api, query: &[(&str, &str)]) -> Result<String, String> {
    for (name, method, before) in CHANGES {
        let Some(key) = call.said(name) else { continue };
        print_out(&format!("==> {before}"));
        let body = go_json::line(&json!({ "Key": key }));
        let done = api.expect(method, "operator/keyring", query, body);
        done.map_err(|fault| format!("error: {fault}"))?;
    }
    Ok(String::new())
}
