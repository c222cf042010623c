//! Raw → Config: defaults, rules, warnings, in Consul's order, so that of several faults the same one is told.

mod network;
mod quiet;
mod rules;
mod settings;
mod startable;
mod tls;

pub(crate) use startable::startable;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::address::{self, Listen};
use super::bridge;
use super::fallback;
use super::faults::Faults;
use super::host::Host;
use super::raw::Raw;
use super::scopes;
use super::service::{self, CheckEntry, ServiceEntry};
use super::source::Merged;
use super::{Config, Leaving, Loaded, Node, Role, Telemetry, template};

/// Checks a merged configuration.
///
/// # Errors
/// Consul's report.
pub(crate) fn check(merged: Merged, dev: bool, host: &Host) -> Result<Loaded, String> {
    let Merged { raw, mut warnings } = merged;
    let mut faults = Faults::default();
    let parts = parts(&raw, dev, host, &mut faults, &mut warnings)?;
    let listening = parts.listening.clone();
    let config = assemble(raw, parts, host, &mut faults);
    quiet::judge(&config.raw, host, &mut faults, &mut warnings)?;
    rules::hold(&config, &listening, &faults, &mut warnings)?;
    rules::supported(&config, &mut warnings)?;
    Ok(Loaded { config, warnings })
}

/// The parts that Consul reads first, because they can stop the reading or warn.
struct Parts {
    service_ttl: BTreeMap<String, Duration>,
    checks: Vec<CheckEntry>,
    services: Vec<ServiceEntry>,
    role: Role,
    network: network::Addresses,
    listening: network::Listening,
    recursors: Vec<String>,
    telemetry: Telemetry,
    ui: bool,
}

fn parts(
    raw: &Raw,
    dev: bool,
    host: &Host,
    faults: &mut Faults,
    warnings: &mut Vec<String>,
) -> Result<Parts, String> {
    let service_ttl = settings::service_ttl(raw, faults);
    let checks =
        raw.blocks("checks").iter().map(|check| service::check_entry(check, faults)).collect();
    let services =
        raw.blocks("services").iter().map(|service| ServiceEntry::read(service, faults)).collect();
    let role = role(raw, dev, warnings);
    let ports = network::ports(raw, role, faults)?;
    let network = network::addresses(raw, ports, dev, host, faults)?;
    let listening = network::listening(raw, &network.reach, host, faults, warnings);
    let recursors = recursors(raw, host)?;
    let telemetry = settings::telemetry(raw, faults, warnings);
    settings::raft_multiplier(raw)?;
    quiet::virtual_networks(raw)?;
    quiet::gossip_networks(raw)?;
    let ui = settings::ui(raw, dev, warnings);
    Ok(Parts { service_ttl, checks, services, role, network, listening, recursors, telemetry, ui })
}

fn assemble(raw: Raw, parts: Parts, host: &Host, faults: &mut Faults) -> Config {
    let dev = parts.role.dev;
    let flag = |key| raw.flag(key).unwrap_or(false);
    let path = |key| raw.text(key).filter(|path| !path.is_empty()).map(PathBuf::from);
    let datacenter = raw.text("datacenter").unwrap_or("dc1").to_lowercase();
    let primary =
        raw.text("primary_datacenter").map(str::to_lowercase).filter(|name| !name.is_empty());
    let dns_at = settings::DnsAt {
        listening: tcp_only(&parts.listening.dns),
        secure: parts.listening.dns_secure,
        recursors: parts.recursors,
    };
    let http_at = settings::HttpAt { plain: parts.listening.http, tls: parts.listening.https };
    let mut seconds =
        |key, otherwise| faults.duration(key, raw.text(key), Duration::from_secs(otherwise));
    let (default_query_time, max_query_time) =
        (seconds("default_query_time", 300), seconds("max_query_time", 600));
    let session_ttl_min = seconds("session_ttl_min", 0);
    let discovery_max_stale = seconds("discovery_max_stale", 0);
    Config {
        node: node(&raw, parts.network.tagged, host, faults),
        role: parts.role,
        primary_datacenter: primary.unwrap_or_else(|| datacenter.clone()),
        governed: scopes::read(&raw, &datacenter, faults),
        datacenter,
        data_dir: path("data_dir").filter(|_| !dev),
        network: parts.network.reach,
        http: settings::http(&raw, http_at, faults),
        dns: settings::dns(&raw, parts.service_ttl, dns_at, faults),
        default_query_time,
        max_query_time,
        discovery_max_stale,
        auto_reload: flag("auto_reload_config"),
        session_ttl_min,
        checking: settings::checking(&raw, faults),
        limits: settings::limits(&raw, faults),
        tls: tls::read(&raw),
        acl: settings::acl(&raw),
        telemetry: parts.telemetry,
        log: settings::log(&raw, dev, faults),
        leaving: leaving(&raw, parts.role, faults),
        retry_join: raw.texts("retry_join"),
        services: parts.services,
        checks: parts.checks,
        translate_wan_addrs: flag("translate_wan_addrs"),
        disable_kv_key_validation: flag("disable_kv_key_validation"),
        disable_coordinates: flag("disable_coordinates"),
        enable_debug: raw.flag("enable_debug").unwrap_or(dev),
        ui: parts.ui,
        pid_file: path("pid_file"),
        fallbacks: fallback::read(&raw, faults),
        bridges: bridge::read(&raw, faults),
        raw,
    }
}

