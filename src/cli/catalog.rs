//! `catalog datacenters|nodes|services`.

use std::collections::BTreeMap;

use clap::Arg;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::client::{Api, partition_flag, server_flags, tenancy_flags};
use super::table::{columns, pairs};
use super::{Call, Entry, FAILED, boolean, print_err, print_out, text, texts};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        path: &["catalog", "datacenters"],
        words: "",
        about: "Lists the datacenters",
        flags: server_flags,
        run: datacenters,
    },
    Entry {
        path: &["catalog", "nodes"],
        words: "",
        about: "Lists the nodes of a datacenter",
        flags: nodes_flags,
        run: nodes,
    },
    Entry {
        path: &["catalog", "services"],
        words: "",
        about: "Lists the services of a datacenter",
        flags: services_flags,
        run: services,
    },
];

/// How much of a node's id the short list shows.
const ID_SHOWN: usize = 8;
/// Spaces between services and their tags.
const TAGS_GAP: usize = 6;

fn nodes_flags() -> Vec<Arg> {
    let mut flags = server_flags();
    flags.extend([
        boolean("detailed", "Prints whole ids, addresses and meta."),
        text("filter", "string", "An expression that nodes must match."),
        text("near", "string", "Sorts by the round trip to this node."),
        texts("node-meta", "key=value", "A pair that nodes must have. May be given several times."),
        partition_flag(),
        text("service", "id or name", "Nodes that have this service."),
    ]);
    flags
}

fn services_flags() -> Vec<Arg> {
    let mut flags = server_flags();
    flags.extend(tenancy_flags());
    flags.extend([
        text("node", "id or name", "Services of this node."),
        texts(
            "node-meta",
            "key=value",
            "A pair that the services' nodes must have. May be given several times.",
        ),
        boolean("tags", "Prints tags too."),
    ]);
    flags
}

/// A node, or an instance of a service on one: both carry these fields.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Node {
    #[serde(rename = "ID", default)]
    id: String,
    node: String,
    #[serde(default)]
    address: String,
    #[serde(default)]
    datacenter: Option<String>,
    #[serde(default)]
    tagged_addresses: Option<BTreeMap<String, String>>,
    #[serde(default)]
    meta: Option<BTreeMap<String, String>>,
    #[serde(default)]
    node_meta: Option<BTreeMap<String, String>>,
}

/// Prints a list; one that is empty is told on standard error and is no fault.
fn listed(found: Result<Option<String>, String>, what: &str) -> u8 {
    match found {
        Ok(Some(list)) => {
            print_out(&list);
            0
        }
        Ok(None) => {
            print_err(&format!("No {what} match the given query - try expanding your search."));
            0
        }
        Err(fault) => {
            print_err(&fault);
            FAILED
        }
    }
}

/// A read with the pairs that nodes must have, `key=value` turned to the API's `key:value`.
fn fetch<T: DeserializeOwned>(
    call: &Call,
    path: &str,
    query: &[(&str, &str)],
    what: &str,
) -> Result<T, String> {
    let said = call.matches.try_get_many::<String>("node-meta").ok().flatten();
    let metas: Vec<String> =
        said.into_iter().flatten().map(|pair| pair.replacen('=', ":", 1)).collect();
    let metas = metas.iter().map(|pair| ("node-meta", pair.as_str()));
    let query: Vec<(&str, &str)> = query.iter().copied().chain(metas).collect();
    Api::of(call)?.get(path, &query).map_err(|fault| format!("Error listing {what}: {fault}"))
}

fn datacenters(call: &Call) -> u8 {
    let found = call.no_words().and_then(|()| {
        fetch::<Option<Vec<String>>>(call, "catalog/datacenters", &[], "datacenters")
    });
    listed(found.map(|names| Some(names.unwrap_or_default().join("\n"))), "datacenters")
}

fn nodes(call: &Call) -> u8 {
    listed(call.no_words().and_then(|()| found_nodes(call)), "nodes")
}

fn found_nodes(call: &Call) -> Result<Option<String>, String> {
    let mut query = Vec::new();
    for name in ["filter", "near"] {
        query.extend(call.text(name).filter(|text| !text.is_empty()).map(|text| (name, text)));
    }
    let path = call
        .text("service")
        .map_or_else(|| "catalog/nodes".to_owned(), |service| format!("catalog/service/{service}"));
    let mut nodes: Vec<Node> =
        fetch::<Option<_>>(call, &path, &query, "nodes")?.unwrap_or_default();
    if call.text("service").is_some() {
        // One line for a node, however many instances it has.
        let mut seen = std::collections::BTreeSet::new();
        nodes.retain(|node| seen.insert(node.node.clone()));
    }
    let detailed = call.flag("detailed");
    let head: &[&str] = if detailed {
        &["Node", "ID", "Address", "DC", "TaggedAddresses", "Meta"]
    } else {
        &["Node", "ID", "Address", "DC"]
    };
    let mut rows: Vec<Vec<String>> = vec![head.iter().map(|title| (*title).to_owned()).collect()];
    rows.extend(nodes.iter().map(|node| node.row(detailed)));
    Ok((!nodes.is_empty()).then(|| columns(&rows)))
}

// === impl Node ===

impl Node {
    fn row(&self, detailed: bool) -> Vec<String> {
        let id = if detailed { self.id.clone() } else { self.id.chars().take(ID_SHOWN).collect() };
        let mut row = vec![
            self.node.clone(),
            id,
            self.address.clone(),
            self.datacenter.clone().unwrap_or_default(),
        ];
        if detailed {
            row.push(joined(self.tagged_addresses.as_ref()));
            row.push(joined(self.meta.as_ref().or(self.node_meta.as_ref())));
        }
        row
    }
}

fn joined(pairs: Option<&BTreeMap<String, String>>) -> String {
    let pairs: Vec<String> =
        pairs.into_iter().flatten().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join(", ")
}

fn services(call: &Call) -> u8 {
    listed(call.no_words().and_then(|()| found_services(call)), "services")
}

/// A node with its services.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Occupied {
    #[serde(default)]
    services: BTreeMap<String, Instance>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Instance {
    service: String,
    #[serde(default)]
    tags: Option<Vec<String>>,
}

fn found_services(call: &Call) -> Result<Option<String>, String> {
    let mut found: BTreeMap<String, Vec<String>> =
        match call.text("node").filter(|node| !node.is_empty()) {
            None => {
                let found: Option<BTreeMap<String, Option<Vec<String>>>> =
                    fetch(call, "catalog/services", &[], "services")?;
                found
                    .unwrap_or_default()
                    .into_iter()
                    .map(|(name, tags)| (name, tags.unwrap_or_default()))
                    .collect()
            }
            Some(node) => {
                let node: Option<Occupied> =
                    fetch(call, &format!("catalog/node/{node}"), &[], "services")?;
                let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
                for instance in node.map(|node| node.services).unwrap_or_default().into_values() {
                    found
                        .entry(instance.service)
                        .or_default()
                        .extend(instance.tags.unwrap_or_default());
                }
                found
            }
        };
    for tags in found.values_mut() {
        tags.sort();
        tags.dedup();
    }
    let names: Vec<&str> = found.keys().map(String::as_str).collect();
    let list = if call.flag("tags") {
        pairs(
            &found.iter().map(|(name, tags)| (name.clone(), tags.join(","))).collect::<Vec<_>>(),
            TAGS_GAP,
        )
    } else {
        names.join("\n")
    };
    Ok((!found.is_empty()).then_some(list))
}
