//! `intention create`: from two names, or from files of JSON.

use std::fs;

use clap::Arg;
use reqwest::Method;
use serde_json::{Value, json};

use super::super::client::{Api, all_flags};
use super::super::form;
use super::super::go::text;
use super::super::json as go_json;
use super::super::{Call, boolean, pairs, print_out, told_if_any};
use super::{exact, line};
use crate::config::reason;

pub(super) fn flags() -> Vec<Arg> {
    let mut flags = all_flags();
    flags.extend([
        boolean("allow", "Allows the connection; so by default."),
        boolean("deny", "Denies the connection."),
        boolean("file", "Takes the words for files of intentions in JSON."),
        pairs("meta", "A pair that is kept with it. May be given several times."),
        boolean("replace", "Replaces the intention that is there."),
    ]);
    flags
}

pub(super) fn run(call: &Call) -> u8 {
    told_if_any(create(call))
}

fn create(call: &Call) -> Result<String, String> {
    let (allow, deny) = (call.flag("allow"), call.flag("deny"));
    if allow && deny {
        return Err("Only one of -allow or -deny may be specified.".to_owned());
    }
    let words = call.words();
    let intentions = if call.flag("file") {
        words.iter().map(|path| from_file(path)).collect()
    } else {
        from_words(call, &words, if deny { "deny" } else { "allow" }).map(|one| vec![one])
    };
    let intentions: Vec<Value> = intentions.map_err(|fault| format!("Error: {fault}"))?;
    let api = Api::of(call)?;
    for intention in intentions {
        if call.flag("replace") && replaced(&api, &intention)? {
            continue;
        }
        let shown = line(&intention);
        let made =
            api.send(Method::POST, "connect/intentions", &form::tree("Intention", &intention));
        made.map_err(|fault| format!("Error creating intention {shown:?}: {fault}"))?;
        print_out(&format!("Created: {shown}"));
    }
    Ok(String::new())
}

/// A name, perhaps with a namespace and partition: `partition/namespace/name`.
pub(in super::super) fn target(word: &str) -> Result<[&str; 3], String> {
    match word.split('/').collect::<Vec<_>>()[..] {
        [name] => Ok(["", "", name]),
        [namespace, name] => Ok(["", namespace, name]),
        [partition, namespace, name] => Ok([partition, namespace, name]),
        _ => Err("input can contain at most two '/'".to_owned()),
    }
}

fn from_words(call: &Call, words: &[&str], action: &str) -> Result<Value, String> {
    let [source, destination] = words else {
        return Err("Must specify two arguments: source and destination".to_owned());
    };
    let source = target(source).map_err(|fault| format!("Invalid intention source: {fault}"))?;
    let destination =
        target(destination).map_err(|fault| format!("Invalid intention destination: {fault}"))?;
    let [source_partition, source_namespace, source_name] = source;
    let [partition, namespace, name] = destination;
    let meta = call.pairs("meta");
    Ok(json!({
        "SourcePartition": source_partition, "SourceNS": source_namespace, "SourceName": source_name,
        "DestinationPartition": partition, "DestinationNS": namespace, "DestinationName": name,
        "SourceType": "consul", "Action": action,
        "Meta": if meta.is_empty() { Value::Null } else { json!(meta) },
    }))
}

fn from_file(path: &str) -> Result<Value, String> {
    let bytes = fs::read(path).map_err(|fault| format!("open {path}: {}", reason(&fault)))?;
    if bytes.trim_ascii().is_empty() {
        return Err("EOF".to_owned());
    }
    let intention = form::value("Intention", &go_json::read(&bytes)?);
    if intention.get("Permissions").is_some() {
        return Err(format!(
            "cannot create L7 intention from file {path:?} using this CLI; use 'consul config write' instead"
        ));
    }
    Ok(intention)
}

/// A namespace is shown here whichever it is.
fn full_name(namespace: &str, name: &str) -> String {
    if namespace.is_empty() { name.to_owned() } else { format!("{namespace}/{name}") }
}

/// Replaces the intention between the same services; false when there is none.
fn replaced(api: &Api, intention: &Value) -> Result<bool, String> {
    let source = full_name(text(intention, "SourceNS"), text(intention, "SourceName"));
    let destination =
        full_name(text(intention, "DestinationNS"), text(intention, "DestinationName"));
    let named = format!("with source {source:?} and destination {destination:?}");
    let old = exact(api, &source, &destination)
        .map_err(|fault| format!("Error looking up intention for replacement {named}: {fault}"))?;
    let Some(old) = old else { return Ok(false) };
    let mut new = intention.clone();
    new["ID"] = old.get("ID").cloned().unwrap_or_default();
    let path = format!("connect/intentions/{}", text(&new, "ID"));
    let body = go_json::line(&form::tree("Intention", &new));
    let done = api.expect(Method::PUT, &path, &[], body);
    done.map_err(|fault| format!("Error replacing intention {named}: {fault}"))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_has_at_most_three_parts() {
        for (word, parts) in [
            ("web", Ok(["", "", "web"])),
            ("ns/web", Ok(["", "ns", "web"])),
            ("p/ns/web", Ok(["p", "ns", "web"])),
            ("a/b/c/d", Err("input can contain at most two '/'".to_owned())),
        ] {
            assert_eq!(target(word), parts, "{word}");
        }
    }
}
