//! What a seed asks.

mod acl;
mod agent;
mod discovery;
mod mesh;

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

pub use self::acl::{Guarded, MANAGEMENT};
use super::Step;
use crate::{differ::Rules, http::Request};

const NODES: &[&str] = &["n1", "n2", "N1", "n3"];
const SERVICES: &[&str] = &["web", "api", "db", "Web"];
const IDS: &[&str] = &["web1", "web2", "api1", "db1"];
const CHECKS: &[&str] = &["c1", "c2", "c3"];
const TAGS: &[&str] = &["v1", "v2", "Blue"];
const STATUSES: &[&str; 3] = &["passing", "warning", "critical"];
const KEYS: &[&str] = &["a", "a/b", "a/c", "b/", "b/x/y", "c", "x%20y", ""];
const VALUES: &[&str] = &["1", "2", "", "<three>", "{\"json\":true}"];
const SLOTS: usize = 6;
/// Bodies that no route takes.
const WRONG: &[&str] = &[
    "",
    "{",
    "[]",
    "null",
    "\"x\"",
    "7",
    "{\"Foo\":1}",
    "{\"Name\":7}",
    "{\"Node\":[]}",
    "{\"Name\":\"x\",\"Check\":[]}",
    "{\"Name\":\"x\"} trailing",
    "{\"Status\":true}",
    "{\"TTL\":\"zz\"}",
    "{\"name\":\"low\",\"ttl\":\"1h\"}",
    "\u{1}",
];
const CATALOG_FILTERS: &[&str] = &[
    "ServiceID==web1",
    "v1+in+ServiceTags",
    "ServicePort!=80",
    "ServiceTags+is+empty",
    "NodeMeta.rack==r1",
    "not+ServiceName==web",
    "Foo==1",
    "ServicePort==x",
    "ServiceMeta.k+matches+\"v.*\"",
    "(",
    "Node==n1+or+ServiceID==api1",
];
const HEALTH_FILTERS: &[&str] = &[
    "Service.ID==web1",
    "v1+in+Service.Tags",
    "Checks.Status==passing",
    "Checks+is+empty",
    "Node.Node==n1",
    "Service.Port==80+and+Node.Meta.rack==r1",
    "Bar==2",
    "Checks.Status!=critical",
];
const CHECK_FILTERS: &[&str] =
    &["Status==passing", "ServiceName==web", "CheckID!=c1", "Output+contains+o", "Zip==1"];
const NODE_FILTERS: &[&str] =
    &["Meta.rack==r1", "Node!=n1", "Address==\"10.0.0.1\"", "Meta+is+empty", "Nope==1"];
const AGENT_FILTERS: &[&str] = &["Service==web", "Port==80", "v1+in+Tags", "Meta.k==v", "Zap==1"];

type Maker = fn(&mut Traffic) -> Step;

/// The endless stream of one seed.
#[derive(Debug)]
pub struct Traffic {
    dice: StdRng,
    sessions: usize,
    /// Whether anything was asked of the mesh.
    meshed: bool,
    statuses: BTreeMap<String, &'static str>,
}

impl Traffic {
    /// The stream of that seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            dice: StdRng::seed_from_u64(seed),
            sessions: 0,
            meshed: false,
            statuses: BTreeMap::new(),
        }
    }
}

impl Iterator for Traffic {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        let make: &[(u32, Maker)] = &[
            (14, Self::agent_write),
            (8, Self::agent_read),
            (10, Self::catalog_write),
            (13, Self::catalog_read),
            (13, Self::health_read),
            (14, Self::key_write),
            (12, Self::key_read),
            (6, Self::session_write),
            (4, Self::session_read),
            (12, Self::discovery),
            (4, Self::odd),
            (9, Self::mesh),
        ];
        let mut roll = self.dice.random_range(0..make.iter().map(|(weight, _)| weight).sum());
        for (weight, kind) in make {
            if roll < *weight {
                return Some(kind(self));
            }
            roll -= weight;
        }
        None
    }
}

