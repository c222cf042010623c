//! What is done to a chain once all of its nodes are there.

use std::collections::BTreeSet;

use crate::chain::compile::Compiler;
use crate::chain::node::{SPLITTER, Split};
use crate::entries::service_splitter::rounded;
use crate::text::{Verdict, quote, refuse};
use crate::wire::Share;

/// How many ways one splitter may have once the splitters below it are part of it. Each level multiplies them.
const SPLITS_MAX: usize = 10_000;

/// A step of the walk along all ways.
enum Step {
    Enter(String),
    Leave,
}

// === impl Compiler ===

impl Compiler<'_> {
    /// Refuses ways that come back to where they have been.
    pub(super) fn find_circles(&self) -> Verdict {
        let mut todo = vec![Step::Enter(self.start.clone())];
        let mut way: Vec<String> = Vec::new();
        // No way from these comes back: one look at each is enough, however many ways lead there.
        let mut cleared: BTreeSet<String> = BTreeSet::new();
        while let Some(step) = todo.pop() {
            let Step::Enter(key) = step else {
                cleared.extend(way.pop());
                continue;
            };
            if cleared.contains(&key) {
                continue;
            }
            let circular = way.contains(&key);
            way.push(key.clone());
            if circular {
                refuse!("detected circular reference: [{}]", way.join(" -> "));
            }
            todo.push(Step::Leave);
            if let Some(node) = self.nodes.get(&key) {
                todo.extend(node.next().map(|next| Step::Enter(next.to_owned())));
            }
        }
        Ok(())
    }

    /// Makes one split of a split of a split.
    pub(super) fn flatten_splits(&mut self) -> Verdict {
        loop {
            let nested = self
                .nodes
                .iter()
                .find(|(_, node)| node.splits.iter().any(|split| split.next.starts_with(SPLITTER)));
            let Some((key, node)) = nested else { return Ok(()) };
            let ways: usize = node.splits.iter().map(|split| self.ways(split)).sum();
            if ways > SPLITS_MAX {
                let service = quote(self.service);
                refuse!("discovery chain {service} splits into more than {SPLITS_MAX} ways");
            }
            let (key, splits) = (key.clone(), node.splits.clone());
            let flat = splits.into_iter().flat_map(|split| self.flattened(split)).collect();
            if let Some(node) = self.nodes.get_mut(&key) {
                node.splits = flat;
            }
        }
    }

    /// How many splits take the place of this one.
    fn ways(&self, split: &Split) -> usize {
        let below = self.nodes.get(&split.next).filter(|next| next.kind == SPLITTER);
        below.map_or(1, |below| below.splits.len())
    }

    fn flattened(&self, split: Split) -> Vec<Split> {
        let Some(below) = self.nodes.get(&split.next).filter(|next| next.kind == SPLITTER) else {
            return vec![split];
        };
        let shared = |inner: &Split| {
            let definition = match (&inner.definition, &split.definition) {
                (Some(inner), Some(outer)) => Some(Box::new(inner.below(outer))),
                (inner, outer) => inner.clone().or_else(|| outer.clone()),
            };
            let weight = rounded(Share(split.weight.0 * inner.weight.0 / 100.0));
            Split { definition, weight, next: inner.next.clone() }
        };
        below.splits.iter().map(shared).collect()
    }

    /// Drops the nodes that no way leads to.
    pub(super) fn drop_unused(&mut self) {
        let mut reached = BTreeSet::new();
        let mut todo = vec![self.start.clone()];
        while let Some(key) = todo.pop() {
            if let Some(node) = self.nodes.get(&key)
                && reached.insert(key)
            {
                todo.extend(node.next().map(str::to_owned));
            }
        }
        self.nodes.retain(|key, _| reached.contains(key));
    }
}
