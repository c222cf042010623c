//! Is a lineage what was signed? Entry by entry, so that what was touched is named.
//!
//! Nothing of an index is needed: what is told here can be checked with the published formats alone. Whether the catalog
//! follows from the lineage is another question, which [`replay`](crate::replay) answers.

mod directory;
mod exported;
mod proof;

use std::fmt;

use ed25519_dalek::VerifyingKey;
use tlog_tiles::tlog::{Hash, record_hash};

pub use self::directory::directory;
pub use self::exported::export;
pub use self::proof::{RecordProof, record_proof};
use super::note::Signed;
use super::{Edge, SALT_BYTES, payload_digest};
use crate::entry::Entry;
use crate::limits;
use crate::scope::ScopePath;
use crate::store::StoreError;

/// What was found out about one lineage.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Whose it is.
    pub lineage: String,
    /// As many entries as there are.
    pub entries: u64,
    /// Those of them whose payloads are not kept any more.
    pub pruned: u64,
    /// Those of them whose payloads were not told.
    pub withheld: u64,
    /// The root over all of them.
    pub root: String,
    /// How many entries its checkpoint signs.
    pub signed: Option<u64>,
    /// How many entries the earlier checkpoint signs with which it was compared.
    pub continues: Option<u64>,
    /// What is wrong, the first few.
    pub findings: Vec<Finding>,
    /// How many more are wrong.
    pub more: u64,
}

/// What is wrong with a lineage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// A line of an export is none.
    #[error("line {line} was touched: {why}")]
    Line {
        /// Which, from 1.
        line: u64,
        /// What is the matter with it.
        why: String,
    },
    /// Entries are not there.
    #[error("entry {0} is missing")]
    Missing(u64),
    /// A leaf is another than the one that was hashed.
    #[error("entry {0} was touched: its leaf is not the one of its hash")]
    Leaf(u64),
    /// A leaf is no entry of this place.
    #[error("entry {seq} was touched: {why}")]
    Entry {
        /// Which.
        seq: u64,
        /// What is the matter with it.
        why: String,
    },
    /// A payload is not the one of its entry.
    #[error("the payload of entry {0} was touched: it is not the one that the entry tells of")]
    Payload(u64),
    /// A payload is not there, and nothing says why.
    #[error("the payload of entry {0} is missing")]
    NoPayload(u64),
    /// A hash of the tree is another.
    #[error("the tree's hash {place}, written with entry {seq}, was touched")]
    Hash {
        /// The entry that completed it.
        seq: u64,
        /// Its place in the tree.
        place: u64,
    },
    /// What is signed is another history.
    #[error("the root over the first {0} entries is not the one that was signed")]
    Root(u64),
    /// There are fewer entries than were signed.
    #[error("{signed} entries were signed, of which {there} are there")]
    Cut {
        /// As many were signed.
        signed: u64,
        /// As many are there.
        there: u64,
    },
    /// There are more entries than were signed.
    #[error("{signed} entries were signed, and {there} are there")]
    Longer {
        /// As many were signed.
        signed: u64,
        /// As many are there.
        there: u64,
    },
    /// The checkpoint is not believed.
    #[error("the checkpoint is not believed: {0}")]
    Checkpoint(String),
    /// There is no checkpoint.
    #[error("nothing signs it")]
    Unsigned,
    /// It is shorter than it was.
    #[error(
        "it was rolled back: the earlier checkpoint signs {saved} entries, of which {there} are there"
    )]
    RolledBack {
        /// As many were signed then.
        saved: u64,
        /// As many are there.
        there: u64,
    },
    /// It is another history than the one that was signed before.
    #[error("it was forked: its first {0} entries are not those that the earlier checkpoint signs")]
    Forked(u64),
    /// The same place proves another hash.
    #[error("the proof does not lead from the entry to the root that was signed")]
    Proof,
}

/// Why nothing can be told.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is to be read cannot be.
    #[error("{0}")]
    Unreadable(String),
    /// The key is none.
    #[error("the key is not a verifier's: it must be <name>+<id>+<base64>")]
    Key,
    /// The earlier checkpoint cannot be taken for one.
    #[error("the earlier checkpoint is not believed: {0}")]
    Saved(String),
    /// There is no such lineage.
    #[error("there is no lineage of {asked}; there are {known}")]
    UnknownScope {
        /// What was asked for.
        asked: String,
        /// What there is.
        known: String,
    },
}

/// An entry as it was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken<'a> {
    pub(crate) seq: u64,
    pub(crate) leaf: &'a [u8],
    /// What is said to be its hash, where something says so.
    pub(crate) hash: Option<Hash>,
    pub(crate) payload: Payload<'a>,
}

/// What is there of a payload.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Payload<'a> {
    Kept { salt: &'a [u8; SALT_BYTES], change: &'a [u8] },
    Pruned,
    Withheld,
    Missing,
}

/// The keys that are believed: those that were asked for, else the one that is named.
fn believed(
    keys: &[VerifyingKey],
    named: Option<VerifyingKey>,
) -> Result<Vec<VerifyingKey>, VerifyError> {
    match (keys, named) {
        ([], None) => Err(VerifyError::Key),
        ([], Some(named)) => Ok(vec![named]),
        (keys, _) => Ok(keys.to_vec()),
    }
}

/// Takes a lineage entry by entry.
pub(crate) struct Verifier {
    report: Report,
    edge: Edge,
    /// Whether the tree can still be told: no entry was missing.
    whole: bool,
    /// What was signed earlier.
    saved: Option<Signed>,
    /// What signs it, where that is known from the beginning.
    signed: Option<Signed>,
    last_order: Option<u64>,
}

