//! Bytes to bytes: the only place that knows sockets, and (in `decode`) the DNS library's types.

mod datagrams;
mod decode;
mod door;
mod kept;
mod tcp;
mod telemetry;
mod udp;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use proconsul_anchors::acl::Authority;
use proconsul_anchors::clock::Time;
use proconsul_anchors::index::Index;
use proconsul_anchors::name::Caseless;
use proconsul_anchors::query::Query;
use proconsul_anchors::record::TableId;
use proconsul_anchors::sealed::SealedSecret;
use rand::RngCore;

use self::decode::Incoming;
use self::kept::{Basis, Counted, Kept, Made};
pub use self::tcp::serve_tcp;
use self::telemetry::Timers;
pub use self::udp::serve_udp;
use crate::answer::{self, View};
use crate::fallback::{Whom, whom};
use crate::limits::{DATAGRAM_BYTES_MAX, MESSAGE_BYTES_MAX};
use crate::message::Reply;
use crate::question::{self, Ask, Place, Question};
use crate::settings::Settings;
use crate::shape::{Asker, Transport, shape};

/// The door, as far as DNS needs it.
pub trait Door: Send + Sync + 'static {
    /// The index as the caller may read it for this query; nothing when it may not.
    fn look(&self, from: Option<IpAddr>, query: &Query) -> Option<(Arc<Index>, Authority)>;
    /// What the bearer of a sealed token may see; nothing when it cannot be opened or is not known.
    fn bearer(&self, from: Option<IpAddr>, token: &SealedSecret) -> Authority;
    /// The index, when nothing of a scope is read.
    fn snapshot(&self) -> Arc<Index>;
    /// Now.
    fn now(&self) -> Time;
}

/// Answers messages: what both transports serve with.
pub struct Service<D> {
    door: D,
    settings: Arc<ArcSwap<Settings>>,
    timers: Timers,
}

/// What a message can hold at all.
fn bytes_max(transport: Transport) -> usize {
    match transport {
        Transport::Udp => DATAGRAM_BYTES_MAX,
        Transport::Tcp => MESSAGE_BYTES_MAX,
    }
}

/// What of the index a question reads, for the policy to judge.
fn query(place: &Place) -> Option<Query> {
    let Place::Ask { ask, .. } = place else {
        return (*place == Place::Reverse).then_some(Query::Nodes);
    };
    match ask {
        Ask::Zone => Some(Query::Health(Caseless::from(answer::SERVERS))),
        Ask::Service { name, .. }
        | Ask::Connect { name, .. }
        | Ask::Ingress { name, .. }
        | Ask::Virtual { name, .. } => Some(Query::Health(Caseless::from(name.as_str()))),
        Ask::Node { name, .. } => Some(Query::Node(name.as_str().into())),
        Ask::Transfer | Ask::Query { .. } | Ask::Address { .. } => None,
    }
}

// === impl Service ===

impl<D: Door> Service<D> {
    /// Answers from what is behind a door, with the settings of the moment.
    pub fn new(door: D, settings: Arc<ArcSwap<Settings>>) -> Self {
        let timers = Timers::new(&settings.load().node_name);
        Self { door, settings, timers }
    }

    /// Answers one message; nothing when it deserves no answer.
    pub fn respond(
        &self,
        transport: Transport,
        from: Option<IpAddr>,
        bytes: &[u8],
        chance: &mut dyn RngCore,
    ) -> Option<Vec<u8>> {
        let settings = self.settings.load();
        self.make(&settings, transport, from, bytes, chance).map(|(reply, _)| reply)
    }

    /// Has a listener's replies follow the index and the settings of the moment.
    fn turn(&self, kept: &mut Kept) {
        kept.turn(self.door.snapshot(), &self.settings.load());
    }

