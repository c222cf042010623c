//! `keygen`: a key for encrypted gossip.

use base64::Engine as _;
use rand::RngCore as _;

use super::{Entry, told};

pub(super) const ENTRIES: &[Entry] = &[Entry {
    path: &["keygen"],
    words: "",
    about: "Makes a key",
    flags: Vec::new,
    run: |_| told(Ok(key())),
}];

/// Bytes of a key.
const LENGTH: usize = 32;

fn key() -> String {
    let mut bytes = [0; LENGTH];
    rand::rng().fill_bytes(&mut bytes);
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
