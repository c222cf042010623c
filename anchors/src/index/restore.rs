//! A whole index comes back from a snapshot: in pieces beside the live one, which it then replaces at once.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::pack;
use super::write::Write;
use super::{Index, RowError, RowId, Staged, StagedValue};
use crate::change::Restore;
use crate::encoding::hex;
use crate::error::Refusal;

/// The digest of the pieces up to one, from the digest before it: SHA-256 of that and the piece.
pub fn chain(before: &[u8; 32], piece: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(before).chain_update(piece).finalize().into()
}

fn unfit(reason: impl Into<Box<str>>) -> Refusal {
    Refusal::Snapshot(reason.into())
}

// === impl Staged ===

impl Staged {
    pub(super) fn named(about: StagedValue) -> Self {
        Self { about, index: Index::new(), digest: [0; 32] }
    }

    pub(super) fn about(&self) -> &StagedValue {
        &self.about
    }

    /// Takes the rows of a piece.
    fn take(&mut self, packed: &[u8]) -> Result<(), Refusal> {
        let pack = pack::inflate(packed).map_err(|error| unfit(error.to_string()))?;
        self.digest = chain(&self.digest, &pack);
        for row in pack::rows(&pack) {
            let (key, value) = row.ok_or_else(|| unfit("a row is cut off"))?;
            self.put(key, value).map_err(|error| unfit(error.to_string()))?;
        }
        Ok(())
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), RowError> {
        match RowId::from_key(key)? {
            // A snapshot that was taken during another restore says so; nothing comes of it here.
            RowId::Staged => Ok(()),
            id => self.index.put_row(id, value),
        }
    }
}

// === impl Index ===

impl Index {
    /// What every read's index is at least: the revision of the last restore.
    pub(super) fn floor(&self) -> u64 {
        self.floor
    }

    /// How far revisions are above the entries that make them: as far as restored records demand.
    pub(crate) fn lift(&self) -> u64 {
        self.lift
    }

    /// Whether a restore was begun and not ended; then its name.
    pub fn restoring(&self) -> Option<&str> {
        self.staged.as_ref().map(|staged| &*staged.about.id)
    }

    /// Reads the pieces of a restore that was under way again, when the index has come back from its rows.
    ///
    /// # Errors
    /// [`Refusal::Snapshot`] when a piece is not in the lineage any more, or damaged.
    pub(crate) fn refill(
        &mut self,
        mut piece: impl FnMut(u64) -> Option<Vec<u8>>,
    ) -> Result<(), Refusal> {
        let Some(staged) = self.staged.as_mut().map(Arc::make_mut) else { return Ok(()) };
        for entry in staged.about.entries.clone() {
            let packed = piece(entry).ok_or_else(|| unfit("a piece is missing"))?;
            staged.take(&packed)?;
        }
        Ok(())
    }
}

// === impl Write ===

