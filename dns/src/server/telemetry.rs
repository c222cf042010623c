//! What is told about each query: a line in the log, and Consul's timers.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{Histogram, histogram};

use super::Asking;
use super::kept::Counted;
use crate::question::Place;
use crate::record::Kind;

/// Consul's timers of queries, in milliseconds, with the node's name. Each is known from its first use on: a board
/// should not show what nobody asked.
pub(super) struct Timers {
    node: String,
    zone: OnceLock<Histogram>,
    reverse: OnceLock<Histogram>,
    kinds: Vec<(&'static str, OnceLock<Histogram>)>,
}

// === impl Timers ===

impl Timers {
    pub(super) fn new(node: &str) -> Self {
        Self {
            node: node.to_owned(),
            zone: OnceLock::new(),
            reverse: OnceLock::new(),
            kinds: Kind::labels().map(|label| (label, OnceLock::new())).collect(),
        }
    }

    fn zone(&self) -> &Histogram {
        self.zone.get_or_init(|| histogram!("consul.dns.domain_query", "node" => self.node.clone()))
    }

    fn reverse(&self) -> &Histogram {
        self.reverse.get_or_init(|| histogram!("consul.dns.ptr_query", "node" => self.node.clone()))
    }

    fn kind(&self, kind: Kind) -> Option<&Histogram> {
        let (label, timer) = self.kinds.iter().find(|(label, _)| *label == kind.label())?;
        Some(timer.get_or_init(
            || histogram!("consul.dns.query", "node" => self.node.clone(), "type" => *label),
        ))
    }

    /// Counts a query that was answered.
    pub(super) fn count(&self, counted: Counted, latency: Duration) {
        // Whatever was asked of an address is counted as PTR.
        let (timer, kind) =
            if counted.reverse { (self.reverse(), Kind::PTR) } else { (self.zone(), counted.kind) };
        let millis = latency.as_secs_f64() * 1000.0;
        timer.record(millis);
        if let Some(timer) = self.kind(kind) {
            timer.record(millis);
        }
    }

    /// Tells that a query was answered. What is none of our business is not counted, as in Consul.
    pub(super) fn served(&self, asking: &Asking) {
        let Asking { question, asker, place, from, since, .. } = asking;
        let latency = since.elapsed();
        if *place == Place::Foreign {
            return;
        }
        let reverse = *place == Place::Reverse;
        self.count(Counted { reverse, kind: question.kind }, latency);
        tracing::debug!(
            name = %question.name,
            kind = %question.kind,
            class = question.class,
            ?latency,
            transport = ?asker.transport,
            client = from.map(tracing::field::display),
            "request served from client"
        );
    }
}
