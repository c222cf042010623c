//! Law 8, checked: the state is the fold of the lineage.
//!
//! A stored scope is read without being changed; its entries are folded from nothing, and everything that follows from
//! them (entries, tree, rows) is compared with what is stored, byte by byte.

mod base;
mod merged;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata};
use tlog_tiles::tlog::stored_hash_count;
use uuid::Uuid;

pub(crate) use self::base::write_versions;
use self::merged::{Logs, Merged};
use crate::change::Change;

use crate::entry::Entry;
use crate::group::{Folded, Sealed, raft_entries_beyond};
use crate::index::{Index, RowId};
use crate::keys::Keys;
use crate::limits;
use crate::lineage::note::{self, Signed};
use crate::lineage::prune::{Base, Prunable, Pruned};
use crate::lineage::{Edges, Place, split_payload};
use crate::outcome::Outcome;
use crate::scope::ScopePath;
use crate::store::tables::{APPLIED, ROWS};
use crate::store::{Fault, StoreError, guarded, lock_existing, overlay, recognise};

/// What a replay found.
#[derive(Clone, Debug, Default)]
pub struct ReplayReport {
    /// Entries of the lineage.
    pub entries: u64,
    /// Those of them that were refused.
    pub refused: u64,
    /// Those of them whose payloads are not kept any more.
    pub pruned: u64,
    /// Rows of the projection.
    pub rows: u64,
    /// Batches that were ordered, and whose effect was not written yet when the process ended: the next start applies
    /// them (again).
    pub waiting: u64,
    /// The root over all entries of the datacenter's own lineage, as a checkpoint tells it.
    pub root: String,
    /// How many entries the last checkpoint of the datacenter's own lineage signs.
    pub signed: Option<u64>,
    /// The lineages of the scopes under it: path, entries, root.
    pub scopes: Vec<(ScopePath, u64, String)>,
    /// What differs, the first few.
    pub differences: Vec<Difference>,
    /// How many more differ.
    pub more: u64,
}

/// An entry by its lineage: `7` of the datacenter's own, `dc1/payments 7` of a scope's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At {
    /// Whose lineage; `None` is the datacenter's own.
    pub scope: Option<ScopePath>,
    /// Its place there.
    pub seq: u64,
}

/// Something that is not what the lineage says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Difference {
    /// A payload is not the one that its entry was made for.
    #[error("the payload of entry {0} is not the one that the entry tells of")]
    Payload(At),
    /// An entry is not what its payload makes.
    #[error("entry {at} is {stored}, and its payload makes {folded}")]
    Entry {
        /// Which.
        at: At,
        /// As it is stored.
        stored: String,
        /// As it should be.
        folded: String,
    },
    /// A hash of the tree is missing or is another.
    #[error("the tree's hash {place}, written with entry {at}, does not match")]
    Hash {
        /// The entry that completed it.
        at: At,
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
    /// A payload is missing, and no entry tells that it was pruned.
    #[error("the payload of entry {0} is missing")]
    Missing(At),
    /// The image from which the state is folded is not the one that the lineage tells of.
    #[error("the image of the state at {order} is not the one that the lineage tells of: {why}")]
    Base {
        /// The place in the order at which it was made.
        order: u64,
        /// What differs.
        why: &'static str,
    },
    /// A version of a record is not found where it should be.
    #[error("version {number} of record {uid} does not lead to the entry that made it")]
    Version {
        /// The record.
        uid: Uuid,
        /// Which.
        number: u64,
    },
    /// The entry of this order is not found where it is.
    #[error("entry {0} is not found by its place in the order")]
    Order(At),
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
    #[error("entry {at} of the lineage cannot be replayed: {reason}")]
    Entry {
        /// Which.
        at: At,
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
        let mut replay = Replay::over(tx)?;
        Ok(replay.run(keys)?.map(|()| replay.report))
    })?
}

/// A replay of a store that is in use, after all was written.
#[cfg(test)]
pub(crate) fn check_database_of(store: &crate::store::Store) -> ReplayReport {
    let tx = store.view().unwrap();
    let mut replay = Replay::over(tx).unwrap();
    replay.run(store.keys()).unwrap().unwrap();
    replay.report
}

