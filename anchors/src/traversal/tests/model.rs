//! The plain model: every way from one scope to another, by walking the graph, and the strictest decision on each.

use super::super::HOPS_MAX;
use super::world::World;
use crate::outcome::Outcome;

/// All ways that an answer may have come, with their outcomes. The first is the one that is taken where nothing is lost: a
/// decision that lets nothing through ends the way, and no other is tried.
pub(super) fn allowed(world: &World, from: usize, to: usize) -> Vec<(Vec<usize>, Outcome)> {
    let mut found = Vec::new();
    let Some(first) = walked(world, from, to) else { return found };
    follow(world, vec![from], to, &mut found);
    found.sort_by_key(|(path, _)| *path != first);
    found
}

/// Every way without a scope twice, ended by the first decision that lets nothing through.
fn follow(world: &World, path: Vec<usize>, to: usize, found: &mut Vec<(Vec<usize>, Outcome)>) {
    let here = path[path.len() - 1];
    let outcome = |path: &[usize]| path.iter().map(|scope| world.decision(*scope)).max().unwrap();
    if here == to || world.decision(here) > Outcome::Attest {
        found.push((path.clone(), outcome(&path)));
        return;
    }
    if path.len() == HOPS_MAX {
        return;
    }
    for next in world.neighbours(here) {
        if !path.contains(&next) {
            let mut further = path.clone();
            further.push(next);
            follow(world, further, to, found);
        }
    }
}

/// The way that is taken where nothing is lost: each scope asks the neighbour that is nearest to the owner, the first by name
/// among equals. `None` where nobody knows a way.
fn walked(world: &World, from: usize, to: usize) -> Option<Vec<usize>> {
    let mut path = vec![from];
    while path[path.len() - 1] != to && world.decision(path[path.len() - 1]) <= Outcome::Attest {
        let here = path[path.len() - 1];
        let near = |next: &usize| distance(world, *next, to).map(|far| (far, world.name(*next)));
        let open = world.neighbours(here).into_iter().filter(|next| !path.contains(next));
        path.push(open.filter(|next| near(next).is_some()).min_by_key(near)?);
    }
    Some(path)
}

/// The shortest way between two scopes, in steps.
fn distance(world: &World, from: usize, to: usize) -> Option<usize> {
    let (mut seen, mut edge, mut steps) = (vec![from], vec![from], 0);
    while !edge.contains(&to) {
        let next: Vec<usize> = edge.iter().flat_map(|here| world.neighbours(*here)).collect();
        edge = next.into_iter().filter(|scope| !seen.contains(scope)).collect();
        if edge.is_empty() {
            return None;
        }
        seen.extend(&edge);
        steps += 1;
    }
    Some(steps)
}
