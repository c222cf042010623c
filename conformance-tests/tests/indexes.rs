//! The index of a read is above zero, never falls, and moves only when what the read shows may have changed.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::collections::BTreeMap;

use proconsul_conformance::subject::{Mode, Setup, Subject};

/// Reads whose indexes are followed.
const READS: &[&str] = &[
    "/v1/catalog/nodes",
    "/v1/catalog/services",
    "/v1/catalog/service/web",
    "/v1/catalog/service/db",
    "/v1/catalog/service/none",
    "/v1/catalog/node/n1",
    "/v1/catalog/node/n2",
    "/v1/catalog/node-services/n1",
    "/v1/health/service/web",
    "/v1/health/service/web?passing",
    "/v1/health/service/web?tag=none",
    "/v1/health/service/db",
    "/v1/health/service/none",
    "/v1/health/node/n1",
    "/v1/health/checks/web",
    "/v1/health/state/any",
    "/v1/kv/a/one",
    "/v1/kv/a/none",
    "/v1/kv/a/?recurse",
    "/v1/kv/b/?keys",
    "/v1/kv/?recurse",
    "/v1/session/list",
    "/v1/session/node/n1",
];

/// A write, and the reads that it may move (beginnings of their paths; `=` none).
type Line = (&'static str, &'static str, &'static str, &'static [&'static str]);

const WEB: &str =
    r#"{"Node":"n1","Address":"10.0.0.1","Service":{"ID":"web1","Service":"web","Port":80}}"#;
const DB: &str =
    r#"{"Node":"n2","Address":"10.0.0.2","Service":{"ID":"db1","Service":"db","Port":90}}"#;
const CHECK: &str = r#"{"Node":"n1","Address":"10.0.0.1","Check":{"CheckID":"c","Name":"c","ServiceID":"web1","Status":"passing"}}"#;
const REGISTER: &str = "/v1/catalog/register";
const DEREGISTER: &str = "/v1/catalog/deregister";
const CATALOG: &[&str] = &["/v1/catalog/", "/v1/health/"];
/// What any read of services without instances, of nodes and of tables shows is moved by every registration.
const OF_WEB: &[&str] = &[
    "/v1/catalog/nodes",
    "/v1/catalog/services",
    "/v1/catalog/service/web",
    "/v1/catalog/service/none",
    "/v1/catalog/node/n1",
    "/v1/catalog/node-services/n1",
    "/v1/health/",
];

const LINES: &[Line] = &[
    ("PUT", REGISTER, WEB, CATALOG),
    ("PUT", REGISTER, DB, CATALOG),
    ("PUT", REGISTER, WEB, &[]),
    ("PUT", REGISTER, DB, &[]),
    (
        "PUT",
        REGISTER,
        CHECK,
        &[
            "/v1/health/",
            "/v1/catalog/service/web",
            "/v1/catalog/node/n1",
            "/v1/catalog/node-services/n1",
        ],
    ),
    ("PUT", REGISTER, CHECK, &[]),
    ("PUT", "/v1/kv/a/one", "1", &["/v1/kv/a", "/v1/kv/?", "/v1/kv/b"]),
    ("PUT", "/v1/kv/a/one", "1", &[]),
    ("PUT", "/v1/kv/b/two", "2", &["/v1/kv/b", "/v1/kv/?", "/v1/kv/a/none"]),
    ("PUT", "/v1/kv/b/two", "3", &["/v1/kv/b", "/v1/kv/?", "/v1/kv/a/none"]),
    ("PUT", "/v1/kv/b/two?cas=1", "4", &[]),
    ("DELETE", "/v1/kv/nothing", "", &[]),
    ("DELETE", "/v1/kv/nothing?recurse", "", &[]),
    ("PUT", DEREGISTER, r#"{"Node":"n1","ServiceID":"nothing"}"#, &[]),
    ("PUT", DEREGISTER, r#"{"Node":"nobody"}"#, &[]),
    (
        "PUT",
        "/v1/session/create",
        r#"{"Node":"n1","NodeChecks":[],"LockDelay":"0s"}"#,
        &["/v1/session/"],
    ),
    ("PUT", "/v1/session/destroy/11111111-1111-1111-1111-111111111111", "", &[]),
    ("DELETE", "/v1/kv/b/two", "", &["/v1/kv/b", "/v1/kv/?", "/v1/kv/a/none"]),
    (
        "PUT",
        REGISTER,
        r#"{"Node":"n2","Address":"10.0.0.2","Check":{"CheckID":"n","Name":"n","Status":"critical"}}"#,
        &["/v1/health/", "/v1/catalog/service/db", "/v1/catalog/node/n2"],
    ),
    ("PUT", DEREGISTER, r#"{"Node":"n1","ServiceID":"web1"}"#, OF_WEB),
    ("PUT", REGISTER, WEB, OF_WEB),
];

fn indexes(subject: &Subject) -> BTreeMap<&'static str, u64> {
    let mut client = subject.client();
    READS.iter().map(|read| (*read, client.ask("GET", read, "").unwrap().index())).collect()
}

fn check_line(subject: &Subject, line: &Line) {
    let (method, target, body, may_move) = line;
    let before = indexes(subject);
    let answer = subject.ask(method, target, body);
    assert_eq!(answer.status, 200, "{method} {target} {body}: {}", answer.text());
    for (read, now) in indexes(subject) {
        let then = before[read];
        let may = may_move.iter().any(|beginning| read.starts_with(beginning));
        assert!(now >= then, "{read} fell from {then} to {now} by {method} {target} {body}");
        assert!(
            now == then || may,
            "{read} moved from {then} to {now} by {method} {target} {body}"
        );
        assert!(now > 0, "{read} is 0 after {method} {target} {body}");
    }
}

#[test]
fn writes_move_what_they_change_and_nothing_else() {
    let subject = Subject::start(Setup::new(Mode::Disk)).unwrap();
    for line in LINES {
        check_line(&subject, line);
    }
}

/// Reads that show the same after a restart. (The server's own node may be written anew.)
const LASTING: [&str; 7] = [
    "/v1/catalog/service/web",
    "/v1/catalog/node/n1",
    "/v1/health/checks/web",
    "/v1/kv/?recurse",
    "/v1/kv/a/none",
    "/v1/kv/b/?keys",
    "/v1/session/list",
];

fn check_restart(stop: impl Fn(&mut Subject)) {
    let mut subject = Subject::start(Setup::new(Mode::Disk)).unwrap();
    for _restart in 0..3 {
        for (method, target, body, _) in LINES {
            assert_eq!(subject.ask(method, target, body).status, 200);
        }
        let (before, shown) =
            (indexes(&subject), LASTING.map(|read| subject.ask("GET", read, "").text()));
        stop(&mut subject);
        subject.again().unwrap();
        for (read, now) in indexes(&subject) {
            assert!(
                now >= before[read],
                "{read} fell from {} to {now} over a restart",
                before[read]
            );
        }
        assert_eq!(shown, LASTING.map(|read| subject.ask("GET", read, "").text()));
    }
}

#[test]
fn indexes_do_not_fall_over_a_restart() {
    check_restart(|subject| _ = subject.stop().unwrap());
}

#[test]
fn indexes_do_not_fall_over_a_kill() {
    check_restart(|subject| subject.kill().unwrap());
}
