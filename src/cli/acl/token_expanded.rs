//! A token with the rules that its links stand for.

use std::fmt::Write as _;

use reqwest::Method;
use serde_json::{Value, json};

use super::super::client::Api;
use super::super::go::{items, text, texts};
use super::super::json::Tree;
use super::links::places;
use super::token_shared::head;

/// A token and all its rules, for people. Identities stand for templated policies; the server tells their rules.
///
/// # Errors
/// Rules that the server does not tell.
pub(super) fn pretty(api: &Api, token: &Value, meta: bool) -> Result<String, String> {
    let mut told = head(token, meta);
    told.push_str(&linked(api, token, token, "")?);
    let roles = items(token, "Roles");
    if !roles.is_empty() {
        told.push_str("Roles:\n");
    }
    for link in roles {
        told.push_str(&role(api, token, by_id(token, "ExpandedRoles", text(link, "ID")))?);
    }
    told.push_str("=== End of Authorizer Layer 0: Token ===\n");
    told.push_str(&defaults(token));
    Ok(told)
}

/// The whole object that a link names; nothing is known of it when the answer does not have it.
fn by_id<'a>(token: &'a Value, list: &str, id: &str) -> &'a Value {
    items(token, list).iter().find(|one| text(one, "ID") == id).unwrap_or(&Value::Null)
}

/// Policies, identities and templated policies of a token or role.
fn linked(api: &Api, token: &Value, holder: &Value, indent: &str) -> Result<String, String> {
    let mut told = String::new();
    let policies = items(holder, "Policies");
    if !policies.is_empty() {
        let _never_fails = writeln!(told, "{indent}Policies:");
    }
    for link in policies {
        let whole = by_id(token, "ExpandedPolicies", text(link, "ID"));
        told.push_str(&policy(whole, &format!("{indent}\t")));
    }
    for (field, title) in [
        ("ServiceIdentities", "Service Identities"),
        ("NodeIdentities", "Node Identities"),
        ("TemplatedPolicies", "Templated Policies"),
    ] {
        // Consul shows no templated policies of roles.
        let identities = items(holder, field);
        if identities.is_empty() || (field == "TemplatedPolicies" && !indent.is_empty()) {
            continue;
        }
        let _never_fails = writeln!(told, "{indent}{title}:");
        for identity in identities {
            told.push_str(&synthetic(api, field, identity, &format!("{indent}\t"))?);
        }
    }
    Ok(told)
}

fn policy(policy: &Value, indent: &str) -> String {
    let inner = format!("{indent}\t");
    let rules = text(policy, "Rules").replace('\n', &format!("\n{inner}\t"));
    format!(
        "{indent}Policy Name: {}\n{inner}ID: {}\n{inner}Description: {}\n{inner}Rules:\n{inner}\t{rules}\n\n",
        text(policy, "Name"),
        text(policy, "ID"),
        text(policy, "Description"),
    )
}

fn role(api: &Api, token: &Value, role: &Value) -> Result<String, String> {
    let links = linked(api, token, role, "\t\t")?;
    Ok(format!(
        "\tRole Name: {}\n\t\tID: {}\n\t\tDescription: {}\n{links}",
        text(role, "Name"),
        text(role, "ID"),
        text(role, "Description"),
    ))
}

/// An identity and the rules that the server makes of it.
fn synthetic(api: &Api, field: &str, identity: &Value, indent: &str) -> Result<String, String> {
    let (template, name, mut told) = match field {
        "ServiceIdentities" => {
            let name = text(identity, "ServiceName");
            let places = places(identity);
            ("builtin/service", name, format!("{indent}Name: {name} (Datacenters: {places})\n"))
        }
        "NodeIdentities" => {
            let name = text(identity, "NodeName");
            let place = text(identity, "Datacenter");
            ("builtin/node", name, format!("{indent}Name: {name} (Datacenter: {place})\n"))
        }
        _ => {
            let name = identity.get("TemplateVariables").map_or("", |one| text(one, "Name"));
            let template = text(identity, "TemplateName");
            let mut head = format!("{indent}{template}\n");
            if !name.is_empty() {
                let _never_fails = writeln!(head, "{indent}\tName: {name}");
            }
            let places = texts(identity, "Datacenters").join(", ");
            let places = if places.is_empty() { "all" } else { &places };
            let _never_fails = writeln!(head, "{indent}\tDatacenters: {places}");
            (template, name, head)
        }
    };
    let variables = if name.is_empty() { Value::Null } else { json!({ "Name": name }) };
    let path = format!("acl/templated-policy/preview/{template}");
    let made = api.send(Method::POST, &path, &Tree::Plain(variables))?;
    let rules = text(&made, "Rules").replace('\n', &format!("\n{indent}\t\t"));
    let description = text(&made, "Description");
    let _never_fails =
        write!(told, "{indent}\tDescription: {description}\n{indent}\tRules:{rules}\n\n");
    Ok(told)
}

/// What counts when no rule of the token does.
fn defaults(token: &Value) -> String {
    format!(
        "=== Start of Authorizer Layer 2: Agent Configuration Defaults (Inherited) ===\n\
         Description: Defined at request-time by the agent that resolves the ACL token; other agents may have different \
         configuration defaults\nResolved By Agent: {:?}\n\nDefault Policy: {}\n\tDescription: Backstop rule used if no preceding \
         layer has a matching rule (refer to default_policy option in agent configuration)\n\nDown Policy: {}\n\tDescription: Defines \
         what to do if this Token's information cannot be read from the primary_datacenter (refer to down_policy option in agent \
         configuration)\n\n",
        text(token, "ResolvedByAgent"),
        text(token, "AgentACLDefaultPolicy"),
        text(token, "AgentACLDownPolicy"),
    )
}
