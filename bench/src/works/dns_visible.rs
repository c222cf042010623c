//! How soon a registration shows in DNS, while others ask.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::dns::{EACH, SERVICES, questions};
use crate::Failure;
use crate::bench::{Bench, millis, seed, turns};
use crate::catalog::Fleet;
use crate::dns::{Expect, Kind, question};
use crate::findings::{Bound, Findings, Gauge, Subject};
use crate::http::Connection;
use crate::server::Server;
use crate::stats::percentile;

const FLEET: Fleet = Fleet { nodes: SERVICES * EACH as usize, services: SERVICES };
/// Services that nobody knows before: one a registration.
const NEW: Fleet = Fleet { nodes: 1 << 16, services: 1 << 16 };
/// Questions a second beside it, and how many of them go together.
const QUESTIONS: u32 = 10_000;
const BURST: u32 = 20;
/// An answer that is not there by then is asked for again.
const LOST_AFTER: Duration = Duration::from_millis(50);
const ANSWER_BYTES_MAX: usize = 4096;

const P50: Gauge = Gauge { name: "registration to answer, p50", unit: "ms" };
const P99: Gauge = Gauge { name: "registration to answer, p99", unit: "ms" };
const ASKED: Gauge = Gauge { name: "answers beside it", unit: "/s" };

pub(crate) async fn run(bench: &Bench) -> Result<Findings, Failure> {
    let title = format!(
        "dns-visible: from just before a registration is sent until DNS answers with it, {QUESTIONS} questions/s beside it"
    );
    let mut findings = Findings::new(title, "");
    findings.target(P99, Bound::Below(5.0));
    let mut servers = bench.start_both(&mut findings).await?;
    for server in &servers {
        seed(server, FLEET.registrations(0, SERVICES * usize::from(EACH))).await?;
    }
    for nth in 0..bench.rounds {
        for server in turns(nth, &mut servers) {
            round(server, nth, bench.round / 2, &mut findings).await?;
        }
    }
    Ok(findings)
}

async fn round(
    server: &Server,
    nth: u64,
    length: Duration,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let until = Instant::now() + length;
    // A round registers far fewer.
    let first = usize::try_from(nth)? * (NEW.services / 64);
    let beside = tokio::spawn(ask_steadily(server.dns, questions(&FLEET, Kind::A), until));
    let seen = register_and_look(server, first, until).await?;
    let asked = beside.await??;
    findings.read(P50, server.subject, millis(percentile(&seen, 50)));
    findings.read(P99, server.subject, millis(percentile(&seen, 99)));
    findings.read(ASKED, server.subject, asked as f64 / length.as_secs_f64());
    if server.subject == Subject::Proconsul {
        findings.notes.push(format!("round {}: {} registrations", nth + 1, seen.len()));
    }
    Ok(())
}

/// How long each registration took to show, shortest first.
async fn register_and_look(
    server: &Server,
    first: usize,
    until: Instant,
) -> Result<Vec<Duration>, Failure> {
    let mut connection = Connection::open(server.http).await?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    socket.connect(server.dns).await?;
    let mut seen = Vec::new();
    for nth in first.. {
        if Instant::now() >= until {
            break;
        }
        let name = format!("new-{}", NEW.service(nth));
        let registration = NEW.registration_as(&name, nth, 8080);
        let question = question(&format!("{name}.service.consul"), Kind::A);
        let began = Instant::now();
        let (answered, shown) =
            tokio::join!(connection.exchange(&registration), look_until_there(&socket, &question));
        shown?;
        seen.push(began.elapsed());
        if answered?.status != 200 {
            return Err("a registration was refused".into());
        }
    }
    seen.sort_unstable();
    Ok(seen)
}

async fn look_until_there(socket: &UdpSocket, question: &[u8]) -> Result<(), Failure> {
    let mut message = [0; ANSWER_BYTES_MAX];
    loop {
        socket.send(question).await?;
        let heard = timeout(LOST_AFTER, socket.recv(&mut message)).await;
        if let Ok(length) = heard
            && Expect::Records(1).accepts(&message[..length?])
        {
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
}

/// Asks at a steady rate and counts the answers.
async fn ask_steadily(
    address: SocketAddr,
    questions: Arc<Vec<Vec<u8>>>,
    until: Instant,
) -> Result<usize, std::io::Error> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    socket.connect(address).await?;
    let mut ticks = interval(Duration::from_secs(1) * BURST / QUESTIONS);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut answers, mut message) = (0, [0; ANSWER_BYTES_MAX]);
    let mut questions = questions.iter().cycle();
    while Instant::now() < until {
        ticks.tick().await;
        for question in questions.by_ref().take(BURST as usize) {
            socket.send(question).await?;
        }
        while socket.try_recv(&mut message).is_ok() {
            answers += 1;
        }
    }
    Ok(answers)
}
