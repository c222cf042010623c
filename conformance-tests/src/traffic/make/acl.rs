//! The stream of a seed under default-deny: the same requests with tokens that may do this or that, and between them those
//! of the access control itself.

use rand::seq::IndexedRandom as _;
use std::collections::VecDeque;

use super::{Traffic, quoted, step, unordered};
use crate::traffic::Step;

/// The token that may do everything: a made-up one, which the subjects are configured with.
pub const MANAGEMENT: &str = "11111111-aaaa-bbbb-cccc-000000000000";

/// Policies by name.
const POLICIES: &[(&str, &str)] = &[
    (
        "reader",
        r#"service_prefix "" { policy = "read" } node_prefix "" { policy = "read" } key_prefix "a" { policy = "read" } session_prefix "" { policy = "read" }"#,
    ),
    (
        "web",
        r#"service "web" { policy = "write" } node_prefix "n" { policy = "read" } key "a" { policy = "write" } key_prefix "a/" { policy = "list" }"#,
    ),
    (
        "node1",
        r#"node "node1" { policy = "write" } agent "node1" { policy = "write" } session "node1" { policy = "write" } service_prefix "w" { policy = "read" }"#,
    ),
    (
        "most",
        r#"key_prefix "" { policy = "write" } key_prefix "b/" { policy = "deny" } service_prefix "" { policy = "write" } service "db" { policy = "deny" } node_prefix "" { policy = "write" } node "n3" { policy = "deny" } session_prefix "" { policy = "write" } agent_prefix "" { policy = "read" }"#,
    ),
    (
        "rest",
        r#"event_prefix "" { policy = "write" } query_prefix "" { policy = "read" } operator = "read" acl = "read" keyring = "read" mesh = "read""#,
    ),
    ("nothing", ""),
];

/// What tokens consist of, after their ids.
const TOKENS: &[&str] = &[
    r#""Policies":[{"Name":"reader"}]"#,
    r#""Policies":[{"Name":"web"}]"#,
    r#""Policies":[{"Name":"node1"},{"Name":"reader"}]"#,
    r#""Policies":[{"Name":"most"}]"#,
    r#""Policies":[{"Name":"rest"}],"Description":"operators""#,
    r#""Policies":[{"Name":"nothing"}]"#,
    r#""ServiceIdentities":[{"ServiceName":"api"}],"NodeIdentities":[{"NodeName":"node1","Datacenter":"dc1"}]"#,
    r#""Roles":[{"Name":"team"}],"Local":true"#,
];

/// What is printed of a clock.
const TIMES: [&str; 4] = ["/CreateTime", "/*/CreateTime", "/ExpirationTime", "/*/ExpirationTime"];

/// The stream of a seed with tokens.
#[derive(Debug)]
pub struct Guarded {
    traffic: Traffic,
    arranged: VecDeque<Step>,
}

impl Guarded {
    /// The stream of that seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { traffic: Traffic::new(seed), arranged: arranged() }
    }
}

impl Iterator for Guarded {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        if let Some(step) = self.arranged.pop_front() {
            return Some(step);
        }
        let step = match self.traffic.once_in(6) {
            true => self.traffic.acl(),
            false => self.traffic.next()?,
        };
        Some(match self.traffic.token() {
            Some(token) => with(step, &token),
            None => step,
        })
    }
}

