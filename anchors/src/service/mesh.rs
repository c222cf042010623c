//! What makes a service a part of the mesh: whether it speaks the mesh's protocol itself, and how a proxy stands for another.
//!
//! The fields are those of Consul's proxy configuration, named as its reference names them. Nothing here is carried out by
//! this program: it is kept, checked and told.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Caseless, Service};

/// The kind of a service that stands for another.
pub const CONNECT_PROXY: &str = "connect-proxy";
/// The kinds of services through which the mesh is entered, left or crossed.
pub const GATEWAYS: [&str; 4] =
    ["mesh-gateway", "terminating-gateway", "ingress-gateway", "api-gateway"];
/// What the id and the name of a sidecar end in when they were not given.
pub const SIDECAR_SUFFIX: &str = "-sidecar-proxy";
/// The purpose of the address under which the mesh knows a service, whatever its instances are.
pub const VIRTUAL_ADDRESS: &str = "consul-virtual";

/// The mesh's part of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mesh {
    /// It speaks the mesh's protocol itself.
    #[serde(skip_serializing_if = "is_default")]
    pub native: bool,
    /// How it stands for another.
    #[serde(skip_serializing_if = "is_default")]
    pub proxy: Proxy,
}

/// How a proxy or gateway is configured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields of Consul's proxy configuration")]
pub struct Proxy {
    #[serde(skip_serializing_if = "is_default")]
    pub envoy_extensions: Vec<EnvoyExtension>,
    #[serde(skip_serializing_if = "is_default")]
    pub destination_service_name: Box<str>,
    #[serde(skip_serializing_if = "is_default")]
    pub destination_service_id: Box<str>,
    #[serde(skip_serializing_if = "is_default")]
    pub local_service_address: Box<str>,
    #[serde(skip_serializing_if = "is_default")]
    pub local_service_port: i64,
    #[serde(skip_serializing_if = "is_default")]
    pub local_service_socket_path: Box<str>,
    /// `""`, `transparent` or `direct`; not checked.
    #[serde(skip_serializing_if = "is_default")]
    pub mode: Box<str>,
    /// Whatever the proxy itself reads.
    #[serde(skip_serializing_if = "is_default")]
    pub config: Map<String, Value>,
    #[serde(skip_serializing_if = "is_default")]
    pub upstreams: Vec<Upstream>,
    /// `""`, `none`, `local` or `remote`; not checked.
    #[serde(skip_serializing_if = "is_default")]
    pub mesh_gateway: Box<str>,
    #[serde(skip_serializing_if = "is_default")]
    pub expose: Expose,
    #[serde(skip_serializing_if = "is_default")]
    pub transparent_proxy: TransparentProxy,
    #[serde(skip_serializing_if = "is_default")]
    pub access_logs: AccessLogs,
}

/// An extension of the proxy Envoy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields of Consul's Envoy extension")]
pub struct EnvoyExtension {
    pub name: Box<str>,
    pub required: bool,
    /// `None` was never given.
    pub arguments: Option<Map<String, Value>>,
    pub consul_version: Box<str>,
    pub envoy_version: Box<str>,
}

/// A service that a proxy reaches for the one it stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields of Consul's upstream")]
pub struct Upstream {
    /// `service`, `prepared_query`, or empty.
    pub destination_type: Box<str>,
    #[serde(skip_serializing_if = "is_default")]
    pub destination_namespace: Box<str>,
    #[serde(skip_serializing_if = "is_default")]
    pub destination_partition: Box<str>,
    #[serde(skip_serializing_if = "is_default")]
    pub destination_peer: Box<str>,
    pub destination_name: Box<str>,
    #[serde(skip_serializing_if = "is_default")]
    pub datacenter: Box<str>,
    #[serde(skip_serializing_if = "is_default")]
    pub local_bind_address: Box<str>,
    #[serde(skip_serializing_if = "is_default")]
    pub local_bind_port: i64,
    #[serde(skip_serializing_if = "is_default")]
    pub local_bind_socket_path: Box<str>,
    #[serde(skip_serializing_if = "is_default")]
    pub local_bind_socket_mode: Box<str>,
    #[serde(skip_serializing_if = "is_default")]
    pub config: Map<String, Value>,
    #[serde(skip_serializing_if = "is_default")]
    pub mesh_gateway: Box<str>,
    #[serde(skip_serializing_if = "is_default")]
    pub centrally_configured: bool,
}

/// What can be reached through a proxy without the mesh.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields of Consul's expose configuration")]
pub struct Expose {
    pub checks: bool,
    pub paths: Vec<ExposePath>,
}

/// One path that can be reached without the mesh.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields of Consul's exposed path")]
pub struct ExposePath {
    pub listener_port: i64,
    pub path: Box<str>,
    pub local_path_port: i64,
    pub protocol: Box<str>,
    pub parsed_from_check: bool,
}

/// How traffic is caught that does not know of the proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields of Consul's transparent proxy configuration")]
pub struct TransparentProxy {
    pub outbound_listener_port: i64,
    pub dialed_directly: bool,
}

/// What the proxy writes of each request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields of Consul's access log configuration")]
pub struct AccessLogs {
    pub enabled: bool,
    pub disable_listener_logs: bool,
    /// `""`, `file`, `stderr` or `stdout`.
    pub kind: Box<str>,
    pub path: Box<str>,
    pub json_format: Box<str>,
    pub text_format: Box<str>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

// === impl Service ===

impl Service {
    /// The mesh's part of it, where it has one.
    pub fn mesh(&self) -> Option<&Mesh> {
        self.rare.as_deref()?.mesh.as_deref()
    }

    /// Whether it is one of the mesh's gateways.
    pub fn is_gateway(&self) -> bool {
        GATEWAYS.contains(&self.kind())
    }

    /// The service for which it can be reached through the mesh: its own name when it speaks the mesh's protocol, the one
    /// that it stands for when it is a proxy.
    pub fn reaches(&self) -> Option<Caseless> {
        let rare = self.rare.as_deref()?;
        let mesh = rare.mesh.as_deref();
        if &*rare.kind == CONNECT_PROXY {
            Some(mesh.map_or("", |mesh| &mesh.proxy.destination_service_name).into())
        } else {
            mesh.is_some_and(|mesh| mesh.native).then(|| self.name.clone())
        }
    }
}
