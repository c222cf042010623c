//! Every table of a store and its encoding, on one page.
//!
//! | table | key | value |
//! |---|---|---|
//! | `meta` | name of a [`Slot`] | JSON |
//! | `raft_log` | log index | JSON of the raft entry: a whole batch of proposals, each with its change |
//! | `entries` | seq | JSON of the [`Entry`](crate::entry::Entry), one line: the exact bytes that the Merkle leaf hashes |
//! | `payloads` | seq | 16 bytes of salt, then the JSON of the change: prunable, the entry keeps their digest |
//! | `hashes` | stored hash index (`tlog_tiles::stored_hash_index`) | 32 bytes: the RFC 6962 tree, complete subtrees only |
//! | `scoped_entries`, `scoped_payloads`, `scoped_hashes` | path of a scope, then as above | as above, for the lineages of the scopes under the datacenter |
//! | `orders` | place in the group's order | scope (empty for the datacenter's own) and seq of the entry there; only where that is not the datacenter's own entry of the same number |
//! | `versions` | uid, number of the version | order of the entry that made it, whether the record was there then, key of its row |
//! | `base_rows`, `draft_rows` | as `rows` | an image of the state from which it can be folded where payloads were pruned, and one that is being made |
//! | `checkpoints` | path of a scope | the latest checkpoint of its lineage: a signed note |
//! | `rows` | `RowId::to_key` | the row's bytes: the projection, which replay must be able to make again |
//! | `leaf` | a name that the node's agent chooses | its bytes |
//!
//! `raft_log` says what was ordered, `entries` and `payloads` what became of it, `rows` what follows from that. All but
//! the first of these and the slots [`APPLIED`] and [`MEMBERSHIP`] are only ever written together, in one transaction.

use std::marker::PhantomData;

