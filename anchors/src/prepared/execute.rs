//! Choosing the instances that a query wants.

use std::sync::Arc;

use rand::RngCore;
use rand::seq::SliceRandom as _;

use super::{PreparedQuery, ServiceQuery};
use crate::acl::{Act, Authority};
use crate::coordinate::Near;
use crate::index::{CheckRow, Index, Instance, NodeRow};
use crate::name::Caseless;
use crate::service::Status;

/// How deep in the answer the node near to which the others are wanted is looked for, to be told first.
const OWN_NODE_DEPTH: usize = 10;

/// How an execution is wanted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// So many instances at most; 0 for all.
    pub limit: usize,
    /// Those through which the mesh reaches the service, whatever the query says.
    pub connect: bool,
    /// The node near to which; empty for what the query says.
    pub near: &'a str,
    /// The address of who asks; empty where it is not known.
    pub ip: &'a str,
    /// The node of the agent that asks.
    pub agent: &'a str,
    /// The datacenter in which it runs.
    pub datacenter: &'a str,
}

/// The instances that were found.
#[derive(Clone, Debug)]
pub struct Found {
    /// Instances with their nodes, in the order in which they are told.
    pub instances: Vec<(Arc<NodeRow>, Arc<Instance>)>,
    /// Where they were found; empty for a peer.
    pub datacenter: Box<str>,
    /// The peer whose they are; empty for the own ones.
    pub peer: Box<str>,
    /// How many other places were asked.
    pub failovers: usize,
    /// Whether the caller's rules left something out.
    pub filtered: bool,
}

impl PreparedQuery {
    /// Runs the query, which was filled in before. Chance decides the order among equals.
    pub fn execute(
        &self,
        index: &Index,
        authority: &Authority,
        wanted: &Wanted<'_>,
        chance: &mut dyn RngCore,
    ) -> Found {
        let service = &self.service;
        let mut instances = service.instances(index, wanted.connect);
        let matched = instances.len();
        instances.retain(|(node, instance)| may_see(authority, node, instance));
        let filtered = instances.len() < matched;
        instances.shuffle(chance);
        let mut found = Found {
            instances,
            datacenter: wanted.datacenter.into(),
            peer: "".into(),
            failovers: 0,
            filtered,
        };
        if !service.peer.is_empty() {
            (found.peer, found.datacenter) = (service.peer.clone(), "".into());
        }
        let near = service.near_to(index, wanted);
        Near::of(index, &near).sort(&mut found.instances, |(node, _)| node.node.name.key());
        if found.peer.is_empty() {
            own_first(&mut found.instances, &near);
        }
        if wanted.limit > 0 {
            found.instances.truncate(wanted.limit);
        }
        if found.instances.is_empty() {
            service.fail_over(&mut found);
        }
        found
    }
}

impl PreparedQuery {
    /// The datacenters to ask where the own one has nothing, in their order; `nearest` are those that can be asked, the nearest
    /// first.
    pub fn elsewhere(&self, nearest: &[Box<str>]) -> Vec<Box<str>> {
        let failover = &self.service.failover;
        let count = usize::try_from(failover.nearest_n).unwrap_or(0);
        let near = nearest.iter().take(count);
        let targets = failover.targets.iter().flatten().map(|target| &target.datacenter);
        let named = failover.datacenters.iter().flatten().chain(targets);
        let mut all: Vec<Box<str>> = Vec::new();
        for datacenter in near.chain(named.filter(|name| nearest.contains(name))) {
            if !all.contains(datacenter) {
                all.push(datacenter.clone());
            }
        }
        all
    }
}

fn may_see(authority: &Authority, node: &NodeRow, instance: &Instance) -> bool {
    authority.is_open()
        || (authority.allows(Act::node_read(node.node.name.as_str()))
            && authority.allows(Act::service_read(instance.service.name.as_str())))
}

