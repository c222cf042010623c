//! Verifying an export.

use std::io::{BufRead, Read as _};

use ed25519_dalek::VerifyingKey;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tlog_tiles::tlog::Hash;

use super::{Finding, Payload, Report, Taken, Verifier, VerifyError, believed};
use crate::encoding::hex;
use crate::lineage::export::{Exported, Head, Tail, Without, write_line};
use crate::lineage::note::{self, Signed};

/// A longer line is none of ours: the largest change has some megabytes.
const LINE_BYTES_MAX: u64 = 256 << 20;

/// Reads an export to its end. Without keys, the one that it names is believed. The earlier checkpoint may be signed by any
/// of several: an anchor's key can be rotated.
///
/// # Errors
/// [`VerifyError`] when it is no export; what is wrong with one is in the report.
pub fn export(
    mut lines: impl BufRead,
    keys: &[VerifyingKey],
    saved: Option<&str>,
) -> Result<Report, VerifyError> {
    let first = next_line(&mut lines)?.ok_or_else(|| unreadable("it is empty"))?;
    let head: Head = read(&first).map_err(|why| unreadable(&format!("its first line: {why}")))?;
    if !head.complete {
        return Err(unreadable("it has some of the entries only: export without other parameters"));
    }
    let named = note::public_key(&head.verifier_key);
    let keys = believed(keys, named)?;
    let saved = saved.map(|text| note::verify_any(text, &head.lineage, &keys));
    let saved = saved.transpose().map_err(|fault| VerifyError::Saved(fault.to_string()))?;
    let mut verifier = Verifier::new(&head.lineage, saved, None);
    if keys.iter().all(|key| note::verifier_key(&head.lineage, key) != *head.verifier_key) {
        let why = "it names another key than the one that is believed".to_owned();
        verifier.finds(Finding::Line { line: 1, why });
    }
    let signed = take_all(&mut verifier, &mut lines, &head, &keys)?;
    if signed.is_some_and(|signed| signed.size != head.size) {
        let why = "it tells of another number of entries than the checkpoint".to_owned();
        verifier.finds(Finding::Line { line: 1, why });
    }
    Ok(verifier.finish(signed))
}

/// Returns what the last line says.
fn take_all(
    verifier: &mut Verifier,
    lines: &mut impl BufRead,
    head: &Head,
    keys: &[VerifyingKey],
) -> Result<Option<Signed>, VerifyError> {
    let mut number = 1;
    let mut signed = None;
    while let Some(line) = next_line(lines)? {
        number += 1;
        if signed.is_some() {
            let why = "it follows the end".to_owned();
            verifier.finds(Finding::Line { line: number, why });
        } else if let Ok(tail) = read::<Tail>(&line) {
            match note::verify_any(&tail.checkpoint, &head.lineage, keys) {
                Ok(found) => signed = Some(found),
                Err(fault) => {
                    verifier.finds(Finding::Checkpoint(fault.to_string()));
                    return Ok(None);
                }
            }
        } else {
            match read::<Exported>(&line) {
                Ok(entry) => take(verifier, &entry, number),
                Err(why) => verifier.finds(Finding::Line { line: number, why }),
            }
        }
    }
    if signed.is_none() {
        verifier.finds(Finding::Unsigned);
    }
    Ok(signed)
}

fn take(verifier: &mut Verifier, entry: &Exported, line: u64) {
    let salt = entry.salt.as_deref().map(hex::decode);
    let payload = match (&entry.payload, &salt, entry.without) {
        (Some(change), Some(Some(salt)), None) => Payload::Kept { salt, change: change.as_bytes() },
        (None, None, Some(Without::Pruned)) => Payload::Pruned,
        (None, None, Some(Without::Withheld)) => Payload::Withheld,
        _ => Payload::Missing,
    };
    let hash = Hash::parse_hash(&entry.hash).ok();
    if hash.is_none() {
        let why = "its hash is none".to_owned();
        verifier.finds(Finding::Line { line, why });
    }
    verifier.take(&Taken { seq: entry.seq, leaf: entry.leaf.as_bytes(), hash, payload });
}

/// A line in the one spelling that it has: another, though it says the same, was touched.
fn read<T: DeserializeOwned + Serialize>(line: &[u8]) -> Result<T, String> {
    let value: T = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let mut again = Vec::with_capacity(line.len());
    write_line(&mut again, &value);
    if again == line { Ok(value) } else { Err("it is spelled otherwise".to_owned()) }
}

fn next_line(lines: &mut impl BufRead) -> Result<Option<Vec<u8>>, VerifyError> {
    let mut line = Vec::new();
    let read = lines.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
    read.map_err(|error| unreadable(&error.to_string()))?;
    Ok((!line.is_empty()).then_some(line))
}

fn unreadable(why: &str) -> VerifyError {
    VerifyError::Unreadable(format!("it is no export of a lineage: {why}"))
}
