//! A folder as a tar archive (POSIX ustar) in a gzip stream.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::time::UNIX_EPOCH;

use flate2::Compression;
use flate2::write::GzEncoder;

/// What everything in an archive is a multiple of.
const BLOCK: usize = 512;
/// Rights of files and folders.
const FILE: u64 = 0o644;
const FOLDER: u64 = 0o755;
/// Where the fields of a header begin, and how long the numbers are.
const MODE: usize = 100;
const OWNER: usize = 108;
const GROUP: usize = 116;
const SIZE: usize = 124;
const CHANGED: usize = 136;
const SUM: usize = 148;
const KIND: usize = 156;
const MAGIC: usize = 257;
/// Names are no longer.
const NAME_MAX: usize = 100;

/// Writes a folder and all that is in it.
///
/// # Errors
/// What cannot be read or written, and names that are too long.
pub(super) fn write(folder: &Path, archive: &Path) -> io::Result<()> {
    let mut out = GzEncoder::new(File::create(archive)?, Compression::default());
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    add(&mut out, folder, &name)?;
    // An archive ends with two blocks of nothing.
    out.write_all(&[0; 2 * BLOCK])?;
    out.finish()?.sync_all()
}

fn add(out: &mut impl Write, path: &Path, name: &str) -> io::Result<()> {
    let about = fs::metadata(path)?;
    let changed = about.modified()?.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    if about.is_dir() {
        out.write_all(&header(name, FOLDER, 0, changed, b'5')?)?;
        let mut inside: Vec<_> = fs::read_dir(path)?.collect::<io::Result<_>>()?;
        inside.sort_by_key(fs::DirEntry::file_name);
        for entry in inside {
            let inner = format!("{name}/{}", entry.file_name().to_string_lossy());
            add(out, &entry.path(), &inner)?;
        }
        return Ok(());
    }
    let bytes = fs::read(path)?;
    out.write_all(&header(name, FILE, bytes.len() as u64, changed, b'0')?)?;
    out.write_all(&bytes)?;
    out.write_all(&vec![0; bytes.len().next_multiple_of(BLOCK) - bytes.len()])
}

fn header(name: &str, mode: u64, size: u64, changed: u64, kind: u8) -> io::Result<[u8; BLOCK]> {
    let mut header = [0; BLOCK];
    if name.len() > NAME_MAX {
        return Err(io::Error::other(format!("archive/tar: name {name:?} is too long")));
    }
    header[..name.len()].copy_from_slice(name.as_bytes());
    for (place, digits, number) in
        [(MODE, 7, mode), (OWNER, 7, 0), (GROUP, 7, 0), (SIZE, 11, size), (CHANGED, 11, changed)]
    {
        let octal = format!("{number:0digits$o}");
        header[place..place + digits].copy_from_slice(octal.as_bytes());
    }
    header[KIND] = kind;
    header[MAGIC..MAGIC + 8].copy_from_slice(b"ustar\x0000");
    // The sum is made as if its own field were spaces.
    header[SUM..SUM + 8].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[SUM..SUM + 7].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_carry_their_sum() {
        let header = header("a/b", FILE, 513, 8, b'0').unwrap();
        assert_eq!(&header[..4], b"a/b\0");
        assert_eq!(&header[SIZE..SIZE + 12], b"00000001001\0");
        let without = header.iter().enumerate().map(|(at, byte)| match at {
            148..156 => u32::from(b' '),
            _ => u32::from(*byte),
        });
        let sum = format!("{:06o}", without.sum::<u32>());
        assert_eq!(&header[SUM..SUM + 6], sum.as_bytes());
    }
}
