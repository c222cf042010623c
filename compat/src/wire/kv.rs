//! What `/v1/kv` prints.

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use proconsul_anchors::index::KeyRow;
use proconsul_anchors::txn::KeyOp;
use serde::{Serialize, Serializer};

/// A key with its value.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct KeyOut<'a> {
    lock_index: u64,
    key: &'a str,
    flags: u64,
    value: Value<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<&'a str>,
    create_index: u64,
    modify_index: u64,
}

/// Base64, or null when empty.
pub(crate) struct Value<'a>(pub(crate) &'a [u8]);

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            [] => serializer.serialize_none(),
            bytes => serializer.collect_str(&Base64Display::new(bytes, &STANDARD)),
        }
    }
}

impl<'a> KeyOut<'a> {
    /// A key without its value.
    pub(crate) fn alone(row: &'a KeyRow) -> Self {
        Self { value: Value(&[]), ..row.into() }
    }

    /// What a transaction tells of a key that is not there: its own words.
    pub(crate) fn absent(op: &'a KeyOp) -> Self {
        Self {
            lock_index: 0,
            key: &op.key,
            flags: op.flags,
            value: Value(&[]),
            session: Some(&*op.session).filter(|session| !session.is_empty()),
            create_index: 0,
            modify_index: op.index,
        }
    }
}

impl<'a> From<&'a KeyRow> for KeyOut<'a> {
    fn from(row: &'a KeyRow) -> Self {
        Self {
            lock_index: row.lock_index,
            key: &row.key,
            flags: row.flags,
            value: Value(&row.value),
            session: row.session.as_deref(),
            create_index: row.created,
            modify_index: row.modified,
        }
    }
}
