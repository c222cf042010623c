//! What several tests need.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use redb::{Database, DatabaseError, StorageBackend};

/// A directory of its own that goes with the test.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new() -> Self {
        let dir = std::env::temp_dir().join(format!("proconsul-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&dir).unwrap();
        Self(dir)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A disk that a test can fill, break or pull the plug of. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk(Arc<Mutex<Platters>>);

#[derive(Debug, Default)]
struct Platters {
    /// What a reader sees.
    seen: Vec<u8>,
    /// What a loss of power leaves for certain.
    synced: Vec<u8>,
    /// Writes since the last sync.
    pending: Vec<(usize, Vec<u8>)>,
    full: bool,
    /// Writes and syncs that still succeed.
    left: Option<u64>,
}

/// How a machine goes down.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Crash {
    /// The process was killed: what it wrote is there.
    Killed,
    /// The power went: of what was not synced, any part may be there. The number chooses which.
    PowerLost(u64),
}

// === impl Disk ===

impl Disk {
    /// A database on this disk, as [`crate::store::Store::with_opener`] wants it.
    pub(crate) fn opener(&self) -> Box<dyn Fn() -> Result<Database, DatabaseError> + Send + Sync> {
        let disk = self.clone();
        Box::new(move || {
            Database::builder().set_cache_size(1 << 20).create_with_backend(disk.clone())
        })
    }

    /// Lets no further byte in, or lets them in again.
    pub(crate) fn set_full(&self, full: bool) {
        self.platters().full = full;
    }

    /// Fails for ever after so many writes and syncs.
    pub(crate) fn die_after(&self, operations: u64) {
        self.platters().left = Some(operations);
    }

    /// The disk as the next start finds it.
    pub(crate) fn after(&self, crash: Crash) -> Self {
        let platters = self.platters();
        let mut left = match crash {
            Crash::Killed => platters.seen.clone(),
            Crash::PowerLost(_) => platters.synced.clone(),
        };
        if let Crash::PowerLost(mut chance) = crash {
            left.resize(platters.seen.len(), 0);
            for (offset, data) in &platters.pending {
                chance = chance
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                if chance >> 63 == 0 && offset + data.len() <= left.len() {
                    left[*offset..offset + data.len()].copy_from_slice(data);
                }
            }
        }
        Self(Arc::new(Mutex::new(Platters {
            synced: left.clone(),
            seen: left,
            ..Platters::default()
        })))
    }

    fn platters(&self) -> MutexGuard<'_, Platters> {
        self.0.lock().unwrap()
    }
}

impl Platters {
    fn spend(&mut self) -> io::Result<()> {
        match &mut self.left {
            Some(0) => Err(io::Error::other("the disk died")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn has_room(&self) -> io::Result<()> {
        if self.full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.platters().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let platters = self.platters();
        let from = usize::try_from(offset).unwrap();
        let bytes =
            platters.seen.get(from..from + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut platters = self.platters();
        let len = usize::try_from(len).unwrap();
        platters.spend()?;
        if len > platters.seen.len() {
            platters.has_room()?;
        }
        platters.seen.resize(len, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut platters = self.platters();
        platters.spend()?;
        platters.synced = platters.seen.clone();
        platters.pending.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut platters = self.platters();
        platters.spend()?;
        platters.has_room()?;
        let from = usize::try_from(offset).unwrap();
        platters.seen[from..from + data.len()].copy_from_slice(data);
        platters.pending.push((from, data.to_owned()));
        Ok(())
    }
}
