//! A world in lines, as Consul's configuration and registrations. The words are explained in `dns/src/testing/world.rs`.

use std::collections::HashMap;

use super::stub;
use crate::{json::Json, traffic::MANAGEMENT};

/// The members of a JSON object, each already written.
#[derive(Default)]
struct Object(Vec<(String, String)>);

/// The node that a line speaks of.
pub(super) fn node_of(line: &str) -> String {
    line.split(' ').nth(1).map(plain).unwrap_or_default()
}

/// Settings as a configuration.
pub(super) fn config(settings: &[(String, String)]) -> String {
    let (mut top, mut dns, mut ttl, mut soa) =
        (Object::default(), Object::default(), Object::default(), Object::default());
    for (key, value) in settings {
        let written = if value.parse::<i64>().is_ok() || value == "true" || value == "false" {
            value.clone()
        } else {
            quoted(value)
        };
        match (key.as_str(), key.split_once(':')) {
            ("recursors", _) => top.put(key, list(value.split(',').map(recursor))),
            (_, Some(("acl", "dns"))) => top.put("acl", acl(value)),
            ("domain" | "alt_domain" | "translate_wan_addrs", _) => top.put(key, written),
            (_, Some(("service_ttl", service))) => ttl.put(service, quoted(value)),
            (_, Some(("soa", key))) => soa.put(key, written),
            _ => dns.put(key, written),
        }
    }
    dns.put("service_ttl", ttl.print());
    dns.put("soa", soa.print());
    top.put("dns_config", dns.print());
    top.print()
}

/// `stub` is the name server of the test's own.
fn recursor(value: &str) -> String {
    let address = if value == "stub" { stub::address().to_string() } else { value.to_owned() };
    quoted(&address)
}

/// Access control that denies by default; the agent answers DNS with that token.
fn acl(dns: &str) -> String {
    let mut tokens = Object::default();
    for key in ["initial_management", "agent"] {
        tokens.put(key, quoted(MANAGEMENT));
    }
    tokens.put("dns", quoted(dns));
    let mut acl = Object::default();
    acl.put("enabled", "true".to_owned());
    acl.put("default_policy", quoted("deny"));
    acl.put("tokens", tokens.print());
    acl.print()
}

/// Registrations as the bodies of `PUT /v1/catalog/register`.
pub(super) fn bodies(lines: &[String]) -> Result<Vec<String>, String> {
    let mut addresses = HashMap::new();
    lines.iter().map(|line| body(line, &mut addresses).ok_or_else(|| line.clone())).collect()
}

/// Prepared queries as the bodies of `POST /v1/query`.
pub(super) fn prepared(lines: &[String]) -> Result<Vec<String>, String> {
    lines.iter().map(|line| query(line).ok_or_else(|| line.clone())).collect()
}

/// Configuration entries as the bodies of `PUT /v1/config`.
pub(super) fn entries(lines: &[String]) -> Result<Vec<String>, String> {
    lines.iter().map(|line| entry(line).ok_or_else(|| line.clone())).collect()
}

fn entry(line: &str) -> Option<String> {
    let [_, kind, name, body] = line.split(' ').collect::<Vec<_>>().try_into().ok()?;
    let rest = body.strip_prefix('{')?;
    Some(format!("{{\"Kind\": {}, \"Name\": {}, {rest}", quoted(kind), quoted(&plain(name))))
}

fn query(line: &str) -> Option<String> {
    let words: Vec<&str> = line.split(' ').collect();
    let [_, name, service, more @ ..] = words.as_slice() else { return None };
    let (mut query, mut inner, mut dns, mut template) =
        (Object::default(), Object::default(), Object::default(), Object::default());
    inner.put("Service", quoted(&plain(service)));
    for (key, value) in pairs(more) {
        match key {
            "ttl" => dns.put("TTL", quoted(value)),
            "only_passing" => inner.put("OnlyPassing", value.to_owned()),
            "near" => inner.put("Near", quoted(value)),
            "tags" => inner.put("Tags", list(value.split(',').map(|tag| quoted(&plain(tag))))),
            "regexp" => template.put("Regexp", quoted(&plain(value))),
            "template" => template.put("Type", quoted("name_prefix_match")),
            _ => return None,
        }
    }
    query.put("Name", quoted(&plain(name)));
    query.put("Service", inner.print());
    query.put("DNS", dns.print());
    query.put("Template", template.print());
    Some(query.print())
}

fn body(line: &str, addresses: &mut HashMap<String, String>) -> Option<String> {
    let words: Vec<&str> = line.split(' ').collect();
    let mut body = Object::default();
    let name = plain(words.get(1)?);
    body.put("Node", quoted(&name));
    match words.as_slice() {
        ["node", _, address, more @ ..] => {
            addresses.insert(name, plain(address));
            body.put("Address", quoted(&plain(address)));
            node(&mut body, more);
        }
        ["service", _, id, service, more @ ..] => {
            on_node(&mut body, addresses.get(&name)?);
            body.put("Service", instance(id, service, more)?);
        }
        ["check", node, service, status] => {
            on_node(&mut body, addresses.get(&name)?);
            body.put("Check", check(node, service, status));
        }
        _ => return None,
    }
    Some(body.print())
}

