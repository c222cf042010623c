//! Records beside the catalog, the keys and the sessions: access control, configuration entries, prepared queries,
//! coordinates, certificates. They are all kept, stamped and indexed in the same way, each kind in a table of its own.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::acl::{AuthMethod, BindingRule, Policy, Role, Token};
use crate::credential::{Adjacency, Alias, CredentialRecord};
pub use crate::prepared::PreparedQuery;
use crate::scope::{Scope, ScopePolicy};

/// A table of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each holds the records of the same name")]
pub enum TableId {
    Token,
    Policy,
    Role,
    BindingRule,
    AuthMethod,
    ConfigEntry,
    PreparedQuery,
    Coordinate,
    CaRoot,
    Setting,
    VirtualIp,
    Scope,
    ScopePolicy,
    Credential,
    Adjacency,
    Alias,
}

impl TableId {
    /// All tables.
    pub const ALL: [Self; 16] = [
        Self::Token,
        Self::Policy,
        Self::Role,
        Self::BindingRule,
        Self::AuthMethod,
        Self::ConfigEntry,
        Self::PreparedQuery,
        Self::Coordinate,
        Self::CaRoot,
        Self::Setting,
        Self::VirtualIp,
        Self::Scope,
        Self::ScopePolicy,
        Self::Credential,
        Self::Adjacency,
        Self::Alias,
    ];

    /// What its records are called by people.
    pub fn label(self) -> &'static str {
        match self {
            Self::Token => "ACLToken",
            Self::Policy => "ACLPolicy",
            Self::Role => "ACLRole",
            Self::BindingRule => "ACLBindingRule",
            Self::AuthMethod => "ACLAuthMethod",
            Self::ConfigEntry => "ConfigEntry",
            Self::PreparedQuery => "PreparedQuery",
            Self::Coordinate => "Coordinate",
            Self::CaRoot => "ConnectCA",
            Self::Setting => "Setting",
            Self::VirtualIp => "VirtualIP",
            Self::Scope => "Scope",
            Self::ScopePolicy => "ScopePolicy",
            Self::Credential => "Credential",
            Self::Adjacency => "Adjacency",
            Self::Alias => "Alias",
        }
    }
}

/// A record of a table.
pub trait Record: Clone + PartialEq + Serialize + DeserializeOwned + 'static {
    /// Where it is kept.
    const TABLE: TableId;

    /// What it is found by.
    fn key(&self) -> Arc<str>;

    /// Whether writing the same again moves its indexes: Consul does not compare these.
    const MOVES_ALWAYS: bool = false;

    /// A second name that no other record of the table may have; nothing when it has none.
    fn name(&self) -> Option<Arc<str>> {
        None
    }
}

/// A record of any table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the record of the same name")]
pub enum AnyRecord {
    Token(Box<Token>),
    Policy(Box<Policy>),
    Role(Box<Role>),
    BindingRule(Box<BindingRule>),
    AuthMethod(Box<AuthMethod>),
    ConfigEntry(Box<ConfigEntry>),
    PreparedQuery(Box<PreparedQuery>),
    Coordinate(Box<Coordinate>),
    CaRoot(Box<CaRoot>),
    Setting(Box<Setting>),
    VirtualIp(Box<VirtualIp>),
    Scope(Box<Scope>),
    ScopePolicy(Box<ScopePolicy>),
    Credential(Box<CredentialRecord>),
    Adjacency(Box<Adjacency>),
    Alias(Box<Alias>),
}

impl AnyRecord {
    /// Where it is kept.
    pub fn table(&self) -> TableId {
        match self {
            Self::Token(_) => TableId::Token,
            Self::Policy(_) => TableId::Policy,
            Self::Role(_) => TableId::Role,
            Self::BindingRule(_) => TableId::BindingRule,
            Self::AuthMethod(_) => TableId::AuthMethod,
            Self::ConfigEntry(_) => TableId::ConfigEntry,
            Self::PreparedQuery(_) => TableId::PreparedQuery,
            Self::Coordinate(_) => TableId::Coordinate,
            Self::CaRoot(_) => TableId::CaRoot,
            Self::Setting(_) => TableId::Setting,
            Self::VirtualIp(_) => TableId::VirtualIp,
            Self::Scope(_) => TableId::Scope,
            Self::ScopePolicy(_) => TableId::ScopePolicy,
            Self::Credential(_) => TableId::Credential,
            Self::Adjacency(_) => TableId::Adjacency,
            Self::Alias(_) => TableId::Alias,
        }
    }

    /// What it is found by.
    pub fn key(&self) -> Arc<str> {
        match self {
            Self::Token(record) => record.key(),
            Self::Policy(record) => record.key(),
            Self::Role(record) => record.key(),
            Self::BindingRule(record) => record.key(),
            Self::AuthMethod(record) => record.key(),
            Self::ConfigEntry(record) => record.key(),
            Self::PreparedQuery(record) => record.key(),
            Self::Coordinate(record) => record.key(),
            Self::CaRoot(record) => record.key(),
            Self::Setting(record) => record.key(),
            Self::VirtualIp(record) => record.key(),
            Self::Scope(record) => record.key(),
            Self::ScopePolicy(record) => record.key(),
            Self::Credential(record) => record.key(),
            Self::Adjacency(record) => record.key(),
            Self::Alias(record) => record.key(),
        }
    }
}

