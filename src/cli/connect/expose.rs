//! `connect expose`: lets an ingress gateway reach a service, and tells it to.

use clap::Arg;
use reqwest::Method;
use serde_json::{Value, json};

use super::super::client::{Api, server_flags};
use super::super::go::{items, number, text};
use super::super::intention::{exact, target};
use super::super::json as go_json;
use super::super::{Call, form, integer, print_out, text as text_flag, texts};
use super::api;

/// The kind of a gateway's entry.
const KIND: &str = "ingress-gateway";

pub(super) fn flags() -> Vec<Arg> {
    let mut flags = server_flags();
    flags.extend([
        texts("host", "value", "A further name of the service. May be given several times."),
        text_flag("ingress-gateway", "string", "Name of the gateway. Needed."),
        integer("port", "Port on which the gateway listens. Needed."),
        text_flag("protocol", "string", "Protocol of the service.").default_value("tcp"),
        text_flag("service", "string", "Name of the service. Needed."),
    ]);
    flags
}

/// What is to be exposed, and where.
struct Wish<'a> {
    gateway: [&'a str; 3],
    service: [&'a str; 3],
    port: i64,
}

fn wish(call: &Call) -> Result<Wish<'_>, String> {
    let service =
        call.said("service").ok_or("A service name must be given via the -service flag.")?;
    let service = target(service).map_err(|fault| format!("Invalid service name: {fault}"))?;
    let gateway = call
        .said("ingress-gateway")
        .ok_or("An ingress gateway service must be given via the -ingress-gateway flag.")?;
    let gateway =
        target(gateway).map_err(|fault| format!("Invalid ingress gateway name: {fault}"))?;
    match call.integer("port") {
        0 => Err("A port must be provided via the -port flag.".to_owned()),
        port => Ok(Wish { gateway, service, port }),
    }
}

/// Adds the service to the gateway's entry, and an intention beside it.
///
/// # Errors
/// Flags that are missing or contradict the entry, and what the agent refuses.
pub(super) fn expose(call: &Call) -> Result<String, String> {
    let api = api(call)?;
    let wish = wish(call)?;
    let [partition, namespace, gateway] = wish.gateway;
    let tenancy: Vec<(&str, &str)> = [("ns", namespace), ("partition", partition)]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .collect();
    let mut entry = current(&api, gateway, &tenancy)?.unwrap_or_else(
        || json!({ "Name": gateway, "Namespace": namespace, "Partition": partition }),
    );
    entry["Kind"] = KIND.into();
    listen(call, &wish, &mut entry)?;
    let index = number(&entry, "ModifyIndex").to_string();
    let query = [&tenancy[..], &[("cas", index.as_str())]].concat();
    let body = go_json::line(&form::tree(KIND, &entry));
    let answer = api.expect(Method::PUT, "config", &query, body);
    let answer = answer.map_err(|fault| format!("Error writing ingress config entry: {fault}"))?;
    if !answer.says_true() {
        return Err(
            "Ingress config entry was changed while attempting to update, please try again."
                .to_owned(),
        );
    }
    print_out(&format!("Successfully updated config entry for ingress service {gateway:?}"));
    intend(call, &api, &wish)
}

/// The gateway's entry, if it has one.
fn current(api: &Api, gateway: &str, tenancy: &[(&str, &str)]) -> Result<Option<Value>, String> {
    let path = format!("config/{KIND}/{gateway}");
    let failed = |fault| format!("Error fetching existing ingress gateway configuration: {fault}");
    let answer = api.ask(Method::GET, &path, tenancy, Vec::new()).map_err(failed)?;
    match answer.status {
        200 => answer.json().map(|entry| Some(form::value(KIND, &entry))).map_err(failed),
        404 => Ok(None),
        _ => Err(failed(super::super::client::unexpected(&answer))),
    }
}

/// Puts the service behind the listener of the port.
fn listen(call: &Call, wish: &Wish<'_>, entry: &mut Value) -> Result<(), String> {
    let protocol = call.text("protocol").unwrap_or("");
    let [partition, namespace, service] = wish.service;
    let hosts = call.texts("host");
    let hosts = if hosts.is_empty() { Value::Null } else { json!(hosts) };
    let exposed = json!({
        "Name": service, "Namespace": namespace, "Partition": partition, "Hosts": hosts,
    });
    let mut listeners = items(entry, "Listeners").to_vec();
    let found = listeners.iter_mut().find(|one| one["Port"].as_i64() == Some(wish.port));
    if let Some(listener) = found {
        let own = text(listener, "Protocol");
        if own != protocol {
            let port = wish.port;
            return Err(format!(
                "Listener on port {port} already configured with conflicting protocol {own:?}"
            ));
        }
        let mut services = items(listener, "Services").to_vec();
        let same = |one: &Value| {
            text(one, "Name") == service
                && alike(text(one, "Namespace"), namespace)
                && alike(text(one, "Partition"), partition)
        };
        match services.iter().position(same) {
            Some(place) => {
                print_out(&format!(
                    "Updating service definition for {:?} on listener with port {}",
                    call.text("service").unwrap_or(""),
                    wish.port
                ));
                services[place] = exposed;
            }
            None => services.push(exposed),
        }
        listener["Services"] = services.into();
    } else {
        listeners.push(json!({ "Port": wish.port, "Protocol": protocol, "Services": [exposed] }));
    }
    entry["Listeners"] = listeners.into();
    Ok(())
}

/// Whether two tenancies are the same; none means the usual one.
fn alike(one: &str, other: &str) -> bool {
    let usual =
        |name: &str| if name.is_empty() { "default".to_owned() } else { name.to_lowercase() };
    usual(one) == usual(other)
}

/// Allows the gateway to reach the service, unless it may already.
fn intend(call: &Call, api: &Api, wish: &Wish<'_>) -> Result<String, String> {
    let said = |flag: &str| call.text(flag).unwrap_or("").to_owned();
    let (gateway, service) = (said("ingress-gateway"), said("service"));
    let existing = exact(api, &gateway, &service)
        .map_err(|fault| format!("Error looking up existing intention: {fault}"))?;
    if existing.is_some_and(|intention| text(&intention, "Action") == "allow") {
        return Ok(format!("Intention already exists for {gateway:?} -> {service:?}"));
    }
    let ([source_partition, source_namespace, source], [partition, namespace, destination]) =
        (wish.gateway, wish.service);
    let intention = json!({
        "SourceName": source, "SourceNS": source_namespace, "SourcePartition": source_partition,
        "DestinationName": destination, "DestinationNS": namespace,
        "DestinationPartition": partition, "SourceType": "consul", "Action": "allow",
    });
    let query = [("source", gateway.as_str()), ("destination", service.as_str())];
    let body = go_json::line(&form::tree("Intention", &intention));
    let done = api.expect(Method::PUT, "connect/intentions/exact", &query, body);
    done.map_err(|fault| format!("Error upserting intention: {fault}"))?;
    Ok(format!("Successfully set up intention for {gateway:?} -> {service:?}"))
}
