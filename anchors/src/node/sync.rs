//! Anti-entropy: what has to be written upwards so that the scope's catalog tells of this node what its leaf holds.
//!
//! The agent is the authority for its own node: what the catalog has on it and the leaf has not is removed, but for
//! what the membership of a server writes ([`CONSUL_SERVICE`], [`SERF_HEALTH`]).

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Group, Leaf, LeafCheck, Server};
use crate::change::{Change, Registration, Removal};
use crate::index::{CheckRow, NodeRow};
use crate::name::Caseless;
use crate::pairs::Pairs;
use crate::service::{Check, Node, Service, ServiceAddress, Status, Tags};

/// The id and name of the service that servers register of themselves.
pub const CONSUL_SERVICE: &str = "consul";
/// The check that a node's membership keeps.
pub const SERF_HEALTH: &str = "serfHealth";

/// What the catalog tells the leaf: tags where they may be overridden, addresses that servers gave.
#[derive(Clone, Debug, Default)]
struct Adopted {
    tags: Option<Tags>,
    tagged: Option<Pairs<ServiceAddress>>,
}

/// How much of a node may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeTold {
    /// All of it.
    All,
    /// What a member tells the servers, who write it: its name, id, address and version.
    Membership,
}

/// The pair of a node's meta that its membership brings.
const VERSION_META: &str = "consul-version";

impl Leaf {
    /// What has to be written of the node itself and of its membership. `row` is what the catalog has of this node.
    pub fn node_difference(&self, row: Option<&NodeRow>, told: NodeTold) -> Option<Change> {
        let mut node = self.settings.node.clone();
        let same = match told {
            NodeTold::All => row.is_some_and(|row| same_node(&row.node, &node)),
            NodeTold::Membership => {
                keep_membership(&mut node);
                row.is_some_and(|row| row.node.id == node.id && row.node.address == node.address)
            }
        };
        let Some(server) = &self.settings.server else {
            return (!same).then(|| register(node, None, Vec::new()));
        };
        let (service, check) = (server.service(), membership_check());
        let told = row.is_some_and(|row| {
            let remote = row.checks.get(check.id.key());
            has_service(row, &service)
                && remote.is_some_and(|remote| same_check(&remote.check, &check, false))
        });
        (!(same && told)).then(|| register(node, Some(service), vec![check]))
    }

    /// The services, and the node's own checks (the empty id), of which something has to be written.
    pub fn stale_groups(&self, row: Option<&NodeRow>) -> Vec<(Arc<str>, Group)> {
        let stale =
            |(id, group): &(Arc<str>, Group)| !self.group_difference(id, group, row).is_empty();
        self.all_groups(row).into_iter().filter(stale).collect()
    }

    /// What has to be written of one service, or of the node's own checks.
    pub fn group_difference(
        &self,
        id: &Arc<str>,
        group: &Group,
        row: Option<&NodeRow>,
    ) -> Vec<Change> {
        let node = &self.settings.node.name;
        if group.service
            && !self.services.contains_key(id)
            && let Some(removal) = self.removed_service(node, id, row)
        {
            return vec![removal];
        }
        let gone = group.checks.iter().filter(|check| !self.checks.contains_key(*check));
        let removals: Vec<Change> =
            gone.filter_map(|check| self.removed_check(node, check, row)).collect();
        let service = self.services.get(id).filter(|_| group.service).map(|entry| &entry.service);
        let service = service.filter(|service| !row.is_some_and(|row| has_service(row, service)));
        let checks: Vec<Check> =
            group.checks.iter().filter_map(|check| self.changed_check(check, row)).collect();
        let registration = (service.is_some() || !checks.is_empty()).then(|| {
            Change::Register(Box::new(Registration {
                node: self.settings.node.clone(),
                skip_node_update: row.is_some(),
                service: service.cloned(),
                checks,
                ..Registration::default()
            }))
        });
        registration.into_iter().chain(removals).collect()
    }

    /// Takes over what the catalog decides: tags of services that allow it, and `consul-` addresses of any. Whether
    /// there was anything.
    pub fn adopt(&mut self, row: &NodeRow) -> bool {
        let adopted: Vec<(Arc<str>, Adopted)> = self
            .services
            .iter()
            .filter_map(|(id, entry)| {
                let remote = row.services.get(entry.service.id.key())?;
                Some((Arc::clone(id), Adopted::of(&entry.service, &remote.service)?))
            })
            .collect();
        let any = !adopted.is_empty();
        for (id, adopted) in adopted {
            let Some(entry) = self.services.get_mut(&id) else { continue };
            adopted.write(&mut Arc::make_mut(entry).service);
        }
        any
    }

