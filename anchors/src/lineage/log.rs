//! The tables of one lineage, whichever they are.

use std::ops::Range;

use redb::{ReadOnlyTable, ReadTransaction, ReadableTable, TableError};
use tlog_tiles::tlog::Hash;

use super::Place;
use crate::scope::ScopePath;
use crate::store::Fault;
use crate::store::tables::{
    ENTRIES, HASHES, ORDERS, PAYLOADS, SCOPED_ENTRIES, SCOPED_HASHES, SCOPED_PAYLOADS,
};

/// One lineage as a transaction sees it.
pub(crate) enum Log {
    /// The datacenter's own.
    Own {
        entries: ReadOnlyTable<u64, &'static [u8]>,
        payloads: ReadOnlyTable<u64, &'static [u8]>,
        hashes: ReadOnlyTable<u64, [u8; 32]>,
    },
    /// That of a scope under it.
    Scoped {
        path: ScopePath,
        entries: ReadOnlyTable<(&'static str, u64), &'static [u8]>,
        payloads: ReadOnlyTable<(&'static str, u64), &'static [u8]>,
        hashes: ReadOnlyTable<(&'static str, u64), [u8; 32]>,
    },
}

/// A leaf with its place in the log.
pub(crate) type Leaf = (u64, Vec<u8>);

/// Leaves, as they are read.
pub(crate) type Leaves = Box<dyn DoubleEndedIterator<Item = Result<Leaf, Fault>>>;

/// The scopes under the datacenter that have entries, in the order of their paths.
pub(crate) fn scopes(tx: &ReadTransaction) -> Result<Vec<ScopePath>, Fault> {
    let entries = match tx.open_table(SCOPED_ENTRIES) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut scopes: Vec<ScopePath> = Vec::new();
    loop {
        let after = scopes.last().map_or("", ScopePath::as_str);
        let Some(row) = entries.range((after, u64::MAX)..)?.next() else { return Ok(scopes) };
        let (key, _) = row?;
        let path = key.value().0;
        let path = ScopePath::parse(path).map_err(|error| Fault::damaged(error.to_string()))?;
        scopes.push(path);
    }
}

/// Where the entry of this order is, if there is one: its scope, and its place there.
pub(crate) fn find(
    tx: &ReadTransaction,
    order: u64,
) -> Result<Option<(Option<ScopePath>, Place)>, Fault> {
    if let Some(kept) = tx.open_table(ORDERS)?.get(order)? {
        let (path, seq) = kept.value();
        let scope = (!path.is_empty()).then(|| ScopePath::parse(path)).transpose();
        let scope = scope.map_err(|error| Fault::damaged(error.to_string()))?;
        return Ok(Some((scope, Place { seq, order })));
    }
    let there = tx.open_table(ENTRIES)?.get(order)?.is_some();
    Ok(there.then_some((None, Place { seq: order, order })))
}

// === impl Log ===

impl Log {
    /// The lineage of a scope; `None` is the datacenter's own.
    pub(crate) fn open(tx: &ReadTransaction, scope: Option<&ScopePath>) -> Result<Self, Fault> {
        Ok(match scope {
            None => Self::Own {
                entries: tx.open_table(ENTRIES)?,
                payloads: tx.open_table(PAYLOADS)?,
                hashes: tx.open_table(HASHES)?,
            },
            Some(path) => Self::Scoped {
                path: path.clone(),
                entries: tx.open_table(SCOPED_ENTRIES)?,
                payloads: tx.open_table(SCOPED_PAYLOADS)?,
                hashes: tx.open_table(SCOPED_HASHES)?,
            },
        })
    }

    /// How many entries it has.
    pub(crate) fn size(&self) -> Result<u64, Fault> {
        Ok(match self {
            Self::Own { entries, .. } => entries.last()?.map_or(0, |(seq, _)| seq.value() + 1),
            Self::Scoped { path, entries, .. } => {
                let mut rows = entries.range((path.as_str(), 0)..=(path.as_str(), u64::MAX))?;
                rows.next_back().transpose()?.map_or(0, |(key, _)| key.value().1 + 1)
            }
        })
    }

    /// A leaf.
    pub(crate) fn leaf(&self, seq: u64) -> Result<Option<Vec<u8>>, Fault> {
        let leaf = match self {
            Self::Own { entries, .. } => entries.get(seq)?,
            Self::Scoped { path, entries, .. } => entries.get((path.as_str(), seq))?,
        };
        Ok(leaf.map(|leaf| leaf.value().to_owned()))
    }

    /// A payload as it is kept: salt, then change. Nothing when it was pruned.
    pub(crate) fn payload(&self, seq: u64) -> Result<Option<Vec<u8>>, Fault> {
        let kept = match self {
            Self::Own { payloads, .. } => payloads.get(seq)?,
            Self::Scoped { path, payloads, .. } => payloads.get((path.as_str(), seq))?,
        };
        Ok(kept.map(|kept| kept.value().to_owned()))
    }

    /// A hash of the tree.
    pub(crate) fn hash(&self, place: u64) -> Result<Hash, Fault> {
        let hash = self.stored_hash(place)?;
        hash.ok_or_else(|| Fault::damaged(format!("hash {place} of the lineage is missing")))
    }

    /// A hash of the tree, if it is there.
    pub(crate) fn stored_hash(&self, place: u64) -> Result<Option<Hash>, Fault> {
        let hash = match self {
            Self::Own { hashes, .. } => hashes.get(place)?,
            Self::Scoped { path, hashes, .. } => hashes.get((path.as_str(), place))?,
        };
        Ok(hash.map(|hash| Hash(hash.value())))
    }

    /// How many hashes are stored.
    pub(crate) fn hash_count(&self) -> Result<u64, Fault> {
        match self {
            Self::Own { hashes, .. } => Ok(redb::ReadableTableMetadata::len(hashes)?),
            Self::Scoped { path, hashes, .. } => {
                let mut count = 0;
                for row in hashes.range((path.as_str(), 0)..=(path.as_str(), u64::MAX))? {
                    row?;
                    count += 1;
                }
                Ok(count)
            }
        }
    }

    /// The places whose payloads are kept, from one on.
    pub(crate) fn kept_payloads(
        &self,
        from: u64,
    ) -> Result<Box<dyn Iterator<Item = Result<u64, Fault>>>, Fault> {
        Ok(match self {
            Self::Own { payloads, .. } => {
                Box::new(payloads.range(from..)?.map(|row| Ok(row?.0.value())))
            }
            Self::Scoped { path, payloads, .. } => {
                let range = (path.as_str(), from)..=(path.as_str(), u64::MAX);
                Box::new(payloads.range(range)?.map(|row| Ok(row?.0.value().1)))
            }
        })
    }

    /// The leaves of a range, in either direction.
    pub(crate) fn leaves(&self, range: Range<u64>) -> Result<Leaves, Fault> {
        Ok(match self {
            Self::Own { entries, .. } => Box::new(entries.range(range)?.map(|row| {
                let (seq, leaf) = row?;
                Ok((seq.value(), leaf.value().to_owned()))
            })),
            Self::Scoped { path, entries, .. } => {
                let range = (path.as_str(), range.start)..(path.as_str(), range.end);
                Box::new(entries.range(range)?.map(|row| {
                    let (key, leaf) = row?;
                    Ok((key.value().1, leaf.value().to_owned()))
                }))
            }
        })
    }
}
