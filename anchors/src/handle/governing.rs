//! What follows when the rules of scopes change, or when a decision runs out: who is released, and who sees something else.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::Handle;
use super::governance::decisions::{About, Asked, Rules, fingerprint};
use crate::caller::Caller;
use crate::change::{Change, Governing, Restanding, Subject};
use crate::clock::Time;
use crate::index::{Index, Instance, NodeRow, Stamp, WatchKey};
use crate::outcome::Outcome;
use crate::policy::{Action, Decided, Target};
use crate::record::{RecordChange, TableId};
use crate::scope::Hold;

/// The tables by which policies decide.
const TABLES: [TableId; 3] = [TableId::Scope, TableId::ScopePolicy, TableId::Credential];

/// While policies bind somebody it is looked so often what ran out: what a policy looks at may change with any write, and
/// any read may make a decision that runs out.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Decisions that run out are asked again no more often than that.
const PAUSE: Duration = Duration::from_secs(1);

/// Held instances that are looked at in one go.
const HELD_MAX: usize = 1024;

impl Handle {
    /// Lets deferred registrations come alive when the reason is gone, and moves what somebody sees otherwise because a
    /// decision ran out, for ever.
    pub async fn govern(&self) {
        loop {
            let keys = TABLES.map(WatchKey::Table).into();
            let mut changed = self.0.board.watches.subscribe(keys);
            let next = self.govern_now().await;
            tokio::time::sleep(PAUSE).await;
            let Some(next) = next else {
                changed.woken().await;
                continue;
            };
            tokio::select! {
                () = tokio::time::sleep(next.since(self.now())) => {}
                () = changed.woken() => {}
            }
        }
    }

    /// Does what is due. Tells when something will be due again; nothing while there is nothing that could be.
    pub(super) async fn govern_now(&self) -> Option<Time> {
        let (index, now) = (self.snapshot(), self.now());
        let decisions = self.0.governance.decisions();
        let rules = decisions.rules(&index);
        let (flipped, next) = match &rules {
            Some(_) => decisions.renew(&index, now),
            None => (Vec::new(), None),
        };
        let (standings, held) = self.restandings(&index, rules.as_deref(), now);
        let moved = subjects(&flipped);
        if !moved.is_empty() {
            self.submit_own(Governing { moved, ..Governing::default() }).await;
        }
        for standing in standings {
            self.submit_own(Governing { standings: vec![standing], ..Governing::default() }).await;
        }
        let again = (held || rules.is_some()).then(|| now + PAUSE_MAX);
        [next, again].into_iter().flatten().min()
    }

    async fn submit_own(&self, change: Governing) {
        if let Err(refusal) = self.submit(&Caller::own(), Change::Govern(change)).await {
            tracing::warn!(%refusal, "what follows from a policy could not be written and is tried again");
        }
    }

    /// A write of rules with all that follows from it, so that it is one change; any other write as it is.
    pub(super) fn with_effects(&self, index: &Arc<Index>, change: Change) -> Change {
        if !matches!(&change, Change::Records(records) if records.iter().any(governs)) {
            return change;
        }
        let now = self.now();
        let mut next = Index::clone(index);
        let revision = index.revision() + 1;
        let stamp = Stamp { revision, seq: 0, at: now, salt: [0; 16] };
        if !matches!(next.apply(&stamp, &change).verdict, Ok(true)) {
            return change;
        }
        let decisions = self.0.governance.decisions();
        let rules = decisions.preview(&next);
        let moved = subjects(&decisions.flips(index, &next, rules.as_ref(), now));
        let (standings, _) = self.restandings(&next, rules.as_ref(), now);
        match change {
            Change::Records(records) if !moved.is_empty() || !standings.is_empty() => {
                Change::Govern(Governing { records, standings, moved })
            }
            change => change,
        }
    }

    /// Held instances that another rule holds now, or none; and whether any is left.
    fn restandings(
        &self,
        index: &Index,
        rules: Option<&Rules>,
        now: Time,
    ) -> (Vec<Restanding>, bool) {
        let held = index.held().take(HELD_MAX);
        let mut left = false;
        let mut standings = Vec::new();
        for (node, instance, hold) in held {
            let decided = self.decide_again(index, rules, (node, instance, hold), now);
            let next = next_hold(instance, hold, &decided);
            left |= next.is_some();
            if next.as_ref() != Some(hold) {
                let (node, id) = (instance.node.clone(), instance.service.id.clone());
                standings.push(Restanding { node, id, uid: instance.uid, hold: next });
            }
        }
        (standings, left)
    }

    fn decide_again(
        &self,
        index: &Index,
        rules: Option<&Rules>,
        (node, instance, hold): (&NodeRow, &Instance, &Hold),
        now: Time,
    ) -> Decided {
        let (Some(scopes), Some(rules)) = (index.scopes(), rules) else { return Decided::open() };
        let trust = self.0.credentials.trust(index);
        let facts = self.0.governance.facts_of(&hold.caller, index, &trust, now);
        let facts = match facts {
            Ok(facts) => facts,
            Err(denied) => return Decided::rule(Outcome::Refuse, &denied.to_string()),
        };
        let scope = instance.scope.as_ref().unwrap_or(scopes.root());
        let target = Target::Instance(&instance.service, &node.node);
        let (action, caller) = (Action::RegisterService, fingerprint(&facts));
        rules.decide(index, Asked { scope, facts: &facts, caller, action, target, now })
    }
}

/// Why an instance is held from now on. One that would be refused now stays held: it was admitted once, and it is not for a
/// timer to take it away.
fn next_hold(instance: &Instance, hold: &Arc<Hold>, decided: &Decided) -> Option<Arc<Hold>> {
    match decided.outcome {
        Outcome::Resolve | Outcome::Attest => None,
        Outcome::Defer | Outcome::Refuse => {
            let scope = decided.scope.clone().or_else(|| instance.scope.clone());
            let scope = scope.unwrap_or_else(|| hold.scope.clone());
            let same = scope == hold.scope && *decided.rule == *hold.rule;
            let rule = (*decided.rule).into();
            let other = || Arc::new(Hold { scope, rule, ..Hold::clone(hold) });
            Some(if same { Arc::clone(hold) } else { other() })
        }
    }
}

fn governs(change: &RecordChange) -> bool {
    let table = match change {
        RecordChange::Put { record, .. } => record.table(),
        RecordChange::Remove { table, .. } => *table,
    };
    TABLES.contains(&table)
}

fn subjects(flipped: &[Arc<About>]) -> Vec<Subject> {
    let subject = |about: &Arc<About>| match about.action {
        Action::ReadService => Some(Subject::Service(about.name.as_ref().into())),
        Action::ReadNode => Some(Subject::Node(about.name.as_ref().into())),
        Action::ReadKey => Some(Subject::Key(about.name.clone())),
        Action::ReadSession => Some(Subject::Sessions),
        _ => None,
    };
    let all: BTreeSet<Subject> = flipped.iter().filter_map(subject).collect();
    all.into_iter().collect()
}
