//! A random configuration and catalog, in the lines of a fixture.

use std::ops::Range;

use rand::{Rng, rngs::StdRng, seq::IndexedRandom};

use super::Flavour;
use crate::dns::fixture::Fixture;

const SERVICES: &[&str] = &[
    "web",
    "api",
    "db",
    "Cache",
    "my_svc",
    "x-1",
    "a.b",
    "sp%20ace",
    "_under",
    "consul-ui",
    "primary",
    "dc1",
    "a-service-with-a-name-that-is-nearly-as-long-as-a-label-may-be",
];
const TAGS: &[&str] = &["v1", "v2", "UP", "udp", "tcp", "a.b", "primary", "with%20blank", "t_1"];
const STATUSES: &[&str] =
    &["passing", "passing", "passing", "warning", "critical", "maintenance", "odd"];
/// Service and node addresses that are names.
const HOSTS: &[&str] = &[
    "ext.example.test",
    "chain.example.test",
    "www.example.org",
    "web.service.consul",
    "Cache.Service.Consul",
    "api.service.dc1.consul",
    "n1.node.consul",
    "0a000001.addr.consul",
    "nope.service.consul",
    "db.query.consul",
    "trailing.example.test.",
    "gone.example.test",
];
const META: &[(&str, &str)] = &[
    ("k", "v"),
    ("rfc1035-x", "bare"),
    ("RFC1035-Y", "also%20bare"),
    ("a%3Db", "c`d"),
    ("empty", ""),
    ("%20blank%20", "x%20y"),
    ("q", "say%20%22hi%22"),
    ("v", "1.2.3"),
];
const ZONES: &[&str] = &["alt", "test.consul", "corp.example", "Mixed.Case"];
const NODES: usize = 14;
/// What the flavour with access control shows.
const DNS_TOKEN: &str = "dddddddd-0000-4000-8000-00000000000d";

/// Makes it.
pub(super) fn make(flavour: Flavour, crowd: Range<usize>, chance: &mut StdRng) -> Fixture {
    let mut fixture = Fixture {
        title: format!("A random catalog and random questions: {}.", flavour.word()),
        ..Fixture::default()
    };
    settings(flavour, &mut fixture, chance);
    if flavour == Flavour::Denying {
        rights(&mut fixture, chance);
    }
    fixture.entries.push(GATEWAY.to_owned());
    let mut lines = Vec::new();
    for number in 0..NODES {
        node(number, &mut lines, chance);
    }
    crowds(crowd, &mut lines, chance);
    mesh(&mut lines, chance);
    fixture.registrations = lines;
    fixture.prepared = prepared(chance);
    fixture
}

// === settings ===

fn settings(flavour: Flavour, fixture: &mut Fixture, chance: &mut StdRng) {
    let mut set = |key: &str, value: String| fixture.settings.push((key.to_owned(), value));
    let parts: &[Flavour] = match &flavour {
        Flavour::Mixed => &Flavour::ALL[1..7],
        one => std::slice::from_ref(one),
    };
    let sure = flavour != Flavour::Mixed;
    for part in parts {
        if !sure && chance.random_bool(0.4) {
            continue;
        }
        match part {
            Flavour::Limits => {
                set("udp_answer_limit", chance.random_range(0..10).to_string());
                set("a_record_limit", chance.random_range(0..7).to_string());
            }
            Flavour::Truncate => {
                set("enable_truncate", "true".to_owned());
                set("udp_answer_limit", chance.random_range(1..9).to_string());
            }
            Flavour::Passing => {
                set("only_passing", "true".to_owned());
                set("translate_wan_addrs", "true".to_owned());
                set("allow_stale", one(chance, &["true", "false"]));
                set("use_cache", one(chance, &["true", "false"]));
            }
            Flavour::Times => times(&mut set, chance),
            Flavour::Zones => {
                if chance.random_bool(0.5) {
                    set("domain", one(chance, &["example.internal", "consul.", "CONSUL"]));
                }
                set("alt_domain", one(chance, ZONES));
            }
            Flavour::Whole => {
                set("disable_compression", "true".to_owned());
                set("enable_additional_node_meta_txt", "false".to_owned());
            }
            Flavour::Recursors => {
                // The first of two may have nobody who answers.
                set("recursors", one(chance, &["stub", "127.0.0.1:9,stub"]));
                set("recursor_strategy", one(chance, &["sequential", "random"]));
                set("recursor_timeout", "300ms".to_owned());
            }
            Flavour::Denying => set("acl:dns", DNS_TOKEN.to_owned()),
            Flavour::Plain | Flavour::Mixed => {}
        }
    }
}