// === impl Verifier ===

impl Verifier {
    pub(crate) fn new(lineage: &str, saved: Option<Signed>, signed: Option<Signed>) -> Self {
        let report = Report { lineage: lineage.to_owned(), ..Report::default() };
        let edge = Edge::default();
        Self { report, edge, whole: true, saved, signed, last_order: None }
    }

    /// For one entry without those before it.
    pub(crate) fn alone(lineage: &str) -> Self {
        Self { whole: false, ..Self::new(lineage, None, None) }
    }

    /// Takes the next entry. Returns what the tree grew by.
    pub(crate) fn take(&mut self, taken: &Taken<'_>) -> super::Grown {
        let mut grown = super::Grown::new();
        let expected = self.edge.size();
        if taken.seq != expected && self.whole {
            self.whole = false;
            let gap = taken.seq.saturating_sub(expected).max(1);
            let shown = gap.min(limits::REPLAY_DIFFERENCES_MAX as u64);
            (0..shown).for_each(|at| self.finds(Finding::Missing(expected + at)));
            self.report.more += gap - shown;
        }
        self.report.entries += 1;
        if taken.hash.is_some_and(|hash| hash != record_hash(taken.leaf)) {
            self.finds(Finding::Leaf(taken.seq));
        }
        self.judge(taken);
        if self.whole {
            self.edge.append(taken.leaf, &mut grown);
            self.compare_roots();
        }
        grown
    }

    fn judge(&mut self, taken: &Taken<'_>) {
        let seq = taken.seq;
        let entry: Entry = match serde_json::from_slice(taken.leaf) {
            Ok(entry) => entry,
            Err(error) => return self.finds(Finding::Entry { seq, why: error.to_string() }),
        };
        if let Some(why) = self.misplaced(&entry, seq) {
            self.finds(Finding::Entry { seq, why });
        }
        match taken.payload {
            Payload::Kept { salt, change } => {
                if payload_digest(salt, change) != *entry.payload {
                    self.finds(Finding::Payload(seq));
                }
            }
            Payload::Pruned => self.report.pruned += 1,
            Payload::Withheld => self.report.withheld += 1,
            Payload::Missing => self.finds(Finding::NoPayload(seq)),
        }
        self.last_order = Some(entry.place());
    }

    fn misplaced(&self, entry: &Entry, seq: u64) -> Option<String> {
        if entry.seq != seq {
            return Some(format!("it says that it is entry {}", entry.seq));
        }
        let elsewhere = entry.scope.as_ref().map(ScopePath::as_str);
        if let Some(scope) = elsewhere.filter(|scope| *scope != self.report.lineage) {
            return Some(format!("it says that it belongs to {scope}"));
        }
        let before = self.last_order.filter(|last| *last >= entry.place());
        before.map(|last| format!("it says that it comes before the one of order {last}"))
    }

    fn compare_roots(&mut self) {
        let size = self.edge.size();
        if let Some(saved) = self.saved.filter(|saved| saved.size == size) {
            self.report.continues = Some(size);
            if saved.root != self.edge.root() {
                self.finds(Finding::Forked(size));
            }
        }
        if let Some(signed) = self.signed.filter(|signed| signed.size == size)
            && signed.root != self.edge.root()
        {
            self.finds(Finding::Root(size));
        }
    }

    pub(crate) fn finds(&mut self, finding: Finding) {
        if self.report.findings.len() < limits::REPLAY_DIFFERENCES_MAX {
            self.report.findings.push(finding);
        } else {
            self.report.more += 1;
        }
    }

    /// Everything was taken; what signs exactly this, where that comes last.
    pub(crate) fn finish(mut self, last: Option<Signed>) -> Report {
        let there = self.edge.size();
        if let Some(signed) = last {
            self.report.signed = Some(signed.size);
            if signed.size < self.report.entries {
                self.finds(Finding::Longer { signed: signed.size, there: self.report.entries });
            } else if self.whole && signed.size == there && signed.root != self.edge.root() {
                self.finds(Finding::Root(there));
            }
        }
        if let Some(signed) = self.signed {
            self.report.signed = Some(signed.size);
        }
        if let Some(signed) =
            last.or(self.signed).filter(|signed| signed.size > there && self.whole)
        {
            self.finds(Finding::Cut { signed: signed.size, there });
        }
        if let Some(saved) = self.saved.filter(|saved| saved.size > there) {
            self.finds(Finding::RolledBack { saved: saved.size, there });
        }
        self.report.root = self.edge.root().to_string();
        self.report
    }
}

// === impl Report ===

impl Report {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lineage, entries, pruned, withheld, root, .. } = self;
        writeln!(f, "lineage   {lineage}")?;
        write!(f, "entries   {entries}")?;
        for (count, what) in [(pruned, "pruned"), (withheld, "withheld")] {
            if *count > 0 {
                write!(f, ", payloads of {count} {what}")?;
            }
        }
        writeln!(f, "\nroot      {root}")?;
        match self.signed {
            Some(size) => writeln!(f, "signed    {size} entries")?,
            None => writeln!(f, "signed    nothing yet")?,
        }
        if let Some(size) = self.continues {
            writeln!(f, "continues the earlier checkpoint of {size} entries")?;
        }
        for finding in &self.findings {
            writeln!(f, "TOUCHED   {finding}")?;
        }
        match (self.is_clean(), self.more) {
            (true, _) => write!(f, "verified"),
            (false, 0) => write!(f, "{} findings", self.findings.len()),
            (false, more) => write!(f, "{} findings and {more} more", self.findings.len()),
        }
    }
}

#[cfg(test)]
mod tests;
