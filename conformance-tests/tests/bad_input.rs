//! Input that no client should send: a clear refusal, bounded memory, and service goes on.
//!
//! What the real Consul answers to smaller nonsense is recorded in `fixtures/`; here is what cannot be recorded, by its size.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use proconsul_conformance::{
    dns::wire::{self, Transport},
    http::Request,
    subject::{Kind, Mode, Setup, Subject},
};

const GIB: u64 = 1 << 30;
/// One refused request may cost this much at most, whatever it claims to be.
const MEMORY_GROWTH_MAX_KIB: u64 = 192 * 1024;
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// The largest resident size so far.
fn peak_kib(subject: &Subject) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", subject.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Sends a head and then a body piece by piece until it is whole, refused or cut off. The status; none when cut off.
fn pour(subject: &Subject, head: &str, piece: &[u8], pieces: u64) -> Option<u16> {
    let mut wire = TcpStream::connect(subject.http_address()).unwrap();
    wire.set_read_timeout(Some(ANSWER_MAX)).unwrap();
    wire.set_write_timeout(Some(ANSWER_MAX)).unwrap();
    wire.write_all(head.as_bytes()).unwrap();
    let answered = Arc::new(AtomicBool::new(false));
    let (mut body, stop, piece) = (wire.try_clone().unwrap(), answered.clone(), piece.to_vec());
    let writer = thread::spawn(move || {
        (0..pieces).all(|_| !stop.load(Ordering::Relaxed) && body.write_all(&piece).is_ok());
    });
    let mut begun = [0; 12];
    let read = wire.read_exact(&mut begun);
    answered.store(true, Ordering::Relaxed);
    drop(wire);
    writer.join().unwrap();
    read.ok()?;
    std::str::from_utf8(&begun).ok()?.get(9..12)?.parse().ok()
}

fn check_big(subject: &Subject, target: &str, first: &str) {
    let piece = vec![b'a'; 1 << 20];
    let chunk: Vec<u8> =
        [format!("{:x}\r\n", piece.len()).into_bytes(), piece.clone(), b"\r\n".to_vec()].concat();
    let by_length =
        format!("PUT {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {GIB}\r\n\r\n{first}");
    let in_chunks = format!(
        "PUT {target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{first}\r\n",
        first.len()
    );
    for (head, piece) in [(by_length, &piece), (in_chunks, &chunk)] {
        if target == "/v1/session/create" && head.contains("chunked") {
            // There a body without a length is not read at all, here as in the real one.
            continue;
        }
        let before = peak_kib(subject);
        let status = pour(subject, &head, piece, GIB >> 20);
        let grown = peak_kib(subject) - before;
        assert!(
            status.is_none_or(|status| (400..500).contains(&status)),
            "{target} {first}: {status:?}"
        );
        assert!(grown < MEMORY_GROWTH_MAX_KIB, "{target} {first}: {grown} KiB more");
        assert_eq!(subject.ask("GET", "/v1/status/leader", "").status, 200);
    }
}

/// The real Consul takes such bodies into memory whole; this is asked of proconsul alone.
fn proconsul() -> Option<Subject> {
    let setup = Setup::new(Mode::Dev);
    (setup.kind == Kind::Proconsul).then(|| Subject::start(setup).unwrap())
}

#[test]
fn a_gibibyte_is_refused() {
    let Some(subject) = proconsul() else { return };
    for (target, first) in [
        ("/v1/kv/big", "x"),
        ("/v1/agent/service/register", "{\"Name\":\""),
        ("/v1/agent/check/register", "{\"Name\":\""),
        ("/v1/agent/check/update/x", "{\"Output\":\""),
        ("/v1/catalog/register", "{\"Node\":\""),
        ("/v1/catalog/deregister", "{\"Node\":\""),
        ("/v1/session/create", "{\"Name\":\""),
        ("/v1/anchor/credentials", "{\"Envelope\":{\"payload\":\""),
    ] {
        check_big(&subject, target, first);
    }
}

