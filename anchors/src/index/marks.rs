//! Which index each read carries (`X-Consul-Index`).
//!
//! The rules are Consul's: per service where there is one, per table where there is none, and never lower than before.

use std::collections::BTreeMap;
use std::ops::Bound;

use serde::{Deserialize, Serialize};

use super::{Grave, Index};
use crate::name::Caseless;
use crate::query::Query;
use crate::record::{CA_CONFIG, Setting, TableId};

/// The revision that last moved each table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    /// Nodes; also moved by services that come and go.
    pub nodes: u64,
    /// Instances of services.
    pub services: u64,
    /// Checks; also moved by services that go.
    pub checks: u64,
    /// Keys, deletions included.
    pub keys: u64,
    /// Sessions.
    pub sessions: u64,
    /// The last time that some service lost its last instance; 0 for never.
    pub service_extinction: u64,
    /// The last time that some node went; 0 for never.
    pub node_extinction: u64,
    /// Which services gateways are linked with.
    #[serde(default, skip_serializing_if = "is_never")]
    pub gateways: u64,
    /// The last time that a policy decided otherwise about reading some key; 0 for never.
    #[serde(default, skip_serializing_if = "is_never")]
    pub governed_keys: u64,
    /// The tables of further records.
    #[serde(default, skip_serializing_if = "TableMarks::is_empty")]
    pub tables: TableMarks,
}

/// How many tables of further records there are.
const TABLES: usize = TableId::ALL.len();

/// The revision that last moved each table of further records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<TableId, u64>", into = "BTreeMap<TableId, u64>")]
pub struct TableMarks([u64; TABLES]);

impl TableMarks {
    /// The revision that last moved it; 0 for never.
    pub fn get(&self, table: TableId) -> u64 {
        self.0[table as usize]
    }

    pub(super) fn set(&mut self, table: TableId, revision: u64) {
        self.0[table as usize] = revision;
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl From<BTreeMap<TableId, u64>> for TableMarks {
    fn from(marks: BTreeMap<TableId, u64>) -> Self {
        let mut tables = Self::default();
        for (table, revision) in marks {
            tables.set(table, revision);
        }
        tables
    }
}

impl From<TableMarks> for BTreeMap<TableId, u64> {
    fn from(marks: TableMarks) -> Self {
        let all = TableId::ALL.into_iter().map(|table| (table, marks.get(table)));
        all.filter(|(_, revision)| *revision > 0).collect()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn is_never(revision: &u64) -> bool {
    *revision == 0
}

impl Index {
    /// The index of a read: it moves only when the read's visible answer may have changed. 0 where nothing ever was:
    /// whoever prints it prints at least 1.
    pub fn index_of(&self, query: &Query) -> u64 {
        self.moved(query).max(self.floor())
    }

    fn moved(&self, query: &Query) -> u64 {
        let marks = &self.marks;
        let tables = marks.services.max(marks.nodes).max(marks.checks);
        match query {
            Query::Nodes => marks.nodes,
            Query::Node(text) => {
                self.node_by_name_or_id(text).map_or(marks.node_extinction, |row| row.index)
            }
            Query::Services { by_node_meta: false } => marks.services,
            Query::Services { by_node_meta: true } => marks.services.max(marks.nodes),
            Query::Service(name) => self.index_of_service(name, marks.services.max(marks.nodes)),
            Query::Health(name) => self.index_of_service(name, tables),
            Query::ServiceChecks { service, by_node_meta: true } => {
                self.services.get(service.key()).map_or(tables, |row| row.index)
            }
            Query::NodeChecks(_)
            | Query::ServiceChecks { by_node_meta: false, .. }
            | Query::Checks { .. } => marks.checks,
            Query::Key(key) => {
                self.key(key).map_or(marks.keys, |row| row.modified).max(marks.governed_keys)
            }
            Query::Keys(prefix) => self.index_of_keys(prefix).max(marks.governed_keys),
            Query::Sessions | Query::Session(_) | Query::NodeSessions(_) => marks.sessions,
            Query::Connect(name) => self.index_of_connect(name, marks.services.max(marks.nodes)),
            Query::HealthConnect(name) => self.index_of_connect(name, tables),
            Query::HealthIngress(name) => self.index_of_ingress(name),
            Query::GatewayServices { any } => {
                marks.gateways.max(if *any { marks.services } else { 0 })
            }
            Query::CaRoots => {
                let config = self.record::<Setting>(CA_CONFIG).map_or(0, |row| row.modified);
                marks.tables.get(TableId::CaRoot).max(config)
            }
            Query::Table(table) | Query::Record { table, .. } => marks.tables.get(*table),
            Query::Several(queries) => {
                queries.iter().map(|query| self.index_of(query)).max().unwrap_or(0)
            }
        }
    }

    /// A service without instances carries the index of the last extinction of any service, so that who waited for it
    /// wakes once and then sees an index that did not fall.
    fn index_of_service(&self, name: &Caseless, tables: u64) -> u64 {
        let extinction = self.marks.service_extinction;
        match self.services.get(name.key()) {
            Some(row) if row.instances.is_empty() => row.index.max(extinction),
            Some(row) => row.index,
            None if extinction > 0 => extinction,
            None => tables,
        }
    }

    /// The last write under a prefix, deletions included. Consul marks a tree deletion at its prefix alone, so that a
    /// longer prefix shows nothing of it and carries the table's index from then on: so it does here. But where older
    /// deletions are shown, Consul's index falls back to them; here it does not.
    fn index_of_keys(&self, prefix: &str) -> u64 {
        if prefix.is_empty() {
            return self.marks.keys;
        }
        let shown = |grave: &Grave| grave.tree.as_ref().is_none_or(|tree| tree.starts_with(prefix));
        let graves = || {
            let from = self.graves.range::<_, str>((Bound::Included(prefix), Bound::Unbounded));
            from.take_while(|(key, _)| key.starts_with(prefix)).map(|(_, grave)| grave)
        };
        let rows = self.keys(prefix).map(|row| row.modified).max();
        if rows.is_none() && !graves().any(shown) {
            return self.marks.keys;
        }
        rows.max(graves().map(|grave| grave.at).max()).unwrap_or(self.marks.keys)
    }
}
