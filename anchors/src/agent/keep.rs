//! Keeps rows of the leaf: what arrives while the disk works goes with the next write.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::node::RowKey;
use crate::sealed::Sealer;
use crate::store::{Store, StoreError};

/// Keys and what is to stand under them; `None` removes.
pub type Rows = Vec<(String, Option<Vec<u8>>)>;

/// Where the leaf is kept.
pub trait Shelf: Send + Sync + 'static {
    /// Writes rows, all or none. Blocks until they are on the disk.
    ///
    /// # Errors
    /// The disk did not take them.
    fn put(&self, rows: Rows) -> Result<(), ShelfError>;

    /// Everything that is kept.
    ///
    /// # Errors
    /// It cannot be read.
    fn rows(&self) -> Result<Vec<(String, Vec<u8>)>, ShelfError>;
}

/// The store did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the leaf's store failed: {0}")]
pub struct ShelfError(pub Box<str>);

/// The way of rows to the shelf.
pub(super) struct Keeper {
    shelf: Arc<dyn Shelf>,
    /// Keys whose rows changed and are not written yet. Invariant: a key enters after its row changed, and leaves before
    /// its row is read, so that no change is missed.
    waiting: Mutex<BTreeSet<RowKey>>,
    /// Held by whoever writes.
    door: tokio::sync::Mutex<()>,
}

impl Keeper {
    pub(super) fn new(shelf: Arc<dyn Shelf>) -> Self {
        Self { shelf, waiting: Mutex::default(), door: tokio::sync::Mutex::default() }
    }

    /// Returns when the rows of these keys are on the disk, as `read` told them then.
    pub(super) async fn keep(
        &self,
        keys: BTreeSet<RowKey>,
        read: impl Fn(&BTreeSet<RowKey>) -> Rows,
    ) -> Result<(), ShelfError> {
        if keys.is_empty() {
            return Ok(());
        }
        self.waiting().extend(keys.iter().cloned());
        let _writing = self.door.lock().await;
        if self.waiting().is_disjoint(&keys) {
            // Whoever wrote before took them along.
            return Ok(());
        }
        let batch = std::mem::take(&mut *self.waiting());
        let (shelf, rows) = (Arc::clone(&self.shelf), read(&batch));
        let written = tokio::task::spawn_blocking(move || shelf.put(rows)).await;
        let written = written.unwrap_or_else(|stopped| Err(ShelfError(stopped.to_string().into())));
        if written.is_err() {
            self.waiting().extend(batch);
        }
        written
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeSet<RowKey>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Shelf for Store ===

/// Rows hold the tokens that registrations came with, and what checks send: they are kept sealed.
impl Shelf for Store {
    fn put(&self, rows: Rows) -> Result<(), ShelfError> {
        let sealer = sealer(self);
        let sealed = rows.into_iter().map(|(key, row)| {
            let row = row.map(|row| sealer.seal_row(&key, &row, rand::random()).into());
            (key.into(), row)
        });
        self.put_leaf_rows(sealed.collect()).map_err(ShelfError::from)
    }

    fn rows(&self) -> Result<Vec<(String, Vec<u8>)>, ShelfError> {
        let sealer = sealer(self);
        let open = |(key, kept): (String, Vec<u8>)| match sealer.open_row(&key, kept) {
            Some(row) => Ok((key, row)),
            None => Err(ShelfError(format!("row {key:?} was sealed under another key").into())),
        };
        self.leaf()?.into_iter().map(open).collect()
    }
}

fn sealer(store: &Store) -> Sealer {
    Sealer::of_seed(store.keys().scope().as_bytes())
}

impl From<StoreError> for ShelfError {
    fn from(error: StoreError) -> Self {
        Self(error.to_string().into())
    }
}