/// The instance on the node near to which the others are wanted comes first.
fn own_first(instances: &mut [(Arc<NodeRow>, Arc<Instance>)], near: &str) {
    if near.is_empty() {
        return;
    }
    let near = Caseless::from(near);
    let own = instances.iter().take(OWN_NODE_DEPTH).position(|(node, _)| node.node.name == near);
    if let Some(own) = own {
        instances.swap(0, own);
    }
}

impl ServiceQuery {
    /// The instances that fit, with their nodes.
    fn instances(&self, index: &Index, connect: bool) -> Vec<(Arc<NodeRow>, Arc<Instance>)> {
        if !self.peer.is_empty() {
            // Nobody is a peer of this one.
            return Vec::new();
        }
        let name = Caseless::from(&*self.service);
        let all: Vec<Arc<Instance>> = if self.connect || connect {
            index.reaching(&name).into_iter().cloned().collect()
        } else {
            let row = index.service(name.key());
            row.into_iter().flat_map(|row| row.instances.values()).cloned().collect()
        };
        let with_node = |instance: Arc<Instance>| {
            Some((Arc::clone(index.node(instance.node.key())?), instance))
        };
        all.into_iter()
            .filter_map(with_node)
            .filter(|(node, instance)| self.takes(node, instance))
            .collect()
    }

    fn takes(&self, node: &NodeRow, instance: &Instance) -> bool {
        let own = node.checks_of(&instance.service.id);
        instance.hold.is_none()
            && node.node_checks().chain(own).all(|check| self.bears(check))
            && has_pairs(self.node_meta.as_ref(), node.node.meta.as_ref())
            && has_pairs(self.service_meta.as_ref(), instance.service.meta.as_ref())
            && self.has_tags(instance)
    }

    /// Whether a check does not speak against an instance.
    fn bears(&self, row: &CheckRow) -> bool {
        let ignored = || {
            let ids = self.ignore_check_ids.iter().flatten();
            ids.into_iter().any(|id| **id == *row.check.id.as_str())
        };
        match *row.status() {
            Status::Passing => true,
            Status::Critical => ignored(),
            Status::Warning | Status::Other(_) => !self.only_passing || ignored(),
        }
    }

    fn has_tags(&self, instance: &Instance) -> bool {
        let has = |wanted: &str| {
            instance.service.tags.iter().any(|tag| tag.to_lowercase() == wanted.to_lowercase())
        };
        self.tags.iter().flatten().all(|tag| match tag.strip_prefix('!') {
            Some(forbidden) => !has(forbidden),
            None => has(tag),
        })
    }

    /// The name of the node near to which; empty for none.
    fn near_to(&self, index: &Index, wanted: &Wanted<'_>) -> Box<str> {
        let near = if wanted.near.is_empty() { &self.near } else { wanted.near };
        match near {
            "_agent" => wanted.agent.into(),
            "_ip" => {
                let asks =
                    |row: &&Arc<NodeRow>| !wanted.ip.is_empty() && *row.node.address == *wanted.ip;
                index.nodes().find(asks).map_or("", |row| row.node.name.as_str()).into()
            }
            near => near.into(),
        }
    }

    /// Other datacenters are not known and so are passed over, as Consul does. Peers are asked, and there is none.
    fn fail_over(&self, found: &mut Found) {
        if self.failover.datacenters.as_ref().is_some_and(|all| !all.is_empty()) {
            return;
        }
        let targets = self.failover.targets.iter().flatten();
        for target in targets.filter(|target| target.datacenter.is_empty()) {
            if !target.peer.is_empty() {
                found.failovers += 1;
                (found.peer, found.datacenter) = (target.peer.clone(), "".into());
            }
        }
    }
}

fn has_pairs(wanted: Option<&crate::pairs::Pairs>, has: Option<&crate::pairs::Pairs>) -> bool {
    let value = |key: &str| has.and_then(|has| has.get(key));
    wanted.is_none_or(|wanted| wanted.iter().all(|(key, wanted)| value(key) == Some(wanted)))
}
