//! What one scope knows: an immutable value that a single function changes.
//!
//! Cloning an [`Index`] costs nothing (its tables share structure), so readers keep the one that was published when they
//! came, and the next write goes into another. [`Index::apply`] is the only way to write: not tests, nor restore, nor
//! replay have a second one. The same changes with the same stamps make the same index, to the byte of its rows.

mod bound;
pub mod catalog;
pub mod connect;
mod gateways;
mod govern;
mod kv;
mod marks;
mod node_id;
pub mod pack;
mod records;
pub mod restore;
mod roster;
pub(crate) mod row;
mod rows;
mod scopes;
mod session;
mod share;
mod table;
#[cfg(test)]
mod tests;
mod txn;
mod watch;
mod write;

use std::ops::Bound;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::marks::Marks;
pub use self::records::Kept;
pub use self::roster::{Listed, Roster};
pub use self::row::{
    Bodies, CheckRow, ConnectRow, Instance, KeyRow, Memo, NodeRow, Row, ServiceRow, SessionRow,
};
pub use self::rows::{RowError, RowId};
pub use self::scopes::Usage;
pub use self::table::Table;
pub use self::watch::WatchKey;
use crate::clock::Time;
use crate::error::Refusal;
use crate::name::Caseless;
use crate::txn::TxnResult;

/// One scope's index.
#[derive(Clone, Debug, Default)]
pub struct Index {
    /// Invariant: every mark and every index of a row is at most this.
    revision: u64,
    nodes: OrdMap<Arc<str>, Arc<NodeRow>>,
    /// Lower-case node id to node key.
    node_ids: OrdMap<Arc<str>, Arc<str>>,
    /// A row without instances keeps the index of a service whose instances are registered under other names now.
    services: OrdMap<Arc<str>, Arc<ServiceRow>>,
    /// Who reaches a service, by its lower-case name.
    connect: OrdMap<Arc<str>, Arc<ConnectRow>>,
    keys: OrdMap<Arc<str>, Arc<KeyRow>>,
    /// Deleted keys: a prefix's index must not fall.
    graves: OrdMap<Arc<str>, Grave>,
    sessions: OrdMap<Arc<str>, Arc<SessionRow>>,
    /// Node key to the ids of its sessions.
    node_sessions: OrdMap<Arc<str>, OrdSet<Arc<str>>>,
    /// Session id to the keys that it holds.
    held: OrdMap<Arc<str>, OrdSet<Arc<str>>>,
    /// Everything else that is kept.
    tables: table::Tables,
    /// Whose things are, which follows from them.
    governed: scopes::Governed,
    marks: Marks,
    /// No read's index is below it.
    floor: u64,
    /// How far revisions are above the entries that make them.
    lift: u64,
    /// A restore under way.
    staged: Option<Arc<Staged>>,
}

/// When a change is applied, and what it may draw from: all that a fold needs besides the change.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// The revision that it makes: above the one before.
    pub revision: u64,
    /// The entry that records it, by its place in the group's order.
    pub seq: u64,
    /// When it was proposed.
    pub at: Time,
    /// Randomness for the uids that it mints.
    pub salt: [u8; 16],
}

/// What a change did.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The verdict of a condition (`true` where there was none), or why nothing was done.
    pub verdict: Result<bool, Refusal>,
    /// The record that the change spoke of, where one is or was there.
    pub uid: Option<Uuid>,
    /// The lineage entry that spoke of the record before.
    pub previous: Option<u64>,
    /// What it touched.
    pub touched: Touched,
    /// What the operations of a transaction tell.
    pub results: Vec<TxnResult>,
}

/// What a change touched: whom to wake, which rows to write, which keys came free with a lock delay.
#[derive(Clone, Debug, Default)]
pub struct Touched {
    /// What somebody may wait for.
    pub keys: Vec<WatchKey>,
    /// Rows of the projection that were written or removed.
    pub rows: Vec<RowId>,
    /// Records that were removed.
    pub gone: Vec<(Uuid, RowId)>,
    /// Keys that a session held when it ended, with its lock delay.
    pub freed: Vec<(Arc<str>, std::time::Duration)>,
    /// Everything is another: whoever waits is to look, and every row is to be written.
    pub all: bool,
}

/// What a deleted key leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Grave {
    /// The revision that deleted it.
    at: u64,
    /// The prefix with which it was deleted; `None` when it was deleted alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tree: Option<Arc<str>>,
}

/// An index that is being restored and that nobody reads yet.
#[derive(Clone, Debug)]
struct Staged {
    about: StagedValue,
    index: Index,
    digest: [u8; 32],
}

/// What is kept of it beside the lineage, where its pieces are.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct StagedValue {
    /// Which restore it is.
    id: Box<str>,
    /// The entries whose payloads are its pieces, by their places in the group's order.
    entries: Vec<u64>,
}

// === impl Index ===

impl Index {
    /// An index that knows nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The revision of the last change.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The indexes of whole tables.
    pub fn marks(&self) -> &Marks {
        &self.marks
    }

    /// All nodes, by lower-case name.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = &Arc<NodeRow>> {
        self.nodes.values()
    }

    /// The node of this name, whatever the case.
    pub fn node(&self, name: &str) -> Option<&Arc<NodeRow>> {
        self.nodes.get(Caseless::from(name).key())
    }

    /// All services that have instances, by lower-case name.
    pub fn services(&self) -> impl Iterator<Item = &Arc<ServiceRow>> {
        self.services.values().filter(|row| !row.instances.is_empty())
    }

    /// The instances of the service of this name, whatever the case.
    pub fn service(&self, name: &str) -> Option<&Arc<ServiceRow>> {
        self.services.get(Caseless::from(name).key()).filter(|row| !row.instances.is_empty())
    }

    /// Whether anything is known of a service of this name. Only when nothing is may somebody else be asked about it: what is
    /// kept back here must not come from there.
    pub fn knows_service(&self, name: &str) -> bool {
        self.service(name).is_some()
    }

    /// One key.
    pub fn key(&self, key: &str) -> Option<&Arc<KeyRow>> {
        self.keys.get(key)
    }

    /// The keys under a prefix, in order.
    pub fn keys<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a Arc<KeyRow>> {
        self.keys
            .range::<_, str>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(move |(key, _)| key.starts_with(prefix))
            .map(|(_, row)| row)
    }

    /// All sessions, by id.
    pub fn sessions(&self) -> impl ExactSizeIterator<Item = &Arc<SessionRow>> {
        self.sessions.values()
    }

    /// One session.
    pub fn session(&self, id: &str) -> Option<&Arc<SessionRow>> {
        self.sessions.get(id)
    }

    /// The sessions of a node, by id.
    pub fn node_sessions(&self, node: &str) -> impl Iterator<Item = &Arc<SessionRow>> {
        let ids = self.node_sessions.get(Caseless::from(node).key());
        ids.into_iter().flatten().filter_map(|id| self.sessions.get(id))
    }
}
