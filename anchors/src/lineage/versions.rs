//! Which entries made the versions of a record: an index over all lineages, from uid and number of the version to the entry.
//!
//! A version is made by each entry that changed or removed the record, be it the one that the entry speaks of first or
//! another that came along: a check with its service, a key in a transaction. The same again is no version.

use redb::{ReadTransaction, ReadableTable, Table, WriteTransaction};
use uuid::Uuid;

use crate::index::{Index, RowId, Touched};
use crate::store::Fault;
use crate::store::tables::VERSIONS;

/// Versions that are listed at a time.
pub const VERSIONS_LISTED_MAX: usize = 1_000;

/// A record as an entry left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The record.
    pub uid: Uuid,
    /// The entry that made it, by its place in the group's order.
    pub order: u64,
    /// Whether the record was there afterwards.
    pub alive: bool,
    /// Where the record was or is kept.
    pub row: RowId,
}

/// The number of a version, from 1, with the version.
pub type Numbered = (u64, Version);

// === impl Version ===

impl Version {
    /// The versions that an entry made: its change was just applied to this index.
    pub(crate) fn made(index: &Index, touched: &Touched, order: u64) -> Vec<Self> {
        let mut made: Vec<Self> = Vec::new();
        // A restore replaces what every record is; none of them is another for it.
        if touched.all {
            return made;
        }
        for row in &touched.rows {
            let Some((uid, entry)) = index.stamp_of(row) else { continue };
            if entry == order && made.iter().all(|version| version.uid != uid) {
                made.push(Self { uid, order, alive: true, row: row.clone() });
            }
        }
        for (uid, row) in &touched.gone {
            // A node that was renamed is still there, under another key.
            if made.iter().all(|version| version.uid != *uid) {
                made.push(Self { uid: *uid, order, alive: false, row: row.clone() });
            }
        }
        made
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(&self.order.to_be_bytes());
        bytes.push(u8::from(self.alive));
        bytes.extend_from_slice(&self.row.to_key());
        bytes
    }

    pub(crate) fn decode(uid: u128, bytes: &[u8]) -> Result<Self, Fault> {
        let damaged = || Fault::damaged(format!("a version of record {uid:032x} is damaged"));
        let (order, rest) = bytes.split_first_chunk().ok_or_else(damaged)?;
        let (alive, key) = rest.split_first().ok_or_else(damaged)?;
        let row = RowId::from_key(key).map_err(|_| damaged())?;
        let (uid, order) = (Uuid::from_u128(uid), u64::from_be_bytes(*order));
        Ok(Self { uid, order, alive: *alive == 1, row })
    }
}

/// Adds versions to the index, each after those that its record has.
pub(crate) fn write(tx: &WriteTransaction, versions: &[Version]) -> Result<(), Fault> {
    if versions.is_empty() {
        return Ok(());
    }
    let mut sorted: Vec<&Version> = versions.iter().collect();
    sorted.sort_by_key(|version| (version.uid, version.order));
    let mut table = tx.open_table(VERSIONS)?;
    let mut last: Option<(Uuid, u64)> = None;
    for version in sorted {
        let number = match last {
            Some((uid, number)) if uid == version.uid => number + 1,
            _ => newest(&table, version.uid)? + 1,
        };
        last = Some((version.uid, number));
        table.insert((version.uid.as_u128(), number), version.encode().as_slice())?;
    }
    Ok(())
}

/// The number of a record's newest version; 0 when there is none.
fn newest(table: &Table<'_, (u128, u64), &'static [u8]>, uid: Uuid) -> Result<u64, Fault> {
    let uid = uid.as_u128();
    let last = table.range((uid, 0)..=(uid, u64::MAX))?.next_back().transpose()?;
    Ok(last.map_or(0, |(key, _)| key.value().1))
}

/// Versions of a record from `from` on, as many as are listed at a time.
pub(super) fn list(tx: &ReadTransaction, uid: Uuid, from: u64) -> Result<Vec<Numbered>, Fault> {
    let uid = uid.as_u128();
    let table = tx.open_table(VERSIONS)?;
    let rows = table.range((uid, from)..=(uid, u64::MAX))?.take(VERSIONS_LISTED_MAX);
    rows.map(|row| read(row?)).collect()
}

/// A version of a record by its number.
pub(crate) fn at(tx: &ReadTransaction, uid: Uuid, number: u64) -> Result<Option<Version>, Fault> {
    let uid = uid.as_u128();
    let row = tx.open_table(VERSIONS)?.get((uid, number))?;
    row.map(|value| Version::decode(uid, value.value())).transpose()
}

/// A record's newest version.
pub(super) fn last(tx: &ReadTransaction, uid: Uuid) -> Result<Option<Numbered>, Fault> {
    let uid = uid.as_u128();
    let row = tx.open_table(VERSIONS)?.range((uid, 0)..=(uid, u64::MAX))?.next_back();
    row.map(|row| read(row?)).transpose()
}

type Row<'a> = (redb::AccessGuard<'a, (u128, u64)>, redb::AccessGuard<'a, &'static [u8]>);

fn read((key, value): Row<'_>) -> Result<Numbered, Fault> {
    let (uid, number) = key.value();
    Ok((number, Version::decode(uid, value.value())?))
}
