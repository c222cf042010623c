//! `acl policy create|delete|list|read|update`.

use std::fmt::Write as _;

use clap::Arg;
use reqwest::Method;
use serde_json::{Value, json};

use super::super::client::{Api, all_flags};
use super::super::go::{number, text, text_data, texts};
use super::super::{
    Call, Entry, boolean, form, text as text_flag, texts as texts_flag, told, told_if_any,
};
use super::links::policy_id;
use super::{each, flags_with, hex, meta_flag, shown};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        path: &["acl", "policy", "create"],
        words: "",
        about: "Makes a policy",
        flags: create_flags,
        run: |call| told_if_any(create(call)),
    },
    Entry {
        path: &["acl", "policy", "delete"],
        words: "",
        about: "Removes a policy",
        flags: delete_flags,
        run: |call| told(delete(call)),
    },
    Entry {
        path: &["acl", "policy", "list"],
        words: "",
        about: "Lists the policies",
        flags: || flags_with([meta_flag()]),
        run: |call| told_if_any(list(call)),
    },
    Entry {
        path: &["acl", "policy", "read"],
        words: "",
        about: "Prints a policy",
        flags: read_flags,
        run: |call| told_if_any(read(call)),
    },
    Entry {
        path: &["acl", "policy", "update"],
        words: "",
        about: "Changes a policy",
        flags: update_flags,
        run: |call| told_if_any(update(call)),
    },
];

fn id_flags() -> [Arg; 2] {
    [
        text_flag("id", "string", "Id of the policy, or its start."),
        text_flag("name", "string", "Name of the policy."),
    ]
}

/// What a policy is made of.
fn body_flags() -> [Arg; 4] {
    [
        meta_flag(),
        text_flag("description", "string", "What the policy is for."),
        text_flag("rules", "string", "The rules; `@FILE` reads a file, `-` standard input."),
        texts_flag(
            "valid-datacenter",
            "value",
            "Where the policy counts; everywhere unless said. May be given several times.",
        ),
    ]
}

fn create_flags() -> Vec<Arg> {
    let mut flags = flags_with(body_flags());
    flags.push(text_flag("name", "string", "Name of the policy. Needed."));
    flags
}

fn delete_flags() -> Vec<Arg> {
    let mut flags = all_flags();
    flags.extend(id_flags());
    flags
}

fn read_flags() -> Vec<Arg> {
    let mut flags = flags_with(id_flags());
    flags.push(meta_flag());
    flags
}

fn update_flags() -> Vec<Arg> {
    let mut flags = flags_with(body_flags());
    flags.extend(id_flags());
    flags.push(boolean("no-merge", "Replaces all of the policy but its id."));
    flags
}

fn rules(call: &Call, fault_begins: &str) -> Result<String, String> {
    text_data(call.text("rules").unwrap_or("")).map_err(|fault| format!("{fault_begins}: {fault}"))
}

/// `null` unless a datacenter is named.
fn datacenters(call: &Call) -> Value {
    let named = call.texts("valid-datacenter");
    if named.is_empty() { Value::Null } else { json!(named) }
}

fn create(call: &Call) -> Result<String, String> {
    let Some(name) = call.said("name") else {
        return Err(call.with_page("Missing required '-name' flag"));
    };
    let api = Api::of(call)?;
    let policy = json!({
        "Name": name, "Description": call.text("description").unwrap_or(""),
        "Datacenters": datacenters(call), "Rules": rules(call, "Error loading rules")?,
    });
    let made = api.send(Method::PUT, "acl/policy", &form::tree("Policy", &policy));
    let made = made.map_err(|fault| format!("Failed to create new policy: {fault}"))?;
    shown(call, "Policy", &made, pretty)
}

/// The policy of a name, if there is one.
fn by_name(api: &Api, name: &str) -> Result<Option<Value>, String> {
    let found = api.find(&format!("acl/policy/name/{name}"));
    found.map_err(|fault| format!("Failed to find policy with name {name}: {fault}"))
}

/// The id that `-id` tells, or the one of `-name`.
fn told_id(api: &Api, call: &Call) -> Result<String, String> {
    let id = match (call.said("id"), call.said("name")) {
        (Some(id), _) => policy_id(api, id),
        (None, name) => {
            let name = name.unwrap_or("");
            by_name(api, name).and_then(|policy| {
                let policy = policy.ok_or_else(|| format!("No such policy with name: {name}"))?;
                Ok(text(&policy, "ID").to_owned())
            })
        }
    };
    id.map_err(|fault| format!("Error determining policy ID: {fault}"))
}

