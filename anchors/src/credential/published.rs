//! The taxonomy as it is published: roles, roots, issuers and keys in one signed document.

use ed25519_dalek::VerifyingKey;
use serde::Serialize;
use serde_json::value::RawValue;

use super::dsse::{jwk, keyid};
use super::statement::second_of;
use super::taxonomy::{Competence, TAXONOMY};
use super::trust::{Known, Trust};
use super::{CredentialRecord, Role};
use crate::clock::Time;
use crate::encoding::hex;
use crate::scope::ScopePath;

/// The type of the document's payload.
pub const TAXONOMY_TYPE: &str = "application/vnd.proconsul.taxonomy+json";
/// The version of the payload that is written and read here.
pub const TAXONOMY_VERSION: u32 = 1;
/// Issuers that the document lists at most; the latest ones.
pub const ISSUERS_MAX: usize = 1024;
/// Scopes whose anchor the document lists at most.
pub const ANCHORS_MAX: usize = 4096;
/// For how many seconds a copy of the document is to be believed: a revocation is seen after so long at the latest.
const TAXONOMY_SECONDS: u64 = 86_400;

/// Roles whose credentials others are verified with.
const ISSUERS: [Role; 3] = [Role::Root, Role::Anchor, Role::Policy];

/// The payload.
#[derive(Debug, Serialize)]
pub struct Document<'a> {
    version: u32,
    /// The scope of the datacenter whose anchor publishes it.
    scope: &'a ScopePath,
    /// When it was signed, in seconds since 1970.
    issued: u64,
    /// From when on a copy is too old.
    expires: u64,
    /// Which roles there are, and which issues which.
    roles: &'static [Competence],
    /// Where trust begins: ids of credentials of `issuers`.
    roots: Vec<&'a str>,
    /// Whoever issues, and whoever did.
    issuers: Vec<Issuer<'a>>,
    /// Whether there are more issuers than are listed.
    truncated: bool,
    /// The keys that sign, and those that did, with their times.
    keys: Vec<Key<'a>>,
    /// Whose anchor signs for which scope now.
    anchors: Vec<AnchorOf<'a>>,
}

/// How the checkpoints of a scope are verified by a key: its text form as of `signed-note`.
pub type Verifier = fn(&str, &VerifyingKey) -> String;

#[derive(Debug, Serialize)]
struct AnchorOf<'a> {
    scope: &'a ScopePath,
    keyid: Box<str>,
    /// What the checkpoints of the scope are verified with.
    verifier: String,
    credential: &'a str,
}

/// What the anchor that publishes governs.
#[derive(Clone, Copy, Debug)]
pub struct Governed<'a> {
    /// Its own credential, where it has one that holds.
    pub anchor: Option<&'a Known>,
    /// The scopes that are configured.
    pub scopes: &'a [ScopePath],
    /// How its keys are written for whoever verifies checkpoints.
    pub verifier: Verifier,
}

#[derive(Debug, Serialize)]
struct Issuer<'a> {
    id: &'a str,
    role: Role,
    scope: &'a ScopePath,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<u64>,
    envelope: &'a RawValue,
}

#[derive(Debug, Serialize)]
struct Key<'a> {
    keyid: Box<str>,
    /// In hex.
    ed25519: String,
    role: Role,
    scope: &'a ScopePath,
    /// What the checkpoints of the scope are verified with; of an anchor's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    verifier: Option<String>,
    /// The credential that says so.
    credential: &'a str,
    /// From when on it signs, in seconds since 1970.
    from: u64,
    /// Until when.
    until: u64,
}

/// Keys as a JSON web key set (RFC 7517).
#[derive(Debug, Serialize)]
pub struct KeySet {
    keys: Vec<Box<RawValue>>,
}

// === impl Document ===

