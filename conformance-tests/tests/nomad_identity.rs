//! A real Nomad whose workloads log in to the subject with identities of their own, under default-deny: set up by the steps
//! of Nomad's documentation.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::time::Duration;

use proconsul_conformance::{
    json::Json,
    nomad::Nomad,
    subject::{Mode, Setup, Subject},
    wait::until,
};

/// Scheduling, logins and the start of a task, on a busy machine.
const DEPLOYED_MAX: Duration = Duration::from_secs(120);
/// The initial management token: a made-up one, known to this test alone.
const MANAGEMENT: &str = "11111111-aaaa-bbbb-cccc-000000000000";

/// The rules that Nomad's documentation gives to the token of an agent that is server and client.
const AGENT_RULES: &str = r#"agent_prefix "" { policy = "read" }
node_prefix "" { policy = "read" }
service_prefix "" { policy = "write" }
acl  = "write"
mesh = "write""#;

const JOB: &str = r#"
job "api" {
  datacenters = ["dc1"]
  group "g" {
    network {
      mode = "host"
      port "http" {}
    }
    service {
      name = "api"
      port = "http"
      check {
        type     = "http"
        path     = "/"
        interval = "2s"
        timeout  = "1s"
      }
    }
    restart {
      attempts = 0
      mode     = "fail"
    }
    reschedule {
      attempts  = 0
      unlimited = false
    }
    task "t" {
      driver = "raw_exec"
      consul {}
      config {
        command = "python3"
        args    = ["-m", "http.server", "${NOMAD_PORT_http}", "--bind", "${NOMAD_IP_http}"]
      }
      template {
        data        = "key={{ key \"cfg/x\" }}"
        destination = "local/out.txt"
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
fn workloads_log_in_with_identities_of_their_own() {
    let subject = Subject::start(Setup::new(Mode::Dev).denying(MANAGEMENT)).unwrap();
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
    world.set_up_as_documented();
    world.put_key();
    world.nomad.run(JOB);
    world.the_service_passes_and_the_template_has_its_key();
    world.each_workload_has_its_own_token();
    world.an_unbound_identity_fails_clearly();
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

    /// `nomad setup consul`: an auth method, binding rules for services and tasks, a policy and a role for tasks.
    fn set_up_as_documented(&self) {
        let jwks = format!("http://{}/.well-known/jwks.json", self.nomad.address());
        let mut command = self.nomad.command(self.subject.http_address(), MANAGEMENT).unwrap();
        let ended = command.args(["setup", "consul", "-y", "-jwks-url", &jwks]).output().unwrap();
        let told = String::from_utf8_lossy(&ended.stdout);
        assert!(ended.status.success(), "{told}{}", String::from_utf8_lossy(&ended.stderr));
        let rules = self.json("/v1/acl/binding-rules");
        assert_eq!(rules.items().len(), 2, "{told}\n{rules}");
    }

    fn put_key(&self) {
        assert_eq!(done(&self.subject, "PUT", "/v1/kv/cfg/x", "hello"), "true");
    }

    fn the_service_passes_and_the_template_has_its_key(&self) {
        self.wait("a passing instance", || {
            self.json("/v1/health/service/api?passing").items().len() == 1
        });
        let allocations = self.nomad.allocations("api");
        let file = self.nomad.local_file(&allocations[0], "t", "out.txt");
        assert_eq!(file.as_deref(), Some("key=hello"));
    }

    fn each_workload_has_its_own_token(&self) {
        let tokens = self.json("/v1/acl/tokens?authmethod=nomad-workloads");
        let identities = |token: &Json| token.at("/ServiceIdentities/0/ServiceName").is_some();
        let of_service = tokens.items().iter().filter(|token| identities(token)).count();
        let of_task = tokens.items().iter().filter(|token| token.at("/Roles/0/Name").is_some());
        assert_eq!((of_service, of_task.count()), (1, 1), "{tokens}");
    }

    /// Without a rule that binds them, identities get no token: the allocation fails and says so.
    fn an_unbound_identity_fails_clearly(&self) {
        for rule in self.json("/v1/acl/binding-rules").items() {
            let id = rule.get("ID").unwrap().text();
            let _gone = done(&self.subject, "DELETE", &format!("/v1/acl/binding-rule/{id}"), "");
        }
        self.nomad.run(&JOB.replace("\"api\"", "\"unbound\""));
        self.wait("the allocation's failure", || {
            let allocations = self.nomad.ask("GET", "/v1/job/unbound/allocations", "");
            allocations
                .items()
                .iter()
                .any(|a| a.get("ClientStatus").is_some_and(|s| s.text() == "failed"))
        });
        let told = self.nomad.log_lines("Permission denied");
        assert!(!told.is_empty(), "{}", self.nomad.log_end());
        assert!(self.json("/v1/health/service/unbound").items().is_empty());
    }
}
