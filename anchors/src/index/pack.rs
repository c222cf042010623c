//! Rows one after the other, as snapshots and the log carry them: each key and each value after its length in four bytes.

use std::io::{self, Read as _, Write as _};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

/// Rows in one piece, unless a single one is larger: what is in memory of a snapshot at a time, and the bound of a change
/// that restores some of it.
pub const PACK_BYTES_MAX: usize = 1 << 20;

/// No piece is larger, not even one of a single row: the largest value that a key can be configured to have, and room.
pub const PACK_BYTES_LIMIT: usize = 64 << 20;

/// A row's key and its value.
pub type RowBytes<'a> = (&'a [u8], &'a [u8]);

/// Adds a row to a piece.
pub fn push(pack: &mut Vec<u8>, (key, value): RowBytes<'_>) {
    for part in [key, value] {
        let length = u32::try_from(part.len()).expect("rows are far below 4 GiB");
        pack.extend_from_slice(&length.to_be_bytes());
        pack.extend_from_slice(part);
    }
}

/// The rows of a piece; `None` where it ends in the midst of one.
pub fn rows(mut pack: &[u8]) -> impl Iterator<Item = Option<RowBytes<'_>>> {
    std::iter::from_fn(move || {
        if pack.is_empty() {
            return None;
        }
        let row = part(pack).and_then(|(key, rest)| {
            let (value, rest) = part(rest)?;
            Some(((key, value), rest))
        });
        pack = row.map_or(&[], |(_, rest)| rest);
        Some(row.map(|(row, _)| row))
    })
}

fn part(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_be_bytes(*length) as usize)
}

/// A piece in few bytes (RFC 1951).
pub fn deflate(pack: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    let packed = encoder.write_all(pack).and_then(|()| encoder.finish());
    packed.expect("a vector takes everything")
}

/// The piece again.
///
/// # Errors
/// When it is damaged, or larger than [`PACK_BYTES_LIMIT`].
pub fn inflate(packed: &[u8]) -> io::Result<Vec<u8>> {
    let mut pack = Vec::new();
    let bound = PACK_BYTES_LIMIT as u64 + 1;
    DeflateDecoder::new(packed).take(bound).read_to_end(&mut pack)?;
    if pack.len() > PACK_BYTES_LIMIT {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a piece is too large"));
    }
    Ok(pack)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_out_as_they_went_in() {
        let mut pack = Vec::new();
        let given: [RowBytes<'_>; 3] = [(b"a", b"1"), (b"", b""), (b"key", b"value")];
        for row in given {
            push(&mut pack, row);
        }
        let found: Option<Vec<_>> = rows(&pack).collect();
        assert_eq!(found.as_deref(), Some(&given[..]));
        assert_eq!(inflate(&deflate(&pack)).unwrap(), pack);
        for end in [1, 5, pack.len() - 1] {
            assert!(rows(&pack[..end]).any(|row| row.is_none()), "cut at {end}");
        }
        assert!(inflate(b"junk").is_err());
    }
}
