//! The archive that a snapshot travels in: a gzip stream of a tar archive (POSIX ustar) of `meta.json`, `state.bin` and
//! `SHA256SUMS`, in this order, as Consul's programs read it. `state.bin` is the stream of the parent module. Source: what
//! Consul 1.22 writes.

use std::io::{self, Read, Seek, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{About, SnapshotError, damaged, fault};
use crate::encoding::hex;
use crate::index::Index;
use crate::tar::{self, BLOCK, Member, padding};

/// Neither metadata nor sums are ever longer.
const SMALL_BYTES_MAX: u64 = 64 << 10;
/// Rights of each file: it holds everything.
const RIGHTS: u64 = 0o600;
/// The version of Raft's metadata: with it `Configuration` tells the servers.
const META_VERSION: u32 = 1;

const META: &str = "meta.json";
const STATE: &str = "state.bin";
const SUMS: &str = "SHA256SUMS";

/// A server of the group that a snapshot was taken of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// 0 for one that votes.
    #[serde(rename = "Suffrage")]
    pub suffrage: u8,
    /// The node's UUID.
    #[serde(rename = "ID")]
    pub id: Box<str>,
    /// Host and port.
    #[serde(rename = "Address")]
    pub address: Box<str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Configuration<'a> {
    servers: &'a [Server],
}

/// `meta.json`, with the names that Raft's library gives them.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Meta<'a> {
    version: u32,
    #[serde(rename = "ID")]
    id: String,
    index: u64,
    term: u64,
    /// The servers as they were told before `Configuration`: nobody reads it.
    peers: Option<&'a str>,
    configuration: Configuration<'a>,
    configuration_index: u64,
    size: u64,
}

// === writing ===

/// Writes a snapshot of an index in its archive. `spool` is an empty file: tar tells how long a file is before the file.
///
/// # Errors
/// Those of the spool and of `out`.
pub fn write(
    out: impl Write,
    mut spool: impl Read + Write + Seek,
    (index, about, servers): (&Index, &About, &[Server]),
) -> io::Result<()> {
    let state = write_state(&mut spool, index, about)?;
    finish(out, spool, &state, (about, servers))
}

/// The first half of [`write()`]: what the second half, [`finish`], needs to know of the spooled `state.bin`.
pub struct State {
    size: u64,
    sum: Box<str>,
}

/// Writes `state.bin` and goes back to its beginning. After it the index is not needed any more.
///
/// # Errors
/// Those of the spool.
pub fn write_state(
    mut spool: impl Write + Seek,
    index: &Index,
    about: &About,
) -> io::Result<State> {
    let (size, sum) = {
        let inner = io::BufWriter::new(&mut spool);
        let mut out = Summed { inner, sum: Sha256::new(), size: 0 };
        super::write(&mut out, index, about)?;
        (out.size, out.sum)
    };
    spool.rewind()?;
    Ok(State { size, sum: hex::encode(&sum.finalize()).into() })
}

/// Writes the archive around a spooled `state.bin`.
///
/// # Errors
/// Those of the spool and of `out`.
pub fn finish(
    out: impl Write,
    mut spool: impl Read,
    state: &State,
    (about, servers): (&About, &[Server]),
) -> io::Result<()> {
    // What is in it is packed already.
    let mut out = GzEncoder::new(out, Compression::none());
    let meta = Meta {
        version: META_VERSION,
        id: about.id(),
        index: about.revision,
        term: about.term,
        peers: None,
        configuration: Configuration { servers },
        configuration_index: servers.len() as u64,
        size: state.size,
    };
    let mut meta = serde_json::to_vec(&meta)?;
    meta.push(b'\n');
    let sums = format!("{}  {META}\n{}  {STATE}\n", hex::encode(&Sha256::digest(&meta)), state.sum);
    let seconds = about.at.as_millis() / 1000;
    file(&mut out, (META, meta.len() as u64, seconds), &mut meta.as_slice())?;
    file(&mut out, (STATE, state.size, seconds), &mut spool)?;
    file(&mut out, (SUMS, sums.len() as u64, seconds), &mut sums.as_bytes())?;
    out.write_all(&[0; tar::END])?;
    out.finish()?.flush()
}

