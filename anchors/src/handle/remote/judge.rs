//! What this anchor decides about a question: for its own callers, for those of its neighbours, and for what passes through.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::Handle;
use crate::acl::rules::Rules;
use crate::acl::{self, Authority};
use crate::caller::Caller;
use crate::clock::Time;
use crate::credential::{Adjacency, Role};
use crate::error::Refusal;
use crate::index::Index;
use crate::outcome::Outcome;
use crate::policy::{Action, Facts, Input, PolicySet, Target};
use crate::query::Query;
use crate::record::TableId;
use crate::scope::{CallerFacts, ScopePath, ScopePolicy, Scopes};
use crate::traversal::adjacency::{self, Standing, TRANSIT};
use crate::traversal::{Asker, Decided, Question, Subject, Terms};

/// For how long a decision is kept that its policy sets no end to.
const DECISION_TTL: Duration = Duration::from_secs(300);

/// On these tables it depends what is decided about anybody.
pub(super) const TABLES: [TableId; 8] = [
    TableId::Token,
    TableId::Policy,
    TableId::Role,
    TableId::Scope,
    TableId::ScopePolicy,
    TableId::Credential,
    TableId::Adjacency,
    TableId::Alias,
];

/// The scopes and policies of an index, kept while their tables stand.
#[derive(Default)]
pub(super) struct Judge(ArcSwap<Compiled>);

#[derive(Default)]
struct Compiled {
    marks: [u64; 2],
    scopes: Option<Arc<Scopes>>,
    policies: PolicySet,
}

/// Moves whenever anybody may be decided about otherwise.
pub(super) fn mark(index: &Index) -> u64 {
    TABLES.iter().map(|table| index.table_mark(*table)).sum()
}

// === impl Judge ===

impl Judge {
    fn compiled(&self, index: &Index, root: &ScopePath) -> (Arc<Scopes>, PolicySet) {
        let marks = [TableId::Scope, TableId::ScopePolicy].map(|table| index.table_mark(table));
        let kept = self.0.load();
        if let Some(scopes) = kept.scopes.as_ref().filter(|_| kept.marks == marks) {
            return (Arc::clone(scopes), kept.policies.clone());
        }
        let scopes = Arc::new(Scopes::of(index, root));
        let records = index.records::<ScopePolicy>().map(|row| &row.record);
        let policies = PolicySet::of(records, &kept.policies);
        let compiled =
            Compiled { marks, scopes: Some(Arc::clone(&scopes)), policies: policies.clone() };
        self.0.store(Arc::new(compiled));
        (scopes, policies)
    }
}

/// What is to be done with what, in the words of policies.
pub(super) fn act(subject: &Subject) -> (Action, Target<'_>) {
    match subject {
        Subject::Resolve(path) => (Action::ReadService, Target::Other("path", path)),
        Subject::Read(query) => match query {
            Query::Service(name)
            | Query::Health(name)
            | Query::Connect(name)
            | Query::HealthConnect(name)
            | Query::ServiceChecks { service: name, .. } => {
                (Action::ReadService, Target::Service(name.as_str()))
            }
            Query::Key(key) | Query::Keys(key) => (Action::ReadKey, Target::Key(key, None)),
            Query::Node(name) => (Action::ReadNode, Target::Node(name)),
            Query::NodeChecks(name) => (Action::ReadNode, Target::Node(name.as_str())),
            Query::Nodes => (Action::ReadNode, Target::Other("list", "nodes")),
            Query::Checks { .. } => (Action::ReadNode, Target::Other("list", "checks")),
            _ => (Action::ReadService, Target::Other("list", "services")),
        },
    }
}

fn refused(rule: &str) -> Decided {
    Decided { outcome: Outcome::Refuse, rule: rule.into(), ttl: DECISION_TTL }
}

impl Handle {
    /// What is known of a caller, as it is told to other scopes.
    pub(super) fn asker(&self, caller: &Caller, authority: &Authority, index: &Index) -> Asker {
        let token = authority.accessor().and_then(|accessor| index.record::<acl::Token>(accessor));
        let named = |ids: &[Box<str>]| -> Vec<Box<str>> {
            let found = ids.iter().filter_map(|id| index.record::<acl::Policy>(id));
            found.map(|row| row.record.name.clone()).collect()
        };
        let roles = token.map_or(&[][..], |row| &row.record.roles);
        let roles = roles.iter().filter_map(|id| index.record::<acl::Role>(id));
        let method = token.map(|row| row.record.auth_method.clone());
        Asker {
            scope: self.root(),
            accessor: authority.accessor().map(Into::into),
            policies: token.map_or_else(Vec::new, |row| named(&row.record.policies)),
            roles: roles.map(|row| row.record.name.clone()).collect(),
            auth_method: method.filter(|method| !method.is_empty()),
            source: caller.address,
        }
    }

    /// What the own policy says about a question that is to leave for another scope.
    pub(super) fn judge_leaving(&self, index: &Index, question: &Question, now: Time) -> Decided {
        let (action, target) = act(&question.subject);
        let far = format!("{}/{}", question.target, target.name());
        self.judge(index, &self.root(), &question.asker, action, Target::Other("remote", &far), now)
    }

