//! Which credentials hold: all that are known, looked at together.
//!
//! A credential is believed when all of this is true, and the first thing that is not is its [`CredentialFault`]:
//! its statement can be read and is what is kept beside it; its issuers lead, without a circle and in at most [`CHAIN_MAX`]
//! steps, to a recognised root; each is signed by the next one's key; each issuer's role issues the role under it
//! ([taxonomy](super::taxonomy)), for a scope and actions within its own; none of them was revoked, is too early or too late.
//! All but the last are functions of the statements alone and are found out once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::VerifyingKey;
use sha2::{Digest as _, Sha256};

use super::dsse::Envelope;
use super::fault::CredentialFault;
use super::statement::{EVERY_ACTION, Subject};
use super::{CredentialRecord, Role};
use crate::clock::Time;
use crate::scope::ScopePath;

/// Credentials between one and its root at most, both included: scopes nest to a depth of 16 by default, each with an anchor.
pub const CHAIN_MAX: usize = 20;

/// Credentials that one index keeps at most.
pub const CREDENTIALS_MAX: usize = 16_384;

/// By how much a credential may be ahead of our clock: another anchor issued it by its own.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(60);

/// All credentials that are known, and what is to be thought of each.
#[derive(Debug, Default)]
pub struct Trust {
    known: BTreeMap<Box<str>, Arc<Known>>,
    by_subject: BTreeMap<Box<str>, Vec<Box<str>>>,
}

/// Which roots are recognised.
#[derive(Clone, Copy, Debug)]
pub enum Roots<'a> {
    /// All that are known: whoever keeps them chose them.
    Known,
    /// Those of these keys.
    Keys(&'a [VerifyingKey]),
}

/// A credential that is known, whether it holds or not.
#[derive(Clone, Debug)]
pub struct Known {
    /// See [`CredentialRecord`]; so are the next ones.
    pub id: Box<str>,
    #[expect(missing_docs, reason = "see `id`")]
    pub role: Role,
    #[expect(missing_docs, reason = "see `id`")]
    pub scope: ScopePath,
    #[expect(missing_docs, reason = "see `id`")]
    pub subject: Box<str>,
    #[expect(missing_docs, reason = "see `id`")]
    pub issuer: Box<str>,
    #[expect(missing_docs, reason = "see `id`")]
    pub actions: Vec<Box<str>>,
    #[expect(missing_docs, reason = "see `id`")]
    pub not_before: Time,
    #[expect(missing_docs, reason = "see `id`")]
    pub not_after: Time,
    #[expect(missing_docs, reason = "see `id`")]
    pub revoked: Option<Time>,
    /// Itself, its issuer and so on, up to its root: ids. Empty where that leads nowhere.
    pub chain: Vec<Box<str>>,
    /// SHA-256 of the envelope, by which it is known again.
    digest: [u8; 32],
    /// The subject's key.
    key: Option<VerifyingKey>,
    /// Whether it can be read and is what its statement says.
    form: Result<(), CredentialFault>,
    /// Whether its issuer signed it; not known where the issuer is not.
    signed: Option<bool>,
    /// What is wrong with its statements whatever the time, and how far up the chain.
    sound: Result<(), (usize, CredentialFault)>,
}

/// Why a credential does not help now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("credential {id}: {fault}")]
pub struct Uncovered {
    /// The credential that was presented.
    pub id: Box<str>,
    /// The scope that it is for.
    pub scope: ScopePath,
    /// The rule by which it is refused, `credential/…`.
    pub rule: &'static str,
    /// What is wrong, of it or of an issuer.
    pub fault: CredentialFault,
}

/// For whom a subject speaks.
#[derive(Debug)]
pub enum Spoken<'a> {
    /// It has no credential of a workload: other rules tell.
    Unbound,
    /// For this one's scope.
    For(&'a Known),
    /// It has credentials, and none of them holds.
    Refused(Uncovered),
}

// === impl Trust ===

