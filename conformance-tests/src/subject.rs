//! The program under test: started with a configuration of its own on free ports, asked until it is ready, ended in any case.

use std::{
    env, fs,
    io::Read,
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU16, AtomicU32, Ordering},
    time::Duration,
};

use crate::{
    http::{Answer, Client},
    json::Json,
    wait::until,
};

/// A real Consul on disk needs 1.5 s to its first leader on an idle machine; builds beside it make it slow.
const READY_MAX: Duration = Duration::from_secs(60);
/// The first full sync comes within three seconds of the leader.
const SETTLE_MAX: Duration = Duration::from_secs(5);
/// How long a signalled program may take to go.
const STOP_MAX: Duration = Duration::from_secs(15);
/// The name and id of every subject's own node, so that answers of two programs can be compared.
pub const NODE: &str = "node1";
const NODE_ID: &str = "11111111-2222-3333-4444-555555555555";

/// Which of the two programs a subject is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// This project's program.
    Proconsul,
    /// HashiCorp's.
    Consul,
}

impl Kind {
    /// What `CONFORMANCE_SUBJECT` says; proconsul when it says nothing.
    ///
    /// # Panics
    /// When it names neither program.
    #[must_use]
    pub fn from_env() -> Self {
        match env::var("CONFORMANCE_SUBJECT").as_deref() {
            Ok("consul") => Self::Consul,
            Ok("proconsul") | Err(_) => Self::Proconsul,
            Ok(other) => panic!("CONFORMANCE_SUBJECT is {other:?}; proconsul and consul are known"),
        }
    }

    /// Where the program lies: `CONFORMANCE_PROCONSUL` or `CONFORMANCE_CONSUL`; proconsul otherwise in the build folder.
    ///
    /// # Panics
    /// With what to do, when there is no such file.
    #[must_use]
    pub fn binary(self) -> PathBuf {
        let found = match self {
            Self::Consul => env::var_os("CONFORMANCE_CONSUL").map(PathBuf::from),
            Self::Proconsul => {
                env::var_os("CONFORMANCE_PROCONSUL").map(PathBuf::from).or_else(built)
            }
        };
        match (found, self) {
            (Some(path), _) if path.is_file() => path,
            (Some(path), _) => panic!("no program at {}", path.display()),
            (None, Self::Consul) => panic!(
                "set CONFORMANCE_CONSUL to a Consul 1.22.7 (conformance-tests/peers/build makes one)"
            ),
            (None, Self::Proconsul) => panic!(
                "no proconsul to test: run `cargo build` first, or set CONFORMANCE_PROCONSUL"
            ),
        }
    }
}

/// The newer of the debug and the release build beside this test's own binary.
fn built() -> Option<PathBuf> {
    let own = env::current_exe().ok()?;
    let target = own.ancestors().find(|dir| dir.join("CACHEDIR.TAG").is_file())?;
    let builds = ["debug", "release"].map(|profile| target.join(profile).join("proconsul"));
    let age = |path: &PathBuf| fs::metadata(path).and_then(|meta| meta.modified()).ok();
    builds.into_iter().filter(|path| path.is_file()).max_by_key(age)
}

/// Where the subject keeps its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// `-dev`: all in memory.
    Dev,
    /// `-data-dir`: survives a restart.
    Disk,
}

/// The ports of one subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// HTTP
    pub http: u16,
    /// DNS, UDP and TCP
    pub dns: u16,
    /// Server to server
    pub server: u16,
    /// Gossip
    pub serf_lan: u16,
    /// Gossip between datacenters
    pub serf_wan: u16,
}

impl Ports {
    /// Five that are free now.
    #[must_use]
    pub fn free() -> Self {
        let [http, dns, server, serf_lan, serf_wan] = std::array::from_fn(|_| free_port());
        Self { http, dns, server, serf_lan, serf_wan }
    }

    /// What Consul listens on when nothing is said; recorded answers show these.
    pub const USUAL: Self =
        Self { http: 8500, dns: 8600, server: 8300, serf_lan: 8301, serf_wan: 8302 };

    /// All five in the order of their declaration.
    #[must_use]
    pub fn list(&self) -> [u16; 5] {
        [self.http, self.dns, self.server, self.serf_lan, self.serf_wan]
    }
}

/// A port that nobody listens on, from a range outside of the system's own, never twice in one process.
#[must_use]
pub fn free_port() -> u16 {
    const FIRST: u16 = 22_000;
    const COUNT: u16 = 2_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let offset = u16::try_from(std::process::id() % u32::from(COUNT)).expect("below COUNT");
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + (offset.wrapping_mul(37) % COUNT + step) % COUNT;
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, port));
        if tcp.is_ok() && udp.is_ok() {
            return port;
        }
    }
}

