//! Who can be reached through the mesh for a service, and the address under which the mesh knows it.
//!
//! A service is reached through the proxies that stand for it, through its own instances where they speak the mesh's
//! protocol, and through gateways that a configuration entry links with it.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

pub use super::gateways::{Gateway, Link, Linked};
use super::write::Write;
use super::{ConnectRow, Index, Instance, Row, RowId, WatchKey};
use crate::name::Caseless;
use crate::pairs::Pairs;
use crate::record::{AnyRecord, ConfigEntry, RecordChange, TableId, VirtualIp, When};
use crate::service::mesh::VIRTUAL_ADDRESS;
use crate::service::{Service, ServiceAddress};
use imbl::OrdMap;

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

// === impl Index ===

impl Index {
    /// The proxies of a service and its native instances.
    pub fn connect(&self, service: &str) -> Option<&Arc<ConnectRow>> {
        self.connect.get(Caseless::from(service).key())
    }

    /// All instances through which a service is reached: proxies and native ones, then terminating gateways.
    pub fn reaching(&self, service: &Caseless) -> Vec<&Arc<Instance>> {
        let own =
            self.connect.get(service.key()).into_iter().flat_map(|row| row.instances.values());
        let gateways = self.gateways_of(service, Gateway::Terminating);
        own.chain(gateways.into_iter().flat_map(|row| row.instances.values())).collect()
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
        told.unwrap_or_else(missing).max(own).max(self.links_moved(service))
    }

    /// The index of a read of the ingress gateways of a service.
    pub(super) fn index_of_ingress(&self, service: &Caseless) -> u64 {
        let gateways = self.gateways_of(service, Gateway::Ingress);
        let moved = gateways.iter().map(|row| row.index).max().unwrap_or(0);
        moved.max(self.links_moved(service))
    }

    /// When a service was last linked with gateways or cut off, by what an entry says or by what is registered.
    fn links_moved(&self, service: &Caseless) -> u64 {
        if self.marks.gateways == 0 {
            return 0;
        }
        let registered = self.services.get(service.key()).map_or(0, |row| row.index);
        let reached = self.connect.get(service.key()).map_or(0, |row| row.index);
        self.marks.gateways.max(self.marks.service_extinction).max(registered).max(reached)
    }

    /// What a read of those that reach a service depends on.
    pub(super) fn watched_connect(&self, service: &Caseless) -> Vec<WatchKey> {
        let found = self.reaching(service);
        let names: BTreeSet<Arc<str>> =
            found.iter().map(|instance| instance.service.name.shared_key()).collect();
        let mut keys: Vec<_> = names.into_iter().map(WatchKey::Service).collect();
        // Gateways that are linked and not registered yet.
        let linked = self.linking(Gateway::Terminating, service);
        let linked = linked.map(|row| Caseless::from(&*row.record.name).shared_key());
        keys.extend(linked.map(WatchKey::Service));
        keys.push(WatchKey::Connect(service.shared_key()));
        keys.push(WatchKey::Service(service.shared_key()));
        keys.push(WatchKey::Gateways);
        keys
    }

    /// What a read of the ingress gateways of a service depends on.
    pub(super) fn watched_ingress(&self, service: &Caseless) -> Vec<WatchKey> {
        let linked = self.linking(Gateway::Ingress, service);
        let names = linked.map(|row| Caseless::from(&*row.record.name).shared_key());
        let own = [
            WatchKey::Gateways,
            WatchKey::Connect(service.shared_key()),
            WatchKey::Service(service.shared_key()),
        ];
        names.map(WatchKey::Service).chain(own).collect()
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

    /// The service with the virtual address of the one that it reaches, where it reaches one; a terminating gateway with
    /// those of all that it is linked with.
    pub(super) fn with_virtual_address<'s>(&mut self, service: &'s Service) -> Cow<'s, Service> {
        if service.kind() == Gateway::Terminating.as_str() {
            return self.with_linked_addresses(service);
        }
        let Some(of) = service.reaches().filter(|of| !of.is_empty()) else {
            return Cow::Borrowed(service);
        };
        let address = self.virtual_address(&of);
        let given = ServiceAddress { address: address.to_string().into(), port: service.port };
        let tagged = service.tagged_addresses.iter().flat_map(Pairs::iter);
        let tagged = tagged.map(|(tag, at)| (tag, at.clone())).chain([(VIRTUAL_ADDRESS, given)]);
        Cow::Owned(Service { tagged_addresses: Some(tagged.collect()), ..service.clone() })
    }

    fn with_linked_addresses<'s>(&mut self, service: &'s Service) -> Cow<'s, Service> {
        let given = self.linked_addresses(service.name.as_str());
        if given.is_empty() {
            return Cow::Borrowed(service);
        }
        let tagged = service.tagged_addresses.iter().flat_map(Pairs::iter);
        let tagged = tagged.map(|(tag, at)| (tag.to_owned(), at.clone())).chain(given);
        Cow::Owned(Service { tagged_addresses: Some(tagged.collect()), ..service.clone() })
    }

    /// The tags and addresses of all that a terminating gateway is linked with.
    fn linked_addresses(&mut self, gateway: &str) -> Vec<(String, ServiceAddress)> {
        let linked = self.index.told_of(gateway).into_iter();
        linked
            .map(|of| {
                let address = self.virtual_address(&of.as_ref().into()).to_string().into();
                (format!("{VIRTUAL_ADDRESS}:{of}"), ServiceAddress { address, port: 0 })
            })
            .collect()
    }

    /// A terminating gateway is linked otherwise: the instances of its name, of whatever kind, carry the addresses of those
    /// that it is linked with now. As in Consul, they have metadata after that, if only empty ones, and keep what they carry
    /// when the entry goes.
    fn relink(&mut self, gateway: &str) {
        let given = self.linked_addresses(gateway);
        let prefix = format!("{VIRTUAL_ADDRESS}:");
        let row = self.index.service(gateway).cloned();
        for instance in row.iter().flat_map(|row| row.instances.values()) {
            let service = &instance.service;
            let tagged = service.tagged_addresses.iter().flat_map(Pairs::iter);
            let kept = tagged.filter(|(tag, _)| !tag.starts_with(&prefix));
            let tagged: Pairs<_> = kept
                .map(|(tag, at)| (tag.to_owned(), at.clone()))
                .chain(given.iter().cloned())
                .collect();
            if service.tagged_addresses.as_ref() == Some(&tagged) {
                continue;
            }
            let meta = Some(service.meta.clone().unwrap_or_default());
            let linked = Service { tagged_addresses: Some(tagged), meta, ..service.clone() };
            self.put_service(&instance.node, &linked, &instance.standing());
        }
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
        let linked = || self.index.linking(Gateway::Terminating, of).next().is_some();
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
        if Gateway::ALL.iter().any(|one| one.as_str() == kind) {
            self.index.marks.gateways = self.revision();
            self.touch(WatchKey::Gateways);
            let put = matches!(change, RecordChange::Put { .. });
            if put && kind == Gateway::Terminating.as_str() {
                self.relink(name);
            }
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

#[cfg(test)]
mod tests;
