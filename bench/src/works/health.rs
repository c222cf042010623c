//! The hottest read: the healthy instances of one service.

use std::time::Duration;

use crate::Failure;
use crate::bench::{Bench, mebibytes, micros_each, millis, play, seed, turns};
use crate::catalog::Fleet;
use crate::findings::{Bound, Findings, Gauge, Subject};
use crate::http::{self, Connection};
use crate::load::{Crowd, Load, Script};
use crate::server::Server;
use crate::stats::percentile;

pub(super) const CLIENTS: usize = 32;
const FLEET: Fleet = Fleet { nodes: 3, services: 1 };
const INSTANCES: usize = 3;

const CPU: Gauge = Gauge { name: "CPU a request", unit: "µs" };
const RATE: Gauge = Gauge { name: "requests", unit: "/s" };
const P50: Gauge = Gauge { name: "latency p50", unit: "ms" };
const P99: Gauge = Gauge { name: "latency p99", unit: "ms" };
const RSS: Gauge = Gauge { name: "RSS after the work", unit: "MiB" };

pub(crate) async fn run(bench: &Bench) -> Result<Findings, Failure> {
    let mut findings = Findings::new(String::new(), "bare axum");
    findings.target(CPU, Bound::AtMost(1.0 / 8.0, Subject::Consul));
    findings.target(CPU, Bound::AtMost(1.5, Subject::Limit));
    let mut servers = bench.start_both(&mut findings).await?;
    for server in &servers {
        seed(server, FLEET.registrations(0, INSTANCES)).await?;
    }
    let path = path(&FLEET);
    let subject = servers.last().expect("at least one of them has started");
    let recorded = record(subject, &path).await?;
    findings.title = format!(
        "health: GET {path}, {INSTANCES} instances, {CLIENTS} connections; bare axum gives the {} bytes of {:?}",
        recorded.len(),
        subject.subject
    );
    servers.push(Server::bare_http(&recorded, &bench.dir).await?);
    measure(bench, &http::get(&path), &servers, |server, load, cpu| {
        findings.read(CPU, server.subject, micros_each(cpu, load.latencies.len()));
        findings.read(RATE, server.subject, load.rate());
        findings.read(P50, server.subject, millis(percentile(&load.latencies, 50)));
        findings.read(P99, server.subject, millis(percentile(&load.latencies, 99)));
        findings.read(RSS, server.subject, mebibytes(server.process.resident()?));
        Ok(())
    })
    .await?;
    Ok(findings)
}

/// The path of the read, for the only service of a fleet.
pub(super) fn path(fleet: &Fleet) -> String {
    format!("/v1/health/service/{}?passing", fleet.service(0))
}

/// A whole answer of a server, for the bare one to repeat.
pub(super) async fn record(server: &Server, path: &str) -> Result<Vec<u8>, Failure> {
    let mut connection = Connection::open(server.http).await?;
    let frame = connection.exchange(&http::get(path)).await?;
    if frame.status != 200 {
        return Err(format!("{:?} answers {} to {path}", server.subject, frame.status).into());
    }
    let mut recorded = connection.head(&frame).to_vec();
    recorded.extend(connection.body(&frame));
    Ok(recorded)
}

/// Plays one read on each server in turn; what each round gave is for `tell` to write down.
pub(super) async fn measure(
    bench: &Bench,
    request: &[u8],
    servers: &[Server],
    mut tell: impl FnMut(&Server, &Load, Duration) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut crowds = Vec::new();
    for server in servers {
        let mut crowd = Crowd::connect(server.http, CLIENTS).await?;
        crowd.play(&Script::lasting(vec![request.to_vec()], bench.round / 4)).await?;
        crowds.push((server, crowd));
    }
    for round in 0..bench.rounds {
        for (server, crowd) in turns(round, &mut crowds) {
            let script = Script::lasting(vec![request.to_vec()], bench.round);
            let (load, cpu) = play(crowd, &script, server.process).await?;
            if load.refused > 0 {
                return Err(format!("{:?} refused {} reads", server.subject, load.refused).into());
            }
            tell(server, &load, cpu)?;
        }
    }
    Ok(())
}
