//! The zone itself: its SOA, its name servers, and what a miss says.

use proconsul_anchors::index::NodeRow;
use rand::RngCore;
use rand::seq::SliceRandom as _;

use super::service::fit;
use super::{Draft, Miss, Search, Sections, View, node};
use crate::limits::NAME_SERVERS_MAX;
use crate::name::Name;
use crate::question::Question;
use crate::record::{Authority, Data, Kind, Rcode, Record};
use crate::settings::{Settings, Zone, seconds};

/// The service whose instances serve the zone.
pub(crate) const SERVERS: &str = "consul";

/// SOA and NS, for whatever name under the zone: whether it exists is not looked at.
pub(super) fn authority(search: &Search<'_>, chance: &mut dyn RngCore) -> Sections {
    let (servers, glue) = name_servers(search, chance);
    match search.question.kind {
        Kind::SOA => {
            let answer = vec![soa(search.view, &search.question.name)];
            Sections { answer, authority: servers, additional: glue }
        }
        _ => Sections { answer: servers, additional: glue, ..Sections::default() },
    }
}

/// What is said when there is nothing to tell.
pub(super) fn miss(view: View<'_>, question: &Question, miss: Miss) -> Draft {
    let rcode = match miss {
        Miss::NoName(_) => Rcode::NxDomain,
        Miss::NoData => Rcode::NoError,
        Miss::Nameless | Miss::NotAllowed => {
            return Draft { rcode: Rcode::ServFail, ..Draft::default() };
        }
    };
    let absence = match miss {
        Miss::NoName(absence) => Some(absence),
        _ => None,
    };
    Draft { rcode, absence, authority: vec![soa(view, &question.name)], ..Draft::default() }
}

/// The SOA record of the zone of a name. Its serial is the time, since nobody transfers it.
pub(super) fn soa(view: View<'_>, name: &Name) -> Record {
    let Settings { soa: times, .. } = view.settings;
    let zone = told_zone(view.settings, name);
    let data = Authority {
        server: zone.server().clone(),
        mailbox: zone.mailbox().clone(),
        // Truncated: serial numbers are compared modulo 2^32 (RFC 1982).
        serial: (view.now.as_millis() / 1000) as u32,
        refresh: times.refresh,
        retry: times.retry,
        expire: times.expire,
        minimum: times.min_ttl,
    };
    Record { owner: zone.name().clone(), ttl: times.min_ttl, data: Data::Soa(Box::new(data)) }
}

/// The second zone is told only to who wrote it in lower case and asked for something in it, as in Consul.
fn told_zone<'a>(settings: &'a Settings, name: &Name) -> &'a Zone {
    let inside = |zone: &&Zone| name.suffixes().skip(1).any(|parent| parent == zone.name().wire());
    settings.alt_domain.as_ref().filter(inside).unwrap_or(&settings.domain)
}

/// Some servers of the datacenter, and their addresses.
fn name_servers(search: &Search<'_>, chance: &mut dyn RngCore) -> (Vec<Record>, Vec<Record>) {
    let ttl = seconds(search.view.settings.node_ttl);
    let (mut servers, mut glue) = (Vec::new(), Vec::new());
    let mut found: Vec<_> = fit(search.view, SERVERS).collect();
    found.shuffle(chance);
    for instance in found {
        let Some(target) = server_name(search, instance.node) else { continue };
        let data = Data::Ns(target.clone());
        servers.push(Record { owner: search.zone.clone(), ttl, data });
        glue.extend(node::records(search, instance.node, Kind::ANY, &target, chance));
        if servers.len() == NAME_SERVERS_MAX {
            break;
        }
    }
    (servers, glue)
}

/// A server whose name holds more than letters, digits, hyphens and backslashes is not told.
fn server_name(search: &Search<'_>, node: &NodeRow) -> Option<Name> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'\\';
    let tellable = node.node.name.as_str().bytes().all(plain);
    let name = node::canonical_name(search.view.settings, node, search.zone).ok()?;
    tellable.then(|| name.to_lower())
}
