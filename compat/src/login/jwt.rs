//! JSON Web Tokens in their compact form (RFC 7515): parts, keys, signatures.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use serde_json::Value;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::oid_registry::OID_SIG_ED25519;
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::go::json::{SyntaxError, parse};
use crate::wire::decode::DecodeError;

/// A longer token is refused: nothing of an HTTP body's length is one.
const TOKEN_BYTES_MAX: usize = 64 * 1024;

/// What a point of a curve begins with when both of its halves follow (SEC 1, 2.3.3).
const UNCOMPRESSED: u8 = 4;

/// Why a text is no token, in the words of the library that Consul uses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JwsFault {
    #[error("go-jose/go-jose: compact JWS format must have three parts")]
    Parts,
    #[error("illegal base64 data at input byte {0}")]
    Base64(usize),
    #[error("unexpected end of JSON input")]
    HeaderCut,
    #[error("{0}")]
    Header(SyntaxError),
    #[error("json: cannot unmarshal header")]
    HeaderShape,
    #[error("token is longer than {TOKEN_BYTES_MAX} bytes")]
    TooLong,
}

/// A token in its parts; the signature is not verified yet.
#[derive(Clone)]
pub(crate) struct Jws {
    pub(crate) algorithm: String,
    key_id: String,
    /// Header and payload as they were signed.
    signed: String,
    pub(crate) payload: Vec<u8>,
    signature: Vec<u8>,
}

/// A public key: what of it verifies signatures.
#[derive(Clone)]
pub(crate) enum StaticKey {
    /// Modulus and exponent, without zeros in front.
    Rsa { n: Vec<u8>, e: Vec<u8> },
    /// A point of a curve, uncompressed.
    Ec(Vec<u8>),
    /// Of Ed25519.
    Ed(Vec<u8>),
}

/// A public key that was fetched.
#[derive(Clone)]
pub(crate) struct FetchedKey {
    id: String,
    key: StaticKey,
}

// === impl Jws ===

impl Jws {
    /// Takes a token apart.
    pub(crate) fn parse(text: &str) -> Result<Self, JwsFault> {
        if text.len() > TOKEN_BYTES_MAX {
            return Err(JwsFault::TooLong);
        }
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let parts: Vec<&str> = text.split('.').collect();
        let [header, payload, signature] = parts[..] else { return Err(JwsFault::Parts) };
        let header = decode(header)?;
        let payload = decode(payload)?;
        let signature = decode(signature)?;
        parse(&header).map_err(|fault| match fault {
            SyntaxError::Empty | SyntaxError::Cut => JwsFault::HeaderCut,
            fault @ SyntaxError::Character { .. } => JwsFault::Header(fault),
        })?;
        let header: Value = serde_json::from_slice(&header).map_err(|_| JwsFault::HeaderShape)?;
        let field = |name: &str| header.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
        Ok(Self {
            algorithm: field("alg"),
            key_id: field("kid"),
            signed: format!("{}.{}", parts[0], parts[1]),
            payload,
            signature,
        })
    }

    /// Whether this key signed it, in a way that such keys sign. Others, and secrets shared by both sides, count for nothing.
    pub(crate) fn is_signed_by(&self, key: &StaticKey) -> bool {
        match key {
            StaticKey::Rsa { n, e } => rsa(&self.algorithm).is_some_and(|parameters| {
                let key = RsaPublicKeyComponents { n, e };
                key.verify(parameters, self.signed.as_bytes(), &self.signature).is_ok()
            }),
            StaticKey::Ec(point) => self.verifies(ec(&self.algorithm), point),
            StaticKey::Ed(key) => self.verifies(ed(&self.algorithm), key),
        }
    }

    fn verifies(&self, algorithm: Option<&'static dyn VerificationAlgorithm>, key: &[u8]) -> bool {
        algorithm.is_some_and(|algorithm| {
            let key = UnparsedPublicKey::new(algorithm, key);
            key.verify(self.signed.as_bytes(), &self.signature).is_ok()
        })
    }

