//! Docker checks against an engine of the test's own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;

use crate::harness::{Agent, Folder};

/// Answers like an engine in which a command ends with this code.
fn engine(path: &str, code: u8) {
    let listener = UnixListener::bind(path).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            answer(stream.unwrap(), code);
        }
    });
}

fn answer(mut stream: UnixStream, code: u8) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut line, mut length) = (String::new(), 0);
    reader.read_line(&mut line).unwrap();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        if header.trim().is_empty() {
            break;
        }
        if let Some(said) = header.to_lowercase().strip_prefix("content-length: ") {
            length = said.trim().parse().unwrap();
        }
    }
    reader.read_exact(&mut vec![0; length]).unwrap();
    let (status, body) = match line.split(' ').nth(1).unwrap() {
        "/containers/web/exec" => ("201 Created", r#"{"Id":"e1"}"#.to_owned()),
        "/exec/e1/start" => ("200 OK", "half full".to_owned()),
        "/exec/e1/json" => ("200 OK", format!(r#"{{"ExitCode":{code}}}"#)),
        _ => ("404 Not Found", String::new()),
    };
    let length = body.len();
    // Who was answered may be gone.
    let _gone = write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
}

#[test]
fn a_container_is_as_fit_as_its_command_says() {
    let folder = Folder::new();
    let socket = folder.path().join("engine.sock");
    let socket = socket.to_str().unwrap();
    engine(socket, 1);
    let host = format!("unix://{socket}");
    let config = folder.write("scripts.hcl", "enable_script_checks = true");
    let mut agent = Agent::start_in(&["-dev", "-config-file", &config], &[("DOCKER_HOST", &host)]);
    for container in ["web", "none"] {
        agent.put(
            "/v1/agent/check/register",
            &format!(r#"{{"Name":"{container}","DockerContainerID":"{container}","Args":["true"],"Interval":"1s"}}"#),
        );
    }
    agent.until("both were performed", |agent| {
        let checks = agent.get("/v1/agent/checks");
        checks.contains("half full") && checks.contains("unknown container none")
    });
    let found = agent.get("/v1/agent/checks?filter=Status==warning");
    assert!(found.contains("\"Type\": \"docker\"") && !found.contains("none"), "{found}");
}
