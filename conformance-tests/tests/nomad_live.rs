//! A real Nomad runs a job whose Consul is the subject; all that a user looks at is looked at.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::{env, time::Duration};

use proconsul_conformance::{
    dns,
    json::Json,
    nomad::Nomad,
    proxy::Proxy,
    subject::{Mode, Setup, Subject},
    wait::until,
};

/// Scheduling, start of the tasks, two check intervals and Nomad's own minimum of healthy time, on a busy machine.
const DEPLOYED_MAX: Duration = Duration::from_secs(120);
/// Templates wait five seconds for more news before they render, and may hear of several.
const RENDERED_MAX: Duration = Duration::from_secs(60);
/// Two of a template's waits: in this time a second rendering would have come.
const RENDERED_QUIET: Duration = Duration::from_secs(12);
const A: u16 = 1;
const SRV: u16 = 33;
const NXDOMAIN: u16 = 3;

const JOB: &str = r#"
job "web" {
  datacenters = ["dc1"]
  group "g" {
    count = 2
    update {
      max_parallel     = 2
      min_healthy_time = "1s"
      healthy_deadline = "100s"
      progress_deadline = "110s"
    }
    network {
      mode = "host"
      port "http" {}
    }
    service {
      name        = "web"
      port        = "http"
      tags        = ["v1", "primary", "a=b,c/d e"]
      canary_tags = ["canary"]
      meta { version = "1" }
      check {
        name     = "http"
        type     = "http"
        path     = "/"
        interval = "2s"
        timeout  = "1s"
      }
      check {
        name     = "script"
        type     = "script"
        task     = "t"
        command  = "/bin/sh"
        args     = ["-c", "exit 0"]
        interval = "3s"
        timeout  = "2s"
      }
    }
    task "t" {
      driver = "raw_exec"
      config {
        command = "python3"
        args    = ["-m", "http.server", "${NOMAD_PORT_http}", "--bind", "${NOMAD_IP_http}"]
      }
      # What Nomad does not change in place: a new version needs a new task.
      env { VERSION = "1" }
      template {
        data = <<EOT
{{ range service "web" }}{{ .Address }}:{{ .Port }} {{ end }}
key={{ keyOrDefault "cfg/x" "none" }}
EOT
        destination   = "local/out.txt"
        change_mode   = "signal"
        change_signal = "SIGCONT"
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
    proxy: Proxy,
    nomad: Nomad,
}

#[test]
#[ignore = "needs the real Nomad: CONFORMANCE_NOMAD"]
fn a_job_from_start_to_stop() {
    let subject = Subject::start(Setup::new(Mode::Dev)).unwrap();
    let proxy = Proxy::start(subject.http_address()).unwrap();
    let nomad = Nomad::start(proxy.address).unwrap();
    let mut world = World { subject, proxy, nomad };
    world.nomads_own_services();
    world.nomad.run(JOB);
    world.deployed();
    world.two_healthy_instances();
    world.answers_over_dns();
    world.template_follows_a_key_once();
    world.a_canary_is_promoted();
    world.idle_without_registrations();
    world.nothing_left_after_stop();
    world.nomad.stop().unwrap();
    world.nomad_took_itself_out();
}

impl World {
    fn json(&self, target: &str) -> Json {
        Json::parse(&self.subject.ask("GET", target, "").text()).unwrap()
    }

    fn wait(&self, what: &str, limit: Duration, fact: impl Fn() -> bool) {
        let waited = until(what, limit, || fact().then_some(()));
        assert!(
            waited.is_ok(),
            "{waited:?}\n{}\n{}\n{}",
            self.json("/v1/agent/checks"),
            self.nomad.log_end(),
            self.subject.log_end()
        );
    }

    fn passing(&self, service: &str) -> usize {
        self.json(&format!("/v1/health/service/{service}?passing")).items().len()
    }

    fn nomads_own_services(&self) {
        self.wait("Nomad's services to pass", DEPLOYED_MAX, || {
            self.passing("nomad") == 3 && self.passing("nomad-client") == 1
        });
        let services = self.json("/v1/catalog/services");
        let mut tags: Vec<&str> =
            services.get("nomad").unwrap().items().iter().map(Json::text).collect();
        tags.sort_unstable();
        assert_eq!(tags, ["http", "rpc", "serf"]);
    }

    fn deployed(&self) {
        self.wait("the deployment's success", DEPLOYED_MAX, || {
            let deployment = self.nomad.ask("GET", "/v1/job/web/deployment", "");
            deployment.get("Status").is_some_and(|status| status.text() == "successful")
        });
    }

    fn two_healthy_instances(&self) {
        self.wait("two passing instances", DEPLOYED_MAX, || self.passing("web") == 2);
        for instance in self.json("/v1/health/service/web?passing").items() {
            let checks = instance.get("Checks").unwrap().items();
            let mut names: Vec<&str> =
                checks.iter().map(|c| c.get("Name").unwrap().text()).collect();
            names.sort_unstable();
            assert_eq!(names, ["Serf Health Status", "http", "script"]);
            let tags: Vec<&str> =
                instance.at("/Service/Tags").unwrap().items().iter().map(Json::text).collect();
            assert_eq!(tags, ["v1", "primary", "a=b,c/d e"]);
            assert_eq!(
                instance.at("/Service/Meta").unwrap().to_string(),
                r#"{"external-source":"nomad","version":"1"}"#
            );
        }
    }

    fn answers_over_dns(&self) {
        let ask = |name: &str, kind| dns::ask(self.subject.dns_address(), name, kind).unwrap();
        let mut ports: Vec<String> = self
            .json("/v1/catalog/service/web")
            .items()
            .iter()
            .map(|i| i.get("ServicePort").unwrap().text().to_owned())
            .collect();
        ports.sort_unstable();
        for name in [
            "web.service.consul",
            "v1.web.service.consul",
            "_web._tcp.service.consul",
            "_web._primary.service.dc1.consul",
        ] {
            let found = ask(name, SRV);
            // Owner, TTL, class, type, priority, weight, port, target.
            let mut answered: Vec<String> = found
                .answers
                .iter()
                .map(|a| a.split_whitespace().nth(6).unwrap().to_owned())
                .collect();
            answered.sort_unstable();
            assert_eq!((found.code, &answered), (0, &ports), "{name} {found:?}");
        }
        let found = ask("web.service.consul", A);
        assert!(found.answers.len() == 1 && found.answers[0].ends_with("127.0.0.1"), "{found:?}");
        assert_eq!(ask("canary.web.service.consul", A).code, NXDOMAIN);
    }

    fn template_follows_a_key_once(&self) {
        let allocations = self.nomad.allocations("web");
        assert_eq!(allocations.len(), 2);
        let file = |id: &String| self.nomad.local_file(id, "t", "out.txt").unwrap_or_default();
        self.wait("both instances in both templates", RENDERED_MAX, || {
            allocations.iter().all(|id| {
                file(id).matches("127.0.0.1:").count() == 2 && file(id).contains("key=none")
            })
        });
        self.quiet(&allocations);
        let signals = |id: &String| self.nomad.events(id, "t", "Signaling");
        let before: Vec<usize> = allocations.iter().map(signals).collect();
        assert_eq!(self.subject.ask("PUT", "/v1/kv/cfg/x", "hello").text(), "true");
        self.wait("the key in both templates", RENDERED_MAX, || {
            allocations.iter().all(|id| file(id).contains("key=hello"))
        });
        self.wait("the signals", RENDERED_MAX, || {
            allocations.iter().zip(&before).all(|(id, n)| signals(id) > *n)
        });
        self.quiet(&allocations);
        let after: Vec<usize> = allocations.iter().map(signals).collect();
        assert!(
            after.iter().zip(&before).all(|(now, then)| now - then == 1),
            "renderings: {before:?} then {after:?}"
        );
    }

    /// Waits until no template has rendered for a while.
    fn quiet(&self, allocations: &[String]) {
        let signals =
            || allocations.iter().map(|id| self.nomad.events(id, "t", "Signaling")).sum::<usize>();
        let mut last = signals();
        loop {
            let moved =
                until("another rendering", RENDERED_QUIET, || (signals() != last).then_some(()));
            if moved.is_err() {
                return;
            }
            last = signals();
        }
    }

    /// A new version of which one instance is tried first, under its own tags.
    fn a_canary_is_promoted(&self) {
        let next = JOB
            .replace("version = \"1\"", "version = \"2\"")
            .replace("VERSION = \"1\"", "VERSION = \"2\"")
            .replace("max_parallel     = 2", "max_parallel = 2\n canary = 1");
        self.nomad.run(&next);
        self.wait("the canary", DEPLOYED_MAX, || {
            self.json("/v1/health/service/web?passing&tag=canary").items().len() == 1
        });
        let canary = self.json("/v1/health/service/web?tag=canary");
        assert_eq!(canary.at("/0/Service/Tags").unwrap().to_string(), r#"["canary"]"#);
        assert_eq!(
            dns::ask(self.subject.dns_address(), "canary.web.service.consul", SRV)
                .unwrap()
                .answers
                .len(),
            1
        );
        assert_eq!(self.json("/v1/health/service/web?passing&tag=v1").items().len(), 2);
        self.wait("a canary that Nomad calls healthy", DEPLOYED_MAX, || {
            let deployment = self.nomad.ask("GET", "/v1/job/web/deployment", "");
            deployment.at("/TaskGroups/g/HealthyAllocs").is_some_and(|n| n.text() == "1")
        });
        let deployment = self.nomad.ask("GET", "/v1/job/web/deployment", "");
        let id = deployment.get("ID").unwrap().text();
        let body = format!("{{\"DeploymentID\":\"{id}\",\"All\":true}}");
        let _evaluation = self.nomad.ask("PUT", &format!("/v1/deployment/promote/{id}"), &body);
        self.deployed();
        self.wait("two instances of the second version", DEPLOYED_MAX, || {
            let found = self.json("/v1/health/service/web?passing&filter=Service.Meta.version==2");
            found.items().len() == 2 && self.json("/v1/health/service/web").items().len() == 2
        });
        assert!(self.json("/v1/health/service/web?tag=canary").items().is_empty());
    }

    fn idle_without_registrations(&self) {
        let minutes: u64 =
            env::var("CONFORMANCE_IDLE_MINUTES").map_or(1, |text| text.parse().unwrap());
        let own = |service: &str| self.json(&format!("/v1/catalog/service/{service}")).to_string();
        let before = ["web", "nomad", "nomad-client"].map(own);
        let mark = self.proxy.mark();
        let registered = || self.proxy.since(mark, "PUT /v1/agent/service/").into_iter().next();
        let found = until("a registration", Duration::from_secs(60 * minutes), registered);
        assert!(found.is_err(), "Nomad registers again and again: {found:?}");
        assert_eq!(before, ["web", "nomad", "nomad-client"].map(own));
        if minutes > 0 {
            // It was alive: it synced, and its script checks ran.
            assert!(self.proxy.since(mark, "GET /v1/agent/services").len() >= 2);
            assert!(!self.proxy.since(mark, "PUT /v1/agent/check/update/").is_empty());
        }
    }

    fn nothing_left_after_stop(&self) {
        let _evaluation = self.nomad.ask("DELETE", "/v1/job/web", "");
        self.wait("the service to go", DEPLOYED_MAX, || {
            self.json("/v1/health/service/web").items().is_empty()
        });
        assert!(self.json("/v1/catalog/services").get("web").is_none());
        assert!(self.json("/v1/health/checks/web").items().is_empty());
        let checks = self.json("/v1/agent/checks");
        assert!(
            checks
                .members()
                .iter()
                .all(|(_, check)| check.get("ServiceName").unwrap().text() != "web")
        );
        assert_eq!(
            dns::ask(self.subject.dns_address(), "web.service.consul", SRV).unwrap().code,
            NXDOMAIN
        );
        self.wait("the tasks' end", DEPLOYED_MAX, || {
            let allocations = self.nomad.ask("GET", "/v1/job/web/allocations", "");
            allocations
                .items()
                .iter()
                .all(|a| a.get("ClientStatus").is_some_and(|s| s.text() == "complete"))
        });
    }

    fn nomad_took_itself_out(&self) {
        assert_eq!(self.json("/v1/agent/services").to_string(), "{}");
        let services = self.json("/v1/catalog/services");
        let names: Vec<&str> = services.members().iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["consul"]);
    }
}
