//! The binary, end to end, as a stranger starts it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How often a server that is starting is asked again, and how often at most.
const ASK_EVERY: Duration = Duration::from_millis(20);
const ASKS_MAX: u32 = 1_000;

/// A running agent; it ends with the test.
struct Agent {
    process: Child,
    http: u16,
    dns: u16,
}

/// A folder of this test's own; it goes with the test.
struct Folder(PathBuf);

impl Agent {
    /// Starts an agent with these arguments and waits until it has a leader.
    fn start(arguments: &[&str]) -> Self {
        let (http, dns) = (free_port(), free_port());
        let process = command(arguments, http, dns)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut agent = Self { process, http, dns };
        for _ in 0..ASKS_MAX {
            assert!(agent.process.try_wait().unwrap().is_none(), "the agent ended at its start");
            if agent
                .ask("GET", "/v1/status/leader", "")
                .is_some_and(|(status, body)| status == 200 && body.contains(':'))
            {
                return agent;
            }
            std::thread::sleep(ASK_EVERY);
        }
        panic!("the agent has no leader");
    }

    /// Status and body of one exchange; nothing when nobody answers.
    fn ask(&self, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.http)).ok()?;
        let length = body.len();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}").ok()?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply).ok()?;
        let (head, body) = reply.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    fn put(&self, path: &str, body: &str) -> String {
        let (status, reply) = self.ask("PUT", path, body).expect("the agent answers");
        assert_eq!(status, 200, "{path}: {reply}");
        reply
    }

    fn get(&self, path: &str) -> String {
        self.ask("GET", path, "").expect("the agent answers").1
    }

    /// The number of answers and the answer's bytes for a name's A records.
    fn addresses(&self, name: &str) -> (u16, Vec<u8>) {
        let mut query = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            query.push(u8::try_from(label.len()).unwrap());
            query.extend_from_slice(label.as_bytes());
        }
        query.extend_from_slice(&[0, 0, 1, 0, 1]);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket.send_to(&query, ("127.0.0.1", self.dns)).unwrap();
        let mut reply = [0; 512];
        let length = socket.recv(&mut reply).unwrap();
        (u16::from_be_bytes([reply[6], reply[7]]), reply[..length].to_vec())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("proconsul-test-{}-{count}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn as_str(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn command(arguments: &[&str], http: u16, dns: u16) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_proconsul"));
    let (http, dns) = (format!("-http-port={http}"), format!("-dns-port={dns}"));
    command.arg("agent").args(arguments).args(["-node=n1", "-bind=127.0.0.1", &http, &dns]);
    command
}

fn on_disk(folder: &Path) -> [&str; 4] {
    ["-server", "-bootstrap", "-data-dir", folder.to_str().unwrap()]
}

/// Starts an agent that is expected to refuse.
fn refused(arguments: &[&str]) -> String {
    let Output { status, stderr, stdout, .. } =
        command(arguments, free_port(), free_port()).output().unwrap();
    assert!(!status.success(), "it started");
    String::from_utf8_lossy(&stderr).into_owned() + &String::from_utf8_lossy(&stdout)
}

fn replay(folder: &Folder) -> Output {
    Command::new(env!("CARGO_BIN_EXE_proconsul"))
        .args(["replay", "--check", "-data-dir", folder.as_str()])
        .output()
        .unwrap()
}

const WEB: &str =
    r#"{"Name":"web","Address":"10.9.8.7","Port":80,"Check":{"TTL":"1h","Status":"passing"}}"#;

#[test]
fn a_service_is_found_by_http_and_by_dns() {
    let agent = Agent::start(&["-dev"]);
    agent.put("/v1/agent/service/register", WEB);
    assert!(agent.get("/v1/health/service/web?passing").contains("10.9.8.7"));
    let (answers, reply) = agent.addresses("web.service.consul");
    assert_eq!(answers, 1);
    assert!(reply.ends_with(&[10, 9, 8, 7]));
    agent.put("/v1/agent/service/deregister/web", "");
    assert_eq!(agent.addresses("web.service.consul").0, 0);
}

#[test]
fn what_was_acknowledged_is_there_after_a_kill() {
    let folder = Folder::new();
    let agent = Agent::start(&on_disk(&folder.0));
    agent.put("/v1/agent/service/register", WEB);
    agent.put("/v1/kv/app/key", "value");
    drop(agent);
    let report = replay(&folder);
    assert!(report.status.success(), "{}", String::from_utf8_lossy(&report.stdout));
    let agent = Agent::start(&on_disk(&folder.0));
    assert_eq!(agent.get("/v1/kv/app/key?raw"), "value");
    assert!(agent.get("/v1/agent/services").contains("10.9.8.7"));
}

#[test]
fn a_second_one_on_the_same_data_is_refused() {
    let folder = Folder::new();
    let _first = Agent::start(&on_disk(&folder.0));
    let told = refused(&on_disk(&folder.0));
    assert!(told.contains(folder.as_str()), "{told}");
}

#[test]
fn damaged_data_stops_the_start_and_is_named() {
    let folder = Folder::new();
    drop(Agent::start(&on_disk(&folder.0)));
    let file = folder.0.join("scope.redb");
    fs::write(&file, b"not what was written").unwrap();
    let told = refused(&on_disk(&folder.0));
    assert!(told.contains("scope.redb"), "{told}");
}
