//! Proxies and sidecars, by the names of the configuration files.

use std::sync::Arc;

use proconsul_anchors::service::mesh::{
    Expose, ExposePath, Mesh, Proxy, TransparentProxy, Upstream,
};
use serde_json::{Map, Value as Json};

use super::boxed;
use crate::config::raw::{Item, Raw};

/// The mesh's part of a service; nothing when nothing was said of it.
pub(super) fn mesh(raw: &Raw) -> Option<Arc<Mesh>> {
    let native = raw.single("connect").and_then(|connect| connect.flag("native")).unwrap_or(false);
    let proxy = raw.single("proxy").map(proxy).unwrap_or_default();
    let mesh = Mesh { native, proxy };
    (mesh != Mesh::default()).then(|| Arc::new(mesh))
}

/// The definition of the sidecar that a service brings.
pub(super) fn sidecar(raw: &Raw) -> Option<&Raw> {
    raw.single("connect")?.single("sidecar_service")
}

fn proxy(raw: &Raw) -> Proxy {
    Proxy {
        destination_service_name: boxed(raw, "destination_service_name"),
        destination_service_id: boxed(raw, "destination_service_id"),
        local_service_address: boxed(raw, "local_service_address"),
        local_service_port: raw.int("local_service_port").unwrap_or(0),
        local_service_socket_path: boxed(raw, "local_service_socket_path"),
        mode: boxed(raw, "mode"),
        config: free(raw),
        upstreams: raw.blocks("upstreams").iter().map(upstream).collect(),
        mesh_gateway: mesh_gateway(raw),
        expose: raw.single("expose").map(expose).unwrap_or_default(),
        transparent_proxy: raw.single("transparent_proxy").map(transparent).unwrap_or_default(),
        ..Proxy::default()
    }
}

fn free(raw: &Raw) -> Map<String, Json> {
    if let Some(Item::Free(map)) = raw.item("config") { map.clone() } else { Map::new() }
}

fn mesh_gateway(raw: &Raw) -> Box<str> {
    raw.single("mesh_gateway").map(|gateway| boxed(gateway, "mode")).unwrap_or_default()
}

fn upstream(raw: &Raw) -> Upstream {
    Upstream {
        destination_type: boxed(raw, "destination_type"),
        destination_namespace: boxed(raw, "destination_namespace"),
        destination_partition: boxed(raw, "destination_partition"),
        destination_peer: boxed(raw, "destination_peer"),
        destination_name: boxed(raw, "destination_name"),
        datacenter: boxed(raw, "datacenter"),
        local_bind_address: boxed(raw, "local_bind_address"),
        local_bind_port: raw.int("local_bind_port").unwrap_or(0),
        local_bind_socket_path: boxed(raw, "local_bind_socket_path"),
        local_bind_socket_mode: boxed(raw, "local_bind_socket_mode"),
        config: free(raw),
        mesh_gateway: mesh_gateway(raw),
        centrally_configured: false,
    }
}

fn expose(raw: &Raw) -> Expose {
    let path = |raw: &Raw| ExposePath {
        listener_port: raw.int("listener_port").unwrap_or(0),
        path: boxed(raw, "path"),
        local_path_port: raw.int("local_path_port").unwrap_or(0),
        protocol: boxed(raw, "protocol"),
        parsed_from_check: false,
    };
    Expose {
        checks: raw.flag("checks").unwrap_or(false),
        paths: raw.blocks("paths").iter().map(path).collect(),
    }
}

fn transparent(raw: &Raw) -> TransparentProxy {
    TransparentProxy {
        outbound_listener_port: raw.int("outbound_listener_port").unwrap_or(0),
        dialed_directly: raw.flag("dialed_directly").unwrap_or(false),
    }
}
