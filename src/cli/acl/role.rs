//! `acl role create|delete|list|read|update`.

use std::fmt::Write as _;

use clap::Arg;
use reqwest::Method;
use serde_json::{Value, json};

use super::super::client::{Api, all_flags};
use super::super::go::{items, number, text};
use super::super::{Call, Entry, boolean, form, text as text_flag, told, told_if_any};
use super::links::{self, role_id};
use super::token_update::{same_link, template_flags, templates, with_missing, with_services};
use super::{each, flags_with, hex, meta_flag, shown};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        path: &["acl", "role", "create"],
        words: "",
        about: "Makes a role",
        flags: create_flags,
        run: |call| told_if_any(create(call)),
    },
    Entry {
        path: &["acl", "role", "delete"],
        words: "",
        about: "Removes a role",
        flags: delete_flags,
        run: |call| told(delete(call)),
    },
    Entry {
        path: &["acl", "role", "list"],
        words: "",
        about: "Lists the roles",
        flags: || flags_with([meta_flag()]),
        run: |call| told_if_any(list(call)),
    },
    Entry {
        path: &["acl", "role", "read"],
        words: "",
        about: "Prints a role",
        flags: read_flags,
        run: |call| told_if_any(read(call)),
    },
    Entry {
        path: &["acl", "role", "update"],
        words: "",
        about: "Changes a role",
        flags: update_flags,
        run: |call| told_if_any(update(call)),
    },
];

fn id_flag() -> Arg {
    text_flag("id", "string", "Id of the role, or its start.")
}

fn name_flag() -> Arg {
    text_flag("name", "string", "Name of the role.")
}

fn create_flags() -> Vec<Arg> {
    let mut flags = flags_with(links::policy_flags());
    flags.extend(links::template_flags());
    flags.extend(body_flags());
    flags
}

/// What a role has besides its links.
fn body_flags() -> [Arg; 3] {
    [meta_flag(), name_flag(), text_flag("description", "string", "What the role is for.")]
}

fn delete_flags() -> Vec<Arg> {
    let mut flags = all_flags();
    flags.extend([id_flag(), name_flag()]);
    flags
}

fn read_flags() -> Vec<Arg> {
    flags_with([meta_flag(), id_flag(), name_flag()])
}

fn update_flags() -> Vec<Arg> {
    let mut flags = flags_with(links::policy_flags());
    flags.extend(template_flags());
    flags.extend(body_flags());
    flags.extend([id_flag(), boolean("no-merge", "Replaces all of the role but its id.")]);
    flags
}

/// Flags of which a new role needs at least one.
const LINKS: &[&str] = &[
    "policy-name",
    "policy-id",
    "service-identity",
    "node-identity",
    "templated-policy-file",
    "templated-policy",
];

fn create(call: &Call) -> Result<String, String> {
    let Some(name) = call.said("name") else {
        return Err(call.with_page("Missing required '-name' flag"));
    };
    if LINKS.iter().all(|flag| call.texts(flag).concat().is_empty()) {
        return Err("Cannot create a role without specifying -policy-name, -policy-id, -service-identity, -node-identity, \
                    -templated-policy-file or -templated-policy at least once"
            .to_owned());
    }
    if call.said("templated-policy").is_some() && call.said("templated-policy-file").is_some() {
        return Err(links::one_template("role"));
    }
    let api = Api::of(call)?;
    let policies = links::policies(&api, &call.texts("policy-name"), &call.texts("policy-id"))?;
    let services = links::service_identities(&call.texts("service-identity"))?;
    let nodes = links::node_identities(&call.texts("node-identity"))?;
    let templates = links::templated(call, "templated-policy", "templated-policy-file")?;
    let role = json!({
        "Name": name, "Description": call.text("description").unwrap_or(""), "Policies": policies,
        "ServiceIdentities": services, "NodeIdentities": nodes, "TemplatedPolicies": templates,
    });
    let made = api.send(Method::PUT, "acl/role", &form::tree("Role", &role));
    let made = made.map_err(|fault| format!("Failed to create new role: {fault}"))?;
    shown(call, "Role", &made, pretty)
}

fn delete(call: &Call) -> Result<String, String> {
    let (id, name) = (call.said("id"), call.said("name"));
    if id.or(name).is_none() {
        return Err("Must specify the -id or -name parameters".to_owned());
    }
    let api = Api::of(call)?;
    let id = match id {
        Some(start) => role_id(&api, start),
        None => id_of_name(&api, name.unwrap_or("")),
    };
    let id = id.map_err(|fault| format!("Error determining role ID: {fault}"))?;
    let done = api.tell(Method::DELETE, &format!("acl/role/{id}"), &[]);
    done.map_err(|fault| format!("Error deleting role {id:?}: {fault}"))?;
    Ok(format!("Role {id:?} deleted successfully"))
}

