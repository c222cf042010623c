//! Who can be reached through the mesh for a service, and the address under which the mesh knows it.
//!
//! A service is reached through the proxies that stand for it, through its own instances where they speak the mesh's
//! protocol, and through gateways that a configuration entry links with it.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use imbl::OrdMap;
use serde::Deserialize;

use super::table::Row;
use super::write::Write;
use super::{Index, Instance, RowId, ServiceRow, WatchKey};
use crate::name::Caseless;
use crate::pairs::Pairs;
use crate::record::{AnyRecord, ConfigEntry, RecordChange, TableId, VirtualIp, When};
use crate::service::mesh::VIRTUAL_ADDRESS;
use crate::service::{Service, ServiceAddress};

/// The first address of the range from which virtual ones are given; it is never given itself.
const VIRTUAL_RANGE: Ipv4Addr = Ipv4Addr::new(240, 0, 0, 0);
/// The kinds of configuration entries that give their service a virtual address.
const ADDRESSED_KINDS: [&str; 5] = [
    "service-router",
    "service-resolver",
    "service-splitter",
    "service-defaults",
    "service-intentions",
];
/// A name that stands for every service.
const ANY: &str = "*";

/// The instances through which a service is reached.
#[derive(Clone, Debug)]
pub struct ConnectRow {
    /// The service that they reach; none needs to be registered under the name.
    pub name: Caseless,
    /// The revision that last moved it.
    pub index: u64,
    /// By node key and id key: the order of Consul's lists.
    pub instances: OrdMap<(Arc<str>, Arc<str>), Arc<Instance>>,
}

/// What links a terminating gateway with services.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Terminating {
    services: Option<Vec<Linked>>,
}

/// What links an ingress gateway with services.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Ingress {
    listeners: Option<Vec<Terminating>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Linked {
    name: String,
}

/// Which gateways are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gateway {
    /// Those that lead out of the mesh.
    Terminating,
    /// Those that lead into it.
    Ingress,
}

// === impl Index ===

impl Index {
    /// The proxies of a service and its native instances.
    pub fn connect(&self, service: &str) -> Option<&Arc<ConnectRow>> {
        self.connect.get(Caseless::from(service).key())
    }

    /// The registered gateways of a kind that configuration entries link with a service.
    pub fn gateways_of(&self, service: &Caseless, kind: Gateway) -> Vec<&Arc<ServiceRow>> {
        let linked = self.records_under::<ConfigEntry>(kind.prefix());
        let linked = linked.filter(|row| self.links(kind, &row.record, service));
        linked.filter_map(|row| self.service(&row.record.name)).collect()
    }

    /// All instances through which a service is reached: proxies and native ones, then terminating gateways.
    pub fn reaching(&self, service: &Caseless) -> Vec<&Arc<Instance>> {
        let own =
            self.connect.get(service.key()).into_iter().flat_map(|row| row.instances.values());
        let gateways = self.gateways_of(service, Gateway::Terminating);
        own.chain(gateways.into_iter().flat_map(|row| row.instances.values())).collect()
    }

    fn links(&self, kind: Gateway, entry: &ConfigEntry, service: &Caseless) -> bool {
        let names = kind.linked(&entry.body);
        let named = |name: &String| Caseless::from(name.as_str()) == *service;
        names.iter().any(named)
            || (names.iter().any(|name| name == ANY) && self.is_within_any(service))
    }

    /// Whether a link with every service is one with this: there are instances of it that are no proxies, or some that
    /// reach it.
    pub fn is_within_any(&self, service: &Caseless) -> bool {
        let plain = |row: &Arc<ServiceRow>| {
            row.instances.values().any(|instance| instance.service.kind().is_empty())
        };
        let reached = |row: &Arc<ConnectRow>| !row.instances.is_empty();
        service.key() != "consul"
            && (self.services.get(service.key()).is_some_and(plain)
                || self.connect.get(service.key()).is_some_and(reached))
    }