    /// Every id of the leaf and of the catalog, by group, but for those of the membership.
    fn all_groups(&self, row: Option<&NodeRow>) -> Vec<(Arc<str>, Group)> {
        let mut all = super::Moved::default();
        for id in self.services.keys() {
            all.service(id);
        }
        for (id, check) in &self.checks {
            all.check(id, check.service_id());
        }
        let Some(row) = row else { return all.groups.into_iter().collect() };
        let own: BTreeSet<Box<str>> =
            self.services.values().map(|entry| entry.service.id.key().into()).collect();
        for instance in
            row.services.values().filter(|instance| !own.contains(instance.service.id.key()))
        {
            all.service(&instance.service.id.as_str().into());
        }
        let own: BTreeSet<Box<str>> =
            self.checks.values().map(|entry| entry.check.id.key().into()).collect();
        for remote in row.checks.values().filter(|remote| !own.contains(remote.check.id.key())) {
            let of = remote.check.service_id().map(|id| id.as_str());
            all.check(&remote.check.id.as_str().into(), of);
        }
        all.groups.into_iter().collect()
    }

    fn removed_service(&self, node: &Caseless, id: &str, row: Option<&NodeRow>) -> Option<Change> {
        let id = Caseless::from(id);
        let spelt_otherwise = || self.services.values().any(|entry| entry.service.id == id);
        let there = row?.services.contains_key(id.key());
        if !there || id.as_str() == CONSUL_SERVICE || spelt_otherwise() {
            return None;
        }
        Some(Change::Deregister(Removal::Service { node: node.clone(), id }))
    }

    fn removed_check(&self, node: &Caseless, id: &str, row: Option<&NodeRow>) -> Option<Change> {
        let id = Caseless::from(id);
        let spelt_otherwise = || self.checks.values().any(|entry| entry.check.id == id);
        let there = row?.checks.contains_key(id.key());
        if !there || id.as_str() == SERF_HEALTH || spelt_otherwise() {
            return None;
        }
        Some(Change::Deregister(Removal::Check { node: node.clone(), id }))
    }

    /// Whether the catalog's check shows name or tags from before its service got others. A check that was not registered
    /// again with the service keeps the old ones on both sides.
    fn shows_old_service(&self, remote: &CheckRow, entry: &LeafCheck) -> bool {
        let (Some(shown), Some(own)) = (&remote.check.service, &entry.check.service) else {
            return false;
        };
        let Some(service) = self.services.get(own.id.as_str()).map(|entry| &entry.service) else {
            return false;
        };
        let is_current = service.tags == own.tags && service.name.same_spelling(&own.name);
        is_current && (shown.tags != own.tags || !shown.name.same_spelling(&own.name))
    }

    /// A check of the leaf that the catalog has not, or has otherwise; with the output that was told last while a newer
    /// one is held back.
    fn changed_check(&self, id: &str, row: Option<&NodeRow>) -> Option<Check> {
        let entry: &LeafCheck = self.checks.get(id)?;
        let remote = row.and_then(|row| row.checks.get(entry.check.id.key()));
        let held = self.holds_output(id);
        let same = |remote: &Arc<CheckRow>| {
            same_check(&remote.check, &entry.check, held) && !self.shows_old_service(remote, entry)
        };
        if remote.is_some_and(same) {
            return None;
        }
        let mut check = entry.check.clone();
        if held {
            check.output = remote.map(|remote| remote.check.output.clone()).unwrap_or_default();
        }
        Some(check)
    }
}

impl Server {
    /// The service `consul`.
    pub fn service(&self) -> Service {
        Service {
            id: CONSUL_SERVICE.into(),
            name: CONSUL_SERVICE.into(),
            port: self.port.into(),
            meta: Some(self.meta.clone()),
            ..Service::default()
        }
    }
}

