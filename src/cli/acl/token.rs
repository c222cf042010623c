//! `acl token clone|create|delete|list|read|update`.

use clap::Arg;
use reqwest::Method;
use serde_json::{Value, json};

use super::super::client::{Api, all_flags};
use super::super::json::Tree;
use super::super::{Call, Entry, boolean, form, span, text as text_flag, told, told_if_any};
use super::links::{self, token_id};
use super::token_shared::{id_flags, pretty, told_id};
use super::{each, flags_with, meta_flag, shown, shown_or, token_expanded, token_update};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        path: &["acl", "token", "clone"],
        words: "",
        about: "Makes a token like another one",
        flags: clone_flags,
        run: |call| told_if_any(clone(call)),
    },
    Entry {
        path: &["acl", "token", "create"],
        words: "",
        about: "Makes a token",
        flags: create_flags,
        run: |call| told_if_any(create(call)),
    },
    Entry {
        path: &["acl", "token", "delete"],
        words: "",
        about: "Removes a token",
        flags: delete_flags,
        run: |call| told(delete(call)),
    },
    Entry {
        path: &["acl", "token", "list"],
        words: "",
        about: "Lists the tokens",
        flags: || flags_with([meta_flag()]),
        run: |call| told_if_any(list(call)),
    },
    Entry {
        path: &["acl", "token", "read"],
        words: "",
        about: "Prints a token",
        flags: read_flags,
        run: |call| told_if_any(read(call)),
    },
    Entry {
        path: &["acl", "token", "update"],
        words: "",
        about: "Changes a token",
        flags: token_update::flags,
        run: |call| told_if_any(token_update::update(call)),
    },
];

fn description_flag() -> Arg {
    text_flag("description", "string", "What the token is for.")
}

fn clone_flags() -> Vec<Arg> {
    let mut flags = flags_with(id_flags());
    flags.push(description_flag());
    flags
}

fn create_flags() -> Vec<Arg> {
    let mut flags = flags_with([
        meta_flag(),
        description_flag(),
        text_flag("accessor", "string", "Accessor id of the new token; by default a new one."),
        text_flag("secret", "string", "Secret id of the new token; by default a new one."),
        text_flag("name", "string", "Name of the token."),
        boolean("local", "Makes the token count in this datacenter only."),
        span("expires-ttl", "How long the token counts."),
    ]);
    flags.extend(links::policy_flags());
    flags.extend(links::role_flags());
    flags.extend(links::template_flags());
    flags
}

fn delete_flags() -> Vec<Arg> {
    let mut flags = all_flags();
    flags.extend(id_flags());
    flags
}

fn read_flags() -> Vec<Arg> {
    let mut flags = flags_with(id_flags());
    flags.extend([
        meta_flag(),
        boolean("expanded", "Prints the rules that the token's links stand for."),
        boolean("self", "Prints the token that asks."),
    ]);
    flags
}

fn clone(call: &Call) -> Result<String, String> {
    let start = told_id(
        call,
        "Cannot update a token without specifying the -accessor-id parameter",
        "The -id parameter is deprecated. Use the -accessor-id parameter instead.",
    )?;
    let api = Api::of(call)?;
    let id = token_id(&api, start)
        .map_err(|fault| format!("Error determining token Accessor ID: {fault}"))?;
    let body = Tree::Plain(json!({ "Description": call.text("description").unwrap_or("") }));
    let made = api.send(Method::PUT, &format!("acl/token/{id}/clone"), &body);
    let made = made.map_err(|fault| format!("Error cloning token: {fault}"))?;
    shown(call, "Token", &made, pretty)
}

/// Flags of which a new token needs at least one.
const LINKS: &[&str] = &[
    "policy-name",
    "policy-id",
    "role-name",
    "role-id",
    "service-identity",
    "node-identity",
    "templated-policy",
    "templated-policy-file",
];

