//! The files that a running agent keeps for others.

use std::fs;

use nix::sys::signal::Signal;

use crate::harness::{Agent, Folder, refused};

#[test]
fn a_file_names_the_process_while_it_runs() {
    let folder = Folder::new();
    let file = folder.path().join("agent.pid");
    let mut agent = Agent::start(&["-dev", "-pid-file", file.to_str().unwrap()]);
    assert_eq!(fs::read_to_string(&file).unwrap(), agent.process_id().to_string());
    agent.signal(Signal::SIGINT);
    assert_eq!(agent.ended().code(), Some(0));
    assert!(!file.exists());
}

#[test]
fn a_file_gets_the_log_too() {
    let folder = Folder::new();
    let mut agent = Agent::start(&["-dev", "-log-file", &format!("{}/", folder.as_str())]);
    let log = || fs::read_to_string(folder.path().join("consul.log")).unwrap();
    agent.until("the log tells that it runs", |_| log().contains("Consul agent running!"));
    agent.signal(Signal::SIGTERM);
    agent.ended();
    assert!(log().contains("terminated"), "{}", log());
}

#[test]
fn files_that_cannot_be_written_stop_the_start_and_are_named() {
    let folder = Folder::new();
    let nowhere = folder.path().join("no/such/file");
    let nowhere = nowhere.to_str().unwrap();
    for flag in ["-pid-file", "-log-file"] {
        let told = refused(&["-dev", flag, nowhere]);
        assert!(told.contains(nowhere), "{flag}: {told}");
    }
}
