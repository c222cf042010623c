//! What a credential says: the payload that its issuer signs.

use std::fmt;

use ed25519_dalek::{SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::dsse::{self, Envelope};
use super::fault::CredentialFault;
use super::{CredentialRecord, Role};
use crate::clock::Time;
use crate::encoding::hex;
use crate::scope::ScopePath;

/// The type of a credential's payload.
pub const CREDENTIAL_TYPE: &str = "application/vnd.proconsul.credential+json";
/// The version of the payload that is written and read here.
pub const STATEMENT_VERSION: u32 = 1;
/// Bytes of a credential's envelope at most.
pub const CREDENTIAL_BYTES_MAX: usize = 32 << 10;
/// Actions of a credential at most.
pub const ACTIONS_MAX: usize = 64;
/// Bytes of one action at most.
pub const ACTION_BYTES_MAX: usize = 64;
/// The action that stands for all.
pub const EVERY_ACTION: &str = "*";

/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;
/// The last second whose nanoseconds a [`Time`] can count.
const LAST_SECOND: u64 = u64::MAX / SECOND;

/// How a key is written as a subject.
const KEY: &str = "ed25519:";
/// How a token is written as a subject.
const ACCESSOR: &str = "accessor:";

/// A credential's payload. What it does not know it does not pass over: it may be a restriction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// Of this form: [`STATEMENT_VERSION`].
    pub version: u32,
    /// As what the subject acts.
    pub role: Role,
    /// For which scope, those under it included.
    pub scope: ScopePath,
    /// Whom it speaks of.
    pub subject: Subject,
    /// The id of the issuer's credential; none for a root, which signs itself.
    pub issuer: Option<Box<str>>,
    /// What it allows: names of actions, `*` for all that the role has.
    pub actions: Vec<Box<str>>,
    /// From when on it holds, in seconds since 1970.
    pub not_before: u64,
    /// From when on it does not hold any more, in seconds since 1970.
    pub not_after: u64,
}

/// Whom a credential speaks of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Subject {
    /// Whoever has this key: `ed25519:<64 hex digits>`.
    Key(VerifyingKey),
    /// Whoever has this token: `accessor:<uuid>`. Tokens cannot sign, so they issue nothing.
    Accessor(Uuid),
}

// === impl Statement ===

impl Statement {
    /// Reads a payload.
    ///
    /// # Errors
    /// [`CredentialFault::Statement`] naming the field.
    pub fn parse(payload: &[u8]) -> Result<Self, CredentialFault> {
        let read: Self = serde_json::from_slice(payload)
            .map_err(|error| CredentialFault::Statement(error.to_string().into()))?;
        read.checked()
    }

    /// What any credential must keep to, whoever issued it.
    fn checked(self) -> Result<Self, CredentialFault> {
        let fault = |text: String| Err(CredentialFault::Statement(text.into()));
        let fits = |action: &str| (1..=ACTION_BYTES_MAX).contains(&action.len());
        if self.version != STATEMENT_VERSION {
            return fault(format!("version is {}, not {STATEMENT_VERSION}", self.version));
        }
        if !(1..=ACTIONS_MAX).contains(&self.actions.len()) {
            return fault(format!(
                "actions has {} entries, not 1 to {ACTIONS_MAX}",
                self.actions.len()
            ));
        }
        if let Some(long) = self.actions.iter().find(|action| !fits(action)) {
            return fault(format!(
                "actions has one of {} bytes, not 1 to {ACTION_BYTES_MAX}",
                long.len()
            ));
        }
        if self.not_after <= self.not_before {
            return fault("not_after is not after not_before".into());
        }
        if self.not_after > LAST_SECOND {
            return fault(format!("not_after is after {LAST_SECOND}"));
        }
        Ok(self)
    }

    /// The bytes that are signed.
    pub fn payload(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a statement has text keys only")
    }

    /// The record of the statement, signed by its issuer's key.
    pub fn sign(&self, key: &SigningKey) -> CredentialRecord {
        CredentialRecord::of(self, &dsse::sign(CREDENTIAL_TYPE, self.payload(), key))
    }
}

/// A second as the core tells time.
pub fn at_second(second: u64) -> Time {
    Time(second.saturating_mul(SECOND))
}

/// The second in which a moment lies.
pub fn second_of(time: Time) -> u64 {
    time.0 / SECOND
}

// === impl CredentialRecord ===

impl CredentialRecord {
    /// The record of an envelope's JSON. Whether it is to be believed is not asked yet.
    ///
    /// # Errors
    /// [`CredentialFault`]: it is no credential.
    pub fn parse(envelope: &[u8]) -> Result<Self, CredentialFault> {
        let envelope = Envelope::parse_within(envelope, CREDENTIAL_BYTES_MAX)?;
        if *envelope.payload_type != *CREDENTIAL_TYPE {
            return Err(dsse::DsseFault::PayloadType {
                found: envelope.payload_type,
                expected: CREDENTIAL_TYPE.into(),
            }
            .into());
        }
        Ok(Self::of(&Statement::parse(&envelope.payload)?, &envelope))
    }

    fn of(statement: &Statement, envelope: &Envelope) -> Self {
        let id: Box<str> = hex::encode(&Sha256::digest(&envelope.payload)).into();
        Self {
            role: statement.role,
            scope: statement.scope.clone(),
            subject: statement.subject.to_string().into(),
            issuer: statement.issuer.clone().unwrap_or_else(|| id.clone()),
            actions: statement.actions.clone(),
            not_before: at_second(statement.not_before),
            not_after: at_second(statement.not_after),
            revoked: None,
            envelope: envelope.to_json().into(),
            id,
        }
    }

    /// Whether it names itself as its issuer, as roots do.
    pub fn is_own_issuer(&self) -> bool {
        self.issuer == self.id
    }
}

// === impl Subject ===

impl Subject {
    /// Its key, if it can sign.
    pub fn key(&self) -> Option<&VerifyingKey> {
        match self {
            Self::Key(key) => Some(key),
            Self::Accessor(_) => None,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write!(f, "{KEY}{}", hex::encode(key.as_bytes())),
            Self::Accessor(accessor) => write!(f, "{ACCESSOR}{accessor}"),
        }
    }
}

impl std::str::FromStr for Subject {
    type Err = CredentialFault;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fault = || CredentialFault::Subject(text.chars().take(ACTION_BYTES_MAX * 2).collect());
        if let Some(digits) = text.strip_prefix(KEY) {
            let bytes = hex::decode(digits).ok_or_else(fault)?;
            let key = VerifyingKey::from_bytes(&bytes).map_err(|_| fault())?;
            return if key.is_weak() { Err(fault()) } else { Ok(Self::Key(key)) };
        }
        let accessor = text.strip_prefix(ACCESSOR).ok_or_else(fault)?;
        Ok(Self::Accessor(Uuid::try_parse(accessor).map_err(|_| fault())?))
    }
}

impl TryFrom<String> for Subject {
    type Error = CredentialFault;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> Self {
        subject.to_string()
    }
}