/// A replay under way.
struct Replay {
    tx: ReadTransaction,
    logs: Arc<Logs>,
    index: Index,
    edges: Edges,
    /// What the last checkpoint of each lineage says.
    signed: BTreeMap<Option<ScopePath>, Signed>,
    /// The image to begin with, where what came before cannot be folded any more.
    start: Option<Base>,
    /// What entries tell of payloads that went.
    pruned: Pruned,
    /// The payloads that are not there.
    missing: BTreeMap<Option<ScopePath>, Prunable>,
    /// How many versions each record has so far.
    versions: HashMap<Uuid, u64>,
    report: ReplayReport,
}

/// `Err(Fault)` is the store's, the inner error an entry's.
type Step = Result<Result<(), ReplayError>, Fault>;

// === impl Replay ===

impl Replay {
    fn over(tx: ReadTransaction) -> Result<Self, Fault> {
        Ok(Self {
            logs: Arc::new(Logs::open(&tx)?),
            start: base::start(&tx)?,
            tx,
            index: Index::new(),
            edges: Edges::default(),
            signed: BTreeMap::new(),
            pruned: Pruned::default(),
            missing: BTreeMap::new(),
            versions: HashMap::new(),
            report: ReplayReport::default(),
        })
    }

    fn run(&mut self, keys: &Keys) -> Step {
        for scope in self.logs.scopes() {
            self.read_checkpoint(scope, keys)?;
        }
        if let Err(error) = self.fold()? {
            return Ok(Err(error));
        }
        for (scope, Signed { size, .. }) in self.signed.clone() {
            let there = self.edges.size(scope.as_ref());
            if size > there {
                let text = format!("it signs {size} entries, of which {there} are there");
                self.differs(Difference::Checkpoint(text));
            }
        }
        self.compare_rows()?;
        self.compare_trees()?;
        self.report.waiting = raft_entries_beyond(&self.tx, APPLIED.read(&self.tx)?)?;
        Ok(Ok(()))
    }

    /// Folds the entries of all lineages, merged by their order.
    fn fold(&mut self) -> Step {
        let logs = Arc::clone(&self.logs);
        let mut merged = Merged::over(&logs);
        while let Some(next) = merged.next()? {
            let (at, leaf, entry) = match next {
                Ok(next) => next,
                Err(error) => return Ok(Err(error)),
            };
            let place = self.edges.next(at.scope.as_ref());
            if let Some(reason) = misplaced(&at, &entry, place) {
                return Ok(Err(ReplayError::Entry { at, reason }));
            }
            let kept = self.logs.of(at.scope.as_ref()).payload(at.seq)?;
            self.begin_at(place.order)?;
            if self.start.as_ref().is_some_and(|base| place.order < base.order) {
                self.pass_by(&at, &entry, kept.as_deref());
            } else {
                match unseal(&entry, kept.as_deref()) {
                    Ok(sealed) => self.compare_entry(&at, place, &entry, &leaf, &sealed)?,
                    Err(reason) => return Ok(Err(ReplayError::Entry { at, reason })),
                }
            }
            self.grow(&at, place, &leaf)?;
        }
        self.judge_missing();
        self.report.entries = self.edges.total();
        self.report.root = self.edges.root(None).to_string();
        self.report.scopes = self
            .edges
            .scopes()
            .map(|path| {
                (path.clone(), self.edges.size(Some(path)), self.edges.root(Some(path)).to_string())
            })
            .collect();
        Ok(Ok(()))
    }

    /// Lets the tree of an entry's lineage grow by it; what is stored of it must be the same.
    fn grow(&mut self, at: &At, place: Place, leaf: &[u8]) -> Result<(), Fault> {
        let mut grown = Vec::new();
        self.edges.append(at.scope.as_ref(), leaf, &mut grown);
        for (place, hash) in grown {
            if self.logs.of(at.scope.as_ref()).stored_hash(place)? != Some(hash) {
                self.differs(Difference::Hash { at: at.clone(), place });
            }
        }
        if !self.logs.finds(&self.tx, at, place)? {
            self.differs(Difference::Order(at.clone()));
        }
        self.compare_root(at.scope.as_ref());
        Ok(())
    }

