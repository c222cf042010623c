//! The answer to a path in the form in which it is told, and which is signed where a scope attests to it.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use uuid::Uuid;

use super::resolve::Kind;
use crate::outcome::Outcome;
use crate::scope::ScopePath;

/// The type of a signed answer's payload.
pub const RESOLUTION_TYPE: &str = "application/vnd.proconsul.resolution+json";
/// A signed answer begins to hold with a multiple of so many seconds, and holds for twice as long: the same answer has the same
/// bytes meanwhile, so that whoever follows it is not told anew.
pub const RESOLUTION_SECONDS: u64 = 300;
/// Records that an answer names at most: those of the first instances by node and id.
pub const RECORDS_MAX: usize = 256;

/// A record behind an answer: an instance of the service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Recorded {
    /// Its node.
    pub node: Box<str>,
    /// The id of the service there.
    #[serde(rename = "ServiceID")]
    pub id: Box<str>,
    /// What it is called by in the lineage.
    #[serde(rename = "UID")]
    pub uid: Uuid,
    /// The entry of the lineage that wrote it last.
    pub entry: u64,
}

/// How far a path leads.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ResolutionDocument<'a> {
    /// The strictest of what was decided.
    pub outcome: Outcome,
    /// By which rule.
    pub rule: &'a str,
    /// What it leads to; nothing when to nothing.
    pub kind: Option<Kind>,
    /// What is found there is kept under this.
    #[serde(rename = "UID")]
    pub uid: Option<Uuid>,
    /// The part that was found.
    pub matched: &'a str,
    /// What is left.
    pub rest: &'a str,
    /// Whose it is.
    pub owner: Option<&'a ScopePath>,
    /// The service that is meant in the end.
    pub service: Option<&'a str>,
    /// Its instances.
    pub records: &'a [Recorded],
    /// How old it is.
    pub age_seconds: u64,
    /// Who decided what on the way.
    pub chain: Vec<HopDocument<'a>>,
    /// What a signed answer says besides.
    #[serde(flatten)]
    pub signed: Option<Signed<'a>>,
}

/// What was decided at a hop.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct HopDocument<'a> {
    /// Where.
    pub scope: &'a ScopePath,
    /// What.
    pub outcome: Outcome,
    /// By which rule.
    pub rule: &'a str,
    /// For how long, where others keep it.
    #[serde(rename = "TTLSeconds", skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u64>,
    /// The anchor's key, in hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<&'a str>,
}

/// What a signed answer says besides. Times are seconds since 1970.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Signed<'a> {
    /// What was to be done with it.
    pub action: &'a str,
    /// The credential of the anchor that signs, by id; none before it has one.
    pub credential: Option<&'a str>,
    /// From when on it holds.
    pub issued: u64,
    /// Until when.
    pub expires: u64,
    /// What the scope that owns it signed of it: an envelope of the same type. Nothing where that scope signs here, or did not
    /// attest.
    pub statement: Option<Json>,
}

// === impl ResolutionDocument ===

impl ResolutionDocument<'_> {
    /// The bytes that are told, or signed.
    pub fn payload(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an answer has text keys only")
    }
}
