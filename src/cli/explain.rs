//! `explain service NAME`: the way of a question, drawn. It is not Consul's.

use clap::Arg;
use serde_json::Value;

use super::client::{Api, server_flags};
use super::go::{flag, items, number, text};
use super::{Call, Entry, json as go_json, text as text_flag, told};

pub(super) const ENTRIES: &[Entry] = &[Entry {
    path: &["explain"],
    words: "service NAME",
    about: "Tells who decides about a question, by which rules, and where its answer comes from",
    flags,
    run: |call| told(explain(call)),
}];

fn flags() -> Vec<Arg> {
    let mut flags = server_flags();
    flags.extend([
        text_flag("as", "token", "ACL token of whoever asks; the command's own unless said."),
        text_flag("format", "string", "`pretty` or `json`.").default_value("pretty"),
    ]);
    flags
}

fn explain(call: &Call) -> Result<String, String> {
    let words = call.words();
    let ["service", name] = words.as_slice() else {
        return Err("Expected the words service NAME".to_owned());
    };
    let mut api = Api::of(call)?;
    if let Some(token) = call.said("as") {
        api = api.with_token(token);
    }
    let found: Value = api
        .get("anchor/explain", &[("service", name)])
        .map_err(|fault| format!("Error explaining service {name}: {fault}"))?;
    if call.text("format") == Some("json") {
        return Ok(go_json::indented(&found, "    "));
    }
    Ok(drawn(&found))
}

/// The way as a tree.
fn drawn(found: &Value) -> String {
    let mut lines = vec![format!(
        "service {} of {}: {}",
        text(found, "Service"),
        text(found, "Owner"),
        text(found, "Outcome")
    )];
    let asker = found.get("Asker").unwrap_or(&Value::Null);
    let who = match text(asker, "AccessorID") {
        "" => "nobody with a token",
        accessor => accessor,
    };
    lines.push(format!("├─ asked by {who} of {}", text(asker, "Scope")));
    let acl = if flag(found, "ACLAllows") { "allow" } else { "do not allow" };
    lines.push(format!("├─ rules of access control {acl} it"));
    for policy in items(found, "Policies") {
        let handed = if flag(policy, "Inherited") { ", handed down" } else { "" };
        lines.push(format!(
            "├─ policy {} v{} of {}{handed}: {} by {}",
            text(policy, "Policy"),
            number(policy, "Version"),
            text(policy, "Scope"),
            text(policy, "Outcome"),
            text(policy, "Rule"),
        ));
    }
    for (at, hop) in items(found, "Hops").iter().enumerate() {
        let indent = "│  ".repeat(at);
        lines.push(format!(
            "├─ {indent}hop {}: {} by {}, for {} s",
            text(hop, "Scope"),
            text(hop, "Outcome"),
            text(hop, "Rule"),
            number(hop, "TTLSeconds"),
        ));
    }
    lines.push(format!("├─ {}", source(found)));
    for one in items(found, "Instances") {
        lines.push(format!(
            "├─ instance {} on {}: entry {}, uid {}",
            text(one, "ServiceID"),
            text(one, "Node"),
            number(one, "Entry"),
            text(one, "UID"),
        ));
    }
    lines.push(format!("└─ while it cannot be reached: {}", text(found, "OnPartition")));
    lines.join("\n")
}

fn source(found: &Value) -> String {
    let index = number(found, "Index");
    match text(found, "Source") {
        "own" => format!("answer of the own index, at {index}"),
        "asked" => format!("answer asked for just now, at {index}"),
        "followed" => format!("answer kept and followed, at {index}"),
        "last-known" => {
            format!("last known answer, at {index}, {} s old", number(found, "AgeSeconds"))
        }
        _ => "no answer: there is no way, or none was ever known".to_owned(),
    }
}
