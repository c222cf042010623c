//! `acl binding-rule create|delete|list|read|update`.

use std::fmt::Write as _;

use clap::Arg;
use reqwest::Method;
use serde_json::{Value, json};

use super::super::client::{Api, all_flags};
use super::super::go::{number, text};
use super::super::{Call, Entry, boolean, form, pairs, text as text_flag, told, told_if_any};
use super::{each, flags_with, meta_flag, shown, whole_id};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        path: &["acl", "binding-rule", "create"],
        words: "",
        about: "Makes a rule by which logins get what they may",
        flags: create_flags,
        run: |call| told_if_any(create(call)),
    },
    Entry {
        path: &["acl", "binding-rule", "delete"],
        words: "",
        about: "Removes a binding rule",
        flags: delete_flags,
        run: |call| told(delete(call)),
    },
    Entry {
        path: &["acl", "binding-rule", "list"],
        words: "",
        about: "Lists the binding rules",
        flags: || {
            flags_with([
                meta_flag(),
                text_flag("method", "string", "Rules of this auth method only."),
            ])
        },
        run: |call| told_if_any(list(call)),
    },
    Entry {
        path: &["acl", "binding-rule", "read"],
        words: "",
        about: "Prints a binding rule",
        flags: || flags_with([meta_flag(), id_flag()]),
        run: |call| told_if_any(read(call)),
    },
    Entry {
        path: &["acl", "binding-rule", "update"],
        words: "",
        about: "Changes a binding rule",
        flags: update_flags,
        run: |call| told_if_any(update(call)),
    },
];

/// The only kind of binding that has variables.
const TEMPLATED: &str = "templated-policy";

fn id_flag() -> Arg {
    text_flag("id", "string", "Id of the binding rule, or its start.")
}

/// What a rule is made of.
fn body_flags() -> [Arg; 6] {
    [
        meta_flag(),
        text_flag("description", "string", "What the rule is for."),
        text_flag("selector", "string", "An expression that the login's identity must match."),
        text_flag(
            "bind-type",
            "string",
            "`service`, `role`, `node`, `policy` or `templated-policy`: what is bound.",
        )
        .default_value("service"),
        text_flag("bind-name", "string", "Name of what is bound; `${var}` stands for a field."),
        pairs("bind-vars", "A variable of the templated policy. May be given several times."),
    ]
}

fn create_flags() -> Vec<Arg> {
    let mut flags = flags_with(body_flags());
    flags.push(text_flag("method", "string", "The auth method. Needed."));
    flags
}

fn delete_flags() -> Vec<Arg> {
    let mut flags = all_flags();
    flags.push(id_flag());
    flags
}

fn update_flags() -> Vec<Arg> {
    let mut flags = flags_with(body_flags());
    flags.extend([id_flag(), boolean("no-merge", "Replaces all of the rule but its id.")]);
    flags
}

/// Variables of the flags; the only one that exists is the name.
fn variables(call: &Call) -> Value {
    let pairs = call.pairs("bind-vars");
    if pairs.is_empty() {
        return Value::Null;
    }
    let name = pairs.iter().find(|(key, _)| key.eq_ignore_ascii_case("name"));
    json!({ "Name": name.map_or("", |(_, value)| value) })
}

fn needed<'a>(call: &'a Call, flag: &str) -> Result<&'a str, String> {
    call.said(flag).ok_or_else(|| call.with_page(&format!("Missing required '-{flag}' flag")))
}

fn create(call: &Call) -> Result<String, String> {
    let method = needed(call, "method")?;
    let kind = needed(call, "bind-type")?;
    let name = needed(call, "bind-name")?;
    if kind != TEMPLATED && !call.texts("bind-vars").is_empty() {
        let fault = "Cannot specify -bind-vars when -bind-type is not templated-policy";
        return Err(call.with_page(fault));
    }
    let rule = json!({
        "Description": call.text("description").unwrap_or(""), "AuthMethod": method,
        "Selector": call.text("selector").unwrap_or(""), "BindType": kind, "BindName": name,
        "BindVars": variables(call),
    });
    let api = Api::of(call)?;
    let made = api.send(Method::PUT, "acl/binding-rule", &form::tree("BindingRule", &rule));
    let made = made.map_err(|fault| format!("Failed to create new binding rule: {fault}"))?;
    shown(call, "BindingRule", &made, pretty)
}

fn rule_id(api: &Api, start: &str) -> Result<String, String> {
    let nothing = |start: &str| format!("no such rule ID with prefix: {start}: ACL not found");
    whole_id(api, start, "acl/binding-rules", "ID", "Partial rule ID is not unique", nothing)
        .map_err(|fault| format!("Error determining binding rule ID: {fault}"))
}

