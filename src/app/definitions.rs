//! Services and checks of the configuration, as the node's leaf takes them.

use proconsul_anchors::caller::Secret;
use proconsul_anchors::node::definition::{CheckDefinition, ServiceDefinition};
use proconsul_anchors::pairs::Pairs;
use proconsul_anchors::service::{
    Locality, Rare, Service, ServiceAddress, ServicePort, Status, Weights,
};

use crate::config;

/// A service with its checks.
///
/// # Errors
/// The text names the service that needs what is not served yet.
pub(super) fn service(given: &config::ServiceDefinition) -> Result<ServiceDefinition, String> {
    if given.proxy.is_some() || given.connect.is_some() || !given.kind.is_empty() {
        return Err(format!(
            "service {:?}: kind, proxy and connect are not supported yet (Connect); remove them",
            given.name
        ));
    }
    Ok(ServiceDefinition {
        service: Service {
            id: given.id.as_str().into(),
            name: given.name.as_str().into(),
            tags: given.tags.iter().map(|tag| tag.as_str().into()).collect(),
            address: given.address.as_str().into(),
            port: given.port,
            meta: Some(
                given
                    .meta
                    .iter()
                    .map(|(key, value)| (key.as_str(), value.as_str().into()))
                    .collect(),
            ),
            weights: Weights { passing: given.weights.0, warning: given.weights.1 },
            enable_tag_override: given.enable_tag_override,
            tagged_addresses: tagged_addresses(given),
            rare: rare(given).map(Box::new),
        },
        checks: given.checks.iter().map(check).collect(),
        token: token(&given.token),
    })
}

fn tagged_addresses(given: &config::ServiceDefinition) -> Option<Pairs<ServiceAddress>> {
    let address = |(address, port): &(String, i64)| ServiceAddress {
        address: address.as_str().into(),
        port: *port,
    };
    let pairs = given.tagged_addresses.iter().map(|(tag, there)| (tag.as_str(), address(there)));
    (!given.tagged_addresses.is_empty()).then(|| pairs.collect())
}

fn rare(given: &config::ServiceDefinition) -> Option<Rare> {
    let ports = given.ports.iter().map(|(name, port, default)| ServicePort {
        name: name.as_str().into(),
        port: *port,
        default: *default,
    });
    let locality = given.locality.as_ref().map(|there| Locality {
        region: there.region.as_str().into(),
        zone: there.zone.as_str().into(),
    });
    let rare = Rare {
        kind: "".into(),
        ports: ports.collect(),
        socket_path: given.socket_path.as_str().into(),
        locality,
    };
    (rare != Rare::default()).then_some(rare)
}

/// A check of the node, or of a service that it names, with the token to register it with.
pub(super) fn check_with_token(
    given: &config::CheckDefinition,
) -> (CheckDefinition, Option<Secret>) {
    (check(given), token(&given.token))
}

fn token(text: &str) -> Option<Secret> {
    (!text.is_empty()).then(|| Secret::new(text))
}

fn check(given: &config::CheckDefinition) -> CheckDefinition {
    let boxed = |text: &String| Box::<str>::from(text.as_str());
    let all = |texts: &[String]| texts.iter().map(boxed).collect::<Vec<_>>();
    CheckDefinition {
        id: boxed(&given.id),
        name: boxed(&given.name),
        notes: boxed(&given.notes),
        status: (!given.status.is_empty()).then(|| Status::from(given.status.as_str())),
        service_id: boxed(&given.service_id),
        script_args: all(&given.args),
        http: boxed(&given.http),
        header: given.header.iter().map(|(name, values)| (name.as_str(), all(values))).collect(),
        method: boxed(&given.method),
        body: boxed(&given.body),
        disable_redirects: given.disable_redirects,
        tcp: boxed(&given.tcp),
        tcp_use_tls: given.tcp_use_tls,
        udp: boxed(&given.udp),
        h2ping: boxed(&given.h2ping),
        h2ping_use_tls: given.h2ping_use_tls,
        grpc: boxed(&given.grpc),
        grpc_use_tls: given.grpc_use_tls,
        os_service: boxed(&given.os_service),
        docker_container_id: boxed(&given.docker_container_id),
        shell: boxed(&given.shell),
        alias_node: boxed(&given.alias_node),
        alias_service: boxed(&given.alias_service),
        tls_server_name: boxed(&given.tls_server_name),
        tls_skip_verify: given.tls_skip_verify,
        interval: given.interval,
        timeout: given.timeout,
        ttl: given.ttl,
        success_before_passing: given.success_before_passing,
        failures_before_warning: given.failures_before_warning,
        failures_before_critical: given.failures_before_critical,
        deregister_critical_service_after: given.deregister_critical_service_after,
        output_max_size: given.output_max_size,
    }
}
