//! Services and checks that a configuration defines, by the names of the configuration files.

mod mesh;

use std::time::Duration;

use proconsul_anchors::caller::Secret;
use proconsul_anchors::node::definition::{
    CheckDefinition, ServiceDefinition, SidecarAsked, service_faults, validate_service_meta,
    validate_weights,
};
use proconsul_anchors::pairs::Pairs;
use proconsul_anchors::service::{
    Locality, Rare, Service, ServiceAddress, ServicePort, Status, Weights,
};
use serde_json::{Map, Value as Json};

use super::faults::{self, Faults};
use super::raw::Raw;

/// Bytes of output kept when neither check nor agent says otherwise.
const OUTPUT_SIZE: i64 = 4096;

/// A service of the configuration: what is registered, and what of it is shown as it was said.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServiceEntry {
    /// The service with its checks: `checks` first, then `check`.
    pub(crate) definition: ServiceDefinition,
    /// As configured, when said.
    pub(crate) proxy: Option<Map<String, Json>>,
    /// Likewise.
    pub(crate) connect: Option<Map<String, Json>>,
}

/// A check of the node, or of a service that it names, with the token that registers it.
pub(crate) type CheckEntry = (CheckDefinition, Option<Secret>);

/// Reads a check that stands alone.
pub(super) fn check_entry(raw: &Raw, faults: &mut Faults) -> CheckEntry {
    (check(raw, faults), token(raw))
}

/// Reads a check; faulty durations are told by its id, as Consul tells them.
fn check(raw: &Raw, faults: &mut Faults) -> CheckDefinition {
    let text = |key| boxed(raw, key);
    let id = text("id");
    let mut time =
        |key: &str| faults.duration(&format!("check[{id}].{key}"), raw.text(key), Duration::ZERO);
    let (interval, timeout, ttl) = (time("interval"), time("timeout"), time("ttl"));
    let deregister_critical_service_after = time("deregister_critical_service_after");
    let flag = |key| raw.flag(key).unwrap_or(false);
    let failures_before_critical = raw.int("failures_before_critical").unwrap_or(0);
    let header = raw.texts_map("header").into_iter();
    CheckDefinition {
        name: text("name"),
        notes: text("notes"),
        status: raw.text("status").filter(|status| !status.is_empty()).map(Status::from),
        service_id: text("service_id"),
        script_args: all(raw.texts("args")),
        http: text("http"),
        header: header.map(|(name, values)| (name, all(values))).collect(),
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

fn boxed(raw: &Raw, key: &str) -> Box<str> {
    raw.text(key).unwrap_or("").into()
}

fn all(texts: Vec<String>) -> Vec<Box<str>> {
    texts.into_iter().map(Into::into).collect()
}

fn token(raw: &Raw) -> Option<Secret> {
    raw.text("token").filter(|token| !token.is_empty()).map(Secret::new)
}

// === impl ServiceEntry ===

impl ServiceEntry {
    /// Reads a service with its checks.
    pub(super) fn read(raw: &Raw, faults: &mut Faults) -> Self {
        let sidecar = mesh::sidecar(raw).map(|raw| Box::new(definition(raw, None, faults)));
        let entry = Self {
            definition: definition(raw, sidecar, faults),
            proxy: raw.single("proxy").map(Raw::to_json),
            connect: raw.single("connect").map(Raw::to_json),
        };
        entry.judge(raw, faults);
        entry
    }

    /// The service alone.
    pub(crate) fn service(&self) -> &Service {
        &self.definition.service
    }

    fn judge(&self, raw: &Raw, faults: &mut Faults) {
        let service = self.service();
        let name = service.name.as_str();
        if let Err(fault) = validate_service_meta(service) {
            faults.push(format!("invalid meta for service {name}: {fault}"));
        }
        if let Err(fault) = validate_weights(service.weights) {
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
        for check in &self.definition.checks {
            check.validate().map_err(|fault| format!("check {:?}: {fault}", check.name))?;
        }
        let sidecar = SidecarAsked::of(self.definition.sidecar.as_deref());
        let found = service_faults(self.service(), sidecar);
        let told: Vec<String> = found.iter().map(ToString::to_string).collect();
        if told.is_empty() { Ok(()) } else { Err(faults::listed(&told)) }
    }
}

fn definition(
    raw: &Raw,
    sidecar: Option<Box<ServiceDefinition>>,
    faults: &mut Faults,
) -> ServiceDefinition {
    let mut checks: Vec<_> = raw.blocks("checks").iter().map(|raw| check(raw, faults)).collect();
    checks.extend(raw.single("check").map(|raw| check(raw, faults)));
    let (service, token) = (service(raw), token(raw));
    ServiceDefinition { service, checks, token, sidecar, ..ServiceDefinition::default() }
}

fn service(raw: &Raw) -> Service {
    let tagged: Pairs<_> = raw.block_map("tagged_addresses").map(tagged).collect();
    let meta: Pairs =
        raw.text_map("meta").into_iter().map(|(key, value)| (key, value.into())).collect();
    let rare = Rare {
        kind: kind(raw.text("kind")).into(),
        ports: raw.blocks("ports").iter().map(port).collect(),
        socket_path: boxed(raw, "socket_path"),
        locality: raw.single("locality").map(locality),
        mesh: mesh::mesh(raw),
    };
    Service {
        id: raw.text("id").unwrap_or("").into(),
        name: raw.text("name").unwrap_or("").into(),
        tags: all(raw.texts("tags")).into_iter().collect(),
        address: boxed(raw, "address"),
        port: raw.int("port").unwrap_or(0),
        meta: (!meta.is_empty()).then_some(meta),
        weights: weights(raw.single("weights")),
        enable_tag_override: raw.flag("enable_tag_override").unwrap_or(false),
        tagged_addresses: (!tagged.is_empty()).then_some(tagged),
        rare: (rare != Rare::default()).then(|| Box::new(rare)),
    }
}

/// The kinds that mean something; any other word is a plain service.
fn kind(said: Option<&str>) -> &str {
    let special =
        ["connect-proxy", "mesh-gateway", "terminating-gateway", "ingress-gateway", "api-gateway"];
    said.filter(|said| special.contains(said)).unwrap_or("")
}

fn tagged((purpose, raw): (&String, &Raw)) -> (String, ServiceAddress) {
    let port = raw.int("port").unwrap_or(0);
    (purpose.clone(), ServiceAddress { address: boxed(raw, "address"), port })
}

fn port(raw: &Raw) -> ServicePort {
    ServicePort {
        name: boxed(raw, "name"),
        port: raw.int("port").unwrap_or(0),
        default: raw.flag("default").unwrap_or(false),
    }
}

fn weights(raw: Option<&Raw>) -> Weights {
    let weight = |key| raw.and_then(|raw| raw.int(key)).unwrap_or(1);
    Weights { passing: weight("passing"), warning: weight("warning") }
}

/// Region and zone of a block.
pub(super) fn locality(raw: &Raw) -> Locality {
    Locality { region: boxed(raw, "region"), zone: boxed(raw, "zone") }
}

/// A zone says nothing without its region.
pub(super) fn is_zone_alone(place: &Locality) -> bool {
    place.region.is_empty() && !place.zone.is_empty()
}
