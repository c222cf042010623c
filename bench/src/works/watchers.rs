//! Thousands of blocked reads of one service: what each holds, and how soon one change has woken them all.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::Failure;
use crate::bench::{Bench, millis, seed};
use crate::catalog::Fleet;
use crate::findings::{Bound, Findings, Gauge, Subject};
use crate::http::{self, Connection};
use crate::process::Process;
use crate::server::Server;
use crate::stats::percentile;
use crate::works::health;

const WATCHERS: usize = 8_000;
const FLEET: Fleet = Fleet { nodes: 3, services: 1 };
const INSTANCES: usize = 3;
/// Turns with a fresh server, and changes in each.
const TURNS: usize = 2;
const CHANGES: u16 = 5;

/// Requests that are on their way have arrived when the server has been still for this long.
const QUIET: Duration = Duration::from_millis(300);
/// What a server does by itself in that time.
const QUIET_CPU_MAX: Duration = Duration::from_millis(20);
const QUIET_AFTER_MAX: Duration = Duration::from_secs(20);
/// A watcher that was not woken by then was forgotten.
const WOKEN_AFTER_MAX: Duration = Duration::from_secs(60);

const PARKED: Gauge = Gauge { name: "RSS a watcher", unit: "KiB" };
const WOKEN: Gauge = Gauge { name: "RSS a watcher, after 5 changes", unit: "KiB" };
const P50: Gauge = Gauge { name: "p50 woken after", unit: "ms" };
const P99: Gauge = Gauge { name: "p99 woken after", unit: "ms" };
const ALL: Gauge = Gauge { name: "all woken after", unit: "ms" };
const CPU: Gauge = Gauge { name: "CPU a wake-up", unit: "µs" };

pub(crate) async fn run(bench: &Bench) -> Result<Findings, Failure> {
    let title = format!(
        "watchers: {WATCHERS} blocked reads of one service (index=…&wait=5m), then one change"
    );
    let mut findings = Findings::new(title, "bare axum");
    findings.target(PARKED, Bound::Below(12.0));
    findings.target(P99, Bound::AtMost(1.0 / 3.0, Subject::Consul));
    findings.target(ALL, Bound::AtMost(1.0 / 3.0, Subject::Consul));
    findings
        .notes
        .push("The times are those of this one client, its own work included.".to_owned());
    for _ in 0..TURNS {
        let mut recorded = None;
        for subject in [Subject::Consul, Subject::Proconsul] {
            let Some(server) = bench.start(subject, &mut findings).await else { continue };
            seed(&server, FLEET.registrations(0, INSTANCES)).await?;
            let path = health::path(&FLEET);
            recorded = Some(health::record(&server, &path).await?);
            watch(&server, &Watch::Service(path), &mut findings).await?;
        }
        let recorded = recorded.ok_or_else(|| findings.notes.join("\n"))?;
        let server = Server::bare_http(&recorded, &bench.dir).await?;
        watch(&server, &Watch::Bare, &mut findings).await?;
    }
    findings.notes.dedup();
    Ok(findings)
}

/// What is watched, and how it is changed.
enum Watch {
    Service(String),
    Bare,
}

impl Watch {
    /// Both forms name what the reader has seen: a read that arrives late, after the change, is answered at once.
    fn read(&self, index: u64, changes: u16) -> Vec<u8> {
        match self {
            Self::Service(path) => http::get(&format!("{path}&index={index}&wait=5m")),
            Self::Bare => http::get(&format!("/park/{changes}")),
        }
    }

    fn change(&self, nth: u16) -> Vec<u8> {
        match self {
            Self::Service(_) => FLEET.registration(0, 9000 + nth),
            Self::Bare => http::put("/wake", ""),
        }
    }
}

async fn watch(server: &Server, watch: &Watch, findings: &mut Findings) -> Result<(), Failure> {
    let before = server.process.resident()?;
    let mut index = match watch {
        Watch::Service(path) => {
            Connection::open(server.http).await?.exchange(&http::get(path)).await?.index
        }
        Watch::Bare => 0,
    };
    let mut control = Connection::open(server.http).await?;
    let mut watchers = Vec::with_capacity(WATCHERS);
    for _ in 0..WATCHERS {
        watchers.push(Connection::open(server.http).await?);
    }
    for nth in 0..CHANGES {
        let waiting = park(watchers, watch.read(index, nth));
        quiet(server.process).await?;
        let held =
            server.process.resident()?.saturating_sub(before) as f64 / 1024.0 / WATCHERS as f64;
        findings.read(if nth == 0 { PARKED } else { WOKEN }, server.subject, held);
        let cpu = server.process.cpu()?;
        let began = Instant::now();
        control.exchange(&watch.change(nth)).await?;
        let woken = tokio::time::timeout(WOKEN_AFTER_MAX, Woken::of(waiting, began)).await;
        let woken = woken.map_err(|_| format!("{:?} left watchers asleep", server.subject))??;
        let cpu = server.process.cpu()? - cpu;
        findings.read(P50, server.subject, millis(percentile(&woken.after, 50)));
        findings.read(P99, server.subject, millis(percentile(&woken.after, 99)));
        findings.read(ALL, server.subject, millis(percentile(&woken.after, 100)));
        findings.read(CPU, server.subject, crate::bench::micros_each(cpu, WATCHERS));
        watchers = woken.watchers;
        index = woken.index;
    }
    Ok(())
}

type Waiting = JoinSet<Result<(Connection, http::Frame, Instant), Failure>>;

/// Sends the blocking read on every connection.
fn park(watchers: Vec<Connection>, read: Vec<u8>) -> Waiting {
    let read: Arc<[u8]> = read.into();
    let mut waiting = JoinSet::new();
    for mut connection in watchers {
        let read = Arc::clone(&read);
        waiting.spawn(async move {
            let frame = connection.exchange(&read).await?;
            Ok((connection, frame, Instant::now()))
        });
    }
    waiting
}

/// Waits until the server has nothing to do any more.
async fn quiet(process: Process) -> Result<(), Failure> {
    let began = Instant::now();
    let mut before = process.cpu()?;
    while began.elapsed() < QUIET_AFTER_MAX {
        tokio::time::sleep(QUIET).await;
        let now = process.cpu()?;
        if now - before <= QUIET_CPU_MAX {
            break;
        }
        before = now;
    }
    Ok(())
}

/// The watchers after a change.
struct Woken {
    watchers: Vec<Connection>,
    /// Soonest first.
    after: Vec<Duration>,
    index: u64,
}

impl Woken {
    async fn of(mut waiting: Waiting, began: Instant) -> Result<Self, Failure> {
        let mut woken = Self {
            watchers: Vec::with_capacity(WATCHERS),
            after: Vec::with_capacity(WATCHERS),
            index: 0,
        };
        while let Some(done) = waiting.join_next().await {
            let (connection, frame, at) = done??;
            if frame.status != 200 {
                return Err(format!("a watcher was answered with {}", frame.status).into());
            }
            let after =
                at.checked_duration_since(began).ok_or("a watcher was woken before the change")?;
            woken.after.push(after);
            woken.index = woken.index.max(frame.index);
            woken.watchers.push(connection);
        }
        woken.after.sort_unstable();
        Ok(woken)
    }
}
