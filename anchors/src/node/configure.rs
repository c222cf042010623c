//! What configuration files define.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::{CheckDefinition, Existing, Leaf, Moved, NodeError, RowKey, ServiceDefinition, Source};
use crate::caller::Secret;
use crate::clock::Time;

/// A definition of a configuration file that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misconfigured {
    /// Which one; nothing when none is at fault.
    definition: Option<(&'static str, Box<str>)>,
    reason: NodeError,
}

impl fmt::Display for Misconfigured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.definition {
            Some((what, name)) => write!(f, "Failed to register {what} {name:?}: {}", self.reason),
            None => self.reason.fmt(f),
        }
    }
}

impl std::error::Error for Misconfigured {}

impl From<NodeError> for Misconfigured {
    fn from(reason: NodeError) -> Self {
        Self { definition: None, reason }
    }
}

impl Leaf {
    /// Takes what the configuration files define now. What they defined before and do not any more goes; checks that
    /// stay keep their state.
    ///
    /// # Errors
    /// The first definition that is refused; then nothing has changed.
    pub fn configure(
        &mut self,
        services: Vec<ServiceDefinition>,
        checks: Vec<(CheckDefinition, Option<Secret>)>,
        now: Time,
    ) -> Result<Moved, Misconfigured> {
        let mut next = self.clone();
        let mut moved = Moved::default();
        let bad = |what, name: &str| {
            let definition = Some((what, name.into()));
            move |reason| Misconfigured { definition, reason }
        };
        for service in services {
            let bad = bad("service", service.service.name.as_str());
            let one = next
                .register_service(service, Existing::Keep, Source::Configured, now)
                .map_err(bad)?;
            moved.merge(one);
        }
        for (check, token) in checks {
            let bad = bad("check", &check.name);
            moved.merge(next.register_check(check, token, Source::Configured, now).map_err(bad)?);
        }
        next.drop_unconfigured(&moved.ids(), now).into_iter().for_each(|gone| moved.merge(gone));
        *self = next;
        Ok(moved)
    }

    fn drop_unconfigured(
        &mut self,
        kept: &(BTreeSet<Arc<str>>, BTreeSet<Arc<str>>),
        now: Time,
    ) -> Option<Moved> {
        let (services, checks) = kept;
        let mut moved = Moved::default();
        let gone = |id: &Arc<str>, source, kept: &BTreeSet<_>| {
            source == Source::Configured && !kept.contains(id)
        };
        let old: Vec<_> = self
            .services
            .iter()
            .filter(|(id, one)| gone(id, one.source, services))
            .map(first)
            .collect();
        old.iter().for_each(|id| self.drop_service(id, &mut moved));
        let old: Vec<_> = self
            .checks
            .iter()
            .filter(|(id, one)| gone(id, one.source, checks))
            .map(first)
            .collect();
        old.iter().for_each(|id| self.drop_check(id, &mut moved));
        self.follow_aliases(now, &mut moved);
        (!moved.is_empty()).then_some(moved)
    }
}

impl Moved {
    /// The services and the checks that registrations wrote: what else they moved has no row to keep.
    fn ids(&self) -> (BTreeSet<Arc<str>>, BTreeSet<Arc<str>>) {
        let (mut services, mut checks) = (BTreeSet::new(), BTreeSet::new());
        for key in &self.rows {
            match key {
                RowKey::Service(id) => services.insert(Arc::clone(id)),
                RowKey::Check(id) => checks.insert(Arc::clone(id)),
            };
        }
        (services, checks)
    }
}

fn first<A: Clone, B>((a, _): (&A, B)) -> A {
    a.clone()
}
