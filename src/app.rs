//! The whole program on one page: bind, open, wire, serve, drain.

mod control;
mod host;
mod reload;
mod settings;

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use proconsul_anchors::acl::AgentTokens;
use proconsul_anchors::agent::Agent;
use proconsul_anchors::clock::{Clock, Time};
use proconsul_anchors::group::GroupSettings;
use proconsul_anchors::handle::Handle;
use proconsul_anchors::store::Store;
use proconsul_compat::Site;
use tokio::net::{TcpListener, UdpSocket};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tracing::{error, info};

use self::control::Program;
use self::reload::Reload;
use crate::config::{Config, Listen, Sources, reason};
use crate::roles;
use crate::telemetry::{LogFile, LogSettings, Rotation, Telemetry, level};

/// Open requests get as long to end when the program stops.
const DRAIN_MAX: Duration = Duration::from_millis(200);

/// The time of the machine.
struct SystemClock;

/// Everything that listens, bound before anything is written: a port that is taken stops the start.
struct Sockets {
    http: Vec<TcpListener>,
    dns_udp: Vec<UdpSocket>,
    dns_tcp: Vec<TcpListener>,
}

/// What the process is told from outside. Heard from the first moment: one that comes during the start waits for its end.
struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

/// Runs the agent until it is told to stop.
///
/// # Errors
/// The text tells what kept it from starting, and what to do.
pub(crate) async fn run(config: Config, sources: Sources) -> Result<(), String> {
    let mut signals = Signals::listen();
    let telemetry = start_telemetry(&config)?;
    let upkeep = telemetry.clone().keep_small();
    let sockets = Sockets::bind(&config).await?;
    let store = Arc::new(open_store(&config)?);
    let node_id = config.node.id.clone().unwrap_or_else(|| store.node_id().to_string());
    if !config.log.json {
        // Nobody has to listen to it.
        let _gone = writeln!(io::stdout(), "{}", config.banner(&node_id));
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let settings = GroupSettings {
        scope: config.datacenter.as_str().into(),
        member: config.node.name.as_str().into(),
    };
    let handle = Handle::open(Arc::clone(&store), settings, Arc::clone(&clock))
        .await
        .map_err(|error| error.to_string())?;
    let agent = open_agent(&config, &node_id, &handle, &store, clock)?;

    let (stop, stopping) = watch::channel(false);
    let leave = Arc::new(Notify::new());
    let dns = Arc::new(ArcSwap::from_pointee(settings::dns(&config)?));
    let http = settings::http(&config, &node_id)?;
    let (services, checks) = reload::definitions_of(&config);
    agent.configure(services, checks).await.map_err(|error| error.to_string())?;
    let reload = Arc::new(Reload {
        sources,
        current: Mutex::new(config),
        dns: Arc::clone(&dns),
        agent: agent.clone(),
        node_id,
        telemetry: telemetry.clone(),
    });
    let program = Program {
        telemetry,
        handle: handle.clone(),
        agent: agent.clone(),
        reload: Arc::clone(&reload),
        leave: Arc::clone(&leave),
        server_address: http.identity.server_address(),
    };
    let site = Arc::new(Site {
        handle: handle.clone(),
        agent: agent.clone(),
        tokens: AgentTokens::default(),
        settings: http,
        control: Arc::new(program),
    });
    let mut serving = sockets.serve(&site, &dns, &stopping);
    // Tools that start agents wait for this sentence of Consul's.
    info!("Consul agent running!");
    tokio::spawn(roles::agent::run(agent, stopping.clone()));
    let sessions = handle.clone();
    tokio::spawn(async move { sessions.expire_sessions().await });
    tokio::spawn(upkeep);

    signals.wait_for_the_end(&reload, &leave).await;
    stop.send_replace(true);
    let served = async { while serving.join_next().await.is_some() {} };
    let _late =
        tokio::time::timeout(DRAIN_MAX, async { tokio::join!(served, handle.stop()) }).await;
    store.close();
    Ok(())
}

fn open_store(config: &Config) -> Result<Store, String> {
    let opened = match (&config.data_dir, config.role.dev) {
        (Some(dir), false) => Store::open(dir),
        _ => Store::in_memory(),
    };
    opened.map_err(|error| error.to_string())
}

fn open_agent(
    config: &Config,
    node_id: &str,
    handle: &Handle,
    store: &Arc<Store>,
    clock: Arc<dyn Clock>,
) -> Result<Agent, String> {
    let seed = clock.now().0;
    let leaf = settings::leaf(config, node_id);
    Agent::open(leaf, seed, Arc::new(handle.clone()), Arc::clone(store) as _, clock)
        .map_err(|error| error.to_string())
}

// === impl Signals ===

impl Signals {
    fn listen() -> Self {
        let listen = |kind| signal(kind).expect("a process can listen for its signals");
        Self {
            hangup: listen(SignalKind::hangup()),
            interrupt: listen(SignalKind::interrupt()),
            terminate: listen(SignalKind::terminate()),
        }
    }

    /// Returns when the program is to end; a hang-up reads the configuration again.
    async fn wait_for_the_end(&mut self, reload: &Reload, leave: &Notify) {
        loop {
            tokio::select! {
                _ = self.hangup.recv() => {
                    if let Err(error) = reload.again().await {
                        error!(%error, "the configuration was not taken");
                    }
                }
                _ = self.interrupt.recv() => return info!("interrupted"),
                _ = self.terminate.recv() => return info!("terminated"),
                () = leave.notified() => return info!("leaving"),
            }
        }
    }
}

// === impl SystemClock ===

impl Clock for SystemClock {
    fn now(&self) -> Time {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Time(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }
}

// === impl Sockets ===

impl Sockets {
    async fn bind(config: &Config) -> Result<Self, String> {
        let mut sockets = Self { http: Vec::new(), dns_udp: Vec::new(), dns_tcp: Vec::new() };
        for place in &config.http.listen {
            match place {
                Listen::Tcp(address) => sockets.http.push(tcp("HTTP", *address).await?),
                Listen::Unix(path) => {
                    return Err(format!(
                        "addresses.http: unix://{}: Unix sockets are not supported yet; give an IP address",
                        path.display()
                    ));
                }
            }
        }
        for address in &config.dns.listen {
            sockets.dns_udp.push(
                UdpSocket::bind(address)
                    .await
                    .map_err(|error| cannot_listen("DNS", *address, &error))?,
            );
            sockets.dns_tcp.push(tcp("DNS", *address).await?);
        }
        Ok(sockets)
    }

    /// Starts a server on each; they end when the program is stopping and what was on its way has gone out.
    fn serve(
        self,
        site: &Arc<Site>,
        dns: &Arc<ArcSwap<proconsul_dns::Settings>>,
        stopping: &watch::Receiver<bool>,
    ) -> JoinSet<()> {
        let mut serving = JoinSet::new();
        for listener in self.http {
            serving.spawn(proconsul_compat::serve(listener, Arc::clone(site), stopping.clone()));
        }
        for socket in self.dns_udp {
            serving.spawn(proconsul_dns::serve_udp(
                socket,
                site.handle.clone(),
                Arc::clone(dns),
                stopping.clone(),
            ));
        }
        for listener in self.dns_tcp {
            serving.spawn(proconsul_dns::serve_tcp(
                listener,
                site.handle.clone(),
                Arc::clone(dns),
                stopping.clone(),
            ));
        }
        serving
    }
}

fn start_telemetry(config: &Config) -> Result<Telemetry, String> {
    let log = &config.log;
    let rotation = Rotation {
        bytes: u64::try_from(log.rotate_bytes).unwrap_or(0),
        age: log.rotate_after,
        files: log.rotate_max_files,
    };
    let open = |path: &Path| {
        LogFile::open(path, rotation).map_err(|error| {
            format!("Failed to setup logging: open {}: {}", path.display(), reason(&error))
        })
    };
    let file = log.file.as_deref().map(open).transpose()?;
    Ok(Telemetry::start(LogSettings { level: level(&log.level), json: log.json }, file))
}

async fn tcp(what: &str, address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| cannot_listen(what, address, &error))
}

fn cannot_listen(what: &str, address: SocketAddr, error: &io::Error) -> String {
    format!(
        "cannot listen for {what} on {address}: {error}; give another address or port, or end who holds it"
    )
}
