//! What a reload does: reads the sources again and hands on what may change while the program runs.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use proconsul_anchors::agent::Agent;
use proconsul_anchors::node::definition::ServiceDefinition;
use tracing::{info, warn};

use super::settings;
use crate::config::{CheckEntry, Config, Host, Sources};
use crate::telemetry::{Telemetry, level};

/// The parts that a reload reaches.
pub(super) struct Reload {
    pub(super) sources: Sources,
    pub(super) current: Mutex<Config>,
    pub(super) dns: Arc<ArcSwap<proconsul_dns::Settings>>,
    pub(super) agent: Agent,
    pub(super) node_id: String,
    pub(super) telemetry: Telemetry,
}

// === impl Reload ===

impl Reload {
    /// Reads the configuration again; done when services and checks are registered anew. Nothing changes when it is
    /// not taken; when only its services or checks are not, those stay as they were.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) async fn again(&self) -> Result<(), String> {
        let (services, checks) = self.take()?;
        let configured = self.agent.configure(services, checks).await;
        configured.map_err(|error| format!("Failed reloading services: {error}"))?;
        info!("configuration reloaded");
        Ok(())
    }

    /// Reads the sources and hands on everything but services and checks, which it returns.
    fn take(&self) -> Result<Definitions, String> {
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
        let definitions = definitions_of(&next);
        self.dns.store(Arc::new(dns));
        self.telemetry.set_level(level(&next.log.level));
        self.agent.settle(settings::leaf(&next, &self.node_id));
        *current = next;
        Ok(definitions)
    }
}

/// Services and checks as the leaf takes them.
type Definitions = (Vec<ServiceDefinition>, Vec<CheckEntry>);

/// All services and checks of a configuration.
pub(super) fn definitions_of(config: &Config) -> Definitions {
    let services = config.services.iter().map(|entry| entry.definition.clone()).collect();
    (services, config.checks.clone())
}
