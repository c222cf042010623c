//! The end of a chain: which instances a target stands for, and which take their place.

use crate::chain::compile::{Compiler, Wanted};
use crate::chain::node::{ByLocality, Failover, Node, RESOLVER, Resolver, Target};
use crate::entries::service_resolver::ServiceResolver;
use crate::text::{Invalid, Verdict, quote, refuse};
use crate::wire::Pause;

/// How long a connection may take to be made where nothing is said of it: five seconds.
const CONNECT_TIMEOUT: Pause = Pause(5_000_000_000);

// === impl Compiler ===

impl Compiler<'_> {
    /// The node of a target; its key.
    pub(super) fn resolver(&mut self, target: String) -> Result<String, Invalid> {
        let (target, resolver) = match self.settle(target)? {
            Settled::Known(key) => return Ok(key),
            Settled::New(target, resolver) => (target, *resolver),
        };
        let mut node = self.end(&target, &resolver)?;
        let key = node.key();
        self.resolver_nodes.insert(target.clone(), key.clone());
        self.nodes.insert(key.clone(), node.clone());
        let targets = self.failover_targets(&target, &resolver);
        if !targets.is_empty() {
            let failover = self.failover(&target, &resolver, targets)?;
            if let Some(end) = &mut node.resolver {
                end.failover = Some(Box::new(failover));
            }
            self.nodes.insert(key.clone(), node);
        }
        Ok(key)
    }

    /// Follows redirects and default subsets from a target to the one that is meant.
    fn settle(&mut self, mut target: String) -> Result<Settled, Invalid> {
        let mut history: Vec<String> = Vec::new();
        loop {
            if let Some(key) = self.resolver_nodes.get(&target) {
                return Ok(Settled::Known(key.clone()));
            }
            let now = self.target_of(&target);
            if now.peer.is_empty() {
                self.record_protocol(&now.service)?;
            }
            let resolver = self.resolver_of(&now.service);
            let circular = history.contains(&target);
            history.push(target.clone());
            if circular {
                refuse!("detected circular resolver redirect: [{}]", history.join(" -> "));
            }
            if let Some(redirect) = &resolver.redirect {
                let wanted = Wanted {
                    service: redirect.service.clone(),
                    subset: redirect.subset.clone(),
                    datacenter: redirect.datacenter.clone(),
                    peer: redirect.peer.clone(),
                };
                let next = self.rewrite(&now, wanted);
                if next != target {
                    target = next;
                    continue;
                }
            }
            if now.subset.is_empty() && !resolver.default_subset.is_empty() {
                let subset = resolver.default_subset.clone();
                target = self.rewrite(&now, Wanted { subset, ..Wanted::default() });
                continue;
            }
            if !resolver.has_subset(&now.subset) {
                let (service, subset) = (quote(&now.service), quote(&now.subset));
                refuse!("service {service} does not have a subset named {subset}");
            }
            return Ok(Settled::New(target, Box::new(resolver)));
        }
    }

    fn target_of(&self, id: &str) -> Target {
        self.targets.get(id).cloned().unwrap_or_default()
    }

    fn resolver_of(&mut self, service: &str) -> ServiceResolver {
        let blank = || ServiceResolver {
            kind: "service-resolver".to_owned(),
            name: service.to_owned(),
            ..ServiceResolver::default()
        };
        self.resolvers.entry(service.to_owned()).or_insert_with(blank).clone()
    }

    /// A target with some of its parts replaced.
    fn rewrite(&mut self, target: &Target, wanted: Wanted) -> String {
        let mut next = Wanted {
            service: target.service.clone(),
            subset: target.subset.clone(),
            datacenter: target.datacenter.clone(),
            peer: wanted.peer,
        };
        if !wanted.service.is_empty() && wanted.service != next.service {
            next.service = wanted.service;
            next.subset.clear();
        }
        if !wanted.subset.is_empty() {
            next.subset = wanted.subset;
        }
        if !wanted.datacenter.is_empty() {
            next.datacenter = wanted.datacenter;
        }
        self.target(next)
    }

    /// Settles what a target stands for, and makes its node.
    fn end(&mut self, id: &str, resolver: &ServiceResolver) -> Result<Node, Invalid> {
        let timeout = self.connect_timeout(resolver);
        let mut target = self.target_of(id);
        target.connect_timeout = timeout;
        let end = Resolver {
            connect_timeout: timeout,
            default: resolver.is_default(),
            request_timeout: crate::wire::Nanos(resolver.request_timeout.0),
            target: id.to_owned(),
            failover: None,
        };
        let mut node = Node::new(RESOLVER, id.to_owned());
        node.resolver = Some(Box::new(end));
        node.balancer.clone_from(&resolver.balancer);
        let proxies = self.set.proxies.as_ref();
        if target.peer.is_empty() {
            let order = resolver.by_locality.as_ref();
            let order = order.or_else(|| proxies.and_then(|proxies| proxies.by_locality.as_ref()));
            target.by_locality =
                order.map(|order| Box::new(ByLocality { mode: order.mode.clone() }));
        }
        target.instances = resolver.subsets.get(&target.subset).cloned().unwrap_or_default();
        let defaults = self.set.services.get(&target.service);
        let external = defaults.map(|defaults| &defaults.external_sni);
        if let Some(sni) = external.filter(|sni| !sni.is_empty()) {
            target.sni.clone_from(sni);
            target.external = true;
            check_external(&target.service, resolver)?;
        } else {
            self.reach_through(&mut target);
        }
        self.retained.insert(id.to_owned());
        self.targets.insert(id.to_owned(), target);
        Ok(node)
    }

    fn connect_timeout(&mut self, resolver: &ServiceResolver) -> Pause {
        let own = resolver.connect_timeout;
        let timeout = if own.0 < 1 { CONNECT_TIMEOUT } else { own };
        let wished = Pause(self.overrides.connect_timeout.0);
        if wished.0 <= 0 || wished == timeout {
            return timeout;
        }
        self.customized.connect_timeout = true;
        wished
    }

    /// Through which gateways and how directly a target is reached.
    fn reach_through(&mut self, target: &mut Target) {
        if let Some(defaults) = self.set.services.get(&target.service) {
            target.mesh_gateway.clone_from(&defaults.mesh_gateway);
            target.transparent_proxy.dialed_directly = defaults.transparent_proxy.dialed_directly;
        }
        if let Some(proxies) = &self.set.proxies {
            if target.mesh_gateway.mode.is_empty() {
                target.mesh_gateway.mode.clone_from(&proxies.mesh_gateway.mode);
            }
            target.transparent_proxy.dialed_directly |= proxies.transparent_proxy.dialed_directly;
        }
        let wished = &self.overrides.mesh_gateway.mode;
        if !wished.is_empty() && target.mesh_gateway.mode != *wished {
            target.mesh_gateway.mode.clone_from(wished);
            self.customized.mesh_gateway = true;
        }
    }

    /// The targets that take a target's place, in their order.
    fn failover_targets(&mut self, id: &str, resolver: &ServiceResolver) -> Vec<String> {
        let target = self.target_of(id);
        let failover = resolver.failover.get(&target.subset);
        let Some(failover) = failover.or_else(|| resolver.failover.get("*")) else {
            return Vec::new();
        };
        let base = Wanted {
            service: failover.service.clone(),
            subset: failover.subset.clone(),
            ..Wanted::default()
        };
        let wanted: Vec<Wanted> = if !failover.datacenters.is_empty() {
            let elsewhere =
                |datacenter: &String| Wanted { datacenter: datacenter.clone(), ..base.clone() };
            failover.datacenters.iter().map(elsewhere).collect()
        } else if failover.targets.is_empty() {
            vec![base]
        } else {
            let each = failover.targets.iter();
            each.map(|target| Wanted {
                service: target.service.clone(),
                subset: target.subset.clone(),
                datacenter: target.datacenter.clone(),
                peer: target.peer.clone(),
            })
            .collect()
        };
        let ids: Vec<String> =
            wanted.into_iter().map(|wanted| self.rewrite(&target, wanted)).collect();
        ids.into_iter().filter(|other| other != id).collect()
    }

    fn failover(
        &mut self,
        id: &str,
        resolver: &ServiceResolver,
        targets: Vec<String>,
    ) -> Result<Failover, Invalid> {
        let subset = self.target_of(id).subset;
        let own = resolver.failover.get(&subset).or_else(|| resolver.failover.get("*"));
        let own = own.and_then(|failover| failover.policy.clone());
        let all = self.set.proxies.as_ref().and_then(|proxies| proxies.failover_policy.clone());
        let mut failover = Failover { policy: own.or(all), ..Failover::default() };
        for target in targets {
            let settled = match self.settle(target)? {
                Settled::Known(key) => {
                    let end = self.nodes.get(&key).and_then(|node| node.resolver.as_ref());
                    end.map(|end| end.target.clone()).unwrap_or_default()
                }
                Settled::New(target, resolver) => {
                    self.end(&target, &resolver)?;
                    target
                }
            };
            failover.targets.push(settled);
        }
        Ok(failover)
    }
}

/// Where a target led to.
enum Settled {
    /// A node that there is already.
    Known(String),
    /// A target without a node yet, and the resolver that it has.
    New(String, Box<ServiceResolver>),
}

/// Whether nothing is asked of an outside service that only the mesh can do.
fn check_external(service: &str, resolver: &ServiceResolver) -> Verdict {
    let asked = [
        ("redirects", resolver.redirect.is_some()),
        ("subsets", !resolver.subsets.is_empty()),
        ("failover", !resolver.failover.is_empty()),
    ];
    match asked.iter().find(|(_, asked)| *asked) {
        Some((what, _)) => refuse!(
            "service {} has an external SNI set; cannot define {what} for external services",
            quote(service)
        ),
        None => Ok(()),
    }
}
