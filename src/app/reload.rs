//! What a reload does: reads the sources again and hands on what may change while the program runs.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use proconsul_anchors::agent::Agent;
use tokio::runtime::Handle as Runtime;
use tracing::{error, info, warn};

use super::{definitions, settings};
use crate::config::{Config, Host, Sources};
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
type Definitions = (
    Vec<proconsul_anchors::node::definition::ServiceDefinition>,
    Vec<(
        proconsul_anchors::node::definition::CheckDefinition,
        Option<proconsul_anchors::caller::Secret>,
    )>,
);

/// All services and checks of a configuration.
///
/// # Errors
/// The text names the one that cannot be taken.
pub(super) fn definitions_of(config: &Config) -> Result<Definitions, String> {
    let services = config.services.iter().map(definitions::service).collect::<Result<_, _>>()?;
    let checks = config.checks.iter().map(definitions::check_with_token).collect();
    Ok((services, checks))
}
