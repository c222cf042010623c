//! Verifies without asking anybody: a credential or an attestation by a copy of the taxonomy and, if it is to be sure, a root's
//! key that came by another way.

use ed25519_dalek::VerifyingKey;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::attestation::{ATTESTATION_TYPE, ATTESTATION_VERSION, Attestation, digest};
use super::dsse::{DsseFault, Envelope};
use super::published::{TAXONOMY_TYPE, TAXONOMY_VERSION};
use super::statement::at_second;
use super::trust::{Known, Roots, Trust};
use super::{CredentialFault, CredentialRecord, Role};
use crate::clock::Time;
use crate::scope::ScopePath;

/// Bytes of a taxonomy's envelope at most.
const TAXONOMY_BYTES_MAX: usize = 8 << 20;

/// A copy of a taxonomy that was verified.
#[derive(Debug)]
pub struct Taxonomy {
    /// The scope whose anchor published it.
    pub scope: ScopePath,
    /// From when on it is too old.
    pub expires: Time,
    issuers: Vec<CredentialRecord>,
    root: Option<VerifyingKey>,
    trust: Trust,
}

/// Why something is not believed.
#[derive(Debug, thiserror::Error)]
pub enum OfflineFault {
    /// Its envelope cannot be read.
    #[error(transparent)]
    Envelope(#[from] DsseFault),
    /// Its payload cannot be read: what, and why.
    #[error("the {0} cannot be read: {1}")]
    Payload(&'static str, Box<str>),
    /// A credential, its own or one that it depends on, does not hold.
    #[error(transparent)]
    Credential(#[from] CredentialFault),
    /// Nobody of those who may have signed it did.
    #[error("the {0} is not signed by an anchor or a root that the taxonomy knows and that holds")]
    Signer(&'static str),
    /// It is too old.
    #[error("the {0} is over")]
    Over(&'static str),
    /// It speaks of another answer.
    #[error("the answer has digest {found}; {attested} is attested")]
    OtherAnswer {
        /// The answer's.
        found: Box<str>,
        /// The attestation's.
        attested: Box<str>,
    },
}

/// As much of the document as is needed.
#[derive(Deserialize)]
struct Read<'a> {
    version: u32,
    scope: ScopePath,
    expires: u64,
    #[serde(borrow)]
    issuers: Vec<ReadIssuer<'a>>,
}

#[derive(Deserialize)]
struct ReadIssuer<'a> {
    revoked: Option<u64>,
    #[serde(borrow)]
    envelope: &'a RawValue,
}

// === impl Taxonomy ===

impl Taxonomy {
    /// Reads and verifies a copy. Without a `root` all roots that it names are believed: that it is the right copy must then be
    /// known from elsewhere.
    ///
    /// # Errors
    /// [`OfflineFault`].
    pub fn read(
        envelope: &[u8],
        root: Option<VerifyingKey>,
        now: Time,
    ) -> Result<Self, OfflineFault> {
        const WHAT: &str = "taxonomy";
        let envelope = Envelope::parse_within(envelope, TAXONOMY_BYTES_MAX)?;
        expect_type(&envelope, TAXONOMY_TYPE)?;
        let bad = |why: String| OfflineFault::Payload(WHAT, why.into());
        let read: Read<'_> =
            serde_json::from_slice(&envelope.payload).map_err(|error| bad(error.to_string()))?;
        if read.version != TAXONOMY_VERSION {
            return Err(bad(format!("version is {}, not {TAXONOMY_VERSION}", read.version)));
        }
        let issuer = |of: &ReadIssuer<'_>| {
            let record = CredentialRecord::parse(of.envelope.get().as_bytes())?;
            Ok(CredentialRecord { revoked: of.revoked.map(at_second), ..record })
        };
        let issuers: Vec<CredentialRecord> =
            read.issuers.iter().map(issuer).collect::<Result<_, CredentialFault>>()?;
        let trust = trust_of(&issuers, None, root.as_ref());
        let taxonomy =
            Self { scope: read.scope, expires: at_second(read.expires), issuers, root, trust };
        if !taxonomy.is_signed(&envelope, &taxonomy.scope, now) {
            return Err(OfflineFault::Signer(WHAT));
        }
        if taxonomy.expires <= now {
            return Err(OfflineFault::Over(WHAT));
        }
        Ok(taxonomy)
    }

    /// The roots that hold.
    pub fn roots(&self, now: Time) -> impl Iterator<Item = &Known> {
        let roots = self.trust.credentials().filter(|known| known.role == Role::Root);
        roots.filter(move |known| self.trust.stands(known, now).is_ok())
    }

    /// Verifies a credential. Whether it was revoked is known of issuers only, as of the copy.
    ///
    /// # Errors
    /// [`OfflineFault`].
    pub fn credential(&self, envelope: &[u8], now: Time) -> Result<CredentialRecord, OfflineFault> {
        let record = CredentialRecord::parse(envelope)?;
        let known = self.issuers.iter().find(|issuer| issuer.id == record.id);
        let record = known.cloned().unwrap_or(record);
        let trust = trust_of(&self.issuers, Some(&record), self.root.as_ref());
        let unknown = || CredentialFault::UnknownIssuer(record.issuer.clone());
        let known = trust.credential(&record.id).ok_or_else(unknown)?;
        trust.stands(known, now).map_err(|uncovered| uncovered.fault)?;
        Ok(record)
    }

    /// Verifies an attestation, and that it speaks of this answer where one is given.
    ///
    /// # Errors
    /// [`OfflineFault`].
    pub fn attestation(
        &self,
        envelope: &[u8],
        answer: Option<&[u8]>,
        now: Time,
    ) -> Result<Attestation, OfflineFault> {
        const WHAT: &str = "attestation";
        let envelope = Envelope::parse(envelope)?;
        expect_type(&envelope, ATTESTATION_TYPE)?;
        let read: Attestation = serde_json::from_slice(&envelope.payload)
            .map_err(|error| OfflineFault::Payload(WHAT, error.to_string().into()))?;
        if read.version != ATTESTATION_VERSION {
            return Err(OfflineFault::Payload(WHAT, "its version is another".into()));
        }
        if !self.is_signed(&envelope, &read.scope, now) {
            return Err(OfflineFault::Signer(WHAT));
        }
        if !read.holds(now) {
            return Err(OfflineFault::Over(WHAT));
        }
        match answer.map(digest).filter(|found| *found != read.answer) {
            Some(found) => Err(OfflineFault::OtherAnswer { found, attested: read.answer }),
            None => Ok(read),
        }
    }

    /// Whether somebody signed who may speak for a scope: its anchor, one above it, or a root.
    fn is_signed(&self, envelope: &Envelope, scope: &ScopePath, now: Time) -> bool {
        let mut may = self.trust.credentials().filter(|known| {
            matches!(known.role, Role::Anchor | Role::Root) && scope.is_within(&known.scope)
        });
        may.any(|known| {
            known.key().is_some_and(|key| envelope.is_signed_by(key))
                && self.trust.stands(known, now).is_ok()
        })
    }
}

fn trust_of(
    issuers: &[CredentialRecord],
    more: Option<&CredentialRecord>,
    root: Option<&VerifyingKey>,
) -> Trust {
    let roots = root.map_or(Roots::Known, |root| Roots::Keys(std::slice::from_ref(root)));
    Trust::of(issuers.iter().chain(more), roots, &Trust::default())
}

fn expect_type(envelope: &Envelope, expected: &str) -> Result<(), DsseFault> {
    if *envelope.payload_type == *expected {
        return Ok(());
    }
    let found = envelope.payload_type.clone();
    Err(DsseFault::PayloadType { found, expected: expected.into() })
}
