//! Law 8, checked: the state is the fold of the lineage.
//!
//! A stored scope is read without being changed; its entries are folded from nothing, and everything that follows from
//! them (entries, tree, rows) is compared with what is stored, byte by byte.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata};
use tlog_tiles::tlog::{Hash, stored_hash_count};

use crate::entry::Entry;
use crate::group::{Sealed, raft_entries_beyond};
use crate::index::{Index, RowId};
use crate::keys::Keys;
use crate::limits;
use crate::lineage::note::{self, Signed};
use crate::lineage::{Edge, split_payload};
use crate::outcome::Outcome;
use crate::store::tables::{APPLIED, CHECKPOINT, ENTRIES, HASHES, PAYLOADS, ROWS};
use crate::store::{Fault, StoreError, guarded, lock_existing, overlay, recognise};

/// What a replay found.
#[derive(Clone, Debug, Default)]
pub struct ReplayReport {
    /// Entries of the lineage.
    pub entries: u64,
    /// Those of them that were refused.
    pub refused: u64,
    /// Rows of the projection.
    pub rows: u64,
    /// Batches that were ordered, and whose effect was not written yet when the process ended: the next start applies
    /// them (again).
    pub waiting: u64,
    /// The root over all entries, as a checkpoint tells it.
    pub root: String,
    /// How many entries the last checkpoint signs.
    pub signed: Option<u64>,
    /// What differs, the first few.
    pub differences: Vec<Difference>,
    /// How many more differ.
    pub more: u64,
}

/// Something that is not what the lineage says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Difference {
    /// A payload is not the one that its entry was made for.
    #[error("the payload of entry {0} is not the one that the entry tells of")]
    Payload(u64),
    /// An entry is not what its payload makes.
    #[error("entry {seq} is {stored}, and its payload makes {folded}")]
    Entry {
        /// Which.
        seq: u64,
        /// As it is stored.
        stored: String,
        /// As it should be.
        folded: String,
    },
    /// A hash of the tree is missing or is another.
    #[error("the tree's hash {place}, written with entry {seq}, does not match")]
    Hash {
        /// The entry that completed it.
        seq: u64,
        /// Its place in the tree.
        place: u64,
    },
    /// The tree has more or fewer hashes than its entries make.
    #[error("the tree has {stored} hashes, and its entries make {folded}")]
    Hashes {
        /// As many are stored.
        stored: u64,
        /// As many should be.
        folded: u64,
    },
    /// A row of the projection is missing, is another, or should not be.
    #[error("row {row} is {stored}, and the lineage makes {folded}")]
    Row {
        /// Which.
        row: String,
        /// As it is stored.
        stored: String,
        /// As it should be.
        folded: String,
    },
    /// The last checkpoint does not sign this lineage.
    #[error("the checkpoint does not sign this lineage: {0}")]
    Checkpoint(String),
}

/// Why a replay came to no end.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The store cannot be read, or is in use.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An entry cannot be folded.
    #[error("entry {seq} of the lineage cannot be replayed: {reason}")]
    Entry {
        /// Which.
        seq: u64,
        /// What is the matter with it.
        reason: String,
    },
}

/// Folds the lineage of a data directory and compares. Nothing in the directory is changed.
///
/// # Errors
/// [`ReplayError`] when the comparison cannot be made. What it finds is in the report.
pub fn check(dir: &Path) -> Result<ReplayReport, ReplayError> {
    let (_lock, path) = lock_existing(dir)?;
    let name = path.display().to_string();
    let database = overlay::verify(&path)?;
    check_database(&name, &database, &Keys::existing(dir).map_err(StoreError::from)?)
}

pub(crate) fn check_database(
    name: &str,
    database: &Database,
    keys: &Keys,
) -> Result<ReplayReport, ReplayError> {
    guarded(name, || recognise(database))?.map_err(|strange| strange.named(name))?;
    guarded(name, || {
        let tx = database.begin_read()?;
        let mut replay = Replay {
            tx,
            index: Index::new(),
            edge: Edge::default(),
            report: ReplayReport::default(),
        };
        Ok(replay.run(keys)?.map(|()| replay.report))
    })?
}

