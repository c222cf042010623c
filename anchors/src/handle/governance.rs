//! What the scopes decide about a write, after the rules of access control allowed it.
//!
//! Whose a thing is comes first (`parts`), then whether the scope takes one more write now, then what its policy and those
//! above it say. Without a scope none of it is looked at.

mod asker;
pub(super) mod decisions;
mod parts;
pub(super) mod reads;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;

use self::asker::Askers;
use self::decisions::{Asked, Decisions, fingerprint};
use self::parts::{Part, Placing, denied};
use crate::acl::Authority;
use crate::caller::Caller;
use crate::change::Change;
use crate::clock::Time;
use crate::credential::CredentialRecord;
use crate::credential::Trust;
use crate::credential::trust::Spoken;
use crate::error::Refusal;
use crate::index::Index;
use crate::limits::{REFUSALS_TOLD_PER_SECOND, SCOPES_MAX};
use crate::outcome::Outcome;
use crate::policy::{Action, Decided, Target};
use crate::scope::rate::Meter;
use crate::scope::{CallerFacts, Hold, Registrant, ScopePath, Scopes};
use crate::txn::TxnOp;

/// Decides for the scopes of an index.
pub(super) struct Governance {
    root: ScopePath,
    /// Where things go that are nobody's.
    default: ArcSwapOption<ScopePath>,
    askers: Askers,
    decisions: Arc<Decisions>,
    meters: Mutex<HashMap<ScopePath, Meter>>,
    /// Of refusals that were written down.
    told: Mutex<HashMap<ScopePath, Meter>>,
}

/// What was decided about a write, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// Never [`Outcome::Refuse`]: that is an error.
    pub outcome: Outcome,
    /// The rule that decided.
    pub rule: Box<str>,
    /// The scope in whose lineage the write is recorded, where it is not the datacenter's own.
    pub scope: Option<ScopePath>,
    /// The credential under which it was admitted, by id.
    pub credential: Option<Box<str>>,
}

/// Who asks, of which state, and when.
#[derive(Clone, Copy)]
pub(super) struct Asking<'a> {
    pub(super) caller: &'a Caller,
    pub(super) authority: &'a Authority,
    pub(super) index: &'a Index,
    pub(super) trust: &'a Trust,
    pub(super) now: Time,
}

// === impl Governance ===

impl Governance {
    pub(super) fn new(root: ScopePath) -> Self {
        Self {
            root,
            default: ArcSwapOption::empty(),
            askers: Askers::default(),
            decisions: Arc::default(),
            meters: Mutex::default(),
            told: Mutex::default(),
        }
    }

    /// The scope of the datacenter itself.
    pub(super) fn root(&self) -> &ScopePath {
        &self.root
    }

    /// From now on things that are nobody's go there.
    pub(super) fn set_default(&self, scope: Option<ScopePath>) {
        self.default.store(scope.map(Arc::new));
    }

    /// Finds whose a write is, writes that into it, and has its scope decide. `rule` is the rule of access control that let
    /// it through. Where `is_meant` is false it is only asked for, and counts for nothing.
    ///
    /// # Errors
    /// [`Refusal::Denied`] with the scope and its rule, [`Refusal::OtherOwner`], or [`Refusal::TooFast`].
    pub(super) fn admit(
        &self,
        asking: Asking<'_>,
        change: &mut Change,
        rule: &str,
        is_meant: bool,
    ) -> Result<Ruling, Refusal> {
        let plain =
            Ruling { outcome: Outcome::Resolve, rule: rule.into(), scope: None, credential: None };
        let Some(scopes) = asking.index.scopes() else { return Ok(plain) };
        let facts = self.facts(asking)?;
        let default = self.default.load();
        let placing = Placing {
            scopes,
            index: asking.index,
            asks: scopes.scope_of(&facts).filter(|_| !asking.caller.own),
            default: default.as_deref().filter(|at| !asking.caller.own && scopes.get(at).is_some()),
        };
        placing.place(change)?;
        let parts = placing.parts(change)?;
        let scope = lineage_of(&parts, scopes.root());
        if asking.caller.own {
            return Ok(Ruling { scope, ..plain });
        }
        if is_meant {
            self.take_writes(scopes, &parts, asking.now)?;
        }
        let (decided, holds) = self.judge(asking, &facts, &parts)?;
        drop(parts);
        hold(change, &holds, asking);
        let rule = if decided.scope.is_some() { (*decided.rule).into() } else { plain.rule };
        let credential = facts.credential.as_ref().map(|credential| credential.id.clone());
        Ok(Ruling { outcome: decided.outcome, rule, scope, credential })
    }

