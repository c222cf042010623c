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

/// The extensions of a proxy that is registered with an agent are those of the central configuration alone.
pub(super) fn forget_extensions(service: &mut Service) {
    if (service.kind() == CONNECT_PROXY || service.is_gateway())
        && let Some(proxy) = proxy_of(service)
    {
        proxy.envoy_extensions.clear();
    }
}

/// The upstreams of what is registered with an agent are services where nothing else is told.
pub(super) fn name_upstreams(definition: &mut ServiceDefinition) {
    let upstreams = proxy_of(&mut definition.service).map(|proxy| proxy.upstreams.iter_mut());
    let untold = upstreams.into_iter().flatten().filter(|one| one.destination_type.is_empty());
    untold.for_each(|upstream| upstream.destination_type = "service".into());
    if let Some(sidecar) = &mut definition.sidecar {
        name_upstreams(sidecar);
    }
}

fn proxy_of(service: &mut Service) -> Option<&mut Proxy> {
    let mesh = service.rare.as_deref_mut()?.mesh.as_mut()?;
    Some(&mut Arc::make_mut(mesh).proxy)
}

#[cfg(test)]
mod tests {
    use super::super::{Existing, LeafSettings, Source};
    use super::*;
    use crate::clock::Time;
    use crate::service::Node;

    const NOW: Time = Time(1_000_000_000);

    fn leaf(ports: Option<(i64, i64)>) -> Leaf {
        let node = Node { name: "n1".into(), ..Node::default() };
        Leaf::new(LeafSettings { sidecar_ports: ports, ..LeafSettings::new(node) }, 7, NOW)
    }

    fn with_sidecar(name: &str, edit: impl FnOnce(&mut ServiceDefinition)) -> ServiceDefinition {
        let service = Service { name: name.into(), port: 80, ..Service::default() };
        let mut sidecar = ServiceDefinition::default();
        edit(&mut sidecar);
        let sidecar = Some(Box::new(sidecar));
        ServiceDefinition { service, sidecar, ..ServiceDefinition::default() }
    }

    /// `ok`, or what is refused.
    fn register(leaf: &mut Leaf, definition: ServiceDefinition) -> String {
        let done = leaf.register_service(definition, Existing::Keep, Source::Api, NOW);
        done.map_or_else(|error| error.to_string(), |_| "ok".to_owned())
    }

    fn services(leaf: &Leaf) -> String {
        let shown = |id: &Arc<str>| format!("{id}:{}", leaf.services()[id].service.port);
        leaf.services().keys().map(shown).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_sidecar_comes_and_goes_with_its_service() {
        let mut leaf = leaf(Some((21_000, 21_001)));
        assert_eq!(register(&mut leaf, with_sidecar("web", |_| {})), "ok");
        let entry = &leaf.services()["web-sidecar-proxy"];
        let proxy = &entry.service.mesh().unwrap().proxy;
        assert_eq!(
            (entry.service.kind(), entry.service.name.as_str()),
            (CONNECT_PROXY, "web-sidecar-proxy")
        );
        assert_eq!(
            (&*proxy.destination_service_name, &*proxy.destination_service_id),
            ("web", "web")
        );
        assert_eq!((&*proxy.local_service_address, proxy.local_service_port), ("127.0.0.1", 80));
        let checks: Vec<&str> = leaf.checks().values().map(|entry| &*entry.check.name).collect();
        assert_eq!(checks, ["Connect Sidecar Listening", "Connect Sidecar Aliasing web"]);
        assert_eq!(register(&mut leaf, with_sidecar("db", |_| {})), "ok");
        assert_eq!(register(&mut leaf, with_sidecar("web", |_| {})), "ok", "the port stays");
        let all = "db:80 db-sidecar-proxy:21001 web:80 web-sidecar-proxy:21000";
        assert_eq!(services(&leaf), all);
        let told = "no port provided for sidecar_service and none left in the configured range [21000, 21001]";
        assert_eq!(register(&mut leaf, with_sidecar("late", |_| {})), told);
        leaf.deregister_service("web", NOW).unwrap();
        assert_eq!(services(&leaf), "db:80 db-sidecar-proxy:21001");
    }

    #[test]
    fn only_what_came_as_a_sidecar_goes_as_one() {
        let mut leaf = leaf(None);
        for name in ["web", "web-sidecar-proxy"] {
            let service = Service { name: name.into(), ..Service::default() };
            let plain = ServiceDefinition { service, ..ServiceDefinition::default() };
            assert_eq!(register(&mut leaf, plain), "ok");
        }
        leaf.deregister_service("web", NOW).unwrap();
        assert_eq!(services(&leaf), "web-sidecar-proxy:0");
    }

    #[test]
    fn sidecars_are_refused_in_consuls_words() {
        type Edit = fn(&mut ServiceDefinition);
        let cases: [(Edit, &str); 4] = [
            (|_| {}, "no port provided for sidecar_service and auto-assignment disabled in config"),
            (|sidecar| sidecar.service.port = 5, "ok"),
            (
                |sidecar| sidecar.service.id = "x".into(),
                "Validation failed: 1 error occurred:\n\t* A SidecarService cannot specify an ID as this is managed by the agent\n\n",
            ),
            (
                |sidecar| {
                    sidecar.checks =
                        vec![CheckDefinition { http: "x".into(), ..CheckDefinition::default() }]
                },
                "Invalid check in sidecar_service: Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks",
            ),
        ];
        for (edit, told) in cases {
            assert_eq!(register(&mut leaf(None), with_sidecar("web", edit)), told);
        }
    }
}
