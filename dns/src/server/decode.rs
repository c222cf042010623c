//! Bytes to a question and its asker. What is accepted, dropped and refused is what Consul's library does.
//!
//! The DNS library judges the data of records other than EDNS; names, counts and EDNS are read here, because it refuses
//! what Consul takes (two EDNS records, a subnet of no family, counts that promise more than there is).

use hickory_proto::rr::{RData, RecordType};
use hickory_proto::serialize::binary::{BinDecoder, Restrict};

use crate::limits::REQUEST_ADDITIONAL_MAX;
use crate::message::{Header, OPTION_ERROR, OPTION_SUBNET, Reply};
use crate::question::Question;
use crate::reader::{Head, Reader, Unreadable, number};
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

/// A record of a request, as far as it matters.
enum Extra {
    Edns(Edns),
    Other,
}

const OPCODE_QUERY: u8 = 0;
const OPCODE_NOTIFY: u8 = 4;
const OPTION_LONG_LIVED: u16 = 1;
const OPTION_LEASE: u16 = 2;
const OPTION_EXPIRE: u16 = 9;
const OPTION_KEEPALIVE: u16 = 11;

/// Reads a message.
pub(super) fn decode(bytes: &[u8], transport: Transport) -> Incoming {
    let mut reader = Reader::new(bytes);
    let Ok(head) = reader.head() else { return Incoming::Noise };
    let [questions, answers, authorities, additionals] = head.counts;
    if head.is_response() {
        return Incoming::Noise;
    }
    if ![OPCODE_QUERY, OPCODE_NOTIFY].contains(&head.opcode()) {
        return reject(&head, head.opcode(), Rcode::NotImp, None);
    }
    if questions != 1 || answers > 1 || authorities > 1 || additionals > REQUEST_ADDITIONAL_MAX {
        return reject(&head, OPCODE_QUERY, Rcode::FormErr, None);
    }
    let Ok(question) = reader.question() else {
        return reject(&head, OPCODE_QUERY, Rcode::FormErr, None);
    };
    match reader.edns(answers + authorities, additionals) {
        Ok(edns) => Incoming::Query { question, asker: asker(&head, transport, edns) },
        Err(Unreadable) => reject(&head, OPCODE_QUERY, Rcode::FormErr, question),
    }
}

/// Who asks, by the head of the query.
fn asker(head: &Head, transport: Transport, edns: Option<Edns>) -> Asker {
    Asker {
        transport,
        edns,
        id: head.id,
        opcode: head.opcode(),
        recursion_desired: head.bit(8),
        checking_disabled: head.bit(4),
    }
}

/// A message that is turned down comes back with its own bits.
fn reject(head: &Head, opcode: u8, rcode: Rcode, question: Option<Question>) -> Incoming {
    let header = Header { authoritative: false, opcode, reserved: false, ..head.header(rcode) };
    let (answer, authority, additional) = (Vec::new(), Vec::new(), Vec::new());
    Incoming::Reject(Reply { header, question, answer, authority, additional, compress: false })
}

// === impl Reader ===

impl Reader<'_> {
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
        let start = self.at();
        let data = self.take(usize::from(length))?;
        match kind {
            Kind::OPT => {
                Ok(Extra::Edns(Edns { udp_size: class, subnet: options(data)?, error: None }))
            }
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
        let mut decoder = BinDecoder::new(self.message()).clone(start);
        let read = RData::read(&mut decoder, RecordType::from(kind.0), Restrict::new(length));
        read.map(drop).map_err(|_| Unreadable)
    }
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
