//! Which services gateways are linked with, as their configuration entries say.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::{Index, Instance, Row, ServiceRow};
use crate::name::Caseless;
use crate::record::ConfigEntry;

/// A name that stands for every service.
const ANY: &str = "*";
/// The service of the servers themselves, which no gateway leads to.
const SERVERS: &str = "consul";

/// A kind of gateway that configuration entries link with services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gateway {
    /// Leads out of the mesh.
    Terminating,
    /// Leads into it.
    Ingress,
}

/// One link of a gateway with a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// The service.
    pub service: Box<str>,
    /// Where the gateway listens for it; 0 where it does not.
    pub port: i64,
    /// What is spoken there.
    pub protocol: Box<str>,
    /// The names under which it is asked for.
    pub hosts: Vec<Box<str>>,
    /// Whom the gateway trusts when it reaches it.
    pub ca_file: Box<str>,
    /// How the gateway shows itself.
    pub cert_file: Box<str>,
    /// The key to it.
    pub key_file: Box<str>,
    /// The name that the gateway asks for.
    pub sni: Box<str>,
    /// Whether the gateway tells the service its own host.
    pub auto_host_rewrite: bool,
    /// It follows from a link with every service.
    pub from_any: bool,
}

/// A gateway with its links.
#[derive(Clone, Debug)]
pub struct Linked<'a> {
    /// Of which kind it is.
    pub kind: Gateway,
    /// The entry that links it.
    pub entry: &'a Row<ConfigEntry>,
    /// The links, by service.
    pub links: Vec<Link>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct TerminatingBody {
    services: Option<Vec<ServiceBody>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct IngressBody {
    listeners: Option<Vec<ListenerBody>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ListenerBody {
    port: i64,
    protocol: Box<str>,
    services: Option<Vec<ServiceBody>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ServiceBody {
    name: Box<str>,
    hosts: Option<Vec<Box<str>>>,
    #[serde(rename = "CAFile")]
    ca_file: Box<str>,
    cert_file: Box<str>,
    key_file: Box<str>,
    #[serde(rename = "SNI")]
    sni: Box<str>,
    disable_auto_host_rewrite: bool,
}

// === impl Gateway ===

impl Gateway {
    /// Both kinds.
    pub const ALL: [Self; 2] = [Self::Terminating, Self::Ingress];

    /// Its name, as that of services and of configuration entries.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Terminating => "terminating-gateway",
            Self::Ingress => "ingress-gateway",
        }
    }

    /// What the keys of its configuration entries begin with.
    fn prefix(self) -> &'static str {
        match self {
            Self::Terminating => "terminating-gateway\n",
            Self::Ingress => "ingress-gateway\n",
        }
    }

    /// The links that an entry tells, as it tells them; none where it cannot be read.
    fn told(self, body: &str) -> Vec<Link> {
        match self {
            Self::Terminating => {
                let body: TerminatingBody = serde_json::from_str(body).unwrap_or_default();
                body.services.into_iter().flatten().map(ServiceBody::terminating).collect()
            }
            Self::Ingress => {
                let body: IngressBody = serde_json::from_str(body).unwrap_or_default();
                body.listeners.into_iter().flatten().flat_map(ListenerBody::links).collect()
            }
        }
    }
}

impl ServiceBody {
    fn terminating(self) -> Link {
        Link {
            service: self.name,
            ca_file: self.ca_file,
            cert_file: self.cert_file,
            key_file: self.key_file,
            sni: self.sni,
            auto_host_rewrite: !self.disable_auto_host_rewrite,
            ..Link::default()
        }
    }
}

impl ListenerBody {
    fn links(self) -> impl Iterator<Item = Link> {
        let Self { port, protocol, services } = self;
        services.into_iter().flatten().map(move |service| Link {
            service: service.name,
            port,
            protocol: protocol.clone(),
            hosts: service.hosts.unwrap_or_default(),
            ..Link::default()
        })
    }
}

// === impl Index ===

