//! Records, types and response codes, without any library's types: what an answer is made of.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::extended::ExtendedError;
use crate::limits::TEXT_BYTES_MAX;
use crate::name::{Name, next_byte};

/// A type of records or of questions (RFC 1035 §3.2.2 and the registry after it).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Kind(pub u16);

/// A resource record of class IN.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// Whose it is.
    pub owner: Name,
    /// Seconds for which it may be kept.
    pub ttl: u32,
    /// What it says.
    pub data: Data,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Data {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// Another name of the same.
    Cname(Name),
    /// A name server.
    Ns(Name),
    /// The name of an address.
    Ptr(Name),
    /// The start of a zone.
    Soa(Box<Authority>),
    /// Where a service is.
    Srv {
        /// Lower ones are tried first.
        priority: u16,
        /// Share among those of one priority.
        weight: u16,
        /// Port.
        port: u16,
        /// Host.
        target: Name,
    },
    /// Text: character-strings with their lengths, as they go on the wire.
    Txt(Box<[u8]>),
    /// What the server can do (RFC 6891).
    Opt(Edns),
    /// Of another server, handed on as it came.
    Opaque(Box<Opaque>),
}

/// The data of an SOA record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Authority {
    /// The primary name server.
    pub server: Name,
    /// Who is responsible.
    pub mailbox: Name,
    /// Version of the zone.
    pub serial: u32,
    /// Seconds.
    pub refresh: u32,
    /// Seconds.
    pub retry: u32,
    /// Seconds.
    pub expire: u32,
    /// Seconds for which an absence may be kept.
    pub minimum: u32,
}

/// What one side says by EDNS (RFC 6891).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Edns {
    /// The largest UDP payload it takes.
    pub udp_size: u16,
    /// The network for which the client asks.
    pub subnet: Option<Subnet>,
    /// Why an answer is not what it could be.
    pub error: Option<Box<ExtendedError>>,
}

/// A record that is handed on and not understood.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Opaque {
    /// Its type.
    pub kind: Kind,
    /// Its class; another meaning with EDNS.
    pub class: u16,
    /// Its data.
    pub pieces: Box<[Piece]>,
}

/// Data that is handed on: names have to be written anew in another message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Piece {
    /// As they are.
    Bytes(Box<[u8]>),
    /// A name that may end in a pointer, since its type is as old as pointers (RFC 3597 §4).
    ShortName(Name),
    /// A name that is written whole.
    WholeName(Name),
}

/// A client subnet (RFC 7871).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Subnet {
    /// 0 none, 1 IPv4, 2 IPv6.
    pub family: u16,
    /// Bits of the network that the client told.
    pub source: u8,
    /// Bits for which the answer holds.
    pub scope: u8,
    /// The network, as many bytes as `source` needs, the bits beyond cleared.
    pub address: Box<[u8]>,
}

/// How a query ended (RFC 1035 §4.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rcode {
    /// Answered, perhaps with nothing.
    #[default]
    NoError,
    /// The query makes no sense.
    FormErr,
    /// The server could not.
    ServFail,
    /// No such name.
    NxDomain,
    /// The server does not do that.
    NotImp,
    /// The server does not answer for that.
    Refused,
}

// === impl Kind ===

impl Kind {
    /// An IPv4 address.
    pub const A: Self = Self(1);
    /// A name server.
    pub const NS: Self = Self(2);
    /// Another name.
    pub const CNAME: Self = Self(5);
    /// The start of a zone.
    pub const SOA: Self = Self(6);
    /// The name of an address.
    pub const PTR: Self = Self(12);
    /// A mail exchange.
    pub const MX: Self = Self(15);
    /// Text.
    pub const TXT: Self = Self(16);
    /// An IPv6 address.
    pub const AAAA: Self = Self(28);
    /// A service.
    pub const SRV: Self = Self(33);
    /// EDNS.
    pub const OPT: Self = Self(41);
    /// A delegation's key digest.
    pub const DS: Self = Self(43);
    /// How to reach a web server, which browsers ask for (RFC 9460).
    pub const HTTPS: Self = Self(65);
    /// The whole zone.
    pub const AXFR: Self = Self(252);
    /// Everything.
    pub const ANY: Self = Self(255);

    const OTHER: &'static str = "other";
    const NAMES: [(Self, &'static str); 14] = [
        (Self::A, "A"),
        (Self::NS, "NS"),
        (Self::CNAME, "CNAME"),
        (Self::SOA, "SOA"),
        (Self::PTR, "PTR"),
        (Self::MX, "MX"),
        (Self::TXT, "TXT"),
        (Self::AAAA, "AAAA"),
        (Self::SRV, "SRV"),
        (Self::OPT, "OPT"),
        (Self::DS, "DS"),
        (Self::HTTPS, "HTTPS"),
        (Self::AXFR, "AXFR"),
        (Self::ANY, "ANY"),
    ];

    /// Its name where it has one here, else `other`, for a metric's label: strangers must not be able to make up labels.
    pub fn label(self) -> &'static str {
        let known = Self::NAMES.iter().find(|(kind, _)| *kind == self);
        known.map_or(Self::OTHER, |(_, name)| name)
    }

