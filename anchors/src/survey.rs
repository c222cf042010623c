//! Coordinates that were told, until they are written: many nodes tell theirs all the time, and one write takes them all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::caller::Caller;
use crate::change::Change;
use crate::handle::Handle;
use crate::record::{AnyRecord, Coordinate, RecordChange, When};

/// Coordinates in one write (Consul's `coordinate_update_batch_size`).
pub const BATCH_MAX: usize = 128;

/// Coordinates that are kept until the next write: Consul writes as many of them and lets go of the rest.
pub const WAITING_MAX: usize = 5 * BATCH_MAX;

/// How often they are written (Consul's `coordinate_update_period`).
pub const PERIOD: Duration = Duration::from_secs(5);

/// The same with `-dev`.
pub const DEV_PERIOD: Duration = Duration::from_millis(100);

/// Coordinates that wait to be written, the latest of each node; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Survey(Arc<Mutex<HashMap<Arc<str>, Coordinate>>>);

impl Survey {
    /// Takes a node's coordinate. When too many wait, it is let go: the node will tell it again.
    pub fn tell(&self, coordinate: Coordinate) {
        let key = Coordinate::key_of(&coordinate.node, &coordinate.segment);
        let mut waiting = self.waiting();
        if waiting.len() < WAITING_MAX || waiting.contains_key(&key) {
            waiting.insert(key, coordinate);
        }
    }

    /// Writes what waits, time and again, for ever.
    pub async fn run(&self, handle: Handle, period: Duration) {
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.flush(&handle).await;
        }
    }

    /// Writes what waits. What cannot be written is let go.
    pub async fn flush(&self, handle: &Handle) {
        let waiting = std::mem::take(&mut *self.waiting());
        let puts: Vec<RecordChange> = waiting
            .into_values()
            .map(|coordinate| RecordChange::Put {
                record: AnyRecord::Coordinate(Box::new(coordinate)),
                when: When::Always,
            })
            .collect();
        for batch in puts.chunks(BATCH_MAX) {
            let change = Change::Records(batch.to_vec());
            if let Err(refusal) = handle.submit(&Caller::own(), change).await {
                tracing::warn!(%refusal, "coordinates could not be written");
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<Arc<str>, Coordinate>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinate::Point;

    #[test]
    fn the_latest_of_each_waits_and_not_too_many() {
        let survey = Survey::default();
        for nth in 0..2 * WAITING_MAX {
            survey.tell(Point::default().of_node(format!("n{nth}").into(), ""));
        }
        survey.tell(Coordinate { error: 0.5, ..Point::default().of_node("N1".into(), "") });
        let waiting = survey.waiting();
        assert_eq!(waiting.len(), WAITING_MAX);
        assert_eq!(waiting["n1\n"].error, 0.5);
    }
}
