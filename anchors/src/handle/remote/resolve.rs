//! Paths at the door: how far one leads, here or in another scope, and the signed answer of whoever attests to it.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Handle;
use super::follow::{FarFault, Journey};
use super::kept::Followed;
use crate::acl::{Act, Authority};
use crate::caller::Caller;
use crate::credential::dsse::{self, Envelope};
use crate::credential::statement::second_of;
use crate::index::Index;
use crate::outcome::Outcome;
use crate::policy::{Action, Target};
use crate::scope::{ScopePath, Scopes};
use crate::traversal::resolve::{Candidate, Kind, Matched, resolve};
use crate::traversal::{
    Asker, HopDocument, RECORDS_MAX, RESOLUTION_SECONDS, RESOLUTION_TYPE, Recorded,
    ResolutionDocument, Signed, Subject, Way,
};

/// The rule by which access control keeps something from a caller.
const ACL: &str = "acl";

/// How far a path leads, and over which hops that is known.
#[derive(Clone, Debug)]
pub struct Resolution {
    /// What is known of it; nothing when a hop did not let the question through.
    pub matched: Option<Matched>,
    /// The strictest of what was decided.
    pub outcome: Outcome,
    /// The rule that decided.
    pub rule: Box<str>,
    /// The hops, where another scope was asked.
    pub way: Option<Arc<Way>>,
    /// How old it is.
    pub age: Duration,
    /// What the scope that owns it signed of it, an envelope as JSON, where that is another one and attested.
    pub statement: Option<Box<str>>,
}

/// What an owner tells another scope of a path.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Told {
    #[serde(flatten)]
    matched: Matched,
    /// Its signed answer, where it attests to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    statement: Option<Box<str>>,
}

// === impl Resolution ===

impl Resolution {
    fn here(matched: Matched, outcome: Outcome, rule: Box<str>) -> Self {
        let (way, age, statement) = (None, Duration::ZERO, None);
        Self { matched: Some(matched), outcome, rule, way, age, statement }
    }

    /// The answer as it is told.
    pub fn document(&self) -> ResolutionDocument<'_> {
        let matched = self.matched.as_ref();
        let of = |text: fn(&Matched) -> &str| matched.map_or("", text);
        ResolutionDocument {
            outcome: self.outcome,
            rule: &self.rule,
            kind: matched.and_then(|matched| matched.kind),
            uid: matched.and_then(|matched| matched.uid),
            matched: of(|matched| &matched.matched),
            rest: of(|matched| &matched.rest),
            owner: matched.map(|matched| &matched.owner),
            service: matched.and_then(|matched| matched.target.as_deref()),
            records: matched.map_or(&[], |matched| &matched.records),
            age_seconds: self.age.as_secs(),
            chain: self.chain(),
            signed: None,
        }
    }

    fn chain(&self) -> Vec<HopDocument<'_>> {
        let Some(way) = &self.way else {
            let (outcome, rule) = (self.outcome, &*self.rule);
            let hop = |scope| HopDocument { scope, outcome, rule, ttl_seconds: None, key: None };
            return self.matched.iter().map(|matched| hop(&matched.owner)).collect();
        };
        let hops = way.0.iter().map(|hop| HopDocument {
            scope: &hop.scope,
            outcome: hop.outcome,
            rule: &hop.rule,
            ttl_seconds: Some(hop.ttl_seconds),
            key: Some(&hop.key),
        });
        hops.collect()
    }
}

impl Handle {
    /// Follows a path as far as it leads and the caller may see. Its first label may be another scope's.
    ///
    /// # Errors
    /// [`FarFault`].
    pub async fn resolve_path(
        &self,
        caller: &Caller,
        path: &str,
        action: &str,
        travel: Duration,
    ) -> Result<Resolution, FarFault> {
        let (first, _) = path.split_once('/').unwrap_or((path, ""));
        if self.knows_far(first)
            && let Ok(target) = ScopePath::parse(first)
        {
            return self.resolve_far(caller, &target, path, action, travel).await;
        }
        let index = self.snapshot();
        let authority = self.authority_at(caller, &index)?;
        let asker = self.asker(caller, &authority, &index);
        let matched = self.matched(&index, path, (&asker, &authority), action);
        let (outcome, rule) = (matched.outcome, matched.rule.clone());
        Ok(Resolution::here(matched, outcome, rule))
    }

