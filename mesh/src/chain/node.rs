//! The parts of a chain.

use crate::entries::service_resolver::{FailoverPolicy, LoadBalancer, Subset};
use crate::entries::service_router::Route as RouteDefinition;
use crate::entries::service_splitter::Split as SplitDefinition;
use crate::entries::shared::{MeshGateway, TransparentProxy};
use crate::wire::{Nanos, Pause, Share, record};

pub(crate) const ROUTER: &str = "router";
pub(crate) const SPLITTER: &str = "splitter";
pub(crate) const RESOLVER: &str = "resolver";

record! {
    /// A decision on the way.
    Node = "DiscoveryGraphNode" {
        kind: String = "Type" always,
        name: String = "Name" always,
        routes: Vec<Route> = "Routes" omit,
        splits: Vec<Split> = "Splits" omit,
        resolver: Option<Box<Resolver>> = "Resolver" omit,
        balancer: Option<Box<LoadBalancer>> = "LoadBalancer" omit,
    }
}

record! {
    /// A route and the node that it leads to.
    Route = "DiscoveryRoute" {
        definition: Option<Box<RouteDefinition>> = "Definition" omit,
        next: String = "NextNode" omit,
    }
}

record! {
    /// A share and the node that it goes to.
    Split = "DiscoverySplit" {
        definition: Option<Box<SplitDefinition>> = "Definition" omit,
        weight: Share = "Weight" omit,
        next: String = "NextNode" omit,
    }
}

record! {
    /// The end of the way.
    Resolver = "DiscoveryResolver" {
        connect_timeout: Pause = "ConnectTimeout" omit,
        default: bool = "Default" omit,
        request_timeout: Nanos = "RequestTimeout" omit,
        target: String = "Target" omit,
        failover: Option<Box<Failover>> = "Failover" omit,
    }
}

record! {
    /// Other ends, should that one have no instance left.
    Failover = "DiscoveryFailover" {
        targets: Vec<String> = "Targets" omit,
        policy: Option<Box<FailoverPolicy>> = "Policy" omit,
        regions: Vec<String> = "Regions" omit,
    }
}

record! {
    /// Instances of a service.
    Target = "DiscoveryTarget" {
        connect_timeout: Pause = "ConnectTimeout" omit,
        id: String = "ID" omit,
        service: String = "Service" omit,
        subset: String = "ServiceSubset" omit,
        namespace: String = "Namespace" omit,
        partition: String = "Partition" omit,
        datacenter: String = "Datacenter" omit,
        peer: String = "Peer" omit,
        mesh_gateway: MeshGateway = "MeshGateway" omit,
        instances: Subset = "Subset" omit,
        transparent_proxy: TransparentProxy = "TransparentProxy" omit,
        external: bool = "External" omit,
        sni: String = "SNI" omit,
        name: String = "Name" omit,
        by_locality: Option<Box<ByLocality>> = "PrioritizeByLocality" omit,
    }
}

record! {
    /// Whether near instances come first.
    ByLocality = "DiscoveryPrioritizeByLocality" {
        mode: String = "Mode" omit,
    }
}

// === impl Node ===

impl Node {
    /// A node of this kind.
    pub(crate) fn new(kind: &str, name: String) -> Self {
        Self { kind: kind.to_owned(), name, ..Self::default() }
    }

    /// Under which key it is found.
    pub(crate) fn key(&self) -> String {
        format!("{}:{}", self.kind, self.name)
    }

    /// The keys of the nodes after it.
    pub(crate) fn next(&self) -> impl Iterator<Item = &str> {
        let routes = self.routes.iter().map(|route| route.next.as_str());
        routes.chain(self.splits.iter().map(|split| split.next.as_str()))
    }
}
