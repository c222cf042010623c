//! A real Nomad with two teams: each job's token speaks for the scope of its team, registers there and nowhere else, and no
//! further than its budget goes. What everybody reads stays as it was.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::time::Duration;

use proconsul_conformance::{
    dns,
    json::Json,
    nomad::Nomad,
    subject::{Mode, Setup, Subject},
    wait::until,
};

/// Scheduling, logins and the start of a task, on a busy machine.
const DEPLOYED_MAX: Duration = Duration::from_secs(120);
/// The initial management token: a made-up one, known to this test alone.
const MANAGEMENT: &str = "11111111-aaaa-bbbb-cccc-000000000000";
const SRV: u16 = 33;

/// Two scopes, each for the tokens with its team's role.
const CONFIG: &str = r#"{
  "acl": {
    "enabled": true,
    "default_policy": "deny",
    "tokens": {"initial_management": "MANAGEMENT", "agent": "MANAGEMENT", "dns": "MANAGEMENT"}
  },
  "scope": {
    "dc1/payments": {
      "owner": "Payments",
      "services": ["payments-*"],
      "callers": [{"role": "team-payments"}],
      "budget": {"instances": 2}
    },
    "dc1/web": {
      "owner": "Web",
      "services": ["web"],
      "callers": [{"role": "team-web"}]
    }
  }
}"#;

/// The rules that Nomad's documentation gives to the token of an agent that is server and client.
const AGENT_RULES: &str = r#"agent_prefix "" { policy = "read" }
node_prefix "" { policy = "read" }
service_prefix "" { policy = "write" }
acl  = "write"
mesh = "write""#;

const JOB: &str = r#"
job "JOB" {
  datacenters = ["dc1"]
  group "g" {
    count = COUNT
    network {
      mode = "host"
      port "http" {}
    }
    service {
      name = "SERVICE"
      port = "http"
      check {
        type     = "http"
        path     = "/"
        interval = "2s"
        timeout  = "1s"
      }
    }
    task "t" {
      driver = "raw_exec"
      config {
        command = "python3"
        args    = ["-m", "http.server", "${NOMAD_PORT_http}", "--bind", "${NOMAD_IP_http}"]
      }
      resources {
        cpu    = 50
        memory = 64
      }
    }
  }
}
"#;

struct World {
    subject: Subject,
    nomad: Nomad,
}

#[test]
#[ignore = "needs the real Nomad: CONFORMANCE_NOMAD"]
fn two_teams_register_each_in_its_own_scope() {
    let setup = Setup::new(Mode::Dev).config(&CONFIG.replace("MANAGEMENT", MANAGEMENT));
    let subject = Subject::start(Setup { token: Some(MANAGEMENT.to_owned()), ..setup }).unwrap();
    let token = agent_token(&subject);
    let more = format!(
        r#"  token = "{token}"
  service_identity {{
    aud = ["consul.io"]
    ttl = "1h"
  }}
  task_identity {{
    aud = ["consul.io"]
    ttl = "1h"
  }}
"#
    );
    let nomad = Nomad::start_with(subject.http_address(), &more).unwrap();
    let world = World { subject, nomad };
    world.set_up_with_a_role_for_each_team();
    world.run("payments", "payments-api", 2);
    world.run("web", "web", 1);
    world.each_team_has_its_own();
    world.names_are_answered_as_without_scopes();
    world.the_other_teams_name_is_refused();
    world.more_than_the_budget_is_refused();
}

