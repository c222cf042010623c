//! Attestations: what an anchor says of an answer that it gave, so that whoever was handed the answer can verify it.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::statement::second_of;
use crate::clock::Time;
use crate::encoding::hex;
use crate::outcome::Outcome;
use crate::scope::ScopePath;

/// The type of an attestation's payload.
pub const ATTESTATION_TYPE: &str = "application/vnd.proconsul.attestation+json";
/// The version of the payload that is written and read here.
pub const ATTESTATION_VERSION: u32 = 1;
/// For how many seconds an attestation holds: an answer of a catalog is old soon.
pub const ATTESTATION_SECONDS: u64 = 300;

/// The payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attestation {
    /// Of this form: [`ATTESTATION_VERSION`].
    pub version: u32,
    /// The scope that answers.
    pub scope: ScopePath,
    /// What was asked: the path and the query of the request, without who asked.
    pub query: Box<str>,
    /// `sha256:` and the hex digest of the answer's exact bytes, before any compression on the way.
    pub answer: Box<str>,
    /// What was decided.
    pub outcome: Outcome,
    /// The rule that decided.
    pub rule: Box<str>,
    /// The credential of the anchor that signs, by id; none before the anchor has one.
    pub credential: Option<Box<str>>,
    /// The state of the lineage from which was answered.
    pub checkpoint: Option<Point>,
    /// When it was signed, in seconds since 1970.
    pub issued: u64,
    /// From when on it does not hold any more, in seconds since 1970.
    pub expires: u64,
}

/// A place in a lineage: that of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// The scope whose lineage it is.
    pub origin: Box<str>,
    /// How many entries it had.
    pub size: u64,
    /// The root over them: base64, as in the checkpoint.
    pub root: Box<str>,
}

/// The digest of an answer, as an attestation tells it.
pub fn digest(answer: &[u8]) -> Box<str> {
    format!("sha256:{}", hex::encode(&Sha256::digest(answer))).into()
}

// === impl Attestation ===

impl Attestation {
    /// The bytes that are signed.
    pub fn payload(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an attestation has text keys only")
    }

    /// Whether it holds at a moment.
    pub fn holds(&self, now: Time) -> bool {
        second_of(now) < self.expires
    }
}

// === impl Point ===

impl Point {
    /// What a checkpoint says: its first three lines.
    pub fn of_note(note: &str) -> Option<Self> {
        let mut lines = note.lines();
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        Some(Self { origin: origin.into(), size: size.parse().ok()?, root: root.into() })
    }
}
