//! HTTP over Unix sockets.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;

use nix::sys::signal::Signal;

use crate::harness::{Agent, Folder};

#[test]
fn a_socket_answers_is_for_whom_it_should_be_and_goes_with_the_program() {
    let folder = Folder::new();
    let path = folder.write("http.sock", "what somebody left behind");
    let config = folder.write(
        "unix.hcl",
        &format!(
            "addresses {{ http = \"127.0.0.1 unix://{path}\" }} unix_sockets {{ mode = \"0600\" }}"
        ),
    );
    let mut agent = Agent::start(&["-dev", "-config-file", &config]);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let mut stream = UnixStream::connect(&path).unwrap();
    stream
        .write_all(
            b"PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\nv",
        )
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("\r\n\r\ntrue"), "{answer}");
    assert_eq!(agent.get("/v1/kv/a?raw"), "v");
    let shown = format!("unix://{path}");
    assert!(agent.get("/v1/agent/self").contains(&shown));
    agent.signal(Signal::SIGTERM);
    agent.ended();
    assert!(!fs::exists(&path).unwrap());
}
