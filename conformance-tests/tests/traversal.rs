//! Three processes with scopes of their own, joined by adjacencies: each decides for itself, and no answer is ever wrong.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proconsul_conformance::{
    dns::ask,
    http::Answer,
    json::Json,
    meddler::{Harm, Meddler},
    subject::{Kind, Mode, Setup, Subject},
    wait::until,
};

/// Neighbours are asked every second whether they are there; builds beside the test make everything slow.
const NOTICED_MAX: Duration = Duration::from_secs(30);

/// What the owner decides by the name that is asked for, about callers from elsewhere.
const REGO: &str = r#"package proconsul
import rego.v1
said := {"open": "resolve", "attested": "attest", "deferred": "defer", "refused": "refuse", "payments/refused": "refuse"}
default outcome := "resolve"
outcome := said[input.target.name] if { input.caller.home != null; input.action == "service:read" }
decision := {"outcome": outcome, "rule": "by-name", "ttl": "60s"}
"#;

const SERV_FAIL: u16 = 2;
const NX_DOMAIN: u16 = 3;
const STALE_ANSWER: u16 = 3;
const NOT_READY: u16 = 14;
const PROHIBITED: u16 = 18;

const NAMES: [&str; 4] = ["open", "attested", "deferred", "refused"];

fn start(datacenter: &str, more: &str) -> Subject {
    let config = format!(r#"{{"datacenter": "{datacenter}"{more}}}"#);
    Subject::start(Setup::of(Kind::Proconsul, Mode::Dev).config(&config)).unwrap()
}

fn governed() -> String {
    let rego = REGO.replace('"', "\\\"").replace('\n', "\\n");
    format!(
        r#", "policy": {{"by-name": {{"rego": "{rego}"}}}}, "scope": {{"payments": {{"policy": "by-name"}}}}"#
    )
}

fn put(subject: &Subject, target: &str, body: &str) -> Json {
    let answer = subject.ask("PUT", target, body);
    assert_eq!(answer.status, 200, "{target} {body}: {}", answer.text());
    Json::parse(&answer.text()).unwrap_or(Json::Null)
}

/// Joins two processes. Each is reached at the address that is given for it.
fn join(a: &Subject, b: (&Subject, &str), at: [String; 2], ttl: &str) {
    let statement = |of: &Json| of.get("Statement").unwrap().to_string();
    let [ours, theirs] = at.map(|address| format!(r#""Addresses": ["{address}"], "TTL": "{ttl}""#));
    let request = format!(r#"{{"Peer": "{}", {ours}}}"#, b.1);
    let asked = put(a, "/v1/anchor/adjacency/request", &request);
    let accept = format!(r#"{{"Statement": {}, {theirs}}}"#, statement(&asked));
    let accepted = put(b.0, "/v1/anchor/adjacency/accept", &accept);
    let complete = format!(r#"{{"Statement": {}}}"#, statement(&accepted));
    put(a, "/v1/anchor/adjacency/accept", &complete);
}

fn address(subject: &Subject) -> String {
    format!("127.0.0.1:{}", subject.ports.server)
}

fn register(subject: &Subject, name: &str) {
    let body = format!(
        r#"{{"Node": "far", "Address": "10.9.8.7", "Service": {{"Service": "{name}", "Port": 80}}}}"#
    );
    put(subject, "/v1/catalog/register", &body);
}

fn health(subject: &Subject, name: &str, datacenter: &str) -> Answer {
    subject.ask("GET", &format!("/v1/health/service/{name}?dc={datacenter}"), "")
}

/// The nodes of an answer: nothing when it is an error.
fn nodes(answer: &Answer) -> Vec<String> {
    let list = Json::parse(&answer.text()).unwrap_or(Json::Null);
    let node = |one: &Json| one.at("/Node/Node").map(|name| name.text().to_owned());
    list.items().iter().filter_map(node).collect()
}

fn filtered(answer: &Answer) -> bool {
    answer.header("X-Consul-Results-Filtered-By-ACLs") == Some("true")
}

/// What DNS says of a service of `payments`: code, answers, extended errors.
fn dig(subject: &Subject, name: &str) -> (u16, Vec<String>, Vec<u16>) {
    const A: u16 = 1;
    let found = ask(subject.dns_address(), &format!("{name}.service.payments.consul"), A).unwrap();
    (found.code, found.answers, found.extended)
}

/// Waits until a subject knows the way to a datacenter.
fn knows(subject: &Subject, datacenter: &str) {
    until("the way to be known", NOTICED_MAX, || {
        let listed = subject.ask("GET", "/v1/catalog/datacenters", "").text();
        listed.contains(&format!("\"{datacenter}\"")).then_some(())
    })
    .unwrap();
}

/// Right is the owner's own node, or nothing with a reason; an error may be told only when nothing was known.
fn is_never_wrong(answer: &Answer) {
    let nodes = nodes(answer);
    let told = answer.status == 200 && nodes == ["far"];
    let deferred = answer.status == 500 && answer.text() == "No path to datacenter";
    assert!(told || deferred, "{} {}", answer.status, answer.text());
}

/// A path's answer: plain, signed with what the owner signed within, deferred with when to come again, refused.
fn paths_have_all_four_outcomes(from: &Subject) {
    let cases = [("open", 200), ("attested", 200), ("deferred", 202), ("refused", 403)];
    for (name, status) in cases {
        let answer = from.ask("GET", &format!("/v1/anchor/resolve/payments/{name}"), "");
        assert_eq!(answer.status, status, "{name}: {}", answer.text());
        assert_eq!(answer.header("Retry-After").is_some(), name == "deferred");
        let told = Json::parse(&answer.text()).unwrap();
        let told = if name == "attested" { payload(&told) } else { told };
        let owner = told.get("Statement").map(payload);
        assert_eq!(owner.is_some(), name == "attested");
        for told in std::iter::once(&told).chain(&owner).filter(|_| status == 200) {
            let said = ["Matched", "Owner", "Service"].map(|key| told.get(key).unwrap().text());
            assert_eq!(said, [&*format!("payments/{name}"), "payments", name]);
            assert_eq!(told.at("/Records/0/Node").map(Json::text), Some("far"));
        }
    }
}

/// What a signed answer says.
fn payload(envelope: &Json) -> Json {
    let kind = envelope.get("payloadType").unwrap().text();
    assert_eq!(kind, "application/vnd.proconsul.resolution+json");
    let bytes = STANDARD.decode(envelope.get("payload").unwrap().text()).unwrap();
    Json::parse(str::from_utf8(&bytes).unwrap()).unwrap()
}

struct Three {
    eu: Subject,
    payments: Subject,
    edge: Subject,
    between: Meddler,
}

/// `edge` – `eu-central` – `payments`, and somebody who listens in between the last two.
fn three() -> Three {
    let (eu, edge) = (start("eu-central", ""), start("edge", ""));
    let payments = start("payments", &governed());
    NAMES.iter().for_each(|name| register(&payments, name));
    let between = Meddler::start(address(&payments).parse().unwrap()).unwrap();
    join(&eu, (&payments, "payments"), [address(&eu), between.address.to_string()], "1h");
    join(&edge, (&eu, "eu-central"), [address(&edge), address(&eu)], "1h");
    knows(&eu, "payments");
    knows(&edge, "payments");
    Three { eu, payments, edge, between }
}

#[test]
#[ignore = "starts three programs"]
fn each_shows_all_four_outcomes() {
    let three = three();
    let ways = [
        (&three.eu, "eu-central=resolve,payments="),
        (&three.edge, "edge=resolve,eu-central=resolve,payments="),
    ];
    for (from, way) in ways {
        for (name, outcome) in [("open", "resolve"), ("attested", "attest")] {
            let answer = health(from, name, "payments");
            assert_eq!((answer.status, nodes(&answer)), (200, vec!["far".to_owned()]), "{name}");
            assert_eq!(answer.header("X-Anchor-Outcome"), Some(outcome));
            assert_eq!(answer.header("X-Anchor-Chain"), Some(&*format!("{way}{outcome}")));
            let attested = answer.header("X-Anchor-Attestation").map(|at| from.ask("GET", at, ""));
            let expected = (outcome == "attest").then_some(200);
            assert_eq!(attested.map(|statement| statement.status), expected);
            assert!(answer.index() > 0 && !filtered(&answer));
        }
        let refused = health(from, "refused", "payments");
        assert_eq!((refused.status, refused.text()), (200, "[]".to_owned()));
        assert!(filtered(&refused), "{:?}", refused.headers);
        // Deferred and never answered: Consul's words for what cannot be reached.
        let deferred = health(from, "deferred", "payments");
        assert_eq!((deferred.status, &*deferred.text()), (500, "No path to datacenter"));
        for name in ["open", "attested"] {
            let (code, answers, extended) = dig(from, name);
            assert!(code == 0 && answers[0].ends_with("A 10.9.8.7"), "{code} {answers:?}");
            assert_eq!(extended, Vec::<u16>::new());
        }
        assert_eq!(dig(from, "refused"), (NX_DOMAIN, Vec::new(), vec![PROHIBITED]));
        assert_eq!(dig(from, "deferred"), (SERV_FAIL, Vec::new(), vec![NOT_READY]));
    }
    // The owner's own callers see all of it.
    for name in NAMES {
        assert_eq!(nodes(&health(&three.payments, name, "payments")), ["far"], "{name}");
    }
    for target in [
        "/v1/catalog/service/open?dc=payments",
        "/v1/catalog/nodes?dc=payments",
        "/v1/catalog/services?dc=payments",
        "/v1/health/checks/open?dc=payments",
        "/v1/catalog/node/far?dc=payments",
    ] {
        let answer = three.edge.ask("GET", target, "");
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
    }
    for from in [&three.eu, &three.edge] {
        paths_have_all_four_outcomes(from);
    }
    let unknown = health(&three.eu, "open", "nowhere");
    assert_eq!((unknown.status, &*unknown.text()), (500, "No path to datacenter"));
    // A prepared query that finds nothing here goes on to where there is something.
    let query = r#"{"Name": "far", "Service": {"Service": "open", "Failover": {"Datacenters": ["nowhere", "payments"]}}}"#;
    assert_eq!(three.edge.ask("POST", "/v1/query", query).status, 200);
    let executed = three.edge.ask("GET", "/v1/query/far/execute", "").text();
    let executed = Json::parse(&executed).unwrap();
    let told =
        (executed.get("Datacenter").unwrap().text(), executed.get("Nodes").unwrap().items().len());
    assert_eq!(told, ("payments", 1));
    let explained = three.edge.ask("GET", "/v1/anchor/explain?service=open&dc=payments", "");
    let explained = Json::parse(&explained.text()).unwrap();
    assert_eq!(explained.get("Hops").unwrap().items().len(), 3);
    let found = three.edge.ask("GET", "/v1/anchor/resolve/payments/open/x", "");
    let found = Json::parse(&found.text()).unwrap();
    let said = ["Matched", "Rest", "Owner"].map(|key| found.get(key).unwrap().text().to_owned());
    assert_eq!(said, ["payments/open", "x", "payments"]);
}

#[test]
#[ignore = "starts three programs"]
fn a_change_wakes_who_waits_in_another_scope() {
    let three = three();
    let before = health(&three.edge, "open", "payments").index();
    let target = format!("/v1/health/service/open?dc=payments&index={before}&wait=60s");
    let waiting = std::thread::spawn({
        let mut client = three.edge.client();
        move || client.ask("GET", &target, "").unwrap()
    });
    let second = r#"{"Node": "far2", "Address": "10.9.8.8", "Service": {"Service": "open"}}"#;
    put(&three.payments, "/v1/catalog/register", second);
    let after = waiting.join().unwrap();
    assert!(after.index() > before);
    assert_eq!(nodes(&after), ["far", "far2"]);
}

#[test]
#[ignore = "starts three programs"]
fn what_stops_is_told_with_its_age() {
    let three = three();
    for from in [&three.eu, &three.edge] {
        assert_eq!(nodes(&health(from, "open", "payments")), ["far"]);
    }
    three.payments.signal("STOP").unwrap();
    let contact = |answer: &Answer| answer.header("X-Consul-LastContact").unwrap().parse().unwrap();
    for from in [&three.eu, &three.edge] {
        let stale: u64 = until("the last known answer", NOTICED_MAX, || {
            let answer = health(from, "open", "payments");
            is_never_wrong(&answer);
            Some(contact(&answer)).filter(|age: &u64| *age > 3_000)
        })
        .unwrap();
        let older = until("an older answer", NOTICED_MAX, || {
            let answer = health(from, "open", "payments");
            assert_eq!(answer.header("X-Cache"), Some("HIT"));
            Some(contact(&answer)).filter(|age| *age > stale)
        });
        assert!(older.is_ok());
        let (code, answers, extended) = dig(from, "open");
        assert!(code == 0 && answers[0].contains(" 0 IN A 10.9.8.7"), "{code} {answers:?}");
        assert_eq!(extended, [STALE_ANSWER]);
    }
    three.payments.signal("CONT").unwrap();
    until("a fresh answer", NOTICED_MAX, || {
        let answer = health(&three.eu, "open", "payments");
        (answer.header("X-Anchor-Outcome") == Some("resolve")).then_some(())
    })
    .unwrap();
}

#[test]
#[ignore = "starts three programs"]
fn a_way_that_was_taken_back_shows_nothing() {
    let three = three();
    assert_eq!(nodes(&health(&three.eu, "open", "payments")), ["far"]);
    assert_eq!(nodes(&health(&three.edge, "open", "payments")), ["far"]);
    // The owner takes it back: who asked over it is told so.
    let gone = three.payments.ask("DELETE", "/v1/anchor/adjacency/eu-central", "");
    assert_eq!(gone.status, 200);
    for from in [&three.eu, &three.edge] {
        until("the filtered answer", NOTICED_MAX, || {
            let answer = health(from, "open", "payments");
            (answer.status == 200 && answer.text() == "[]" && filtered(&answer)).then_some(())
        })
        .unwrap();
    }
}

#[test]
#[ignore = "starts three programs"]
fn what_is_over_shows_nothing() {
    let (eu, payments) = (start("eu-central", ""), start("payments", ""));
    register(&payments, "open");
    join(&eu, (&payments, "payments"), [address(&eu), address(&payments)], "8s");
    until("the first answer", NOTICED_MAX, || {
        (nodes(&health(&eu, "open", "payments")) == ["far"]).then_some(())
    })
    .unwrap();
    until("the end of the adjacency", NOTICED_MAX, || {
        let answer = health(&eu, "open", "payments");
        (answer.text() == "[]" && filtered(&answer)).then_some(())
    })
    .unwrap();
}

#[test]
#[ignore = "starts three programs"]
fn a_peer_whose_credential_is_over_is_told_nothing() {
    let three = three();
    assert_eq!(nodes(&health(&three.eu, "open", "payments")), ["far"]);
    let peer = three.payments.ask("GET", "/v1/anchor/adjacency/eu-central", "").text();
    let key = Json::parse(&peer).unwrap().get("Key").unwrap().text().to_owned();
    let credential = format!(
        r#"{{"Role": "peer", "Scope": "payments", "Subject": "ed25519:{key}", "Actions": ["*"], "TTL": "5s"}}"#
    );
    put(&three.payments, "/v1/anchor/credentials", &credential);
    assert_eq!(nodes(&health(&three.eu, "open", "payments")), ["far"]);
    for from in [&three.eu, &three.edge] {
        until("the end of the credential", NOTICED_MAX, || {
            let answer = health(from, "open", "payments");
            let refused = "payments=refuse";
            let told = answer.header("X-Anchor-Chain").is_some_and(|way| way.ends_with(refused));
            (told && answer.text() == "[]" && filtered(&answer)).then_some(())
        })
        .unwrap();
    }
}

#[test]
#[ignore = "starts three programs"]
fn no_harm_on_the_way_makes_a_wrong_answer() {
    let three = three();
    assert_eq!(nodes(&health(&three.eu, "open", "payments")), ["far"]);
    // What was said once, said again by somebody without the keys, gets no further than the handshake.
    three.between.replay().unwrap();
    is_never_wrong(&health(&three.eu, "open", "payments"));
    for harm in [Harm::Flip, Harm::Repeat, Harm::Swallow] {
        three.between.set(harm);
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(4) {
            for (from, name) in
                [(&three.eu, "open"), (&three.edge, "open"), (&three.eu, "attested")]
            {
                is_never_wrong(&health(from, name, "payments"));
            }
        }
        three.between.set(Harm::None);
        until("a fresh answer", NOTICED_MAX, || {
            let answer = health(&three.eu, "open", "payments");
            is_never_wrong(&answer);
            (answer.header("X-Anchor-Outcome") == Some("resolve")).then_some(())
        })
        .unwrap();
    }
}

#[test]
#[ignore = "starts three programs"]
fn a_ring_of_three_ends() {
    let ring = ["eu-central", "payments", "edge"].map(|name| start(name, ""));
    let names = ["eu-central", "payments", "edge"];
    for (at, next) in [(0, 1), (1, 2), (2, 0)] {
        let addresses = [address(&ring[at]), address(&ring[next])];
        join(&ring[at], (&ring[next], names[next]), addresses, "1h");
    }
    register(&ring[2], "open");
    for (at, subject) in ring.iter().enumerate() {
        names.iter().filter(|name| **name != names[at]).for_each(|name| knows(subject, name));
        let unknown = health(subject, "open", "nowhere");
        assert_eq!((unknown.status, &*unknown.text()), (500, "No path to datacenter"));
    }
    // The third is gone: what the first two say of it leads round and round, and ends.
    ring[2].signal("STOP").unwrap();
    let began = Instant::now();
    let answer = health(&ring[0], "open", "edge");
    assert_eq!((answer.status, &*answer.text()), (500, "No path to datacenter"));
    assert!(began.elapsed() < Duration::from_secs(15));
    ring[2].signal("CONT").unwrap();
}
