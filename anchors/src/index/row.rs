//! The rows of an index: what is kept of each thing, with its stamps.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use imbl::OrdMap;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::roster::{Listed, Roster};
use crate::name::Caseless;
use crate::scope::{Hold, ScopePath, Standing};
use crate::service::{Check, Node, Service, Session, Status};

/// A record with its stamps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row<T> {
    /// Kept until the record is removed.
    pub uid: Uuid,
    /// The revision that made it.
    pub created: u64,
    /// The revision that last changed it.
    pub modified: u64,
    /// The lineage entry that last spoke of it.
    pub entry: u64,
    /// What was written.
    pub record: T,
}

/// A node of the catalog with what runs on it.
#[derive(Clone, Debug)]
pub struct NodeRow {
    /// Kept as long as the node stays registered.
    pub uid: Uuid,
    /// What was registered. Shared by the rows that follow each other as services come and go.
    pub node: Arc<Node>,
    /// The revision that made it.
    pub created: u64,
    /// The revision that last changed `node`.
    pub modified: u64,
    /// The index of reads of this node with its services.
    pub index: u64,
    /// The lineage entry that last spoke of it.
    pub entry: u64,
    /// By lower-case id.
    pub services: Roster<Instance>,
    /// All checks, of the node and of its services, by lower-case id.
    pub checks: Roster<CheckRow>,
}

/// An instance of a service.
#[derive(Clone, Debug)]
pub struct Instance {
    /// Kept over re-registration with the same id.
    pub uid: Uuid,
    /// The node's name as it was written with this registration.
    pub node: Caseless,
    /// What was registered.
    pub service: Service,
    /// The revision that made it.
    pub created: u64,
    /// The revision that last changed it.
    pub modified: u64,
    /// The lineage entry that last spoke of it.
    pub entry: u64,
    /// The scope that it belongs to; the datacenter's own when nothing is said.
    pub scope: Option<ScopePath>,
    /// Why nobody is sent to it yet.
    pub hold: Option<Arc<Hold>>,
}

/// A check of a node or of one of its services.
#[derive(Clone, Debug)]
pub struct CheckRow {
    /// Kept over re-registration with the same id.
    pub uid: Uuid,
    /// The node's name as it was written with this registration.
    pub node: Caseless,
    /// What was registered.
    pub check: Check,
    /// The revision that made it.
    pub created: u64,
    /// The revision that last changed it.
    pub modified: u64,
    /// The lineage entry that last spoke of it.
    pub entry: u64,
    /// What is told instead of its output while the service's instance is held; it counts as critical then.
    pub held: Option<Arc<str>>,
}

/// All instances of one service name.
#[derive(Clone, Debug)]
pub struct ServiceRow {
    /// The name.
    pub name: Caseless,
    /// The index of reads of this service. The row is replaced whenever it moves.
    pub index: u64,
    /// By node key and id key: the order of Consul's lists.
    pub instances: OrdMap<(Arc<str>, Arc<str>), Arc<Instance>>,
    /// For whole encoded answers.
    pub bodies: Bodies,
}

/// A key and its value.
#[derive(Clone, Debug)]
pub struct KeyRow {
    /// Kept until the key is deleted.
    pub uid: Uuid,
    /// Its name.
    pub key: Arc<str>,
    /// Its value.
    pub value: Bytes,
    /// A number that the writer keeps with it.
    pub flags: u64,
    /// How often it was taken as a lock.
    pub lock_index: u64,
    /// The session that holds it.
    pub session: Option<Arc<str>>,
    /// The revision that made it.
    pub created: u64,
    /// The revision that last changed it.
    pub modified: u64,
    /// The lineage entry that last spoke of it.
    pub entry: u64,
    /// The scope that it belongs to; the datacenter's own when nothing is said.
    pub scope: Option<ScopePath>,
}

/// The instances through which a service is reached.
#[derive(Clone, Debug)]
pub struct ConnectRow {
    /// The service that they reach; none needs to be registered under the name.
    pub name: Caseless,
    /// The revision that last moved it.
    pub index: u64,
    /// By node key and id key: the order of Consul's lists.
    pub instances: OrdMap<(Arc<str>, Arc<str>), Arc<Instance>>,
}

/// A session.
#[derive(Clone, Debug)]
pub struct SessionRow {
    /// The record's uid (the session's own id is what clients know).
    pub uid: Uuid,
    /// What was created.
    pub session: Session,
    /// The revision that made it.
    pub created: u64,
    /// The revision that last changed it.
    pub modified: u64,
    /// The lineage entry that last spoke of it.
    pub entry: u64,
}

/// A slot for an encoding that a server makes once from a record and then shares. The core does not know which one.
#[derive(Debug, Default)]
pub struct Memo(OnceLock<Bytes>);

/// Slots for whole encoded answers about one service.
#[derive(Debug, Default)]
pub struct Bodies {
    /// Instances with nodes and checks, all of them.
    pub health: Memo,
    /// The same, only those that pass.
    pub passing: Memo,
    /// Instances with nodes.
    pub catalog: Memo,
}

// === impl NodeRow ===

impl NodeRow {
    /// The checks of the node itself, by id.
    pub fn node_checks(&self) -> impl Iterator<Item = &Arc<CheckRow>> {
        self.checks.values().filter(|row| row.check.service.is_none())
    }

    /// What the checks of one of its services tell while it is held.
    pub(super) fn held(&self, service: &Caseless) -> Option<Arc<str>> {
        self.services.get(service.key())?.hold.as_ref().map(|hold| hold.text())
    }

    /// The checks of one of its services, by id.
    pub fn checks_of<'a>(
        &'a self,
        service: &'a Caseless,
    ) -> impl Iterator<Item = &'a Arc<CheckRow>> {
        self.checks.values().filter(move |row| row.check.service_id() == Some(service))
    }
}

// === impl CheckRow ===

impl CheckRow {
    /// The status that counts: its own, unless its service's instance is held.
    pub fn status(&self) -> &Status {
        static HELD: Status = Status::Critical;
        if self.held.is_some() { &HELD } else { &self.check.status }
    }

    /// What is told with it.
    pub fn output(&self) -> &str {
        self.held.as_deref().unwrap_or(&self.check.output)
    }
}

// === impl Memo ===

impl Memo {
    /// The encoding, made now if nobody did before.
    pub fn get_or_make(&self, make: impl FnOnce() -> Bytes) -> Bytes {
        self.0.get_or_init(make).clone()
    }
}

impl Clone for Memo {
    /// A copy of a record is about to be changed: its encoding starts anew.
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Clone for Bodies {
    fn clone(&self) -> Self {
        Self::default()
    }
}

// === impl Instance ===

impl Instance {
    /// Whose it is, and whether anybody is sent to it.
    pub fn standing(&self) -> Standing {
        Standing { scope: self.scope.clone(), hold: self.hold.clone() }
    }
}

impl Listed for Instance {
    fn id(&self) -> &Caseless {
        &self.service.id
    }
}

impl Listed for CheckRow {
    fn id(&self) -> &Caseless {
        &self.check.id
    }
}
