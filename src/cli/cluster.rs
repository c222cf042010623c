//! `join`, `force-leave`, `event`, `rtt`: an agent and the others.

use clap::Arg;
use proconsul_anchors::pattern::compile_alone;
use reqwest::Method;
use serde_json::Value;

use super::client::{Api, agent_flags, partition_flag};
use super::go::text;
use super::{Call, Entry, boolean, print_err, text as text_flag, told, told_if_any};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        path: &["event"],
        words: "[PAYLOAD]",
        about: "Fires an event",
        flags: event_flags,
        run: |call| told(event(call)),
    },
    Entry {
        path: &["force-leave"],
        words: "NODE",
        about: "Takes a member that failed for one that left",
        flags: force_leave_flags,
        run: |call| told_if_any(force_leave(call)),
    },
    Entry {
        path: &["join"],
        words: "ADDRESS...",
        about: "Lets the agent join others",
        flags: join_flags,
        run: |call| told(join(call)),
    },
    Entry {
        path: &["rtt"],
        words: "NODE [NODE]",
        about: "Estimates the time of a round trip between two nodes",
        flags: rtt_flags,
        run: |call| told(rtt(call)),
    },
];

fn event_flags() -> Vec<Arg> {
    let mut flags = agent_flags();
    flags.extend([
        text_flag("name", "string", "Name of the event. Needed."),
        text_flag("node", "string", "A pattern: nodes that get it."),
        text_flag("service", "string", "A pattern: services whose nodes get it."),
        text_flag("tag", "string", "A pattern: tags of those services."),
    ]);
    flags
}

fn force_leave_flags() -> Vec<Arg> {
    let mut flags = agent_flags();
    flags.extend([
        partition_flag(),
        boolean("prune", "Removes the member altogether."),
        boolean("wan", "Removes it from the servers of all datacenters only."),
    ]);
    flags
}

fn join_flags() -> Vec<Arg> {
    let mut flags = agent_flags();
    flags.extend([partition_flag(), boolean("wan", "Joins the servers of another datacenter.")]);
    flags
}

fn rtt_flags() -> Vec<Arg> {
    let mut flags = agent_flags();
    flags.push(boolean("wan", "Takes servers of two datacenters, `NODE.DATACENTER`."));
    flags
}

/// The page of a command after a fault and an empty line.
fn with_page(call: &Call, fault: &str) -> String {
    call.with_page(&format!("{fault}\n"))
}

/// The configuration that the agent tells of itself.
fn own(api: &Api) -> Result<Value, String> {
    let own: Value = api.get("agent/self", &[])?;
    Ok(own.get("Config").cloned().unwrap_or_default())
}

fn event(call: &Call) -> Result<String, String> {
    let Some(name) = call.said("name") else {
        return Err(with_page(call, "Event name must be specified"));
    };
    let mut query = Vec::new();
    for filter in ["node", "service", "tag"] {
        if let Some(said) = call.said(filter) {
            compile_alone(said)
                .map_err(|fault| format!("Failed to compile {filter} filter regexp: {fault}"))?;
            query.push((filter, said));
        }
    }
    if call.said("tag").is_some() && call.said("service").is_none() {
        return Err("Cannot provide tag filter without service filter.".to_owned());
    }
    let words = call.words();
    let payload = match words.as_slice() {
        [] => "",
        [payload] => payload,
        _ => return Err(with_page(call, "Too many command line arguments.")),
    };
    let api = Api::of(call)?;
    own(&api).map_err(|fault| format!("Error querying Consul agent: {fault}"))?;
    let path = format!("event/fire/{name}");
    let fired = api.expect(Method::PUT, &path, &query, payload.as_bytes().to_vec());
    let fired = fired.and_then(|answer| answer.json());
    let fired = fired.map_err(|fault| format!("Error firing event: {fault}"))?;
    Ok(format!("Event ID: {}", text(&fired, "ID")))
}

fn force_leave(call: &Call) -> Result<String, String> {
    let words = call.words();
    let [node] = words.as_slice() else {
        let fault = "A single node name must be specified to force leave.";
        return Err(with_page(call, fault));
    };
    let query: Vec<(&str, &str)> = ["prune", "wan"]
        .into_iter()
        .filter(|flag| call.flag(flag))
        .map(|flag| (flag, "1"))
        .collect();
    let done = Api::of(call)?.tell(Method::PUT, &format!("agent/force-leave/{node}"), &query);
    done.map_err(|fault| format!("Error force leaving: {fault}"))?;
    Ok(String::new())
}

