//! How credentials are issued, taken in from elsewhere, revoked and rotated.

use std::time::Duration;

use ed25519_dalek::{SigningKey, VerifyingKey};

use super::super::Handle;
use super::CredentialError;
use crate::caller::Caller;
use crate::change::Change;
use crate::clock::Time;
use crate::credential::statement::{
    EVERY_ACTION, STATEMENT_VERSION, Statement, Subject, second_of,
};
use crate::credential::trust::{CHAIN_MAX, CREDENTIALS_MAX, Known};
use crate::credential::{CredentialFault, CredentialRecord, Role, Trust};
use crate::record::{AnyRecord, RecordChange, When};
use crate::scope::ScopePath;

/// Seconds of an hour.
const HOUR: u64 = 3600;

/// What somebody wants a credential to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// As what the subject shall act.
    pub role: Role,
    /// For which scope.
    pub scope: ScopePath,
    /// Who.
    pub subject: Subject,
    /// What it shall allow; empty for all that the role has.
    pub actions: Vec<Box<str>>,
    /// From when on; now when nothing is said.
    pub not_before: Option<Time>,
    /// Until when; as long as its role has it, and its issuer at most, when nothing is said.
    pub not_after: Option<Time>,
    /// Who issues it: one whose key is held here. The anchor when nothing is said and it may, else the root.
    pub issuer: Option<Box<str>>,
}

impl Handle {
    /// Makes the root's and the anchor's own credentials where they are missing. Nothing is written for whoever has no
    /// scope and issues nothing: this is called when the first scope is written and when the first credential is issued.
    ///
    /// # Errors
    /// [`CredentialError`]: the root was revoked, or the write was refused.
    pub async fn found_trust(&self) -> Result<(), CredentialError> {
        let _order = self.0.credentials.order.lock().await;
        self.found().await
    }

    /// After a crash in the midst of a rotation the anchor's key may have no credential yet.
    pub(in crate::handle) async fn found_rotated(&self) {
        if self.0.credentials.keys().anchor().count() > 1
            && let Err(error) = self.found_trust().await
        {
            tracing::warn!(%error, "the anchor's key has no credential");
        }
    }

    /// The same, for whoever holds the order.
    async fn found(&self) -> Result<(), CredentialError> {
        let (trust, now) = (self.trust(), self.now());
        if self.own(&trust, Role::Anchor, now).is_some() {
            return Ok(());
        }
        let root = self.own(&trust, Role::Root, now);
        let keys = self.0.credentials.keys();
        let mut records = Vec::new();
        let root = match root {
            Some(root) => root.id.clone(),
            None => {
                let key = keys.scope();
                if let Some(id) = self.revoked(&trust, Role::Root, &key.verifying_key()) {
                    return Err(CredentialFault::Revoked(id).into());
                }
                let root = self.founding(Role::Root, &key.verifying_key(), None).sign(key);
                let id = root.id.clone();
                records.push(root);
                id
            }
        };
        let mut anchor = keys.anchor().current();
        // Whoever revoked the anchor's credential meant its key.
        if self.revoked(&trust, Role::Anchor, &anchor.verifying_key()).is_some() {
            anchor = keys.rotate()?;
        }
        let anchor = self.founding(Role::Anchor, &anchor.verifying_key(), Some(root));
        records.push(anchor.sign(keys.scope()));
        self.put_credentials(&Caller::own(), records.into_iter().map(fresh).collect()).await?;
        tracing::info!(scope = %self.root(), "made the credentials of the scope's anchor");
        Ok(())
    }

    fn founding(&self, role: Role, key: &VerifyingKey, issuer: Option<Box<str>>) -> Statement {
        let now = second_of(self.now());
        Statement {
            version: STATEMENT_VERSION,
            role,
            scope: self.root(),
            subject: Subject::Key(*key),
            issuer,
            actions: vec![EVERY_ACTION.into()],
            not_before: now,
            not_after: now + role.competence().hours * HOUR,
        }
    }

    /// The credential of a key and a role that was revoked: it is not made anew under the same key.
    fn revoked(&self, trust: &Trust, role: Role, key: &VerifyingKey) -> Option<Box<str>> {
        let (root, now) = (self.root(), self.now());
        let mut ours = trust
            .credentials()
            .filter(|of| of.role == role && of.scope == root && of.key() == Some(key));
        let is_over = |of: &Known| of.revoked.is_some_and(|revoked| revoked <= now);
        ours.find(|of| is_over(of)).map(|of| of.id.clone())
    }

