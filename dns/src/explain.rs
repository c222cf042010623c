//! The way that an answer took, as a value: for people who wonder why a name says what it says.

use std::fmt;

use crate::message::Reply;
use crate::question::{Ask, Locality, Place};
use crate::record::{Data, Kind, Piece, Record};

/// The way of one query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// The name and the type that were asked.
    pub question: String,
    /// How it came: transport, and what the client said of itself.
    pub asker: String,
    /// What the name was taken for.
    pub place: String,
    /// Who was asked, in turn, and what came of it.
    pub asked: Vec<String>,
    /// What the index has of it, told or left out.
    pub rows: Vec<Row>,
    /// How many rows access control keeps from the asker; nothing where that is not told.
    pub hidden: Option<usize>,
    /// Whether listeners keep such a reply, and until when.
    pub kept: String,
    /// What was cut to the asker's size.
    pub sizing: Vec<String>,
    /// The reply.
    pub reply: Told,
}

/// A row of the index that has to do with the question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The node.
    pub node: String,
    /// The id of the service's instance; empty for the node itself.
    pub service: String,
    /// Where it is.
    pub address: String,
    /// Why it was left out; nothing when it was not.
    pub left_out: Option<String>,
}

/// A reply in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// How it ended: `NOERROR` …
    pub rcode: &'static str,
    /// The flags that are set: `qr`, `aa` …
    pub flags: Vec<&'static str>,
    /// An extended error.
    pub error: Option<String>,
    /// Answers, a line each.
    pub answer: Vec<String>,
    /// Authority records.
    pub authority: Vec<String>,
    /// Additional records.
    pub additional: Vec<String>,
    /// Its length on the wire.
    pub bytes: usize,
}

/// What a name was taken for, in words.
pub fn place(place: &Place) -> String {
    let (ask, zone) = match place {
        Place::Ask { ask, zone } => (ask, zone),
        Place::Reverse => return "whose address it is".to_owned(),
        Place::Malformed => return "nothing that can exist in a zone of ours".to_owned(),
        Place::Foreign => return "a name outside of our zones".to_owned(),
    };
    let what = match ask {
        Ask::Zone => "the zone itself".to_owned(),
        Ask::Transfer => "the whole zone, which is not given".to_owned(),
        Ask::Service { name, tag, locality } => {
            let tag = tag.as_ref().map(|tag| format!(" with tag {tag}")).unwrap_or_default();
            format!("the instances of service {name}{tag}{}", whereabouts(locality))
        }
        Ask::Connect { name, locality } => {
            format!("who reaches service {name} through the mesh{}", whereabouts(locality))
        }
        Ask::Ingress { name, locality } => {
            format!("the ingress gateways of service {name}{}", whereabouts(locality))
        }
        Ask::Virtual { name, peer, .. } => {
            let peer = peer.as_ref().map(|peer| format!(" of peer {peer}")).unwrap_or_default();
            format!("the virtual address of service {name}{peer}")
        }
        Ask::Node { name, locality } => format!("node {name}{}", whereabouts(locality)),
        Ask::Query { name, datacenter } => {
            let datacenter = datacenter.as_ref();
            let there = datacenter.map(|name| format!(" in datacenter {name}")).unwrap_or_default();
            format!("the results of prepared query {name}{there}")
        }
        Ask::Address { ip, .. } => format!("the address {ip}, which it spells"),
    };
    format!("{what}, in zone {zone}")
}

fn whereabouts(locality: &Locality) -> String {
    let Locality { datacenter, peer, port } = locality;
    let parts = [(" in datacenter ", datacenter), (" of peer ", peer), (", port ", port)];
    let told = parts.iter().filter_map(|(words, part)| Some(format!("{words}{}", part.as_ref()?)));
    told.collect()
}

// === impl Told ===

impl Told {
    /// A reply in words, with its length on the wire.
    pub fn of(reply: &Reply, bytes: usize) -> Self {
        let header = reply.header;
        let flags = [
            (true, "qr"),
            (header.authoritative, "aa"),
            (header.truncated, "tc"),
            (header.recursion_desired, "rd"),
            (header.recursion_available, "ra"),
            (header.authentic, "ad"),
            (header.checking_disabled, "cd"),
        ];
        let error = reply.additional.iter().find_map(|record| match &record.data {
            Data::Opt(edns) => edns.error.as_ref(),
            _ => None,
        });
        let told = |records: &[Record]| records.iter().map(line).collect();
        Self {
            rcode: header.rcode.name(),
            flags: flags.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect(),
            error: error.map(|error| {
                format!("{} ({}): {}", error.code.0, error.code.name(), error.told_text())
            }),
            answer: told(&reply.answer),
            authority: told(&reply.authority),
            additional: told(&reply.additional),
            bytes,
        }
    }
}

