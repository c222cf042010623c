//! Gateways' links and virtual addresses: what is read and what is printed.

use std::sync::Arc;

use proconsul_anchors::index::connect::{Gateway, Link, Linked};
use proconsul_anchors::index::{Index, Instance};
use serde::Serialize;

use crate::wire::check::{is_false, is_zero};
use crate::wire::decode::form;

/// The body of `PUT /v1/internal/service-virtual-ip`.
#[derive(Debug, Default)]
pub(crate) struct VirtualIpForm {
    pub(crate) service: String,
    pub(crate) manual: Vec<String>,
    pub(crate) datacenter: String,
}

form!(VirtualIpForm, "structs.AssignServiceManualVIPsRequest", plain "AssignServiceManualVIPsRequest", refuse, {
    "Service" => service, "ManualVIPs" => manual, "Datacenter" => datacenter,
});

/// The answer to it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AssignedOut<'a> {
    pub(crate) found: bool,
    pub(crate) unassigned_from: Option<Vec<PeeredNameOut<'a>>>,
}

/// A service of this cluster or another.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PeeredNameOut<'a> {
    service_name: NameOut<'a>,
    peer: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct NameOut<'a> {
    name: &'a str,
}

impl<'a> PeeredNameOut<'a> {
    /// A service of this cluster.
    pub(crate) fn own(name: &'a str) -> Self {
        Self { service_name: NameOut { name }, peer: "" }
    }
}

/// A link of a gateway with a service.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct GatewayServiceOut<'a> {
    gateway: NameOut<'a>,
    service: NameOut<'a>,
    gateway_kind: &'static str,
    #[serde(skip_serializing_if = "is_zero")]
    port: i64,
    #[serde(skip_serializing_if = "str::is_empty")]
    protocol: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    hosts: &'a [Box<str>],
    #[serde(rename = "CAFile", skip_serializing_if = "str::is_empty")]
    ca_file: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    cert_file: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    key_file: &'a str,
    #[serde(rename = "SNI", skip_serializing_if = "str::is_empty")]
    sni: &'a str,
    #[serde(skip_serializing_if = "is_false")]
    from_wildcard: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    service_kind: &'static str,
    create_index: u64,
    modify_index: u64,
    #[serde(skip_serializing_if = "is_false")]
    auto_host_rewrite: bool,
}

impl<'a> GatewayServiceOut<'a> {
    /// One of a gateway's links, as what is registered makes it.
    pub(crate) fn new(linked: &Linked<'a>, link: &'a Link, index: &Index) -> Self {
        let written = linked.entry.modified;
        let plain = || plain(index, &link.service);
        let since = plain().map(|row| row.created).min().unwrap_or(0).max(written);
        let told_since = plain().any(|row| row.modified > written);
        Self {
            gateway: NameOut { name: &linked.entry.record.name },
            service: NameOut { name: &link.service },
            gateway_kind: linked.kind.as_str(),
            port: link.port,
            protocol: &link.protocol,
            hosts: &link.hosts,
            ca_file: &link.ca_file,
            cert_file: &link.cert_file,
            key_file: &link.key_file,
            sni: &link.sni,
            from_wildcard: link.from_any,
            // Consul tells it of those that were registered, again or not, after the gateway was linked.
            service_kind: if told_since {
                "service"
            } else {
                kind_when_linked(linked, link, index)
            },
            create_index: if link.from_any { since } else { written },
            modify_index: since,
            auto_host_rewrite: link.auto_host_rewrite,
        }
    }

    /// The service's name.
    pub(crate) fn service(&self) -> &str {
        self.service.name
    }
}

/// The plain instances of a service that are there.
fn plain<'i>(index: &'i Index, service: &str) -> impl Iterator<Item = &'i Arc<Instance>> + use<'i> {
    let instances = index.service(service).into_iter().flat_map(|row| row.instances.values());
    instances.filter(|row| row.service.kind().is_empty())
}

/// What Consul knew a service to be when the gateway was linked with it: it asked only where a terminating gateway names it.
fn kind_when_linked(linked: &Linked<'_>, link: &Link, index: &Index) -> &'static str {
    let asked = linked.kind == Gateway::Terminating && !link.from_any;
    let then = |row: &Arc<Instance>| row.created <= linked.entry.modified;
    let known =
        asked && index.service(&link.service).is_some_and(|row| row.instances.values().any(then));
    if known { "service" } else { "" }
}
