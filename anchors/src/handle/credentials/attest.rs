//! What the anchor signs besides its lineage: attestations of answers, and the taxonomy.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, MutexGuard, PoisonError};

use ed25519_dalek::SigningKey;
use sha2::{Digest as _, Sha256};

use super::super::Handle;
use crate::clock::Time;
use crate::credential::attestation::{
    ATTESTATION_SECONDS, ATTESTATION_TYPE, ATTESTATION_VERSION, Attestation, Point, digest,
};
use crate::credential::dsse::{self, Envelope};
use crate::credential::published::{Document, Governed, KeySet, TAXONOMY_TYPE};
use crate::credential::statement::{at_second, second_of};
use crate::credential::trust::Known;
use crate::credential::{CredentialRecord, Role, Trust};
use crate::encoding::hex;
use crate::error::Refusal;
use crate::limits::CHECKPOINT_INTERVAL;
use crate::lineage::note::verifier_key;
use crate::outcome::Outcome;
use crate::scope::{Scope, ScopePath};

/// Attestations that are kept for whoever fetches them; the oldest goes when there are more.
const ATTESTATIONS_MAX: usize = 4096;

/// Bytes of a query that an attestation repeats at most; a longer one is told by its beginning and its digest.
const QUERY_BYTES_MAX: usize = 2048;

/// An answer that is to be attested.
#[derive(Clone, Copy, Debug)]
pub struct Answered<'a> {
    /// The scope that answers.
    pub scope: &'a ScopePath,
    /// The path and the query of the request.
    pub query: &'a str,
    /// The answer's exact bytes.
    pub body: &'a [u8],
    /// What was decided.
    pub outcome: Outcome,
    /// The rule that decided.
    pub rule: &'a str,
}

/// What was attested lately.
#[derive(Debug, Default)]
pub(super) struct Book {
    by_id: HashMap<Arc<str>, Kept>,
    /// Ids by what they say, whenever it is said.
    same: HashMap<[u8; 32], Arc<str>>,
    order: VecDeque<Arc<str>>,
    /// The lineages' latest checkpoints, and when they were asked for.
    points: HashMap<ScopePath, (Time, Option<Point>)>,
}

#[derive(Debug)]
struct Kept {
    what: [u8; 32],
    until: Time,
    envelope: Arc<str>,
}

// === impl Handle ===

impl Handle {
    /// Attests an answer: the id by which the statement is fetched for some minutes.
    ///
    /// # Errors
    /// [`Refusal`]: the lineage could not be read.
    pub async fn attest(&self, answered: Answered<'_>) -> Result<Arc<str>, Refusal> {
        let (now, answer) = (self.now(), digest(answered.body));
        let what = what(&answered, &answer);
        let again = self.attested().again(&what, now);
        if let Some(id) = again {
            return Ok(id);
        }
        let checkpoint = self.point(answered.scope, now).await?;
        let trust = self.trust();
        let (anchor, key) = self.signer(&trust, now);
        let statement = Attestation {
            version: ATTESTATION_VERSION,
            scope: answered.scope.clone(),
            query: query(answered.query),
            answer,
            outcome: answered.outcome,
            rule: answered.rule.into(),
            credential: anchor.map(|anchor| anchor.id.clone()),
            checkpoint,
            issued: second_of(now),
            expires: second_of(now) + ATTESTATION_SECONDS,
        };
        let envelope = dsse::sign(ATTESTATION_TYPE, statement.payload(), &key);
        let id: Arc<str> = hex::encode(&Sha256::digest(&envelope.payload)).into();
        let until = at_second(statement.expires);
        let kept = Kept { what, until, envelope: envelope.to_json().into() };
        self.attested().keep(Arc::clone(&id), kept);
        Ok(id)
    }

    /// An attestation: a DSSE envelope as JSON; nothing when it was never made or is over.
    pub fn attestation(&self, id: &str) -> Option<Arc<str>> {
        let (book, now) = (self.attested(), self.now());
        let kept = book.by_id.get(id).filter(|kept| now < kept.until)?;
        Some(Arc::clone(&kept.envelope))
    }

    /// The taxonomy: roles, roots, issuers, keys and anchors, signed by the anchor.
    pub fn taxonomy(&self) -> Envelope {
        let (index, now) = (self.snapshot(), self.now());
        let trust = self.trust_at(&index);
        let (anchor, key) = self.signer(&trust, now);
        let scopes: Vec<ScopePath> =
            index.records::<Scope>().map(|row| row.record.path.clone()).collect();
        let governed = Governed { anchor, scopes: &scopes, verifier: verifier_key };
        let records = index.records::<CredentialRecord>().map(|row| &row.record);
        let root = self.root();
        let document = Document::of(&root, records, &trust, governed, now);
        dsse::sign(TAXONOMY_TYPE, document.payload(), &key)
    }

    /// The keys that sign here now, as a JSON web key set.
    pub fn key_set(&self) -> KeySet {
        KeySet::of_issuers(&self.trust(), self.now())
    }

    /// The anchor's credential, where it has one that holds, and its key.
    pub(in crate::handle) fn signer<'a>(
        &self,
        trust: &'a Trust,
        now: Time,
    ) -> (Option<&'a Known>, SigningKey) {
        (self.own(trust, Role::Anchor, now), self.0.credentials.keys().anchor().current())
    }

    fn attested(&self) -> MutexGuard<'_, Book> {
        // What was attested before a panic is whole: nothing is half inserted that would be read.
        self.0.credentials.attested.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The latest checkpoint of a scope's lineage; it is signed anew at most once in an interval.
    async fn point(&self, scope: &ScopePath, now: Time) -> Result<Option<Point>, Refusal> {
        let there = self.attested().points.get(scope).cloned();
        if let Some((at, point)) = there
            && now.since(at) < CHECKPOINT_INTERVAL
        {
            return Ok(point);
        }
        let note = self.0.group.checkpoint_of(Some(scope.clone())).await?;
        let point = Point::of_note(&note);
        self.attested().points.insert(scope.clone(), (now, point.clone()));
        Ok(point)
    }
}

// === impl Book ===

impl Book {
    /// The id of what was said already and still holds for half its time.
    fn again(&self, what: &[u8; 32], now: Time) -> Option<Arc<str>> {
        let id = self.same.get(what)?;
        let half = std::time::Duration::from_secs(ATTESTATION_SECONDS / 2);
        let kept = self.by_id.get(id).filter(|kept| now + half < kept.until);
        kept.map(|_| Arc::clone(id))
    }

    fn keep(&mut self, id: Arc<str>, kept: Kept) {
        self.same.insert(kept.what, Arc::clone(&id));
        if self.by_id.insert(Arc::clone(&id), kept).is_none() {
            self.order.push_back(id);
        }
        if self.order.len() > ATTESTATIONS_MAX
            && let Some(oldest) = self.order.pop_front()
            && let Some(gone) = self.by_id.remove(&oldest)
            && self.same.get(&gone.what) == Some(&oldest)
        {
            self.same.remove(&gone.what);
        }
    }
}

/// What an attestation says, whenever it is said.
fn what(answered: &Answered<'_>, answer: &str) -> [u8; 32] {
    let Answered { scope, query, outcome, rule, .. } = answered;
    Sha256::digest(format!("{scope}\n{query}\n{answer}\n{outcome:?}\n{rule}")).into()
}

/// The query as it is repeated: whole, or its beginning and its digest.
fn query(text: &str) -> Box<str> {
    if text.len() <= QUERY_BYTES_MAX {
        return text.into();
    }
    let end = (0..=QUERY_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}… {}", &text[..end], digest(text.as_bytes())).into()
}
