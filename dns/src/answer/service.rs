//! Instances of a service: addresses, SRV with their targets, and host names that are followed.

use std::collections::HashSet;
use std::net::IpAddr;

use proconsul_anchors::acl::Act;
use proconsul_anchors::index::connect::Gateway;
use proconsul_anchors::index::{CheckRow, Instance, NodeRow};
use proconsul_anchors::name::Caseless;
use proconsul_anchors::service::Status;
use rand::RngCore;
use rand::seq::SliceRandom;

use super::address::{self, Seen, Want};
use super::{Absence, Miss, Search, Sections, View, node};
use crate::limits::CHASED_RECORDS_MAX;
use crate::name::Name;
use crate::question::Locality;
use crate::record::{Data, Kind, Record};
use crate::settings::seconds;

/// What of a service is wanted.
pub(super) struct Wanted<'a> {
    pub(super) name: &'a str,
    pub(super) by: By<'a>,
    pub(super) locality: &'a Locality,
}

/// Which instances lead to a service.
#[derive(Clone, Copy)]
pub(super) enum By<'a> {
    /// Its own; only those with this tag.
    Itself(Option<&'a str>),
    /// Those that reach it through the mesh: proxies, native ones, terminating gateways.
    Mesh,
    /// The ingress gateways that are linked with it.
    Ingress,
}

/// An instance that may be told, with its node.
#[derive(Clone, Copy)]
pub(super) struct Eligible<'a> {
    pub(super) node: &'a NodeRow,
    pub(super) instance: &'a Instance,
}

/// Where an instance is.
pub(super) enum Spot<'a> {
    /// At its node's own address: known by the node's name.
    Node(IpAddr),
    /// At another address: known by that.
    Ip(IpAddr),
    /// At a host of this name.
    Host(&'a str),
}

/// The instances that are fit, in random order.
pub(super) fn answer(
    search: &Search<'_>,
    wanted: &Wanted<'_>,
    chance: &mut dyn RngCore,
) -> Result<Sections, Miss> {
    if wanted.name.is_empty() {
        return Err(Miss::Nameless);
    }
    if !search.is_here(wanted.locality) {
        return Err(Miss::NoName(Absence::Far));
    }
    let mut found = wanted.found(search.view);
    found.shuffle(chance);
    if found.is_empty() {
        return Err(Miss::NoName(absence(search.view, wanted.name)));
    }
    let ttl = seconds(search.view.settings.service_ttl.of(wanted.name));
    told(search, &found, wanted.locality.port.as_deref(), ttl, chance)
}

/// Why a service has no instance to tell.
fn absence(view: View<'_>, service: &str) -> Absence {
    let Some(row) = view.index.service(service).filter(|row| !row.instances.is_empty()) else {
        // Who may not read a name at all is not told either what others know of it.
        let allowed = view.authority.allows(Act::service_read(service));
        let unknown = allowed && !view.index.knows_service(service);
        return if unknown { Absence::Unknown } else { Absence::Hidden };
    };
    let shown = |instance: &std::sync::Arc<Instance>| {
        view.index.node(instance.node.key()).is_some_and(|node| view.shows(node, instance))
    };
    if row.instances.values().any(shown) { Absence::Unfit } else { Absence::Hidden }
}

/// The records of instances, in their order.
pub(super) fn told(
    search: &Search<'_>,
    found: &[Eligible<'_>],
    port_name: Option<&str>,
    ttl: u32,
    chance: &mut dyn RngCore,
) -> Result<Sections, Miss> {
    let sections = match search.question.kind {
        Kind::SRV => srv(search, found, port_name, ttl, chance)?,
        _ => Sections { answer: addresses(search, found, ttl, chance), ..Sections::default() },
    };
    if sections.answer.is_empty() { Err(Miss::NoData) } else { Ok(sections) }
}

/// Instances that may be told and that have no check against them, in the order of the index.
pub(super) fn fit<'a>(view: View<'a>, service: &str) -> impl Iterator<Item = Eligible<'a>> {
    let row = view.index.service(service);
    fit_among(view, row.into_iter().flat_map(|row| row.instances.values()))
}

fn fit_among<'a>(
    view: View<'a>,
    instances: impl Iterator<Item = &'a std::sync::Arc<Instance>>,
) -> impl Iterator<Item = Eligible<'a>> {
    let on_node = move |instance: &'a std::sync::Arc<Instance>| {
        let node = view.index.node(instance.node.key())?;
        Some(Eligible { node, instance })
    };
    let found = instances.filter_map(on_node);
    found
        .filter(move |found| view.shows(found.node, found.instance))
        .filter(move |found| found.is_fit(view.settings.only_passing))
}

// === impl Wanted ===

