//! Registered, found, gone.

use crate::harness::Agent;

/// A service with a check that passes.
pub(crate) const WEB: &str =
    r#"{"Name":"web","Address":"10.9.8.7","Port":80,"Check":{"TTL":"1h","Status":"passing"}}"#;

#[test]
fn a_service_is_found_by_http_and_by_dns() {
    let agent = Agent::start(&["-dev"]);
    agent.put("/v1/agent/service/register", WEB);
    assert!(agent.get("/v1/health/service/web?passing").contains("10.9.8.7"));
    let (answers, reply) = agent.addresses("web.service.consul");
    assert_eq!(answers, 1);
    assert!(reply.ends_with(&[10, 9, 8, 7]));
    agent.put("/v1/agent/service/deregister/web", "");
    assert_eq!(agent.addresses("web.service.consul").0, 0);
}
