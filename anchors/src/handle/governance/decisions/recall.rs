//! What could be seen before the process started, as far as the lineage tells.
//!
//! Who was answered before is not written down. But where nothing of a thing has changed since the rules came that defer it,
//! and the rules before them let it through, it is answered as it was: whoever asked then has seen just this. The same holds
//! where the rules are older, and let it through when the thing was written, or until they ran out.

use std::sync::Arc;

use super::{Asked, Decisions, LastKnown, basis, facts_of, stopwatch};
use crate::change::Change;
use crate::clock::Time;
use crate::group::fold::REVISION_BEFORE_FIRST;
use crate::index::{Index, Row};
use crate::lineage::body::Body;
use crate::lineage::tiles::Lineage;
use crate::outcome::Outcome;
use crate::policy::{PolicySet, Target, binding};
use crate::query::Query;
use crate::record::AnyRecord;
use crate::scope::{Scope, ScopePolicy, Scopes};

/// What was before the process started.
#[derive(Clone, Copy)]
pub(in crate::handle) struct Past<'a> {
    /// What is there now.
    pub(in crate::handle) index: &'a Arc<Index>,
    /// All that was written.
    pub(in crate::handle) lineage: &'a Lineage,
    /// The last revision before the start.
    pub(in crate::handle) opened: u64,
}

/// The records that bound a scope.
struct Bound {
    chain: Vec<Arc<Scope>>,
    policies: Vec<ScopePolicy>,
}

// === impl Decisions ===

impl Decisions {
    /// What somebody who is deferred could see before the process started; sought once for each question.
    pub(in crate::handle) fn recall(
        &self,
        past: Past<'_>,
        query: &Query,
        asked: Asked<'_>,
    ) -> Option<Arc<LastKnown>> {
        let question = asked.question();
        if let Some(entry) = self.shard(&question).get(&question)
            && entry.is_recalled
        {
            return entry.last.clone();
        }
        let rules = self.rules(past.index)?;
        let found = past.last_known(&rules.set, query, asked).map(Arc::new);
        let mut shard = self.shard(&question);
        let entry = shard.get_mut(&question)?;
        entry.is_recalled = true;
        if entry.last.is_none() && entry.decided.outcome == Outcome::Defer {
            entry.last = found;
        }
        entry.last.clone()
    }
}

// === impl Past ===

impl Past<'_> {
    fn last_known(self, set: &PolicySet, query: &Query, asked: Asked<'_>) -> Option<LastKnown> {
        let index = self.index;
        let is_there = match asked.target {
            Target::Service(name) => index.service(name).is_some(),
            Target::Key(key, _) => index.key(key).is_some(),
            _ => false,
        };
        let (scopes, moved) = (index.scopes()?, index.index_of(query));
        let came = self.came(scopes, asked)?;
        // Later on the process has seen for itself who was answered.
        if !is_there || came.max(moved) > self.opened {
            return None;
        }
        let (bound, since, then) = if moved <= came {
            let (since, _) = self.entry(came)?;
            (self.bound_before(scopes, asked, came)?, since, just_before(since))
        } else {
            let (since, change) = self.entry(moved)?;
            let ran_out = matches!(&change, Change::Govern(of) if of.records.is_empty());
            let then = if ran_out { just_before(since) } else { since };
            (self.bound_now(scopes, asked)?, since, then)
        };
        let outcome = self.outcome(set, &bound, Asked { now: then, ..asked });
        let known = LastKnown { at: Arc::clone(index), since, basis: basis(index) };
        (outcome < Outcome::Defer).then_some(known)
    }

    /// The revision of the youngest record that binds a scope.
    fn came(self, scopes: &Scopes, asked: Asked<'_>) -> Option<u64> {
        let records = binding(scopes.chain(asked.scope)).flat_map(|(scope, name, _)| {
            let scope = self.index.record::<Scope>(scope.path.as_str()).map(|row| row.modified);
            let policy = self.index.record::<ScopePolicy>(name).map(|row| row.modified);
            [scope, policy]
        });
        records.flatten().max()
    }

    /// When a revision was made, and by what.
    fn entry(self, revision: u64) -> Option<(Time, Change)> {
        let order = revision.checked_sub(REVISION_BEFORE_FIRST + self.index.lift())?;
        let (_, line) = self.lineage.entry_at(order).ok()??;
        let change = serde_json::from_slice(&line.payload?.change).ok()?;
        Some((line.entry.at, change))
    }

    fn bound_now(self, scopes: &Scopes, asked: Asked<'_>) -> Option<Bound> {
        let chain = scopes.chain(asked.scope).to_vec();
        let names = binding(&chain).map(|(_, name, _)| name);
        let policies = names
            .map(|name| Some(self.index.record::<ScopePolicy>(name)?.record.clone()))
            .collect::<Option<_>>()?;
        Some(Bound { chain, policies })
    }

    /// What bound a scope just before a revision; nothing where that is not known any more.
    fn bound_before(self, scopes: &Scopes, asked: Asked<'_>, came: u64) -> Option<Bound> {
        let mut chain = Vec::new();
        for scope in scopes.chain(asked.scope) {
            match self.index.record::<Scope>(scope.path.as_str()) {
                Some(row) if row.modified > came => return None,
                Some(row) if row.modified == came => {
                    if let Some(AnyRecord::Scope(before)) = self.previous(row)? {
                        chain.push(before.into());
                    }
                }
                _ => chain.push(Arc::clone(scope)),
            }
        }
        let mut policies = Vec::new();
        for (_, name, _) in binding(&chain) {
            let row = self.index.record::<ScopePolicy>(name)?;
            match row.modified {
                later if later > came => return None,
                at if at == came => match self.previous(row)? {
                    Some(AnyRecord::ScopePolicy(before)) => policies.push(*before),
                    _ => return None,
                },
                _ => policies.push(row.record.clone()),
            }
        }
        Some(Bound { chain, policies })
    }

    /// What a record was before it was written last: nothing in it where it was not there, and nothing at all where that
    /// is not kept.
    fn previous<T>(self, row: &Row<T>) -> Option<Option<AnyRecord>> {
        let (newest, _) = self.lineage.last_version(row.uid).ok()??;
        let Some(before) = newest.checked_sub(1).filter(|number| *number > 0) else {
            return Some(None);
        };
        let version = self.lineage.version(row.uid, before).ok()??;
        let (_, line) = self.lineage.entry_at(version.order).ok()??;
        let change: Change = serde_json::from_slice(&line.payload?.change).ok()?;
        match Body::of(&change, &version.row)? {
            Body::Record(record) => Some(Some(record)),
            _ => None,
        }
    }

    /// What they decided. What is compiled already is not compiled again.
    fn outcome(self, compiled: &PolicySet, bound: &Bound, asked: Asked<'_>) -> Outcome {
        let Bound { chain, policies } = bound;
        let set = PolicySet::of(policies, compiled).timed_by(stopwatch);
        let facts = facts_of(self.index, asked.scope, asked.target, set.reads(chain));
        set.decide(chain, &asked.input(facts)).outcome
    }
}

fn just_before(time: Time) -> Time {
    Time(time.0.saturating_sub(1))
}
