//! How a token is named on a command line, and how it is shown.

use std::fmt::Write as _;

use clap::Arg;
use serde_json::Value;

use super::super::go::{flag, number, text, time};
use super::super::{Call, print_err, text as text_flag};
use super::{hex, links};

/// The flags that name a token.
pub(super) fn id_flags() -> [Arg; 2] {
    [
        text_flag("accessor-id", "string", "Accessor id of the token, or its start."),
        text_flag("id", "string", "Deprecated: the same as -accessor-id."),
    ]
}

/// What `-accessor-id` tells, or the older `-id` after a warning.
pub(super) fn told_id<'a>(
    call: &'a Call,
    missing: &str,
    deprecated: &str,
) -> Result<&'a str, String> {
    if let Some(id) = call.said("accessor-id") {
        return Ok(id);
    }
    let id = call.said("id").ok_or(missing)?;
    print_err(deprecated);
    Ok(id)
}

/// A token for people.
pub(super) fn pretty(token: &Value, meta: bool) -> String {
    head(token, meta) + &links::show(token, "")
}

/// All but what the token is linked to.
pub(super) fn head(token: &Value, meta: bool) -> String {
    let mut told = String::new();
    let mut tell = |name: &str, value: &str| {
        let _never_fails = writeln!(told, "{name:17} {value}");
    };
    tell("Name:", text(token, "Name"));
    tell("AccessorID:", text(token, "AccessorID"));
    tell("SecretID:", text(token, "SecretID"));
    tell("Description:", text(token, "Description"));
    tell("Local:", if flag(token, "Local") { "true" } else { "false" });
    let method = text(token, "AuthMethod");
    if !method.is_empty() {
        let namespace = text(token, "AuthMethodNamespace");
        tell("Auth Method:", &format!("{method} (Namespace: {namespace})"));
    }
    tell("Create Time:", &time(text(token, "CreateTime")));
    let expires = text(token, "ExpirationTime");
    if !expires.is_empty() && expires != "0001-01-01T00:00:00Z" {
        tell("Expiration Time:", &time(expires));
    }
    if meta {
        tell("Hash:", &hex(token, "Hash"));
        tell("Create Index:", &number(token, "CreateIndex").to_string());
        tell("Modify Index:", &number(token, "ModifyIndex").to_string());
    }
    told
}
