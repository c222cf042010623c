//! The nouns of the catalog: nodes, services, checks, sessions, keys.
//!
//! They hold what Consul's catalog holds (its HTTP reference names the fields alike), not how it prints them:
//! printing belongs to whoever serves them.

pub mod mesh;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::mesh::Mesh;
use crate::name::Caseless;
use crate::pairs::Pairs;

/// Tags in the order in which they were given, duplicates included. A list that was never given differs from an empty
/// one, as in Consul, where replacing the one by the other is a change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tags(Option<Arc<[Box<str>]>>);

/// A machine, or whatever a registration calls one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// A UUID as written, compared without case; empty when none was given.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub id: Box<str>,
    /// The name by which the catalog knows it.
    pub name: Caseless,
    /// An IP address or a host name; not checked.
    pub address: Box<str>,
    /// The datacenter, the first label of the scope's path.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub datacenter: Box<str>,
    /// Addresses by purpose (`lan`, `wan`, `lan_ipv4` …). `None` was never given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tagged_addresses: Option<Pairs>,
    /// Free pairs. `None` was never given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meta: Option<Pairs>,
    /// Region and zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locality: Option<Locality>,
}

/// Where something runs (Consul 1.17 and later).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Locality {
    /// The cloud region.
    pub region: Box<str>,
    /// The zone inside it.
    pub zone: Box<str>,
}

/// One instance of a service on a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Unique on its node.
    pub id: Caseless,
    /// What it is looked up by.
    pub name: Caseless,
    /// Labels, in the given order.
    #[serde(default, skip_serializing_if = "no_tags")]
    pub tags: Tags,
    /// An IP address or host name; empty means the node's.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub address: Box<str>,
    /// Not range-checked, as in Consul.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub port: i64,
    /// Free pairs. `None` was never given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meta: Option<Pairs>,
    /// Shares of SRV answers.
    #[serde(default)]
    pub weights: Weights,
    /// Whether the catalog's tags win over the agent's.
    #[serde(default, skip_serializing_if = "is_false")]
    pub enable_tag_override: bool,
    /// Addresses by purpose. `None` was never given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tagged_addresses: Option<Pairs<ServiceAddress>>,
    /// What few services have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rare: Option<Box<Rare>>,
}

/// The fields of a service that are seldom given, kept apart so that the others stay small.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rare {
    /// `""` for a plain service.
    pub kind: Box<str>,
    /// Named ports, exclusive with `port`.
    pub ports: Vec<ServicePort>,
    /// A Unix socket instead of a port.
    pub socket_path: Box<str>,
    /// Region and zone.
    pub locality: Option<Locality>,
    /// The mesh's part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mesh: Option<Arc<Mesh>>,
}

/// An address and port of a service for one purpose.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceAddress {
    /// IP address or host name.
    pub address: Box<str>,
    /// Port; 0 when not given.
    pub port: i64,
}

/// One of several named ports (Consul 1.22).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServicePort {
    /// Unique in the service.
    pub name: Box<str>,
    /// The number.
    pub port: i64,
    /// Whether it stands for the service's port where only one can be told.
    pub default: bool,
}

/// SRV weights by health.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weights {
    /// While passing.
    pub passing: i64,
    /// While warning.
    pub warning: i64,
}

/// The state of a check. Registration through the catalog takes any text, as Consul does.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Box<str>", into = "Box<str>")]
pub enum Status {
    /// Fit for traffic.
    Passing,
    /// Fit, with a note.
    Warning,
    /// Not fit.
    Critical,
    /// Anything else that somebody wrote.
    Other(Box<str>),
}

/// A health check of a node, or of a service on it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Unique on its node.
    pub id: Caseless,
    /// For people.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub name: Box<str>,
    /// Its state.
    pub status: Status,
    /// For people.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub notes: Box<str>,
    /// What the last run said.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub output: Box<str>,
    /// The service that it speaks of; `None` for the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Checked>,
    /// `http`, `ttl` …; empty when not said.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub kind: Box<str>,
    /// Text of a duration, as registered.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub interval: Box<str>,
    /// Text of a duration, as registered.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub timeout: Box<str>,
    /// The port through which a proxy exposes it; 0 when none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub exposed_port: i64,
    /// How it is run, when whoever registered it told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<Box<Definition>>,
}

/// The service of a check, as it was named when the check was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// The service's id on the node.
    pub id: Caseless,
    /// Filled from the service by the index.
    #[serde(default)]
    pub name: Caseless,
    /// Filled from the service by the index.
    #[serde(default, skip_serializing_if = "no_tags")]
    pub tags: Tags,
}

