//! Base64 as Go's `encoding/base64` reads it.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Go takes a last character whose unused bits are set, and line breaks anywhere.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// The place of the first byte that cannot stand there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("illegal base64 data at input byte {0}")]
pub(crate) struct Corrupt(usize);

/// The bytes that a text stands for.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, Corrupt> {
    if !text.contains(['\r', '\n']) {
        return LENIENT.decode(text).map_err(|_| corrupt(text));
    }
    let joined: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    LENIENT.decode(joined).map_err(|_| corrupt(text))
}

/// Where Go stops: at a character that is none of the alphabet, behind padding that is whole, or at the beginning of a
/// group of four that is cut.
fn corrupt(text: &str) -> Corrupt {
    let bytes: Vec<(usize, u8)> =
        text.bytes().enumerate().filter(|(_, byte)| !matches!(byte, b'\r' | b'\n')).collect();
    for group in bytes.chunks(4) {
        for (nth, (at, byte)) in group.iter().enumerate() {
            if *byte == b'=' {
                return padding(&bytes, group, nth).unwrap_or(Corrupt(*at));
            }
            if !byte.is_ascii_alphanumeric() && !matches!(byte, b'+' | b'/') {
                return Corrupt(*at);
            }
        }
        if group.len() < 4 {
            let after = text.len();
            return Corrupt(after - group.len());
        }
    }
    Corrupt(text.len())
}

/// What is wrong with the padding that begins at the `nth` of a group; nothing when it should not be there at all.
fn padding(bytes: &[(usize, u8)], group: &[(usize, u8)], nth: usize) -> Option<Corrupt> {
    let at = group[nth].0;
    match nth {
        0 | 1 => None,
        2 => match group.get(3) {
            None => Some(Corrupt(at + 1)),
            Some((_, b'=')) => trailing(bytes, group),
            Some(_) => Some(Corrupt(at)),
        },
        _ => trailing(bytes, group),
    }
}

fn trailing(bytes: &[(usize, u8)], group: &[(usize, u8)]) -> Option<Corrupt> {
    let last = group.last()?.0;
    bytes.iter().find(|(at, _)| *at > last).map(|(at, _)| Corrupt(*at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_and_refused_as_go_does() {
        let cases: [(&str, Result<&[u8], usize>); 12] = [
            ("", Ok(b"")),
            ("dGVzdA==", Ok(b"test")),
            ("dGVz\ndA==\r\n", Ok(b"test")),
            ("dGVzdB==", Ok(b"test")),
            ("zz!", Err(2)),
            ("zz", Err(0)),
            ("dGVzd", Err(4)),
            ("dGVzdA", Err(4)),
            ("dGVzdA=", Err(7)),
            ("dGVzdA==x", Err(8)),
            ("=", Err(0)),
            ("dGVz====", Err(4)),
        ];
        for (text, expected) in cases {
            let read = decode(text);
            assert_eq!(
                read.as_deref().map_err(|corrupt| corrupt.0),
                expected.as_ref().map(|bytes| *bytes).map_err(|at| *at),
                "{text:?}"
            );
        }
    }
}
