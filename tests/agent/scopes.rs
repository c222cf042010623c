//! Scopes, from the configuration and from the API, against the running program.

use std::fs;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::harness::{Agent, Folder, refused, replay};

const SCOPES: &str = r#"
scope "dc1/pay" {
  owner    = "Payments"
  services = ["pay*"]
  keys     = ["pay/"]
  caller { source = "127.0.0.0/8" }
  policy   = "late"
  budget { instances = 2 }
}
scope "dc1/web" { services = ["web"] }
policy "late" {
  scope = "dc1/pay"
  rego  = <<EOF
package late
default decision := {"outcome": "resolve", "rule": "fine"}
decision := {"outcome": "refuse", "rule": "frozen"} if input.target.name == "pay-frozen"
EOF
}
"#;

/// Status and body of a registration with the agent.
fn register(agent: &Agent, name: &str) -> (u16, String) {
    let body = format!(r#"{{"Name": "{name}", "Port": 80}}"#);
    agent.ask("PUT", "/v1/agent/service/register", &body).expect("the agent answers")
}

/// What a command of the shell says, and whether it ended well.
fn shell(agent: &Agent, words: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_proconsul"));
    let at = format!("-http-addr=127.0.0.1:{}", agent.http());
    let ended = command.args(&words[..2]).arg(at).args(&words[2..]).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    (ended.status.success(), said + &String::from_utf8_lossy(&ended.stderr))
}

#[test]
fn each_name_is_registered_in_its_scope_and_the_log_tells_it_again() {
    let folder = Folder::new();
    let file = folder.write("scopes.hcl", SCOPES);
    let arguments = [&folder.arguments()[..], &["-config-file", &file]].concat();
    let mut agent = Agent::start(&arguments);
    let denied = |text: &str| (403, format!("Permission denied: {text}"));
    let cases = [
        ("pay-1", (200, String::new())),
        ("web", denied("scope dc1/web refuses by rule delegation")),
        ("pay-frozen", denied("scope dc1/pay refuses by rule frozen")),
        ("mine", (200, String::new())),
        ("pay-2", denied("scope dc1/pay refuses by rule budget/instances")),
        ("pay-1", (200, String::new())),
    ];
    for (name, expected) in cases {
        assert_eq!(register(&agent, name), expected, "{name}");
    }
    let services = agent.get("/v1/agent/services");
    assert!(!services.contains("pay-2") && !services.contains("\"web\""), "{services}");
    assert_eq!(agent.put("/v1/kv/free", "x"), "true", "a key that is nobody's");
    let held = |agent: &Agent| agent.get("/v1/anchor/scope/dc1/pay");
    let usage = r#""Usage":{"Services":2,"Instances":2,"Keys":1,"KVBytes":5}"#;
    assert!(held(&agent).contains(usage), "{}", held(&agent));
    agent.signal(Signal::SIGTERM);
    assert_eq!(agent.ended().code(), Some(0));
    let report = replay(&folder);
    assert!(report.status.success(), "{}", String::from_utf8_lossy(&report.stdout));
    let agent = Agent::start(&arguments);
    assert!(held(&agent).contains(usage), "{}", held(&agent));
}

#[test]
fn a_reload_takes_scopes_over_and_a_fault_changes_nothing() {
    let folder = Folder::new();
    let file = folder.write("scopes.hcl", SCOPES);
    let agent = Agent::start(&["-dev", "-config-file", &file]);
    let (status, told) = agent.ask("PUT", "/v1/anchor/scope/dc1/web", "{}").unwrap();
    assert_eq!((status, told.contains("is written in the configuration")), (400, true), "{told}");
    fs::write(&file, SCOPES.replace("\"web\"", "\"pay-web\"")).unwrap();
    let (status, told) = agent.ask("PUT", "/v1/agent/reload", "").unwrap();
    assert_eq!((status, told.contains("a name has one owner")), (500, true), "{told}");
    let web = "scope \"dc1/web\" { services = [\"web\"] }";
    fs::write(&file, SCOPES.replace(web, "")).unwrap();
    agent.put("/v1/agent/reload", "");
    let scopes = agent.get("/v1/anchor/scopes");
    assert!(scopes.contains("dc1/pay") && !scopes.contains("dc1/web"), "{scopes}");
    assert_eq!(register(&agent, "web").0, 200, "it is nobody's now");
}

#[test]
fn scopes_are_written_in_the_shell() {
    let agent = Agent::start(&["-dev"]);
    let folder = Folder::new();
    let scope =
        r#"{"Path": "dc1/a", "Owner": "A", "Services": ["a*"], "Budget": {"Instances": 1}}"#;
    let file = folder.write("s.json", scope);
    let cases: [(&[&str], bool, &str); 8] = [
        (&["scope", "write", &file], true, "Scope dc1/a written"),
        (&["scope", "write", "-cas=0", &file], false, "its ModifyIndex is another"),
        (&["scope", "list"], true, "dc1/a"),
        (&["scope", "read", "dc1/a"], true, "0/1"),
        (&["scope", "read", "dc1/b"], false, "No scope"),
        (&["scope", "delete", "DC1"], false, "must be 1 to 63 lower-case letters"),
        (&["scope", "delete", "dc1/a"], true, "Scope dc1/a deleted"),
        (&["scope", "list", "-format=json"], true, "[]"),
    ];
    for (words, well, told) in cases {
        let (ended_well, said) = shell(&agent, words);
        assert!(ended_well == well && said.contains(told), "{words:?}: {said}");
    }
}

#[test]
fn a_faulty_scope_stops_the_start_and_is_named() {
    let folder = Folder::new();
    for (text, told) in [
        ("scope \"dc1/a/b\" {}", "there is no scope dc1/a that it could lie under"),
        ("scope \"dc1/a\" { policy = \"p\" }", "scope dc1/a: policy: there is no policy \"p\""),
        ("policy \"p\" { file = \"/no/such.rego\" }", "policy \"p\": file /no/such.rego"),
        ("policy \"p\" { rego = \"nonsense\" }", "policy \"p\": rego"),
    ] {
        let file = folder.write("scopes.hcl", text);
        let said = refused(&["-dev", "-config-file", &file]);
        assert!(said.contains(told), "{text}: {said}");
    }
}
