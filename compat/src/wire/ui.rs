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
                ((key.0.to_owned(), key.1.to_owned()), check.check.status.clone())
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

    /// The list of services, by name.
    pub(crate) fn listed(self) -> Vec<ListedOut> {
        let listed = |gathering: Gathering| ListedOut {
            connected_with_proxy: gathering.transparent.is_some(),
            connected_with_gateway: false,
            summary: gathering.done(),
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
            by_node.add(&worst(row.node_checks().map(|check| &check.check.status)));
            for instance in row.services.values() {
                let own = row.checks_of(&instance.service.id).map(|check| &check.check.status);
                named(&mut services, instance.service.name.as_str()).add(&worst(own));
            }
            for check in row.checks.values() {
                named(&mut checks, &check.check.name).add(&check.check.status);
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
