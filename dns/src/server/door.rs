//! The door of a scope, as DNS goes through it.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use proconsul_anchors::acl::Authority;
use proconsul_anchors::caller::Caller;
use proconsul_anchors::clock::Time;
use proconsul_anchors::error::Refusal;
use proconsul_anchors::handle::{Answer, Answered, FarFault, Handle, Wait};
use proconsul_anchors::index::Index;
use proconsul_anchors::outcome::Outcome;
use proconsul_anchors::policy::Decided;
use proconsul_anchors::query::Query;
use proconsul_anchors::scope::ScopePath;
use proconsul_anchors::sealed::SealedSecret;
use proconsul_anchors::traversal::DNS_PATIENCE;

use super::{Door, Look};

/// What a caller may read for a query.
fn look(handle: &Handle, caller: &Caller, query: &Query) -> Look {
    let answer = match handle.lookup(caller, query) {
        Ok(answer) => answer,
        Err(Refusal::Deferred { scope, rule }) => {
            return Look::NotReady(format!("scope {scope} defers by rule {rule}").into());
        }
        // Whoever is unknown sees nothing.
        Err(_) => return Look::Seen(handle.snapshot(), Authority::nothing()),
    };
    match answer.outcome {
        Outcome::Resolve | Outcome::Attest if answer.known_leader => {
            Look::Seen(answer.at, answer.authority)
        }
        Outcome::Resolve | Outcome::Attest => {
            Look::Leaderless(answer.at, answer.authority, answer.age)
        }
        Outcome::Defer => Look::Stale(answer.at, answer.authority, why("defers", answer.decided)),
        Outcome::Refuse => Look::Refused(why("refuses", answer.decided)),
    }
}

/// What came of a question to another scope.
fn far(target: &ScopePath, answer: Result<Answer, FarFault>) -> Look {
    let answer = match answer {
        Ok(answer) => answer,
        Err(FarFault::NoPath(_)) => {
            return Look::Unreachable(format!("scope {target} cannot be reached").into());
        }
        Err(FarFault::NotReady(_)) => {
            return Look::NotReady(format!("scope {target} defers").into());
        }
        // Whoever is unknown sees nothing.
        Err(FarFault::Refused(_)) => return Look::Seen(Arc::default(), Authority::nothing()),
    };
    let decisive = answer.way.as_ref().and_then(|way| way.decisive().cloned());
    match answer.outcome {
        Outcome::Resolve | Outcome::Attest => Look::Seen(answer.at, answer.authority),
        Outcome::Defer => {
            let why = format!("scope {target} was heard of {} s ago", answer.age.as_secs());
            Look::Stale(answer.at, answer.authority, why.into())
        }
        Outcome::Refuse => Look::Refused(match decisive {
            Some(hop) => format!("scope {} refuses by {}", hop.scope, hop.rule).into(),
            None => "the scope refuses".into(),
        }),
    }
}

/// By which rule, for people.
fn why(does: &str, decided: Option<Decided>) -> Cow<'static, str> {
    match decided {
        Some(Decided { scope: Some(scope), rule, .. }) => {
            format!("scope {scope} {does} by rule {rule}").into()
        }
        _ => format!("the scope {does}").into(),
    }
}

impl Door for Handle {
    fn look(&self, from: Option<IpAddr>, query: &Query) -> Look {
        let token = self.acl().tokens.for_dns();
        look(self, &Caller { token, address: from, ..Caller::default() }, query)
    }

    fn look_as(&self, caller: &Caller, query: &Query) -> Look {
        look(self, caller, query)
    }

    fn look_far(
        &self,
        from: Option<IpAddr>,
        datacenter: &str,
        query: &Query,
    ) -> Option<BoxFuture<'static, Look>> {
        if !self.knows_far(datacenter) {
            return None;
        }
        let target = ScopePath::parse(datacenter).ok()?;
        let token = self.acl().tokens.for_dns();
        let caller = Caller { token, address: from, ..Caller::default() };
        let (handle, query) = (self.clone(), query.clone());
        let wait = Wait { after: 0, patience: Duration::ZERO, travel: DNS_PATIENCE };
        Some(Box::pin(async move {
            far(&target, handle.lookup_far(&caller, &target, &query, wait).await)
        }))
    }

    fn attested(
        &self,
        from: Option<IpAddr>,
        caller: Option<&Caller>,
        query: &Query,
    ) -> Option<(Look, Decided)> {
        if !self.has_policies() {
            return None;
        }
        let of_dns =
            || Caller { token: self.acl().tokens.for_dns(), address: from, ..Caller::default() };
        let caller = caller.cloned().unwrap_or_else(of_dns);
        let answer = self.lookup(&caller, query).ok()?;
        let decided = answer.decided.filter(|decided| decided.outcome == Outcome::Attest)?;
        Some((Look::Seen(answer.at, answer.authority), decided))
    }

    fn attest<'a>(
        &'a self,
        decided: &'a Decided,
        query: &'a str,
        answer: &'a str,
    ) -> BoxFuture<'a, Option<Arc<str>>> {
        let attest = async move {
            let root = self.root();
            let (scope, body) = (decided.scope.as_ref().unwrap_or(&root), answer.as_bytes());
            let (outcome, rule) = (decided.outcome, &*decided.rule);
            let answered = Answered { scope, query, body, outcome, rule };
            let attested = Self::attest(self, answered).await;
            if let Err(refusal) = &attested {
                tracing::warn!(%refusal, "an answer could not be attested");
            }
            attested.ok()
        };
        Box::pin(attest)
    }

    fn is_governed(&self) -> bool {
        self.has_policies()
    }

    fn bearer(&self, from: Option<IpAddr>, token: &SealedSecret) -> Authority {
        let Some(token) = self.unseal(token) else { return Authority::nothing() };
        let caller = Caller { token: Some(token), address: from, ..Caller::default() };
        self.authority(&caller).unwrap_or_else(|_| Authority::nothing())
    }

    fn is_led(&self) -> bool {
        self.has_leader()
    }

    fn snapshot(&self) -> Arc<Index> {
        Self::snapshot(self)
    }

    fn now(&self) -> Time {
        Self::now(self)
    }
}
