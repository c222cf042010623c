//! How long changes take to be applied, under the names that Consul's boards read. What is measured is told and not kept: it
//! has no part in what is applied.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{Histogram, histogram};

use crate::change::{Change, KvChange, PutWhen};
use crate::record::{RecordChange, TableId};

macro_rules! timer {
    ($name:literal $(, $key:literal => $value:literal)?) => {{
        static TIMER: OnceLock<Histogram> = OnceLock::new();
        TIMER.get_or_init(|| histogram!($name $(, $key => $value)?))
    }};
}

/// Notes how long a change took.
pub(super) fn applied(change: &Change, took: Duration) {
    if let Some(timer) = timer(change) {
        timer.record(took.as_secs_f64() * 1_000.0);
    }
}

/// Nothing where Consul has no name for it.
fn timer(change: &Change) -> Option<&'static Histogram> {
    Some(match change {
        Change::Register(_) => timer!("consul.fsm.register"),
        Change::Deregister(_) => timer!("consul.fsm.deregister"),
        Change::Kv(change) => key_timer(change),
        Change::OpenSession(_) => timer!("consul.fsm.session", "op" => "create"),
        Change::CloseSession { .. } => timer!("consul.fsm.session", "op" => "destroy"),
        Change::Txn(_) => timer!("consul.fsm.txn"),
        Change::Restore(_) | Change::Govern(_) | Change::Prune(_) | Change::Note(_) => return None,
        Change::Records(changes) => match changes.first() {
            Some(RecordChange::Put { record, .. }) => put_timer(record.table())?,
            Some(RecordChange::Remove { table, .. }) => remove_timer(*table)?,
            None => return None,
        },
    })
}

fn key_timer(change: &KvChange) -> &'static Histogram {
    match change {
        KvChange::Put { when: PutWhen::Always, .. } => timer!("consul.fsm.kvs", "op" => "set"),
        KvChange::Put { when: PutWhen::Index(_), .. } => timer!("consul.fsm.kvs", "op" => "cas"),
        KvChange::Put { when: PutWhen::Acquire(_), .. } => timer!("consul.fsm.kvs", "op" => "lock"),
        KvChange::Put { when: PutWhen::Release(_), .. } => {
            timer!("consul.fsm.kvs", "op" => "unlock")
        }
        KvChange::Delete { cas: None, .. } => timer!("consul.fsm.kvs", "op" => "delete"),
        KvChange::Delete { cas: Some(_), .. } => timer!("consul.fsm.kvs", "op" => "delete-cas"),
        KvChange::DeleteTree { .. } => timer!("consul.fsm.kvs", "op" => "delete-tree"),
    }
}

fn put_timer(table: TableId) -> Option<&'static Histogram> {
    Some(match table {
        TableId::Token => timer!("consul.fsm.acl.token", "op" => "upsert"),
        TableId::Policy => timer!("consul.fsm.acl.policy", "op" => "upsert"),
        TableId::BindingRule => timer!("consul.fsm.acl.bindingrule", "op" => "upsert"),
        TableId::AuthMethod => timer!("consul.fsm.acl.authmethod", "op" => "upsert"),
        TableId::ConfigEntry => timer!("consul.fsm.config_entry", "op" => "upsert"),
        TableId::PreparedQuery => timer!("consul.fsm.prepared-query", "op" => "update"),
        TableId::CaRoot => timer!("consul.fsm.ca"),
        TableId::Coordinate => timer!("consul.fsm.coordinate.batch-update"),
        _ => return None,
    })
}

fn remove_timer(table: TableId) -> Option<&'static Histogram> {
    Some(match table {
        TableId::Token => timer!("consul.fsm.acl.token", "op" => "delete"),
        TableId::Policy => timer!("consul.fsm.acl.policy", "op" => "delete"),
        TableId::BindingRule => timer!("consul.fsm.acl.bindingrule", "op" => "delete"),
        TableId::AuthMethod => timer!("consul.fsm.acl.authmethod", "op" => "delete"),
        TableId::ConfigEntry => timer!("consul.fsm.config_entry", "op" => "delete"),
        TableId::PreparedQuery => timer!("consul.fsm.prepared-query", "op" => "delete"),
        _ => return None,
    })
}
