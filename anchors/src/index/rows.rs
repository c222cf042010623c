//! The projection: the index as rows of a table, each a key and a value of bytes.
//!
//! The rows of two equal indexes are equal to the byte, whatever way the indexes came to be. Values are JSON: a reader of
//! an older version skips what it does not know.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use imbl::OrdMap;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Bodies, CheckRow, Index, Instance, KeyRow, Marks, NodeRow, Roster, ServiceRow, SessionRow,
    Staged, share,
};
use crate::name::Caseless;
use crate::record::TableId;
use crate::scope::{Hold, ScopePath};
use crate::service::{Check, Node, Service, Session};

/// Which row. The order of the variants is the order in which they can be read back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowId {
    /// The marks of the tables and the revision.
    Marks,
    /// A node, by key.
    Node(Arc<str>),
    /// An instance, by node key and id key.
    Service(Arc<str>, Arc<str>),
    /// A check, by node key and id key.
    Check(Arc<str>, Arc<str>),
    /// The index of a service, by key.
    ServiceMark(Arc<str>),
    /// A key.
    Key(Arc<str>),
    /// A deleted key.
    Grave(Arc<str>),
    /// A session, by id.
    Session(Arc<str>),
    /// A restore under way.
    Staged,
    /// The index of those that reach a service, by its key.
    ConnectMark(Arc<str>),
    /// A further record, by table and key.
    Record(TableId, Arc<str>),
}

/// The letter of the first table of further records; the others follow in their order.
const FIRST_TABLE: u8 = b'j';

/// A row that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    /// The key is none of ours.
    #[error("row key {0:?} is of no known kind")]
    Key(Vec<u8>),
    /// The value is damaged.
    #[error("row {0:?} is damaged: {1}")]
    Value(RowId, serde_json::Error),
    /// It belongs to a row that is not there.
    #[error("row {0:?} belongs to a node that has no row")]
    Orphan(RowId),
}

#[derive(Serialize, Deserialize)]
struct MarksValue {
    revision: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    floor: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    lift: u64,
    #[serde(flatten)]
    marks: Marks,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What each record's row holds beside the record.
#[derive(Serialize, Deserialize)]
struct Stamped<T> {
    uid: Uuid,
    created: u64,
    modified: u64,
    entry: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    index: Option<u64>,
    /// The node's name as it was written with the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    node: Option<Caseless>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scope: Option<ScopePath>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hold: Option<Arc<Hold>>,
    record: T,
}

#[derive(Serialize, Deserialize)]
struct ServiceMarkValue {
    name: Caseless,
    index: u64,
}

#[derive(Serialize, Deserialize)]
struct KeyValue {
    #[serde(with = "crate::encoding::base64")]
    value: Vec<u8>,
    flags: u64,
    lock_index: u64,
    session: Option<Arc<str>>,
}

// === impl RowId ===

impl RowId {
    /// The row's key: a letter for its kind, then each part after its length.
    pub fn to_key(&self) -> Vec<u8> {
        let mut key = Vec::new();
        self.write_key(&mut key);
        key
    }