fn join(call: &Call) -> Result<String, String> {
    let addresses = call.words();
    if addresses.is_empty() {
        let fault = "At least one address to join must be specified.";
        return Err(with_page(call, fault));
    }
    let api = Api::of(call)?;
    let query: &[(&str, &str)] = if call.flag("wan") { &[("wan", "1")] } else { &[] };
    let mut joined = 0;
    for address in addresses {
        match api.tell(Method::PUT, &format!("agent/join/{address}"), query) {
            Ok(()) => joined += 1,
            Err(fault) => print_err(&format!("Error joining address '{address}': {fault}")),
        }
    }
    if joined == 0 {
        return Err("Failed to join any nodes.".to_owned());
    }
    Ok(format!("Successfully joined cluster by contacting {joined} nodes."))
}

fn rtt(call: &Call) -> Result<String, String> {
    let mut nodes: Vec<String> = call.words().iter().map(|word| (*word).to_owned()).collect();
    if !matches!(nodes.len(), 1 | 2) {
        return Err(with_page(call, "One or two node names must be specified"));
    }
    let api = Api::of(call)?;
    let wan = call.flag("wan");
    if nodes.len() == 1 {
        let own = own(&api).map_err(|fault| format!("Unable to look up agent info: {fault}"))?;
        let (name, place) = (text(&own, "NodeName"), text(&own, "Datacenter"));
        nodes.push(if wan { format!("{name}.{place}") } else { name.to_owned() });
    }
    let (first, second) = if wan { wide(&api, &nodes)? } else { near(&api, &nodes)? };
    let missing = |node: &str| format!("Could not find a coordinate for node {node:?}");
    let first = first.ok_or_else(|| missing(&nodes[0]))?;
    let second = second.ok_or_else(|| missing(&nodes[1]))?;
    Ok(format!(
        "Estimated {} <-> {} rtt: {:.3} ms (using {} coordinates)",
        nodes[0],
        nodes[1],
        distance(&first, &second) * 1000.0,
        if wan { "WAN" } else { "LAN" }
    ))
}

/// Two places, as far as they are known.
type Places = (Option<Value>, Option<Value>);

fn failed(fault: String) -> String {
    format!("Error getting coordinates: {fault}")
}

/// The places of two nodes of the datacenter, in a segment that both are in.
fn near(api: &Api, nodes: &[String]) -> Result<Places, String> {
    let known: Value = api.get("coordinate/nodes", &[]).map_err(failed)?;
    let of = |node: &str| -> Vec<(String, Value)> {
        let known = known.as_array().into_iter().flatten();
        let known = known.filter(|entry| text(entry, "Node").eq_ignore_ascii_case(node));
        known.map(|entry| (text(entry, "Segment").to_owned(), entry["Coord"].clone())).collect()
    };
    let (first, second) = (of(&nodes[0]), of(&nodes[1]));
    // Who is in one segment only decides; a server is in all.
    let only = |places: &[(String, Value)]| match places {
        [(segment, _)] => Some(segment.clone()),
        _ => None,
    };
    let segment = only(&second).or_else(|| only(&first)).unwrap_or_default();
    let place = |places: Vec<(String, Value)>| {
        places.into_iter().find(|(name, _)| *name == segment).map(|(_, place)| place)
    };
    Ok((place(first), place(second)))
}

/// The places of two servers of any datacenters, in an area that both are in.
fn wide(api: &Api, nodes: &[String]) -> Result<Places, String> {
    let mut asked = Vec::new();
    for node in nodes {
        let [name, place] = node.split('.').collect::<Vec<_>>()[..] else {
            return Err(
                "Node names must be specified as <node name>.<datacenter> with -wan".to_owned()
            );
        };
        asked.push((name, place));
    }
    let known: Value = api.get("coordinate/datacenters", &[]).map_err(failed)?;
    let mut found: [Option<(String, Value)>; 2] = [None, None];
    for datacenter in known.as_array().into_iter().flatten() {
        for entry in super::go::items(datacenter, "Coordinates") {
            for (place, (name, dc)) in found.iter_mut().zip(&asked) {
                if text(datacenter, "Datacenter") == *dc
                    && text(entry, "Node").eq_ignore_ascii_case(name)
                {
                    *place = Some((text(datacenter, "AreaID").to_owned(), entry["Coord"].clone()));
                }
            }
            if let [Some((area, first)), Some((other, second))] = &found
                && area == other
            {
                return Ok((Some(first.clone()), Some(second.clone())));
            }
        }
    }
    Ok((None, None))
}

/// The estimate in seconds between two places of Vivaldi's coordinates.
fn distance(first: &Value, second: &Value) -> f64 {
    let number = |place: &Value, field: &str| place[field].as_f64().unwrap_or(0.0);
    let vector = |place: &Value| -> Vec<f64> {
        super::go::items(place, "Vec").iter().filter_map(Value::as_f64).collect()
    };
    let squares =
        vector(first).iter().zip(vector(second)).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
    let plain = squares.sqrt() + number(first, "Height") + number(second, "Height");
    let adjusted = plain + number(first, "Adjustment") + number(second, "Adjustment");
    if adjusted > 0.0 { adjusted } else { plain }
}
