//! A reply, and its bytes: header, question, three sections, names compressed against all that went before.
//!
//! The library's own encoder compresses only the first 64 labels and 120 names of a message, which would double the
//! size of large answers; here there is no such limit, as in Consul.

use std::collections::HashMap;

use crate::limits::POINTER_OFFSET_MAX;
use crate::name::Name;
use crate::question::Question;
use crate::record::{Authority, Data, Edns, Piece, Rcode, Record, Subnet};

/// The bits of a header that a reply has (RFC 1035 §4.1.1, RFC 4035 §3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// The query's number.
    pub id: u16,
    /// The query's operation.
    pub opcode: u8,
    /// Whether the server is an authority for the name.
    pub authoritative: bool,
    /// Whether something was left out.
    pub truncated: bool,
    /// Whether recursion was desired.
    pub recursion_desired: bool,
    /// Whether recursion is to be had.
    pub recursion_available: bool,
    /// Reserved; handed on from another server.
    pub reserved: bool,
    /// Authentic data.
    pub authentic: bool,
    /// Whether checking was disabled.
    pub checking_disabled: bool,
    /// How it ended.
    pub rcode: Rcode,
}

/// A reply that is ready to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The header.
    pub header: Header,
    /// The question, as the client spelt it.
    pub question: Option<Question>,
    /// Answers.
    pub answer: Vec<Record>,
    /// Authority records.
    pub authority: Vec<Record>,
    /// Additional records.
    pub additional: Vec<Record>,
    /// Whether names are compressed.
    pub compress: bool,
}

/// Writes messages.
struct Writer<'a> {
    out: Vec<u8>,
    /// Where each name that was written begins, by its bytes; `None` when names are written whole.
    seen: Option<HashMap<&'a [u8], u16>>,
}

// === impl Header ===

impl Header {
    fn bits(self) -> u16 {
        let flags = [
            (self.authoritative, 10),
            (self.truncated, 9),
            (self.recursion_desired, 8),
            (self.recursion_available, 7),
            (self.reserved, 6),
            (self.authentic, 5),
            (self.checking_disabled, 4),
        ];
        let response =
            1 << 15 | u16::from(self.opcode & 0xF) << 11 | u16::from(self.rcode.number());
        flags.iter().fold(response, |bits, (set, at)| bits | u16::from(*set) << at)
    }
}

// === impl Reply ===

impl Reply {
    /// The bytes for the wire.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.write()
    }

    /// The bytes for the wire when they are at most so many; else as much of it as is, and that it was shortened.
    ///
    /// Only records that no catalog should hold get here: a text of tens of thousands of bytes.
    pub fn to_bytes_within(mut self, bytes_max: usize) -> Vec<u8> {
        let whole = self.to_bytes();
        if whole.len() <= bytes_max {
            return whole;
        }
        self.header.truncated = true;
        self.additional.clear();
        self.authority.clear();
        let answers = self.to_bytes();
        if answers.len() <= bytes_max {
            return answers;
        }
        self.answer.clear();
        self.to_bytes()
    }

    fn write(&self) -> Vec<u8> {
        let mut writer = Writer::new(self.compress);
        writer.header(self);
        if let Some(question) = &self.question {
            writer.question(question);
        }
        let sections = [&self.answer, &self.authority, &self.additional];
        sections.into_iter().flatten().for_each(|record| writer.record(record));
        writer.out
    }
}

/// How long a message of a question and these records is on the wire, compressed.
pub fn compressed_length<'a>(
    question: Option<&'a Question>,
    records: impl Iterator<Item = &'a Record>,
) -> usize {
    let mut writer = Writer::new(true);
    writer.out.resize(HEADER_BYTES, 0);
    if let Some(question) = question {
        writer.question(question);
    }
    records.for_each(|record| writer.record(record));
    writer.out.len()
}

/// The same with names written whole, which needs no writing.
pub fn plain_length<'a>(
    question: Option<&Question>,
    records: impl Iterator<Item = &'a Record>,
) -> usize {
    let question = question.map_or(0, |question| question.name.wire().len() + 4);
    HEADER_BYTES + question + records.map(Record::plain_length).sum::<usize>()
}

// === impl Writer ===

impl<'a> Writer<'a> {
    fn new(compress: bool) -> Self {
        Self { out: Vec::with_capacity(512), seen: compress.then(HashMap::new) }
    }

    fn header(&mut self, reply: &Reply) {
        let sections = [&reply.answer, &reply.authority, &reply.additional];
        self.u16(reply.header.id);
        self.u16(reply.header.bits());
        self.u16(u16::from(reply.question.is_some()));
        for section in sections {
            self.u16(u16::try_from(section.len()).unwrap_or(u16::MAX));
        }
    }

    fn question(&mut self, question: &'a Question) {
        self.name(&question.name, Spelling::Short);
        self.u16(question.kind.0);
        self.u16(question.class);
    }

