//! What a seed asks of the agent's pages.

use rand::Rng as _;
use rand::seq::IndexedRandom as _;

use super::{
    AGENT_FILTERS, CHECK_FILTERS, IDS, SERVICES, STATUSES, Step, Traffic, quoted, step, unordered,
};

/// The agent's checks keep to one service each, and ids of its services to one spelling: when they wander, the real
/// program's answer hangs on the order of a map.
const AGENT_CHECKS: &[&str] = &[
    "c1",
    "c2",
    "web1-c1",
    "web1-c2",
    "web2-c1",
    "api1-c1",
    "db1-c1",
    "service:web1",
    "service:api",
];
const AGENT_SERVICES: &[(&str, &str)] =
    &[("web1", "web"), ("web2", "web"), ("api1", "api"), ("db1", "db"), ("", "api")];

impl Traffic {
    pub(super) fn agent_write(&mut self) -> Step {
        let (id, check) = (self.of(IDS), self.of(AGENT_CHECKS));
        match self.dice.random_range(0..12) {
            0..=3 => {
                let replace = self.query(&[(4, "replace-existing-checks=true".to_owned())]);
                let body = self.agent_service();
                let target = format!("/v1/agent/service/register{replace}");
                step("PUT /v1/agent/service/register", &target, &body)
            }
            4 => step(
                "PUT /v1/agent/service/deregister/",
                &format!("/v1/agent/service/deregister/{id}"),
                "",
            ),
            5..=6 => {
                let body = self.agent_check();
                step("PUT /v1/agent/check/register", "/v1/agent/check/register", &body)
            }
            7 => step(
                "PUT /v1/agent/check/deregister/",
                &format!("/v1/agent/check/deregister/{check}"),
                "",
            ),
            8..=10 => self.agent_status(check),
            _ => {
                let enable = format!("enable={}", self.dice.random_bool(0.5));
                let on = self.query(&[(1, enable), (2, "reason=r".to_owned())]);
                let target = format!("/v1/agent/service/maintenance/{id}{on}");
                step("PUT /v1/agent/service/maintenance/", &target, "")
            }
        }
    }

    fn agent_status(&mut self, check: &str) -> Step {
        if self.once_in(3) {
            let status = self.of(STATUSES);
            self.told(check, status);
            let body = self.object(&[(1, "Status", quoted(status)), (2, "Output", quoted("out"))]);
            return step(
                "PUT /v1/agent/check/update/",
                &format!("/v1/agent/check/update/{check}"),
                &body,
            );
        }
        let at = self.dice.random_range(0..STATUSES.len());
        let verb = ["pass", "warn", "fail"][at];
        self.told(check, STATUSES[at]);
        let note = self.query(&[(2, "note=noted".to_owned())]);
        step(
            &format!("PUT /v1/agent/check/{verb}/"),
            &format!("/v1/agent/check/{verb}/{check}{note}"),
            "",
        )
    }

    fn agent_service(&mut self) -> String {
        let &(id, name) = AGENT_SERVICES.choose(&mut self.dice).expect("there are some");
        let name = if self.once_in(20) { "other" } else { name };
        let (one, list) = (self.once_in(3), self.once_in(5));
        // Unnamed checks are numbered when there are several; the single one comes first.
        let first = if list { ":1" } else { "" };
        let check = self.embedded_check(id, "c1", first);
        let places = if one { [":2", ":3"] } else { [":1", ":2"] };
        let second = self.embedded_check(id, "c2", places[0]);
        let third = self.embedded_check(id, "c3", places[1]);
        let given = |there: bool| if there { 1 } else { u32::MAX };
        let parts = [
            (1, "Name", quoted(name)),
            (1, "ID", quoted(id)),
            (2, "Tags", self.tags()),
            (2, "Port", self.of(&["80", "8080", "0"]).to_owned()),
            (3, "Address", quoted(self.of(&["10.9.0.1", "", "host.example", "2001:db8::1"]))),
            (
                3,
                "Meta",
                self.of(&["{\"k\":\"v\"}", "{}", "null", "{\"k\":\"w\",\"a\":\"b\"}"]).to_owned(),
            ),
            (
                6,
                "Weights",
                self.of(&["{\"Passing\":3,\"Warning\":1}", "{\"Passing\":0}"]).to_owned(),
            ),
            (6, "EnableTagOverride", "true".to_owned()),
            (
                8,
                "TaggedAddresses",
                "{\"wan\":{\"Address\":\"198.51.100.1\",\"Port\":9}}".to_owned(),
            ),
            (given(one), "Check", check),
            (given(list), "Checks", format!("[{second},{third}]")),
        ];
        self.object(&parts)
    }