/// The policies, a role and the tokens that the stream uses.
fn arranged() -> VecDeque<Step> {
    let policy = |(name, rules): &(&str, &str)| {
        let body = format!(r#"{{"Name":"{name}","Rules":"{}"}}"#, rules.replace('"', "\\\""));
        step("PUT /v1/acl/policy", "/v1/acl/policy", &body)
    };
    let role = step(
        "PUT /v1/acl/role",
        "/v1/acl/role",
        r#"{"Name":"team","Policies":[{"Name":"web"}],"ServiceIdentities":[{"ServiceName":"db"}]}"#,
    );
    let token = |(n, what): (usize, &&str)| {
        let body = format!(
            r#"{{"AccessorID":"{}","SecretID":"{}",{what}}}"#,
            accessor(n + 1),
            secret(n + 1)
        );
        step("PUT /v1/acl/token", "/v1/acl/token", &body)
    };
    let steps =
        POLICIES.iter().map(policy).chain([role]).chain(TOKENS.iter().enumerate().map(token));
    steps.map(|step| with(timeless(step), MANAGEMENT)).collect()
}

fn accessor(n: usize) -> String {
    format!("22222222-aaaa-bbbb-cccc-{n:012}")
}

fn secret(n: usize) -> String {
    format!("33333333-aaaa-bbbb-cccc-{n:012}")
}

fn with(mut step: Step, token: &str) -> Step {
    step.request = step.request.header("X-Consul-Token", token);
    step
}

fn timeless(mut step: Step) -> Step {
    step.rules.ignored.extend(TIMES.map(str::to_owned));
    step
}

impl Traffic {
    /// Whose token a request shows: often one that may do much, so that the state does not stand still.
    fn token(&mut self) -> Option<String> {
        match self.dice_below(20) {
            0..=4 => Some(MANAGEMENT.to_owned()),
            5..=8 => Some(secret(4)),
            9..=17 => Some(secret(1 + self.dice_below(TOKENS.len()))),
            18 => Some("44444444-aaaa-bbbb-cccc-000000000000".to_owned()),
            _ => None,
        }
    }

    /// A request of the access control itself.
    fn acl(&mut self) -> Step {
        let n = 1 + self.dice_below(TOKENS.len() + 2);
        let policy = POLICIES.choose(&mut self.dice).expect("there are policies").0;
        let made = match self.dice_below(16) {
            0 => unordered(step("GET /v1/acl/tokens", "/v1/acl/tokens", "")),
            1 => {
                let target = format!("/v1/acl/token/{}", accessor(n));
                step("GET /v1/acl/token/", &target, "")
            }
            2 => step("GET /v1/acl/token/self", "/v1/acl/token/self", ""),
            3 => unordered(step("GET /v1/acl/policies", "/v1/acl/policies", "")),
            4 => {
                let target = format!("/v1/acl/policy/name/{policy}");
                step("GET /v1/acl/policy/name/", &target, "")
            }
            5 => unordered(step("GET /v1/acl/roles", "/v1/acl/roles", "")),
            6 => step("GET /v1/acl/role/name/", "/v1/acl/role/name/team", ""),
            7 => self.authorization(),
            8 => self.token_write(n),
            9 => {
                let target = format!("/v1/acl/token/{}", accessor(9 + self.dice_below(3)));
                step("DELETE /v1/acl/token/", &target, "")
            }
            10 => self.policy_write(policy),
            11 => {
                let target = format!("/v1/acl/token/{}?expanded", accessor(n));
                unordered(step("GET /v1/acl/token/?expanded", &target, ""))
            }
            12 => step("GET /v1/acl/binding-rules", "/v1/acl/binding-rules", ""),
            13 => step("GET /v1/acl/auth-methods", "/v1/acl/auth-methods", ""),
            14 => {
                let name = self.of(&["builtin/service", "builtin/node", "builtin/dns", "none"]);
                let target = format!("/v1/acl/templated-policy/name/{name}");
                step("GET /v1/acl/templated-policy/name/", &target, "")
            }
            _ => {
                let body = self.of(&["{}", "{", r#"{"AuthMethod":"none","BearerToken":"x"}"#]);
                step("POST /v1/acl/login", "/v1/acl/login", body)
            }
        };
        timeless(made)
    }

    fn authorization(&mut self) -> Step {
        let resource = self.of(&["key", "service", "node", "session", "operator", "acl", "zz"]);
        let access = self.of(&["read", "write", "list"]);
        let segment = self.of(&["a", "web", "node1", "b/x", ""]);
        let body =
            format!(r#"[{{"Resource":"{resource}","Access":"{access}","Segment":"{segment}"}}]"#);
        step("POST /v1/internal/acl/authorize", "/v1/internal/acl/authorize", &body)
    }

    fn token_write(&mut self, n: usize) -> Step {
        let what = self.of(TOKENS);
        let parts = [
            (1, "AccessorID", quoted(&accessor(n))),
            (1, "SecretID", quoted(&secret(n))),
            (3, "Description", quoted(self.of(&["one", "two"]))),
            (8, "ExpirationTTL", quoted(self.of(&["1h", "10s", "zz"]))),
            (12, "Policies", r#"[{"Name":"none"}]"#.to_owned()),
        ];
        let object = self.object(&parts);
        let body =
            if self.once_in(3) { object } else { object.replacen('{', &format!("{{{what},"), 1) };
        // Twice the same name is no JSON that two readers need agree on.
        if body.matches("\"Policies\"").count() > 1 || body.matches("\"Description\"").count() > 1 {
            return step("PUT /v1/acl/token (wrong)", "/v1/acl/token", "{\"Foo\":1}");
        }
        step("PUT /v1/acl/token", "/v1/acl/token", &body)
    }

    fn policy_write(&mut self, name: &str) -> Step {
        let rules = self.of(&[
            "key \\\"a\\\" { policy = \\\"read\\\" }",
            "key \\\"a\\\" { policy = \\\"zz\\\" }",
            "operator = \\\"read\\\"",
            "{",
        ]);
        let body = format!(r#"{{"Name":"{name}","Rules":"{rules}"}}"#);
        step("PUT /v1/acl/policy", "/v1/acl/policy", &body)
    }
}
