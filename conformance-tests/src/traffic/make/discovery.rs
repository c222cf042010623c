//! What a seed asks of transactions, prepared queries, events and coordinates.
//!
//! Kept out is what hangs on chance or on the clock: which events arrived already, which coordinates were written already,
//! which instances a limit leaves.

use super::{
    CHECKS, IDS, KEYS, NODES, SERVICES, STATUSES, Step, TAGS, Traffic, VALUES, quoted, step,
    unordered,
};

/// The slots of queries lie behind those of sessions.
const FIRST_QUERY: usize = 100;
const QUERIES: usize = 4;
const QUERY_NAMES: &[&str] = &["q1", "q2", "Q1", "geo-", "geo-x", ""];
const KEY_VERBS: &[&str] = &[
    "set",
    "set",
    "cas",
    "lock",
    "unlock",
    "get",
    "get-or-empty",
    "get-tree",
    "check-index",
    "check-session",
    "check-not-exists",
    "delete",
    "delete-tree",
    "delete-cas",
    "zz",
];
const VERBS: &[&str] = &["set", "set", "get", "get", "cas", "delete", "delete-cas", "zz"];
/// `1`, `2`, `<three>` and no base64.
const BASE64: &[&str] = &["MQ==", "Mg==", "PHRocmVlPg==", "", "x"];
const TEXTS: &[&str] =
    &["web", "${name.suffix}", "${match(1)}", "a-${name.full}", "$${x}", "${", "${x}", "${1+1}"];

impl Traffic {
    pub(super) fn discovery(&mut self) -> Step {
        match self.dice_below(20) {
            0..=7 => self.transaction(),
            8..=10 => self.query_write(),
            11..=15 => self.query_read(),
            16..=17 => self.event(),
            _ => self.coordinate(),
        }
    }

    // === transactions ===

    fn transaction(&mut self) -> Step {
        let ops: Vec<String> = (0..self.dice_below(5)).map(|_| self.operation()).collect();
        let query = self.query(&[
            (15, "stale".to_owned()),
            (15, "pretty".to_owned()),
            (40, "dc=dc9".to_owned()),
        ]);
        let body = format!("[{}]", ops.join(","));
        let mut made = step("PUT /v1/txn", &format!("/v1/txn{query}"), &body);
        if body.contains("check-index") {
            // It tells the index that it found.
            made.rules.ignored.push("/Errors/*/What".to_owned());
        }
        made
    }

    fn operation(&mut self) -> String {
        match self.dice_below(10) {
            0..=5 => self.key_operation(),
            6 => {
                let parts =
                    [(1, "Node", quoted(self.of(NODES))), (2, "Address", quoted("10.0.0.1"))];
                let verb = quoted(self.of(VERBS));
                format!("{{\"Node\":{{\"Verb\":{verb},\"Node\":{}}}}}", self.object(&parts))
            }
            7..=8 => self.service_operation(),
            _ => self.check_operation(),
        }
    }

    fn key_operation(&mut self) -> String {
        let (key, slot) = (self.of(KEYS).replace("%20", " "), self.slot());
        let parts = [
            (1, "Verb", quoted(self.of(KEY_VERBS))),
            (1, "Key", quoted(&key)),
            (2, "Value", quoted(self.of(BASE64))),
            (4, "Flags", "7".to_owned()),
            (4, "Session", format!("\"{{s{slot}}}\"")),
        ];
        format!("{{\"KV\":{}}}", self.object(&parts))
    }

    fn service_operation(&mut self) -> String {
        let (node, verb) = (quoted(self.of(NODES)), quoted(self.of(VERBS)));
        let parts = [
            (3, "ID", quoted(self.of(IDS))),
            (1, "Service", quoted(self.of(SERVICES))),
            (3, "Port", "80".to_owned()),
            (3, "Tags", self.tags()),
        ];
        let service = self.object(&parts);
        format!("{{\"Service\":{{\"Verb\":{verb},\"Node\":{node},\"Service\":{service}}}}}")
    }

    fn check_operation(&mut self) -> String {
        let verb = quoted(self.of(VERBS));
        let parts = [
            (1, "Node", quoted(self.of(NODES))),
            (1, "CheckID", quoted(self.of(CHECKS))),
            (2, "Name", quoted("named")),
            (2, "Status", quoted(self.of(STATUSES))),
            (3, "ServiceID", quoted(self.of(IDS))),
        ];
        format!("{{\"Check\":{{\"Verb\":{verb},\"Check\":{}}}}}", self.object(&parts))
    }

    // === prepared queries ===