impl Trust {
    /// Looks at all credentials together. What `before` found out of the same ones is not found out again.
    pub fn of<'a>(
        records: impl IntoIterator<Item = &'a CredentialRecord>,
        roots: Roots<'_>,
        before: &Self,
    ) -> Self {
        let records: Vec<&CredentialRecord> = records.into_iter().take(CREDENTIALS_MAX).collect();
        let read = |record: &&CredentialRecord| (record.id.clone(), Known::of(record, before));
        let mut known: BTreeMap<Box<str>, Known> = records.iter().map(read).collect();
        for record in &records {
            let signed = signature(&known, record);
            let chain = chain(&known, &record.id, roots);
            let this = known.get_mut(&record.id).expect("it was read");
            this.signed = signed;
            match chain {
                Ok(chain) => this.chain = chain,
                Err(fault) => this.sound = Err((0, fault)),
            }
        }
        let sound: Vec<_> = known.values().map(|this| soundness(&known, this)).collect();
        let mut trust = Self::default();
        for (mut this, sound) in known.into_values().zip(sound) {
            this.sound = sound;
            trust.by_subject.entry(this.subject.clone()).or_default().push(this.id.clone());
            trust.known.insert(this.id.clone(), Arc::new(this));
        }
        trust
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// One of them, whether it holds or not.
    pub fn credential(&self, id: &str) -> Option<&Known> {
        self.known.get(id).map(|known| &**known)
    }

    /// All of them, by id.
    pub fn credentials(&self) -> impl Iterator<Item = &Known> {
        self.known.values().map(|known| &**known)
    }

    /// What would be thought of credentials that are not among them yet, whatever the time.
    ///
    /// # Errors
    /// [`CredentialFault`]: the first thing that is wrong.
    pub fn judge(&self, records: &[CredentialRecord]) -> Result<(), CredentialFault> {
        let mut known: BTreeMap<Box<str>, Known> = BTreeMap::new();
        for record in records {
            let above = self.credential(&record.issuer).map_or(&[][..], |issuer| &issuer.chain);
            let above = above.iter().filter_map(|id| self.credential(id));
            known.extend(above.map(|of| (of.id.clone(), of.clone())));
        }
        let read = |record: &CredentialRecord| (record.id.clone(), Known::of(record, self));
        known.extend(records.iter().map(read));
        for record in records {
            let signed = signature(&known, record);
            let chain = chain(&known, &record.id, Roots::Known)?;
            let this = known.get_mut(&record.id).expect("it was read");
            (this.signed, this.chain) = (signed, chain);
        }
        let sound = |record: &CredentialRecord| soundness(&known, &known[&record.id]);
        records.iter().try_for_each(sound).map_err(|(_, fault)| fault)
    }

    /// Those that speak of a subject, by id.
    pub fn of_subject(&self, subject: &str) -> impl Iterator<Item = &Known> {
        let ids = self.by_subject.get(subject).map_or(&[][..], Vec::as_slice);
        ids.iter().filter_map(|id| self.credential(id))
    }

    /// Whether a credential holds at a moment.
    ///
    /// # Errors
    /// [`Uncovered`]: the first thing that is wrong.
    pub fn stands(&self, known: &Known, now: Time) -> Result<(), Uncovered> {
        let uncovered = |link, fault| known.uncovered(link, fault);
        known.sound.clone().map_err(|(link, fault)| uncovered(link, fault))?;
        let links = known.chain.iter().filter_map(|id| self.credential(id)).enumerate();
        for (link, of) in links {
            of.in_time(now).map_err(|fault| uncovered(link, fault))?;
        }
        Ok(())
    }

    /// Until when what [`Trust::stands`] says of it stays so: the next moment at which one of its chain begins or ends.
    pub fn until(&self, known: &Known, now: Time) -> Option<Time> {
        let chain = known.chain.iter().filter_map(|id| self.credential(id));
        let moments = chain.flat_map(|of| [of.begins(), of.ends()]);
        moments.filter(|moment| *moment > now).min()
    }

    /// For which scope a subject speaks: that of its credential as a workload. Of several that hold, the latest.
    pub fn speaks(&self, subject: &str, now: Time) -> Spoken<'_> {
        match self.best(subject, Role::Workload, now, |_| true) {
            None => Spoken::Unbound,
            Some(Ok(known)) => Spoken::For(known),
            Some(Err(uncovered)) => Spoken::Refused(uncovered),
        }
    }

    /// The credential under which a subject does something in a scope as a workload; none where it has none at all.
    ///
    /// # Errors
    /// [`Uncovered`]: it has some, and none of them holds, or covers the scope and the action.
    pub fn covering(
        &self,
        subject: &str,
        scope: &ScopePath,
        action: &str,
        now: Time,
    ) -> Result<Option<&Known>, Uncovered> {
        self.covering_as(Role::Workload, subject, scope, action, now)
    }

    /// The same for any role.
    ///
    /// # Errors
    /// As [`Trust::covering`].
    pub fn covering_as(
        &self,
        role: Role,
        subject: &str,
        scope: &ScopePath,
        action: &str,
        now: Time,
    ) -> Result<Option<&Known>, Uncovered> {
        let covers = |known: &Known| known.covers(scope, action).is_ok();
        match self.best(subject, role, now, covers) {
            None => Ok(None),
            Some(found) => {
                let known = found?;
                let fault = match known.covers(scope, action) {
                    Ok(()) => return Ok(Some(known)),
                    Err(fault) => fault,
                };
                let rule = match fault {
                    CredentialFault::OutsideActions(_) => "credential/action",
                    _ => "credential/scope",
                };
                Err(known.refused(rule, fault))
            }
        }
    }

    /// Of a subject's credentials of a role: one that is wanted and holds, or else one that holds, or else why the latest
    /// does not.
    fn best(
        &self,
        subject: &str,
        role: Role,
        now: Time,
        wanted: impl Fn(&Known) -> bool,
    ) -> Option<Result<&Known, Uncovered>> {
        let of_role = self.of_subject(subject).filter(|known| known.role == role);
        let rank = |known: &&Known| {
            (self.stands(known, now).is_ok(), wanted(known), known.not_before, known.id.clone())
        };
        let best = of_role.max_by_key(rank)?;
        Some(self.stands(best, now).map(|()| best))
    }
}

