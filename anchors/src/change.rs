//! Every write, as a value: built by a handler, judged by the policy, carried by the log, folded by the index.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::lineage::prune::Base;
use crate::name::Caseless;
use crate::outcome::Outcome;
use crate::record::RecordChange;
use crate::scope::{Hold, ScopePath, Standing};
use crate::service::{Check, Node, Service, Session};
use crate::txn::{TxnOp, TxnResult};

/// A write. The same changes in the same order make the same index, on every member and after every restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A node, and what may come with it (`PUT /v1/catalog/register`).
    Register(Box<Registration>),
    /// A node, a service or a check goes (`PUT /v1/catalog/deregister`).
    Deregister(Removal),
    /// A key is written or deleted (`/v1/kv/`).
    Kv(KvChange),
    /// A session begins (`PUT /v1/session/create`).
    OpenSession(Box<Session>),
    /// A session ends: asked for, or its TTL ran out.
    CloseSession {
        /// The session's UUID.
        id: Box<str>,
    },
    /// Further records are written: all of them, or none when a condition does not hold.
    Records(Vec<RecordChange>),
    /// What follows from other rules of scopes, with the records of the rules where they are written now.
    Govern(Governing),
    /// The whole index is replaced by that of a snapshot, in several steps (`PUT /v1/snapshot`).
    Restore(Restore),
    /// Payloads of the lineage that it is recorded in are not kept any more. The state stays as it is.
    Prune(Box<Prune>),
    /// Several reads and writes (`PUT /v1/txn`): all of them, or none when one fails.
    Txn(Vec<TxnOp>),
    /// Something happened that changes nothing: it is recorded, and no read's index moves.
    Note(Note),
}

/// What is recorded without changing anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Note {
    /// A name that is unknown here was answered from elsewhere: the first time, and then now and again.
    Fallback {
        /// The service's name.
        service: Box<str>,
        /// Who knew it, without secrets.
        source: Box<str>,
    },
}

/// Records of scopes and policies, and what follows from them or from the time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Governing {
    /// What is written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<RecordChange>,
    /// Instances that are held or released by it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub standings: Vec<Restanding>,
    /// What somebody may see otherwise now: its index moves, and whoever waits for it wakes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub moved: Vec<Subject>,
}

/// An instance that is held from now on, or released.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restanding {
    /// The node's name.
    pub node: Caseless,
    /// The service's id.
    pub id: Caseless,
    /// Of this registration, and no other that took its place.
    pub uid: Uuid,
    /// Why nobody is sent to it; nothing when it is released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Arc<Hold>>,
}

/// What answers speak of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A service, by name.
    Service(Caseless),
    /// A node, by name.
    Node(Caseless),
    /// A key.
    Key(Box<str>),
    /// Sessions, all of them.
    Sessions,
}

/// Which payloads go, and from which image of the state it can be folded without them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prune {
    /// Places in the lineage: from, and up to without.
    pub seqs: Vec<(u64, u64)>,
    /// Made after the last of the entries whose payloads go.
    pub base: Base,
    /// The record whose history was asked to go; nothing when its time is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<Uuid>,
}

/// A step of a restore. Nothing is seen of it before the last one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Restore {
    /// It begins. One that was under way is forgotten.
    Begin {
        /// What its steps have in common.
        id: Box<str>,
    },
    /// Rows are set aside.
    Rows {
        /// Of this restore.
        id: Box<str>,
        /// Which piece, from 0.
        number: u32,
        /// The rows, packed (see `index::pack`).
        #[serde(with = "crate::encoding::base64")]
        packed: Vec<u8>,
    },
    /// What was set aside takes the index's place.
    Commit {
        /// Of this restore.
        id: Box<str>,
        /// As many pieces as there must be.
        pieces: u32,
        /// What their digest must be: hex (see `index::restore::chain`).
        digest: Box<str>,
    },
    /// What was set aside is forgotten.
    Abandon {
        /// Of this restore.
        id: Box<str>,
    },
}

/// A node and what is written with it, as one write.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// The node; upserted unless `skip_node_update` and it is there already.
    pub node: Node,
    /// Leave an existing node as it is.
    #[serde(default)]
    pub skip_node_update: bool,
    /// A service on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Service>,
    /// Checks of the node or of any service on it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
    /// The scope that the service belongs to; the datacenter's own when nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<ScopePath>,
    /// Why nobody is sent to the service yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Arc<Hold>>,
}

impl Registration {
    /// Whose the service is, and whether anybody is sent to it.
    pub fn standing(&self) -> Standing {
        Standing { scope: self.scope.clone(), hold: self.hold.clone() }
    }
}

/// What goes. Going twice is no error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Removal {
    /// The node with everything on it, and its sessions.
    Node {
        /// Its name.
        node: Caseless,
    },
    /// A service with its checks.
    Service {
        /// The node's name.
        node: Caseless,
        /// The service's id.
        id: Caseless,
    },
    /// One check.
    Check {
        /// The node's name.
        node: Caseless,
        /// The check's id.
        id: Caseless,
    },
}

/// A write to the keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KvChange {
    /// Write one key.
    Put {
        /// Its name: any UTF-8.
        key: Box<str>,
        /// Its value.
        #[serde(with = "crate::encoding::base64")]
        value: Vec<u8>,
        /// A number that the writer keeps with it.
        flags: u64,
        /// Under which condition.
        when: PutWhen,
        /// The scope that it belongs to; the datacenter's own when nothing is said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scope: Option<ScopePath>,
    },
    /// Delete one key.
    Delete {
        /// Its name.
        key: Box<str>,
        /// Only while its modify index is this (0 never matches an existing key); `None` in any case.
        cas: Option<u64>,
    },
    /// Delete every key under a prefix.
    DeleteTree {
        /// The prefix; empty for all.
        prefix: Box<str>,
    },
}

/// The condition of a put.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PutWhen {
    /// Always.
    Always,
    /// While the key's modify index is this; 0 while it does not exist.
    Index(u64),
    /// Take it for this session.
    Acquire(Box<str>),
    /// Give it back from this session.
    Release(Box<str>),
}

/// A write that was carried out and will survive.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Committed {
    /// The revision that it made.
    pub revision: u64,
    /// The verdict of its condition; `true` where it had none.
    pub yes: bool,
    /// How it was admitted.
    pub outcome: Outcome,
    /// The lineage entry that records it.
    pub entry: u64,
    /// What the operations of a transaction tell, in their order.
    #[serde(skip)]
    pub results: Vec<TxnResult>,
}
