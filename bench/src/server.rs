//! A subject as a process: started with ports and a data folder of its own, ended and cleaned up when it is dropped.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::Failure;
use crate::findings::Subject;
use crate::http::{self, Connection};
use crate::process::Process;

/// The ports that the benchmarks may use; each server gets a block of them.
const PORTS: std::ops::Range<u16> = 26000..27000;
const PORTS_EACH: usize = 10;
/// The management token of guarded servers: made up, and known to them alone.
pub(crate) const ACL_TOKEN: &str = "11111111-aaaa-bbbb-cccc-000000000000";
/// A server that does not answer by then never will.
const START_MAX: Duration = Duration::from_secs(30);
const START_PAUSE: Duration = Duration::from_millis(50);
/// As much of a log as explains why a server did not start.
const LOG_LINES_MAX: usize = 8;

/// A running server. Dropping it kills the process and removes its folder.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) subject: Subject,
    pub(crate) process: Process,
    pub(crate) http: SocketAddr,
    pub(crate) dns: SocketAddr,
    echo: bool,
    child: Child,
    folder: Folder,
}

impl Drop for Server {
    fn drop(&mut self) {
        // Neither can fail in a way that matters: the process is ours, and at worst it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// A server of the catalog, ready to take writes: Consul and proconsul get the same arguments and the same configuration.
    pub(crate) async fn catalog(
        subject: Subject,
        program: &Path,
        dir: &Path,
    ) -> Result<Self, Failure> {
        Self::configured(subject, program, dir, json!({})).await
    }

    /// The same under default-deny. Requests without a token may do everything, so that it can be seeded as any other.
    pub(crate) async fn guarded(
        subject: Subject,
        program: &Path,
        dir: &Path,
    ) -> Result<Self, Failure> {
        let tokens = json!({ "initial_management": ACL_TOKEN, "default": ACL_TOKEN });
        let acl = json!({ "enabled": true, "default_policy": "deny", "tokens": tokens });
        Self::configured(subject, program, dir, json!({ "acl": acl })).await
    }

    /// The same for a datacenter of another name, with metrics that add up.
    pub(crate) async fn of_datacenter(
        subject: Subject,
        program: &Path,
        dir: &Path,
        datacenter: &str,
    ) -> Result<Self, Failure> {
        let telemetry = json!({ "prometheus_retention_time": "1h" });
        let more = json!({ "datacenter": datacenter, "telemetry": telemetry });
        Self::configured(subject, program, dir, more).await
    }

    async fn configured(
        subject: Subject,
        program: &Path,
        dir: &Path,
        more: serde_json::Value,
    ) -> Result<Self, Failure> {
        let (folder, ports) = (Folder::create(dir)?, ports()?);
        let config = folder.path.join("config.json");
        fs::write(&config, configuration(&folder.path, ports).to_string())?;
        let further = folder.path.join("more.json");
        fs::write(&further, more.to_string())?;
        let mut command = Command::new(program);
        command.arg("agent").arg("-config-file").arg(&config);
        command.arg("-config-file").arg(&further);
        let mut server = Self::spawn(subject, command, folder, ports)?;
        server.ready(leads).await?;
        Ok(server)
    }

    /// The bare HTTP server, which answers with a recorded answer.
    pub(crate) async fn bare_http(recorded: &[u8], dir: &Path) -> Result<Self, Failure> {
        let (folder, ports) = (Folder::create(dir)?, ports()?);
        let reply = folder.path.join("reply");
        fs::write(&reply, recorded)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("limit-http").arg(&reply).arg("--address").arg(local(ports).to_string());
        let mut server = Self::spawn(Subject::Limit, command, folder, ports)?;
        server.ready(answers).await?;
        Ok(server)
    }

    /// The UDP echo, which sends back so many bytes. It needs no wait: what is sent before it listens is sent again.
    pub(crate) fn echo_udp(dir: &Path, bytes: usize) -> Result<Self, Failure> {
        let (folder, ports) = (Folder::create(dir)?, ports()?);
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("limit-udp").arg("--bytes").arg(bytes.to_string());
        command.arg("--address").arg(local(ports + 1).to_string());
        let mut echo = Self::spawn(Subject::Limit, command, folder, ports)?;
        echo.echo = true;
        Ok(echo)
    }

    /// Whether it is the loop that sends back what came.
    pub(crate) fn is_echo(&self) -> bool {
        self.echo
    }

    fn spawn(
        subject: Subject,
        mut command: Command,
        folder: Folder,
        ports: u16,
    ) -> Result<Self, Failure> {
        let log = File::create(folder.log())?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command
            .spawn()
            .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
        let process = Process::new(child.id());
        Ok(Self {
            subject,
            process,
            http: local(ports),
            dns: local(ports + 1),
            echo: false,
            child,
            folder,
        })
    }

    async fn ready(
        &mut self,
        is_ready: impl AsyncFn(SocketAddr) -> io::Result<bool>,
    ) -> Result<(), Failure> {
        let began = Instant::now();
        loop {
            if matches!(is_ready(self.http).await, Ok(true)) {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(format!(
                    "{:?} ended at its start ({status}): {}",
                    self.subject,
                    self.last_words()
                )
                .into());
            }
            if began.elapsed() > START_MAX {
                return Err(format!(
                    "{:?} is not ready after {START_MAX:?}: {}",
                    self.subject,
                    self.last_words()
                )
                .into());
            }
            tokio::time::sleep(START_PAUSE).await;
        }
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(self.folder.log()).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES_MAX)..].join("\n")
    }
}

