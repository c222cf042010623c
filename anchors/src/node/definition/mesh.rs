//! Consul's rules for proxies, gateways, native services and sidecars.

use std::collections::BTreeSet;
use std::fmt;

use super::{InvalidPart, ServiceDefinition};
use crate::service::Service;
use crate::service::mesh::{CONNECT_PROXY, ExposePath, Mesh, Proxy, Upstream};

/// The longest folder of the socket to which Envoy writes metrics, in bytes: Consul's bound.
const METRICS_SOCKET_DIR_BYTES_MAX: usize = 70;
/// The greatest port.
const PORT_MAX: i64 = 65_535;

/// One thing that is wrong with the mesh's part of a service. The texts are Consul's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the text says it")]
pub enum InvalidMesh {
    #[error("Ports cannot be set for a {0}")]
    NamedPorts(Box<str>),
    #[error("Port or SocketPath must be set for a {0}")]
    NoPlace(Box<str>),
    #[error("Proxy.DestinationServiceName must be non-empty for Connect proxy services")]
    NoDestination,
    #[error("Proxy.DestinationServiceName must not be a wildcard for Connect proxy services")]
    AnyDestination,
    #[error("A Proxy cannot also be Connect Native, only typical services")]
    NativeProxy,
    #[error(
        "Proxy.Config: envoy_hcp_metrics_bind_socket_dir length {0} exceeds max {METRICS_SOCKET_DIR_BYTES_MAX}"
    )]
    MetricsSocket(usize),
    #[error("upstreams cannot target another datacenter in non default partition")]
    PartitionAndDatacenter,
    #[error("upstreams must target peers in the same partition as the service")]
    PartitionOfPeer,
    #[error(transparent)]
    Upstream(#[from] InvalidUpstream),
    #[error("upstreams cannot contain duplicates of {0}")]
    SameUpstream(Box<UpstreamKey>),
    #[error(
        "upstreams cannot contain duplicates by local bind address and port or unix path; {0:?} is specified twice"
    )]
    SameBind(Box<str>),
    #[error("expose.paths: empty path exposed")]
    NoPath,
    #[error("expose.paths: duplicate listener ports exposed")]
    SameListener,
    #[error("expose.paths: invalid listener port: {0}")]
    Listener(i64),
    #[error("protocol '{protocol}' not supported for path: {path}, must be in: [http http2]")]
    Protocol { protocol: Box<str>, path: Box<str> },
    #[error("Port must be non-zero for a {0}")]
    NoPort(Box<str>),
    #[error("A {0} cannot have a sidecar service defined")]
    GatewayWithSidecar(Box<str>),
    #[error("The Proxy.{field} configuration is invalid for a {kind}")]
    GatewayProxy { field: &'static str, kind: Box<str> },
    #[error("A SidecarService cannot specify an ID as this is managed by the agent")]
    SidecarId,
    #[error("A SidecarService cannot have a nested SidecarService")]
    NestedSidecar,
    #[error("Port or SocketPath must be set for a Connect native service.")]
    NativePlace,
}

/// Why an upstream cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the text says it")]
pub enum InvalidUpstream {
    #[error("unknown upstream destination type: {0:?}")]
    Kind(Box<str>),
    #[error("upstream destination name cannot be empty")]
    NoName,
    #[error("upstream destination name cannot be a wildcard")]
    AnyName,
    #[error("upstream cannot specify both destination peer and datacenter")]
    PeerAndDatacenter,
    #[error("upstream local bind port or local socket path must be defined and nonzero")]
    NoBind,
    #[error("only one of upstream local bind port or local socket path can be defined and nonzero")]
    BothBinds,
}

/// What may stand only once among the upstreams of a proxy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the fields of an upstream")]
pub struct UpstreamKey {
    pub kind: Box<str>,
    pub name: Box<str>,
    pub partition: Box<str>,
    pub namespace: Box<str>,
    pub peer: Box<str>,
    pub datacenter: Box<str>,
}

/// Whether a sidecar comes with a service, and what is told of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct SidecarAsked {
    /// It comes.
    pub asked: bool,
    /// It has an id of its own.
    pub has_id: bool,
    /// It brings another.
    pub nests: bool,
}

impl SidecarAsked {
    /// What a definition asks for.
    pub fn of(sidecar: Option<&ServiceDefinition>) -> Self {
        let Some(sidecar) = sidecar else { return Self::default() };
        Self {
            asked: true,
            has_id: !sidecar.service.id.is_empty(),
            nests: sidecar.sidecar.is_some(),
        }
    }
}

