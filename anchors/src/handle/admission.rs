//! The scopes at the door: what they would decide, and what is written down of what they refused.

use rand::RngCore as _;

use super::governance::{Asking, Ruling};
use super::{Handle, actor};
use crate::acl::{Authority, vet};
use crate::caller::Caller;
use crate::change::Change;
use crate::error::Refusal;
use crate::group::Proposal;
use crate::index::Index;
use crate::outcome::Outcome;
use crate::scope::ScopePath;

impl Handle {
    /// From now on things that are nobody's belong to this scope (`default_scope`), once it is there.
    pub fn set_default_scope(&self, scope: Option<ScopePath>) {
        self.0.governance.set_default(scope);
    }

    /// What would be decided about a write that is not carried out yet. A refusal is written down as that of the write itself.
    ///
    /// # Errors
    /// As [`Handle::submit`] where access control or a scope refuses.
    pub async fn would_admit(
        &self,
        caller: &Caller,
        mut change: Change,
    ) -> Result<Ruling, Refusal> {
        let index = self.snapshot();
        if index.scopes().is_none() {
            let (outcome, rule) = (Outcome::Resolve, vet::OPEN.into());
            return Ok(Ruling { outcome, rule, scope: None, credential: None });
        }
        let authority = self.authority_at(caller, &index)?;
        let rule = vet::admit(&authority, &index, &change)?;
        let ruling = self.rule(caller, &authority, &index, &mut change, (rule, false));
        drop(index);
        if let Err(refusal) = &ruling {
            self.tell_refusal(caller, &authority, change, refusal).await;
        }
        ruling
    }

    /// What the scopes decide; the rule of access control that let the write through, and whether it is meant.
    pub(super) fn rule(
        &self,
        caller: &Caller,
        authority: &Authority,
        index: &Index,
        change: &mut Change,
        (rule, is_meant): (&str, bool),
    ) -> Result<Ruling, Refusal> {
        let trust = self.0.credentials.trust(index);
        let asking = Asking { caller, authority, index, trust: &trust, now: self.now() };
        self.0.governance.admit(asking, change, rule, is_meant)
    }

    /// Writes down that a scope refused, as far as its bound goes: whoever is refused asks again and again.
    pub(super) async fn tell_refusal(
        &self,
        caller: &Caller,
        authority: &Authority,
        change: Change,
        refusal: &Refusal,
    ) {
        let Refusal::Denied { scope, rule } = refusal else { return };
        let now = self.now();
        if !self.0.governance.tells_refusal(scope, now) {
            return;
        }
        let mut salt = [0; 16];
        rand::rng().fill_bytes(&mut salt);
        let proposal = Proposal {
            change,
            actor: actor(caller, authority).into(),
            at: now,
            salt,
            outcome: Outcome::Refuse,
            rule: rule.clone(),
            cause: None,
            scope: Some(scope.clone()).filter(|scope| *scope != *self.0.governance.root()),
            credential: None,
        };
        // Its verdict is the refusal itself.
        let _ = self.0.group.propose(proposal).await;
    }
}