    /// What is known of a caller.
    ///
    /// # Errors
    /// [`Refusal::Denied`] when its credentials do not hold any more.
    pub(super) fn facts(&self, asking: Asking<'_>) -> Result<CallerFacts, Refusal> {
        let Asking { caller, authority, index, trust, now } = asking;
        vouched(self.askers.of(caller, authority, index), index, trust, now)
    }

    /// The same of somebody who registered something before.
    ///
    /// # Errors
    /// As [`Governance::facts`].
    pub(super) fn facts_of(
        &self,
        registrant: &Registrant,
        index: &Index,
        trust: &Trust,
        now: Time,
    ) -> Result<CallerFacts, Refusal> {
        vouched(self.askers.again(registrant, index), index, trust, now)
    }

    /// The strictest of what is decided about each part, and what is held, by operation.
    fn judge(
        &self,
        asking: Asking<'_>,
        facts: &CallerFacts,
        parts: &[Part<'_>],
    ) -> Result<(Decided, Vec<(usize, Hold)>), Refusal> {
        let (mut all, mut holds) = (Decided::open(), Vec::new());
        for part in parts {
            self.covers(asking, facts, part)?;
            let decided = self.decide(asking, facts, part);
            let by = decided.scope.as_ref().unwrap_or(&part.scope);
            match (decided.outcome, part.action) {
                (Outcome::Resolve | Outcome::Attest, _) => {}
                // What runs is not taken away because it is told once more.
                (Outcome::Defer, Action::RegisterService) if is_there(asking.index, part) => {
                    continue;
                }
                (Outcome::Defer, Action::RegisterService) => {
                    let rule = (*decided.rule).into();
                    let (scope, since) = (by.clone(), asking.now);
                    let caller = registrant(facts);
                    holds.push((part.op, Hold { scope, rule, since, caller }));
                }
                // There is nothing of it that could be held.
                (Outcome::Defer | Outcome::Refuse, _) => return Err(denied(by, &decided.rule)),
            }
            let open = all.scope.is_none();
            all = if open && decided.outcome == all.outcome { decided } else { all.and(decided) };
        }
        Ok((all, holds))
    }

    /// Whether the caller's credential, where it has one, is one for this.
    fn covers(
        &self,
        asking: Asking<'_>,
        facts: &CallerFacts,
        part: &Part<'_>,
    ) -> Result<(), Refusal> {
        let (Some(credential), Some(accessor)) = (&facts.credential, &facts.accessor) else {
            return Ok(());
        };
        // Nodes and sessions are no scope's names: whoever speaks for one brings them along.
        let scope = match part.action {
            Action::WriteNode | Action::WriteSession => &credential.scope,
            _ => &part.scope,
        };
        let action = part.action.as_str();
        asking
            .trust
            .covering(&subject(accessor), scope, action, asking.now)
            .map(drop)
            .map_err(|uncovered| denied(&uncovered.scope, uncovered.rule))
    }

    fn decide(&self, asking: Asking<'_>, facts: &CallerFacts, part: &Part<'_>) -> Decided {
        let Part { scope, action, target, .. } = part;
        let (caller, now) = (fingerprint(facts), asking.now);
        let asked = Asked { scope, facts, caller, action: *action, target: *target, now };
        self.decisions.decide(asking.index, asked)
    }

    /// What policies decide.
    pub(super) fn decisions(&self) -> &Arc<Decisions> {
        &self.decisions
    }

    /// Whether one more refusal of a scope is written down now.
    pub(super) fn tells_refusal(&self, scope: &ScopePath, now: Time) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() > SCOPES_MAX {
            told.clear();
        }
        let meter = told.entry(scope.clone()).or_default();
        let after = meter.after_one(REFUSALS_TOLD_PER_SECOND, now);
        after.inspect(|after| *meter = *after).is_some()
    }

