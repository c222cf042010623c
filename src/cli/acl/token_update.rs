//! `acl token update`: what a token is linked to is replaced, or kept and added to.

use clap::Arg;
use reqwest::Method;
use serde_json::Value;

use super::super::client::Api;
use super::super::go::{items, text};
use super::super::{Call, boolean, form, print_err, text as text_flag, texts as texts_flag};
use super::links::{self, token_id};
use super::token_shared::{id_flags, pretty, told_id};
use super::{flags_with, meta_flag, shown};

/// Flags that add, and their helps.
const APPENDING: &[(&str, &str)] = &[
    ("append-policy-id", "Adds a policy by its id, or its start. May be given several times."),
    ("append-policy-name", "Adds a policy. May be given several times."),
    ("append-role-id", "Adds a role by its id, or its start. May be given several times."),
    ("append-role-name", "Adds a role. May be given several times."),
    ("append-service-identity", "Adds a service identity. May be given several times."),
    ("append-node-identity", "Adds a node identity. May be given several times."),
];

pub(super) fn flags() -> Vec<Arg> {
    let mut flags = flags_with(id_flags());
    flags.extend(links::policy_flags());
    flags.extend(links::role_flags());
    flags.extend(APPENDING.iter().map(|(name, help)| texts_flag(name, "value", help)));
    flags.extend(template_flags());
    flags.extend([
        meta_flag(),
        text_flag("description", "string", "What the token is for."),
        text_flag("name", "string", "Name of the token."),
        boolean("merge-policies", "Deprecated: see -append-policy-name."),
        boolean("merge-roles", "Deprecated: see -append-role-name."),
        boolean("merge-service-identities", "Deprecated: see -append-service-identity."),
        boolean("merge-node-identities", "Deprecated: see -append-node-identity."),
    ]);
    flags
}

/// The flags that add to, or replace, templated policies.
pub(super) fn template_flags() -> [Arg; 5] {
    [
        text_flag("append-templated-policy", "string", "Adds a templated policy, with -var."),
        text_flag(
            "append-templated-policy-file",
            "string",
            "Adds the templated policies of a file.",
        ),
        text_flag("replace-templated-policy", "string", "Leaves one templated policy, with -var."),
        text_flag("replace-templated-policy-file", "string", "Leaves those of a file."),
        links::var_flag(),
    ]
}

/// Changes a token by the flags; the rest stays as it is.
///
/// # Errors
/// Flags that exclude each other, a token that is not there, and what the server refuses.
pub(super) fn update(call: &Call) -> Result<String, String> {
    let start = told_id(
        call,
        "Cannot update a token without specifying the -accessor-id parameter",
        "Use the -accessor-id parameter to specify token by Accessor ID",
    )?;
    let api = Api::of(call)?;
    let id =
        token_id(&api, start).map_err(|fault| format!("Error determining token ID: {fault}"))?;
    let mut token: Value = api
        .get(&format!("acl/token/{id}"), &[])
        .map_err(|fault| format!("Error when retrieving current token: {fault}"))?;
    for (flag, field) in [("description", "Description"), ("name", "Name")] {
        if let Some(said) = call.said(flag) {
            token[field] = said.into();
        }
    }
    change(call, &api, &mut token)?;
    let accessor = text(&token, "AccessorID").to_owned();
    let changed =
        api.send(Method::PUT, &format!("acl/token/{accessor}"), &form::tree("Token", &token));
    let changed = changed.map_err(|fault| format!("Failed to update token {id}: {fault}"))?;
    shown(call, "Token", &changed, pretty)
}

/// Changes what the token is linked to.
fn change(call: &Call, api: &Api, token: &mut Value) -> Result<(), String> {
    not_both(call, "service-identity", "existing service identities")?;
    let services = appended(call, "service-identity", links::service_identities)?;
    not_both(call, "node-identity", "existing node identities")?;
    let nodes = appended(call, "node-identity", links::node_identities)?;
    let templates = templates(call, "-append-templated-policy flags")?;
    let (names, ids) = ("policy-name", "policy-id");
    relink(call, token, "Policies", ("merge-policies", "policy"), |prefix| {
        let words = |flag: &str| call.texts(&format!("{prefix}{flag}"));
        links::policies(api, &words(names), &words(ids))
    })?;
    relink(call, token, "Roles", ("merge-roles", "role"), |prefix| {
        let words = |flag: &str| call.texts(&format!("{prefix}{flag}"));
        links::roles(api, &words("role-name"), &words("role-id"))
    })?;
    let adds = |flag: &str, merge: &str| call.flag(merge) || !call.texts(flag).is_empty();
    token["ServiceIdentities"] = if adds("append-service-identity", "merge-service-identities") {
        with_services(items(token, "ServiceIdentities"), services).into()
    } else {
        services.into()
    };
    token["NodeIdentities"] = if adds("append-node-identity", "merge-node-identities") {
        let same = |a: &Value, b: &Value| {
            text(a, "NodeName") == text(b, "NodeName")
                && text(a, "Datacenter") == text(b, "Datacenter")
        };
        with_missing(items(token, "NodeIdentities"), nodes, same).into()
    } else {
        nodes.into()
    };
    token["TemplatedPolicies"] = templates.onto(items(token, "TemplatedPolicies")).into();
    Ok(())
}

/// A flag and its `append-` form exclude each other.
fn not_both(call: &Call, flag: &str, what: &str) -> Result<(), String> {
    let append = format!("append-{flag}");
    if call.texts(flag).is_empty() || call.texts(&append).is_empty() {
        return Ok(());
    }
    Err(format!(
        "Cannot combine the use of {flag} flag with {append}. To set or overwrite {what}, use -{flag}. To append to {what}, use -{append}."
    ))
}

