//! The mesh's part of a service, as it is read and ([`print`]) printed.

pub(crate) mod print;

use std::borrow::Cow;
use std::sync::Arc;

use proconsul_anchors::service::mesh::{
    AccessLogs, EnvoyExtension, Expose, ExposePath, Mesh, Proxy, TransparentProxy, Upstream,
};
use serde_json::{Map, Value};

use crate::go::json::Json;
use crate::wire::decode::{DecodeError, Place, Read, form, list_form, read_text};

/// How a proxy is configured.
#[derive(Debug, Default)]
pub(crate) struct ProxyForm {
    envoy_extensions: Vec<ExtensionForm>,
    destination_service_name: String,
    destination_service_name_snake: String,
    destination_service_id: String,
    destination_service_id_snake: String,
    local_service_address: String,
    local_service_address_snake: String,
    local_service_port: i64,
    local_service_port_snake: i64,
    local_service_socket_path: String,
    local_service_socket_path_snake: String,
    mode: ProxyModeText,
    config: Opaque,
    upstreams: UpstreamForms,
    mesh_gateway: MeshGatewayForm,
    mesh_gateway_snake: MeshGatewayForm,
    expose: ExposeForm,
    transparent_proxy: TransparentForm,
    transparent_proxy_snake: TransparentForm,
    access_logs: AccessLogsForm,
    access_logs_snake: AccessLogsForm,
}

const PROXY_TYPE: &str = "struct { DestinationServiceNameSnake string \"json:\\\"destination_service_name\\\"\"; DestinationServiceIDSnake string \"json:\\\"destination_service_id\\\"\"; LocalServiceAddressSnake string \"json:\\\"local_service_address\\\"\"; LocalServicePortSnake int \"json:\\\"local_service_port\\\"\"; LocalServiceSocketPathSnake string \"json:\\\"local_service_socket_path\\\"\"; MeshGatewaySnake structs.MeshGatewayConfig \"json:\\\"mesh_gateway\\\"\"; TransparentProxySnake structs.TransparentProxyConfig \"json:\\\"transparent_proxy\\\"\"; AccessLogsSnake structs.AccessLogsConfig \"json:\\\"access_logs\\\"\"; *structs.Alias }";

form!(ProxyForm, PROXY_TYPE, custom, refuse, {
    "EnvoyExtensions" => envoy_extensions, "DestinationServiceName" => destination_service_name,
    "DestinationServiceID" => destination_service_id, "LocalServiceAddress" => local_service_address,
    "LocalServicePort" => local_service_port, "LocalServiceSocketPath" => local_service_socket_path, "Mode" => mode,
    "Config" => config, "Upstreams" => upstreams, "MeshGateway" => mesh_gateway, "Expose" => expose,
    "TransparentProxy" => transparent_proxy, "AccessLogs" => access_logs,
} own {
    "destination_service_name" => destination_service_name_snake,
    "destination_service_id" => destination_service_id_snake,
    "local_service_address" => local_service_address_snake, "local_service_port" => local_service_port_snake,
    "local_service_socket_path" => local_service_socket_path_snake, "mesh_gateway" => mesh_gateway_snake,
    "transparent_proxy" => transparent_proxy_snake, "access_logs" => access_logs_snake,
});

/// The mesh's switches of a service as the catalog takes them: a sidecar is not looked into.
#[derive(Debug, Default)]
pub(crate) struct ConnectForm {
    pub(crate) native: bool,
    pub(crate) sidecar: Json,
    pub(crate) sidecar_snake: Json,
}

/// What Go calls the switches in its errors.
pub(crate) const CONNECT_TYPE: &str = "struct { SidecarServiceSnake *structs.ServiceDefinition \"json:\\\"sidecar_service\\\"\"; *structs.Alias }";

form!(ConnectForm, CONNECT_TYPE, custom, ignore, {
    "Native" => native, "SidecarService" => sidecar,
} own {
    "sidecar_service" => sidecar_snake,
});

