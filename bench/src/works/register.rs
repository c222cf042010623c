//! Durable registrations of new instances: one client that waits for each, and many at once.

use std::time::Duration;

use crate::Failure;
use crate::bench::{Bench, micros_each, millis, play, seed, turns};
use crate::catalog::Fleet;
use crate::findings::{Bound, Findings, Gauge, Subject};
use crate::limits::{Appends, synced_appends};
use crate::load::{Crowd, Load, Script};
use crate::process::Process;
use crate::server::{Folder, Server};
use crate::stats::percentile;

const FLEET: Fleet = Fleet { nodes: 1_000, services: 100 };
const WARM_UP: usize = 500;
/// A subject that needs more than this many times the length of a round for its count has its round cut short.
const PATIENCE: u32 = 10;

/// So many clients, so many registrations for each second of a round: every subject's catalog grows alike.
struct Stint {
    clients: usize,
    count_per_second: usize,
    rate: Gauge,
    cpu: Gauge,
    p50: Gauge,
    p99: Gauge,
}

const ALONE: Stint = Stint {
    clients: 1,
    count_per_second: 500,
    rate: Gauge { name: "registrations, 1 client", unit: "/s" },
    cpu: Gauge { name: "CPU each, 1 client", unit: "µs" },
    p50: Gauge { name: "latency p50, 1 client", unit: "ms" },
    p99: Gauge { name: "latency p99, 1 client", unit: "ms" },
};

const TOGETHER: Stint = Stint {
    clients: 64,
    count_per_second: 4_000,
    rate: Gauge { name: "registrations, 64 clients", unit: "/s" },
    cpu: Gauge { name: "CPU each, 64 clients", unit: "µs" },
    p50: Gauge { name: "latency p50, 64 clients", unit: "ms" },
    p99: Gauge { name: "latency p99, 64 clients", unit: "ms" },
};

pub(crate) async fn run(bench: &Bench) -> Result<Findings, Failure> {
    let title = "register: PUT /v1/catalog/register of new instances with their checks, on disk";
    let mut findings = Findings::new(title.to_owned(), "fsync loop");
    findings.target(TOGETHER.rate, Bound::AtLeast(5.0, Subject::Consul));
    findings.target(TOGETHER.cpu, Bound::AtMost(0.1, Subject::Consul));
    let limit = "The limit appends 1 KiB and syncs it for each of the one client's registrations, 64 KiB for 64 of the 64 clients'.";
    findings.notes.push(limit.to_owned());
    let servers = bench.start_both(&mut findings).await?;
    let folder = Folder::create(&bench.dir)?;
    for server in &servers {
        seed(server, FLEET.registrations(0, WARM_UP)).await?;
    }
    let mut registered = WARM_UP;
    for round in 0..bench.rounds {
        for stint in [&ALONE, &TOGETHER] {
            let count = stint.count_per_second * bench.round.as_secs() as usize;
            let mut turn: Vec<_> = servers.iter().map(Some).chain([None]).collect();
            for server in turns(round % 2, &mut turn) {
                match server {
                    Some(server) => {
                        register(stint, server, registered, count, bench, &mut findings).await?
                    }
                    None => append(stint, &folder, bench.round / 2, &mut findings)?,
                }
            }
            registered += count;
        }
    }
    Ok(findings)
}

async fn register(
    stint: &Stint,
    server: &Server,
    first: usize,
    count: usize,
    bench: &Bench,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let mut crowd = Crowd::connect(server.http, stint.clients).await?;
    let script = Script::once(FLEET.registrations(first, count), bench.round * PATIENCE);
    let (load, cpu) = play(&mut crowd, &script, server.process).await?;
    if load.refused > 0 {
        return Err(format!("{:?} refused {} registrations", server.subject, load.refused).into());
    }
    let Load { latencies, .. } = &load;
    findings.read(stint.rate, server.subject, load.rate());
    findings.read(stint.cpu, server.subject, micros_each(cpu, latencies.len()));
    findings.read(stint.p50, server.subject, millis(percentile(latencies, 50)));
    findings.read(stint.p99, server.subject, millis(percentile(latencies, 99)));
    Ok(())
}

fn append(
    stint: &Stint,
    folder: &Folder,
    length: Duration,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let before = Process::this().cpu()?;
    let Appends { records, elapsed } = synced_appends(&folder.path, stint.clients, length)?;
    let cpu = Process::this().cpu()? - before;
    let syncs = records / stint.clients;
    findings.read(stint.rate, Subject::Limit, records as f64 / elapsed.as_secs_f64());
    findings.read(stint.cpu, Subject::Limit, micros_each(cpu, records));
    findings.read(stint.p50, Subject::Limit, millis(elapsed) / syncs.max(1) as f64);
    Ok(())
}