    fn query_write(&mut self) -> Step {
        let slot = FIRST_QUERY + self.dice_below(QUERIES);
        match self.dice_below(6) {
            0..=2 => {
                let body = self.definition();
                let made = step("POST /v1/query", "/v1/query", &body);
                Step { session: Some(slot), ..made }
            }
            3..=4 => {
                let body = self.definition();
                step("PUT /v1/query/", &format!("/v1/query/{{s{slot}}}"), &body)
            }
            _ => step("DELETE /v1/query/", &format!("/v1/query/{{s{slot}}}"), "").method("DELETE"),
        }
    }

    fn definition(&mut self) -> String {
        let slot = self.slot();
        let tag = format!("[\"{}{}\"]", self.of(&["", "!"]), self.of(TAGS));
        let service = [
            (20, "Service", quoted("")),
            (1, "Service", quoted(self.of(TEXTS))),
            (4, "OnlyPassing", "true".to_owned()),
            (5, "Tags", tag),
            (6, "IgnoreCheckIDs", format!("[\"{}\"]", self.of(CHECKS))),
            (8, "NodeMeta", "{\"rack\":\"r1\"}".to_owned()),
            (8, "Failover", "{\"Datacenters\":[\"dc9\"],\"NearestN\":1}".to_owned()),
            (20, "Failover", "{\"Targets\":[{\"Peer\":\"p\"}]}".to_owned()),
        ];
        let service = self.object(&service);
        let parts = [
            (2, "Name", quoted(self.of(QUERY_NAMES))),
            (6, "Session", format!("\"{{s{slot}}}\"")),
            (3, "Template", "{\"Type\":\"name_prefix_match\",\"Regexp\":\"^(.*)-\"}".to_owned()),
            (40, "Template", "{\"Type\":\"zz\"}".to_owned()),
            (1, "Service", service),
            (6, "DNS", format!("{{\"TTL\":\"{}\"}}", self.of(&["5s", "x", "-1s"]))),
        ];
        self.object(&parts)
    }

    fn query_read(&mut self) -> Step {
        let slot = format!("{{s{}}}", FIRST_QUERY + self.dice_below(QUERIES));
        let query = self.query(&[
            (10, "stale".to_owned()),
            (15, "pretty".to_owned()),
            (30, "dc=dc9".to_owned()),
            (30, "limit=x".to_owned()),
        ]);
        let name = if self.once_in(3) {
            slot
        } else {
            self.of(&["q1", "q2", "geo-web", "GEO-x-y", "geo-", "none"]).to_owned()
        };
        match self.dice_below(6) {
            // Lists are in the order of ids, and ids are random.
            0 => unordered(step("GET /v1/query", &format!("/v1/query{query}"), "")),
            1 => step("GET /v1/query/", &format!("/v1/query/{name}{query}"), ""),
            2 => step("GET /v1/query/…/explain", &format!("/v1/query/{name}/explain{query}"), ""),
            // Instances are shuffled.
            _ => unordered(step(
                "GET /v1/query/…/execute",
                &format!("/v1/query/{name}/execute{query}"),
                "",
            )),
        }
    }

    // === events and coordinates ===

    fn event(&mut self) -> Step {
        let (service, node) = (self.of(&["web", "none", "%28"]), self.of(&["node", "zz", "%5B"]));
        let query = self.query(&[
            (4, format!("service={service}")),
            (6, "tag=v1".to_owned()),
            (6, format!("node={node}")),
            (30, "dc=dc9".to_owned()),
        ]);
        let name = self.of(&["deploy", "a/b", ""]);
        if self.once_in(5) {
            return step("GET /v1/event/list", "/v1/event/list?name=never", "");
        }
        let target = format!("/v1/event/fire/{name}{query}");
        step("PUT /v1/event/fire/", &target, self.of(VALUES))
    }

    fn coordinate(&mut self) -> Step {
        match self.dice_below(3) {
            0 => step("GET /v1/coordinate/datacenters", "/v1/coordinate/datacenters", ""),
            1 => step("GET /v1/coordinate/node/", "/v1/coordinate/node/none", ""),
            _ => {
                let wrong = self.of(&[
                    "{\"Node\":\"n1\",\"Coord\":{\"Vec\":[1]}}",
                    "{\"Node\":7}",
                    "{\"Foo\":1}",
                    "",
                    "{\"Node\":\"none\",\"Coord\":{\"Vec\":[0,0,0,0,0,0,0,0]}}",
                ]);
                step("PUT /v1/coordinate/update", "/v1/coordinate/update", wrong)
            }
        }
    }
}