fn agent_token(subject: &Subject) -> String {
    let rules = AGENT_RULES.replace('"', "\\\"").replace('\n', "\\n");
    let policy = format!(r#"{{"Name": "nomad-agent", "Rules": "{rules}"}}"#);
    let _made = done(subject, "PUT", "/v1/acl/policy", &policy);
    let token = r#"{"Description": "Nomad", "Policies": [{"Name": "nomad-agent"}]}"#;
    let made = done(subject, "PUT", "/v1/acl/token", token);
    Json::parse(&made).unwrap().get("SecretID").unwrap().text().to_owned()
}

/// The body of an answer that has to be a success.
fn done(subject: &Subject, method: &str, target: &str, body: &str) -> String {
    let answer = subject.ask(method, target, body);
    assert_eq!(answer.status, 200, "{method} {target}: {}", answer.text());
    answer.text()
}

impl World {
    fn json(&self, target: &str) -> Json {
        Json::parse(&done(&self.subject, "GET", target, "")).unwrap()
    }

    fn wait(&self, what: &str, fact: impl Fn() -> bool) {
        let waited = until(what, DEPLOYED_MAX, || fact().then_some(()));
        assert!(waited.is_ok(), "{waited:?}\n{}\n{}", self.nomad.log_end(), self.subject.log_end());
    }

    /// `nomad setup consul`, and a role for the jobs of each team.
    fn set_up_with_a_role_for_each_team(&self) {
        let jwks = format!("http://{}/.well-known/jwks.json", self.nomad.address());
        let mut command = self.nomad.command(self.subject.http_address(), MANAGEMENT).unwrap();
        let ended = command.args(["setup", "consul", "-y", "-jwks-url", &jwks]).output().unwrap();
        let told = String::from_utf8_lossy(&ended.stdout);
        assert!(ended.status.success(), "{told}{}", String::from_utf8_lossy(&ended.stderr));
        for team in ["payments", "web"] {
            let role = format!(r#"{{"Name": "team-{team}", "NodeIdentities": []}}"#);
            let role = role.replace(
                r#""NodeIdentities": []"#,
                r#""TemplatedPolicies": [{"TemplateName": "builtin/dns"}]"#,
            );
            let _made = done(&self.subject, "PUT", "/v1/acl/role", &role);
            let rule = format!(
                r#"{{"AuthMethod": "nomad-workloads", "BindType": "role", "BindName": "team-{team}",
                     "Selector": "value.nomad_job_id matches \"^{team}\""}}"#
            );
            let _made = done(&self.subject, "PUT", "/v1/acl/binding-rule", &rule);
        }
    }

    fn run(&self, job: &str, service: &str, count: usize) {
        let hcl = JOB.replace("JOB", job).replace("SERVICE", service);
        self.nomad.run(&hcl.replace("COUNT", &count.to_string()));
    }

    fn passing(&self, service: &str) -> usize {
        self.json(&format!("/v1/health/service/{service}?passing")).items().len()
    }

    fn held(&self, scope: &str) -> String {
        self.json(&format!("/v1/anchor/scope/{scope}")).at("/Usage/Instances").unwrap().to_string()
    }

    fn each_team_has_its_own(&self) {
        self.wait("passing instances of both teams", || {
            self.passing("payments-api") == 2 && self.passing("web") == 1
        });
        assert_eq!([self.held("dc1/payments"), self.held("dc1/web")], ["2", "1"]);
        for (scope, service) in [("dc1/payments", "payments-api"), ("dc1/web", "web")] {
            let answer = self.subject.ask("GET", &format!("/v1/anchor/lineage/{scope}"), "");
            assert_eq!(answer.status, 200, "{}", answer.text());
            let text = answer.text();
            assert!(text.contains("register"), "{scope} has no entry of {service}: {text}");
        }
    }

    /// Nothing that Nomad or an app reads tells of scopes.
    fn names_are_answered_as_without_scopes(&self) {
        let services = self.json("/v1/catalog/services");
        for (service, count) in [("payments-api", 2), ("web", 1)] {
            assert!(services.get(service).is_some(), "{services}");
            let answer = self.subject.ask("GET", &format!("/v1/health/service/{service}"), "");
            let instances = Json::parse(&answer.text()).unwrap();
            for instance in instances.items() {
                let meta = instance.at("/Service/Meta").unwrap().to_string();
                assert_eq!(meta, r#"{"external-source":"nomad"}"#);
                let keys = instance.get("Service").unwrap().members().len();
                assert_eq!(keys, 14, "as many fields as Consul has: {instance}");
            }
            let found =
                dns::ask(self.subject.dns_address(), &format!("{service}.service.consul"), SRV);
            let found = found.unwrap();
            assert_eq!((found.code, found.answers.len()), (0, count), "{found:?}");
        }
        assert_eq!(self.json("/v1/catalog/datacenters").to_string(), r#"["dc1"]"#);
    }

    fn the_other_teams_name_is_refused(&self) {
        self.run("web-intruder", "payments-web", 1);
        let refusal = "Permission denied: scope dc1/payments refuses by rule delegation";
        self.wait("the refusal in Nomad's log", || !self.nomad.log_lines(refusal).is_empty());
        let lines = self.nomad.log_lines(refusal);
        assert!(lines[0].contains("403"), "{}", lines[0]);
        assert!(self.json("/v1/health/service/payments-web").items().is_empty());
        assert_eq!(self.held("dc1/payments"), "2");
    }

    fn more_than_the_budget_is_refused(&self) {
        self.run("payments", "payments-api", 3);
        let refusal = "Permission denied: scope dc1/payments refuses by rule budget/instances";
        self.wait("the refusal in Nomad's log", || !self.nomad.log_lines(refusal).is_empty());
        assert!(self.nomad.log_lines(refusal)[0].contains("403"));
        assert_eq!(self.json("/v1/health/service/payments-api").items().len(), 2);
        assert_eq!(self.held("dc1/payments"), "2");
    }
}