fn times(set: &mut impl FnMut(&str, String), chance: &mut StdRng) {
    set("node_ttl", one(chance, &["7s", "1500ms", "0s", "3600s"]));
    for key in ["web", "x-1", "Cache", "w*", "a*", "*"] {
        if chance.random_bool(0.5) {
            set(&format!("service_ttl:{key}"), format!("{}s", chance.random_range(0..90)));
        }
    }
    for key in ["refresh", "retry", "expire", "min_ttl"] {
        if chance.random_bool(0.6) {
            set(&format!("soa:{key}"), chance.random_range(0..5000).to_string());
        }
    }
}

/// The DNS token may read some services and some nodes.
fn rights(fixture: &mut Fixture, chance: &mut StdRng) {
    let mut rules = String::new();
    let mut rule = |kind: &str, name: &str, chance: &mut StdRng| {
        let may = one(chance, &["read", "read", "read", "deny"]);
        rules.push_str(&format!("{kind} \\\"{name}\\\" {{ policy = \\\"{may}\\\" }} "));
    };
    for name in ["web", "db", "Cache", "x-1", "consul", "crowd20", "mesh"] {
        rule("service", name, chance);
    }
    rule("service_prefix", "a", chance);
    for name in ["n1", "n2", "Box.4", "UPPER"] {
        rule("node", name, chance);
    }
    rule("node_prefix", "l", chance);
    fixture
        .requests
        .push(format!("PUT /v1/acl/policy {{\"Name\": \"dns\", \"Rules\": \"{rules}\"}}"));
    fixture.requests.push(format!(
        "PUT /v1/acl/token {{\"SecretID\": \"{DNS_TOKEN}\", \"Policies\": [{{\"Name\": \"dns\"}}]}}"
    ));
}

/// A gateway that listens for two services.
const GATEWAY: &str = r#"entry ingress-gateway gate {"Listeners":[{"Port":8080,"Protocol":"tcp","Services":[{"Name":"web"}]},{"Port":8081,"Protocol":"tcp","Services":[{"Name":"mesh"}]}]}"#;

// === the catalog ===

fn node(number: usize, lines: &mut Vec<String>, chance: &mut StdRng) {
    let name = match number {
        4 => "Box.4".to_owned(),
        5 => "under_score".to_owned(),
        6 => "UPPER".to_owned(),
        7 => "sp%20node".to_owned(),
        8 => "a-node-with-a-name-that-is-nearly-as-long-as-a-label-may-be-xx".to_owned(),
        number => format!("n{number}"),
    };
    let address = match chance.random_range(0..10) {
        0 => one(chance, HOSTS),
        1 | 2 => format!("fd00::{number}:1"),
        _ => format!("10.0.0.{number}"),
    };
    let mut line = format!(
        "node {name} {address} id={:08x}-0000-4000-8000-{number:012}",
        chance.random::<u32>()
    );
    for _ in 0..chance.random_range(0..5) {
        let (key, value) = META.choose(chance).expect("there is some");
        if !line.contains(&format!("meta:{key}=")) {
            line.push_str(&format!(" meta:{key}={value}"));
        }
    }
    line.push_str(&tagged("10.99.0", "fd99", number, "", chance));
    lines.push(line);
    if chance.random_bool(0.3) {
        lines.push(format!("check {name} - {}", one(chance, STATUSES)));
    }
    for at in 0..chance.random_range(0..5) {
        service(&name, number, at, lines, chance);
    }
}

fn tagged(v4: &str, v6: &str, number: usize, port: &str, chance: &mut StdRng) -> String {
    let mut text = String::new();
    for (key, address, likely) in [
        ("lan_ipv4", format!("{v4}.{number}"), 0.15),
        ("lan_ipv6", format!("{v6}::{number}"), 0.1),
        ("wan", format!("192.0.2.{number}"), 0.1),
    ] {
        if chance.random_bool(likely) {
            text.push_str(&format!(" tagged:{key}={address}{port}"));
        }
    }
    text
}

