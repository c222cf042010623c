//! `acl auth-method create|delete|list|read|update`.

use std::fmt::Write as _;

use clap::Arg;
use proconsul_anchors::duration;
use reqwest::Method;
use serde_json::{Value, json as object};

use super::super::client::{Api, all_flags};
use super::super::form::nanos;
use super::super::go::{items, number, text, text_data};
use super::super::json::{self, indented};
use super::super::{Call, Entry, boolean, form, span, text as text_flag, told, told_if_any};
use super::{each, flags_with, meta_flag, shown};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        path: &["acl", "auth-method", "create"],
        words: "",
        about: "Makes an auth method, by which others' credentials become tokens",
        flags: create_flags,
        run: |call| told_if_any(create(call)),
    },
    Entry {
        path: &["acl", "auth-method", "delete"],
        words: "",
        about: "Removes an auth method and the tokens that it made",
        flags: delete_flags,
        run: |call| told(delete(call)),
    },
    Entry {
        path: &["acl", "auth-method", "list"],
        words: "",
        about: "Lists the auth methods",
        flags: || flags_with([meta_flag()]),
        run: |call| told_if_any(list(call)),
    },
    Entry {
        path: &["acl", "auth-method", "read"],
        words: "",
        about: "Prints an auth method",
        flags: || flags_with([meta_flag(), name_flag()]),
        run: |call| told_if_any(read(call)),
    },
    Entry {
        path: &["acl", "auth-method", "update"],
        words: "",
        about: "Changes an auth method",
        flags: update_flags,
        run: |call| told_if_any(update(call)),
    },
];

/// How tokens are named unless said.
const TOKEN_NAME_FORMAT: &str = "${auth_method_type}-${auth_method_name}";

fn name_flag() -> Arg {
    text_flag("name", "string", "Name of the auth method.")
}

/// What an auth method is made of.
fn body_flags() -> [Arg; 11] {
    [
        meta_flag(),
        name_flag(),
        text_flag("display-name", "string", "Name that a UI shows."),
        text_flag("description", "string", "What the auth method is for."),
        span("max-token-ttl", "How long its tokens count."),
        text_flag("token-locality", "string", "`local` or `global`: where its tokens count."),
        text_flag(
            "config",
            "string",
            "Configuration in JSON; `@FILE` reads a file, `-` standard input.",
        ),
        text_flag("kubernetes-host", "string", "Address of the Kubernetes API."),
        text_flag("kubernetes-ca-cert", "string", "The API's CA certificate in PEM, or `@FILE`."),
        text_flag(
            "kubernetes-service-account-jwt",
            "string",
            "JWT of the service account that reviews others.",
        ),
        text_flag("token-name-format", "string", "Template of the tokens' names."),
    ]
}

fn create_flags() -> Vec<Arg> {
    let mut flags = flags_with(body_flags());
    flags.push(text_flag("type", "string", "`jwt`, `kubernetes`, … Needed."));
    flags
}

fn delete_flags() -> Vec<Arg> {
    let mut flags = all_flags();
    flags.push(name_flag());
    flags
}

fn update_flags() -> Vec<Arg> {
    let mut flags = flags_with(body_flags());
    flags.push(boolean("no-merge", "Replaces all of the auth method but its name."));
    flags
}

/// Flags of Kubernetes and the fields of its configuration.
const KUBERNETES: [(&str, &str); 3] = [
    ("kubernetes-host", "Host"),
    ("kubernetes-ca-cert", "CACert"),
    ("kubernetes-service-account-jwt", "ServiceAccountJWT"),
];

/// The configuration of `-config`, if it is given.
fn config(call: &Call, flags: &str, parsing: &str) -> Result<Option<Value>, String> {
    let Some(word) = call.said("config") else { return Ok(None) };
    if KUBERNETES.iter().any(|(flag, _)| call.said(flag).is_some()) {
        return Err(format!("Cannot use command line arguments with '-config' {flags}"));
    }
    let data =
        text_data(word).map_err(|fault| format!("Error loading configuration file: {fault}"))?;
    let read = json::read(data.as_bytes());
    read.map(Some).map_err(|fault| format!("Error parsing JSON {parsing}: {fault}"))
}