    /// Answers a datagram, with a reply that was kept where there is one. Whether it deserves an answer.
    fn respond_again(
        &self,
        kept: &mut Kept,
        from: Option<IpAddr>,
        bytes: &[u8],
        chance: &mut dyn RngCore,
        out: &mut Vec<u8>,
    ) -> bool {
        // Whoever reads the log of queries reads each of them.
        if !tracing::enabled!(tracing::Level::DEBUG)
            && let Some(counted) = kept.reply(bytes, chance, out)
        {
            self.timers.count(counted, Duration::ZERO);
            return true;
        }
        let settings = kept.settings();
        let made = self.make(&settings, Transport::Udp, from, bytes, chance);
        let Some((reply, made)) = made else { return false };
        out.extend_from_slice(&reply);
        if let Some(made) = made {
            kept.keep(bytes, &reply, made);
        }
        true
    }

    /// The bytes of an answer, and how it came to be where it may be kept.
    fn make(
        &self,
        settings: &Settings,
        transport: Transport,
        from: Option<IpAddr>,
        bytes: &[u8],
        chance: &mut dyn RngCore,
    ) -> Option<(Vec<u8>, Option<Made>)> {
        let (reply, made) = match decode::decode(bytes, transport) {
            Incoming::Noise => return None,
            Incoming::Reject(reply) => (reply, None),
            Incoming::Query { question: Some(question), asker } => {
                self.reply(settings, from, &question, &asker, chance)
            }
            Incoming::Query { question: None, asker } => {
                (shape(answer::refusal(), None, &asker, settings), None)
            }
        };
        Some((reply.to_bytes_within(bytes_max(transport)), made))
    }

    /// The way of a query.
    fn reply(
        &self,
        settings: &Settings,
        from: Option<IpAddr>,
        question: &Question,
        asker: &Asker,
        chance: &mut dyn RngCore,
    ) -> (Reply, Option<Made>) {
        let watch = self.timers.start();
        let place = question::parse(question, settings);
        let mut open = None;
        let draft = match whom(&place) {
            Whom::Nobody => answer::refusal(),
            Whom::Index => {
                // Who may not read is told that there is nothing, as Consul does.
                let (index, authority) = self
                    .index(from, &place)
                    .unwrap_or_else(|| (Arc::default(), Authority::nothing()));
                open = authority.is_open().then(|| Arc::clone(&index));
                let view = View {
                    index: &index,
                    authority: &authority,
                    settings,
                    now: self.door.now(),
                    edns: asker.edns.is_some(),
                    source: asker.source().or(from),
                };
                answer::answer(view, question, &place, chance)
            }
        };
        let reply = shape(draft, Some(question), asker, settings);
        watch.served(&place, question, asker.transport, from);
        let made = open.and_then(|index| {
            let basis = Basis::of(&place, &reply, &index)?;
            let counted = Counted { reverse: place == Place::Reverse, kind: question.kind };
            Some(Made { index, basis, counted })
        });
        (reply, made)
    }

    /// The index as the asker may read it; nothing when it may not.
    fn index(&self, from: Option<IpAddr>, place: &Place) -> Option<(Arc<Index>, Authority)> {
        if let Place::Ask { ask: Ask::Query { name, .. }, .. } = place {
            return self.index_of_query(from, name);
        }
        match query(place) {
            Some(query) => self.door.look(from, &query),
            None => Some((self.door.snapshot(), Authority::open())),
        }
    }

    /// A prepared query that has a token of its own is executed with that.
    fn index_of_query(&self, from: Option<IpAddr>, name: &str) -> Option<(Arc<Index>, Authority)> {
        let (index, authority) = self.door.look(from, &Query::Table(TableId::PreparedQuery))?;
        let resolved = index.resolve_query(name, "").ok().flatten();
        let token = resolved.and_then(|resolved| resolved.row.record.token.clone());
        let authority = match token {
            Some(token) => self.door.bearer(from, &token),
            None => authority,
        };
        Some((index, authority))
    }
}

#[cfg(test)]
mod tests;
