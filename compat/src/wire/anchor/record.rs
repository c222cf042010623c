//! What `/v1/anchor/record` prints.

use proconsul_anchors::scope::ScopePath;
use serde::Serialize;
use serde_json::Value;

use super::lineage::EntryOut;

/// A record as an entry left it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RecordOut {
    #[serde(rename = "UID")]
    pub(crate) uid: String,
    /// Where it is kept.
    pub(crate) at: String,
    pub(crate) version: u64,
    pub(crate) newest: u64,
    pub(crate) removed: bool,
    /// In whose lineage the entry is.
    pub(crate) scope: ScopePath,
    pub(crate) leaf_hash: Box<str>,
    pub(crate) entry: EntryOut,
    pub(crate) body: Option<Value>,
}

/// A version among the others.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct VersionOut {
    pub(crate) version: u64,
    pub(crate) removed: bool,
    pub(crate) scope: ScopePath,
    pub(crate) leaf_hash: Box<str>,
    pub(crate) entry: EntryOut,
}

/// What a rollback did.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RolledBackOut {
    /// The record: another one where the former had been removed.
    #[serde(rename = "UID")]
    pub(crate) uid: Option<String>,
    /// The version that was written again.
    pub(crate) version: u64,
    /// The entry that records it, by its place in the group's order.
    pub(crate) entry: u64,
    pub(crate) index: u64,
}

/// How many payloads went.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PrunedOut {
    pub(crate) pruned: u64,
}