    /// The index of a read of those that reach a service: never below what it was, though Consul's own rule may say so when
    /// the last of them goes or the first one comes.
    pub(super) fn index_of_connect(&self, service: &Caseless, tables: u64) -> u64 {
        let missing = || match self.marks.service_extinction {
            0 => self.services.get(service.key()).map_or(tables, |row| row.index),
            extinction => extinction,
        };
        let found = self.reaching(service);
        let names: BTreeSet<&str> =
            found.iter().map(|instance| instance.service.name.key()).collect();
        let of_name = |name: &str| self.services.get(name).map_or(0, |row| row.index);
        let own = self.connect.get(service.key()).map_or(0, |row| row.index);
        let told = names.into_iter().map(of_name).max();
        told.unwrap_or_else(missing).max(own).max(self.marks.gateways)
    }

    /// The index of a read of the ingress gateways of a service.
    pub(super) fn index_of_ingress(&self, service: &Caseless) -> u64 {
        let gateways = self.gateways_of(service, Gateway::Ingress);
        let moved = gateways.iter().map(|row| row.index).max().unwrap_or(0);
        // A gateway may have gone meanwhile.
        moved.max(self.marks.gateways).max(self.gateway_extinction())
    }

    fn gateway_extinction(&self) -> u64 {
        if self.marks.gateways == 0 { 0 } else { self.marks.service_extinction }
    }

    /// What a read of those that reach a service depends on.
    pub(super) fn watched_connect(&self, service: &Caseless) -> Vec<WatchKey> {
        let found = self.reaching(service);
        let names: BTreeSet<Arc<str>> =
            found.iter().map(|instance| instance.service.name.shared_key()).collect();
        let mut keys: Vec<_> = names.into_iter().map(WatchKey::Service).collect();
        keys.push(WatchKey::Connect(service.shared_key()));
        keys.push(WatchKey::Service(service.shared_key()));
        keys.push(WatchKey::Gateways);
        keys
    }

    /// What a read of the ingress gateways of a service depends on.
    pub(super) fn watched_ingress(&self, service: &Caseless) -> Vec<WatchKey> {
        let gateways = self.records_under::<ConfigEntry>(Gateway::Ingress.prefix());
        let linked = gateways.filter(|row| self.links(Gateway::Ingress, &row.record, service));
        let names = linked.map(|row| Caseless::from(&*row.record.name).shared_key());
        names.map(WatchKey::Service).chain([WatchKey::Gateways]).collect()
    }

    /// The row of those that reach a service, to be changed.
    pub(super) fn connect_row(&mut self, name: &Caseless) -> &mut ConnectRow {
        let row = self.connect.entry(name.shared_key()).or_insert_with(|| {
            Arc::new(ConnectRow { name: name.clone(), index: 0, instances: OrdMap::new() })
        });
        Arc::make_mut(row)
    }

    /// The virtual address of a service, when it has one.
    pub fn virtual_ip(&self, service: &Caseless) -> Option<&Arc<Row<VirtualIp>>> {
        self.record::<VirtualIp>(service.key())
    }

    fn free_offset(&self) -> u32 {
        let taken: BTreeSet<u32> =
            self.records::<VirtualIp>().map(|row| row.record.offset).collect();
        (1..).find(|offset| !taken.contains(offset)).unwrap_or(1)
    }
}

// === impl Gateway ===

impl Gateway {
    /// What the keys of its configuration entries begin with.
    fn prefix(self) -> &'static str {
        match self {
            Self::Terminating => "terminating-gateway\n",
            Self::Ingress => "ingress-gateway\n",
        }
    }

    /// The services that a configuration entry names; none where it cannot be read.
    fn linked(self, body: &str) -> Vec<String> {
        let names = |linked: Terminating| {
            linked.services.into_iter().flatten().map(|service| service.name).collect::<Vec<_>>()
        };
        match self {
            Self::Terminating => serde_json::from_str(body).map(names).unwrap_or_default(),
            Self::Ingress => {
                let ingress: Ingress = serde_json::from_str(body).unwrap_or_default();
                ingress.listeners.into_iter().flatten().flat_map(names).collect()
            }
        }
    }
}

// === impl VirtualIp ===

impl VirtualIp {
    /// The address.
    pub fn address(&self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(VIRTUAL_RANGE).wrapping_add(self.offset))
    }
}

// === impl Write ===

