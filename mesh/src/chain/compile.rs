//! From a service's name to the nodes and targets of its chain.

use std::collections::{BTreeMap, BTreeSet};

use crate::chain::node::{Node, ROUTER, Route, SPLITTER, Split, Target};
use crate::chain::set::Set;
use crate::chain::{Chain, DEFAULT, Overrides, Place};
use crate::entries::service_resolver::ServiceResolver;
use crate::entries::service_router::{
    Destination, HttpMatch, Match, Route as RouteDefinition, ServiceRouter,
};
use crate::entries::shared::is_http_like;
use crate::text::{Invalid, Verdict, quote, refuse};
use crate::wire::{List, Wire as _};

/// How many splitters may stand below each other: following them takes of the stack.
const SPLITTER_DEPTH_MAX: usize = 64;

/// A chain in the making.
pub(super) struct Compiler<'a> {
    pub(super) service: &'a str,
    pub(super) place: &'a Place,
    pub(super) overrides: &'a Overrides,
    pub(super) set: &'a Set,
    pub(super) resolvers: BTreeMap<String, ServiceResolver>,
    pub(super) splitter_nodes: BTreeMap<String, String>,
    /// By target: the key of its node.
    pub(super) resolver_nodes: BTreeMap<String, String>,
    pub(super) nodes: BTreeMap<String, Node>,
    pub(super) targets: BTreeMap<String, Target>,
    pub(super) retained: BTreeSet<String>,
    pub(super) protocol: String,
    pub(super) start: String,
    advanced: bool,
    /// How many splitters are being followed.
    depth: usize,
    /// Whether the protocol that was wished for knows no requests.
    plain: bool,
    pub(super) customized: Customized,
}

/// Which wishes changed something.
#[derive(Default)]
pub(super) struct Customized {
    pub(super) mesh_gateway: bool,
    pub(super) protocol: bool,
    pub(super) connect_timeout: bool,
}

/// Which instances are meant.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    pub(super) service: String,
    pub(super) subset: String,
    pub(super) datacenter: String,
    pub(super) peer: String,
}

/// Compiles the chain of a service out of the entries that have a say in it.
pub(crate) fn compile(
    service: &str,
    place: &Place,
    overrides: &Overrides,
    set: &Set,
) -> Result<Chain, Invalid> {
    let mut compiler = Compiler {
        service,
        place,
        overrides,
        set,
        resolvers: set.resolvers.clone(),
        splitter_nodes: BTreeMap::new(),
        resolver_nodes: BTreeMap::new(),
        nodes: BTreeMap::new(),
        targets: BTreeMap::new(),
        retained: BTreeSet::new(),
        protocol: String::new(),
        start: String::new(),
        advanced: false,
        depth: 0,
        plain: !overrides.protocol.is_empty() && !is_http_like(&overrides.protocol),
        customized: Customized::default(),
    };
    compiler.assemble()?;
    compiler.find_circles()?;
    compiler.flatten_splits()?;
    compiler.drop_unused();
    compiler.finish()
}

// === impl Compiler ===

