//! What `/v1/kv` prints.

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use proconsul_anchors::index::KeyRow;
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
struct Value<'a>(&'a [u8]);

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            [] => serializer.serialize_none(),
            bytes => serializer.collect_str(&Base64Display::new(bytes, &STANDARD)),
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
