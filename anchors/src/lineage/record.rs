//! A record's history: its versions and the entries that made them, in whatever lineage they are.

use tlog_tiles::tlog;
use uuid::Uuid;

use super::query::{Line, read_entry, read_payload};
use super::tiles::{Lineage, LineageError};
use super::versions::{self, Numbered, Version};
use super::{Log, find};
use crate::scope::ScopePath;

/// An entry with the lineage that it is in; `None` is the datacenter's own.
pub type Found = (Option<ScopePath>, Line);

// === impl Lineage ===

impl Lineage {
    /// Versions of a record from this number on, as many as are listed at a time
    /// ([`VERSIONS_LISTED_MAX`](super::versions::VERSIONS_LISTED_MAX)).
    ///
    /// # Errors
    /// [`LineageError::Store`].
    pub fn versions(&self, uid: Uuid, from: u64) -> Result<Vec<Numbered>, LineageError> {
        Ok(self.settled()?.read(|tx| versions::list(tx, uid, from))?)
    }

    /// A version of a record.
    ///
    /// # Errors
    /// [`LineageError::Store`].
    pub fn version(&self, uid: Uuid, number: u64) -> Result<Option<Version>, LineageError> {
        Ok(self.settled()?.read(|tx| versions::at(tx, uid, number))?)
    }

    /// A record's newest version, be it that it was removed.
    ///
    /// # Errors
    /// [`LineageError::Store`].
    pub fn last_version(&self, uid: Uuid) -> Result<Option<Numbered>, LineageError> {
        Ok(self.settled()?.read(|tx| versions::last(tx, uid))?)
    }

    /// The entry at a place in the group's order, with its payload.
    ///
    /// # Errors
    /// [`LineageError::Store`].
    pub fn entry_at(&self, order: u64) -> Result<Option<Found>, LineageError> {
        let found = self.settled()?.read(|tx| {
            let Some((scope, place)) = find(tx, order)? else { return Ok(None) };
            let log = Log::open(tx, scope.as_ref())?;
            let Some(leaf) = log.leaf(place.seq)? else { return Ok(None) };
            let entry = read_entry(place.seq, &leaf)?;
            let kept = log.payload(place.seq)?;
            let payload = kept.map(|kept| read_payload(place.seq, &kept)).transpose()?;
            Ok(Some((scope, Line { entry, leaf, payload })))
        });
        Ok(found?)
    }

    /// The hashes of a proof that entry `seq` is in the tree of `size`, as text.
    ///
    /// # Errors
    /// [`LineageError::Beyond`] when it is not.
    pub fn inclusion_text(&self, size: u64, seq: u64) -> Result<Vec<String>, LineageError> {
        Ok(self.inclusion(size, seq)?.iter().map(tlog::Hash::to_string).collect())
    }
}
