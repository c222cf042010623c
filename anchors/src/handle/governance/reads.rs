//! What policies let a caller see.
//!
//! A read of one thing (a service, a key) has an outcome; lists are narrowed line by line. What is deferred is answered with
//! what the caller could see last: the state of the index when the decision fell.

use std::borrow::Cow;
use std::sync::Arc;

use super::decisions::recall::Past;
use super::decisions::{Asked, Decisions, LastKnown, fingerprint};
use crate::acl::{Access, Act, Reach, Resource};
use crate::clock::Time;
use crate::index::Index;
use crate::lineage::tiles::Lineage;
use crate::outcome::Outcome;
use crate::policy::{Action, Decided, Target, binding};
use crate::query::Query;
use crate::scope::{CallerFacts, Narrow, ScopePath, Scopes};

/// What the policies of an index let one caller see at a moment.
#[derive(Clone)]
pub(in crate::handle) struct Narrowing {
    decisions: Arc<Decisions>,
    index: Arc<Index>,
    facts: CallerFacts,
    caller: u128,
    now: Time,
    /// Whether what is deferred is shown: the index is one that the caller saw before.
    as_before: bool,
}

/// What was decided about a read of one thing.
#[derive(Clone, Debug)]
pub(in crate::handle) struct Ruled {
    pub(in crate::handle) decided: Decided,
    pub(in crate::handle) last: Option<Arc<LastKnown>>,
}

// === impl Narrowing ===

impl Narrowing {
    pub(in crate::handle) fn new(
        decisions: &Arc<Decisions>,
        index: &Arc<Index>,
        facts: CallerFacts,
        now: Time,
    ) -> Self {
        let (decisions, index, caller) =
            (Arc::clone(decisions), Arc::clone(index), fingerprint(&facts));
        Self { decisions, index, facts, caller, now, as_before: false }
    }

    /// The same for an index that the caller saw before.
    pub(in crate::handle) fn seen_before(self) -> Self {
        Self { as_before: true, ..self }
    }

    /// What is decided about a read, where it is one of one thing.
    pub(in crate::handle) fn rule(&self, query: &Query) -> Option<Ruled> {
        let (action, target) = named(query)?;
        let scopes = self.index.scopes()?;
        let scope = owner(&self.index, scopes, target);
        let (decided, last) = self.decisions.look(&self.index, self.asked(&scope, action, target));
        Some(Ruled { decided, last })
    }

    /// What the caller could see of it before the process started, where it is deferred.
    pub(in crate::handle) fn recall(
        &self,
        query: &Query,
        lineage: &Lineage,
        opened: u64,
    ) -> Option<Arc<LastKnown>> {
        let (action, target) = named(query)?;
        let scope = owner(&self.index, self.index.scopes()?, target);
        let past = Past { index: &self.index, lineage, opened };
        self.decisions.recall(past, query, self.asked(&scope, action, target))
    }

    fn asked<'a>(&'a self, scope: &'a ScopePath, action: Action, target: Target<'a>) -> Asked<'a> {
        Asked { scope, facts: &self.facts, caller: self.caller, action, target, now: self.now }
    }

    fn shows(&self, scopes: &Scopes, action: Action, target: Target<'_>) -> bool {
        let scope = owner(&self.index, scopes, target);
        let decided = self.decisions.look(&self.index, self.asked(&scope, action, target)).0;
        match decided.outcome {
            Outcome::Resolve | Outcome::Attest => true,
            Outcome::Defer => self.as_before,
            Outcome::Refuse => false,
        }
    }
}

impl Narrow for Narrowing {
    fn allows(&self, act: Act<'_>) -> bool {
        let Some(scopes) = self.index.scopes() else { return true };
        // Writes are judged when they are submitted, with all that they would write.
        if act.access == Access::Write {
            return true;
        }
        let name = match (act.resource, act.reach) {
            (_, Reach::Named(name)) => name,
            // Whether nobody needs to ask for each: nodes are the datacenter's own.
            (Resource::Node, Reach::All) => {
                return binding(scopes.chain(scopes.root())).next().is_none();
            }
            (Resource::Service, Reach::All) => return false,
            _ => return true,
        };
        let folded = folded(name);
        let (action, target) = match act.resource {
            Resource::Service => (Action::ReadService, Target::Service(&folded)),
            Resource::Node => (Action::ReadNode, Target::Node(&folded)),
            Resource::Session => (Action::ReadSession, Target::Session(&folded)),
            Resource::Key => (Action::ReadKey, Target::Key(name, None)),
            _ => return true,
        };
        self.shows(scopes, action, target)
    }
}

impl std::fmt::Debug for Narrowing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Narrowing").field("facts", &self.facts).finish_non_exhaustive()
    }
}

/// A name as policies are told it: names of the catalog are the same in any case.
pub(in crate::handle) fn folded(name: &str) -> Cow<'_, str> {
    let is_folded = name.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
    if is_folded { Cow::Borrowed(name) } else { Cow::Owned(name.to_lowercase()) }
}

/// The one thing that a read is about.
fn named(query: &Query) -> Option<(Action, Target<'_>)> {
    match query {
        Query::Service(name)
        | Query::Health(name)
        | Query::Connect(name)
        | Query::HealthConnect(name)
        | Query::HealthIngress(name)
        | Query::ServiceChecks { service: name, .. } => {
            Some((Action::ReadService, Target::Service(name.key())))
        }
        Query::Key(key) => Some((Action::ReadKey, Target::Key(key, None))),
        _ => None,
    }
}

/// Whose a thing is: whoever it is delegated to, else whoever has it, else the datacenter.
pub(in crate::handle) fn owner(index: &Index, scopes: &Scopes, target: Target<'_>) -> ScopePath {
    let has = || match target {
        Target::Service(_) | Target::Instance(..) => {
            let row = index.service(target.name())?;
            row.instances.values().next()?.scope.clone()
        }
        Target::Key(key, _) => index.key(key)?.scope.clone(),
        _ => None,
    };
    let delegated = match target {
        Target::Service(_) | Target::Instance(..) => scopes.owner_of_service(target.name()),
        Target::Key(key, _) => scopes.owner_of_key(key),
        _ => None,
    };
    delegated.cloned().or_else(has).unwrap_or_else(|| scopes.root().clone())
}
