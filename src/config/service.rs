//! Services and checks that a configuration defines, by the names of the configuration files.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Map, Value as Json};

use super::Locality;
use super::faults::{self, Faults};
use super::raw::Raw;

/// Most pairs of a service's or node's meta.
const META_PAIRS_MAX: usize = 64;
/// Longest key of a meta pair, in bytes.
const META_KEY_LEN_MAX: usize = 128;
/// Longest value of a meta pair, in bytes.
const META_VALUE_LEN_MAX: usize = 512;
/// Largest weight: the field of an SRV record has 16 bits.
const WEIGHT_MAX: i64 = 65_535;
/// Bytes of output kept when neither check nor agent says otherwise.
const OUTPUT_SIZE: i64 = 4096;

/// A service of the configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ServiceDefinition {
    /// `""` for a plain service, `connect-proxy` and the like else.
    pub(crate) kind: String,
    /// The name when not said.
    pub(crate) id: String,
    /// What it is looked up by.
    pub(crate) name: String,
    /// In the given order.
    pub(crate) tags: Vec<String>,
    /// Empty means the node's.
    pub(crate) address: String,
    /// By purpose: address and port.
    pub(crate) tagged_addresses: BTreeMap<String, (String, i64)>,
    /// Free pairs.
    pub(crate) meta: BTreeMap<String, String>,
    /// 0 when not said.
    pub(crate) port: i64,
    /// Several named ports instead: name, number, whether it is the default.
    pub(crate) ports: Vec<(String, i64, bool)>,
    /// A Unix socket instead of an address and port.
    pub(crate) socket_path: String,
    /// The token that registers it.
    pub(crate) token: String,
    /// Shares of SRV answers while passing and while warning.
    pub(crate) weights: (i64, i64),
    /// Whether the catalog's tags win over the agent's.
    pub(crate) enable_tag_override: bool,
    /// `checks` first, then `check`.
    pub(crate) checks: Vec<CheckDefinition>,
    /// Region and zone.
    pub(crate) locality: Option<Locality>,
    /// As configured, when said; Connect is not served yet.
    pub(crate) proxy: Option<Map<String, Json>>,
    /// Likewise.
    pub(crate) connect: Option<Map<String, Json>>,
}

/// A check of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CheckDefinition {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) notes: String,
    pub(crate) service_id: String,
    pub(crate) token: String,
    pub(crate) status: String,
    pub(crate) args: Vec<String>,
    pub(crate) http: String,
    pub(crate) header: BTreeMap<String, Vec<String>>,
    pub(crate) method: String,
    pub(crate) body: String,
    pub(crate) disable_redirects: bool,
    pub(crate) output_max_size: i64,
    pub(crate) tcp: String,
    pub(crate) tcp_use_tls: bool,
    pub(crate) udp: String,
    pub(crate) interval: Duration,
    pub(crate) docker_container_id: String,
    pub(crate) shell: String,
    pub(crate) grpc: String,
    pub(crate) grpc_use_tls: bool,
    pub(crate) tls_server_name: String,
    pub(crate) tls_skip_verify: bool,
    pub(crate) alias_node: String,
    pub(crate) alias_service: String,
    pub(crate) timeout: Duration,
    pub(crate) ttl: Duration,
    pub(crate) h2ping: String,
    pub(crate) h2ping_use_tls: bool,
    pub(crate) os_service: String,
    pub(crate) success_before_passing: i64,
    pub(crate) failures_before_warning: i64,
    pub(crate) failures_before_critical: i64,
    pub(crate) deregister_critical_service_after: Duration,
}

// === impl CheckDefinition ===

