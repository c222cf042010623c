//! What an entry's change says of one record.

use serde::Serialize;

use crate::change::{Change, KvChange};
use crate::index::RowId;
use crate::record::{AnyRecord, RecordChange};
use crate::service::{Check, Node, Service, Session};
use crate::txn::{KeyVerb, TxnOp, Verb};

/// A record as it was written.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Body {
    /// A node.
    Node(Box<Node>),
    /// An instance of a service, with its node's name.
    Service {
        /// Where it runs.
        node: Box<str>,
        /// What was registered.
        service: Box<Service>,
    },
    /// A check, with its node's name.
    Check {
        /// Where it runs.
        node: Box<str>,
        /// What was registered.
        check: Box<Check>,
    },
    /// A key.
    Key {
        /// Its name.
        key: Box<str>,
        /// What was written.
        #[serde(with = "crate::encoding::base64")]
        value: Vec<u8>,
        /// The writer's number.
        flags: u64,
    },
    /// A session.
    Session(Box<Session>),
    /// A further record.
    Record(AnyRecord),
}

impl Body {
    /// What a change writes of the record at a row; nothing where it writes no body: it removes the record, or touches it
    /// without writing it, as the end of a session does with the keys that it held.
    pub fn of(change: &Change, row: &RowId) -> Option<Self> {
        match change {
            Change::Register(registration) => {
                let (node, checks) = (&registration.node, &registration.checks);
                of_registration(node, registration.service.as_ref(), checks, row)
            }
            Change::Kv(KvChange::Put { key, value, flags, .. }) => of_key(key, value, *flags, row),
            Change::OpenSession(session) => match row {
                RowId::Session(id) if **id == *session.id => Some(Self::Session(session.clone())),
                _ => None,
            },
            Change::Records(changes) => of_records(changes, row),
            Change::Govern(governing) => of_records(&governing.records, row),
            // The last word is what stays.
            Change::Txn(ops) => ops.iter().rev().find_map(|op| of_op(op, row)),
            Change::Deregister(_)
            | Change::Kv(_)
            | Change::CloseSession { .. }
            | Change::Prune(_)
            | Change::Note(_)
            | Change::Restore(_) => None,
        }
    }
}

/// The last word is what stays.
fn of_records(changes: &[RecordChange], row: &RowId) -> Option<Body> {
    changes.iter().rev().find_map(|change| match (change, row) {
        (RecordChange::Put { record, .. }, RowId::Record(table, key))
            if record.table() == *table && record.key() == *key =>
        {
            Some(Body::Record(record.clone()))
        }
        _ => None,
    })
}

fn of_registration(
    node: &Node,
    service: Option<&Service>,
    checks: &[Check],
    row: &RowId,
) -> Option<Body> {
    let here = |key: &str| node.name.key() == key;
    let name = || node.name.as_str().into();
    match row {
        RowId::Node(key) if here(key) => Some(Body::Node(Box::new(node.clone()))),
        RowId::Service(key, id) if here(key) => service
            .filter(|service| service.id.key() == &**id)
            .map(|service| Body::Service { node: name(), service: Box::new(service.clone()) }),
        RowId::Check(key, id) if here(key) => checks
            .iter()
            .rfind(|check| check.id.key() == &**id)
            .map(|check| Body::Check { node: name(), check: Box::new(check.clone()) }),
        _ => None,
    }
}

fn of_key(key: &str, value: &[u8], flags: u64, row: &RowId) -> Option<Body> {
    match row {
        RowId::Key(there) if **there == *key => {
            Some(Body::Key { key: key.into(), value: value.into(), flags })
        }
        _ => None,
    }
}

fn of_op(op: &TxnOp, row: &RowId) -> Option<Body> {
    let writes = |verb| matches!(verb, Verb::Set | Verb::Cas);
    match op {
        TxnOp::Key(op) => match op.verb {
            KeyVerb::Set | KeyVerb::Cas | KeyVerb::Lock | KeyVerb::Unlock => {
                of_key(&op.key, &op.value, op.flags, row)
            }
            _ => None,
        },
        TxnOp::Node(op) if writes(op.verb) => of_registration(&op.node, None, &[], row),
        TxnOp::Service(op) if writes(op.verb) => match row {
            RowId::Service(node, id)
                if op.node.key() == &**node && op.service.id.key() == &**id =>
            {
                let (node, service) = (op.node.as_str().into(), Box::new(op.service.clone()));
                Some(Body::Service { node, service })
            }
            _ => None,
        },
        TxnOp::Check(op) if writes(op.verb) => match row {
            RowId::Check(node, id) if op.node.key() == &**node && op.check.id.key() == &**id => {
                let (node, check) = (op.node.as_str().into(), Box::new(op.check.clone()));
                Some(Body::Check { node, check })
            }
            _ => None,
        },
        TxnOp::Node(_) | TxnOp::Service(_) | TxnOp::Check(_) => None,
    }
}