    /// Counts a write with every scope above what it writes.
    fn take_writes(&self, scopes: &Scopes, parts: &[Part<'_>], now: Time) -> Result<(), Refusal> {
        let mut taken: HashMap<&ScopePath, Meter> = HashMap::new();
        let mut meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        for scope in parts.iter().flat_map(|part| scopes.chain(&part.scope)) {
            let Some(per_second) = scope.budget.writes_per_second else { continue };
            let meter = meters.get(&scope.path).copied().unwrap_or_default();
            let too_fast = || Refusal::TooFast { scope: scope.path.clone(), per_second };
            taken.insert(&scope.path, meter.after_one(per_second, now).ok_or_else(too_fast)?);
        }
        if meters.len() > SCOPES_MAX {
            meters.clear();
        }
        meters.extend(taken.into_iter().map(|(path, meter)| (path.clone(), meter)));
        Ok(())
    }
}

/// Facts with the credential that speaks for the token.
fn vouched(
    mut facts: CallerFacts,
    index: &Index,
    trust: &Trust,
    now: Time,
) -> Result<CallerFacts, Refusal> {
    if let Some(accessor) = facts.accessor.as_ref().filter(|_| !trust.is_empty()) {
        match trust.speaks(&subject(accessor), now) {
            Spoken::Unbound => {}
            Spoken::For(known) => {
                let row = index.record::<CredentialRecord>(&known.id);
                facts.credential = row.map(|row| Arc::new(row.record.clone()));
            }
            Spoken::Refused(uncovered) => {
                return Err(denied(&uncovered.scope, uncovered.rule));
            }
        }
    }
    Ok(facts)
}

/// Whether an instance is there as it would be registered, and not held.
fn is_there(index: &Index, part: &Part<'_>) -> bool {
    let Target::Instance(service, node) = part.target else { return false };
    let row = index.node(node.name.as_str());
    let there = row.and_then(|row| row.services.get(service.id.key()));
    there.is_some_and(|there| there.hold.is_none() && there.service == *service)
}

fn registrant(facts: &CallerFacts) -> Registrant {
    let CallerFacts { accessor, listener, source, .. } = facts;
    Registrant { accessor: accessor.clone(), listener: listener.clone(), source: *source }
}

/// How credentials name a token.
pub(super) fn subject(accessor: &str) -> String {
    format!("accessor:{}", accessor.to_ascii_lowercase())
}

/// Where a write is recorded: in the lineage of the scope whose all of it is; else in the datacenter's own.
fn lineage_of(parts: &[Part<'_>], root: &ScopePath) -> Option<ScopePath> {
    let mut scopes = parts.iter().filter(|part| part.leads).map(|part| &part.scope);
    let first = scopes.next().filter(|first| *first != root)?;
    scopes.all(|scope| scope == first).then(|| first.clone())
}

/// Writes into a change what of it nobody is sent to yet. What was held for the same reason before is held since then.
fn hold(change: &mut Change, holds: &[(usize, Hold)], asking: Asking<'_>) {
    let since = |node: &str, id: &str, hold: &Hold| {
        let row = asking.index.node(node);
        let there = row.and_then(|row| row.services.get(id)).and_then(|row| row.hold.clone());
        let same = there.filter(|there| there.scope == hold.scope && there.rule == hold.rule);
        Some(same.unwrap_or_else(|| Arc::new(hold.clone())))
    };
    match change {
        Change::Register(registration) => {
            let id = registration.service.as_ref().map_or("", |service| service.id.key());
            let first = holds.first();
            registration.hold =
                first.and_then(|(_, hold)| since(registration.node.name.as_str(), id, hold));
        }
        Change::Txn(ops) => {
            for (at, hold) in holds {
                if let Some(TxnOp::Service(op)) = ops.get_mut(*at) {
                    op.standing.hold = since(op.node.as_str(), op.service.id.key(), hold);
                }
            }
        }
        _ => {}
    }
}
