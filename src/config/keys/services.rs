//! The keys of service and check definitions.

use super::Kind::{BlockMap, Blocks, Bool, Free, Int, Single, Text, TextMap, Texts, TextsMap};
use super::{Key, live, quiet};

pub(in crate::config) const CHECK: &[Key] = &[
    live("id", Text),
    live("name", Text),
    live("notes", Text),
    live("service_id", Text).or("serviceid"),
    live("token", Text),
    live("status", Text),
    live("args", Texts).or("scriptargs"),
    live("http", Text),
    live("header", TextsMap),
    live("method", Text),
    live("body", Text),
    live("disable_redirects", Bool),
    live("output_max_size", Int),
    live("tcp", Text),
    live("tcp_use_tls", Bool),
    live("udp", Text),
    live("interval", Text),
    live("docker_container_id", Text).or("dockercontainerid"),
    live("shell", Text),
    live("grpc", Text),
    live("grpc_use_tls", Bool),
    live("tls_server_name", Text),
    live("tls_skip_verify", Bool).or("tlsskipverify"),
    live("alias_node", Text),
    live("alias_service", Text),
    live("timeout", Text),
    live("ttl", Text),
    live("h2ping", Text),
    live("h2ping_use_tls", Bool),
    live("os_service", Text),
    live("success_before_passing", Int),
    live("failures_before_warning", Int),
    live("failures_before_critical", Int),
    live("deregister_critical_service_after", Text).or("deregistercriticalserviceafter"),
];

pub(in crate::config) const LOCALITY: &[Key] = &[quiet("region", Text), quiet("zone", Text)];

pub(in crate::config) const SERVICE_ADDRESS: &[Key] = &[live("address", Text), live("port", Int)];

pub(in crate::config) const SERVICE_PORT: &[Key] =
    &[live("name", Text), live("port", Int), live("default", Bool)];

pub(in crate::config) const SERVICE_WEIGHTS: &[Key] = &[live("passing", Int), live("warning", Int)];

pub(in crate::config) const TRANSPARENT_PROXY: &[Key] =
    &[live("outbound_listener_port", Int), live("dialed_directly", Bool)];

pub(in crate::config) const MESH_GATEWAY: &[Key] = &[live("mode", Text)];

pub(in crate::config) const UPSTREAM: &[Key] = &[
    live("destination_type", Text),
    live("destination_namespace", Text),
    live("destination_partition", Text),
    live("destination_peer", Text),
    live("destination_name", Text),
    live("datacenter", Text),
    live("local_bind_address", Text),
    live("local_bind_port", Int),
    live("local_bind_socket_path", Text),
    live("local_bind_socket_mode", Text),
    live("config", Free),
    live("mesh_gateway", Single(MESH_GATEWAY)),
];

pub(in crate::config) const EXPOSE_PATH: &[Key] = &[
    live("listener_port", Int),
    live("path", Text),
    live("protocol", Text),
    live("local_path_port", Int),
];

pub(in crate::config) const EXPOSE: &[Key] =
    &[live("checks", Bool), live("port", Int), live("paths", Blocks(EXPOSE_PATH))];

pub(in crate::config) const SERVICE_PROXY: &[Key] = &[
    live("destination_service_name", Text),
    live("destination_service_id", Text),
    live("local_service_address", Text),
    live("local_service_port", Int),
    live("local_service_socket_path", Text),
    live("transparent_proxy", Single(TRANSPARENT_PROXY)),
    live("mode", Text),
    live("config", Free),
    live("upstreams", Blocks(UPSTREAM)),
    live("mesh_gateway", Single(MESH_GATEWAY)),
    live("expose", Single(EXPOSE)),
];

pub(in crate::config) const SERVICE_CONNECT: &[Key] =
    &[live("native", Bool), live("sidecar_service", Single(SIDECAR))];

/// A sidecar brings no sidecar.
pub(in crate::config) const SIDECAR_CONNECT: &[Key] = &[live("native", Bool)];

pub(in crate::config) const SIDECAR: &[Key] = &service(SIDECAR_CONNECT);

pub(in crate::config) const SERVICE: &[Key] = &service(SERVICE_CONNECT);

const fn service(connect: &'static [Key]) -> [Key; 18] {
    [
        live("kind", Text),
        live("id", Text),
        live("name", Text),
        live("tags", Texts),
        live("address", Text),
        live("tagged_addresses", BlockMap(SERVICE_ADDRESS)),
        live("meta", TextMap),
        live("port", Int),
        live("ports", Blocks(SERVICE_PORT)),
        live("socket_path", Text),
        live("check", Single(CHECK)),
        live("checks", Blocks(CHECK)),
        live("token", Text),
        live("weights", Single(SERVICE_WEIGHTS)),
        live("enable_tag_override", Bool),
        live("proxy", Single(SERVICE_PROXY)),
        live("connect", Single(connect)),
        live("locality", Single(LOCALITY)),
    ]
}
