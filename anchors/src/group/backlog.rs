//! What was applied and is not written yet: the lineage's new entries, and the names of the rows that changed.
//!
//! The index is ahead of the store by this much. Rows that change again before they are written are written once, and a
//! page that many changes meet is written once for all of them. Nothing here is needed after a crash: the raft log holds
//! what it was made from, and lets go only of what was written (see [`super`]).

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::{Durability, WriteTransaction};

use super::machine::write_checkpoint;
use super::raft::{LogId, Membership};
use crate::change::Prune;
use crate::index::{Index, RowId};
use crate::limits;
use crate::lineage::Spool;
use crate::lineage::prune::remove;
use crate::lineage::tiles::Unwritten;
use crate::scope::ScopePath;
use crate::store::tables::{APPLIED, MEMBERSHIP, ROWS};
use crate::store::{Fault, Store, StoreError};

/// What waits to be written, with the store that it goes to.
pub(crate) struct Backlog {
    store: Arc<Store>,
    waiting: Mutex<Waiting>,
    /// The term in which what waits was ordered.
    pub(super) term: Arc<AtomicU64>,
}

/// The difference between the index and the store.
#[derive(Default)]
pub(super) struct Waiting {
    /// New entries of the lineage.
    pub(super) lineage: Spool,
    /// Rows that changed.
    rows: HashSet<RowId>,
    /// Every row is another.
    rewrite: bool,
    /// Payloads that go, of which lineage.
    pruned: Vec<(Option<ScopePath>, Prune)>,
    /// The members, if they changed.
    membership: Option<Membership>,
    /// Checkpoints to be kept with the entries that they sign, by scope.
    checkpoints: BTreeMap<Option<ScopePath>, Box<str>>,
    /// The index and the raft entry that all this leads to; `None` when nothing waits.
    latest: Option<(Index, LogId)>,
    /// How many raft entries it comes from.
    batches: u64,
}

// === impl Backlog ===

impl Backlog {
    pub(super) fn new(store: Arc<Store>) -> Self {
        Self { store, waiting: Mutex::default(), term: Arc::default() }
    }

    pub(super) fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting().latest.is_none()
    }

    /// Writes what waits, if it is as much as may wait.
    pub(super) fn make_room(&self) -> Result<(), StoreError> {
        let mut waiting = self.waiting();
        if waiting.is_full() { self.write(&mut waiting) } else { Ok(()) }
    }

    /// Writes all that waits: afterwards the store is what the index is. Not synced.
    pub(super) fn flush(&self) -> Result<(), StoreError> {
        self.write(&mut self.waiting())
    }

    /// Forgets what waits: whoever takes the store into use reads there how far it is.
    pub(super) fn clear(&self) {
        self.waiting().clear();
    }

    fn write(&self, waiting: &mut Waiting) -> Result<(), StoreError> {
        if let Some((index, applied)) = &waiting.latest {
            self.store.write(Durability::None, |tx| waiting.write(tx, index, applied))?;
            waiting.clear();
        }
        Ok(())
    }
}

impl Unwritten for Backlog {
    fn flush(&self) -> Result<(), StoreError> {
        Self::flush(self)
    }
}

// === impl Waiting ===

impl Waiting {
    pub(super) fn add_rows(&mut self, rows: impl IntoIterator<Item = RowId>) {
        self.rows.extend(rows);
    }

    /// Every row is to be written, and no other to stay.
    pub(super) fn rewrite(&mut self) {
        self.rows.clear();
        self.rewrite = true;
    }

    /// Payloads go when what waits is written.
    pub(super) fn prune(&mut self, scope: Option<&ScopePath>, prune: &Prune) {
        self.pruned.push((scope.cloned(), prune.clone()));
    }

    pub(super) fn keep_members(&mut self, membership: &Membership) {
        self.membership = Some(membership.clone());
    }

    pub(super) fn keep_checkpoint(&mut self, scope: Option<ScopePath>, note: Box<str>) {
        self.checkpoints.insert(scope, note);
    }

    /// Everything up to a raft entry was added, and makes this index.
    pub(super) fn reaches(&mut self, index: &Index, applied: LogId, batches: u64) {
        self.latest = Some((index.clone(), applied));
        self.batches += batches;
    }

    fn is_full(&self) -> bool {
        self.batches >= limits::BACKLOG_BATCHES_MAX
            || self.lineage.bytes() >= limits::BACKLOG_BYTES_MAX
            || self.rows.len() >= limits::BACKLOG_ROWS_MAX
    }

    /// What was allocated stays, for the next.
    fn clear(&mut self) {
        self.lineage.clear();
        self.rows.clear();
        self.rewrite = false;
        self.checkpoints.clear();
        self.pruned.clear();
        (self.membership, self.latest, self.batches) = (None, None, 0);
    }

    fn write(&self, tx: &WriteTransaction, index: &Index, applied: &LogId) -> Result<(), Fault> {
        self.lineage.write(tx)?;
        self.write_rows(tx, index)?;
        for (scope, Prune { seqs, base, .. }) in &self.pruned {
            remove(tx, scope.as_ref(), seqs, base)?;
        }
        if let Some(membership) = &self.membership {
            MEMBERSHIP.write(tx, membership)?;
        }
        for (scope, note) in &self.checkpoints {
            write_checkpoint(tx, scope.as_ref(), note)?;
        }
        APPLIED.write(tx, applied)
    }

    /// In an order in which neighbours are near each other in the table.
    fn write_rows(&self, tx: &WriteTransaction, index: &Index) -> Result<(), Fault> {
        if self.rewrite {
            return write_all_rows(tx, index);
        }
        let mut rows: Vec<&RowId> = self.rows.iter().collect();
        rows.sort_unstable();
        let mut table = tx.open_table(ROWS)?;
        let (mut key, mut value) = (Vec::new(), Vec::new());
        for id in rows {
            id.write_key(&mut key);
            if index.write_row(id, &mut value) {
                table.insert(key.as_slice(), value.as_slice())?;
            } else {
                table.remove(key.as_slice())?;
            }
        }
        Ok(())
    }
}

/// The table is made anew.
fn write_all_rows(tx: &WriteTransaction, index: &Index) -> Result<(), Fault> {
    tx.delete_table(ROWS)?;
    let mut table = tx.open_table(ROWS)?;
    let (mut key, mut value) = (Vec::new(), Vec::new());
    for id in index.row_ids() {
        id.write_key(&mut key);
        if index.write_row(&id, &mut value) {
            table.insert(key.as_slice(), value.as_slice())?;
        }
    }
    Ok(())
}
