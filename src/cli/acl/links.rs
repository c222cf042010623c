//! What tokens and roles are linked to: policies, roles, identities, templated policies. Read from flags, printed as lists.

use std::fmt::Write as _;

use clap::Arg;
use serde_json::{Value, json};

use super::super::client::Api;
use super::super::go::{file, items, text, texts};
use super::super::{Call, text as text_flag, texts as texts_flag};
use super::whole_id;

/// Policies that every cluster has: name and id.
const BUILTIN: &[(&str, &str)] = &[
    ("global-management", "00000000-0000-0000-0000-000000000001"),
    ("builtin/global-read-only", "00000000-0000-0000-0000-000000000002"),
];
/// The id of the token of those who show none.
const ANONYMOUS: &str = "00000000-0000-0000-0000-000000000002";

/// The flags that name policies and identities; `prefix` is `append-` or nothing.
pub(super) fn policy_flags() -> [Arg; 4] {
    [
        texts_flag(
            "policy-id",
            "value",
            "Id of a policy, or its start. May be given several times.",
        ),
        texts_flag("policy-name", "value", "Name of a policy. May be given several times."),
        texts_flag(
            "service-identity",
            "value",
            "`SERVICE` or `SERVICE:DC1,DC2`: what that service needs. May be given several times.",
        ),
        texts_flag(
            "node-identity",
            "value",
            "`NODE:DATACENTER`: what that node's agent needs. May be given several times.",
        ),
    ]
}

/// The flags that name roles.
pub(super) fn role_flags() -> [Arg; 2] {
    [
        texts_flag("role-id", "value", "Id of a role, or its start. May be given several times."),
        texts_flag("role-name", "value", "Name of a role. May be given several times."),
    ]
}

/// The flags that name one templated policy.
pub(super) fn template_flags() -> [Arg; 3] {
    [
        text_flag("templated-policy", "string", "Name of a templated policy, with -var."),
        text_flag("templated-policy-file", "string", "File of templated policies and variables."),
        var_flag(),
    ]
}

/// `-var`.
pub(super) fn var_flag() -> Arg {
    texts_flag("var", "value", "`NAME:VALUE` for the templated policy. May be given several times.")
}

/// The accessor id of a token: `anonymous`, whole, or by its start.
pub(super) fn token_id(api: &Api, start: &str) -> Result<String, String> {
    if start == "anonymous" {
        return Ok(ANONYMOUS.to_owned());
    }
    let nothing = |start: &str| format!("No such token ID with prefix: {start}");
    whole_id(api, start, "acl/tokens", "AccessorID", "Partial token ID is not unique", nothing)
}

/// The id of a policy: a builtin one's by its name, whole, or by its start.
pub(super) fn policy_id(api: &Api, start: &str) -> Result<String, String> {
    if let Some((_, id)) = BUILTIN.iter().find(|(name, _)| *name == start) {
        return Ok((*id).to_owned());
    }
    let nothing = |start: &str| format!("No such policy ID with prefix: {start}");
    whole_id(api, start, "acl/policies", "ID", "Partial policy ID is not unique", nothing)
}

/// The id of a role: whole, or by its start.
pub(super) fn role_id(api: &Api, start: &str) -> Result<String, String> {
    let nothing = |start: &str| format!("No such role ID with prefix: {start}");
    whole_id(api, start, "acl/roles", "ID", "Partial role ID is not unique", nothing)
}

/// Links to policies: those named, then those with an id.
pub(super) fn policies(api: &Api, names: &[&str], ids: &[&str]) -> Result<Vec<Value>, String> {
    linked(names, ids, |id| {
        policy_id(api, id).map_err(|fault| format!("Error resolving policy ID : {fault}"))
    })
}

/// Links to roles, in the same way.
pub(super) fn roles(api: &Api, names: &[&str], ids: &[&str]) -> Result<Vec<Value>, String> {
    linked(names, ids, |id| {
        role_id(api, id).map_err(|fault| format!("Error resolving role ID : {fault}"))
    })
}

fn linked(
    names: &[&str],
    ids: &[&str],
    whole: impl Fn(&str) -> Result<String, String>,
) -> Result<Vec<Value>, String> {
    let named = names.iter().map(|name| Ok(json!({ "ID": "", "Name": name })));
    let with_id = ids.iter().map(|id| Ok(json!({ "ID": whole(id)?, "Name": "" })));
    named.chain(with_id).collect()
}

/// `SERVICE` or `SERVICE:DC1,DC2`.
pub(super) fn service_identities(words: &[&str]) -> Result<Vec<Value>, String> {
    let one = |word: &&str| match word.split(':').collect::<Vec<_>>().as_slice() {
        [name] => Ok(json!({ "ServiceName": name })),
        [name, places] => {
            let places: Vec<&str> = places.split(',').collect();
            Ok(json!({ "ServiceName": name, "Datacenters": places }))
        }
        _ => Err(format!("Malformed -service-identity argument: {word:?}")),
    };
    words.iter().map(one).collect()
}

/// `NODE:DATACENTER`.
pub(super) fn node_identities(words: &[&str]) -> Result<Vec<Value>, String> {
    let one = |word: &&str| match word.split(':').collect::<Vec<_>>().as_slice() {
        [name, place] => Ok(json!({ "NodeName": name, "Datacenter": place })),
        _ => Err(format!("Malformed -node-identity argument: {word:?}")),
    };
    words.iter().map(one).collect()
}

