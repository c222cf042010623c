//! All scopes of a datacenter together: who lies under whom, whose a name is, for whom a caller speaks.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::facts::{Binding, CallerFacts};
use super::names::Delegated;
use super::{NameRange, Scope, ScopePath};
use crate::index::Index;

/// The scopes of a datacenter. What it tells follows from their records alone.
#[derive(Clone, Debug)]
pub struct Scopes {
    root: ScopePath,
    /// Without a record for the datacenter's own scope one that allows everything stands for it.
    by_path: BTreeMap<ScopePath, Place>,
    /// By depth and place.
    services: Delegated<Ranked>,
    keys: Delegated<Ranked>,
    /// The one that tells most of a caller first.
    callers: Vec<Binding>,
    /// In the order of `Ranked`.
    paths: Vec<ScopePath>,
    configured: usize,
}

/// The greater of two lies deeper.
type Ranked = (usize, usize);

#[derive(Clone, Debug)]
struct Place {
    scope: Arc<Scope>,
    /// From the datacenter's own scope down to this one.
    chain: Arc<[Arc<Scope>]>,
}

// === impl Scopes ===

impl Scopes {
    /// The scopes that an index knows, under that of the datacenter.
    pub fn of(index: &Index, root: &ScopePath) -> Self {
        Self::new(root, index.records::<Scope>().map(|row| row.record.clone()))
    }

    /// These scopes, under that of the datacenter.
    pub fn new(root: &ScopePath, scopes: impl IntoIterator<Item = Scope>) -> Self {
        let mut records: BTreeMap<ScopePath, Arc<Scope>> =
            scopes.into_iter().map(|scope| (scope.path.clone(), Arc::new(scope))).collect();
        let configured = records.len();
        records
            .entry(root.clone())
            .or_insert_with(|| Arc::new(Scope { path: root.clone(), ..Scope::default() }));
        let paths: Vec<ScopePath> = records.keys().cloned().collect();
        let ranked = || records.values().enumerate().map(|(at, s)| (s, (s.path.depth(), at)));
        let services =
            ranked().flat_map(|(s, rank)| s.services.iter().cloned().map(move |r| (r, rank)));
        let keys = ranked().flat_map(|(s, rank)| {
            s.keys.iter().map(move |prefix| (NameRange::Prefix(prefix.clone()), rank))
        });
        let (services, keys) = (Delegated::new(services), Delegated::new(keys));
        let mut callers: Vec<Binding> = records
            .values()
            .flat_map(|s| s.callers.iter().filter_map(|rule| Binding::of(rule, &s.path)))
            .collect();
        callers.sort_by_key(|binding| std::cmp::Reverse(binding.strength()));
        let by_path = places(&records);
        Self { root: root.clone(), by_path, services, keys, callers, paths, configured }
    }

    /// Whether no scope is configured: nothing but the datacenter's own is there, and that allows everything.
    pub fn is_empty(&self) -> bool {
        self.configured == 0
    }

    /// How many scopes have a record.
    pub fn len(&self) -> usize {
        self.configured
    }

    /// All paths, in order.
    pub(super) fn paths(&self) -> &[ScopePath] {
        &self.paths
    }

    /// The scope of the datacenter itself.
    pub fn root(&self) -> &ScopePath {
        &self.root
    }

    /// The scope of a path.
    pub fn get(&self, path: &ScopePath) -> Option<&Arc<Scope>> {
        self.by_path.get(path).map(|place| &place.scope)
    }

    /// From the datacenter's own scope down to this one. What is not there is left out.
    pub fn chain(&self, path: &ScopePath) -> &[Arc<Scope>] {
        let there = path.lineage().find_map(|path| self.by_path.get(&path));
        there.map_or(&[], |place| &place.chain)
    }

    /// A scope and all that lie under it, by path.
    pub fn all_under(&self, path: &ScopePath) -> impl Iterator<Item = &Arc<Scope>> {
        let path = path.clone();
        let from = self.by_path.range(path.clone()..);
        // A dash comes before a slash: others may stand between a scope and those under it.
        let near = path.clone();
        from.take_while(move |(other, _)| other.as_str().starts_with(near.as_str()))
            .filter(move |(other, _)| other.is_within(&path))
            .map(|(_, place)| &place.scope)
    }

    /// The scope that a service name is delegated to, whatever its case; nothing when it is delegated to nobody.
    pub fn owner_of_service(&self, name: &str) -> Option<&ScopePath> {
        let rank = match name.bytes().any(|b| b.is_ascii_uppercase() || !b.is_ascii()) {
            true => self.services.of(&name.to_lowercase()),
            false => self.services.of(name),
        };
        rank.map(|(_, at)| &self.paths[at])
    }

    /// The scope that a key is delegated to; nothing when it is delegated to nobody.
    pub fn owner_of_key(&self, key: &str) -> Option<&ScopePath> {
        self.keys.of(key).map(|(_, at)| &self.paths[at])
    }

    /// The scope for which a caller speaks: that of its credential, else that of the rule that tells most of it; nothing
    /// when it speaks for none.
    pub fn scope_of<'a>(&'a self, facts: &'a CallerFacts) -> Option<&'a ScopePath> {
        if let Some(credential) = &facts.credential {
            return Some(&credential.scope);
        }
        self.callers.iter().find(|binding| binding.holds(facts)).map(|binding| &binding.scope)
    }
}

fn places(records: &BTreeMap<ScopePath, Arc<Scope>>) -> BTreeMap<ScopePath, Place> {
    let chain = |scope: &Scope| {
        let mut up: Vec<Arc<Scope>> =
            scope.path.lineage().filter_map(|path| records.get(&path).cloned()).collect();
        up.reverse();
        up.into()
    };
    let place = |scope: &Arc<Scope>| Place { scope: Arc::clone(scope), chain: chain(scope) };
    records.iter().map(|(path, scope)| (path.clone(), place(scope))).collect()
}