fn service(node: &str, number: usize, at: usize, lines: &mut Vec<String>, chance: &mut StdRng) {
    let name = one(chance, SERVICES);
    let mut line = format!("service {node} s{at} {name}");
    if chance.random_bool(0.1) {
        line.push_str(" ports=http:8080*,grpc:9090");
    } else {
        line.push_str(&format!(" port={}", one(chance, &["80", "8080", "0", "65535"])));
    }
    match chance.random_range(0..10) {
        0..3 => line.push_str(&format!(" addr=10.88.{number}.{at}")),
        3 => line.push_str(&format!(" addr=fd88::{number}:{at}")),
        4 => line.push_str(&format!(" addr={}", one(chance, HOSTS))),
        _ => {}
    }
    if chance.random_bool(0.6) {
        let tags: Vec<String> = (0..chance.random_range(1..4)).map(|_| one(chance, TAGS)).collect();
        line.push_str(&format!(" tags={}", tags.join(",")));
    }
    if chance.random_bool(0.3) {
        let (passing, warning) = (chance.random_range(1..90), chance.random_range(1..90));
        line.push_str(&format!(" weights={passing},{warning}"));
    }
    line.push_str(&tagged("10.77.7", "fd77", 10 * number + at, "|81", chance));
    lines.push(line);
    if chance.random_bool(0.5) {
        lines.push(format!("check {node} s{at} {}", one(chance, STATUSES)));
    }
}

/// Services of more instances than a datagram holds.
fn crowds(crowd: Range<usize>, lines: &mut Vec<String>, chance: &mut StdRng) {
    let meta = ["", " meta:rack=r1 meta:zone=z"];
    for node in 0..20 {
        lines.push(format!("node l{node} 10.50.0.{node}{}", meta[node % 2]));
    }
    for (name, size) in [("crowd20", 20_usize), ("crowd", chance.random_range(crowd)), ("both", 30)]
    {
        for at in 0..size {
            let address = match (name, at % 3) {
                ("both", 0) => format!("fd50::{at}"),
                ("both", 1) => format!("10.51.0.{at}"),
                ("crowd20", _) => String::new(),
                _ => format!("10.{}.{}.{}", 52 + at % 2, at / 200, at % 200),
            };
            let address = if address.is_empty() { address } else { format!(" addr={address}") };
            let tag = if at % 2 == 0 { " tags=even" } else { "" };
            lines.push(format!(
                "service l{} {name}{at} {name} port={}{address}{tag}",
                at % 20,
                7000 + at
            ));
        }
    }
}

/// Proxies, a service that needs none, and a gateway: what has virtual addresses.
fn mesh(lines: &mut Vec<String>, chance: &mut StdRng) {
    for (at, name) in ["web", "mesh", "mesh", "Cache"].iter().enumerate() {
        let address =
            if chance.random_bool(0.5) { format!(" addr=10.60.0.{at}") } else { String::new() };
        lines.push(format!(
            "service l{at} proxy{at} {name}-proxy port=2{at}000 proxy={name}{address}"
        ));
    }
    lines.push("service l4 mesh4 mesh port=99 native=true".to_owned());
    lines.push("service l5 gate gate port=8443 kind=ingress-gateway addr=10.61.0.5".to_owned());
    lines.push("service l6 gate gate port=8443 kind=ingress-gateway".to_owned());
    let status = one(chance, STATUSES);
    lines.push(format!("check l5 gate {status}"));
}

fn prepared(chance: &mut StdRng) -> Vec<String> {
    let ttl = one(chance, &["3s", "0s", "1500ms", "1m"]);
    let lines = [
        "prepared db db",
        &format!("prepared My.Query web ttl={ttl}"),
        "prepared plain web",
        "prepared some web tags=v1,!v2",
        "prepared big crowd ttl=9s",
        "prepared twenty crowd20",
        "prepared none nothing",
        "prepared near web near=n2",
        "prepared close web near=_ip",
        "prepared fit x-1 only_passing=true",
        "prepared geo- ${name.suffix} template=true",
        "prepared re- ${match(2)} template=true regexp=^re-(.*)-(.*)$",
    ];
    lines.map(str::to_owned).into()
}

fn one(chance: &mut StdRng, words: &[&str]) -> String {
    (*words.choose(chance).expect("there are some")).to_owned()
}