impl<'a> Document<'a> {
    /// What is published of some credentials.
    pub fn of(
        scope: &'a ScopePath,
        records: impl Iterator<Item = &'a CredentialRecord>,
        trust: &'a Trust,
        governed: Governed<'a>,
        now: Time,
    ) -> Self {
        let mut issuers: Vec<&CredentialRecord> =
            records.filter(|record| ISSUERS.contains(&record.role)).collect();
        issuers.sort_by(|a, b| (b.not_before, &b.id).cmp(&(a.not_before, &a.id)));
        let truncated = issuers.len() > ISSUERS_MAX;
        issuers.truncate(ISSUERS_MAX);
        let stands = |known: &&Known| trust.stands(known, now).is_ok();
        let verifier = governed.verifier;
        let key = |of: &&CredentialRecord| Key::of(trust.credential(&of.id)?, verifier);
        let roots = trust.credentials().filter(|of| of.role == Role::Root).filter(stands);
        Self {
            version: TAXONOMY_VERSION,
            scope,
            issued: second_of(now),
            expires: second_of(now) + TAXONOMY_SECONDS,
            roles: &TAXONOMY,
            roots: roots.map(|of| &*of.id).collect(),
            keys: issuers.iter().filter_map(key).collect(),
            anchors: governed.anchors(scope),
            issuers: issuers.into_iter().map(Issuer::of).collect(),
            truncated,
        }
    }

    /// The bytes that are signed.
    pub fn payload(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a document has text keys only")
    }
}

impl<'a> Issuer<'a> {
    fn of(record: &'a CredentialRecord) -> Self {
        Self {
            id: &record.id,
            role: record.role,
            scope: &record.scope,
            revoked: record.revoked.map(second_of),
            envelope: serde_json::from_str(&record.envelope).unwrap_or(RawValue::NULL),
        }
    }
}

impl<'a> Governed<'a> {
    fn anchors(&self, root: &'a ScopePath) -> Vec<AnchorOf<'a>> {
        let Some((credential, key)) = self.anchor.and_then(|of| Some((&*of.id, of.key()?))) else {
            return Vec::new();
        };
        let under = self.scopes.iter().filter(|scope| *scope != root);
        let anchor = |scope: &'a ScopePath| AnchorOf {
            scope,
            keyid: keyid(key),
            verifier: (self.verifier)(scope.as_str(), key),
            credential,
        };
        std::iter::once(root).chain(under).take(ANCHORS_MAX).map(anchor).collect()
    }
}

impl<'a> Key<'a> {
    fn of(known: &'a Known, verifier: Verifier) -> Option<Self> {
        let key = known.key()?;
        let signs_lineage = known.role == Role::Anchor;
        Some(Self {
            keyid: keyid(key),
            ed25519: hex::encode(key.as_bytes()),
            role: known.role,
            scope: &known.scope,
            verifier: signs_lineage.then(|| verifier(known.scope.as_str(), key)),
            credential: &known.id,
            from: second_of(known.not_before),
            until: second_of(known.ends()),
        })
    }
}

// === impl KeySet ===

impl KeySet {
    /// Keys, each once.
    pub fn of<'a>(keys: impl Iterator<Item = &'a VerifyingKey>) -> Self {
        let mut set: Vec<Box<str>> = keys.map(member).collect();
        set.sort_unstable();
        set.dedup();
        let raw = |text: Box<str>| RawValue::from_string(text.into()).expect("a key is JSON");
        Self { keys: set.into_iter().map(raw).collect() }
    }

    /// The keys of issuers that hold now.
    pub fn of_issuers(trust: &Trust, now: Time) -> Self {
        let issuers = trust.credentials().filter(|known| ISSUERS.contains(&known.role));
        let standing = issuers.filter(|known| trust.stands(known, now).is_ok());
        Self::of(standing.filter_map(Known::key))
    }
}

/// A key as a member of a set: with its name, and for what it is.
fn member(key: &VerifyingKey) -> Box<str> {
    let bare = jwk(key);
    let members = bare.trim_end_matches('}');
    format!(r#"{members},"kid":"{}","alg":"EdDSA","use":"sig"}}"#, keyid(key)).into()
}
