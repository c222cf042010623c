//! A real Nomad whose workloads log in to the subject with identities of their own, under default-deny: set up by the steps
//! of Nomad's documentation.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use proconsul_conformance::{
    json::Json,
    nomad::identities::{MANAGEMENT, World},
    subject::{Mode, Setup},
};

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

#[test]
#[ignore = "needs the real Nomad: CONFORMANCE_NOMAD"]
fn workloads_log_in_with_identities_of_their_own() {
    let world = World::start(Setup::new(Mode::Dev).denying(MANAGEMENT)).unwrap();
    set_up_as_documented(&world);
    put_key(&world);
    world.nomad.run(JOB);
    the_service_passes_and_the_template_has_its_key(&world);
    each_workload_has_its_own_token(&world);
    an_unbound_identity_fails_clearly(&world);
}

/// `nomad setup consul`: an auth method, binding rules for services and tasks, a policy and a role for tasks.
fn set_up_as_documented(world: &World) {
    let told = world.set_up().unwrap();
    let rules = world.json("/v1/acl/binding-rules");
    assert_eq!(rules.items().len(), 2, "{told}\n{rules}");
}

fn put_key(world: &World) {
    assert_eq!(world.done("PUT", "/v1/kv/cfg/x", "hello"), "true");
}

fn the_service_passes_and_the_template_has_its_key(world: &World) {
    world.wait("a passing instance", || {
        world.json("/v1/health/service/api?passing").items().len() == 1
    });
    let allocations = world.nomad.allocations("api");
    let file = world.nomad.local_file(&allocations[0], "t", "out.txt");
    assert_eq!(file.as_deref(), Some("key=hello"));
}

fn each_workload_has_its_own_token(world: &World) {
    let tokens = world.json("/v1/acl/tokens?authmethod=nomad-workloads");
    let identities = |token: &Json| token.at("/ServiceIdentities/0/ServiceName").is_some();
    let of_service = tokens.items().iter().filter(|token| identities(token)).count();
    let of_task = tokens.items().iter().filter(|token| token.at("/Roles/0/Name").is_some());
    assert_eq!((of_service, of_task.count()), (1, 1), "{tokens}");
}

/// Without a rule that binds them, identities get no token: the allocation fails and says so.
fn an_unbound_identity_fails_clearly(world: &World) {
    for rule in world.json("/v1/acl/binding-rules").items() {
        let id = rule.get("ID").unwrap().text();
        let _gone = world.done("DELETE", &format!("/v1/acl/binding-rule/{id}"), "");
    }
    world.nomad.run(&JOB.replace("\"api\"", "\"unbound\""));
    world.wait("the allocation's failure", || {
        let allocations = world.nomad.ask("GET", "/v1/job/unbound/allocations", "");
        allocations
            .items()
            .iter()
            .any(|a| a.get("ClientStatus").is_some_and(|s| s.text() == "failed"))
    });
    let told = world.nomad.log_lines("Permission denied");
    assert!(!told.is_empty(), "{}", world.nomad.log_end());
    assert!(world.json("/v1/health/service/unbound").items().is_empty());
}