/// The CA certificate, which may stand in a file.
fn ca_cert(word: &str) -> Result<String, String> {
    let cert =
        text_data(word).map_err(|fault| format!("Invalid '-kubernetes-ca-cert' value: {fault}"))?;
    if cert.is_empty() { Err("Kubernetes CA Cert is empty".to_owned()) } else { Ok(cert) }
}

/// A whole configuration of Kubernetes.
fn kubernetes(call: &Call) -> Result<Value, String> {
    let mut config = object!({});
    for (flag, field) in KUBERNETES {
        let said = call.said(flag).ok_or_else(|| format!("Missing required '-{flag}' flag"))?;
        config[field] = said.into();
    }
    config["CACert"] = ca_cert(text(&config, "CACert"))?.into();
    Ok(config)
}

/// All fields of the flags, also those that are not given.
fn body(call: &Call, name: &str, kind: &str, name_format: &str) -> Value {
    let said = |flag: &str| call.text(flag).unwrap_or("").to_owned();
    object!({
        "Name": name, "Type": kind, "DisplayName": said("display-name"),
        "Description": said("description"), "MaxTokenTTL": call.nanos("max-token-ttl").max(0),
        "TokenLocality": said("token-locality"),
        "TokenNameFormat": call.text("token-name-format").unwrap_or(name_format),
    })
}

fn create(call: &Call) -> Result<String, String> {
    let Some(kind) = call.said("type") else {
        return Err(call.with_page("Missing required '-type' flag"));
    };
    let Some(name) = call.said("name") else {
        return Err(call.with_page("Missing required '-name' flag"));
    };
    let api = Api::of(call)?;
    let mut method = body(call, name, kind, TOKEN_NAME_FORMAT);
    if let Some(config) = config(call, "flags", "configuration file")? {
        method["Config"] = config;
    }
    if kind == "kubernetes" {
        method["Config"] = kubernetes(call)?;
    }
    let made = api.send(Method::PUT, "acl/auth-method", &form::tree("AuthMethod", &method));
    let made = made.map_err(|fault| format!("Failed to create new auth method: {fault}"))?;
    shown(call, "AuthMethod", &made, pretty)
}

fn delete(call: &Call) -> Result<String, String> {
    let name = call.said("name").ok_or("Must specify the -name parameter")?;
    let done = Api::of(call)?.tell(Method::DELETE, &format!("acl/auth-method/{name}"), &[]);
    done.map_err(|fault| format!("Error deleting auth method {name:?}: {fault}"))?;
    Ok(format!("Auth method {name:?} deleted successfully"))
}

fn list(call: &Call) -> Result<String, String> {
    let found = Api::of(call)?.get("acl/auth-methods", &[]);
    let found =
        found.map_err(|fault| format!("Failed to retrieve the auth method list: {fault}"))?;
    shown(call, "[]AuthMethodListEntry", &found, |list, meta| {
        each(list, |method| list_entry(method, meta))
    })
}

fn read(call: &Call) -> Result<String, String> {
    let name = call.said("name").ok_or("Must specify the -name parameter")?;
    let found = Api::of(call)?.find(&format!("acl/auth-method/{name}"));
    let found = found.map_err(|fault| format!("Error reading auth method {name:?}: {fault}"))?;
    let found = found.ok_or_else(|| format!("Auth method not found with name {name:?}"))?;
    shown(call, "AuthMethod", &found, pretty)
}

fn update(call: &Call) -> Result<String, String> {
    let name = call
        .said("name")
        .ok_or("Cannot update an auth method without specifying the -name parameter")?;
    let api = Api::of(call)?;
    let found = api.find(&format!("acl/auth-method/{name}"));
    let found =
        found.map_err(|fault| format!("Error when retrieving current auth method: {fault}"))?;
    let now = found.ok_or_else(|| format!("Auth method not found with name {name:?}"))?;
    let cert = call.said("kubernetes-ca-cert").map(ca_cert).transpose()?;
    let method = if call.flag("no-merge") {
        replaced(call, &now)?
    } else {
        merged(call, now, cert.as_deref())?
    };
    let path = format!("acl/auth-method/{}", text(&method, "Name"));
    let changed = api.send(Method::PUT, &path, &form::tree("AuthMethod", &method));
    let changed =
        changed.map_err(|fault| format!("Error updating auth method {name:?}: {fault}"))?;
    shown(call, "AuthMethod", &changed, pretty)
}

