//! Reads as the scopes' policies let them be.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::governance::Asking;
use super::governance::decisions::{Asked, fingerprint};
use super::governance::reads::{Narrowing, Ruled, owner};
use super::{Answer, Handle};
use crate::acl::Authority;
use crate::caller::Caller;
use crate::error::Refusal;
use crate::index::Index;
use crate::outcome::Outcome;
use crate::policy::{Action, Decided, Target, Verdict};
use crate::query::Query;
use crate::scope::{CallerFacts, Registrant, ScopePath};

impl Handle {
    /// Has the policies decide about an answer that the rules of access control allow.
    ///
    /// # Errors
    /// [`Refusal::Deferred`] when it is deferred and the caller knows no earlier answer.
    pub(super) fn judged(
        &self,
        caller: &Caller,
        query: &Query,
        answer: Answer,
    ) -> Result<Answer, Refusal> {
        let narrowing = match self.narrowing(caller, &answer.authority, &answer.at) {
            Ok(None) => return Ok(answer),
            Ok(Some(narrowing)) => narrowing,
            // Its credential holds no longer: it sees nothing, and that is no error.
            Err(Refusal::Denied { rule, .. }) => return Ok(answer.refused(&rule)),
            Err(refusal) => return Err(refusal),
        };
        let Some(ruled) = narrowing.rule(query) else {
            return Ok(answer.narrowed(narrowing));
        };
        self.ruled(query, answer, narrowing, ruled)
    }

    fn ruled(
        &self,
        query: &Query,
        answer: Answer,
        narrowing: Narrowing,
        ruled: Ruled,
    ) -> Result<Answer, Refusal> {
        let Ruled { decided, last } = ruled;
        let outcome = decided.outcome;
        let before = || narrowing.recall(query, &self.lineage(&self.root()), self.0.opened_at);
        let last = if outcome == Outcome::Defer { last.or_else(before) } else { last };
        let answer = match (outcome, last) {
            (Outcome::Resolve | Outcome::Attest | Outcome::Refuse, _) => answer.narrowed(narrowing),
            (Outcome::Defer, Some(last)) => Answer {
                index: last.at.index_of(query),
                at: Arc::clone(&last.at),
                age: self.now().since(last.since),
                ..answer.narrowed(narrowing.seen_before())
            },
            (Outcome::Defer, None) => {
                let scope = decided.scope.unwrap_or_else(|| self.root());
                return Err(Refusal::Deferred { scope, rule: (*decided.rule).into() });
            }
        };
        Ok(Answer { outcome, decided: Some(decided), ..answer })
    }

    /// Whether some scope is bound by some policy.
    pub fn has_policies(&self) -> bool {
        self.0.governance.decisions().rules(&self.snapshot()).is_some()
    }

    /// What the policies let a caller see; nothing where no policy binds it.
    fn narrowing(
        &self,
        caller: &Caller,
        authority: &Authority,
        index: &Arc<Index>,
    ) -> Result<Option<Narrowing>, Refusal> {
        let decisions = self.0.governance.decisions();
        if caller.own || decisions.rules(index).is_none() {
            return Ok(None);
        }
        let trust = self.0.credentials.trust(index);
        let now = self.now();
        let facts =
            self.0.governance.facts(Asking { caller, authority, index, trust: &trust, now })?;
        Ok(Some(Narrowing::new(decisions, index, facts, now)))
    }
}

/// What somebody would be told.
#[derive(Clone, Copy, Debug)]
pub struct Inquiry<'a> {
    /// The accessor of its token; nothing for whoever has none.
    pub accessor: Option<&'a str>,
    /// The listener by which it would come.
    pub listener: Option<&'a str>,
    /// The address that it would come from.
    pub source: Option<IpAddr>,
    /// What it would do.
    pub action: Action,
    /// With what.
    pub target: Target<'a>,
    /// The scope that decides; nothing for that to which the target belongs.
    pub scope: Option<&'a ScopePath>,
}

/// What the policies of a chain of scopes decide, one by one.
#[derive(Clone, Debug)]
pub struct Reasons {
    /// The scope that decides.
    pub scope: ScopePath,
    /// What the policies are told.
    pub input: serde_json::Value,
    /// What each of them decides, the root's first.
    pub verdicts: Vec<Verdict>,
    /// What holds of it all.
    pub decided: Decided,
}

impl Handle {
    /// Whether the policy of the datacenter's own scope lets somebody log in by a method, which vouches for these
    /// claims.
    ///
    /// # Errors
    /// [`Refusal::Denied`]; a login cannot be held, so that what is deferred is told as a refusal for now.
    pub fn admit_login(
        &self,
        caller: &Caller,
        method: &str,
        claims: &BTreeMap<String, String>,
    ) -> Result<(), Refusal> {
        let (index, now) = (self.snapshot(), self.now());
        let facts = CallerFacts {
            auth_method: Some(method.into()),
            listener: caller.listener.clone(),
            source: caller.address,
            ..CallerFacts::default()
        };
        let (scope, caller) = (self.root(), fingerprint(&facts));
        let target = Target::Login(method, claims);
        let asked =
            Asked { scope: &scope, facts: &facts, caller, action: Action::Login, target, now };
        let decided = self.0.governance.decisions().decide(&index, asked);
        let scope = decided.scope.unwrap_or(scope);
        match decided.outcome {
            Outcome::Resolve | Outcome::Attest => Ok(()),
            Outcome::Refuse => Err(Refusal::Denied { scope, rule: (*decided.rule).into() }),
            Outcome::Defer => {
                let rule = format!("{}, which defers: try again later", decided.rule).into();
                Err(Refusal::Denied { scope, rule })
            }
        }
    }

    /// What the policies would decide, and why. Nothing is done, and nothing of it is kept.
    ///
    /// # Errors
    /// [`Refusal::Denied`] where the caller's credentials do not hold any more.
    pub fn explain_policies(&self, inquiry: Inquiry<'_>) -> Result<Reasons, Refusal> {
        let (index, now) = (self.snapshot(), self.now());
        let trust = self.0.credentials.trust(&index);
        let registrant = Registrant {
            accessor: inquiry.accessor.map(Into::into),
            listener: inquiry.listener.map(Into::into),
            source: inquiry.source,
        };
        let facts = self.0.governance.facts_of(&registrant, &index, &trust, now)?;
        let Some(scopes) = index.scopes() else {
            let (scope, decided) = (self.root(), Decided::open());
            return Ok(Reasons {
                scope,
                input: serde_json::Value::Null,
                verdicts: Vec::new(),
                decided,
            });
        };
        let scope = inquiry.scope.cloned();
        let scope = scope.unwrap_or_else(|| owner(&index, scopes, inquiry.target));
        let (action, target, caller) = (inquiry.action, inquiry.target, fingerprint(&facts));
        let asked = Asked { scope: &scope, facts: &facts, caller, action, target, now };
        let (input, verdicts) = self.0.governance.decisions().explain(&index, scopes, asked);
        let decided = verdicts.iter().map(|verdict| verdict.decided.clone());
        let decided = decided.reduce(Decided::and).unwrap_or_else(Decided::open);
        Ok(Reasons { input, verdicts, decided, scope })
    }
}

impl Answer {
    fn narrowed(self, narrowing: Narrowing) -> Self {
        let authority = self.authority.narrowed(Arc::new(narrowing));
        Self { authority, ..self }
    }

    fn refused(self, rule: &str) -> Self {
        let outcome = Outcome::Refuse;
        let decided = Some(Decided::rule(outcome, rule));
        Self { outcome, decided, authority: Authority::nothing(), ..self }
    }
}