fn id_of_name(api: &Api, name: &str) -> Result<String, String> {
    let roles: Value = api.get("acl/roles", &[])?;
    let mut roles = roles.as_array().into_iter().flatten();
    let role = roles.find(|role| text(role, "Name") == name);
    let role = role.ok_or_else(|| format!("No such role with name {name}"))?;
    Ok(text(role, "ID").to_owned())
}

fn list(call: &Call) -> Result<String, String> {
    let found = Api::of(call)?.get("acl/roles", &[]);
    let found = found.map_err(|fault| format!("Failed to retrieve the role list: {fault}"))?;
    shown(call, "[]Role", &found, |list, meta| {
        each(list, |role| {
            let links = links::show(role, "   ");
            format!("{}:\n{}{links}", text(role, "Name"), head(role, meta, "   ", false))
        })
    })
}

fn read(call: &Call) -> Result<String, String> {
    let api = Api::of(call)?;
    let (path, shown_as, missing) = match (call.said("id"), call.said("name")) {
        (None, None) => return Err("Must specify either the -id or -name parameters".to_owned()),
        (Some(start), _) => {
            let id = role_id(&api, start)
                .map_err(|fault| format!("Error determining role ID: {fault}"))?;
            (format!("acl/role/{id}"), id.clone(), format!("Role not found with ID {id:?}"))
        }
        (None, Some(name)) => (
            format!("acl/role/name/{name}"),
            name.to_owned(),
            format!("Role not found with name {name:?}"),
        ),
    };
    let found =
        api.find(&path).map_err(|fault| format!("Error reading role {shown_as:?}: {fault}"))?;
    shown(call, "Role", &found.ok_or(missing)?, pretty)
}

fn update(call: &Call) -> Result<String, String> {
    let start =
        call.said("id").ok_or("Cannot update a role without specifying the -id parameter")?;
    let api = Api::of(call)?;
    let id = role_id(&api, start).map_err(|fault| format!("Error determining role ID: {fault}"))?;
    let services = links::service_identities(&call.texts("service-identity"))?;
    let nodes = links::node_identities(&call.texts("node-identity"))?;
    let templates = templates(call, "append-templated-policy flags")?;
    let found = api.find(&format!("acl/role/{id}"));
    let found = found.map_err(|fault| format!("Error when retrieving current role: {fault}"))?;
    let mut role = found.ok_or_else(|| format!("Role not found with ID {id:?}"))?;
    let policies = links::policies(&api, &call.texts("policy-name"), &call.texts("policy-id"))?;
    if call.flag("no-merge") {
        role = json!({
            "ID": start, "Name": call.text("name").unwrap_or(""),
            "Description": call.text("description").unwrap_or(""), "Policies": policies,
            "ServiceIdentities": services, "NodeIdentities": nodes,
            "TemplatedPolicies": templates.alone(),
        });
    } else {
        for (flag, field) in [("name", "Name"), ("description", "Description")] {
            if let Some(said) = call.said(flag) {
                role[field] = said.into();
            }
        }
        // Consul takes a node identity for known when the node has one of another datacenter.
        let known = |now: &Value, new: &Value| {
            text(now, "NodeName") == text(new, "NodeName")
                && text(now, "Datacenter") != text(new, "Datacenter")
        };
        role["Policies"] = with_missing(items(&role, "Policies"), policies, same_link).into();
        role["ServiceIdentities"] =
            with_services(items(&role, "ServiceIdentities"), services).into();
        role["NodeIdentities"] = with_missing(items(&role, "NodeIdentities"), nodes, known).into();
        role["TemplatedPolicies"] = templates.onto(items(&role, "TemplatedPolicies")).into();
    }
    let path = format!("acl/role/{}", text(&role, "ID"));
    let changed = api.send(Method::PUT, &path, &form::tree("Role", &role));
    let changed = changed.map_err(|fault| format!("Error updating role {id:?}: {fault}"))?;
    shown(call, "Role", &changed, pretty)
}

/// A role for people.
fn pretty(role: &Value, meta: bool) -> String {
    head(role, meta, "", true) + &links::show(role, "")
}

/// All but the links; in a list the name stands above.
fn head(role: &Value, meta: bool, indent: &str, named: bool) -> String {
    let mut told = format!("{indent}ID:           {}\n", text(role, "ID"));
    let mut tell = |name: &str, value: &str| {
        let _never_fails = writeln!(told, "{indent}{name:13} {value}");
    };
    if named {
        tell("Name:", text(role, "Name"));
    }
    tell("Description:", text(role, "Description"));
    if meta {
        tell("Hash:", &hex(role, "Hash"));
        tell("Create Index:", &number(role, "CreateIndex").to_string());
        tell("Modify Index:", &number(role, "ModifyIndex").to_string());
    }
    told
}
