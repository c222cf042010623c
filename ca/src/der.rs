//! The few pieces of DER (ITU-T X.690) that keys are wrapped in.

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const NULL: u8 = 0x05;
const OID: u8 = 0x06;

/// A value with its tag and length.
fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match content.len() {
        short @ 0..=127 => out.push(u8::try_from(short).expect("it is below 128")),
        long => {
            let bytes = long.to_be_bytes();
            let length = &bytes[bytes.iter().position(|byte| *byte != 0).unwrap_or(0)..];
            out.push(0x80 | u8::try_from(length.len()).expect("a length has at most 8 bytes"));
            out.extend_from_slice(length);
        }
    }
    out.extend_from_slice(content);
    out
}

pub(crate) fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    tagged(SEQUENCE, &parts.concat())
}

/// A number below 128.
pub(crate) fn small(number: u8) -> Vec<u8> {
    tagged(INTEGER, &[number])
}

pub(crate) fn octets(content: &[u8]) -> Vec<u8> {
    tagged(OCTET_STRING, content)
}

pub(crate) fn null() -> Vec<u8> {
    tagged(NULL, &[])
}

/// An object identifier, given in its encoded form.
pub(crate) fn oid(encoded: &[u8]) -> Vec<u8> {
    tagged(OID, encoded)
}

/// A value under an explicit context tag.
pub(crate) fn explicit(number: u8, content: &[u8]) -> Vec<u8> {
    tagged(0xa0 | number, content)
}

/// Reads one value: its tag, its content, and what follows it.
fn read(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        short @ 0..=127 => (usize::from(short), rest),
        long => {
            let (length, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
            let length = length.iter().try_fold(0_usize, |sum, byte| {
                sum.checked_mul(256)?.checked_add(usize::from(*byte))
            })?;
            (length, rest)
        }
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// The values inside a sequence.
pub(crate) fn items(bytes: &[u8]) -> Option<Vec<(u8, &[u8])>> {
    let (SEQUENCE, mut rest, _) = read(bytes)? else { return None };
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (tag, content, after) = read(rest)?;
        found.push((tag, content));
        rest = after;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let long = octets(&[7; 300]);
        let whole = sequence(&[small(1), long, explicit(0, &oid(&[1, 2]))]);
        let found = items(&whole).unwrap();
        assert_eq!((found[0], found[1].1.len(), found[2].0), ((INTEGER, &[1_u8][..]), 300, 0xa0));
        assert_eq!(items(&whole[..20]), None);
    }
}
