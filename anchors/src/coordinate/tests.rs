use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::*;
use crate::change::{Change, Registration};
use crate::clock::Time;
use crate::index::Stamp;
use crate::record::{AnyRecord, RecordChange, When};
use crate::service::Node;

/// Nodes in a plane whose distances are round trips; everyone measures random others.
fn after_rounds(places: &[(f64, f64)], rounds: usize, seed: u64) -> Vec<Point> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut nodes: Vec<Vivaldi> = vec![Vivaldi::default(); places.len()];
    for _ in 0..rounds {
        for own in 0..nodes.len() {
            let other = rng.random_range(0..nodes.len());
            if other != own {
                let there = nodes[other].point().clone();
                let trip = round_trip(places, own, other);
                nodes[own].observe(&format!("n{other}"), &there, trip, &mut rng).unwrap();
            }
        }
    }
    nodes.iter().map(|node| node.point().clone()).collect()
}

fn round_trip(places: &[(f64, f64)], a: usize, b: usize) -> Duration {
    let ((x, y), (u, v)) = (places[a], places[b]);
    Duration::from_secs_f64(((x - u).powi(2) + (y - v).powi(2)).sqrt())
}

#[test]
fn points_come_to_foretell_the_round_trips() {
    for seed in 0..5 {
        let mut rng = StdRng::seed_from_u64(seed);
        let places: Vec<(f64, f64)> =
            (0..12).map(|_| (rng.random_range(0.0..0.2), rng.random_range(0.0..0.2))).collect();
        let points = after_rounds(&places, 2_000, seed);
        let mut errors = Vec::new();
        for a in 0..points.len() {
            for b in (0..points.len()).filter(|b| *b != a) {
                let foretold = points[a].distance_to(&points[b]).as_secs_f64();
                let is = round_trip(&places, a, b).as_secs_f64();
                errors.push((foretold - is).abs());
            }
        }
        let mean = errors.iter().sum::<f64>() / errors.len() as f64;
        assert!(mean < 0.01, "seed {seed}: off by {mean} s");
    }
}

#[test]
fn whatever_is_measured_a_point_stays_one() {
    for seed in 0..50 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut node = Vivaldi::default();
        for _ in 0..200 {
            let other = Point {
                vec: std::array::from_fn(|_| rng.random_range(-1e3..1e3)),
                error: rng.random_range(0.0..2.0),
                adjustment: rng.random_range(-1.0..1.0),
                height: rng.random_range(0.0..1.0),
            };
            let trip = Duration::from_micros(rng.random_range(0..10_000_000));
            let point = node.observe("other", &other, trip, &mut rng).unwrap();
            assert!(point.is_finite() && point.height >= HEIGHT_MIN, "seed {seed}: {point:?}");
            assert!((0.0..=ERROR_MAX).contains(&point.error), "seed {seed}: {point:?}");
            let (there, back) = (point.distance_to(&other), other.distance_to(point));
            assert!(there.abs_diff(back) <= Duration::from_nanos(1), "seed {seed}");
        }
    }
}

#[test]
fn measurements_that_say_nothing_move_nothing() {
    let mut rng = StdRng::seed_from_u64(1);
    let mut node = Vivaldi::default();
    let odd = Point { height: f64::NAN, ..Point::default() };
    assert!(node.observe("n", &odd, Duration::from_millis(1), &mut rng).is_err());
    assert!(node.observe("n", &Point::default(), Duration::from_secs(11), &mut rng).is_err());
    assert_eq!(*node.point(), Point::default());
}

#[test]
fn one_late_answer_counts_for_nothing() {
    let mut rng = StdRng::seed_from_u64(1);
    let there = Point { vec: [0.01, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], ..Point::default() };
    let mut calm = Vivaldi::default();
    for _ in 0..4 {
        calm.observe("n", &there, Duration::from_millis(10), &mut rng).unwrap();
    }
    let mut shaken = calm.clone();
    let (mut same, mut chance) = (StdRng::seed_from_u64(2), StdRng::seed_from_u64(2));
    calm.observe("n", &there, Duration::from_millis(10), &mut same).unwrap();
    shaken.observe("n", &there, Duration::from_secs(9), &mut chance).unwrap();
    assert_eq!(calm.point(), shaken.point());
}

fn told(nodes: &[(&str, Option<f64>)]) -> Index {
    let mut index = Index::new();
    let mut changes = Vec::new();
    for (name, at) in nodes {
        let node = Node { name: (*name).into(), ..Node::default() };
        let registration = Registration { node, ..Registration::default() };
        changes.push(Change::Register(Box::new(registration)));
        let Some(at) = at else { continue };
        let point = Point { vec: [*at, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], ..Point::default() };
        let record = AnyRecord::Coordinate(Box::new(point.of_node((*name).into(), "")));
        changes.push(Change::Records(vec![RecordChange::Put { record, when: When::Always }]));
    }
    for (seq, change) in (0..).zip(changes) {
        let stamp = Stamp { revision: seq + 1, seq, at: Time(0), salt: [0; 16] };
        assert_eq!(index.apply(&stamp, &change).verdict, Ok(true));
    }
    index
}

#[test]
fn the_nearest_comes_first_and_who_is_not_known_last() {
    let index =
        told(&[("A", Some(0.0)), ("b", Some(0.3)), ("c", None), ("d", Some(0.1)), ("e", None)]);
    let cases = [
        ("a", "a d b c e"),
        ("B", "b d a c e"),
        ("c", "a b c d e"),
        ("nobody", "a b c d e"),
        ("", "a b c d e"),
    ];
    for (near, order) in cases {
        let mut nodes = ["a", "b", "c", "d", "e"];
        Near::of(&index, near).sort(&mut nodes, |node| node);
        assert_eq!(nodes.join(" "), order, "near {near}");
    }
}

#[test]
fn a_coordinate_goes_with_its_node_and_is_not_kept_without() {
    let mut index = told(&[("a", Some(0.1)), ("ab", Some(0.2))]);
    let put = |name: &str| {
        let record = AnyRecord::Coordinate(Box::new(Point::default().of_node(name.into(), "")));
        Change::Records(vec![RecordChange::Put { record, when: When::Always }])
    };
    let mut apply = |change: &Change, revision| {
        let stamp = Stamp { revision, seq: revision, at: Time(0), salt: [0; 16] };
        index.apply(&stamp, change).verdict.unwrap();
        let names: Vec<_> =
            index.records::<Coordinate>().map(|row| row.record.node.to_string()).collect();
        (names.join(" "), index.table_mark(crate::record::TableId::Coordinate))
    };
    assert_eq!(apply(&put("nobody"), 10), ("a ab".to_owned(), 4));
    assert_eq!(apply(&put("a"), 11), ("a ab".to_owned(), 11), "the same again moves the table");
    let gone = Change::Deregister(crate::change::Removal::Node { node: "A".into() });
    assert_eq!(apply(&gone, 12), ("ab".to_owned(), 12));
}