/// A replay under way.
struct Replay {
    tx: ReadTransaction,
    index: Index,
    edge: Edge,
    report: ReplayReport,
}

/// `Err(Fault)` is the store's, the inner error an entry's.
type Step = Result<Result<(), ReplayError>, Fault>;

// === impl Replay ===

impl Replay {
    fn run(&mut self, keys: &Keys) -> Step {
        let signed = self.read_checkpoint(keys)?;
        if let Err(error) = self.fold(signed)? {
            return Ok(Err(error));
        }
        if let Some(Signed { size, .. }) = signed.filter(|signed| signed.size > self.edge.size()) {
            let text = format!("it signs {size} entries, of which {} are there", self.edge.size());
            self.differs(Difference::Checkpoint(text));
        }
        self.compare_rows()?;
        self.compare_tree()?;
        self.report.waiting = raft_entries_beyond(&self.tx, APPLIED.read(&self.tx)?)?;
        Ok(Ok(()))
    }

    fn fold(&mut self, signed: Option<Signed>) -> Step {
        let entries = self.tx.open_table(ENTRIES)?;
        let payloads = self.tx.open_table(PAYLOADS)?;
        let hashes = self.tx.open_table(HASHES)?;
        let mut grown = Vec::new();
        for row in entries.iter()? {
            let (seq, leaf) = row?;
            let (seq, leaf) = (seq.value(), leaf.value());
            let expected = self.edge.size();
            if seq != expected {
                return Ok(Err(ReplayError::Entry {
                    seq: expected,
                    reason: "it is missing".to_owned(),
                }));
            }
            let kept = payloads.get(seq)?;
            match unseal(leaf, kept.as_ref().map(redb::AccessGuard::value)) {
                Ok((entry, sealed)) => self.compare_entry(&entry, leaf, &sealed),
                Err(reason) => return Ok(Err(ReplayError::Entry { seq, reason })),
            }
            grown.clear();
            self.edge.append(leaf, &mut grown);
            for &(place, hash) in &grown {
                if hashes.get(place)?.is_none_or(|stored| Hash(stored.value()) != hash) {
                    self.differs(Difference::Hash { seq, place });
                }
            }
            if let Some(signed) = signed {
                self.compare_root(signed);
            }
        }
        self.report.entries = self.edge.size();
        self.report.root = self.edge.root().to_string();
        Ok(Ok(()))
    }

    /// Folds one entry; what comes out must be the stored one to the byte.
    fn compare_entry(&mut self, entry: &Entry, leaf: &[u8], sealed: &Sealed) {
        self.report.refused += u64::from(entry.outcome == Outcome::Refuse);
        let folded = sealed.fold(&mut self.index, self.edge.size()).entry;
        if folded.payload != entry.payload {
            self.differs(Difference::Payload(entry.seq));
        }
        let folded = serde_json::to_vec(&folded).expect("entries are plain values");
        if folded != leaf {
            self.differs(Difference::Entry {
                seq: entry.seq,
                stored: shown(leaf),
                folded: shown(&folded),
            });
        }
    }

    fn compare_rows(&mut self) -> Result<(), Fault> {
        let table = self.tx.open_table(ROWS)?;
        self.report.rows = table.len()?;
        let mut folded: BTreeMap<Vec<u8>, Vec<u8>> =
            self.index.rows().map(|(id, value)| (id.to_key(), value)).collect();
        for row in table.iter()? {
            let (key, stored) = row?;
            let value = folded.remove(key.value());
            if value.as_deref() != Some(stored.value()) {
                self.row_differs(key.value(), Some(stored.value()), value.as_deref());
            }
        }
        // What an empty index has is not written before the first change.
        let blank: BTreeMap<Vec<u8>, Vec<u8>> =
            Index::new().rows().map(|(id, value)| (id.to_key(), value)).collect();
        folded.retain(|key, value| blank.get(key) != Some(value));
        for (missing, value) in folded {
            self.row_differs(&missing, None, Some(&value));
        }
        Ok(())
    }

