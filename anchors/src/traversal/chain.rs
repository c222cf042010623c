//! Hops, and what makes several of them one way.

use ed25519_dalek::{SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use super::{HOPS_MAX, Peer, WINDOW, sha256_hex};
use crate::clock::Time;
use crate::credential::dsse::{self, Envelope};
use crate::encoding::hex;
use crate::outcome::Outcome;
use crate::scope::{OnPartition, ScopePath};

/// What kind of statement a hop is.
const HOP_TYPE: &str = "application/vnd.proconsul.hop+json";
/// Bytes of a hop's envelope at most.
const HOP_BYTES_MAX: usize = 8 << 10;

/// What one anchor decided about a question, and what it did with it: the statement that it signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    /// The scope that decided.
    pub scope: ScopePath,
    /// The key of its anchor, in hex.
    pub key: Box<str>,
    /// SHA-256 of the question, in hex.
    pub question: Box<str>,
    /// What the asker made this way unique with.
    pub nonce: Box<str>,
    /// SHA-256 of the hop before; nothing at the asker itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Box<str>>,
    /// Whom it asked; nothing where the way ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Next>,
    /// What it decided.
    pub outcome: Outcome,
    /// By which rule.
    pub rule: Box<str>,
    /// For how long, in seconds, the decision may be kept.
    pub ttl_seconds: u64,
    /// SHA-256 of the answer, in hex, where one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Box<str>>,
    /// What the owner lets others do with the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<Terms>,
    /// When.
    pub at: Time,
}

/// Who is asked next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    /// Its scope.
    pub scope: ScopePath,
    /// The key of its anchor, in hex.
    pub key: Box<str>,
}

/// What the owner of an answer says about keeping it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// What is answered while the owner cannot be reached.
    pub on_partition: OnPartition,
    /// For how long, in seconds, a last known answer is still given; 0 for ever.
    pub max_stale_seconds: u64,
    /// Moves whenever the owner may decide otherwise about anybody.
    pub mark: u64,
}

/// A hop with the bytes that were signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The envelope.
    pub envelope: Envelope,
    /// What it says.
    pub hop: Hop,
    /// SHA-256 of the statement, in hex.
    pub digest: Box<str>,
}

/// A verified way from an asker to where it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Way(pub Vec<Hop>);

/// Why hops are not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainFault {
    /// There is none, or there are too many.
    #[error("the way has {0} hops; 1 to {HOPS_MAX} are taken")]
    Length(usize),
    /// It is no envelope of a hop.
    #[error("hop {0} cannot be read")]
    Malformed(usize),
    /// It is not signed by the key that it names.
    #[error("hop {0} is not signed by its key")]
    Signature(usize),
    /// It does not follow the one before.
    #[error("hop {0} does not follow the hop before it")]
    Broken(usize),
    /// It is about another question or another way.
    #[error("hop {0} is about another question")]
    Foreign(usize),
    /// It was signed too long ago, or is yet to be.
    #[error("hop {0} is not of this time")]
    Time(usize),
    /// A scope is on the way twice.
    #[error("the way comes to scope {0} twice")]
    Loop(ScopePath),
    /// What was sent came back changed.
    #[error("the hops that were sent came back changed")]
    Changed,
    /// It ends where nobody can answer.
    #[error("the way ends at scope {0}, which is not the owner's")]
    Owner(ScopePath),
    /// The answer is not the one that was signed.
    #[error("the answer is not the one that its owner signed")]
    Answer,
    /// A hop that lets nothing through is followed by others, or has an answer.
    #[error("hop {0} lets nothing through, and something came after it")]
    Through(usize),
}

/// What hops have to be about.
pub(super) struct About<'a> {
    pub(super) question: &'a str,
    pub(super) nonce: &'a str,
    /// No hop is older than this, the clocks' difference aside.
    pub(super) from: Time,
    pub(super) now: Time,
}

// === impl Link ===

impl Link {
    /// Signs a hop.
    pub(super) fn sign(hop: Hop, key: &SigningKey) -> Self {
        let payload = serde_json::to_vec(&hop).expect("a hop has text keys only");
        let digest = sha256_hex(&payload);
        Self { envelope: dsse::sign(HOP_TYPE, payload, key), hop, digest }
    }

    /// Reads a hop and verifies that it is signed by the key that it names.
    fn read(at: usize, envelope: &str) -> Result<Self, ChainFault> {
        let envelope = Envelope::parse_within(envelope.as_bytes(), HOP_BYTES_MAX)
            .map_err(|_| ChainFault::Malformed(at))?;
        let hop: Hop =
            serde_json::from_slice(&envelope.payload).map_err(|_| ChainFault::Malformed(at))?;
        let key = public_key(&hop.key).ok_or(ChainFault::Malformed(at))?;
        dsse::verify(&envelope, HOP_TYPE, &key).map_err(|_| ChainFault::Signature(at))?;
        let digest = sha256_hex(&envelope.payload);
        Ok(Self { envelope, hop, digest })
    }

