//! What a seed asks of the mesh: configuration entries, intentions, discovery chains.

use super::{Traffic, step};
use crate::traffic::Step;

/// Services of which entries speak; one of them is in the catalog now and then.
const MESHED: &[&str] = &["web", "m1", "m2", "m3"];

/// Entries after their kind and name.
const ENTRIES: &[(&str, &str)] = &[
    ("service-defaults", r#""Protocol":"http""#),
    ("service-defaults", r#""Protocol":"http","Meta":{"k":"v"},"mesh_gateway":{"mode":"local"}"#),
    ("service-defaults", r#""Protocol":"GRPC""#),
    ("service-defaults", r#""Protocol":"udp""#),
    ("service-defaults", r#""UpstreamConfig":{"Defaults":{"connect_timeout_ms":"5"}}"#),
    ("service-defaults", r#""Destination":{"Addresses":["a.example"],"Port":443}"#),
    ("service-resolver", r#""ConnectTimeout":"5s""#),
    ("service-resolver", r#""ConnectTimeout":"zz""#),
    ("service-resolver", r#""DefaultSubset":"v1","Subsets":{"v1":{"Filter":"Service.Meta.v==1"}}"#),
    ("service-resolver", r#""Redirect":{"Service":"api"}"#),
    ("service-resolver", r#""Failover":{"*":{"Datacenters":["dc2","dc3"]}}"#),
    ("service-resolver", r#""LoadBalancer":{"Policy":"maglev","hash_policies":{"SourceIP":true}}"#),
    ("service-splitter", r#""Splits":[{"Weight":100,"Service":"api"}]"#),
    ("service-splitter", r#""Splits":[{"Weight":33.333},{"Weight":"66.67","Service":"db"}]"#),
    ("service-splitter", r#""Splits":[{"Weight":50}]"#),
    (
        "service-router",
        r#""Routes":[{"Match":{"HTTP":{"PathPrefix":"/a"}},"Destination":{"Service":"api"}}]"#,
    ),
    ("service-router", r#""Routes":[]"#),
    (
        "service-intentions",
        r#""Sources":[{"Name":"a","Action":"allow"},{"Name":"*","Action":"deny"}]"#,
    ),
    ("service-intentions", r#""Sources":[{"Name":"a"}]"#),
    (
        "service-intentions",
        r#""Sources":[{"Name":"a","Permissions":[{"Action":"allow","HTTP":{"PathExact":"/x"}}]}]"#,
    ),
    ("file-system-certificate", r#""Certificate":"/c","PrivateKey":"/k""#),
    ("jwt-provider", r#""JSONWebKeySet":{"Local":{"Filename":"/f"}}"#),
    ("foo", r#""A":1"#),
    ("service-defaults", r#""Foo":1"#),
];

/// Whole entries of which there is one, or that stand for themselves.
const WHOLE: &[&str] = &[
    r#"{"Kind":"mesh","TransparentProxy":{"MeshDestinationsOnly":true}}"#,
    r#"{"Kind":"mesh","Meta":{"a":"b"}}"#,
    r#"{"Kind":"exported-services","Name":"default","Services":[{"Name":"m9","Consumers":[{"Peer":"p"}]}]}"#,
    r#"{"Kind":"proxy-defaults","Name":"global","Config":{"a":[1],"b":1.5}}"#,
    r#"{"Kind":"proxy-defaults","Name":"other"}"#,
    r#"{"Kind":"sameness-group","Name":"g"}"#,
    "{}",
    "[]",
    "",
];

const KINDS: &[&str] = &[
    "service-defaults",
    "service-resolver",
    "service-splitter",
    "service-router",
    "service-intentions",
    "mesh",
    "proxy-defaults",
    "exported-services",
    "jwt-provider",
    "foo",
];

const INTENTIONS: &str = "/v1/connect/intentions";

/// What is printed of clocks and of the cluster's own name.
const OWN: [&str; 4] =
    ["/Chain/Targets/*/SNI", "/Chain/Targets/*/Name", "/*/CreatedAt", "/*/UpdatedAt"];

impl Traffic {
    /// The first is a writing: before it the real program shows an index of its own beginnings.
    pub(super) fn mesh(&mut self) -> Step {
        if !std::mem::replace(&mut self.meshed, true) {
            return step("PUT /v1/config", "/v1/config", r#"{"Kind":"mesh"}"#);
        }
        let mut made = match self.dice_below(16) {
            0..=3 => self.entry_write(),
            4..=5 => self.entry_delete(),
            6..=7 => self.entry_read(),
            8..=9 => self.intention_write(),
            10..=12 => self.intention_read(),
            13..=14 => self.chain(),
            _ => self.exports(),
        };
        made.rules.ignored.extend(OWN.map(str::to_owned));
        made
    }

    fn entry_write(&mut self) -> Step {
        let cas = self.query(&[(12, "cas=0".to_owned()), (40, "cas=x".to_owned())]);
        let target = format!("/v1/config{cas}");
        let body = if self.once_in(5) {
            self.of(WHOLE).to_owned()
        } else {
            let (kind, rest) = ENTRIES[self.dice_below(ENTRIES.len())];
            format!(r#"{{"Kind":"{kind}","Name":"{}",{rest}}}"#, self.of(MESHED))
        };
        step("PUT /v1/config", &target, &body)
    }

    fn entry_delete(&mut self) -> Step {
        let cas = self.query(&[(10, "cas=0".to_owned())]);
        let (kind, name) = (self.of(KINDS), self.of(MESHED));
        step("DELETE /v1/config/", &format!("/v1/config/{kind}/{name}{cas}"), "")
    }

    fn entry_read(&mut self) -> Step {
        let kind = self.of(KINDS);
        let name = self.of(&["/web", "/m1", "/m2", "/mesh", "/global", "/nope", "", "", ""]);
        let query = self.query(&[(6, "stale".to_owned()), (40, "dc=dc9".to_owned())]);
        step("GET /v1/config/", &format!("/v1/config/{kind}{name}{query}"), "")
    }

    fn intention_write(&mut self) -> Step {
        let source = self.of(&["a", "b", "*", "web", "q/a", "a*"]);
        let target = format!("{INTENTIONS}/exact?source={source}&destination={}", self.of(MESHED));
        if self.once_in(3) {
            return step("DELETE /v1/connect/intentions/exact", &target, "");
        }
        // Each writing says something new: what says the same moves an index of the real program alone.
        let said = self.dice_below(1_000_000);
        let body = self.of(&[
            r#"{"Action":"allow""#,
            r#"{"Action":"deny""#,
            r#"{"Action":"zz""#,
            r#"{"Foo":1"#,
            r#"{"Action":"allow","Meta":{"a":"b"}"#,
        ]);
        let body = format!(r#"{body},"Description":"{said}"}}"#);
        step("PUT /v1/connect/intentions/exact", &target, &body)
    }

    fn intention_read(&mut self) -> Step {
        let (source, destination) = (self.of(&["a", "b", "*", "web"]), self.of(MESHED));
        let ends = format!("source={source}&destination={destination}");
        match self.dice_below(5) {
            0 => step("GET /v1/connect/intentions", INTENTIONS, ""),
            1 => step("GET …/exact", &format!("{INTENTIONS}/exact?{ends}"), ""),
            2 => step("GET …/check", &format!("{INTENTIONS}/check?{ends}"), ""),
            3 => step("GET …/match", &format!("{INTENTIONS}/match?by=source&name={source}"), ""),
            _ => {
                let target = format!("{INTENTIONS}/match?by=destination&name={destination}");
                step("GET …/match", &target, "")
            }
        }
    }

    fn chain(&mut self) -> Step {
        let target = format!("/v1/discovery-chain/{}", self.of(MESHED));
        if self.once_in(3) {
            let body = self.of(&[
                r#"{"OverrideProtocol":"grpc"}"#,
                r#"{"override_connect_timeout":"22s"}"#,
                r#"{"OverrideMeshGateway":{"Mode":"local"}}"#,
                r#"{"OverrideMeshGateway":{"Mode":"zz"}}"#,
                "",
            ]);
            return step("POST /v1/discovery-chain/", &target, body);
        }
        let query = self.query(&[(6, "compile-dc=dc9".to_owned()), (6, "stale".to_owned())]);
        step("GET /v1/discovery-chain/", &format!("{target}{query}"), "")
    }

    fn exports(&mut self) -> Step {
        let target = self.of(&["/v1/exported-services", "/v1/imported-services"]);
        step(&format!("GET {target}"), target, "")
    }
}
