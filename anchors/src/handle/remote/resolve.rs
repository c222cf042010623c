//! Paths at the door: how far one leads, here or in another scope.

use std::sync::Arc;
use std::time::Duration;

use super::Handle;
use super::follow::FarFault;
use crate::acl::{Act, Authority};
use crate::caller::Caller;
use crate::index::Index;
use crate::outcome::Outcome;
use crate::policy::{Action, Target};
use crate::scope::{ScopePath, Scopes};
use crate::traversal::resolve::{Candidate, Kind, Matched, resolve};
use crate::traversal::{Asker, Subject, Way};

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
        Ok(Resolution { matched: Some(matched), outcome, rule, way: None, age: Duration::ZERO })
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
        let view = self.view(&followed, &journey).await?;
        let bytes = view.bytes.as_deref();
        let matched: Option<Matched> = bytes.and_then(|bytes| serde_json::from_slice(bytes).ok());
        let decisive = view.way.decisive();
        let rule = decisive.map_or_else(|| "unreachable".into(), |hop| hop.rule.clone());
        let inner = matched.as_ref().map(|matched| (matched.outcome, matched.rule.clone()));
        let (outcome, rule) = match inner {
            Some((inner, its)) if inner > view.outcome => (inner, its),
            _ => (view.outcome, rule),
        };
        Ok(Resolution { matched, outcome, rule, way: Some(view.way), age: view.age })
    }

    /// How far a path leads in the own index, by what access control and policies let an asker see.
    pub(super) fn matched(
        &self,
        index: &Index,
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
        resolve(index, &scopes, path, action, says)
    }
}
