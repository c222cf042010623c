//! Where this node lies in the network, told to the catalog as Consul's agents tell it.
//!
//! Round trips are measured between agents (`proconsul_anchors::coordinate::Vivaldi` takes them). While a node is alone it
//! lies at the origin, and tells that.

use std::time::Duration;

use proconsul_anchors::coordinate::Point;
use proconsul_anchors::handle::Handle;
use proconsul_anchors::name::Caseless;
use proconsul_anchors::record::{Coordinate, Record as _};
use proconsul_anchors::survey::{DEV_PERIOD, PERIOD, Survey};

/// A node tells where it lies after this and a random part of it (Consul's `sync_coordinate_interval_min`).
const TELL_INTERVAL: Duration = Duration::from_secs(15);

/// Who surveys, and how.
pub(crate) struct Surveyor {
    /// What was told and not written yet.
    pub(crate) survey: Survey,
    /// The door.
    pub(crate) handle: Handle,
    /// This node.
    pub(crate) node: Caseless,
    /// Whether what is told is written at once, nearly.
    pub(crate) dev: bool,
    /// Whether nodes lie anywhere at all.
    pub(crate) enabled: bool,
}

impl Surveyor {
    /// Tells and writes, for ever.
    pub(crate) async fn run(self) {
        if !self.enabled {
            return;
        }
        let period = if self.dev { DEV_PERIOD } else { PERIOD };
        tokio::join!(self.survey.run(self.handle.clone(), period), self.tell_time_and_again());
    }

    async fn tell_time_and_again(&self) {
        loop {
            let spread = TELL_INTERVAL.mul_f64(rand::random::<f64>());
            tokio::time::sleep(TELL_INTERVAL + spread).await;
            self.tell();
        }
    }

    /// Consul writes also what the catalog has already; here nothing is written that says nothing new.
    fn tell(&self) {
        let own = Point::default().of_node(self.node.clone(), "");
        let index = self.handle.snapshot();
        let known = index.record::<Coordinate>(&own.key());
        if known.is_none_or(|row| row.record != own) {
            self.survey.tell(own);
        }
    }
}
