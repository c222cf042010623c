//! Replies of other servers, read so far that they can be written anew: names are found, the rest is left as it is.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::message::Reply;
use crate::name::Name;
use crate::reader::{Reader, Unreadable};
use crate::record::{Data, Kind, Opaque, Piece, Rcode, Record};

/// What another server replied.
#[derive(Clone, Debug)]
pub(super) struct Foreign {
    /// Its code, the part that EDNS adds included.
    pub(super) rcode: u16,
    /// The message, with this code where it is one that is handed on.
    pub(super) reply: Reply,
}

/// What stands in the data of a type.
#[derive(Clone, Copy)]
enum Field {
    ShortName,
    WholeName,
    Bytes(usize),
    /// A character-string.
    Text,
}

const CLASS_IN: u16 = 1;
/// The response codes that have a name here.
const RCODES: [Rcode; 6] = [
    Rcode::NoError,
    Rcode::FormErr,
    Rcode::ServFail,
    Rcode::NxDomain,
    Rcode::NotImp,
    Rcode::Refused,
];

/// Reads a reply.
pub(super) fn read(bytes: &[u8], compress: bool) -> Result<Foreign, Unreadable> {
    match Reader::new(bytes).head()?.is_response() {
        true => read_any(bytes, compress),
        false => Err(Unreadable),
    }
}

/// A query written anew: what may be missing in one is told in full, and nothing refers to what stood elsewhere.
pub(super) fn rewritten(query: &[u8]) -> Result<Vec<u8>, Unreadable> {
    let mut message = read_any(query, false)?.reply.to_bytes();
    // Only replies are written here: what makes it one is put back.
    message[..4].copy_from_slice(&query[..4]);
    Ok(message)
}

/// A door for the fuzzer: what is read of a message of any bytes can be written, and read again.
///
/// # Panics
/// When it cannot.
#[cfg(any(fuzzing, test))]
pub fn survives(bytes: &[u8]) {
    use crate::limits::{MESSAGE_BYTES_MAX, PLAIN_UDP_BYTES};

    let _query = rewritten(bytes);
    let Ok(Foreign { reply, .. }) = read(bytes, true) else { return };
    let written = reply.to_bytes();
    if written.len() <= MESSAGE_BYTES_MAX {
        let again = read(&written, true).expect("what was written can be read");
        assert_eq!(again.reply.to_bytes(), written);
    }
    assert!(reply.to_bytes_within(PLAIN_UDP_BYTES).len() <= PLAIN_UDP_BYTES);
}

/// Reads a message. Counts may promise more than there is.
fn read_any(bytes: &[u8], compress: bool) -> Result<Foreign, Unreadable> {
    let mut reader = Reader::new(bytes);
    let head = reader.head()?;
    let [questions, counts @ ..] = head.counts;
    let mut question = None;
    for _ in 0..questions {
        let asked = reader.question()?;
        question = question.or(asked);
    }
    let [answer, authority, additional] = counts.map(|count| records(&mut reader, count));
    let (answer, authority, additional) = (answer?, authority?, additional?);
    let rcode = u16::from(head.rcode()) | extended_rcode(&additional);
    let known = RCODES.into_iter().find(|known| u16::from(known.number()) == rcode);
    let header = head.header(known.unwrap_or(Rcode::ServFail));
    let reply = Reply { header, question, answer, authority, additional, compress };
    Ok(Foreign { rcode, reply })
}

fn records(reader: &mut Reader<'_>, count: u16) -> Result<Vec<Record>, Unreadable> {
    let mut records = Vec::new();
    for _ in 0..count {
        if reader.is_at_end() {
            break;
        }
        records.push(record(reader)?);
    }
    Ok(records)
}

fn record(reader: &mut Reader<'_>) -> Result<Record, Unreadable> {
    let owner = reader.name()?;
    let (kind, class) = (Kind(reader.u16()?), reader.u16()?);
    let ttl = u32::from(reader.u16()?) << 16 | u32::from(reader.u16()?);
    let length = usize::from(reader.u16()?);
    let start = reader.at();
    let mut pieces = Vec::new();
    if length > 0 {
        for field in fields(kind) {
            pieces.push(piece(reader, *field)?);
        }
    }
    let rest = (start + length).checked_sub(reader.at()).ok_or(Unreadable)?;
    let rest = reader.take(rest)?;
    if !rest.is_empty() {
        pieces.push(Piece::Bytes(rest.into()));
    }
    Ok(Record { owner, ttl, data: data(kind, class, pieces) })
}

fn piece(reader: &mut Reader<'_>, field: Field) -> Result<Piece, Unreadable> {
    Ok(match field {
        Field::ShortName => Piece::ShortName(reader.name()?),
        Field::WholeName => Piece::WholeName(reader.name()?),
        Field::Bytes(count) => Piece::Bytes(reader.take(count)?.into()),
        Field::Text => {
            let length = reader.clone().take(1)?;
            Piece::Bytes(reader.take(1 + usize::from(length[0]))?.into())
        }
    })
}

