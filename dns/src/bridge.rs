//! Names of the index in zones of the DNS around: what appears there, as values.
//!
//! ```text
//!   index ──content──▶ Content ──steps──▶ what a server that holds an older one is told (RFC 2136)
//!                         │
//!                         └──▶ Image ──▶ answers of our own, a whole transfer, a zone file
//! ```
//!
//! A public service `web` is `web` in the zone (A, AAAA, or CNAME), and `_web._tcp` (SRV), whose targets are
//! `<address in hex>.addr`. Beside each of these names stands a text under `_proconsul` that says whose they are: nothing
//! that lacks it is ever changed on another server.

mod image;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use proconsul_anchors::service::Service;

pub use self::image::{Image, Images};
use crate::answer::{SERVERS, View, Whereabouts, whereabouts};
use crate::limits::LABEL_BYTES_MAX;
use crate::name::Name;
use crate::settings::SoaTimes;

/// Under this label stands whose the name below it is.
pub const OWNER_LABEL: &str = "_proconsul";

/// What of the index appears in a zone: an instance that meets everything that is said here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Public {
    /// Names of services; a `*` stands for any letters. Empty for all.
    pub names: Vec<String>,
    /// Tags, of which one is enough. Empty for any.
    pub tags: Vec<String>,
    /// Pairs that all stand in the instance's meta.
    pub meta: BTreeMap<String, String>,
}

/// A zone in which public names appear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bridge {
    /// The zone.
    pub zone: Name,
    /// What appears in it.
    pub public: Public,
    /// Seconds for which its records may be kept.
    pub ttl: u32,
    /// Who answers for it; empty for `ns` in the zone itself.
    pub name_servers: Vec<Name>,
    /// Who is responsible for it; `hostmaster` in the zone when nothing is said.
    pub mailbox: Option<Name>,
    /// What its SOA says.
    pub soa: SoaTimes,
    /// Whose names these are, as the text beside them tells it.
    pub owner: Box<str>,
    /// Who may have the whole zone.
    pub secondaries: Vec<IpAddr>,
}

/// What a name in a zone says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fact {
    /// It has this address.
    Address(IpAddr),
    /// It is another name of this host.
    Alias(Box<str>),
    /// The service is there.
    Server {
        /// Share among the others.
        weight: u16,
        /// Port.
        port: u16,
        /// A name in the zone, or with its last dot a host's.
        target: Box<str>,
    },
    /// Something that no bridge writes, as another server told it.
    Other(Box<str>),
}

/// The names of a zone, without the zone, each with what it says.
pub type Content = BTreeMap<Box<str>, BTreeSet<Fact>>;

/// How a server comes from what it has to what it should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A name that nobody must have yet.
    Add(Box<str>, BTreeSet<Fact>),
    /// A name of ours says something else.
    Replace(Box<str>, BTreeSet<Fact>),
    /// A name of ours goes.
    Remove(Box<str>),
}

/// What the zone holds of an index.
pub fn content(view: View<'_>, public: &Public) -> Content {
    let mut content = Content::new();
    for row in view.index.services() {
        let Some(first) = row.instances.values().next() else { continue };
        let name = first.service.name.as_str().to_ascii_lowercase();
        if is_label(&name) && public.names_service(&name) {
            let found = whereabouts(view, &name, |service| public.shows(service));
            add(&mut content, &name, &found);
        }
    }
    content
}

/// The addresses of whoever serves our zones.
pub fn servers(view: View<'_>) -> Vec<IpAddr> {
    let found = whereabouts(view, SERVERS, |_| true);
    let found: BTreeSet<IpAddr> = found.into_iter().flat_map(|server| server.addresses).collect();
    found.into_iter().collect()
}

/// The serial number of a new version: the time in seconds, and above the one before (RFC 1982).
pub fn next_serial(before: u32, seconds: u64) -> u32 {
    // Truncated: serial numbers are compared modulo 2^32.
    let now = seconds as u32;
    let is_later = now.wrapping_sub(before).wrapping_sub(1) < u32::MAX / 2;
    if is_later { now } else { before.wrapping_add(1) }
}

