//! How much memory a large catalog takes.

use std::time::{Duration, Instant};

use crate::Failure;
use crate::bench::{Bench, mebibytes, micros_each, seed};
use crate::catalog::Fleet;
use crate::findings::{Bound, Findings, Gauge, Subject};
use crate::http;
use crate::load::{Crowd, Script};
use crate::process::Process;
use crate::server::Server;

const INSTANCES: usize = 22_000;
const SERVICES: usize = 100;

/// Memory has settled when it changed by less than this part over one pause.
const SETTLED_WITHIN: f64 = 0.01;
const SETTLE_PAUSE: Duration = Duration::from_secs(3);
const SETTLE_MAX: Duration = Duration::from_secs(24);

const IDLE: Gauge = Gauge { name: "RSS, empty", unit: "MiB" };

/// A fleet and the names of what is read of it.
struct Shape {
    fleet: Fleet,
    rate: Gauge,
    cpu: Gauge,
    filled: Gauge,
    read: Gauge,
}

const SHAPES: [Shape; 2] = [
    Shape {
        fleet: Fleet { nodes: INSTANCES, services: SERVICES },
        rate: Gauge { name: "filling, 22,000 nodes × 1", unit: "/s" },
        cpu: Gauge { name: "CPU each, 22,000 nodes × 1", unit: "µs" },
        filled: Gauge { name: "RSS, 22,000 nodes × 1 instance", unit: "MiB" },
        read: Gauge { name: "the same, every service read once", unit: "MiB" },
    },
    Shape {
        fleet: Fleet { nodes: 1_000, services: SERVICES },
        rate: Gauge { name: "filling, 1,000 nodes × 22", unit: "/s" },
        cpu: Gauge { name: "CPU each, 1,000 nodes × 22", unit: "µs" },
        filled: Gauge { name: "RSS, 1,000 nodes × 22 instances", unit: "MiB" },
        read: Gauge { name: "the same, every service read once ", unit: "MiB" },
    },
];

pub(crate) async fn run(bench: &Bench) -> Result<Findings, Failure> {
    let title = format!(
        "memory: {INSTANCES} instances of {SERVICES} services, a node check and a service check each"
    );
    let mut findings = Findings::new(title, "(none)");
    for shape in &SHAPES {
        findings.target(shape.filled, Bound::AtMost(1.0 / 8.0, Subject::Consul));
        findings.target(shape.read, Bound::AtMost(1.0 / 8.0, Subject::Consul));
        for subject in [Subject::Consul, Subject::Proconsul] {
            if let Some(server) = bench.start(subject, &mut findings).await {
                fill(&server, shape, &mut findings).await?;
            }
        }
    }
    findings.notes.dedup();
    if findings.measures.is_empty() { Err(findings.notes.join("\n").into()) } else { Ok(findings) }
}

async fn fill(server: &Server, shape: &Shape, findings: &mut Findings) -> Result<(), Failure> {
    findings.read(IDLE, server.subject, mebibytes(settled(server.process).await?));
    let before = server.process.cpu()?;
    let load = seed(server, shape.fleet.registrations(0, INSTANCES)).await?;
    findings.read(
        shape.cpu,
        server.subject,
        micros_each(server.process.cpu()? - before, INSTANCES),
    );
    findings.read(shape.rate, server.subject, load.rate());
    findings.read(shape.filled, server.subject, mebibytes(settled(server.process).await?));
    let reads = (0..SERVICES)
        .map(|nth| http::get(&format!("/v1/health/service/{}", shape.fleet.service(nth))));
    let script = Script::once(reads.collect(), SETTLE_MAX);
    let load = Crowd::connect(server.http, 1).await?.play(&script).await?;
    if load.latencies.len() < SERVICES {
        return Err(format!(
            "{:?} answered {} of {SERVICES} reads",
            server.subject,
            load.latencies.len()
        )
        .into());
    }
    findings.read(shape.read, server.subject, mebibytes(settled(server.process).await?));
    Ok(())
}

async fn settled(process: Process) -> Result<u64, Failure> {
    let began = Instant::now();
    let mut last = process.resident()?;
    loop {
        tokio::time::sleep(SETTLE_PAUSE).await;
        let now = process.resident()?;
        let change = now.abs_diff(last) as f64 / last.max(1) as f64;
        if change < SETTLED_WITHIN || began.elapsed() > SETTLE_MAX {
            return Ok(now);
        }
        last = now;
    }
}
