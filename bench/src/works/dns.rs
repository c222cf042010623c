//! Lookups of services over UDP.

use std::sync::Arc;
use std::time::Duration;

use crate::Failure;
use crate::bench::{Bench, micros_each, millis, seed, turns};
use crate::catalog::Fleet;
use crate::dns::{Expect, Kind, SOCKETS, WINDOW, ask_once, flood, question};
use crate::findings::{Bound, Findings, Gauge, Subject};
use crate::server::Server;
use crate::stats::percentile;

/// The services that are asked for.
pub(super) const SERVICES: usize = 100;
pub(super) const EACH: u16 = 3;
const FLEET: Fleet = Fleet { nodes: SERVICES * EACH as usize, services: SERVICES };

/// A kind of question and the names of what is read of it.
pub(super) struct Ask {
    pub(super) kind: Kind,
    pub(super) cpu: Gauge,
    rate: Gauge,
    p50: Gauge,
    p99: Gauge,
    /// Questions without their answer: what went over the wire and never came back, and what came back wrong.
    pub(super) lost: Gauge,
}

pub(super) const ASKS: [Ask; 2] = [
    Ask {
        kind: Kind::A,
        cpu: Gauge { name: "CPU an answer, A", unit: "µs" },
        rate: Gauge { name: "answers, A", unit: "/s" },
        p50: Gauge { name: "latency p50, A", unit: "ms" },
        p99: Gauge { name: "latency p99, A", unit: "ms" },
        lost: Gauge { name: "lost or wrong, A", unit: "a round" },
    },
    Ask {
        kind: Kind::Srv,
        cpu: Gauge { name: "CPU an answer, SRV", unit: "µs" },
        rate: Gauge { name: "answers, SRV", unit: "/s" },
        p50: Gauge { name: "latency p50, SRV", unit: "ms" },
        p99: Gauge { name: "latency p99, SRV", unit: "ms" },
        lost: Gauge { name: "lost or wrong, SRV", unit: "a round" },
    },
];

pub(crate) async fn run(bench: &Bench) -> Result<Findings, Failure> {
    let open = SOCKETS * WINDOW;
    let title = format!(
        "dns: A and SRV of {SERVICES} services × {EACH} over UDP, {SOCKETS} sockets, {open} open questions"
    );
    let mut findings = Findings::new(title, "UDP echo");
    for ask in &ASKS {
        findings.target(ask.cpu, Bound::AtMost(0.1, Subject::Consul));
        findings.target(ask.cpu, Bound::AtMost(1.5, Subject::Limit));
        findings.target(ask.lost, Bound::Below(0.0));
    }
    let mut servers = bench.start_both(&mut findings).await?;
    for server in &servers {
        seed(server, FLEET.registrations(0, SERVICES * usize::from(EACH))).await?;
    }
    for ask in &ASKS {
        let questions = questions(&FLEET, ask.kind);
        let length = ask_once(servers[servers.len() - 1].dns, &questions[0]).await?;
        servers.push(Server::echo_udp(&bench.dir, length)?);
        rounds(bench, ask, &mut servers, &questions, &mut findings).await?;
        servers.retain(|server| server.subject != Subject::Limit);
    }
    Ok(findings)
}

/// The questions for the services of a fleet that are asked for.
pub(super) fn questions(fleet: &Fleet, kind: Kind) -> Arc<Vec<Vec<u8>>> {
    let names = (0..SERVICES).map(|nth| format!("{}.service.consul", fleet.service(nth)));
    Arc::new(names.map(|name| question(&name, kind)).collect())
}

/// A short round for each server that nobody counts, then those that count.
pub(super) async fn rounds(
    bench: &Bench,
    ask: &Ask,
    servers: &mut [Server],
    questions: &Arc<Vec<Vec<u8>>>,
    findings: &mut Findings,
) -> Result<(), Failure> {
    for server in servers.iter() {
        let mut nobodys = Findings::new(String::new(), "");
        round(ask, server, questions, bench.round / 4, &mut nobodys).await?;
    }
    for nth in 0..bench.rounds {
        for server in turns(nth, servers) {
            round(ask, server, questions, bench.round / 2, findings).await?;
        }
    }
    Ok(())
}

async fn round(
    ask: &Ask,
    server: &Server,
    questions: &Arc<Vec<Vec<u8>>>,
    length: Duration,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let is_echo = server.is_echo();
    let expect = if is_echo { Expect::Echo } else { Expect::Records(EACH) };
    let before = server.process.cpu()?;
    let load = flood(server.dns, questions, expect, length).await?;
    let cpu = server.process.cpu()? - before;
    findings.read(ask.cpu, server.subject, micros_each(cpu, load.latencies.len()));
    findings.read(ask.rate, server.subject, load.rate());
    findings.read(ask.p50, server.subject, millis(percentile(&load.latencies, 50)));
    findings.read(ask.p99, server.subject, millis(percentile(&load.latencies, 99)));
    findings.read(ask.lost, server.subject, load.refused as f64);
    Ok(())
}
