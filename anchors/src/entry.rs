//! One line of a scope's lineage: the leaf of its Merkle log.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::change::{Change, KvChange, Note, PutWhen, Removal, Restore};
use crate::clock::Time;
use crate::outcome::Outcome;
use crate::record::{RecordChange, TableId};

/// What was done, to what, by whom and under which rule. The change itself is the payload, kept beside the log
/// under its digest, salted, so that it can be pruned without breaking a proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its place in the log, from 0.
    pub seq: u64,
    /// When it was proposed.
    pub at: Time,
    /// What was done.
    pub kind: Kind,
    /// The record that it speaks of: kept over re-registration, new after deregistration. `None` when nothing was there.
    pub uid: Option<Uuid>,
    /// The entry before this one that spoke of the same record.
    pub previous: Option<u64>,
    /// Admitted or not.
    pub outcome: Outcome,
    /// The rule that decided, or the reason of a refusal.
    pub rule: Box<str>,
    /// Who asked.
    pub actor: Box<str>,
    /// The entry that caused this one, if any.
    pub cause: Option<u64>,
    /// SHA-256 of salt and change, in hex.
    pub payload: Box<str>,
}

/// What an entry did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the change of the same name")]
pub enum Kind {
    Register,
    DeregisterNode,
    DeregisterService,
    DeregisterCheck,
    KvPut,
    KvAcquire,
    KvRelease,
    KvDelete,
    KvDeleteTree,
    SessionOpen,
    SessionClose,
    RestoreBegin,
    RestoreRows,
    RestoreCommit,
    RestoreAbandon,
    RecordPut(TableId),
    RecordRemove(TableId),
    Txn,
    NoteFallback,
}

impl From<&Change> for Kind {
    fn from(change: &Change) -> Self {
        match change {
            Change::Register(_) => Self::Register,
            Change::Deregister(Removal::Node { .. }) => Self::DeregisterNode,
            Change::Deregister(Removal::Service { .. }) => Self::DeregisterService,
            Change::Deregister(Removal::Check { .. }) => Self::DeregisterCheck,
            Change::Kv(KvChange::Put { when: PutWhen::Acquire(_), .. }) => Self::KvAcquire,
            Change::Kv(KvChange::Put { when: PutWhen::Release(_), .. }) => Self::KvRelease,
            Change::Kv(KvChange::Put { .. }) => Self::KvPut,
            Change::Kv(KvChange::Delete { .. }) => Self::KvDelete,
            Change::Kv(KvChange::DeleteTree { .. }) => Self::KvDeleteTree,
            Change::OpenSession(_) => Self::SessionOpen,
            Change::CloseSession { .. } => Self::SessionClose,
            Change::Restore(Restore::Begin { .. }) => Self::RestoreBegin,
            Change::Restore(Restore::Rows { .. }) => Self::RestoreRows,
            Change::Restore(Restore::Commit { .. }) => Self::RestoreCommit,
            Change::Restore(Restore::Abandon { .. }) => Self::RestoreAbandon,
            Change::Records(changes) => Self::of_records(changes),
            Change::Txn(_) => Self::Txn,
            Change::Note(Note::Fallback { .. }) => Self::NoteFallback,
        }
    }
}

impl Kind {
    /// Several records are told by the first of them.
    fn of_records(changes: &[RecordChange]) -> Self {
        match changes.first() {
            Some(RecordChange::Put { record, .. }) => Self::RecordPut(record.table()),
            Some(RecordChange::Remove { table, .. }) => Self::RecordRemove(*table),
            None => Self::RecordPut(TableId::Setting),
        }
    }
}
