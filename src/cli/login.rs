//! `login`, `logout`: a credential of somebody else for a token, and the token's end.

use std::fs;

use clap::Arg;
use reqwest::Method;
use serde_json::json;

use super::client::{Api, all_flags, server_flags};
use super::go::text;
use super::json::line;
use super::sink::write_private;
use super::{Call, Entry, boolean, pairs, text as text_flag, told_if_any};
use crate::config::reason;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        path: &["login"],
        words: "",
        about: "Takes a token for a credential of an auth method",
        flags: login_flags,
        run: |call| told_if_any(login(call)),
    },
    Entry {
        path: &["logout"],
        words: "",
        about: "Gives a token of login back",
        flags: server_flags,
        run: |call| told_if_any(logout(call)),
    },
];

/// Flags for AWS's identities; their tokens cannot be made here.
const AWS: &[&str] = &[
    "aws-include-entity",
    "aws-sts-endpoint",
    "aws-region",
    "aws-server-id-header-value",
    "aws-access-key-id",
    "aws-secret-access-key",
    "aws-session-token",
];

fn login_flags() -> Vec<Arg> {
    let mut flags = all_flags();
    flags.extend([
        text_flag("bearer-token-file", "string", "File of the credential."),
        pairs("meta", "A pair that is kept with the token. May be given several times."),
        text_flag("method", "string", "Name of the auth method. Needed."),
        text_flag(
            "token-sink-file",
            "string",
            "File into which the token's secret is written. Needed.",
        ),
        text_flag("type", "string", "Type of the auth method."),
        boolean("aws-auto-bearer-token", "Not supported: asks AWS for the credential."),
        boolean("aws-include-entity", "Not supported; see -aws-auto-bearer-token."),
    ]);
    let aws = AWS.iter().filter(|name| **name != "aws-include-entity");
    let not_supported = "Not supported; see -aws-auto-bearer-token.";
    flags.extend(aws.map(|name| text_flag(name, "string", not_supported)));
    flags.push(text_flag("aws-iam-endpoint", "string", not_supported));
    flags
}

/// The flags for AWS must fit together, and none may be used.
fn no_aws(call: &Call) -> Result<(), String> {
    let given = |flag: &str| call.flag(flag) || call.said(flag).is_some();
    if call.flag("aws-auto-bearer-token") {
        return Err("Error with aws-iam auth method: -aws-auto-bearer-token is not supported; put the credential in a file and give \
                    it with -bearer-token-file"
            .to_owned());
    }
    if AWS.iter().any(|flag| given(flag)) {
        return Err("Missing '-aws-auto-bearer-token' flag".to_owned());
    }
    Ok(())
}

fn no_words(call: &Call) -> Result<(), String> {
    if call.words().is_empty() {
        Ok(())
    } else {
        Err("Should have no non-flag arguments.".to_owned())
    }
}

fn login(call: &Call) -> Result<String, String> {
    no_words(call)?;
    let needed =
        |flag: &str| call.said(flag).ok_or_else(|| format!("Missing required '-{flag}' flag"));
    let (method, sink) = (needed("method")?, needed("token-sink-file")?);
    no_aws(call)?;
    let path = needed("bearer-token-file")?;
    let credential =
        fs::read_to_string(path).map_err(|fault| format!("open {path}: {}", reason(&fault)))?;
    let credential = credential.trim();
    if credential.is_empty() {
        return Err(format!("No bearer token found in {path}"));
    }
    let mut body = json!({ "AuthMethod": method, "BearerToken": credential });
    let meta = call.pairs("meta");
    if !meta.is_empty() {
        body["Meta"] = json!(meta);
    }
    // Who logs in has no token yet.
    let api = Api::of(call)?.without_token();
    let answer = api.expect(Method::POST, "acl/login", &[], line(&body));
    let token = answer
        .and_then(|answer| answer.json())
        .map_err(|fault| format!("Error logging in: {fault}"))?;
    write_private(sink, text(&token, "SecretID").as_bytes())
        .map_err(|fault| format!("Error writing token to file sink: {fault}"))?;
    Ok(String::new())
}

fn logout(call: &Call) -> Result<String, String> {
    no_words(call)?;
    let done = Api::of(call)?.tell(Method::POST, "acl/logout", &[]);
    done.map_err(|fault| format!("Error destroying token: {fault}"))?;
    Ok(String::new())
}