/// How to start a subject.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Which program.
    pub kind: Kind,
    /// In memory or on disk.
    pub mode: Mode,
    /// More configuration, a JSON object, read after the common one.
    pub config: String,
    /// What its clients show; the configuration has to know it.
    pub token: Option<String>,
}

impl Setup {
    /// The subject of the environment.
    #[must_use]
    pub fn new(mode: Mode) -> Self {
        Self { kind: Kind::from_env(), mode, config: "{}".to_owned(), token: None }
    }

    /// That program, whatever the environment says.
    #[must_use]
    pub fn of(kind: Kind, mode: Mode) -> Self {
        Self { kind, mode, config: "{}".to_owned(), token: None }
    }

    /// The same with access control: deny by default, with an initial management token.
    #[must_use]
    pub fn denying(mut self, management: &str) -> Self {
        self.config = format!(
            r#"{{"acl": {{"enabled": true, "default_policy": "deny",
  "tokens": {{"initial_management": "{management}", "agent": "{management}"}}}}}}"#
        );
        self.token = Some(management.to_owned());
        self
    }

    /// The same with more configuration.
    #[must_use]
    pub fn config(mut self, json: &str) -> Self {
        json.clone_into(&mut self.config);
        self
    }
}

/// A running program. Dropping it kills it and removes its files.
#[derive(Debug)]
pub struct Subject {
    /// How it was started.
    pub setup: Setup,
    /// Where it listens.
    pub ports: Ports,
    /// The highest index that the start itself has used: what is below differs from program to program.
    pub start_index: u64,
    folder: PathBuf,
    child: Child,
}

impl Subject {
    /// Starts it on free ports and waits until it has a leader and its own node is in the catalog.
    ///
    /// # Errors
    /// Why it did not come up, with the end of its log.
    pub fn start(setup: Setup) -> Result<Self, String> {
        Self::start_at(setup, Ports::free())
    }

    /// The same on ports that somebody knows already.
    ///
    /// # Errors
    /// The same.
    pub fn start_at(setup: Setup, ports: Ports) -> Result<Self, String> {
        let folder = new_folder();
        fs::write(folder.join("common.json"), common_config(&ports)).map_err(|e| e.to_string())?;
        fs::write(folder.join("more.json"), &setup.config).map_err(|e| e.to_string())?;
        let child = spawn(&setup, &folder)?;
        let mut subject = Self { setup, ports, start_index: 0, folder, child };
        subject.wait_ready()?;
        Ok(subject)
    }

    /// Waits until the real Consul has done the full sync that follows its start by up to three seconds: it writes what
    /// had been put off, at a moment of its own choice. Seen by a check that only such a sync takes away.
    ///
    /// # Errors
    /// When it does not answer any more.
    pub fn settle(&mut self) -> Result<(), String> {
        if self.setup.kind == Kind::Consul {
            let check = r#"{"Node": "node1", "SkipNodeUpdate": true, "Check": {"CheckID": "settle", "Name": "settle"}}"#;
            let _registered = self.ask("PUT", "/v1/catalog/register", check);
            let gone = || !self.ask("GET", "/v1/health/node/node1", "").text().contains("settle");
            // When the sync had been earlier, it comes no more.
            if until("the first full sync", SETTLE_MAX, || gone().then_some(())).is_err() {
                let _taken = self.ask(
                    "PUT",
                    "/v1/catalog/deregister",
                    r#"{"Node": "node1", "CheckID": "settle"}"#,
                );
            }
        }
        self.wait_ready()
    }

