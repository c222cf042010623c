//! Decisions of policies, kept while they hold.
//!
//! What is kept is keyed by who asks, for what, of which scope, with what, and holds while the records of scopes and policies
//! are the same ones, no longer than the policy says. A policy that looks at what its scope holds is asked again after every
//! write; one that looks at the clock and says no end, every few seconds. What was decided before is remembered beyond that:
//! so it is told when a decision changes, and not with every question.

pub(in crate::handle) mod recall;

use std::collections::HashMap;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher, Hash, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use metrics::counter;

use crate::clock::Time;
use crate::index::Index;
use crate::outcome::Outcome;
use crate::policy::{Action, Decided, Facts, Input, PolicySet, Reads, Target, Verdict, binding};
use crate::record::TableId;
use crate::scope::{CallerFacts, Scope, ScopePath, ScopePolicy, Scopes};

/// Decisions that are remembered, over all shards. A question is a hundred bytes or two.
const DECISIONS_MAX: usize = 64 << 10;

/// Shards, so that readers seldom wait for each other.
const SHARDS: usize = 16;

/// For how long a decision holds that looked at the clock and does not say.
const CLOCK_TTL: Duration = Duration::from_secs(10);

/// For how long a decision is remembered after somebody asked for it last: blocking queries come back within ten minutes
/// and their jitter.
const REMEMBERED: Duration = Duration::from_secs(12 * 60);

/// Decides, and keeps what was decided.
#[derive(Default)]
pub(in crate::handle) struct Decisions {
    rules: ArcSwap<Rules>,
    shards: [Mutex<HashMap<Question, Entry, BuildHasherDefault<DefaultHasher>>>; SHARDS],
}

/// The policies of an index, compiled, and what they bind.
#[derive(Debug, Default)]
pub(in crate::handle) struct Rules {
    /// The marks of the tables that made them.
    basis: (u64, u64),
    set: PolicySet,
    /// Whether some scope is bound by some policy.
    binds: bool,
}

/// A digest of who asks for what.
type Question = u128;

/// What was decided about a question.
#[derive(Clone, Debug)]
struct Entry {
    about: Arc<About>,
    decided: Decided,
    basis: (u64, u64),
    /// The revision, where the policy looks at what the scope holds.
    revision: Option<u64>,
    until: Option<Time>,
    asked: Time,
    /// Since when it is deferred, and the index as it was last let through.
    last: Option<Arc<LastKnown>>,
    /// Whether it was sought what could be seen before the start.
    is_recalled: bool,
}

/// What a decision speaks of.
#[derive(Clone, Debug)]
pub(in crate::handle) struct About {
    pub(in crate::handle) facts: CallerFacts,
    pub(in crate::handle) scope: ScopePath,
    pub(in crate::handle) action: Action,
    pub(in crate::handle) name: Box<str>,
}

/// The state of which somebody knows who is deferred now.
#[derive(Debug)]
pub(in crate::handle) struct LastKnown {
    /// The index as it was.
    pub(in crate::handle) at: Arc<Index>,
    /// When it was so.
    pub(in crate::handle) since: Time,
    /// The marks of the rules that defer since then.
    basis: (u64, u64),
}

/// A question.
#[derive(Clone, Copy, Debug)]
pub(in crate::handle) struct Asked<'a> {
    pub(in crate::handle) scope: &'a ScopePath,
    pub(in crate::handle) facts: &'a CallerFacts,
    /// See [`fingerprint`].
    pub(in crate::handle) caller: u128,
    pub(in crate::handle) action: Action,
    pub(in crate::handle) target: Target<'a>,
    pub(in crate::handle) now: Time,
}

