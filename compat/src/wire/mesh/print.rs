//! The mesh's part of a service as it is printed.
//!
//! Consul prints a proxy in two ways: as its catalog keeps it ([`ProxyOut`]) and as its client library knows it
//! ([`ClientProxyOut`], the agent's answers).

use proconsul_anchors::service::mesh::{
    AccessLogs, EnvoyExtension, Expose, Mesh, Proxy, TransparentProxy, Upstream,
};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::wire::check::{is_false, is_zero};

/// A proxy as the catalog prints it; also of a service that is none.
pub(crate) struct ProxyOut<'a>(pub(crate) Option<&'a Mesh>);

/// The mesh's switches as the catalog prints them.
pub(crate) struct ConnectOut<'a>(pub(crate) Option<&'a Mesh>);

/// The proxy settings of a service that has none.
#[derive(Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct NoProxy {
    mode: &'static str,
    mesh_gateway: Nothing,
    expose: Nothing,
}

/// An empty object.
#[derive(Default, Serialize)]
struct Nothing {}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CatalogProxy<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    transparent_proxy: Option<TransparentOut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_logs: Option<AccessLogsOut<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    envoy_extensions: Vec<ExtensionOut<'a>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    destination_service_name: &'a str,
    #[serde(rename = "DestinationServiceID", skip_serializing_if = "str::is_empty")]
    destination_service_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    local_service_address: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    local_service_port: i64,
    #[serde(skip_serializing_if = "str::is_empty")]
    local_service_socket_path: &'a str,
    mode: &'a str,
    #[serde(skip_serializing_if = "Map::is_empty")]
    config: &'a Map<String, Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    upstreams: Vec<UpstreamOut<'a>>,
    mesh_gateway: MeshGatewayOut<'a>,
    expose: ExposeOut<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ExtensionOut<'a> {
    name: &'a str,
    required: bool,
    arguments: Option<&'a Map<String, Value>>,
    consul_version: &'a str,
    envoy_version: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct UpstreamOut<'a> {
    destination_type: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    destination_namespace: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    destination_partition: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    destination_peer: &'a str,
    destination_name: &'a str,
    datacenter: &'a str,
    #[serde(flatten)]
    rest: UpstreamRest<'a>,
    #[serde(skip_serializing_if = "is_false")]
    centrally_configured: bool,
}

/// What both ways of printing an upstream end in.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct UpstreamRest<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    local_bind_address: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    local_bind_port: i64,
    #[serde(skip_serializing_if = "str::is_empty")]
    local_bind_socket_path: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    local_bind_socket_mode: &'a str,
    #[serde(skip_serializing_if = "Map::is_empty")]
    config: &'a Map<String, Value>,
    mesh_gateway: MeshGatewayOut<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct MeshGatewayOut<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    mode: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ExposeOut<'a> {
    #[serde(skip_serializing_if = "is_false")]
    checks: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    paths: Vec<PathOut<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct PathOut<'a> {
    #[serde(skip_serializing_if = "is_zero")]
    listener_port: i64,
    #[serde(skip_serializing_if = "str::is_empty")]
    path: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    local_path_port: i64,
    #[serde(skip_serializing_if = "str::is_empty")]
    protocol: &'a str,
    /// The catalog leaves it out where it is false, the agent does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    parsed_from_check: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct TransparentOut {
    #[serde(skip_serializing_if = "is_zero")]
    outbound_listener_port: i64,
    #[serde(skip_serializing_if = "is_false")]
    dialed_directly: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AccessLogsOut<'a> {
    #[serde(skip_serializing_if = "is_false")]
    enabled: bool,
    #[serde(skip_serializing_if = "is_false")]
    disable_listener_logs: bool,
    #[serde(rename = "Type", skip_serializing_if = "str::is_empty")]
    kind: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    path: &'a str,
    #[serde(rename = "JSONFormat", skip_serializing_if = "str::is_empty")]
    json_format: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    text_format: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CatalogConnect {
    #[serde(skip_serializing_if = "is_false")]
    native: bool,
}

/// A proxy as the agent prints it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ClientProxyOut<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    destination_service_name: &'a str,
    #[serde(rename = "DestinationServiceID", skip_serializing_if = "str::is_empty")]
    destination_service_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    local_service_address: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    local_service_port: i64,
    #[serde(skip_serializing_if = "str::is_empty")]
    local_service_socket_path: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    mode: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    transparent_proxy: Option<TransparentOut>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    config: &'a Map<String, Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    upstreams: Vec<ClientUpstreamOut<'a>>,
    mesh_gateway: MeshGatewayOut<'a>,
    expose: ExposeOut<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_logs: Option<AccessLogsOut<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ClientUpstreamOut<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    destination_type: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    destination_partition: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    destination_namespace: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    destination_peer: &'a str,
    destination_name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    datacenter: &'a str,
    #[serde(flatten)]
    rest: UpstreamRest<'a>,
}

/// A service that speaks the mesh's protocol itself, as the agent says it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ClientConnectOut {
    native: bool,
}

impl Serialize for ProxyOut<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            None => NoProxy::default().serialize(serializer),
            Some(mesh) => CatalogProxy::from(&mesh.proxy).serialize(serializer),
        }
    }
}

