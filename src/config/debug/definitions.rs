//! Configured services and checks as Consul prints them.

use proconsul_anchors::duration::show_wait as show;
use proconsul_anchors::node::definition::CheckDefinition;
use proconsul_anchors::pairs::Pairs;
use proconsul_anchors::service::{Locality, Service, Status};
use serde_json::{Map, Value, json};

use super::HIDDEN;
use crate::config::{CheckEntry, ServiceEntry};

/// A check of the node.
pub(super) fn node_check((check, _): &CheckEntry) -> Value {
    let mut view = check_fields(check);
    // Consul fills these two in when the check sends HTTP requests.
    if let (false, Some(header)) =
        (check.http.is_empty(), view.get_mut("Header").and_then(Value::as_object_mut))
    {
        header.entry("Accept").or_insert_with(|| json!(["text/plain, text/*, */*"]));
        header.entry("User-Agent").or_insert_with(|| json!(["Consul Health Check"]));
    }
    view.insert("ID".to_owned(), check.id.as_ref().into());
    view.insert("ServiceID".to_owned(), check.service_id.as_ref().into());
    view.insert("Token".to_owned(), HIDDEN.into());
    view.insert("EnterpriseMeta".to_owned(), json!({}));
    Value::Object(view)
}

/// A service with its checks.
pub(super) fn service(entry: &ServiceEntry) -> Value {
    let mut alone = service_check(&CheckDefinition::default());
    if let Some(alone) = alone.as_object_mut() {
        alone.insert("CheckID".to_owned(), "".into());
    }
    let mut view = service_fields(entry.service());
    let checks = entry.definition.checks.iter().map(service_check).collect();
    for (name, value) in [
        ("Check", alone),
        ("Checks", Value::Array(checks)),
        ("Connect", json!(entry.connect)),
        ("EnterpriseMeta", json!({})),
        ("Proxy", json!(entry.proxy)),
        ("Token", HIDDEN.into()),
    ] {
        view.insert(name.to_owned(), value);
    }
    Value::Object(view)
}

fn service_check(check: &CheckDefinition) -> Value {
    let mut view = check_fields(check);
    view.insert("CheckID".to_owned(), check.id.as_ref().into());
    view.insert("ProxyGRPC".to_owned(), "".into());
    view.insert("ProxyHTTP".to_owned(), "".into());
    Value::Object(view)
}

/// Region and zone.
pub(super) fn place(place: &Locality) -> Value {
    json!({ "Region": place.region, "Zone": place.zone })
}

/// The fields of a service that the debug view and a registration print alike.
pub(crate) fn service_fields(service: &Service) -> Map<String, Value> {
    let tagged = service.tagged_addresses.iter().flat_map(Pairs::iter);
    let tagged = tagged.map(|(name, there)| {
        (name.to_owned(), json!({ "Address": there.address, "Port": there.port }))
    });
    let ports = service.ports().iter();
    let ports =
        ports.map(|port| json!({ "Name": port.name, "Port": port.port, "Default": port.default }));
    let rare = service.rare.as_deref();
    fields(json!({
        "Address": service.address, "EnableTagOverride": service.enable_tag_override, "ID": service.id.as_str(),
        "Kind": service.kind(), "Locality": rare.and_then(|rare| rare.locality.as_ref()).map(place),
        "Meta": service.meta, "Name": service.name.as_str(), "Port": service.port, "Ports": ports.collect::<Vec<_>>(),
        "SocketPath": rare.map_or("", |rare| &rare.socket_path), "TaggedAddresses": tagged.collect::<Map<_, _>>(),
        "Tags": service.tags,
        "Weights": { "Passing": service.weights.passing, "Warning": service.weights.warning },
    }))
}

/// The fields of a check that the debug view and a registration print alike.
pub(crate) fn check_fields(check: &CheckDefinition) -> Map<String, Value> {
    fields(json!({
        "AliasNode": check.alias_node, "AliasService": check.alias_service, "Body": check.body,
        "DeregisterCriticalServiceAfter": show(check.deregister_critical_service_after),
        "DisableRedirects": check.disable_redirects, "DockerContainerID": check.docker_container_id,
        "FailuresBeforeCritical": check.failures_before_critical, "FailuresBeforeWarning": check.failures_before_warning,
        "GRPC": check.grpc, "GRPCUseTLS": check.grpc_use_tls, "H2PING": check.h2ping, "H2PingUseTLS": check.h2ping_use_tls,
        "HTTP": check.http, "Header": check.header, "Interval": show(check.interval), "Method": check.method,
        "Name": check.name, "Notes": check.notes, "OSService": check.os_service, "OutputMaxSize": check.output_max_size,
        "ScriptArgs": check.script_args, "Shell": check.shell, "Status": check.status.as_ref().map_or("", Status::as_str),
        "SuccessBeforePassing": check.success_before_passing, "TCP": check.tcp, "TCPUseTLS": check.tcp_use_tls,
        "TLSServerName": check.tls_server_name, "TLSSkipVerify": check.tls_skip_verify, "TTL": show(check.ttl),
        "Timeout": show(check.timeout), "UDP": check.udp,
    }))
}

fn fields(object: Value) -> Map<String, Value> {
    if let Value::Object(fields) = object { fields } else { Map::new() }
}
