//! `connect ca get-config|set-config`: who signs services' certificates. `connect expose`.

mod expose;

use std::fs;

use clap::Arg;
use reqwest::Method;
use serde_json::Value;

use super::client::{Api, server_flags};
use super::{Call, Entry, boolean, form, json, text, told};
use crate::config::reason;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        path: &["connect", "ca", "get-config"],
        words: "",
        about: "Prints how services' certificates are signed",
        flags: server_flags,
        run: |call| told(get(call)),
    },
    Entry {
        path: &["connect", "ca", "set-config"],
        words: "",
        about: "Changes how services' certificates are signed",
        flags: set_flags,
        run: |call| told(set(call)),
    },
    Entry {
        path: &["connect", "expose"],
        words: "",
        about: "Lets a service be reached through an ingress gateway",
        flags: expose::flags,
        run: |call| told(expose::expose(call)),
    },
];

fn set_flags() -> Vec<Arg> {
    let mut flags = server_flags();
    flags.extend([
        text("config-file", "value", "File of the configuration in JSON. Needed."),
        boolean(
            "force-without-cross-signing",
            "Changes also when the old CA cannot vouch for the new one.",
        ),
    ]);
    flags
}

fn api(call: &Call) -> Result<Api, String> {
    Api::of(call).map_err(|fault| {
        let cause = fault.strip_prefix("Error connecting to Consul agent: ").unwrap_or(&fault);
        format!("Error initializing client: {cause}")
    })
}

fn get(call: &Call) -> Result<String, String> {
    let config: Value = api(call)?
        .get("connect/ca/configuration", &[])
        .map_err(|fault| format!("Error querying CA configuration: {fault}"))?;
    Ok(json::indented(&form::tree("CAConfig", &config), "\t"))
}

fn set(call: &Call) -> Result<String, String> {
    let api = api(call)?;
    let path = call.said("config-file").ok_or("The -config-file flag is required")?;
    let bytes = fs::read(path)
        .map_err(|fault| format!("Error reading config file: open {path}: {}", reason(&fault)))?;
    let config =
        json::read(&bytes).map_err(|fault| format!("Error parsing config file: {fault}"))?;
    let mut config = form::value("CAConfig", &config);
    config["ForceWithoutCrossSigning"] = call.flag("force-without-cross-signing").into();
    let body = json::line(&form::tree("CAConfig", &config));
    let done = api.expect(Method::PUT, "connect/ca/configuration", &[], body);
    done.map_err(|fault| format!("Error setting CA configuration: {fault}"))?;
    Ok("Configuration updated!".to_owned())
}
