//! openraft's log on redb: what was ordered. Passes openraft's own suite.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;
use std::sync::Arc;

use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{
    AnyError, EntryPayload, LogState, OptionalSend, RaftLogReader, StorageIOError, Vote,
};
use redb::{Durability, ReadTransaction, ReadableTable};

use super::raft::{LogId, RaftEntry, StorageError, Types};
use crate::limits;
use crate::store::tables::{PURGED, RAFT_LOG, VOTE};
use crate::store::{Fault, Store, StoreError};

/// The raft log. Clones read the same store.
#[derive(Clone)]
pub(super) struct RaftLog {
    store: Arc<Store>,
    /// The entries appended last, which are about to be applied: they need not be read back.
    recent: VecDeque<RaftEntry>,
}

impl RaftLog {
    pub(super) fn new(store: Arc<Store>) -> Self {
        Self { store, recent: VecDeque::new() }
    }

    /// Cuts off what a group of one refused: everything after `last`, the last entry that was acknowledged.
    pub(super) fn forget_after(store: &Store, last: u64) -> Result<(), StoreError> {
        store.write(Durability::Immediate, |tx| {
            tx.open_table(RAFT_LOG)?.retain_in(last + 1.., |_, _| false)?;
            Ok(())
        })
    }

    fn remember(&mut self, entries: Vec<RaftEntry>) {
        self.recent.extend(entries);
        while self.recent.len() > limits::RAFT_ENTRIES_CACHED_MAX {
            self.recent.pop_front();
        }
    }

    /// The entries of a range, if all that it can mean are the recent ones.
    fn recall(&self, range: &impl RangeBounds<u64>) -> Option<Vec<RaftEntry>> {
        let first = self.recent.front()?.log_id.index;
        let starts_here = match range.start_bound() {
            std::ops::Bound::Included(start) => *start >= first,
            std::ops::Bound::Excluded(start) => *start + 1 >= first,
            std::ops::Bound::Unbounded => false,
        };
        let within = self.recent.iter().filter(|entry| range.contains(&entry.log_id.index));
        starts_here.then(|| within.cloned().collect())
    }
}

/// How many entries the log holds beyond an applied one.
pub(crate) fn raft_entries_beyond(
    tx: &ReadTransaction,
    applied: Option<LogId>,
) -> Result<u64, Fault> {
    let first = applied.map_or(0, |id| id.index + 1);
    let count = tx.open_table(RAFT_LOG)?.range(first..)?.count();
    Ok(count.try_into().unwrap_or(u64::MAX))
}

impl RaftLogReader<Types> for RaftLog {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> Result<Vec<RaftEntry>, StorageError> {
        if let Some(entries) = self.recall(&range) {
            return Ok(entries);
        }
        let entries = self.store.read(|tx| {
            let table = tx.open_table(RAFT_LOG)?;
            table
                .range(range)?
                .map(|row| row.map_err(Fault::from).and_then(|(_, entry)| decode(entry.value())))
                .collect()
        });
        entries.map_err(|error| StorageIOError::read_logs(AnyError::new(&error)).into())
    }
}

impl RaftLogStorage<Types> for RaftLog {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, StorageError> {
        let state = self.store.read(|tx| {
            let last_purged_log_id = PURGED.read(tx)?;
            let last = tx
                .open_table(RAFT_LOG)?
                .last()?
                .map(|(_, entry)| decode(entry.value()))
                .transpose()?;
            let last_log_id = last.map(|entry| entry.log_id).or(last_purged_log_id);
            Ok(LogState { last_purged_log_id, last_log_id })
        });
        state.map_err(|error| StorageIOError::read_logs(AnyError::new(&error)).into())
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        Self::new(Arc::clone(&self.store))
    }

    async fn save_vote(&mut self, vote: &Vote<u64>) -> Result<(), StorageError> {
        let saved = self.store.write(Durability::Immediate, |tx| VOTE.write(tx, vote));
        saved.map_err(|error| StorageIOError::write_vote(AnyError::new(&error)).into())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote<u64>>, StorageError> {
        self.store
            .read(|tx| VOTE.read(tx))
            .map_err(|error| StorageIOError::read_vote(AnyError::new(&error)).into())
    }

    async fn append<I>(
        &mut self,
        entries: I,
        callback: LogFlushed<Types>,
    ) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = RaftEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<RaftEntry> = entries.into_iter().collect();
        let appended = self.store.write(Durability::Immediate, |tx| {
            let mut table = tx.open_table(RAFT_LOG)?;
            for entry in &entries {
                table.insert(entry.log_id.index, encode(entry).as_slice())?;
            }
            Ok(())
        });
        match appended {
            Ok(()) => {
                self.remember(entries);
                callback.log_io_completed(Ok(()));
                Ok(())
            }
            Err(error) => {
                let failed = StorageIOError::write_logs(AnyError::new(&error)).into();
                callback.log_io_completed(Err(io::Error::other(error)));
                Err(failed)
            }
        }
    }

    async fn truncate(&mut self, since: LogId) -> Result<(), StorageError> {
        self.recent.retain(|entry| entry.log_id.index < since.index);
        let truncated = self.store.write(Durability::Immediate, |tx| {
            tx.open_table(RAFT_LOG)?.retain_in(since.index.., |_, _| false)?;
            Ok(())
        });
        truncated.map_err(|error| StorageIOError::write_logs(AnyError::new(&error)).into())
    }

    /// Not synced: it becomes durable with the application that allowed it, or later, and never sooner.
    async fn purge(&mut self, upto: LogId) -> Result<(), StorageError> {
        self.recent.retain(|entry| entry.log_id.index > upto.index);
        let purged = self.store.write(Durability::None, |tx| {
            tx.open_table(RAFT_LOG)?.retain_in(..=upto.index, |_, _| false)?;
            PURGED.write(tx, &upto)
        });
        purged.map_err(|error| StorageIOError::write_logs(AnyError::new(&error)).into())
    }
}

fn encode(entry: &RaftEntry) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size_hint(entry));
    serde_json::to_writer(&mut bytes, entry).expect("raft entries are plain values");
    bytes
}

/// About as many bytes as an entry's encoding has.
fn size_hint(entry: &RaftEntry) -> usize {
    /// What is told of a proposal beside its change, and more.
    const TERMS: usize = 256;
    match &entry.payload {
        EntryPayload::Normal(batch) => {
            batch.0.iter().map(|sealed| sealed.payload.get().len() + TERMS).sum()
        }
        EntryPayload::Blank | EntryPayload::Membership(_) => TERMS,
    }
}

fn decode(bytes: &[u8]) -> Result<RaftEntry, Fault> {
    serde_json::from_slice(bytes).map_err(|error| Fault::damaged(format!("a raft entry: {error}")))
}