fn id_or_name(call: &Call) -> Result<(), String> {
    match (call.said("id"), call.said("name")) {
        (None, None) => Err("Must specify either the -id or -name parameters".to_owned()),
        _ => Ok(()),
    }
}

fn delete(call: &Call) -> Result<String, String> {
    id_or_name(call)?;
    let api = Api::of(call)?;
    let id = told_id(&api, call)?;
    let done = api.tell(Method::DELETE, &format!("acl/policy/{id}"), &[]);
    done.map_err(|fault| format!("Error deleting policy {id:?}: {fault}"))?;
    Ok(format!("Policy {id:?} deleted successfully"))
}

fn list(call: &Call) -> Result<String, String> {
    let found = Api::of(call)?.get("acl/policies", &[]);
    let found = found.map_err(|fault| format!("Failed to retrieve the policy list: {fault}"))?;
    shown(call, "[]PolicyListEntry", &found, |list, meta| {
        each(list, |policy| {
            format!("{}:\n{}", text(policy, "Name"), head(policy, meta, "   ", false))
        })
    })
}

fn read(call: &Call) -> Result<String, String> {
    id_or_name(call)?;
    let api = Api::of(call)?;
    let found = match call.said("id") {
        Some(start) => {
            let id = policy_id(&api, start)
                .map_err(|fault| format!("Error determining policy ID: {fault}"))?;
            let found = api.get(&format!("acl/policy/{id}"), &[]).map(Some);
            found.map_err(|fault| format!("Error reading policy \"id:{id}\": {fault}"))?
        }
        None => {
            let name = call.text("name").unwrap_or("");
            by_name(&api, name)
                .map_err(|fault| format!("Error reading policy \"name:{name}\": {fault}"))?
        }
    };
    let name = call.text("name").unwrap_or("");
    let policy = found.ok_or_else(|| format!("Error policy not found: {name}"))?;
    shown(call, "Policy", &policy, pretty)
}

fn update(call: &Call) -> Result<String, String> {
    id_or_name(call)?;
    let api = Api::of(call)?;
    let id = told_id(&api, call)?;
    let rules = rules(call, "Error loading data source")?;
    let policy = if call.flag("no-merge") {
        json!({
            "ID": id, "Name": call.text("name").unwrap_or(""),
            "Description": call.text("description").unwrap_or(""),
            "Datacenters": datacenters(call), "Rules": rules,
        })
    } else {
        merged(call, &api, &id, &rules)?
    };
    let path = format!("acl/policy/{id}");
    let changed = api.send(Method::PUT, &path, &form::tree("Policy", &policy));
    let changed = changed.map_err(|fault| format!("Error updating policy {id:?}: {fault}"))?;
    shown(call, "Policy", &changed, pretty)
}

/// The policy as it is, with what the flags change.
fn merged(call: &Call, api: &Api, id: &str, rules: &str) -> Result<Value, String> {
    let now: Value = api
        .get(&format!("acl/policy/{id}"), &[])
        .map_err(|fault| format!("Error reading policy {id:?}: {fault}"))?;
    let either = |flag: &str, field: &str| match call.is_given(flag) {
        true => call.text(flag).unwrap_or("").to_owned(),
        false => text(&now, field).to_owned(),
    };
    let places = datacenters(call);
    Ok(json!({
        "ID": id, "Name": either("name", "Name"), "Description": either("description", "Description"),
        "Datacenters": if places.is_null() { now["Datacenters"].clone() } else { places },
        "Rules": if call.is_given("rules") { rules } else { text(&now, "Rules") },
    }))
}

/// A policy for people.
pub(super) fn pretty(policy: &Value, meta: bool) -> String {
    format!("{}Rules:\n{}", head(policy, meta, "", true), text(policy, "Rules"))
}

/// All but the rules; in a list the name stands above.
fn head(policy: &Value, meta: bool, indent: &str, named: bool) -> String {
    let mut told = format!("{indent}ID:           {}\n", text(policy, "ID"));
    let mut tell = |name: &str, value: &str| {
        let _never_fails = writeln!(told, "{indent}{name:13} {value}");
    };
    if named {
        tell("Name:", text(policy, "Name"));
    }
    tell("Description:", text(policy, "Description"));
    tell("Datacenters:", &texts(policy, "Datacenters").join(", "));
    if meta {
        tell("Hash:", &hex(policy, "Hash"));
        tell("Create Index:", &number(policy, "CreateIndex").to_string());
        tell("Modify Index:", &number(policy, "ModifyIndex").to_string());
    }
    told
}