// === impl Known ===

impl Known {
    /// Reads a record, unless it was read before.
    fn of(record: &CredentialRecord, before: &Trust) -> Self {
        let digest = Sha256::digest(record.envelope.as_bytes()).into();
        let mut known = Self {
            id: record.id.clone(),
            role: record.role,
            scope: record.scope.clone(),
            subject: record.subject.clone(),
            issuer: record.issuer.clone(),
            actions: record.actions.clone(),
            not_before: record.not_before,
            not_after: record.not_after,
            revoked: record.revoked,
            chain: Vec::new(),
            digest,
            key: None,
            form: Ok(()),
            signed: None,
            sound: Ok(()),
        };
        match before.known.get(&record.id).filter(|earlier| earlier.says_as(&known)) {
            Some(earlier) => {
                known.key = earlier.key;
                known.form = earlier.form.clone();
                known.signed = earlier.signed;
            }
            None => match read(record) {
                Ok(key) => known.key = key,
                Err(fault) => known.form = Err(fault),
            },
        }
        known
    }

    /// Whether it is the same statement, kept in the same way.
    fn says_as(&self, other: &Self) -> bool {
        self.digest == other.digest
            && self.role == other.role
            && self.scope == other.scope
            && self.subject == other.subject
            && self.issuer == other.issuer
            && self.actions == other.actions
            && self.not_before == other.not_before
            && self.not_after == other.not_after
    }

    /// Whether it names itself as its issuer, as roots do.
    fn is_own_issuer(&self) -> bool {
        self.issuer == self.id
    }

    /// When it is over: at its end, or at its revocation.
    pub fn ends(&self) -> Time {
        self.revoked.map_or(self.not_after, |revoked| revoked.min(self.not_after))
    }

    /// Its subject's key, if it has one and the credential can be read.
    pub fn key(&self) -> Option<&VerifyingKey> {
        self.key.as_ref()
    }

    /// From when on it holds by our clock.
    fn begins(&self) -> Time {
        let skew = u64::try_from(CLOCK_SKEW_MAX.as_nanos()).unwrap_or(0);
        Time(self.not_before.0.saturating_sub(skew))
    }

    fn in_time(&self, now: Time) -> Result<(), CredentialFault> {
        if self.revoked.is_some_and(|revoked| revoked <= now) {
            return Err(CredentialFault::Revoked(self.id.clone()));
        }
        if now < self.begins() {
            return Err(CredentialFault::NotYet(self.id.clone()));
        }
        if self.not_after <= now {
            return Err(CredentialFault::Expired(self.id.clone()));
        }
        Ok(())
    }

    /// Whether it is for a scope and an action.
    fn covers(&self, scope: &ScopePath, action: &str) -> Result<(), CredentialFault> {
        if !scope.is_within(&self.scope) {
            let (scope, issuer) = (scope.clone(), self.scope.clone());
            return Err(CredentialFault::OutsideScope { scope, issuer });
        }
        if !allows(&self.actions, action) {
            return Err(CredentialFault::OutsideActions(action.into()));
        }
        Ok(())
    }

