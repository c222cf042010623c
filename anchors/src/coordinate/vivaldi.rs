//! How a node's point moves when a round trip to another node was measured.

use std::collections::HashMap;
use std::time::Duration;

use rand::{Rng as _, RngCore};

use super::{DIMENSIONS, ERROR_MAX, HEIGHT_MIN, Point, difference, magnitude};

/// The most that one measurement says about the error.
const ERROR_WEIGHT: f64 = 0.25;
/// The most that one measurement moves the point.
const MOVE_WEIGHT: f64 = 0.25;
/// Measurements from which the adjustment is taken.
const ADJUSTMENT_WINDOW: usize = 20;
/// Measurements of one node whose median counts.
const MEDIAN_WINDOW: usize = 3;
/// How weakly points are drawn to the origin: so many seconds away, the pull is a second.
const GRAVITY_RHO: f64 = 150.0;
/// Smaller numbers count as this.
const NEARLY_ZERO: f64 = 1.0e-6;
/// A longer round trip says nothing about where a node lies.
pub const ROUND_TRIP_MAX: Duration = Duration::from_secs(10);

/// A node's own point, and what it remembers of its measurements.
#[derive(Clone, Debug)]
pub struct Vivaldi {
    point: Point,
    adjustments: [f64; ADJUSTMENT_WINDOW],
    adjusted: usize,
    /// The latest measurements of each node, in seconds.
    latest: HashMap<Box<str>, Vec<f64>>,
}

/// A measurement that says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMeasurement {
    /// The other node's point is none.
    #[error("the other node's coordinate has numbers that are not finite")]
    NotFinite,
    /// It took too long.
    #[error("a round trip of more than {ROUND_TRIP_MAX:?} says nothing")]
    TooLong,
}

impl Default for Vivaldi {
    fn default() -> Self {
        Self {
            point: Point::default(),
            adjustments: [0.0; ADJUSTMENT_WINDOW],
            adjusted: 0,
            latest: HashMap::new(),
        }
    }
}

impl Vivaldi {
    /// Where the node lies now.
    pub fn point(&self) -> &Point {
        &self.point
    }

    /// Takes a measured round trip to another node, and moves. Chance gives a direction to who lies on the other's place.
    ///
    /// # Errors
    /// [`BadMeasurement`]: nothing has changed.
    pub fn observe(
        &mut self,
        node: &str,
        other: &Point,
        round_trip: Duration,
        chance: &mut dyn RngCore,
    ) -> Result<&Point, BadMeasurement> {
        if !other.is_finite() {
            return Err(BadMeasurement::NotFinite);
        }
        if round_trip > ROUND_TRIP_MAX {
            return Err(BadMeasurement::TooLong);
        }
        let seconds = self.median(node, round_trip.as_secs_f64());
        self.approach(other, seconds, chance);
        self.adjust(other, seconds);
        self.fall(chance);
        if !self.point.is_finite() {
            self.point = Point::default();
        }
        Ok(&self.point)
    }

    /// Forgets what was measured of a node that is gone.
    pub fn forget(&mut self, node: &str) {
        self.latest.remove(node);
    }

    /// The median of the latest measurements of a node: one that was late moves nothing.
    fn median(&mut self, node: &str, seconds: f64) -> f64 {
        let latest = self.latest.entry(node.into()).or_default();
        latest.push(seconds);
        if latest.len() > MEDIAN_WINDOW {
            latest.remove(0);
        }
        let mut sorted = latest.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    }

    fn approach(&mut self, other: &Point, seconds: f64, chance: &mut dyn RngCore) {
        let distance = self.point.distance_to(other).as_secs_f64();
        let seconds = seconds.max(NEARLY_ZERO);
        let wrongness = (distance - seconds).abs() / seconds;
        let weight = self.point.error / (self.point.error + other.error).max(NEARLY_ZERO);
        let told = ERROR_WEIGHT * weight;
        self.point.error = (told * wrongness + self.point.error * (1.0 - told)).min(ERROR_MAX);
        let force = MOVE_WEIGHT * weight * (seconds - distance);
        self.point = pushed(&self.point, force, other, chance);
    }

    fn adjust(&mut self, other: &Point, seconds: f64) {
        let off = seconds - self.point.raw_distance_to(other);
        self.adjustments[self.adjusted % ADJUSTMENT_WINDOW] = off;
        self.adjusted = (self.adjusted + 1) % ADJUSTMENT_WINDOW;
        let sum: f64 = self.adjustments.iter().sum();
        self.point.adjustment = sum / (2.0 * ADJUSTMENT_WINDOW as f64);
    }

    /// Gravity keeps all points together from drifting away.
    fn fall(&mut self, chance: &mut dyn RngCore) {
        let origin = Point::default();
        let distance = origin.distance_to(&self.point).as_secs_f64();
        let force = -(distance / GRAVITY_RHO).powi(2);
        self.point = pushed(&self.point, force, &origin, chance);
    }
}

/// A point after a force from another one's direction.
fn pushed(point: &Point, force: f64, other: &Point, chance: &mut dyn RngCore) -> Point {
    let mut pushed = point.clone();
    let (unit, far) = direction(&point.vec, &other.vec, chance);
    for (coordinate, part) in pushed.vec.iter_mut().zip(unit) {
        *coordinate += part * force;
    }
    if far > NEARLY_ZERO {
        let height = (point.height + other.height) * force / far + point.height;
        pushed.height = height.max(HEIGHT_MIN);
    }
    pushed
}

/// The direction from one place to another, and how far they are apart; any direction where they are not.
fn direction(
    to: &[f64; DIMENSIONS],
    from: &[f64; DIMENSIONS],
    chance: &mut dyn RngCore,
) -> ([f64; DIMENSIONS], f64) {
    let vec = difference(to, from);
    let far = magnitude(&vec);
    if far > NEARLY_ZERO {
        return (vec.map(|part| part / far), far);
    }
    let any: [f64; DIMENSIONS] = std::array::from_fn(|_| chance.random::<f64>() - 0.5);
    let length = magnitude(&any);
    if length > NEARLY_ZERO {
        return (any.map(|part| part / length), 0.0);
    }
    let mut first = [0.0; DIMENSIONS];
    first[0] = 1.0;
    (first, 0.0)
}
