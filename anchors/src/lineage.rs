//! A scope's lineage: an append-only Merkle log (RFC 6962) of everything that was done or refused.
//!
//! Every scope has one of its own; the group puts the entries of all of them into one order, and the state is the fold of
//! all lineages merged by that order.
//!
//! The leaf is an [`Entry`](crate::entry::Entry) as one line of JSON. The change that it tells of lies beside the log under
//! its salted digest. Whoever holds a [checkpoint](note) can have proven that an entry is in the log that was signed, and
//! that a later log continues it: tamper-evident, by tools that this program did not write.

pub mod body;
mod edges;
pub mod export;
mod log;
pub mod note;
pub mod prune;
pub mod query;
pub mod record;
mod spool;
pub mod tiles;
pub mod verify;
pub mod versions;

use sha2::{Digest, Sha256};
use tlog_tiles::tlog::{EMPTY_HASH, Hash, node_hash, record_hash, stored_hash_index};

pub(crate) use self::edges::{Edges, Place};
pub(crate) use self::log::{Leaves, Log, find, scopes};
pub(crate) use self::spool::Spool;
use crate::store::Fault;

/// Random bytes before a payload, so that its digest does not give it away.
pub const SALT_BYTES: usize = 16;

/// The growing edge of the log: all that is needed to append a leaf and to tell the root.
#[derive(Clone, Debug, Default)]
pub(crate) struct Edge {
    /// How many leaves there are.
    size: u64,
    /// By level: the root of the last complete subtree of that height. Meaningful where `size` has the bit.
    peaks: Vec<Hash>,
}

/// Hashes of leaves and of the subtrees that they complete, each with its place in the table.
pub(crate) type Grown = Vec<(u64, Hash)>;

// === impl Edge ===

impl Edge {
    /// The edge of a log that the store holds.
    pub(crate) fn load(log: &Log) -> Result<Self, Fault> {
        let size = log.size()?;
        let levels = u8::try_from(u64::BITS - size.leading_zeros()).expect("64 at most");
        let peaks = (0..levels).map(|level| match size >> level & 1 {
            0 => Ok(EMPTY_HASH),
            _ => log.hash(stored_hash_index(level, (size >> level) - 1)),
        });
        Ok(Self { size, peaks: peaks.collect::<Result<_, _>>()? })
    }

    /// How many leaves there are: the seq of the next one.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf; what the tree grew by is added to `grown`.
    pub(crate) fn append(&mut self, leaf: &[u8], grown: &mut Grown) {
        let mut hash = record_hash(leaf);
        grown.push((stored_hash_index(0, self.size), hash));
        let mut level = 0;
        while self.size >> level & 1 == 1 {
            hash = node_hash(self.peaks[usize::from(level)], hash);
            level += 1;
            grown.push((stored_hash_index(level, self.size >> level), hash));
        }
        self.size += 1;
        self.peaks.resize(self.peaks.len().max(usize::from(level) + 1), EMPTY_HASH);
        self.peaks[usize::from(level)] = hash;
    }

    /// The root of the tree over all leaves.
    pub(crate) fn root(&self) -> Hash {
        let peaks = self.peaks.iter().enumerate().filter(|(level, _)| self.size >> level & 1 == 1);
        peaks
            .map(|(_, peak)| *peak)
            .reduce(|right, left| node_hash(left, right))
            .unwrap_or(EMPTY_HASH)
    }
}

/// The digest of a payload, as its entry keeps it: hex of SHA-256 over salt and payload.
pub fn payload_digest(salt: &[u8; SALT_BYTES], payload: &[u8]) -> String {
    let digest = Sha256::new().chain_update(salt).chain_update(payload).finalize();
    crate::encoding::hex::encode(&digest)
}

/// Splits a kept payload into salt and change.
pub(crate) fn split_payload(kept: &[u8]) -> Option<(&[u8; SALT_BYTES], &[u8])> {
    kept.split_first_chunk()
}

#[cfg(test)]
mod cost;
#[cfg(test)]
mod strangers;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tlog_tiles::tlog::{Error, HashReader, tree_hash};

    use super::*;

    struct Kept(BTreeMap<u64, Hash>);

    impl HashReader for Kept {
        fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, Error> {
            indexes
                .iter()
                .map(|index| self.0.get(index).copied().ok_or(Error::IndexesNotInTree))
                .collect()
        }
    }

    #[test]
    fn the_edge_agrees_with_the_tree() {
        let mut edge = Edge::default();
        let mut kept = Kept(BTreeMap::new());
        for size in 0..200 {
            assert_eq!(edge.root(), tree_hash(size, &kept).unwrap(), "of {size} leaves");
            let mut grown = Vec::new();
            edge.append(format!("leaf {size}").as_bytes(), &mut grown);
            kept.0.extend(grown);
            assert_eq!(edge.size(), size + 1);
        }
    }
}