    /// Whether it may have issued another.
    fn may_issue(&self, issued: &Self) -> Result<(), CredentialFault> {
        let rule = self.role.competence();
        let below = issued.scope != self.scope && rule.issues_below.contains(&issued.role);
        if !below && !rule.issues.contains(&issued.role) {
            return Err(CredentialFault::NotCompetent { issuer: self.role, role: issued.role });
        }
        issued.actions.iter().try_for_each(|action| self.covers(&issued.scope, action))
    }

    fn refused(&self, rule: &'static str, fault: CredentialFault) -> Uncovered {
        Uncovered { id: self.id.clone(), scope: self.scope.clone(), rule, fault }
    }

    fn uncovered(&self, link: usize, fault: CredentialFault) -> Uncovered {
        let rule = match &fault {
            _ if link > 0 => "credential/issuer",
            CredentialFault::Revoked(_) => "credential/revoked",
            CredentialFault::Expired(_) => "credential/expired",
            CredentialFault::NotYet(_) => "credential/early",
            _ => "credential/invalid",
        };
        self.refused(rule, fault)
    }
}

/// Whether an action is among some: itself, all of its kind (`service:*`), or all.
fn allows(actions: &[Box<str>], action: &str) -> bool {
    let of_kind = |allowed: &str| {
        let kind = allowed.strip_suffix(EVERY_ACTION);
        kind.is_some_and(|kind| {
            kind.is_empty() || (kind.ends_with(':') && action.starts_with(kind))
        })
    };
    actions.iter().any(|allowed| **allowed == *action || of_kind(allowed))
}

/// The key of a record's subject, when the record is what its statement says.
fn read(record: &CredentialRecord) -> Result<Option<VerifyingKey>, CredentialFault> {
    let said = CredentialRecord::parse(record.envelope.as_bytes())?;
    if said != (CredentialRecord { revoked: None, ..record.clone() }) {
        return Err(CredentialFault::Differs(record.id.clone()));
    }
    let subject: Subject = record.subject.parse()?;
    if subject.key().is_none() && record.role.competence().needs_key {
        return Err(CredentialFault::NeedsKey { role: record.role });
    }
    Ok(subject.key().copied())
}

/// Whether a credential's issuer signed it, as far as it is not known yet.
fn signature(known: &BTreeMap<Box<str>, Known>, record: &CredentialRecord) -> Option<bool> {
    let this = known.get(&record.id)?;
    if this.signed.is_some() {
        return this.signed;
    }
    let key = known.get(&this.issuer)?.key?;
    let envelope = Envelope::parse(record.envelope.as_bytes()).ok()?;
    Some(envelope.is_signed_by(&key))
}

/// The ids from a credential up to its root.
fn chain(
    known: &BTreeMap<Box<str>, Known>,
    id: &str,
    roots: Roots<'_>,
) -> Result<Vec<Box<str>>, CredentialFault> {
    let mut chain: Vec<Box<str>> = Vec::new();
    let mut next = id;
    loop {
        let this = known.get(next).ok_or_else(|| CredentialFault::UnknownIssuer(next.into()))?;
        if chain.contains(&this.id) {
            return Err(CredentialFault::Cycle(this.id.clone()));
        }
        if chain.len() == CHAIN_MAX {
            return Err(CredentialFault::TooLong);
        }
        chain.push(this.id.clone());
        match (this.is_own_issuer(), this.role) {
            (true, Role::Root) if is_recognised(this, roots) => return Ok(chain),
            (true, Role::Root) => return Err(CredentialFault::UnknownRoot(this.id.clone())),
            (true, _) => return Err(CredentialFault::Cycle(this.id.clone())),
            (false, _) => next = &this.issuer,
        }
    }
}

fn is_recognised(root: &Known, roots: Roots<'_>) -> bool {
    match roots {
        Roots::Known => true,
        Roots::Keys(keys) => root.key.is_some_and(|key| keys.contains(&key)),
    }
}

/// What is wrong with a credential and its issuers, and how far up, whatever the time.
fn soundness(
    known: &BTreeMap<Box<str>, Known>,
    this: &Known,
) -> Result<(), (usize, CredentialFault)> {
    this.form.clone().map_err(|fault| (0, fault))?;
    this.sound.clone()?;
    let chain: Vec<&Known> = this.chain.iter().filter_map(|id| known.get(id)).collect();
    for (link, of) in chain.iter().enumerate() {
        of.form.clone().map_err(|fault| (link, fault))?;
        if of.signed != Some(true) {
            return Err((link, CredentialFault::Signature(of.id.clone())));
        }
        if let Some(issuer) = chain.get(link + 1) {
            issuer.may_issue(of).map_err(|fault| (link, fault))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
