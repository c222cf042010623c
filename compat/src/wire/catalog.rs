//! What `/v1/catalog` and `/v1/health` print: nodes, services, checks, in the order of Consul's structs.

use std::sync::Arc;

use bytes::Bytes;
use proconsul_anchors::index::{CheckRow, Index, Instance, NodeRow, ServiceRow};
use proconsul_anchors::pairs::Pairs;
use proconsul_anchors::service::{Locality, ServiceAddress, ServicePort, Status, Weights};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::go::print::write_json;
use crate::wire::check::{HealthCheckOut, is_zero};
use crate::wire::mesh::print::{ConnectOut, ProxyOut};

/// A node.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct NodeOut<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    node: &'a str,
    address: &'a str,
    datacenter: &'a str,
    tagged_addresses: Option<&'a Pairs>,
    meta: Option<&'a Pairs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    locality: Option<LocalityOut<'a>>,
    create_index: u64,
    modify_index: u64,
}

/// A service as one of its node's.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct NodeServiceOut<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    kind: &'a str,
    #[serde(rename = "ID")]
    id: &'a str,
    service: &'a str,
    tags: Option<&'a [Box<str>]>,
    address: &'a str,
    #[serde(skip_serializing_if = "Addresses::is_empty")]
    tagged_addresses: Addresses<'a>,
    meta: Option<&'a Pairs>,
    #[serde(skip_serializing_if = "is_zero")]
    port: i64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ports: Vec<PortOut<'a>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    socket_path: &'a str,
    weights: WeightsOut,
    enable_tag_override: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    locality: Option<LocalityOut<'a>>,
    proxy: ProxyOut<'a>,
    connect: ConnectOut<'a>,
    peer_name: &'static str,
    create_index: u64,
    modify_index: u64,
}

/// A service with its node, as one flat record.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ServiceNodeOut<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    node: &'a str,
    address: &'a str,
    datacenter: &'a str,
    tagged_addresses: Option<&'a Pairs>,
    node_meta: Option<&'a Pairs>,
    service_kind: &'a str,
    #[serde(rename = "ServiceID")]
    service_id: &'a str,
    service_name: &'a str,
    service_tags: &'a [Box<str>],
    service_address: &'a str,
    #[serde(skip_serializing_if = "Addresses::is_empty")]
    service_tagged_addresses: Addresses<'a>,
    service_weights: WeightsOut,
    service_meta: Given<'a>,
    service_port: i64,
    service_ports: Option<Vec<PortOut<'a>>>,
    service_socket_path: &'a str,
    service_enable_tag_override: bool,
    service_proxy: ProxyOut<'a>,
    service_connect: ConnectOut<'a>,
    service_locality: Option<LocalityOut<'a>>,
    create_index: u64,
    modify_index: u64,
}

/// An instance with its node and all checks that speak of it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CheckServiceNodeOut<'a> {
    node: NodeOut<'a>,
    service: NodeServiceOut<'a>,
    checks: Option<Vec<HealthCheckOut<'a>>>,
}

/// Pairs that are printed as an empty object when there are none.
pub(crate) struct Given<'a>(pub(crate) Option<&'a Pairs>);

/// Addresses by purpose.
#[derive(Clone, Copy)]
pub(crate) struct Addresses<'a>(pub(crate) Option<&'a Pairs<ServiceAddress>>);

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AddressOut<'a> {
    address: &'a str,
    port: i64,
}

/// One of several named ports.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PortOut<'a> {
    name: &'a str,
    port: i64,
    default: bool,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct WeightsOut {
    passing: i64,
    warning: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct LocalityOut<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    region: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    zone: &'a str,
}

// === forms of records ===

impl<'a> NodeServiceOut<'a> {
    /// As it was registered: tags that were never given are printed as `null`.
    pub(crate) fn as_given(row: &'a Instance) -> Self {
        let tags = row.service.tags.were_given().then_some(&*row.service.tags);
        Self { tags, ..row.into() }
    }

    /// As it was registered: no tags are printed as `null`.
    pub(crate) fn bare(self) -> Self {
        Self { tags: self.tags.filter(|tags| !tags.is_empty()), ..self }
    }

    /// The service's name.
    pub(crate) fn name(&self) -> &str {
        self.service
    }

    /// The service's id.
    pub(crate) fn id(&self) -> &str {
        self.id
    }
}

impl<'a> From<&'a NodeRow> for NodeOut<'a> {
    fn from(row: &'a NodeRow) -> Self {
        let node = &row.node;
        Self {
            id: &node.id,
            node: node.name.as_str(),
            address: &node.address,
            datacenter: &node.datacenter,
            tagged_addresses: node.tagged_addresses.as_ref(),
            meta: node.meta.as_ref(),
            locality: node.locality.as_ref().map(Into::into),
            create_index: row.created,
            modify_index: row.modified,
        }
    }
}

impl<'a> From<&'a Instance> for NodeServiceOut<'a> {
    fn from(row: &'a Instance) -> Self {
        let service = &row.service;
        let rare = service.rare.as_deref();
        Self {
            kind: service.kind(),
            id: service.id.as_str(),
            service: service.name.as_str(),
            tags: Some(&service.tags),
            address: &service.address,
            tagged_addresses: Addresses(service.tagged_addresses.as_ref()),
            meta: service.meta.as_ref(),
            port: service.port,
            ports: service.ports().iter().map(Into::into).collect(),
            socket_path: rare.map_or("", |rare| &rare.socket_path),
            weights: service.weights.into(),
            enable_tag_override: service.enable_tag_override,
            locality: rare.and_then(|rare| rare.locality.as_ref()).map(Into::into),
            proxy: ProxyOut(service.mesh()),
            connect: ConnectOut(service.mesh()),
            peer_name: "",
            create_index: row.created,
            modify_index: row.modified,
        }
    }
}