impl Write<'_> {
    pub(super) fn restore(&mut self, restore: &Restore) -> Result<bool, Refusal> {
        match restore {
            Restore::Begin { id } => {
                let about = StagedValue { id: id.clone(), entries: Vec::new() };
                self.index.staged = Some(Arc::new(Staged::named(about)));
                self.write_row(RowId::Staged);
                Ok(true)
            }
            Restore::Rows { id, number, packed } => self.stage(id, *number, packed),
            Restore::Commit { id, pieces, digest } => self.replace(id, *pieces, digest),
            Restore::Abandon { id } => {
                if self.index.restoring() == Some(id) {
                    self.index.staged = None;
                    self.write_row(RowId::Staged);
                }
                Ok(true)
            }
        }
    }

    /// A piece that cannot be taken ends the restore.
    fn stage(&mut self, id: &str, number: u32, packed: &[u8]) -> Result<bool, Refusal> {
        self.write_row(RowId::Staged);
        let seq = self.stamp.seq;
        let mut staged = self.staged(id, number)?;
        let staging = Arc::make_mut(&mut staged);
        staging.take(packed)?;
        staging.about.entries.push(seq);
        self.index.staged = Some(staged);
        Ok(true)
    }

    /// The restore under way, taken out of the index, if it is this one and has so many pieces.
    fn staged(&mut self, id: &str, pieces: u32) -> Result<Arc<Staged>, Refusal> {
        if self.index.restoring() != Some(id) {
            return Err(unfit("another restore was begun"));
        }
        let staged = self.index.staged.take().ok_or_else(|| unfit("no restore was begun"))?;
        if staged.about.entries.len() == pieces as usize {
            Ok(staged)
        } else {
            Err(unfit("a piece is missing"))
        }
    }

    /// The staged index takes the live one's place. Revisions go on above both, so that no read's index falls.
    fn replace(&mut self, id: &str, pieces: u32, digest: &str) -> Result<bool, Refusal> {
        self.write_row(RowId::Staged);
        let staged = self.staged(id, pieces)?;
        if hex::encode(&staged.digest) != digest {
            return Err(unfit("its rows are not those that were announced"));
        }
        let before = self.index.revision;
        let revision = before.max(staged.index.revision + 1);
        let lift = self.index.lift + (revision - before);
        *self.index =
            Index { revision, lift, floor: revision, staged: None, ..staged.index.clone() };
        self.replaced();
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::change::{Change, KvChange, PutWhen, Registration};
    use crate::clock::Time;
    use crate::index::{Applied, Stamp};
    use crate::query::Query;
    use crate::service::{Behavior, Node, Service, Session};

    fn apply(index: &mut Index, seq: u64, change: &Change) -> Applied {
        let stamp = Stamp { revision: seq + 2 + index.lift(), seq, at: Time(0), salt: [7; 16] };
        index.apply(&stamp, change)
    }

    fn put(key: &str) -> Change {
        let (key, value) = (key.into(), b"x".to_vec());
        Change::Kv(KvChange::Put { key, value, flags: 0, when: PutWhen::Always, scope: None })
    }

    /// An index with one of everything, of this many entries more.
    fn grown(keys: u64) -> Index {
        let mut index = Index::new();
        let node = Node { name: "n".into(), address: "10.0.0.1".into(), ..Node::default() };
        let service = Service { id: "s".into(), name: "s".into(), ..Service::default() };
        let registration = Registration { node, service: Some(service), ..Registration::default() };
        apply(&mut index, 0, &Change::Register(Box::new(registration)));
        let session = Session {
            id: "id".into(),
            name: "".into(),
            node: "n".into(),
            lock_delay: Duration::ZERO,
            behavior: Behavior::Release,
            ttl: "".into(),
            node_checks: None,
            service_checks: None,
            checks: None,
        };
        apply(&mut index, 1, &Change::OpenSession(Box::new(session)));
        for at in 0..keys {
            apply(&mut index, 2 + at, &put(&format!("k{at}")));
        }
        index
    }

    /// The pieces of an index, each with a few rows.
    fn pieces(index: &Index) -> Vec<Vec<u8>> {
        let rows: Vec<_> = index.rows().map(|(id, value)| (id.to_key(), value)).collect();
        let piece = |rows: &[(Vec<u8>, Vec<u8>)]| {
            let mut pack = Vec::new();
            rows.iter().for_each(|(key, value)| pack::push(&mut pack, (key, value)));
            pack
        };
        rows.chunks(3).map(piece).collect()
    }

    fn changes(of: &Index) -> Vec<Change> {
        let (mut changes, mut digest) = (vec![Restore::Begin { id: "r".into() }], [0; 32]);
        for (piece, number) in pieces(of).iter().zip(0..) {
            digest = chain(&digest, piece);
            let packed = pack::deflate(piece);
            changes.push(Restore::Rows { id: "r".into(), number, packed });
        }
        let pieces = changes.len() as u32 - 1;
        let digest = hex::encode(&digest).into();
        changes.push(Restore::Commit { id: "r".into(), pieces, digest });
        changes.into_iter().map(Change::Restore).collect()
    }

    fn content(index: &Index) -> Vec<(RowId, Vec<u8>)> {
        index.rows().filter(|(id, _)| *id != RowId::Marks).collect()
    }

    #[test]
    fn what_was_there_comes_back_and_no_index_falls() {
        for (there, saved) in [(0, 9), (9, 0), (4, 4)] {
            let (mut index, snapshot) = (grown(there), grown(saved));
            let queries =
                [Query::Nodes, Query::Keys("".into()), Query::Key("k0".into()), Query::Sessions];
            let before: Vec<u64> = queries.iter().map(|query| index.index_of(query)).collect();
            let live = content(&index);
            let mut seq = 2 + there;
            let changes = changes(&snapshot);
            for (at, change) in changes.iter().enumerate() {
                let applied = apply(&mut index, seq, change);
                assert_eq!(applied.verdict, Ok(true));
                let last = at + 1 == changes.len();
                assert_eq!(applied.touched.all, last);
                let shown: Vec<_> =
                    content(&index).into_iter().filter(|(id, _)| *id != RowId::Staged).collect();
                assert_eq!(shown, if last { content(&snapshot) } else { live.clone() });
                seq += 1;
            }
            assert!(index.revision() > snapshot.revision());
            for (query, before) in queries.iter().zip(before) {
                assert!(index.index_of(query) > before, "{query:?}");
            }
            // Its rows tell everything, what revisions are lifted by included.
            let rows = index.rows().map(|(id, value)| (id.to_key(), value));
            let mut again = Index::restore(rows).unwrap();
            apply(&mut index, seq, &put("new"));
            apply(&mut again, seq, &put("new"));
            assert_eq!(index.rows().collect::<Vec<_>>(), again.rows().collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_does_not_fit_changes_nothing() {
        let snapshot = grown(9);
        let good = changes(&snapshot);
        let with = |at: usize, change: Restore| {
            let mut changes = good.clone();
            changes[at] = Change::Restore(change);
            changes
        };
        let rows =
            |number, packed: &[u8]| Restore::Rows { id: "r".into(), number, packed: packed.into() };
        let cases = [
            (
                "no piece",
                good.iter()
                    .filter(|change| {
                        !matches!(change, Change::Restore(Restore::Rows { number: 1, .. }))
                    })
                    .cloned()
                    .collect(),
            ),
            ("junk", with(1, rows(0, b"junk"))),
            ("other rows", with(1, rows(0, &pack::deflate(&pieces(&grown(1))[0])))),
            ("cut rows", with(1, rows(0, &pack::deflate(&pieces(&snapshot)[0][..9])))),
            ("another", with(0, Restore::Begin { id: "other".into() })),
            ("abandoned", with(good.len() - 2, Restore::Abandon { id: "r".into() })),
        ];
        for (name, changes) in cases {
            let mut index = grown(2);
            let live = content(&index);
            let verdicts: Vec<_> = (4..)
                .zip(&changes)
                .map(|(seq, change)| apply(&mut index, seq, change).verdict)
                .collect();
            assert!(matches!(verdicts.last(), Some(Err(Refusal::Snapshot(_)))), "{name}");
            let shown: Vec<_> =
                content(&index).into_iter().filter(|(id, _)| *id != RowId::Staged).collect();
            assert_eq!(shown, live, "{name}");
        }
    }

    #[test]
    fn a_restore_under_way_survives_a_restart() {
        let snapshot = grown(9);
        let changes = changes(&snapshot);
        let (mut index, mut kept) = (grown(2), std::collections::BTreeMap::new());
        for (seq, change) in (4..).zip(&changes) {
            if let Change::Restore(Restore::Rows { packed, .. }) = change {
                kept.insert(seq, packed.clone());
            }
            // As from its rows: the pieces come from the lineage.
            let rows = index.rows().map(|(id, value)| (id.to_key(), value));
            index = Index::restore(rows).unwrap();
            index.refill(|entry| kept.get(&entry).cloned()).unwrap();
            assert_eq!(apply(&mut index, seq, change).verdict, Ok(true));
        }
        assert_eq!(content(&index), content(&snapshot));
    }
}
