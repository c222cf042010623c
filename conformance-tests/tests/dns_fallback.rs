//! Names that are unknown here, asked elsewhere: of a real Consul, and of zones on a real BIND.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::{
    fs,
    net::UdpSocket,
    path::PathBuf,
    time::{Duration, Instant},
};

use proconsul_conformance::{
    bind::{Named, Relay, dig, tool},
    http::{Answer, Request},
    proxy::Proxy,
    subject::{Kind, Mode, Ports, Setup, Subject, free_port, new_folder},
};

fn consul() -> Subject {
    Subject::start(Setup::of(Kind::Consul, Mode::Dev)).unwrap()
}

fn ours(config: &str) -> Subject {
    Subject::start(Setup::of(Kind::Proconsul, Mode::Disk).config(config)).unwrap()
}

/// One that asks a Consul, by DNS and over HTTP.
fn to_consul(ports: &Ports, more: &str) -> String {
    let (dns, http) = (ports.dns, ports.http);
    format!(
        r#"{{"fallback": [{{"upstream": {{"kind": "consul", "dns": ["127.0.0.1:{dns}"], "http": "http://127.0.0.1:{http}"}},
            "ttl_max": "1s"{more}}}]}}"#
    )
}

fn register(subject: &Subject, name: &str, address: &str) {
    let body = format!(
        r#"{{"Node": "n-{name}", "Address": "{address}", "Service": {{"Service": "{name}", "Port": 8080, "Tags": ["t"]}},
            "Check": {{"CheckID": "{name}", "Name": "{name}", "ServiceID": "{name}", "Status": "passing"}}}}"#
    );
    let answer = subject.ask("PUT", "/v1/catalog/register", &body);
    assert_eq!(answer.text().trim(), "true");
}

fn short(subject: &Subject, words: &str) -> String {
    dig(subject.ports.dns, &format!("+short {words}"))
}

/// The pages on a service's instances.
fn pages(subject: &Subject, name: &str) -> [Answer; 2] {
    ["catalog", "health"].map(|page| subject.ask("GET", &format!("/v1/{page}/service/{name}"), ""))
}

fn source(answer: &Answer) -> Option<&str> {
    answer.header("X-Anchor-Source")
}