impl Compiler<'_> {
    fn assemble(&mut self) -> Verdict {
        let set = self.set;
        let Some(router) = &set.router else { return self.start_without_router() };
        if self.plain {
            self.customized.protocol = true;
            return self.start_without_router();
        }
        let mut node = Node::new(ROUTER, qualified(&router.name));
        self.advanced = true;
        self.record_protocol(&router.name)?;
        for definition in router.routes.iter() {
            let next = self.route(router, definition)?;
            node.routes.push(Route { definition: Some(Box::new(definition.clone())), next });
        }
        let next = self.splitter_or_resolver(&router.name)?;
        let definition = Some(Box::new(catch_all(&router.name)));
        node.routes.push(Route { definition, next });
        self.start = node.key();
        self.nodes.insert(node.key(), node);
        Ok(())
    }

    fn start_without_router(&mut self) -> Verdict {
        self.start = self.splitter_or_resolver(self.service)?;
        Ok(())
    }

    fn route(
        &mut self,
        router: &ServiceRouter,
        definition: &RouteDefinition,
    ) -> Result<String, Invalid> {
        let Some(to) = &definition.destination else {
            return self.splitter_or_resolver(&router.name);
        };
        let service = if to.service.is_empty() { self.service } else { &to.service };
        if to.subset.is_empty() {
            return self.splitter_or_resolver(service);
        }
        let wanted = Wanted { subset: to.subset.clone(), ..Wanted::service(service) };
        let target = self.target(wanted);
        self.resolver(target)
    }

    fn splitter_or_resolver(&mut self, service: &str) -> Result<String, Invalid> {
        let target = self.target(Wanted::service(service));
        match self.splitter(service)? {
            Some(key) => Ok(key),
            None => self.resolver(target),
        }
    }

    fn splitter(&mut self, service: &str) -> Result<Option<String>, Invalid> {
        if let Some(key) = self.splitter_nodes.get(service) {
            return Ok(Some(key.clone()));
        }
        let set = self.set;
        let Some(splitter) = set.splitters.get(service) else { return Ok(None) };
        if self.plain {
            self.customized.protocol = true;
            return Ok(None);
        }
        if self.depth == SPLITTER_DEPTH_MAX {
            let chain = quote(self.service);
            refuse!("discovery chain {chain} has more than {SPLITTER_DEPTH_MAX} nested splitters");
        }
        self.depth += 1;
        let mut node = Node::new(SPLITTER, qualified(service));
        let key = node.key();
        // It is there before its parts: they may lead back to it.
        self.splitter_nodes.insert(service.to_owned(), key.clone());
        for definition in splitter.splits.iter() {
            let to = if definition.service.is_empty() { service } else { &definition.service };
            let next = self.split(service, to, &definition.subset)?;
            if node.balancer.is_none() && next.starts_with("resolver:") {
                let balancer = self.nodes.get(&next).and_then(|next| next.balancer.clone());
                node.balancer = balancer.filter(|balancer| balancer.is_hash_based());
            }
            let weight = definition.weight;
            let definition = Some(Box::new(definition.clone()));
            node.splits.push(Split { definition, weight, next });
        }
        self.nodes.insert(key.clone(), node);
        self.advanced = true;
        self.depth -= 1;
        Ok(Some(key))
    }

    fn split(&mut self, from: &str, to: &str, subset: &str) -> Result<String, Invalid> {
        if to != from
            && subset.is_empty()
            && let Some(key) = self.splitter(to)?
        {
            return Ok(key);
        }
        let target = self.target(Wanted { subset: subset.to_owned(), ..Wanted::service(to) });
        self.resolver(target)
    }

    /// Notes that a service's protocol is spoken along the chain.
    pub(super) fn record_protocol(&mut self, service: &str) -> Verdict {
        let own = self.set.services.get(service).map(|defaults| defaults.protocol.as_str());
        let all = self.set.proxies.as_ref().map(|defaults| defaults.protocol.as_str());
        let protocol = match own.or(all).unwrap_or("") {
            "" => "tcp".to_owned(),
            protocol => protocol.to_lowercase(),
        };
        if self.protocol.is_empty() {
            self.protocol = protocol;
        } else if self.protocol != protocol {
            refuse!(
                "discovery chain {} uses inconsistent protocols; service {} has {} which is not {}",
                quote(self.service),
                quote(service),
                quote(&protocol),
                quote(&self.protocol)
            );
        }
        Ok(())
    }

    /// The target of these instances; its id.
    pub(super) fn target(&mut self, wanted: Wanted) -> String {
        let mut target = Target {
            service: wanted.service,
            subset: wanted.subset,
            namespace: DEFAULT.to_owned(),
            partition: DEFAULT.to_owned(),
            datacenter: wanted.datacenter,
            peer: wanted.peer,
            ..Target::default()
        };
        if target.peer.is_empty() {
            if target.datacenter.is_empty() {
                target.datacenter.clone_from(&self.place.datacenter);
            }
            let subset = dotted(&target.subset);
            let (service, datacenter) = (&target.service, &target.datacenter);
            target.id = format!("{subset}{service}.{DEFAULT}.{DEFAULT}.{datacenter}");
            let domain = &self.place.trust_domain;
            target.sni = format!("{subset}{service}.{DEFAULT}.{datacenter}.internal.{domain}");
            target.name.clone_from(&target.sni);
        } else {
            target.datacenter.clear();
            let (service, peer) = (&target.service, &target.peer);
            target.id = format!("{service}.{DEFAULT}.{DEFAULT}.external.{peer}");
        }
        let id = target.id.clone();
        self.targets.entry(id.clone()).or_insert(target);
        id
    }

    fn finish(mut self) -> Result<Chain, Invalid> {
        let retained = &self.retained;
        self.targets.retain(|id, _| retained.contains(id));
        if self.advanced && !is_http_like(&self.protocol) {
            refuse!(
                "discovery chain {} uses a protocol {} that does not permit advanced routing or splitting behavior",
                quote(self.service),
                quote(&self.protocol)
            );
        }
        if !self.overrides.protocol.is_empty() && self.overrides.protocol != self.protocol {
            self.protocol.clone_from(&self.overrides.protocol);
            self.customized.protocol = true;
        }
        let own = self.set.services.get(self.service);
        let all = self.set.proxies.iter().flat_map(|defaults| &defaults.envoy_extensions);
        let extensions = all.chain(own.iter().flat_map(|defaults| &defaults.envoy_extensions));
        Ok(Chain {
            service: self.service.to_owned(),
            namespace: DEFAULT.to_owned(),
            partition: DEFAULT.to_owned(),
            datacenter: self.place.datacenter.clone(),
            customization: self.customization(),
            default: self.is_default(),
            envoy_extensions: extensions.cloned().collect(),
            service_meta: own.map(|defaults| defaults.meta.clone()).unwrap_or_default(),
            protocol: self.protocol,
            start: self.start,
            nodes: self.nodes,
            targets: self.targets,
            auto_ips: List(None),
            manual_ips: List(None),
        })
    }

    /// A word for what the wishes changed.
    fn customization(&self) -> String {
        let Customized { mesh_gateway, protocol, connect_timeout } = self.customized;
        if !mesh_gateway && !protocol && !connect_timeout {
            return String::new();
        }
        let mut made = Overrides::default();
        if mesh_gateway {
            made.mesh_gateway.clone_from(&self.overrides.mesh_gateway);
        }
        if protocol {
            made.protocol.clone_from(&self.overrides.protocol);
        }
        if connect_timeout {
            made.connect_timeout = self.overrides.connect_timeout;
        }
        let text = format!("{:x}", made.digest());
        text.chars().take(8).collect()
    }

    fn is_default(&self) -> bool {
        let resolver = self.nodes.get(&self.start).and_then(|node| node.resolver.as_ref());
        let Some(resolver) = resolver.filter(|resolver| resolver.default) else { return false };
        self.targets.get(&resolver.target).is_some_and(|target| target.service == self.service)
    }
}

// === impl Wanted ===

impl Wanted {
    /// All instances of a service.
    pub(super) fn service(service: &str) -> Self {
        Self { service: service.to_owned(), ..Self::default() }
    }
}

/// A service's name with the namespace and partition that it has.
fn qualified(service: &str) -> String {
    format!("{service}.{DEFAULT}.{DEFAULT}")
}

fn dotted(subset: &str) -> String {
    if subset.is_empty() { String::new() } else { format!("{subset}.") }
}

/// The route of what no other route takes.
fn catch_all(service: &str) -> RouteDefinition {
    let http = HttpMatch { prefix: "/".to_owned(), ..HttpMatch::default() };
    let destination = Destination {
        service: service.to_owned(),
        namespace: DEFAULT.to_owned(),
        partition: DEFAULT.to_owned(),
        ..Destination::default()
    };
    RouteDefinition {
        matching: Some(Box::new(Match { http: Some(Box::new(http)) })),
        destination: Some(Box::new(destination)),
    }
}