/// A text that Go has a type of its own for.
macro_rules! named_text {
    ($name:ident, $go_type:literal) => {
        #[derive(Debug, Default)]
        struct $name(String);

        impl Read for $name {
            fn go_type() -> Cow<'static, str> {
                $go_type.into()
            }

            fn read(&mut self, value: &Json, place: &Place<'_>) -> Result<(), DecodeError> {
                read_text(&mut self.0, value, place, Self::go_type())
            }
        }
    };
}

named_text!(ProxyModeText, "structs.ProxyMode");
named_text!(MeshGatewayModeText, "structs.MeshGatewayMode");
named_text!(LogSinkText, "structs.LogSinkType");

/// An object that nobody here looks into.
#[derive(Debug, Default)]
pub(crate) struct Opaque(pub(crate) Option<Map<String, Value>>);

impl Read for Opaque {
    fn go_type() -> Cow<'static, str> {
        "map[string]interface {}".into()
    }

    fn read(&mut self, value: &Json, place: &Place<'_>) -> Result<(), DecodeError> {
        match value {
            Json::Null => self.0 = None,
            Json::Object(pairs) => {
                let into = self.0.get_or_insert_default();
                into.extend(pairs.iter().map(|(key, value)| (key.clone(), free(value))));
            }
            _ => return Err(place.clash(value, Self::go_type())),
        }
        Ok(())
    }
}

/// A value as Go keeps it when it knows nothing of it: numbers are floats.
fn free(value: &Json) -> Value {
    match value {
        Json::Null => Value::Null,
        Json::Bool(yes) => (*yes).into(),
        Json::Number(text) => text.parse::<f64>().unwrap_or(f64::MAX).into(),
        Json::Text(text) => text.as_str().into(),
        Json::Array(items) => items.iter().map(free).collect(),
        Json::Object(pairs) => {
            pairs.iter().map(|(key, value)| (key.clone(), free(value))).collect()
        }
    }
}

#[derive(Debug, Default)]
struct ExtensionForm {
    name: String,
    required: bool,
    arguments: Opaque,
    consul_version: String,
    envoy_version: String,
}

form!(ExtensionForm, "structs.EnvoyExtension", plain "EnvoyExtension", refuse, {
    "Name" => name, "Required" => required, "Arguments" => arguments, "ConsulVersion" => consul_version,
    "EnvoyVersion" => envoy_version,
});

#[derive(Debug, Default)]
struct UpstreamForms(Vec<UpstreamForm>);

list_form!(UpstreamForms, "structs.Upstreams");

#[derive(Debug, Default)]
struct UpstreamForm {
    destination_type: String,
    destination_type_snake: String,
    destination_namespace: String,
    destination_namespace_snake: String,
    destination_partition: String,
    destination_partition_snake: String,
    destination_peer: String,
    destination_peer_snake: String,
    destination_name: String,
    destination_name_snake: String,
    datacenter: String,
    local_bind_address: String,
    local_bind_address_snake: String,
    local_bind_port: i64,
    local_bind_port_snake: i64,
    local_bind_socket_path: String,
    local_bind_socket_path_snake: String,
    local_bind_socket_mode: String,
    local_bind_socket_mode_snake: String,
    config: Opaque,
    mesh_gateway: MeshGatewayForm,
    mesh_gateway_snake: MeshGatewayForm,
    centrally_configured: bool,
}

const UPSTREAM_TYPE: &str = "struct { DestinationTypeSnake string \"json:\\\"destination_type\\\"\"; DestinationPartitionSnake string \"json:\\\"destination_partition\\\"\"; DestinationNamespaceSnake string \"json:\\\"destination_namespace\\\"\"; DestinationPeerSnake string \"json:\\\"destination_peer\\\"\"; DestinationNameSnake string \"json:\\\"destination_name\\\"\"; LocalBindAddressSnake string \"json:\\\"local_bind_address\\\"\"; LocalBindPortSnake int \"json:\\\"local_bind_port\\\"\"; LocalBindSocketPathSnake string \"json:\\\"local_bind_socket_path\\\"\"; LocalBindSocketModeSnake string \"json:\\\"local_bind_socket_mode\\\"\"; MeshGatewaySnake structs.MeshGatewayConfig \"json:\\\"mesh_gateway\\\"\"; *structs.Alias }";