impl CheckDefinition {
    /// Reads a check; faulty durations are told by its id, as Consul tells them.
    pub(super) fn read(raw: &Raw, faults: &mut Faults) -> Self {
        let id = raw.text_or_empty("id");
        let mut time = |key: &str| {
            faults.duration(&format!("check[{id}].{key}"), raw.text(key), Duration::ZERO)
        };
        let (interval, timeout, ttl) = (time("interval"), time("timeout"), time("ttl"));
        let deregister_critical_service_after = time("deregister_critical_service_after");
        let text = |key| raw.text_or_empty(key);
        let flag = |key| raw.flag(key).unwrap_or(false);
        let failures_before_critical = raw.int("failures_before_critical").unwrap_or(0);
        Self {
            name: text("name"),
            notes: text("notes"),
            service_id: text("service_id"),
            token: text("token"),
            status: text("status"),
            args: raw.texts("args"),
            http: text("http"),
            header: raw.texts_map("header"),
            method: text("method"),
            body: text("body"),
            disable_redirects: flag("disable_redirects"),
            output_max_size: raw.int("output_max_size").unwrap_or(OUTPUT_SIZE),
            tcp: text("tcp"),
            tcp_use_tls: flag("tcp_use_tls"),
            udp: text("udp"),
            interval,
            docker_container_id: text("docker_container_id"),
            shell: text("shell"),
            grpc: text("grpc"),
            grpc_use_tls: flag("grpc_use_tls"),
            tls_server_name: text("tls_server_name"),
            tls_skip_verify: flag("tls_skip_verify"),
            alias_node: text("alias_node"),
            alias_service: text("alias_service"),
            timeout,
            ttl,
            h2ping_use_tls: raw.flag("h2ping_use_tls").unwrap_or(!text("h2ping").is_empty()),
            h2ping: text("h2ping"),
            os_service: text("os_service"),
            success_before_passing: raw.int("success_before_passing").unwrap_or(0),
            failures_before_warning: raw
                .int("failures_before_warning")
                .unwrap_or(failures_before_critical),
            failures_before_critical,
            deregister_critical_service_after,
            id,
        }
    }

    /// Whether the settings make one kind of check.
    ///
    /// # Errors
    /// Consul's sentence.
    pub(super) fn consistent(&self) -> Result<(), String> {
        let watched =
            [&self.http, &self.tcp, &self.udp, &self.grpc, &self.h2ping, &self.os_service];
        let probes = !self.args.is_empty() || watched.iter().any(|target| !target.is_empty());
        let alias = !self.alias_node.is_empty() || !self.alias_service.is_empty();
        let fault = if !self.interval.is_zero() && !self.ttl.is_zero() {
            "Interval and TTL cannot both be specified"
        } else if probes && self.interval.is_zero() {
            "Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks"
        } else if probes && alias {
            "Interval cannot be set for Alias checks"
        } else if alias && !self.ttl.is_zero() {
            "TTL must be not be set for Alias checks"
        } else if !probes && !alias && self.ttl.is_zero() {
            "TTL must be > 0 for TTL checks"
        } else if self.output_max_size < 0 {
            "MaxOutputMaxSize must be positive"
        } else if self.failures_before_warning > self.failures_before_critical {
            "FailuresBeforeWarning can't be higher than FailuresBeforeCritical"
        } else {
            return Ok(());
        };
        Err(fault.to_owned())
    }
}

// === impl ServiceDefinition ===

impl ServiceDefinition {
    /// Reads a service with its checks.
    pub(super) fn read(raw: &Raw, faults: &mut Faults) -> Self {
        let mut checks: Vec<_> =
            raw.blocks("checks").iter().map(|check| CheckDefinition::read(check, faults)).collect();
        checks.extend(raw.single("check").map(|check| CheckDefinition::read(check, faults)));
        let name = raw.text_or_empty("name");
        let service = Self {
            kind: kind(raw.text("kind")),
            id: raw.text_or_empty("id"),
            tags: raw.texts("tags"),
            address: raw.text_or_empty("address"),
            tagged_addresses: raw.block_map("tagged_addresses").map(tagged).collect(),
            meta: raw.text_map("meta"),
            port: raw.int("port").unwrap_or(0),
            ports: raw.blocks("ports").iter().map(port).collect(),
            socket_path: raw.text_or_empty("socket_path"),
            token: raw.text_or_empty("token"),
            weights: weights(raw.single("weights")),
            enable_tag_override: raw.flag("enable_tag_override").unwrap_or(false),
            checks,
            locality: raw.single("locality").map(locality),
            proxy: raw.single("proxy").map(Raw::to_json),
            connect: raw.single("connect").map(Raw::to_json),
            name,
        };
        service.judge(raw, faults);
        service
    }

    fn judge(&self, raw: &Raw, faults: &mut Faults) {
        let name = &self.name;
        if let Err(fault) = meta(&self.meta) {
            faults.push(format!("invalid meta for service {name}: {fault}"));
        }
        let (passing, warning) = self.weights;
        let fault = if passing < 1 {
            Some("Passing must be greater than 0")
        } else if warning < 0 {
            Some("Warning must be greater or equal than 0")
        } else if passing > WEIGHT_MAX || warning > WEIGHT_MAX {
            Some("DNS Weight must be between 0 and 65535")
        } else {
            None
        };
        if let Some(fault) = fault {
            faults.push(format!("Invalid weight definition for service {name}: {fault}"));
        }
        if let (Some(path), true) =
            (raw.text("socket_path"), raw.int("port").is_some() || raw.text("address").is_some())
        {
            faults.push(format!(
                "service {name} cannot have both socket path {path} and address/port"
            ));
        }
    }

