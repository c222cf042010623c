//! What a large catalog costs a lookup: the same questions to a server with 100,000 instances, and to one with few.

use super::dns::{ASKS, EACH, SERVICES, questions, rounds};
use crate::Failure;
use crate::bench::{Bench, mebibytes, seed};
use crate::catalog::Fleet;
use crate::findings::{Bound, Findings, Gauge, Subject};
use crate::server::Server;

/// As many services of three instances as make 100,000 instances.
const LARGE: Fleet = Fleet { nodes: 1_000, services: 33_334 };
const SMALL: Fleet = Fleet { nodes: SERVICES * EACH as usize, services: SERVICES };
/// Seeded in pieces, so that their texts are not all in memory.
const PIECE: usize = 10_000;

const RSS: Gauge = Gauge { name: "RSS after the work", unit: "MiB" };

pub(crate) async fn run(bench: &Bench) -> Result<Findings, Failure> {
    let instances = LARGE.services * usize::from(EACH);
    let title = format!(
        "dns-large: A and SRV of {SERVICES} services × {EACH} over UDP, {instances} instances in the catalog"
    );
    let mut findings = Findings::new(title, "proconsul, small catalog");
    for ask in &ASKS {
        findings.target(ask.cpu, Bound::AtMost(1.2, Subject::Limit));
        findings.target(ask.lost, Bound::Below(0.0));
    }
    let program = bench.program(Subject::Proconsul).ok_or("there is no proconsul to measure")?;
    let large = Server::catalog(Subject::Proconsul, program, &bench.dir).await?;
    let small = Server::catalog(Subject::Limit, program, &bench.dir).await?;
    for first in (0..instances).step_by(PIECE) {
        seed(&large, LARGE.registrations(first, PIECE.min(instances - first))).await?;
    }
    seed(&small, SMALL.registrations(0, SERVICES * usize::from(EACH))).await?;
    let mut servers = [large, small];
    for ask in &ASKS {
        // Both fleets call their first services alike.
        rounds(bench, ask, &mut servers, &questions(&SMALL, ask.kind), &mut findings).await?;
    }
    for server in &servers {
        findings.read(RSS, server.subject, mebibytes(server.process.resident()?));
    }
    Ok(findings)
}
