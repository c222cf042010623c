//! A reply in lines, sorted within its sections, without what differs from one run to the next.

use hickory_proto::{
    op::{Edns, Message},
    rr::{Name, RData, Record},
};

use crate::subject::NODE;

/// A reply as it is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Code and flags.
    pub head: String,
    /// Bytes on the wire.
    pub bytes: usize,
    /// A line for the question and for each record.
    pub records: Vec<String>,
}

/// Shows a reply; nothing when there is none.
#[must_use]
pub fn show(bytes: Option<&[u8]>) -> Shown {
    let Some(bytes) = bytes else {
        return Shown { head: "silence".to_owned(), bytes: 0, records: Vec::new() };
    };
    let records = match Message::from_vec(bytes) {
        Ok(message) => records(&message),
        Err(error) => records_before_edns(bytes).unwrap_or_else(|| vec![error.to_string()]),
    };
    Shown { head: head(bytes), bytes: bytes.len(), records }
}

// === impl Shown ===

impl Shown {
    /// How many records of each type each section has, and all else but their data.
    #[must_use]
    pub fn outline(&self) -> (String, Vec<String>) {
        let kind = |line: &String| {
            let words: Vec<&str> = line.split(' ').collect();
            format!("{} {}", words[0], words.get(3).copied().unwrap_or_default())
        };
        let mut kinds: Vec<String> = self.records.iter().map(kind).collect();
        kinds.sort();
        (self.head.clone(), kinds)
    }
}

fn head(bytes: &[u8]) -> String {
    let bits = bytes.get(2..4).map_or(0, |bits| u16::from_be_bytes([bits[0], bits[1]]));
    let flags =
        [(15, "qr"), (10, "aa"), (9, "tc"), (8, "rd"), (7, "ra"), (6, "z"), (5, "ad"), (4, "cd")];
    let set =
        flags.iter().filter(|(at, _)| bits >> at & 1 == 1).map(|(_, name)| format!(" {name}"));
    let codes = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];
    let code = codes.get(usize::from(bits & 0xF)).copied().unwrap_or("other");
    let opcode = Some(bits >> 11 & 0xF).filter(|opcode| *opcode > 0);
    let opcode = opcode.map(|opcode| format!(" opcode {opcode}")).unwrap_or_default();
    format!("{code}{}{opcode}", set.collect::<String>())
}

fn records(message: &Message) -> Vec<String> {
    let question = message.queries.iter();
    let mut lines: Vec<String> = question
        .map(|query| {
            format!("QU {} {} {}", query.name, u16::from(query.query_class), query.query_type)
        })
        .collect();
    let sections =
        [("AN", &message.answers), ("NS", &message.authorities), ("AR", &message.additionals)];
    for (section, records) in sections {
        let mut sorted: Vec<String> = records.iter().map(|record| line(section, record)).collect();
        sorted.sort();
        lines.extend(sorted);
    }
    lines.extend(message.edns.as_ref().map(edns_line));
    lines
}

/// The library refuses some of what a client may say by EDNS and gets back; that record comes last.
fn records_before_edns(bytes: &[u8]) -> Option<Vec<String>> {
    let mut without = bytes.to_vec();
    let count = u16::from_be_bytes([*bytes.get(10)?, *bytes.get(11)?]).checked_sub(1)?;
    without[10..12].copy_from_slice(&count.to_be_bytes());
    let mut lines = records(&Message::from_vec(&without).ok()?);
    lines.push(edns_bytes(bytes)?);
    Some(lines)
}

/// The EDNS record at the end of a message, byte by byte: its size, and each option's number and data.
fn edns_bytes(message: &[u8]) -> Option<String> {
    let number =
        |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte));
    let is_last = |at: &usize| {
        let record = &message[*at..];
        record.starts_with(&[0, 0, 41])
            && record.get(9..11).is_some_and(|length| 11 + number(length) == record.len())
    };
    let record = &message[(0..message.len()).find(is_last)?..];
    let (mut line, mut options) = (format!("OPT udp {}", number(&record[3..5])), &record[11..]);
    while let Some((head, rest)) = options.split_at_checked(4) {
        let (data, rest) = rest.split_at_checked(number(&head[2..]))?;
        line.push_str(&format!(" {}={}", number(&head[..2]), super::wire::to_hex(data)));
        options = rest;
    }
    Some(line)
}

fn line(section: &str, record: &Record) -> String {
    let data = match &record.data {
        RData::SOA(soa) => {
            let times = [soa.refresh, soa.retry, soa.expire].map(|time| time.to_string());
            format!("{} {} <now> {} {}", soa.mname, soa.rname, times.join(" "), soa.minimum)
        }
        RData::SRV(srv) if is_own(&srv.target) => {
            format!("{} {} <port> {}", srv.priority, srv.weight, srv.target)
        }
        data => data.to_string(),
    };
    format!("{section} {} {} {} {data}", record.name, record.ttl, record.record_type())
}

/// The program's own node: its port is another one each time.
fn is_own(target: &Name) -> bool {
    target.to_lowercase().to_string().starts_with(&format!("{NODE}.node."))
}

fn edns_line(edns: &Edns) -> String {
    let options = edns.options().as_ref().iter().map(|(_, option)| format!(" {option:?}"));
    format!(
        "OPT version {}, udp {}{}",
        edns.version(),
        edns.max_payload(),
        options.collect::<String>()
    )
}
