//! Bytes to bytes: the only place that knows listeners, and (in `decode`) the DNS library's types.
//!
//! ```text
//!   a query ──▶ the reply is there: Now          most of them, without waiting for anything
//!           ──▶ somebody else has to be asked: Later    bounded in number and in time
//! ```

mod certificates;
mod datagrams;
mod decode;
mod door;
mod explain;
#[cfg(any(fuzzing, test))]
pub mod fuzzing;
mod https;
mod kept;
mod later;
mod prove;
mod quic;
mod relays;
mod stream;
mod tcp;
mod telemetry;
mod transfer;
mod udp;
pub mod update;

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use futures_util::future::{BoxFuture, FutureExt as _, ready};
use proconsul_anchors::acl::Authority;
use proconsul_anchors::caller::Caller;
use proconsul_anchors::clock::Time;
use proconsul_anchors::index::Index;
use proconsul_anchors::name::Caseless;
use proconsul_anchors::policy::Decided;
use proconsul_anchors::query::Query;
use proconsul_anchors::record::TableId;
use proconsul_anchors::sealed::SealedSecret;
use rand::RngCore;
use tokio::sync::Semaphore;

pub use self::certificates::{Certificates, NoQuic};
use self::decode::Incoming;
pub use self::explain::Inquiry;
use self::kept::{Basis, Counted, Kept, Made};
use self::later::{Errand, Step};
pub use self::quic::serve_quic;
use self::relays::Relays;
pub use self::tcp::{serve_https, serve_tcp, serve_tls};
use self::telemetry::Timers;
pub(crate) use self::transfer::IXFR;
pub use self::udp::serve_udp;
use crate::answer::{self, Beyond, Draft, Manner, View};
use crate::extended::{ErrorCode, ExtendedError};
use crate::fallback::{Whom, instead, whom};
use crate::limits::{DATAGRAM_BYTES_MAX, LATER_MAX, MESSAGE_BYTES_MAX};
use crate::message::Reply;
use crate::question::{self, Ask, Place, Question};
use crate::settings::Settings;
use crate::shape::{Asker, Transport, shape};

/// The door, as far as DNS needs it.
pub trait Door: Send + Sync + 'static {
    /// The index as the caller may read it for this query.
    fn look(&self, from: Option<IpAddr>, query: &Query) -> Look;
    /// The same for whoever it is, instead of for DNS.
    fn look_as(&self, caller: &Caller, query: &Query) -> Look;
    /// The index of another datacenter, for this query; nothing when there is none of this name.
    fn look_far(
        &self,
        _from: Option<IpAddr>,
        _datacenter: &str,
        _query: &Query,
    ) -> Option<BoxFuture<'static, Look>> {
        None
    }
    /// The look for whoever it is, or else for DNS, and the decision, where that is that answers are attested.
    fn attested(
        &self,
        _from: Option<IpAddr>,
        _caller: Option<&Caller>,
        _query: &Query,
    ) -> Option<(Look, Decided)> {
        None
    }
    /// Attests what is answered to a query: the id of the statement; nothing when that cannot be done now.
    fn attest<'a>(
        &'a self,
        _decided: &'a Decided,
        _query: &'a str,
        _answer: &'a str,
    ) -> BoxFuture<'a, Option<Arc<str>>> {
        ready(None).boxed()
    }
    /// Whether policies have a say in what may be told.
    fn is_governed(&self) -> bool {
        false
    }
    /// What the bearer of a sealed token may see; nothing when it cannot be opened or is not known.
    fn bearer(&self, from: Option<IpAddr>, token: &SealedSecret) -> Authority;
    /// Whether the scope has a leader, as far as is known here.
    fn is_led(&self) -> bool;
    /// The index, when nothing of a scope is read.
    fn snapshot(&self) -> Arc<Index>;
    /// Now.
    fn now(&self) -> Time;
}

