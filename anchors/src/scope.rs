//! Scopes: who governs which names of a datacenter, and what is kept of that.
//!
//! The scope of the datacenter itself (`dc1`) is there without a record and has no policy. Further ones lie under it, to any
//! depth that is allowed. The records of this page say what was configured; what follows from all of them together is a
//! function of the index.

pub(crate) mod check;
mod facts;
mod names;
mod path;
pub(crate) mod rate;
mod table;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::check::ScopeFault;
pub use self::facts::CallerFacts;
pub use self::path::{ScopePath, ScopePathError};
pub use self::table::Scopes;
use crate::acl::Act;
use crate::clock::Time;
use crate::record::{Record, TableId};

/// A scope under that of the datacenter (`scope "dc1/payments" { … }`, `/v1/anchor/scopes`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scope {
    /// Where it lies.
    pub path: ScopePath,
    /// Whoever answers for it, for people.
    pub owner: Box<str>,
    /// The service names that belong to it and to nobody beside it.
    pub services: Vec<NameRange>,
    /// The beginnings of the keys that belong to it.
    pub keys: Vec<Box<str>>,
    /// Who speaks for it.
    pub callers: Vec<CallerRule>,
    /// The policy that decides for it, by name; everything is let through without one.
    pub policy: Option<Box<str>>,
    /// A policy that every scope under it is bound by besides its own.
    pub inherit: Option<Box<str>>,
    /// What it may hold.
    pub budget: Budget,
    /// What is answered about it while its anchor cannot be reached.
    pub on_partition: OnPartition,
    /// For how long, in seconds, a last known answer is still given; 0 for ever.
    pub max_stale_seconds: u64,
    /// For how long, in seconds, the payloads of its lineage are kept; 0 for ever.
    pub retention_seconds: u64,
    /// How many labels may lie under its path; nothing for what its parent allows.
    pub depth: Option<u32>,
    /// Whether it comes from the configuration, whose next reading may change or remove it.
    pub from_configuration: bool,
}

/// Names: one, those that begin alike, or those from one up to and without another. In lower case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NameRange {
    /// This name.
    Exact(Box<str>),
    /// Names that begin so.
    Prefix(Box<str>),
    /// Names from the first on, below the second.
    Range(Box<str>, Box<str>),
}

/// By what a caller is known to belong to a scope. All that is said must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CallerRule {
    /// The accessor of its token.
    pub accessor: Option<Box<str>>,
    /// A policy of access control that its token is linked with, by name.
    pub policy: Option<Box<str>>,
    /// A role of access control that its token is linked with, by name.
    pub role: Option<Box<str>>,
    /// The method by which it logged in.
    pub auth_method: Option<Box<str>>,
    /// The listener by which it came, by address.
    pub listener: Option<Box<str>>,
    /// The network that it came from, as CIDR.
    pub source: Option<Box<str>>,
}

/// What a scope may hold, those under it included; nothing where there is no bound.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Budget {
    /// Service names.
    pub services: Option<u64>,
    /// Instances of services.
    pub instances: Option<u64>,
    /// Writes a second.
    pub writes_per_second: Option<u64>,
    /// Bytes of keys and values.
    pub kv_bytes: Option<u64>,
}

/// What is answered about a scope whose anchor cannot be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnPartition {
    /// The last known answer, with its age.
    #[default]
    Stale,
    /// That there is nothing.
    Empty,
    /// That it cannot be reached.
    Error,
}

/// A policy of a scope: Rego, by which every access is decided (`/v1/anchor/policies`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ScopePolicy {
    /// Unique in the datacenter.
    pub name: Box<str>,
    /// The scope whose owner wrote it.
    pub scope: ScopePath,
    /// The module.
    pub rego: Box<str>,
    /// From 1; each write that changes it makes the next.
    pub version: u64,
    /// Whether it comes from a file of the configuration.
    pub from_configuration: bool,
}

/// Why a registration is held: it is kept, and nobody is sent to it before the reason is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The scope that decided.
    pub scope: ScopePath,
    /// The rule that decided.
    pub rule: Box<str>,
    /// Since when.
    pub since: Time,
    /// For whom it was decided, and is decided again.
    #[serde(default, skip_serializing_if = "Registrant::is_anonymous")]
    pub caller: Registrant,
}

/// Whoever registered something, as far as it can be asked again what is known of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Registrant {
    /// The accessor of its token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accessor: Option<Arc<str>>,
    /// The listener by which it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listener: Option<Arc<str>>,
    /// The address that it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
}

/// Whose an instance is, and whether anybody is sent to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Standing {
    /// The scope that it belongs to; the datacenter's own when nothing is said.
    pub scope: Option<ScopePath>,
    /// Why nobody is sent to it yet.
    pub hold: Option<Arc<Hold>>,
}

/// What a scope's owner forbids, beside the rules of access control: both must allow.
pub trait Narrow: std::fmt::Debug + Send + Sync {
    /// Whether the policies let the caller do this.
    fn allows(&self, act: Act<'_>) -> bool;
}

// === impl Registrant ===

impl Registrant {
    fn is_anonymous(&self) -> bool {
        *self == Self::default()
    }
}

// === impl Hold ===

impl Hold {
    /// As checks tell it.
    pub fn text(&self) -> Arc<str> {
        format!("deferred: scope {}, rule {}", self.scope, self.rule).into()
    }
}

// === impl Standing ===

impl Standing {
    /// Whether it is what a registration has where no scope is configured.
    pub fn is_plain(&self) -> bool {
        self.scope.is_none() && self.hold.is_none()
    }
}

// === impl Record ===

impl Record for Scope {
    const TABLE: TableId = TableId::Scope;
    fn key(&self) -> Arc<str> {
        self.path.as_str().into()
    }
}

impl Record for ScopePolicy {
    const TABLE: TableId = TableId::ScopePolicy;
    fn key(&self) -> Arc<str> {
        self.name.as_ref().into()
    }
}
