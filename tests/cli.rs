//! The command line, told in lines: what was typed, what came out, what the exit code was.
//!
//! `fixtures/cli/*.txt` were recorded from Consul 1.22.7 and are played against the program with its own agent:
//!
//! ```text
//! $ kv get nope                        a command; words in '…' may hold spaces
//! ! Error! No key exists at: nope      standard error; lines without a mark are standard output
//! ? 1                                  the exit code, when it is not 0
//! ```
//! Ids that the agent made are numbered as they appear, `<id-1>`, and a command may name one so. Commands run in a folder of
//! their own, which holds copies of the files beside the fixtures.
//! `CONSUL_BINARY=/path/to/consul cargo test --test cli` records all of them again; `CONSUL_CLI=/path/to/consul` instead types
//! every command into Consul's own program, against our agent.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

#[path = "agent/ports.rs"]
mod ports;

use std::cell::RefCell;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use ports::free_port;
use regex::Regex;

/// How often an agent that is starting is asked again, and how often at most.
const ASK_EVERY: Duration = Duration::from_millis(20);
const ASKS_MAX: u32 = 1_000;

/// Commands show no token, though the agent asks for one.
const NO_TOKEN: &str = "none";

/// A fixture: its name, the agent's configuration if it needs any, and the token that commands show.
struct Session {
    name: &'static str,
    config: Option<&'static str>,
    token: &'static str,
}

/// What differs from run to run, and what stands for it.
static VARYING: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    [
        (r#"((?:Create|Modify) ?Index"?: *)\d+"#, "$1<index>"),
        (r"20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?", "<time>"),
        (r"[A-Z][a-z]+day, \d\d-[A-Z][a-z]{2}-\d\d \d\d:\d\d:\d\d [A-Z]+", "<time>"),
        (r"(Hash: +)[0-9a-f]{64}", "$1<hash>"),
        (r#"("Hash": )"[^"]+""#, "$1<hash>"),
        (r"(snapshot to index )\d+", "$1<index>"),
        (r"(Last (?:Term|Index): +)\d+", "$1<index>"),
        (r"(reset index: )\d+", "$1<index>"),
        (r"(jwt-own-)\d+", "$1<number>"),
        (r"(child pid )\d+", "$1<pid>"),
    ]
    .into_iter()
    .map(|(pattern, stands)| (Regex::new(pattern).unwrap(), stands))
    .collect()
});

/// Ids; those that begin with a zero or a one are nobody's choice but ours or Consul's.
static ID: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").unwrap()
});
const FIXED: [&str; 2] = ["00000000-", "11111111-"];

/// An agent and the program whose commands ask it; it ends with the test.
struct Subject {
    program: PathBuf,
    agent: Child,
    http: u16,
    /// Ports that answers tell, and what stands for them.
    told: [(u16, &'static str); 3],
    token: &'static str,
    folder: PathBuf,
    /// Ids in the order in which they appeared.
    ids: RefCell<Vec<String>>,
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/cli")
}

/// A fresh folder with a copy of every file beside the fixtures.
fn folder_of(session: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cli-{session}"));
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    fs::create_dir_all(&folder).unwrap();
    for entry in fs::read_dir(fixtures()).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
    }
    folder
}

impl Subject {
    fn start(binary: &Path, program: PathBuf, session: &Session) -> Self {
        let [http, dns, server, serf, wan] = [(); 5].map(|()| free_port());
        let ports = [
            ("http", http),
            ("dns", dns),
            ("server", server),
            ("serf-lan", serf),
            ("serf-wan", wan),
        ];
        let folder = folder_of(session.name);
        let mut command = Command::new(binary);
        command
            .args([
                "agent",
                "-dev",
                "-node=cli",
                "-node-id=11111111-2222-3333-4444-555555555555",
                "-grpc-port=-1",
            ])
            .arg("-grpc-tls-port=-1")
            .args(ports.map(|(name, port)| format!("-{name}-port={port}")));
        if let Some(config) = session.config {
            command.arg(format!("-config-file={config}"));
        }
        let agent = command
            .current_dir(&folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let told = [(serf, "<serf>"), (server, "<server>"), (wan, "<wan>")];
        let (token, ids) = (session.token, RefCell::default());
        let subject = Self { program, agent, http, told, token, folder, ids };
        for _ in 0..ASKS_MAX {
            if has_leader(http) && (!token.is_empty() || subject.knows_itself()) {
                return subject;
            }
            std::thread::sleep(ASK_EVERY);
        }
        panic!("the agent does not answer");
    }

    /// Whether the agent's node is in the catalog; only without access control may anybody ask.
    fn knows_itself(&self) -> bool {
        let nodes = self.run(&["catalog".into(), "nodes".into()]);
        String::from_utf8_lossy(&nodes.stdout).contains("cli")
    }

    fn run(&self, words: &[String]) -> Output {
        let mut command = Command::new(&self.program);
        command
            .args(words)
            .current_dir(&self.folder)
            .env_clear()
            .env("CONSUL_HTTP_ADDR", format!("127.0.0.1:{}", self.http))
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::null());
        if !matches!(self.token, "" | NO_TOKEN) {
            command.env("CONSUL_HTTP_TOKEN", self.token);
        }
        command.output().unwrap()
    }

