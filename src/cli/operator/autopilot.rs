//! `operator autopilot get-config|set-config|state`.

use std::fmt::Write as _;

use clap::Arg;
use reqwest::Method;
use serde_json::Value;

use super::super::client::server_flags;
use super::super::go::{Span, flag, number, text, texts};
use super::super::{Call, Entry, FAILED, boolean, form, json, print_err, print_out};
use super::super::{span, text as text_flag, told, told_if_any};
use super::api;
use crate::config::SETTINGS;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        path: &["operator", "autopilot", "get-config"],
        words: "",
        about: "Prints how servers are looked after",
        flags: server_flags,
        run: |call| told(get(call)),
    },
    Entry {
        path: &["operator", "autopilot", "set-config"],
        words: "",
        about: "Changes how servers are looked after",
        flags: set_flags,
        run: set,
    },
    Entry {
        path: &["operator", "autopilot", "state"],
        words: "",
        about: "Prints the servers' health",
        flags: state_flags,
        run: |call| told_if_any(state(call)),
    },
];

fn set_flags() -> Vec<Arg> {
    let number = |name, help| super::super::number(name, help).help_heading(SETTINGS);
    let mut flags = server_flags();
    flags.extend([
        boolean("cleanup-dead-servers", "Removes dead servers when new ones come.")
            .help_heading(SETTINGS),
        number("max-trailing-logs", "How many entries a healthy server may be behind."),
        number("min-quorum", "Servers below which none is removed."),
        span("last-contact-threshold", "How long a healthy server may be out of contact.")
            .help_heading(SETTINGS),
        span("server-stabilization-time", "How long a new server must be healthy.")
            .help_heading(SETTINGS),
        text_flag("redundancy-zone-tag", "value", "(enterprise) Name of the zones' meta."),
        boolean("disable-upgrade-migration", "(enterprise) Does not wait for new versions.")
            .help_heading(SETTINGS),
        text_flag("upgrade-version-tag", "value", "(enterprise) Name of the versions' meta."),
    ]);
    flags
}

fn state_flags() -> Vec<Arg> {
    let mut flags = server_flags();
    flags.push(text_flag("format", "string", "`pretty` or `json`.").default_value("pretty"));
    flags
}

const PATH: &str = "operator/autopilot/configuration";

fn now(call: &Call) -> Result<Value, String> {
    let config: Value = api(call)?
        .get(PATH, &[])
        .map_err(|fault| format!("Error querying Autopilot configuration: {fault}"))?;
    Ok(form::value("AutopilotConfiguration", &config))
}

fn get(call: &Call) -> Result<String, String> {
    let config = now(call)?;
    let lines = [
        format!("CleanupDeadServers = {}", flag(&config, "CleanupDeadServers")),
        format!("LastContactThreshold = {}", text(&config, "LastContactThreshold")),
        format!("MaxTrailingLogs = {}", number(&config, "MaxTrailingLogs")),
        format!("MinQuorum = {}", number(&config, "MinQuorum")),
        format!("ServerStabilizationTime = {}", text(&config, "ServerStabilizationTime")),
        format!("RedundancyZoneTag = {:?}", text(&config, "RedundancyZoneTag")),
        format!("DisableUpgradeMigration = {}", flag(&config, "DisableUpgradeMigration")),
        format!("UpgradeVersionTag = {:?}", text(&config, "UpgradeVersionTag")),
    ];
    Ok(lines.join("\n"))
}

fn set(call: &Call) -> u8 {
    match changed(call) {
        Ok(true) => told(Ok("Configuration updated!".to_owned())),
        Ok(false) => {
            print_out("Configuration could not be atomically updated, please try again");
            FAILED
        }
        Err(fault) => {
            print_err(&fault);
            FAILED
        }
    }
}

/// Changes what the flags tell, unless somebody else changed it in between.
fn changed(call: &Call) -> Result<bool, String> {
    let mut config = now(call)?;
    for (name, field) in [
        ("cleanup-dead-servers", "CleanupDeadServers"),
        ("disable-upgrade-migration", "DisableUpgradeMigration"),
    ] {
        if call.is_given(name) {
            config[field] = call.flag(name).into();
        }
    }
    for (name, field) in
        [("redundancy-zone-tag", "RedundancyZoneTag"), ("upgrade-version-tag", "UpgradeVersionTag")]
    {
        if let Some(said) = call.text(name) {
            config[field] = said.into();
        }
    }
    for (name, field) in [("max-trailing-logs", "MaxTrailingLogs"), ("min-quorum", "MinQuorum")] {
        if call.is_given(name) {
            config[field] = call.number(name).into();
        }
    }
    for (name, field) in [
        ("last-contact-threshold", "LastContactThreshold"),
        ("server-stabilization-time", "ServerStabilizationTime"),
    ] {
        if let Some(Span(nanos)) = call.matches.get_one::<Span>(name) {
            config[field] = (*nanos).into();
        }
    }
    let index = number(&config, "ModifyIndex").to_string();
    let body = json::line(&form::tree("AutopilotConfiguration", &config));
    let answer = api(call)?.expect(Method::PUT, PATH, &[("cas", &index)], body);
    let answer =
        answer.map_err(|fault| format!("Error setting Autopilot configuration: {fault}"))?;
    Ok(answer.says_true())
}

