//! One line of a scope's lineage: the leaf of its Merkle log.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::change::{Change, KvChange, Note, PutWhen, Removal, Restore};
use crate::clock::Time;
use crate::outcome::Outcome;
use crate::record::{RecordChange, TableId};
use crate::scope::ScopePath;

/// What was done, to what, by whom and under which rule. The change itself is the payload, kept beside the log
/// under its digest, salted, so that it can be pruned without breaking a proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its place in the log of its scope, from 0.
    pub seq: u64,
    /// When it was proposed.
    pub at: Time,
    /// What was done.
    pub kind: Kind,
    /// The record that it speaks of: kept over re-registration, new after deregistration. `None` when nothing was there.
    pub uid: Option<Uuid>,
    /// The entry before this one that spoke of the same record, by its place in the group's order.
    pub previous: Option<u64>,
    /// Admitted or not.
    pub outcome: Outcome,
    /// The rule that decided, or the reason of a refusal.
    pub rule: Box<str>,
    /// Who asked.
    pub actor: Box<str>,
    /// The entry that caused this one, if any, by its place in the group's order.
    pub cause: Option<u64>,
    /// SHA-256 of salt and change, in hex.
    pub payload: Box<str>,
    /// The scope whose lineage it is in; the datacenter's own when nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<ScopePath>,
    /// Its place among the entries of all scopes that the group orders, where that is not `seq`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<u64>,
    /// The credential under which it was admitted, by id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<Box<str>>,
}

// === impl Entry ===

impl Entry {
    /// Its place among the entries of all scopes that the group orders.
    pub fn place(&self) -> u64 {
        self.order.unwrap_or(self.seq)
    }
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
    Govern,
    NoteFallback,
    Prune,
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
            Change::Govern(change) if change.records.is_empty() => Self::Govern,
            Change::Govern(change) => Self::of_records(&change.records),
            Change::Txn(_) => Self::Txn,
            Change::Note(Note::Fallback { .. }) => Self::NoteFallback,
            Change::Prune(_) => Self::Prune,
        }
    }
}

impl Kind {
    /// What was done in a word, with the table after a colon where there is one: `kv_put`, `record_put:scope`.
    pub fn text(self) -> String {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::String(text)) => text,
            Ok(serde_json::Value::Object(with)) => with
                .into_iter()
                .map(|(kind, table)| format!("{kind}:{}", table.as_str().unwrap_or_default()))
                .collect(),
            _ => String::new(),
        }
    }

    /// Several records are told by the first of them.
    fn of_records(changes: &[RecordChange]) -> Self {
        match changes.first() {
            Some(RecordChange::Put { record, .. }) => Self::RecordPut(record.table()),
            Some(RecordChange::Remove { table, .. }) => Self::RecordRemove(*table),
            None => Self::RecordPut(TableId::Setting),
        }
    }
}
