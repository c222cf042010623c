//! Reading the lineage: entries, payloads, proofs, and the tiles of C2SP `tlog-tiles`.

use std::str::FromStr;
use std::sync::Arc;

use redb::ReadTransaction;
use tlog_tiles::tile::Tile;
use tlog_tiles::tlog::{self, Hash, HashReader, RecordProof, TreeProof};

use super::Log;
use super::note::verifier_key;
use super::prune::{self, Base};
use super::query::read_payload;
use crate::index::Index;
use crate::scope::ScopePath;
use crate::store::tables::{BASE, CHECKPOINT, CHECKPOINTS};
use crate::store::{Fault, Store, StoreError};

/// The height of a tile: 256 hashes wide, as the format fixes it.
const TILE_HEIGHT: u8 = 8;
/// The entries of a full tile.
const TILE_ENTRIES: u64 = 1 << TILE_HEIGHT;

/// The highest level that has a name.
const LEVEL_MAX: u8 = 63;

/// Whoever holds applied entries that the store does not have yet.
pub(crate) trait Unwritten: Send + Sync {
    /// Writes them: afterwards the store is what the index is.
    ///
    /// # Errors
    /// The store did not take them.
    fn flush(&self) -> Result<(), StoreError>;
}

/// Reads a scope's lineage; cheap to clone. Each call sees one consistent state.
#[derive(Clone)]
pub struct Lineage {
    store: Arc<Store>,
    /// Entries that the store does not have yet.
    unwritten: Arc<dyn Unwritten>,
    /// Whose it is; `None` is the datacenter's own.
    scope: Option<ScopePath>,
}

/// A tile as C2SP `tlog-tiles` addresses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TilePath {
    /// `None` for a bundle of entries.
    level: Option<u8>,
    number: u64,
    width: u16,
}

/// What an entry is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// What its digest begins with.
    pub salt: [u8; super::SALT_BYTES],
    /// The change, as JSON.
    pub change: Vec<u8>,
}

/// Why something of the lineage could not be told.
#[derive(Debug, thiserror::Error)]
pub enum LineageError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A tree of this size is not known, or the entry is not in it.
    #[error("the lineage has {size} entries; {asked} is not among them")]
    Beyond {
        /// How many there are.
        size: u64,
        /// What was asked for.
        asked: u64,
    },
    /// The stored tree does not fit together.
    #[error("the lineage's tree is damaged: {0}")]
    Tree(tlog::Error),
}

// === impl TilePath ===

impl TilePath {
    /// Reads `tile/<L>/<N>[.p/<W>]` or `tile/entries/<N>[.p/<W>]`, in the only spelling that each tile has.
    pub fn parse(path: &str) -> Option<Self> {
        let (level, rest) = path.strip_prefix("tile/")?.split_once('/')?;
        let level = match level {
            "entries" => None,
            digits => Some(decimal(digits).filter(|level| *level <= LEVEL_MAX)?),
        };
        let (number, width) = match rest.split_once(".p/") {
            Some((number, width)) => {
                (number, decimal(width).filter(|width| (1..TILE_ENTRIES as u16).contains(width))?)
            }
            None => (rest, TILE_ENTRIES as u16),
        };
        Some(Self { level, number: grouped(number)?, width })
    }
}

/// A number in its only spelling.
fn decimal<T: FromStr + ToString>(digits: &str) -> Option<T> {
    let number: T = digits.parse().ok()?;
    (number.to_string() == digits).then_some(number)
}

/// A number in groups of three digits, `x001/x234/067`.
fn grouped(text: &str) -> Option<u64> {
    let mut number = 0_u64;
    let groups = text.split('/').count();
    for (at, group) in text.split('/').enumerate() {
        let digits = if at + 1 < groups { group.strip_prefix('x')? } else { group };
        let plain = digits.len() == 3 && digits.bytes().all(|digit| digit.is_ascii_digit());
        if !plain || (at == 0 && groups > 1 && digits == "000") {
            return None;
        }
        number = number.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
    }
    Some(number)
}

// === impl Lineage ===

impl Lineage {
    pub(crate) fn new(store: Arc<Store>, unwritten: Arc<dyn Unwritten>) -> Self {
        Self { store, unwritten, scope: None }
    }

    /// The lineage of another scope of the same group; `None` is the datacenter's own.
    #[must_use]
    pub fn of(&self, scope: Option<ScopePath>) -> Self {
        Self { scope, ..self.clone() }
    }

