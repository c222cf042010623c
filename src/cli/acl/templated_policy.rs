//! `acl templated-policy list|preview|read`.

use reqwest::Method;
use serde_json::Value;

use super::super::client::Api;
use super::super::go::text;
use super::super::json::Tree;
use super::super::{Call, Entry, boolean, text as text_flag, told_if_any};
use super::{flags_with, links, policy, shown};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        path: &["acl", "templated-policy", "list"],
        words: "",
        about: "Lists the templated policies",
        flags: || flags_with([]),
        run: |call| told_if_any(list(call)),
    },
    Entry {
        path: &["acl", "templated-policy", "preview"],
        words: "",
        about: "Prints the policy that a templated policy makes",
        flags: || {
            flags_with([
                text_flag("file", "string", "File of one templated policy and its variables."),
                text_flag("name", "string", "Name of the templated policy, with -var."),
                links::var_flag(),
            ])
        },
        run: |call| told_if_any(preview(call)),
    },
    Entry {
        path: &["acl", "templated-policy", "read"],
        words: "",
        about: "Prints a templated policy",
        flags: || {
            flags_with([
                boolean("meta", "Prints the schema of the variables and the template too."),
                text_flag("name", "string", "Name of the templated policy."),
            ])
        },
        run: |call| told_if_any(read(call)),
    },
];

fn unknown_format(fault: String) -> String {
    match fault.strip_prefix("Unknown format: ") {
        Some(format) => format!("unknown format: {format:?}"),
        None => fault,
    }
}

fn list(call: &Call) -> Result<String, String> {
    let found = Api::of(call)?.get("acl/templated-policies", &[]);
    let found = found
        .map_err(|fault| format!("Failed to retrieve the templated policies list: {fault}"))?;
    let told = shown(call, "{}TemplatedPolicyResponse", &found, |all: &Value, _| {
        let mut names: Vec<&str> = all
            .as_object()
            .into_iter()
            .flat_map(|all| all.values())
            .map(|one| text(one, "TemplateName"))
            .collect();
        names.sort_unstable();
        names.iter().map(|name| format!("{name}\n")).collect()
    });
    told.map_err(unknown_format)
}

fn preview(call: &Call) -> Result<String, String> {
    if call.said("name").is_none() && call.said("file").is_none() {
        return Err(
            "Cannot preview a templated policy without specifying -name or -file".to_owned()
        );
    }
    let api = Api::of(call)?;
    let told = links::templated(call, "name", "file")?;
    let [template] = told.as_slice() else {
        return Err("Can only preview a single templated policy at a time.".to_owned());
    };
    let path = format!("acl/templated-policy/preview/{}", text(template, "TemplateName"));
    let body = Tree::Plain(template["TemplateVariables"].clone());
    let made = api.send(Method::POST, &path, &body);
    let made =
        made.map_err(|fault| format!("Failed to generate the templated policy preview: {fault}"))?;
    shown(call, "Policy", &made, |made, _| policy::pretty(made, false))
}

fn read(call: &Call) -> Result<String, String> {
    let name = call.said("name").ok_or("Must specify the -name parameter")?;
    let found = Api::of(call)?.find(&format!("acl/templated-policy/name/{name}"));
    let found =
        found.map_err(|fault| format!("Error reading templated policy {name:?}: {fault}"))?;
    let found = found.ok_or_else(|| format!("Templated policy not found with name {name:?}"))?;
    shown(call, "TemplatedPolicyResponse", &found, pretty).map_err(unknown_format)
}

/// What the variable of a builtin template stands for, and an example of it.
const VARIABLES: &[(&str, &str, &str)] = &[
    ("builtin/service", "The name of the service", "api"),
    ("builtin/node", "The node name", "node-1"),
    ("builtin/api-gateway", "The api gateway service name", "api-gateway"),
];

fn pretty(template: &Value, meta: bool) -> String {
    let name = text(template, "TemplateName");
    let mut told = format!(
        "Name:            {name}\nDescription:     {}\nInput variables:",
        text(template, "Description")
    );
    told.push_str(&match VARIABLES.iter().find(|(known, ..)| *known == name) {
        Some((_, meaning, example)) => format!(
            "\n\tName: String - Required - {meaning}.\nExample usage:\n\tconsul acl token create -templated-policy {name} -var \
             name:{example}\n"
        ),
        None => format!(
            " None\nExample usage:\n\tconsul acl token create -templated-policy {name}\n"
        ),
    });
    if meta {
        let schema = text(template, "Schema");
        if !schema.is_empty() {
            told.push_str(&format!("Schema:\n{schema}\n\n"));
        }
        told.push_str(&format!("Raw Template:\n{}\n", text(template, "Template")));
    }
    told
}