impl Traffic {
    fn of<'a>(&mut self, choice: &[&'a str]) -> &'a str {
        choice.choose(&mut self.dice).expect("no list here is empty")
    }

    /// True once in `n`.
    fn once_in(&mut self, n: u32) -> bool {
        self.dice.random_ratio(1, n)
    }

    fn dice_below(&mut self, n: usize) -> usize {
        self.dice.random_range(0..n)
    }

    fn slot(&mut self) -> usize {
        self.dice.random_range(0..SLOTS)
    }

    /// `k=v` pairs that are there by chance.
    fn query(&mut self, maybe: &[(u32, String)]) -> String {
        let taken = maybe.iter().filter(|(n, _)| self.dice.random_ratio(1, *n));
        let taken: Vec<&str> = taken.map(|(_, pair)| pair.as_str()).collect();
        if taken.is_empty() { String::new() } else { format!("?{}", taken.join("&")) }
    }

    /// A JSON object of members that are there by chance (1: always).
    fn object(&mut self, maybe: &[(u32, &str, String)]) -> String {
        let taken = maybe.iter().filter(|(n, ..)| self.dice.random_ratio(1, *n));
        let taken: Vec<String> =
            taken.map(|(_, key, value)| format!("\"{key}\":{value}")).collect();
        format!("{{{}}}", taken.join(","))
    }

    /// What every read knows, faults included.
    fn read_query(&mut self, filters: &[&str], more: &[(u32, String)]) -> String {
        let filter = format!("filter={}", self.of(filters));
        let mut maybe = vec![
            (6, filter.replace('"', "%22")),
            (8, "stale".to_owned()),
            (20, "consistent".to_owned()),
            (12, "pretty".to_owned()),
            (25, "index=1&wait=3ms".to_owned()),
            (25, "index={i}&wait=3ms".to_owned()),
            (60, "dc=dc9".to_owned()),
            (40, "dc=dc1".to_owned()),
            (60, "ns=x".to_owned()),
            (60, "index=x".to_owned()),
            (60, "wait=5".to_owned()),
            (60, "near=n1".to_owned()),
            (60, "max_stale=zz".to_owned()),
            (20, "node-meta=rack:r1".to_owned()),
        ];
        maybe.extend_from_slice(more);
        self.query(&maybe)
    }

    fn tags(&mut self) -> String {
        let tags: Vec<String> =
            (0..self.dice.random_range(0..3)).map(|_| quoted(self.of(TAGS))).collect();
        format!("[{}]", tags.join(","))
    }

    // === catalog ===

    fn catalog_write(&mut self) -> Step {
        let node = self.of(NODES);
        if self.dice.random_ratio(1, 3) {
            let parts = [
                (1, "Node", quoted(node)),
                (2, "ServiceID", quoted(self.of(IDS))),
                (3, "CheckID", quoted(self.of(CHECKS))),
                (30, "Datacenter", quoted(self.of(&["dc1", "dc9"]))),
            ];
            let body = self.object(&parts);
            return step("PUT /v1/catalog/deregister", "/v1/catalog/deregister", &body);
        }
        let service = self.catalog_service();
        let (one, two) = (self.catalog_check(node), self.catalog_check(node));
        let parts = [
            (1, "Node", quoted(node)),
            (1, "Address", quoted(self.of(&["10.0.0.1", "10.0.0.1", "10.0.0.2", ""]))),
            (
                12,
                "ID",
                quoted(self.of(&[
                    "aaaa0000-0000-0000-0000-000000000001",
                    "aaaa0000-0000-0000-0000-000000000002",
                    "x",
                ])),
            ),
            (4, "NodeMeta", self.of(&["{\"rack\":\"r1\"}", "{\"rack\":\"r2\"}", "{}"]).to_owned()),
            (6, "TaggedAddresses", "{\"lan\":\"10.0.0.1\"}".to_owned()),
            (2, "Service", service),
            (3, "Check", one),
            (8, "Checks", format!("[{two}]")),
            (10, "SkipNodeUpdate", "true".to_owned()),
        ];
        let body = self.object(&parts);
        step("PUT /v1/catalog/register", "/v1/catalog/register", &body)
    }

    fn catalog_service(&mut self) -> String {
        let parts = [
            (1, "Service", quoted(self.of(SERVICES))),
            (2, "ID", quoted(self.of(IDS))),
            (2, "Tags", self.tags()),
            (2, "Port", self.of(&["80", "8080"]).to_owned()),
            (3, "Address", quoted(self.of(&["10.8.0.1", "10.8.0.2"]))),
            (4, "Meta", self.of(&["{\"k\":\"v\"}", "{}"]).to_owned()),
            (8, "Weights", "{\"Passing\":2,\"Warning\":1}".to_owned()),
        ];
        self.object(&parts)
    }

    fn catalog_check(&mut self, node: &str) -> String {
        let parts = [
            (1, "CheckID", quoted(self.of(CHECKS))),
            (2, "Name", quoted("a check")),
            (2, "Status", quoted(self.of(STATUSES))),
            (2, "ServiceID", quoted(self.of(IDS))),
            (4, "Output", quoted(self.of(&["out", "o"]))),
            (8, "Node", quoted(node)),
            (8, "Definition", "{\"TCP\":\"x:1\",\"Interval\":\"10s\"}".to_owned()),
        ];
        self.object(&parts)
    }

    fn catalog_read(&mut self) -> Step {
        let (node, name) = (self.of(NODES), self.of(SERVICES));
        let tag = [(4, format!("tag={}", self.of(TAGS))), (30, "tag=v1&tag=v2".to_owned())];
        match self.dice.random_range(0..12) {
            0..=1 => {
                let query = self.read_query(NODE_FILTERS, &[]);
                step("GET /v1/catalog/nodes", &format!("/v1/catalog/nodes{query}"), "")
            }
            2..=3 => {
                let query = self.read_query(CATALOG_FILTERS, &[]);
                unordered(step(
                    "GET /v1/catalog/services",
                    &format!("/v1/catalog/services{query}"),
                    "",
                ))
            }
            4..=7 => {
                let query = self.read_query(CATALOG_FILTERS, &tag);
                step("GET /v1/catalog/service/", &format!("/v1/catalog/service/{name}{query}"), "")
            }
            8..=9 => {
                let query = self.read_query(AGENT_FILTERS, &[]);
                step("GET /v1/catalog/node/", &format!("/v1/catalog/node/{node}{query}"), "")
            }
            10 => {
                let query = self.read_query(AGENT_FILTERS, &[]);
                step(
                    "GET /v1/catalog/node-services/",
                    &format!("/v1/catalog/node-services/{node}{query}"),
                    "",
                )
            }
            _ => step("GET /v1/catalog/datacenters", "/v1/catalog/datacenters", ""),
        }
    }

    // === health ===

    fn health_read(&mut self) -> Step {
        let (node, name) = (self.of(NODES), self.of(SERVICES));
        match self.dice.random_range(0..10) {
            0..=5 => {
                let more = [
                    (3, "passing".to_owned()),
                    (40, "passing=x".to_owned()),
                    (4, format!("tag={}", self.of(TAGS))),
                ];
                let query = self.read_query(HEALTH_FILTERS, &more);
                step("GET /v1/health/service/", &format!("/v1/health/service/{name}{query}"), "")
            }
            6 => {
                let query = self.read_query(CHECK_FILTERS, &[]);
                step("GET /v1/health/checks/", &format!("/v1/health/checks/{name}{query}"), "")
            }
            7 => {
                let query = self.read_query(CHECK_FILTERS, &[]);
                step("GET /v1/health/node/", &format!("/v1/health/node/{node}{query}"), "")
            }
            _ => {
                let state = self.of(&["any", "passing", "warning", "critical", "zz"]);
                let query = self.read_query(CHECK_FILTERS, &[]);
                step("GET /v1/health/state/", &format!("/v1/health/state/{state}{query}"), "")
            }
        }
    }

    // === keys ===

    fn key_write(&mut self) -> Step {
        let key = self.of(KEYS);
        let slot = self.slot();
        if self.once_in(4) {
            let query = self.query(&[
                (10, "recurse".to_owned()),
                (5, "cas={i}".to_owned()),
                (20, "cas=0".to_owned()),
                (40, "cas=x".to_owned()),
            ]);
            return step("DELETE /v1/kv/", &format!("/v1/kv/{key}{query}"), "").method("DELETE");
        }
        let flags = self.of(&["7", "0", "18446744073709551615", "x"]);
        let query = self.query(&[
            (6, format!("flags={flags}")),
            (10, "cas=0".to_owned()),
            (10, "cas={i}".to_owned()),
            (60, "cas=z".to_owned()),
            (5, format!("acquire={{s{slot}}}")),
            (8, format!("release={{s{slot}}}")),
            (60, "dc=dc9".to_owned()),
            (60, "ns=x".to_owned()),
        ]);
        step("PUT /v1/kv/", &format!("/v1/kv/{key}{query}"), self.of(VALUES))
    }

    fn key_read(&mut self) -> Step {
        let key = self.of(KEYS);
        let more = [
            (4, "recurse".to_owned()),
            (5, "keys".to_owned()),
            (8, "separator=/".to_owned()),
            (8, "raw".to_owned()),
        ];
        let query = self.read_query(&["Key==a"], &more);
        step("GET /v1/kv/", &format!("/v1/kv/{key}{query}"), "")
    }

    // === sessions ===

    fn session_write(&mut self) -> Step {
        let slot = self.slot();
        match self.dice.random_range(0..10) {
            0..=4 => {
                let parts = [
                    (2, "Name", quoted("lock")),
                    (1, "LockDelay", quoted(self.of(&["0s", "0s", "0s", "60s"]))),
                    (4, "TTL", quoted(self.of(&["1h", "1s", "90000s", "zz"]))),
                    (4, "Behavior", quoted(self.of(&["delete", "release", "zz"]))),
                    (12, "Node", quoted(self.of(NODES))),
                    (
                        8,
                        "Checks",
                        self.of(&["[]", "[\"serfHealth\"]", "[\"c1\"]", "null"]).to_owned(),
                    ),
                    (20, "NodeChecks", "[]".to_owned()),
                ];
                let body = self.object(&parts);
                let slot = self.sessions % SLOTS;
                self.sessions += 1;
                let made = step("PUT /v1/session/create", "/v1/session/create", &body);
                Step { session: Some(slot), ..made }
            }
            5..=6 => step("PUT /v1/session/renew/", &format!("/v1/session/renew/{{s{slot}}}"), ""),
            _ => step("PUT /v1/session/destroy/", &format!("/v1/session/destroy/{{s{slot}}}"), ""),
        }
    }

    fn session_read(&mut self) -> Step {
        let slot = self.slot();
        let query = self.query(&[
            (8, "stale".to_owned()),
            (12, "pretty".to_owned()),
            (40, "dc=dc9".to_owned()),
        ]);
        match self.dice.random_range(0..4) {
            // Lists are in the order of ids, and ids are random.
            0 => unordered(step("GET /v1/session/list", &format!("/v1/session/list{query}"), "")),
            1 => {
                let node = self.of(&["node1", "n1", "n2"]);
                unordered(step(
                    "GET /v1/session/node/",
                    &format!("/v1/session/node/{node}{query}"),
                    "",
                ))
            }
            _ => step("GET /v1/session/info/", &format!("/v1/session/info/{{s{slot}}}{query}"), ""),
        }
    }

    // === the rest ===

    /// Status pages, wrong methods and wrong bodies.
    fn odd(&mut self) -> Step {
        let wrong = self.of(WRONG);
        let writes = [
            "/v1/agent/service/register",
            "/v1/agent/check/register",
            "/v1/agent/check/update/c1",
            "/v1/catalog/register",
            "/v1/catalog/deregister",
        ];
        let reads = [
            "/v1/catalog/nodes",
            "/v1/health/state/any",
            "/v1/agent/services",
            "/v1/session/list",
            "/v1/status/leader",
        ];
        match self.dice.random_range(0..6) {
            0 => step("GET /v1/status/leader", "/v1/status/leader", ""),
            1 => step("GET /v1/status/peers", "/v1/status/peers", ""),
            2 => {
                let method = self.of(&["POST", "DELETE", "OPTIONS", "PATCH", "PUT"]);
                let target = self.of(&reads);
                step(&format!("{method} {target}"), target, "").method(method)
            }
            3 => {
                let target = self.of(&[
                    "/v1/health/service/",
                    "/v1/catalog/node/",
                    "/v1/health/node/",
                    "/v1/kv",
                    "/v1//kv/a",
                    "/v1/nope",
                ]);
                step(&format!("GET {target}"), target, "")
            }
            _ => {
                let target = self.of(&writes);
                step(&format!("PUT {target} (wrong)"), target, wrong)
            }
        }
    }
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

fn step(route: &str, target: &str, body: &str) -> Step {
    let method = route.split(' ').next().expect("a route begins with its method");
    Step {
        route: route.to_owned(),
        request: Request::new(method, target).body(body),
        rules: Rules::default(),
        session: None,
    }
}

impl Step {
    fn method(mut self, method: &str) -> Self {
        method.clone_into(&mut self.request.method);
        self
    }
}

fn unordered(mut step: Step) -> Step {
    step.rules.unordered = true;
    step
}

#[cfg(test)]
mod tests {
    use super::Traffic;

    #[test]
    fn a_seed_says_the_same_for_ever() {
        let texts = |seed| {
            Traffic::new(seed).take(300).map(|s| format!("{:?}", s.request)).collect::<Vec<_>>()
        };
        assert_eq!(texts(7), texts(7));
        assert_ne!(texts(7), texts(8));
    }
}
