//! What is told about each query: a line in the log, and Consul's timers.

use std::net::IpAddr;
use std::time::Instant;

use crate::question::{Place, Question};
use crate::record::Kind;
use crate::settings::Settings;
use crate::shape::Transport;

/// A query that is being answered.
pub(super) struct Watch {
    since: Instant,
}

// === impl Watch ===

impl Watch {
    pub(super) fn start() -> Self {
        Self { since: Instant::now() }
    }

    /// Tells that it was answered. What was refused as none of our business is not counted, as in Consul.
    pub(super) fn served(
        &self,
        settings: &Settings,
        place: &Place,
        question: &Question,
        transport: Transport,
        from: Option<IpAddr>,
    ) {
        let timer = match place {
            Place::Foreign => return,
            Place::Reverse => "consul.dns.ptr_query",
            Place::Ask { .. } | Place::Malformed => "consul.dns.domain_query",
        };
        let latency = self.since.elapsed();
        let millis = latency.as_secs_f64() * 1000.0;
        let node = settings.node_name.to_string();
        let kind = if *place == Place::Reverse { Kind::PTR } else { question.kind };
        metrics::histogram!(timer, "node" => node.clone()).record(millis);
        metrics::histogram!("consul.dns.query", "node" => node, "type" => kind.label())
            .record(millis);
        tracing::debug!(
            name = %question.name,
            kind = %question.kind,
            class = question.class,
            ?latency,
            ?transport,
            client = from.map(tracing::field::display),
            "request served from client"
        );
    }
}
