//! Starts the binary, talks to it over its sockets and sees it end.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::ports::free_port;

/// How often a server that is doing something is asked again, and how often at most.
const ASK_EVERY: Duration = Duration::from_millis(20);
const ASKS_MAX: u32 = 1_000;
/// An answer that takes longer never comes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running agent; it ends with the test.
pub(crate) struct Agent {
    process: Child,
    http: u16,
    dns: u16,
}

/// A folder of this test's own; it goes with the test.
pub(crate) struct Folder(PathBuf);

// === impl Agent ===

impl Agent {
    /// Starts an agent with these arguments and waits until it has a leader.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_in(arguments, &[])
    }

    /// The same, in an environment that says more.
    pub(crate) fn start_in(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let (http, dns) = (free_port(), free_port());
        let process = command(arguments, http, dns)
            .envs(environment.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut agent = Self { process, http, dns };
        agent.until("it has a leader", |agent| {
            assert!(agent.process.try_wait().unwrap().is_none(), "it ended: {}", agent.said());
            let leader = agent.ask("GET", "/v1/status/leader", "");
            leader.is_some_and(|(status, body)| status == 200 && body.contains(':'))
        });
        agent
    }

    /// Returns when something has become true.
    pub(crate) fn until(&mut self, what: &str, mut is_true: impl FnMut(&mut Self) -> bool) {
        for _ in 0..ASKS_MAX {
            if is_true(self) {
                return;
            }
            std::thread::sleep(ASK_EVERY);
        }
        panic!("waited in vain until {what}");
    }

    /// Status and body of one exchange; nothing when nobody answers.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
        let mut reply = String::new();
        self.open(method, path, body)?.read_to_string(&mut reply).ok()?;
        let (head, body) = reply.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    /// Sends a request and leaves its answer on the connection.
    pub(crate) fn open(&self, method: &str, path: &str, body: &str) -> Option<TcpStream> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.http)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let length = body.len();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}").ok()?;
        Some(stream)
    }

    pub(crate) fn put(&self, path: &str, body: &str) -> String {
        let (status, reply) = self.ask("PUT", path, body).expect("the agent answers");
        assert_eq!(status, 200, "{path}: {reply}");
        reply
    }

    pub(crate) fn get(&self, path: &str) -> String {
        self.ask("GET", path, "").expect("the agent answers").1
    }

    /// The number of answers and the answer's bytes for a name's A records.
    pub(crate) fn addresses(&self, name: &str) -> (u16, Vec<u8>) {
        let mut query = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            query.push(u8::try_from(label.len()).unwrap());
            query.extend_from_slice(label.as_bytes());
        }
        query.extend_from_slice(&[0, 0, 1, 0, 1]);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.send_to(&query, ("127.0.0.1", self.dns)).unwrap();
        let mut reply = [0; 512];
        let length = socket.recv(&mut reply).unwrap();
        (u16::from_be_bytes([reply[6], reply[7]]), reply[..length].to_vec())
    }

    /// The port of its HTTP interface.
    pub(crate) fn http(&self) -> u16 {
        self.http
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.process_id()).unwrap()), signal).unwrap();
    }

    /// What a process that ended said on standard error.
    fn said(&mut self) -> String {
        let mut said = String::new();
        let _unreadable = self.process.stderr.take().unwrap().read_to_string(&mut said);
        said
    }

    /// How the process ended, once it has.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        self.until("it ends", |agent| {
            status = agent.process.try_wait().unwrap();
            status.is_some()
        });
        status.expect("it was waited for")
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

// === impl Folder ===

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("proconsul-test-{}-{count}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file and returns where it lies.
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().unwrap()
    }

    /// The arguments of an agent that keeps its data here.
    pub(crate) fn arguments(&self) -> [&str; 4] {
        ["-server", "-bootstrap", "-data-dir", self.as_str()]
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn command(arguments: &[&str], http: u16, dns: u16) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_proconsul"));
    let (http, dns) = (format!("-http-port={http}"), format!("-dns-port={dns}"));
    command.arg("agent").args(arguments).args(["-node=n1", "-bind=127.0.0.1", &http, &dns]);
    command
}

/// What an agent says that is expected to refuse.
pub(crate) fn refused(arguments: &[&str]) -> String {
    let Output { status, stderr, stdout, .. } =
        command(arguments, free_port(), free_port()).output().unwrap();
    assert!(!status.success(), "it started");
    String::from_utf8_lossy(&stderr).into_owned() + &String::from_utf8_lossy(&stdout)
}

/// Rebuilds every row from the log and compares.
pub(crate) fn replay(folder: &Folder) -> Output {
    Command::new(env!("CARGO_BIN_EXE_proconsul"))
        .args(["replay", "--check", "-data-dir", folder.as_str()])
        .output()
        .unwrap()
}
