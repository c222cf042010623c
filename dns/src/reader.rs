//! Messages from left to right: what queries and replies have in common.

use std::time::Duration;

use crate::limits::{LABEL_BYTES_MAX, NAME_BYTES_MAX, POINTERS_FOLLOWED_MAX};
use crate::message::Header;
use crate::name::Name;
use crate::question::Question;
use crate::record::{Kind, Rcode};

/// A message that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable;

/// Reads a message.
#[derive(Clone)]
pub(crate) struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

/// The twelve bytes that every message begins with.
pub(crate) struct Head {
    pub(crate) id: u16,
    bits: u16,
    pub(crate) counts: [u16; 4],
}

// === impl Head ===

impl Head {
    pub(crate) fn bit(&self, at: u8) -> bool {
        self.bits >> at & 1 == 1
    }

    pub(crate) fn is_response(&self) -> bool {
        self.bit(15)
    }

    pub(crate) fn opcode(&self) -> u8 {
        (self.bits >> 11).to_le_bytes()[0] & 0xF
    }

    /// The lower four bits of the response code; EDNS may have more.
    pub(crate) fn rcode(&self) -> u8 {
        self.bits.to_le_bytes()[0] & 0xF
    }

    /// The same bits for another message, with what it came to.
    pub(crate) fn header(&self, rcode: Rcode) -> Header {
        Header {
            id: self.id,
            opcode: self.opcode(),
            authoritative: self.bit(10),
            truncated: self.bit(9),
            recursion_desired: self.bit(8),
            recursion_available: self.bit(7),
            reserved: self.bit(6),
            authentic: self.bit(5),
            checking_disabled: self.bit(4),
            rcode,
        }
    }
}

// === impl Reader ===

impl<'a> Reader<'a> {
    pub(crate) fn new(message: &'a [u8]) -> Self {
        Self { message, at: 0 }
    }

    /// The whole message.
    pub(crate) fn message(&self) -> &'a [u8] {
        self.message
    }

    /// How much of it was read.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn head(&mut self) -> Result<Head, Unreadable> {
        let (id, bits) = (self.u16()?, self.u16()?);
        let counts = [self.u16()?, self.u16()?, self.u16()?, self.u16()?];
        Ok(Head { id, bits, counts })
    }

    /// A message may end after its header, after the name, and after the type: what is missing is zero.
    pub(crate) fn question(&mut self) -> Result<Option<Question>, Unreadable> {
        if self.is_at_end() {
            return Ok(None);
        }
        let name = self.name()?;
        let kind = Kind(if self.is_at_end() { 0 } else { self.u16()? });
        let class = if self.is_at_end() { 0 } else { self.u16()? };
        Ok(Some(Question { name, kind, class }))
    }

    pub(crate) fn name(&mut self) -> Result<Name, Unreadable> {
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

    pub(crate) fn is_at_end(&self) -> bool {
        self.at == self.message.len()
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Unreadable> {
        let bytes = self.message.get(self.at..self.at + count).ok_or(Unreadable)?;
        self.at += count;
        Ok(bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Unreadable> {
        self.take(2).map(number)
    }
}

/// Bytes as a number, the highest first.
pub(crate) fn number(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |number, byte| number << 8 | u16::from(*byte))
}

/// How long a reply may be kept: the shortest time of its answers; without one, of its authorities, as long as an absence may
/// be (RFC 8484 §5.1, RFC 2308 §5).
pub(crate) fn freshness(reply: &[u8]) -> Result<Duration, Unreadable> {
    let mut reader = Reader::new(reply);
    let head = reader.head()?;
    let [questions, answers, authorities, _] = head.counts;
    for _ in 0..questions {
        reader.question()?;
    }
    let records = if answers > 0 { answers } else { authorities };
    let mut shortest = None;
    for _ in 0..records {
        reader.name()?;
        let kind = Kind(reader.u16()?);
        reader.u16()?;
        let mut seconds = long(reader.take(4)?);
        let length = reader.u16()?;
        let data = reader.take(usize::from(length))?;
        if kind == Kind::SOA {
            seconds = seconds.min(long(data.last_chunk::<4>().ok_or(Unreadable)?));
        }
        shortest = Some(shortest.map_or(seconds, |least: u32| least.min(seconds)));
    }
    Ok(Duration::from_secs(shortest.unwrap_or(0).into()))
}

fn long(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}
