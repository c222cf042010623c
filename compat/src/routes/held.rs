//! What a scope holds, on the pages of the agent: Nomad sees the checks that it registered itself as critical, with the
//! reason. Nothing of it is kept with the agent, whose services and checks are the ones that were registered.

use std::sync::Arc;

use proconsul_anchors::index::Index;
use proconsul_anchors::node::{Aggregate, LeafCheck, ServiceHealth};
use proconsul_anchors::scope::Hold;
use proconsul_anchors::service::{Check, Status};

use crate::Site;

/// The holds of the agent's own services.
pub(super) struct Holds<'a> {
    index: Arc<Index>,
    node: &'a str,
}

impl<'a> Holds<'a> {
    pub(super) fn of(site: &'a Site) -> Self {
        Self { index: site.handle.snapshot(), node: &site.settings.identity.node }
    }

    fn of_service(&self, id: &str) -> Option<&Arc<Hold>> {
        // Nearly always there is none at all.
        self.index.held().next()?;
        self.index.node(self.node)?.services.get(&id.to_lowercase())?.hold.as_ref()
    }

    /// A check as it counts.
    pub(super) fn check(&self, entry: &Arc<LeafCheck>) -> Arc<LeafCheck> {
        let hold = entry.check.service_id().and_then(|id| self.of_service(id.key()));
        let Some(hold) = hold else { return Arc::clone(entry) };
        let check = Check {
            status: Status::Critical,
            output: (*hold.text()).into(),
            ..entry.check.clone()
        };
        Arc::new(LeafCheck { check, ..LeafCheck::clone(entry) })
    }

    /// The health of a service as it counts.
    pub(super) fn health(&self, health: ServiceHealth) -> ServiceHealth {
        if self.of_service(health.service.service.id.key()).is_none() {
            return health;
        }
        let checks = health.checks.iter().map(|check| self.check(check)).collect();
        ServiceHealth { checks, status: health.status.max(Aggregate::Critical), ..health }
    }
}