impl Wanted<'_> {
    /// The instances that are fit, in the order of the index.
    fn found<'a>(&self, view: View<'a>) -> Vec<Eligible<'a>> {
        match self.by {
            By::Itself(None) => fit(view, self.name).collect(),
            By::Itself(Some(tag)) => {
                fit(view, self.name).filter(|found| found.has_tag(tag)).collect()
            }
            By::Mesh => {
                let reaching = view.index.reaching(&Caseless::from(self.name));
                fit_among(view, reaching.into_iter()).collect()
            }
            By::Ingress => {
                let gateways = view.index.gateways_of(&Caseless::from(self.name), Gateway::Ingress);
                fit_among(view, gateways.into_iter().flat_map(|row| row.instances.values()))
                    .collect()
            }
        }
    }
}

/// One address for each instance, each once. Host names are told only where there is no address, and only one.
fn addresses(
    search: &Search<'_>,
    found: &[Eligible<'_>],
    ttl: u32,
    chance: &mut dyn RngCore,
) -> Vec<Record> {
    let kind = search.question.kind;
    let limit = match search.view.settings.a_record_limit {
        0 => usize::MAX,
        limit => limit,
    };
    let (mut told, mut records, mut host) = (HashSet::new(), Vec::new(), None);
    for instance in found {
        match instance.spot(search) {
            Some(Spot::Node(ip) | Spot::Ip(ip))
                if address::answers(kind, ip) && told.insert(ip) =>
            {
                let owner = search.question.name.clone();
                records.push(Record { owner, ttl, data: Data::address(ip) });
            }
            Some(Spot::Host(name)) if host.is_none() => host = Name::parse(name).ok(),
            _ => {}
        }
        if records.len() == limit {
            break;
        }
    }
    match host {
        Some(host) if records.is_empty() => cname(search, host, ttl, chance),
        _ => records,
    }
}

fn cname(search: &Search<'_>, host: Name, ttl: u32, chance: &mut dyn RngCore) -> Vec<Record> {
    let followed = follow(search, &host, ttl, chance);
    let owner = search.question.name.clone();
    std::iter::once(Record { owner, ttl, data: Data::Cname(host) }).chain(followed).collect()
}

/// The addresses of a host name and the names on the way, all with the service's own TTL.
fn follow(search: &Search<'_>, host: &Name, ttl: u32, chance: &mut dyn RngCore) -> Vec<Record> {
    let limit = if search.edns { usize::MAX } else { CHASED_RECORDS_MAX };
    let leads_on =
        |record: &Record| matches!(record.data, Data::A(_) | Data::Aaaa(_) | Data::Cname(_));
    let records = search.chase(host, chance).into_iter().filter(leads_on).take(limit);
    records.map(|record| Record { ttl, ..record }).collect()
}

/// Ports and targets; the targets' addresses and the nodes' meta beside them.
fn srv(
    search: &Search<'_>,
    found: &[Eligible<'_>],
    port_name: Option<&str>,
    ttl: u32,
    chance: &mut dyn RngCore,
) -> Result<Sections, Miss> {
    let mut told = HashSet::new();
    let mut sections = Sections::default();
    for instance in found {
        // A port that one of them does not have is no name at all.
        let port = instance.port_for(search, port_name).ok_or(Miss::NoName(Absence::Unfit))?;
        let name = instance.node.node.name.as_str();
        if !told.insert((name, instance.address(search, Want::Any), port)) {
            continue;
        }
        if let Some((target, mut beside)) = instance.target(search, ttl, chance) {
            let (priority, weight) = (1, instance.weight());
            let data = Data::Srv { priority, weight, port, target };
            sections.answer.push(Record { owner: search.question.name.clone(), ttl, data });
            sections.additional.append(&mut beside);
        }
        sections.additional.extend(instance.meta(search, ttl, chance));
    }
    Ok(sections)
}

// === impl Eligible ===

impl<'a> Eligible<'a> {
    fn has_tag(&self, tag: &str) -> bool {
        // What is not ASCII stands escaped in a question and so never matches, as in Consul.
        self.instance.service.tags.iter().any(|have| have.eq_ignore_ascii_case(tag))
    }

    fn checks(&self) -> impl Iterator<Item = &'a CheckRow> {
        let own = self.node.checks_of(&self.instance.service.id);
        self.node.node_checks().chain(own).map(AsRef::as_ref)
    }

    fn is_fit(&self, only_passing: bool) -> bool {
        self.instance.hold.is_none()
            && self.checks().all(|row| match *row.status() {
                Status::Critical => false,
                Status::Passing => true,
                Status::Warning | Status::Other(_) => !only_passing,
            })
    }

    /// The weight of its state. A state that nobody knows weighs one.
    pub(super) fn weight(&self) -> u16 {
        let weights = self.instance.service.weights;
        let (Ok(passing @ 1..), Ok(warning)) =
            (u16::try_from(weights.passing), u16::try_from(weights.warning))
        else {
            // What cannot be told counts as if nothing had been registered.
            return 1;
        };
        let mut weight = passing;
        for row in self.checks() {
            match *row.status() {
                Status::Passing => {}
                Status::Warning => weight = warning,
                Status::Critical | Status::Other(_) => return 1,
            }
        }
        weight
    }

    /// The port of this name, or the one to tell when none was named.
    pub(super) fn port(&self, name: Option<&str>) -> Option<u16> {
        let service = &self.instance.service;
        let port = match name {
            None => service.default_port(),
            Some(name) => service.ports().iter().find(|port| port.name.as_ref() == name)?.port,
        };
        // Truncated as Consul does: what is registered is not checked.
        Some(port as u16)
    }

    /// The same for this question: from outside, the port that is meant for there, if there is one.
    fn port_for(&self, search: &Search<'_>, name: Option<&str>) -> Option<u16> {
        let inside = self.port(name)?;
        let tagged = || self.instance.service.tagged_addresses.as_ref()?.get("wan");
        let outside = (self.seen(search) == Seen::Outside).then(tagged).flatten();
        Some(outside.map(|tagged| tagged.port as u16).filter(|port| *port != 0).unwrap_or(inside))
    }

    /// The service's own address that suits best; empty when it has none.
    fn address(&self, search: &Search<'_>, want: Want) -> &'a str {
        let service = &self.instance.service;
        let tagged = |tag: &str| {
            service.tagged_addresses.as_ref()?.get(tag).map(|tagged| tagged.address.as_ref())
        };
        address::choose(&service.address, tagged, want, self.seen(search))
    }

    fn seen(&self, search: &Search<'_>) -> Seen {
        let settings = search.view.settings;
        node::seen(settings, node::datacenter(settings, self.node))
    }

    /// Where it is, for this question; nothing when neither it nor its node has an address.
    pub(super) fn spot(&self, search: &Search<'_>) -> Option<Spot<'a>> {
        let want = Want::of(search.question.kind);
        let own = self.address(search, want);
        let nodes = node::address(search.view.settings, self.node, want);
        let node_ip = address::parse(nodes);
        match (own, node_ip) {
            ("", None) if nodes.is_empty() => None,
            ("", None) => Some(Spot::Host(nodes)),
            ("", Some(ip)) if nodes == self.node.node.address.as_ref() => Some(Spot::Node(ip)),
            ("", Some(ip)) => Some(Spot::Ip(ip)),
            (own, node_ip) => match (address::parse(own), node_ip) {
                (Some(ip), _) => Some(Spot::Ip(ip)),
                // A service whose address is the very name that is asked would lead in a circle.
                (None, Some(ip))
                    if Name::parse(own).is_ok_and(|name| name == search.question.name) =>
                {
                    Some(Spot::Node(ip))
                }
                (None, _) => Some(Spot::Host(own)),
            },
        }
    }

    /// The target of its SRV record, with what is known of the target. A node whose name cannot be asked for is
    /// known by its address; Consul does not reply there.
    fn target(
        &self,
        search: &Search<'_>,
        ttl: u32,
        chance: &mut dyn RngCore,
    ) -> Option<(Name, Vec<Record>)> {
        let settings = search.view.settings;
        let (name, ip) = match self.spot(search)? {
            Spot::Host(host) => {
                let host = Name::parse(host).ok()?;
                let followed = follow(search, &host, ttl, chance);
                return Some((host, followed));
            }
            Spot::Node(ip) => (node::canonical_name(settings, self.node, search.zone).ok(), ip),
            Spot::Ip(ip) => (None, ip),
        };
        let name = match name {
            Some(name) => name,
            None => self.spelt(search, ip)?,
        };
        let record = Record { owner: name.clone(), ttl, data: Data::address(ip) };
        Some((name, vec![record]))
    }

    /// `<address in hex>.addr.<dc>.<zone>`.
    fn spelt(&self, search: &Search<'_>, ip: IpAddr) -> Option<Name> {
        let datacenter = node::datacenter(search.view.settings, self.node);
        let labels = match ip {
            IpAddr::V4(ip) => format!("{:08x}.addr.{datacenter}", ip.to_bits()),
            IpAddr::V6(ip) => format!("{:032x}.addr.{datacenter}", ip.to_bits()),
        };
        Name::under(&labels, search.zone).ok()
    }

    fn meta(&self, search: &Search<'_>, ttl: u32, chance: &mut dyn RngCore) -> Vec<Record> {
        let settings = search.view.settings;
        if !settings.enable_additional_node_meta_txt {
            return Vec::new();
        }
        let owner = node::canonical_name(settings, self.node, search.zone);
        owner.map(|owner| node::texts(self.node, &owner, ttl, chance)).unwrap_or_default()
    }
}