    /// Whether one of these keys signed it; where it names one, that one.
    pub(crate) fn is_signed_by_any(&self, keys: &[FetchedKey]) -> bool {
        let named = |key: &&FetchedKey| self.key_id.is_empty() || key.id == self.key_id;
        keys.iter().filter(named).any(|key| self.is_signed_by(&key.key))
    }

    /// What it claims.
    pub(crate) fn claims(&self) -> Result<Value, DecodeError> {
        parse(&self.payload)?;
        Ok(serde_json::from_slice(&self.payload).unwrap_or(Value::Null))
    }
}

/// The bytes of a part.
pub(super) fn decode(part: &str) -> Result<Vec<u8>, JwsFault> {
    let plain = part.trim_end_matches('=');
    URL_SAFE_NO_PAD.decode(plain).map_err(|error| {
        JwsFault::Base64(match error {
            base64::DecodeError::InvalidByte(at, _)
            | base64::DecodeError::InvalidLastSymbol(at, _) => at,
            base64::DecodeError::InvalidLength(_) | base64::DecodeError::InvalidPadding => 0,
        })
    })
}

/// How RSA keys sign (RFC 7518, 3.3 and 3.5).
fn rsa(algorithm: &str) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        "RS256" => &signature::RSA_PKCS1_2048_8192_SHA256,
        "RS384" => &signature::RSA_PKCS1_2048_8192_SHA384,
        "RS512" => &signature::RSA_PKCS1_2048_8192_SHA512,
        "PS256" => &signature::RSA_PSS_2048_8192_SHA256,
        "PS384" => &signature::RSA_PSS_2048_8192_SHA384,
        "PS512" => &signature::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

/// How EC keys sign (RFC 7518, 3.4).
fn ec(algorithm: &str) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match algorithm {
        "ES256" => &signature::ECDSA_P256_SHA256_FIXED,
        "ES384" => &signature::ECDSA_P384_SHA384_FIXED,
        _ => return None,
    })
}

/// How Ed25519 keys sign (RFC 8037).
fn ed(algorithm: &str) -> Option<&'static dyn VerificationAlgorithm> {
    (algorithm == "EdDSA").then_some(&signature::ED25519)
}

/// A public key, or the one of a certificate, from PEM.
pub(crate) fn static_key(pem: &str) -> Option<StaticKey> {
    let pem = pem.as_bytes();
    if let Ok(key) = SubjectPublicKeyInfoDer::from_pem_slice(pem) {
        let (_, info) = SubjectPublicKeyInfo::from_der(&key).ok()?;
        return key_of(&info);
    }
    let certificate = CertificateDer::from_pem_slice(pem).ok()?;
    let (_, certificate) = X509Certificate::from_der(&certificate).ok()?;
    key_of(certificate.public_key())
}

fn key_of(info: &SubjectPublicKeyInfo<'_>) -> Option<StaticKey> {
    match info.parsed() {
        Ok(PublicKey::RSA(key)) => Some(StaticKey::rsa(key.modulus, key.exponent)),
        Ok(PublicKey::EC(point)) => Some(StaticKey::Ec(point.data().to_vec())),
        _ if info.algorithm.algorithm == OID_SIG_ED25519 => {
            Some(StaticKey::Ed(info.subject_public_key.data.to_vec()))
        }
        _ => None,
    }
}

/// Whether a PEM text has a certificate.
pub(crate) fn has_certificate(pem: &str) -> bool {
    matches!(CertificateDer::pem_slice_iter(pem.as_bytes()).next(), Some(Ok(_)))
}

/// The keys of a set (RFC 7517, 5); nothing when it is none. Keys of kinds that are not known here are left out.
pub(crate) fn key_set(set: &Value) -> Option<Vec<FetchedKey>> {
    let keys = match set.as_object()?.get("keys") {
        None | Some(Value::Null) => return Some(Vec::new()),
        Some(keys) => keys.as_array()?,
    };
    Some(keys.iter().filter_map(fetched_key).collect())
}