/// What Consul finds before it looks at what an agent may fill in: a proxy has to say where it is.
pub(super) fn place_faults(service: &Service) -> Vec<InvalidPart> {
    if service.kind() != CONNECT_PROXY {
        return Vec::new();
    }
    let ports = !service.ports().is_empty();
    let ports = ports.then(|| InvalidMesh::NamedPorts(CONNECT_PROXY.into()));
    let place = (!has_place(service)).then(|| InvalidMesh::NoPlace(CONNECT_PROXY.into()));
    ports.into_iter().chain(place).map(InvalidPart::Mesh).collect()
}

/// What Consul finds in the rest of the mesh's part, in its order.
pub(super) fn mesh_faults(service: &Service, sidecar: SidecarAsked) -> Vec<InvalidPart> {
    let none = Mesh::default();
    let mesh = service.mesh().unwrap_or(&none);
    let mut faults = Vec::new();
    if service.kind() == CONNECT_PROXY {
        proxy_faults(mesh, &mut faults);
    }
    if service.is_gateway() {
        gateway_faults(service, &mesh.proxy, sidecar, &mut faults);
    }
    if sidecar.has_id {
        faults.push(InvalidMesh::SidecarId);
    }
    if sidecar.nests {
        faults.push(InvalidMesh::NestedSidecar);
    }
    if mesh.native && !has_place(service) {
        faults.push(InvalidMesh::NativePlace);
    }
    faults.into_iter().map(InvalidPart::Mesh).collect()
}

fn has_place(service: &Service) -> bool {
    let socket = service.rare.as_deref().is_some_and(|rare| !rare.socket_path.is_empty());
    service.port != 0 || socket
}

fn proxy_faults(mesh: &Mesh, faults: &mut Vec<InvalidMesh>) {
    let proxy = &mesh.proxy;
    if proxy.destination_service_name.trim().is_empty() {
        faults.push(InvalidMesh::NoDestination);
    }
    if &*proxy.destination_service_name == "*" {
        faults.push(InvalidMesh::AnyDestination);
    }
    if mesh.native {
        faults.push(InvalidMesh::NativeProxy);
    }
    let socket = proxy.config.get("envoy_hcp_metrics_bind_socket_dir");
    let length = socket.and_then(|dir| dir.as_str()).map_or(0, str::len);
    if length > METRICS_SOCKET_DIR_BYTES_MAX {
        faults.push(InvalidMesh::MetricsSocket(length));
    }
    upstream_faults(&proxy.upstreams, faults);
    path_faults(&proxy.expose.paths, faults);
}

fn upstream_faults(upstreams: &[Upstream], faults: &mut Vec<InvalidMesh>) {
    let (mut keys, mut binds) = (BTreeSet::new(), BTreeSet::new());
    for upstream in upstreams {
        if let Err(fault) = check_upstream(upstream, &mut keys, &mut binds) {
            faults.push(fault);
        }
    }
}

fn check_upstream(
    upstream: &Upstream,
    keys: &mut BTreeSet<UpstreamKey>,
    binds: &mut BTreeSet<Box<str>>,
) -> Result<(), InvalidMesh> {
    let partition = &*upstream.destination_partition;
    if upstream.destination_peer.is_empty() {
        // To Consul's community edition even "default" is another partition than none.
        if !partition.is_empty() && !upstream.datacenter.is_empty() {
            return Err(InvalidMesh::PartitionAndDatacenter);
        }
    } else if !matches!(partition, "" | "default") {
        return Err(InvalidMesh::PartitionOfPeer);
    }
    upstream.validate()?;
    let key = UpstreamKey::of(upstream);
    if !keys.insert(key.clone()) {
        return Err(InvalidMesh::SameUpstream(Box::new(key)));
    }
    let bind = upstream.bind();
    if binds.contains(&bind) && !upstream.centrally_configured {
        return Err(InvalidMesh::SameBind(bind));
    }
    binds.insert(bind);
    Ok(())
}

