//! A bridged zone as we are an authority for it: its answers, the whole of it for a secondary, and its zone file.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::{Bridge, Content, Fact, OWNER_LABEL};
use crate::answer::Draft;
use crate::name::Name;
use crate::question::Question;
use crate::record::{Authority, Data, Kind, Rcode, Record};
use crate::server::IXFR;

/// The zones that are published now; whoever answers looks here.
#[derive(Debug, Default)]
pub struct Images(ArcSwap<Vec<Arc<Image>>>);

/// A zone with all of its records at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    bridge: Arc<Bridge>,
    serial: u32,
    /// By the labels before the zone; the zone's own records are made when they are asked for.
    records: BTreeMap<Box<str>, Vec<Data>>,
}

/// The name server that is told when none is configured.
const NAME_SERVER: &str = "ns";
/// Who is responsible when nobody is configured.
const MAILBOX: &str = "hostmaster";

// === impl Images ===

impl Images {
    /// The zone under which a name lies; the longest of several.
    pub fn of(&self, name: &Name) -> Option<Arc<Image>> {
        let images = self.0.load();
        let inside = images.iter().filter(|image| name.suffix_like(image.zone()).is_some());
        inside.max_by_key(|image| image.zone().wire().len()).cloned()
    }

    /// Publishes a zone in the place of the one of the same name.
    pub fn publish(&self, image: &Arc<Image>) {
        self.0.rcu(|images| {
            let others = images.iter().filter(|other| other.zone() != image.zone()).cloned();
            others.chain([Arc::clone(image)]).collect::<Vec<_>>()
        });
    }
}

// === impl Image ===

impl Image {
    /// The zone with what it holds, and with the addresses of whoever answers for it when nobody is configured.
    pub fn new(bridge: Arc<Bridge>, content: &Content, servers: &[IpAddr], serial: u32) -> Self {
        let mut records: BTreeMap<Box<str>, Vec<Data>> = BTreeMap::new();
        for (labels, facts) in content {
            let data: Vec<Data> = facts.iter().filter_map(|fact| fact.data(&bridge.zone)).collect();
            if !data.is_empty() {
                records.insert(labels.clone(), data);
                let mark = format!("{OWNER_LABEL}.{labels}").into();
                records.insert(mark, vec![Data::text(&bridge.owner_text())]);
            }
        }
        if bridge.name_servers.is_empty() {
            records
                .insert(NAME_SERVER.into(), servers.iter().copied().map(Data::address).collect());
        }
        Self { bridge, serial, records }
    }

    /// The same with another serial number.
    #[must_use]
    pub fn with_serial(self, serial: u32) -> Self {
        Self { serial, ..self }
    }

    /// Its name.
    pub fn zone(&self) -> &Name {
        &self.bridge.zone
    }

    /// The serial number that a zone file of ours tells.
    pub fn serial_in(text: &str) -> Option<u32> {
        // Owner, TTL, class, type, server, mailbox, and then the number.
        text.lines().next()?.split(' ').nth(6)?.parse().ok()
    }

    /// Which version of the zone it is.
    pub fn serial(&self) -> u32 {
        self.serial
    }

    /// Whether somebody may have the whole zone.
    pub fn is_for(&self, asker: Option<IpAddr>) -> bool {
        asker.is_some_and(|ip| self.bridge.secondaries.contains(&ip.to_canonical()))
    }

    /// Answers a question in the zone.
    pub fn answer(&self, question: &Question) -> Draft {
        let Some(labels) = self.bridge.labels_of(&question.name) else { return Draft::default() };
        if question.kind == Kind::AXFR {
            // Whoever may have it asks by a stream, and does not come here.
            return crate::answer::refusal();
        }
        let kind = if question.kind == IXFR { Kind::SOA } else { question.kind };
        let data = match labels.as_str() {
            "" => self.apex(),
            labels => self.records.get(labels).cloned().unwrap_or_default(),
        };
        let alias = data.iter().any(|data| data.kind() == Kind::CNAME);
        let asked = |data: &Data| kind == Kind::ANY || alias || data.kind() == kind;
        let answer: Vec<Record> = data
            .iter()
            .filter(|data| asked(data))
            .map(|data| self.record(question.name.clone(), data.clone()))
            .collect();
        if answer.is_empty() {
            let there = !data.is_empty() || self.has_below(&labels);
            let rcode = if there { Rcode::NoError } else { Rcode::NxDomain };
            return Draft { rcode, authority: vec![self.soa()], ..Draft::default() };
        }
        let additional = answer.iter().flat_map(|record| self.beside(&record.data)).collect();
        Draft { answer, additional, ..Draft::default() }
    }

