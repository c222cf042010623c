//! `service-resolver`: which instances stand for a service.

use std::collections::{BTreeMap, BTreeSet};

use crate::entries::Outside;
use crate::entries::shared::{Meta, check_meta};
use crate::text::{Verdict, quote, refuse};
use crate::wire::{Indexes, Nanos, Pause, record};
use proconsul_anchors::duration;

mod balance;

pub(crate) use balance::LoadBalancer;

/// Bytes of a subset's name at most.
const SUBSET_BYTES_MAX: usize = 63;

record! {
    /// The instances of a service.
    ServiceResolver = "ServiceResolverConfigEntry" tenant {
        connect_timeout: Pause = "ConnectTimeout" | "connect_timeout" omit,
        request_timeout: Pause = "RequestTimeout" | "request_timeout" omit,
        kind: String = "Kind" always,
        name: String = "Name" always,
        default_subset: String = "DefaultSubset" | "default_subset" omit,
        subsets: BTreeMap<String, Subset> = "Subsets" omit,
        redirect: Option<Box<Redirect>> = "Redirect" omit,
        failover: BTreeMap<String, Failover> = "Failover" omit,
        by_locality: Option<Box<ByLocality>> = "PrioritizeByLocality" | "prioritize_by_locality" omit,
        balancer: Option<Box<LoadBalancer>> = "LoadBalancer" | "load_balancer" omit,
        meta: Meta = "Meta" omit,
        hash: u64 = "Hash" hash,
        rows: Indexes = "RaftIndex" rows,
    }
}

record! {
    /// Some of the instances.
    Subset = "ServiceResolverSubset" {
        filter: String = "Filter" omit,
        only_passing: bool = "OnlyPassing" | "only_passing" omit,
    }
}

record! {
    /// Another service that stands for this one.
    Redirect = "ServiceResolverRedirect" {
        service: String = "Service" omit,
        subset: String = "ServiceSubset" | "service_subset" omit,
        namespace: String = "Namespace" omit,
        partition: String = "Partition" omit,
        datacenter: String = "Datacenter" omit,
        peer: String = "Peer" omit,
        sameness_group: String = "SamenessGroup" omit,
    }
}

record! {
    /// Where to go when no instance is left.
    Failover = "ServiceResolverFailover" {
        service: String = "Service" omit,
        subset: String = "ServiceSubset" | "service_subset" omit,
        namespace: String = "Namespace" omit,
        datacenters: Vec<String> = "Datacenters" omit,
        targets: Vec<FailoverTarget> = "Targets" omit,
        policy: Option<Box<FailoverPolicy>> = "Policy" omit,
        sameness_group: String = "SamenessGroup" omit,
    }
}

record! {
    /// One place to go.
    FailoverTarget = "ServiceResolverFailoverTarget" {
        service: String = "Service" omit,
        subset: String = "ServiceSubset" | "service_subset" omit,
        partition: String = "Partition" omit,
        namespace: String = "Namespace" omit,
        datacenter: String = "Datacenter" omit,
        peer: String = "Peer" omit,
    }
}

record! {
    /// In which order places are tried.
    FailoverPolicy = "ServiceResolverFailoverPolicy" {
        mode: String = "Mode" omit,
        regions: Vec<String> = "Regions" omit,
    }
}

record! {
    /// Whether near instances come first.
    ByLocality = "ServiceResolverPrioritizeByLocality" {
        mode: String = "Mode" omit,
    }
}

// === impl ServiceResolver ===

impl ServiceResolver {
    pub(crate) fn normalize(&mut self) -> Verdict {
        "service-resolver".clone_into(&mut self.kind);
        Ok(())
    }

    /// Whether it says nothing at all.
    pub(crate) fn is_default(&self) -> bool {
        *self
            == Self {
                kind: self.kind.clone(),
                name: self.name.clone(),
                meta: self.meta.clone(),
                hash: self.hash,
                rows: self.rows,
                ..Self::default()
            }
    }

    /// Whether a subset of this name can be asked for; the empty name stands for all instances.
    pub(crate) fn has_subset(&self, name: &str) -> bool {
        name.is_empty() || self.subsets.contains_key(name)
    }

