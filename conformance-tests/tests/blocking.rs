//! Blocking reads: what wakes them, what does not, and how long they wait.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::{
    thread,
    time::{Duration, Instant},
};

use proconsul_conformance::{
    http::Answer,
    subject::{Mode, Setup, Subject},
};

/// The wait of a read that is to be woken: never reached.
const LONG: &str = "20s";
/// A woken read answers well before its own wait is over.
const WOKEN_MAX: Duration = Duration::from_secs(10);
/// The wait of a read that is not to be woken.
const SHORT: Duration = Duration::from_millis(400);

/// How often a read may arrive too late to wait.
const TURNS_MAX: usize = 50;

const WEB: &str = r#"{"Node":"n1","Address":"10.0.0.1","Service":{"ID":"web1","Service":"web","Tags":["v1"],"Port":80}}"#;
const WEB_GONE: &str = r#"{"Node":"n1","ServiceID":"web1"}"#;
const DB: &str = r#"{"Node":"n2","Address":"10.0.0.2","Service":{"ID":"db1","Service":"db"}}"#;
const CHECK: &str = r#"{"Node":"n1","Address":"10.0.0.1","Check":{"CheckID":"c","Name":"c","ServiceID":"web1","Status":"STATUS"}}"#;

/// Reads and the write that wakes them.
fn waking() -> Vec<(&'static str, &'static str, &'static str, String)> {
    let put = |target: &'static str, body: &str| ("PUT", target, body.to_owned());
    let register = |body: &str| put("/v1/catalog/register", body);
    let deregister = |body: &str| put("/v1/catalog/deregister", body);
    let session = || put("/v1/session/create", r#"{"Node":"n1","NodeChecks":[]}"#);
    let lines = vec![
        ("/v1/health/service/web", register(WEB)),
        ("/v1/health/service/web?passing", register(&CHECK.replace("STATUS", "critical"))),
        ("/v1/health/service/web?tag=v1", register(&CHECK.replace("STATUS", "passing"))),
        ("/v1/health/checks/web", register(&CHECK.replace("STATUS", "warning"))),
        ("/v1/health/state/critical", register(&CHECK.replace("STATUS", "critical"))),
        ("/v1/health/node/n1", register(&CHECK.replace("STATUS", "passing"))),
        ("/v1/catalog/node/n1", register(r#"{"Node":"n1","Address":"10.0.0.9"}"#)),
        ("/v1/catalog/nodes", register(DB)),
        (
            "/v1/catalog/services",
            register(r#"{"Node":"n2","Address":"10.0.0.2","Service":{"ID":"x1","Service":"x"}}"#),
        ),
        ("/v1/health/service/web", deregister(WEB_GONE)),
        (
            "/v1/catalog/service/none",
            register(r#"{"Node":"n2","Address":"10.0.0.2","Service":{"Service":"none"}}"#),
        ),
        ("/v1/kv/new", put("/v1/kv/new", "1")),
        ("/v1/kv/new", put("/v1/kv/new", "2")),
        ("/v1/kv/new", ("DELETE", "/v1/kv/new", String::new())),
        ("/v1/kv/p/?recurse", put("/v1/kv/p/a", "1")),
        ("/v1/kv/p/?keys", put("/v1/kv/p/b", "1")),
        ("/v1/kv/p/?recurse", ("DELETE", "/v1/kv/p?recurse", String::new())),
        ("/v1/session/list", session()),
        ("/v1/session/node/n1", session()),
    ];
    lines.into_iter().map(|(read, (method, target, body))| (read, method, target, body)).collect()
}

fn with(target: &str, index: u64, wait: &str) -> String {
    format!("{target}{}index={index}&wait={wait}", if target.contains('?') { '&' } else { '?' })
}

fn short() -> String {
    format!("{}ms", SHORT.as_millis())
}

/// Asks in a thread, so that the write comes while the read waits, whichever of them is served first.
fn blocked(subject: &Subject, target: String) -> thread::JoinHandle<(Answer, Duration)> {
    let mut client = subject.client();
    thread::spawn(move || {
        let began = Instant::now();
        (client.ask("GET", &target, "").unwrap(), began.elapsed())
    })
}

#[test]
fn a_change_wakes() {
    let subject = Subject::start(Setup::new(Mode::Dev)).unwrap();
    for (read, method, target, body) in waking() {
        let before = subject.ask("GET", read, "");
        let waiter = blocked(&subject, with(read, before.index(), LONG));
        assert_eq!(subject.ask(method, target, &body).status, 200, "{method} {target} {body}");
        let (after, took) = waiter.join().unwrap();
        assert!(took < WOKEN_MAX, "{read} waited {took:?} over {method} {target} {body}");
        assert!(
            after.index() > before.index(),
            "{read}: {} then {}",
            before.index(),
            after.index()
        );
        let now = subject.ask("GET", read, "");
        assert_eq!((after.status, after.text()), (now.status, now.text()), "{read}");
    }
}

#[test]
fn other_changes_do_not() {
    let subject = Subject::start(Setup::new(Mode::Dev)).unwrap();
    assert_eq!(subject.ask("PUT", "/v1/catalog/register", WEB).status, 200);
    assert_eq!(subject.ask("PUT", "/v1/kv/here", "1").status, 200);
    let reads = [
        "/v1/health/service/web",
        "/v1/catalog/service/web",
        "/v1/catalog/node/n1",
        "/v1/kv/here",
        "/v1/session/list",
    ];
    let wait = short();
    let waiters: Vec<_> = reads
        .iter()
        .map(|read| {
            let index = subject.ask("GET", read, "").index();
            (*read, index, blocked(&subject, with(read, index, &wait)))
        })
        .collect();
    for (target, body) in [
        ("/v1/catalog/register", DB),
        ("/v1/catalog/register", WEB),
        ("/v1/kv/there", "1"),
        ("/v1/kv/here", "1"),
    ] {
        assert_eq!(subject.ask("PUT", target, body).status, 200);
    }
    for (read, index, waiter) in waiters {
        let (answer, took) = waiter.join().unwrap();
        assert!(took >= SHORT, "{read} answered after {took:?}");
        assert!(
            answer.index() == index || read.contains("session"),
            "{read}: {index} then {}",
            answer.index()
        );
    }
}

/// A read of a missing key answers at once when it arrives after a write to any key, for it carries the table's index.
/// Which of the two arrives first is chance; who is woken by writes beside it never waits, however often it is tried.
#[test]
fn a_write_beside_a_missing_key_does_not_wake_it() {
    let subject = Subject::start(Setup::new(Mode::Dev)).unwrap();
    for turn in 0..TURNS_MAX {
        let index = subject.ask("GET", "/v1/kv/gone", "").index();
        let waiter = blocked(&subject, with("/v1/kv/gone", index, &short()));
        assert_eq!(subject.ask("PUT", &format!("/v1/kv/there/{turn}"), "1").status, 200);
        let (answer, took) = waiter.join().unwrap();
        assert_eq!(answer.status, 404);
        if took >= SHORT {
            return;
        }
        assert!(answer.index() > index, "answered after {took:?} with the index that it had");
    }
    panic!("it never waited");
}

#[test]
fn a_wait_ends_by_itself() {
    let subject = Subject::start(Setup::new(Mode::Dev)).unwrap();
    for (wait, least, most) in [("100ms", 100, 900), ("1s", 1000, 1900), ("0.25s", 250, 1100)] {
        let index = subject.ask("GET", "/v1/catalog/nodes", "").index();
        let began = Instant::now();
        let answer = subject.ask("GET", &with("/v1/catalog/nodes", index, wait), "");
        let took = began.elapsed().as_millis();
        assert_eq!((answer.status, answer.index()), (200, index));
        assert!((least..most).contains(&took), "wait={wait} took {took} ms");
    }
}

#[test]
fn a_stop_drops_who_waits() {
    let mut subject = Subject::start(Setup::new(Mode::Dev)).unwrap();
    let mut client = subject.client();
    let index = subject.ask("GET", "/v1/catalog/nodes", "").index();
    let waiter = thread::spawn(move || {
        client.ask("GET", &with("/v1/catalog/nodes", index, LONG), "").is_ok()
    });
    let began = Instant::now();
    subject.stop().unwrap();
    assert!(began.elapsed() < WOKEN_MAX, "{:?}", began.elapsed());
    // An answer in haste or a cut connection: both are legal.
    let _answered = waiter.join().unwrap();
}
