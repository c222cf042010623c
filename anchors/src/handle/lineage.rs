//! What the door tells of the lineages.

use super::Handle;
use super::governance::Asking;
use crate::caller::Caller;
use crate::error::Refusal;
use crate::lineage::tiles::{Lineage, LineageError};
use crate::scope::{Scope, ScopePath};

impl Handle {
    /// The lineage of a scope, whether it has entries or not.
    pub fn lineage(&self, scope: &ScopePath) -> Lineage {
        self.0.group.lineage().of(self.beside_root(scope))
    }

    /// The lineage of a scope, signed as it is now.
    ///
    /// # Errors
    /// [`Refusal::Stopping`] or [`Refusal::Storage`].
    pub async fn checkpoint(&self, scope: &ScopePath) -> Result<Box<str>, Refusal> {
        self.0.group.checkpoint_of(self.beside_root(scope)).await
    }

    /// The scopes that have a lineage: the datacenter's own, those that are configured, and those of which entries tell
    /// though they are not configured any more. Reads the store.
    ///
    /// # Errors
    /// [`LineageError::Store`].
    pub fn scopes_with_lineage(&self) -> Result<Vec<ScopePath>, LineageError> {
        let index = self.snapshot();
        let configured = index.records::<Scope>().map(|row| row.record.path.clone());
        let mut scopes = self.0.group.lineage().scopes()?;
        scopes.extend(configured);
        scopes.push(self.root());
        scopes.sort();
        scopes.dedup();
        Ok(scopes)
    }

    /// Whether a caller speaks for a scope, or for one above it.
    pub fn speaks_for(&self, caller: &Caller, scope: &ScopePath) -> bool {
        let index = self.snapshot();
        let Some(scopes) = index.scopes() else { return false };
        let Ok(authority) = self.authority_at(caller, &index) else { return false };
        let trust = self.trust_at(&index);
        let (index, authority) = (&*index, &authority);
        let asking = Asking { caller, authority, index, trust: &trust, now: self.now() };
        let facts = self.0.governance.facts(asking);
        facts.is_ok_and(|facts| scopes.scope_of(&facts).is_some_and(|own| scope.is_within(own)))
    }

    fn beside_root(&self, scope: &ScopePath) -> Option<ScopePath> {
        (*scope != self.root()).then(|| scope.clone())
    }
}
