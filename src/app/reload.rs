//! What a reload does: reads the sources again and hands on what may change while the program runs.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use arc_swap::ArcSwap;
use proconsul_anchors::acl::AgentTokens;
use proconsul_anchors::agent::Agent;
use proconsul_anchors::handle::Handle;
use proconsul_anchors::node::definition::ServiceDefinition;
use proconsul_compat::{Api, Certificates, Identity, Settings};
use tracing::{info, warn};

use super::elsewhere::{Known, Upstreams};
use super::{acl, govern, settings, tls};
use crate::config::{CheckEntry, Config, Host, Sources};
use crate::probes::Trust;
use crate::telemetry::{Telemetry, level};

/// The parts that a reload reaches.
pub(super) struct Reload {
    pub(super) sources: Sources,
    pub(super) current: Mutex<Config>,
    pub(super) dns: Arc<ArcSwap<proconsul_dns::Settings>>,
    pub(super) upstreams: Upstreams,
    /// The API, once it is there. It asks for reloads: neither keeps the other.
    pub(super) api: OnceLock<Weak<Api>>,
    /// Nothing while nothing listens with TLS.
    pub(super) certificates: Option<Certificates>,
    /// Nothing while DNS is spoken plainly only.
    pub(super) dns_certificates: Option<Arc<proconsul_dns::Certificates>>,
    pub(super) trust: Arc<ArcSwap<Trust>>,
    pub(super) agent: Agent,
    pub(super) tokens: AgentTokens,
    pub(super) node_id: String,
    pub(super) telemetry: Telemetry,
    pub(super) handle: Handle,
}

// === impl Reload ===

impl Reload {
    /// From here on the API gets what is reloaded, too.
    pub(super) fn reach(&self, api: &Arc<Api>) {
        // There is one API, and this is called once.
        let _again = self.api.set(Arc::downgrade(api));
    }

    /// The files and folders whose change may change the configuration.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let tls = &self.current.lock().unwrap_or_else(PoisonError::into_inner).tls;
        let own = [&tls.https, &tls.dns, &tls.internal_rpc, &tls.grpc]
            .into_iter()
            .flat_map(|part| [&part.cert_file, &part.key_file])
            .filter(|path| !path.is_empty())
            .map(PathBuf::from);
        self.sources.paths.iter().cloned().chain(own).collect()
    }

    /// Reads the configuration again; done when services and checks are registered anew. Nothing changes when it is
    /// not taken; when only its services or checks are not, those stay as they were.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) async fn again(&self) -> Result<(), String> {
        let (services, checks) = self.take()?;
        let governed = {
            let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            current.governed.clone()
        };
        let settled = govern::settle(&self.handle, &governed).await;
        settled.map_err(|error| format!("Failed reloading scopes: {error}"))?;
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
        let mut dns = settings::dns(&next)?;
        // The zones that are published stay so.
        dns.images = Arc::clone(&self.dns.load().images);
        let http = settings::http(&next, &self.node_id)?;
        let metrics_proxy = settings::metrics_proxy(&loaded.config)?;
        let debug_config = loaded.config.debug_view(&self.node_id).to_string();
        let material = tls::load(&next)
            .map_err(|fault| format!("Failed reloading tls configuration: {fault}"))?;
        let definitions = definitions_of(&next);
        self.dns.store(Arc::new(dns));
        self.upstreams.settle(Known::of(&next, &self.dns)?);
        self.trust.store(material.checks);
        if let (Some(certificates), Some(https)) = (&self.certificates, material.https) {
            certificates.store(https);
        }
        if let (Some(certificates), Some(dns)) = (&self.dns_certificates, material.dns) {
            certificates.store(&dns).map_err(|error| format!("tls.dns: {error}"))?;
        }
        if let Some(api) = self.api.get().and_then(Weak::upgrade) {
            // What the files say now is shown, also where it counts after a restart only: as Consul shows it.
            let identity = Identity { debug_config: debug_config.into(), ..http.identity };
            api.settle(Settings { identity, metrics_proxy, ..http });
        }
        self.telemetry.set_level(level(&next.log.level));
        self.telemetry.set_naming(settings::naming(&next));
        acl::reload(&next, &self.tokens);
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
