//! What others tell of a service, as registrations.

use proconsul_anchors::change::Registration;
use proconsul_anchors::service::{Node, Service, Weights};
use serde_json::{Map, Value};

use crate::fallback::Host;
use crate::limits::FALLBACK_INSTANCES_MAX;
use crate::routes::catalog::registration;
use crate::wire::decode::{Hint, body};
use crate::wire::register::RegisterForm;

/// Reads the body of a Consul's `/v1/health/service/<name>`.
///
/// # Errors
/// What of it cannot be read.
pub(crate) fn of_consul(text: &[u8]) -> Result<Vec<Registration>, String> {
    let entries: Vec<Map<String, Value>> =
        serde_json::from_slice(text).map_err(|error| format!("the answer is no list: {error}"))?;
    entries.into_iter().take(FALLBACK_INSTANCES_MAX).map(entry).collect()
}

/// One instance, in the form in which the catalog takes it.
fn entry(mut entry: Map<String, Value>) -> Result<Registration, String> {
    let mut part = |key: &str| entry.remove(key).unwrap_or_default();
    let (mut node, service, checks) = (part("Node"), part("Service"), part("Checks"));
    let datacenter = node.get("Datacenter").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut field = |key: &str| node.get_mut(key).map(Value::take).unwrap_or_default();
    let form = serde_json::json!({
        "ID": field("ID"), "Node": field("Node"), "Address": field("Address"),
        "TaggedAddresses": field("TaggedAddresses"), "NodeMeta": field("Meta"),
        "Service": service, "Checks": checks,
    });
    let unreadable = |error: String| format!("an instance cannot be read: {error}");
    let form: RegisterForm = body(form.to_string().as_bytes(), Hint::Namespaces)
        .map_err(|error| unreadable(error.to_string()))?;
    let read = registration(form, &datacenter).map_err(|reject| unreadable(reject.to_string()))?;
    Ok(Registration { node: Node { datacenter: datacenter.as_str().into(), ..read.node }, ..read })
}

/// Each host with its port is an instance on a node of the host's name.
pub(crate) fn of_hosts(service: &str, hosts: &[Host]) -> Vec<Registration> {
    let hosts = hosts.iter().take(FALLBACK_INSTANCES_MAX);
    hosts.map(|host| of_host(service, host)).collect()
}

fn of_host(service: &str, host: &Host) -> Registration {
    let weights = Weights { passing: i64::from(host.weight.max(1)), warning: 1 };
    Registration {
        node: Node {
            name: host.name.trim_end_matches('.').into(),
            address: host.address.to_string().into(),
            ..Node::default()
        },
        service: Some(Service {
            id: format!("{service}-{}-{}", host.address, host.port).into(),
            name: service.into(),
            address: host.address.to_string().into(),
            port: host.port.into(),
            weights,
            ..Service::default()
        }),
        ..Registration::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str = r#"[{"Node":{"ID":"","Node":"n1","Address":"10.0.0.1","Datacenter":"old","TaggedAddresses":null,
        "Meta":{"a":"b"},"CreateIndex":1,"ModifyIndex":2},"Service":{"ID":"w1","Service":"web","Tags":["x"],"Address":"",
        "Meta":null,"Port":80,"Weights":{"Passing":1,"Warning":1},"EnableTagOverride":false,"Proxy":{"Mode":"",
        "MeshGateway":{},"Expose":{}},"Connect":{},"PeerName":"","CreateIndex":3,"ModifyIndex":4},"Checks":[{"Node":"n1",
        "CheckID":"c","Name":"c","Status":"passing","Notes":"","Output":"","ServiceID":"w1","ServiceName":"web",
        "ServiceTags":["x"],"Type":"","Interval":"","Timeout":"","ExposedPort":0,"Definition":{},"CreateIndex":5,
        "ModifyIndex":6}]}]"#;

    #[test]
    fn a_consuls_answer_is_read() {
        let read = of_consul(ENTRY.as_bytes()).unwrap();
        let [one] = read.as_slice() else { panic!("{read:?}") };
        let service = one.service.as_ref().unwrap();
        assert_eq!(
            (one.node.name.as_str(), &*one.node.datacenter, service.id.as_str(), service.port),
            ("n1", "old", "w1", 80)
        );
        assert_eq!(one.checks.len(), 1);
        for text in ["{}", "[{}]", "[{\"Node\":{\"Node\":\"n\"}}]"] {
            assert!(of_consul(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn hosts_are_instances() {
        let host = |port| Host {
            name: "a.old.example.".to_owned(),
            address: "10.0.0.1".parse().unwrap(),
            port,
            weight: 3,
        };
        let read = of_hosts("web", &[host(80), host(81)]);
        let ids: Vec<_> =
            read.iter().map(|one| one.service.as_ref().unwrap().id.as_str()).collect();
        assert_eq!(ids, ["web-10.0.0.1-80", "web-10.0.0.1-81"]);
        assert_eq!(read[0].node.name.as_str(), "a.old.example");
    }
}