fn delete(call: &Call) -> Result<String, String> {
    let start = call.said("id").ok_or("Must specify the -id parameter")?;
    let api = Api::of(call)?;
    let id = rule_id(&api, start)?;
    let done = api.tell(Method::DELETE, &format!("acl/binding-rule/{id}"), &[]);
    done.map_err(|fault| format!("Error deleting binding rule {id:?}: {fault}"))?;
    Ok(format!("Binding rule {id:?} deleted successfully"))
}

fn list(call: &Call) -> Result<String, String> {
    let query: Vec<(&str, &str)> =
        call.said("method").map(|method| ("authmethod", method)).into_iter().collect();
    let found = Api::of(call)?.get("acl/binding-rules", &query);
    let found =
        found.map_err(|fault| format!("Failed to retrieve the binding rule list: {fault}"))?;
    shown(call, "[]BindingRule", &found, |list, meta| {
        each(list, |rule| format!("{}:\n{}", text(rule, "ID"), body(rule, meta, "   ", "      ")))
    })
}

fn read(call: &Call) -> Result<String, String> {
    let start = call.said("id").ok_or("Must specify the -id parameter.")?;
    let api = Api::of(call)?;
    let id = rule_id(&api, start)?;
    let found = api.find(&format!("acl/binding-rule/{id}"));
    let found = found.map_err(|fault| format!("Error reading binding rule {id:?}: {fault}"))?;
    let found = found.ok_or_else(|| format!("Binding rule not found with ID {id:?}"))?;
    shown(call, "BindingRule", &found, pretty)
}

fn update(call: &Call) -> Result<String, String> {
    let start = call
        .said("id")
        .ok_or("Cannot update a binding rule without specifying the -id parameter")?;
    let api = Api::of(call)?;
    let id = rule_id(&api, start)?;
    let found = api.find(&format!("acl/binding-rule/{id}"));
    let found =
        found.map_err(|fault| format!("Error when retrieving current binding rule: {fault}"))?;
    let now = found.ok_or_else(|| format!("Binding rule not found with ID {id:?}"))?;
    let rule = if call.flag("no-merge") { replaced(call, &id, &now)? } else { merged(call, now) };
    let path = format!("acl/binding-rule/{}", text(&rule, "ID"));
    let changed = api.send(Method::PUT, &path, &form::tree("BindingRule", &rule));
    let changed =
        changed.map_err(|fault| format!("Error updating binding rule {id:?}: {fault}"))?;
    shown(call, "BindingRule", &changed, pretty)
}

fn replaced(call: &Call, id: &str, now: &Value) -> Result<Value, String> {
    let kind = needed(call, "bind-type")?;
    let name = needed(call, "bind-name")?;
    if kind != TEMPLATED && !call.texts("bind-vars").is_empty() {
        let fault = "-bind-vars cannot be specified when -bind-type is not templated-policy";
        return Err(call.with_page(fault));
    }
    Ok(json!({
        "ID": id, "AuthMethod": text(now, "AuthMethod"),
        "Description": call.text("description").unwrap_or(""),
        "Selector": call.text("selector").unwrap_or(""), "BindType": kind, "BindName": name,
        "BindVars": variables(call),
    }))
}

fn merged(call: &Call, mut rule: Value) -> Value {
    for (flag, field) in
        [("description", "Description"), ("bind-type", "BindType"), ("bind-name", "BindName")]
    {
        if let Some(said) = call.said(flag) {
            rule[field] = said.into();
        }
    }
    if !call.texts("bind-vars").is_empty() {
        rule["BindVars"] = variables(call);
    }
    if call.text("bind-type") != Some(TEMPLATED) {
        rule["BindVars"] = Value::Null;
    }
    if call.is_given("selector") {
        rule["Selector"] = call.text("selector").unwrap_or("").into();
    }
    rule
}

/// A rule for people.
fn pretty(rule: &Value, meta: bool) -> String {
    format!("ID:           {}\n{}", text(rule, "ID"), body(rule, meta, "", "     "))
}

fn body(rule: &Value, meta: bool, indent: &str, inner: &str) -> String {
    let mut told = String::new();
    let mut tell = |name: &str, value: &str| {
        let _never_fails = writeln!(told, "{indent}{name:13} {value}");
    };
    for field in ["AuthMethod", "Description", "BindType", "BindName"] {
        tell(&format!("{field}:"), text(rule, field));
    }
    let variable = rule.get("BindVars").map_or("", |variables| text(variables, "Name"));
    if !variable.is_empty() {
        tell("BindVars:", &format!("\n{inner}- Name: {variable}"));
    }
    tell("Selector:", text(rule, "Selector"));
    if meta {
        tell("Create Index:", &number(rule, "CreateIndex").to_string());
        tell("Modify Index:", &number(rule, "ModifyIndex").to_string());
    }
    told
}
