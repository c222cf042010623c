//! A scope's store: one redb file, or the same in memory.
//!
//! Two kinds of transactions are written. The raft log's are durable: one `fdatasync` each, and nothing is acknowledged
//! before. What was applied ([`group`](crate::group)) is written for many batches at once and not synced at all; redb
//! orders commits, so the next durable one takes it along. A crash between the two loses what was applied, never the order,
//! and the next start applies the log's tail again. Under load each such transaction is followed by the durable commit of
//! the next batch before there is another, so that unsynced pages never pile up beyond one of them.
//!
//! redb refuses all work after an I/O error until the file is opened anew (`Store::reopen`).

pub(crate) mod overlay;
pub(crate) mod tables;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use redb::backends::InMemoryBackend;
use redb::{Builder, Database, Durability, ReadTransaction, ReadableDatabase, WriteTransaction};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::keys::{KeyError, Keys};
use crate::limits;

/// The store's file in its directory.
const FILE_NAME: &str = "scope.redb";
/// Held as long as a process uses the directory.
const LOCK_NAME: &str = "scope.lock";

/// A scope's durable state and the keys that go with it.
pub struct Store {
    /// For errors: the file, or that there is none.
    name: Box<str>,
    /// Opens the database again after an I/O error; `None` in memory, where there is nothing to open again.
    opener: Option<Opener>,
    /// `None` after a failed attempt to open it again.
    database: RwLock<Option<Database>>,
    node_id: Uuid,
    keys: Keys,
    leaf: LeafQueue,
    /// Told when a leaf row was not kept: whoever may open the file again should do so.
    leaf_failed: Notify,
    /// Whether a transaction failed since the file was last opened: then none succeeds any more.
    broken: AtomicBool,
    /// What the last transaction that failed said.
    failure: Mutex<Option<(io::ErrorKind, String)>>,
    /// Held until the store is closed.
    lock: Mutex<Option<File>>,
}

/// A row of the leaf scope and its value; `None` to forget it.
pub type LeafRow = (Box<str>, Option<Box<[u8]>>);

type Opener = Box<dyn Fn() -> Result<Database, redb::DatabaseError> + Send + Sync>;