/// Puts one file into an archive.
pub(super) fn file(
    out: &mut impl Write,
    (name, size, seconds): (&str, u64, u64),
    content: &mut impl Read,
) -> io::Result<()> {
    let member = Member { name, mode: RIGHTS, size, changed: seconds, folder: false };
    out.write_all(&member.header().map_err(io::Error::other)?)?;
    if io::copy(&mut content.take(size), out)? != size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    out.write_all(&[0; BLOCK][..padding(size)])
}

/// Sums and counts what is written through it.
struct Summed<W> {
    inner: W,
    sum: Sha256,
    size: u64,
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.sum.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

// === reading ===

/// An archive that is read: what is read from it is its `state.bin`.
pub(super) struct Archive<R> {
    inner: R,
    meta_sum: Box<str>,
    sum: Sha256,
    /// How long `state.bin` is, and how much of it was not read yet.
    size: u64,
    left: u64,
}

impl<R: Read> Archive<R> {
    /// Reads up to `state.bin`. The first bytes were read already.
    pub(super) fn open(mut inner: R, begun: &[u8]) -> Result<Self, SnapshotError> {
        let mut block = [0; BLOCK];
        block[..begun.len()].copy_from_slice(begun);
        if !begun.starts_with(META.as_bytes()) {
            return Err(SnapshotError::Foreign);
        }
        inner.read_exact(&mut block[begun.len()..]).map_err(fault)?;
        let meta = small(&mut inner, parse(&block, META)?)?;
        let meta_sum = hex::encode(&Sha256::digest(&meta)).into();
        inner.read_exact(&mut block).map_err(fault)?;
        let size = parse(&block, STATE)?;
        Ok(Self { inner, meta_sum, sum: Sha256::new(), size, left: size })
    }

    /// Reads what is left, and compares the sums.
    pub(super) fn end(&mut self) -> Result<(), SnapshotError> {
        if self.left > 0 {
            return Err(damaged("something follows the end of state.bin"));
        }
        skip(&mut self.inner, padding(self.size))?;
        let mut block = [0; BLOCK];
        self.inner.read_exact(&mut block).map_err(fault)?;
        let sums = small(&mut self.inner, parse(&block, SUMS)?)?;
        self.compare(&sums)?;
        for _ in 0..tar::END / BLOCK {
            self.inner.read_exact(&mut block).map_err(fault)?;
            if block.iter().any(|byte| *byte != 0) {
                return Err(damaged("there is another file in it"));
            }
        }
        // Its end is read, too: there gzip compares its own sum.
        match self.inner.read(&mut block).map_err(fault)? {
            0 => Ok(()),
            _ => Err(damaged("something follows the end of its archive")),
        }
    }

    fn compare(&self, sums: &[u8]) -> Result<(), SnapshotError> {
        let state: Box<str> = hex::encode(&self.sum.clone().finalize()).into();
        let mut expected =
            [(META, &self.meta_sum), (STATE, &state)].map(|(name, sum)| format!("{sum}  {name}"));
        let sums = String::from_utf8_lossy(sums);
        let mut told: Vec<&str> = sums.lines().collect();
        // They come in any order.
        told.sort_unstable();
        expected.sort_unstable();
        if told == expected { Ok(()) } else { Err(damaged("its sums are others")) }
    }
}

impl<R: Read> Read for Archive<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.by_ref().take(self.left).read(bytes)?;
        self.sum.update(&bytes[..read]);
        self.left -= read as u64;
        Ok(read)
    }
}

/// The size of a file that must have this name.
fn parse(block: &[u8; BLOCK], name: &str) -> Result<u64, SnapshotError> {
    let (found, size) = tar::read(block).map_err(|error| damaged(&error.to_string()))?;
    if found != name {
        return Err(damaged(&format!("there is {found:?} where {name} belongs")));
    }
    Ok(size)
}

/// A file that is short, with what fills up its last block.
fn small(inner: &mut impl Read, size: u64) -> Result<Vec<u8>, SnapshotError> {
    if size > SMALL_BYTES_MAX {
        return Err(damaged("a file of its archive is too large"));
    }
    let mut bytes = Vec::new();
    let read = inner.by_ref().take(size).read_to_end(&mut bytes).map_err(fault)?;
    if (read as u64) < size {
        return Err(SnapshotError::Cut);
    }
    skip(inner, padding(size))?;
    Ok(bytes)
}

fn skip(inner: &mut impl Read, bytes: usize) -> Result<(), SnapshotError> {
    inner.read_exact(&mut [0; BLOCK][..bytes]).map_err(fault)
}
