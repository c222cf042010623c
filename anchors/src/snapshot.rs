//! A snapshot of a scope: everything that its index holds, as one stream.
//!
//! A gzip stream (RFC 1952) of: the line [`MAGIC`]; a version in four bytes; pieces, each a letter, its length in four
//! bytes and as many bytes; the SHA-256 of everything before it. Numbers are big-endian. `H` is what the snapshot tells of
//! itself, as JSON, and comes first; each `R` holds rows (see [`pack`]); `E` is the end, empty.
//!
//! It is written and read piece by piece: a piece is all that is in memory of it. Over the network and in files it lies in
//! an [`archive`]; whoever reads finds out which of both it is.

pub mod archive;

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};

use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use self::archive::Archive;
use crate::clock::Time;
use crate::encoding::hex;
use crate::index::{Index, RowId, pack, restore};

/// What every snapshot begins with.
pub const MAGIC: &[u8] = b"proconsul snapshot\n";
/// The version of the format that is written, and the only one that is read.
pub const VERSION: u32 = 1;

const HEADER: u8 = b'H';
const ROWS: u8 = b'R';
const END: u8 = b'E';

/// A header is never longer.
const HEADER_BYTES_MAX: usize = 64 << 10;

/// What a snapshot tells of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The path of the scope that it was taken of.
    pub scope: Box<str>,
    /// The revision up to which everything is in it.
    pub revision: u64,
    /// The term in which it was taken.
    pub term: u64,
    /// When.
    pub at: Time,
}

// === impl About ===

impl About {
    /// What it is called, as Raft's library calls its own.
    pub fn id(&self) -> String {
        format!("{}-{}-{}", self.term, self.revision, self.at.as_millis())
    }
}

/// A snapshot that was read to its end and found whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// What it tells of itself.
    pub about: About,
    /// The version of its format.
    pub version: u32,
    /// How many rows there are of each kind, and their bytes, by the kind's name.
    pub kinds: BTreeMap<&'static str, Kind>,
    /// All bytes of rows, unpacked.
    pub bytes: u64,
    /// SHA-256 over everything: hex.
    pub digest: Box<str>,
}

/// Rows of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kind {
    /// How many there are.
    pub rows: u64,
    /// Their bytes, keys included.
    pub bytes: u64,
}

/// Why a stream is no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// There is nothing.
    #[error("EOF")]
    Empty,
    /// It ends before it can be told what it is.
    #[error("unexpected EOF")]
    Short,
    /// It is no gzip stream.
    #[error("gzip: invalid header")]
    NotGzip,
    /// It ends too early.
    #[error("unexpected EOF")]
    Cut,
    /// It was written by another program.
    #[error("it is no snapshot of this program")]
    Foreign,
    /// Consul wrote it.
    #[error("it is a snapshot of Consul's own, and reading its state.bin is not there yet")]
    Consul,
    /// A later version wrote it.
    #[error("it has format {0}, and this version reads format {VERSION}")]
    Newer(u32),
    /// Its content contradicts itself.
    #[error("it is damaged: {0}")]
    Damaged(Box<str>),
    /// It could not be read.
    #[error(transparent)]
    Io(io::Error),
}

/// Writes a snapshot of an index.
///
/// # Errors
/// Those of `out`.
pub fn write(out: impl Write, index: &Index, about: &About) -> io::Result<()> {
    let mut writer =
        Writer { out: GzEncoder::new(out, Compression::fast()), digest: Sha256::new() };
    writer.put(MAGIC)?;
    writer.put(&VERSION.to_be_bytes())?;
    writer.piece(HEADER, &serde_json::to_vec(about)?)?;
    let mut rows = Vec::with_capacity(pack::PACK_BYTES_MAX);
    let (mut key, mut value) = (Vec::new(), Vec::new());
    for id in index.row_ids().filter(|id| *id != RowId::Staged) {
        id.write_key(&mut key);
        if !index.write_row(&id, &mut value) {
            continue;
        }
        if !rows.is_empty() && rows.len() + key.len() + value.len() > pack::PACK_BYTES_MAX {
            writer.piece(ROWS, &rows)?;
            rows.clear();
        }
        pack::push(&mut rows, (&key, &value));
    }
    writer.piece(ROWS, &rows)?;
    writer.piece(END, &[])?;
    let digest = writer.digest.clone().finalize();
    writer.out.write_all(&digest)?;
    writer.out.finish()?.flush()
}