impl<'a> ServiceNodeOut<'a> {
    pub(crate) fn new(node: &'a NodeRow, row: &'a Instance) -> Self {
        let service = &row.service;
        let rare = service.rare.as_deref();
        let ports = service.ports();
        Self {
            id: &node.node.id,
            node: row.node.as_str(),
            address: &node.node.address,
            datacenter: &node.node.datacenter,
            tagged_addresses: node.node.tagged_addresses.as_ref(),
            node_meta: node.node.meta.as_ref(),
            service_kind: service.kind(),
            service_id: service.id.as_str(),
            service_name: service.name.as_str(),
            service_tags: &service.tags,
            service_address: &service.address,
            service_tagged_addresses: Addresses(service.tagged_addresses.as_ref()),
            service_weights: service.weights.into(),
            service_meta: Given(service.meta.as_ref()),
            service_port: service.default_port(),
            service_ports: (!ports.is_empty()).then(|| ports.iter().map(Into::into).collect()),
            service_socket_path: rare.map_or("", |rare| &rare.socket_path),
            service_enable_tag_override: service.enable_tag_override,
            service_proxy: ProxyOut(service.mesh()),
            service_connect: ConnectOut(service.mesh()),
            service_locality: rare.and_then(|rare| rare.locality.as_ref()).map(Into::into),
            create_index: row.created,
            modify_index: row.modified,
        }
    }
}

impl<'a> CheckServiceNodeOut<'a> {
    pub(crate) fn new(node: &'a NodeRow, row: &'a Instance) -> Self {
        let port = row.service.default_port();
        Self {
            node: node.into(),
            service: NodeServiceOut { port, ..row.into() },
            checks: Some(checks(node, row).map(|check| (&**check).into()).collect()),
        }
    }

    /// As it was registered: what was never given is printed as `null`.
    pub(crate) fn as_given(node: &'a NodeRow, row: &'a Instance) -> Self {
        let checks: Vec<HealthCheckOut<'a>> =
            checks(node, row).map(|check| HealthCheckOut::as_given(check)).collect();
        Self {
            node: node.into(),
            service: NodeServiceOut::as_given(row),
            checks: (!checks.is_empty()).then_some(checks),
        }
    }
}

impl<'a> From<&'a ServicePort> for PortOut<'a> {
    fn from(port: &'a ServicePort) -> Self {
        Self { name: &port.name, port: port.port, default: port.default }
    }
}

impl From<Weights> for WeightsOut {
    fn from(weights: Weights) -> Self {
        Self { passing: weights.passing, warning: weights.warning }
    }
}

impl<'a> From<&'a Locality> for LocalityOut<'a> {
    fn from(locality: &'a Locality) -> Self {
        Self { region: &locality.region, zone: &locality.zone }
    }
}

impl Serialize for Given<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.into_iter().flat_map(Pairs::iter))
    }
}

impl Addresses<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none_or(Pairs::is_empty)
    }
}

impl Serialize for Addresses<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let addresses = self.0.into_iter().flat_map(Pairs::iter);
        let mut map = serializer.serialize_map(None)?;
        for (purpose, address) in addresses {
            map.serialize_entry(
                purpose,
                &AddressOut { address: &address.address, port: address.port },
            )?;
        }
        map.end()
    }
}

// === whole answers ===

/// The checks that decide about an instance: its node's first, then its own.
pub(crate) fn checks<'a>(
    node: &'a NodeRow,
    row: &'a Instance,
) -> impl Iterator<Item = &'a Arc<CheckRow>> {
    node.node_checks().chain(node.checks_of(&row.service.id))
}

/// Whether nothing speaks against an instance.
pub(crate) fn is_passing(node: &NodeRow, row: &Instance) -> bool {
    row.hold.is_none() && checks(node, row).all(|check| *check.status() == Status::Passing)
}

/// The instances of a service with their nodes.
pub(crate) fn instances<'a>(
    index: &'a Index,
    service: &'a ServiceRow,
) -> impl Iterator<Item = (&'a NodeRow, &'a Instance)> {
    service.instances.iter().filter_map(|((node, _), row)| Some((&**index.node(node)?, &**row)))
}

/// A JSON list of what is printed for each record.
pub(crate) fn list<T>(records: impl Iterator<Item = T>, form: impl Fn(&mut Vec<u8>, T)) -> Bytes {
    let mut out = vec![b'['];
    for record in records {
        if out.len() > 1 {
            out.push(b',');
        }
        form(&mut out, record);
    }
    out.push(b']');
    out.shrink_to_fit();
    out.into()
}

/// Appends an instance with its node and checks.
pub(crate) fn write_health(out: &mut Vec<u8>, (node, row): (&NodeRow, &Instance)) {
    write_json(out, &CheckServiceNodeOut::new(node, row));
}

/// Appends an instance with its node.
pub(crate) fn write_catalog(out: &mut Vec<u8>, (node, row): (&NodeRow, &Instance)) {
    write_json(out, &ServiceNodeOut::new(node, row));
}
