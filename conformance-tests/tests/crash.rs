//! Killed under load, again and again: what was acknowledged is there, and no index has fallen.
//!
//! `CONFORMANCE_ROUNDS` (200 by hand) kills of one program on one data directory.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::{
    collections::HashMap,
    env,
    net::SocketAddr,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use proconsul_conformance::{
    http::Client,
    json::Json,
    subject::{Kind, Mode, Setup, Subject},
    wait::until,
};
use rand::{Rng, SeedableRng, rngs::StdRng};

const ROUNDS: u64 = 200;
const WRITERS: usize = 4;
/// Keys of one writer: few, so that state stays small while the log grows.
const KEYS: u64 = 40;
/// Life of a round's load in milliseconds.
const LOAD_MS: std::ops::Range<u64> = 20..200;

/// What one writer knows: the last acknowledged number of each of its things, and the one write without an answer.
#[derive(Debug, Clone, Default)]
struct Known {
    acknowledged: HashMap<String, Option<u64>>,
    open: Option<(String, Option<u64>)>,
    index: u64,
    next: u64,
}

#[test]
#[ignore = "kills the subject 200 times: minutes"]
fn acknowledged_writes_survive() {
    let rounds = env::var("CONFORMANCE_ROUNDS").map_or(ROUNDS, |text| text.parse().unwrap());
    let mut dice = StdRng::seed_from_u64(rounds);
    let mut subject = Subject::start(Setup::new(Mode::Disk)).unwrap();
    let mut known: Vec<Known> = vec![Known::default(); WRITERS];
    for round in 0..rounds {
        let life = Duration::from_millis(dice.random_range(LOAD_MS));
        known = load_and_kill(&mut subject, known, life);
        if subject.setup.kind == Kind::Proconsul {
            check_replay(&subject.data_dir(), round);
        }
        subject.again().unwrap_or_else(|why| panic!("round {round}: {why}"));
        for (writer, known) in known.iter_mut().enumerate() {
            check_known(&subject, writer, known, round);
        }
    }
    let written: u64 = known.iter().map(|known| known.next).sum();
    println!("{rounds} kills, {written} writes");
}

fn load_and_kill(subject: &mut Subject, known: Vec<Known>, life: Duration) -> Vec<Known> {
    let address = subject.http_address();
    let writers = known.into_iter().enumerate();
    let writers: Vec<_> =
        writers.map(|(n, known)| thread::spawn(move || write(address, n, known))).collect();
    let end = Instant::now() + life;
    // The load has to last for a while; nothing else is to be waited for.
    let _passed = until("the end of the load", life, || (Instant::now() >= end).then_some(()));
    subject.kill().unwrap();
    writers.into_iter().map(|writer| writer.join().unwrap()).collect()
}

/// Writes until the subject is gone.
fn write(address: SocketAddr, writer: usize, mut known: Known) -> Known {
    let mut client = Client::new(address).patience(Duration::from_secs(10));
    known.open = None;
    loop {
        known.next += 1;
        let n = known.next;
        let (thing, value, sent) = match n % 7 {
            0 => {
                let thing = format!("service {writer}");
                let body = format!(
                    r#"{{"Node":"w{writer}","Address":"10.0.0.1","Service":{{"ID":"s","Service":"svc-{writer}","Port":{n}}}}}"#
                );
                (thing, Some(n), client.ask("PUT", "/v1/catalog/register", &body))
            }
            1 => {
                let key = format!("w{writer}/{}", n * 3 % KEYS);
                let sent = client.ask("DELETE", &format!("/v1/kv/{key}"), "");
                (key, None, sent)
            }
            _ => {
                let key = format!("w{writer}/{}", n % KEYS);
                let sent = client.ask("PUT", &format!("/v1/kv/{key}"), &n.to_string());
                (key, Some(n), sent)
            }
        };
        match sent {
            Ok(answer) if answer.status == 200 && answer.body == b"true" => {
                known.acknowledged.insert(thing, value);
            }
            // Refused (it is going down): may or may not have been done, as with no answer.
            _ => {
                known.open = Some((thing, value));
                return known;
            }
        }
        if n.is_multiple_of(16)
            && let Ok(read) = client.ask("GET", &format!("/v1/kv/w{writer}/?keys"), "")
        {
            known.index = known.index.max(read.index());
        }
    }
}

fn check_replay(data: &Path, round: u64) {
    let output = Command::new(Kind::Proconsul.binary())
        .args(["replay", "--check", "-data-dir"])
        .arg(data)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "round {round}: replay --check: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn check_known(subject: &Subject, writer: usize, known: &mut Known, round: u64) {
    let keys = subject.ask("GET", &format!("/v1/kv/w{writer}/?recurse"), "");
    let index = keys.index();
    assert!(
        index >= known.index,
        "round {round}: index of writer {writer} fell from {} to {index}",
        known.index
    );
    let mut there: HashMap<String, u64> = HashMap::new();
    for row in Json::parse(&keys.text()).as_ref().map_or(&[][..], Json::items) {
        there.insert(
            row.get("Key").unwrap().text().to_owned(),
            number(row.get("Value").unwrap().text()),
        );
    }
    let service =
        Json::parse(&subject.ask("GET", &format!("/v1/catalog/service/svc-{writer}"), "").text())
            .unwrap();
    if let Some(port) = service.at("/0/ServicePort") {
        there.insert(format!("service {writer}"), port.text().parse().unwrap());
    }
    let open = known.open.take();
    for (thing, value) in &mut known.acknowledged {
        let found = there.get(thing).copied();
        match &open {
            // The write without an answer is whole or absent; from now on it is what it turned out to be.
            Some((it, wanted)) if it == thing && found == *wanted => *value = found,
            _ => assert_eq!(found, *value, "round {round}, writer {writer}: {thing}"),
        }
    }
    if let Some((thing, _)) = open
        && let Some(found) = there.get(&thing)
    {
        known.acknowledged.insert(thing, Some(*found));
    }
}

/// A decimal number in base64.
fn number(base64: &str) -> u64 {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut held, mut value) = (0, 0u32, 0);
    for letter in base64.bytes().filter(|letter| *letter != b'=') {
        let six = LETTERS.iter().position(|known| *known == letter).unwrap();
        held = (held << 6) | u32::try_from(six).unwrap();
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            value = value * 10 + u64::from(((held >> bits) & 0xff) - u32::from(b'0'));
        }
    }
    value
}

#[test]
fn numbers_are_read_from_base64() {
    for (text, value) in [("MQ==", 1), ("MTI=", 12), ("MTIz", 123), ("NDA5Ng==", 4096)] {
        assert_eq!(number(text), value);
    }
}
