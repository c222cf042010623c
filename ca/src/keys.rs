//! Private keys: made, read and written as Consul reads and writes them.

use std::fmt;

use pem::{EncodeConfig, LineEnding, Pem};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PublicKeyData};
use rsa::pkcs8::EncodePrivateKey;
use rsa::rand_core::OsRng;
use sha2::{Digest, Sha256};

use crate::der;

/// Which kind of key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// Elliptic curve (NIST).
    Ec,
    /// RSA.
    Rsa,
}

/// A private key. Never shown.
#[derive(Clone)]
pub struct PrivateKey {
    kind: KeyKind,
    pkcs8: Vec<u8>,
}

/// Why there is no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text holds none.
    #[error("no PEM-encoded data found")]
    NoPem,
    /// It holds something else.
    #[error("unknown PEM block type for signing key: {0}")]
    Block(String),
    /// It is damaged, or of a curve or length that is not supported.
    #[error("the key cannot be used: {0}")]
    Unusable(String),
    /// Consul makes keys of 224 and 521 bits too.
    #[error("EC keys of {0} bits are not supported: use 256 or 384")]
    Curve(u32),
}

const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// The tags of explicit parameters and of the public key inside an EC key (RFC 5915).
const EC_PUBLIC: u8 = 0xa1;
/// The bytes of a private key on the smaller curve.
const P256_BYTES: usize = 32;

// === impl PrivateKey ===

impl PrivateKey {
    /// A new key from the system's randomness.
    ///
    /// # Errors
    /// [`KeyError::Curve`], or the system has no randomness.
    pub fn generate(kind: KeyKind, bits: u32) -> Result<Self, KeyError> {
        let unusable = |error: &dyn fmt::Display| KeyError::Unusable(error.to_string());
        let pkcs8 = match (kind, bits) {
            (KeyKind::Ec, 256) => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
                .map_err(|error| unusable(&error))?
                .serialize_der(),
            (KeyKind::Ec, 384) => KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384)
                .map_err(|error| unusable(&error))?
                .serialize_der(),
            (KeyKind::Ec, bits) => return Err(KeyError::Curve(bits)),
            (KeyKind::Rsa, bits) => {
                let key = rsa::RsaPrivateKey::new(&mut OsRng, bits as usize)
                    .map_err(|error| unusable(&error))?;
                let der = key.to_pkcs8_der().map_err(|error| unusable(&error))?;
                der.as_bytes().to_vec()
            }
        };
        Ok(Self { kind, pkcs8 })
    }

    /// Reads the first key of a PEM text.
    ///
    /// # Errors
    /// There is none that can sign.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let block = pem::parse(text).map_err(|_| KeyError::NoPem)?;
        let pkcs8 = match block.tag() {
            "EC PRIVATE KEY" => wrap_ec(block.contents())
                .ok_or_else(|| KeyError::Unusable("no EC key of a known form".into()))?,
            "RSA PRIVATE KEY" => wrap_rsa(block.contents()),
            "PRIVATE KEY" => block.into_contents(),
            other => return Err(KeyError::Block(other.to_owned())),
        };
        let key = Self { kind: kind_of(&pkcs8), pkcs8 };
        key.signer().map(|_| key.clone())
    }

    /// The key as Consul prints it.
    pub fn to_pem(&self) -> String {
        let (tag, inside) = match self.kind {
            KeyKind::Ec => ("EC PRIVATE KEY", unwrap_ec(&self.pkcs8)),
            KeyKind::Rsa => ("RSA PRIVATE KEY", content(&self.pkcs8)),
        };
        encode(tag, inside.unwrap_or_default())
    }

    /// The key to sign with.
    ///
    /// # Errors
    /// It is of a curve or length that is not supported.
    pub fn signer(&self) -> Result<KeyPair, KeyError> {
        KeyPair::try_from(&self.pkcs8[..]).map_err(|error| KeyError::Unusable(error.to_string()))
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<hidden>")
    }
}

