//! Transactions: several reads and writes of keys, nodes, services and checks as one change, all of it or nothing.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::Refusal;
use crate::index::{CheckRow, Instance, KeyRow, NodeRow};
use crate::name::Caseless;
use crate::service::{Check, Node, Service};

/// One operation of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TxnOp {
    /// Of a key.
    Key(KeyOp),
    /// Of a node.
    Node(Box<NodeOp>),
    /// Of a service.
    Service(Box<ServiceOp>),
    /// Of a check.
    Check(Box<CheckOp>),
}

/// An operation on a key, or on the keys under a prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyOp {
    /// What is done.
    pub verb: KeyVerb,
    /// The key, or the prefix.
    pub key: Box<str>,
    /// What is written.
    #[serde(with = "crate::encoding::base64")]
    pub value: Vec<u8>,
    /// A number that the writer keeps with it.
    pub flags: u64,
    /// The modify index to compare with.
    pub index: u64,
    /// The session that locks, unlocks or is compared with.
    pub session: Box<str>,
}

/// What is done with a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyVerb {
    /// Read; it must be there.
    #[default]
    Get,
    /// Read; a missing one reads as the operation itself.
    GetOrEmpty,
    /// Read all under a prefix.
    GetTree,
    /// Fail unless its modify index is this.
    CheckIndex,
    /// Fail unless this session holds it.
    CheckSession,
    /// Fail when it is there.
    CheckNotExists,
    /// Write.
    Set,
    /// Write while its modify index is this; 0 while it does not exist.
    Cas,
    /// Write and take it for a session.
    Lock,
    /// Write and give it back.
    Unlock,
    /// Delete.
    Delete,
    /// Delete all under a prefix.
    DeleteTree,
    /// Delete while its modify index is this.
    DeleteCas,
}

/// What is done with a node, a service or a check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Read; it must be there.
    #[default]
    Get,
    /// Write.
    Set,
    /// Write while its modify index is this; 0 while it does not exist.
    Cas,
    /// Delete.
    Delete,
    /// Delete while its modify index is this; it must be there.
    DeleteCas,
}

/// An operation on a node. It is found by its name, and read by its id where one is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeOp {
    /// What is done.
    pub verb: Verb,
    /// The node.
    pub node: Node,
    /// The modify index to compare with.
    pub index: u64,
}

/// An operation on a service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceOp {
    /// What is done.
    pub verb: Verb,
    /// The node on which it is.
    pub node: Caseless,
    /// The service.
    pub service: Service,
    /// The modify index to compare with.
    pub index: u64,
}

/// An operation on a check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckOp {
    /// What is done.
    pub verb: Verb,
    /// The node on which it is.
    pub node: Caseless,
    /// The check.
    pub check: Check,
    /// The modify index to compare with.
    pub index: u64,
}

/// What an operation tells.
#[derive(Clone, Debug)]
pub enum TxnResult {
    /// A key that was read, with its value.
    Key(Arc<KeyRow>),
    /// A key that was written or compared: told without its value.
    KeyAlone(Arc<KeyRow>),
    /// A key that is not there: the operation itself is told.
    Absent(Box<KeyOp>),
    /// A node.
    Node(Arc<NodeRow>),
    /// A service.
    Service(Arc<Instance>),
    /// A check.
    Check(Arc<CheckRow>),
}

/// An operation that keeps the whole transaction from being carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TxnFault {
    /// Its place in the transaction, from 0.
    pub op: usize,
    /// Why.
    pub why: Misfit,
}

/// Why an operation cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Misfit {
    /// A key was changed by another.
    #[error("key {0} was changed")]
    StaleKey(Box<str>),
    /// The same, where it was to be deleted.
    #[error("key {0} was changed and is not deleted")]
    StaleKeyDelete(Box<str>),
    /// Another session holds the lock.
    #[error("the lock on key {0} is held")]
    LockHeld(Box<str>),
    /// The key's last holder ended a moment ago.
    #[error("the lock on key {0} is delayed")]
    LockDelayed(Box<str>),
    /// The session does not hold the lock.
    #[error("the lock on key {0} is not held by this session")]
    LockNotHeld(Box<str>),
    /// No such key.
    #[error("no key {0}")]
    NoKey(Box<str>),
    /// There is such a key.
    #[error("key {0} exists")]
    KeyExists(Box<str>),
    /// No such key, whose index was to be compared.
    #[error("no key {0} with an index")]
    NoKeyForIndex(Box<str>),
    /// No such key, whose session was to be compared.
    #[error("no key {0} with a session")]
    NoKeyForSession(Box<str>),
    /// A key's index is another.
    #[error("the index of key {key} is {is}, not {asked}")]
    KeyIndex {
        /// The key.
        key: Box<str>,
        /// Its modify index.
        is: u64,
        /// The one that was asked for.
        asked: u64,
    },
    /// A key's holder is another.
    #[error("key {key} is held by {is:?}, not {asked:?}")]
    KeySession {
        /// The key.
        key: Box<str>,
        /// Its holder; empty for none.
        is: Box<str>,
        /// The one that was asked for.
        asked: Box<str>,
    },
    /// No such node.
    #[error("no node {0}")]
    NoNode(Caseless),
    /// A node was changed by another.
    #[error("node {0} was changed")]
    StaleNode(Caseless),
    /// The same, where it was to be deleted.
    #[error("node {0} was changed and is not deleted")]
    StaleNodeDelete(Caseless),
    /// No such service.
    #[error("no service {id} on node {node}")]
    NoService {
        /// The node.
        node: Caseless,
        /// The service's id.
        id: Caseless,
    },
    /// A service was changed by another.
    #[error("service {id} on node {node} was changed")]
    StaleService {
        /// The node.
        node: Caseless,
        /// The service's id.
        id: Caseless,
    },
    /// The same, where it was to be deleted.
    #[error("service {id} on node {node} was changed and is not deleted")]
    StaleServiceDelete {
        /// The node.
        node: Caseless,
        /// The service's id.
        id: Caseless,
    },
    /// A service's meta breaks the rules.
    #[error("the meta of service {id} on node {node} is invalid: {reason}")]
    ServiceMeta {
        /// The node.
        node: Caseless,
        /// The service's id.
        id: Caseless,
        /// Which rule.
        reason: Box<str>,
    },
    /// No such check.
    #[error("no check {id} on node {node}")]
    NoCheck {
        /// The node.
        node: Caseless,
        /// The check's id.
        id: Caseless,
    },
    /// A check was changed by another.
    #[error("check {id} on node {node} was changed")]
    StaleCheck {
        /// The node.
        node: Caseless,
        /// The check's id.
        id: Caseless,
    },
    /// The same, where it was to be deleted.
    #[error("check {id} on node {node} was changed and is not deleted")]
    StaleCheckDelete {
        /// The node.
        node: Caseless,
        /// The check's id.
        id: Caseless,
    },
    /// A check has no id, or no node.
    #[error("a check without an id or without a node cannot be looked up")]
    NamelessCheck(Verb),
    /// As the same write alone is refused.
    #[error(transparent)]
    Refused(Box<Refusal>),
}

impl From<Refusal> for Misfit {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}
