//! DSSE v1 envelopes (secure-systems-lab/dsse): a statement's exact bytes, what kind of statement they are, and who signed
//! both.
//!
//! What is signed is never parsed and printed again: whoever verifies gets the bytes that were signed.
//!
//! ```text
//! {"payload": "<base64>", "payloadType": "application/vnd.proconsul.credential+json",
//!  "signatures": [{"keyid": "<RFC 7638 thumbprint>", "sig": "<base64>"}]}
//! ```

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{
    GeneralPurpose, GeneralPurposeConfig, STANDARD, URL_SAFE_NO_PAD,
};
use ed25519_dalek::{Signature as Ed25519, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Bytes of an envelope's JSON at most, where whoever reads it sets no bound of their own.
pub const ENVELOPE_BYTES_MAX: usize = 256 << 10;
/// Signatures of one envelope at most: each costs a verification.
pub const SIGNATURES_MAX: usize = 16;
/// Bytes of a payload's type at most.
const PAYLOAD_TYPE_BYTES_MAX: usize = 256;

/// Base64 as others may write it: with padding or without.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
/// The specification lets writers choose between two alphabets.
const READ: [GeneralPurpose; 2] = [
    GeneralPurpose::new(&alphabet::STANDARD, LENIENT),
    GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT),
];

/// A signed statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// What kind of statement it is: a media type.
    pub payload_type: Box<str>,
    /// The statement, as it was signed.
    pub payload: Vec<u8>,
    /// Who signed.
    pub signatures: Vec<Signature>,
}

/// One signature of an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// A hint at the key, see [`keyid`]; not signed, and empty where the signer gave none.
    pub keyid: Box<str>,
    /// The signature.
    pub sig: Vec<u8>,
}

/// Why an envelope is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DsseFault {
    /// It is larger than its reader allows.
    #[error("the envelope has {bytes} bytes; at most {max} are read")]
    TooLarge {
        /// As many as it has.
        bytes: usize,
        /// As many as are read.
        max: usize,
    },
    /// It is not JSON of an envelope's shape.
    #[error("the envelope is not DSSE's JSON: {0}")]
    Malformed(Box<str>),
    /// A field is not base64.
    #[error("the field {0} of the envelope is not base64")]
    NotBase64(&'static str),
    /// Nobody signed it, or too many did.
    #[error("the envelope has {0} signatures; 1 to {SIGNATURES_MAX} are read")]
    Signatures(usize),
    /// It is a statement of another kind.
    #[error("the envelope's payloadType is {found:?}, not {expected:?}")]
    PayloadType {
        /// Its type.
        found: Box<str>,
        /// The one that was asked for.
        expected: Box<str>,
    },
    /// No signature is this key's.
    #[error("no signature of the envelope is by key {keyid}")]
    NotSigned {
        /// The key.
        keyid: Box<str>,
    },
}

/// The JSON form.
#[derive(Serialize, Deserialize)]
struct Form {
    payload: String,
    #[serde(rename = "payloadType")]
    payload_type: Box<str>,
    signatures: Vec<SignatureForm>,
}

#[derive(Serialize, Deserialize)]
struct SignatureForm {
    #[serde(default, skip_serializing_if = "str::is_empty")]
    keyid: Box<str>,
    sig: String,
}

/// What is signed: DSSE's pre-authentication encoding of a payload and its type.
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// A key as a JSON web key (RFC 8037): the members that its thumbprint covers, in their order.
pub fn jwk(key: &VerifyingKey) -> String {
    format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, URL_SAFE_NO_PAD.encode(key.as_bytes()))
}

/// What a key is called: its thumbprint (RFC 7638, RFC 8037 §2), SHA-256 in base64url.
pub fn keyid(key: &VerifyingKey) -> Box<str> {
    URL_SAFE_NO_PAD.encode(Sha256::digest(jwk(key))).into()
}

/// Signs a statement.
pub fn sign(payload_type: &str, payload: Vec<u8>, key: &SigningKey) -> Envelope {
    let unsigned = Envelope { payload_type: payload_type.into(), payload, signatures: Vec::new() };
    unsigned.and_signed_by(key)
}