impl Index {
    /// The links of the gateway of this name; nothing when no entry speaks of it.
    pub fn links_of(&self, gateway: &str) -> Option<Linked<'_>> {
        Gateway::ALL.into_iter().find_map(|kind| {
            let entry = self.record::<ConfigEntry>(&ConfigEntry::key_of(kind.as_str(), gateway))?;
            Some(Linked { kind, entry, links: self.links(kind, entry) })
        })
    }

    /// The services that the entry of a terminating gateway names, as it names them.
    pub(super) fn told_of(&self, gateway: &str) -> Vec<Box<str>> {
        let key = ConfigEntry::key_of(Gateway::Terminating.as_str(), gateway);
        let told = self.record::<ConfigEntry>(&key);
        let told = told.map(|row| Gateway::Terminating.told(&row.record.body)).unwrap_or_default();
        told.into_iter().map(|link| link.service).collect()
    }

    /// Whether the gateway of this name is linked with every service: then its links depend on what is registered.
    pub fn links_any(&self, gateway: &str) -> bool {
        Gateway::ALL.into_iter().any(|kind| {
            let entry = self.record::<ConfigEntry>(&ConfigEntry::key_of(kind.as_str(), gateway));
            entry.is_some_and(|row| names_any(&kind.told(&row.record.body)))
        })
    }

    /// A link with every service gives way to those with single ones at the same port.
    fn links(&self, kind: Gateway, entry: &Row<ConfigEntry>) -> Vec<Link> {
        let (any, single): (Vec<Link>, Vec<Link>) =
            kind.told(&entry.record.body).into_iter().partition(|link| &*link.service == ANY);
        let mut links: BTreeMap<(Box<str>, i64), Link> = BTreeMap::new();
        for link in any {
            for name in self.within_any(kind, entry.modified) {
                let service: Box<str> = name.as_str().into();
                let one = Link { service, from_any: true, ..link.clone() };
                links.insert((name.key().into(), link.port), one);
            }
        }
        let key = |link: &Link| (Caseless::from(&*link.service).key().into(), link.port);
        links.extend(single.into_iter().map(|link| (key(&link), link)));
        links.into_values().collect()
    }

    /// The services that a link with every service, written at an index, leads to.
    fn within_any(&self, kind: Gateway, since: u64) -> Vec<Caseless> {
        let reached = self.connect.values().filter(|row| !row.instances.is_empty());
        let registered = self.services().map(|row| &row.name);
        let mut names: Vec<Caseless> =
            registered.chain(reached.map(|row| &row.name)).cloned().collect();
        names.sort();
        names.dedup();
        names.retain(|name| self.is_within_any(kind, since, name));
        names
    }

    /// Consul asks which services there are when the link is written, and then of each that is registered or gets a proxy.
    fn is_within_any(&self, kind: Gateway, since: u64, service: &Caseless) -> bool {
        if service.key() == SERVERS {
            return false;
        }
        let row = self.services.get(service.key());
        let own = || row.into_iter().flat_map(|row| row.instances.values());
        let row = self.connect.get(service.key());
        let reached = || row.into_iter().flat_map(|row| row.instances.values());
        let fits = match kind {
            Gateway::Terminating => own().any(|one| !is_native(one)),
            Gateway::Ingress => reached().next().is_some(),
        };
        fits && (own().any(|one| one.service.kind().is_empty())
            || reached().any(|one| one.modified > since))
    }

    /// Whether an entry links its gateway with a service.
    pub(super) fn is_linked(
        &self,
        kind: Gateway,
        entry: &Row<ConfigEntry>,
        service: &Caseless,
    ) -> bool {
        let told = kind.told(&entry.record.body);
        told.iter().any(|link| Caseless::from(&*link.service) == *service)
            || (names_any(&told) && self.is_within_any(kind, entry.modified, service))
    }

    /// The entries that link a gateway of this kind with a service.
    pub(super) fn linking<'a>(
        &'a self,
        kind: Gateway,
        service: &'a Caseless,
    ) -> impl Iterator<Item = &'a Arc<Row<ConfigEntry>>> {
        let entries = self.records_under::<ConfigEntry>(kind.prefix());
        entries.filter(move |row| self.is_linked(kind, row, service))
    }

    /// The registered gateways of a kind that configuration entries link with a service.
    pub fn gateways_of(&self, service: &Caseless, kind: Gateway) -> Vec<&Arc<ServiceRow>> {
        self.linking(kind, service).filter_map(|row| self.service(&row.record.name)).collect()
    }
}

fn names_any(links: &[Link]) -> bool {
    links.iter().any(|link| &*link.service == ANY)
}

/// Whether it speaks the mesh's protocol itself.
fn is_native(instance: &Instance) -> bool {
    instance.service.mesh().is_some_and(|mesh| mesh.native)
}