form!(UpstreamForm, UPSTREAM_TYPE, custom, refuse, {
    "DestinationType" => destination_type, "DestinationNamespace" => destination_namespace,
    "DestinationPartition" => destination_partition, "DestinationPeer" => destination_peer,
    "DestinationName" => destination_name, "Datacenter" => datacenter, "LocalBindAddress" => local_bind_address,
    "LocalBindPort" => local_bind_port, "LocalBindSocketPath" => local_bind_socket_path,
    "LocalBindSocketMode" => local_bind_socket_mode, "Config" => config, "MeshGateway" => mesh_gateway,
    "CentrallyConfigured" => centrally_configured,
} own {
    "destination_type" => destination_type_snake, "destination_partition" => destination_partition_snake,
    "destination_namespace" => destination_namespace_snake, "destination_peer" => destination_peer_snake,
    "destination_name" => destination_name_snake, "local_bind_address" => local_bind_address_snake,
    "local_bind_port" => local_bind_port_snake, "local_bind_socket_path" => local_bind_socket_path_snake,
    "local_bind_socket_mode" => local_bind_socket_mode_snake, "mesh_gateway" => mesh_gateway_snake,
});

#[derive(Debug, Default)]
struct MeshGatewayForm {
    mode: MeshGatewayModeText,
}

form!(MeshGatewayForm, "structs.MeshGatewayConfig", plain "MeshGatewayConfig", refuse, { "Mode" => mode });

#[derive(Debug, Default)]
struct ExposeForm {
    checks: bool,
    paths: PathForms,
}

form!(ExposeForm, "structs.ExposeConfig", plain "ExposeConfig", refuse, { "Checks" => checks, "Paths" => paths });

#[derive(Debug, Default)]
struct PathForms(Vec<PathForm>);

list_form!(PathForms, "[]structs.ExposePath");

#[derive(Debug, Default)]
struct PathForm {
    listener_port: i64,
    listener_port_snake: i64,
    path: String,
    local_path_port: i64,
    local_path_port_snake: i64,
    protocol: String,
    parsed_from_check: bool,
    parsed_from_check_snake: bool,
}

const PATH_TYPE: &str = "struct { ListenerPortSnake int \"json:\\\"listener_port\\\"\"; LocalPathPortSnake int \"json:\\\"local_path_port\\\"\"; ParsedFromCheckSnake bool \"json:\\\"parsed_from_check\\\"\"; *structs.Alias }";

form!(PathForm, PATH_TYPE, custom, refuse, {
    "ListenerPort" => listener_port, "Path" => path, "LocalPathPort" => local_path_port, "Protocol" => protocol,
    "ParsedFromCheck" => parsed_from_check,
} own {
    "listener_port" => listener_port_snake, "local_path_port" => local_path_port_snake,
    "parsed_from_check" => parsed_from_check_snake,
});

#[derive(Debug, Default)]
struct TransparentForm {
    outbound_listener_port: i64,
    dialed_directly: bool,
}

form!(TransparentForm, "structs.TransparentProxyConfig", plain "TransparentProxyConfig", refuse, {
    "OutboundListenerPort" => outbound_listener_port, "DialedDirectly" => dialed_directly,
});

#[derive(Debug, Default)]
struct AccessLogsForm {
    enabled: bool,
    disable_listener_logs: bool,
    kind: LogSinkText,
    path: String,
    json_format: String,
    text_format: String,
}

form!(AccessLogsForm, "structs.AccessLogsConfig", plain "AccessLogsConfig", refuse, {
    "Enabled" => enabled, "DisableListenerLogs" => disable_listener_logs, "Type" => kind, "Path" => path,
    "JSONFormat" => json_format, "TextFormat" => text_format,
});

// === forms to records ===

fn either(first: String, second: String) -> Box<str> {
    if first.is_empty() { second.into() } else { first.into() }
}

fn nonzero(first: i64, second: i64) -> i64 {
    if first == 0 { second } else { first }
}

/// The mesh's part of a service; nothing when nothing was said of it.
pub(crate) fn mesh(proxy: Option<Box<ProxyForm>>, native: bool) -> Option<Arc<Mesh>> {
    let proxy = proxy.map(|form| Proxy::from(*form)).unwrap_or_default();
    let mesh = Mesh { native, proxy };
    (mesh != Mesh::default()).then(|| Arc::new(mesh))
}