fn path_faults(paths: &[ExposePath], faults: &mut Vec<InvalidMesh>) {
    let mut listeners = BTreeSet::new();
    for path in paths {
        if path.path.is_empty() {
            faults.push(InvalidMesh::NoPath);
        }
        if !listeners.insert(path.listener_port) {
            faults.push(InvalidMesh::SameListener);
        }
        if !(1..=PORT_MAX).contains(&path.listener_port) {
            faults.push(InvalidMesh::Listener(path.listener_port));
        }
        let protocol = path.protocol.to_lowercase();
        if !matches!(&*protocol, "" | "http" | "http2") {
            let (protocol, path) = (protocol.into(), path.path.clone());
            faults.push(InvalidMesh::Protocol { protocol, path });
        }
    }
}

fn gateway_faults(
    service: &Service,
    proxy: &Proxy,
    sidecar: SidecarAsked,
    faults: &mut Vec<InvalidMesh>,
) {
    let kind: Box<str> = service.kind().into();
    if !service.ports().is_empty() {
        faults.push(InvalidMesh::NamedPorts(kind.clone()));
    }
    if service.port == 0 && !matches!(&*kind, "ingress-gateway" | "api-gateway") {
        faults.push(InvalidMesh::NoPort(kind.clone()));
    }
    if sidecar.asked {
        faults.push(InvalidMesh::GatewayWithSidecar(kind.clone()));
    }
    let given = [
        ("DestinationServiceName", !proxy.destination_service_name.is_empty()),
        ("DestinationServiceID", !proxy.destination_service_id.is_empty()),
        ("LocalServiceAddress", !proxy.local_service_address.is_empty()),
        ("LocalServicePort", proxy.local_service_port != 0),
        ("LocalServiceSocketPath", !proxy.local_service_socket_path.is_empty()),
        ("Upstreams", !proxy.upstreams.is_empty()),
    ];
    let given = given.into_iter().filter(|(_, given)| *given);
    faults.extend(given.map(|(field, _)| InvalidMesh::GatewayProxy { field, kind: kind.clone() }));
}

// === impl Upstream ===

impl Upstream {
    /// Whether it can be, in the order in which Consul looks.
    fn validate(&self) -> Result<(), InvalidUpstream> {
        if !matches!(&*self.destination_type, "" | "service" | "prepared_query") {
            return Err(InvalidUpstream::Kind(self.destination_type.clone()));
        }
        if self.destination_name.is_empty() {
            return Err(InvalidUpstream::NoName);
        }
        if &*self.destination_name == "*" && !self.centrally_configured {
            return Err(InvalidUpstream::AnyName);
        }
        if !self.destination_peer.is_empty() && !self.datacenter.is_empty() {
            return Err(InvalidUpstream::PeerAndDatacenter);
        }
        match (self.local_bind_port != 0, !self.local_bind_socket_path.is_empty()) {
            _ if self.centrally_configured => Ok(()),
            (false, false) => Err(InvalidUpstream::NoBind),
            (true, true) => Err(InvalidUpstream::BothBinds),
            _ => Ok(()),
        }
    }

    /// Where the proxy listens for it.
    fn bind(&self) -> Box<str> {
        let no_address = self.local_bind_address.is_empty();
        if self.local_bind_port == 0 && no_address && !self.local_bind_socket_path.is_empty() {
            return self.local_bind_socket_path.clone();
        }
        let address = if no_address { "127.0.0.1" } else { &self.local_bind_address };
        join_host_port(address, self.local_bind_port).into()
    }
}

/// `host:port`, an IPv6 address in brackets.
pub(crate) fn join_host_port(host: &str, port: i64) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

// === impl UpstreamKey ===

impl UpstreamKey {
    fn of(upstream: &Upstream) -> Self {
        Self {
            kind: upstream.destination_type.clone(),
            name: upstream.destination_name.clone(),
            partition: upstream.destination_partition.clone(),
            namespace: upstream.destination_namespace.clone(),
            peer: upstream.destination_peer.clone(),
            datacenter: upstream.datacenter.clone(),
        }
    }
}

