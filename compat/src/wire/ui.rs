//! What `/v1/internal/ui` prints for the web interface.

use std::collections::{BTreeMap, BTreeSet};

use proconsul_anchors::index::{Instance, NodeRow};
use proconsul_anchors::pairs::Pairs;
use proconsul_anchors::service::Status;
use proconsul_anchors::service::mesh::CONNECT_PROXY;
use serde::Serialize;

use crate::wire::catalog::{NodeServiceOut, checks};
use crate::wire::check::HealthCheckOut;

/// A node with everything on it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct UiNodeOut<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    node: &'a str,
    address: &'a str,
    tagged_addresses: Option<&'a Pairs>,
    meta: Option<&'a Pairs>,
    pub(crate) services: Vec<NodeServiceOut<'a>>,
    pub(crate) checks: Vec<HealthCheckOut<'a>>,
}

/// A service in a few numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct SummaryOut {
    #[serde(skip_serializing_if = "String::is_empty")]
    kind: String,
    name: String,
    datacenter: String,
    #[serde(serialize_with = "null_when_empty")]
    tags: BTreeSet<Box<str>>,
    #[serde(serialize_with = "null_when_empty")]
    nodes: BTreeSet<String>,
    #[serde(serialize_with = "null_when_empty")]
    external_sources: Vec<Box<str>>,
    instance_count: usize,
    checks_passing: usize,
    checks_warning: usize,
    checks_critical: usize,
    gateway_config: GatewayConfigOut,
    transparent_proxy: bool,
    connect_native: bool,
}

/// What a gateway has to do with a service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct GatewayConfigOut {
    #[serde(skip_serializing_if = "is_none")]
    associated_service_count: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    addresses: Vec<String>,
}

/// A service of the list of services.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListedOut {
    #[serde(flatten)]
    summary: SummaryOut,
    connected_with_proxy: bool,
    connected_with_gateway: bool,
}

/// A service on one side of another, and why it is there.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct NeighbourOut {
    #[serde(flatten)]
    pub(crate) summary: SummaryOut,
    pub(crate) source: &'static str,
    pub(crate) intention: DecisionOut,
}

/// What intentions say of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct DecisionOut {
    pub(crate) allowed: bool,
    pub(crate) has_permissions: bool,
    pub(crate) external_source: String,
    pub(crate) has_exact: bool,
    pub(crate) default_allow: bool,
}

/// A service between those that it speaks to and those that speak to it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TopologyOut {
    pub(crate) protocol: String,
    pub(crate) transparent_proxy: bool,
    pub(crate) upstreams: Vec<NeighbourOut>,
    pub(crate) downstreams: Vec<NeighbourOut>,
    #[serde(rename = "FilteredByACLs")]
    pub(crate) filtered: bool,
}

impl SummaryOut {
    /// A service of which only the name is known.
    pub(crate) fn named(name: &str, datacenter: &str) -> Self {
        Self { name: name.to_owned(), datacenter: datacenter.to_owned(), ..Self::default() }
    }

    /// The service's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// A count of healths.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CountOut {
    #[serde(skip_serializing_if = "str::is_empty")]
    name: Box<str>,
    total: usize,
    passing: usize,
    warning: usize,
    critical: usize,
}

/// The catalog in counts.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct OverviewOut {
    nodes: [CountOut; 1],
    services: Vec<CountOut>,
    checks: Vec<CountOut>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn is_none(count: &usize) -> bool {
    *count == 0
}

/// Go prints a list that nothing was ever put into as `null`.
fn null_when_empty<T: Serialize, S: serde::Serializer>(
    list: &T,
    serializer: S,
) -> Result<S::Ok, S::Error>
where
    for<'a> &'a T: IntoIterator,
{
    if list.into_iter().next().is_none() {
        serializer.serialize_none()
    } else {
        list.serialize(serializer)
    }
}

// === impl UiNodeOut ===

impl UiNodeOut<'_> {
    /// The node's name.
    pub(crate) fn name(&self) -> &str {
        self.node
    }
}

impl<'a> From<&'a NodeRow> for UiNodeOut<'a> {
    fn from(row: &'a NodeRow) -> Self {
        let node = &row.node;
        Self {
            id: &node.id,
            node: node.name.as_str(),
            address: &node.address,
            tagged_addresses: node.tagged_addresses.as_ref(),
            meta: node.meta.as_ref(),
            services: row
                .services
                .values()
                .map(|row| NodeServiceOut::from(&**row).bare())
                .collect(),
            checks: row.checks.values().map(|row| HealthCheckOut::from(&**row).bare()).collect(),
        }
    }
}

// === summaries ===

/// Summaries of services while instances are added one by one.
#[derive(Debug, Default)]
pub(crate) struct Summaries(BTreeMap<String, Gathering>);

/// A service's summary in the making.
#[derive(Debug, Default)]
struct Gathering {
    summary: SummaryOut,
    /// By node and id: a check counts once, however many instances it speaks of.
    checks: BTreeMap<(String, String), Status>,
    /// Whether all its proxies are transparent; nothing while there is none.
    transparent: Option<bool>,
}

