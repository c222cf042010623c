//! `operator usage instances`: how many services there are.

use std::collections::BTreeMap;

use clap::Arg;
use serde::Deserialize;

use super::super::client::{Api, server_flags};
use super::super::table::tabs;
use super::super::{Call, Entry, boolean, told};

pub(super) const ENTRIES: &[Entry] = &[Entry {
    path: &["operator", "usage", "instances"],
    words: "",
    about: "Counts services, their instances and the nodes",
    flags,
    run: |call| told(instances(call)),
}];

/// Spaces between columns.
const GAP: usize = 6;

fn flags() -> Vec<Arg> {
    let mut flags = server_flags();
    flags.extend([
        boolean("all-datacenters", "Counts in every datacenter."),
        boolean("billable", "Counts what the enterprise edition would bill, and nodes, only."),
        boolean("connect", "Counts Connect's instances only."),
    ]);
    flags
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(default)]
    usage: Option<BTreeMap<String, Counts>>,
}

/// What a datacenter counts.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Counts {
    nodes: u64,
    services: u64,
    connect_service_instances: BTreeMap<String, u64>,
    billable_service_instances: u64,
}

fn instances(call: &Call) -> Result<String, String> {
    call.no_words()?;
    let (billable, connect) = (call.flag("billable"), call.flag("connect"));
    if billable && connect {
        return Err("Cannot specify both -billable and -connect flags".to_owned());
    }
    let everywhere = call.flag("all-datacenters");
    let query: &[(&str, &str)] = if everywhere { &[("global", "")] } else { &[] };
    let answer: Answer = Api::of(call)?
        .get("operator/usage", query)
        .map_err(|fault| format!("Error fetching usage information: {fault}"))?;
    let usage = answer.usage.unwrap_or_default();
    let mut told = Vec::new();
    if !connect {
        let total: u64 = usage.values().map(|counts| counts.billable_service_instances).sum();
        told.push(format!("Billable Service Instances Total: {total}"));
        told.extend(usage.iter().map(|(place, counts)| {
            format!("{place} Billable Service Instances: {}", counts.billable_service_instances)
        }));
        told.push("\nBillable Services".to_owned());
        told.push(format!("{}\n", services(&usage, everywhere)));
        told.push(format!("\nNodes\n{}\n\n", nodes(&usage)));
    }
    if !billable {
        told.push(format!("Connect Services\n{}", connects(&usage, everywhere)));
    }
    Ok(told.join("\n"))
}

fn line(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|cell| (*cell).to_owned()).collect()
}

/// A table in Consul's columns, without space around it.
fn table(lines: &[Vec<String>]) -> String {
    tabs(lines, 0, GAP).trim().to_owned()
}

fn nodes(usage: &BTreeMap<String, Counts>) -> String {
    let mut lines = vec![line(&["Datacenter", "Count", "", ""])];
    lines.extend(usage.iter().map(|(place, counts)| line(&[place, &counts.nodes.to_string()])));
    let total: u64 = usage.values().map(|counts| counts.nodes).sum();
    lines.extend([line(&["", ""]), line(&["Total", &total.to_string()])]);
    table(&lines)
}

fn services(usage: &BTreeMap<String, Counts>, everywhere: bool) -> String {
    let rows = usage.iter().map(|(place, counts)| {
        (place.as_str(), counts.services.to_string(), counts.billable_service_instances)
    });
    let total: u64 = usage.values().map(|counts| counts.services).sum();
    counted("Services", rows.collect(), everywhere, &["Total", &total.to_string()])
}

fn connects(usage: &BTreeMap<String, Counts>, everywhere: bool) -> String {
    let rows = usage.iter().flat_map(|(place, counts)| {
        let kinds = counts.connect_service_instances.iter();
        kinds.map(move |(kind, count)| (place.as_str(), kind.clone(), *count))
    });
    counted("Type", rows.collect(), everywhere, &["Total", ""])
}

/// Rows of a datacenter, something, and a count; the datacenter and the sum are told when all are asked.
fn counted(
    title: &str,
    rows: Vec<(&str, String, u64)>,
    everywhere: bool,
    total: &[&str; 2],
) -> String {
    let sum: u64 = rows.iter().map(|(.., count)| count).sum();
    let cells = |place: &str, what: &str, count: &str| match everywhere {
        true => line(&[place, what, count]),
        false => line(&[what, count]),
    };
    let mut lines = vec![cells("Datacenter", title, "Service instances")];
    lines.extend(rows.iter().map(|(place, what, count)| cells(place, what, &count.to_string())));
    if everywhere {
        lines.extend([line(&["", "", ""]), cells(total[0], total[1], &sum.to_string())]);
    }
    table(&lines)
}
