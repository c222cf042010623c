//! A real Nomad runs a job whose template runs a script on every change of a service: the script runs for what the template
//! shows and for nothing else. And a deferred registration fails nobody for good: it is held, with the reason, and comes alive.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use proconsul_conformance::json::Json;
use proconsul_conformance::nomad::Nomad;
use proconsul_conformance::subject::{Mode, Setup, Subject, new_folder};
use proconsul_conformance::wait::until;

/// Scheduling and the start of a task, on a busy machine.
const DEPLOYED_MAX: Duration = Duration::from_secs(120);
/// Templates wait five seconds for more news before they render.
const RENDERED_MAX: Duration = Duration::from_secs(60);
/// Two of a template's waits: in this time a second rendering would have come.
const RENDERED_QUIET: Duration = Duration::from_secs(12);
/// Registrations of other services.
const OTHERS: usize = 1_000;

const CONSUMER: &str = r#"
job "consumer" {
  datacenters = ["dc1"]
  group "g" {
    task "t" {
      driver = "raw_exec"
      config {
        command = "/bin/sleep"
        args    = ["3600"]
      }
      template {
        data          = "{{ range service \"pay-api|any\" }}{{ .Name }} {{ .Address }}:{{ .Port }} {{ range .Checks }}{{ .Status }} {{ .Output }}{{ end }}\n{{ end }}"
        destination   = "local/out.txt"
        change_mode   = "script"
        change_script {
          command = "/bin/sh"
          args    = ["-c", "echo run >> ${NOMAD_TASK_DIR}/runs.txt"]
        }
      }
      resources {
        cpu    = 50
        memory = 32
      }
    }
  }
}
"#;