impl Adopted {
    fn of(own: &Service, remote: &Service) -> Option<Self> {
        let tags =
            (own.enable_tag_override && own.tags != remote.tags).then(|| remote.tags.clone());
        let given = remote
            .tagged_addresses
            .iter()
            .flat_map(Pairs::iter)
            .filter(|(tag, _)| tag.starts_with("consul-"));
        let mine = |tag: &str| own.tagged_addresses.as_ref().and_then(|tagged| tagged.get(tag));
        let news: Vec<_> = given.filter(|(tag, at)| mine(tag) != Some(at)).collect();
        let tagged = (!news.is_empty()).then(|| {
            let kept = own.tagged_addresses.iter().flat_map(Pairs::iter);
            kept.chain(news).map(|(tag, at)| (tag, at.clone())).collect()
        });
        (tags.is_some() || tagged.is_some()).then_some(Self { tags, tagged })
    }

    fn write(self, service: &mut Service) {
        if let Some(tags) = self.tags {
            service.tags = tags;
        }
        if self.tagged.is_some() {
            service.tagged_addresses = self.tagged;
        }
    }
}

/// The check of a member that is alive.
pub fn membership_check() -> Check {
    Check {
        id: SERF_HEALTH.into(),
        name: "Serf Health Status".into(),
        status: Status::Passing,
        output: "Agent alive and reachable".into(),
        ..Check::default()
    }
}

fn register(node: Node, service: Option<Service>, checks: Vec<Check>) -> Change {
    Change::Register(Box::new(Registration { node, service, checks, ..Registration::default() }))
}

/// Takes away what only the agent itself tells.
fn keep_membership(node: &mut Node) {
    node.tagged_addresses = None;
    node.locality = None;
    let version = node.meta.as_ref().and_then(|meta| meta.get(VERSION_META)).cloned();
    node.meta = version.map(|version| [(VERSION_META, version)].into_iter().collect());
}

fn same_node(remote: &Node, own: &Node) -> bool {
    remote.name.same_spelling(&own.name)
        && remote.id.eq_ignore_ascii_case(&own.id)
        && remote.address == own.address
        && remote.locality == own.locality
        && same_pairs(remote.tagged_addresses.as_ref(), own.tagged_addresses.as_ref())
        && same_pairs(remote.meta.as_ref(), own.meta.as_ref())
}

fn has_service(row: &NodeRow, own: &Service) -> bool {
    let Some(instance) = row.services.get(own.id.key()) else { return false };
    let remote = &instance.service;
    // Taken apart so that no field is forgotten.
    let Service {
        id,
        name,
        tags,
        address,
        port,
        meta,
        weights,
        enable_tag_override,
        tagged_addresses,
        rare,
    } = own;
    remote.id.same_spelling(id)
        && remote.name.same_spelling(name)
        && remote.tags == *tags
        && remote.address == *address
        && remote.port == *port
        && same_pairs(remote.meta.as_ref(), meta.as_ref())
        && remote.weights == *weights
        && remote.enable_tag_override == *enable_tag_override
        && same_addresses(remote.tagged_addresses.as_ref(), tagged_addresses.as_ref())
        && remote.rare == *rare
}

/// Addresses that the catalog gives by itself are taken over once in a while; till then they are no difference.
fn same_addresses(
    remote: Option<&Pairs<ServiceAddress>>,
    own: Option<&Pairs<ServiceAddress>>,
) -> bool {
    let mine = |tag: &str| own.and_then(|own| own.get(tag));
    let given = remote.map_or(0, |remote| {
        remote.iter().filter(|(tag, _)| tag.starts_with("consul-") && mine(tag).is_none()).count()
    });
    let shared = own.into_iter().flat_map(Pairs::iter);
    let mut shared = shared.map(|(tag, at)| remote.and_then(|remote| remote.get(tag)) == Some(at));
    remote.map_or(0, Pairs::len) == own.map_or(0, Pairs::len) + given && shared.all(|same| same)
}

/// As Consul compares: how the check is performed does not count, and goes with the next change of what it says. The
/// name and tags of the service do not either: the catalog fills them in from the service that it has.
fn same_check(remote: &Check, own: &Check, skip_output: bool) -> bool {
    remote.id.same_spelling(&own.id)
        && remote.name == own.name
        && remote.status == own.status
        && remote.notes == own.notes
        && (skip_output || remote.output == own.output)
        && remote.service_id() == own.service_id()
}

/// Never given and given empty are the same to whoever reads them.
fn same_pairs<V: PartialEq>(one: Option<&Pairs<V>>, other: Option<&Pairs<V>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one == other,
        (Some(only), None) | (None, Some(only)) => only.is_empty(),
        (None, None) => true,
    }
}
