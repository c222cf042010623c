//! What scopes and their policies cost the hottest read: the same request without any scope, with a scope that names no policy, and
//! with one whose policy has four rules of the library.

use serde_json::json;

use super::health::{self, CLIENTS, measure};
use crate::Failure;
use crate::bench::{Bench, micros_each, seed};
use crate::catalog::Fleet;
use crate::findings::{Bound, Findings, Gauge, Subject};
use crate::http;
use crate::server::Server;

const FLEET: Fleet = Fleet { nodes: 3, services: 1 };
const INSTANCES: usize = 3;

/// All of it lets the read through. It looks at the caller, the name, the clock and what the scope holds.
const RULES: &str = r#"package bench

import data.library.addresses
import data.library.freeze
import data.library.names
import data.library.quotas

decision contains {"outcome": "refuse", "rule": "addresses"} if addresses.caller_outside(["127.0.0.0/8"])

decision contains {"outcome": "refuse", "rule": "names"} if names.outside(["service-"])

decision contains {"outcome": "defer", "rule": "freeze"} if freeze.frozen([{"from": "2001-12-24", "until": "2002-01-02"}])

decision contains {"outcome": "refuse", "rule": "quotas"} if quotas.instances(1000)
"#;

const OPEN_CPU: Gauge = Gauge { name: "CPU a request, no policy", unit: "µs" };
const OPEN_RATE: Gauge = Gauge { name: "requests, no policy", unit: "/s" };
const RULED_CPU: Gauge = Gauge { name: "CPU a request, four rules", unit: "µs" };
const RULED_RATE: Gauge = Gauge { name: "requests, four rules", unit: "/s" };

pub(crate) async fn run(bench: &Bench) -> Result<Findings, Failure> {
    let path = health::path(&FLEET);
    let title = format!(
        "policy: GET {path} of a scope, {INSTANCES} instances, {CLIENTS} connections, decisions kept"
    );
    let mut findings = Findings::new(title, "proconsul without scopes");
    findings.target(OPEN_CPU, Bound::AtMost(1.15, Subject::Limit));
    findings.target(RULED_CPU, Bound::Above(10.0, Subject::Limit));
    let Some(program) = bench.program(Subject::Proconsul) else { return Ok(findings) };
    let plain = Server::catalog(Subject::Limit, program, &bench.dir).await?;
    seed(&plain, FLEET.registrations(0, INSTANCES)).await?;
    let mut servers = vec![plain];
    for (cpu_gauge, rate_gauge, rules) in
        [(OPEN_CPU, OPEN_RATE, None), (RULED_CPU, RULED_RATE, Some(RULES))]
    {
        let server = Server::catalog(Subject::Proconsul, program, &bench.dir).await?;
        arrange(&server, rules, &path).await?;
        servers.push(server);
        measure(bench, &http::get(&path), &servers, |server, load, cpu| {
            findings.read(cpu_gauge, server.subject, micros_each(cpu, load.latencies.len()));
            findings.read(rate_gauge, server.subject, load.rate());
            Ok(())
        })
        .await?;
        servers.truncate(1);
    }
    Ok(findings)
}

/// A scope that owns the service, bound by these rules, and proof that the read is answered under them.
async fn arrange(server: &Server, rules: Option<&str>, path: &str) -> Result<(), Failure> {
    let mut scope = json!({ "Services": [FLEET.service(0)] });
    if let Some(rules) = rules {
        let policy = json!({ "Rego": rules }).to_string();
        seed(server, vec![http::put("/v1/anchor/policy/bench", &policy)]).await?;
        scope["Policy"] = "bench".into();
    }
    seed(server, vec![http::put("/v1/anchor/scope/dc1/bench", &scope.to_string())]).await?;
    seed(server, FLEET.registrations(0, INSTANCES)).await?;
    let answer = health::record(server, path).await?;
    let answer = String::from_utf8_lossy(&answer).to_lowercase();
    let ruled = answer.contains("x-anchor-outcome: resolve\r\n");
    let shown = answer.matches(r#""serviceid""#).count() >= INSTANCES;
    if shown && ruled == rules.is_some() {
        Ok(())
    } else {
        Err(format!("{path} is not answered as its scope's policy says: {answer}").into())
    }
}
