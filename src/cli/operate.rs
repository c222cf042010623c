//! `info`, `reload`, `leave`: one agent, asked or told.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::Value;

use super::client::{Api, agent_flags};
use super::{Call, Entry, FAILED, print_err, told};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        path: &["info"],
        words: "",
        about: "Prints the agent's own figures",
        flags: agent_flags,
        run: info,
    },
    Entry {
        path: &["leave"],
        words: "",
        about: "Lets the agent leave the datacenter and stop",
        flags: agent_flags,
        run: leave,
    },
    Entry {
        path: &["reload"],
        words: "",
        about: "Lets the agent read its configuration again",
        flags: agent_flags,
        run: reload,
    },
];

fn info(call: &Call) -> u8 {
    told(figures(call))
}

/// Groups and figures, both sorted.
fn figures(call: &Call) -> Result<String, String> {
    let own: BTreeMap<String, Value> = Api::of(call)?
        .get("agent/self", &[])
        .map_err(|fault| format!("Error querying agent: {fault}"))?;
    let groups = own
        .get("Stats")
        .and_then(Value::as_object)
        .ok_or("Agent response did not contain 'Stats' key")?;
    let mut lines = Vec::new();
    for (group, figures) in groups {
        lines.push(format!("{group}:"));
        let figures =
            figures.as_object().ok_or_else(|| format!("Got invalid subkey in stats: {figures}"))?;
        lines.extend(
            figures
                .iter()
                .map(|(name, value)| format!("\t{name} = {}", value.as_str().unwrap_or_default())),
        );
    }
    Ok(lines.join("\n"))
}

fn reload(call: &Call) -> u8 {
    let done = Api::of(call).and_then(|api| {
        api.expect(Method::PUT, "agent/reload", &[], Vec::new())
            .map_err(|fault| format!("Error reloading: {fault}"))
    });
    told(done.map(|_| "Configuration reload triggered".to_owned()))
}

fn leave(call: &Call) -> u8 {
    let words = call.words();
    if !words.is_empty() {
        print_err(&format!("Error found unexpected args: [{}]", words.join(" ")));
        super::print_out(super::usage::command("consul", call.entry).trim_end());
        return FAILED;
    }
    let done = Api::of(call).and_then(|api| {
        api.expect(Method::PUT, "agent/leave", &[], Vec::new())
            .map_err(|fault| format!("Error leaving: {fault}"))
    });
    told(done.map(|_| "Graceful leave complete".to_owned()))
}