/// A record as in a zone file.
fn line(record: &Record) -> String {
    let Record { owner, ttl, data } = record;
    if let Data::Opt(edns) = data {
        let subnet = edns.subnet.as_ref();
        let subnet =
            subnet.map(|subnet| format!(", subnet /{} scope /{}", subnet.source, subnet.scope));
        return format!("EDNS, udp {}{}", edns.udp_size, subnet.unwrap_or_default());
    }
    format!("{owner} {ttl} {} {}", data.kind(), data_text(data))
}

/// What a record says, as in a zone file.
pub(crate) fn data_text(data: &Data) -> String {
    match data {
        Data::A(ip) => ip.to_string(),
        Data::Aaaa(ip) => ip.to_string(),
        Data::Cname(name) | Data::Ns(name) | Data::Ptr(name) => name.to_string(),
        Data::Soa(soa) => format!(
            "{} {} {} {} {} {} {}",
            soa.server, soa.mailbox, soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum
        ),
        Data::Srv { priority, weight, port, target } => {
            format!("{priority} {weight} {port} {target}")
        }
        Data::Txt(strings) => texts(strings),
        Data::Opaque(opaque) if opaque.kind == Kind::TXT => match opaque.pieces.as_ref() {
            [Piece::Bytes(strings)] => texts(strings),
            _ => String::new(),
        },
        Data::Opaque(opaque) => opaque.pieces.iter().map(piece).collect::<Vec<_>>().join(" "),
        Data::Opt(_) => String::new(),
    }
}

/// Names as they are, the rest as RFC 3597 writes what nobody understands.
fn piece(piece: &Piece) -> String {
    match piece {
        Piece::ShortName(name) | Piece::WholeName(name) => name.to_string(),
        Piece::Bytes(bytes) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("\\# {} {hex}", bytes.len())
        }
    }
}

/// Character-strings, each in quotes.
fn texts(mut strings: &[u8]) -> String {
    let mut told = Vec::new();
    while let Some((length, rest)) = strings.split_first() {
        let (text, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        told.push(format!("\"{}\"", text.escape_ascii()));
        strings = rest;
    }
    told.join(" ")
}

// === impl Trace ===

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let topic = |f: &mut fmt::Formatter<'_>, name: &str, lines: &[String]| {
            lines.iter().enumerate().try_for_each(|(at, line)| {
                writeln!(f, "{:<11}{line}", if at == 0 { name } else { "" })
            })
        };
        topic(f, "Question", std::slice::from_ref(&self.question))?;
        topic(f, "Asker", std::slice::from_ref(&self.asker))?;
        topic(f, "Looks for", std::slice::from_ref(&self.place))?;
        topic(f, "Asked", &self.asked)?;
        let rows: Vec<String> = self.rows.iter().map(Row::to_string).collect();
        topic(f, "Rows", &rows)?;
        if let Some(hidden @ 1..) = self.hidden {
            topic(f, "", &[format!("{hidden} more that access control keeps from the asker")])?;
        }
        topic(f, "Sizing", &self.sizing)?;
        topic(f, "Kept", std::slice::from_ref(&self.kept))?;
        let Told { rcode, flags, error, answer, authority, additional, bytes } = &self.reply;
        topic(f, "Reply", &[format!("{rcode}; flags: {}; {bytes} bytes", flags.join(" "))])?;
        topic(f, "Why", error.as_slice())?;
        topic(f, "Answer", answer)?;
        topic(f, "Authority", authority)?;
        topic(f, "Additional", additional)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { node, service, address, left_out } = self;
        let slash = if service.is_empty() { "" } else { "/" };
        write!(f, "{node}{slash}{service} at {address}: ")?;
        match left_out {
            None => f.write_str("told"),
            Some(why) => write!(f, "left out, {why}"),
        }
    }
}