const HELD: &str = r#"
job "held" {
  datacenters = ["dc1"]
  group "g" {
    update {
      min_healthy_time  = "1s"
      healthy_deadline  = "100s"
      progress_deadline = "110s"
    }
    network {
      mode = "host"
      port "http" {}
    }
    service {
      name = "pay-late"
      port = "http"
      check {
        type     = "http"
        path     = "/"
        interval = "1s"
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

/// Lets everything through but the registration of this name, which is deferred.
fn policy(held: &str, words: &str) -> String {
    format!(
        "package pay\n# {words}\ndecision contains {{\"outcome\": \"defer\", \"rule\": \"approval\"}} if {{\n\tinput.action == \"service:register\"\n\tinput.target.name == \"{held}\"\n}}\n"
    )
}

struct World {
    subject: Subject,
    nomad: Nomad,
    /// The file of the policy that decides for `dc1/pay`.
    file: PathBuf,
}

#[test]
#[ignore = "needs the real Nomad: CONFORMANCE_NOMAD"]
fn a_script_runs_for_what_its_template_shows() {
    let mut world = World::start(Mode::Disk, &policy("nothing", "first"));
    world.nomad.run(CONSUMER);
    let [consumer] = world.running("consumer").try_into().unwrap();
    let runs = |world: &World| {
        let runs = world.nomad.local_file(&consumer, "t", "runs.txt").unwrap_or_default();
        runs.lines().count()
    };
    let before = runs(&world);
    world.register("pay-api", "up", 80);
    world.wait("the script", RENDERED_MAX, |world| runs(world) > before);
    world.stays(before + 1, &runs);
    // Everything else is no business of the template's.
    for number in 0..OTHERS {
        world.register(&format!("other-{number}"), "up", 80);
    }
    let checkpoint = world.subject.ask("GET", "/v1/anchor/lineage/dc1/checkpoint", "");
    assert_eq!(checkpoint.status, 200);
    world.decide_by(&policy("nobody", "second"));
    world.stays(before + 1, &runs);
    world.subject.kill().unwrap();
    world.subject.again().unwrap();
    world.stays(before + 1, &runs);
    world.register("pay-api", "down", 80);
    world.wait("the script again", RENDERED_MAX, |world| runs(world) > before + 1);
    world.stays(before + 2, &runs);
    world.nomad.stop().unwrap();
}

#[test]
#[ignore = "needs the real Nomad: CONFORMANCE_NOMAD"]
fn a_held_instance_comes_alive_when_the_reason_is_gone() {
    let mut world = World::start(Mode::Dev, &policy("pay-late", "held"));
    world.nomad.run(HELD);
    let told = "deferred: scope dc1/pay, rule approval";
    world.wait("the held registration", DEPLOYED_MAX, |world| {
        world.json("/v1/agent/checks").to_string().contains(told)
    });
    assert!(world.json("/v1/health/service/pay-late?passing").items().is_empty());
    let services = world.json("/v1/agent/services").to_string();
    assert!(services.contains("pay-late") && !services.contains("approval"));
    let healthy = |world: &World| {
        let deployment = world.nomad.ask("GET", "/v1/job/held/deployment", "");
        deployment.at("/TaskGroups/g/HealthyAllocs").is_some_and(|n| n.text() == "1")
    };
    assert!(!healthy(&world));
    world.decide_by(&policy("nothing", "released"));
    world.wait("the released instance", DEPLOYED_MAX, |world| {
        world.json("/v1/health/service/pay-late?passing").items().len() == 1
    });
    world.wait("an allocation that Nomad calls healthy", DEPLOYED_MAX, healthy);
    world.nomad.stop().unwrap();
}

impl World {
    fn start(mode: Mode, rego: &str) -> Self {
        let file = new_folder().join("pay.rego");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, rego).unwrap();
        let configuration = format!(
            "{{\"scope\": {{\"dc1/pay\": {{\"services\": [\"pay-*\"], \"policy\": \"pay\"}}}}, \"policy\": {{\"pay\": {{\"file\": {file:?}}}}}}}"
        );
        let subject = Subject::start(Setup::new(mode).config(&configuration)).unwrap();
        let nomad = Nomad::start(subject.http_address()).unwrap();
        Self { subject, nomad, file }
    }

    /// Another policy, from its file.
    fn decide_by(&self, rego: &str) {
        let version = |world: &Self| {
            world.json("/v1/anchor/policy/pay").get("Version").unwrap().text().to_owned()
        };
        let before = version(self);
        fs::write(&self.file, rego).unwrap();
        self.subject.signal("HUP").unwrap();
        self.wait("the policy", RENDERED_MAX, |world| version(world) != before);
    }

    fn json(&self, target: &str) -> Json {
        Json::parse(&self.subject.ask("GET", target, "").text()).unwrap()
    }

    fn put(&self, target: &str, body: &str) {
        let answer = self.subject.ask("PUT", target, body);
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
    }

    fn register(&self, name: &str, output: &str, port: u16) {
        let body = format!(
            "{{\"Node\":\"n-{name}\",\"Address\":\"10.0.0.1\",\"Service\":{{\"Service\":\"{name}\",\"Port\":{port}}},\"Check\":{{\"CheckID\":\"c-{name}\",\"Name\":\"c\",\"ServiceID\":\"{name}\",\"Status\":\"passing\",\"Output\":\"{output}\"}}}}"
        );
        self.put("/v1/catalog/register", &body);
    }

    fn wait(&self, what: &str, limit: Duration, fact: impl Fn(&Self) -> bool) {
        let waited = until(what, limit, || fact(self).then_some(()));
        assert!(waited.is_ok(), "{waited:?}\n{}\n{}", self.nomad.log_end(), self.subject.log_end());
    }

    /// The allocations of a job once they run.
    fn running(&self, job: &str) -> Vec<String> {
        self.wait("running allocations", DEPLOYED_MAX, |world| {
            let allocations = world.nomad.ask("GET", &format!("/v1/job/{job}/allocations"), "");
            let runs = |of: &Json| of.get("ClientStatus").is_some_and(|it| it.text() == "running");
            !allocations.items().is_empty() && allocations.items().iter().all(runs)
        });
        self.nomad.allocations(job)
    }

    /// The script has run so often, and does not run again.
    fn stays(&self, expected: usize, runs: &impl Fn(&Self) -> usize) {
        let more = until("another run", RENDERED_QUIET, || (runs(self) != expected).then_some(()));
        assert!(more.is_err(), "the script ran {} times, not {expected}", runs(self));
    }
}
