//! What callers may do, looked up once and kept while nothing of it changes.

use std::sync::Arc;

use arc_swap::ArcSwap;
use imbl::HashMap;

use crate::acl::{self, AclSettings, Authority, Resolved};
use crate::caller::{Caller, Secret};
use crate::clock::Time;
use crate::error::Refusal;
use crate::index::Index;
use crate::limits::AUTHORITIES_MAX;
use crate::record::TableId;
use crate::sealed::Sealer;

/// Secrets that once stood for policies.
const RESERVED: [&str; 3] = ["allow", "deny", "manage"];

/// The tables on which authorities depend.
const TABLES: [TableId; 3] = [TableId::Token, TableId::Policy, TableId::Role];

/// What callers may do. A look at what is kept takes no lock.
pub(super) struct Authorities {
    settings: AclSettings,
    kept: ArcSwap<Kept>,
}

/// Authorities as some revision of their tables made them.
#[derive(Clone, Default)]
struct Kept {
    marks: [u64; TABLES.len()],
    anonymous: Option<Resolved>,
    by_secret: HashMap<Box<str>, Resolved>,
}

// === impl Authorities ===

impl Authorities {
    pub(super) fn new(settings: AclSettings) -> Self {
        Self { settings, kept: ArcSwap::default() }
    }

    pub(super) fn settings(&self) -> &AclSettings {
        &self.settings
    }

    /// What a caller may do, by an index.
    pub(super) fn of(
        &self,
        caller: &Caller,
        index: &Index,
        sealer: &Sealer,
        now: impl Fn() -> Time,
    ) -> Result<Authority, Refusal> {
        if !self.settings.enabled || caller.own {
            return Ok(Authority::open());
        }
        let marks = TABLES.map(|table| index.table_mark(table));
        let secret = caller.token.as_ref();
        let kept = self.kept.load();
        if kept.marks == marks
            && let Some(found) = kept.get(secret)
            && found.until.is_none_or(|until| now() < until)
        {
            return Ok(found.authority.clone());
        }
        drop(kept);
        self.look_up(secret, marks, index, sealer, now())
    }

    fn look_up(
        &self,
        secret: Option<&Secret>,
        marks: [u64; TABLES.len()],
        index: &Index,
        sealer: &Sealer,
        now: Time,
    ) -> Result<Authority, Refusal> {
        if secret.is_some_and(|secret| RESERVED.contains(&secret.expose())) {
            return Err(Refusal::ReservedSecret);
        }
        let digest = |text: &str| sealer.digest(text);
        let resolved = acl::resolve(index, &self.settings, secret, digest, now)?;
        // The agent's recovery token may be replaced while nothing else changes.
        if !resolved.passing {
            self.kept.rcu(|kept| Arc::new(kept.with(secret, &resolved, marks)));
        }
        Ok(resolved.authority)
    }
}

// === impl Kept ===

impl Kept {
    fn get(&self, secret: Option<&Secret>) -> Option<&Resolved> {
        match secret {
            None => self.anonymous.as_ref(),
            Some(secret) => self.by_secret.get(secret.expose()),
        }
    }

    /// The same with one more; what other marks made is dropped.
    fn with(
        &self,
        secret: Option<&Secret>,
        resolved: &Resolved,
        marks: [u64; TABLES.len()],
    ) -> Self {
        let current = self.marks == marks && self.by_secret.len() < AUTHORITIES_MAX;
        let mut kept = if current { self.clone() } else { Self { marks, ..Self::default() } };
        match secret {
            None => kept.anonymous = Some(resolved.clone()),
            Some(secret) => {
                kept.by_secret.insert(secret.expose().into(), resolved.clone());
            }
        }
        kept
    }
}
