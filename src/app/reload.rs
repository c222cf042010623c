//! What a reload does: reads the sources again and hands on what may change while the program runs.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use proconsul_anchors::agent::Agent;
use proconsul_anchors::node::definition::ServiceDefinition;
use tokio::runtime::Handle as Runtime;
use tracing::{error, info, warn};

use super::settings;
use crate::config::{CheckEntry, Config, Host, ServiceEntry, Sources};
use crate::telemetry::{Telemetry, level};

/// The parts that a reload reaches.
pub(super) struct Reload {
    pub(super) sources: Sources,
    pub(super) current: Mutex<Config>,
    pub(super) dns: Arc<ArcSwap<proconsul_dns::Settings>>,
    pub(super) agent: Agent,
    pub(super) node_id: String,
    pub(super) telemetry: Telemetry,
    pub(super) runtime: Runtime,
}

// === impl Reload ===

impl Reload {
    /// Reads the configuration again. Nothing changes when it is not taken.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn again(&self) -> Result<(), String> {
        let loaded = Config::load(&self.sources, &Host::ask())?;
        for warning in &loaded.warnings {
            warn!("{warning}");
        }
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        for key in current.waiting_for_restart(&loaded.config) {
            warn!(key, "changed, and read at a start only");
        }
        let next = current.reloaded(&loaded.config);
        let dns = settings::dns(&next)?;
        let (services, checks) = definitions_of(&next)?;
        self.dns.store(Arc::new(dns));
        self.telemetry.set_level(level(&next.log.level));
        self.agent.settle(settings::leaf(&next, &self.node_id));
        let agent = self.agent.clone();
        self.runtime.spawn(async move {
            match agent.configure(services, checks).await {
                Ok(()) => info!("configuration reloaded"),
                Err(error) => {
                    error!(%error, "services and checks of the configuration were not taken")
                }
            }
        });
        *current = next;
        Ok(())
    }
}

/// Services and checks as the leaf takes them.
type Definitions = (Vec<ServiceDefinition>, Vec<CheckEntry>);

/// All services and checks of a configuration.
///
/// # Errors
/// The text names the one that cannot be taken.
pub(super) fn definitions_of(config: &Config) -> Result<Definitions, String> {
    let services = config.services.iter().map(served).collect::<Result<_, _>>()?;
    Ok((services, config.checks.clone()))
}

fn served(entry: &ServiceEntry) -> Result<ServiceDefinition, String> {
    let service = entry.service();
    if entry.proxy.is_some() || entry.connect.is_some() || !service.kind().is_empty() {
        return Err(format!(
            "service {:?}: kind, proxy and connect are not supported yet (Connect); remove them",
            service.name.as_str()
        ));
    }
    Ok(entry.definition.clone())
}
