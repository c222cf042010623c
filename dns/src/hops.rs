//! How many servers handed a question on: what ends one that goes round between two of them.
//!
//! Each adds one, in an EDNS option of its own. Its number is one of those that are left to local use (RFC 6891 §9), so its value
//! begins with a mark: others may use the number for something else.

use crate::reader::{Reader, Unreadable, number};
use crate::record::Kind;

/// The number of the option.
const OPTION_HOPS: u16 = 65_313;
/// How its value begins; the count follows in one byte.
const MARK: &[u8] = b"hops";

/// What a query tells; none when it tells nothing, or cannot be read.
pub(crate) fn told(query: &[u8]) -> u8 {
    read(query).ok().flatten().unwrap_or(0)
}

/// The option for a query, as it goes into the EDNS record.
pub(crate) fn option(hops: u8) -> Vec<u8> {
    let value = [MARK, &[hops]].concat();
    let length = u16::try_from(value.len()).expect("it has a handful of bytes");
    [&OPTION_HOPS.to_be_bytes(), &length.to_be_bytes(), value.as_slice()].concat()
}

fn read(query: &[u8]) -> Result<Option<u8>, Unreadable> {
    let mut reader = Reader::new(query);
    let head = reader.head()?;
    reader.question()?;
    let [_, counts @ ..] = head.counts;
    for _ in 0..counts.into_iter().map(u32::from).sum() {
        if reader.is_at_end() {
            break;
        }
        reader.name()?;
        let kind = Kind(reader.u16()?);
        reader.take(6)?;
        let length = reader.u16()?;
        let data = reader.take(usize::from(length))?;
        if kind == Kind::OPT
            && let Some(count) = in_options(data)?
        {
            return Ok(Some(count));
        }
    }
    Ok(None)
}

fn in_options(mut data: &[u8]) -> Result<Option<u8>, Unreadable> {
    while !data.is_empty() {
        let (head, rest) = data.split_at_checked(4).ok_or(Unreadable)?;
        let length = usize::from(number(&head[2..]));
        let (value, rest) = rest.split_at_checked(length).ok_or(Unreadable)?;
        if number(&head[..2]) == OPTION_HOPS
            && let Some([count]) = value.strip_prefix(MARK)
        {
            return Ok(Some(*count));
        }
        data = rest;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_option_counts() {
        let query = |options: &[u8]| {
            let head = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 1, b'a', 0, 0, 1, 0, 1];
            let edns = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, u8::try_from(options.len()).unwrap()];
            [head.as_slice(), edns.as_slice(), options].concat()
        };
        for (options, expected) in [
            (option(3), 3),
            (option(0), 0),
            (Vec::new(), 0),
            ([vec![0, 10, 0, 1, 7], option(2)].concat(), 2),
            // The same number, used by somebody else; and one that is cut.
            (vec![0xFF, 0x21, 0, 1, 9], 0),
            (vec![0xFF, 0x21, 0, 5, b'h'], 0),
        ] {
            assert_eq!(told(&query(&options)), expected, "{options:?}");
        }
        assert_eq!(OPTION_HOPS.to_be_bytes(), [0xFF, 0x21]);
        assert_eq!(told(b""), 0);
    }
}
