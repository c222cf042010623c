//! Every read, as a value: what is read decides which index the answer carries and what wakes who waits for it.

use serde::{Deserialize, Serialize};

use crate::name::Caseless;
use crate::record::TableId;

/// A read.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Query {
    /// All nodes (`/v1/catalog/nodes`).
    Nodes,
    /// One node with its services (`/v1/catalog/node/`, `/v1/catalog/node-services/`); by name, id or id prefix.
    Node(Box<str>),
    /// All service names with their tags (`/v1/catalog/services`).
    Services {
        /// Whether it is narrowed by node meta: then it also depends on the nodes.
        by_node_meta: bool,
    },
    /// The instances of a service (`/v1/catalog/service/`).
    Service(Caseless),
    /// The instances of a service with their nodes and checks (`/v1/health/service/`).
    Health(Caseless),
    /// Those that reach a service through the mesh (`/v1/catalog/connect/`).
    Connect(Caseless),
    /// The same with their nodes and checks (`/v1/health/connect/`).
    HealthConnect(Caseless),
    /// The ingress gateways of a service, with their nodes and checks (`/v1/health/ingress/`).
    HealthIngress(Caseless),
    /// The services that a gateway is linked with (`/v1/catalog/gateway-services/`).
    GatewayServices {
        /// Whether it is linked with every service: then it also depends on them.
        any: bool,
    },
    /// The checks of a node (`/v1/health/node/`).
    NodeChecks(Caseless),
    /// The checks of a service's instances (`/v1/health/checks/`).
    ServiceChecks {
        /// The service.
        service: Caseless,
        /// Whether it is narrowed by node meta: then the index is the service's.
        by_node_meta: bool,
    },
    /// All checks, whatever their state (`/v1/health/state/`).
    Checks {
        /// Whether it is narrowed by node meta: then it also depends on the nodes.
        by_node_meta: bool,
    },
    /// One key.
    Key(Box<str>),
    /// The keys under a prefix; empty for all.
    Keys(Box<str>),
    /// All sessions.
    Sessions,
    /// One session.
    Session(Box<str>),
    /// The sessions of a node.
    NodeSessions(Caseless),
    /// The roots of the mesh and their domain (`/v1/connect/ca/roots`).
    CaRoots,
    /// All records of a table.
    Table(TableId),
    /// One record of a table. Its index is the table's; it is woken by the record alone.
    Record {
        /// The table.
        table: TableId,
        /// The record's key.
        key: Box<str>,
    },
    /// Several reads as one: the highest of their indexes, woken by each.
    Several(Vec<Self>),
}