/// The beginning of the data, as far as there are names in it.
fn fields(kind: Kind) -> &'static [Field] {
    use Field::{Bytes, ShortName, Text, WholeName};
    match kind.0 {
        // NS, MD, MF, CNAME, MB, MG, MR, PTR
        2..=5 | 7..=9 | 12 => &[ShortName],
        // SOA, MINFO
        6 | 14 => &[ShortName, ShortName],
        // MX
        15 => &[Bytes(2), ShortName],
        // RP
        17 => &[WholeName, WholeName],
        // AFSDB, RT, KX
        18 | 21 | 36 => &[Bytes(2), WholeName],
        // PX
        26 => &[Bytes(2), WholeName, WholeName],
        // SRV
        33 => &[Bytes(6), WholeName],
        // NAPTR
        35 => &[Bytes(4), Text, Text, Text, WholeName],
        // DNAME
        39 => &[WholeName],
        _ => &[],
    }
}

/// Addresses and other names are understood, since host names are followed.
fn data(kind: Kind, class: u16, pieces: Vec<Piece>) -> Data {
    let understood = match (kind, pieces.as_slice()) {
        (Kind::A, [Piece::Bytes(bytes)]) => {
            <[u8; 4]>::try_from(bytes.as_ref()).ok().map(|ip| Data::A(Ipv4Addr::from(ip)))
        }
        (Kind::AAAA, [Piece::Bytes(bytes)]) => {
            <[u8; 16]>::try_from(bytes.as_ref()).ok().map(|ip| Data::Aaaa(Ipv6Addr::from(ip)))
        }
        (Kind::CNAME, [Piece::ShortName(name)]) => Some(Data::Cname(name.clone())),
        _ => None,
    };
    let opaque = || Data::Opaque(Box::new(Opaque { kind, class, pieces: pieces.into() }));
    match understood {
        Some(data) if class == CLASS_IN => data,
        _ => opaque(),
    }
}

/// The upper bits of the response code, which stand in the TTL of the EDNS record (RFC 6891 §6.1.3).
fn extended_rcode(additional: &[Record]) -> u16 {
    let edns = additional
        .iter()
        .find(|record| record.data.kind() == Kind::OPT && record.owner == Name::root());
    edns.map_or(0, |edns| u16::from(edns.ttl.to_be_bytes()[0]) << 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `www.example. MX`, answered with an exchange in the same zone, an unknown type, and EDNS.
    const REPLY: &[u8] =
        b"\x00\x07\x81\xa0\x00\x01\x00\x02\x00\x00\x00\x01\x03www\x07example\x00\x00\x0f\x00\x01\
        \xc0\x0c\x00\x0f\x00\x01\x00\x00\x00\x4d\x00\x09\x00\x0a\x04mail\xc0\x10\
        \xc0\x10\xff\x00\x00\x01\x00\x00\x00\x09\x00\x03\xc0\x0c\x01\
        \x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x00";

    #[test]
    fn a_reply_is_written_as_it_was_read() {
        let Foreign { rcode, reply } = read(REPLY, true).unwrap();
        assert_eq!((rcode, reply.answer.len(), reply.header.authentic), (0, 2, true));
        assert_eq!(reply.to_bytes(), REPLY);
        let whole = read(REPLY, false).unwrap().reply.to_bytes();
        // `.example` once, and `www.example` twice, instead of pointers. What is not understood stays.
        assert_eq!(whole.len(), REPLY.len() + 7 + 11 + 7);
        assert_eq!(read(&whole, true).unwrap().reply.to_bytes(), REPLY);
    }

    #[test]
    fn queries_are_written_in_full() {
        let root = b"\x00\x07\x01\x00\x00\x01\x00\x01\x00\x00\x00\x00";
        let full = |counts: &[u8], more: &[u8]| [b"\x00\x07\x01\x00", counts, more].concat();
        let alone = b"\x00\x01\x00\x00\x00\x00\x00\x00";
        for (query, expected) in [
            // The type and the class are missing, and the record that is counted.
            ([root.as_slice(), b"\x00"].concat(), full(alone, b"\x00\x00\x00\x00\x00")),
            (
                [root.as_slice(), b"\x01a\x00\x00\x10"].concat(),
                full(alone, b"\x01a\x00\x00\x10\x00\x00"),
            ),
        ] {
            assert_eq!(rewritten(&query), Ok(expected), "{query:02x?}");
        }
    }

    #[test]
    fn what_is_no_reply_is_not_read() {
        let cut = |at: usize| REPLY[..at].to_vec();
        let changed = |at: usize, byte: u8| {
            let mut bytes = REPLY.to_vec();
            bytes[at] = byte;
            bytes
        };
        for bad in [
            cut(11),
            cut(40),
            // No response; a loop of pointers; data that ends within a name.
            changed(2, 0x01),
            changed(30, 0x1d),
            changed(40, 0x04),
        ] {
            assert!(read(&bad, true).is_err(), "{bad:02x?}");
        }
        // The bits of EDNS: BADVERS.
        let edns = REPLY.len() - 6;
        assert_eq!(read(&changed(edns, 1), true).unwrap().rcode, 16);
    }
}
