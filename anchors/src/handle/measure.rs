//! How long writes take, under the names that Consul's boards read.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{Histogram, histogram};

use crate::change::{Change, KvChange, Removal};
use crate::record::{RecordChange, TableId};

/// Consul's timers count milliseconds.
pub(super) fn millis(took: Duration) -> f64 {
    took.as_secs_f64() * 1_000.0
}

macro_rules! timer {
    ($name:literal) => {{
        static TIMER: OnceLock<Histogram> = OnceLock::new();
        TIMER.get_or_init(|| histogram!($name))
    }};
}

/// The timer of a write, from its arrival until it is durable and seen; nothing where Consul has no name for it.
pub(super) fn timer(change: &Change) -> Option<&'static Histogram> {
    Some(match change {
        Change::Register(_) => timer!("consul.catalog.register"),
        Change::Deregister(
            Removal::Node { .. } | Removal::Service { .. } | Removal::Check { .. },
        ) => timer!("consul.catalog.deregister"),
        Change::Kv(
            KvChange::Put { .. } | KvChange::Delete { .. } | KvChange::DeleteTree { .. },
        ) => timer!("consul.kvs.apply"),
        Change::OpenSession(_) | Change::CloseSession { .. } => timer!("consul.session.apply"),
        Change::Txn(_) => timer!("consul.txn.apply"),
        Change::Restore(_) | Change::Govern(_) | Change::Prune(_) | Change::Note(_) => return None,
        Change::Records(changes) => match changes.first().map(table) {
            Some(TableId::PreparedQuery) => timer!("consul.prepared-query.apply"),
            Some(TableId::ConfigEntry) => timer!("consul.config_entry.apply"),
            Some(TableId::Token) => timer!("consul.acl.token.upsert"),
            Some(TableId::Policy) => timer!("consul.acl.policy.upsert"),
            Some(TableId::Role) => timer!("consul.acl.role.upsert"),
            Some(TableId::BindingRule) => timer!("consul.acl.bindingrule.upsert"),
            Some(TableId::AuthMethod) => timer!("consul.acl.authmethod.upsert"),
            _ => return None,
        },
    })
}

fn table(change: &RecordChange) -> TableId {
    match change {
        RecordChange::Put { record, .. } => record.table(),
        RecordChange::Remove { table, .. } => *table,
    }
}
