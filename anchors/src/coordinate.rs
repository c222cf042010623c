//! Where nodes lie in the network: Vivaldi coordinates, as Serf has them.
//!
//! Every node has a point in a space of eight dimensions, a height above it (the link by which it is reached) and an
//! adjustment, so that the distance between two points foretells the round trip between their nodes (Dabek, Cox, Kaashoek
//! and Morris, "Vivaldi: A Decentralized Network Coordinate System", 2004; the height is of the same paper, gravity and the
//! adjustment window of Ledlie, Gardner and Seltzer, "Network Coordinates in the Wild", 2007). The parameters are Serf's.
//! All times are in seconds.

mod vivaldi;

use std::cmp::Ordering;
use std::time::Duration;

pub use self::vivaldi::{BadMeasurement, ROUND_TRIP_MAX, Vivaldi};
use crate::index::Index;
use crate::name::Caseless;
use crate::record::Coordinate;

/// The dimensions of the space.
pub const DIMENSIONS: usize = 8;
/// The least height: two nodes on one machine are that far apart.
pub const HEIGHT_MIN: f64 = 10.0e-6;
/// The error of who has not measured yet.
pub const ERROR_MAX: f64 = 1.5;

/// A point of the space with its height, error and adjustment.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Where it lies.
    pub vec: [f64; DIMENSIONS],
    /// How wrong it may be, as a part of what it foretells.
    pub error: f64,
    /// What is added to each distance from it.
    pub adjustment: f64,
    /// How high it is above the space.
    pub height: f64,
}

impl Default for Point {
    fn default() -> Self {
        Self { vec: [0.0; DIMENSIONS], error: ERROR_MAX, adjustment: 0.0, height: HEIGHT_MIN }
    }
}

/// Why a coordinate cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCoordinate {
    /// Something of it is no finite number.
    #[error("invalid coordinate")]
    NotFinite,
    /// It is of another space.
    #[error("incompatible coordinate")]
    Incompatible,
}

impl Point {
    /// How long a round trip between both takes.
    pub fn distance_to(&self, other: &Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.nanos_to(other)).unwrap_or(0))
    }

    /// The same; less than nothing where somebody tells of heights below the ground.
    #[expect(clippy::cast_possible_truncation, reason = "no round trip takes centuries")]
    fn nanos_to(&self, other: &Self) -> i64 {
        const NANOS: f64 = 1e9;
        let raw = self.raw_distance_to(other);
        let adjusted = raw + self.adjustment + other.adjustment;
        let seconds = if adjusted > 0.0 { adjusted } else { raw };
        (seconds * NANOS) as i64
    }

    fn raw_distance_to(&self, other: &Self) -> f64 {
        magnitude(&difference(&self.vec, &other.vec)) + self.height + other.height
    }

    /// Whether all of it are finite numbers.
    pub fn is_finite(&self) -> bool {
        let rest = [self.error, self.adjustment, self.height];
        self.vec.iter().chain(&rest).all(|number| number.is_finite())
    }

    /// The same as the record of a node.
    pub fn of_node(&self, node: Caseless, segment: &str) -> Coordinate {
        Coordinate {
            node,
            segment: segment.into(),
            vec: self.vec.to_vec(),
            error: self.error,
            adjustment: self.adjustment,
            height: self.height,
        }
    }
}

impl TryFrom<&Coordinate> for Point {
    type Error = BadCoordinate;

    fn try_from(record: &Coordinate) -> Result<Self, BadCoordinate> {
        let mut numbers =
            record.vec.iter().chain([&record.error, &record.adjustment, &record.height]);
        if !numbers.all(|number| number.is_finite()) {
            return Err(BadCoordinate::NotFinite);
        }
        let vec = record.vec.as_slice().try_into().map_err(|_| BadCoordinate::Incompatible)?;
        let Coordinate { error, adjustment, height, .. } = *record;
        Ok(Self { vec, error, adjustment, height })
    }
}

fn difference(a: &[f64; DIMENSIONS], b: &[f64; DIMENSIONS]) -> [f64; DIMENSIONS] {
    std::array::from_fn(|at| a[at] - b[at])
}

fn magnitude(vec: &[f64; DIMENSIONS]) -> f64 {
    vec.iter().map(|number| number * number).sum::<f64>().sqrt()
}

/// Orders what lies on nodes by their distance from one of them.
#[derive(Clone, Debug)]
pub struct Near<'a> {
    index: &'a Index,
    /// The coordinates of the node, by segment. None: then no order is better than another.
    from: Vec<(Box<str>, Point)>,
}

impl<'a> Near<'a> {
    /// Near to the node of this name; the empty name is no node's.
    pub fn of(index: &'a Index, node: &str) -> Self {
        let from = if node.is_empty() { Vec::new() } else { points(index, node) };
        Self { index, from }
    }

    /// The nearest first; those of which nothing is known last, in the order in which they stood.
    pub fn sort<T>(&self, items: &mut [T], node: impl Fn(&T) -> &str) {
        if !self.from.is_empty() {
            items.sort_by_cached_key(|item| self.distance_to(node(item)));
        }
    }

    fn distance_to(&self, node: &str) -> Far {
        let to = points(self.index, node);
        // The nodes of a segment know distances inside it alone; servers are in all of them.
        let segment = match (self.from.as_slice(), to.as_slice()) {
            ([(only, _)], _) | (_, [(only, _)]) => only,
            _ => "",
        };
        let in_segment = |points: &[(Box<str>, Point)]| {
            points.iter().find(|(of, _)| **of == *segment).map(|(_, point)| point.clone())
        };
        Far(in_segment(&self.from).zip(in_segment(&to)).map(|(a, b)| a.nanos_to(&b)))
    }
}

/// A distance; none is the greatest.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Far(Option<i64>);

impl PartialOrd for Far {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Far {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.0, other.0) {
            (Some(a), Some(b)) => a.cmp(&b),
            (a, b) => b.is_some().cmp(&a.is_some()),
        }
    }
}

/// The coordinates of a node, by segment.
fn points(index: &Index, node: &str) -> Vec<(Box<str>, Point)> {
    let all = Coordinate::key_of(&node.into(), "");
    index
        .records_under::<Coordinate>(&all)
        .filter_map(|row| Some((row.record.segment.clone(), Point::try_from(&row.record).ok()?)))
        .collect()
}

#[cfg(test)]
mod tests;
