//! The command line, told in lines: what was typed, what came out, what the exit code was.
//!
//! `fixtures/cli/session.txt` was recorded from Consul 1.22.7 and is played against the program with its own agent:
//!
//! ```text
//! $ kv get nope                        a command; words in '…' may hold spaces
//! ! Error! No key exists at: nope      standard error; lines without a mark are standard output
//! ? 1                                  the exit code, when it is not 0
//! ```
//! `CONSUL_BINARY=/path/to/consul cargo test --test cli` records it again.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

#[path = "agent/ports.rs"]
mod ports;

use std::fmt::Write as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use ports::free_port;

/// How often an agent that is starting is asked again, and how often at most.
const ASK_EVERY: Duration = Duration::from_millis(20);
const ASKS_MAX: u32 = 1_000;

/// An agent and the program whose commands ask it; it ends with the test.
struct Subject {
    binary: PathBuf,
    agent: Child,
    http: u16,
    /// Told in members' answers; differs from run to run.
    serf: u16,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/cli")
}

impl Subject {
    fn start(binary: PathBuf) -> Self {
        let [http, dns, server, serf, wan] = [(); 5].map(|()| free_port());
        let ports = [
            ("http", http),
            ("dns", dns),
            ("server", server),
            ("serf-lan", serf),
            ("serf-wan", wan),
        ];
        let agent = Command::new(&binary)
            .args([
                "agent",
                "-dev",
                "-node=cli",
                "-node-id=11111111-2222-3333-4444-555555555555",
                "-grpc-port=-1",
            ])
            .arg("-grpc-tls-port=-1")
            .args(ports.map(|(name, port)| format!("-{name}-port={port}")))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let subject = Self { binary, agent, http, serf };
        for _ in 0..ASKS_MAX {
            let ready = TcpStream::connect(("127.0.0.1", http)).is_ok()
                && String::from_utf8_lossy(
                    &subject.run(&["catalog".into(), "nodes".into()]).stdout,
                )
                .contains("cli");
            if ready {
                return subject;
            }
            std::thread::sleep(ASK_EVERY);
        }
        panic!("the agent does not answer");
    }

    fn run(&self, words: &[String]) -> Output {
        Command::new(&self.binary)
            .args(words)
            .current_dir(folder())
            .env_clear()
            .env("CONSUL_HTTP_ADDR", format!("127.0.0.1:{}", self.http))
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// An exchange in the fixture's form.
    fn play(&self, line: &str) -> String {
        let output = self.run(&words(line));
        let mut told = format!("$ {line}\n");
        for (mark, bytes) in [("", &output.stdout), ("! ", &output.stderr)] {
            for line in self.steady(&String::from_utf8_lossy(bytes)).lines() {
                let _never_fails = writeln!(told, "{mark}{line}");
            }
        }
        match output.status.code() {
            Some(0) => {}
            code => writeln!(told, "? {}", code.unwrap_or(-1)).unwrap(),
        }
        told
    }

    /// Text without what differs from run to run, without our additions, and without the list of flags, whose
    /// sentences are our own.
    fn steady(&self, text: &str) -> String {
        let lines = text
            .lines()
            .take_while(|line| !line.starts_with("Usage:"))
            .filter(|line| !line.starts_with("proconsul v"));
        let lines = lines.map(|line| match line.split_once("Index") {
            Some((name, rest))
                if rest.trim().chars().all(|digit| digit.is_ascii_digit()) && name.len() < 7 =>
            {
                format!("{name}Index      <index>")
            }
            _ => without_line_number(line).replace(&format!(":{}", self.serf), ":<serf>"),
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = self.agent.kill();
        let _ = self.agent.wait();
    }
}

/// We tell the lines of configuration faults, Consul does not.
fn without_line_number(line: &str) -> String {
    match line.rsplit_once(" (line ") {
        Some((head, tail))
            if tail.trim_end_matches(')').chars().all(|digit| digit.is_ascii_digit()) =>
        {
            head.to_owned()
        }
        _ => line.to_owned(),
    }
}

fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for letter in line.chars() {
        match (letter, words.last_mut()) {
            ('\'', _) => quoted = !quoted,
            (' ', _) if !quoted => words.push(String::new()),
            (_, Some(word)) => word.push(letter),
            (_, None) => {}
        }
    }
    words
}

#[test]
fn a_session_reads_as_with_consul() {
    let path = folder().join("session.txt");
    let expected = std::fs::read_to_string(&path).unwrap();
    let binary = std::env::var_os("CONSUL_BINARY").map(PathBuf::from);
    let subject =
        Subject::start(binary.clone().unwrap_or_else(|| env!("CARGO_BIN_EXE_proconsul").into()));
    let typed = expected.lines().filter_map(|line| line.strip_prefix("$ "));
    let played: String = typed.map(|line| subject.play(line)).collect();
    if binary.is_some() {
        std::fs::write(&path, played).unwrap();
        return;
    }
    for (ours, theirs) in played.split("\n$ ").zip(expected.split("\n$ ")) {
        assert_eq!(ours.trim_end(), theirs.trim_end());
    }
}
