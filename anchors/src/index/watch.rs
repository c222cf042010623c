//! What somebody may wait for.

use std::sync::Arc;

use super::Index;
use crate::query::Query;
use crate::record::{CA_CONFIG, TableId};

/// A part of the index that a read depends on. A change names each part whose visible content it may have changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum WatchKey {
    /// The list of nodes.
    Nodes,
    /// One node (by key) with its services.
    Node(Arc<str>),
    /// The list of services and their tags.
    Services,
    /// One service (by key): instances, their nodes and their checks.
    Service(Arc<str>),
    /// The list of checks.
    Checks,
    /// The checks on one node (by key).
    NodeChecks(Arc<str>),
    /// One key; waking it wakes each prefix of it too.
    Key(Arc<str>),
    /// A prefix of keys: waited for, never touched itself.
    Prefix(Arc<str>),
    /// The list of sessions.
    Sessions,
    /// One session.
    Session(Arc<str>),
    /// Who reaches a service (by key) through the mesh.
    Connect(Arc<str>),
    /// Which services gateways are linked with.
    Gateways,
    /// A table of further records.
    Table(TableId),
    /// One further record, by key.
    Record(TableId, Arc<str>),
}

impl Index {
    /// What must be touched for the answer of this read to change.
    pub fn watched_by(&self, query: &Query) -> Vec<WatchKey> {
        let with_nodes = |key, by_node_meta: &bool| {
            if *by_node_meta { vec![key, WatchKey::Nodes] } else { vec![key] }
        };
        match query {
            Query::Nodes => vec![WatchKey::Nodes],
            Query::Node(text) => vec![self.watched_node(text)],
            Query::Services { by_node_meta } => with_nodes(WatchKey::Services, by_node_meta),
            Query::Service(name) | Query::Health(name) => {
                vec![WatchKey::Service(name.shared_key())]
            }
            Query::NodeChecks(node) => vec![WatchKey::NodeChecks(node.shared_key())],
            Query::ServiceChecks { service, .. } => vec![WatchKey::Service(service.shared_key())],
            Query::Checks { by_node_meta } => with_nodes(WatchKey::Checks, by_node_meta),
            Query::Key(key) => vec![WatchKey::Key(key.as_ref().into())],
            Query::Keys(prefix) => vec![WatchKey::Prefix(prefix.as_ref().into())],
            Query::Sessions | Query::NodeSessions(_) => vec![WatchKey::Sessions],
            Query::Session(id) => vec![WatchKey::Session(id.as_ref().into())],
            Query::Connect(name) | Query::HealthConnect(name) => self.watched_connect(name),
            Query::HealthIngress(name) => self.watched_ingress(name),
            Query::GatewayServices { any: false } => vec![WatchKey::Gateways],
            Query::GatewayServices { any: true } => vec![WatchKey::Gateways, WatchKey::Services],
            Query::CaRoots => {
                let config = WatchKey::Record(TableId::Setting, CA_CONFIG.into());
                vec![WatchKey::Table(TableId::CaRoot), config]
            }
            Query::Table(table) => vec![WatchKey::Table(*table)],
            Query::Record { table, key } => {
                vec![WatchKey::Record(*table, key.as_ref().into())]
            }
            Query::Several(queries) => {
                queries.iter().flat_map(|query| self.watched_by(query)).collect()
            }
        }
    }

    /// A node that is not there may come under the name, or under an id that starts so: then the list is watched.
    fn watched_node(&self, text: &str) -> WatchKey {
        match self.node_by_name_or_id(text) {
            Some(row) => WatchKey::Node(row.node.name.shared_key()),
            None => WatchKey::Nodes,
        }
    }
}