/// The statement of an envelope that must be of a kind and signed by a key.
///
/// # Errors
/// [`DsseFault::PayloadType`], [`DsseFault::NotSigned`].
pub fn verify<'a>(
    envelope: &'a Envelope,
    payload_type: &str,
    key: &VerifyingKey,
) -> Result<&'a [u8], DsseFault> {
    if *envelope.payload_type != *payload_type {
        return Err(DsseFault::PayloadType {
            found: envelope.payload_type.clone(),
            expected: payload_type.into(),
        });
    }
    if envelope.is_signed_by(key) {
        Ok(&envelope.payload)
    } else {
        Err(DsseFault::NotSigned { keyid: keyid(key) })
    }
}

// === impl Envelope ===

impl Envelope {
    /// Reads the JSON form of an envelope of at most [`ENVELOPE_BYTES_MAX`] bytes. Nothing is verified yet.
    ///
    /// # Errors
    /// [`DsseFault`]: its form is not an envelope's.
    pub fn parse(json: &[u8]) -> Result<Self, DsseFault> {
        Self::parse_within(json, ENVELOPE_BYTES_MAX)
    }

    /// The same with a bound in bytes of the reader's own.
    ///
    /// # Errors
    /// [`DsseFault`]: its form is not an envelope's.
    pub fn parse_within(json: &[u8], max: usize) -> Result<Self, DsseFault> {
        if json.len() > max {
            return Err(DsseFault::TooLarge { bytes: json.len(), max });
        }
        let form: Form = serde_json::from_slice(json)
            .map_err(|error| DsseFault::Malformed(error.to_string().into()))?;
        if !(1..=SIGNATURES_MAX).contains(&form.signatures.len()) {
            return Err(DsseFault::Signatures(form.signatures.len()));
        }
        if form.payload_type.len() > PAYLOAD_TYPE_BYTES_MAX {
            return Err(DsseFault::Malformed("its payloadType is too long".into()));
        }
        let signature = |form: SignatureForm| {
            Ok(Signature { keyid: form.keyid, sig: unbase64("signatures.sig", &form.sig)? })
        };
        Ok(Self {
            payload_type: form.payload_type,
            payload: unbase64("payload", &form.payload)?,
            signatures: form.signatures.into_iter().map(signature).collect::<Result<_, _>>()?,
        })
    }

    /// The JSON form.
    pub fn to_json(&self) -> String {
        let signature = |of: &Signature| SignatureForm {
            keyid: of.keyid.clone(),
            sig: STANDARD.encode(&of.sig),
        };
        let form = Form {
            payload: STANDARD.encode(&self.payload),
            payload_type: self.payload_type.clone(),
            signatures: self.signatures.iter().map(signature).collect(),
        };
        serde_json::to_string(&form).expect("an envelope's form has text keys only")
    }

    /// The same with one signature more.
    #[must_use]
    pub fn and_signed_by(mut self, key: &SigningKey) -> Self {
        let sig = key.sign(&pae(&self.payload_type, &self.payload)).to_vec();
        self.signatures.push(Signature { keyid: keyid(&key.verifying_key()), sig });
        self
    }

    /// Whether a key signed it. A signature that names another key is passed over.
    pub fn is_signed_by(&self, key: &VerifyingKey) -> bool {
        let named = keyid(key);
        let signed = pae(&self.payload_type, &self.payload);
        let is_theirs = |of: &Signature| {
            (of.keyid.is_empty() || of.keyid == named)
                && Ed25519::from_slice(&of.sig)
                    .is_ok_and(|sig| key.verify_strict(&signed, &sig).is_ok())
        };
        self.signatures.iter().take(SIGNATURES_MAX).any(is_theirs)
    }
}

fn unbase64(field: &'static str, text: &str) -> Result<Vec<u8>, DsseFault> {
    READ.iter().find_map(|engine| engine.decode(text).ok()).ok_or(DsseFault::NotBase64(field))
}

#[cfg(test)]
mod tests;
