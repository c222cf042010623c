//! A read of another scope: what it costs beside the same read at its owner, and how many round trips between anchors.

use std::time::Instant;

use super::health::{self, CLIENTS, measure};
use crate::Failure;
use crate::bench::{Bench, micros_each, millis, seed};
use crate::catalog::Fleet;
use crate::findings::{Bound, Findings, Gauge, Subject};
use crate::http::{self, Connection};
use crate::server::Server;

/// Services that are asked for once each, cold.
const COLD: usize = 100;
const FLEET: Fleet = Fleet { nodes: COLD, services: COLD };
/// The path of the metric that counts the questions which callers wait for.
const METRICS: &str = "/v1/agent/metrics?format=prometheus";
const ASKED: &str = "consul_anchor_traversal_asked";
/// Tries until the neighbours have found each other, a tenth of a second apart.
const FOUND_TRIES: usize = 100;

const COLD_TRIPS: Gauge = Gauge { name: "round trips a cold read", unit: "" };
const WARM_TRIPS: Gauge = Gauge { name: "round trips a warm read", unit: "" };
const COLD_TIME: Gauge = Gauge { name: "cold read", unit: "ms" };
const CPU: Gauge = Gauge { name: "CPU a warm request", unit: "µs" };
const RATE: Gauge = Gauge { name: "warm requests", unit: "/s" };

pub(crate) async fn run(bench: &Bench) -> Result<Findings, Failure> {
    let mut findings = Findings::new(String::new(), "the owner itself");
    findings.target(COLD_TRIPS, Bound::Below(2.0));
    findings.target(WARM_TRIPS, Bound::Below(0.0));
    let Some(program) = bench.program(Subject::Proconsul) else {
        findings.notes.push("proconsul was not found and did not take part.".to_owned());
        return Ok(findings);
    };
    let asker = Server::of_datacenter(Subject::Proconsul, program, &bench.dir, "eu").await?;
    let owner = Server::of_datacenter(Subject::Limit, program, &bench.dir, "payments").await?;
    join(&asker, &owner).await?;
    seed(&owner, FLEET.registrations(0, COLD)).await?;
    found(&asker).await?;
    let before = asked(&asker).await?;
    let began = Instant::now();
    let mut connection = Connection::open(asker.http).await?;
    for nth in 0..COLD {
        read(&mut connection, &path(nth)).await?;
    }
    findings.read(COLD_TIME, asker.subject, millis(began.elapsed()) / COLD as f64);
    let cold = asked(&asker).await?;
    findings.read(COLD_TRIPS, asker.subject, (cold - before) / COLD as f64);
    let path = path(0);
    findings.title = format!("remote: GET {path}, {CLIENTS} connections; {COLD} services cold");
    let servers = [asker, owner];
    let mut reads = 0;
    measure(bench, &http::get(&path), &servers, |server, load, cpu| {
        reads += load.latencies.len();
        findings.read(CPU, server.subject, micros_each(cpu, load.latencies.len()));
        findings.read(RATE, server.subject, load.rate());
        Ok(())
    })
    .await?;
    let warm = asked(&servers[0]).await?;
    findings.read(WARM_TRIPS, servers[0].subject, (warm - cold) / reads.max(1) as f64);
    Ok(findings)
}

fn path(nth: usize) -> String {
    format!("{}&dc=payments", health::path(&FLEET).replace(&FLEET.service(0), &FLEET.service(nth)))
}

async fn read(connection: &mut Connection, path: &str) -> Result<Vec<u8>, Failure> {
    let frame = connection.exchange(&http::get(path)).await?;
    if frame.status != 200 {
        return Err(format!("{path} is answered with {}", frame.status).into());
    }
    Ok(connection.body(&frame))
}

/// Has both sign an adjacency.
async fn join(asker: &Server, owner: &Server) -> Result<(), Failure> {
    let request = r#"{"Peer": "payments"}"#;
    let ours = put(asker, "/v1/anchor/adjacency/request", request).await?;
    let theirs = put(owner, "/v1/anchor/adjacency/accept", &ours).await?;
    put(asker, "/v1/anchor/adjacency/accept", &theirs).await?;
    Ok(())
}

/// Writes, and returns the statement of the answer as a body for the next.
async fn put(server: &Server, path: &str, body: &str) -> Result<String, Failure> {
    let mut connection = Connection::open(server.http).await?;
    let frame = connection.exchange(&http::put(path, body)).await?;
    let answer = connection.body(&frame);
    if frame.status != 200 {
        let text = String::from_utf8_lossy(&answer);
        return Err(format!("{path} is answered with {}: {text}", frame.status).into());
    }
    let answer: serde_json::Value = serde_json::from_slice(&answer)?;
    Ok(serde_json::json!({ "Statement": answer["Statement"] }).to_string())
}

/// Waits until the asker has heard of the owner.
async fn found(asker: &Server) -> Result<(), Failure> {
    let mut connection = Connection::open(asker.http).await?;
    for _ in 0..FOUND_TRIES {
        let listed = read(&mut connection, "/v1/catalog/datacenters").await?;
        if String::from_utf8_lossy(&listed).contains("payments") {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    Err("the neighbours did not find each other".into())
}

/// How many questions callers have waited for.
async fn asked(server: &Server) -> Result<f64, Failure> {
    let mut connection = Connection::open(server.http).await?;
    let text = read(&mut connection, METRICS).await?;
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().find(|line| line.starts_with(ASKED));
    let count = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
    Ok(count.unwrap_or(0.0))
}
