//! The API as all listeners share it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use super::clients::{Clients, Place};
use super::gate::Gate;
use crate::Site;
use crate::settings::Settings;

/// The API, over all listeners: what answers come from, and what is counted.
pub struct Api {
    site: ArcSwap<Site>,
    gate: ArcSwap<Gate>,
    clients: Arc<Clients>,
    born: Instant,
}

// === impl Api ===

impl Api {
    /// The API of a site.
    #[must_use]
    pub fn new(site: Site) -> Arc<Self> {
        Arc::new(Self {
            gate: ArcSwap::from_pointee(Gate::new(site.settings.request_limits)),
            site: ArcSwap::from_pointee(site),
            clients: Arc::default(),
            born: Instant::now(),
        })
    }

    /// What answers come from now.
    #[must_use]
    pub fn site(&self) -> Arc<Site> {
        self.site.load_full()
    }

    /// Goes on with these settings, from the next request on; those of listeners and timeouts stay.
    pub fn settle(&self, settings: Settings) {
        if !self.gate.load().is_of(settings.request_limits) {
            self.gate.store(Arc::new(Gate::new(settings.request_limits)));
        }
        let site = self.site();
        self.site.store(Arc::new(Site { settings, ..(*site).clone() }));
    }

    /// Who is let through.
    pub(crate) fn gate(&self) -> arc_swap::Guard<Arc<Gate>> {
        self.gate.load()
    }

    /// How long it has been there.
    pub(crate) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.born)
    }

    /// A place for one more connection of a client, if he may have one.
    pub(super) fn enter(&self, client: IpAddr) -> Option<Place> {
        let max = self.site.load().settings.connections_per_client_max;
        self.clients.enter(client, max)
    }
}
