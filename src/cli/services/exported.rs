//! `services export|exported-services|imported-services`: services that other clusters see.

use clap::Arg;
use proconsul_compat::filter::{Field, Filter, Kind, Schema};
use reqwest::Method;
use serde_json::{Value, json};

use super::super::client::{Api, agent_flags, partition_flag, server_flags, tenancy_flags};
use super::super::go::{items, number, text, texts};
use super::super::json as go_json;
use super::super::table::columns;
use super::super::{Call, Entry, form, text as text_flag, told};

/// What may be asked of a service that peers see.
static EXPORTED: Schema = Schema {
    fields: &[
        Field::new("Service", Kind::Text),
        Field::new("Partition", Kind::Text),
        Field::new("Namespace", Kind::Text),
        Field::new(
            "Consumers",
            Kind::Record(&[
                Field::new("Peers", Kind::Texts),
                Field::new("Partitions", Kind::Texts),
            ]),
        ),
    ],
};

/// What may be asked of a service that a peer shows.
static IMPORTED: Schema = Schema {
    fields: &[
        Field::new("Service", Kind::Text),
        Field::new("Partition", Kind::Text),
        Field::new("Namespace", Kind::Text),
        Field::new("SourcePeer", Kind::Text),
        Field::new("SourcePartition", Kind::Text),
    ],
};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        path: &["services", "export"],
        words: "",
        about: "Lets peers see a service",
        flags: export_flags,
        run: |call| told(export(call)),
    },
    Entry {
        path: &["services", "exported-services"],
        words: "",
        about: "Lists the services that peers see",
        flags: list_flags,
        run: |call| told(exported(call)),
    },
    Entry {
        path: &["services", "imported-services"],
        words: "",
        about: "Lists the services that peers show",
        flags: list_flags,
        run: |call| told(imported(call)),
    },
];

fn export_flags() -> Vec<Arg> {
    let mut flags = agent_flags();
    flags.extend(tenancy_flags());
    flags.extend([
        text_flag("name", "string", "Name of the service. Needed."),
        text_flag("consumer-peers", "string", "Names of peers, with commas between them."),
        text_flag("consumer-partitions", "string", "(enterprise) Names of partitions."),
    ]);
    flags
}

fn list_flags() -> Vec<Arg> {
    let mut flags = server_flags();
    flags.extend([
        partition_flag(),
        text_flag("filter", "string", "An expression that services must match."),
        text_flag("format", "string", "`pretty` or `json`.").default_value("pretty"),
    ]);
    flags
}

fn api(call: &Call) -> Result<Api, String> {
    Api::of(call).map_err(|fault| fault.replacen("Error connecting", "Error connect", 1))
}

/// Names with commas between them; none may be empty.
fn names<'a>(call: &'a Call, flag: &str, what: &str) -> Result<Vec<&'a str>, String> {
    let names: Vec<&str> = call.said(flag).map_or(Vec::new(), |list| list.split(',').collect());
    if names.iter().any(|name| name.is_empty()) {
        return Err(format!("Invalid {what} \"\""));
    }
    Ok(names)
}

fn export(call: &Call) -> Result<String, String> {
    let service = call.said("name").ok_or("Missing the required -name flag")?;
    let (peers, partitions) = (call.said("consumer-peers"), call.said("consumer-partitions"));
    if peers.or(partitions).is_none() {
        return Err("Missing the required -consumer-peers or -consumer-partitions flag".to_owned());
    }
    let peer_names = names(call, "consumer-peers", "peer")?;
    let partition_names = names(call, "consumer-partitions", "partition")?;
    let api = api(call)?;
    let name = call.said("partition").unwrap_or("default");
    let found = api.find(&format!("config/exported-services/{name}"));
    let found = found.map_err(|fault| {
        format!("Error reading config entry exported-services/default: {fault}")
    })?;
    let mut entry = found.unwrap_or_else(|| json!({ "Name": name, "Services": [] }));
    entry["Kind"] = "exported-services".into();
    let namespace = call.said("namespace").unwrap_or("");
    add(&mut entry, (service, namespace), &peer_names, &partition_names);
    let index = number(&entry, "ModifyIndex").to_string();
    let body = go_json::line(&form::tree("exported-services", &entry));
    let answer = api.expect(Method::PUT, "config", &[("cas", &index)], body);
    let answer = answer.map_err(|fault| format!("Error writing config entry: {fault}"))?;
    if !answer.says_true() {
        return Err("Config entry was changed during update. Please try again".to_owned());
    }
    let (peers, partitions) = (peers.unwrap_or(""), partitions.unwrap_or(""));
    let to = match (peers.is_empty(), partitions.is_empty()) {
        (false, false) => format!("cluster peers {peers:?} and to partitions {partitions:?}"),
        (false, true) => format!("cluster peers {peers:?}"),
        (true, _) => format!("partitions {partitions:?}"),
    };
    Ok(format!("Successfully exported service {service:?} to {to}"))
}