/// Reads a snapshot to its end, and tells what is in it.
///
/// # Errors
/// [`SnapshotError`] when it is not whole.
pub fn inspect(reader: impl Read) -> Result<Summary, SnapshotError> {
    let mut pieces = Pieces::open(reader)?;
    let about = pieces.about().clone();
    let (mut kinds, mut bytes) = (BTreeMap::new(), 0);
    while let Some(piece) = pieces.next_rows()? {
        for row in pack::rows(piece) {
            let id = id_of(row)?;
            let kind: &mut Kind = kinds.entry(id.kind()).or_default();
            let length = row.map_or(0, |(key, value)| key.len() + value.len()) as u64;
            (kind.rows, kind.bytes, bytes) = (kind.rows + 1, kind.bytes + length, bytes + length);
        }
    }
    let digest = pieces.digest().into();
    Ok(Summary { about, version: VERSION, kinds, bytes, digest })
}

fn id_of(row: Option<pack::RowBytes<'_>>) -> Result<RowId, SnapshotError> {
    let (key, _) = row.ok_or_else(|| damaged("a row is cut off"))?;
    RowId::from_key(key).map_err(|error| damaged(&error.to_string()))
}

fn damaged(reason: &str) -> SnapshotError {
    SnapshotError::Damaged(reason.into())
}

// === writing ===

struct Writer<W: Write> {
    out: GzEncoder<W>,
    digest: Sha256,
}

impl<W: Write> Writer<W> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.digest.update(bytes);
        self.out.write_all(bytes)
    }

    fn piece(&mut self, letter: u8, bytes: &[u8]) -> io::Result<()> {
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        self.put(&[letter])?;
        self.put(&length.to_be_bytes())?;
        self.put(bytes)
    }
}

// === reading ===

/// A snapshot, piece by piece. What it gave counts only when it came to its end: then its digest was compared.
pub struct Pieces<R: Read> {
    reader: Source<R>,
    about: About,
    digest: Sha256,
    found: String,
    piece: Vec<u8>,
    ended: bool,
}

impl<R: Read> Pieces<R> {
    /// Begins to read.
    ///
    /// # Errors
    /// [`SnapshotError`] when it is none.
    pub fn open(reader: R) -> Result<Self, SnapshotError> {
        let about = About { scope: "".into(), revision: 0, term: 0, at: Time(0) };
        let mut digest = Sha256::new();
        digest.update(MAGIC);
        let mut pieces = Self {
            reader: Source::open(reader)?,
            about,
            digest,
            found: String::new(),
            piece: Vec::new(),
            ended: false,
        };
        pieces.read_head()?;
        Ok(pieces)
    }

    /// What follows the line that every snapshot begins with.
    fn read_head(&mut self) -> Result<(), SnapshotError> {
        let mut version = [0; 4];
        self.take(&mut version)?;
        match u32::from_be_bytes(version) {
            VERSION => {}
            0 => return Err(damaged("its version is 0")),
            newer => return Err(SnapshotError::Newer(newer)),
        }
        if self.read_piece(HEADER_BYTES_MAX)? != HEADER {
            return Err(damaged("it does not begin with its header"));
        }
        self.about = serde_json::from_slice(&self.piece)
            .map_err(|error| damaged(&format!("its header: {error}")))?;
        Ok(())
    }

    /// What it tells of itself.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// The next rows. After the last ones the digest is compared, and that nothing follows.
    ///
    /// # Errors
    /// [`SnapshotError`]: nothing that was read before counts.
    pub fn next_rows(&mut self) -> Result<Option<&[u8]>, SnapshotError> {
        if self.ended {
            return Ok(None);
        }
        match self.read_piece(pack::PACK_BYTES_LIMIT)? {
            ROWS => Ok(Some(&self.piece)),
            END if self.piece.is_empty() => self.end().map(|()| None),
            other => Err(damaged(&format!("a piece of kind {other}"))),
        }
    }

    /// The digest over everything, when it has come to its end: hex.
    pub fn digest(&self) -> &str {
        &self.found
    }