    /// Whether it names its signer as the other's next.
    fn is_next_of(&self, before: &Self) -> bool {
        let named = before.hop.next.as_ref();
        self.hop.previous.as_deref() == Some(&*before.digest)
            && named.is_some_and(|next| next.scope == self.hop.scope && next.key == self.hop.key)
    }
}

/// The key of 64 hex digits.
pub(super) fn public_key(text: &str) -> Option<VerifyingKey> {
    VerifyingKey::from_bytes(&hex::decode(text)?).ok()
}

impl About<'_> {
    fn check(&self, at: usize, hop: &Hop) -> Result<(), ChainFault> {
        if *hop.question != *self.question || *hop.nonce != *self.nonce {
            return Err(ChainFault::Foreign(at));
        }
        let (earliest, latest) =
            (Time(self.from.0.saturating_sub(WINDOW_NANOS)), self.now + WINDOW);
        if hop.at < earliest || hop.at > latest {
            return Err(ChainFault::Time(at));
        }
        Ok(())
    }
}

const WINDOW_NANOS: u64 = WINDOW.as_secs() * 1_000_000_000;

/// Reads hops that follow each other from the first one on, each signed and about the same.
pub(super) fn read(hops: &[Box<str>], about: &About<'_>) -> Result<Vec<Link>, ChainFault> {
    if !(1..=HOPS_MAX).contains(&hops.len()) {
        return Err(ChainFault::Length(hops.len()));
    }
    let mut links: Vec<Link> = Vec::with_capacity(hops.len());
    for (at, envelope) in hops.iter().enumerate() {
        let link = Link::read(at, envelope)?;
        about.check(at, &link.hop)?;
        if links.iter().any(|before| before.hop.scope == link.hop.scope) {
            return Err(ChainFault::Loop(link.hop.scope));
        }
        match links.last() {
            None if link.hop.previous.is_some() => return Err(ChainFault::Broken(at)),
            Some(before) if !link.is_next_of(before) => return Err(ChainFault::Broken(at)),
            Some(before) if before.hop.outcome > Outcome::Attest => {
                return Err(ChainFault::Through(at));
            }
            _ => links.push(link),
        }
    }
    Ok(links)
}

/// Whether hops that came with a question were sent by this peer to this scope.
pub(super) fn came_from(links: &[Link], peer: &Peer, me: &Next) -> Result<(), ChainFault> {
    let last = links.last().ok_or(ChainFault::Length(0))?;
    let at = links.len() - 1;
    let theirs = last.hop.scope == peer.scope && last.hop.key == peer.key;
    if !theirs || last.hop.next.as_ref() != Some(me) || last.hop.answer.is_some() {
        return Err(ChainFault::Broken(at));
    }
    if last.hop.outcome > Outcome::Attest {
        return Err(ChainFault::Through(at));
    }
    match links.iter().find(|link| link.hop.scope == me.scope) {
        Some(link) => Err(ChainFault::Loop(link.hop.scope.clone())),
        None => Ok(()),
    }
}

/// Verifies the hops of a reply: those that were sent, then others up to where the way ended; and that the answer is the one
/// that the last of them signed, by its digest.
pub(super) fn verify(
    links: &[Link],
    sent: &[Link],
    target: &ScopePath,
    answer: Option<&str>,
) -> Result<(), ChainFault> {
    if links.len() <= sent.len() || links[..sent.len()] != *sent {
        return Err(ChainFault::Changed);
    }
    let last = &links[links.len() - 1].hop;
    if last.next.is_some() {
        return Err(ChainFault::Broken(links.len() - 1));
    }
    if last.outcome > Outcome::Attest {
        let nothing = last.answer.is_none() && answer.is_none();
        return if nothing { Ok(()) } else { Err(ChainFault::Through(links.len() - 1)) };
    }
    if last.scope.datacenter() != target.datacenter() {
        return Err(ChainFault::Owner(last.scope.clone()));
    }
    match (&last.answer, answer) {
        (Some(signed), Some(answer)) if **signed == *answer => Ok(()),
        _ => Err(ChainFault::Answer),
    }
}

// === impl Way ===

impl Way {
    /// The strictest outcome of its hops.
    pub fn outcome(&self) -> Outcome {
        self.0.iter().map(|hop| hop.outcome).max().unwrap_or_default()
    }

    /// The hop that decided: the strictest, the first of several.
    pub fn decisive(&self) -> Option<&Hop> {
        let outcome = self.outcome();
        self.0.iter().find(|hop| hop.outcome == outcome)
    }

    /// For how long, in seconds, all that was decided may be kept.
    pub fn ttl_seconds(&self) -> u64 {
        self.0.iter().map(|hop| hop.ttl_seconds).min().unwrap_or(0)
    }

    /// `eu-central=resolve,payments=attest`.
    pub fn shown(&self) -> String {
        let shown = |hop: &Hop| format!("{}={}", hop.scope, hop.outcome.as_str());
        self.0.iter().map(shown).collect::<Vec<_>>().join(",")
    }
}