    /// The credential of the datacenter's own root or anchor that holds now and whose key signs here; of several the latest.
    pub(in crate::handle) fn own<'a>(
        &self,
        trust: &'a Trust,
        role: Role,
        now: Time,
    ) -> Option<&'a Known> {
        let (root, keys) = (self.root(), self.0.credentials.keys());
        let key = match role {
            Role::Root => keys.scope().verifying_key(),
            _ => keys.anchor().current().verifying_key(),
        };
        trust
            .credentials()
            .filter(|of| of.role == role && of.scope == root && of.key() == Some(&key))
            .filter(|of| trust.stands(of, now).is_ok())
            .max_by_key(|of| of.not_before)
    }

    /// The key of a credential's subject, if it is held here.
    fn key_of(&self, known: &Known) -> Option<SigningKey> {
        self.0.credentials.keys().anchor().held(known.key()?)
    }

    /// Issues a credential.
    ///
    /// # Errors
    /// [`CredentialError`]: nothing was issued.
    pub async fn issue(
        &self,
        caller: &Caller,
        wish: Wish,
    ) -> Result<CredentialRecord, CredentialError> {
        let _order = self.0.credentials.order.lock().await;
        self.found().await?;
        let record = self.signed(&self.trust(), wish)?;
        self.put_credentials(caller, vec![fresh(record.clone())]).await?;
        Ok(record)
    }

    /// Signs what is wished for, if it would be believed.
    fn signed(&self, trust: &Trust, wish: Wish) -> Result<CredentialRecord, CredentialError> {
        if wish.role == Role::Root {
            return Err(field("Role", "a root signs itself: send its Envelope"));
        }
        let now = self.now();
        let issuer = self.issuer(trust, &wish, now)?;
        let key = self.key_of(issuer).ok_or_else(|| {
            field("Issuer", "its key is not held here: sign where it is, and send the Envelope")
        })?;
        let from = wish.not_before.unwrap_or(now);
        let lifetime = Duration::from_secs(wish.role.competence().hours * HOUR);
        let until = wish.not_after.unwrap_or((from + lifetime).min(issuer.ends()));
        if until > issuer.ends() {
            return Err(field("NotAfter", "is after the end of its issuer"));
        }
        if until <= from.max(now) {
            return Err(field("NotAfter", "must be after NotBefore, and not over yet"));
        }
        let every = || vec![EVERY_ACTION.into()];
        let statement = Statement {
            version: STATEMENT_VERSION,
            role: wish.role,
            scope: wish.scope,
            subject: wish.subject,
            issuer: Some(issuer.id.clone()),
            actions: if wish.actions.is_empty() { every() } else { wish.actions },
            not_before: second_of(from),
            not_after: second_of(until),
        };
        let record = Statement::parse(&statement.payload())?.sign(&key);
        trust.judge(std::slice::from_ref(&record))?;
        Ok(record)
    }

    /// Who issues what is wished for.
    fn issuer<'a>(
        &self,
        trust: &'a Trust,
        wish: &Wish,
        now: Time,
    ) -> Result<&'a Known, CredentialError> {
        if let Some(id) = &wish.issuer {
            let named = trust.credential(id).ok_or_else(|| field("Issuer", "is not known"))?;
            trust.stands(named, now).map_err(|uncovered| uncovered.fault)?;
            return Ok(named);
        }
        let may = |issuer: &Role| {
            let rule = issuer.competence();
            rule.issues.contains(&wish.role)
                || (rule.issues_below.contains(&wish.role) && wish.scope != self.root())
        };
        let role = [Role::Anchor, Role::Root].into_iter().find(may).unwrap_or(Role::Root);
        self.own(trust, role, now).ok_or_else(|| field("Issuer", "none of this anchor's own holds"))
    }

    /// Takes in credentials that were signed elsewhere, each with its issuers, in any order.
    ///
    /// # Errors
    /// [`CredentialError`]: none was taken in.
    pub async fn accept(
        &self,
        caller: &Caller,
        envelopes: &[Box<str>],
    ) -> Result<Vec<CredentialRecord>, CredentialError> {
        if !(1..=CHAIN_MAX).contains(&envelopes.len()) {
            return Err(field("Envelopes", &format!("must be 1 to {CHAIN_MAX}")));
        }
        let records: Vec<CredentialRecord> = envelopes
            .iter()
            .map(|text| CredentialRecord::parse(text.as_bytes()))
            .collect::<Result<_, _>>()?;
        let _order = self.0.credentials.order.lock().await;
        self.trust().judge(&records)?;
        let index = self.snapshot();
        let is_new =
            |record: &&CredentialRecord| index.record::<CredentialRecord>(&record.id).is_none();
        let new: Vec<RecordChange> = records.iter().filter(is_new).cloned().map(fresh).collect();
        if !new.is_empty() {
            self.put_credentials(caller, new).await?;
        }
        Ok(records)
    }

    /// Revokes a credential: from `at` on neither it nor what it issued admits anything. What is revoked stays so.
    ///
    /// # Errors
    /// [`CredentialError`]: nothing was changed.
    pub async fn revoke(
        &self,
        caller: &Caller,
        id: &str,
        at: Time,
    ) -> Result<CredentialRecord, CredentialError> {
        let _order = self.0.credentials.order.lock().await;
        let (record, modified) = self.credential_row(id)?;
        let revoked = record.revoked.map_or(at, |before| before.min(at));
        let record = CredentialRecord { revoked: Some(revoked), ..record };
        self.put_credentials(caller, vec![changed(record.clone(), modified)]).await?;
        Ok(record)
    }

    /// Issues a credential anew, with as long a life as it had, and lets the former one hold for `overlap` more at most.
    /// `subject` takes its place where it is another key of the same holder. The anchor's own gets a new key, which signs from
    /// then on; checkpoints of the former one are verified by what the taxonomy says of it.
    ///
    /// # Errors
    /// [`CredentialError`]: nothing was changed.
    pub async fn rotate(
        &self,
        caller: &Caller,
        id: &str,
        subject: Option<Subject>,
        overlap: Duration,
    ) -> Result<CredentialRecord, CredentialError> {
        let _order = self.0.credentials.order.lock().await;
        self.found().await?;
        let (former, modified) = self.credential_row(id)?;
        let (trust, now) = (self.trust(), self.now());
        let is_own = self.own(&trust, Role::Anchor, now).is_some_and(|own| *own.id == *id);
        let next =
            || self.0.credentials.keys().rotate().map(|key| Subject::Key(key.verifying_key()));
        let subject = if is_own && subject.is_none() { Some(next()?) } else { subject };
        let issuer = trust.credential(&former.issuer);
        let is_ours = |issuer: &&Known| {
            self.own(&trust, issuer.role, now).is_some_and(|own| own.id == issuer.id)
        };
        let wish = Wish {
            role: former.role,
            scope: former.scope.clone(),
            subject: subject.map_or_else(|| former.subject.parse(), Ok)?,
            actions: former.actions.clone(),
            not_before: None,
            not_after: None,
            issuer: issuer.filter(is_ours).map(|issuer| issuer.id.clone()),
        };
        let life = former.not_after.since(former.not_before);
        let end = self.issuer(&trust, &wish, now)?.ends();
        let record =
            self.signed(&trust, Wish { not_after: Some((now + life).min(end)), ..wish })?;
        if record.id == former.id {
            return Err(field("ID", "was issued in this very second; rotate it in the next"));
        }
        let ends = former.revoked.map_or(now + overlap, |before| before.min(now + overlap));
        let former = CredentialRecord { revoked: Some(ends), ..former };
        let changes = vec![fresh(record.clone()), changed(former, modified)];
        self.put_credentials(caller, changes).await?;
        Ok(record)
    }

    fn credential_row(&self, id: &str) -> Result<(CredentialRecord, u64), CredentialError> {
        let index = self.snapshot();
        let row = index.record::<CredentialRecord>(id);
        let row = row.ok_or_else(|| CredentialError::Unknown(id.chars().take(64).collect()))?;
        Ok((row.record.clone(), row.modified))
    }

    async fn put_credentials(
        &self,
        caller: &Caller,
        changes: Vec<RecordChange>,
    ) -> Result<(), CredentialError> {
        let there = self.snapshot().records::<CredentialRecord>().len();
        if there + changes.len() > CREDENTIALS_MAX {
            return Err(full());
        }
        let committed = self.submit(caller, Change::Records(changes)).await?;
        if committed.yes {
            return Ok(());
        }
        Err(field("ID", "the same credential was issued or changed a moment ago; ask again"))
    }
}

fn fresh(record: CredentialRecord) -> RecordChange {
    changed(record, 0)
}

fn changed(record: CredentialRecord, modified: u64) -> RecordChange {
    RecordChange::Put { record: AnyRecord::Credential(record.into()), when: When::Index(modified) }
}

fn field(field: &'static str, why: &str) -> CredentialError {
    CredentialError::Field { field, why: why.into() }
}

fn full() -> CredentialError {
    field("ID", &format!("{CREDENTIALS_MAX} credentials are kept; remove some that are over"))
}
