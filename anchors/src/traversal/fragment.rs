//! The answer of a remote scope: the rows of its index that a query shows, which the asker makes an index of again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::REPLY_BYTES_MAX;
use crate::acl::{Act, Authority};
use crate::index::{CheckRow, Index, Instance, NodeRow, RowError, RowId, pack};
use crate::name::Caseless;
use crate::query::Query;

/// Rows of an index and the query's index. Its bytes are what the owner signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fragment {
    /// The read's index at the owner.
    pub index: u64,
    /// Whether the owner's group had a leader.
    pub known_leader: bool,
    /// Whether something was left out that the asker may not see.
    pub filtered: bool,
    /// The rows one after the other, see [`pack`], deflated.
    #[serde(with = "crate::encoding::base64")]
    rows: Vec<u8>,
}

/// Why an answer cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FragmentFault {
    /// Its form is unknown.
    #[error("the answer cannot be read: {0}")]
    Malformed(Box<str>),
    /// A row cannot be read.
    #[error(transparent)]
    Row(#[from] RowError),
    /// It is larger than an answer may be.
    #[error("the answer has {bytes} bytes; at most {REPLY_BYTES_MAX} travel: ask for less")]
    TooLarge {
        /// As many as it has.
        bytes: usize,
    },
}

/// The rows that a query shows to somebody.
struct Gather<'a> {
    index: &'a Index,
    authority: &'a Authority,
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
    filtered: bool,
}

// === impl Fragment ===

impl Fragment {
    /// What a query shows of an index to somebody.
    pub fn of(index: &Index, query: &Query, authority: &Authority, known_leader: bool) -> Self {
        let mut gather = Gather { index, authority, rows: BTreeMap::new(), filtered: false };
        gather.query(query);
        let mut piece = Vec::new();
        for (key, value) in &gather.rows {
            pack::push(&mut piece, (key, value));
        }
        Self {
            index: index.index_of(query),
            known_leader,
            filtered: gather.filtered,
            rows: pack::deflate(&piece),
        }
    }

    /// Its bytes.
    ///
    /// # Errors
    /// [`FragmentFault::TooLarge`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, FragmentFault> {
        let bytes = serde_json::to_vec(self).expect("a fragment has text keys only");
        // In a reply it is written in base64 once more.
        let max = REPLY_BYTES_MAX / 2;
        if bytes.len() > max {
            return Err(FragmentFault::TooLarge { bytes: bytes.len() });
        }
        Ok(bytes)
    }

    /// Reads it from its bytes.
    ///
    /// # Errors
    /// [`FragmentFault::Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, FragmentFault> {
        serde_json::from_slice(bytes)
            .map_err(|error| FragmentFault::Malformed(error.to_string().into()))
    }

    /// The index of its rows.
    ///
    /// # Errors
    /// [`FragmentFault`]: the owner signed something that is none.
    pub fn restore(&self) -> Result<Index, FragmentFault> {
        let malformed = |why: &str| FragmentFault::Malformed(why.into());
        let piece = pack::inflate(&self.rows).map_err(|error| malformed(&error.to_string()))?;
        let rows: Option<Vec<_>> = pack::rows(&piece).collect();
        let rows = rows.ok_or_else(|| malformed("it ends in the midst of a row"))?;
        let owned = rows.into_iter().map(|(key, value)| (key.to_vec(), value.to_vec()));
        Ok(Index::restore(owned)?)
    }
}

// === impl Gather ===

impl Gather<'_> {
    fn query(&mut self, query: &Query) {
        let index = self.index;
        match query {
            Query::Nodes => index.nodes().for_each(|row| {
                self.node(row);
            }),
            Query::Node(text) => {
                if let Some(row) = index.node_by_name_or_id(text) {
                    self.services_of(row);
                    self.checks(row, |_| true);
                }
            }
            Query::Services { .. } => index.nodes().for_each(|row| self.services_of(row)),
            Query::Service(name) | Query::Health(name) => self.service(name),
            Query::ServiceChecks { service, .. } => self.service(service),
            Query::Connect(name) | Query::HealthConnect(name) => self.reaching(name),
            Query::NodeChecks(node) => {
                if let Some(row) = index.node(node.key()) {
                    self.checks(row, |_| true);
                }
            }
            Query::Checks { .. } => index.nodes().for_each(|row| self.checks(row, |_| true)),
            Query::Key(key) => self.key(key),
            Query::Keys(prefix) => {
                let keys: Vec<_> = index.keys(prefix).map(|row| row.key.clone()).collect();
                keys.iter().for_each(|key| self.key(key));
            }
            Query::Several(queries) => queries.iter().for_each(|query| self.query(query)),
            // These never travel: `Subject::travels`.
            _ => {}
        }
    }

    fn put(&mut self, id: &RowId) {
        if let Some(value) = self.index.row(id) {
            self.rows.insert(id.to_key(), value);
        }
    }

    fn may(&mut self, act: Act<'_>) -> bool {
        let allowed = self.authority.allows(act);
        self.filtered |= !allowed;
        allowed
    }

    /// A node, when it may be seen.
    fn node(&mut self, row: &NodeRow) -> bool {
        let seen = self.may(Act::node_read(row.node.name.as_str()));
        if seen {
            self.put(&RowId::Node(row.node.name.shared_key()));
        }
        seen
    }

    /// An instance with its node, when both may be seen.
    fn instance(&mut self, node: &NodeRow, row: &Instance) -> bool {
        let seen = self.may(Act::service_read(row.service.name.as_str())) && self.node(node);
        if seen {
            let id = row.service.id.shared_key();
            self.put(&RowId::Service(node.node.name.shared_key(), id));
            self.put(&RowId::ServiceMark(row.service.name.shared_key()));
        }
        seen
    }

    fn services_of(&mut self, row: &NodeRow) {
        if self.node(row) {
            for instance in row.services.values() {
                self.instance(row, instance);
            }
        }
    }

    /// Checks of a node, each when it may be seen.
    fn checks(&mut self, node: &NodeRow, wanted: impl Fn(&CheckRow) -> bool) {
        for row in node.checks.values().filter(|row| wanted(row)) {
            let service = row.check.service.as_ref().map(|checked| checked.name.as_str());
            let seen = service.is_none_or(|name| self.may(Act::service_read(name)));
            if seen && self.node(node) {
                let key = node.node.name.shared_key();
                self.put(&RowId::Check(key, row.check.id.shared_key()));
            }
        }
    }

    fn service(&mut self, name: &Caseless) {
        let Some(service) = self.index.service(name.key()) else { return };
        for ((node, _), row) in &service.instances {
            self.with_checks(node, row);
        }
    }

    fn reaching(&mut self, name: &Caseless) {
        let Some(service) = self.index.connect(name.key()) else { return };
        for ((node, _), row) in &service.instances {
            self.with_checks(node, row);
        }
        self.put(&RowId::ConnectMark(name.shared_key()));
    }

    /// An instance with its node's checks and its own.
    fn with_checks(&mut self, node: &str, row: &Instance) {
        let Some(node) = self.index.node(node) else { return };
        if self.instance(node, row) {
            self.checks(node, |check| {
                check.check.service_id().is_none_or(|id| *id == row.service.id)
            });
        }
    }

    fn key(&mut self, key: &str) {
        if self.may(Act::key_read(key)) {
            self.put(&RowId::Key(key.into()));
        }
    }
}