    async fn resolve_far(
        &self,
        caller: &Caller,
        target: &ScopePath,
        path: &str,
        action: &str,
        travel: Duration,
    ) -> Result<Resolution, FarFault> {
        let subject = Subject::Resolve(path.into());
        let (journey, _) = self.journey(caller, target, &subject, action, travel)?;
        let followed = self.0.remote.kept.of(&journey.question);
        let view = match self.view(&followed, &journey).await {
            Err(FarFault::NotReady(_)) => return Ok(deferred(&followed, &journey)),
            view => view?,
        };
        let bytes = view.bytes.as_deref();
        let told: Option<Told> = bytes.and_then(|bytes| serde_json::from_slice(bytes).ok());
        let (matched, statement) =
            told.map_or((None, None), |told| (Some(told.matched), told.statement));
        let decisive = view.way.decisive();
        let rule = decisive.map_or_else(|| "unreachable".into(), |hop| hop.rule.clone());
        let inner = matched.as_ref().map(|matched| (matched.outcome, matched.rule.clone()));
        let (outcome, rule) = match inner {
            Some((inner, its)) if inner > view.outcome => (inner, its),
            _ => (view.outcome, rule),
        };
        Ok(Resolution { matched, outcome, rule, way: Some(view.way), age: view.age, statement })
    }

    /// An answer, signed by this anchor; what another scope signed of it is within.
    pub fn sign_resolution(&self, found: &Resolution, action: &str) -> Envelope {
        let (trust, now) = (self.trust(), self.now());
        let (anchor, key) = self.signer(&trust, now);
        let issued = second_of(now) / RESOLUTION_SECONDS * RESOLUTION_SECONDS;
        let statement = found.statement.as_deref();
        let signed = Signed {
            action,
            credential: anchor.map(|anchor| &*anchor.id),
            issued,
            expires: issued + RESOLUTION_SECONDS * 2,
            statement: statement.and_then(|text| serde_json::from_str(text).ok()),
        };
        let document = ResolutionDocument { signed: Some(signed), ..found.document() };
        dsse::sign(RESOLUTION_TYPE, document.payload(), &key)
    }

    /// What another scope is told of a path, about which was decided on the way in.
    pub(super) fn told_of_path(
        &self,
        matched: Matched,
        action: &str,
        (outcome, rule): (Outcome, &str),
    ) -> Told {
        let (outcome, rule) = match matched.outcome > outcome {
            true => (matched.outcome, matched.rule.clone()),
            false => (outcome, rule.into()),
        };
        if outcome != Outcome::Attest {
            return Told { matched, statement: None };
        }
        let found = Resolution::here(matched.clone(), outcome, rule);
        let statement = self.sign_resolution(&found, action).to_json().into();
        Told { matched, statement: Some(statement) }
    }

    /// How far a path leads in the own index, by what access control and policies let an asker see.
    pub(super) fn matched(
        &self,
        index: &Arc<Index>,
        path: &str,
        (asker, authority): (&Asker, &Authority),
        action: &str,
    ) -> Matched {
        let (root, now) = (self.root(), self.now());
        let none = || Arc::new(Scopes::of(index, &root));
        let scopes = index.scopes().cloned().unwrap_or_else(none);
        let may = |service: Option<&str>| {
            service.is_none_or(|name| authority.allows(Act::service_read(name)))
        };
        let says = |candidate: Candidate<'_>| {
            if !may(candidate.service) {
                return (Outcome::Refuse, ACL.into());
            }
            let target = match candidate.kind {
                Kind::Service => Target::Service(candidate.name),
                Kind::Alias => Target::Other("alias", candidate.name),
                Kind::Scope => Target::Other("scope", candidate.name),
            };
            let scope = if scopes.get(candidate.owner).is_some() { candidate.owner } else { &root };
            let said = self.judge(index, scope, asker, Action::ReadService, target, now);
            (said.outcome, said.rule)
        };
        let mut matched = resolve(index, &scopes, path, action, says);
        if matched.outcome <= Outcome::Attest
            && let Some(service) = &matched.target
        {
            let authority = self.narrowed(index, authority.clone(), asker);
            matched.records = records(index, service, &authority);
        }
        matched
    }
}

/// What is told of a path about which is not decided yet, and of which nothing is known.
fn deferred(followed: &Followed, journey: &Journey) -> Resolution {
    let way = followed.state().known(journey.id).map(|known| Arc::clone(&known.way));
    let decisive = way.as_ref().and_then(|way| way.decisive());
    let rule = decisive.map_or_else(|| journey.own.rule.clone(), |hop| hop.rule.clone());
    let (outcome, age) = (Outcome::Defer, Duration::ZERO);
    Resolution { matched: None, outcome, rule, way, age, statement: None }
}

/// The instances of a service that may be seen and are not held.
fn records(index: &Index, service: &str, authority: &Authority) -> Vec<Recorded> {
    let rows = index.service(service).into_iter().flat_map(|row| row.instances.values());
    let seen = rows.filter(|row| {
        row.hold.is_none()
            && authority.allows(Act::service_read(row.service.name.as_str()))
            && authority.allows(Act::node_read(row.node.as_str()))
    });
    let told = seen.map(|row| Recorded {
        node: row.node.as_str().into(),
        id: row.service.id.as_str().into(),
        uid: row.uid,
        entry: row.entry,
    });
    told.take(RECORDS_MAX).collect()
}
