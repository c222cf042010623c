//! Which scopes can be reached, over which adjacencies, and how long ago they were heard of.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Contact, HOPS_MAX, Peer, Reached};
use crate::clock::Time;
use crate::scope::ScopePath;

/// Scopes that a neighbour may tell of at most.
const REACHED_MAX: usize = 1024;

/// What the neighbours tell.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    neighbours: BTreeMap<ScopePath, Neighbour>,
}

#[derive(Clone, Debug)]
struct Neighbour {
    peer: Peer,
    /// Whether what lies behind it may be asked over it.
    transit: bool,
    heard: Option<Time>,
    beyond: Vec<Reached>,
}

// === impl Reach ===

impl Reach {
    /// Takes these for the neighbours; what was heard of those that stay is kept.
    pub fn set(&mut self, peers: impl IntoIterator<Item = (Peer, bool)>) {
        let mut before = std::mem::take(&mut self.neighbours);
        for (peer, transit) in peers {
            let kept = before.remove(&peer.scope).filter(|kept| kept.peer.key == peer.key);
            let (heard, beyond) = kept.map_or((None, Vec::new()), |kept| (kept.heard, kept.beyond));
            self.neighbours.insert(peer.scope.clone(), Neighbour { peer, transit, heard, beyond });
        }
    }

    /// The neighbours.
    pub fn peers(&self) -> impl Iterator<Item = &Peer> {
        self.neighbours.values().map(|neighbour| &neighbour.peer)
    }

    /// Takes what a neighbour tells `me`; ways that lead back are left out.
    pub fn heard(&mut self, me: &ScopePath, from: &ScopePath, contact: Contact, now: Time) {
        if let Some(neighbour) = self.neighbours.get_mut(from) {
            neighbour.heard = Some(now);
            neighbour.beyond = contact.reaches;
            neighbour.beyond.retain(|reached| !reached.path.contains(me));
            neighbour.beyond.truncate(REACHED_MAX);
        }
    }

    /// Whom to ask for a scope of another datacenter, the shortest way first: the scope's own anchor, then whoever reaches it.
    pub fn ways(&self, target: &ScopePath) -> Vec<Peer> {
        let mut found: Vec<(usize, &Peer)> = Vec::new();
        for (scope, neighbour) in &self.neighbours {
            if scope.datacenter() == target.datacenter() {
                found.push((0, &neighbour.peer));
            } else if let Some(way) = neighbour.beyond(target) {
                found.push((way.path.len(), &neighbour.peer));
            }
        }
        found.sort_by(|(a, one), (b, other)| (a, &one.scope).cmp(&(b, &other.scope)));
        found.into_iter().map(|(_, peer)| peer.clone()).collect()
    }

    /// How long ago a scope was heard of over the way that heard of it last; nothing when none did.
    pub fn age(&self, target: &ScopePath, now: Time) -> Option<Duration> {
        let age = |(scope, neighbour): (&ScopePath, &Neighbour)| {
            let own = now.since(neighbour.heard?);
            if scope.datacenter() == target.datacenter() {
                return Some(own);
            }
            Some(own + Duration::from_millis(neighbour.beyond(target)?.age_ms))
        };
        self.neighbours.iter().filter_map(age).min()
    }

    /// What is told to the neighbours, and to whoever asks for the datacenters: each scope with its shortest way.
    pub fn told(&self, me: &ScopePath, now: Time) -> Vec<Reached> {
        let mut best: BTreeMap<ScopePath, Reached> = BTreeMap::new();
        let mut add = |reached: Reached| {
            let Some(end) = reached.path.last().cloned() else { return };
            let shorter = |kept: &Reached| reached.path.len() < kept.path.len();
            if end != *me && best.get(&end).is_none_or(shorter) {
                best.insert(end, reached);
            }
        };
        for (scope, neighbour) in &self.neighbours {
            let Some(heard) = neighbour.heard else { continue };
            let age = millis(now.since(heard));
            add(Reached { path: vec![scope.clone()], age_ms: age });
            for further in neighbour.through() {
                // One's own place, and one hop each for the asker and this neighbour.
                if further.path.len() + 2 < HOPS_MAX {
                    let path = std::iter::once(scope).chain(&further.path).cloned().collect();
                    add(Reached { path, age_ms: further.age_ms.saturating_add(age) });
                }
            }
        }
        best.into_values().collect()
    }
}

impl Neighbour {
    fn through(&self) -> &[Reached] {
        if self.transit { &self.beyond } else { &[] }
    }

    fn beyond(&self, target: &ScopePath) -> Option<&Reached> {
        let leads = |reached: &&Reached| {
            let end = reached.path.last();
            end.is_some_and(|end| end.datacenter() == target.datacenter())
        };
        self.through().iter().filter(leads).min_by_key(|reached| reached.path.len())
    }
}

fn millis(age: Duration) -> u64 {
    u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> ScopePath {
        ScopePath::parse(text).unwrap()
    }

    fn peer(scope: &str) -> Peer {
        Peer { scope: path(scope), key: "k".into(), addresses: Vec::new() }
    }

    fn reached(way: &[&str], age_ms: u64) -> Reached {
        Reached { path: way.iter().map(|scope| path(scope)).collect(), age_ms }
    }

    #[test]
    fn the_shortest_way_comes_first_and_none_leads_back() {
        let mut reach = Reach::default();
        reach.set([(peer("a"), true), (peer("b"), true), (peer("c"), false)]);
        let tell = |reach: &mut Reach, from: &str, reaches: Vec<Reached>| {
            let contact = Contact { scope: path(from), reaches };
            reach.heard(&path("me"), &path(from), contact, Time(1_000_000_000));
        };
        tell(&mut reach, "a", vec![reached(&["x", "far"], 7), reached(&["me"], 0)]);
        tell(&mut reach, "b", vec![reached(&["far"], 5), reached(&["me", "z"], 0)]);
        tell(&mut reach, "c", vec![reached(&["far"], 0)]);
        let ways = |target: &str| -> Vec<String> {
            reach.ways(&path(target)).into_iter().map(|peer| peer.scope.into()).collect()
        };
        assert_eq!(ways("far"), ["b", "a"], "c lets nobody through");
        assert_eq!(ways("far/deep"), ["b", "a"]);
        assert_eq!(ways("a"), ["a"]);
        assert!(ways("nowhere").is_empty());
        let now = Time(3_000_000_000);
        assert_eq!(reach.age(&path("far"), now), Some(Duration::from_millis(2005)));
        let told: Vec<Vec<String>> = reach
            .told(&path("me"), now)
            .into_iter()
            .map(|reached| reached.path.into_iter().map(String::from).collect())
            .collect();
        assert_eq!(told, [vec!["a"], vec!["b"], vec!["c"], vec!["b", "far"]]);
        reach.set([(peer("a"), true)]);
        assert_eq!(reach.ways(&path("far")).len(), 1, "what a told stays");
    }
}