/// Why a store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it.
    #[error("data directory {} is in use by another process", dir.display())]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// Its bytes are not what was written.
    #[error(
        "{file} is damaged: {reason}; put back a copy of the data directory, or move {file} away to start with an \
         empty scope"
    )]
    Damaged {
        /// The file.
        file: Box<str>,
        /// What was found.
        reason: Box<str>,
    },
    /// It is a store, but none of this program's.
    #[error(
        "{file} was not written by this program; point the data directory elsewhere, or move the file away"
    )]
    Foreign {
        /// The file.
        file: Box<str>,
    },
    /// A later version wrote it.
    #[error(
        "{file} has format {found} and this version reads format {known}; use the version that wrote it"
    )]
    Newer {
        /// The file.
        file: Box<str>,
        /// Its format.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// The disk did not do what was asked.
    #[error("{file}: {source}")]
    Io {
        /// The file.
        file: Box<str>,
        /// What the system said.
        source: io::Error,
    },
    /// A key file cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// What went wrong inside a transaction, before it is known in which file.
#[derive(Debug)]
pub(crate) struct Fault(Box<redb::Error>);

/// Leaf rows that wait to be committed together.
#[derive(Default)]
struct LeafQueue {
    waiting: Mutex<Vec<LeafWrite>>,
    /// Held by whoever commits for all who wait.
    committing: Mutex<()>,
}

struct LeafWrite {
    key: Box<str>,
    value: Option<Box<[u8]>>,
    /// Set when it is committed: an error's kind and text, since errors themselves cannot be shared.
    outcome: Arc<OnceLock<Result<(), (io::ErrorKind, String)>>>,
}

// === impl Store ===

impl Store {
    /// Opens the store of a data directory, or makes both.
    ///
    /// # Errors
    /// See [`StoreError`]; nothing was changed then.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let mut maker = fs::DirBuilder::new();
        maker.recursive(true).mode(0o700).create(dir).map_err(io_error(dir))?;
        let lock = lock(dir)?;
        let path = dir.join(FILE_NAME);
        if path.try_exists().map_err(io_error(&path))? {
            verify(&path)?
        } else {
            create(dir, &path)?
        }
        let keys = Keys::open(dir)?;
        let name = path.display().to_string();
        let opener: Opener = Box::new(move || builder(limits::STORE_CACHE_BYTES).open(&path));
        Self::with_opener(&name, opener, keys, Some(lock))
    }

    /// A store that ends with the process, through the same code.
    ///
    /// # Errors
    /// None that is known: the store's own would be bugs.
    pub fn in_memory() -> Result<Self, StoreError> {
        let name = "the store in memory";
        let database = builder(limits::STORE_IN_MEMORY_CACHE_BYTES)
            .create_with_backend(InMemoryBackend::new());
        let database = database.map_err(|error| Fault::from(error).named(name))?;
        let node_id = prepare(&database).map_err(|fault| fault.named(name))?;
        Ok(Self::assemble(name, None, database, node_id, Keys::generate(), None))
    }

    pub(crate) fn with_opener(
        name: &str,
        opener: Opener,
        keys: Keys,
        lock: Option<File>,
    ) -> Result<Self, StoreError> {
        let database = guarded(name, || Ok(opener()?))?;
        let node_id =
            guarded(name, || recognise(&database))?.map_err(|strange| strange.named(name))?;
        guarded(name, || tables::complete(&database))?;
        Ok(Self::assemble(name, Some(opener), database, node_id, keys, lock))
    }

    fn assemble(
        name: &str,
        opener: Option<Opener>,
        database: Database,
        node_id: Uuid,
        keys: Keys,
        lock: Option<File>,
    ) -> Self {
        Self {
            name: name.into(),
            opener,
            database: RwLock::new(Some(database)),
            node_id,
            keys,
            leaf: LeafQueue::default(),
            leaf_failed: Notify::new(),
            broken: AtomicBool::new(false),
            failure: Mutex::default(),
            lock: Mutex::new(lock),
        }
    }

    /// The node's id: made with the store, kept for as long as it is.
    pub fn node_id(&self) -> Uuid {
        self.node_id
    }

    /// The keys of the node and of the scope.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Keeps a row of the node's leaf scope, or forgets it. Durable when this returns; those who come while another's
    /// row is synced share the next sync. Blocks for as long as that takes.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the disk refuses: then nothing was kept.
    pub fn put_leaf(&self, key: &str, value: Option<&[u8]>) -> Result<(), StoreError> {
        self.put_leaf_rows(vec![(key.into(), value.map(Into::into))])
    }

    /// As [`Store::put_leaf`], for several rows in one sync: all of them or none.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the disk refuses: then nothing was kept.
    pub fn put_leaf_rows(&self, rows: Vec<LeafRow>) -> Result<(), StoreError> {
        let outcome = Arc::new(OnceLock::new());
        let writes = rows.into_iter().map(|(key, value)| LeafWrite {
            key,
            value,
            outcome: Arc::clone(&outcome),
        });
        self.leaf.waiting.lock().unwrap_or_else(PoisonError::into_inner).extend(writes);
        let committing = self.leaf.committing.lock().unwrap_or_else(PoisonError::into_inner);
        if outcome.get().is_none() {
            self.commit_leaf();
        }
        drop(committing);
        match outcome.get() {
            Some(Err((kind, text))) => Err(StoreError::Io {
                file: self.name.clone(),
                source: io::Error::new(*kind, text.clone()),
            }),
            Some(Ok(())) | None => Ok(()),
        }
    }

    fn commit_leaf(&self) {
        let writes =
            std::mem::take(&mut *self.leaf.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        let result = self.write(Durability::Immediate, |tx| {
            let mut table = tx.open_table(tables::LEAF)?;
            for write in &writes {
                match &write.value {
                    Some(value) => drop(table.insert(&*write.key, &**value)?),
                    None => drop(table.remove(&*write.key)?),
                }
            }
            Ok(())
        });
        if result.is_err() {
            self.leaf_failed.notify_one();
        }
        let shared = result.map_err(|error| match error {
            StoreError::Io { source, .. } => (source.kind(), source.to_string()),
            other => (io::ErrorKind::Other, other.to_string()),
        });
        for write in writes {
            // Rows that came together share their outcome: the first of them sets it.
            write.outcome.get_or_init(|| shared.clone());
        }
    }

    /// All rows of the node's leaf scope, by key.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn leaf(&self) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.read(|tx| {
            let table = tx.open_table(tables::LEAF)?;
            let rows = redb::ReadableTable::iter(&table)?.map(|row| {
                let (key, value) = row?;
                Ok((key.value().to_owned(), value.value().to_owned()))
            });
            rows.collect()
        })
    }

    /// Ends the use of the file in good order, so that the next start need not look for what a crash left behind. Another
    /// may open the directory from then on, though somebody may still hold this value.
    pub fn close(&self) {
        drop(self.database.write().unwrap_or_else(PoisonError::into_inner).take());
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// One transaction, committed as durably as asked.
    pub(crate) fn write<T>(
        &self,
        durability: Durability,
        work: impl FnOnce(&WriteTransaction) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let fault = match self.try_write(durability, work) {
            Ok(value) => return Ok(value),
            Err(fault) => fault,
        };
        self.broken.store(true, Ordering::Relaxed);
        if fault.is_consequence() {
            return Err(self.stopped(fault));
        }
        let failure = fault.named(&self.name);
        if let StoreError::Io { source, .. } = &failure {
            let cause = (source.kind(), source.to_string());
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(cause);
        }
        Err(failure)
    }

    /// What stopped the database, where `fault` only says that something did.
    fn stopped(&self, fault: Fault) -> StoreError {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match failure {
            Some((kind, text)) => {
                StoreError::Io { file: self.name.clone(), source: io::Error::new(kind, text) }
            }
            None => fault.named(&self.name),
        }
    }

    /// What the last transaction that failed said: on its way through consensus an error loses its cause.
    pub(crate) fn last_failure(&self) -> Option<String> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.as_ref().map(|(_, text)| format!("{}: {text}", self.name))
    }

    fn try_write<T>(
        &self,
        durability: Durability,
        work: impl FnOnce(&WriteTransaction) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let mut tx = {
            let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
            database.as_ref().ok_or_else(Fault::closed)?.begin_write()?
        };
        tx.set_durability(durability).expect("the store has no savepoints");
        let value = work(&tx)?;
        tx.commit()?;
        Ok(value)
    }

    /// A look at one consistent state.
    pub(crate) fn read<T>(
        &self,
        work: impl FnOnce(&ReadTransaction) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let view = self.view()?;
        work(&view).map_err(|fault| fault.named(&self.name))
    }

    /// One consistent state, kept for as long as the view is: its pages are not reused before.
    pub(crate) fn view(&self) -> Result<ReadTransaction, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let view = database
            .as_ref()
            .ok_or_else(Fault::closed)
            .and_then(|database| Ok(database.begin_read()?));
        view.map_err(|fault| fault.named(&self.name))
    }

    /// Whether it has to be opened again.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    /// Returns when a leaf row was not kept. The raft log would meet the same error; only the group may open the file
    /// again, since it knows what was acknowledged.
    pub(crate) async fn leaf_failed(&self) {
        self.leaf_failed.notified().await;
    }

    /// Opens the file again after an I/O error. What was acknowledged is there: it was synced before. The last
    /// application may be gone, and the one before it is there.
    pub(crate) fn reopen(&self) -> Result<(), StoreError> {
        let Some(opener) = &self.opener else { return Ok(()) };
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        drop(database.take());
        *database = Some(guarded(&self.name, || Ok(opener()?))?);
        self.broken.store(false, Ordering::Relaxed);
        Ok(())
    }
}