impl From<ProxyForm> for Proxy {
    fn from(form: ProxyForm) -> Self {
        Self {
            envoy_extensions: form.envoy_extensions.into_iter().map(Into::into).collect(),
            destination_service_name: either(
                form.destination_service_name,
                form.destination_service_name_snake,
            ),
            destination_service_id: either(
                form.destination_service_id,
                form.destination_service_id_snake,
            ),
            local_service_address: either(
                form.local_service_address,
                form.local_service_address_snake,
            ),
            local_service_port: nonzero(form.local_service_port, form.local_service_port_snake),
            local_service_socket_path: either(
                form.local_service_socket_path,
                form.local_service_socket_path_snake,
            ),
            mode: form.mode.0.into(),
            config: form.config.0.unwrap_or_default(),
            upstreams: form.upstreams.0.into_iter().map(Into::into).collect(),
            mesh_gateway: form.mesh_gateway.or(form.mesh_gateway_snake),
            expose: Expose {
                checks: form.expose.checks,
                paths: form.expose.paths.0.into_iter().map(Into::into).collect(),
            },
            transparent_proxy: form.transparent_proxy.or(form.transparent_proxy_snake),
            access_logs: form.access_logs.or(form.access_logs_snake),
        }
    }
}

impl From<ExtensionForm> for EnvoyExtension {
    fn from(form: ExtensionForm) -> Self {
        Self {
            name: form.name.into(),
            required: form.required,
            arguments: form.arguments.0,
            consul_version: form.consul_version.into(),
            envoy_version: form.envoy_version.into(),
        }
    }
}

impl From<UpstreamForm> for Upstream {
    fn from(form: UpstreamForm) -> Self {
        Self {
            destination_type: either(form.destination_type, form.destination_type_snake),
            destination_namespace: either(
                form.destination_namespace,
                form.destination_namespace_snake,
            ),
            destination_partition: either(
                form.destination_partition,
                form.destination_partition_snake,
            ),
            destination_peer: either(form.destination_peer, form.destination_peer_snake),
            destination_name: either(form.destination_name, form.destination_name_snake),
            datacenter: form.datacenter.into(),
            local_bind_address: either(form.local_bind_address, form.local_bind_address_snake),
            local_bind_port: nonzero(form.local_bind_port, form.local_bind_port_snake),
            local_bind_socket_path: either(
                form.local_bind_socket_path,
                form.local_bind_socket_path_snake,
            ),
            local_bind_socket_mode: either(
                form.local_bind_socket_mode,
                form.local_bind_socket_mode_snake,
            ),
            config: form.config.0.unwrap_or_default(),
            mesh_gateway: form.mesh_gateway.or(form.mesh_gateway_snake),
            centrally_configured: form.centrally_configured,
        }
    }
}

impl From<PathForm> for ExposePath {
    fn from(form: PathForm) -> Self {
        Self {
            listener_port: nonzero(form.listener_port, form.listener_port_snake),
            path: form.path.into(),
            local_path_port: nonzero(form.local_path_port, form.local_path_port_snake),
            protocol: form.protocol.into(),
            parsed_from_check: form.parsed_from_check || form.parsed_from_check_snake,
        }
    }
}

impl MeshGatewayForm {
    fn or(self, snake: Self) -> Box<str> {
        either(self.mode.0, snake.mode.0)
    }
}

impl TransparentForm {
    fn or(self, snake: Self) -> TransparentProxy {
        TransparentProxy {
            outbound_listener_port: nonzero(
                self.outbound_listener_port,
                snake.outbound_listener_port,
            ),
            dialed_directly: self.dialed_directly || snake.dialed_directly,
        }
    }
}

impl AccessLogsForm {
    fn or(self, snake: Self) -> AccessLogs {
        AccessLogs {
            enabled: self.enabled || snake.enabled,
            disable_listener_logs: self.disable_listener_logs || snake.disable_listener_logs,
            kind: either(self.kind.0, snake.kind.0),
            path: either(self.path, snake.path),
            json_format: either(self.json_format, snake.json_format),
            text_format: either(self.text_format, snake.text_format),
        }
    }
}
