//! `services register|deregister`.

mod exported;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Arg, value_parser};
use proconsul_anchors::node::definition::CheckDefinition;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::client::{Api, all_flags};
use super::{Call, Entry, FAILED, form, print_err, text, texts, told};
use crate::config::{Config, Host, ServiceEntry, Sources, check_fields, service_fields};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        path: &["services", "deregister"],
        words: "[FILE...]",
        about: "Removes services from the agent, by id or by the files that define them",
        flags: deregister_flags,
        run: deregister,
    },
    Entry {
        path: &["services", "register"],
        words: "[FILE...]",
        about: "Registers services with the agent, from flags or from files of configuration",
        flags: register_flags,
        run: register,
    },
];

/// Those that other clusters see.
pub(super) const EXPORTED: &[Entry] = exported::ENTRIES;

fn deregister_flags() -> Vec<Arg> {
    let mut flags = all_flags();
    flags.push(text("id", "string", "Id of the service to remove."));
    flags
}

fn register_flags() -> Vec<Arg> {
    let mut flags = all_flags();
    flags.extend([
        text("address", "string", "Address of the service."),
        text("id", "string", "Id of the service; by default its name."),
        text("kind", "string", "Kind of the service."),
        texts("meta", "key=value", "A pair of meta. May be given several times."),
        text("name", "string", "Name of the service."),
        text("port", "int", "Port of the service.").value_parser(value_parser!(i64)),
        text("socket", "string", "Path of a Unix socket instead of an address and port."),
        texts("tag", "value", "A tag. May be given several times."),
        texts(
            "tagged-address",
            "key=value",
            "`name=address:port`, an address for a purpose. May be given several times.",
        ),
    ]);
    flags
}

/// The services of files, read as the agent reads them.
fn from_files(files: &[&str]) -> Result<Vec<ServiceEntry>, String> {
    let sources = Sources {
        paths: files.iter().map(PathBuf::from).collect(),
        dev: true,
        ..Sources::default()
    };
    let loaded = Config::load(&sources, &Host::ask()).map_err(|fault| format!("Error: {fault}"))?;
    for warning in &loaded.warnings {
        print_err(warning);
    }
    Ok(loaded.config.services)
}

fn register(call: &Call) -> u8 {
    let words = call.words();
    let name = call.text("name").unwrap_or("");
    let services = match (words.is_empty(), name.is_empty()) {
        (true, true) => {
            Err("Service registration requires at least one argument or flags.".to_owned())
        }
        (false, false) => {
            Err("Service registration requires arguments or -id, not both.".to_owned())
        }
        (true, false) => from_flags(call, name).map(|body| vec![(name.to_owned(), body)]),
        (false, true) => from_files(&words).map(|services| {
            services.iter().map(|one| (one.service().name.as_str().to_owned(), body(one))).collect()
        }),
    };
    each(call, services, |api, name, body| {
        let done =
            api.expect(Method::PUT, "agent/service/register", &[], body.to_string().into_bytes());
        done.map_err(|fault| format!("Error registering service {name:?}: {fault}"))?;
        Ok(format!("Registered service: {name}"))
    })
}

fn deregister(call: &Call) -> u8 {
    let words = call.words();
    let id = call.text("id").unwrap_or("");
    let services = match (words.is_empty(), id.is_empty()) {
        (true, true) => {
            Err("Service deregistration requires at least one argument or -id.".to_owned())
        }
        (false, false) => {
            Err("Service deregistration requires arguments or -id, not both.".to_owned())
        }
        (true, false) => Ok(vec![(String::new(), Value::from(id))]),
        (false, true) => from_files(&words).map(|services| services.iter().map(named).collect()),
    };
    each(call, services, |api, name, id| {
        let id = id.as_str().unwrap_or_default();
        let done =
            api.expect(Method::PUT, &format!("agent/service/deregister/{id}"), &[], Vec::new());
        done.map_err(|fault| format!("Error deregistering service {name:?}: {fault}"))?;
        Ok(format!("Deregistered service: {id}"))
    })
}

fn named(entry: &ServiceEntry) -> (String, Value) {
    let service = entry.service();
    let id = if service.id.as_str().is_empty() { &service.name } else { &service.id };
    (service.name.as_str().to_owned(), Value::from(id.as_str()))
}

/// Does the same with each service; the first fault ends it.
fn each(
    call: &Call,
    services: Result<Vec<(String, Value)>, String>,
    act: impl Fn(&Api, &str, &Value) -> Result<String, String>,
) -> u8 {
    let ready = services.and_then(|services| Ok((Api::of(call)?, services)));
    match ready {
        Err(fault) => {
            print_err(&fault);
            FAILED
        }
        Ok((api, services)) => services
            .iter()
            .map(|(name, about)| told(act(&api, name, about)))
            .find(|code| *code != 0)
            .unwrap_or(0),
    }
}

/// The body of a registration from flags, without what is not said.
fn from_flags(call: &Call, name: &str) -> Result<Value, String> {
    let pair =
        |pair: &&str| pair.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    let meta: BTreeMap<String, String> = call.texts("meta").iter().filter_map(pair).collect();
    let tagged = call.texts("tagged-address");
    let tagged = tagged.iter().filter_map(pair).map(|(key, value)| Ok((key, address(&value)?)));
    let tagged: Map<String, Value> = tagged.collect::<Result<_, String>>()?;
    Ok(without_empty(json!({
        "Kind": call.text("kind").unwrap_or(""), "ID": call.text("id").unwrap_or(""), "Name": name, "Tags": call.texts("tag"),
        "Port": call.matches.get_one::<i64>("port").copied().unwrap_or(0), "Address": call.text("address").unwrap_or(""),
        "SocketPath": call.text("socket").unwrap_or(""), "TaggedAddresses": tagged, "Meta": meta,
    })))
}

fn address(text: &str) -> Result<Value, String> {
    let (address, port) = text.rsplit_once(':').unwrap_or((text, "0"));
    let port: i64 =
        port.parse().map_err(|_| format!("Error: invalid port in -tagged-address {text:?}"))?;
    Ok(json!({ "Address": address.trim_matches(['[', ']']), "Port": port }))
}

/// The body of a registration from a definition.
fn body(entry: &ServiceEntry) -> Value {
    let mut body = service_fields(entry.service());
    let checks = entry.definition.checks.iter().map(check).collect();
    let proxy = form::from_file("AgentServiceConnectProxyConfig", &json!(entry.proxy));
    let connect = form::from_file("AgentServiceConnect", &json!(entry.connect));
    for (name, value) in [("Checks", Value::Array(checks)), ("Proxy", proxy), ("Connect", connect)]
    {
        body.insert(name.to_owned(), value);
    }
    without_empty(Value::Object(body))
}

fn check(check: &CheckDefinition) -> Value {
    let mut body = check_fields(check);
    body.insert("CheckID".to_owned(), check.id.as_ref().into());
    without_empty(Value::Object(body))
}

/// An object without the fields that say nothing.
fn without_empty(mut object: Value) -> Value {
    if let Value::Object(fields) = &mut object {
        fields.retain(|_, value| match value {
            Value::Null | Value::Bool(false) => false,
            Value::String(text) => !text.is_empty(),
            Value::Array(items) => !items.is_empty(),
            Value::Object(fields) => !fields.is_empty(),
            Value::Number(number) => number.as_i64() != Some(0),
            Value::Bool(true) => true,
        });
    }
    object
}