/// Whether the server leads and has put itself into its own catalog: from then on it has nothing left to do but the work.
async fn leads(address: SocketAddr) -> io::Result<bool> {
    let mut connection = Connection::open(address).await?;
    let frame = connection.exchange(&http::get("/v1/health/service/consul")).await?;
    Ok(frame.status == 200 && connection.body(&frame).len() > "[]\n".len())
}

async fn answers(address: SocketAddr) -> io::Result<bool> {
    let frame = Connection::open(address).await?.exchange(&http::get("/")).await?;
    Ok(frame.status == 200)
}

/// One server on disk, with Consul's defaults but for the limit of connections a client, which the watchers exceed.
fn configuration(dir: &Path, ports: u16) -> serde_json::Value {
    json!({
        "node_name": "bench",
        "server": true,
        "bootstrap": true,
        "bind_addr": "127.0.0.1",
        "client_addr": "127.0.0.1",
        "data_dir": dir.join("data"),
        "log_level": "warn",
        "disable_update_check": true,
        "limits": { "http_max_conns_per_client": 10_000 },
        "ports": {
            "http": ports,
            "dns": ports + 1,
            "server": ports + 2,
            "serf_lan": ports + 3,
            "serf_wan": ports + 4,
            "grpc": -1,
            "grpc_tls": -1,
        },
    })
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// The first port of a block that nobody uses. Blocks are not handed out twice before the range is through.
fn ports() -> Result<u16, Failure> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let blocks = PORTS.len() / PORTS_EACH;
    for _ in 0..blocks {
        let block = NEXT.fetch_add(1, Ordering::Relaxed) as usize % blocks;
        let first = PORTS.start
            + u16::try_from(block * PORTS_EACH).expect("a block of the range is a port");
        if (first..first + 5).all(is_free) {
            return Ok(first);
        }
    }
    Err(format!("no free ports between {} and {}", PORTS.start, PORTS.end).into())
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(local(port)).is_ok() && UdpSocket::bind(local(port)).is_ok()
}

/// A folder that goes when it is dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
}

impl Folder {
    pub(crate) fn create(dir: &Path) -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (pid, nth) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = dir.join(format!("proconsul-bench-{pid}-{nth}"));
        fs::create_dir_all(&path)?;
        Ok(Self { path })
    }

    fn log(&self) -> PathBuf {
        self.path.join("log")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left behind lies among the temporary files.
        let _ = fs::remove_dir_all(&self.path);
    }
}
