//! Raw → Config: defaults, rules, warnings, in Consul's order, so that of several faults the same one is told.

mod network;
mod rules;
mod settings;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::address::{self, Listen};
use super::faults::Faults;
use super::host::Host;
use super::raw::Raw;
use super::service::{self, CheckDefinition, ServiceDefinition};
use super::source::Merged;
use super::{Config, Leaving, Loaded, Node, Role, template};

/// Checks a merged configuration.
///
/// # Errors
/// Consul's report.
pub(crate) fn check(merged: Merged, dev: bool, host: &Host) -> Result<Loaded, String> {
    let Merged { raw, mut warnings } = merged;
    let mut faults = Faults::default();
    let service_ttl = settings::service_ttl(&raw, &mut faults);
    let checks: Vec<_> = raw
        .blocks("checks")
        .iter()
        .map(|check| CheckDefinition::read(check, &mut faults))
        .collect();
    let services: Vec<_> = raw
        .blocks("services")
        .iter()
        .map(|service| ServiceDefinition::read(service, &mut faults))
        .collect();
    let role = role(&raw, dev, &mut warnings);
    let ports = network::ports(&raw, role, &mut faults)?;
    let network = network::addresses(&raw, ports, dev, host, &mut faults)?;
    let listening = network::listening(&raw, &network.reach, host, &mut faults, &mut warnings);
    let recursors = recursors(&raw, host)?;
    let telemetry = settings::telemetry(&raw, &mut faults, &mut warnings);
    settings::raft_multiplier(&raw)?;
    let ui = settings::ui(&raw, dev, &mut warnings);
    let datacenter = raw.text("datacenter").unwrap_or("dc1").to_lowercase();
    let primary =
        raw.text("primary_datacenter").map(str::to_lowercase).filter(|name| !name.is_empty());
    let config = Config {
        node: node(&raw, network.tagged, host, &mut faults),
        role,
        primary_datacenter: primary.unwrap_or_else(|| datacenter.clone()),
        datacenter,
        data_dir: raw.text("data_dir").filter(|path| !path.is_empty()).map(PathBuf::from),
        http: settings::http(&raw, listening.http.clone(), &mut faults),
        dns: settings::dns(
            &raw,
            service_ttl,
            settings::DnsAt { listening: tcp_only(&listening.dns), recursors },
            &mut faults,
        ),
        network: network.reach,
        default_query_time: faults.duration(
            "default_query_time",
            raw.text("default_query_time"),
            Duration::from_secs(300),
        ),
        max_query_time: faults.duration(
            "max_query_time",
            raw.text("max_query_time"),
            Duration::from_secs(600),
        ),
        session_ttl_min: faults.duration(
            "session_ttl_min",
            raw.text("session_ttl_min"),
            Duration::ZERO,
        ),
        checking: settings::checking(&raw, &mut faults),
        limits: settings::limits(&raw, &mut faults),
        acl: settings::acl(&raw, &mut faults),
        telemetry,
        log: settings::log(&raw, dev, &mut faults),
        leaving: leaving(&raw, role, &mut faults),
        retry_join: raw.texts("retry_join"),
        services,
        checks,
        translate_wan_addrs: raw.flag("translate_wan_addrs").unwrap_or(false),
        disable_kv_key_validation: raw.flag("disable_kv_key_validation").unwrap_or(false),
        enable_debug: raw.flag("enable_debug").unwrap_or(dev),
        ui,
        pid_file: raw.text("pid_file").filter(|path| !path.is_empty()).map(PathBuf::from),
        raw,
    };
    settings::quiet_durations(&config.raw, &mut faults);
    rules::hold(&config, &listening, &faults, &mut warnings)?;
    rules::supported(&config, &mut warnings)?;
    Ok(Loaded { config, warnings })
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
