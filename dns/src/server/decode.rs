//! Bytes to a question and its asker. What is accepted, dropped and refused is what Consul's library does.
//!
//! The DNS library judges the data of records other than EDNS; names, counts and EDNS are read here, because it refuses
//! what Consul takes (two EDNS records, a subnet of no family, counts that promise more than there is).

use hickory_proto::rr::{RData, RecordType};
use hickory_proto::serialize::binary::{BinDecoder, Restrict};

use crate::limits::{
    LABEL_BYTES_MAX, NAME_BYTES_MAX, POINTERS_FOLLOWED_MAX, REQUEST_ADDITIONAL_MAX,
};
use crate::message::{Header, Reply};
use crate::name::Name;
use crate::question::Question;
use crate::record::{Edns, Kind, Rcode, Subnet};
use crate::shape::{Asker, Transport};

/// What a message is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    /// Too short to be answered, or an answer itself: replying would help who forges addresses.
    Noise,
    /// Not to be understood, or not done here.
    Reject(Reply),
    /// A question. There is none in a message that ends after its header.
    Query { question: Option<Question>, asker: Asker },
}

/// A message that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Unreadable;

/// Reads a message from left to right.
struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

/// The twelve bytes that every message begins with.
struct Head {
    id: u16,
    bits: u16,
    counts: [u16; 4],
}

/// A record of a request, as far as it matters.
enum Extra {
    Edns(Edns),
    Other,
}

const OPCODE_QUERY: u8 = 0;
const OPCODE_NOTIFY: u8 = 4;
const OPTION_LONG_LIVED: u16 = 1;
const OPTION_LEASE: u16 = 2;
const OPTION_SUBNET: u16 = 8;
const OPTION_EXPIRE: u16 = 9;
const OPTION_KEEPALIVE: u16 = 11;
const OPTION_ERROR: u16 = 15;

/// Reads a message.
pub(super) fn decode(bytes: &[u8], transport: Transport) -> Incoming {
    let mut reader = Reader { message: bytes, at: 0 };
    let Ok(head) = reader.head() else { return Incoming::Noise };
    let [questions, answers, authorities, additionals] = head.counts;
    if head.is_response() {
        return Incoming::Noise;
    }
    if ![OPCODE_QUERY, OPCODE_NOTIFY].contains(&head.opcode()) {
        return Incoming::Reject(head.reject(head.opcode(), Rcode::NotImp, None));
    }
    if questions != 1 || answers > 1 || authorities > 1 || additionals > REQUEST_ADDITIONAL_MAX {
        return Incoming::Reject(head.reject(OPCODE_QUERY, Rcode::FormErr, None));
    }
    let Ok(question) = reader.question() else {
        return Incoming::Reject(head.reject(OPCODE_QUERY, Rcode::FormErr, None));
    };
    match reader.edns(answers + authorities, additionals) {
        Ok(edns) => Incoming::Query { question, asker: head.asker(transport, edns) },
        Err(Unreadable) => Incoming::Reject(head.reject(OPCODE_QUERY, Rcode::FormErr, question)),
    }
}

// === impl Head ===

impl Head {
    fn bit(&self, at: u8) -> bool {
        self.bits >> at & 1 == 1
    }

    fn is_response(&self) -> bool {
        self.bit(15)
    }

    fn opcode(&self) -> u8 {
        (self.bits >> 11).to_le_bytes()[0] & 0xF
    }

    fn asker(&self, transport: Transport, edns: Option<Edns>) -> Asker {
        Asker {
            transport,
            edns,
            id: self.id,
            opcode: self.opcode(),
            recursion_desired: self.bit(8),
            checking_disabled: self.bit(4),
        }
    }

    /// A message that is turned down comes back with its own bits.
    fn reject(&self, opcode: u8, rcode: Rcode, question: Option<Question>) -> Reply {
        let header = Header {
            id: self.id,
            opcode,
            authoritative: false,
            truncated: self.bit(9),
            recursion_desired: self.bit(8),
            recursion_available: self.bit(7),
            authentic: self.bit(5),
            checking_disabled: self.bit(4),
            rcode,
        };
        let (answer, authority, additional) = (Vec::new(), Vec::new(), Vec::new());
        Reply { header, question, answer, authority, additional, compress: false }
    }
}

// === impl Reader ===

impl<'a> Reader<'a> {
    fn head(&mut self) -> Result<Head, Unreadable> {
        let (id, bits) = (self.u16()?, self.u16()?);
        let counts = [self.u16()?, self.u16()?, self.u16()?, self.u16()?];
        Ok(Head { id, bits, counts })
    }

    /// A message may end after its header, after the name, and after the type: what is missing is zero.
    fn question(&mut self) -> Result<Option<Question>, Unreadable> {
        if self.is_at_end() {
            return Ok(None);
        }
        let name = self.name()?;
        let kind = Kind(if self.is_at_end() { 0 } else { self.u16()? });
        let class = if self.is_at_end() { 0 } else { self.u16()? };
        Ok(Some(Question { name, kind, class }))
    }