/// By what a key is named in certificates: the SHA-256 of the public key with its algorithm.
pub(crate) fn key_id(key: &impl PublicKeyData) -> Vec<u8> {
    Sha256::digest(key.subject_public_key_info()).to_vec()
}

/// A block of PEM, with a line break at its end.
pub(crate) fn encode(tag: &str, content: Vec<u8>) -> String {
    let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
    pem::encode_config(&Pem::new(tag, content), config)
}

/// What a PKCS #8 key (RFC 5208) holds.
fn content(pkcs8: &[u8]) -> Option<Vec<u8>> {
    der::items(pkcs8)?.get(2).map(|(_, content)| content.to_vec())
}

fn kind_of(pkcs8: &[u8]) -> KeyKind {
    let is_rsa = pkcs8.windows(RSA_ENCRYPTION.len()).any(|window| window == RSA_ENCRYPTION);
    if is_rsa { KeyKind::Rsa } else { KeyKind::Ec }
}

fn curve(private: &[u8]) -> Vec<u8> {
    der::oid(if private.len() <= P256_BYTES { P256 } else { P384 })
}

/// An EC key of RFC 5915, with its curve, as Go writes it.
fn unwrap_ec(pkcs8: &[u8]) -> Option<Vec<u8>> {
    let inside = content(pkcs8)?;
    let (private, public) = ec_parts(&inside)?;
    let curve = der::explicit(0, &curve(private));
    Some(der::sequence(&[der::small(1), der::octets(private), curve, der::explicit(1, public)]))
}

/// The same inside PKCS #8, in the one form that the signing library reads.
fn wrap_ec(sec1: &[u8]) -> Option<Vec<u8>> {
    let (private, public) = ec_parts(sec1)?;
    let key = der::sequence(&[der::small(1), der::octets(private), der::explicit(1, public)]);
    let algorithm = der::sequence(&[der::oid(EC_PUBLIC_KEY), curve(private)]);
    Some(der::sequence(&[der::small(0), algorithm, der::octets(&key)]))
}

/// The private key and the public one (as it stands, a bit string) of an EC key.
fn ec_parts(sec1: &[u8]) -> Option<(&[u8], &[u8])> {
    let items = der::items(sec1)?;
    let private = items.get(1)?.1;
    let public = items.iter().find(|(tag, _)| *tag == EC_PUBLIC)?.1;
    Some((private, public))
}

fn wrap_rsa(pkcs1: &[u8]) -> Vec<u8> {
    let algorithm = der::sequence(&[der::oid(RSA_ENCRYPTION), der::null()]);
    der::sequence(&[der::small(0), algorithm, der::octets(pkcs1)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_written() {
        for (kind, bits, head) in [
            (KeyKind::Ec, 256, "-----BEGIN EC PRIVATE KEY-----\n"),
            (KeyKind::Ec, 384, "-----BEGIN EC PRIVATE KEY-----\n"),
            (KeyKind::Rsa, 2048, "-----BEGIN RSA PRIVATE KEY-----\n"),
        ] {
            let key = PrivateKey::generate(kind, bits).unwrap();
            let text = key.to_pem();
            assert!(text.starts_with(head), "{bits}");
            let read = PrivateKey::from_pem(&text).unwrap();
            assert_eq!((read.kind, read.to_pem()), (kind, text));
            assert_eq!(key_id(&read.signer().unwrap()), key_id(&key.signer().unwrap()));
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        assert_eq!(PrivateKey::from_pem("zz").unwrap_err(), KeyError::NoPem);
        let certificate = encode("CERTIFICATE", vec![1]);
        let told = PrivateKey::from_pem(&certificate).unwrap_err().to_string();
        assert_eq!(told, "unknown PEM block type for signing key: CERTIFICATE");
        assert_eq!(PrivateKey::generate(KeyKind::Ec, 521).unwrap_err(), KeyError::Curve(521));
    }
}