fn builder(cache: usize) -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(cache);
    builder
}

fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join(LOCK_NAME);
    let mut options = OpenOptions::new();
    let file = options
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(io_error(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { dir: dir.into() }),
        Err(TryLockError::Error(source)) => Err(io_error(&path)(source)),
    }
}

/// Takes the directory of a store that is not to be changed.
pub(crate) fn lock_existing(dir: &Path) -> Result<(File, PathBuf), StoreError> {
    let path = dir.join(FILE_NAME);
    fs::metadata(&path).map_err(io_error(&path))?;
    Ok((lock(dir)?, path))
}

/// Makes the file beside its place and moves it there when it is whole: a crash leaves no half-made store.
fn create(dir: &Path, path: &Path) -> Result<(), StoreError> {
    let draft = dir.join(format!("{FILE_NAME}.new"));
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true).mode(0o600);
    let file = options.open(&draft).map_err(io_error(&draft))?;
    guarded(&draft.display().to_string(), || {
        let database = builder(limits::STORE_CACHE_BYTES).create_file(file)?;
        prepare(&database)
    })?;
    fs::rename(&draft, path).map_err(io_error(path))?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(io_error(dir))
}

/// Reads a file to its last page without changing it, unless that would delay the start.
fn verify(path: &Path) -> Result<(), StoreError> {
    let size = fs::metadata(path).map_err(io_error(path))?.len();
    if size > limits::VERIFY_AT_START_BYTES_MAX { Ok(()) } else { overlay::verify(path).map(drop) }
}