    /// Folds one entry; what comes out must be the stored one to the byte.
    fn compare_entry(
        &mut self,
        at: &At,
        place: Place,
        entry: &Entry,
        leaf: &[u8],
        sealed: &Sealed,
    ) -> Result<(), Fault> {
        self.report.refused += u64::from(entry.outcome == Outcome::Refuse);
        let Folded { entry: folded, touched, .. } = sealed.fold(&mut self.index, place);
        self.compare_versions(place.order, &touched)?;
        if let Change::Prune(_) = sealed.change() {
            self.pruned.note(at.scope.as_ref(), sealed.payload());
        }
        if folded.payload != entry.payload {
            self.differs(Difference::Payload(at.clone()));
        }
        let folded = serde_json::to_vec(&folded).expect("entries are plain values");
        if folded != leaf {
            self.differs(Difference::Entry {
                at: at.clone(),
                stored: shown(leaf),
                folded: shown(&folded),
            });
        }
        Ok(())
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

    fn compare_trees(&mut self) -> Result<(), Fault> {
        for scope in self.logs.scopes() {
            let stored = self.logs.of(scope.as_ref()).hash_count()?;
            let folded = stored_hash_count(self.edges.size(scope.as_ref()));
            if stored != folded {
                self.differs(Difference::Hashes { stored, folded });
            }
        }
        Ok(())
    }

    /// What the last checkpoint of a lineage says, if it is the scope's.
    fn read_checkpoint(&mut self, scope: Option<ScopePath>, keys: &Keys) -> Result<(), Fault> {
        let Some(text) = self.logs.checkpoint(&self.tx, scope.as_ref())? else { return Ok(()) };
        // The datacenter's name is told by its checkpoint alone.
        let own = text.lines().next().unwrap_or_default();
        let origin = scope.as_ref().map_or(own, ScopePath::as_str);
        match note::verify_any(&text, origin, &keys.anchor().all()) {
            Ok(signed) => {
                if scope.is_none() {
                    self.report.signed = Some(signed.size);
                }
                self.signed.insert(scope, signed);
            }
            Err(fault) => self.differs(Difference::Checkpoint(fault.to_string())),
        }
        Ok(())
    }

    /// A tree may have grown beyond a checkpoint; then its root was compared on the way.
    fn compare_root(&mut self, scope: Option<&ScopePath>) {
        let Some(signed) = self.signed.get(&scope.cloned()) else { return };
        let size = self.edges.size(scope);
        if signed.size == size && signed.root != self.edges.root(scope) {
            let text = format!("the root over its {size} entries is another");
            self.differs(Difference::Checkpoint(text));
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

/// The proposal that an entry came from.
fn unseal(entry: &Entry, kept: Option<&[u8]>) -> Result<Sealed, String> {
    let kept = kept.ok_or("its payload is missing")?;
    let (salt, payload) = split_payload(kept).ok_or("its payload is cut off")?;
    let sealed = Sealed::of_entry(entry, *salt, payload);
    sealed.map_err(|error| format!("its payload is damaged: {error}"))
}

/// What is wrong with where an entry stands, if anything is.
fn misplaced(at: &At, entry: &Entry, place: Place) -> Option<String> {
    if entry.place() != place.order {
        return Some(format!("it stands where the entry of order {} should be", place.order));
    }
    (entry.scope != at.scope).then(|| "it says that it belongs to another scope".to_owned())
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

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.scope {
            Some(path) => write!(f, "{path} {}", self.seq),
            None => write!(f, "{}", self.seq),
        }
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
        if self.pruned > 0 {
            writeln!(f, "pruned    payloads of {} of them", self.pruned)?;
        }
        writeln!(f, "rows      {}", self.rows)?;
        writeln!(f, "root      {}", self.root)?;
        for (path, entries, root) in &self.scopes {
            writeln!(f, "scope     {path}: {entries} entries, root {root}")?;
        }
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
