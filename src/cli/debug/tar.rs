//! A folder as a tar archive (POSIX ustar) in a gzip stream.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::time::UNIX_EPOCH;

use flate2::Compression;
use flate2::write::GzEncoder;
use proconsul_anchors::tar::{BLOCK, END, Member, padding};

/// Rights of files and folders.
const FILE: u64 = 0o644;
const FOLDER: u64 = 0o755;

/// Writes a folder and all that is in it.
///
/// # Errors
/// What cannot be read or written, and names that are too long.
pub(super) fn write(folder: &Path, archive: &Path) -> io::Result<()> {
    let mut out = GzEncoder::new(File::create(archive)?, Compression::default());
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    add(&mut out, folder, &name)?;
    out.write_all(&[0; END])?;
    out.finish()?.sync_all()
}

fn add(out: &mut impl Write, path: &Path, name: &str) -> io::Result<()> {
    let about = fs::metadata(path)?;
    let changed = about.modified()?.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    if about.is_dir() {
        let member = Member { name, mode: FOLDER, size: 0, changed, folder: true };
        out.write_all(&member.header().map_err(io::Error::other)?)?;
        let mut inside: Vec<_> = fs::read_dir(path)?.collect::<io::Result<_>>()?;
        inside.sort_by_key(fs::DirEntry::file_name);
        for entry in inside {
            let inner = format!("{name}/{}", entry.file_name().to_string_lossy());
            add(out, &entry.path(), &inner)?;
        }
        return Ok(());
    }
    let bytes = fs::read(path)?;
    let size = bytes.len() as u64;
    let member = Member { name, mode: FILE, size, changed, folder: false };
    out.write_all(&member.header().map_err(io::Error::other)?)?;
    out.write_all(&bytes)?;
    out.write_all(&[0; BLOCK][..padding(size)])
}