/// The identities of the `append-` flag when it is given, else of the plain one.
fn appended(
    call: &Call,
    flag: &str,
    read: impl Fn(&[&str]) -> Result<Vec<Value>, String>,
) -> Result<Vec<Value>, String> {
    let append = call.texts(&format!("append-{flag}"));
    read(&if append.is_empty() { call.texts(flag) } else { append })
}

/// Replaces, adds to, or (by the deprecated flag) merges links to policies or roles.
fn relink(
    call: &Call,
    token: &mut Value,
    field: &str,
    (merge, what): (&str, &str),
    links: impl Fn(&str) -> Result<Vec<Value>, String>,
) -> Result<(), String> {
    let now = items(token, field);
    if call.flag(merge) {
        print_err(&format!(
            "{merge} is deprecated and will be removed in a future Consul version. Use `append-{what}-name` or `append-{what}-id` \
             instead."
        ));
        token[field] = with_missing(now, links("")?, same_link).into();
        return Ok(());
    }
    let given = |prefix: &str| {
        ["name", "id"].iter().any(|end| !call.texts(&format!("{prefix}{what}-{end}")).is_empty())
    };
    token[field] = match (given(""), given("append-")) {
        (true, true) => return Err(either(what, field)),
        (true, false) => links("")?.into(),
        (false, _) => [now.to_vec(), links("append-")?].concat().into(),
    };
    Ok(())
}

fn either(what: &str, field: &str) -> String {
    let field = field.to_lowercase();
    format!(
        "Cannot combine the use of {what}-id/{what}-name flags with append- variants. To set or overwrite existing {field}, use \
         -{what}-id or -{what}-name. To append to existing {field}, use -append-{what}-id or -append-{what}-name."
    )
}

/// Whether a link, of which only the id or the name is known, is the other one.
pub(super) fn same_link(now: &Value, new: &Value) -> bool {
    let field = if text(new, "ID").is_empty() { "Name" } else { "ID" };
    text(now, field) == text(new, field)
}

/// A list with those of another one that are not in it.
pub(super) fn with_missing(
    now: &[Value],
    new: Vec<Value>,
    same: impl Fn(&Value, &Value) -> bool,
) -> Vec<Value> {
    let mut all = now.to_vec();
    for one in new {
        if !all.iter().any(|other| same(other, &one)) {
            all.push(one);
        }
    }
    all
}

/// Service identities, where a new one takes the place of the one of the same name.
pub(super) fn with_services(now: &[Value], new: Vec<Value>) -> Vec<Value> {
    let mut all = now.to_vec();
    for one in new {
        let name = text(&one, "ServiceName");
        match all.iter().position(|other| text(other, "ServiceName") == name) {
            Some(place) => all[place] = one,
            None => all.push(one),
        }
    }
    all
}

/// Templated policies of flags, and whether they replace those that are there.
pub(super) struct Templates {
    replace: bool,
    told: Vec<Value>,
}

// === impl Templates ===

impl Templates {
    pub(super) fn onto(self, now: &[Value]) -> Vec<Value> {
        if self.replace { self.told } else { [now.to_vec(), self.told].concat() }
    }

    /// Those that the flags tell, whatever is there.
    pub(super) fn alone(self) -> Vec<Value> {
        self.told
    }
}

/// Reads the four flags; `named` is how the fault names the first of them.
pub(super) fn templates(call: &Call, named: &str) -> Result<Templates, String> {
    let given = |verb: &str| {
        ["", "-file"]
            .iter()
            .any(|end| call.said(&format!("{verb}-templated-policy{end}")).is_some())
    };
    let (append, replace) = (given("append"), given("replace"));
    if append && replace {
        return Err(format!(
            "Cannot combine the use of {named} with replace-templated-policy. To set or overwrite existing templated policies, use \
             -replace-templated-policy or -replace-templated-policy-file. To append to existing templated policies, use \
             -append-templated-policy or -append-templated-policy-file."
        ));
    }
    let verb = if append { "append" } else { "replace" };
    let name = format!("{verb}-templated-policy");
    let told = links::templated(call, &name, &format!("{name}-file"))?;
    Ok(Templates { replace, told })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn list(value: Value) -> Vec<Value> {
        value.as_array().cloned().unwrap_or_default()
    }

    #[test]
    fn links_are_added_once() {
        let now = list(json!([{ "ID": "1", "Name": "a" }]));
        for (new, count) in [
            (json!([{ "ID": "", "Name": "a" }]), 1),
            (json!([{ "ID": "1", "Name": "" }]), 1),
            (json!([{ "ID": "2", "Name": "" }, { "ID": "", "Name": "b" }]), 3),
        ] {
            assert_eq!(with_missing(&now, list(new), same_link).len(), count);
        }
    }

    #[test]
    fn a_service_identity_takes_the_place_of_its_namesake() {
        let now = list(json!([{ "ServiceName": "a" }, { "ServiceName": "b" }]));
        let new =
            list(json!([{ "ServiceName": "a", "Datacenters": ["x"] }, { "ServiceName": "c" }]));
        let expected = json!([
            { "ServiceName": "a", "Datacenters": ["x"] }, { "ServiceName": "b" }, { "ServiceName": "c" }
        ]);
        assert_eq!(Value::Array(with_services(&now, new)), expected);
    }
}