    fn row_differs(&mut self, key: &[u8], stored: Option<&[u8]>, folded: Option<&[u8]>) {
        let row = RowId::from_key(key).map_or_else(|_| shown(key), |id| format!("{id:?}"));
        let side = |value: Option<&[u8]>| value.map_or_else(|| "absent".to_owned(), shown);
        self.differs(Difference::Row { row, stored: side(stored), folded: side(folded) });
    }

    fn compare_tree(&mut self) -> Result<(), Fault> {
        let stored = self.tx.open_table(HASHES)?.len()?;
        let folded = stored_hash_count(self.edge.size());
        if stored != folded {
            self.differs(Difference::Hashes { stored, folded });
        }
        Ok(())
    }

    /// What the last checkpoint says, if it is the scope's.
    fn read_checkpoint(&mut self, keys: &Keys) -> Result<Option<Signed>, Fault> {
        let Some(text) = CHECKPOINT.read(&self.tx)? else { return Ok(None) };
        let origin = text.lines().next().unwrap_or_default();
        let signed = note::verify(&text, origin, &keys.scope().verifying_key());
        let signed =
            signed.map_err(|fault| self.differs(Difference::Checkpoint(fault.to_string()))).ok();
        self.report.signed = signed.map(|signed| signed.size);
        Ok(signed)
    }

    /// The tree may have grown beyond a checkpoint; then its root was compared on the way.
    fn compare_root(&mut self, signed: Signed) {
        let size = self.edge.size();
        if signed.size == size && signed.root != self.edge.root() {
            self.differs(Difference::Checkpoint(format!(
                "the root over its {size} entries is another"
            )));
        }
    }

    fn differs(&mut self, difference: Difference) {
        if self.report.differences.len() < limits::REPLAY_DIFFERENCES_MAX {
            self.report.differences.push(difference);
        } else {
            self.report.more += 1;
        }
    }
}

/// An entry and the proposal that it came from.
fn unseal(leaf: &[u8], kept: Option<&[u8]>) -> Result<(Entry, Sealed), String> {
    let entry: Entry =
        serde_json::from_slice(leaf).map_err(|error| format!("it is damaged: {error}"))?;
    let kept = kept.ok_or("its payload is missing")?;
    let (salt, payload) = split_payload(kept).ok_or("its payload is cut off")?;
    let sealed = Sealed::of_entry(&entry, *salt, payload);
    sealed.map(|sealed| (entry, sealed)).map_err(|error| format!("its payload is damaged: {error}"))
}

/// The beginning of a value, for people.
fn shown(bytes: &[u8]) -> String {
    const SHOWN_MAX: usize = 400;
    let text = String::from_utf8_lossy(bytes);
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}

// === impl ReplayReport ===

impl ReplayReport {
    /// Whether everything is what the lineage says.
    pub fn is_clean(&self) -> bool {
        self.differences.is_empty()
    }
}

impl fmt::Display for ReplayReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "entries   {} ({} refused)", self.entries, self.refused)?;
        writeln!(f, "rows      {}", self.rows)?;
        writeln!(f, "root      {}", self.root)?;
        match self.signed {
            Some(size) => writeln!(f, "signed    {size} entries")?,
            None => writeln!(f, "signed    nothing yet")?,
        }
        if self.waiting > 0 {
            writeln!(
                f,
                "waiting   {} ordered and not yet written: the next start does",
                self.waiting
            )?;
        }
        for difference in &self.differences {
            writeln!(f, "DIFFERS   {difference}")?;
        }
        match (self.is_clean(), self.more) {
            (true, _) => write!(f, "the projection is the fold of the lineage, to the byte"),
            (false, 0) => write!(f, "{} differences", self.differences.len()),
            (false, more) => write!(f, "{} differences and {more} more", self.differences.len()),
        }
    }
}

#[cfg(test)]
mod tests;
