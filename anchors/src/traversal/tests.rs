//! A thousand worlds against a plain model, and single ways by hand.

mod model;
mod world;

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use self::model::allowed;
pub(super) use self::world::index_with_services;
use self::world::{Fate, World};
use super::*;
use crate::clock::Time;
use crate::outcome::Outcome;

/// Topologies of each kind.
const WORLDS: u64 = 1_000;

/// What a way led to, for comparing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Found {
    /// Over these scopes, with this outcome; the answer is the owner's own.
    Ended(Vec<usize>, Outcome),
    Nothing,
}

fn seed_of(world: u64) -> u64 {
    0x5ca1_ab1e ^ (world << 20)
}

#[test]
fn a_thousand_worlds_give_what_the_model_allows() {
    let mut kinds = [0u32; 5];
    for number in 0..WORLDS {
        let seed = seed_of(number);
        let mut chance = StdRng::seed_from_u64(seed);
        let mut world = World::random(&mut chance, false);
        let (from, to) = world.random_pair(&mut chance);
        let found = world.ask(from, to, &mut chance);
        let model = allowed(&world, from, to);
        // Nothing is lost or forged here: exactly the first way of the model.
        match (&found, model.first()) {
            (Found::Ended(path, outcome), Some((way, expected))) => {
                assert_eq!((path, outcome), (way, expected), "seed {seed:#x}");
                kinds[*outcome as usize] += 1;
            }
            (Found::Nothing, None) => kinds[4] += 1,
            other => panic!("seed {seed:#x}: {other:?}"),
        }
    }
    assert!(kinds.iter().all(|count| *count > 20), "all five came up: {kinds:?}");
}

#[test]
fn a_thousand_hostile_worlds_give_nothing_else() {
    let (mut answered, mut hindered) = (0, 0);
    for number in 0..WORLDS {
        let seed = seed_of(number) + 1;
        let mut chance = StdRng::seed_from_u64(seed);
        let mut world = World::random(&mut chance, true);
        let (from, to) = world.random_pair(&mut chance);
        for _ in 0..2 {
            let model = allowed(&world, from, to);
            match world.ask(from, to, &mut chance) {
                // A way that the model does not know, a milder outcome or another answer would be wrong.
                Found::Ended(path, outcome) => {
                    let known = model.iter().find(|(way, _)| *way == path);
                    let (_, expected) = known
                        .unwrap_or_else(|| panic!("seed {seed:#x}: {path:?} is not in {model:?}"));
                    assert_eq!(outcome, *expected, "seed {seed:#x}");
                    answered += 1;
                }
                Found::Nothing if model.is_empty() => {}
                Found::Nothing => hindered += 1,
            }
        }
    }
    assert!(answered > 300 && hindered > 100, "{answered} answered, {hindered} hindered");
}

/// What a single disturbance of the way from the first scope over the second to the third does.
#[test]
fn no_disturbance_makes_a_wrong_answer() {
    let cases = [
        (Fate::Fine, true),
        (Fate::Lost, false),
        (Fate::Slow, false),
        (Fate::ForgedAnswer, false),
        (Fate::ForgedOutcome, false),
        (Fate::ForgedKey, false),
        (Fate::ForgedQuestion, false),
        (Fate::DroppedHop, false),
        (Fate::Replayed, false),
        (Fate::Old, false),
    ];
    for (fate, answered) in cases {
        let mut chance = StdRng::seed_from_u64(7);
        let mut world = World::line(3);
        world.ask(0, 2, &mut chance);
        world.set_fate(1, 2, fate);
        let found = world.ask(0, 2, &mut chance);
        let expected = Found::Ended(vec![0, 1, 2], Outcome::Resolve);
        assert_eq!(found == expected, answered, "{fate:?}: {found:?}");
    }
}

#[test]
fn a_lost_way_is_tried_over_another() {
    let mut chance = StdRng::seed_from_u64(1);
    let mut world = World::line(3);
    world.join(0, 3);
    world.join(3, 2);
    world.settle();
    world.set_fate(0, 1, Fate::ForgedAnswer);
    assert_eq!(world.ask(0, 2, &mut chance), Found::Ended(vec![0, 3, 2], Outcome::Resolve));
}

