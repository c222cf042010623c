//! New entries on their way into the store.

use redb::WriteTransaction;
use tlog_tiles::tlog::Hash;

use super::versions::{self, Version};
use super::{Edges, Grown, Place, SALT_BYTES};
use crate::entry::Entry;
use crate::scope::ScopePath;
use crate::store::Fault;
use crate::store::tables::{
    ENTRIES, HASHES, ORDERS, PAYLOADS, SCOPED_ENTRIES, SCOPED_HASHES, SCOPED_PAYLOADS,
};

/// New entries of the lineages that wait to be written, in few pieces of memory.
#[derive(Default)]
pub(crate) struct Spool {
    entries: Vec<Spooled>,
    leaves: Vec<u8>,
    /// Each a salt and a change, as they are kept.
    payloads: Vec<u8>,
    /// What the datacenter's own tree grew by.
    grown: Grown,
    /// What the trees of the scopes under it grew by.
    scoped_grown: Vec<(ScopePath, u64, Hash)>,
    /// The versions of records that the entries made.
    versions: Vec<Version>,
}

/// Where an entry goes, and where its leaf and its payload end.
struct Spooled {
    scope: Option<ScopePath>,
    place: Place,
    leaf_end: usize,
    payload_end: usize,
}

// === impl Spool ===

impl Spool {
    /// Takes an entry and its payload, and lets the edge of its scope grow by it.
    pub(crate) fn append(
        &mut self,
        edges: &mut Edges,
        entry: &Entry,
        salt: &[u8; SALT_BYTES],
        payload: &[u8],
    ) {
        let (scope, start) = (entry.scope.clone(), self.leaves.len());
        let place = edges.next(scope.as_ref());
        serde_json::to_writer(&mut self.leaves, entry).expect("entries are plain values");
        let leaf = &self.leaves[start..];
        match &scope {
            None => edges.append(None, leaf, &mut self.grown),
            Some(path) => {
                let mut grown = Grown::new();
                edges.append(Some(path), leaf, &mut grown);
                let grown = grown.into_iter().map(|(at, hash)| (path.clone(), at, hash));
                self.scoped_grown.extend(grown);
            }
        }
        self.payloads.extend_from_slice(salt);
        self.payloads.extend_from_slice(payload);
        let (leaf_end, payload_end) = (self.leaves.len(), self.payloads.len());
        self.entries.push(Spooled { scope, place, leaf_end, payload_end });
    }

    /// Takes the versions of records that an entry made.
    pub(crate) fn add_versions(&mut self, made: Vec<Version>) {
        self.versions.extend(made);
    }

    /// What leaves and payloads take in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.leaves.len() + self.payloads.len()
    }

    /// Forgets everything; what was allocated stays.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.leaves.clear();
        self.payloads.clear();
        self.grown.clear();
        self.scoped_grown.clear();
        self.versions.clear();
    }

    /// Writes the entries, their payloads and what the trees grew by.
    pub(crate) fn write(&self, tx: &WriteTransaction) -> Result<(), Fault> {
        self.write_own(tx)?;
        self.write_scoped(tx)?;
        versions::write(tx, &self.versions)?;
        let mut orders = tx.open_table(ORDERS)?;
        for Spooled { scope, place, .. } in &self.entries {
            if scope.is_some() || place.order != place.seq {
                let path = scope.as_ref().map_or("", ScopePath::as_str);
                orders.insert(place.order, (path, place.seq))?;
            }
        }
        Ok(())
    }

    /// The entries with their leaves and payloads.
    fn pieces(&self) -> impl Iterator<Item = (&Spooled, &[u8], &[u8])> {
        let (mut leaf, mut payload) = (0, 0);
        self.entries.iter().map(move |entry| {
            let leaves = &self.leaves[leaf..entry.leaf_end];
            let payloads = &self.payloads[payload..entry.payload_end];
            (leaf, payload) = (entry.leaf_end, entry.payload_end);
            (entry, leaves, payloads)
        })
    }

    fn write_own(&self, tx: &WriteTransaction) -> Result<(), Fault> {
        let (mut entries, mut payloads) = (tx.open_table(ENTRIES)?, tx.open_table(PAYLOADS)?);
        for (entry, leaf, payload) in self.pieces().filter(|(entry, ..)| entry.scope.is_none()) {
            entries.insert(entry.place.seq, leaf)?;
            payloads.insert(entry.place.seq, payload)?;
        }
        let mut hashes = tx.open_table(HASHES)?;
        for (place, hash) in &self.grown {
            hashes.insert(place, hash.0)?;
        }
        Ok(())
    }

    fn write_scoped(&self, tx: &WriteTransaction) -> Result<(), Fault> {
        if self.scoped_grown.is_empty() {
            return Ok(());
        }
        let mut entries = tx.open_table(SCOPED_ENTRIES)?;
        let mut payloads = tx.open_table(SCOPED_PAYLOADS)?;
        for (entry, leaf, payload) in self.pieces() {
            let Some(scope) = &entry.scope else { continue };
            let key = (scope.as_str(), entry.place.seq);
            entries.insert(key, leaf)?;
            payloads.insert(key, payload)?;
        }
        let mut hashes = tx.open_table(SCOPED_HASHES)?;
        for (scope, place, hash) in &self.scoped_grown {
            hashes.insert((scope.as_str(), *place), hash.0)?;
        }
        Ok(())
    }
}