#[test]
#[ignore = "needs CONFORMANCE_CONSUL and dig"]
fn what_a_consul_alone_knows_is_told() {
    let consul = consul();
    let subject = ours(&to_consul(&consul.ports, ""));
    register(&consul, "old", "10.9.0.1");
    register(&consul, "both", "10.9.0.2");
    register(&subject, "both", "10.1.0.2");
    for (words, expected) in [
        ("old.service.consul", "10.9.0.1"),
        ("OLD.service.dc1.consul", "10.9.0.1"),
        ("t.old.service.consul", "10.9.0.1"),
        ("u.old.service.consul", ""),
        ("old.service.consul SRV", "1 1 8080 n-old.node.dc1.consul."),
        ("_old._tcp.service.consul SRV", "1 1 8080 n-old.node.dc1.consul."),
        ("n-old.node.consul", "10.9.0.1"),
        ("both.service.consul", "10.1.0.2"),
        ("u.both.service.consul", ""),
        ("neither.service.consul", ""),
    ] {
        assert_eq!(short(&subject, words), expected, "{words}");
    }
    let nobody = dig(subject.ports.dns, "neither.service.consul");
    assert!(nobody.contains("NXDOMAIN") && nobody.contains("SOA"), "{nobody}");

    let from = format!("fallback:consul@127.0.0.1:{}", consul.ports.http);
    for answer in pages(&subject, "old") {
        assert_eq!(source(&answer), Some(from.as_str()), "{}", answer.text());
        assert!(answer.text().contains(r#""Address":"10.9.0.1""#), "{}", answer.text());
    }
    for (name, expected) in [("both", "10.1.0.2"), ("neither", "[]")] {
        for answer in pages(&subject, name) {
            assert_eq!(source(&answer), None);
            assert!(answer.text().contains(expected) && !answer.text().contains("10.9."), "{name}");
        }
    }
    // What narrows an answer narrows this one, too.
    let narrowed = [("?tag=t", true), ("?tag=u", false), ("?passing", true)]
        .into_iter()
        .chain([("?filter=Service.Port==8080", true), ("?filter=Service.Port==1", false)]);
    for (query, found) in narrowed {
        let answer = subject.ask("GET", &format!("/v1/health/service/old{query}"), "");
        assert_eq!(answer.text().contains("10.9.0.1"), found, "{query}: {}", answer.text());
    }
}

#[test]
#[ignore = "needs CONFORMANCE_CONSUL and dig"]
fn watchers_see_what_changes_there_and_here() {
    let consul = consul();
    let mut subject = ours(&to_consul(&consul.ports, ""));
    register(&consul, "old", "10.9.0.1");
    let ask = |subject: &Subject, index: u64, wait: &str| {
        subject.ask("GET", &format!("/v1/health/service/old?index={index}&wait={wait}"), "")
    };
    let first = ask(&subject, 0, "1s");
    assert!(first.index() > 1, "{}", first.index());
    // Nothing changes: the index stands, over several looks there.
    let same = ask(&subject, first.index(), "3s");
    assert_eq!(same.index(), first.index());
    register(&consul, "old", "10.9.0.7");
    let changed = ask(&subject, first.index(), "20s");
    assert!(
        changed.index() > first.index() && changed.text().contains("10.9.0.7"),
        "{}",
        changed.text()
    );
    // It never falls, over a restart and while nobody can be asked.
    subject.stop().unwrap();
    subject.again().unwrap();
    let again = ask(&subject, 0, "1s");
    assert!(again.index() >= changed.index(), "{} {}", again.index(), changed.index());
    drop(consul);
    let last = ask(&subject, 0, "1s");
    assert!(last.index() >= again.index() && last.text().contains("10.9.0.7"), "{}", last.text());
    // What is registered here is ours from then on.
    register(&subject, "old", "10.1.0.1");
    let own = ask(&subject, last.index(), "20s");
    assert!(own.index() > last.index() && own.text().contains("10.1.0.1"), "{}", own.text());
    assert_eq!(source(&own), None);
    let data = subject.data_dir();
    let binary = Kind::Proconsul.binary();
    subject.stop().unwrap();
    // The lineage has it, and still says what the catalog is.
    let words = format!("replay -check -data-dir {}", data.display());
    let _clean = tool(&data, binary.to_str().unwrap(), &words);
}

#[test]
#[ignore = "needs CONFORMANCE_CONSUL and dig"]
fn a_refusal_is_not_laundered() {
    const MANAGEMENT: &str = "33333333-aaaa-bbbb-cccc-000000000000";
    let consul = consul();
    let setup = Setup::of(Kind::Proconsul, Mode::Disk).denying(MANAGEMENT);
    let (acl, fallback) = (setup.config.clone(), to_consul(&consul.ports, ""));
    let both = format!("{}, {}", &acl[..acl.len() - 1], &fallback[1..]);
    let subject = Subject::start(setup.config(&both)).unwrap();
    let rules = r#"{"Name": "some", "Rules": "service \"open\" { policy = \"read\" } service \"kept\" { policy = \"read\" } node_prefix \"n-open\" { policy = \"read\" }"}"#;
    assert_eq!(subject.ask("PUT", "/v1/acl/policy", rules).status, 200);
    let anonymous =
        r#"{"AccessorID": "00000000-0000-0000-0000-000000000002", "Policies": [{"Name": "some"}]}"#;
    let path = "/v1/acl/token/00000000-0000-0000-0000-000000000002";
    assert_eq!(subject.ask("PUT", path, anonymous).status, 200);
    for name in ["open", "secret", "here", "kept"] {
        register(&consul, name, "10.9.0.1");
    }
    // Known here: its name may be read, but not its node; and what may not be read at all.
    register(&subject, "kept", "10.1.0.3");
    register(&subject, "here", "10.1.0.4");
    let mut nobody = proconsul_conformance::http::Client::new(subject.http_address());
    for (name, told) in [("open", "10.9.0.1"), ("secret", ""), ("here", ""), ("kept", "")] {
        assert_eq!(short(&subject, &format!("{name}.service.consul")), told, "{name}");
        for page in ["catalog", "health"] {
            let target = format!("/v1/{page}/service/{name}");
            let answer = nobody.ask("GET", &target, "").unwrap().text();
            assert_eq!(answer.contains("10.9.0.1"), !told.is_empty(), "{target}: {answer}");
        }
    }
    assert_eq!(short(&subject, "n-secret.node.consul"), "");
    // Who may read it is told.
    let manager = subject.ask("GET", "/v1/health/service/secret", "").text();
    assert!(manager.contains("10.9.0.1"), "{manager}");
}

#[test]
#[ignore = "needs dig"]
fn an_upstream_that_is_dead_is_told_in_time() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (silent_port, closed) = (silent.local_addr().unwrap().port(), free_port());
    let upstream = |zone: &str, port: u16| {
        format!(
            r#"{{"zone": "{zone}", "upstream": {{"kind": "recursor", "dns": ["127.0.0.1:{port}"]}}, "timeout": "1s"}}"#
        )
    };
    let config = format!(
        r#"{{"fallback": [{}, {}]}}"#,
        upstream("silent.service.consul", silent_port),
        upstream("closed.service.consul", closed)
    );
    let subject = ours(&config);
    for (name, code) in [("silent", "EDE: 22 "), ("closed", "EDE: 23 ")] {
        let began = Instant::now();
        let answer = dig(subject.ports.dns, &format!("{name}.service.consul"));
        assert!(answer.contains("status: SERVFAIL") && answer.contains(code), "{answer}");
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        for page in pages(&subject, name) {
            assert_eq!((page.status, page.text().trim()), (200, "[]"));
        }
    }
    let other = dig(subject.ports.dns, "other.service.consul");
    assert!(other.contains("NXDOMAIN"), "{other}");
}

/// A signed root of its own (`example`), with a signed, an unsigned and a forged zone below it.
fn signed() -> (Named, PathBuf) {
    let folder = new_folder();
    let zone = |name: &str, more: &str| {
        let text = format!(
            "$TTL 60\n@ IN SOA ns.example. host.example. 1 3600 600 86400 0\n@ IN NS ns.example.\n{more}\n"
        );
        fs::write(folder.join(name), text).unwrap();
    };
    let services = "good IN A 192.0.2.1\nplain IN A 192.0.2.1\nbad IN A 192.0.2.1\n_good._tcp IN SRV 0 5 80 h\nh IN A 192.0.2.9";
    for name in ["signed.example", "plain.example", "forged.example"] {
        zone(name, services);
    }
    zone("example", "ns IN A 127.0.0.1\nsigned IN NS ns\nplain IN NS ns\nforged IN NS ns");
    let sign = |name: &str, more: &str| {
        let key = tool(&folder, "dnssec-keygen", &format!("-q -a ECDSAP256SHA256 -f KSK {name}"));
        let words = format!("-S -z -d . -K . {more} -o {name} -f {name}.signed {name}");
        let _signed = tool(&folder, "dnssec-signzone", &words);
        key.trim().to_owned()
    };
    for name in ["signed.example", "forged.example"] {
        let _key = sign(name, "");
    }
    let root = sign("example", "-g");
    let forged = folder.join("forged.example.signed");
    let text = fs::read_to_string(&forged).unwrap().replace("192.0.2.1\n", "192.0.2.66\n");
    assert!(text.contains("192.0.2.66"), "{text}");
    fs::write(&forged, text).unwrap();
    let anchor = folder.join("anchor");
    let key = fs::read_to_string(folder.join(format!("{root}.key"))).unwrap();
    let key: Vec<&str> = key.lines().filter(|line| !line.starts_with(';')).collect();
    fs::write(&anchor, format!("{}\n", key.join("\n"))).unwrap();
    let declared: String = [
        ("example", ".signed"),
        ("signed.example", ".signed"),
        ("plain.example", ""),
        ("forged.example", ".signed"),
    ]
    .iter()
    .map(|(name, ending)| {
        format!("zone \"{name}\" {{ type primary; file \"{name}{ending}\"; }};\n")
    })
    .collect();
    (Named::start(folder, &declared, "example SOA").unwrap(), anchor)
}

#[test]
#[ignore = "needs bind9"]
fn proofs_are_required_where_they_are() {
    let (named, anchor) = signed();
    let rule = |name: &str, zone: &str, require: &str| {
        format!(
            r#"{{"zone": "{name}.service.consul", "upstream": {{"kind": "zone", "zone": "{zone}", "dns": ["127.0.0.1:{}"]}}{require}}}"#,
            named.port
        )
    };
    let proof = format!(r#", "require": "dnssec", "trust_anchors": "{}""#, anchor.display());
    let rules = [
        rule("good", "signed.example", &proof),
        rule("nothing", "signed.example", &proof),
        rule("plain", "plain.example", &proof),
        rule("bad", "forged.example", &proof),
        rule("h", "plain.example", ""),
    ];
    let subject = ours(&format!(r#"{{"fallback": [{}]}}"#, rules.join(", ")));
    assert_eq!(short(&subject, "good.service.consul"), "192.0.2.1", "{}", subject.log_end());
    assert_eq!(short(&subject, "good.service.consul SRV"), "0 5 80 h.signed.example.");
    // Nothing has to be signed there.
    assert_eq!(short(&subject, "h.service.consul"), "192.0.2.9");
    for (name, status, code) in [
        ("nothing", "NXDOMAIN", ""),
        ("plain", "SERVFAIL", "EDE: 10 "),
        ("bad", "SERVFAIL", "EDE: 6 "),
    ] {
        let answer = dig(subject.ports.dns, &format!("{name}.service.consul"));
        assert!(answer.contains(&format!("status: {status}")) && answer.contains(code), "{answer}");
        assert!(!answer.contains("192.0.2."), "{answer}");
    }
    // Over HTTP the same is told from SRV records, and nothing that is not proven.
    let [catalog, health] = pages(&subject, "good");
    for answer in [catalog, health] {
        assert_eq!(source(&answer), Some("fallback:zone@signed.example"));
        assert!(answer.text().contains("192.0.2.9") && answer.text().contains("h.signed.example"));
    }
    for name in ["plain", "bad", "nothing"] {
        let [catalog, health] = pages(&subject, name);
        assert_eq!([catalog.text().trim(), health.text().trim()], ["[]", "[]"], "{name}");
    }
}

#[test]
#[ignore = "needs dig"]
fn two_that_point_at_each_other_stop() {
    let ports = [Ports::free(), Ports::free()];
    let relays = ports.map(|ports| Relay::to(ports.dns));
    let proxies = ports.map(|ports| Proxy::start(([127, 0, 0, 1], ports.http).into()).unwrap());
    let start = |own: usize, other: usize, depth: u8| {
        let (dns, http) = (relays[other].port, proxies[other].address);
        let config = format!(
            r#"{{"fallback": [{{"upstream": {{"kind": "consul", "dns": ["127.0.0.1:{dns}"], "http": "http://{http}"}}, "depth": {depth}}}]}}"#
        );
        Subject::start_at(Setup::of(Kind::Proconsul, Mode::Dev).config(&config), ports[own])
            .unwrap()
    };
    let subjects = [start(0, 1, 8), start(1, 0, 8)];
    let began = Instant::now();
    let answer = dig(subjects[0].ports.dns, "round.service.consul");
    assert!(answer.contains("status: "), "{answer}");
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    let counts = [relays[0].count(), relays[1].count()];
    assert_eq!(counts, [1, 1], "{answer}");

    let asked = |at: usize| proxies[at].since(0, "GET /v1/health/service/round").len();
    let answer = subjects[0].ask("GET", "/v1/health/service/round", "");
    assert_eq!((answer.status, answer.text().trim()), (200, "[]"));
    assert_eq!([asked(0), asked(1)], [1, 1]);
    // A request that says that it has come far is not handed on.
    let far = Request::new("GET", "/v1/health/service/else").header("X-Anchor-Hops", "8");
    let mark = proxies[1].mark();
    let answer = subjects[0].client().send(&far).unwrap();
    assert_eq!((answer.status, proxies[1].since(mark, "GET").len()), (200, 0));
}
