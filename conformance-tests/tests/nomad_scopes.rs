//! A real Nomad with two teams: each job's token speaks for the scope of its team, registers there and nowhere else, and no
//! further than its budget goes. What everybody reads stays as it was.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use proconsul_conformance::{
    dns,
    json::Json,
    nomad::identities::{MANAGEMENT, World},
    subject::{Mode, Setup},
};

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

#[test]
#[ignore = "needs the real Nomad: CONFORMANCE_NOMAD"]
fn two_teams_register_each_in_its_own_scope() {
    let setup = Setup::new(Mode::Dev).config(&CONFIG.replace("MANAGEMENT", MANAGEMENT));
    let world = World::start(Setup { token: Some(MANAGEMENT.to_owned()), ..setup }).unwrap();
    set_up_with_a_role_for_each_team(&world);
    run(&world, "payments", "payments-api", 2);
    run(&world, "web", "web", 1);
    each_team_has_its_own(&world);
    names_are_answered_as_without_scopes(&world);
    the_other_teams_name_is_refused(&world);
    more_than_the_budget_is_refused(&world);
}

/// `nomad setup consul`, and a role for the jobs of each team.
fn set_up_with_a_role_for_each_team(world: &World) {
    let _told = world.set_up().unwrap();
    for team in ["payments", "web"] {
        let role = format!(
            r#"{{"Name": "team-{team}", "TemplatedPolicies": [{{"TemplateName": "builtin/dns"}}]}}"#
        );
        let _made = world.done("PUT", "/v1/acl/role", &role);
        let rule = format!(
            r#"{{"AuthMethod": "nomad-workloads", "BindType": "role", "BindName": "team-{team}",
                 "Selector": "value.nomad_job_id matches \"^{team}\""}}"#
        );
        let _made = world.done("PUT", "/v1/acl/binding-rule", &rule);
    }
}

fn run(world: &World, job: &str, service: &str, count: usize) {
    let hcl = JOB.replace("JOB", job).replace("SERVICE", service);
    world.nomad.run(&hcl.replace("COUNT", &count.to_string()));
}

fn passing(world: &World, service: &str) -> usize {
    world.json(&format!("/v1/health/service/{service}?passing")).items().len()
}

fn held(world: &World, scope: &str) -> String {
    world.json(&format!("/v1/anchor/scope/{scope}")).at("/Usage/Instances").unwrap().to_string()
}

fn each_team_has_its_own(world: &World) {
    world.wait("passing instances of both teams", || {
        passing(world, "payments-api") == 2 && passing(world, "web") == 1
    });
    assert_eq!([held(world, "dc1/payments"), held(world, "dc1/web")], ["2", "1"]);
    for (scope, service) in [("dc1/payments", "payments-api"), ("dc1/web", "web")] {
        let answer = world.subject.ask("GET", &format!("/v1/anchor/lineage/{scope}"), "");
        assert_eq!(answer.status, 200, "{}", answer.text());
        let text = answer.text();
        assert!(text.contains("register"), "{scope} has no entry of {service}: {text}");
    }
}

/// Nothing that Nomad or an app reads tells of scopes.
fn names_are_answered_as_without_scopes(world: &World) {
    let services = world.json("/v1/catalog/services");
    for (service, count) in [("payments-api", 2), ("web", 1)] {
        assert!(services.get(service).is_some(), "{services}");
        let answer = world.subject.ask("GET", &format!("/v1/health/service/{service}"), "");
        let instances = Json::parse(&answer.text()).unwrap();
        for instance in instances.items() {
            let meta = instance.at("/Service/Meta").unwrap().to_string();
            assert_eq!(meta, r#"{"external-source":"nomad"}"#);
            let keys = instance.get("Service").unwrap().members().len();
            assert_eq!(keys, 14, "as many fields as Consul has: {instance}");
        }
        let found =
            dns::ask(world.subject.dns_address(), &format!("{service}.service.consul"), SRV);
        let found = found.unwrap();
        assert_eq!((found.code, found.answers.len()), (0, count), "{found:?}");
    }
    assert_eq!(world.json("/v1/catalog/datacenters").to_string(), r#"["dc1"]"#);
}

fn the_other_teams_name_is_refused(world: &World) {
    run(world, "web-intruder", "payments-web", 1);
    let refusal = "Permission denied: scope dc1/payments refuses by rule delegation";
    world.wait("the refusal in Nomad's log", || !world.nomad.log_lines(refusal).is_empty());
    let lines = world.nomad.log_lines(refusal);
    assert!(lines[0].contains("403"), "{}", lines[0]);
    assert!(world.json("/v1/health/service/payments-web").items().is_empty());
    assert_eq!(held(world, "dc1/payments"), "2");
}

fn more_than_the_budget_is_refused(world: &World) {
    run(world, "payments", "payments-api", 3);
    let refusal = "Permission denied: scope dc1/payments refuses by rule budget/instances";
    world.wait("the refusal in Nomad's log", || !world.nomad.log_lines(refusal).is_empty());
    assert!(world.nomad.log_lines(refusal)[0].contains("403"));
    assert_eq!(world.json("/v1/health/service/payments-api").items().len(), 2);
    assert_eq!(held(world, "dc1/payments"), "2");
}