/// Who asks, as decisions are keyed: a digest of all that is known.
pub(in crate::handle) fn fingerprint(facts: &CallerFacts) -> u128 {
    let credential = facts.credential.as_ref().map(|credential| &credential.id);
    let CallerFacts {
        accessor,
        policies,
        roles,
        auth_method,
        listener,
        source,
        credential: _,
        home,
    } = facts;
    let of = (accessor, policies, roles, auth_method, listener, source, credential, home);
    digest(&of)
}

/// Twice 64 bits under keys that nobody knows: what two questions have in common cannot be sought for.
pub(in crate::handle) fn digest(of: &impl Hash) -> u128 {
    static KEYS: OnceLock<[RandomState; 2]> = OnceLock::new();
    let [first, second] = KEYS.get_or_init(Default::default);
    u128::from(first.hash_one(of)) << 64 | u128::from(second.hash_one(of))
}

/// A watch for policies that take too long.
#[expect(
    clippy::disallowed_methods,
    reason = "a bound on what an evaluation costs, not a time that it is told"
)]
fn stopwatch() -> Duration {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    BEGAN.get_or_init(Instant::now).elapsed()
}

// === impl Rules ===

impl Rules {
    fn of(index: &Index, scopes: &Scopes, before: &Self) -> Self {
        let records = index.records::<ScopePolicy>().map(|row| &row.record);
        let set = PolicySet::of(records, &before.set).timed_by(stopwatch);
        let names = |scope: &Arc<Scope>| scope.policy.is_some() || scope.inherit.is_some();
        let binds = scopes.all_under(scopes.root()).any(names);
        Self { basis: basis(index), set, binds }
    }

    /// Decides, and keeps nothing of it.
    pub(in crate::handle) fn decide(&self, index: &Index, asked: Asked<'_>) -> Decided {
        let Some(scopes) = index.scopes() else { return Decided::open() };
        let chain = scopes.chain(asked.scope);
        let facts = facts_of(index, asked.scope, asked.target, self.set.reads(chain));
        self.set.decide(chain, &asked.input(facts))
    }
}

fn basis(index: &Index) -> (u64, u64) {
    (index.table_mark(TableId::Scope), index.table_mark(TableId::ScopePolicy))
}

// === impl Asked ===

impl Asked<'_> {
    fn input(&self, facts: Facts) -> Input<'_> {
        let Self { facts: caller, action, target, now: time, .. } = *self;
        Input { caller, action, target, time, facts }
    }

    fn question(&self) -> Question {
        // No service has a hash of its own: it has text keys only, and becomes JSON.
        let details = match self.target {
            Target::Instance(service, node) => serde_json::to_vec(&(service, node)).ok(),
            Target::Login(_, claims) => serde_json::to_vec(claims).ok(),
            _ => None,
        };
        let bytes = match self.target {
            Target::Key(_, bytes) => bytes,
            _ => None,
        };
        let (kind, name) = (self.target.kind(), self.target.name());
        digest(&(self.caller, self.scope.as_str(), self.action, kind, name, details, bytes))
    }
}

// === impl Decisions ===

impl Decisions {
    /// The policies of an index, or nothing where none binds.
    pub(in crate::handle) fn rules(&self, index: &Index) -> Option<Arc<Rules>> {
        let scopes = index.scopes()?;
        let rules = self.rules.load();
        if rules.basis == basis(index) {
            return rules.binds.then(|| Arc::clone(&rules));
        }
        // Two may compile the same at once: it is seldom, and neither waits.
        let made = Arc::new(Rules::of(index, scopes, &rules));
        // An older index must not push out what a younger one made.
        if made.basis >= rules.basis {
            self.rules.store(Arc::clone(&made));
        }
        made.binds.then_some(made)
    }

    /// Decides, or tells what was decided.
    pub(in crate::handle) fn decide(&self, index: &Index, asked: Asked<'_>) -> Decided {
        self.ask(index, None, asked).0
    }

    /// The same for a read, with what the caller knows where it is deferred.
    pub(in crate::handle) fn look(
        &self,
        index: &Arc<Index>,
        asked: Asked<'_>,
    ) -> (Decided, Option<Arc<LastKnown>>) {
        self.ask(index, Some(index), asked)
    }

