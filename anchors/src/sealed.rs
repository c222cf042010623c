//! Secrets at rest: found by a digest, kept sealed.
//!
//! Consul's API shows a token's secret to whoever may write access control, and signs with a private key that it keeps.
//! A one-way hash alone would not do (ADR 14): beside a keyed digest, by which a secret is found, stands the secret itself,
//! encrypted (ChaCha20-Poly1305, RFC 8439) under a key that is derived from the scope's. Neither the log nor the store nor
//! a backup of them shows it without that key.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use serde::{Deserialize, Serialize};

use crate::caller::Secret;
use crate::encoding::hex;

/// A secret as the log and the store keep it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedSecret {
    digest: Box<str>,
    /// Nonce and ciphertext, base64.
    text: Box<str>,
}

/// Seals and opens secrets.
#[derive(Clone)]
pub struct Sealer {
    digests: hmac::Key,
    box_key: LessSafeKey,
}

/// How a sealed row begins: no JSON does.
const SEALED_ROW: u8 = 1;

/// Bytes of randomness that a sealing takes; never the same twice.
pub const SEAL_NONCE_BYTES: usize = NONCE_LEN;

// === impl SealedSecret ===

impl SealedSecret {
    /// The keyed digest (HMAC-SHA-256, hex), equal for equal secrets of one scope.
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

impl fmt::Debug for SealedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<sealed>")
    }
}

// === impl Sealer ===

impl Sealer {
    /// The sealer of a scope, from its signing key's seed.
    pub fn of_seed(seed: &[u8; 32]) -> Self {
        let derive = |purpose: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, seed), purpose);
        let key = UnboundKey::new(&CHACHA20_POLY1305, derive(b"proconsul seal v1").as_ref())
            .expect("an HMAC-SHA-256 is as long as the cipher's key");
        Self {
            digests: hmac::Key::new(hmac::HMAC_SHA256, derive(b"proconsul digest v1").as_ref()),
            box_key: LessSafeKey::new(key),
        }
    }

    /// The digest by which a secret is found.
    pub fn digest(&self, secret: &str) -> Box<str> {
        hex::encode(hmac::sign(&self.digests, secret.as_bytes()).as_ref()).into()
    }

    /// Seals a secret with fresh randomness.
    pub fn seal(&self, secret: &str, nonce: [u8; SEAL_NONCE_BYTES]) -> SealedSecret {
        let digest = self.digest(secret);
        let mut text = secret.as_bytes().to_vec();
        let aad = Aad::from(digest.as_bytes());
        self.box_key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut text)
            .expect("no secret is as long as the cipher's bound of 256 GiB");
        let text = STANDARD.encode([nonce.as_slice(), &text].concat()).into();
        SealedSecret { digest, text }
    }

    /// The secret; nothing when it was sealed under another key or was touched.
    pub fn open(&self, sealed: &SealedSecret) -> Option<Secret> {
        let bytes = STANDARD.decode(sealed.text.as_bytes()).ok()?;
        let (nonce, text) = bytes.split_first_chunk::<NONCE_LEN>()?;
        let mut text = text.to_vec();
        let aad = Aad::from(sealed.digest.as_bytes());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.box_key.open_in_place(nonce, aad, &mut text).ok()?;
        std::str::from_utf8(opened).ok().map(Secret::new)
    }

    /// Seals a row that may hold secrets; it opens under its own name only.
    pub(crate) fn seal_row(
        &self,
        name: &str,
        row: &[u8],
        nonce: [u8; SEAL_NONCE_BYTES],
    ) -> Vec<u8> {
        let mut text = row.to_vec();
        let aad = Aad::from(name.as_bytes());
        self.box_key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut text)
            .expect("no row is as long as the cipher's bound of 256 GiB");
        [&[SEALED_ROW], nonce.as_slice(), &text].concat()
    }

    /// The row; one that was kept before rows were sealed is as it was kept. Nothing when it was sealed under another key or
    /// name, or was touched.
    pub(crate) fn open_row(&self, name: &str, kept: Vec<u8>) -> Option<Vec<u8>> {
        let Some(sealed) = kept.strip_prefix(&[SEALED_ROW]) else { return Some(kept) };
        let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut text = text.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.box_key.open_in_place(nonce, Aad::from(name.as_bytes()), &mut text);
        opened.ok().map(|row| row.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_shown_to_its_own_scope_only() {
        let (ours, theirs) = (Sealer::of_seed(&[1; 32]), Sealer::of_seed(&[2; 32]));
        let sealed = ours.seal("s3cret", [7; SEAL_NONCE_BYTES]);
        assert_eq!(
            ours.open(&sealed).map(|secret| secret.expose().to_owned()),
            Some("s3cret".into())
        );
        assert_eq!(theirs.open(&sealed), None);
        assert_eq!(sealed.digest(), &*ours.digest("s3cret"));
        assert_ne!(sealed.digest(), &*theirs.digest("s3cret"));
        let printed = format!("{sealed:?}{}", serde_json::to_string(&sealed).unwrap());
        assert!(!printed.contains("s3cret"), "{printed}");
    }

    #[test]
    fn a_row_opens_under_its_own_name() {
        let sealer = Sealer::of_seed(&[1; 32]);
        let sealed = sealer.seal_row("service/web", b"{\"token\":\"s3cret\"}", [3; 12]);
        assert!(!sealed.windows(6).any(|bytes| bytes == b"s3cret"));
        let open = |name: &str, kept: &[u8]| sealer.open_row(name, kept.to_vec());
        assert_eq!(open("service/web", &sealed).as_deref(), Some(&b"{\"token\":\"s3cret\"}"[..]));
        assert_eq!(open("service/db", &sealed), None);
        assert_eq!(Sealer::of_seed(&[2; 32]).open_row("service/web", sealed), None);
        assert_eq!(open("service/web", b"{}").as_deref(), Some(&b"{}"[..]));
    }

    #[test]
    fn a_touched_one_does_not_open() {
        let sealer = Sealer::of_seed(&[1; 32]);
        let (a, b) = (sealer.seal("a", [1; 12]), sealer.seal("b", [2; 12]));
        assert_eq!(sealer.open(&SealedSecret { digest: a.digest, text: b.text }), None);
    }
}
