//! The agent's checks really run: against listeners and commands of the test's own.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    thread,
    time::Duration,
};

use proconsul_conformance::{
    json::Json,
    subject::{Mode, Setup, Subject, free_port},
    wait::until,
};

/// Checks run each second; a busy machine may miss some.
const SEEN_MAX: Duration = Duration::from_secs(20);

/// A web server that answers what it is told to.
struct Page {
    port: u16,
    status: Arc<AtomicU16>,
}

impl Page {
    fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", free_port())).unwrap();
        let (port, status) = (listener.local_addr().unwrap().port(), Arc::new(AtomicU16::new(200)));
        let answered = status.clone();
        thread::spawn(move || {
            for mut wire in listener.incoming().flatten() {
                let mut head = [0; 4096];
                // Whoever only connects gets no answer.
                if wire.read(&mut head).is_ok_and(|length| length > 0) {
                    let status = answered.load(Ordering::Relaxed);
                    let answer = format!(
                        "HTTP/1.1 {status} Told\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody"
                    );
                    let _sent = wire.write_all(answer.as_bytes());
                }
            }
        });
        Self { port, status }
    }
}

fn subject() -> Subject {
    Subject::start(Setup::new(Mode::Dev).config(r#"{"enable_script_checks": true}"#)).unwrap()
}

fn register(subject: &Subject, check: &str) {
    let answer = subject.ask("PUT", "/v1/agent/check/register", check);
    assert_eq!(answer.status, 200, "{check}: {}", answer.text());
}

fn check(subject: &Subject, id: &str) -> (String, String) {
    let checks = Json::parse(&subject.ask("GET", "/v1/agent/checks", "").text()).unwrap();
    let piece = |key| {
        checks
            .get(id)
            .and_then(|check| check.get(key))
            .map_or(String::new(), |v| v.text().to_owned())
    };
    (piece("Status"), piece("Output"))
}

/// Waits for a status, then looks at the output.
fn becomes(subject: &Subject, id: &str, status: &str, output: &str) {
    let seen = until(status, SEEN_MAX, || (check(subject, id).0 == status).then_some(()));
    assert!(seen.is_ok(), "{id} is no {status} but {:?}", check(subject, id));
    let said = check(subject, id).1;
    assert!(said.contains(output), "{id} {status}: {said:?} without {output:?}");
    // The catalog has heard of it too.
    let known = || {
        subject
            .ask("GET", &format!("/v1/health/state/{status}"), "")
            .text()
            .contains(&format!("\"{id}\""))
    };
    assert!(
        until("the catalog", SEEN_MAX, || known().then_some(())).is_ok(),
        "{id} is no {status} in the catalog"
    );
}

#[test]
fn http_says_three_things() {
    let (subject, page) = (subject(), Page::start());
    let url = format!("http://127.0.0.1:{}/x", page.port);
    register(
        &subject,
        &format!(r#"{{"Name":"web","HTTP":"{url}","Interval":"1s","Timeout":"5s"}}"#),
    );
    becomes(&subject, "web", "passing", &format!("HTTP GET {url}: 200 Told Output: body"));
    page.status.store(429, Ordering::Relaxed);
    becomes(&subject, "web", "warning", &format!("HTTP GET {url}: 429 Told Output: body"));
    page.status.store(500, Ordering::Relaxed);
    becomes(&subject, "web", "critical", &format!("HTTP GET {url}: 500 Told Output: body"));
}

#[test]
fn thresholds_count() {
    let (subject, page) = (subject(), Page::start());
    let url = format!("http://127.0.0.1:{}/", page.port);
    let more = r#""Interval":"1s","FailuresBeforeWarning":1,"FailuresBeforeCritical":3"#;
    register(&subject, &format!(r#"{{"Name":"slow","HTTP":"{url}",{more}}}"#));
    // The counters start full: only after a first success they count.
    becomes(&subject, "slow", "passing", "200");
    page.status.store(500, Ordering::Relaxed);
    becomes(&subject, "slow", "warning", "500");
    becomes(&subject, "slow", "critical", "500");
}

#[test]
fn tcp_connects_or_not() {
    let (subject, page) = (subject(), Page::start());
    let closed = free_port();
    register(
        &subject,
        &format!(r#"{{"Name":"open","TCP":"127.0.0.1:{}","Interval":"1s"}}"#, page.port),
    );
    register(
        &subject,
        &format!(
            r#"{{"Name":"shut","TCP":"127.0.0.1:{closed}","Interval":"1s","Status":"passing"}}"#
        ),
    );
    becomes(&subject, "open", "passing", &format!("TCP connect 127.0.0.1:{}: Success", page.port));
    becomes(
        &subject,
        "shut",
        "critical",
        &format!("dial tcp 127.0.0.1:{closed}: connect: connection refused"),
    );
}

#[test]
fn scripts_exit_with_a_status() {
    let subject = subject();
    for (id, code, status) in
        [("good", 0, "passing"), ("fair", 1, "warning"), ("bad", 2, "critical")]
    {
        register(
            &subject,
            &format!(
                r#"{{"Name":"{id}","Args":["/bin/sh","-c","echo said; exit {code}"],"Interval":"1s","Status":"passing"}}"#
            ),
        );
        becomes(&subject, id, status, "");
        assert!(
            until("its output", SEEN_MAX, || (check(&subject, id).1 == "said\\n").then_some(()))
                .is_ok(),
            "{id}"
        );
    }
    register(
        &subject,
        r#"{"Name":"long","Args":["/bin/sleep","30"],"Interval":"1s","Timeout":"1s","Status":"passing"}"#,
    );
    becomes(&subject, "long", "critical", "Timed out (1s) running check");
}

#[test]
fn scripts_need_leave() {
    let subject = Subject::start(Setup::new(Mode::Dev)).unwrap();
    let answer = subject.ask(
        "PUT",
        "/v1/agent/check/register",
        r#"{"Name":"x","Args":["true"],"Interval":"1s"}"#,
    );
    assert_eq!(answer.status, 500);
    assert!(answer.text().starts_with("Scripts are disabled on this agent"), "{}", answer.text());
}

#[test]
fn time_to_live_runs_out() {
    let subject = subject();
    register(&subject, r#"{"Name":"beat","TTL":"1s","Status":"passing"}"#);
    becomes(&subject, "beat", "critical", "TTL expired");
    assert_eq!(subject.ask("PUT", "/v1/agent/check/pass/beat?note=here", "").status, 200);
    becomes(&subject, "beat", "passing", "here");
    becomes(&subject, "beat", "critical", "TTL expired (last output before timeout follows): here");
}

#[test]
fn an_alias_follows() {
    let subject = subject();
    let service = r#"{"ID":"a1","Name":"a","Check":{"CheckID":"c","TTL":"1h","Status":"passing"}}"#;
    assert_eq!(subject.ask("PUT", "/v1/agent/service/register", service).status, 200);
    // Of a service of its own: an alias at the node would count for what it watches.
    let follower = r#"{"ID":"b1","Name":"b","Check":{"CheckID":"alias","AliasService":"a1"}}"#;
    assert_eq!(subject.ask("PUT", "/v1/agent/service/register", follower).status, 200);
    becomes(&subject, "alias", "passing", "All checks passing.");
    assert_eq!(subject.ask("PUT", "/v1/agent/check/fail/c?note=down", "").status, 200);
    becomes(&subject, "alias", "critical", "Aliased check \\\"Service 'a' check\\\" failing: down");
    assert_eq!(subject.ask("PUT", "/v1/agent/check/warn/c?note=hm", "").status, 200);
    becomes(&subject, "alias", "warning", "Aliased check \\\"Service 'a' check\\\" failing: hm");
    assert_eq!(subject.ask("PUT", "/v1/agent/check/pass/c", "").status, 200);
    becomes(&subject, "alias", "passing", "All checks passing.");
}
