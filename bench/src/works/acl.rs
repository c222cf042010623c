//! What access control costs the hottest read: the same request with a token that may read it, under default-deny.

use super::health::{self, CLIENTS, measure};
use crate::Failure;
use crate::bench::{Bench, micros_each, seed};
use crate::catalog::Fleet;
use crate::findings::{Bound, Findings, Gauge, Subject};
use crate::http;
use crate::server::{ACL_TOKEN, Server};

const FLEET: Fleet = Fleet { nodes: 3, services: 1 };
const INSTANCES: usize = 3;
/// The secret of the reader: made up, and known to these servers alone.
const READER: &str = "22222222-aaaa-bbbb-cccc-000000000000";

const CPU: Gauge = Gauge { name: "CPU a request", unit: "µs" };
const RATE: Gauge = Gauge { name: "requests", unit: "/s" };

pub(crate) async fn run(bench: &Bench) -> Result<Findings, Failure> {
    let mut findings = Findings::new(String::new(), "proconsul without access control");
    findings.target(CPU, Bound::AtMost(1.1, Subject::Limit));
    let mut servers = Vec::new();
    for subject in [Subject::Consul, Subject::Proconsul] {
        if let Some(program) = bench.program(subject) {
            let server = Server::guarded(subject, program, &bench.dir).await?;
            arrange(&server).await?;
            servers.push(server);
        }
    }
    if let Some(program) = bench.program(Subject::Proconsul) {
        servers.push(Server::catalog(Subject::Limit, program, &bench.dir).await?);
    }
    for server in &servers {
        seed(server, FLEET.registrations(0, INSTANCES)).await?;
    }
    let path = health::path(&FLEET);
    findings.title = format!(
        "acl: GET {path} with a token of service:read and node:read, default deny, {INSTANCES} instances, {CLIENTS} connections"
    );
    measure(bench, &http::get_as(READER, &path), &servers, |server, load, cpu| {
        findings.read(CPU, server.subject, micros_each(cpu, load.latencies.len()));
        findings.read(RATE, server.subject, load.rate());
        Ok(())
    })
    .await?;
    Ok(findings)
}

/// A policy that may read every service and node, and a token of it.
async fn arrange(server: &Server) -> Result<(), Failure> {
    let rules =
        r#"service_prefix \"\" { policy = \"read\" } node_prefix \"\" { policy = \"read\" }"#;
    let policy = format!(r#"{{"Name":"reader","Rules":"{rules}"}}"#);
    let token = format!(r#"{{"SecretID":"{READER}","Policies":[{{"Name":"reader"}}]}}"#);
    let requests = [("/v1/acl/policy", policy), ("/v1/acl/token", token)];
    for (path, body) in requests {
        seed(server, vec![http::put_as(ACL_TOKEN, path, &body)]).await?;
    }
    Ok(())
}
