//! Random questions about a catalog: of every form, nearly of one, and damaged on the way.

use std::net::IpAddr;

use rand::{Rng, rngs::StdRng, seq::IndexedRandom};

use crate::dns::{
    fixture::{Exchange, Fixture},
    wire,
};

/// Types, the usual ones more often.
const TYPES: &[&str] = &[
    "A", "A", "A", "A", "A", "A", "SRV", "SRV", "SRV", "SRV", "SRV", "AAAA", "AAAA", "ANY", "ANY",
    "TXT", "TXT", "CNAME", "SOA", "NS", "PTR", "MX", "DS", "AXFR", "IXFR", "TYPE65", "TYPE0",
];
const SIZES: &[u16] = &[0, 100, 511, 512, 513, 600, 700, 900, 1232, 1400, 4096, 8192, 65_535];
const SUBNETS: &[&str] = &[
    "1,24,c63364",
    "1,32,0a000001",
    "2,56,20010db8000001",
    "0,0,",
    "1,0,",
    "1,20,0a0fff",
    "9,8,0a",
    "1,33,0a00000101",
];
/// EDNS options by number: a server's name, a cookie, padding, a keepalive that is none, one of nobody's.
const OPTIONS: &[&str] = &[
    "00030000",
    "000a00080102030405060708",
    "000c0004 00000000",
    "000b0002000a",
    "fde9000161",
    "000f0001",
];
const PLACES: &[&str] = &[
    "",
    "",
    "",
    "",
    "",
    "",
    ".dc1",
    ".dc1",
    ".dc1.dc",
    ".dc2",
    ".dc9.dc",
    ".http.port",
    ".grpc.port",
    ".dc1.dc.http.port",
    ".nobody.peer",
    ".default.ns",
    ".default.ap",
    ".a.b.c",
    ".dc1.dc.dc1.dc",
    ".x.port.y.port",
];
const STRAYS: &[&str] = &[
    "x",
    "v1",
    "_tcp",
    "service",
    "node",
    "addr",
    "\\032",
    "\\000",
    "a\\046b",
    "-",
    "_",
    "dc1",
    "\\195\\188",
];
const FOREIGN: &[&str] = &[
    "www.example.com",
    "plain.example.test",
    "chain.example.test",
    "gone.example.test",
    "many.example.test",
    "wide.example.test",
    "refused.example.test",
    "failing.example.test",
    "consul.example.org",
    "localhost",
    ".",
    "com",
    "consull",
    "onsul",
];

/// Asks about what a fixture registers.
pub(super) struct Asker {
    chance: StdRng,
    services: Vec<String>,
    nodes: Vec<String>,
    ids: Vec<String>,
    addresses: Vec<String>,
    tags: Vec<String>,
    prepared: Vec<String>,
    zones: Vec<String>,
    count: u16,
    /// How likely a message is damaged on its way.
    damage: f64,
}

// === impl Asker ===

impl Asker {
    pub(super) fn new(fixture: &Fixture, damage: f64, chance: StdRng) -> Self {
        let mut asker = Self {
            chance,
            services: vec!["consul".into(), "nope".into()],
            nodes: vec!["node1".into(), "nope".into()],
            ids: Vec::new(),
            addresses: vec!["127.0.0.1".into(), "240.0.0.1".into()],
            tags: vec!["even".into(), "nope".into()],
            prepared: Vec::new(),
            zones: vec!["consul".into()],
            count: 0,
            damage,
        };
        for line in &fixture.registrations {
            asker.learn(line);
        }
        for line in &fixture.prepared {
            let name = line.split(' ').nth(1).unwrap_or_default();
            asker.prepared.push(escaped(name.trim_end_matches('-')));
            asker.prepared.push(format!("{}web-db", escaped(name)));
        }
        for (key, value) in &fixture.settings {
            if key == "domain" || key == "alt_domain" {
                asker.zones.push(value.trim_end_matches('.').to_owned());
            }
        }
        asker.services.sort();
        asker.services.dedup();
        // Those of many instances, where the rules of size are.
        for crowd in ["crowd", "crowd20", "both", "crowd20"] {
            asker.services.extend([crowd.to_owned(), crowd.to_owned()]);
        }
        asker
    }

