//! What is registered on one node, by lower-case id: a slice while it is little, a tree when it is much.
//!
//! Most nodes have a handful of services and checks, and there are many nodes: a tree's smallest piece would cost each
//! of them eight hundred bytes. But a node may also stand for a whole cluster, with thousands of services.

use std::sync::Arc;

use imbl::OrdMap;

use crate::name::Caseless;

/// As many are copied for each that comes or goes; beyond it a tree is cheaper.
const FEW_MAX: usize = 32;

/// The instances or the checks of a node. Clones share.
#[derive(Clone, Debug)]
pub struct Roster<V>(Shape<V>);

#[derive(Clone, Debug)]
enum Shape<V> {
    /// Invariant: in the order of the keys, each once.
    Few(Arc<[Arc<V>]>),
    Many(OrdMap<Arc<str>, Arc<V>>),
}

/// A row that has its id on the node in it.
pub trait Listed {
    /// The id.
    fn id(&self) -> &Caseless;
}

impl<V> Default for Roster<V> {
    fn default() -> Self {
        Self(Shape::Few(Arc::default()))
    }
}

// === impl Roster ===

impl<V: Listed> Roster<V> {
    /// The row of a lower-case id.
    pub fn get(&self, key: &str) -> Option<&Arc<V>> {
        match &self.0 {
            Shape::Few(rows) => rows.get(place(rows, key).ok()?),
            Shape::Many(rows) => rows.get(key),
        }
    }

    /// Whether there is a row of a lower-case id.
    pub fn contains_key(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            Shape::Few(rows) => rows.is_empty(),
            Shape::Many(rows) => rows.is_empty(),
        }
    }

    /// All rows, by lower-case id.
    pub fn values(&self) -> impl Iterator<Item = &Arc<V>> {
        let (few, many) = match &self.0 {
            Shape::Few(rows) => (Some(rows.iter()), None),
            Shape::Many(rows) => (None, Some(rows.values())),
        };
        few.into_iter().flatten().chain(many.into_iter().flatten())
    }

    /// All lower-case ids, in order.
    pub fn keys(&self) -> impl Iterator<Item = Arc<str>> {
        self.values().map(|row| row.id().shared_key())
    }

    /// Puts a row in, in place of the one of the same id.
    pub(super) fn insert(&mut self, row: Arc<V>) {
        match &mut self.0 {
            Shape::Many(rows) => drop(rows.insert(row.id().shared_key(), row)),
            Shape::Few(rows) => {
                let (before, after) = match place(rows, row.id().key()) {
                    Ok(at) => (&rows[..at], &rows[at + 1..]),
                    Err(at) => rows.split_at(at),
                };
                let all = before.iter().cloned().chain([row]).chain(after.iter().cloned());
                self.0 = if rows.len() < FEW_MAX {
                    Shape::Few(all.collect())
                } else {
                    Shape::Many(all.map(|row| (row.id().shared_key(), row)).collect())
                };
            }
        }
    }

    /// Takes the row of a lower-case id out.
    pub(super) fn remove(&mut self, key: &str) {
        match &mut self.0 {
            Shape::Many(rows) => drop(rows.remove(key)),
            Shape::Few(rows) => {
                if let Ok(at) = place(rows, key) {
                    *rows = rows[..at].iter().chain(&rows[at + 1..]).cloned().collect();
                }
            }
        }
    }
}

/// Where a row of this id is, or would be.
fn place<V: Listed>(rows: &[Arc<V>], key: &str) -> Result<usize, usize> {
    rows.binary_search_by(|row| row.id().key().cmp(key))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    struct Row(Caseless, u32);

    impl Listed for Row {
        fn id(&self) -> &Caseless {
            &self.0
        }
    }

    #[test]
    fn it_is_a_sorted_map_whether_few_or_many() {
        for ids in [5, FEW_MAX, 3 * FEW_MAX] {
            let mut rng = StdRng::seed_from_u64(ids as u64);
            let (mut roster, mut model) = (Roster::default(), BTreeMap::new());
            for number in 0..2_000 {
                let id = Caseless::from(format!("S{}", rng.random_range(0..ids)));
                if rng.random_bool(0.6) {
                    model.insert(id.key().to_owned(), number);
                    roster.insert(Arc::new(Row(id, number)));
                } else {
                    roster.remove(id.key());
                    model.remove(id.key());
                }
                assert_eq!(roster.is_empty(), model.is_empty());
            }
            let all: Vec<_> = roster.values().map(|row| (row.0.key(), row.1)).collect();
            let expected: Vec<_> = model.iter().map(|(key, number)| (&**key, *number)).collect();
            assert_eq!(all, expected);
            assert!(roster.keys().all(|key| roster.contains_key(&key)));
        }
    }
}