#[test]
fn depth_is_refused() {
    let subject = Subject::start(Setup::new(Mode::Dev)).unwrap();
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    let objects = "{\"Meta\":".repeat(10_000);
    for target in [
        "/v1/agent/service/register",
        "/v1/agent/check/register",
        "/v1/catalog/register",
        "/v1/session/create",
    ] {
        for body in [&deep, &objects] {
            let answer = subject.ask("PUT", target, body);
            assert_eq!(answer.status, 400, "{target}: {}", answer.text());
        }
    }
}

#[test]
fn a_deep_filter_is_answered() {
    // The real one parses such a filter for minutes.
    let Some(subject) = proconsul() else { return };
    let nested =
        format!("/v1/catalog/nodes?filter={}Node==a{}", "(".repeat(10_000), ")".repeat(10_000));
    let answer = subject.ask("GET", &nested, "");
    assert!((400..=500).contains(&answer.status), "{}", answer.status);
    assert_eq!(subject.ask("GET", "/v1/status/leader", "").status, 200);
}

#[test]
fn absurd_headers_are_refused() {
    let subject = Subject::start(Setup::new(Mode::Dev)).unwrap();
    let huge =
        Request::new("GET", "/v1/status/leader").header("X-Consul-Token", &"a".repeat(4 << 20));
    let long = Request::new("GET", &format!("/v1/kv/{}", "a".repeat(4 << 20)));
    let many = (0..20_000)
        .fold(Request::new("GET", "/v1/status/leader"), |r, n| r.header(&format!("X-{n}"), "v"));
    for (name, request) in [("one huge", huge), ("a long target", long), ("many", many)] {
        // A connection that is cut while we still send is a refusal too; many small headers may be taken.
        if let Ok(answer) = subject.client().send(&request) {
            let taken = name == "many" && answer.status == 200;
            assert!(taken || (400..500).contains(&answer.status), "{name}: {}", answer.status);
        }
        assert_eq!(subject.ask("GET", "/v1/status/leader", "").status, 200, "{name}");
    }
    assert!(peak_kib(&subject) < 1 << 20);
}

#[test]
fn broken_words_are_refused_or_taken_whole() {
    let subject = Subject::start(Setup::new(Mode::Dev)).unwrap();
    let broken = b"{\"Name\":\"\xff\xfe\",\"ID\":\"broken\"}".to_vec();
    let answer = subject
        .client()
        .send(&Request::new("PUT", "/v1/agent/service/register").body(broken))
        .unwrap();
    assert!(matches!(answer.status, 200 | 400), "{}", answer.status);
    for (target, body) in [
        ("/v1/agent/service/register", r#"{"Name":"x","Check":{"TTL":"99999999999999999h"}}"#),
        ("/v1/agent/service/register", r#"{"Name":"x","Check":{"TTL":1e400}}"#),
        ("/v1/session/create", r#"{"TTL":"-1h"}"#),
    ] {
        let answer = subject.ask("PUT", target, body);
        assert!((400..=500).contains(&answer.status), "{target} {body}: {}", answer.status);
    }
    for target in [
        "/v1/kv/a?index=99999999999999999999",
        "/v1/kv/a?index=1&wait=99999999999999h",
        "/v1/kv/a?index=1&wait=1e9s",
    ] {
        assert_eq!(subject.ask("GET", target, "").status, 400, "{target}");
    }
}

/// Each says a byte and no more.
const SLOW_CLIENTS: usize = 500;

#[test]
fn slow_dns_connections_leave_others_alone() {
    let Some(subject) = proconsul() else { return };
    let to = subject.dns_address();
    let slow: Vec<TcpStream> = (0..SLOW_CLIENTS)
        .map(|_| {
            let mut wire = TcpStream::connect(to).unwrap();
            wire.write_all(&[0]).unwrap();
            wire
        })
        .collect();
    let query = wire::question("udp consul.service.consul A rd", 7).unwrap();
    for transport in [Transport::Udp, Transport::Tcp] {
        for _ in 0..20 {
            let reply = wire::exchange(to, transport, &query, ANSWER_MAX).unwrap().unwrap();
            assert!(reply.ends_with(&[127, 0, 0, 1]), "{transport:?}");
        }
    }
    // They are shown the door.
    for mut wire in slow {
        wire.set_read_timeout(Some(ANSWER_MAX)).unwrap();
        assert_eq!(wire.read(&mut [0]).unwrap_or(0), 0);
    }
}