    fn learn(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["node", name, address, more @ ..] => {
                self.nodes.push(escaped(name));
                self.addresses.push((*address).to_owned());
                self.ids.extend(
                    more.iter().filter_map(|word| word.strip_prefix("id=")).map(str::to_owned),
                );
            }
            ["service", _, _, name, more @ ..] => {
                self.services.push(escaped(name));
                for word in more {
                    match word.split_once('=') {
                        Some(("addr", address)) => self.addresses.push(address.to_owned()),
                        Some(("tags", tags)) => self.tags.extend(tags.split(',').map(escaped)),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }

    /// The next question.
    pub(super) fn next(&mut self) -> Exchange {
        self.count += 1;
        let mut ask = self.line();
        let id = self.count;
        let mut query = wire::question(&ask, id).unwrap_or_else(|| panic!("no question: {ask}"));
        if self.chance.random_bool(self.damage) {
            query = self.damaged(query);
            ask = format!(
                "{} hex={} x x",
                transport(&ask),
                wire::to_hex(query.get(2..).unwrap_or_default())
            );
            query.splice(..query.len().min(2), id.to_be_bytes());
        }
        Exchange { ask, query, reply: None, varies: Vec::new() }
    }

    fn line(&mut self) -> String {
        let mut line = if self.chance.random_bool(0.25) { "tcp" } else { "udp" }.to_owned();
        if self.chance.random_bool(0.5) {
            line.push_str(&self.edns());
        }
        if self.chance.random_bool(0.04) {
            line.push_str(&format!(" class={}", self.one(&["0", "3", "254", "255", "1234"])));
        }
        let mut name = self.name();
        if self.chance.random_bool(0.3) {
            name = self.mixed(&name);
        }
        let reverse = name.to_lowercase().ends_with("arpa");
        let kind = if reverse && self.chance.random_bool(0.7) {
            "PTR".to_owned()
        } else {
            self.one(TYPES)
        };
        line.push_str(&format!(" {name} {kind}"));
        for (flag, likely) in [("rd", 0.8), ("cd", 0.05), ("ad", 0.1), ("notify", 0.01)] {
            if self.chance.random_bool(likely) {
                line.push_str(&format!(" {flag}"));
            }
        }
        if line.contains("edns=") && self.chance.random_bool(0.2) {
            line.push_str(" do");
        }
        line
    }

    fn edns(&mut self) -> String {
        let size = match self.chance.random_bool(0.7) {
            true => *SIZES.choose(&mut self.chance).expect("there are some"),
            false => self.chance.random_range(500..3000),
        };
        let mut text = format!(" edns={size}");
        if self.chance.random_bool(0.15) {
            text.push_str(&format!(" ecs={}", self.one(SUBNETS)));
        }
        if self.chance.random_bool(0.1) {
            text.push_str(&format!(" opt={}", self.one(OPTIONS).replace(' ', "")));
        }
        if self.chance.random_bool(0.03) {
            text.push_str(&format!(" version={}", self.chance.random_range(1..4)));
        }
        text
    }

    // === names ===

    fn name(&mut self) -> String {
        let place = self.one(PLACES);
        let zone = self.of(|asker| &asker.zones);
        let mut name = match self.chance.random_range(0..100) {
            0..38 => self.service() + &place,
            38..46 => format!("{}.node{place}", self.of(|asker| &asker.nodes)),
            46..49 => format!("{}.node{place}", self.node_id()),
            49..56 => self.query(),
            56..61 => format!(
                "{}.{}{place}",
                self.of(|asker| &asker.services),
                self.one(&["connect", "connect", "ingress"])
            ),
            61..65 => format!(
                "{}{}.virtual{place}",
                self.one(&["", "x."]),
                self.of(|asker| &asker.services)
            ),
            65..70 => format!("{}.addr{place}", self.spelt()),
            70..76 => return self.reverse(),
            76..80 => return self.one(FOREIGN),
            80..83 => self.one(&[
                "service",
                "node",
                "query",
                "addr",
                "connect",
                "virtual",
                "ingress",
                "ns",
                "x.y",
                "_tcp",
                "_web._tcp",
            ]),
            83..85 => return zone,
            _ => self.service(),
        };
        if self.chance.random_bool(0.05) {
            name = self.bent(&name);
        }
        format!("{name}.{zone}")
    }

    fn service(&mut self) -> String {
        let (service, tag) = (self.of(|asker| &asker.services), self.of(|asker| &asker.tags));
        match self.chance.random_range(0..10) {
            0..5 => format!("{service}.service"),
            5 | 6 => format!("{tag}.{service}.service"),
            7 => format!(
                "_{service}._{}.service",
                self.one(&["tcp", "udp", "v1", "primary", "even", "nope"])
            ),
            8 => format!("_{service}._tcp"),
            _ => format!("{tag}.{}.{service}.service", self.of(|asker| &asker.tags)),
        }
    }

    fn query(&mut self) -> String {
        let name = self.of(|asker| &asker.prepared);
        match self.chance.random_range(0..8) {
            0 => format!("_{name}._tcp.query"),
            1 => format!("{name}.query.dc1"),
            2 => format!("{name}.query.dc9"),
            3 => format!("{name}.query.dc1.dc"),
            _ => format!("{name}.query"),
        }
    }

    /// The beginning of a node's id, of any length.
    fn node_id(&mut self) -> String {
        let id = self.of(|asker| &asker.ids);
        let end = self.chance.random_range(1..=id.len());
        id[..end].trim_end_matches('-').to_owned()
    }

    /// An address in hexadecimal digits, sometimes one too many.
    fn spelt(&mut self) -> String {
        let address = self.of(|asker| &asker.addresses);
        let mut digits = match address.parse::<IpAddr>() {
            Ok(IpAddr::V4(ip)) => wire::to_hex(&ip.octets()),
            Ok(IpAddr::V6(ip)) => wire::to_hex(&ip.octets()),
            Err(_) => "0a0000zz".to_owned(),
        };
        if self.chance.random_bool(0.1) {
            digits.push('0');
        }
        digits
    }

    fn reverse(&mut self) -> String {
        let address = self.of(|asker| &asker.addresses);
        match address.parse::<IpAddr>() {
            Ok(IpAddr::V4(ip)) => {
                let [a, b, c, d] = ip.octets();
                format!("{d}.{c}.{b}.{a}.in-addr.arpa")
            }
            Ok(IpAddr::V6(ip)) => {
                let digits = wire::to_hex(&ip.octets());
                let labels: Vec<String> = digits.chars().rev().map(String::from).collect();
                format!("{}.ip6.arpa", labels.join("."))
            }
            Err(_) => self.one(&[
                "arpa",
                "in-addr.arpa",
                "1.in-addr.arpa",
                "home.arpa",
                "x.0.0.10.in-addr.arpa",
                "300.0.0.10.in-addr.arpa",
            ]),
        }
    }

    /// Nearly the same name: a label more, a label less, two in each other's place.
    fn bent(&mut self, name: &str) -> String {
        let mut labels: Vec<String> = name.split('.').map(str::to_owned).collect();
        let at = self.chance.random_range(0..labels.len());
        match self.chance.random_range(0..3) {
            0 => labels.insert(at, self.one(STRAYS)),
            1 => drop(labels.remove(at)),
            _ => labels.swap(0, at),
        }
        labels.join(".")
    }

    fn mixed(&mut self, name: &str) -> String {
        let each = |letter: char| match self.chance.random_bool(0.5) {
            true => letter.to_ascii_uppercase(),
            false => letter,
        };
        name.chars().map(each).collect()
    }

    // === messages ===

    /// A few bytes changed, or the end gone.
    fn damaged(&mut self, mut message: Vec<u8>) -> Vec<u8> {
        for _ in 0..self.chance.random_range(1..4) {
            let at = self.chance.random_range(0..message.len());
            match self.chance.random_range(0..6) {
                0 => message[at] = self.chance.random(),
                1 => message[at] ^= 1 << self.chance.random_range(0..8),
                2 => message.insert(at, self.chance.random()),
                3 => message.truncate(at.max(3)),
                4 => {
                    // The counts and the flags, where most of the rules are.
                    let at = self.chance.random_range(2..12).min(message.len() - 1);
                    message[at] = self.chance.random_range(0..4);
                }
                _ => message.extend([0; 3]),
            }
        }
        message
    }

    fn one(&mut self, words: &[&str]) -> String {
        (*words.choose(&mut self.chance).expect("there are some")).to_owned()
    }

    fn of(&mut self, list: impl Fn(&Self) -> &Vec<String>) -> String {
        let at = self.chance.random_range(0..list(self).len());
        list(self)[at].clone()
    }
}

fn transport(ask: &str) -> &str {
    ask.split(' ').next().unwrap_or_default()
}

/// A word of a registration as part of a name: other bytes than letters are written `\DDD`.
fn escaped(word: &str) -> String {
    let plain = crate::dns::world::plain(word);
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'!' => {
            char::from(byte).to_string()
        }
        byte => format!("\\{byte:03}"),
    };
    plain.trim_start_matches('!').bytes().map(byte).collect()
}
