//! The growing edges of all lineages of a group, and the place of the next entry.

use imbl::OrdMap;
use redb::ReadTransaction;
use tlog_tiles::tlog::{EMPTY_HASH, Hash};

use super::{Edge, Grown, Log, scopes};
use crate::scope::ScopePath;
use crate::store::Fault;

/// Where an entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// In the lineage of its scope.
    pub(crate) seq: u64,
    /// Among the entries of all scopes of the group.
    pub(crate) order: u64,
}

/// All edges of a group; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Edges {
    own: Edge,
    scopes: OrdMap<ScopePath, Edge>,
    /// The entries of all of them.
    total: u64,
}

// === impl Edges ===

impl Edges {
    /// The edges that the store holds.
    pub(crate) fn load(tx: &ReadTransaction) -> Result<Self, Fault> {
        let own = Edge::load(&Log::open(tx, None)?)?;
        let mut edges = Self { total: own.size(), own, scopes: OrdMap::new() };
        for scope in scopes(tx)? {
            let edge = Edge::load(&Log::open(tx, Some(&scope))?)?;
            edges.total += edge.size();
            edges.scopes.insert(scope, edge);
        }
        Ok(edges)
    }

    /// How many entries there are in all lineages: the order of the next one.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Where the next entry of a scope stands; `None` is the datacenter's own.
    pub(crate) fn next(&self, scope: Option<&ScopePath>) -> Place {
        Place { seq: self.size(scope), order: self.total }
    }

    /// How many entries a lineage has.
    pub(crate) fn size(&self, scope: Option<&ScopePath>) -> u64 {
        match scope {
            None => self.own.size(),
            Some(path) => self.scopes.get(path).map_or(0, Edge::size),
        }
    }

    /// The root over all entries of a lineage.
    pub(crate) fn root(&self, scope: Option<&ScopePath>) -> Hash {
        match scope {
            None => self.own.root(),
            Some(path) => self.scopes.get(path).map_or(EMPTY_HASH, Edge::root),
        }
    }

    /// The scopes under the datacenter that have entries, in the order of their paths.
    pub(crate) fn scopes(&self) -> impl Iterator<Item = &ScopePath> {
        self.scopes.keys()
    }

    /// Size and root of each lineage, the datacenter's own first.
    #[cfg(test)]
    pub(crate) fn roots(&self) -> Vec<String> {
        let shown = |name: &str, edge: &Edge| format!("{name} {} {}", edge.size(), edge.root());
        let scoped = self.scopes.iter().map(|(path, edge)| shown(path.as_str(), edge));
        std::iter::once(shown("", &self.own)).chain(scoped).collect()
    }

    /// Appends a leaf to a lineage; what its tree grew by is added to `grown`.
    pub(crate) fn append(&mut self, scope: Option<&ScopePath>, leaf: &[u8], grown: &mut Grown) {
        match scope {
            None => self.own.append(leaf, grown),
            Some(path) => match self.scopes.get_mut(path) {
                Some(edge) => edge.append(leaf, grown),
                None => {
                    let mut edge = Edge::default();
                    edge.append(leaf, grown);
                    self.scopes.insert(path.clone(), edge);
                }
            },
        }
        self.total += 1;
    }
}