    /// The scopes under the datacenter that have entries, in the order of their paths.
    ///
    /// # Errors
    /// [`LineageError::Store`].
    pub fn scopes(&self) -> Result<Vec<ScopePath>, LineageError> {
        Ok(self.settled()?.read(super::scopes)?)
    }

    /// Writes an image of the state, when no entry that waits to be written needs the one before.
    pub(crate) fn draft(&self, index: &Index, order: u64) -> Result<Base, StoreError> {
        prune::draft(self.settled()?, index, order)
    }

    /// The image that goes with what was pruned.
    pub(crate) fn base(&self) -> Result<Option<Base>, LineageError> {
        Ok(self.settled()?.read(|tx| BASE.read(tx))?)
    }

    fn log(&self, tx: &ReadTransaction) -> Result<Log, Fault> {
        Log::open(tx, self.scope.as_ref())
    }

    /// Looks at the lineage as it is, all that was applied included.
    pub(crate) fn read<T>(
        &self,
        work: impl FnOnce(&Log) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        self.settled()?.read(|tx| work(&self.log(tx)?))
    }

    /// The store, after everything that was applied is written to it.
    pub(super) fn settled(&self) -> Result<&Store, StoreError> {
        self.unwritten.flush()?;
        Ok(&self.store)
    }

    /// The key by which anyone verifies its checkpoints, which are signed in the name of `origin`.
    pub fn verifier_key(&self, origin: &str) -> String {
        verifier_key(origin, &self.store.keys().anchor().current().verifying_key())
    }

    /// How many entries there are.
    ///
    /// # Errors
    /// [`LineageError::Store`].
    pub fn size(&self) -> Result<u64, LineageError> {
        Ok(self.read(Log::size)?)
    }

    /// An entry: the exact bytes of its leaf.
    ///
    /// # Errors
    /// [`LineageError::Store`].
    pub fn entry(&self, seq: u64) -> Result<Option<Vec<u8>>, LineageError> {
        Ok(self.read(|log| log.leaf(seq))?)
    }

    /// Salt and change of an entry; nothing when they were pruned.
    ///
    /// # Errors
    /// [`LineageError::Store`].
    pub fn payload(&self, seq: u64) -> Result<Option<Payload>, LineageError> {
        let kept =
            self.read(|log| log.payload(seq)?.map(|kept| read_payload(seq, &kept)).transpose());
        Ok(kept?)
    }

    /// The last checkpoint that was kept: a signed note.
    ///
    /// # Errors
    /// [`LineageError::Store`].
    pub fn kept_checkpoint(&self) -> Result<Option<Box<str>>, LineageError> {
        Ok(self.settled()?.read(|tx| kept_checkpoint(tx, self.scope.as_ref()))?)
    }

    /// The root of the tree over the first `size` entries.
    ///
    /// # Errors
    /// [`LineageError::Beyond`] when there are not as many.
    pub fn root(&self, size: u64) -> Result<Hash, LineageError> {
        self.in_tree(size, size, |hashes| tlog::tree_hash(size, hashes))
    }

    /// A proof that entry `seq` is in the tree of `size`.
    ///
    /// # Errors
    /// [`LineageError::Beyond`] when it is not.
    pub fn inclusion(&self, size: u64, seq: u64) -> Result<RecordProof, LineageError> {
        self.in_tree(size, seq.saturating_add(1), |hashes| tlog::prove_record(size, seq, hashes))
    }

    /// A proof that the tree of `size` continues the one of `old`.
    ///
    /// # Errors
    /// [`LineageError::Beyond`] when there is no such tree.
    pub fn consistency(&self, size: u64, old: u64) -> Result<TreeProof, LineageError> {
        self.in_tree(size, old, |hashes| tlog::prove_tree(size, old, hashes))
    }

    /// The bytes of a tile.
    ///
    /// # Errors
    /// [`LineageError::Beyond`] when the log has not grown to it.
    pub fn at(&self, path: TilePath) -> Result<Vec<u8>, LineageError> {
        match path.level {
            Some(level) => self.tile(level, path.number, path.width),
            None => self.entries_tile(path.number, path.width),
        }
    }

