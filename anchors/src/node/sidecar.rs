//! Sidecars: the proxies that are registered, and go, with the service they stand for.

use std::sync::Arc;
use std::time::Duration;

use super::definition::join_host_port;
use super::{CheckDefinition, Leaf, NodeError, ServiceDefinition};
use crate::service::mesh::{CONNECT_PROXY, Mesh, Proxy, SIDECAR_SUFFIX};
use crate::service::{Rare, Service};

/// Where the application listens when nobody says.
const LOCAL_ADDRESS: &str = "127.0.0.1";
/// How often it is looked whether a sidecar listens: Consul's.
const LISTENING_INTERVAL: Duration = Duration::from_secs(10);

/// The id of the sidecar of a service.
pub(super) fn sidecar_id(service: &str) -> String {
    format!("{service}{SIDECAR_SUFFIX}")
}

impl Leaf {
    /// The sidecar that a definition asks for, with all that follows from its service, which has its id already.
    ///
    /// # Errors
    /// Consul would refuse it, or there is no port for it.
    pub(super) fn sidecar_of(
        &self,
        parent: &Service,
        mut asked: ServiceDefinition,
    ) -> Result<ServiceDefinition, NodeError> {
        beside(parent, &mut asked.service);
        asked.validate_as_sidecar()?;
        if asked.service.port < 1 {
            asked.service.port = self.sidecar_port(asked.service.id.as_str())?;
        }
        if asked.checks.is_empty() {
            asked.checks = default_checks(parent, &asked.service);
        }
        Ok(asked)
    }

    /// The port that the sidecar of this id has in the range already, else the first free one of it.
    fn sidecar_port(&self, id: &str) -> Result<i64, NodeError> {
        let Some((min, max)) = self.settings.sidecar_ports else {
            return Err(NodeError::SidecarPortsOff);
        };
        let port_of = |id: &str| self.services.get(id).map(|entry| entry.service.port);
        if let Some(own) = port_of(id).filter(|port| (min..=max).contains(port)) {
            return Ok(own);
        }
        let taken = |port: &i64| self.services.values().any(|entry| entry.service.port == *port);
        (min..=max).find(|port| !taken(port)).ok_or(NodeError::NoSidecarPort { min, max })
    }
}

/// Fills in what a sidecar has from its service.
fn beside(parent: &Service, sidecar: &mut Service) {
    sidecar.id = sidecar_id(parent.id.as_str()).into();
    if sidecar.name.is_empty() {
        sidecar.name = sidecar_id(parent.name.as_str()).into();
    }
    if sidecar.meta.as_ref().is_none_or(|meta| meta.is_empty()) {
        sidecar.meta.clone_from(&parent.meta);
    }
    if sidecar.tags.is_empty() {
        sidecar.tags.clone_from(&parent.tags);
    }
    if sidecar.address.is_empty() {
        sidecar.address.clone_from(&parent.address);
    }
    let rare = sidecar.rare.get_or_insert_default();
    if rare.kind.is_empty() {
        rare.kind = CONNECT_PROXY.into();
    }
    let place = parent.rare.as_deref();
    if rare.locality.is_none() {
        rare.locality = place.and_then(|rare| rare.locality.clone());
    }
    let socket = place.map_or("", |rare| &rare.socket_path);
    stand_for(parent, socket, &mut mesh_of(rare).proxy);
}

fn mesh_of(rare: &mut Rare) -> &mut Mesh {
    Arc::make_mut(rare.mesh.get_or_insert_default())
}

/// Fills in for whom a proxy stands and where that listens.
fn stand_for(parent: &Service, socket: &str, proxy: &mut Proxy) {
    if proxy.destination_service_name.is_empty() {
        proxy.destination_service_name = parent.name.as_str().into();
    }
    if proxy.destination_service_id.is_empty() {
        proxy.destination_service_id = parent.id.as_str().into();
    }
    let placed = !proxy.local_service_address.is_empty() && proxy.local_service_port >= 1;
    if placed || !proxy.local_service_socket_path.is_empty() {
        return;
    }
    if !socket.is_empty() {
        proxy.local_service_socket_path = socket.into();
        return;
    }
    if proxy.local_service_address.is_empty() {
        proxy.local_service_address = LOCAL_ADDRESS.into();
    }
    if proxy.local_service_port < 1 {
        proxy.local_service_port = parent.port;
    }
}

/// Whether the sidecar listens, and the health of the service that it stands for.
fn default_checks(parent: &Service, sidecar: &Service) -> Vec<CheckDefinition> {
    let local = sidecar.mesh().map_or("", |mesh| &mesh.proxy.local_service_address);
    let address = if sidecar.address.is_empty() { local } else { &sidecar.address };
    let listening = CheckDefinition {
        name: "Connect Sidecar Listening".into(),
        tcp: join_host_port(address, sidecar.port).into(),
        interval: LISTENING_INTERVAL,
        ..CheckDefinition::default()
    };
    let aliasing = CheckDefinition {
        name: format!("Connect Sidecar Aliasing {}", parent.id).into(),
        alias_service: parent.id.as_str().into(),
        ..CheckDefinition::default()
    };
    vec![listening, aliasing]
}

/// Consul's defaults for a proxy that is registered with an agent: upstreams are services, and the extensions are those of
/// the central configuration alone.
pub(super) fn fill_in_proxy(service: &mut Service) {
    let managed = service.kind() == CONNECT_PROXY || service.is_gateway();
    let Some(mesh) = service.rare.as_deref_mut().and_then(|rare| rare.mesh.as_mut()) else {
        return;
    };
    let proxy = &mut Arc::make_mut(mesh).proxy;
    if managed {
        proxy.envoy_extensions.clear();
    }
    let untold = proxy.upstreams.iter_mut().filter(|one| one.destination_type.is_empty());
    untold.for_each(|upstream| upstream.destination_type = "service".into());
}