#[test]
fn a_way_has_at_most_so_many_hops() {
    let mut chance = StdRng::seed_from_u64(1);
    let mut world = World::line(HOPS_MAX + 1);
    let far: Vec<usize> = (0..HOPS_MAX).collect();
    assert_eq!(world.ask(0, HOPS_MAX - 1, &mut chance), Found::Ended(far, Outcome::Resolve));
    assert_eq!(world.ask(0, HOPS_MAX, &mut chance), Found::Nothing);
}

#[test]
fn a_question_is_answered_once() {
    let mut seen = Seen::default();
    let at = |seconds: u64| Time(seconds * 1_000_000_000);
    assert!(seen.is_first("a", at(0)) && seen.is_first("b", at(1)));
    assert!(!seen.is_first("a", at(2)));
    assert!(seen.is_first("a", at(3600)), "its signature counts no more");
}

#[test]
fn a_question_that_others_sign_is_refused() {
    let mut chance = StdRng::seed_from_u64(2);
    let world = World::line(3);
    for (ask, expected) in world.bad_requests(&mut chance) {
        assert_eq!(world.receive(0, 1, ask).err(), Some(expected));
    }
    let good = world.good_request(&mut chance);
    assert_eq!(world.receive(0, 1, good.clone()).unwrap().visited().count(), 1);
    assert!(world.receive(2, 1, good).is_err(), "another peer brings it");
}

#[test]
fn a_loop_of_three_ends() {
    let mut chance = StdRng::seed_from_u64(3);
    let mut world = World::line(4);
    world.join(2, 0);
    world.settle();
    // Each says that the next one of the ring leads to the fourth, which nobody reaches.
    world.part(2, 3);
    for (at, next) in [(0, 1), (1, 2), (2, 0)] {
        world.lie(at, next, 3);
    }
    assert_eq!(world.ask(0, 3, &mut chance), Found::Nothing);
    assert!(world.carried() <= 3, "each was asked once");
}

#[test]
fn a_fragment_is_the_rows_that_may_be_seen() {
    use crate::acl::Authority;
    use crate::acl::rules::Rules;
    use crate::query::Query;
    let index = index_with_services();
    let query = Query::Health("web".into());
    let whole = Fragment::of(&index, &query, &Authority::open(), true);
    assert!(!whole.filtered && whole.index == index.index_of(&query));
    let again = Fragment::parse(&whole.to_bytes().unwrap()).unwrap().restore().unwrap();
    let (theirs, ours) = (index.service("web").unwrap(), again.service("web").unwrap());
    assert_eq!((ours.instances.len(), ours.index), (theirs.instances.len(), theirs.index));
    for row in again.row_ids() {
        if row != crate::index::RowId::Marks {
            assert_eq!(again.row(&row), index.row(&row), "{row:?}");
        }
    }
    assert!(again.service("db").is_none(), "the other service stays at home");
    let rules = Rules::parse("node_prefix \"\" { policy = \"read\" }").unwrap();
    let nothing = Fragment::of(&index, &query, &Authority::of_rules([&rules]), true);
    assert!(nothing.filtered && nothing.restore().unwrap().service("web").is_none());
}

#[test]
fn what_holds_secrets_does_not_travel() {
    use crate::query::Query;
    use crate::record::TableId;
    for (query, travels) in [
        (Query::Health("web".into()), true),
        (Query::Table(TableId::Token), false),
        (Query::Sessions, false),
        (Query::Several(vec![Query::Nodes, Query::CaRoots]), false),
    ] {
        assert_eq!(Subject::Read(query.clone()).travels(), travels, "{query:?}");
    }
}

fn random_outcome(chance: &mut StdRng) -> Outcome {
    match chance.random_range(0..10) {
        0 => Outcome::Defer,
        1 => Outcome::Refuse,
        2 | 3 => Outcome::Attest,
        _ => Outcome::Resolve,
    }
}

const PATIENCE: Duration = Duration::from_secs(10);
