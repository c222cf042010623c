//! Consul's own snapshots: a gzip stream of a tar archive of `meta.json`, `state.bin` and the sums of both.

use std::io::{self, Read};

use flate2::read::GzDecoder;
use proconsul_anchors::encoding::hex;
use proconsul_anchors::tar::{self, BLOCK};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::Meta;

/// No metadata and no list of sums is longer.
const SMALL_MAX: u64 = 1 << 20;

/// What an archive that was found whole tells of itself.
pub(super) struct About {
    pub(super) meta: Meta,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Told {
    #[serde(rename = "ID")]
    id: String,
    size: u64,
    index: u64,
    term: u64,
    version: u32,
}

/// Reads an archive to its end and compares the sums.
///
/// # Errors
/// A file that does not belong there, is missing, cut off, or differs from its sum.
pub(super) fn read(file: impl Read) -> Result<About, String> {
    let mut archive = GzDecoder::new(file);
    let (mut meta, mut sums) = (Vec::new(), Vec::new());
    let (mut meta_sum, mut state_sum) = (None, None);
    while let Some((name, size)) = header(&mut archive).map_err(told)? {
        match name.as_str() {
            "meta.json" if size <= SMALL_MAX => {
                meta = content(&mut archive, size)?;
                meta_sum = Some(hex::encode(&Sha256::digest(&meta)));
            }
            "SHA256SUMS" if size <= SMALL_MAX => sums = content(&mut archive, size)?,
            "state.bin" => state_sum = Some(hashed(&mut archive, size).map_err(told)?),
            other => return Err(format!("unexpected file {other:?} in snapshot")),
        }
        let rest = tar::padding(size) as u64;
        io::copy(&mut archive.by_ref().take(rest), &mut io::sink()).map_err(told)?;
    }
    compare(&sums, &[("meta.json", meta_sum), ("state.bin", state_sum)])
        .map_err(|fault| format!("failed checking integrity of snapshot: {fault}"))?;
    let about: Told = serde_json::from_slice(&meta)
        .map_err(|fault| format!("failed to decode snapshot metadata: {fault}"))?;
    let Told { id, size, index, term, version } = about;
    Ok(About { meta: Meta { id, size, index, term, version } })
}

fn told(fault: io::Error) -> String {
    let what = match fault.kind() {
        io::ErrorKind::UnexpectedEof => "unexpected EOF".to_owned(),
        _ => fault.to_string(),
    };
    format!("failed reading snapshot: {what}")
}

/// The name and size of the next file; nothing at the end, which is a block of zeros.
fn header(archive: &mut impl Read) -> io::Result<Option<(String, u64)>> {
    let mut block = [0; BLOCK];
    archive.read_exact(&mut block)?;
    if block.iter().all(|byte| *byte == 0) {
        // What follows the end is only padding, but must be there whole.
        io::copy(archive, &mut io::sink())?;
        return Ok(None);
    }
    let read = tar::read(&block);
    read.map(Some).map_err(|_| io::Error::other("archive/tar: invalid tar header"))
}

fn content(archive: &mut impl Read, size: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = archive.by_ref().take(size).read_to_end(&mut bytes).map_err(told)?;
    if read as u64 == size { Ok(bytes) } else { Err(told(io::ErrorKind::UnexpectedEof.into())) }
}

/// The sum of a file that is too long to be kept.
fn hashed(archive: &mut impl Read, size: u64) -> io::Result<String> {
    let mut sum = Sha256::new();
    let copied = io::copy(&mut archive.by_ref().take(size), &mut sum)?;
    if copied == size {
        Ok(hex::encode(&sum.finalize()))
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

/// Every file must have its sum in the list, and every sum its file.
fn compare(list: &[u8], files: &[(&str, Option<String>)]) -> Result<(), String> {
    let list = String::from_utf8_lossy(list);
    let mut seen = Vec::new();
    for line in list.lines() {
        let (sum, name) = line.split_once("  ").ok_or("unexpected newline")?;
        let file = files.iter().find(|(file, _)| *file == name);
        let (name, own) = file.ok_or_else(|| format!("list missing hash for {name:?}"))?;
        if own.as_deref() != Some(sum) {
            return Err(format!("hash check failed for {name:?}"));
        }
        seen.push(*name);
    }
    match files.iter().find(|(name, _)| !seen.contains(name)) {
        Some((name, _)) => Err(format!("file missing for {name:?}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_compared() {
        let files = [("a", Some("11".to_owned())), ("b", Some("22".to_owned()))];
        for (list, fault) in [
            ("11  a\n22  b\n", ""),
            ("22  b\n11  a\n", ""),
            ("11  a\n", "file missing for \"b\""),
            ("12  a\n22  b\n", "hash check failed for \"a\""),
            ("11  a\n22  b\n33  c\n", "list missing hash for \"c\""),
        ] {
            let compared = compare(list.as_bytes(), &files).err().unwrap_or_default();
            assert_eq!(compared, fault, "{list:?}");
        }
    }

    #[test]
    fn what_is_no_archive_is_refused() {
        assert!(read(&b"abc"[..]).is_err());
    }
}
