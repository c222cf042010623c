//! A lineage as lines of JSON that can be kept anywhere and verified without this program: a head, one line an entry, and
//! the checkpoint that signs them as the end.
//!
//! The same lineage always makes the same bytes: whoever reads one can tell every other spelling from it.

use serde::{Deserialize, Serialize};
use tlog_tiles::tlog::record_hash;

use super::query::Line;
use crate::encoding::hex;

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Head {
    /// The path of the scope: the origin of its checkpoints.
    pub lineage: Box<str>,
    /// The key of its checkpoints, as a signed note's verifier writes it.
    pub verifier_key: Box<str>,
    /// How many entries the checkpoint at the end signs.
    pub size: u64,
    /// Whether all of them follow; else those that were asked for.
    pub complete: bool,
}

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Exported {
    /// Its place in the lineage.
    pub seq: u64,
    /// The hash of its leaf, in base64 (RFC 6962).
    pub hash: Box<str>,
    /// The exact text of its leaf.
    pub leaf: Box<str>,
    /// The exact text of what it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Box<str>>,
    /// What the payload's digest begins with, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt: Option<Box<str>>,
    /// Why there is no payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub without: Option<Without>,
}

/// Why a payload is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Without {
    /// It is not kept any more.
    Pruned,
    /// Whoever asked may not read it.
    Withheld,
}

/// The last line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Tail {
    /// The signed note.
    pub checkpoint: Box<str>,
}

// === impl Exported ===

impl Exported {
    /// An entry; its payload only where it may be told.
    pub fn of(line: &Line, tells_payload: bool) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into();
        let told = line.payload.as_ref().filter(|_| tells_payload);
        let without = match (&line.payload, told) {
            (None, _) => Some(Without::Pruned),
            (Some(_), None) => Some(Without::Withheld),
            _ => None,
        };
        Self {
            seq: line.entry.seq,
            hash: record_hash(&line.leaf).to_string().into(),
            leaf: text(&line.leaf),
            payload: told.map(|payload| text(&payload.change)),
            salt: told.map(|payload| hex::encode(&payload.salt).into()),
            without,
        }
    }
}

/// A line of an export, with its end.
pub fn write_line(out: &mut Vec<u8>, line: &impl Serialize) {
    serde_json::to_writer(&mut *out, line).expect("lines are plain values");
    out.push(b'\n');
}