use openraft::{LogId, StoredMembership, Vote};
use redb::{
    Database, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, TableHandle,
    WriteTransaction,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::Fault;
use crate::lineage::prune::Base;

/// The log that consensus orders, until a snapshot covers it.
pub(crate) const RAFT_LOG: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("raft_log");
/// The lineage: one leaf a line.
pub(crate) const ENTRIES: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("entries");
/// What the lineage's entries are about.
pub(crate) const PAYLOADS: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("payloads");
/// The lineage's Merkle tree.
pub(crate) const HASHES: TableDefinition<'static, u64, [u8; 32]> = TableDefinition::new("hashes");
/// The lineages of scopes under the datacenter: one leaf a line.
pub(crate) const SCOPED_ENTRIES: TableDefinition<'static, (&str, u64), &[u8]> =
    TableDefinition::new("scoped_entries");
/// What their entries are about.
pub(crate) const SCOPED_PAYLOADS: TableDefinition<'static, (&str, u64), &[u8]> =
    TableDefinition::new("scoped_payloads");
/// Their Merkle trees.
pub(crate) const SCOPED_HASHES: TableDefinition<'static, (&str, u64), [u8; 32]> =
    TableDefinition::new("scoped_hashes");
/// Where the group's entries are, by their order.
pub(crate) const ORDERS: TableDefinition<'static, u64, (&str, u64)> =
    TableDefinition::new("orders");
/// Which entries made the versions of each record.
pub(crate) const VERSIONS: TableDefinition<'static, (u128, u64), &[u8]> =
    TableDefinition::new("versions");
/// The projection as it was at [`BASE`].
pub(crate) const BASE_ROWS: TableDefinition<'static, &[u8], &[u8]> =
    TableDefinition::new("base_rows");
/// The projection as it was at [`DRAFT`].
pub(crate) const DRAFT_ROWS: TableDefinition<'static, &[u8], &[u8]> =
    TableDefinition::new("draft_rows");
/// What was signed last of each scope under the datacenter.
pub(crate) const CHECKPOINTS: TableDefinition<'static, &str, &str> =
    TableDefinition::new("checkpoints");
/// The projection.
pub(crate) const ROWS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("rows");
/// The node's own leaf scope.
pub(crate) const LEAF: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("leaf");
/// Single values.
pub(super) const META_NAME: &str = "meta";
const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new(META_NAME);

/// The version of everything on this page. A store that says otherwise is not opened.
pub(crate) const FORMAT_VERSION: u32 = 1;

/// The version that the store was written with.
pub(crate) const FORMAT: Slot<u32> = Slot::new("format");
/// The node's id.
pub(crate) const NODE_ID: Slot<Uuid> = Slot::new("node_id");
/// The last vote of this member.
pub(crate) const VOTE: Slot<Vote<u64>> = Slot::new("vote");
/// The last raft entry that was dropped from `raft_log`.
pub(crate) const PURGED: Slot<LogId<u64>> = Slot::new("purged");
/// The last raft entry that `entries` and `rows` contain.
pub(crate) const APPLIED: Slot<LogId<u64>> = Slot::new("applied");
/// The group's members as of [`APPLIED`].
pub(crate) const MEMBERSHIP: Slot<StoredMembership<u64, openraft::BasicNode>> =
    Slot::new("membership");
/// The latest checkpoint of the datacenter's own lineage: a signed note.
pub(crate) const CHECKPOINT: Slot<Box<str>> = Slot::new("checkpoint");

/// The image of the state that goes with the payloads that were pruned.
pub(crate) const BASE: Slot<Base> = Slot::new("base");
/// An image that is whole and that no entry names yet.
pub(crate) const DRAFT: Slot<Base> = Slot::new("draft");
/// Whether `versions` has those of all entries.
pub(crate) const VERSIONED: Slot<bool> = Slot::new("versioned");

/// A single value of the table `meta`: its name and its type.
pub(crate) struct Slot<T> {
    name: &'static str,
    kind: PhantomData<T>,
}

// === impl Slot ===

impl<T: Serialize + DeserializeOwned> Slot<T> {
    const fn new(name: &'static str) -> Self {
        Self { name, kind: PhantomData }
    }

    /// The value as `tx` sees it.
    pub(crate) fn read(&self, tx: &ReadTransaction) -> Result<Option<T>, Fault> {
        self.decode(&tx.open_table(META)?)
    }

    /// Keeps a value.
    pub(crate) fn write(&self, tx: &WriteTransaction, value: &T) -> Result<(), Fault> {
        let bytes = serde_json::to_vec(value).expect("slots hold plain values");
        tx.open_table(META)?.insert(self.name, bytes.as_slice())?;
        Ok(())
    }

    /// The value as a transaction that writes sees it.
    pub(crate) fn read_in(&self, tx: &WriteTransaction) -> Result<Option<T>, Fault> {
        self.decode(&tx.open_table(META)?)
    }

    /// Forgets a value.
    pub(crate) fn remove(&self, tx: &WriteTransaction) -> Result<(), Fault> {
        tx.open_table(META)?.remove(self.name)?;
        Ok(())
    }

    fn decode(
        &self,
        table: &impl ReadableTable<&'static str, &'static [u8]>,
    ) -> Result<Option<T>, Fault> {
        let Some(bytes) = table.get(self.name)? else { return Ok(None) };
        let value = serde_json::from_slice(bytes.value());
        value.map(Some).map_err(|error| Fault::damaged(format!("meta {}: {error}", self.name)))
    }
}

/// Makes the tables that a store lacks which an earlier version wrote.
pub(super) fn complete(database: &Database) -> Result<(), Fault> {
    let newest = VERSIONS.name();
    if database.begin_read()?.list_tables()?.any(|table| table.name() == newest) {
        return Ok(());
    }
    let tx = database.begin_write()?;
    create(&tx)?;
    Ok(tx.commit()?)
}

/// Makes every table that is not there, so that a reader never meets a store without one.
pub(super) fn create(tx: &WriteTransaction) -> Result<(), Fault> {
    tx.open_table(META)?;
    tx.open_table(RAFT_LOG)?;
    tx.open_table(ENTRIES)?;
    tx.open_table(PAYLOADS)?;
    tx.open_table(HASHES)?;
    tx.open_table(SCOPED_ENTRIES)?;
    tx.open_table(SCOPED_PAYLOADS)?;
    tx.open_table(SCOPED_HASHES)?;
    tx.open_table(ORDERS)?;
    tx.open_table(CHECKPOINTS)?;
    tx.open_table(VERSIONS)?;
    tx.open_table(BASE_ROWS)?;
    tx.open_table(DRAFT_ROWS)?;
    tx.open_table(ROWS)?;
    tx.open_table(LEAF)?;
    Ok(())
}