/// A write of one record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordChange {
    /// It is there afterwards.
    Put {
        /// The whole record.
        record: AnyRecord,
        /// Under which condition.
        when: When,
    },
    /// It is gone afterwards. Going twice is no error.
    Remove {
        /// The table.
        table: TableId,
        /// The record's key.
        key: Box<str>,
        /// Under which condition.
        when: When,
    },
}

/// The condition of a record's write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Always.
    Always,
    /// While its modify index is this; 0 while it does not exist.
    Index(u64),
}

/// A configuration entry (`/v1/config`). What its kind's fields mean is known to whoever validates it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigEntry {
    /// `service-defaults`, `proxy-defaults` …
    pub kind: Box<str>,
    /// Unique in its kind.
    pub name: Box<str>,
    /// The entry as it is printed, without its indexes: a JSON object.
    pub body: Box<str>,
}

/// Where a node lies in the network (Vivaldi; `/v1/coordinate`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Coordinate {
    /// The node's name.
    pub node: crate::name::Caseless,
    /// The network segment; empty for the default one.
    pub segment: Box<str>,
    /// Eight dimensions, seconds.
    pub vec: Vec<f64>,
    /// Confidence, without a unit.
    pub error: f64,
    /// Seconds.
    pub adjustment: f64,
    /// Seconds.
    pub height: f64,
}

impl Eq for Coordinate {}

/// The setting that configures the mesh's certificate authority.
pub const CA_CONFIG: &str = "ca-config";

/// A root certificate of the mesh (`/v1/connect/ca/roots`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaRoot {
    /// Its id: the certificate's fingerprint.
    pub id: Box<str>,
    /// All that is told of it: a JSON object.
    pub body: Box<str>,
    /// Its private key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<crate::sealed::SealedSecret>,
}

/// A setting of which there is one: `autopilot`, `ca-config`, `acl-bootstrap` …
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// Its name.
    pub name: Box<str>,
    /// A JSON value.
    pub body: Box<str>,
}

/// The address under which the mesh knows a service (`/v1/internal/service-virtual-ip`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtualIp {
    /// The service.
    pub service: crate::name::Caseless,
    /// How far it lies from the first address of the range.
    pub offset: u32,
    /// Addresses that somebody gave it besides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub manual: Vec<Box<str>>,
}

// === impl Record ===

impl Record for Token {
    const TABLE: TableId = TableId::Token;
    const MOVES_ALWAYS: bool = true;
    fn key(&self) -> Arc<str> {
        self.accessor.to_ascii_lowercase().into()
    }
    /// The digest of its secret.
    fn name(&self) -> Option<Arc<str>> {
        Some(self.secret.digest().into())
    }
}

impl Record for Policy {
    const TABLE: TableId = TableId::Policy;
    const MOVES_ALWAYS: bool = true;
    fn key(&self) -> Arc<str> {
        self.id.as_ref().into()
    }
    fn name(&self) -> Option<Arc<str>> {
        Some(self.name.to_lowercase().into())
    }
}

impl Record for Role {
    const TABLE: TableId = TableId::Role;
    const MOVES_ALWAYS: bool = true;
    fn key(&self) -> Arc<str> {
        self.id.as_ref().into()
    }
    fn name(&self) -> Option<Arc<str>> {
        Some(self.name.to_lowercase().into())
    }
}

impl Record for BindingRule {
    const TABLE: TableId = TableId::BindingRule;
    const MOVES_ALWAYS: bool = true;
    fn key(&self) -> Arc<str> {
        self.id.as_ref().into()
    }
}

impl Record for AuthMethod {
    const TABLE: TableId = TableId::AuthMethod;
    const MOVES_ALWAYS: bool = true;
    fn key(&self) -> Arc<str> {
        self.name.to_lowercase().into()
    }
}

impl ConfigEntry {
    /// The key of the entry of this kind and name: the kind, a line break, the name in lower case.
    pub fn key_of(kind: &str, name: &str) -> Arc<str> {
        format!("{kind}\n{}", name.to_lowercase()).into()
    }
}

impl Record for ConfigEntry {
    const TABLE: TableId = TableId::ConfigEntry;
    fn key(&self) -> Arc<str> {
        Self::key_of(&self.kind, &self.name)
    }
}

impl Coordinate {
    /// The key of a node's coordinate in a segment.
    pub fn key_of(node: &crate::name::Caseless, segment: &str) -> Arc<str> {
        format!("{}\n{segment}", node.key()).into()
    }
}

impl Record for Coordinate {
    const TABLE: TableId = TableId::Coordinate;
    const MOVES_ALWAYS: bool = true;
    fn key(&self) -> Arc<str> {
        Self::key_of(&self.node, &self.segment)
    }
}

impl Record for CaRoot {
    const TABLE: TableId = TableId::CaRoot;
    fn key(&self) -> Arc<str> {
        self.id.as_ref().into()
    }
}

impl Record for VirtualIp {
    const TABLE: TableId = TableId::VirtualIp;
    fn key(&self) -> Arc<str> {
        self.service.shared_key()
    }
}

impl Record for Setting {
    const TABLE: TableId = TableId::Setting;
    fn key(&self) -> Arc<str> {
        self.name.as_ref().into()
    }
}