/// A key of a set (RFC 7518, 6; RFC 8037, 2). A secret in a public set vouches for nobody.
fn fetched_key(key: &Value) -> Option<FetchedKey> {
    let text = |name: &str| key.get(name).and_then(Value::as_str);
    let bytes = |name: &str| decode(text(name)?).ok();
    let key = match (text("kty")?, text("crv")) {
        ("RSA", _) => StaticKey::rsa(&bytes("n")?, &bytes("e")?),
        ("EC", Some("P-256" | "P-384")) => {
            StaticKey::Ec([vec![UNCOMPRESSED], bytes("x")?, bytes("y")?].concat())
        }
        ("OKP", Some("Ed25519")) => StaticKey::Ed(bytes("x")?),
        _ => return None,
    };
    Some(FetchedKey { id: text("kid").unwrap_or_default().to_owned(), key })
}

// === impl StaticKey ===

impl StaticKey {
    fn rsa(n: &[u8], e: &[u8]) -> Self {
        let plain = |number: &[u8]| {
            number.iter().copied().skip_while(|byte| *byte == 0).collect::<Vec<u8>>()
        };
        Self::Rsa { n: plain(n), e: plain(e) }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use base64::engine::general_purpose::STANDARD;
    use ring::signature::Ed25519KeyPair;
    use serde_json::json;

    use super::*;

    /// The first key of RFC 8032, 7.1.
    const SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    const PUBLIC: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect()
    }

    /// The public key as PEM.
    pub(crate) fn public_pem() -> String {
        let der = [bytes("302a300506032b6570032100"), bytes(PUBLIC)].concat();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
    }

    /// The public key as a key set has it.
    pub(crate) fn public_jwk(id: &str) -> Value {
        let x = URL_SAFE_NO_PAD.encode(bytes(PUBLIC));
        json!({"kty": "OKP", "crv": "Ed25519", "kid": id, "x": x})
    }

    /// A token that the key signed.
    pub(crate) fn signed(header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(header), part(claims));
        let key = Ed25519KeyPair::from_seed_and_public_key(&bytes(SEED), &bytes(PUBLIC)).unwrap();
        let signature = URL_SAFE_NO_PAD.encode(key.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }

    #[test]
    fn only_what_the_key_signed_counts() {
        let key = static_key(&public_pem()).unwrap();
        let token = signed(&json!({"alg": "EdDSA"}), &json!({"a": 1}));
        let check = |token: &str| Jws::parse(token).unwrap().is_signed_by(&key);
        assert!(check(&token));
        let (header, rest) = token.split_once('.').unwrap();
        let (_, signature) = rest.split_once('.').unwrap();
        assert!(!check(&format!("{header}.e30.{signature}")), "another payload");
        for algorithm in ["none", "HS256", "RS256", "ES256", ""] {
            assert!(!check(&signed(&json!({"alg": algorithm}), &json!({}))), "{algorithm}");
        }
    }

    #[test]
    fn a_set_has_the_keys_that_can_vouch() {
        let set = json!({"keys": [public_jwk("a"), {"kty": "oct", "k": "AAAA"}, {"kty": "new"}]});
        let keys = key_set(&set).unwrap();
        assert_eq!(keys.len(), 1);
        let check = |header: Value| {
            Jws::parse(&signed(&header, &json!({}))).unwrap().is_signed_by_any(&keys)
        };
        assert!(check(json!({"alg": "EdDSA", "kid": "a"})) && check(json!({"alg": "EdDSA"})));
        assert!(!check(json!({"alg": "EdDSA", "kid": "b"})));
        assert!(key_set(&json!([])).is_none() && key_set(&json!({})).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_token_is_told_so() {
        for (text, told) in [
            ("", "go-jose/go-jose: compact JWS format must have three parts"),
            ("a.b.c.d", "go-jose/go-jose: compact JWS format must have three parts"),
            ("!.e30.e30", "illegal base64 data at input byte 0"),
            ("eyJhIjox.e30.e30", "unexpected end of JSON input"),
            ("eA.e30.e30", "invalid character 'x' looking for beginning of value"),
        ] {
            assert_eq!(Jws::parse(text).map(drop).unwrap_err().to_string(), told, "{text}");
        }
    }
}
