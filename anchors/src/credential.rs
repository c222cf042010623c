//! Credentials: who vouches for whom, as what and until when, in statements that a stranger can verify.

pub mod attestation;
pub mod dsse;
mod fault;
pub mod offline;
pub mod published;
pub mod statement;
pub mod taxonomy;
pub mod trust;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::fault::CredentialFault;
pub use self::trust::Trust;
use crate::clock::Time;
use crate::record::{Record, TableId};
use crate::scope::ScopePath;

/// As what a subject acts: the published taxonomy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Where trust begins: signs itself, and issues every other role.
    Root,
    /// Writes a scope's policies.
    Policy,
    /// Governs a scope: admits, signs lineage, answers for it.
    Anchor,
    /// An anchor of another scope, over an adjacency.
    Peer,
    /// Registers and looks up for a scope.
    Workload,
    /// Approves what a policy held for it.
    Approver,
    /// Cosigns checkpoints.
    Witness,
}

/// A credential that was issued here or accepted from elsewhere (`/v1/anchor/credentials`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialRecord {
    /// SHA-256 of the signed payload, in hex: what it is called by.
    pub id: Box<str>,
    /// As what.
    pub role: Role,
    /// For which scope, those under it included.
    pub scope: ScopePath,
    /// Whom it speaks of: `ed25519:<hex>` of a key, or `accessor:<uuid>` of a token.
    pub subject: Box<str>,
    /// The id of the credential that issued it; its own for a root.
    pub issuer: Box<str>,
    /// What it allows, `*` for all that the role has.
    pub actions: Vec<Box<str>>,
    /// From when on it holds.
    pub not_before: Time,
    /// Until when it holds.
    pub not_after: Time,
    /// When it was revoked, if it was.
    pub revoked: Option<Time>,
    /// The statement: a DSSE envelope as JSON, whose payload says all of the above but the revocation.
    pub envelope: Box<str>,
}

/// An edge to an anchor of another scope (`/v1/anchor/adjacencies`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adjacency {
    /// The scope on the other side.
    pub peer: ScopePath,
    /// The key of its anchor: ed25519, in hex.
    pub key: Box<str>,
    /// Where its anchors are reached: `host:port`.
    pub addresses: Vec<Box<str>>,
    /// What the peer may ask here, `*` for everything; `transit` for what lies behind.
    pub actions: Vec<Box<str>>,
    /// The policies of access control that bind its callers, by name; those of the anonymous token where none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<Box<str>>,
    /// Until when it holds.
    pub until: Time,
    /// Our statement about the peer, and the peer's about us: DSSE envelopes as JSON. It holds when both are there.
    pub ours: Option<Box<str>>,
    /// See `ours`.
    pub theirs: Option<Box<str>>,
    /// When it was revoked, if it was.
    pub revoked: Option<Time>,
}

/// A name for something, that may be pointed elsewhere (`/v1/anchor/aliases`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alias {
    /// Its path, parted by slashes.
    pub path: Box<str>,
    /// The scope that it belongs to.
    pub scope: ScopePath,
    /// What it stands for: a service name, or another alias with a slash before it.
    pub target: Box<str>,
    /// What it allows by action, as a JSON object of action to outcome: only ever stricter than the policy.
    pub by_action: Box<str>,
    /// From 1; each write that changes it makes the next.
    pub version: u64,
}

// === impl Record ===

impl Record for CredentialRecord {
    const TABLE: TableId = TableId::Credential;
    fn key(&self) -> Arc<str> {
        self.id.as_ref().into()
    }
}

impl Record for Adjacency {
    const TABLE: TableId = TableId::Adjacency;
    fn key(&self) -> Arc<str> {
        self.peer.as_str().into()
    }
}

impl Record for Alias {
    const TABLE: TableId = TableId::Alias;
    fn key(&self) -> Arc<str> {
        self.path.as_ref().into()
    }
}