    /// The status for a registration: the one that the check has by now if it is there. With another, the real program may
    /// or may not write it for a moment.
    fn status(&mut self, check: &str) -> &'static str {
        let status = self.of(STATUSES);
        self.statuses.entry(check.to_owned()).or_insert(status)
    }

    /// Remembers what a TTL check was told.
    fn told(&mut self, check: &str, status: &'static str) {
        if !check.ends_with("-c2") && !check.ends_with("-c3") {
            self.statuses.insert(check.to_owned(), status);
        }
    }

    /// A check inside a service, at a place of its list if there is one; often without an id of its own.
    fn embedded_check(&mut self, service: &str, check: &str, place: &str) -> String {
        let own = format!("{service}-{check}");
        let named = !service.is_empty() && self.once_in(2);
        let default =
            format!("service:{}{place}", if service.is_empty() { "api" } else { service });
        let status = self.status(if named { &own } else { &default });
        let parts = [
            (if named { 1 } else { u32::MAX }, "CheckID", quoted(&own)),
            (1, "Status", quoted(status)),
            (5, "Notes", quoted("a note")),
            (3, "Name", quoted("named")),
        ];
        self.with_kind(check, &parts)
    }

    fn agent_check(&mut self) -> String {
        let check = self.of(AGENT_CHECKS);
        let service = check.split_once('-').map_or("", |(service, _)| service);
        let of_service = if service.is_empty() { u32::MAX } else { 1 };
        let parts = [
            (1, "ID", quoted(check)),
            (1, "Name", quoted("alone")),
            (of_service, "ServiceID", quoted(service)),
            (1, "Status", quoted(self.status(check))),
            (5, "Notes", quoted("a note")),
        ];
        self.with_kind(check, &parts)
    }

    /// The kind hangs on the id, because a check that changes its kind is synced or not by chance.
    fn with_kind(&mut self, check: &str, parts: &[(u32, &str, String)]) -> String {
        let kind = match check.rsplit('-').next() {
            _ if self.once_in(20) => "\"Interval\":\"1h\"",
            Some("c2") => "\"TCP\":\"127.0.0.1:1\",\"Interval\":\"9000h\"",
            Some("c3") => {
                "\"HTTP\":\"http://127.0.0.1:1/\",\"Interval\":\"9000h\",\"Timeout\":\"2s\""
            }
            _ => "\"TTL\":\"1h\"",
        };
        let object = self.object(parts);
        let comma = if object.len() > 2 { "," } else { "" };
        format!("{{{kind}{comma}{}", &object[1..])
    }

    pub(super) fn agent_read(&mut self) -> Step {
        let filter = format!("filter={}", self.of(AGENT_FILTERS));
        let query = self.query(&[(4, filter), (10, "pretty".to_owned()), (40, "ns=x".to_owned())]);
        let format = self.query(&[(3, "format=text".to_owned())]);
        let (id, name) = (self.of(IDS), self.of(SERVICES));
        match self.dice.random_range(0..6) {
            0 => step("GET /v1/agent/services", &format!("/v1/agent/services{query}"), ""),
            1 => {
                let filter = format!("filter={}", self.of(CHECK_FILTERS));
                let query = self.query(&[(4, filter), (10, "pretty".to_owned())]);
                step("GET /v1/agent/checks", &format!("/v1/agent/checks{query}"), "")
            }
            2..=3 => step("GET /v1/agent/service/", &format!("/v1/agent/service/{id}"), ""),
            // The order of checks there is that of a map: random.
            4 => unordered(step(
                "GET /v1/agent/health/service/id/",
                &format!("/v1/agent/health/service/id/{id}{format}"),
                "",
            )),
            _ => unordered(step(
                "GET /v1/agent/health/service/name/",
                &format!("/v1/agent/health/service/name/{name}{format}"),
                "",
            )),
        }
    }
}
