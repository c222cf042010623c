//! The whole program on one page: bind, open, wire, serve, drain.

mod acl;
mod bridges;
mod control;
mod elsewhere;
mod explain;
mod fetch;
mod files;
mod govern;
mod host;
mod recursors;
mod reload;
mod settings;
mod sockets;
mod tls;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use proconsul_anchors::agent::Agent;
use proconsul_anchors::caller::Caller;
use proconsul_anchors::change::Change;
use proconsul_anchors::clock::{Clock, Time};
use proconsul_anchors::events::Events;
use proconsul_anchors::group::GroupSettings;
use proconsul_anchors::handle::Handle;
use proconsul_anchors::record::{AnyRecord, RecordChange, Setting, When};
use proconsul_anchors::store::Store;
use proconsul_anchors::survey::Survey;
use proconsul_compat::{
    Api, Certificates, Fallback, Issuer, Logins, Remembered, Site, bootstrap_entries,
};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, watch};
use tracing::{error, info};

use self::control::Program;
use self::elsewhere::{Known, Upstreams};
use self::reload::Reload;
use self::sockets::{Served, Sockets};
use crate::config::{CONSUL_VERSION, Config, Sources, reason};
use crate::roles;
use crate::roles::surveyor::Surveyor;
use crate::telemetry::{LogFile, LogSettings, Rotation, Syslog, Telemetry, gauges, level, profile};
use crate::transport;

/// Open requests get as long to end when the program stops.
const DRAIN_MAX: Duration = Duration::from_millis(200);