/// How a check is run: the `Definition` of Consul's `HealthCheck`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(
    missing_docs,
    reason = "the fields of Consul's HealthCheckDefinition, named as its reference names them"
)]
pub struct Definition {
    pub interval: Duration,
    pub timeout: Duration,
    pub deregister_critical_service_after: Duration,
    pub ttl: Duration,
    pub output_max_size: u64,
    pub http: Box<str>,
    pub tls_server_name: Box<str>,
    pub tls_skip_verify: bool,
    pub header: Pairs<Vec<Box<str>>>,
    pub method: Box<str>,
    pub body: Box<str>,
    pub disable_redirects: bool,
    pub tcp: Box<str>,
    pub tcp_use_tls: bool,
    pub udp: Box<str>,
    pub h2ping: Box<str>,
    pub h2ping_use_tls: bool,
    pub os_service: Box<str>,
    pub script_args: Vec<Box<str>>,
    pub docker_container_id: Box<str>,
    pub shell: Box<str>,
    pub grpc: Box<str>,
    pub grpc_use_tls: bool,
    pub alias_node: Box<str>,
    pub alias_service: Box<str>,
    pub session_name: Box<str>,
}

/// A session: a lease on a node and its checks that may hold keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// UUID.
    pub id: Box<str>,
    /// For people.
    pub name: Box<str>,
    /// The node whose end ends it.
    pub node: Caseless,
    /// How long a key that it held cannot be taken by another after it ends.
    pub lock_delay: Duration,
    /// What happens to held keys.
    pub behavior: Behavior,
    /// Text of a duration; empty means that it does not expire.
    pub ttl: Box<str>,
    /// Node checks whose turn to critical ends it. `None` prints as null.
    pub node_checks: Option<Vec<Box<str>>>,
    /// Service checks whose turn to critical ends it.
    pub service_checks: Option<Vec<ServiceCheck>>,
    /// The older field of the same meaning, printed when given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks: Option<Vec<Box<str>>>,
}

/// A service check that a session is bound to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceCheck {
    /// The check's id.
    pub id: Box<str>,
    /// Enterprise only; kept as given.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub namespace: Box<str>,
}

/// What the end of a session does to the keys that it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Behavior {
    /// They become free.
    #[default]
    Release,
    /// They are deleted.
    Delete,
}

fn no_tags(tags: &Tags) -> bool {
    !tags.were_given()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

// === impl Tags ===

impl Tags {
    /// Whether a list was given, be it an empty one.
    pub fn were_given(&self) -> bool {
        self.0.is_some()
    }
}

impl std::ops::Deref for Tags {
    type Target = [Box<str>];

    fn deref(&self) -> &Self::Target {
        self.0.as_deref().unwrap_or_default()
    }
}

impl<T: Into<Box<str>>> FromIterator<T> for Tags {
    fn from_iter<I: IntoIterator<Item = T>>(tags: I) -> Self {
        Self(Some(tags.into_iter().map(Into::into).collect()))
    }
}

// === impl Service ===

impl Service {
    /// The kind, empty for a plain service.
    pub fn kind(&self) -> &str {
        self.rare.as_deref().map_or("", |rare| &rare.kind)
    }

    /// The named ports.
    pub fn ports(&self) -> &[ServicePort] {
        self.rare.as_deref().map_or(&[], |rare| &rare.ports)
    }

    /// The port to tell where only one can be told: the plain one, else the default among the named.
    pub fn default_port(&self) -> i64 {
        let named = self.ports().iter().find(|port| port.default);
        if self.port == 0 { named.map_or(0, |port| port.port) } else { self.port }
    }
}

// === impl Weights ===

impl Default for Weights {
    fn default() -> Self {
        Self { passing: 1, warning: 1 }
    }
}

// === impl Status ===

impl Status {
    /// Its text on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Passing => "passing",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::Other(text) => text,
        }
    }
}

impl Default for Status {
    /// A check that nobody has run yet is critical.
    fn default() -> Self {
        Self::Critical
    }
}

impl From<Box<str>> for Status {
    fn from(text: Box<str>) -> Self {
        match text.as_ref() {
            "passing" => Self::Passing,
            "warning" => Self::Warning,
            "critical" => Self::Critical,
            _ => Self::Other(text),
        }
    }
}

impl From<&str> for Status {
    fn from(text: &str) -> Self {
        Self::from(Box::<str>::from(text))
    }
}

impl From<Status> for Box<str> {
    fn from(status: Status) -> Self {
        status.as_str().into()
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl Check ===

impl Check {
    /// The id of the service that it speaks of.
    pub fn service_id(&self) -> Option<&Caseless> {
        self.service.as_ref().map(|service| &service.id)
    }
}