    pub(crate) fn validate(&self, outside: &dyn Outside) -> Verdict {
        if self.name.is_empty() {
            refuse!("Name is required");
        }
        check_meta(&self.meta).verdict()?;
        self.check_subsets(outside)?;
        self.by_locality.as_ref().map_or(Ok(()), |order| order.validate())?;
        if let Some(redirect) = &self.redirect {
            redirect.check_enterprise().map_err(|reason| reason.under("Redirect: "))?;
            if !self.failover.is_empty() {
                refuse!("Redirect and Failover cannot both be set");
            }
            redirect.validate(self)?;
        }
        for (subset, failover) in &self.failover {
            failover.validate(self, subset)?;
        }
        for (name, timeout) in
            [("ConnectTimeout", self.connect_timeout), ("RequestTimeout", self.request_timeout)]
        {
            if timeout.0 < 0 {
                refuse!("Bad {name} '{}', must be >= 0", duration::show(timeout.0));
            }
        }
        self.balancer.as_ref().map_or(Ok(()), |balancer| balancer.validate())
    }

    fn check_subsets(&self, outside: &dyn Outside) -> Verdict {
        for (name, subset) in &self.subsets {
            if name.is_empty() {
                refuse!("Subset defined with empty name");
            }
            check_subset_name(name)
                .map_err(|reason| reason.under(format!("Subset {} is invalid: ", quote(name))))?;
            if !subset.filter.is_empty()
                && let Err(reason) = outside.expression(&subset.filter)
            {
                let name = quote(name);
                refuse!("Filter for subset {name} is not a valid expression: {reason}");
            }
        }
        if !self.has_subset(&self.default_subset) {
            refuse!("DefaultSubset {} is not a valid subset", quote(&self.default_subset));
        }
        Ok(())
    }

    /// The services that it leads to, without the own one.
    pub(crate) fn related(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        names.extend(self.redirect.as_ref().map(|redirect| redirect.service.clone()));
        for failover in self.failover.values() {
            if failover.targets.is_empty() {
                names.insert(failover.service.clone());
            }
            let here = failover.targets.iter().filter(|target| target.peer.is_empty());
            names.extend(here.map(|target| target.service.clone()));
        }
        names.retain(|name| !name.is_empty() && *name != self.name);
        names
    }
}

fn check_subset_name(name: &str) -> Verdict {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    if name.len() > SUBSET_BYTES_MAX {
        refuse!("must be non-empty and {SUBSET_BYTES_MAX} characters or fewer");
    }
    let ends = bytes.first().is_some_and(|first| word(*first))
        && bytes.last().is_some_and(|last| word(*last));
    if !ends || !bytes.iter().all(|byte| word(*byte) || *byte == b'-') {
        refuse!(
            "must be {SUBSET_BYTES_MAX} characters or fewer, begin or end with lower case alphanumeric characters, and contain lower case alphanumeric characters or '-' in between"
        );
    }
    Ok(())
}

// === impl Redirect ===

impl Redirect {
    fn check_enterprise(&self) -> Verdict {
        check_enterprise(&[
            ("Partition", &self.partition),
            ("Namespace", &self.namespace),
            ("SamenessGroup", &self.sameness_group),
        ])
    }

    fn validate(&self, resolver: &ServiceResolver) -> Verdict {
        if *self == Self::default() {
            refuse!("Redirect is empty");
        }
        if !self.peer.is_empty() && !self.subset.is_empty() {
            refuse!("Redirect.Peer cannot be set with Redirect.ServiceSubset");
        }
        if !self.peer.is_empty() && !self.datacenter.is_empty() {
            refuse!("Redirect.Peer cannot be set with Redirect.Datacenter");
        }
        if self.service.is_empty() && !self.subset.is_empty() {
            refuse!("Redirect.ServiceSubset defined without Redirect.Service");
        }
        if self.service.is_empty() && !self.peer.is_empty() {
            refuse!("Redirect.Peer defined without Redirect.Service");
        }
        if self.service == resolver.name && !resolver.has_subset(&self.subset) {
            refuse!(
                "Redirect.ServiceSubset {} is not a valid subset of {}",
                quote(&self.subset),
                quote(&resolver.name)
            );
        }
        Ok(())
    }
}