fn replaced(call: &Call, now: &Value) -> Result<Value, String> {
    let mut method = body(call, text(now, "Name"), text(now, "Type"), "");
    if let Some(config) = config(call, "flag", "for auth method config")? {
        method["Config"] = config;
    }
    if text(now, "Type") == "kubernetes" {
        method["Config"] = kubernetes(call)?;
    }
    Ok(method)
}

fn merged(call: &Call, mut method: Value, cert: Option<&str>) -> Result<Value, String> {
    for (flag, field) in [
        ("description", "Description"),
        ("display-name", "DisplayName"),
        ("token-locality", "TokenLocality"),
        ("token-name-format", "TokenNameFormat"),
    ] {
        if let Some(said) = call.said(flag) {
            method[field] = said.into();
        }
    }
    if call.nanos("max-token-ttl") > 0 {
        method["MaxTokenTTL"] = call.nanos("max-token-ttl").into();
    }
    if let Some(config) = config(call, "flag", "for auth method config")? {
        method["Config"] = config;
    }
    if method["Config"].is_null() {
        method["Config"] = object!({});
    }
    if text(&method, "Type") == "kubernetes" {
        for (flag, field) in KUBERNETES {
            let said = if flag == "kubernetes-ca-cert" { cert } else { call.said(flag) };
            if let Some(said) = said {
                method["Config"][field] = said.into();
            }
        }
    }
    Ok(method)
}

/// An auth method for people.
fn pretty(method: &Value, meta: bool) -> String {
    let mut told = String::new();
    let mut tell = |name: &str, value: &str| {
        let _never_fails = writeln!(told, "{name:14} {value}");
    };
    tell("Name:", text(method, "Name"));
    tell("Type:", text(method, "Type"));
    if !text(method, "DisplayName").is_empty() {
        tell("DisplayName:", text(method, "DisplayName"));
    }
    tell("Description:", text(method, "Description"));
    let longest = nanos(method.get("MaxTokenTTL"));
    if longest > 0 {
        tell("MaxTokenTTL:", &duration::show(longest));
    }
    if !text(method, "TokenLocality").is_empty() {
        tell("TokenLocality:", text(method, "TokenLocality"));
    }
    if !text(method, "TokenNameFormat").is_empty() {
        tell("TokenNameFormat:", text(method, "TokenNameFormat"));
    }
    let rules = items(method, "NamespaceRules");
    if !rules.is_empty() {
        let _never_fails = writeln!(told, "NamespaceRules:");
    }
    for rule in rules {
        let (selector, namespace) = (text(rule, "Selector"), text(rule, "BindNamespace"));
        let _never_fails =
            writeln!(told, "   Selector:      {selector}\n   BindNamespace: {namespace}");
    }
    if meta {
        told.push_str(&indexes(method, "", 14));
    }
    let config = method.get("Config").cloned().unwrap_or(Value::Null);
    told + "Config:\n" + &indented(&form::tree("any", &config), "  ")
}

fn indexes(method: &Value, indent: &str, width: usize) -> String {
    format!(
        "{indent}{:width$} {}\n{indent}{:width$} {}\n",
        "Create Index:",
        number(method, "CreateIndex"),
        "Modify Index:",
        number(method, "ModifyIndex")
    )
}

fn list_entry(method: &Value, meta: bool) -> String {
    let mut told =
        format!("{}:\n   Type:         {}\n", text(method, "Name"), text(method, "Type"));
    if !text(method, "DisplayName").is_empty() {
        told.push_str(&format!("   DisplayName:  {}\n", text(method, "DisplayName")));
    }
    told.push_str(&format!("   Description:  {}\n", text(method, "Description")));
    if meta {
        told.push_str(&indexes(method, "   ", 13));
    }
    told
}