    /// What this anchor says about a question of a neighbour: by the adjacency, then by the policies of whose it is.
    pub(super) fn judge_coming(
        &self,
        index: &Index,
        adjacency: &Adjacency,
        question: &Question,
        now: Time,
    ) -> Decided {
        match adjacency::standing(adjacency, now) {
            Standing::Live => {}
            Standing::Expired => return refused("adjacency/expired"),
            Standing::Revoked | Standing::Pending => return refused("adjacency/revoked"),
        }
        let (action, target) = act(&question.subject);
        let here = question.target.datacenter() == self.root().as_str();
        let asked = if here { action.as_str() } else { TRANSIT };
        if !question.subject.travels() || !adjacency::allows(adjacency, asked) {
            return refused("adjacency/actions");
        }
        let owner = if here { self.owner(index, question) } else { self.root() };
        let until = match self.peer_until(index, adjacency, &owner, asked, now) {
            Ok(until) => until,
            Err(rule) => return refused(&rule),
        };
        let decided = if here {
            self.judge(index, &owner, &question.asker, action, target, now)
        } else {
            self.judge_leaving(index, question, now)
        };
        // What is decided under an adjacency and a credential holds no longer than these.
        Decided { ttl: decided.ttl.min(until.since(now)), ..decided }
    }

    /// Until when a neighbour may ask: by its adjacency, and by its credential as a peer where it has one.
    ///
    /// # Errors
    /// The rule by which it may not.
    fn peer_until(
        &self,
        index: &Index,
        adjacency: &Adjacency,
        owner: &ScopePath,
        action: &str,
        now: Time,
    ) -> Result<Time, Box<str>> {
        let trust = self.trust_at(index);
        let subject = format!("ed25519:{}", adjacency.key);
        let found = trust.covering_as(Role::Peer, &subject, owner, action, now);
        let until = match found {
            Ok(known) => known.and_then(|known| trust.until(known, now)),
            Err(uncovered) => return Err(uncovered.rule.into()),
        };
        Ok(until.unwrap_or(adjacency.until).min(adjacency.until))
    }

    /// Whose what is asked for is: the scope that is named, or the one that the name is delegated to.
    pub(super) fn owner(&self, index: &Index, question: &Question) -> ScopePath {
        let root = self.root();
        let (scopes, _) = self.0.remote.judge.compiled(index, &root);
        let owner = match act(&question.subject).1 {
            Target::Service(name) => scopes.owner_of_service(&name.to_lowercase()).cloned(),
            Target::Key(key, _) => scopes.owner_of_key(key).cloned(),
            _ => None,
        };
        owner.unwrap_or_else(|| question.target.clone())
    }

    pub(super) fn judge(
        &self,
        index: &Index,
        scope: &ScopePath,
        asker: &Asker,
        action: Action,
        target: Target<'_>,
        now: Time,
    ) -> Decided {
        let root = self.root();
        let (scopes, policies) = self.0.remote.judge.compiled(index, &root);
        let facts = facts(asker, &root);
        let input = Input { caller: &facts, action, target, time: now, facts: Facts::default() };
        let decided = policies.decide(scopes.chain(scope), &input);
        Decided {
            outcome: decided.outcome,
            rule: decided.rule.as_ref().into(),
            ttl: decided.ttl.unwrap_or(DECISION_TTL),
        }
    }

    /// What each policy that binds a scope says.
    pub(super) fn verdicts(
        &self,
        index: &Index,
        scope: &ScopePath,
        input: &Input<'_>,
    ) -> Vec<crate::policy::Verdict> {
        let (scopes, policies) = self.0.remote.judge.compiled(index, &self.root());
        policies.explain(scopes.chain(scope), input)
    }

    /// An asker as policies are told of it.
    pub(super) fn facts_of(&self, asker: &Asker) -> CallerFacts {
        facts(asker, &self.root())
    }

    pub(super) fn scopes_at(&self, index: &Index) -> Arc<Scopes> {
        self.0.remote.judge.compiled(index, &self.root()).0
    }

    /// What the callers of a neighbour may see of this index.
    pub(super) fn authority_over(
        &self,
        index: &Index,
        adjacency: &Adjacency,
    ) -> Result<Authority, Refusal> {
        if !self.acl().enabled {
            return Ok(Authority::open());
        }
        if adjacency.policies.is_empty() {
            return self.authority_at(&Caller::default(), index);
        }
        let named = adjacency.policies.iter();
        let found =
            named.filter_map(|name| index.record_named::<acl::Policy>(&name.to_lowercase()));
        let rules: Vec<Rules> =
            found.filter_map(|row| Rules::parse(&row.record.rules).ok()).collect();
        Ok(Authority::of_rules(&rules))
    }

    /// What others may do with an answer of the scope that owns it.
    pub(super) fn terms(&self, index: &Index, question: &Question) -> Terms {
        let owner = self.owner(index, question);
        let (scopes, _) = self.0.remote.judge.compiled(index, &self.root());
        let scope = scopes.get(&owner);
        Terms {
            on_partition: scope.map(|scope| scope.on_partition).unwrap_or_default(),
            max_stale_seconds: scope.map_or(0, |scope| scope.max_stale_seconds),
            mark: mark(index),
        }
    }
}

/// An asker as policies are told of it.
fn facts(asker: &Asker, root: &ScopePath) -> CallerFacts {
    let home = (asker.scope.datacenter() != root.datacenter()).then(|| asker.scope.as_str().into());
    CallerFacts {
        accessor: asker.accessor.as_deref().map(Into::into),
        policies: asker.policies.clone().into(),
        roles: asker.roles.clone().into(),
        auth_method: asker.auth_method.as_deref().map(Into::into),
        source: asker.source,
        home,
        ..CallerFacts::default()
    }
}
