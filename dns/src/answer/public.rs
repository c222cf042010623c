//! Where the instances of a service are, for whoever publishes them elsewhere.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::IpAddr;

use proconsul_anchors::service::Service;

use super::service::{Eligible, Spot, fit};
use super::{Search, View};
use crate::name::Name;
use crate::question::Question;
use crate::record::Kind;

/// A healthy instance that may be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whereabouts {
    /// Its addresses, one a family at most.
    pub addresses: BTreeSet<IpAddr>,
    /// Its host's name, when it has no address.
    pub host: Option<Box<str>>,
    /// Its port; 0 for none.
    pub port: u16,
    /// Its share of the work.
    pub weight: u16,
}

/// The healthy instances of a service that may be told and that are wanted.
pub fn whereabouts(
    view: View<'_>,
    service: &str,
    wanted: impl Fn(&Service) -> bool,
) -> Vec<Whereabouts> {
    let found = fit(view, service).filter(|found| wanted(&found.instance.service));
    found.filter_map(|found| whereabouts_of(view, found)).collect()
}

fn whereabouts_of(view: View<'_>, found: Eligible<'_>) -> Option<Whereabouts> {
    let zone = view.settings.domain.name();
    let (mut addresses, mut host, wants) = (BTreeSet::new(), None, RefCell::default());
    for kind in [Kind::A, Kind::AAAA] {
        let question = Question { name: Name::root(), kind, class: 1 };
        let search =
            Search { view, question: &question, zone, edns: true, chases_left: 0, wants: &wants };
        match found.spot(&search)? {
            Spot::Node(ip) | Spot::Ip(ip) => {
                addresses.insert(ip);
            }
            Spot::Host(name) => host = Some(name.into()),
        }
    }
    let (port, weight) = (found.port(None).unwrap_or(0), found.weight());
    Some(Whereabouts { host: host.filter(|_| addresses.is_empty()), addresses, port, weight })
}
