//! Checkpoints: what the scope's key signs of its lineage, as C2SP `tlog-checkpoint` in a C2SP `signed-note`.
//!
//! ```text
//! dc1
//! 4711
//! <root, base64>
//!
//! — dc1 <key id and ed25519 signature, base64>
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use signed_note::{
    Note, NoteError, Signer, StandardVerifier, VerifierList, is_key_name_valid, key_id,
    new_ed25519_verifier_key,
};
use tlog_tiles::checkpoint::Checkpoint;
use tlog_tiles::tlog::Hash;

use crate::keys::AnchorKeys;
use crate::scope::ScopePath;

/// The public key of an anchor.
pub type NoteKey = VerifyingKey;

/// The signature type of plain ed25519 in a key's encoding.
const ED25519: u8 = 1;

/// Why a checkpoint is not believed.
#[derive(Debug, thiserror::Error)]
pub enum NoteFault {
    /// It is no signed note, or the signature is not the key's.
    #[error("its signature cannot be verified: {0}")]
    Signature(NoteError),
    /// It is signed, and is no checkpoint.
    #[error("it is not a checkpoint")]
    Malformed,
    /// It is one of another log.
    #[error("it is a checkpoint of {0}")]
    Elsewhere(Box<str>),
}

/// What a believed checkpoint says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Signed {
    /// How many entries the log had.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

/// Signs checkpoints of the datacenter's own lineage and of those under it, all with the anchor's key.
pub(crate) struct Notary {
    root: Box<str>,
    keys: AnchorKeys,
}

/// Signs in the name of one origin.
struct Named<'a> {
    origin: &'a str,
    key: &'a SigningKey,
}

/// Whether a scope's path can stand in a note: not empty, without spaces and pluses.
pub fn is_origin(path: &str) -> bool {
    is_key_name_valid(path) && !path.contains(char::is_control)
}

/// The key by which anyone verifies a scope's checkpoints, in the text form of `signed-note`.
pub fn verifier_key(origin: &str, key: &VerifyingKey) -> String {
    new_ed25519_verifier_key(origin, key)
}

/// The public key in the text form of `signed-note`, `<name>+<id>+<base64>`.
pub fn public_key(text: &str) -> Option<VerifyingKey> {
    // The base64 may have pluses of its own.
    let encoded = text.splitn(3, '+').nth(2)?;
    let bytes = STANDARD.decode(encoded).ok()?;
    match bytes.split_first() {
        Some((&ED25519, key)) => VerifyingKey::from_bytes(key.try_into().ok()?).ok(),
        _ => None,
    }
}

/// Reads a checkpoint of `origin` signed by `key`.
///
/// # Errors
/// See [`NoteFault`].
pub fn verify(note: &str, origin: &str, key: &VerifyingKey) -> Result<Signed, NoteFault> {
    let verifier =
        StandardVerifier::new(&verifier_key(origin, key)).map_err(|_| NoteFault::Malformed)?;
    let note = Note::from_bytes(note.as_bytes()).map_err(NoteFault::Signature)?;
    note.verify(&VerifierList::new(vec![Box::new(verifier)])).map_err(NoteFault::Signature)?;
    let checkpoint = Checkpoint::from_bytes(note.text()).map_err(|_| NoteFault::Malformed)?;
    if checkpoint.origin() != origin {
        return Err(NoteFault::Elsewhere(checkpoint.origin().into()));
    }
    Ok(Signed { size: checkpoint.size(), root: *checkpoint.hash() })
}

/// The same by any of some keys: an anchor's current one and its former ones.
///
/// # Errors
/// See [`NoteFault`].
pub fn verify_any(note: &str, origin: &str, keys: &[VerifyingKey]) -> Result<Signed, NoteFault> {
    let mut fault = NoteFault::Malformed;
    for key in keys {
        match verify(note, origin, key) {
            Ok(signed) => return Ok(signed),
            Err(found) => fault = found,
        }
    }
    Err(fault)
}

// === impl Notary ===

impl Notary {
    /// `root` must be [an origin](is_origin).
    pub(crate) fn new(root: &str, keys: impl Into<AnchorKeys>) -> Self {
        debug_assert!(is_origin(root));
        Self { root: root.into(), keys: keys.into() }
    }

    /// It changes when another key signs than before.
    pub(crate) fn rotation(&self) -> usize {
        self.keys.count()
    }

    /// Signs what a log is now: that of a scope, or, as `None`, the datacenter's own.
    pub(crate) fn sign(&self, scope: Option<&ScopePath>, size: u64, root: Hash) -> Box<str> {
        let origin = scope.map_or(&*self.root, ScopePath::as_str);
        let checkpoint = Checkpoint::new(origin, size, root, "").expect("an origin is not empty");
        let mut note = Note::new(&checkpoint.to_bytes(), &[]).expect("a checkpoint is plain lines");
        let signer = Named { origin, key: &self.keys.current() };
        note.add_sigs(&[&signer]).expect("an ed25519 key always signs");
        String::from_utf8(note.to_bytes()).expect("notes are UTF-8").into()
    }
}

impl Signer for Named<'_> {
    fn name(&self) -> &str {
        self.origin
    }

    fn key_id(&self) -> u32 {
        let public = self.key.verifying_key().to_bytes();
        key_id(self.origin, &[&[ED25519], public.as_slice()].concat())
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, ed25519_dalek::SignatureError> {
        Ok(self.key.try_sign(message)?.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_believed_from_its_own_key_and_origin_only() {
        let [ours, theirs] = [[1; 32], [2; 32]].map(|seed| SigningKey::from_bytes(&seed));
        let note = Notary::new("dc1", ours.clone()).sign(None, 7, Hash([9; 32]));
        let signed = verify(&note, "dc1", &ours.verifying_key()).unwrap();
        assert_eq!(signed, Signed { size: 7, root: Hash([9; 32]) });
        assert!(matches!(
            verify(&note, "dc1", &theirs.verifying_key()),
            Err(NoteFault::Signature(_))
        ));
        assert!(matches!(
            verify(&note, "dc2", &ours.verifying_key()),
            Err(NoteFault::Signature(_))
        ));
        let forged = note.replace("\n7\n", "\n8\n");
        assert!(matches!(
            verify(&forged, "dc1", &ours.verifying_key()),
            Err(NoteFault::Signature(_))
        ));
    }
}