    /// The hashes of a tile: `width` (1 to 256) of level `level`, from the `number`th 256 on.
    ///
    /// # Errors
    /// [`LineageError::Beyond`] when the log has not grown to it.
    pub fn tile(&self, level: u8, number: u64, width: u16) -> Result<Vec<u8>, LineageError> {
        let leaves = number.saturating_mul(TILE_ENTRIES).saturating_add(width.into());
        let each = 1_u64.checked_shl(u32::from(level) * u32::from(TILE_HEIGHT));
        let size = each.and_then(|each| leaves.checked_mul(each)).unwrap_or(u64::MAX);
        let tile = Tile::new(TILE_HEIGHT, level, number, width.into(), false);
        self.in_tree(size, size, |hashes| tile.read_data(hashes))
    }

    /// The entries of a tile: `width` of them from the `number`th 256 on, each after its length in two bytes, as
    /// `tlog-tiles` has it.
    ///
    /// # Errors
    /// [`LineageError::Beyond`] when the log has not grown to it.
    pub fn entries_tile(&self, number: u64, width: u16) -> Result<Vec<u8>, LineageError> {
        let first = number.saturating_mul(TILE_ENTRIES);
        let end = first.saturating_add(width.into());
        self.in_tree(end, end, |_| Ok(()))?;
        let bundle = self.settled()?.read(|tx| {
            let mut bundle = Vec::new();
            for row in self.log(tx)?.leaves(first..end)? {
                let (seq, leaf) = row?;
                let length = u16::try_from(leaf.len());
                let length =
                    length.map_err(|_| Fault::damaged(format!("entry {seq} is too long")))?;
                bundle.extend_from_slice(&length.to_be_bytes());
                bundle.extend_from_slice(&leaf);
            }
            Ok(bundle)
        })?;
        Ok(bundle)
    }

    fn in_tree<T>(
        &self,
        size: u64,
        asked: u64,
        work: impl FnOnce(&Hashes) -> Result<T, tlog::Error>,
    ) -> Result<T, LineageError> {
        let view = self.settled()?.view()?;
        let (have, hashes) = self.store.read(|_| {
            let log = self.log(&view)?;
            Ok((log.size()?, Hashes(log)))
        })?;
        if size > have || asked > size {
            return Err(LineageError::Beyond { size: have, asked: size.max(asked) });
        }
        work(&hashes).map_err(LineageError::Tree)
    }
}

/// The last checkpoint that was kept of a lineage.
pub(crate) fn kept_checkpoint(
    tx: &ReadTransaction,
    scope: Option<&ScopePath>,
) -> Result<Option<Box<str>>, Fault> {
    match scope {
        None => CHECKPOINT.read(tx),
        Some(path) => {
            let kept = tx.open_table(CHECKPOINTS)?.get(path.as_str())?;
            Ok(kept.map(|note| note.value().into()))
        }
    }
}

/// The stored tree as one view sees it.
struct Hashes(Log);

impl HashReader for Hashes {
    fn read_hashes(&self, places: &[u64]) -> Result<Vec<Hash>, tlog::Error> {
        let hashes = places.iter().map(|place| self.0.hash(*place));
        hashes.collect::<Result<_, _>>().map_err(|_| tlog::Error::IndexesNotInTree)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_have_one_name_each() {
        let tile = |level, number, width| Some(TilePath { level, number, width });
        let cases = [
            ("tile/0/000", tile(Some(0), 0, 256)),
            ("tile/63/067.p/1", tile(Some(63), 67, 1)),
            ("tile/1/x001/x234/067.p/255", tile(Some(1), 1_234_067, 255)),
            ("tile/entries/x001/000", tile(None, 1_000, 256)),
            ("tile/0/x018/x446/x744/x073/x709/x551/615", tile(Some(0), u64::MAX, 256)),
            ("tile/0/x018/x446/x744/x073/x709/x551/616", None),
            ("tile/64/000", None),
            ("tile/00/000", None),
            ("tile/-1/000", None),
            ("tile/+1/000", None),
            ("tile/data/000", None),
            ("tile/0/0", None),
            ("tile/0/x000/001", None),
            ("tile/0/001/002", None),
            ("tile/0/x001", None),
            ("tile/0/0001", None),
            ("tile/0/", None),
            ("tile/0/000.p/0", None),
            ("tile/0/000.p/256", None),
            ("tile/0/000.p/01", None),
            ("tile/0/000.p/", None),
            ("tile/0/000.p/1/2", None),
            ("tile/0/000/", None),
            ("tile/8/0/000", None),
        ];
        for (path, expected) in cases {
            assert_eq!(TilePath::parse(path), expected, "{path}");
        }
    }
}