    /// An exchange in the fixture's form.
    fn play(&self, line: &str) -> String {
        let output = self.run(&words(&self.with_ids(line)));
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

    /// A command with the ids that it names by their number.
    fn with_ids(&self, line: &str) -> String {
        let ids = self.ids.borrow();
        let numbered = ids.iter().enumerate();
        numbered
            .fold(line.to_owned(), |line, (at, id)| line.replace(&format!("<id-{}>", at + 1), id))
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
            _ => self.line(line),
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    fn line(&self, line: &str) -> String {
        let mut line = without_line_number(line);
        for (port, stands) in self.told {
            line = line.replace(&format!(":{port}"), &format!(":{stands}"));
            line = line.replace(&format!(": {port}"), &format!(": {stands}"));
        }
        for (pattern, stands) in VARYING.iter() {
            line = pattern.replace_all(&line, *stands).into_owned();
        }
        let mut ids = self.ids.borrow_mut();
        let numbered = ID.replace_all(&line, |found: &regex::Captures<'_>| {
            let id = &found[0];
            if FIXED.iter().any(|start| id.starts_with(start)) {
                return id.to_owned();
            }
            let known = ids.iter().position(|known| known == id).unwrap_or_else(|| {
                ids.push(id.to_owned());
                ids.len() - 1
            });
            format!("<id-{}>", known + 1)
        });
        numbered.into_owned()
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = self.agent.kill();
        let _ = self.agent.wait();
    }
}

/// Whether an agent tells who leads.
fn has_leader(http: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", http)) else { return false };
    let mut answer = String::new();
    let asked = stream.write_all(b"GET /v1/status/leader HTTP/1.0\r\n\r\n");
    let heard = asked.and_then(|()| stream.read_to_string(&mut answer));
    heard.is_ok() && answer.contains("\"127.0.0.1:")
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

/// Plays a fixture, or records it again.
fn replay(session: &Session) {
    let path = fixtures().join(format!("{}.txt", session.name));
    let expected = fs::read_to_string(&path).unwrap();
    let told = |variable| std::env::var_os(variable).map(PathBuf::from);
    let ours = || env!("CARGO_BIN_EXE_proconsul").into();
    let binary = told("CONSUL_BINARY");
    let agent: PathBuf = binary.clone().unwrap_or_else(ours);
    let program = binary.clone().or_else(|| told("CONSUL_CLI")).unwrap_or_else(ours);
    let subject = Subject::start(&agent, program, session);
    let typed = expected.lines().filter_map(|line| line.strip_prefix("$ "));
    let played: String = typed.map(|line| subject.play(line)).collect();
    if binary.is_some() {
        fs::write(&path, played).unwrap();
        return;
    }
    let pairs = played.split("\n$ ").zip(expected.split("\n$ "));
    let differing: Vec<String> = pairs
        .filter(|(ours, theirs)| ours.trim_end() != theirs.trim_end())
        .map(|(ours, theirs)| format!("--- Consul\n$ {theirs}\n--- here\n$ {ours}\n"))
        .collect();
    assert!(differing.is_empty(), "{}: {}", session.name, differing.join("\n"));
}

#[test]
fn a_session_reads_as_with_consul() {
    replay(&Session { name: "session", config: None, token: "" });
}

#[test]
fn access_control_reads_as_with_consul() {
    let token = "11111111-1111-1111-1111-111111111111";
    replay(&Session { name: "acl", config: Some("acl_agent.hcl"), token });
}

#[test]
fn refusals_read_as_with_consul() {
    replay(&Session { name: "denied", config: Some("denied_agent.hcl"), token: NO_TOKEN });
}

#[test]
fn configuration_entries_read_as_with_consul() {
    replay(&Session { name: "config", config: None, token: "" });
}

#[test]
fn entries_of_every_kind_read_as_with_consul() {
    replay(&Session { name: "kinds", config: None, token: "" });
}

#[test]
fn intentions_read_as_with_consul() {
    replay(&Session { name: "intention", config: None, token: "" });
}

#[test]
fn looking_after_agents_reads_as_with_consul() {
    replay(&Session { name: "operate", config: None, token: "" });
}

#[test]
fn locks_and_watches_read_as_with_consul() {
    replay(&Session { name: "watch", config: None, token: "" });
}

#[test]
fn snapshots_read_as_with_consul() {
    replay(&Session { name: "snapshot", config: None, token: "" });
}

#[test]
fn certificates_read_as_with_consul() {
    replay(&Session { name: "tls", config: None, token: "" });
}
