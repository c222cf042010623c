//! `exported-services`: which services other clusters may use.

use std::collections::{BTreeMap, BTreeSet};

use crate::entries::Outside;
use crate::entries::shared::{Meta, WILDCARD, check_meta};
use crate::text::{Verdict, refuse};
use crate::wire::{Indexes, record};

/// The only name that there is.
pub(crate) const DEFAULT: &str = "default";

record! {
    /// What is exported, and to whom.
    ExportedServices = "ExportedServicesConfigEntry" tenant {
        name: String = "Name" always,
        services: Vec<Exported> = "Services" omit,
        meta: Meta = "Meta" omit,
        hash: u64 = "Hash" hash,
        rows: Indexes = "RaftIndex" rows,
    }
}

record! {
    /// A service and its consumers.
    Exported = "ExportedService" {
        name: String = "Name" always,
        namespace: String = "Namespace" omit,
        consumers: Vec<Consumer> = "Consumers" omit,
    }
}

record! {
    /// Another cluster.
    Consumer = "ServiceConsumer" {
        partition: String = "Partition" omit,
        peer: String = "Peer" | "peer_name" omit,
        sameness_group: String = "SamenessGroup" | "sameness_group" omit,
    }
}

// === impl ExportedServices ===

impl ExportedServices {
    pub(crate) fn normalize(&mut self) -> Verdict {
        self.services.iter_mut().for_each(|service| service.namespace.clear());
        Ok(())
    }

    pub(crate) fn validate(&self, _: &dyn Outside) -> Verdict {
        if self.name != DEFAULT {
            refuse!("exported-services Name must be \"{DEFAULT}\"");
        }
        check_meta(&self.meta).verdict()?;
        self.check_enterprise()?;
        self.services.iter().enumerate().try_for_each(|(at, service)| service.validate(at))
    }

    fn check_enterprise(&self) -> Verdict {
        for (at, service) in self.services.iter().enumerate() {
            for (consumer_at, consumer) in service.consumers.iter().enumerate() {
                let place = format!("Services[{at}].Consumers[{consumer_at}]");
                if !consumer.sameness_group.is_empty() {
                    refuse!("{place}: sameness-groups are an enterprise-only feature");
                }
            }
        }
        Ok(())
    }

    /// Each exported service with its peers; a wildcard stands for the services that are named.
    pub(crate) fn resolved<'a>(
        &self,
        named: impl Iterator<Item = &'a str> + Clone,
    ) -> BTreeMap<String, BTreeSet<String>> {
        let mut exported: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for service in self.services.iter().filter(|service| service.name != "consul") {
            let peers = service.consumers.iter().map(|consumer| consumer.peer.clone());
            let peers: BTreeSet<String> = peers.filter(|peer| !peer.is_empty()).collect();
            if service.name == WILDCARD {
                for name in named.clone().filter(|name| *name != "consul") {
                    exported.entry(name.to_owned()).or_default().extend(peers.clone());
                }
            } else {
                exported.entry(service.name.clone()).or_default().extend(peers);
            }
        }
        exported
    }
}

// === impl Exported ===

impl Exported {
    fn validate(&self, at: usize) -> Verdict {
        if self.name.is_empty() {
            refuse!("Services[{at}]: service name cannot be empty");
        }
        if self.consumers.is_empty() {
            refuse!("Services[{at}]: must have at least one consumer");
        }
        for (consumer_at, consumer) in self.consumers.iter().enumerate() {
            let place = format!("Services[{at}].Consumers[{consumer_at}]");
            if !consumer.peer.is_empty() && !consumer.partition.is_empty() {
                refuse!("{place}: must define at most one of Peer, Partition, or SamenessGroup");
            }
            if consumer.partition == WILDCARD {
                refuse!("{place}: exporting to all partitions (wildcard) is not supported");
            }
            if consumer.peer == WILDCARD {
                refuse!("{place}: exporting to all peers (wildcard) is not supported");
            }
        }
        Ok(())
    }
}