    /// Reads the records after the question. Among several EDNS records the last counts, elsewhere none does.
    fn edns(&mut self, before: u16, additionals: u16) -> Result<Option<Edns>, Unreadable> {
        for _ in 0..before {
            self.record()?;
        }
        let mut edns = None;
        for _ in 0..additionals {
            if let Extra::Edns(found) = self.record()? {
                edns = Some(found);
            }
        }
        Ok(edns)
    }

    /// Counts may promise more than there is.
    fn record(&mut self) -> Result<Extra, Unreadable> {
        if self.is_at_end() {
            return Ok(Extra::Other);
        }
        self.name()?;
        let (kind, class) = (Kind(self.u16()?), self.u16()?);
        self.take(4)?;
        let length = self.u16()?;
        let start = self.at;
        let data = self.take(usize::from(length))?;
        match kind {
            Kind::OPT => Ok(Extra::Edns(Edns { udp_size: class, subnet: options(data)? })),
            Kind::A | Kind::AAAA | Kind::NS | Kind::CNAME | Kind::PTR | Kind::TXT => {
                self.judge(start, kind, length).map(|()| Extra::Other)
            }
            // Of the others, which no query has, Consul's library takes most cut short.
            _ => Ok(Extra::Other),
        }
    }

    /// Whether the data of a record is what its type says.
    fn judge(&self, start: usize, kind: Kind, length: u16) -> Result<(), Unreadable> {
        if length == 0 {
            return Ok(());
        }
        let start = u16::try_from(start).map_err(|_| Unreadable)?;
        let mut decoder = BinDecoder::new(self.message).clone(start);
        let read = RData::read(&mut decoder, RecordType::from(kind.0), Restrict::new(length));
        read.map(drop).map_err(|_| Unreadable)
    }

    fn name(&mut self) -> Result<Name, Unreadable> {
        let mut wire = Vec::new();
        let (mut at, mut after, mut jumps) = (self.at, None, 0);
        loop {
            let length = usize::from(*self.message.get(at).ok_or(Unreadable)?);
            match length {
                0 => break,
                1..=LABEL_BYTES_MAX => {
                    wire.extend_from_slice(self.message.get(at..=at + length).ok_or(Unreadable)?);
                    at += length + 1;
                }
                0xC0.. => {
                    let low = usize::from(*self.message.get(at + 1).ok_or(Unreadable)?);
                    after = after.or(Some(at + 2));
                    at = (length & 0x3F) << 8 | low;
                    jumps += 1;
                }
                _ => return Err(Unreadable),
            }
            if jumps > POINTERS_FOLLOWED_MAX || wire.len() >= NAME_BYTES_MAX {
                return Err(Unreadable);
            }
        }
        self.at = after.unwrap_or(at + 1);
        wire.push(0);
        Name::from_wire(&wire).map_err(|_| Unreadable)
    }

    fn is_at_end(&self) -> bool {
        self.at == self.message.len()
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Unreadable> {
        let bytes = self.message.get(self.at..self.at + count).ok_or(Unreadable)?;
        self.at += count;
        Ok(bytes)
    }

    fn u16(&mut self) -> Result<u16, Unreadable> {
        self.take(2).map(number)
    }
}

fn number(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |number, byte| number << 8 | u16::from(*byte))
}

/// The first subnet among the options, if all of them are well formed.
fn options(mut data: &[u8]) -> Result<Option<Subnet>, Unreadable> {
    let mut first = None;
    while !data.is_empty() {
        let (head, rest) = data.split_at_checked(4).ok_or(Unreadable)?;
        let (code, length) = (number(&head[..2]), usize::from(number(&head[2..])));
        let (value, rest) = rest.split_at_checked(length).ok_or(Unreadable)?;
        let well_formed = match code {
            OPTION_LONG_LIVED => length >= 18,
            OPTION_LEASE => length == 4 || length == 8,
            OPTION_EXPIRE => length == 0 || length >= 4,
            OPTION_KEEPALIVE => length == 0 || length == 2,
            OPTION_ERROR => length >= 2,
            _ => true,
        };
        if !well_formed {
            return Err(Unreadable);
        }
        if code == OPTION_SUBNET {
            let read = subnet(value)?;
            first = first.or(Some(read));
        }
        data = rest;
    }
    Ok(first)
}

/// A client subnet, its address cut and cleared to as many bits as it tells (RFC 7871 §6).
fn subnet(value: &[u8]) -> Result<Subnet, Unreadable> {
    let (head, address) = value.split_at_checked(4).ok_or(Unreadable)?;
    let (family, source, scope) = (number(&head[..2]), head[2], head[3]);
    let bits_max = match family {
        0 if source == 0 => return Ok(Subnet { family, source, scope: 0, address: [].into() }),
        1 => 32,
        2 => 128,
        _ => return Err(Unreadable),
    };
    if source > bits_max || scope > bits_max {
        return Err(Unreadable);
    }
    let mut bytes = address.to_vec();
    bytes.resize(usize::from(source.div_ceil(8)), 0);
    if let (Some(last), surplus @ 1..) = (bytes.last_mut(), source % 8) {
        *last &= 0xFF << (8 - surplus);
    }
    Ok(Subnet { family, source, scope, address: bytes.into() })
}

#[cfg(test)]
mod tests;
