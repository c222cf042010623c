//! `acl set-agent-token`: the tokens that an agent uses itself.

use reqwest::Method;
use serde_json::json;

use super::super::client::{Api, server_flags};
use super::super::go::text_data;
use super::super::json::line;
use super::super::{Call, Entry, told};

pub(super) const ENTRIES: &[Entry] = &[Entry {
    path: &["acl", "set-agent-token"],
    words: "TYPE TOKEN",
    about: "Gives the agent a token for its own requests",
    flags: server_flags,
    run,
}];

/// Words for tokens, and the names that the API has for them, the older ones last.
const KINDS: &[(&str, &[&str])] = &[
    ("default", &["default", "acl_token"]),
    ("agent", &["agent", "acl_agent_token"]),
    ("recovery", &["agent_recovery", "agent_master", "acl_agent_master_token"]),
    ("replication", &["replication", "acl_replication_token"]),
    ("config_file_service_registration", &["config_file_service_registration"]),
    ("dns", &["dns"]),
];

fn run(call: &Call) -> u8 {
    told(set(call))
}

fn set(call: &Call) -> Result<String, String> {
    let words = call.words();
    let (kind, token) = match words.as_slice() {
        [] => return Err("Error! Missing TYPE and TOKEN arguments".to_owned()),
        ["default" | "agent" | "recovery" | "replication"] => {
            return Err("Error! Missing TOKEN argument".to_owned());
        }
        [_] => return Err("Error! MISSING TYPE argument".to_owned()),
        [kind, token] => (*kind, text_data(token).map_err(|fault| format!("Error! {fault}"))?),
        more => {
            return Err(format!("Error! Too many arguments: expected 2 got {}", more.len()));
        }
    };
    let api = Api::of(call)?;
    let known = KINDS.iter().find(|(word, _)| *word == kind);
    let (_, names) = known.ok_or_else(|| "Unknown token type".to_owned())?;
    let mut done = Ok(());
    for name in *names {
        let body = line(&json!({ "Token": token }));
        let answer = api.expect(Method::PUT, &format!("agent/token/{name}"), &[], body);
        done = answer.map(|_| ());
        if done.is_ok() {
            break;
        }
    }
    done.map_err(|fault| format!("Failed to set ACL token {kind:?}: {fault}"))?;
    Ok(format!("ACL token {kind:?} set successfully"))
}