    /// `shared` is the same index, where somebody may be answered from it later.
    fn ask(
        &self,
        index: &Index,
        shared: Option<&Arc<Index>>,
        asked: Asked<'_>,
    ) -> (Decided, Option<Arc<LastKnown>>) {
        let (Some(scopes), Some(rules)) = (index.scopes(), self.rules(index)) else {
            return (Decided::open(), None);
        };
        let chain = scopes.chain(asked.scope);
        if binding(chain).next().is_none() {
            return (Decided::open(), None);
        }
        let question = asked.question();
        if let Some(entry) = self.shard(&question).get_mut(&question) {
            entry.asked = asked.now;
            if entry.holds(&rules, index, asked.now) {
                return (entry.decided.clone(), entry.last.clone());
            }
        }
        self.decide_anew((index, shared), (&rules, chain), asked, question)
    }

    fn decide_anew(
        &self,
        (index, shared): (&Index, Option<&Arc<Index>>),
        (rules, chain): (&Rules, &[Arc<Scope>]),
        asked: Asked<'_>,
        question: Question,
    ) -> (Decided, Option<Arc<LastKnown>>) {
        let reads = rules.set.reads(chain);
        let facts = facts_of(index, asked.scope, asked.target, reads);
        let decided = rules.set.decide(chain, &asked.input(facts));
        let mut shard = self.shard(&question);
        if shard.len() >= DECISIONS_MAX / SHARDS && !shard.contains_key(&question) {
            forget(&mut shard, asked.now);
        }
        let before = shard.remove(&question);
        told(asked, before.as_ref().map(|before| &before.decided), &decided);
        let last = match &before {
            Some(before) if decided.outcome == Outcome::Defer => {
                let (since, basis) = (asked.now, rules.basis);
                let seen = before.decided.outcome < Outcome::Defer;
                let last = before.last.clone().filter(|last| !seen || last.basis == basis);
                last.or_else(|| {
                    let known = |at| Arc::new(LastKnown { at, since, basis });
                    shared.filter(|_| seen).cloned().map(known)
                })
            }
            _ => None,
        };
        let is_recalled = before.as_ref().is_some_and(|before| before.is_recalled);
        let entry = Entry {
            is_recalled,
            about: before.map_or_else(|| Arc::new(About::of(asked)), |before| before.about),
            basis: rules.basis,
            revision: reads.facts.then(|| index.revision()),
            until: until(&decided, reads, asked.now),
            asked: asked.now,
            last: last.clone(),
            decided: decided.clone(),
        };
        shard.insert(question, entry);
        (decided, last)
    }

    fn shard(
        &self,
        question: &Question,
    ) -> MutexGuard<'_, HashMap<Question, Entry, BuildHasherDefault<DefaultHasher>>> {
        let at = (*question % SHARDS as u128) as usize;
        // Between any two calls the map is whole.
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What policies are told about a question, and what each of them that binds its scope decides.
    pub(in crate::handle) fn explain(
        &self,
        index: &Index,
        scopes: &Scopes,
        asked: Asked<'_>,
    ) -> (serde_json::Value, Vec<Verdict>) {
        let everything = Reads { facts: true, time: true };
        let facts = facts_of(index, asked.scope, asked.target, everything);
        let (chain, input) = (scopes.chain(asked.scope), asked.input(facts));
        let verdicts = self.rules(index).map(|rules| rules.set.explain(chain, &input));
        (input.json(chain), verdicts.unwrap_or_default())
    }

    /// The policies of an index that may never come to be; nothing where none binds.
    pub(in crate::handle) fn preview(&self, index: &Index) -> Option<Rules> {
        let rules = Rules::of(index, index.scopes()?, &self.rules.load());
        rules.binds.then_some(rules)
    }