/// The time of the machine.
pub(crate) struct SystemClock;

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
    telemetry.set_naming(settings::naming(&config));
    let upkeep = telemetry.clone().keep_small();
    let material = tls::load(&config)?;
    let certificates: Option<Certificates> = material.https.map(|https| Arc::new(https.into()));
    let dns_certificates = material
        .dns
        .map(|dns| proconsul_dns::Certificates::new(&dns).map(Arc::new))
        .transpose()
        .map_err(|error| format!("tls.dns: {error}"))?;
    let trust = Arc::new(ArcSwap::from(material.checks));
    let sockets = Sockets::bind(&config)?;
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
    let tokens = acl::tokens(&config);
    let guard = acl::settings(&config, &tokens);
    let handle = Handle::open(Arc::clone(&store), settings, guard, Arc::clone(&clock))
        .await
        .map_err(|error| error.to_string())?;
    handle.found_acl().await.map_err(|error| format!("access control: {error}"))?;
    settle_autopilot(&config, &handle).await;
    govern::settle(&handle, &config.governed).await?;
    let issuer = found_authority(&config, &handle).await?;
    let agent = open_agent(&config, &node_id, &handle, &store, clock)?;

    let (stop, stopping) = watch::channel(false);
    let anchors = settings::anchors(&config);
    let leave = Arc::new(Notify::new());
    let dns = Arc::new(ArcSwap::from_pointee(settings::dns(&config)?));
    let upstreams = Upstreams::new(Known::of(&config, &dns)?);
    let bridgers = bridges::of(&config, &handle, &dns)?;
    let http = settings::http(&config, &node_id)?;
    let (dev, auto_reload) = (config.role.dev, config.auto_reload);
    let (services, checks) = reload::definitions_of(&config);
    agent.configure(services, checks).await.map_err(|error| error.to_string())?;
    let watch_memory = config.enable_debug && !config.role.dev;
    let gauges = gauges::follow(handle.clone(), config.datacenter.clone(), CONSUL_VERSION);
    let entries = config.bootstrap_entries();
    let data_dir = config.data_dir.clone();
    let disk = config.data_dir.clone().unwrap_or_else(|| PathBuf::from("/"));
    let spool = config.data_dir.clone().unwrap_or_else(std::env::temp_dir);
    let reload = Arc::new(Reload {
        sources,
        current: Mutex::new(config),
        dns: Arc::clone(&dns),
        upstreams: upstreams.clone(),
        api: OnceLock::new(),
        certificates: certificates.clone(),
        dns_certificates: dns_certificates.clone(),
        trust: Arc::clone(&trust),
        agent: agent.clone(),
        tokens: tokens.clone(),
        node_id,
        telemetry: telemetry.clone(),
        handle: handle.clone(),
    });
    let files = auto_reload.then(|| files::Watched::of(&reload));
    let answering = proconsul_dns::Service::new(handle.clone(), Arc::clone(&dns));
    let program = Program {
        telemetry,
        handle: handle.clone(),
        agent: agent.clone(),
        reload: Arc::clone(&reload),
        dns: Arc::clone(&dns),
        answering: Arc::clone(&answering),
        leave: Arc::clone(&leave),
        server_address: http.identity.server_address(),
        spool,
        disk,
        data_dir,
    };
    let survey = Survey::default();
    let surveyor = Surveyor {
        survey: survey.clone(),
        handle: handle.clone(),
        node: (&*http.identity.node).into(),
        dev,
        enabled: http.coordinates,
    };
    let site = Site {
        handle: handle.clone(),
        agent: agent.clone(),
        remembered: Remembered::default(),
        tokens: tokens.clone(),
        settings: http,
        issuer,
        fallback: Fallback::new(upstreams),
        events: Events::default(),
        survey,
        logins: Logins::new(fetch::Web),
        control: Arc::new(program),
    };
    if let Err(reason) = bootstrap_entries(&site, &entries).await {
        error!(%reason, "a configuration entry of the configuration is not written");
    }
    let api = Api::new(site);
    reload.reach(&api);
    let (mut serving, _files) = sockets.serve(&Served {
        api: &api,
        certificates: certificates.as_ref(),
        dns_certificates: dns_certificates.as_ref(),
        dns: &answering,
        stopping: &stopping,
    });
    // Tools that start agents wait for this sentence of Consul's.
    info!("Consul agent running!");
    tokio::spawn(roles::agent::run(agent, trust, stopping.clone()));
    let sessions = handle.clone();
    tokio::spawn(async move { sessions.expire_sessions().await });
    let pruning = handle.clone();
    tokio::spawn(async move { pruning.prune_due().await });
    let governing = handle.clone();
    tokio::spawn(async move { governing.govern().await });
    let expiring = handle.clone();
    tokio::spawn(async move { expiring.expire_tokens().await });
    tokio::spawn(surveyor.run());
    for bridger in bridgers {
        tokio::spawn(bridger.run());
    }
    tokio::spawn(transport::run(handle.clone(), anchors, stopping.clone()));
    tokio::spawn(upkeep);
    if let Some(files) = files {
        tokio::spawn(files::follow(files, Arc::clone(&reload), stopping.clone()));
    }
    tokio::spawn(gauges);
    if watch_memory {
        tokio::spawn(profile::watch_memory());
    }

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

/// Writes down what autopilot is configured with, once: afterwards operators change it through the API.
async fn settle_autopilot(config: &Config, handle: &Handle) {
    let setting = Setting {
        name: proconsul_compat::AUTOPILOT_SETTING.into(),
        body: config.autopilot().to_string().into(),
    };
    let record = AnyRecord::Setting(Box::new(setting));
    let first = RecordChange::Put { record, when: When::Index(0) };
    if handle.snapshot().record::<Setting>(proconsul_compat::AUTOPILOT_SETTING).is_none()
        && let Err(error) = handle.submit(&Caller::own(), Change::Records(vec![first])).await
    {
        error!(%error, "the configuration of autopilot was not kept");
    }
}

/// The mesh's certificate authority, with a root.
async fn found_authority(config: &Config, handle: &Handle) -> Result<Issuer, String> {
    let issuer = Issuer::new(handle.clone(), settings::issuer(config)?);
    if let Err(error) = issuer.found().await {
        // As Consul: the servers start without one, and say so.
        error!(%error, "the mesh has no certificate authority");
    }
    Ok(issuer)
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
    let syslog = log.syslog.as_deref().map(Syslog::open).transpose();
    let syslog = syslog.map_err(|fault| format!("Syslog setup did not succeed: {fault}"))?;
    let settings = LogSettings { level: level(&log.level), json: log.json };
    Ok(Telemetry::start(settings, file, syslog))
}
