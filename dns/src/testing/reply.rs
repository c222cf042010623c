//! A reply in lines, sorted within its sections, without what differs from one run to the next.

use hickory_proto::op::{Edns, Message};
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::{RData, Record};

/// A reply as it is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// Code and flags.
    pub(crate) head: String,
    /// Bytes on the wire.
    pub(crate) bytes: usize,
    /// A line for each record.
    pub(crate) records: Vec<String>,
}

/// Shows a reply; nothing when there is none.
pub(crate) fn show(bytes: Option<&[u8]>) -> Shown {
    let Some(bytes) = bytes else {
        return Shown { head: "silence".into(), bytes: 0, records: Vec::new() };
    };
    let head = head(bytes);
    let records = match Message::from_vec(bytes) {
        Ok(message) => records(&message),
        Err(error) => vec![error.to_string()],
    };
    Shown { head, bytes: bytes.len(), records }
}

impl Shown {
    /// How many records of each type each section has, and all else but their data.
    pub(crate) fn outline(&self) -> (String, Vec<String>) {
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
    let bits = u16::from_be_bytes([bytes[2], bytes[3]]);
    let flags =
        [(15, "qr"), (10, "aa"), (9, "tc"), (8, "rd"), (7, "ra"), (6, "z"), (5, "ad"), (4, "cd")];
    let set: Vec<&str> =
        flags.iter().filter(|(at, _)| bits >> at & 1 == 1).map(|(_, name)| *name).collect();
    let rcodes = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];
    let rcode = rcodes[usize::from(bits & 0xF)];
    let opcode = bits >> 11 & 0xF;
    let opcode = if opcode == 0 { String::new() } else { format!(" opcode {opcode}") };
    format!("{rcode} {}{opcode}", set.join(" "))
}

fn records(message: &Message) -> Vec<String> {
    let mut lines = Vec::new();
    for query in &message.queries {
        lines.push(format!(
            "QU {} {} {}",
            query.name,
            u16::from(query.query_class),
            query.query_type
        ));
    }
    for (section, records) in
        [("AN", &message.answers), ("NS", &message.authorities), ("AR", &message.additionals)]
    {
        let mut sorted: Vec<String> =
            records.iter().map(|record| record_line(section, record)).collect();
        sorted.sort();
        lines.extend(sorted);
    }
    lines.extend(message.edns.as_ref().map(edns_line));
    lines
}

fn record_line(section: &str, record: &Record) -> String {
    let data = match &record.data {
        RData::SOA(soa) => {
            let times = [soa.refresh, soa.retry, soa.expire].map(|time| time.to_string());
            format!("{} {} <now> {} {}", soa.mname, soa.rname, times.join(" "), soa.minimum)
        }
        data => data.to_string(),
    };
    format!("{section} {} {} {} {data}", record.name, record.ttl, record.record_type())
}

fn edns_line(edns: &Edns) -> String {
    let subnet = edns.options().as_ref().iter().map(|(_, option)| match option {
        EdnsOption::Subnet(subnet) => format!(" {subnet:?}"),
        other => format!(" {other:?}"),
    });
    format!(
        "OPT version {}, udp {}{}",
        edns.version(),
        edns.max_payload(),
        subnet.collect::<String>()
    )
}