/// What a look at an index comes to.
#[derive(Clone, Debug)]
pub enum Look {
    /// The index, and what of it may be told.
    Seen(Arc<Index>, Authority),
    /// The same while there is no leader, and how long there has been none.
    Leaderless(Arc<Index>, Authority, Duration),
    /// The same, and why it may not be what is true now.
    Stale(Arc<Index>, Authority, Cow<'static, str>),
    /// A rule keeps it from the asker.
    Refused(Cow<'static, str>),
    /// It cannot be told yet.
    NotReady(Cow<'static, str>),
    /// Nobody who could tell was reached.
    Unreachable(Cow<'static, str>),
}

const NO_LEADER: &str = "the scope has no leader";

/// How a message is answered.
pub enum Response {
    /// Not at all: it deserves no answer.
    Silence,
    /// With these bytes.
    Now(Vec<u8>),
    /// With those of another time, when somebody else was asked.
    Later(BoxFuture<'static, Vec<u8>>),
}

/// Answers messages: what all transports serve with.
pub struct Service<D> {
    door: D,
    settings: Arc<ArcSwap<Settings>>,
    timers: Timers,
    /// Places for queries that are under way elsewhere.
    later: Arc<Semaphore>,
    relays: Relays,
}

/// A query that was understood.
struct Asking {
    settings: Arc<Settings>,
    from: Option<IpAddr>,
    /// For whom; nothing for whoever asks by DNS.
    caller: Option<Caller>,
    question: Question,
    asker: Asker,
    place: Place,
    since: Instant,
}

/// What becomes of a message.
enum Considered<D> {
    Silence,
    Reply(Reply, Option<Made>),
    Errand(Box<Errand<D>>),
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
        Ask::Connect { name, .. } => Some(Query::HealthConnect(Caseless::from(name.as_str()))),
        Ask::Ingress { name, .. } => Some(Query::HealthIngress(Caseless::from(name.as_str()))),
        Ask::Service { name, .. } | Ask::Virtual { name, .. } => {
            Some(Query::Health(Caseless::from(name.as_str())))
        }
        Ask::Node { name, .. } => Some(Query::Node(name.as_str().into())),
        Ask::Transfer | Ask::Query { .. } | Ask::Address { .. } => None,
    }
}

// === impl Look ===

impl Look {
    /// The index and what of it may be told, where there is something to be told.
    fn seen(&self) -> Option<(&Arc<Index>, &Authority)> {
        match self {
            Self::Seen(index, authority)
            | Self::Leaderless(index, authority, _)
            | Self::Stale(index, authority, _) => Some((index, authority)),
            Self::Refused(_) | Self::NotReady(_) | Self::Unreachable(_) => None,
        }
    }

    /// The same for who may see something else.
    fn with(self, authority: Authority) -> Self {
        match self {
            Self::Seen(index, _) => Self::Seen(index, authority),
            Self::Leaderless(index, _, since) => Self::Leaderless(index, authority, since),
            Self::Stale(index, _, why) => Self::Stale(index, authority, why),
            other => other,
        }
    }
}

// === impl Service ===

impl<D: Door> Service<D> {
    /// Answers from what is behind a door, with the settings of the moment.
    pub fn new(door: D, settings: Arc<ArcSwap<Settings>>) -> Arc<Self> {
        let timers = Timers::new(&settings.load().node_name);
        let later = Arc::new(Semaphore::new(LATER_MAX));
        Arc::new(Self { door, settings, timers, later, relays: Relays::default() })
    }

    /// Answers one message.
    pub fn respond(
        self: &Arc<Self>,
        transport: Transport,
        from: Option<IpAddr>,
        bytes: &[u8],
        chance: &mut dyn RngCore,
    ) -> Response {
        let settings = self.settings.load();
        match self.consider(&settings, transport, from, bytes, chance) {
            Considered::Silence => Response::Silence,
            Considered::Reply(reply, _) => {
                Response::Now(reply.to_bytes_within(bytes_max(transport)))
            }
            Considered::Errand(errand) => Response::Later(Box::pin(errand.run())),
        }
    }

    /// Has a listener's replies follow the index and the settings of the moment.
    fn turn(&self, kept: &mut Kept) {
        let settings = self.settings.load();
        kept.turn(self.door.snapshot(), &settings);
        // What was told when nobody else had a say may be another's to tell now.
        if self.door.is_governed() || !settings.allow_stale && !self.door.is_led() {
            kept.forget();
        }
    }

    /// Answers a datagram, with a reply that was kept where there is one; what can be sent now is written to `out`.
    fn respond_again(
        self: &Arc<Self>,
        kept: &mut Kept,
        from: Option<IpAddr>,
        bytes: &[u8],
        chance: &mut dyn RngCore,
        out: &mut Vec<u8>,
    ) -> Again {
        // Whoever reads the log of queries reads each of them.
        if !tracing::enabled!(tracing::Level::DEBUG)
            && let Some(counted) = kept.reply(bytes, chance, out)
        {
            self.timers.count(counted, Duration::ZERO);
            return Again::Now;
        }
        let settings = kept.settings();
        match self.consider(&settings, Transport::Udp, from, bytes, chance) {
            Considered::Silence => Again::Silence,
            Considered::Errand(errand) => Again::Later(Box::pin(errand.run())),
            Considered::Reply(reply, made) => {
                let reply = reply.to_bytes_within(DATAGRAM_BYTES_MAX);
                out.extend_from_slice(&reply);
                if let Some(made) = made {
                    kept.keep(bytes, &reply, made);
                }
                Again::Now
            }
        }
    }

    /// The reply to a message and how it came to be where it may be kept, or whom to ask.
    fn consider(
        self: &Arc<Self>,
        settings: &Arc<Settings>,
        transport: Transport,
        from: Option<IpAddr>,
        bytes: &[u8],
        chance: &mut dyn RngCore,
    ) -> Considered<D> {
        let (question, asker) = match decode::decode(bytes, transport) {
            Incoming::Noise => return Considered::Silence,
            Incoming::Reject(reply) => return Considered::Reply(reply, None),
            Incoming::Query { question: Some(question), asker } => (question, asker),
            Incoming::Query { question: None, asker } => {
                let reply = shape(answer::refusal(), None, &asker, settings);
                return Considered::Reply(reply, None);
            }
        };
        let (settings, since) = (Arc::clone(settings), Instant::now());
        let place = question::parse(&question, &settings);
        let asking = Asking { settings, from, caller: None, question, asker, place, since };
        if asking.place == Place::Foreign
            && let Some(image) = asking.settings.images.of(&asking.question.name)
        {
            return self.now(&asking, image.answer(&asking.question), None);
        }
        if let Some(subject) = self.subject(&asking) {
            return self.errand(asking, bytes, Step::Prove(Box::new(subject)));
        }
        match whom(&asking.place, asking.question.kind, &asking.settings) {
            Whom::Index => self.consult(asking, bytes, chance),
            Whom::Far(datacenter) => match self.look_far(&asking, &datacenter) {
                Some(look) => self.errand(asking, bytes, Step::Look(datacenter, look)),
                None => self.consult(asking, bytes, chance),
            },
            Whom::Nobody => self.now(&asking, answer::refusal(), None),
            whom @ (Whom::Recursors | Whom::Fallback(_)) => {
                self.errand(asking, bytes, Step::Ask(whom))
            }
        }
    }

    /// The way of a query to the index.
    fn consult(
        self: &Arc<Self>,
        asking: Asking,
        bytes: &[u8],
        chance: &mut dyn RngCore,
    ) -> Considered<D> {
        let look = self.look(&asking);
        let here = &asking.settings.datacenter;
        let draft = self.draft(&asking, &look, here, None, chance);
        if !draft.wants.is_empty() {
            let here = here.as_ref().to_owned();
            return self.errand(asking, bytes, Step::Names(here, look));
        }
        // What may be out of date may be known by now.
        let sure = matches!(look, Look::Seen(..));
        let (settings, hops) = (&asking.settings, || crate::hops::told(bytes));
        if sure && let Some(whom) = instead(&asking.place, &asking.question, &draft, settings, hops)
        {
            return self.errand(asking, bytes, Step::Ask(whom));
        }
        let open = match look {
            Look::Seen(index, authority) if authority.is_open() => Some(index),
            _ => None,
        };
        self.now(&asking, draft, open)
    }

    /// A reply that is there, and what it was made from where it may be kept.
    fn now(&self, asking: &Asking, draft: Draft, open: Option<Arc<Index>>) -> Considered<D> {
        let reply = self.reply(asking, draft);
        let made = open.and_then(|index| {
            let basis = Basis::of(&asking.place, &reply, &index)?;
            let reverse = asking.place == Place::Reverse;
            let counted = Counted { reverse, kind: asking.question.kind };
            Some(Made { index, basis, counted })
        });
        Considered::Reply(reply, made)
    }

    /// What this asker can carry of a draft.
    fn reply(&self, asking: &Asking, draft: Draft) -> Reply {
        let reply = shape(draft, Some(&asking.question), &asking.asker, &asking.settings);
        self.timers.served(asking);
        reply
    }

    /// Sends a query elsewhere, if there is a place.
    fn errand(self: &Arc<Self>, asking: Asking, bytes: &[u8], step: Step) -> Considered<D> {
        match Arc::clone(&self.later).try_acquire_owned() {
            Ok(permit) => {
                let service = Arc::clone(self);
                let message = bytes.into();
                Considered::Errand(Box::new(Errand { service, asking, message, step, permit }))
            }
            Err(_) => {
                metrics::counter!("consul.dns.turned_away").increment(1);
                let error = ExtendedError::new(ErrorCode::OTHER, "too many queries are under way");
                let draft = answer::failure(step.manner(), error);
                self.now(&asking, draft, None)
            }
        }
    }

    /// What an index says to a query.
    fn draft(
        &self,
        asking: &Asking,
        look: &Look,
        datacenter: &str,
        beyond: Option<&Beyond>,
        chance: &mut dyn RngCore,
    ) -> Draft {
        let Asking { settings, from, question, asker, place, .. } = asking;
        let nothing = (Arc::default(), Authority::nothing());
        let (index, authority) = look.seen().unwrap_or((&nothing.0, &nothing.1));
        let (now, source) = (self.door.now(), asker.source().or(*from));
        let edns = asker.edns.is_some();
        let view = View { index, datacenter, authority, settings, now, edns, source, beyond };
        let error = |code, text: &Cow<'static, str>| ExtendedError::new(code, text.clone());
        match look {
            Look::Seen(..) => answer::answer(view, question, place, chance),
            Look::Leaderless(_, _, since)
                if settings.allow_stale && *since <= settings.max_stale =>
            {
                // The records are as true as before, so far as is known: they keep their times.
                let error = ExtendedError::new(ErrorCode::STALE_ANSWER, NO_LEADER);
                Draft { error: Some(error), ..answer::answer(view, question, place, chance) }
            }
            Look::Leaderless(..) => {
                answer::failure(Manner::Zone, ExtendedError::new(ErrorCode::NOT_READY, NO_LEADER))
            }
            Look::Stale(_, _, why) => answer::answer(view, question, place, chance)
                .stale(error(ErrorCode::STALE_ANSWER, why)),
            Look::Refused(why) => {
                answer::prohibition(view, question, error(ErrorCode::PROHIBITED, why))
            }
            Look::NotReady(why) => answer::failure(Manner::Zone, error(ErrorCode::NOT_READY, why)),
            Look::Unreachable(why) => {
                answer::failure(Manner::Zone, error(ErrorCode::NO_REACHABLE_AUTHORITY, why))
            }
        }
    }

    /// The index as the asker may read it.
    fn look(&self, asking: &Asking) -> Look {
        if let Place::Ask { ask: Ask::Query { name, .. }, .. } = &asking.place {
            return self.look_at_query(asking, name);
        }
        match query(&asking.place) {
            Some(query) => self.look_for(asking, &query),
            None => Look::Seen(self.door.snapshot(), Authority::open()),
        }
    }

    fn look_for(&self, asking: &Asking, query: &Query) -> Look {
        match &asking.caller {
            Some(caller) => self.door.look_as(caller, query),
            None => self.door.look(asking.from, query),
        }
    }

    /// A prepared query that has a token of its own is executed with that.
    fn look_at_query(&self, asking: &Asking, name: &str) -> Look {
        let look = self.look_for(asking, &Query::Table(TableId::PreparedQuery));
        let Some((index, _)) = look.seen() else { return look };
        let resolved = index.resolve_query(name, "").ok().flatten();
        let token = resolved.and_then(|resolved| resolved.row.record.token.clone());
        match token {
            Some(token) => look.with(self.door.bearer(asking.from, &token)),
            None => look,
        }
    }

    /// The index of another datacenter, if there is one of this name.
    fn look_far(&self, asking: &Asking, datacenter: &str) -> Option<BoxFuture<'static, Look>> {
        let query = match &asking.place {
            Place::Ask { ask: Ask::Query { .. }, .. } => Query::Table(TableId::PreparedQuery),
            place => query(place)?,
        };
        self.door.look_far(asking.from, datacenter, &query)
    }
}

/// How a datagram is answered.
enum Again {
    Silence,
    /// It was written.
    Now,
    Later(BoxFuture<'static, Vec<u8>>),
}

#[cfg(test)]
impl<D> Service<D> {
    /// The settings, to be replaced as a reload does.
    pub(crate) fn settings_for_tests(&self) -> &ArcSwap<Settings> {
        &self.settings
    }
}

#[cfg(test)]
mod tests;
