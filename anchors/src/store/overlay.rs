//! A file under glass: what is written stays in memory, the file stays as it is.
//!
//! Opening a database that was not closed in good order repairs it, and an integrity check repairs what it finds. Both
//! are done here on the overlay, so that looking at a store never changes it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::{Database, StorageBackend};

use super::{Fault, StoreError, builder, guarded, io_error};
use crate::limits;

/// Written bytes are kept in pieces of this size.
const PIECE: u64 = 4096;

#[derive(Debug)]
struct Overlay {
    file: File,
    seen: Mutex<Seen>,
}

/// The file as it looks through the overlay.
#[derive(Debug)]
struct Seen {
    length: u64,
    /// The pieces that were written, by number.
    written: BTreeMap<u64, Box<[u8]>>,
}

/// Opens the store's file for reading and verifies it to the last page.
///
/// # Errors
/// [`StoreError::Damaged`] when the file is not what was written.
pub(crate) fn verify(path: &Path) -> Result<Database, StoreError> {
    let file = File::open(path).map_err(io_error(path))?;
    let length = file.metadata().map_err(io_error(path))?.len();
    let overlay = Overlay { file, seen: Mutex::new(Seen { length, written: BTreeMap::new() }) };
    guarded(&path.display().to_string(), || {
        if length == 0 {
            return Err(Fault::damaged("it is empty".to_owned()));
        }
        let mut database = builder(limits::STORE_CACHE_BYTES).create_with_backend(overlay)?;
        if database.check_integrity()? {
            return Ok(database);
        }
        Err(Fault::damaged("checksums of its pages do not match".to_owned()))
    })
}

// === impl Overlay ===

impl Overlay {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A piece as it is in the file; zeros beyond its end.
    fn piece(&self, number: u64) -> io::Result<Box<[u8]>> {
        let mut piece = vec![0; PIECE as usize];
        let mut filled = 0;
        while filled < piece.len() {
            match self.file.read_at(&mut piece[filled..], number * PIECE + filled as u64)? {
                0 => break,
                count => filled += count,
            }
        }
        Ok(piece.into())
    }
}

impl StorageBackend for Overlay {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.seen().length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let seen = self.seen();
        if offset + out.len() as u64 > seen.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut done = 0;
        while done < out.len() {
            let at = offset + done as u64;
            let (number, from) = (at / PIECE, (at % PIECE) as usize);
            let count = (out.len() - done).min(PIECE as usize - from);
            match seen.written.get(&number) {
                Some(piece) => out[done..done + count].copy_from_slice(&piece[from..from + count]),
                None => out[done..done + count]
                    .copy_from_slice(&self.piece(number)?[from..from + count]),
            }
            done += count;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.seen().length = len;
        Ok(())
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        let mut seen = self.seen();
        let mut done = 0;
        while done < data.len() {
            let at = offset + done as u64;
            let (number, from) = (at / PIECE, (at % PIECE) as usize);
            let count = (data.len() - done).min(PIECE as usize - from);
            let mut piece = match seen.written.remove(&number) {
                Some(piece) => piece,
                None => self.piece(number)?,
            };
            piece[from..from + count].copy_from_slice(&data[done..done + count]);
            seen.written.insert(number, piece);
            done += count;
        }
        Ok(())
    }
}
