//! BIND, as Debian packages it: a name server with a configuration of its own on loopback, and its tools.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use crate::{
    subject::{free_port, new_folder},
    wait::until,
};

/// A start on a busy machine.
const READY_MAX: Duration = Duration::from_secs(20);
/// Longer than any server under test may take.
const DIG_SECONDS: &str = "+time=12";

/// A running name server. Dropping it kills it and removes its files.
#[derive(Debug)]
pub struct Named {
    /// Where it listens, UDP and TCP.
    pub port: u16,
    /// Its working folder: zone files and keys lie there.
    pub folder: PathBuf,
    child: Child,
}

impl Named {
    /// Starts it in a folder with these zones (statements of its configuration); waits until it answers for `probe`.
    ///
    /// # Errors
    /// Why it does not, with the end of its log.
    pub fn start(folder: PathBuf, zones: &str, probe: &str) -> Result<Self, String> {
        Self::start_at(folder, free_port(), zones, probe)
    }

    /// The same at a port.
    ///
    /// # Errors
    /// The same.
    pub fn start_at(folder: PathBuf, port: u16, zones: &str, probe: &str) -> Result<Self, String> {
        let shown = folder.display();
        let config = format!(
            "options {{ directory \"{shown}\"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
             pid-file \"{shown}/named.pid\"; session-keyfile \"{shown}/session.key\"; recursion no;
             dnssec-validation no; notify no; max-refresh-time 60; min-refresh-time 1; max-retry-time 2; min-retry-time 1; }};
             controls {{ }};\n{zones}\n"
        );
        fs::write(folder.join("named.conf"), config).map_err(|e| e.to_string())?;
        let child = spawn(&folder)?;
        let named = Self { port, folder, child };
        named.wait_ready(probe)?;
        Ok(named)
    }

    /// Ends it and starts it again with what it wrote down.
    ///
    /// # Errors
    /// As [`Named::start`].
    pub fn again(&mut self, probe: &str) -> Result<(), String> {
        self.stop();
        self.child = spawn(&self.folder)?;
        self.wait_ready(probe)
    }

    /// Ends it.
    pub fn stop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill().and_then(|()| self.child.wait().map(drop));
    }

    /// What it answers to a question in a few words (`+short`).
    #[must_use]
    pub fn short(&self, words: &str) -> String {
        dig(self.port, &format!("+short {words}"))
    }

    /// The end of its log.
    #[must_use]
    pub fn log_end(&self) -> String {
        let text = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    fn wait_ready(&self, probe: &str) -> Result<(), String> {
        let ready = || self.short(probe).lines().any(|line| !line.starts_with(';')).then_some(());
        until("named", READY_MAX, ready).map_err(|vain| format!("{vain}:\n{}", self.log_end()))
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        self.stop();
        // A leftover folder fails no test.
        let _removed = fs::remove_dir_all(&self.folder);
    }
}

fn spawn(folder: &Path) -> Result<Child, String> {
    let log = fs::File::options().create(true).append(true).open(folder.join("log"));
    let log = log.map_err(|e| e.to_string())?;
    let mut command = Command::new("named");
    command.arg("-c").arg(folder.join("named.conf")).args(["-f", "-g", "-n", "1"]);
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    command.spawn().map_err(|e| format!("named: {e}; apt-get install bind9"))
}

/// Runs a tool in a folder; what it printed.
///
/// # Panics
/// When it fails, with what it said.
#[must_use]
pub fn tool(folder: &Path, program: &str, words: &str) -> String {
    let output = Command::new(program)
        .args(words.split_whitespace())
        .current_dir(folder)
        .output()
        .unwrap_or_else(|e| {
            panic!("{program}: {e}; apt-get install bind9 bind9-utils bind9-dnsutils")
        });
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {words}: {said}{printed}");
    printed
}

/// Asks a server on loopback by `dig`; all that it printed. Nothing is asked twice.
///
/// # Panics
/// When there is no `dig`.
#[must_use]
pub fn dig(port: u16, words: &str) -> String {
    let at = ["@127.0.0.1", "-p", &port.to_string(), "+tries=1", DIG_SECONDS].map(str::to_owned);
    let output = Command::new("dig").args(at).args(words.split_whitespace()).output();
    let output = output.unwrap_or_else(|e| panic!("dig: {e}; apt-get install bind9-dnsutils"));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A folder with a key for updates in `upd.key`.
///
/// # Panics
/// When no key can be made.
#[must_use]
pub fn folder_with_key() -> PathBuf {
    let folder = new_folder();
    let key = tool(&folder, "tsig-keygen", "-a hmac-sha256 upd");
    fs::write(folder.join("upd.key"), key).expect("the folder is new");
    folder
}

/// Hands datagrams on to a server, and counts them.
#[derive(Debug, Clone)]
pub struct Relay {
    /// Where it listens.
    pub port: u16,
    count: Arc<AtomicUsize>,
}

impl Relay {
    /// Listens on a free port. It lives as long as the process.
    ///
    /// # Panics
    /// When there is no port.
    #[must_use]
    pub fn to(server: u16) -> Self {
        let relay = Self { port: free_port(), count: Arc::default() };
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, relay.port)).expect("the port is free");
        let socket = Arc::new(socket);
        let count = Arc::clone(&relay.count);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                count.fetch_add(1, Ordering::Relaxed);
                let (message, back) = (buffer[..length].to_vec(), Arc::clone(&socket));
                // A client that went away is told nothing.
                thread::spawn(move || drop(hand_on(&message, server, from, &back)));
            }
        });
        relay
    }

    /// How many came.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

fn hand_on(message: &[u8], server: u16, from: SocketAddr, back: &UdpSocket) -> std::io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_read_timeout(Some(Duration::from_secs(15)))?;
    socket.send_to(message, (Ipv4Addr::LOCALHOST, server))?;
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer)?;
    back.send_to(&buffer[..length], from).map(drop)
}