fn create(call: &Call) -> Result<String, String> {
    if LINKS.iter().all(|flag| call.texts(flag).concat().is_empty()) {
        let named: Vec<String> = LINKS.iter().map(|flag| format!("-{flag}")).collect();
        let named =
            named.join(", ").replace(", -templated-policy-file", ", or -templated-policy-file");
        return Err(format!("Cannot create a token without specifying {named} at least once"));
    }
    if call.said("templated-policy").is_some() && call.said("templated-policy-file").is_some() {
        return Err(links::one_template("token"));
    }
    let api = Api::of(call)?;
    let said = |flag: &str| call.text(flag).unwrap_or("").to_owned();
    let mut token = json!({
        "Name": said("name"), "Description": said("description"), "Local": call.flag("local"),
        "AccessorID": said("accessor"), "SecretID": said("secret"),
        "ExpirationTTL": call.nanos("expires-ttl").max(0),
    });
    token["ServiceIdentities"] = links::service_identities(&call.texts("service-identity"))?.into();
    token["NodeIdentities"] = links::node_identities(&call.texts("node-identity"))?.into();
    token["TemplatedPolicies"] =
        links::templated(call, "templated-policy", "templated-policy-file")?.into();
    token["Policies"] =
        links::policies(&api, &call.texts("policy-name"), &call.texts("policy-id"))?.into();
    token["Roles"] = links::roles(&api, &call.texts("role-name"), &call.texts("role-id"))?.into();
    let made = api.send(Method::PUT, "acl/token", &form::tree("Token", &token));
    let made = made.map_err(|fault| format!("Failed to create new token: {fault}"))?;
    shown(call, "Token", &made, pretty)
}

fn delete(call: &Call) -> Result<String, String> {
    let start = told_id(
        call,
        "Must specify the -accessor-id parameter",
        "Use the -accessor-id parameter to specify token by Accessor ID.",
    )?;
    let api = Api::of(call)?;
    let id =
        token_id(&api, start).map_err(|fault| format!("Error determining token ID: {fault}"))?;
    let done = api.tell(Method::DELETE, &format!("acl/token/{id}"), &[]);
    done.map_err(|fault| format!("Error deleting token {id:?}: {fault}"))?;
    Ok(format!("Token {id:?} deleted successfully"))
}

fn list(call: &Call) -> Result<String, String> {
    let found = Api::of(call)?.get("acl/tokens", &[]);
    let found = found.map_err(|fault| format!("Failed to retrieve the token list: {fault}"))?;
    shown(call, "[]TokenListEntry", &found, |list, meta| {
        each(list, |token| format!("\n{}", pretty(token, meta))).trim_start_matches('\n').to_owned()
    })
}

fn read(call: &Call) -> Result<String, String> {
    let api = Api::of(call)?;
    if call.flag("self") {
        if call.flag("expanded") {
            return Err("Cannot use both -expanded and -self. Instead, use -expanded and -accessor-id=<accessor id>."
                .to_owned());
        }
        let found = api.get("acl/token/self", &[]);
        let found = found.map_err(|fault| format!("Error reading token: {fault}"))?;
        return shown(call, "Token", &found, pretty);
    }
    let start = told_id(
        call,
        "Must specify the -accessor-id parameter",
        "Use the -accessor-id parameter to specify token by Accessor ID",
    )?;
    let id =
        token_id(&api, start).map_err(|fault| format!("Error determining token ID: {fault}"))?;
    let expanded = call.flag("expanded");
    let query: &[(&str, &str)] = if expanded { &[("expanded", "true")] } else { &[] };
    let found: Value = api
        .get(&format!("acl/token/{id}"), query)
        .map_err(|fault| format!("Error reading token {id:?}: {fault}"))?;
    if !expanded {
        return shown(call, "Token", &found, pretty);
    }
    shown_or(call, "TokenExpanded", &found, |token, meta| token_expanded::pretty(&api, token, meta))
}
