//! What a snapshot brings back, and what none of it may do.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::time::Duration;

use proconsul_conformance::http::{Answer, Request};
use proconsul_conformance::subject::{Mode, Setup, Subject};

const SNAPSHOT: &str = "/v1/snapshot";
const READS: [&str; 5] =
    ["/v1/kv/a", "/v1/kv/late", "/v1/kv/?keys", "/v1/catalog/nodes", "/v1/catalog/service/web"];

/// Asks for something that works.
fn write(subject: &Subject, target: &str, body: &str) {
    assert_eq!(subject.ask("PUT", target, body).status, 200, "{target}");
}

fn subject() -> Subject {
    let subject = Subject::start(Setup::new(Mode::Disk)).unwrap();
    let web = r#"{"Node":"n1","Address":"10.0.0.1","Service":{"Service":"web","Port":80}}"#;
    write(&subject, "/v1/catalog/register", web);
    write(&subject, "/v1/kv/a", "saved");
    subject
}

fn restore(subject: &Subject, snapshot: &[u8]) -> Answer {
    let request = Request::new("PUT", SNAPSHOT).body(snapshot);
    subject.client().patience(Duration::from_secs(60)).send(&request).unwrap()
}

fn value(subject: &Subject) -> String {
    subject.ask("GET", "/v1/kv/a?raw", "").text()
}

/// Makes everything another than it was saved.
fn change(subject: &Subject) {
    write(subject, "/v1/kv/a", "changed");
    write(subject, "/v1/kv/late", "1");
    write(subject, "/v1/catalog/deregister", r#"{"Node":"n1"}"#);
}

#[test]
fn what_was_saved_comes_back_and_wakes_who_waits() {
    let mut subject = subject();
    let saved = subject.ask("GET", SNAPSHOT, "");
    assert_eq!((saved.status, saved.header("Content-Type")), (200, Some("application/x-gzip")));
    assert!(saved.index() > 0 && saved.body.starts_with(&[0x1f, 0x8b]));
    change(&subject);
    let before = READS.map(|read| subject.ask("GET", read, "").index());

    let waiting = {
        let mut client = subject.client().patience(Duration::from_secs(60));
        let read = format!("/v1/kv/a?index={}&wait=50s", before[0]);
        std::thread::spawn(move || client.ask("GET", &read, "").unwrap())
    };
    assert_eq!(restore(&subject, &saved.body).status, 200);
    // The real Consul wakes who waits a moment too early: it answers with what was there before.
    let woken = waiting.join().unwrap();
    assert!(woken.text().contains("c2F2ZWQ="), "{}", woken.text());

    assert_eq!(value(&subject), "saved");
    assert_eq!(subject.ask("GET", "/v1/kv/late", "").status, 404);
    assert!(subject.ask("GET", "/v1/catalog/service/web", "").text().contains("10.0.0.1"));
    let after = READS.map(|read| subject.ask("GET", read, "").index());
    for (read, (before, after)) in READS.iter().zip(before.into_iter().zip(after)) {
        assert!(after >= before, "{read} fell from {before} to {after}");
    }
    // It is all there after a kill, too, and what is written then goes on from it.
    subject.kill().unwrap();
    subject.again().unwrap();
    assert_eq!(value(&subject), "saved");
    let index = subject.ask("GET", "/v1/kv/a", "").index();
    write(&subject, "/v1/kv/a", "later");
    assert!(subject.ask("GET", "/v1/kv/a", "").index() > index);
}

#[test]
fn a_damaged_one_changes_nothing() {
    let subject = subject();
    let saved = subject.ask("GET", SNAPSHOT, "").body;
    change(&subject);
    let mut bent = saved.clone();
    let middle = bent.len() / 2;
    bent[middle] ^= 0x55;
    for damaged in [&[][..], b"junk", &saved[..saved.len() / 2], &saved[..saved.len() - 9], &bent] {
        let answer = restore(&subject, damaged);
        assert_eq!(answer.status, 500, "{}", answer.text());
        assert_eq!(value(&subject), "changed");
        assert_eq!(subject.ask("GET", "/v1/kv/late", "").status, 200);
    }
}

#[test]
fn another_takes_it_over() {
    let (mut from, to) = (subject(), Subject::start(Setup::new(Mode::Disk)).unwrap());
    for at in 0..50 {
        write(&from, &format!("/v1/kv/many/{at}"), "x");
    }
    let saved = from.ask("GET", SNAPSHOT, "");
    from.stop().unwrap();
    assert_eq!(restore(&to, &saved.body).status, 200);
    assert_eq!(value(&to), "saved");
    // Its own counting goes on above what came.
    write(&to, "/v1/kv/new", "x");
    assert!(to.ask("GET", "/v1/kv/new", "").index() > saved.index());
}
