//! Where a replay begins when payloads were pruned, and the versions of records, which it makes on its way.

use redb::{Durability, ReadTransaction, ReadableTable, ReadableTableMetadata};
use uuid::Uuid;

use super::merged::{Logs, Merged};
use super::{At, Difference, Replay, unseal};
use crate::entry::Entry;
use crate::index::{Index, Touched};
use crate::lineage::prune::{Base, digest};
use crate::lineage::versions::{self, Version};
use crate::lineage::{Edges, payload_digest, split_payload};
use crate::store::tables::{
    BASE, BASE_ROWS, ENTRIES, PAYLOADS, SCOPED_ENTRIES, SCOPED_PAYLOADS, VERSIONED, VERSIONS,
};
use crate::store::{Fault, Store, StoreError};

/// Versions that are written in one transaction.
const VERSIONS_AT_ONCE: usize = 50_000;

/// The image to begin with; nothing when no payload is missing: then all is folded.
pub(super) fn start(tx: &ReadTransaction) -> Result<Option<Base>, Fault> {
    let Some(base) = BASE.read(tx)? else { return Ok(None) };
    let own = tx.open_table(ENTRIES)?.len()? - tx.open_table(PAYLOADS)?.len()?;
    let scoped = tx.open_table(SCOPED_ENTRIES)?.len()? - tx.open_table(SCOPED_PAYLOADS)?.len()?;
    Ok((own + scoped > 0).then_some(base))
}

impl Replay {
    /// At the place of the image, the state is what the image says.
    pub(super) fn begin_at(&mut self, order: u64) -> Result<(), Fault> {
        let Some(base) = self.start.clone().filter(|base| base.order == order) else {
            return Ok(());
        };
        let rows = self.tx.open_table(BASE_ROWS)?;
        if digest(&rows)? != base.digest {
            self.differs(Difference::Base { order, why: "its rows are others" });
        }
        let rows = rows
            .iter()?
            .map(|row| row.map(|(key, value)| (key.value().to_owned(), value.value().to_owned())));
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        match Index::restore(rows) {
            Ok(index) => self.index = index,
            Err(_) => self.differs(Difference::Base { order, why: "a row cannot be read" }),
        }
        Ok(())
    }

    /// An entry before the image: its payload is looked at, and not folded.
    pub(super) fn pass_by(&mut self, at: &At, entry: &Entry, kept: Option<&[u8]>) {
        match kept.map(split_payload) {
            Some(Some((salt, change))) => {
                if payload_digest(salt, change) != *entry.payload {
                    self.differs(Difference::Payload(at.clone()));
                }
                self.pruned.note(at.scope.as_ref(), change);
            }
            Some(None) => self.differs(Difference::Payload(at.clone())),
            None => {
                self.report.pruned += 1;
                self.missing.entry(at.scope.clone()).or_default().add(at.seq);
            }
        }
    }

    /// Each payload that is missing must have been pruned, and the image be one that an entry tells of.
    pub(super) fn judge_missing(&mut self) {
        let Some(base) = self.start.clone() else { return };
        if !self.pruned.names(&base) {
            let why = "no entry tells of it";
            self.differs(Difference::Base { order: base.order, why });
        }
        for (scope, missing) in std::mem::take(&mut self.missing) {
            for seq in missing.ranges.iter().flat_map(|(from, end)| *from..*end) {
                if !self.pruned.allows(scope.as_ref(), seq) {
                    self.differs(Difference::Missing(At { scope: scope.clone(), seq }));
                }
            }
        }
    }

    /// The versions that an entry made must be found by their records.
    pub(super) fn compare_versions(&mut self, order: u64, touched: &Touched) -> Result<(), Fault> {
        let made = Version::made(&self.index, touched, order);
        if made.is_empty() || VERSIONED.read(&self.tx)? != Some(true) {
            return Ok(());
        }
        for version in made {
            let uid = version.uid;
            let number = self.versions_of(uid)? + 1;
            self.versions.insert(uid, number);
            if versions::at(&self.tx, uid, number)?.as_ref() != Some(&version) {
                self.differs(Difference::Version { uid, number });
            }
        }
        Ok(())
    }

    /// How many versions a record had before: those before the image are believed.
    fn versions_of(&self, uid: Uuid) -> Result<u64, Fault> {
        if let Some(number) = self.versions.get(&uid) {
            return Ok(*number);
        }
        let Some(base) = &self.start else { return Ok(0) };
        let (key, mut number) = (uid.as_u128(), 0);
        for row in self.tx.open_table(VERSIONS)?.range((key, 0)..=(key, u64::MAX))? {
            let (at, value) = row?;
            if Version::decode(key, value.value())?.order >= base.order {
                break;
            }
            number = at.value().1;
        }
        Ok(number)
    }
}

/// Makes the index of versions for a store that an earlier version of the program wrote: every payload is there.
pub(crate) fn write_versions(store: &Store) -> Result<(), StoreError> {
    store.write(Durability::None, |tx| {
        tx.delete_table(VERSIONS)?;
        Ok(())
    })?;
    let view = store.view()?;
    let mut made = Vec::new();
    store.read(|_| {
        let logs = Logs::open(&view)?;
        let (mut merged, mut index, mut edges) =
            (Merged::over(&logs), Index::new(), Edges::default());
        while let Some(next) = merged.next()? {
            let Ok((at, leaf, entry)) = next else { break };
            let kept = logs.of(at.scope.as_ref()).payload(at.seq)?;
            // What cannot be folded any more ends it: `replay --check` tells why.
            let Ok(sealed) = unseal(&entry, kept.as_deref()) else { break };
            let place = edges.next(at.scope.as_ref());
            let folded = sealed.fold(&mut index, place);
            made.extend(Version::made(&index, &folded.touched, place.order));
            edges.append(at.scope.as_ref(), &leaf, &mut Vec::new());
        }
        Ok(())
    })?;
    for versions in made.chunks(VERSIONS_AT_ONCE) {
        store.write(Durability::None, |tx| versions::write(tx, versions))?;
    }
    store.write(Durability::None, |tx| {
        tx.open_table(VERSIONS)?;
        VERSIONED.write(tx, &true)
    })
}