    /// The address of the HTTP listener.
    #[must_use]
    pub fn http_address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.ports.http).into()
    }

    /// The address of the DNS listener.
    #[must_use]
    pub fn dns_address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.ports.dns).into()
    }

    /// A new client.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(self.http_address()).token(self.setup.token.as_deref())
    }

    /// One question on a connection of its own.
    ///
    /// # Panics
    /// When there is no HTTP answer: the subject is gone.
    #[must_use]
    pub fn ask(&self, method: &str, target: &str, body: &str) -> Answer {
        let answer = self.client().ask(method, target, body);
        answer.unwrap_or_else(|error| {
            panic!("{method} {target}: {error}; end of the log:\n{}", self.log_end())
        })
    }

    /// The data directory (`Mode::Disk`).
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The last lines that the program wrote.
    #[must_use]
    pub fn log_end(&self) -> String {
        let mut text = String::new();
        if let Ok(mut file) = fs::File::open(self.folder.join("log")) {
            // A log that is no UTF-8 is shown as far as it is.
            let _partly = file.read_to_string(&mut text);
        }
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    /// Kills it with no chance to tidy up.
    ///
    /// # Errors
    /// What the system said.
    pub fn kill(&mut self) -> Result<(), String> {
        self.child.kill().and_then(|()| self.child.wait()).map_err(|e| e.to_string())?;
        Ok(())
    }

    /// Sends a signal by its name (`INT`, `TERM`, `HUP`).
    ///
    /// # Errors
    /// When there is no shell.
    pub fn signal(&self, name: &str) -> Result<(), String> {
        let sent =
            Command::new("sh").args(["-c", &format!("kill -{name} {}", self.pid())]).status();
        sent.map_err(|e| e.to_string())?;
        Ok(())
    }

    /// Interrupts it and waits for its end.
    ///
    /// # Errors
    /// When it does not go.
    pub fn stop(&mut self) -> Result<ExitStatus, String> {
        self.signal("INT")?;
        let child = &mut self.child;
        until("the program's end", STOP_MAX, || child.try_wait().ok().flatten())
    }

    /// Starts it again on the same ports and data.
    ///
    /// # Errors
    /// As [`Subject::start`].
    pub fn again(&mut self) -> Result<(), String> {
        self.child = spawn(&self.setup, &self.folder)?;
        self.wait_ready()
    }

    /// The arguments of a second start on the same files.
    #[must_use]
    pub fn command(&self) -> Command {
        command(&self.setup, &self.folder)
    }

    fn wait_ready(&mut self) -> Result<(), String> {
        let address = self.http_address();
        let mut client = Client::new(address).token(self.setup.token.as_deref());
        let mut gone = None;
        let waited = until("the subject's own node in the catalog", READY_MAX, || {
            gone = self.child.try_wait().ok().flatten();
            if gone.is_some() { Some(None) } else { ready(&mut client).map(Some) }
        });
        match waited {
            Ok(Some(index)) => {
                self.start_index = index;
                Ok(())
            }
            Ok(None) => Err(format!("the subject ended ({gone:?}):\n{}", self.log_end())),
            Err(vain) => Err(format!("{vain}:\n{}", self.log_end())),
        }
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        // It may have ended by itself, and a leftover folder fails no test.
        let _ended = self.kill();
        if env::var_os("CONFORMANCE_KEEP").is_none() {
            let _removed = fs::remove_dir_all(&self.folder);
        }
    }
}

/// Has a leader, has registered itself and has synced its own node: the index of all that.
fn ready(client: &mut Client) -> Option<u64> {
    let leader = client.ask("GET", "/v1/status/leader", "").ok()?;
    if leader.status != 200 || leader.body.len() <= 2 {
        return None;
    }
    let node = client.ask("GET", &format!("/v1/catalog/node/{NODE}"), "").ok()?;
    let parsed = Json::parse(&node.text())?;
    parsed.at("/Node/TaggedAddresses/lan")?;
    parsed.at("/Services/consul")?;
    let tables = ["/v1/catalog/nodes", "/v1/catalog/services", "/v1/health/state/any"];
    let indexes = tables.map(|target| client.ask("GET", target, "").ok().map(|a| a.index()));
    indexes.into_iter().collect::<Option<Vec<u64>>>()?.into_iter().max()
}

/// A folder that no other subject has.
///
/// # Panics
/// When the temporary directory cannot be written.
#[must_use]
pub fn new_folder() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    let folder = env::temp_dir().join(format!("conformance-{}-{n}", std::process::id()));
    fs::create_dir_all(&folder).expect("the temporary directory is writable");
    folder
}

fn spawn(setup: &Setup, folder: &Path) -> Result<Child, String> {
    let log = fs::File::options().create(true).append(true).open(folder.join("log"));
    let log = log.map_err(|e| e.to_string())?;
    let errors = log.try_clone().map_err(|e| e.to_string())?;
    let mut command = command(setup, folder);
    command.stdin(Stdio::null()).stdout(log).stderr(errors);
    command.spawn().map_err(|e| format!("{}: {e}", setup.kind.binary().display()))
}

fn command(setup: &Setup, folder: &Path) -> Command {
    let mut command = Command::new(setup.kind.binary());
    command.arg("agent");
    match setup.mode {
        Mode::Dev => command.arg("-dev"),
        Mode::Disk => command.args(["-server", "-bootstrap", "-data-dir"]).arg(folder.join("data")),
    };
    for file in ["common.json", "more.json"] {
        command.arg("-config-file").arg(folder.join(file));
    }
    command
}

fn common_config(ports: &Ports) -> String {
    let Ports { http, dns, server, serf_lan, serf_wan } = ports;
    format!(
        r#"{{"node_name": "{NODE}", "node_id": "{NODE_ID}", "bind_addr": "127.0.0.1", "log_level": "info",
  "disable_update_check": true, "use_streaming_backend": false, "rpc": {{"enable_streaming": false}},
  "performance": {{"raft_multiplier": 1}},
  "ports": {{"http": {http}, "dns": {dns}, "server": {server}, "serf_lan": {serf_lan}, "serf_wan": {serf_wan},
             "grpc": -1, "grpc_tls": -1}}}}
"#
    )
}
