//! What this anchor decides about a question: for its own callers, for those of its neighbours, and for what passes through.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::Handle;
use crate::acl::rules::Rules;
use crate::acl::{self, Authority};
use crate::caller::Caller;
use crate::clock::Time;
use crate::credential::{Adjacency, Role};
use crate::error::Refusal;
use crate::handle::governance::decisions::{Asked, fingerprint};
use crate::handle::governance::reads::{Narrowing, folded, owner};
use crate::index::Index;
use crate::outcome::Outcome;
use crate::policy::{Action, Target, Verdict};
use crate::query::Query;
use crate::record::TableId;
use crate::scope::{CallerFacts, ScopePath};
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

/// Moves whenever anybody may be decided about otherwise.
pub(super) fn mark(index: &Index) -> u64 {
    TABLES.iter().map(|table| index.table_mark(*table)).sum()
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
                (Action::ReadService, Target::Service(name.key()))
            }
            Query::Key(key) | Query::Keys(key) => (Action::ReadKey, Target::Key(key, None)),
            Query::Node(name) => (Action::ReadNode, Target::Node(name)),
            Query::NodeChecks(name) => (Action::ReadNode, Target::Node(name.key())),
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
        let name = spelled(target);
        let far = format!("{}/{name}", question.target);
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

    /// Whose what is asked for is: the scope that the name is delegated to, else the datacenter's own. Whoever asks has no say
    /// in it.
    pub(super) fn owner(&self, index: &Index, question: &Question) -> ScopePath {
        let (_, target) = act(&question.subject);
        index.scopes().map_or_else(|| self.root(), |scopes| owner(index, scopes, target))
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
        let facts = self.facts_of(asker);
        let caller = fingerprint(&facts);
        let name = spelled(target);
        let target = match target {
            Target::Service(_) => Target::Service(&name),
            Target::Node(_) => Target::Node(&name),
            _ => target,
        };
        let asked = Asked { scope, facts: &facts, caller, action, target, now };
        let decided = self.0.governance.decisions().decide(index, asked);
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
        asker: &Asker,
        (action, target): (Action, Target<'_>),
    ) -> Vec<Verdict> {
        let Some(scopes) = index.scopes() else { return Vec::new() };
        let facts = self.facts_of(asker);
        let (caller, now) = (fingerprint(&facts), self.now());
        let asked = Asked { scope, facts: &facts, caller, action, target, now };
        self.0.governance.decisions().explain(index, scopes, asked).1
    }

    /// An asker as policies are told of it.
    fn facts_of(&self, asker: &Asker) -> CallerFacts {
        facts(asker, &self.root())
    }

    /// What a list shows of an index to an asker: policies leave out line by line.
    pub(super) fn narrowed(
        &self,
        index: &Arc<Index>,
        authority: Authority,
        asker: &Asker,
    ) -> Authority {
        let decisions = self.0.governance.decisions();
        if decisions.rules(index).is_none() {
            return authority;
        }
        let narrowing = Narrowing::new(decisions, index, self.facts_of(asker), self.now());
        authority.narrowed(Arc::new(narrowing))
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
        let scope = index.scopes().and_then(|scopes| scopes.get(&owner));
        Terms {
            on_partition: scope.map(|scope| scope.on_partition).unwrap_or_default(),
            max_stale_seconds: scope.map_or(0, |scope| scope.max_stale_seconds),
            mark: mark(index),
        }
    }
}

/// The name of a target as policies are told it: names of the catalog are the same in any case, all others are not.
fn spelled(target: Target<'_>) -> Cow<'_, str> {
    match target {
        Target::Service(name) | Target::Node(name) => folded(name),
        Target::Key(name, _) | Target::Other(_, name) => Cow::Borrowed(name),
        _ => Cow::Owned(target.name().to_owned()),
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
