//! Adjacencies at the door: asked for, accepted and taken back.

use super::Handle;
use crate::caller::Caller;
use crate::change::Change;
use crate::credential::Adjacency;
use crate::error::Refusal;
use crate::record::{AnyRecord, RecordChange, When};
use crate::scope::ScopePath;
use crate::traversal::adjacency::{self, AdjacencyFault, Offer, Standing, Statement};

/// Why nothing was done about an adjacency.
#[derive(Debug, thiserror::Error)]
pub enum AdjacencyError {
    /// What was stated or offered cannot be taken.
    #[error(transparent)]
    Fault(#[from] AdjacencyFault),
    /// There is none with this scope.
    #[error("no adjacency with scope {0}")]
    Unknown(ScopePath),
    /// It stands, and asking again would take it away.
    #[error("scope {0} is joined already; revoke that adjacency first")]
    Joined(ScopePath),
    /// The write was refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl Handle {
    /// Every adjacency, with how it stands.
    pub fn adjacencies(&self) -> Vec<(Adjacency, Standing)> {
        let (index, now) = (self.snapshot(), self.now());
        let told = |one: &Adjacency| (one.clone(), adjacency::standing(one, now));
        super::adjacencies(&index).map(told).collect()
    }

    /// How long ago a neighbour was heard of, in milliseconds.
    pub fn heard_of(&self, scope: &ScopePath) -> Option<u64> {
        self.age_of(scope).map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX))
    }

    /// Asks another scope for an adjacency. The statement is to be brought to its anchor.
    ///
    /// # Errors
    /// [`AdjacencyError`].
    pub async fn request_adjacency(
        &self,
        caller: &Caller,
        peer: &ScopePath,
        offer: &Offer,
    ) -> Result<Adjacency, AdjacencyError> {
        let (root, now) = (self.root(), self.now());
        let there = self.record_of(peer);
        if there.is_some_and(|there| adjacency::standing(&there, now) == Standing::Live) {
            return Err(AdjacencyError::Joined(peer.clone()));
        }
        let made = adjacency::request(self.me(&root), peer, offer, now)?;
        self.put_adjacency(caller, made).await
    }

    /// Accepts what another anchor states: its request, or its acceptance of ours.
    ///
    /// # Errors
    /// [`AdjacencyError`].
    pub async fn accept_adjacency(
        &self,
        caller: &Caller,
        statement: &str,
        offer: &Offer,
    ) -> Result<Adjacency, AdjacencyError> {
        let root = self.root();
        let from = Statement::read(statement)?.from;
        let there = self.record_of(&from);
        let me = self.me(&root);
        let made = adjacency::accept(me, statement, there.as_ref(), offer, self.now())?;
        self.put_adjacency(caller, made).await
    }

    /// Takes an adjacency back: from now on nothing is asked over it, and nothing answered.
    ///
    /// # Errors
    /// [`AdjacencyError`].
    pub async fn revoke_adjacency(
        &self,
        caller: &Caller,
        peer: &ScopePath,
    ) -> Result<Adjacency, AdjacencyError> {
        let there = self.record_of(peer).ok_or_else(|| AdjacencyError::Unknown(peer.clone()))?;
        let revoked = there.revoked.or(Some(self.now()));
        self.put_adjacency(caller, Adjacency { revoked, ..there }).await
    }

    async fn put_adjacency(
        &self,
        caller: &Caller,
        adjacency: Adjacency,
    ) -> Result<Adjacency, AdjacencyError> {
        let record = AnyRecord::Adjacency(adjacency.clone().into());
        let change = RecordChange::Put { record, when: When::Always };
        self.submit(caller, Change::Records(vec![change])).await?;
        self.note_neighbours();
        Ok(adjacency)
    }
}
