//! The program as its HTTP side sees it: what it can be told to do, and what it tells of itself.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use futures_util::stream;
use proconsul_anchors::agent::Agent;
use proconsul_anchors::handle::Handle;
use proconsul_compat::{
    Control, DnsQuestion, Explaining, Forward, Forwarding, Pieces, Profile, Profiling, Reloading,
    Stats,
};
use proconsul_dns::name::Name;
use tokio::sync::Notify;

use super::reload::Reload;
use super::{explain, fetch, host};
use crate::config::CONSUL_VERSION;
use crate::telemetry::{self, Telemetry};

/// The running program.
pub(super) struct Program {
    pub(super) telemetry: Telemetry,
    pub(super) handle: Handle,
    pub(super) agent: Agent,
    pub(super) reload: Arc<Reload>,
    /// The settings of DNS, with the zones that are published.
    pub(super) dns: Arc<ArcSwap<proconsul_dns::Settings>>,
    /// Who answers it.
    pub(super) answering: Arc<proconsul_dns::Service<Handle>>,
    pub(super) leave: Arc<Notify>,
    pub(super) server_address: String,
    /// Where files are put that are too large for memory.
    pub(super) spool: PathBuf,
    /// A place on the disk that is told of.
    pub(super) disk: PathBuf,
    /// Where this node keeps what it knows; nothing when it keeps nothing.
    pub(super) data_dir: Option<PathBuf>,
}

/// The file in the data folder that allows another bootstrap of the access control.
const BOOTSTRAP_RESET: &str = "acl-bootstrap-reset";

impl Control for Program {
    fn reload(&self) -> Reloading<'_> {
        Box::pin(self.reload.again())
    }

    fn leave(&self) {
        self.leave.notify_one();
    }

    fn metrics_json(&self) -> String {
        self.telemetry.json(SystemTime::now())
    }

    fn metrics_prometheus(&self) -> String {
        self.telemetry.prometheus()
    }

    fn metrics_stream(&self) -> Pieces {
        let telemetry = self.telemetry.clone();
        Box::pin(stream::unfold(telemetry, |telemetry| async {
            let told = telemetry.next_interval().await;
            Some((Ok(told.into()), telemetry))
        }))
    }

    fn monitor(&self, level: &str, json: bool) -> Pieces {
        let listening = self.telemetry.monitor(telemetry::level(level), json);
        Box::pin(stream::unfold(listening, |mut listening| async {
            listening.next().await.map(|line| (Ok(line), listening))
        }))
    }

    fn profile(&self, profile: Profile) -> Profiling<'_> {
        Box::pin(async move {
            match profile {
                Profile::Processor(during) => telemetry::profile::processor(during).await,
                Profile::Heap => telemetry::profile::memory().await,
                Profile::Threads => Ok(telemetry::profile::threads()),
                Profile::ThreadsText => Ok(telemetry::profile::threads_text().into_bytes()),
            }
        })
    }

    fn forward(&self, question: Forward) -> Forwarding<'_> {
        Box::pin(fetch::forward(question))
    }

    fn explain_dns(&self, question: DnsQuestion) -> Explaining<'_> {
        Box::pin(explain::explain(&self.answering, question))
    }

    fn zone_file(&self, zone: &str) -> Option<String> {
        let name = Name::parse(zone).ok()?;
        let image = self.dns.load().images.of(&name)?;
        image.zone().is(&name).then(|| image.to_string())
    }

    fn command_line(&self) -> Vec<u8> {
        fs::read("/proc/self/cmdline").unwrap_or_default()
    }

    fn spool(&self) -> io::Result<File> {
        let name = format!("proconsul-{:032x}.spool", rand::random::<u128>());
        let path = self.spool.join(name);
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        fs::remove_file(&path)?;
        Ok(file)
    }

    fn restored(&self) {
        self.agent.distrust();
    }

    fn bootstrap_reset(&self) -> u64 {
        let Some(dir) = &self.data_dir else { return 0 };
        let text = fs::read_to_string(dir.join(BOOTSTRAP_RESET)).unwrap_or_default();
        let text = text.trim_start();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        text[..digits].parse().unwrap_or(0)
    }

    fn forget_bootstrap_reset(&self) {
        let Some(file) = self.data_dir.as_ref().map(|dir| dir.join(BOOTSTRAP_RESET)) else {
            return;
        };
        match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, "the file that resets the bootstrap could not be removed");
            }
            _ => {}
        }
    }

    fn stats(&self) -> Stats {
        let (monitors, ttls) = self.agent.check_counts();
        let index = self.handle.snapshot().revision().to_string();
        let leader = self.handle.has_leader();
        let agent = [
            ("check_monitors", monitors.to_string()),
            ("check_ttls", ttls.to_string()),
            ("checks", self.agent.checks().len().to_string()),
            ("services", self.agent.services().len().to_string()),
        ];
        let build = [
            ("prerelease", ""),
            ("revision", ""),
            ("version", CONSUL_VERSION),
            ("version_metadata", ""),
        ];
        let consul = [
            ("acl", "disabled".to_owned()),
            ("bootstrap", "true".to_owned()),
            ("known_datacenters", "1".to_owned()),
            ("leader", leader.to_string()),
            ("leader_addr", if leader { self.server_address.clone() } else { String::new() }),
            ("server", "true".to_owned()),
        ];
        let raft = [
            ("applied_index", index.clone()),
            ("commit_index", index.clone()),
            ("last_log_index", index),
            ("num_peers", "0".to_owned()),
            ("state", if leader { "Leader" } else { "Follower" }.to_owned()),
        ];
        let runtime = [
            ("arch", std::env::consts::ARCH.to_owned()),
            ("cpu_count", std::thread::available_parallelism().map_or(1, usize::from).to_string()),
            ("os", std::env::consts::OS.to_owned()),
        ];
        let serf = [("failed", "0"), ("left", "0"), ("members", "1")];
        BTreeMap::from([
            ("agent".to_owned(), pairs(agent)),
            ("build".to_owned(), pairs(build)),
            ("consul".to_owned(), pairs(consul)),
            ("raft".to_owned(), pairs(raft)),
            ("runtime".to_owned(), pairs(runtime)),
            ("serf_lan".to_owned(), pairs(serf)),
            ("serf_wan".to_owned(), pairs(serf)),
        ])
    }

    fn host_json(&self) -> String {
        host::json(&self.disk)
    }
}

fn pairs<T: Into<String>, const N: usize>(pairs: [(&str, T); N]) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect()
}