impl Summaries {
    /// Adds an instance, and what its proxy says of another service.
    pub(crate) fn add(&mut self, node: &NodeRow, row: &Instance) {
        let service = &row.service;
        let healths: Vec<_> = checks(node, row)
            .map(|check| {
                let key = (node.node.name.as_str(), check.check.id.as_str());
                ((key.0.to_owned(), key.1.to_owned()), check.status().clone())
            })
            .collect();
        let proxy = service.mesh().map(|mesh| &mesh.proxy);
        if service.kind() == CONNECT_PROXY
            && let Some(proxy) = proxy
        {
            let of = self.gather(&proxy.destination_service_name);
            of.checks.extend(healths.iter().cloned());
            of.transparent = Some(of.transparent.unwrap_or(true) && &*proxy.mode == TRANSPARENT);
        }
        let own = self.gather(service.name.as_str());
        own.checks.extend(healths);
        let summary = &mut own.summary;
        service.kind().clone_into(&mut summary.kind);
        (*node.node.datacenter).clone_into(&mut summary.datacenter);
        summary.instance_count += 1;
        summary.connect_native |= service.mesh().is_some_and(|mesh| mesh.native);
        summary.nodes.insert(node.node.name.as_str().to_owned());
        summary.tags.extend(service.tags.iter().cloned());
        let source = service.meta.as_ref().and_then(|meta| meta.get(EXTERNAL_SOURCE));
        if let Some(source) = source.filter(|source| !source.is_empty())
            && !summary.external_sources.contains(source)
        {
            summary.external_sources.push(source.clone());
        }
    }

    fn gather(&mut self, name: &str) -> &mut Gathering {
        let there = self.0.entry(name.to_owned()).or_default();
        name.clone_into(&mut there.summary.name);
        there
    }

    /// Notes a service that a gateway leads to, and where it is asked for there.
    pub(crate) fn lead_to(&mut self, service: &str, addresses: impl Iterator<Item = String>) {
        let config = &mut self.gather(service).summary.gateway_config;
        for address in addresses {
            if !config.addresses.contains(&address) {
                config.addresses.push(address);
            }
        }
    }

    /// The summaries alone, by name.
    pub(crate) fn plain(self) -> Vec<SummaryOut> {
        self.0.into_values().map(Gathering::done).collect()
    }

    /// The same without sidecars and without the gateways that no service speaks to by itself.
    pub(crate) fn of_services(self) -> Vec<SummaryOut> {
        const SHOWN: [&str; 3] = ["", "ingress-gateway", "api-gateway"];
        let mut summaries = self.plain();
        summaries.retain(|summary| SHOWN.contains(&summary.kind.as_str()));
        summaries
    }

    /// The list of services, by name. `links` are pairs of a gateway and a service that it leads to.
    pub(crate) fn listed(mut self, links: &[(Box<str>, Box<str>)]) -> Vec<ListedOut> {
        let mut behind_gateway = BTreeSet::new();
        for (gateway, service) in links {
            let Some(there) = self.0.get_mut(&**gateway) else { continue };
            there.summary.gateway_config.associated_service_count += 1;
            behind_gateway.insert(&**service);
        }
        let listed = |gathering: Gathering| {
            let summary = &gathering.summary;
            let behind = summary.instance_count > 0 && behind_gateway.contains(&*summary.name);
            ListedOut {
                connected_with_proxy: gathering.transparent.is_some(),
                connected_with_gateway: behind,
                summary: gathering.done(),
            }
        };
        self.0.into_values().map(listed).collect()
    }
}

impl Gathering {
    fn done(mut self) -> SummaryOut {
        for status in self.checks.values() {
            match status {
                Status::Passing => self.summary.checks_passing += 1,
                Status::Warning => self.summary.checks_warning += 1,
                Status::Critical => self.summary.checks_critical += 1,
                Status::Other(_) => {}
            }
        }
        self.summary.transparent_proxy = self.transparent.unwrap_or(false);
        self.summary
    }
}

const TRANSPARENT: &str = "transparent";
/// The meta key under which schedulers leave their name.
const EXTERNAL_SOURCE: &str = "external-source";

// === overview ===

impl CountOut {
    fn add(&mut self, status: &Status) {
        self.total += 1;
        match status {
            Status::Passing => self.passing += 1,
            Status::Warning => self.warning += 1,
            Status::Critical => self.critical += 1,
            Status::Other(_) => {}
        }
    }
}

impl OverviewOut {
    /// Counts a catalog. A node is as healthy as the worst of its own checks, an instance as the worst of its own.
    pub(crate) fn of<'a>(nodes: impl Iterator<Item = &'a NodeRow>) -> Self {
        let mut by_node = CountOut::default();
        let (mut services, mut checks) = (BTreeMap::new(), BTreeMap::new());
        for row in nodes {
            by_node.add(&worst(row.node_checks().map(|check| check.status())));
            for instance in row.services.values() {
                let own = row.checks_of(&instance.service.id).map(|check| check.status());
                named(&mut services, instance.service.name.as_str()).add(&worst(own));
            }
            for check in row.checks.values() {
                named(&mut checks, &check.check.name).add(check.status());
            }
        }
        let list = |of: BTreeMap<Box<str>, CountOut>| of.into_values().collect();
        Self { nodes: [by_node], services: list(services), checks: list(checks) }
    }
}

fn named<'m>(of: &'m mut BTreeMap<Box<str>, CountOut>, name: &str) -> &'m mut CountOut {
    let count = of.entry(name.into()).or_default();
    count.name = name.into();
    count
}

fn worst<'a>(statuses: impl Iterator<Item = &'a Status>) -> Status {
    statuses.fold(Status::Passing, |worst, status| match (status, worst) {
        (Status::Critical, _) | (_, Status::Critical) => Status::Critical,
        (Status::Warning, _) => Status::Warning,
        (_, worst) => worst,
    })
}