    /// All labels that there are.
    pub fn labels() -> impl Iterator<Item = &'static str> {
        Self::NAMES.iter().map(|(_, name)| *name).chain([Self::OTHER])
    }

    /// Reads `A`, `SRV`, … or `TYPE65280` (RFC 3597).
    pub fn parse(text: &str) -> Option<Self> {
        let known = Self::NAMES.iter().find(|(_, name)| *name == text).map(|(kind, _)| *kind);
        known.or_else(|| text.strip_prefix("TYPE")?.parse().ok().map(Self))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMES.iter().find(|(kind, _)| kind == self) {
            Some((_, name)) => f.write_str(name),
            None => write!(f, "TYPE{}", self.0),
        }
    }
}

// === impl Record ===

impl Record {
    /// Bytes on the wire with names written whole.
    pub fn plain_length(&self) -> usize {
        self.owner.wire().len() + RECORD_HEAD_BYTES + self.data.plain_length()
    }
}

// === impl Data ===

impl Data {
    /// The address record of an address.
    pub fn address(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::A(ip),
            IpAddr::V6(ip) => Self::Aaaa(ip),
        }
    }

    /// A text with backslashes as in a master file, in as many character-strings as it needs.
    ///
    /// Consul puts it into one and so cannot send more than 255 bytes: it stays silent.
    pub fn text(text: &str) -> Self {
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text.as_bytes();
        while rest != b"\\"
            && let Some((byte, after)) = next_byte(rest)
        {
            bytes.push(byte);
            rest = after;
        }
        Self::Txt(character_strings(&bytes))
    }

    /// Texts, each in character-strings of its own.
    pub(crate) fn texts(texts: impl Iterator<Item = String>) -> Self {
        let strings: Vec<u8> =
            texts.flat_map(|text| character_strings(text.as_bytes()).into_vec()).collect();
        Self::Txt(strings.into())
    }

    fn plain_length(&self) -> usize {
        match self {
            Self::A(_) => 4,
            Self::Aaaa(_) => 16,
            Self::Cname(name) | Self::Ns(name) | Self::Ptr(name) => name.wire().len(),
            Self::Soa(soa) => soa.server.wire().len() + soa.mailbox.wire().len() + 20,
            Self::Srv { target, .. } => 6 + target.wire().len(),
            Self::Txt(strings) => strings.len(),
            Self::Opt(edns) => edns.plain_length(),
            Self::Opaque(opaque) => opaque.pieces.iter().map(Piece::plain_length).sum(),
        }
    }

    /// Its type.
    pub fn kind(&self) -> Kind {
        match self {
            Self::A(_) => Kind::A,
            Self::Aaaa(_) => Kind::AAAA,
            Self::Cname(_) => Kind::CNAME,
            Self::Ns(_) => Kind::NS,
            Self::Ptr(_) => Kind::PTR,
            Self::Soa(_) => Kind::SOA,
            Self::Srv { .. } => Kind::SRV,
            Self::Txt(_) => Kind::TXT,
            Self::Opt(_) => Kind::OPT,
            Self::Opaque(opaque) => opaque.kind,
        }
    }
}

/// Type, class, TTL and the length of the data.
const RECORD_HEAD_BYTES: usize = 10;

fn character_strings(bytes: &[u8]) -> Box<[u8]> {
    let mut strings = Vec::with_capacity(bytes.len() + 1);
    for chunk in bytes.chunks(TEXT_BYTES_MAX) {
        strings.push(u8::try_from(chunk.len()).expect("a chunk has 255 bytes at most"));
        strings.extend_from_slice(chunk);
    }
    if strings.is_empty() {
        strings.push(0);
    }
    strings.into()
}

// === impl Edns ===

impl Edns {
    fn plain_length(&self) -> usize {
        let subnet = self.subnet.as_ref().map_or(0, |subnet| 8 + subnet.address.len());
        let error = self.error.as_ref().map_or(0, |error| 6 + error.told_text().len());
        subnet + error
    }
}

// === impl Piece ===

impl Piece {
    fn plain_length(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::ShortName(name) | Self::WholeName(name) => name.wire().len(),
        }
    }
}

// === impl Rcode ===

impl Rcode {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoError => "NOERROR",
            Self::FormErr => "FORMERR",
            Self::ServFail => "SERVFAIL",
            Self::NxDomain => "NXDOMAIN",
            Self::NotImp => "NOTIMP",
            Self::Refused => "REFUSED",
        }
    }

    /// Its number.
    pub fn number(self) -> u8 {
        match self {
            Self::NoError => 0,
            Self::FormErr => 1,
            Self::ServFail => 2,
            Self::NxDomain => 3,
            Self::NotImp => 4,
            Self::Refused => 5,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_split() {
        let Data::Txt(wire) = Data::text(&"x".repeat(300)) else { unreachable!() };
        assert_eq!((wire.len(), wire[0], wire[256]), (302, 255, 45));
        assert_eq!(Data::text(""), Data::Txt([0].into()));
        assert_eq!(Data::text("a\\\\b\\"), Data::Txt(b"\x03a\\b".as_slice().into()));
    }

    #[test]
    fn kinds_have_names() {
        for text in ["A", "SRV", "TYPE65280"] {
            assert_eq!(Kind::parse(text).unwrap().to_string(), text);
        }
    }
}
