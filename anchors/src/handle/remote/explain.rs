//! The way of a question, told: who decided what by which rule, and where the answer came from.

use std::time::Duration;

use super::Handle;
use super::follow::{FarFault, View};
use super::judge::act;
use crate::acl::{Act, Authority};
use crate::caller::Caller;
use crate::index::Index;
use crate::outcome::Outcome;
use crate::policy::{Target, Verdict};
use crate::query::Query;
use crate::scope::{OnPartition, ScopePath};
use crate::traversal::adjacency::{self, Standing};
use crate::traversal::{Asker, Hop, Question, Subject};

/// The way of a question about a service.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The scope that answers for it.
    pub owner: ScopePath,
    /// Who asks.
    pub asker: Asker,
    /// Whether the rules of access control let the caller see the service.
    pub acl: bool,
    /// What each policy said here.
    pub verdicts: Vec<Verdict>,
    /// The hops, the own one first.
    pub hops: Vec<Told>,
    /// The strictest of what was decided.
    pub outcome: Outcome,
    /// Where the answer came from.
    pub source: Source,
    /// The index that a read carries.
    pub index: u64,
    /// How old the answer is.
    pub age: Duration,
    /// What is answered while the owner cannot be reached.
    pub on_partition: OnPartition,
    /// How the adjacency with the owner stands, where there is one.
    pub adjacency: Option<Standing>,
    /// The instances that are shown: node, id, uid, and the entry of the lineage that last spoke of each.
    pub instances: Vec<(Box<str>, Box<str>, uuid::Uuid, u64)>,
}

/// What a hop decided.
#[derive(Clone, Debug)]
pub struct Told {
    /// Its scope.
    pub scope: ScopePath,
    /// What.
    pub outcome: Outcome,
    /// By which rule.
    pub rule: Box<str>,
    /// For how long, in seconds, that may be kept.
    pub ttl_seconds: u64,
    /// The key that signed it, where it was signed.
    pub key: Option<Box<str>>,
}

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The own index.
    Own,
    /// Another scope, asked just now.
    Asked,
    /// Another scope, whose answer is followed.
    Followed,
    /// What was known of a scope that cannot be asked now.
    LastKnown,
    /// Nobody: there is no way, or nothing was ever known.
    Nobody,
}

// === impl Source ===

impl Source {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Asked => "asked",
            Self::Followed => "followed",
            Self::LastKnown => "last-known",
            Self::Nobody => "nobody",
        }
    }
}

impl From<&Hop> for Told {
    fn from(hop: &Hop) -> Self {
        Self {
            scope: hop.scope.clone(),
            outcome: hop.outcome,
            rule: hop.rule.clone(),
            ttl_seconds: hop.ttl_seconds,
            key: Some(hop.key.clone()),
        }
    }
}

impl Handle {
    /// Asks about a service, and tells the way.
    ///
    /// # Errors
    /// [`FarFault::Refused`]: the caller is not known.
    pub async fn explain(
        &self,
        caller: &Caller,
        target: &ScopePath,
        service: &str,
        travel: Duration,
    ) -> Result<Explanation, FarFault> {
        let subject = Subject::Read(Query::Health(service.into()));
        if target.datacenter() == self.root().as_str() {
            return Ok(self.explain_here(caller, target, &subject, service)?);
        }
        let (journey, authority) = self.journey(caller, target, &subject, "read", travel)?;
        let followed = self.0.remote.kept.of(&journey.question);
        let view = self.view(&followed, &journey).await;
        let index = self.snapshot();
        let record = self.record_of(target);
        let told = self.told(&index, &journey.question, &authority, service);
        let told = Explanation {
            on_partition: followed.state().terms.on_partition,
            adjacency: record.map(|record| adjacency::standing(&record, self.now())),
            ..told
        };
        Ok(match view {
            Ok(view) => with_view(told, &view, (service, &authority)),
            Err(_) => {
                let own = journey.own;
                let own = Told {
                    scope: self.root(),
                    outcome: own.outcome,
                    rule: own.rule,
                    ttl_seconds: own.ttl.as_secs(),
                    key: None,
                };
                Explanation { hops: vec![own], outcome: Outcome::Defer, ..told }
            }
        })
    }

    fn explain_here(
        &self,
        caller: &Caller,
        target: &ScopePath,
        subject: &Subject,
        service: &str,
    ) -> Result<Explanation, crate::error::Refusal> {
        let index = self.snapshot();
        let authority = self.authority_at(caller, &index)?;
        let asker = self.asker(caller, &authority, &index);
        let question = Question {
            target: target.clone(),
            action: "read".into(),
            subject: subject.clone(),
            asker,
        };
        let told = self.told(&index, &question, &authority, service);
        let (action, of) = act(subject);
        let decided = self.judge(&index, &told.owner, &question.asker, action, of, self.now());
        let hop = Told {
            scope: told.owner.clone(),
            outcome: decided.outcome,
            rule: decided.rule,
            ttl_seconds: decided.ttl.as_secs(),
            key: None,
        };
        let shown = decided.outcome <= Outcome::Attest;
        Ok(Explanation {
            hops: vec![hop],
            outcome: decided.outcome,
            source: Source::Own,
            index: index.index_of(&Query::Health(service.into())),
            instances: if shown { instances(&index, service, &authority) } else { Vec::new() },
            ..told
        })
    }

    /// What is known of a question here, before anybody is asked.
    fn told(
        &self,
        index: &Index,
        question: &Question,
        authority: &Authority,
        service: &str,
    ) -> Explanation {
        let here = question.target.datacenter() == self.root().as_str();
        let owner = if here { self.owner(index, question) } else { self.root() };
        let (action, of) = act(&question.subject);
        let far = format!("{}/{}", question.target, of.name());
        let of = if here { of } else { Target::Other("remote", &far) };
        let terms = self.terms(index, question);
        Explanation {
            verdicts: self.verdicts(index, &owner, &question.asker, (action, of)),
            owner: if here { owner } else { question.target.clone() },
            asker: question.asker.clone(),
            acl: authority.allows(Act::service_read(service)),
            hops: Vec::new(),
            outcome: Outcome::Resolve,
            source: Source::Nobody,
            index: 0,
            age: Duration::ZERO,
            on_partition: terms.on_partition,
            adjacency: None,
            instances: Vec::new(),
        }
    }
}

fn with_view(
    told: Explanation,
    view: &View,
    (service, authority): (&str, &Authority),
) -> Explanation {
    let source = match (view.outcome, view.warm) {
        (Outcome::Defer, _) => Source::LastKnown,
        (_, true) => Source::Followed,
        (_, false) => Source::Asked,
    };
    Explanation {
        hops: view.way.0.iter().map(Told::from).collect(),
        outcome: view.outcome,
        source,
        index: view.index,
        age: view.age,
        instances: instances(&view.at, service, authority),
        ..told
    }
}

/// The instances that access control lets be seen.
fn instances(
    index: &Index,
    service: &str,
    authority: &Authority,
) -> Vec<(Box<str>, Box<str>, uuid::Uuid, u64)> {
    let rows = index.service(service).into_iter().flat_map(|row| row.instances.values());
    let rows = rows.filter(|row| {
        authority.allows(Act::service_read(row.service.name.as_str()))
            && authority.allows(Act::node_read(row.node.as_str()))
    });
    rows.map(|row| (row.node.as_str().into(), row.service.id.as_str().into(), row.uid, row.entry))
        .collect()
}