fn add(content: &mut Content, name: &str, found: &[Whereabouts]) {
    let mut own = BTreeSet::new();
    let mut servers = BTreeSet::new();
    for instance in found {
        let (weight, port) = (instance.weight, instance.port);
        for ip in &instance.addresses {
            own.insert(Fact::Address(*ip));
            let target = address_name(*ip);
            content.entry(target.clone()).or_default().insert(Fact::Address(*ip));
            servers.insert(Fact::Server { weight, port, target });
        }
        if let Some(host) = &instance.host
            && Name::parse(host).is_ok()
        {
            let target = format!("{}.", host.trim_end_matches('.')).into();
            servers.insert(Fact::Server { weight, port, target });
        }
    }
    // A name that is an alias says nothing else (RFC 1034 §3.6.2): one host, and only when there is no address.
    if own.is_empty()
        && let Some(Fact::Server { target, .. }) = servers.first()
    {
        own.insert(Fact::Alias(target.clone()));
    }
    if !own.is_empty() {
        content.insert(name.into(), own);
    }
    servers.retain(|server| !matches!(server, Fact::Server { port: 0, .. }));
    if !servers.is_empty() {
        content.insert(format!("_{name}._tcp").into(), servers);
    }
}

/// The name in the zone that an address has.
fn address_name(ip: IpAddr) -> Box<str> {
    match ip {
        IpAddr::V4(ip) => format!("{:08x}.addr", ip.to_bits()).into(),
        IpAddr::V6(ip) => format!("{:032x}.addr", ip.to_bits()).into(),
    }
}

/// Whether a service's name can be a host's: others cannot be asked for, and `addr` and `ns` are taken.
fn is_label(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    // One byte less: an underscore is put before it.
    (1..LABEL_BYTES_MAX).contains(&name.len())
        && name.bytes().all(plain)
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !["addr", "ns"].contains(&name)
}

/// What a server is told that has `have` and should have `want`.
pub fn steps(have: &Content, want: &Content) -> Vec<Step> {
    let gone = have.keys().filter(|name| !want.contains_key(*name)).cloned().map(Step::Remove);
    let kept = want.iter().filter_map(|(name, facts)| match have.get(name) {
        None => Some(Step::Add(name.clone(), facts.clone())),
        Some(had) if had != facts => Some(Step::Replace(name.clone(), facts.clone())),
        Some(_) => None,
    });
    gone.chain(kept).collect()
}

/// What of another server's zone is ours: names beside which our text stands. Also the names that somebody else has.
pub fn divide(zone: Content, owner: &str) -> (Content, BTreeSet<Box<str>>) {
    let mark = Fact::Other(owner.into());
    let marked = |name: &str| {
        zone.get(&*format!("{OWNER_LABEL}.{name}")).is_some_and(|facts| facts.contains(&mark))
    };
    let mut others = BTreeSet::new();
    let mut ours = Content::new();
    for (name, facts) in &zone {
        let below = name.strip_prefix(OWNER_LABEL).and_then(|rest| rest.strip_prefix('.'));
        match below {
            // The text may be all that is left of a name.
            Some(below) if facts.contains(&mark) => {
                ours.entry(below.into()).or_default();
            }
            Some(_) => {}
            None if marked(name) => {
                ours.entry(name.clone()).or_default().extend(facts.iter().cloned());
            }
            None => {
                others.insert(name.clone());
            }
        }
    }
    (ours, others)
}

// === impl Public ===

impl Public {
    fn names_service(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|pattern| fits(pattern, name))
    }

    fn shows(&self, service: &Service) -> bool {
        let tagged = |tag: &String| service.tags.iter().any(|have| **have == **tag);
        let says = |(key, value): (&String, &String)| {
            let said = service.meta.as_ref().and_then(|meta| meta.get(key));
            said.is_some_and(|said| **said == **value)
        };
        (self.tags.is_empty() || self.tags.iter().any(tagged)) && self.meta.iter().all(says)
    }
}

/// Whether a name fits a pattern in which `*` stands for any letters.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((begin, rest)) = pattern.split_once('*') else {
        return pattern.eq_ignore_ascii_case(name);
    };
    let head = name.get(..begin.len()).is_some_and(|head| head.eq_ignore_ascii_case(begin));
    head && (begin.len()..=name.len()).filter_map(|at| name.get(at..)).any(|tail| fits(rest, tail))
}

// === impl Bridge ===

impl Bridge {
    /// The zone that a name lies in, without it: the labels before, in lower case. `None` when it lies elsewhere.
    pub fn labels_of(&self, name: &Name) -> Option<String> {
        let zone = name.suffix_like(&self.zone)?;
        let whole = name.to_lower().to_string();
        let whole = whole.trim_end_matches('.');
        let count = zone.to_lower().to_string().trim_end_matches('.').len();
        let labels = whole.get(..whole.len().checked_sub(count)?)?;
        Some(labels.trim_end_matches('.').to_owned())
    }

    /// The text that says whose a name is.
    pub fn owner_text(&self) -> String {
        owner_text(&self.owner)
    }
}

/// The text that says whose a name is.
pub fn owner_text(owner: &str) -> String {
    format!("heritage=proconsul,owner={owner}")
}

#[cfg(test)]
mod tests;
