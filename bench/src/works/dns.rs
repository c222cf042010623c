//! Lookups of services over UDP.

use std::sync::Arc;
use std::time::Duration;

use crate::Failure;
use crate::bench::{Bench, micros_each, millis, seed, turns};
use crate::catalog::Fleet;
use crate::dns::{Expect, Kind, SOCKETS, WINDOW, flood, question};
use crate::findings::{Findings, Gauge, Subject};
use crate::server::Server;
use crate::stats::percentile;

const SERVICES: usize = 100;
const EACH: u16 = 3;
const FLEET: Fleet = Fleet { nodes: SERVICES * EACH as usize, services: SERVICES };

/// A kind of question and the names of what is read of it.
struct Ask {
    kind: Kind,
    cpu: Gauge,
    rate: Gauge,
    p50: Gauge,
    p99: Gauge,
}

const ASKS: [Ask; 2] = [
    Ask {
        kind: Kind::A,
        cpu: Gauge { name: "CPU an answer, A", unit: "µs" },
        rate: Gauge { name: "answers, A", unit: "/s" },
        p50: Gauge { name: "latency p50, A", unit: "ms" },
        p99: Gauge { name: "latency p99, A", unit: "ms" },
    },
    Ask {
        kind: Kind::Srv,
        cpu: Gauge { name: "CPU an answer, SRV", unit: "µs" },
        rate: Gauge { name: "answers, SRV", unit: "/s" },
        p50: Gauge { name: "latency p50, SRV", unit: "ms" },
        p99: Gauge { name: "latency p99, SRV", unit: "ms" },
    },
];

pub(crate) async fn run(bench: &Bench) -> Result<Findings, Failure> {
    let open = SOCKETS * WINDOW;
    let title = format!(
        "dns: A and SRV of {SERVICES} services × {EACH} over UDP, {SOCKETS} sockets, {open} open questions"
    );
    let mut findings = Findings::new(title, "UDP echo");
    let mut servers = bench.start_both(&mut findings).await?;
    for server in &servers {
        seed(server, FLEET.registrations(0, SERVICES * usize::from(EACH))).await?;
    }
    servers.push(Server::echo_udp(&bench.dir)?);
    for ask in &ASKS {
        let names = (0..SERVICES).map(|nth| format!("{}.service.consul", FLEET.service(nth)));
        let questions = Arc::new(names.map(|name| question(&name, ask.kind)).collect());
        for server in &servers {
            round(ask, server, &questions, bench.round / 4, &mut Findings::new(String::new(), ""))
                .await?;
        }
        for nth in 0..bench.rounds {
            for server in turns(nth, &mut servers) {
                round(ask, server, &questions, bench.round / 2, &mut findings).await?;
            }
        }
    }
    Ok(findings)
}

async fn round(
    ask: &Ask,
    server: &Server,
    questions: &Arc<Vec<Vec<u8>>>,
    length: Duration,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let expect =
        if server.subject == Subject::Limit { Expect::Echo } else { Expect::Records(EACH) };
    let before = server.process.cpu()?;
    let load = flood(server.dns, questions, expect, length).await?;
    let cpu = server.process.cpu()? - before;
    if load.refused > load.latencies.len() / 100 {
        let (subject, refused) = (server.subject, load.refused);
        findings.notes.push(format!(
            "{subject:?} lost or misanswered {refused} questions in a round ({:?}).",
            ask.kind
        ));
    }
    findings.read(ask.cpu, server.subject, micros_each(cpu, load.latencies.len()));
    findings.read(ask.rate, server.subject, load.rate());
    findings.read(ask.p50, server.subject, millis(percentile(&load.latencies, 50)));
    findings.read(ask.p99, server.subject, millis(percentile(&load.latencies, 99)));
    Ok(())
}
