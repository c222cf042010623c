//! A proof of one entry that needs nothing but itself and a key.

use ed25519_dalek::VerifyingKey;
use serde::{Deserialize, Serialize};
use tlog_tiles::tlog::{Hash, check_record, record_hash};

use super::{Finding, Payload, Report, Taken, Verifier, VerifyError, believed};
use crate::encoding::hex;
use crate::lineage::note;

/// An entry, what it is about, that it is in the tree, and what signs the tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct RecordProof {
    /// Whose lineage.
    pub lineage: Box<str>,
    /// The key of its checkpoints.
    pub verifier_key: Box<str>,
    /// The entry's place.
    pub seq: u64,
    /// The exact text of its leaf.
    pub leaf: Box<str>,
    /// The exact text of what it is about; nothing when that is not kept or not told.
    pub payload: Option<Box<str>>,
    /// What the payload's digest begins with, in hex.
    pub salt: Option<Box<str>>,
    /// The hashes from the leaf up to the root, in base64 (RFC 6962).
    pub inclusion: Vec<String>,
    /// The signed note.
    pub checkpoint: Box<str>,
}

/// Verifies a proof. Without keys, the one that it names is believed.
///
/// # Errors
/// [`VerifyError`] when it is no proof; what is wrong with one is in the report.
pub fn record_proof(text: &[u8], keys: &[VerifyingKey]) -> Result<Report, VerifyError> {
    let proof: RecordProof = serde_json::from_slice(text)
        .map_err(|error| VerifyError::Unreadable(format!("it is no proof: {error}")))?;
    let named = note::public_key(&proof.verifier_key);
    let keys = believed(keys, named)?;
    let mut verifier = Verifier::alone(&proof.lineage);
    let salt = proof.salt.as_deref().map(hex::decode);
    let payload = match (&proof.payload, &salt) {
        (Some(change), Some(Some(salt))) => Payload::Kept { salt, change: change.as_bytes() },
        (None, None) => Payload::Pruned,
        _ => Payload::Missing,
    };
    let leaf = proof.leaf.as_bytes();
    verifier.take(&Taken { seq: proof.seq, leaf, hash: None, payload });
    let signed = match note::verify_any(&proof.checkpoint, &proof.lineage, &keys) {
        Ok(signed) => signed,
        Err(fault) => {
            verifier.finds(Finding::Checkpoint(fault.to_string()));
            return Ok(verifier.finish(None));
        }
    };
    let hashes: Option<Vec<Hash>> =
        proof.inclusion.iter().map(|text| Hash::parse_hash(text).ok()).collect();
    let proven = hashes.is_some_and(|hashes| {
        let hash = record_hash(leaf);
        check_record(&hashes, signed.size, signed.root, proof.seq, hash).is_ok()
    });
    if !proven {
        verifier.finds(Finding::Proof);
    }
    let mut report = verifier.finish(None);
    (report.signed, report.root) = (Some(signed.size), signed.root.to_string());
    Ok(report)
}
