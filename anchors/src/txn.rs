//! Transactions: several reads and writes of keys, nodes, services and checks as one change, all of it or nothing.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::index::row::{CheckRow, Instance, KeyRow, NodeRow};
use crate::name::Caseless;
use crate::scope::{ScopePath, Standing};
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
    /// The scope that a key belongs to which is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<ScopePath>,
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
    /// Whose the service is.
    #[serde(default, skip_serializing_if = "Standing::is_plain")]
    pub standing: Standing,
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