/// Makes the tables of a new store; returns the node's id.
pub(crate) fn prepare(database: &Database) -> Result<Uuid, Fault> {
    let node_id = Uuid::new_v4();
    let tx = database.begin_write()?;
    tables::create(&tx)?;
    tables::VERSIONED.write(&tx, &true)?;
    tables::FORMAT.write(&tx, &tables::FORMAT_VERSION)?;
    tables::NODE_ID.write(&tx, &node_id)?;
    tx.commit()?;
    Ok(node_id)
}

/// A store that is none of ours, or none of this version's.
pub(crate) enum Strange {
    /// It says nothing that we know.
    Foreign,
    /// It says a format that we do not know.
    Newer(u32),
}

impl Strange {
    pub(crate) fn named(self, file: &str) -> StoreError {
        match self {
            Self::Foreign => StoreError::Foreign { file: file.into() },
            Self::Newer(found) => {
                StoreError::Newer { file: file.into(), found, known: tables::FORMAT_VERSION }
            }
        }
    }
}

/// The node's id, if the store is one that this version reads.
pub(crate) fn recognise(database: &Database) -> Result<Result<Uuid, Strange>, Fault> {
    let tx = database.begin_read()?;
    if !tx.list_tables()?.any(|table| redb::TableHandle::name(&table) == tables::META_NAME) {
        return Ok(Err(Strange::Foreign));
    }
    match (tables::FORMAT.read(&tx)?, tables::NODE_ID.read(&tx)?) {
        (Some(tables::FORMAT_VERSION), Some(node_id)) => Ok(Ok(node_id)),
        (Some(format), _) if format != tables::FORMAT_VERSION => Ok(Err(Strange::Newer(format))),
        _ => Ok(Err(Strange::Foreign)),
    }
}

/// Runs what may meet damaged pages: redb answers some of them with a panic.
pub(crate) fn guarded<T>(
    name: &str,
    work: impl FnOnce() -> Result<T, Fault>,
) -> Result<T, StoreError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|fault| fault.named(name)),
        Err(_) => Err(Fault::damaged("its pages contradict each other".to_owned()).named(name)),
    }
}

pub(crate) fn io_error(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let file = path.display().to_string().into();
    move |source| StoreError::Io { file, source }
}

// === impl Fault ===

impl Fault {
    pub(crate) fn damaged(reason: String) -> Self {
        Self(Box::new(redb::Error::Corrupted(reason)))
    }

    /// Whether it only says that an earlier error stopped the database.
    fn is_consequence(&self) -> bool {
        matches!(*self.0, redb::Error::PreviousIo | redb::Error::DatabaseClosed)
    }

    fn closed() -> Self {
        Self(Box::new(redb::Error::DatabaseClosed))
    }

    /// Says in which file it happened.
    pub(crate) fn named(self, file: &str) -> StoreError {
        let damaged =
            |reason: String| StoreError::Damaged { file: file.into(), reason: reason.into() };
        match *self.0 {
            redb::Error::Corrupted(reason) => damaged(reason),
            redb::Error::Io(source) if source.kind() == io::ErrorKind::InvalidData => {
                damaged(source.to_string())
            }
            redb::Error::Io(source) if source.kind() == io::ErrorKind::UnexpectedEof => {
                damaged(source.to_string())
            }
            redb::Error::Io(source) => StoreError::Io { file: file.into(), source },
            redb::Error::DatabaseAlreadyOpen => {
                let dir = Path::new(file).parent().unwrap_or(Path::new(file));
                StoreError::InUse { dir: dir.into() }
            }
            redb::Error::TableTypeMismatch { .. } | redb::Error::TableDoesNotExist(_) => {
                StoreError::Foreign { file: file.into() }
            }
            other => StoreError::Io { file: file.into(), source: io::Error::other(other) },
        }
    }
}

macro_rules! faults {
    ($($error:ty),+) => {$(
        impl From<$error> for Fault {
            fn from(error: $error) -> Self {
                Self(Box::new(error.into()))
            }
        }
    )+};
}

faults!(
    redb::DatabaseError,
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::CommitError
);

#[cfg(test)]
mod tests;
