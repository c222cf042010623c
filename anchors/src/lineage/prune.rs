//! Payloads that are not kept any more.
//!
//! An entry tells which ones went (`Change::Prune`), and of which image of the state: with payloads gone, the state cannot
//! be folded from nothing, but it can be folded from an image whose digest the lineage itself has. A payload goes only
//! below the place in the order at which that image was made.

use std::collections::{BTreeMap, HashSet};

use redb::{ReadTransaction, ReadableTable, WriteTransaction};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::query::{read_entry, read_payload};
use super::{Log, scopes};
use crate::change::Change;
use crate::clock::Time;
use crate::encoding::hex;
use crate::entry::Kind;
use crate::index::Index;
use crate::scope::ScopePath;
use crate::store::tables::{BASE, BASE_ROWS, DRAFT, DRAFT_ROWS, PAYLOADS, SCOPED_PAYLOADS};
use crate::store::{Fault, Store, StoreError};

/// Payloads that one entry prunes at most, and that one step looks at.
pub const PRUNED_AT_ONCE_MAX: usize = 4_096;

/// Rows of an image that are written in one transaction: no write waits longer than they take.
const IMAGE_ROWS_AT_ONCE: usize = 2_000;

/// An image of the state: all rows as they were before the entry at a place in the group's order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// The place.
    pub order: u64,
    /// The digest over its rows, in hex.
    pub digest: Box<str>,
}

/// What may be pruned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prunable {
    /// From, and up to without.
    pub(crate) ranges: Vec<(u64, u64)>,
    /// The highest place in the order among them.
    pub(crate) order: u64,
    /// Where the next step begins; nothing when there is nothing old enough beyond.
    pub(crate) next: Option<u64>,
}

/// The payloads that entries allow to be missing, by lineage, from and up to without.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pruned {
    ranges: BTreeMap<Option<ScopePath>, BTreeMap<u64, u64>>,
    bases: Vec<Base>,
}

// === impl Prunable ===

impl Prunable {
    /// The payloads of a lineage that are older than `before` and that no record which is still there was last written by.
    pub(crate) fn find(
        log: &Log,
        from: u64,
        before: Time,
        in_force: &HashSet<u64>,
    ) -> Result<Self, Fault> {
        let mut found = Self::default();
        for (looked_at, seq) in log.kept_payloads(from)?.enumerate() {
            let seq = seq?;
            if looked_at == PRUNED_AT_ONCE_MAX {
                found.next = Some(seq);
                break;
            }
            let Some(leaf) = log.leaf(seq)? else { continue };
            let entry = read_entry(seq, &leaf)?;
            if entry.at >= before {
                break;
            }
            if entry.kind != Kind::Prune && !in_force.contains(&entry.place()) {
                found.add(seq);
                found.order = found.order.max(entry.place());
            }
        }
        Ok(found)
    }

    pub(crate) fn add(&mut self, seq: u64) {
        match self.ranges.last_mut() {
            Some((_, end)) if *end == seq => *end += 1,
            _ => self.ranges.push((seq, seq + 1)),
        }
    }
}

// === impl Pruned ===

impl Pruned {
    /// What all lineages of a store say.
    pub(crate) fn read(tx: &ReadTransaction) -> Result<Self, Fault> {
        let mut pruned = Self::default();
        for scope in std::iter::once(None).chain(scopes(tx)?.into_iter().map(Some)) {
            let log = Log::open(tx, scope.as_ref())?;
            for row in log.leaves(0..u64::MAX)? {
                let (seq, leaf) = row?;
                if is_prune(&leaf)
                    && let Some(kept) = log.payload(seq)?
                {
                    pruned.note(scope.as_ref(), &read_payload(seq, &kept)?.change);
                }
            }
        }
        Ok(pruned)
    }

    /// Takes note of a payload, if it prunes.
    pub(crate) fn note(&mut self, scope: Option<&ScopePath>, change: &[u8]) {
        let Ok(Change::Prune(prune)) = serde_json::from_slice(change) else { return };
        let ranges = self.ranges.entry(scope.cloned()).or_default();
        for (from, end) in &prune.seqs {
            let kept = ranges.entry(*from).or_default();
            *kept = (*kept).max(*end);
        }
        self.bases.push(prune.base);
    }

    /// Whether a payload may be missing.
    pub(crate) fn allows(&self, scope: Option<&ScopePath>, seq: u64) -> bool {
        let Some(ranges) = self.ranges.get(&scope.cloned()) else { return false };
        ranges.range(..=seq).next_back().is_some_and(|(_, end)| seq < *end)
    }

    /// Whether an entry tells of this image.
    pub(crate) fn names(&self, base: &Base) -> bool {
        self.bases.contains(base)
    }
}

/// Whether a leaf is that of an entry that prunes, as far as its bytes tell.
fn is_prune(leaf: &[u8]) -> bool {
    const KIND: &[u8] = br#""kind":"prune""#;
    leaf.windows(KIND.len()).any(|window| window == KIND)
}

/// Removes payloads of a lineage, if the image that goes with it is there. A draft of that image becomes it.
pub(crate) fn remove(
    tx: &WriteTransaction,
    scope: Option<&ScopePath>,
    seqs: &[(u64, u64)],
    base: &Base,
) -> Result<(), Fault> {
    if BASE.read_in(tx)?.as_ref() != Some(base) {
        if DRAFT.read_in(tx)?.as_ref() != Some(base) {
            return Ok(());
        }
        tx.delete_table(BASE_ROWS)?;
        tx.rename_table(DRAFT_ROWS, BASE_ROWS)?;
        tx.open_table(DRAFT_ROWS)?;
        BASE.write(tx, base)?;
        DRAFT.remove(tx)?;
    }
    let places = seqs.iter().flat_map(|(from, end)| *from..*end);
    match scope {
        None => {
            let mut payloads = tx.open_table(PAYLOADS)?;
            for seq in places {
                payloads.remove(seq)?;
            }
        }
        Some(path) => {
            let mut payloads = tx.open_table(SCOPED_PAYLOADS)?;
            for seq in places {
                payloads.remove((path.as_str(), seq))?;
            }
        }
    }
    Ok(())
}

/// Writes an image beside the one that is in force, a few rows at a time.
pub(crate) fn draft(store: &Store, index: &Index, order: u64) -> Result<Base, StoreError> {
    store.write(redb::Durability::None, |tx| {
        tx.delete_table(DRAFT_ROWS)?;
        tx.open_table(DRAFT_ROWS)?;
        DRAFT.remove(tx)
    })?;
    let mut ids = index.row_ids().peekable();
    while ids.peek().is_some() {
        store.write(redb::Durability::None, |tx| {
            let mut rows = tx.open_table(DRAFT_ROWS)?;
            for id in ids.by_ref().take(IMAGE_ROWS_AT_ONCE) {
                if let Some(value) = index.row(&id) {
                    rows.insert(id.to_key().as_slice(), value.as_slice())?;
                }
            }
            Ok(())
        })?;
    }
    let digest = store.read(|tx| digest(&tx.open_table(DRAFT_ROWS)?))?;
    let base = Base { order, digest };
    store.write(redb::Durability::None, |tx| DRAFT.write(tx, &base))?;
    Ok(base)
}

/// The digest over rows: each key and each value after its length.
pub(crate) fn digest(
    rows: &impl ReadableTable<&'static [u8], &'static [u8]>,
) -> Result<Box<str>, Fault> {
    let mut hash = Sha256::new();
    for row in rows.iter()? {
        let (key, value) = row?;
        for part in [key.value(), value.value()] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
    }
    Ok(hex::encode(&hash.finalize()).into())
}