fn role(raw: &Raw, dev: bool, warnings: &mut Vec<String>) -> Role {
    let expected = raw.int("bootstrap_expect").unwrap_or(0);
    let mut role = Role {
        server: raw.flag("server").unwrap_or(dev),
        bootstrap: raw.flag("bootstrap").unwrap_or(false),
        bootstrap_expect: u32::try_from(expected).unwrap_or(0),
        dev,
    };
    if expected == 1 {
        warnings
            .push("BootstrapExpect is set to 1; this is the same as Bootstrap mode.".to_owned());
        role = Role { bootstrap: true, bootstrap_expect: 0, ..role };
    }
    role
}

fn node(
    raw: &Raw,
    tagged_addresses: BTreeMap<String, String>,
    host: &Host,
    faults: &mut Faults,
) -> Node {
    let said = raw.text("node_name").filter(|name| !name.is_empty());
    let name = said.or(host.name.as_deref()).unwrap_or_else(|| {
        faults.push("node_name: the host has no name");
        ""
    });
    Node {
        name: name.trim().to_owned(),
        id: raw.text("node_id").filter(|id| !id.is_empty()).map(str::to_lowercase),
        disable_host_node_id: raw.flag("disable_host_node_id").unwrap_or(true),
        meta: raw.text_map("node_meta"),
        tagged_addresses,
        locality: raw.single("locality").map(service::locality),
    }
}

/// A client's node leaves the catalog when it stops, a server's stays.
fn leaving(raw: &Raw, role: Role, faults: &mut Faults) -> Leaving {
    let drain = raw.block("performance");
    Leaving {
        on_terminate: raw.flag("leave_on_terminate").unwrap_or(!role.server),
        skip_on_interrupt: raw.flag("skip_leave_on_interrupt").unwrap_or(role.server),
        drain: faults.duration(
            "performance.leave_drain_time",
            drain.text("leave_drain_time"),
            Duration::from_secs(5),
        ),
    }
}

/// Each resolver once, in the order given.
fn recursors(raw: &Raw, host: &Host) -> Result<Vec<String>, String> {
    let mut recursors: Vec<String> = Vec::new();
    for said in raw.texts("recursors") {
        let text = template::expand(&said, host)
            .map_err(|fault| format!("Invalid DNS recursor template {said:?}: {fault}"))?;
        for word in text.split_whitespace() {
            if word.starts_with("unix://") {
                return Err(format!("DNS Recursors cannot be unix sockets: {word}"));
            }
            if !recursors.iter().any(|known| known == word) {
                recursors.push(word.to_owned());
            }
        }
    }
    match recursors.iter().any(|recursor| address::is_any(recursor)) {
        true => Err("DNS recursor address cannot be 0.0.0.0, :: or [::]".to_owned()),
        false => Ok(recursors),
    }
}

fn tcp_only(listens: &[Listen]) -> Vec<std::net::SocketAddr> {
    let addresses = listens.iter().filter_map(|listen| match listen {
        Listen::Tcp(address) => Some(*address),
        Listen::Unix(_) => None,
    });
    addresses.collect()
}
