//! `acl …`: tokens and what they may.
//!
//! Answers are JSON that is brought into its form ([`super::form`]) and then printed, for people or as JSON.

mod agent_token;
mod auth_method;
mod binding_rule;
mod bootstrap;
mod links;
mod policy;
mod role;
mod templated_policy;
mod token;
mod token_expanded;
mod token_shared;
mod token_update;

use clap::Arg;
use serde_json::Value;

use super::client::{Api, all_flags};
use super::go::text;
use super::{Call, Entry, boolean, form, json, text as text_flag};

pub(super) const ENTRIES: &[&[Entry]] = &[
    agent_token::ENTRIES,
    auth_method::ENTRIES,
    binding_rule::ENTRIES,
    bootstrap::ENTRIES,
    policy::ENTRIES,
    role::ENTRIES,
    templated_policy::ENTRIES,
    token::ENTRIES,
];

/// Letters of an id that is told whole.
const ID_LENGTH: usize = 36;

/// `-format`.
fn format_flag() -> Arg {
    text_flag("format", "string", "`pretty` or `json`.").default_value("pretty")
}

/// `-meta`.
fn meta_flag() -> Arg {
    boolean("meta", "Prints hash and indexes too.")
}

/// The flags of a command that prints: all of the API, `-format`, and its own.
fn flags_with<const COUNT: usize>(own: [Arg; COUNT]) -> Vec<Arg> {
    let mut flags = all_flags();
    flags.push(format_flag());
    flags.extend(own);
    flags
}

/// An object as `-format` asks for it.
///
/// # Errors
/// A format that does not exist.
fn shown(
    call: &Call,
    kind: &'static str,
    value: &Value,
    pretty: impl FnOnce(&Value, bool) -> String,
) -> Result<String, String> {
    shown_or(call, kind, value, |value, meta| Ok(pretty(value, meta)))
}

/// The same, where printing for people may fail.
fn shown_or(
    call: &Call,
    kind: &'static str,
    value: &Value,
    pretty: impl FnOnce(&Value, bool) -> Result<String, String>,
) -> Result<String, String> {
    match call.text("format") {
        Some("pretty") | None => pretty(&form::value(kind, value), call.flag("meta")),
        Some("json") => Ok(json::indented(&form::tree(kind, value), "    ")),
        Some(other) => Err(format!("Unknown format: {other}")),
    }
}

/// Objects one after the other; none when the answer is no list.
fn each(value: &Value, show: impl Fn(&Value) -> String) -> String {
    value.as_array().into_iter().flatten().map(show).collect()
}

/// The id that begins as told: the id itself when it is whole, else the only one of a list.
///
/// # Errors
/// The list's fault, or a sentence when several begin so or, from `nothing`, none.
fn whole_id(
    api: &Api,
    start: &str,
    list: &str,
    field: &str,
    several: &str,
    nothing: impl Fn(&str) -> String,
) -> Result<String, String> {
    if start.len() == ID_LENGTH {
        return Ok(start.to_owned());
    }
    let all: Value = api.get(list, &[])?;
    let ids = all.as_array().into_iter().flatten().map(|one| text(one, field));
    let mut found = ids.filter(|id| id.starts_with(start));
    match (found.next(), found.next()) {
        (Some(_), Some(_)) => Err(several.to_owned()),
        (Some(id), None) => Ok(id.to_owned()),
        (None, _) => Err(nothing(start)),
    }
}

/// A SHA or like it as hexadecimal; the API has it in base64.
fn hex(value: &Value, field: &str) -> String {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text(value, field));
    proconsul_anchors::encoding::hex::encode(&bytes.unwrap_or_default())
}
