//! `maint`: takes a node or a service out of service for a while.

use std::fmt::Write as _;

use clap::Arg;
use reqwest::Method;
use serde_json::Value;

use super::client::{Api, agent_flags};
use super::go::text;
use super::{Call, Entry, boolean, text as text_flag, told, told_if_any};

pub(super) const ENTRIES: &[Entry] = &[Entry {
    path: &["maint"],
    words: "",
    about: "Lists, begins or ends maintenance",
    flags,
    run,
}];

/// The check that keeps a whole node out.
const NODE: &str = "_node_maintenance";
/// What the checks that keep a service out begin with.
const SERVICE: &str = "_service_maintenance:";

fn flags() -> Vec<Arg> {
    let mut flags = agent_flags();
    flags.extend([
        boolean("disable", "Ends the maintenance."),
        boolean("enable", "Begins a maintenance."),
        text_flag("reason", "string", "Why it begins."),
        text_flag("service", "string", "Id of a service; by default the whole node."),
    ]);
    flags
}

fn run(call: &Call) -> u8 {
    let (enable, disable) = (call.flag("enable"), call.flag("disable"));
    if enable && disable {
        return told(Err("Only one of -enable or -disable may be provided".to_owned()));
    }
    if !enable && call.said("reason").is_some() {
        return told(Err("Reason may only be provided with -enable".to_owned()));
    }
    if enable || disable {
        return told(set(call, enable));
    }
    if call.said("service").is_some() {
        return told(Err("Service requires either -enable or -disable".to_owned()));
    }
    told_if_any(list(call))
}

fn set(call: &Call, enable: bool) -> Result<String, String> {
    let api = Api::of(call)?;
    let service = call.said("service");
    let path = service
        .map_or("agent/maintenance".to_owned(), |id| format!("agent/service/maintenance/{id}"));
    let reason = call.text("reason").unwrap_or("");
    let query: &[(&str, &str)] = match enable {
        true => &[("enable", "true"), ("reason", reason)],
        false => &[("enable", "false")],
    };
    let what = if service.is_some() { "service" } else { "node" };
    let verb = if enable { "enabling" } else { "disabling" };
    let done = api.tell(Method::PUT, &path, query);
    done.map_err(|fault| format!("Error {verb} {what} maintenance: {fault}"))?;
    let state = if enable { "enabled" } else { "disabled" };
    Ok(match service {
        Some(id) => format!("Service maintenance is now {state} for {id:?}"),
        None => format!("Node maintenance is now {state}"),
    })
}

fn list(call: &Call) -> Result<String, String> {
    let api = Api::of(call)?;
    let own: Value = api
        .get("agent/self", &[])
        .map_err(|fault| format!("Error querying Consul agent: {fault}"))?;
    let checks: Value =
        api.get("agent/checks", &[]).map_err(|fault| format!("Error getting checks: {fault}"))?;
    let mut told = String::new();
    for (id, check) in checks.as_object().into_iter().flatten() {
        let (title, key, name) = if id == NODE {
            ("Node", "Name:  ", text(&own["Config"], "NodeName"))
        } else if id.starts_with(SERVICE) {
            ("Service", "ID:    ", text(check, "ServiceID"))
        } else {
            continue;
        };
        let reason = text(check, "Notes");
        let _never_fails = writeln!(told, "{title}:\n  {key} {name}\n  Reason: {reason}\n");
    }
    // The last line's end is put there by whoever prints.
    told.pop();
    Ok(told)
}
