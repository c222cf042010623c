//! The mesh's part of the hash.

use serde_json::{Map, Value};

use super::{chained, flag, fnv, list, number, record, text};
use crate::service::mesh::{
    AccessLogs, EnvoyExtension, Expose, ExposePath, Proxy, TransparentProxy, Upstream,
};

/// A service that speaks the mesh's protocol itself.
pub(super) fn native() -> u64 {
    record("AgentServiceConnect", [("Native", flag(true)), ("SidecarService", number(0))])
}

pub(super) fn proxy(proxy: &Proxy) -> u64 {
    record(
        "AgentServiceConnectProxyConfig",
        [
            ("EnvoyExtensions", list(proxy.envoy_extensions.iter().map(extension))),
            ("DestinationServiceName", text(&proxy.destination_service_name)),
            ("DestinationServiceID", text(&proxy.destination_service_id)),
            ("LocalServiceAddress", text(&proxy.local_service_address)),
            ("LocalServicePort", number(proxy.local_service_port)),
            ("LocalServicePorts", list([].into_iter())),
            ("LocalServiceSocketPath", text(&proxy.local_service_socket_path)),
            ("Mode", text(&proxy.mode)),
            ("TransparentProxy", told(&proxy.transparent_proxy, transparent)),
            ("Config", object(&proxy.config)),
            ("Upstreams", list(proxy.upstreams.iter().map(upstream))),
            ("MeshGateway", gateway(&proxy.mesh_gateway)),
            ("Expose", expose(&proxy.expose)),
            ("AccessLogs", told(&proxy.access_logs, access_logs)),
        ],
    )
}

/// What says nothing is no pointer to Consul, which counts as the number 0.
fn told<T: Default + PartialEq>(value: &T, hash: impl Fn(&T) -> u64) -> u64 {
    if *value == T::default() { number(0) } else { hash(value) }
}

fn extension(extension: &EnvoyExtension) -> u64 {
    record(
        "EnvoyExtension",
        [
            ("Name", text(&extension.name)),
            ("Required", flag(extension.required)),
            ("Arguments", extension.arguments.as_ref().map_or(0, object)),
            ("ConsulVersion", text(&extension.consul_version)),
            ("EnvoyVersion", text(&extension.envoy_version)),
        ],
    )
}

fn transparent(proxy: &TransparentProxy) -> u64 {
    record(
        "TransparentProxyConfig",
        [
            ("OutboundListenerPort", number(proxy.outbound_listener_port)),
            ("DialedDirectly", flag(proxy.dialed_directly)),
        ],
    )
}

fn upstream(upstream: &Upstream) -> u64 {
    record(
        "Upstream",
        [
            ("DestinationType", text(&upstream.destination_type)),
            ("DestinationPartition", text(&upstream.destination_partition)),
            ("DestinationNamespace", text(&upstream.destination_namespace)),
            ("DestinationPeer", text(&upstream.destination_peer)),
            ("DestinationName", text(&upstream.destination_name)),
            ("DestinationPort", text("")),
            ("Datacenter", text(&upstream.datacenter)),
            ("LocalBindAddress", text(&upstream.local_bind_address)),
            ("LocalBindPort", number(upstream.local_bind_port)),
            ("LocalBindSocketPath", text(&upstream.local_bind_socket_path)),
            ("LocalBindSocketMode", text(&upstream.local_bind_socket_mode)),
            ("Config", object(&upstream.config)),
            ("MeshGateway", gateway(&upstream.mesh_gateway)),
            ("CentrallyConfigured", flag(upstream.centrally_configured)),
        ],
    )
}

fn gateway(mode: &str) -> u64 {
    record("MeshGatewayConfig", [("Mode", text(mode))])
}

fn expose(expose: &Expose) -> u64 {
    let paths = list(expose.paths.iter().map(path));
    record("ExposeConfig", [("Checks", flag(expose.checks)), ("Paths", paths)])
}

fn path(path: &ExposePath) -> u64 {
    record(
        "ExposePath",
        [
            ("ListenerPort", number(path.listener_port)),
            ("Path", text(&path.path)),
            ("LocalPathPort", number(path.local_path_port)),
            ("Protocol", text(&path.protocol)),
            ("ParsedFromCheck", flag(path.parsed_from_check)),
        ],
    )
}

fn access_logs(logs: &AccessLogs) -> u64 {
    record(
        "AccessLogsConfig",
        [
            ("Enabled", flag(logs.enabled)),
            ("DisableListenerLogs", flag(logs.disable_listener_logs)),
            ("Type", text(&logs.kind)),
            ("Path", text(&logs.path)),
            ("JSONFormat", text(&logs.json_format)),
            ("TextFormat", text(&logs.text_format)),
        ],
    )
}

fn object(object: &Map<String, Value>) -> u64 {
    object.iter().fold(0, |hash, (key, of)| hash ^ chained(text(key), value(of)))
}

/// Whatever JSON holds, as Go reads it: each number is one with a point.
fn value(of: &Value) -> u64 {
    match of {
        Value::Null => number(0),
        Value::Bool(one) => flag(*one),
        Value::Number(one) => fnv(one.as_f64().unwrap_or_default().to_le_bytes()),
        Value::String(one) => text(one),
        Value::Array(all) => list(all.iter().map(value)),
        Value::Object(all) => object(all),
    }
}
