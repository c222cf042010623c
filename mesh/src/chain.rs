//! Discovery chains: what a service's name leads to once routers, splitters and resolvers have had their say.
//!
//! ```text
//!   names ─▶ set (the entries that matter) ─▶ compile (router ─▶ splitter ─▶ resolver) ─▶ tidy (circles, nested splits, leftovers)
//! ```

use crate::entries::shared::{EnvoyExtension, MeshGateway, Meta};
use crate::library::Library;
use crate::text::{Invalid, refuse};
use crate::wire::{List, Nanos, record};

mod compile;
mod node;
mod resolve;
mod set;
mod tidy;

pub(crate) use compile::compile;
pub(crate) use node::{Node, Target};
pub(crate) use set::Set;

use std::collections::BTreeMap;

/// The only namespace and partition that there are.
pub(crate) const DEFAULT: &str = "default";

record! {
    /// What a name leads to.
    Chain = "CompiledDiscoveryChain" {
        service: String = "ServiceName" always,
        namespace: String = "Namespace" always,
        partition: String = "Partition" always,
        datacenter: String = "Datacenter" always,
        customization: String = "CustomizationHash" omit,
        default: bool = "Default" omit,
        protocol: String = "Protocol" omit,
        service_meta: Meta = "ServiceMeta" omit,
        envoy_extensions: Vec<EnvoyExtension> = "EnvoyExtensions" omit,
        start: String = "StartNode" omit,
        nodes: BTreeMap<String, Node> = "Nodes" omit,
        targets: BTreeMap<String, Target> = "Targets" omit,
        auto_ips: List<String> = "AutoVirtualIPs" always,
        manual_ips: List<String> = "ManualVirtualIPs" always,
    }
}

record! {
    /// What a reader of a chain wants otherwise than the entries have it.
    Overrides = "" {
        mesh_gateway: MeshGateway = "OverrideMeshGateway" | "override_mesh_gateway" always,
        protocol: String = "OverrideProtocol" | "override_protocol" always,
        connect_timeout: Nanos = "OverrideConnectTimeout" | "override_connect_timeout" always,
    }
}

/// Where a chain is compiled.
#[derive(Clone, Debug)]
pub struct Place {
    /// The datacenter that it is asked from.
    pub datacenter: String,
    /// The domain of the cluster's certificates.
    pub trust_domain: String,
}

/// What a reader of a chain wants otherwise than the entries have it.
#[derive(Clone, Debug, Default)]
pub struct Wishes(pub(crate) Overrides);

/// A compiled chain, ready to be printed.
#[derive(Clone, Debug)]
pub struct Compiled {
    pub(crate) chain: Chain,
    /// Whether any entry had a say in it.
    pub touched: bool,
}

// === impl Wishes ===

impl Wishes {
    /// Reads them as a client wrote them.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn decode(raw: &serde_json::Value) -> Result<Self, Invalid> {
        let mut wishes = Overrides::default();
        let mut report = crate::wire::Report::default();
        crate::wire::read(&mut wishes, raw, "", &mut report);
        report.lenient()?;
        Ok(Self(wishes))
    }

    /// Whether the mode of mesh gateways is one that there is.
    pub fn has_known_mode(&self) -> bool {
        matches!(self.0.mesh_gateway.mode.as_str(), "" | "none" | "local" | "remote")
    }
}

// === impl Compiled ===

impl Compiled {
    /// Compiles the chain of a service.
    ///
    /// # Errors
    /// The entries contradict each other.
    pub fn of(
        service: &str,
        place: &Place,
        wishes: &Wishes,
        library: &dyn Library,
    ) -> Result<Self, Invalid> {
        if service.is_empty() {
            refuse!("Must provide service name");
        }
        let set = Set::of(service, library);
        let touched = !set.is_empty();
        let chain = compile(service, place, &wishes.0, &set)
            .map_err(|reason| reason.under("failed to compile discovery chain: "))?;
        Ok(Self { chain, touched })
    }

    /// Says which virtual address the service has.
    pub fn with_virtual_address(mut self, address: Option<String>) -> Self {
        if let Some(address) = address {
            self.chain.auto_ips = List(Some(vec![address]));
            self.chain.manual_ips = List(Some(Vec::new()));
        }
        self
    }

    /// The services that requests may end at, in this datacenter.
    pub fn targets(&self) -> impl Iterator<Item = &str> {
        let here = |target: &&Target| target.datacenter == self.chain.datacenter;
        self.chain.targets.values().filter(here).map(|target| target.service.as_str())
    }

    /// The protocol that is spoken along it.
    pub fn protocol(&self) -> &str {
        &self.chain.protocol
    }
}

impl serde::Serialize for Compiled {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("Chain", &self.chain)?;
        map.end()
    }
}

#[cfg(test)]
mod tests;
