//! What is on disk: kept over a kill, held by one process, refused when damaged.

use std::fs;

use crate::harness::{Agent, Folder, refused, replay};
use crate::service::WEB;

#[test]
fn what_was_acknowledged_is_there_after_a_kill() {
    let folder = Folder::new();
    let agent = Agent::start(&folder.arguments());
    agent.put("/v1/agent/service/register", WEB);
    agent.put("/v1/kv/app/key", "value");
    drop(agent);
    let report = replay(&folder);
    assert!(report.status.success(), "{}", String::from_utf8_lossy(&report.stdout));
    let agent = Agent::start(&folder.arguments());
    assert_eq!(agent.get("/v1/kv/app/key?raw"), "value");
    assert!(agent.get("/v1/agent/services").contains("10.9.8.7"));
}

#[test]
fn a_second_one_on_the_same_data_is_refused() {
    let folder = Folder::new();
    let _first = Agent::start(&folder.arguments());
    let told = refused(&folder.arguments());
    assert!(told.contains(folder.as_str()), "{told}");
}

#[test]
fn damaged_data_stops_the_start_and_is_named() {
    let folder = Folder::new();
    drop(Agent::start(&folder.arguments()));
    fs::write(folder.path().join("scope.redb"), b"not what was written").unwrap();
    let told = refused(&folder.arguments());
    assert!(told.contains("scope.redb"), "{told}");
}