/// The templated policies that a name with variables, or a file, tell.
pub(super) fn templated(
    call: &Call,
    name_flag: &str,
    file_flag: &str,
) -> Result<Vec<Value>, String> {
    let mut found = Vec::new();
    if let Some(name) = call.said(name_flag) {
        found.push(json!({ "TemplateName": name, "TemplateVariables": variables(call)? }));
    }
    if let Some(path) = call.said(file_flag) {
        found.extend(templated_file(path)?);
    }
    Ok(found)
}

/// `-var NAME:VALUE`; the only variable that exists is the name.
fn variables(call: &Call) -> Result<Value, String> {
    let mut variables = Value::Null;
    for word in call.texts("var") {
        let [variable, value] = word.split(':').collect::<Vec<_>>()[..] else {
            return Err(format!("malformed -var argument: {word:?}, expecting VariableName:Value"));
        };
        if variables.is_null() {
            variables = json!({ "Name": "" });
        }
        if variable.eq_ignore_ascii_case("name") {
            variables = json!({ "Name": value });
        }
    }
    Ok(variables)
}

/// `TemplatedPolicy "builtin/service" { Name = "web" }`, and the same in JSON.
fn templated_file(path: &str) -> Result<Vec<Value>, String> {
    let bytes = file(path)?;
    let document = proconsul_hcl::read(&String::from_utf8_lossy(&bytes))?.to_json();
    let mut found = Vec::new();
    for templates in many(document.get("TemplatedPolicy")) {
        for (template, variables) in templates.as_object().into_iter().flatten() {
            for variables in many(Some(variables)) {
                let name = variables.as_object().and_then(|fields| {
                    super::super::form::find(fields, "Name").and_then(Value::as_str)
                });
                found.push(json!({
                    "TemplateName": template, "TemplateVariables": { "Name": name.unwrap_or("") },
                }));
            }
        }
    }
    Ok(found)
}

/// The objects of a list, or the only one.
fn many(value: Option<&Value>) -> Vec<&Value> {
    match value {
        Some(Value::Array(items)) => items.iter().collect(),
        Some(one) => vec![one],
        None => Vec::new(),
    }
}

/// The links of a token or role, a list each; `indent` stands before every line.
pub(super) fn show(value: &Value, indent: &str) -> String {
    let mut told = String::new();
    for (field, title) in [("Policies", "Policies"), ("Roles", "Roles")] {
        let line = |link: &Value| format!("{} - {}\n", text(link, "ID"), text(link, "Name"));
        told.push_str(&section(value, field, title, indent, line));
    }
    told.push_str(&section(value, "ServiceIdentities", "Service Identities", indent, |one| {
        format!("{} (Datacenters: {})\n", text(one, "ServiceName"), places(one))
    }));
    told.push_str(&section(value, "NodeIdentities", "Node Identities", indent, |one| {
        format!("{} (Datacenter: {})\n", text(one, "NodeName"), text(one, "Datacenter"))
    }));
    let inner = format!("{indent}      ");
    told + &section(value, "TemplatedPolicies", "Templated Policies", indent, |one| {
        let mut lines = format!("{}\n", text(one, "TemplateName"));
        let name = one.get("TemplateVariables").map_or("", |variables| text(variables, "Name"));
        if !name.is_empty() {
            let _never_fails = writeln!(lines, "{inner}Name: {name}");
        }
        let _never_fails = writeln!(lines, "{inner}Datacenters: {}", places(one));
        lines
    })
}

/// The datacenters of an identity, or `all`.
pub(super) fn places(identity: &Value) -> String {
    let places = texts(identity, "Datacenters");
    if places.is_empty() { "all".to_owned() } else { places.join(", ") }
}

fn section(
    value: &Value,
    field: &str,
    title: &str,
    indent: &str,
    line: impl Fn(&Value) -> String,
) -> String {
    let lines = items(value, field);
    if lines.is_empty() {
        return String::new();
    }
    let lines: String = lines.iter().map(|one| format!("{indent}   {}", line(one))).collect();
    format!("{indent}{title}:\n{lines}")
}

/// Why a new token or role takes only one of the two flags.
pub(super) fn one_template(what: &str) -> String {
    format!(
        "Cannot combine the use of templated-policy flag with templated-policy-file. To create a {what} with a single templated \
         policy and simple use case, use -templated-policy. For multiple templated policies and more complicated use cases, use \
         -templated-policy-file"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_are_read_from_words() {
        let services = |word: &str| service_identities(&[word]);
        let nodes = |word: &str| node_identities(&[word]);
        for (read, expected) in [
            (services("web"), Ok(json!([{ "ServiceName": "web" }]))),
            (services("web:a,b"), Ok(json!([{ "ServiceName": "web", "Datacenters": ["a", "b"] }]))),
            (services("a:b:c"), Err("Malformed -service-identity argument: \"a:b:c\"".to_owned())),
            (nodes("n:dc1"), Ok(json!([{ "NodeName": "n", "Datacenter": "dc1" }]))),
            (nodes("n"), Err("Malformed -node-identity argument: \"n\"".to_owned())),
        ] {
            assert_eq!(read.map(Value::Array), expected);
        }
    }

    #[test]
    fn links_are_listed_below_their_titles() {
        let role = json!({
            "Policies": [{ "ID": "1", "Name": "p" }],
            "TemplatedPolicies": [{ "TemplateName": "t", "TemplateVariables": { "Name": "v" } }],
        });
        let expected = "Policies:\n   1 - p\nTemplated Policies:\n   t\n      Name: v\n      Datacenters: all\n";
        assert_eq!(show(&role, ""), expected);
        let indented = expected.lines().map(|line| format!("  {line}\n")).collect::<String>();
        assert_eq!(show(&role, "  "), indented);
        assert_eq!(show(&json!({ "Policies": [] }), ""), "");
    }
}
