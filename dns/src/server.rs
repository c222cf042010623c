//! Bytes to bytes: the only place that knows sockets, and (in `decode`) the DNS library's types.

mod datagrams;
mod decode;

mod door;
mod tcp;
mod telemetry;
mod udp;

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use proconsul_anchors::clock::Time;
use proconsul_anchors::index::Index;
use proconsul_anchors::name::Caseless;
use proconsul_anchors::query::Query;
use rand::RngCore;

use self::decode::Incoming;
pub use self::tcp::serve_tcp;
use self::telemetry::Watch;
pub use self::udp::serve_udp;
use crate::answer::{self, Draft, View};
use crate::fallback::{Whom, whom};
use crate::limits::{DATAGRAM_BYTES_MAX, MESSAGE_BYTES_MAX};
use crate::message::Reply;
use crate::question::{self, Ask, Place, Question};
use crate::settings::Settings;
use crate::shape::{Asker, Transport, shape};

/// The door, as far as DNS needs it.
pub trait Door: Clone + Send + Sync + 'static {
    /// The index as the caller may read it for this query; nothing when it may not.
    fn look(&self, from: Option<IpAddr>, query: &Query) -> Option<Arc<Index>>;
    /// The index, when nothing of a scope is read.
    fn snapshot(&self) -> Arc<Index>;
    /// Now.
    fn now(&self) -> Time;
}

/// What both transports serve with.
#[derive(Clone)]
struct Service<D> {
    door: D,
    settings: Arc<ArcSwap<Settings>>,
}

/// Answers one message; nothing when it deserves no answer.
pub fn respond(
    door: &impl Door,
    settings: &Settings,
    transport: Transport,
    from: Option<IpAddr>,
    bytes: &[u8],
    chance: &mut dyn RngCore,
) -> Option<Vec<u8>> {
    match decode::decode(bytes, transport) {
        Incoming::Noise => None,
        Incoming::Reject(reply) => Some(reply.to_bytes()),
        Incoming::Query { question, asker } => {
            let reply = match &question {
                Some(question) => reply(door, settings, from, question, &asker, chance),
                None => shape(answer::refusal(), None, &asker, settings),
            };
            Some(reply.to_bytes_within(bytes_max(transport)))
        }
    }
}

/// What a message can hold at all.
fn bytes_max(transport: Transport) -> usize {
    match transport {
        Transport::Udp => DATAGRAM_BYTES_MAX,
        Transport::Tcp => MESSAGE_BYTES_MAX,
    }
}

/// The way of a query.
fn reply(
    door: &impl Door,
    settings: &Settings,
    from: Option<IpAddr>,
    question: &Question,
    asker: &Asker,
    chance: &mut dyn RngCore,
) -> Reply {
    let watch = Watch::start();
    let place = question::parse(question, settings);
    let draft = match whom(&place) {
        Whom::Nobody => answer::refusal(),
        Whom::Index => {
            let allowed = query(&place)
                .map_or_else(|| Some(door.snapshot()), |query| door.look(from, &query));
            let edns = asker.edns.is_some();
            draft(settings, door.now(), edns, allowed.as_deref(), question, &place, chance)
        }
    };
    let reply = shape(draft, Some(question), asker, settings);
    watch.served(settings, &place, question, asker.transport, from);
    reply
}

/// Who may not read is told that there is nothing, as Consul does.
fn draft(
    settings: &Settings,
    now: Time,
    edns: bool,
    allowed: Option<&Index>,
    question: &Question,
    place: &Place,
    chance: &mut dyn RngCore,
) -> Draft {
    let nothing = Index::new();
    let index = allowed.unwrap_or(&nothing);
    answer::answer(View { index, settings, now, edns }, question, place, chance)
}

/// What of the index a question reads, for the policy to judge.
fn query(place: &Place) -> Option<Query> {
    let Place::Ask { ask, .. } = place else {
        return (*place == Place::Reverse).then_some(Query::Nodes);
    };
    match ask {
        Ask::Zone => Some(Query::Health(Caseless::from(answer::SERVERS))),
        Ask::Service { name, .. } => Some(Query::Health(Caseless::from(name.as_str()))),
        Ask::Node { name, .. } => Some(Query::Node(name.as_str().into())),
        Ask::Transfer
        | Ask::Connect { .. }
        | Ask::Ingress { .. }
        | Ask::Virtual { .. }
        | Ask::Query { .. }
        | Ask::Address { .. } => None,
    }
}

// === impl Service ===

impl<D: Door> Service<D> {
    fn respond(&self, transport: Transport, from: Option<IpAddr>, bytes: &[u8]) -> Option<Vec<u8>> {
        let settings = self.settings.load_full();
        respond(&self.door, &settings, transport, from, bytes, &mut rand::rng())
    }
}

#[cfg(test)]
mod tests;