fn state(call: &Call) -> Result<String, String> {
    let state: Value = api(call)?
        .get("operator/autopilot/state", &[])
        .map_err(|fault| format!("Error querying Autopilot state: {fault}"))?;
    match call.text("format") {
        Some("pretty") | None => Ok(pretty(&form::value("AutopilotState", &state))),
        Some("json") => Ok(json::indented(&form::tree("AutopilotState", &state), "    ")),
        Some(other) => Err(format!("Unknown format: {other}")),
    }
}

/// The lists of an upgrade and their titles.
const UPGRADE: [(&str, &str); 6] = [
    ("TargetVersionVoters", "Target Version Voters"),
    ("TargetVersionNonVoters", "Target Version Non-Voters"),
    ("TargetVersionReadReplicas", "Target Version ReadReplicas"),
    ("OtherVersionVoters", "Other Version Voters"),
    ("OtherVersionNonVoters", "Other Version Non-Voters"),
    ("OtherVersionReadReplicas", "Other Version ReadReplicas"),
];

fn lines(indent: &str, words: &[&str]) -> String {
    words.iter().map(|word| format!("{indent}{word}\n")).collect()
}

/// The state for people.
fn pretty(state: &Value) -> String {
    let mut told = format!(
        "Healthy:                      {}\nFailure Tolerance:            {}\nOptimistic Failure Tolerance: {}\nLeader:                       {}\n\
         Voters:\n{}",
        flag(state, "Healthy"),
        number(state, "FailureTolerance"),
        number(state, "OptimisticFailureTolerance"),
        text(state, "Leader"),
        lines("   ", &texts(state, "Voters")),
    );
    let replicas = texts(state, "ReadReplicas");
    if !replicas.is_empty() {
        told.push_str(&format!("Read Replicas:\n{}", lines("   ", &replicas)));
    }
    if let Some(zones) = state.get("RedundancyZones").and_then(Value::as_object) {
        told.push_str("Redundancy Zones:\n");
        told.extend(zones.iter().map(|(name, one)| zone(name, one)));
    }
    if let Some(one) = state.get("Upgrade").filter(|one| one.is_object()) {
        told.push_str(&upgrade(one));
    }
    told.push_str("Servers:\n");
    let servers = state.get("Servers").and_then(Value::as_object);
    told.extend(servers.into_iter().flat_map(|servers| servers.values()).map(server));
    told
}

fn zone(name: &str, zone: &Value) -> String {
    format!(
        "   {name}:\n      Failure Tolerance: {}\n      Voters:\n{}      Servers:\n{}",
        number(zone, "FailureTolerance"),
        lines("         ", &texts(zone, "Voters")),
        lines("         ", &texts(zone, "Servers"))
    )
}

fn upgrade(one: &Value) -> String {
    let mut told = format!(
        "Upgrade:\n   Status:         {}\n   Target Version: {}\n",
        text(one, "Status"),
        text(one, "TargetVersion")
    );
    for (field, title) in UPGRADE {
        let servers = texts(one, field);
        if !servers.is_empty() {
            told.push_str(&format!("   {title}:\n{}", lines("      ", &servers)));
        }
    }
    told
}

fn server(server: &Value) -> String {
    let mut told = format!("   {}\n", text(server, "ID"));
    let mut tell = |name: &str, value: &str| {
        let _never_fails = writeln!(told, "      {name:16} {value}");
    };
    tell("Name:", text(server, "Name"));
    tell("Address:", text(server, "Address"));
    tell("Version:", text(server, "Version"));
    tell("Status:", text(server, "Status"));
    tell("Node Type:", text(server, "NodeType"));
    tell("Node Status:", text(server, "NodeStatus"));
    tell("Healthy:", &flag(server, "Healthy").to_string());
    tell("Last Contact:", text(server, "LastContact"));
    tell("Last Term:", &number(server, "LastTerm").to_string());
    tell("Last Index:", &number(server, "LastIndex").to_string());
    for (name, field) in
        [("Redundancy Zone:", "RedundancyZone"), ("Upgrade Version:", "UpgradeVersion")]
    {
        if !text(server, field).is_empty() {
            tell(name, text(server, field));
        }
    }
    if flag(server, "ReadReplica") {
        tell("Read Replica:", "true");
    }
    if let Some(meta) = server.get("Meta").and_then(Value::as_object).filter(|it| !it.is_empty()) {
        told.push_str("      Meta\n");
        for (name, value) in meta {
            let value = value.as_str().unwrap_or_default();
            let _never_fails = writeln!(told, "         {name:?}: {value:?}");
        }
    }
    told
}