    /// What it is a row of, for people.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Marks => "Marks",
            Self::Node(_) => "Node",
            Self::Service(..) => "Service",
            Self::Check(..) => "Check",
            Self::ServiceMark(_) => "ServiceMark",
            Self::ConnectMark(_) => "ConnectMark",
            Self::Key(_) => "KVS",
            Self::Grave(_) => "Tombstone",
            Self::Session(_) => "Session",
            Self::Staged => "Restore",
            Self::Record(table, _) => table.label(),
        }
    }

    /// As [`RowId::to_key`], into a buffer whose content it replaces.
    pub(crate) fn write_key(&self, key: &mut Vec<u8>) {
        let (kind, parts): (u8, [Option<&Arc<str>>; 2]) = match self {
            Self::Record(table, key) => (FIRST_TABLE + *table as u8, [Some(key), None]),
            Self::Marks => (b'a', [None, None]),
            Self::Node(node) => (b'b', [Some(node), None]),
            Self::Service(node, id) => (b'c', [Some(node), Some(id)]),
            Self::Check(node, id) => (b'd', [Some(node), Some(id)]),
            Self::ServiceMark(name) => (b'e', [Some(name), None]),
            Self::Key(key) => (b'f', [Some(key), None]),
            Self::Grave(key) => (b'g', [Some(key), None]),
            Self::Session(id) => (b'h', [Some(id), None]),
            Self::Staged => (b'z', [None, None]),
            Self::ConnectMark(name) => (b'i', [Some(name), None]),
        };
        key.clear();
        key.push(kind);
        for part in parts.into_iter().flatten() {
            let length = u32::try_from(part.len())
                .expect("no part of a key is longer than a request's body");
            key.extend_from_slice(&length.to_be_bytes());
            key.extend_from_slice(part.as_bytes());
        }
    }

    /// The row that a key names.
    ///
    /// # Errors
    /// [`RowError::Key`] when it is none of [`RowId::to_key`].
    pub fn from_key(key: &[u8]) -> Result<Self, RowError> {
        Self::parse(key).ok_or_else(|| RowError::Key(key.to_vec()))
    }

    fn parse(key: &[u8]) -> Option<Self> {
        let (kind, rest) = key.split_first()?;
        let (first, rest) = part(rest).unwrap_or_default();
        let (second, rest) = part(rest).unwrap_or((Arc::default(), rest));
        let id = match kind {
            b'a' => Self::Marks,
            b'b' => Self::Node(first),
            b'c' => Self::Service(first, second),
            b'd' => Self::Check(first, second),
            b'e' => Self::ServiceMark(first),
            b'f' => Self::Key(first),
            b'g' => Self::Grave(first),
            b'h' => Self::Session(first),
            b'z' => Self::Staged,
            b'i' => Self::ConnectMark(first),
            _ => {
                let table = kind.checked_sub(FIRST_TABLE).map(usize::from)?;
                Self::Record(*TableId::ALL.get(table)?, first)
            }
        };
        rest.is_empty().then_some(id)
    }
}