    /// One piece, into the buffer; its letter.
    fn read_piece(&mut self, max: usize) -> Result<u8, SnapshotError> {
        let mut head = [0; 5];
        self.take(&mut head)?;
        let [letter, length @ ..] = head;
        let length = u32::from_be_bytes(length) as usize;
        if length > max {
            return Err(damaged("a piece is too large"));
        }
        self.piece.clear();
        let read = self.reader.by_ref().take(length as u64).read_to_end(&mut self.piece);
        if read.map_err(fault)? < length {
            return Err(SnapshotError::Cut);
        }
        self.digest.update(&self.piece);
        Ok(letter)
    }

    fn end(&mut self) -> Result<(), SnapshotError> {
        let digest = self.digest.clone().finalize();
        let mut told = [0; 32];
        self.reader.read_exact(&mut told).map_err(fault)?;
        if digest[..] != told {
            return Err(damaged("its digest is another"));
        }
        // Its end is read, too: there gzip compares its own sum.
        let mut more = [0];
        if self.reader.read(&mut more).map_err(fault)? > 0 {
            return Err(damaged("something follows its end"));
        }
        if let Source::Archived(reader) = &mut self.reader {
            reader.get_mut().get_mut().end()?;
        }
        self.found = hex::encode(&told);
        self.ended = true;
        Ok(())
    }

    fn take(&mut self, bytes: &mut [u8]) -> Result<(), SnapshotError> {
        self.reader.read_exact(bytes).map_err(fault)?;
        self.digest.update(bytes);
        Ok(())
    }
}

/// A gzip stream that is read.
type Unpacked<R> = GzDecoder<BufReader<R>>;

/// Where the stream comes from: from itself, or from its archive, which is packed, too.
enum Source<R: Read> {
    Bare(Unpacked<R>),
    Archived(Box<Unpacked<Archive<Unpacked<R>>>>),
}

impl<R: Read> Source<R> {
    /// Finds out which of both it is, and reads the first line of the stream.
    fn open(reader: R) -> Result<Self, SnapshotError> {
        let mut outer = BufReader::new(reader);
        check_gzip(&mut outer)?;
        let mut outer = GzDecoder::new(outer);
        let mut begun = [0; MAGIC.len()];
        outer.read_exact(&mut begun).map_err(fault)?;
        if begun == MAGIC {
            return Ok(Self::Bare(outer));
        }
        let mut inner = BufReader::new(Archive::open(outer, &begun)?);
        match check_gzip(&mut inner) {
            Err(SnapshotError::Io(error)) => return Err(fault(error)),
            Err(_) => return Err(SnapshotError::Consul),
            Ok(()) => {}
        }
        let mut inner = GzDecoder::new(inner);
        inner.read_exact(&mut begun).map_err(fault)?;
        if begun == MAGIC {
            Ok(Self::Archived(Box::new(inner)))
        } else {
            Err(SnapshotError::Consul)
        }
    }
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Bare(reader) => reader.read(bytes),
            Self::Archived(reader) => reader.read(bytes),
        }
    }
}

/// Whether a stream begins as gzip does, told as Go's reader tells it: short ones are cut off.
fn check_gzip(reader: &mut impl BufRead) -> Result<(), SnapshotError> {
    const HEAD: usize = 10;
    let head = reader.fill_buf().map_err(SnapshotError::Io)?;
    match head {
        [0x1f, 0x8b, 8, ..] => Ok(()),
        [] => Err(SnapshotError::Empty),
        short if short.len() < HEAD => Err(SnapshotError::Short),
        _ => Err(SnapshotError::NotGzip),
    }
}

fn fault(error: io::Error) -> SnapshotError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => SnapshotError::Cut,
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => damaged(&error.to_string()),
        _ => SnapshotError::Io(error),
    }
}

/// The digest of a snapshot's rows, as the changes that restore it tell it.
pub(crate) fn digest_of(pieces: &mut Pieces<impl Read>) -> Result<(u32, Box<str>), SnapshotError> {
    let (mut count, mut digest) = (0, [0; 32]);
    while let Some(piece) = pieces.next_rows()? {
        for row in pack::rows(piece) {
            id_of(row)?;
        }
        digest = restore::chain(&digest, piece);
        count += 1;
    }
    Ok((count, hex::encode(&digest).into()))
}

#[cfg(test)]
mod tests;
