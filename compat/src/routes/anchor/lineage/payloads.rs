//! Who may read what an entry is about.
//!
//! The right to read a lineage shows who did what to which record. What was written shows more: the values of keys need the
//! right to read those keys, and whatever can hold a secret needs the right to write access control, as a snapshot does.

use proconsul_anchors::acl::{Act, Authority};
use proconsul_anchors::change::{Change, KvChange};
use proconsul_anchors::lineage::query::Line;
use proconsul_anchors::record::{RecordChange, TableId};
use proconsul_anchors::txn::TxnOp;

/// Whether the caller may read what an entry is about. What cannot be read as a change is told to nobody.
pub(crate) fn tells(authority: &Authority, line: &Line) -> bool {
    let Some(payload) = &line.payload else { return false };
    if authority.allows(Act::acl_write()) {
        return true;
    }
    let change = serde_json::from_slice(&payload.change);
    change.is_ok_and(|change| may_read(authority, &change))
}

/// For whoever may read the lineage but not write access control.
fn may_read(authority: &Authority, change: &Change) -> bool {
    match change {
        Change::Kv(KvChange::Put { key, .. } | KvChange::Delete { key, .. }) => {
            authority.allows(Act::key_read(key))
        }
        Change::Kv(KvChange::DeleteTree { prefix }) => authority.allows(Act::key_read(prefix)),
        Change::Txn(ops) => ops.iter().all(|op| match op {
            TxnOp::Key(op) => authority.allows(Act::key_read(&op.key)),
            TxnOp::Node(_) | TxnOp::Service(_) | TxnOp::Check(_) => true,
        }),
        Change::Govern(change) => change.records.iter().all(is_open_record),
        Change::Records(changes) => changes.iter().all(is_open_record),
        Change::Restore(_) => false,
        Change::Note(_)
        | Change::Register(_)
        | Change::Deregister(_)
        | Change::OpenSession(_)
        | Change::Prune(_)
        | Change::CloseSession { .. } => true,
    }
}

fn is_open_record(change: &RecordChange) -> bool {
    match change {
        RecordChange::Put { record, .. } => is_open(record.table()),
        RecordChange::Remove { table, .. } => is_open(*table),
    }
}

/// Tables whose records hold no secrets.
fn is_open(table: TableId) -> bool {
    match table {
        TableId::ConfigEntry
        | TableId::Coordinate
        | TableId::VirtualIp
        | TableId::Scope
        | TableId::ScopePolicy
        | TableId::Adjacency
        | TableId::Alias => true,
        TableId::Token
        | TableId::Policy
        | TableId::Role
        | TableId::BindingRule
        | TableId::AuthMethod
        | TableId::PreparedQuery
        | TableId::CaRoot
        | TableId::Setting
        | TableId::Credential => false,
    }
}
