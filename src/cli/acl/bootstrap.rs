//! `acl bootstrap`: the first token, once.

use clap::Arg;
use reqwest::Method;
use serde_json::{Value, json};

use super::super::client::{Api, server_flags};
use super::super::go::source;
use super::super::json::Tree;
use super::super::{Call, Entry, told_if_any};
use super::token_shared::pretty;
use super::{format_flag, shown};

pub(super) const ENTRIES: &[Entry] = &[Entry {
    path: &["acl", "bootstrap"],
    words: "[FILE]",
    about: "Makes the first token, which may do everything; works once",
    flags,
    run,
}];

fn flags() -> Vec<Arg> {
    let mut flags = server_flags();
    flags.push(format_flag());
    flags
}

fn run(call: &Call) -> u8 {
    told_if_any(bootstrapped(call))
}

fn bootstrapped(call: &Call) -> Result<String, String> {
    let secret = match call.words().as_slice() {
        [] => String::new(),
        [word] => {
            let text =
                source(word).map_err(|fault| format!("Error reading provided token: {fault}"))?;
            text.trim().to_owned()
        }
        _ => return Err("This command takes up to one argument".to_owned()),
    };
    let api = Api::of(call)?;
    let made = if secret.is_empty() {
        api.expect(Method::PUT, "acl/bootstrap", &[], Vec::new()).and_then(|answer| answer.json())
    } else {
        let body = Tree::Plain(json!({ "BootstrapSecret": secret }));
        api.send(Method::PUT, "acl/bootstrap", &body)
    };
    let made: Value = made.map_err(|fault| format!("Failed ACL bootstrapping: {fault}"))?;
    shown(call, "Token", &made, pretty)
}