    /// What other policies decide otherwise of the questions that were asked of late: what is about to change.
    pub(in crate::handle) fn flips(
        &self,
        index: &Arc<Index>,
        next: &Index,
        rules: Option<&Rules>,
        now: Time,
    ) -> Vec<Arc<About>> {
        if rules.is_none() && self.rules(index).is_none() {
            return Vec::new();
        }
        let decide = |entry: &Entry| {
            let target = entry.about.target()?;
            let decided = rules.map(|rules| rules.decide(next, entry.about.asked(target, now)));
            Some(decided.unwrap_or_else(Decided::open))
        };
        let mut flipped = Vec::new();
        for entry in self.entries(now) {
            let Some(decided) = decide(&entry) else { continue };
            if shows(decided.outcome) == shows(entry.decided.outcome) {
                continue;
            }
            if let (Outcome::Defer, Some(rules)) = (decided.outcome, rules) {
                self.remember(&entry, index, rules.basis, now);
            }
            flipped.push(entry.about);
        }
        flipped
    }

    /// Whoever is about to be deferred knows what is there now, and not what comes between.
    fn remember(&self, entry: &Entry, index: &Arc<Index>, basis: (u64, u64), now: Time) {
        let Some(target) = entry.about.target() else { return };
        let question = entry.about.asked(target, now).question();
        let known = LastKnown { at: Arc::clone(index), since: now, basis };
        if let Some(kept) = self.shard(&question).get_mut(&question)
            && kept.decided.outcome < Outcome::Defer
        {
            kept.last = Some(Arc::new(known));
        }
    }

    fn entries(&self, now: Time) -> Vec<Entry> {
        let shards =
            self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner));
        shards
            .flat_map(|shard| {
                shard
                    .values()
                    .filter(|e| now.since(e.asked) < REMEMBERED)
                    .cloned()
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    /// Asks again what has run out by now, or was decided by other rules, of the questions about reads that were asked of
    /// late. Tells what has run out and shows something else now, and when the next one runs out. What other rules show
    /// otherwise was told when they were written.
    pub(in crate::handle) fn renew(
        &self,
        index: &Arc<Index>,
        now: Time,
    ) -> (Vec<Arc<About>>, Option<Time>) {
        let (mut flipped, mut next) = (Vec::new(), None::<Time>);
        for entry in self.entries(now) {
            let Some(target) = entry.about.target() else { continue };
            let is_over = entry.until.is_some_and(|until| until <= now);
            let by_others = entry.basis != basis(index);
            let mut until = entry.until;
            if is_over || by_others {
                let decided = self.again(index, &entry, target, now);
                until = decided.ttl.map(|ttl| now + ttl).or_else(|| until.map(|_| now + CLOCK_TTL));
                if !by_others && shows(decided.outcome) != shows(entry.decided.outcome) {
                    flipped.push(entry.about);
                }
            }
            next = [next, until].into_iter().flatten().min();
        }
        (flipped, next)
    }

    /// Decides again without counting it as asked for.
    fn again(&self, index: &Arc<Index>, entry: &Entry, target: Target<'_>, now: Time) -> Decided {
        let asked = entry.about.asked(target, now);
        let (decided, _) = self.look(index, asked);
        let question = asked.question();
        let mut shard = self.shard(&question);
        if decided.scope.is_none() {
            // Nothing binds it any more.
            shard.remove(&question);
        } else if let Some(kept) = shard.get_mut(&question) {
            kept.asked = entry.asked;
        }
        decided
    }
}

/// Whether something is shown that follows the index.
fn shows(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Resolve | Outcome::Attest => 0,
        Outcome::Defer => 1,
        Outcome::Refuse => 2,
    }
}

/// Forgets what nobody asked for of late, and everything when that is not enough.
fn forget(shard: &mut HashMap<Question, Entry, BuildHasherDefault<DefaultHasher>>, now: Time) {
    shard.retain(|_, entry| now.since(entry.asked) < REMEMBERED);
    if shard.len() >= DECISIONS_MAX / SHARDS {
        shard.clear();
    }
}