    /// All records, from the zone's SOA to the same again (RFC 5936).
    pub fn transfer(&self) -> Vec<Record> {
        let zone = self.zone();
        let apex = self.apex().into_iter().map(|data| self.record(zone.clone(), data));
        let below = self.records.iter().flat_map(|(labels, data)| {
            let owner = Name::under(labels, zone).ok();
            owner.into_iter().flat_map(|owner| {
                data.iter().map(move |data| self.record(owner.clone(), data.clone()))
            })
        });
        apex.chain(below).chain([self.soa()]).collect()
    }

    /// The start of the zone.
    pub fn soa(&self) -> Record {
        let under = |label| Name::under(label, self.zone()).unwrap_or_else(|_| self.zone().clone());
        let bridge = &self.bridge;
        let server = bridge.name_servers.first().cloned().unwrap_or_else(|| under(NAME_SERVER));
        let data = Authority {
            server,
            mailbox: bridge.mailbox.clone().unwrap_or_else(|| under(MAILBOX)),
            serial: self.serial,
            refresh: bridge.soa.refresh,
            retry: bridge.soa.retry,
            expire: bridge.soa.expire,
            minimum: bridge.soa.min_ttl,
        };
        self.record(self.zone().clone(), Data::Soa(Box::new(data)))
    }

    fn apex(&self) -> Vec<Data> {
        let own = || Name::under(NAME_SERVER, self.zone()).ok().into_iter().collect();
        let servers: Vec<Name> = match self.bridge.name_servers.as_slice() {
            [] => own(),
            servers => servers.to_vec(),
        };
        std::iter::once(self.soa().data).chain(servers.into_iter().map(Data::Ns)).collect()
    }

    /// The addresses of a host in the zone to which a record points.
    fn beside(&self, data: &Data) -> Vec<Record> {
        let (Data::Srv { target: host, .. } | Data::Ns(host) | Data::Cname(host)) = data else {
            return Vec::new();
        };
        let labels = self.bridge.labels_of(host).unwrap_or_default();
        let found = self.records.get(labels.as_str()).into_iter().flatten();
        found.map(|data| self.record(host.clone(), data.clone())).collect()
    }

    /// Whether something stands below a name at which nothing does.
    fn has_below(&self, labels: &str) -> bool {
        let ending = format!(".{labels}");
        self.records.keys().any(|name| name.ends_with(&ending))
    }

    fn record(&self, owner: Name, data: Data) -> Record {
        Record { owner, ttl: self.bridge.ttl, data }
    }
}

/// The zone file (RFC 1035 §5).
impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let records = self.transfer();
        // The last one is the first again.
        let whole = &records[..records.len() - 1];
        for Record { owner, ttl, data } in whole {
            writeln!(f, "{owner} {ttl} IN {} {}", data.kind(), Shown(data))?;
        }
        Ok(())
    }
}

/// The data of a record as a zone file writes it.
struct Shown<'a>(&'a Data);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Data::A(ip) => write!(f, "{ip}"),
            Data::Aaaa(ip) => write!(f, "{ip}"),
            Data::Cname(name) | Data::Ns(name) | Data::Ptr(name) => write!(f, "{name}"),
            Data::Soa(soa) => write!(
                f,
                "{} {} {} {} {} {} {}",
                soa.server,
                soa.mailbox,
                soa.serial,
                soa.refresh,
                soa.retry,
                soa.expire,
                soa.minimum
            ),
            Data::Srv { priority, weight, port, target } => {
                write!(f, "{priority} {weight} {port} {target}")
            }
            Data::Txt(strings) => texts(strings, f),
            // Nothing else stands in these zones.
            _ => Ok(()),
        }
    }
}

fn texts(mut strings: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    while let Some((length, rest)) = strings.split_first() {
        let (text, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        f.write_str("\"")?;
        for byte in text {
            match byte {
                b'"' | b'\\' => write!(f, "\\{}", char::from(*byte))?,
                b' '..=b'~' => write!(f, "{}", char::from(*byte))?,
                _ => write!(f, "\\{byte:03}")?,
            }
        }
        f.write_str(if rest.is_empty() { "\"" } else { "\" " })?;
        strings = rest;
    }
    Ok(())
}

// === impl Fact ===

impl Fact {
    /// The record of it; nothing for what no bridge writes.
    pub fn data(&self, zone: &Name) -> Option<Data> {
        // With its last dot it stands alone.
        let name = |text: &str| match text.strip_suffix('.') {
            Some(whole) => Name::parse(whole).ok(),
            None => Name::under(text, zone).ok(),
        };
        match self {
            Self::Address(ip) => Some(Data::address(*ip)),
            Self::Alias(host) => name(host).map(Data::Cname),
            Self::Server { weight, port, target } => {
                let (priority, weight, port) = (1, *weight, *port);
                Some(Data::Srv { priority, weight, port, target: name(target)? })
            }
            Self::Other(_) => None,
        }
    }
}