fn part(bytes: &[u8]) -> Option<(Arc<str>, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (text, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    Some((std::str::from_utf8(text).ok()?.into(), rest))
}

// === impl Index ===

impl Index {
    /// The value of one row; nothing when the row is gone.
    pub fn row(&self, id: &RowId) -> Option<Vec<u8>> {
        let mut value = Vec::new();
        self.write_row(id, &mut value).then_some(value)
    }

    /// As [`Index::row`], into a buffer whose content it replaces. Whether the row is there.
    pub(crate) fn write_row(&self, id: &RowId, value: &mut Vec<u8>) -> bool {
        value.clear();
        let written = match id {
            RowId::Marks => {
                let Self { revision, floor, lift, marks, .. } = *self;
                encode(value, &MarksValue { revision, floor, lift, marks });
                Some(())
            }
            RowId::Node(key) => self.nodes.get(key).map(|row| encode_node(value, row)),
            RowId::Service(node, id) => self
                .nodes
                .get(node)
                .and_then(|row| row.services.get(id))
                .map(|row| encode_instance(value, row)),
            RowId::Check(node, id) => self
                .nodes
                .get(node)
                .and_then(|row| row.checks.get(id))
                .map(|row| encode_check(value, row)),
            RowId::ServiceMark(name) => self.services.get(name).map(|row| encode_mark(value, row)),
            RowId::Key(key) => self.keys.get(key).map(|row| encode_key(value, row)),
            RowId::Grave(key) => self.graves.get(key).map(|grave| encode(value, grave)),
            RowId::Session(id) => self.sessions.get(id).map(|row| encode_session(value, row)),
            RowId::Staged => self.staged.as_ref().map(|staged| encode(value, staged.about())),
            RowId::ConnectMark(name) => self.connect.get(name).map(|row| {
                encode(value, &ServiceMarkValue { name: row.name.clone(), index: row.index })
            }),
            RowId::Record(table, key) => self.write_record(*table, key, value).then_some(()),
        };
        written.is_some()
    }

    /// The uid of the record at a row, and the entry that last wrote it, by its place in the group's order.
    pub fn stamp_of(&self, id: &RowId) -> Option<(Uuid, u64)> {
        match id {
            RowId::Node(key) => self.nodes.get(key).map(|row| (row.uid, row.entry)),
            RowId::Service(node, id) => {
                self.nodes.get(node)?.services.get(id).map(|row| (row.uid, row.entry))
            }
            RowId::Check(node, id) => {
                self.nodes.get(node)?.checks.get(id).map(|row| (row.uid, row.entry))
            }
            RowId::Key(key) => self.keys.get(key).map(|row| (row.uid, row.entry)),
            RowId::Session(id) => self.sessions.get(id).map(|row| (row.uid, row.entry)),
            RowId::Record(table, key) => self.record_stamp(*table, key),
            RowId::Marks
            | RowId::ServiceMark(_)
            | RowId::Grave(_)
            | RowId::Staged
            | RowId::ConnectMark(_) => None,
        }
    }

    /// The entries that last wrote what is there now.
    pub(crate) fn entries_in_force(&self) -> HashSet<u64> {
        self.row_ids().filter_map(|id| self.stamp_of(&id)).map(|(_, entry)| entry).collect()
    }

    /// The names of all rows.
    pub fn row_ids(&self) -> impl Iterator<Item = RowId> {
        let of_nodes = self.nodes.iter().flat_map(|(node, row)| {
            let services = row.services.keys().map(|id| RowId::Service(Arc::clone(node), id));
            let checks = row.checks.keys().map(|id| RowId::Check(Arc::clone(node), id));
            std::iter::once(RowId::Node(Arc::clone(node))).chain(services).chain(checks)
        });
        std::iter::once(RowId::Marks)
            .chain(of_nodes)
            .chain(self.services.keys().cloned().map(RowId::ServiceMark))
            .chain(self.keys.keys().cloned().map(RowId::Key))
            .chain(self.graves.keys().cloned().map(RowId::Grave))
            .chain(self.sessions.keys().cloned().map(RowId::Session))
            .chain(self.staged.iter().map(|_| RowId::Staged))
            .chain(self.connect.keys().cloned().map(RowId::ConnectMark))
            .chain(self.record_ids())
    }

    /// All rows.
    pub fn rows(&self) -> impl Iterator<Item = (RowId, Vec<u8>)> {
        self.row_ids().filter_map(|id| self.row(&id).map(|value| (id, value)))
    }

    /// The index that has these rows, given in the order of their keys.
    ///
    /// # Errors
    /// [`RowError`] names the row that cannot be read.
    pub fn restore(rows: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) -> Result<Self, RowError> {
        let mut index = Self::new();
        for (key, value) in rows {
            index.put_row(RowId::from_key(&key)?, &value)?;
        }
        Ok(index)
    }

    pub(super) fn put_row(&mut self, id: RowId, value: &[u8]) -> Result<(), RowError> {
        match &id {
            RowId::Marks => {
                let value: MarksValue = decode(&id, value)?;
                (self.revision, self.marks) = (value.revision, value.marks);
                (self.floor, self.lift) = (value.floor, value.lift);
            }
            RowId::Node(key) => {
                let row = node_row(decode(&id, value)?);
                if !row.node.id.is_empty() {
                    self.node_ids.insert(row.node.id.to_ascii_lowercase().into(), Arc::clone(key));
                }
                self.nodes.insert(Arc::clone(key), Arc::new(row));
            }
            RowId::Service(node, key) => self.put_instance(&id, node, key, decode(&id, value)?)?,
            RowId::Check(node, _) => {
                let value = decode(&id, value)?;
                let there = self.nodes.get_mut(node).ok_or_else(|| RowError::Orphan(id.clone()))?;
                let mut row = check_row(value, &there.node.name);
                if let Some(service) = &mut row.check.service {
                    share::checked(service, there);
                    row.held = there.held(&service.id);
                }
                Arc::make_mut(there).checks.insert(Arc::new(row));
            }
            RowId::ServiceMark(name) => self.put_service_mark(name, decode(&id, value)?),
            RowId::Key(key) => self.put_key_row(key, decode(&id, value)?),
            RowId::Grave(key) => {
                self.graves.insert(Arc::clone(key), decode(&id, value)?);
            }
            RowId::Session(key) => self.put_session_row(key, decode(&id, value)?),
            RowId::Staged => {
                self.staged = Some(Arc::new(Staged::named(decode(&id, value)?)));
            }
            RowId::ConnectMark(_) => self.put_connect_mark(decode(&id, value)?),
            RowId::Record(table, _) => self
                .put_record_row(*table, value)
                .map_err(|error| RowError::Value(id.clone(), error))?,
        }
        Ok(())
    }

    fn put_instance(
        &mut self,
        id: &RowId,
        node: &Arc<str>,
        key: &Arc<str>,
        value: Stamped<Service>,
    ) -> Result<(), RowError> {
        let there = self.nodes.get_mut(node).ok_or_else(|| RowError::Orphan(id.clone()))?;
        let mut row = instance_row(value, &there.node.name);
        let of = self.services.get(row.service.name.key());
        share::instance(&mut row.service, None, of.map(AsRef::as_ref));
        let row = Arc::new(row);
        Arc::make_mut(there).services.insert(Arc::clone(&row));
        self.put_reaching(&row);
        let name = row.service.name.clone();
        let service =
            self.services.entry(name.shared_key()).or_insert_with(|| Arc::new(empty_service(name)));
        let service = Arc::make_mut(service);
        let first = service.instances.is_empty();
        let before =
            service.instances.insert((Arc::clone(node), Arc::clone(key)), Arc::clone(&row));
        self.instance_came(before.as_deref(), &row, first);
        Ok(())
    }

    fn put_service_mark(&mut self, name: &Arc<str>, value: ServiceMarkValue) {
        let row = self
            .services
            .entry(Arc::clone(name))
            .or_insert_with(|| Arc::new(empty_service(value.name.clone())));
        let row = Arc::make_mut(row);
        (row.name, row.index) = (value.name, value.index);
    }

    fn put_reaching(&mut self, row: &Arc<Instance>) {
        let Some(name) = row.service.reaches() else { return };
        let key = (row.node.shared_key(), row.service.id.shared_key());
        self.connect_row(&name).instances.insert(key, Arc::clone(row));
    }

    fn put_connect_mark(&mut self, value: ServiceMarkValue) {
        let row = self.connect_row(&value.name);
        (row.name, row.index) = (value.name, value.index);
    }

    fn put_key_row(&mut self, key: &Arc<str>, value: Stamped<KeyValue>) {
        if let Some(session) = &value.record.session {
            self.held.entry(Arc::clone(session)).or_default().insert(Arc::clone(key));
        }
        let row = Arc::new(key_row(key, value));
        let before = self.keys.insert(Arc::clone(key), Arc::clone(&row));
        self.key_counts(before.as_deref(), Some(&row));
    }

    fn put_session_row(&mut self, key: &Arc<str>, value: Stamped<Session>) {
        let node = value.record.node.shared_key();
        self.node_sessions.entry(node).or_default().insert(Arc::clone(key));
        self.sessions.insert(Arc::clone(key), Arc::new(session_row(value)));
    }
}

// === rows and their values ===

fn encode(out: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(out, value).expect("a record has text keys only");
}

fn decode<T: DeserializeOwned>(id: &RowId, value: &[u8]) -> Result<T, RowError> {
    serde_json::from_slice(value).map_err(|error| RowError::Value(id.clone(), error))
}

fn encode_node(out: &mut Vec<u8>, row: &NodeRow) {
    encode(
        out,
        &Stamped {
            uid: row.uid,
            created: row.created,
            modified: row.modified,
            entry: row.entry,
            index: Some(row.index),
            node: None,
            scope: None,
            hold: None,
            record: &row.node,
        },
    );
}

fn node_row(value: Stamped<Node>) -> NodeRow {
    NodeRow {
        uid: value.uid,
        created: value.created,
        modified: value.modified,
        index: value.index.unwrap_or(value.modified),
        entry: value.entry,
        node: Arc::new(value.record),
        services: Roster::default(),
        checks: Roster::default(),
    }
}

fn encode_instance(out: &mut Vec<u8>, row: &Instance) {
    encode(
        out,
        &Stamped {
            uid: row.uid,
            created: row.created,
            modified: row.modified,
            entry: row.entry,
            index: None,
            node: Some(row.node.clone()),
            scope: row.scope.clone(),
            hold: row.hold.clone(),
            record: &row.service,
        },
    );
}

fn instance_row(value: Stamped<Service>, node: &Caseless) -> Instance {
    Instance {
        uid: value.uid,
        node: spelled(value.node, node),
        service: value.record,
        created: value.created,
        modified: value.modified,
        entry: value.entry,
        scope: value.scope,
        hold: value.hold,
    }
}

/// A node's name as a record spells it, which nearly always is the node's own way.
fn spelled(recorded: Option<Caseless>, node: &Caseless) -> Caseless {
    recorded.filter(|recorded| !recorded.same_spelling(node)).unwrap_or_else(|| node.clone())
}

fn encode_check(out: &mut Vec<u8>, row: &CheckRow) {
    encode(
        out,
        &Stamped {
            uid: row.uid,
            created: row.created,
            modified: row.modified,
            entry: row.entry,
            index: None,
            node: Some(row.node.clone()),
            scope: None,
            hold: None,
            record: &row.check,
        },
    );
}

fn check_row(value: Stamped<Check>, node: &Caseless) -> CheckRow {
    CheckRow {
        uid: value.uid,
        node: spelled(value.node, node),
        check: value.record,
        created: value.created,
        modified: value.modified,
        entry: value.entry,
        held: None,
    }
}

fn encode_mark(out: &mut Vec<u8>, row: &ServiceRow) {
    encode(out, &ServiceMarkValue { name: row.name.clone(), index: row.index });
}

fn empty_service(name: Caseless) -> ServiceRow {
    ServiceRow { name, index: 0, instances: OrdMap::new(), bodies: Bodies::default() }
}

fn encode_key(out: &mut Vec<u8>, row: &KeyRow) {
    encode(
        out,
        &Stamped {
            uid: row.uid,
            created: row.created,
            modified: row.modified,
            entry: row.entry,
            index: None,
            node: None,
            scope: row.scope.clone(),
            hold: None,
            record: KeyValue {
                value: row.value.to_vec(),
                flags: row.flags,
                lock_index: row.lock_index,
                session: row.session.clone(),
            },
        },
    );
}

fn key_row(key: &Arc<str>, value: Stamped<KeyValue>) -> KeyRow {
    KeyRow {
        uid: value.uid,
        key: Arc::clone(key),
        value: Bytes::from(value.record.value),
        flags: value.record.flags,
        lock_index: value.record.lock_index,
        session: value.record.session,
        created: value.created,
        modified: value.modified,
        entry: value.entry,
        scope: value.scope,
    }
}

fn encode_session(out: &mut Vec<u8>, row: &SessionRow) {
    encode(
        out,
        &Stamped {
            uid: row.uid,
            created: row.created,
            modified: row.modified,
            entry: row.entry,
            index: None,
            node: None,
            scope: None,
            hold: None,
            record: &row.session,
        },
    );
}

fn session_row(value: Stamped<Session>) -> SessionRow {
    SessionRow {
        uid: value.uid,
        session: value.record,
        created: value.created,
        modified: value.modified,
        entry: value.entry,
    }
}
