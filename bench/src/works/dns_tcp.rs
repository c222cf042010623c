//! Lookups of a large service over TCP, as clients repeat them that were told of a shortened answer.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::Failure;
use crate::bench::{Bench, micros_each, millis, seed, turns};
use crate::catalog::Fleet;
use crate::dns::{Expect, Kind, question};
use crate::findings::{Bound, Findings, Gauge};
use crate::load::Load;
use crate::stats::percentile;

const INSTANCES: u16 = 300;
const FLEET: Fleet = Fleet { nodes: INSTANCES as usize, services: 1 };
const CONNECTIONS: usize = 16;
/// Below what the servers answer on one connection before they end it (Consul: 128).
const QUERIES_EACH: usize = 100;

const CPU: Gauge = Gauge { name: "CPU an answer, A", unit: "µs" };
const RATE: Gauge = Gauge { name: "answers, A", unit: "/s" };
const P99: Gauge = Gauge { name: "latency p99, A", unit: "ms" };

pub(crate) async fn run(bench: &Bench) -> Result<Findings, Failure> {
    let title = format!(
        "dns-tcp: A of one service × {INSTANCES} over TCP, {CONNECTIONS} connections of {QUERIES_EACH} questions"
    );
    let mut findings = Findings::new(title, "");
    findings.target(CPU, Bound::AtMost(0.1, crate::findings::Subject::Consul));
    let mut servers = bench.start_both(&mut findings).await?;
    for server in &servers {
        seed(server, FLEET.registrations(0, usize::from(INSTANCES))).await?;
    }
    for nth in 0..bench.rounds {
        for server in turns(nth, &mut servers) {
            let before = server.process.cpu()?;
            let load = crowd(server.dns, bench.round / 2).await?;
            let cpu = server.process.cpu()? - before;
            findings.read(CPU, server.subject, micros_each(cpu, load.latencies.len()));
            findings.read(RATE, server.subject, load.rate());
            findings.read(P99, server.subject, millis(percentile(&load.latencies, 99)));
        }
    }
    Ok(findings)
}

/// Clients that ask, each over one connection after the other.
async fn crowd(address: SocketAddr, length: Duration) -> Result<Load, Failure> {
    let began = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..CONNECTIONS {
        clients.spawn(client(address, began + length));
    }
    let mut load = Load::default();
    while let Some(part) = clients.join_next().await {
        load.latencies.extend(part??);
    }
    load.elapsed = began.elapsed();
    load.latencies.sort_unstable();
    Ok(load)
}

async fn client(address: SocketAddr, deadline: Instant) -> Result<Vec<Duration>, Failure> {
    let question = question(&format!("{}.service.consul", FLEET.service(0)), Kind::A);
    let mut framed = u16::try_from(question.len())?.to_be_bytes().to_vec();
    framed.extend_from_slice(&question);
    let (mut latencies, mut message) = (Vec::new(), Vec::new());
    while Instant::now() < deadline {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        for _ in 0..QUERIES_EACH {
            let began = Instant::now();
            stream.write_all(&framed).await?;
            message.resize(usize::from(stream.read_u16().await?), 0);
            stream.read_exact(&mut message).await?;
            if !Expect::Records(INSTANCES).accepts(&message) {
                return Err("an answer over TCP has not every instance".into());
            }
            latencies.push(began.elapsed());
        }
    }
    Ok(latencies)
}