    /// Whether the settings fit together.
    ///
    /// # Errors
    /// Consul's report.
    pub(super) fn consistent(&self) -> Result<(), String> {
        for check in &self.checks {
            check.consistent().map_err(|fault| format!("check {:?}: {fault}", check.name))?;
        }
        let mut told = Vec::new();
        if self
            .locality
            .as_ref()
            .is_some_and(|place| place.region.is_empty() && !place.zone.is_empty())
        {
            told.push("zone cannot be set without region".to_owned());
        }
        let native =
            self.connect.as_ref().and_then(|connect| connect.get("native")).and_then(Json::as_bool);
        if native == Some(true) && self.port == 0 && self.socket_path.is_empty() {
            told.push("Port or SocketPath must be set for a Connect native service.".to_owned());
        }
        if !self.ports.is_empty() && self.port != 0 {
            told.push("Cannot set both Port and Ports".to_owned());
        }
        told.extend(self.ports_fault());
        if told.is_empty() { Ok(()) } else { Err(faults::listed(&told)) }
    }
}

// === several ports ===

impl ServiceDefinition {
    /// The first rule that named ports break.
    fn ports_fault(&self) -> Option<String> {
        let mut seen = BTreeSet::new();
        for (place, (name, port, default)) in self.ports.iter().enumerate() {
            if name.trim().is_empty() {
                return Some("Ports.Name cannot be empty".to_owned());
            }
            if *port <= 0 {
                return Some("Ports.Port must be greater than zero".to_owned());
            }
            if !seen.insert(name) {
                return Some(format!("Ports.Name {name:?} has to be unique"));
            }
            if *default && self.ports[..place].iter().any(|(.., default)| *default) {
                return Some("Only one port can be marked as default".to_owned());
            }
        }
        let lacks = !self.ports.is_empty() && !self.ports.iter().any(|(.., default)| *default);
        lacks.then(|| "One of the Ports must be marked as Default".to_owned())
    }
}

/// The kinds that mean something; any other word is a plain service.
fn kind(said: Option<&str>) -> String {
    let special =
        ["connect-proxy", "mesh-gateway", "terminating-gateway", "ingress-gateway", "api-gateway"];
    said.filter(|said| special.contains(said)).unwrap_or("").to_owned()
}

fn tagged((purpose, raw): (&String, &Raw)) -> (String, (String, i64)) {
    (purpose.clone(), (raw.text_or_empty("address"), raw.int("port").unwrap_or(0)))
}

fn port(raw: &Raw) -> (String, i64, bool) {
    (raw.text_or_empty("name"), raw.int("port").unwrap_or(0), raw.flag("default").unwrap_or(false))
}

fn weights(raw: Option<&Raw>) -> (i64, i64) {
    let weight = |key| raw.and_then(|raw| raw.int(key)).unwrap_or(1);
    (weight("passing"), weight("warning"))
}

/// Region and zone of a block.
pub(super) fn locality(raw: &Raw) -> Locality {
    Locality { region: raw.text_or_empty("region"), zone: raw.text_or_empty("zone") }
}

/// Whether free pairs are within Consul's rules.
///
/// # Errors
/// Consul's sentence about the first pair that is not.
pub(super) fn meta(pairs: &BTreeMap<String, String>) -> Result<(), String> {
    if pairs.len() > META_PAIRS_MAX {
        return Err(format!(
            "Node metadata cannot contain more than {META_PAIRS_MAX} key/value pairs"
        ));
    }
    for (key, value) in pairs {
        pair(key, value).map_err(|fault| {
            format!("Couldn't load metadata pair ('{key}', '{value}'): {fault}")
        })?;
    }
    Ok(())
}

fn pair(key: &str, value: &str) -> Result<(), String> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    if key.is_empty() {
        Err("Key cannot be blank".to_owned())
    } else if !key.chars().all(plain) {
        Err("Key contains invalid characters".to_owned())
    } else if key.len() > META_KEY_LEN_MAX {
        Err(format!("Key is too long (limit: {META_KEY_LEN_MAX} characters)"))
    } else if key.starts_with("consul-") {
        Err("Key prefix 'consul-' is reserved for internal use".to_owned())
    } else if value.len() > META_VALUE_LEN_MAX {
        Err(format!("Value is too long (limit: {META_VALUE_LEN_MAX} characters)"))
    } else {
        Ok(())
    }
}