/// Adds consumers to a service of the entry, and the service when it is not there.
fn add(entry: &mut Value, (service, namespace): (&str, &str), peers: &[&str], partitions: &[&str]) {
    let mut services = items(entry, "Services").to_vec();
    let is_it = |one: &Value| text(one, "Name") == service && text(one, "Namespace") == namespace;
    if !services.iter().any(is_it) {
        services.push(json!({ "Name": service, "Namespace": namespace, "Consumers": [] }));
    }
    for one in services.iter_mut().filter(|one| is_it(one)) {
        let mut consumers = items(one, "Consumers").to_vec();
        for (field, names) in [("Peer", peers), ("Partition", partitions)] {
            for name in names {
                if !consumers.iter().any(|consumer| text(consumer, field) == *name) {
                    consumers.push(json!({ field: name }));
                }
            }
        }
        one["Consumers"] = consumers.into();
    }
    entry["Services"] = services.into();
}

/// Checks the flags of a list before anybody is asked.
fn format(call: &Call) -> Result<&str, String> {
    let format = call.text("format").unwrap_or("pretty");
    if !matches!(format, "pretty" | "json") {
        return Err("Invalid format, valid formats are {pretty|json}".to_owned());
    }
    Ok(format)
}

/// Those of the services that match the filter, if there is one.
fn filtered(call: &Call, found: Value, schema: &'static Schema) -> Result<Vec<Value>, String> {
    let Value::Array(mut services) = found else { return Ok(Vec::new()) };
    let Some(expression) = call.said("filter") else { return Ok(services) };
    let filter = Filter::compile(expression, schema).map_err(|fault| {
        format!(
            "Error while creating filter: Failed to create boolean expression evaluator: {fault}"
        )
    })?;
    let matching: Result<Vec<bool>, _> = services.iter().map(|one| filter.matches(one)).collect();
    let matching = matching.map_err(|fault| format!("Error while filtering response: {fault}"))?;
    let mut matching = matching.into_iter();
    services.retain(|_| matching.next() == Some(true));
    Ok(services)
}

fn exported(call: &Call) -> Result<String, String> {
    let format = format(call)?;
    let found: Value = api(call)?
        .get("exported-services", &[])
        .map_err(|fault| format!("Error reading exported services: {fault}"))?;
    let services = filtered(call, found, &EXPORTED)?;
    if services.is_empty() {
        return Ok("No exported services found".to_owned());
    }
    if format == "json" {
        return Ok(go_json::indented(
            &form::tree("[]ResolvedExportedService", &services.into()),
            "    ",
        ));
    }
    let mut rows = vec![vec!["Service".to_owned(), "Consumer Peers".to_owned()]];
    rows.extend(services.iter().map(|one| {
        let peers = one.get("Consumers").map_or(Vec::new(), |to| texts(to, "Peers"));
        vec![text(one, "Service").to_owned(), peers.join(", ")]
    }));
    Ok(columns(&rows))
}

fn imported(call: &Call) -> Result<String, String> {
    let format = format(call)?;
    let found: Value = api(call)?
        .get("imported-services", &[])
        .map_err(|fault| format!("Error reading imported services: {fault}"))?;
    let services = filtered(call, found, &IMPORTED)?;
    if services.is_empty() {
        return Ok("No imported services found".to_owned());
    }
    if format == "json" {
        return Ok(go_json::indented(&form::tree("[]ImportedService", &services.into()), "    "));
    }
    let mut rows = vec![vec!["Service".to_owned(), "Source Peer".to_owned()]];
    rows.extend(
        services
            .iter()
            .map(|one| vec![text(one, "Service").to_owned(), text(one, "SourcePeer").to_owned()]),
    );
    Ok(columns(&rows))
}