impl Write<'_> {
    /// An instance came, went, or is another one: whoever it reaches is reached otherwise.
    pub(super) fn reach(&mut self, former: Option<&Instance>, now: Option<&Arc<Instance>>) {
        let before = former.and_then(|row| row.service.reaches());
        let after = now.and_then(|row| row.service.reaches());
        if let (Some(name), Some(row)) = (&before, former)
            && before != after
        {
            self.edit_connect(name, |instances| {
                instances.remove(&(row.node.shared_key(), row.service.id.shared_key()));
            });
        }
        if let (Some(name), Some(row)) = (&after, now) {
            self.edit_connect(name, |instances| {
                let key = (row.node.shared_key(), row.service.id.shared_key());
                instances.insert(key, Arc::clone(row));
            });
        }
    }

    fn edit_connect(
        &mut self,
        name: &Caseless,
        edit: impl FnOnce(&mut OrdMap<(Arc<str>, Arc<str>), Arc<Instance>>),
    ) {
        let (key, revision) = (name.shared_key(), self.revision());
        let row = self.index.connect_row(name);
        edit(&mut row.instances);
        row.index = revision;
        // The extinction of a service tells as much as the row of one that nobody reaches any more.
        let is_told = row.instances.is_empty() && self.index.marks.service_extinction == revision;
        if is_told {
            self.index.connect.remove(&key);
        }
        self.touch(WatchKey::Connect(Arc::clone(&key)));
        self.write_row(RowId::ConnectMark(key));
    }

    /// The service with the virtual address of the one that it reaches, where it reaches one.
    pub(super) fn with_virtual_address<'s>(&mut self, service: &'s Service) -> Cow<'s, Service> {
        let Some(of) = service.reaches().filter(|of| !of.is_empty()) else {
            return Cow::Borrowed(service);
        };
        let address = self.virtual_address(&of);
        let given = ServiceAddress { address: address.to_string().into(), port: service.port };
        let tagged = service.tagged_addresses.iter().flat_map(Pairs::iter);
        let tagged = tagged.map(|(tag, at)| (tag, at.clone())).chain([(VIRTUAL_ADDRESS, given)]);
        Cow::Owned(Service { tagged_addresses: Some(tagged.collect()), ..service.clone() })
    }

    /// The virtual address of a service, given now if it has none: the lowest that is free.
    fn virtual_address(&mut self, of: &Caseless) -> Ipv4Addr {
        if let Some(row) = self.index.virtual_ip(of) {
            return row.record.address();
        }
        let offset = self.index.free_offset();
        let record = VirtualIp { service: of.clone(), offset, manual: Vec::new() };
        self.put_record(&record, When::Always).unwrap_or_default();
        record.address()
    }

    /// A service has lost its last instance, or the configuration entry that named it: nothing else may hold its address.
    pub(super) fn free_virtual_address(&mut self, of: &Caseless) {
        let registered = self.index.service(of.as_str()).is_some();
        let named = |kind: &&str| {
            self.index.record::<ConfigEntry>(&ConfigEntry::key_of(kind, of.as_str())).is_some()
        };
        let linked = || {
            let mut entries =
                self.index.records_under::<ConfigEntry>(Gateway::Terminating.prefix());
            entries.any(|row| self.index.links(Gateway::Terminating, &row.record, of))
        };
        if !registered && !ADDRESSED_KINDS.iter().any(named) && !linked() {
            self.remove_record::<VirtualIp>(of.key(), When::Always);
        }
    }

    /// What follows from the write of a configuration entry.
    pub(super) fn entry_written(&mut self, change: &RecordChange) {
        let (kind, name) = match change {
            RecordChange::Put { record: AnyRecord::ConfigEntry(entry), .. } => {
                (&*entry.kind, &*entry.name)
            }
            RecordChange::Remove { table: TableId::ConfigEntry, key, .. } => {
                key.split_once('\n').unwrap_or((key, ""))
            }
            _ => return,
        };
        if [Gateway::Terminating, Gateway::Ingress]
            .iter()
            .any(|one| one.prefix().trim_end() == kind)
        {
            self.index.marks.gateways = self.revision();
            self.touch(WatchKey::Gateways);
        }
        if !ADDRESSED_KINDS.contains(&kind) || name.is_empty() {
            return;
        }
        match change {
            RecordChange::Put { .. } => drop(self.virtual_address(&name.into())),
            RecordChange::Remove { .. } => self.free_virtual_address(&name.into()),
        }
    }
}
