//! How it ends, and how it reads its configuration again.

use std::fs;
use std::io::Read as _;

use nix::sys::signal::Signal;

use crate::harness::{Agent, Folder, replay};

/// Requests that wait when the agent is told to end.
const POLLS: usize = 20;
/// A read that would wait for ten minutes.
const POLL: &str = "/v1/kv/nobody/writes/this?index=1&wait=10m";

/// Tells an agent with open polls to end: it does, in order, and leaves no connection open.
fn check_end(arguments: &[&str], tell: impl Fn(&Agent)) {
    let mut agent = Agent::start(arguments);
    agent.put("/v1/kv/app/key", "value");
    let mut polls: Vec<_> =
        (0..POLLS).map(|_| agent.open("GET", POLL, "").expect("the agent listens")).collect();
    tell(&agent);
    assert_eq!(agent.ended().code(), Some(0), "{arguments:?}");
    for poll in &mut polls {
        // Whether it was answered or cut off: nobody holds it open.
        let _closed = poll.read_to_end(&mut Vec::new());
    }
}

fn interrupt(agent: &Agent) {
    agent.signal(Signal::SIGINT);
}

fn terminate(agent: &Agent) {
    agent.signal(Signal::SIGTERM);
}

fn leave(agent: &Agent) {
    assert_eq!(agent.put("/v1/agent/leave", ""), "");
}

#[test]
fn it_ends_when_told_with_polls_open() {
    for tell in [interrupt, terminate, leave] {
        check_end(&["-dev"], tell);
        let folder = Folder::new();
        check_end(&folder.arguments(), tell);
        let report = replay(&folder);
        assert!(report.status.success(), "{}", String::from_utf8_lossy(&report.stdout));
        let agent = Agent::start(&folder.arguments());
        assert_eq!(agent.get("/v1/kv/app/key?raw"), "value");
    }
}

#[test]
fn a_hang_up_reads_the_configuration_again() {
    let folder = Folder::new();
    let file = folder.path().join("web.hcl");
    let write = |name: &str| {
        fs::write(&file, format!("service {{ name = {name:?} port = 80 }}")).unwrap();
    };
    write("first");
    let mut agent = Agent::start(&["-dev", "-config-dir", folder.as_str()]);
    let services = |agent: &Agent| agent.get("/v1/agent/services");
    assert!(services(&agent).contains(r#""first""#));
    write("second");
    agent.signal(Signal::SIGHUP);
    agent.until("the new service is there", |agent| services(agent).contains(r#""second""#));
    agent.until("the old service is gone", |agent| !services(agent).contains(r#""first""#));
    // Who asks for it is answered when it is done.
    write("third");
    agent.put("/v1/agent/reload", "");
    assert!(services(&agent).contains(r#""third""#));
    // A file that cannot be read, or defines what cannot be, changes nothing.
    for broken in ["service {", "service { name = \"\" }"] {
        fs::write(&file, broken).unwrap();
        agent.signal(Signal::SIGHUP);
        let refused = agent.ask("PUT", "/v1/agent/reload", "").expect("the agent answers");
        assert_eq!(refused.0, 500, "{}", refused.1);
        assert!(services(&agent).contains(r#""third""#));
    }
}

#[test]
fn files_that_change_are_read_again_where_that_is_asked_for() {
    let folder = Folder::new();
    folder.write("web.hcl", "service { name = \"first\" }");
    let arguments = ["-dev", "-config-dir", folder.as_str(), "-auto-reload-config"];
    let mut agent = Agent::start(&arguments);
    let services = |agent: &Agent| agent.get("/v1/agent/services");
    assert!(services(&agent).contains(r#""first""#));
    folder.write("web.hcl", "service { name = \"second\" }");
    folder.write("more.hcl", "service { name = \"third\" }");
    agent.until("what is new is there", |agent| {
        let found = services(agent);
        found.contains(r#""second""#) && found.contains(r#""third""#)
    });
    assert!(!services(&agent).contains(r#""first""#));
}