/// Whether nothing is set that only the enterprise edition has.
fn check_enterprise(fields: &[(&str, &str)]) -> Verdict {
    match fields.iter().find(|(_, value)| !value.is_empty()) {
        Some((name, _)) => refuse!("Setting {name} requires Consul Enterprise"),
        None => Ok(()),
    }
}

// === impl Failover ===

impl Failover {
    fn validate(&self, resolver: &ServiceResolver, subset: &str) -> Verdict {
        let place = format!("Bad Failover[{}]", quote(subset));
        let within =
            |verdict: Verdict| verdict.map_err(|reason| reason.under(format!("{place}: ")));
        within(check_enterprise(&[
            ("Namespace", &self.namespace),
            ("SamenessGroup", &self.sameness_group),
        ]))?;
        if subset != "*" && !resolver.subsets.contains_key(subset) {
            refuse!("{place}: not a valid subset subset");
        }
        let named = !self.service.is_empty() || !self.subset.is_empty();
        if !named && self.datacenters.is_empty() && self.targets.is_empty() {
            refuse!(
                "{place}: one of Service, ServiceSubset, Namespace, Targets, SamenessGroup, or Datacenters is required"
            );
        }
        if self.policy.as_ref().is_some_and(|policy| !policy.mode.is_empty()) {
            refuse!("{place}: Setting failover policies requires Consul Enterprise");
        }
        let own = self.service.is_empty() || self.service == resolver.name;
        if own && !resolver.has_subset(&self.subset) {
            refuse!(
                "{place}: ServiceSubset {} is not a valid subset of {}",
                quote(&self.subset),
                quote(&self.service)
            );
        }
        self.check_targets(resolver, &place)?;
        if self.datacenters.iter().any(String::is_empty) {
            refuse!("{place}.Datacenters: found empty datacenter");
        }
        Ok(())
    }

    fn check_targets(&self, resolver: &ServiceResolver, place: &str) -> Verdict {
        let others = [
            ("Datacenters", !self.datacenters.is_empty()),
            ("ServiceSubset", !self.subset.is_empty()),
            ("Service", !self.service.is_empty()),
        ];
        if !self.targets.is_empty()
            && let Some((name, _)) = others.iter().find(|(_, given)| *given)
        {
            refuse!("{place}: Targets cannot be set with {name}");
        }
        for (at, target) in self.targets.iter().enumerate() {
            let place = format!("{place}.Targets[{at}]: ");
            target.validate(resolver).map_err(|reason| reason.under(place))?;
        }
        Ok(())
    }
}

// === impl FailoverTarget ===

impl FailoverTarget {
    fn validate(&self, resolver: &ServiceResolver) -> Verdict {
        check_enterprise(&[("Partition", &self.partition), ("Namespace", &self.namespace)])?;
        if !self.peer.is_empty() && !self.subset.is_empty() {
            refuse!("Peer cannot be set with ServiceSubset");
        }
        if !self.peer.is_empty() && !self.datacenter.is_empty() {
            refuse!("Peer cannot be set with Datacenter");
        }
        let own = self.service.is_empty() || self.service == resolver.name;
        if own && !resolver.has_subset(&self.subset) {
            refuse!(
                "ServiceSubset {} is not a valid subset of {}",
                quote(&self.subset),
                quote(&resolver.name)
            );
        }
        Ok(())
    }
}

// === impl FailoverPolicy ===

impl FailoverPolicy {
    pub(crate) fn validate(&self) -> Verdict {
        match self.mode.as_str() {
            "" | "sequential" | "order-by-locality" => Ok(()),
            _ => refuse!(
                "Failover-policy mode must be one of '', 'sequential', or 'order-by-locality'"
            ),
        }
    }
}

// === impl ByLocality ===

impl ByLocality {
    pub(crate) fn validate(&self) -> Verdict {
        if self.mode.is_empty() {
            return Ok(());
        }
        refuse!("Prioritize-by-locality requires Consul Enterprise ")
    }
}

/// How long a cookie lives that binds a client to an instance.
pub(crate) type CookieTtl = Nanos;