fn on_node(body: &mut Object, address: &str) {
    body.put("Address", quoted(address));
    body.put("SkipNodeUpdate", "true".to_owned());
}

fn node(body: &mut Object, words: &[&str]) {
    let (mut meta, mut tagged) = (Object::default(), Object::default());
    for (key, value) in pairs(words) {
        match key.split_once(':') {
            Some(("meta", key)) => meta.put(&plain(key), quoted(&plain(value))),
            Some((_, key)) => tagged.put(key, quoted(value)),
            None => body.put("ID", quoted(value)),
        }
    }
    body.put("NodeMeta", meta.print());
    body.put("TaggedAddresses", tagged.print());
}

fn instance(id: &str, name: &str, words: &[&str]) -> Option<String> {
    let (mut service, mut tagged) = (Object::default(), Object::default());
    service.put("ID", quoted(&plain(id)));
    service.put("Service", quoted(&plain(name)));
    for (key, value) in pairs(words) {
        match key {
            "port" => service.put("Port", value.to_owned()),
            "addr" => service.put("Address", quoted(&plain(value))),
            "tags" => service.put("Tags", list(value.split(',').map(|tag| quoted(&plain(tag))))),
            "kind" => service.put("Kind", quoted(value)),
            "proxy" => {
                service.put("Kind", quoted("connect-proxy"));
                let of = format!("{{\"DestinationServiceName\": {}}}", quoted(&plain(value)));
                service.put("Proxy", of);
            }
            "native" => service.put("Connect", "{\"Native\": true}".to_owned()),
            "weights" => {
                let (passing, warning) = value.split_once(',')?;
                service
                    .put("Weights", format!("{{\"Passing\": {passing}, \"Warning\": {warning}}}"));
            }
            "ports" => service.put("Ports", list(value.split(',').filter_map(port))),
            key => {
                let (address, port) = value.split_once('|').unwrap_or((value, "0"));
                let address =
                    format!("{{\"Address\": {}, \"Port\": {port}}}", quoted(&plain(address)));
                tagged.put(key.strip_prefix("tagged:")?, address);
            }
        }
    }
    service.put("TaggedAddresses", tagged.print());
    Some(service.print())
}

fn port(text: &str) -> Option<String> {
    let (name, number) = text.split_once(':')?;
    let (number, default) = (number.trim_end_matches('*'), number.ends_with('*'));
    Some(format!("{{\"Name\": {}, \"Port\": {number}, \"Default\": {default}}}", quoted(name)))
}

fn check(node: &str, service: &str, status: &str) -> String {
    let mut check = Object::default();
    check.put("Node", quoted(&plain(node)));
    check.put("CheckID", quoted(&format!("{service}-{status}")));
    check.put("Name", quoted("check"));
    check.put("Status", quoted(status));
    if service != "-" {
        check.put("ServiceID", quoted(&plain(service)));
    }
    check.print()
}

/// Lines for what a program says of its own node (`/v1/catalog/node/NAME`).
#[must_use]
pub fn own(node: &Json) -> Vec<String> {
    let text =
        |pointer: &str| node.at(pointer).map(|json| json.text().to_owned()).unwrap_or_default();
    let pairs = |pointer: &str, word: &str| {
        let members = node.at(pointer).map(Json::members).unwrap_or_default();
        let mut pairs: Vec<String> = members
            .iter()
            .map(|(key, value)| format!(" {word}:{key}={}", value.text().replace(' ', "%20")))
            .collect();
        pairs.sort();
        pairs.concat()
    };
    let name = text("/Node/Node");
    let (meta, tagged) = (pairs("/Node/Meta", "meta"), pairs("/Node/TaggedAddresses", "tagged"));
    vec![
        format!("node {name} {} id={}{meta}{tagged}", text("/Node/Address"), text("/Node/ID")),
        format!("service {name} consul consul port={}", text("/Services/consul/Port")),
        format!("check {name} - passing"),
    ]
}

fn pairs<'a>(words: &'a [&'a str]) -> impl Iterator<Item = (&'a str, &'a str)> {
    words.iter().filter_map(|word| word.split_once('='))
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Undoes `%20`; a broken escape stays as it is.
pub(super) fn plain(word: &str) -> String {
    let mut pieces = word.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        match piece.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend(piece.bytes().take(2)),
        }
        bytes.extend(piece.bytes().skip(2));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

// === impl Object ===

impl Object {
    fn put(&mut self, key: &str, value: String) {
        self.0.push((quoted(key), value));
    }

    fn print(&self) -> String {
        let members: Vec<String> =
            self.0.iter().map(|(key, value)| format!("{key}: {value}")).collect();
        format!("{{{}}}", members.join(", "))
    }
}
