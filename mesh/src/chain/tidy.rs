//! What is done to a chain once all of its nodes are there.

use std::collections::BTreeSet;

use crate::chain::compile::Compiler;
use crate::chain::node::{SPLITTER, Split};
use crate::entries::service_splitter::rounded;
use crate::text::{Verdict, refuse};
use crate::wire::Share;

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
        while let Some(step) = todo.pop() {
            let Step::Enter(key) = step else {
                way.pop();
                continue;
            };
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
    pub(super) fn flatten_splits(&mut self) {
        loop {
            let nested = self
                .nodes
                .iter()
                .find(|(_, node)| node.splits.iter().any(|split| split.next.starts_with(SPLITTER)));
            let Some((key, node)) = nested else { return };
            let (key, splits) = (key.clone(), node.splits.clone());
            let flat = splits.into_iter().flat_map(|split| self.flattened(split)).collect();
            if let Some(node) = self.nodes.get_mut(&key) {
                node.splits = flat;
            }
        }
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
