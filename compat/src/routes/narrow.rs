//! Which records of a list are wanted, and in which order.

use proconsul_anchors::coordinate::Near;
use proconsul_anchors::index::{Index, Instance, NodeRow};
use proconsul_anchors::service::{Node, Tags};
use serde::Serialize;

use crate::Site;
use crate::blocking::known_datacenter;
use crate::extract::ReadOptions;
use crate::filter::{Filter, Schema};
use crate::reject::Reject;

/// What narrows a list of records.
#[derive(Debug)]
pub(crate) struct Narrow {
    node_meta: Vec<(String, String)>,
    filter: Option<Filter>,
    /// The node near to which; empty for the list's own order.
    near: Box<str>,
}

impl Narrow {
    /// Reads what narrows a list of records of this schema. Another datacenter's list is refused before its expression is read.
    pub(crate) fn of(
        site: &Site,
        options: &ReadOptions,
        schema: &'static Schema,
    ) -> Result<Self, Reject> {
        known_datacenter(site, options)?;
        let filter = match options.filter.as_str() {
            "" => None,
            expression => Some(Filter::compile(expression, schema).map_err(Reject::Filter)?),
        };
        Ok(Self {
            node_meta: options.node_meta.clone(),
            filter,
            near: options.near.as_str().into(),
        })
    }

    /// The same for a list that node meta does not narrow, and that has one order alone.
    pub(crate) fn by_filter(
        site: &Site,
        options: &ReadOptions,
        schema: &'static Schema,
    ) -> Result<Self, Reject> {
        Ok(Self { node_meta: Vec::new(), near: "".into(), ..Self::of(site, options, schema)? })
    }

    /// Whether the whole list is wanted, in its own order.
    pub(crate) fn is_open(&self) -> bool {
        self.node_meta.is_empty() && self.filter.is_none() && !self.has_order()
    }

    /// Whether another order than the list's own is wanted.
    pub(crate) fn has_order(&self) -> bool {
        !self.near.is_empty()
    }

    /// Puts what lies on nodes in the order that is wanted.
    pub(crate) fn order<T>(&self, index: &Index, items: &mut [T], node: impl Fn(&T) -> &str) {
        if self.has_order() {
            Near::of(index, &self.near).sort(items, node);
        }
    }

    /// The same for instances.
    pub(crate) fn order_instances(&self, index: &Index, items: &mut [(&NodeRow, &Instance)]) {
        self.order(index, items, |(node, _)| node.node.name.key());
    }

    /// Whether nodes are chosen by their meta.
    pub(crate) fn by_node_meta(&self) -> bool {
        !self.node_meta.is_empty()
    }

    /// Whether a node has every pair that is asked for.
    pub(crate) fn takes_node(&self, node: &Node) -> bool {
        let value = |key: &str| node.meta.as_ref().and_then(|meta| meta.get(key));
        self.node_meta
            .iter()
            .all(|(key, wanted)| value(key).is_some_and(|value| **value == **wanted))
    }

    /// Whether the expression holds for a record.
    pub(crate) fn takes<T: Serialize>(&self, record: &T) -> Result<bool, Reject> {
        let Some(filter) = &self.filter else { return Ok(true) };
        let value = serde_json::to_value(record).expect("our forms have text keys only");
        filter.matches(&value).map_err(Reject::Filter)
    }
}

/// Whether an instance has all the tags that are asked for, in any case.
pub(crate) fn has_tags(tags: &Tags, wanted: &[String]) -> bool {
    let same = |tag: &str, wanted: &str| {
        tag.eq_ignore_ascii_case(wanted) || tag.to_lowercase() == wanted.to_lowercase()
    };
    wanted.iter().all(|wanted| tags.iter().any(|tag| same(tag, wanted)))
}