/// Until when a decision holds.
fn until(decided: &Decided, reads: Reads, now: Time) -> Option<Time> {
    let clock = reads.time.then_some(CLOCK_TTL);
    decided.ttl.or(clock).map(|ttl| now + ttl)
}

fn facts_of(index: &Index, scope: &ScopePath, target: Target<'_>, reads: Reads) -> Facts {
    if !reads.facts {
        return Facts::default();
    }
    let usage = index.usage(scope);
    let of_service = match target {
        Target::Instance(..) | Target::Service(_) => index.service(target.name()),
        _ => None,
    };
    // What is registered anew does not count beside itself.
    let itself = match target {
        Target::Instance(service, node) => index
            .node(node.name.as_str())
            .and_then(|row| row.services.get(service.id.key()))
            .is_some_and(|there| there.service.name == service.name),
        _ => false,
    };
    let of_service = of_service.map_or(0, |row| row.instances.len());
    Facts {
        services: usage.services,
        instances: usage.instances.saturating_sub(u64::from(itself)),
        instances_of_service: u64::try_from(of_service).unwrap_or(u64::MAX) - u64::from(itself),
        keys: usage.keys,
        kv_bytes: usage.kv_bytes,
    }
}

/// Tells a decision that is another than before.
fn told(asked: Asked<'_>, before: Option<&Decided>, decided: &Decided) {
    counter!("consul.anchor.policy.evaluated").increment(1);
    let was = before.map_or(Outcome::Resolve, |before| before.outcome);
    let same = before.map_or(decided.outcome == was, |before| {
        before.outcome == decided.outcome && before.rule == decided.rule
    });
    if same {
        return;
    }
    counter!("consul.anchor.policy.changed", "outcome" => decided.outcome.as_str()).increment(1);
    let scope = decided.scope.as_ref().map_or("", ScopePath::as_str);
    let caller = asked.facts.accessor.as_deref().unwrap_or("anonymous");
    let (action, name) = (asked.action.as_str(), asked.target.name());
    let (outcome, rule) = (decided.outcome.as_str(), &*decided.rule);
    match &decided.fault {
        Some(fault) => {
            counter!("consul.anchor.policy.faults").increment(1);
            tracing::warn!(
                caller,
                action,
                name,
                scope,
                fault = &**fault,
                "a policy failed and defers"
            );
        }
        None => tracing::info!(
            caller,
            action,
            name,
            scope,
            outcome,
            rule,
            was = was.as_str(),
            "a policy decides otherwise than before"
        ),
    }
}

// === impl Entry ===

impl Entry {
    fn holds(&self, rules: &Rules, index: &Index, now: Time) -> bool {
        self.basis == rules.basis
            && self.until.is_none_or(|until| now < until)
            && self.revision.is_none_or(|revision| revision == index.revision())
    }
}

// === impl About ===

impl About {
    fn of(asked: Asked<'_>) -> Self {
        Self {
            facts: asked.facts.clone(),
            scope: asked.scope.clone(),
            action: asked.action,
            name: asked.target.name().into(),
        }
    }

    /// What is read; nothing for other actions.
    fn target(&self) -> Option<Target<'_>> {
        Some(match self.action {
            Action::ReadService => Target::Service(&self.name),
            Action::ReadKey => Target::Key(&self.name, None),
            Action::ReadNode => Target::Node(&self.name),
            Action::ReadSession => Target::Session(&self.name),
            _ => return None,
        })
    }

    fn asked<'a>(&'a self, target: Target<'a>, now: Time) -> Asked<'a> {
        let Self { facts, scope, action, .. } = self;
        Asked { scope, facts, caller: fingerprint(facts), action: *action, target, now }
    }
}