impl fmt::Display for UpstreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "[type={:?}, name={:?}, partition={:?}, namespace={:?}, peer={:?}, datacenter={:?}]",
            self.kind, self.name, self.partition, self.namespace, self.peer, self.datacenter
        )
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::service_faults;
    use super::*;
    use crate::service::Rare;

    fn service(kind: &str, port: i64, mesh: Mesh) -> Service {
        let rare = Rare { kind: kind.into(), mesh: Some(Arc::new(mesh)), ..Rare::default() };
        Service { name: "s".into(), port, rare: Some(Box::new(rare)), ..Service::default() }
    }

    fn told(service: &Service) -> Vec<String> {
        let faults = service_faults(service, SidecarAsked::default());
        faults.iter().map(ToString::to_string).collect()
    }

    fn to(name: &str, port: i64) -> Upstream {
        Upstream { destination_name: name.into(), local_bind_port: port, ..Upstream::default() }
    }

    #[test]
    fn upstreams_elsewhere_are_told_apart() {
        const DATACENTER: &[&str] =
            &["upstreams cannot target another datacenter in non default partition"];
        const BOTH: &[&str] = &["upstream cannot specify both destination peer and datacenter"];
        const PEER: &[&str] = &["upstreams must target peers in the same partition as the service"];
        let check = |partition: &str, datacenter: &str, peer: &str, expected: &[&str]| {
            let upstream = Upstream {
                destination_partition: partition.into(),
                datacenter: datacenter.into(),
                destination_peer: peer.into(),
                ..to("a", 1)
            };
            let proxy = Proxy {
                destination_service_name: "b".into(),
                upstreams: vec![upstream],
                ..Proxy::default()
            };
            let faults = told(&service(CONNECT_PROXY, 1, Mesh { native: false, proxy }));
            assert_eq!(faults, expected, "{partition:?} {datacenter:?} {peer:?}");
        };
        check("", "dc2", "", &[]);
        check("default", "", "", &[]);
        check("default", "dc1", "", DATACENTER);
        check("other", "dc1", "", DATACENTER);
        check("default", "", "p", &[]);
        check("default", "dc1", "p", BOTH);
        check("other", "", "p", PEER);
    }

    #[test]
    fn proxies_are_refused_in_consuls_words() {
        let empty = service(CONNECT_PROXY, 0, Mesh::default());
        assert_eq!(
            told(&empty),
            [
                "Port or SocketPath must be set for a connect-proxy",
                "Proxy.DestinationServiceName must be non-empty for Connect proxy services",
            ]
        );
        let path = |listener_port, path: &str, protocol: &str| ExposePath {
            listener_port,
            path: path.into(),
            protocol: protocol.into(),
            ..ExposePath::default()
        };
        let odd = Upstream { destination_type: "zz".into(), ..Upstream::default() };
        let both = Upstream { local_bind_socket_path: "/x".into(), ..to("d", 7) };
        let mut proxy = Proxy {
            destination_service_name: "*".into(),
            upstreams: vec![odd, to("a", 0), to("*", 9), to("b", 1), to("b", 2), to("c", 1), both],
            ..Proxy::default()
        };
        proxy.expose.paths =
            vec![path(70_000, "", ""), path(0, "/a", "TCP"), path(0, "/b", "http")];
        let spoiled = service(CONNECT_PROXY, 1, Mesh { native: true, proxy });
        assert_eq!(
            told(&spoiled),
            [
                "Proxy.DestinationServiceName must not be a wildcard for Connect proxy services",
                "A Proxy cannot also be Connect Native, only typical services",
                "unknown upstream destination type: \"zz\"",
                "upstream local bind port or local socket path must be defined and nonzero",
                "upstream destination name cannot be a wildcard",
                "upstreams cannot contain duplicates of [type=\"\", name=\"b\", partition=\"\", namespace=\"\", peer=\"\", datacenter=\"\"]",
                "upstreams cannot contain duplicates by local bind address and port or unix path; \"127.0.0.1:1\" is specified twice",
                "only one of upstream local bind port or local socket path can be defined and nonzero",
                "expose.paths: empty path exposed",
                "expose.paths: invalid listener port: 70000",
                "expose.paths: invalid listener port: 0",
                "protocol 'tcp' not supported for path: /a, must be in: [http http2]",
                "expose.paths: duplicate listener ports exposed",
                "expose.paths: invalid listener port: 0",
            ]
        );
    }

    #[test]
    fn gateways_and_native_services_are_refused_in_consuls_words() {
        let proxy = Proxy { destination_service_id: "b".into(), ..Proxy::default() };
        let gateway = service("mesh-gateway", 0, Mesh { native: false, proxy });
        assert_eq!(
            told(&gateway),
            [
                "Port must be non-zero for a mesh-gateway",
                "The Proxy.DestinationServiceID configuration is invalid for a mesh-gateway",
            ]
        );
        assert!(told(&service("ingress-gateway", 0, Mesh::default())).is_empty());
        let native = service("", 0, Mesh { native: true, ..Mesh::default() });
        assert_eq!(told(&native), ["Port or SocketPath must be set for a Connect native service."]);
    }
}