impl Serialize for ConnectOut<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            None => Nothing {}.serialize(serializer),
            Some(mesh) => CatalogConnect { native: mesh.native }.serialize(serializer),
        }
    }
}

impl<'a> From<&'a Proxy> for CatalogProxy<'a> {
    fn from(proxy: &'a Proxy) -> Self {
        Self {
            transparent_proxy: transparent(&proxy.transparent_proxy),
            access_logs: access_logs(&proxy.access_logs),
            envoy_extensions: proxy.envoy_extensions.iter().map(Into::into).collect(),
            destination_service_name: &proxy.destination_service_name,
            destination_service_id: &proxy.destination_service_id,
            local_service_address: &proxy.local_service_address,
            local_service_port: proxy.local_service_port,
            local_service_socket_path: &proxy.local_service_socket_path,
            mode: &proxy.mode,
            config: &proxy.config,
            upstreams: proxy.upstreams.iter().map(Into::into).collect(),
            mesh_gateway: MeshGatewayOut { mode: &proxy.mesh_gateway },
            expose: expose(&proxy.expose, |parsed| parsed.then_some(true)),
        }
    }
}

impl<'a> From<&'a Proxy> for ClientProxyOut<'a> {
    fn from(proxy: &'a Proxy) -> Self {
        Self {
            destination_service_name: &proxy.destination_service_name,
            destination_service_id: &proxy.destination_service_id,
            local_service_address: &proxy.local_service_address,
            local_service_port: proxy.local_service_port,
            local_service_socket_path: &proxy.local_service_socket_path,
            mode: &proxy.mode,
            transparent_proxy: transparent(&proxy.transparent_proxy),
            config: &proxy.config,
            upstreams: proxy.upstreams.iter().map(Into::into).collect(),
            mesh_gateway: MeshGatewayOut { mode: &proxy.mesh_gateway },
            expose: expose(&proxy.expose, Some),
            access_logs: access_logs(&proxy.access_logs),
        }
    }
}

impl ClientConnectOut {
    /// Printed of those alone that are native.
    pub(crate) fn of(mesh: Option<&Mesh>) -> Option<Self> {
        mesh.filter(|mesh| mesh.native).map(|_| Self { native: true })
    }
}

impl<'a> From<&'a EnvoyExtension> for ExtensionOut<'a> {
    fn from(extension: &'a EnvoyExtension) -> Self {
        Self {
            name: &extension.name,
            required: extension.required,
            arguments: extension.arguments.as_ref(),
            consul_version: &extension.consul_version,
            envoy_version: &extension.envoy_version,
        }
    }
}

impl<'a> From<&'a Upstream> for UpstreamOut<'a> {
    fn from(upstream: &'a Upstream) -> Self {
        Self {
            destination_type: &upstream.destination_type,
            destination_namespace: &upstream.destination_namespace,
            destination_partition: &upstream.destination_partition,
            destination_peer: &upstream.destination_peer,
            destination_name: &upstream.destination_name,
            datacenter: &upstream.datacenter,
            rest: upstream.into(),
            centrally_configured: upstream.centrally_configured,
        }
    }
}

impl<'a> From<&'a Upstream> for ClientUpstreamOut<'a> {
    fn from(upstream: &'a Upstream) -> Self {
        Self {
            destination_type: &upstream.destination_type,
            destination_partition: &upstream.destination_partition,
            destination_namespace: &upstream.destination_namespace,
            destination_peer: &upstream.destination_peer,
            destination_name: &upstream.destination_name,
            datacenter: &upstream.datacenter,
            rest: upstream.into(),
        }
    }
}

impl<'a> From<&'a Upstream> for UpstreamRest<'a> {
    fn from(upstream: &'a Upstream) -> Self {
        Self {
            local_bind_address: &upstream.local_bind_address,
            local_bind_port: upstream.local_bind_port,
            local_bind_socket_path: &upstream.local_bind_socket_path,
            local_bind_socket_mode: &upstream.local_bind_socket_mode,
            config: &upstream.config,
            mesh_gateway: MeshGatewayOut { mode: &upstream.mesh_gateway },
        }
    }
}

fn expose(expose: &Expose, parsed: impl Fn(bool) -> Option<bool>) -> ExposeOut<'_> {
    let paths = expose.paths.iter().map(|path| PathOut {
        listener_port: path.listener_port,
        path: &path.path,
        local_path_port: path.local_path_port,
        protocol: &path.protocol,
        parsed_from_check: parsed(path.parsed_from_check),
    });
    ExposeOut { checks: expose.checks, paths: paths.collect() }
}

fn transparent(config: &TransparentProxy) -> Option<TransparentOut> {
    let told = *config != TransparentProxy::default();
    told.then_some(TransparentOut {
        outbound_listener_port: config.outbound_listener_port,
        dialed_directly: config.dialed_directly,
    })
}

fn access_logs(logs: &AccessLogs) -> Option<AccessLogsOut<'_>> {
    let told = *logs != AccessLogs::default();
    told.then_some(AccessLogsOut {
        enabled: logs.enabled,
        disable_listener_logs: logs.disable_listener_logs,
        kind: &logs.kind,
        path: &logs.path,
        json_format: &logs.json_format,
        text_format: &logs.text_format,
    })
}
