//! What `/v1/anchor/lineage` prints.

use proconsul_anchors::entry::Entry;
use proconsul_anchors::lineage::query::Line;
use proconsul_anchors::scope::ScopePath;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::go::time::show_time;

/// A lineage among the others.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListedOut {
    pub(crate) scope: ScopePath,
    pub(crate) size: u64,
    pub(crate) verifier_key: String,
}

/// A page of entries.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PageOut {
    pub(crate) scope: ScopePath,
    pub(crate) size: u64,
    pub(crate) verifier_key: String,
    pub(crate) entries: Vec<EntryOut>,
    /// What `?cursor=` takes for the page after this one.
    pub(crate) next: Option<String>,
}

/// An entry, for people.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct EntryOut {
    seq: u64,
    order: u64,
    at: String,
    kind: String,
    #[serde(rename = "UID")]
    uid: Option<String>,
    previous: Option<u64>,
    outcome: &'static str,
    rule: Box<str>,
    actor: Box<str>,
    cause: Option<u64>,
    credential: Option<Box<str>>,
    /// The digest of salt and change, in hex.
    payload: Box<str>,
    /// Whether the change is not kept any more.
    pruned: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<Box<RawValue>>,
}

// === impl EntryOut ===

impl EntryOut {
    /// An entry; what was changed only where it may be told.
    pub(crate) fn of(line: Line, tells_payload: bool) -> Self {
        let change = line.payload.as_ref().filter(|_| tells_payload);
        let change = change.and_then(|payload| serde_json::from_slice(&payload.change).ok());
        let (kind, order) = (line.entry.kind.text(), line.entry.place());
        let Entry { seq, at, uid, previous, outcome, rule, actor, cause, payload, .. } = line.entry;
        Self {
            seq,
            order,
            at: show_time(at),
            kind,
            uid: uid.map(|uid| uid.to_string()),
            previous,
            outcome: outcome.as_str(),
            rule,
            actor,
            cause,
            credential: line.entry.credential,
            payload,
            pruned: line.payload.is_none(),
            change,
        }
    }
}
