//! Compressed bodies. One that many clients ask for at the same moment is compressed once.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::limits::{GZIP_SHARED_BYTES_MAX, GZIP_SHARED_MAX};

/// The last shared bodies, each with its compressed form.
///
/// Invariant: a body is kept as long as its pair is here, so that no other one can lie at the same place.
static RECENT: Mutex<VecDeque<(Bytes, Bytes)>> = Mutex::new(VecDeque::new());

/// The compressed form of a body of one's own.
pub(crate) fn compress_own(body: &Bytes) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 3), Compression::fast());
    let written = std::io::Write::write_all(&mut encoder, body).and_then(|()| encoder.finish());
    written.expect("memory takes every byte").into()
}

/// The compressed form of a body that others are sent, too.
pub(crate) fn compress_shared(body: &Bytes) -> Bytes {
    if body.len() > GZIP_SHARED_BYTES_MAX {
        return compress_own(body);
    }
    let known = find(body);
    if let Some(compressed) = known {
        return compressed;
    }
    // Whoever comes meanwhile compresses it as well: waiting here would cost all of them more.
    let compressed = compress_own(body);
    let mut recent = recent();
    if recent.len() >= GZIP_SHARED_MAX {
        recent.pop_front();
    }
    recent.push_back((body.clone(), compressed.clone()));
    compressed
}

fn find(body: &Bytes) -> Option<Bytes> {
    let same = |known: &Bytes| known.as_ptr() == body.as_ptr() && known.len() == body.len();
    recent().iter().rev().find(|(known, _)| same(known)).map(|(_, compressed)| compressed.clone())
}

fn recent() -> MutexGuard<'static, VecDeque<(Bytes, Bytes)>> {
    // The list is whole between any two calls: a panic elsewhere leaves nothing half done.
    RECENT.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn unpacked(compressed: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(compressed).read_to_end(&mut plain).unwrap();
        plain
    }

    #[test]
    fn a_shared_body_is_compressed_once() {
        let body = Bytes::from(vec![b'a'; 5000]);
        let (first, second) = (compress_shared(&body), compress_shared(&body.clone()));
        assert_eq!(first.as_ptr(), second.as_ptr());
        assert_eq!(unpacked(&first), body);
        let other = Bytes::from(vec![b'b'; 5000]);
        assert_eq!(unpacked(&compress_shared(&other)), other);
    }
}
