//! One proposal becomes one entry of the lineage: the step that application and replay share.

use serde_json::value::RawValue;

use super::{Sealed, Terms};
use crate::change::Change;
use crate::change::{Committed, Restore};
use crate::entry::{Entry, Kind};
use crate::error::Refusal;
use crate::index::{Index, Stamp, Touched};
use crate::lineage::{Place, SALT_BYTES, payload_digest, split_payload};
use crate::outcome::Outcome;
use crate::scope::ScopePath;

/// What a revision is above the place of its entry in the group's order: the first write of an empty scope has an index above 1, by which
/// blocking clients tell it from nothing.
pub(crate) const REVISION_BEFORE_FIRST: u64 = 2;

/// How the rule of an entry begins that the index itself refused.
const REASON: &str = "index/";

/// What became of a proposal.
pub(crate) struct Folded {
    /// What the lineage keeps.
    pub(crate) entry: Entry,
    /// What the proposer hears.
    pub(crate) verdict: Result<Committed, Refusal>,
    /// What it touched.
    pub(crate) touched: Touched,
}

impl Sealed {
    /// The proposal that an entry and its payload came from.
    pub(crate) fn of_entry(
        entry: &Entry,
        salt: [u8; SALT_BYTES],
        payload: &[u8],
    ) -> Result<Self, serde_json::Error> {
        let payload: Box<RawValue> = serde_json::from_slice(payload)?;
        let change: Change = serde_json::from_str(payload.get())?;
        let by_index = entry.rule.starts_with(REASON);
        let outcome = if by_index { Outcome::Resolve } else { entry.outcome };
        let (actor, rule) = (entry.actor.clone(), entry.rule.clone());
        Ok(Self {
            terms: Terms {
                at: entry.at,
                salt,
                actor,
                outcome,
                rule,
                cause: entry.cause,
                scope: entry.scope.clone(),
                credential: entry.credential.clone(),
            },
            change,
            payload,
        })
    }

    /// The piece of a restore that a kept payload is; nothing when it is none.
    pub(super) fn piece(kept: &[u8]) -> Option<Vec<u8>> {
        let (_, payload) = split_payload(kept)?;
        match serde_json::from_slice(payload) {
            Ok(Change::Restore(Restore::Rows { packed, .. })) => Some(packed),
            _ => None,
        }
    }

    /// What is to be done.
    pub(crate) fn change(&self) -> &Change {
        &self.change
    }

    /// The exact bytes of what is to be done.
    pub(crate) fn payload(&self) -> &[u8] {
        self.payload.get().as_bytes()
    }

    /// The scope in whose lineage it is recorded; `None` is the datacenter's own.
    pub(crate) fn scope(&self) -> Option<&ScopePath> {
        self.terms.scope.as_ref()
    }

    /// Applies it as the entry at this place. Only what was admitted reaches the index.
    pub(crate) fn fold(&self, index: &mut Index, place: Place) -> Folded {
        let Terms { at, salt, .. } = self.terms;
        let revision = place.order + REVISION_BEFORE_FIRST + index.lift();
        let stamp = Stamp { revision, seq: place.order, at, salt };
        let mut folded = self.fold_at(index, &stamp);
        folded.entry.seq = place.seq;
        folded.entry.order = (place.order != place.seq).then_some(place.order);
        folded
    }

    fn fold_at(&self, index: &mut Index, stamp: &Stamp) -> Folded {
        match self.terms.outcome {
            // What is deferred is kept with its hold, which the change itself tells.
            Outcome::Resolve | Outcome::Attest | Outcome::Defer => self.admitted(index, stamp),
            Outcome::Refuse => {
                let scope = self.terms.scope.clone().unwrap_or_default();
                let rule = self.terms.rule.clone();
                self.kept_out(stamp, Err(Refusal::Denied { scope, rule }))
            }
        }
    }

    fn admitted(&self, index: &mut Index, stamp: &Stamp) -> Folded {
        let applied = index.apply(stamp, &self.change);
        let mut entry = self.entry(stamp);
        (entry.uid, entry.previous) = (applied.uid, applied.previous);
        if let Err(refusal) = &applied.verdict {
            entry.outcome = Outcome::Refuse;
            entry.rule = format!("{REASON}{}", reason(refusal)).into();
        }
        let committed = |yes| Committed {
            revision: stamp.revision,
            yes,
            outcome: entry.outcome,
            entry: stamp.seq,
            results: applied.results,
        };
        Folded { verdict: applied.verdict.map(committed), entry, touched: applied.touched }
    }

    fn kept_out(&self, stamp: &Stamp, verdict: Result<Committed, Refusal>) -> Folded {
        Folded { entry: self.entry(stamp), verdict, touched: Touched::default() }
    }

    fn entry(&self, stamp: &Stamp) -> Entry {
        let terms = &self.terms;
        Entry {
            seq: stamp.seq,
            at: terms.at,
            kind: Kind::from(&self.change),
            uid: None,
            previous: None,
            outcome: terms.outcome,
            rule: terms.rule.clone(),
            actor: terms.actor.clone(),
            cause: terms.cause,
            payload: payload_digest(&terms.salt, self.payload.get().as_bytes()).into(),
            scope: terms.scope.clone(),
            order: None,
            credential: terms.credential.clone(),
        }
    }
}

/// The short name of a refusal: it is part of leaves that were signed, so that it never changes.
fn reason(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::UnknownNode(_) => "unknown-node",
        Refusal::UnknownService { .. } => "unknown-service",
        Refusal::NamelessCheck { .. } => "nameless-check",
        Refusal::NodeNameTaken { .. } => "node-name-taken",
        Refusal::UnknownCheck(_) => "unknown-check",
        Refusal::CriticalCheck(_) => "critical-check",
        Refusal::UnknownSession(_) => "unknown-session",
        Refusal::MissingSession => "missing-session",
        Refusal::Txn(_) => "txn",
        Refusal::Snapshot(_) => "snapshot",
        Refusal::NoLeader => "no-leader",
        Refusal::NameTaken { .. } => "name-taken",
        Refusal::NameIsId(_) => "name-is-id",
        Refusal::UnknownToken { .. } => "unknown-token",
        Refusal::ExpiredToken => "expired-token",
        Refusal::NotAllowed(_) => "not-allowed",
        Refusal::Forbidden => "forbidden",
        Refusal::ReservedSecret => "reserved-secret",
        Refusal::NoService(_) => "no-service",
        Refusal::NoCheck(_) => "no-check",
        Refusal::Deferred { .. } => "deferred",
        Refusal::Denied { .. } => "denied",
        Refusal::OtherOwner { .. } => "other-owner",
        Refusal::TooFast { .. } => "too-fast",
        Refusal::Scope(_) => "scope",
        Refusal::Storage(_) => "storage",
        Refusal::Overloaded => "overloaded",
        Refusal::Stopping => "stopping",
    }
}
