//! The debug view of configured services and checks.

use serde_json::{Map, Value, json};

use super::HIDDEN;
use crate::config::{CheckDefinition, ServiceDefinition};
use proconsul_anchors::duration::show_wait as show;

/// A check of the node.
pub(super) fn node_check(check: &CheckDefinition) -> Value {
    let mut view = common(check);
    // Consul fills these two in when the check sends HTTP requests.
    if let (false, Some(header)) =
        (check.http.is_empty(), view.get_mut("Header").and_then(Value::as_object_mut))
    {
        header.entry("Accept").or_insert_with(|| json!(["text/plain, text/*, */*"]));
        header.entry("User-Agent").or_insert_with(|| json!(["Consul Health Check"]));
    }
    view.insert("ID".to_owned(), check.id.as_str().into());
    view.insert("ServiceID".to_owned(), check.service_id.as_str().into());
    view.insert("Token".to_owned(), HIDDEN.into());
    view.insert("EnterpriseMeta".to_owned(), json!({}));
    Value::Object(view)
}

/// A service with its checks.
pub(super) fn service(service: &ServiceDefinition) -> Value {
    let addresses = service.tagged_addresses.iter();
    let addresses = addresses
        .map(|(name, (address, port))| (name.clone(), json!({ "Address": address, "Port": port })));
    let ports = service
        .ports
        .iter()
        .map(|(name, port, default)| json!({ "Name": name, "Port": port, "Default": default }));
    let locality = service
        .locality
        .as_ref()
        .map(|place| json!({ "Region": place.region, "Zone": place.zone }));
    let mut alone = service_check(&CheckDefinition::default());
    if let Some(alone) = alone.as_object_mut() {
        alone.insert("CheckID".to_owned(), "".into());
    }
    json!({
        "Address": service.address, "Check": alone, "Checks": service.checks.iter().map(service_check).collect::<Vec<_>>(),
        "Connect": service.connect, "EnableTagOverride": service.enable_tag_override, "EnterpriseMeta": {}, "ID": service.id,
        "Kind": service.kind, "Locality": locality, "Meta": service.meta, "Name": service.name, "Port": service.port,
        "Ports": ports.collect::<Vec<_>>(), "Proxy": service.proxy, "SocketPath": service.socket_path,
        "TaggedAddresses": addresses.collect::<Map<_, _>>(), "Tags": service.tags, "Token": HIDDEN,
        "Weights": { "Passing": service.weights.0, "Warning": service.weights.1 },
    })
}

fn service_check(check: &CheckDefinition) -> Value {
    let mut view = common(check);
    view.insert("CheckID".to_owned(), check.id.as_str().into());
    view.insert("ProxyGRPC".to_owned(), "".into());
    view.insert("ProxyHTTP".to_owned(), "".into());
    Value::Object(view)
}

fn common(check: &CheckDefinition) -> Map<String, Value> {
    let view = json!({
        "AliasNode": check.alias_node, "AliasService": check.alias_service, "Body": check.body,
        "DeregisterCriticalServiceAfter": show(check.deregister_critical_service_after),
        "DisableRedirects": check.disable_redirects, "DockerContainerID": check.docker_container_id,
        "FailuresBeforeCritical": check.failures_before_critical, "FailuresBeforeWarning": check.failures_before_warning,
        "GRPC": check.grpc, "GRPCUseTLS": check.grpc_use_tls, "H2PING": check.h2ping, "H2PingUseTLS": check.h2ping_use_tls,
        "HTTP": check.http, "Header": check.header, "Interval": show(check.interval), "Method": check.method,
        "Name": check.name, "Notes": check.notes, "OSService": check.os_service, "OutputMaxSize": check.output_max_size,
        "ScriptArgs": check.args, "Shell": check.shell, "Status": check.status,
        "SuccessBeforePassing": check.success_before_passing, "TCP": check.tcp, "TCPUseTLS": check.tcp_use_tls,
        "TLSServerName": check.tls_server_name, "TLSSkipVerify": check.tls_skip_verify, "TTL": show(check.ttl),
        "Timeout": show(check.timeout), "UDP": check.udp,
    });
    if let Value::Object(view) = view { view } else { Map::new() }
}