    fn record(&mut self, record: &'a Record) {
        self.name(&record.owner, Spelling::Short);
        self.u16(record.data.kind().0);
        match &record.data {
            Data::Opt(edns) => self.u16(edns.udp_size),
            Data::Opaque(opaque) => self.u16(opaque.class),
            _ => self.u16(CLASS_IN),
        }
        self.u32(record.ttl);
        let length_at = self.out.len();
        self.u16(0);
        self.data(&record.data);
        let length = u16::try_from(self.out.len() - length_at - 2).unwrap_or(u16::MAX);
        self.out[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
    }

    fn data(&mut self, data: &'a Data) {
        match data {
            Data::A(ip) => self.out.extend_from_slice(&ip.octets()),
            Data::Aaaa(ip) => self.out.extend_from_slice(&ip.octets()),
            Data::Cname(name) | Data::Ns(name) | Data::Ptr(name) => {
                self.name(name, Spelling::Short)
            }
            Data::Soa(soa) => self.soa(soa),
            Data::Srv { priority, weight, port, target } => {
                [priority, weight, port].into_iter().for_each(|number| self.u16(*number));
                self.name(target, Spelling::Whole);
            }
            Data::Txt(strings) => self.out.extend_from_slice(strings),
            Data::Opt(edns) => self.options(edns),
            Data::Opaque(opaque) => opaque.pieces.iter().for_each(|piece| self.piece(piece)),
        }
    }

    fn soa(&mut self, soa: &'a Authority) {
        self.name(&soa.server, Spelling::Short);
        self.name(&soa.mailbox, Spelling::Short);
        for number in [soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum] {
            self.u32(number);
        }
    }

    fn piece(&mut self, piece: &'a Piece) {
        match piece {
            Piece::Bytes(bytes) => self.out.extend_from_slice(bytes),
            Piece::ShortName(name) => self.name(name, Spelling::Short),
            Piece::WholeName(name) => self.name(name, Spelling::Whole),
        }
    }

    fn options(&mut self, edns: &Edns) {
        if let Some(subnet) = &edns.subnet {
            self.subnet(subnet);
        }
        if let Some(error) = &edns.error {
            let text = error.told_text().as_bytes();
            self.u16(OPTION_ERROR);
            self.u16(u16::try_from(2 + text.len()).expect("the text is cut to fewer bytes"));
            self.u16(error.code.0);
            self.out.extend_from_slice(text);
        }
    }

    fn subnet(&mut self, subnet: &Subnet) {
        self.u16(OPTION_SUBNET);
        self.u16(u16::try_from(4 + subnet.address.len()).expect("an address has 16 bytes at most"));
        self.u16(subnet.family);
        self.out.extend_from_slice(&[subnet.source, subnet.scope]);
        self.out.extend_from_slice(&subnet.address);
    }

    /// Writes a name, and remembers where each of its parents begins for the names after it.
    fn name(&mut self, name: &'a Name, spelling: Spelling) {
        for suffix in name.suffixes() {
            match self.seen.as_ref().and_then(|seen| seen.get(suffix)).copied() {
                Some(at) if spelling == Spelling::Short => return self.u16(0xC000 | at),
                Some(_) => {}
                None => self.remember(suffix),
            }
            self.out.extend_from_slice(&suffix[..=usize::from(suffix[0])]);
        }
        self.out.push(0);
    }

    /// Notes that a name begins here, where a pointer can reach.
    fn remember(&mut self, name: &'a [u8]) {
        let here =
            u16::try_from(self.out.len()).ok().filter(|at| usize::from(*at) < POINTER_OFFSET_MAX);
        if let (Some(seen), Some(here)) = (&mut self.seen, here) {
            seen.insert(name, here);
        }
    }

    fn u16(&mut self, number: u16) {
        self.out.extend_from_slice(&number.to_be_bytes());
    }

    fn u32(&mut self, number: u32) {
        self.out.extend_from_slice(&number.to_be_bytes());
    }
}

/// Whether a name may end in a pointer. The target of SRV may not (RFC 2782).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spelling {
    Short,
    Whole,
}

const HEADER_BYTES: usize = 12;
const CLASS_IN: u16 = 1;
/// The option code of a client subnet (RFC 7871).
pub(crate) const OPTION_SUBNET: u16 = 8;
/// That of an extended error (RFC 8914).
pub(crate) const OPTION_ERROR: u16 = 15;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Kind;

    #[test]
    fn what_no_message_can_hold_is_left_out_and_told() {
        let name = Name::parse("n1.node.consul").expect("it is a name");
        let text = |bytes: usize| Record {
            owner: name.clone(),
            ttl: 0,
            data: Data::text(&"x".repeat(bytes)),
        };
        let reply = |answer, additional| Reply {
            header: Header::default(),
            question: Some(Question { name: name.clone(), kind: Kind::ANY, class: 1 }),
            answer,
            authority: Vec::new(),
            additional,
            compress: true,
        };
        for (answer, additional, expected) in [
            (vec![text(10)], vec![text(10)], [0, 1, 1]),
            (vec![text(10)], vec![text(70_000)], [2, 1, 0]),
            (vec![text(70_000)], vec![], [2, 0, 0]),
        ] {
            let bytes = reply(answer, additional).to_bytes_within(65_535);
            assert_eq!([bytes[2] & 2, bytes[7], bytes[11]], expected);
        }
    }
}
