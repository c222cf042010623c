//! Whoever is asked about names of our zones that are unknown here. Answers are kept for their time; a name that is being asked
//! for is asked once, however many want it.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use metrics::counter;
use moka::Expiry;
use moka::future::Cache;

use super::exchange::Exchange;
use super::proofs::{NotProven, Proofs};
use super::reply;
use super::{Asked, Told, Upstream};
use crate::answer::Draft;
use crate::extended::{ErrorCode, ExtendedError};
use crate::fallback::{Handed, Rule, Target, moved};
use crate::hops;
use crate::limits::{
    FALLBACK_ANSWERS_MAX, FALLBACK_FAILURE_TTL, FALLBACK_HOSTS_MAX, FALLBACK_UDP_BYTES,
    MESSAGE_BYTES_MAX,
};
use crate::message::Reply;
use crate::name::Name;
use crate::question::{Place, Question};
use crate::record::{Data, Kind, Opaque, Piece, Rcode, Record};
use crate::settings::Settings;
use crate::shape::Transport;

/// Somebody who is asked by a rule.
pub struct Fallback {
    rule: Rule,
    /// Without it, answers need no proof.
    proofs: Option<Proofs>,
    kept: Cache<Key, Arc<Kept>>,
    /// What is being asked for.
    under_way: Mutex<HashSet<Key>>,
}

/// A name in lower case, a type, and whether all of it was asked for: a Consul leaves out of a datagram what has no room, and
/// does not say so unless it is told to.
type Key = (Name, Kind, bool);

/// How a question goes there.
#[derive(Clone, Copy)]
struct Way {
    transport: Transport,
    hops: u8,
}

/// What was heard.
struct Kept {
    heard: Result<Heard, ExtendedError>,
    since: Instant,
    ttl: Duration,
}

/// Records of an answer; none when there are none there either.
#[derive(Clone, Debug, Default)]
struct Heard {
    answer: Vec<Record>,
    additional: Vec<Record>,
}

/// How long each answer is kept.
struct OwnTime;

/// Takes a question off the list of those that are being asked.
struct UnderWay<'a>(&'a Fallback, Key);

/// The hosts that offer a service, and for how many seconds they may be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hosts {
    /// Each with one address.
    pub hosts: Vec<Host>,
    /// Seconds.
    pub ttl: u32,
}

/// A host that offers a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its name.
    pub name: Name,
    /// Its address.
    pub address: IpAddr,
    /// The port; 0 when nobody tells one.
    pub port: u16,
    /// Its share of the work.
    pub weight: u16,
}

impl Expiry<Key, Arc<Kept>> for OwnTime {
    fn expire_after_create(&self, _: &Key, kept: &Arc<Kept>, _: Instant) -> Option<Duration> {
        Some(kept.ttl)
    }
}

impl std::fmt::Debug for Fallback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fallback").field("rule", &self.rule).finish_non_exhaustive()
    }
}

impl Upstream for Fallback {
    fn ask<'a>(&'a self, asked: &'a Asked) -> BoxFuture<'a, Result<Told, ExtendedError>> {
        Box::pin(async {
            let Asked { question, place, hops, asker, .. } = asked;
            let Some(handed) = self.rule.asks(place, question) else { return Ok(Told::Nothing) };
            let way = Way { transport: asker.transport, hops: *hops };
            let (heard, age) = self.hear(&handed.question, way).await?;
            if heard.answer.is_empty() {
                return Ok(Told::Nothing);
            }
            let tell = |records| self.tell(records, &handed, &question.name, age);
            let (answer, additional) = (tell(&heard.answer), tell(&heard.additional));
            Ok(Told::Draft(Draft { answer, additional, ..Draft::default() }))
        })
    }

    fn patience(&self) -> Duration {
        self.rule.timeout
    }
}

// === impl Fallback ===

impl Fallback {
    /// Asks by a rule, with proofs where they are required.
    pub fn new(rule: Rule, proofs: Option<Proofs>) -> Self {
        let kept =
            Cache::builder().max_capacity(FALLBACK_ANSWERS_MAX).expire_after(OwnTime).build();
        Self { rule, proofs, kept, under_way: Mutex::default() }
    }

    /// By which rule.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// For how many seconds an answer has been kept to what is asked there about a name; nothing when there is none.
    pub(crate) async fn kept_for(
        &self,
        place: &Place,
        question: &Question,
        transport: Transport,
    ) -> Option<u64> {
        let Question { name, kind, .. } = self.rule.asks(place, question)?.question;
        let kept = self.kept.get(&(name.to_lower(), kind, transport == Transport::Tcp)).await?;
        Some(kept.since.elapsed().as_secs())
    }

    /// The hosts that offer a service, as a zone tells them: by SRV records, else by the addresses of its name.
    ///
    /// # Errors
    /// Why nobody could tell.
    pub async fn hosts(
        &self,
        service: &str,
        settings: &Settings,
        hops: u8,
    ) -> Result<Option<Hosts>, ExtendedError> {
        let mut hosts = Hosts { hosts: Vec::new(), ttl: self.rule.ttl_max };
        let way = Way { transport: Transport::Tcp, hops };
        for kind in [Kind::SRV, Kind::A, Kind::AAAA] {
            let Ok(name) = Name::under(&format!("{service}.service"), settings.domain.name())
            else {
                return Ok(None);
            };
            let question = Question { name, kind, class: 1 };
            let place = crate::question::parse(&question, settings);
            let Some(handed) = self.rule.asks(&place, &question) else { continue };
            let (heard, _) = self.hear(&handed.question, way).await?;
            hosts.ttl = heard.answer.iter().map(|record| record.ttl).fold(hosts.ttl, u32::min);
            if kind == Kind::SRV {
                self.servers(&heard, way, &mut hosts.hosts).await?;
                if !hosts.hosts.is_empty() {
                    break;
                }
            } else {
                let found = addresses(&heard.answer, None);
                let name = handed.question.name;
                hosts.hosts.extend(found.into_iter().map(|address| Host {
                    name: name.clone(),
                    address,
                    port: 0,
                    weight: 1,
                }));
            }
        }
        Ok((!hosts.hosts.is_empty()).then_some(hosts))
    }

    /// The hosts of SRV records; those whose addresses did not come along are asked for.
    async fn servers(
        &self,
        heard: &Heard,
        way: Way,
        hosts: &mut Vec<Host>,
    ) -> Result<(), ExtendedError> {
        for (weight, port, target) in
            heard.answer.iter().filter_map(server).take(FALLBACK_HOSTS_MAX)
        {
            // What comes along with a signed answer is not signed for it.
            let beside = if self.proofs.is_none() { heard.additional.as_slice() } else { &[] };
            let mut found = addresses(beside, Some(&target));
            for kind in [Kind::A, Kind::AAAA] {
                if found.is_empty() {
                    let question = Question { name: target.clone(), kind, class: 1 };
                    found = addresses(&self.hear(&question, way).await?.0.answer, None);
                }
            }
            hosts.extend(found.into_iter().take(1).map(|address| Host {
                name: target.clone(),
                address,
                port,
                weight,
            }));
        }
        Ok(())
    }

    /// What they say to a question, and how many seconds ago they said it.
    async fn hear(&self, question: &Question, way: Way) -> Result<(Heard, u32), ExtendedError> {
        let key = (question.name.to_lower(), question.kind, way.transport == Transport::Tcp);
        // It went round: whoever waits for it must not wait for itself.
        if way.hops > 0 && self.is_under_way(&key) {
            return Err(ExtendedError::new(
                ErrorCode::OTHER,
                "the question came back to who asked it",
            ));
        }
        let kept = self.kept.get_with(key.clone(), async {
            let _under_way = self.begin(key);
            Arc::new(self.fetch(question, way).await)
        });
        let kept = kept.await;
        let age = u32::try_from(kept.since.elapsed().as_secs()).unwrap_or(u32::MAX);
        kept.heard.clone().map(|heard| (heard, age))
    }

    async fn fetch(&self, question: &Question, way: Way) -> Kept {
        let heard = match &self.proofs {
            Some(proofs) => {
                let proven = tokio::time::timeout(self.rule.timeout, proofs.ask(question));
                match proven.await {
                    Ok(Ok(reply)) => Ok(reply),
                    Ok(Err(error)) => Err(not_proven(&error)),
                    Err(_) => Err(unreachable("out of time")),
                }
            }
            None => self.ask_servers(question, way).await,
        };
        let outcome = match &heard {
            Ok(reply) if reply.answer.is_empty() => "nothing",
            Ok(_) => "found",
            Err(_) => "failed",
        };
        counter!("consul.fallback.asked", "by" => "dns", "outcome" => outcome).increment(1);
        let (heard, ttl) = match heard {
            Ok(reply) => {
                let (heard, ttl) = self.read(reply);
                (Ok(heard), Duration::from_secs(ttl.into()))
            }
            Err(error) => (Err(error), FALLBACK_FAILURE_TTL),
        };
        Kept { heard, since: Instant::now(), ttl }
    }

    /// The records of a reply, and how many seconds it may be kept.
    fn read(&self, reply: Reply) -> (Heard, u32) {
        let plain = |record: &Record| record.data.kind() != Kind::OPT;
        let additional: Vec<Record> = reply.additional.into_iter().filter(plain).collect();
        let told = if reply.answer.is_empty() { &reply.authority } else { &reply.answer };
        let ttl = told.iter().map(|record| record.ttl).min().unwrap_or(0);
        (Heard { answer: reply.answer, additional }, ttl.min(self.rule.ttl_max))
    }

    /// Asks each of the servers until one answers.
    async fn ask_servers(&self, question: &Question, way: Way) -> Result<Reply, ExtendedError> {
        let count = u32::try_from(self.rule.servers.len()).unwrap_or(1).max(1);
        let mut error = unreachable("nobody is configured to be asked");
        for server in &self.rule.servers {
            let message = query(question, way.hops.saturating_add(1));
            let mut exchange = Exchange {
                message: &message,
                bytes_max: match way.transport {
                    Transport::Udp => FALLBACK_UDP_BYTES.into(),
                    Transport::Tcp => MESSAGE_BYTES_MAX,
                },
                transport: way.transport,
                timeout: self.rule.timeout / count,
            };
            let mut told = exchange.with(*server).await;
            if way.transport == Transport::Udp && told.as_ref().is_ok_and(|bytes| is_cut(bytes)) {
                exchange.transport = Transport::Tcp;
                exchange.bytes_max = MESSAGE_BYTES_MAX;
                told = exchange.with(*server).await;
            }
            error = match told {
                Err(fault) if fault.kind() == std::io::ErrorKind::TimedOut => {
                    unreachable("the fallback did not answer in time")
                }
                Err(_) => {
                    ExtendedError::new(ErrorCode::NETWORK_ERROR, "the fallback cannot be reached")
                }
                Ok(bytes) => match reply::read(&bytes, true) {
                    Ok(foreign)
                        if is_about(&foreign.reply, question) && is_known(foreign.rcode) =>
                    {
                        return Ok(foreign.reply);
                    }
                    Ok(foreign) => {
                        unreachable(format!("the fallback answered with code {}", foreign.rcode))
                    }
                    Err(_) => unreachable("the answer of the fallback cannot be read"),
                },
            };
            tracing::debug!(name = %question.name, %server, error = %error.text, "a fallback did not help");
        }
        Err(error)
    }

    /// Records as they are told here: in our words, and for as long as is left.
    fn tell(&self, records: &[Record], handed: &Handed, asked: &Name, age: u32) -> Vec<Record> {
        let name = |name: &Name| match &handed.zones {
            _ if name.is(&handed.question.name) => asked.clone(),
            Some((theirs, ours)) => moved(name, theirs, ours).unwrap_or_else(|| name.clone()),
            None => name.clone(),
        };
        let told = records.iter().map(|record| Record {
            owner: name(&record.owner),
            ttl: record.ttl.min(self.rule.ttl_max).saturating_sub(age),
            data: match &self.rule.target {
                Target::Consul(_) => renamed(&record.data, &name),
                Target::Recursor | Target::Zone(_) => record.data.clone(),
            },
        });
        told.collect()
    }

    fn is_under_way(&self, key: &Key) -> bool {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).contains(key)
    }

    fn begin(&self, key: Key) -> UnderWay<'_> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone());
        UnderWay(self, key)
    }
}

fn unreachable(text: impl Into<std::borrow::Cow<'static, str>>) -> ExtendedError {
    ExtendedError::new(ErrorCode::NO_REACHABLE_AUTHORITY, text)
}

fn not_proven(error: &NotProven) -> ExtendedError {
    match error {
        NotProven::Bogus => {
            ExtendedError::new(ErrorCode::DNSSEC_BOGUS, "the signatures do not hold")
        }
        NotProven::Unsigned => ExtendedError::new(
            ErrorCode::RRSIGS_MISSING,
            "signatures are required, and there are none",
        ),
        NotProven::Unreachable => unreachable("the fallback did not answer"),
        NotProven::Network => {
            ExtendedError::new(ErrorCode::NETWORK_ERROR, "the fallback cannot be reached")
        }
    }
}

/// Whether a reply says that it was shortened (RFC 1035 §4.1.1).
fn is_cut(bytes: &[u8]) -> bool {
    bytes.get(2).is_some_and(|bits| bits & 2 != 0)
}

/// Whether a reply is to this question.
fn is_about(reply: &Reply, question: &Question) -> bool {
    let same = |told: &Question| told.name.is(&question.name) && told.kind == question.kind;
    reply.question.as_ref().is_some_and(same)
}

/// Whether a code says what is, and not that somebody failed.
fn is_known(code: u16) -> bool {
    [Rcode::NoError, Rcode::NxDomain].iter().any(|known| u16::from(known.number()) == code)
}

/// A query with the count of servers that handed it on, recursion desired.
fn query(question: &Question, count: u8) -> Vec<u8> {
    let [id, flags, counts] = [rand::random::<u16>().to_be_bytes(), [1, 0], [0, 1]];
    let mut message = [id, flags, counts, [0; 2], [0; 2], [0, 1]].concat();
    message.extend_from_slice(question.name.wire());
    message.extend_from_slice(&question.kind.0.to_be_bytes());
    message.extend_from_slice(&1_u16.to_be_bytes());
    // EDNS: the root, its type, the size of a datagram, no flags, and one option.
    message.push(0);
    message.extend_from_slice(&Kind::OPT.0.to_be_bytes());
    message.extend_from_slice(&FALLBACK_UDP_BYTES.to_be_bytes());
    message.extend_from_slice(&[0; 4]);
    let option = hops::option(count);
    message.extend_from_slice(&u16::try_from(option.len()).unwrap_or(0).to_be_bytes());
    message.extend_from_slice(&option);
    message
}

/// Data with its names in our words.
fn renamed(data: &Data, name: &impl Fn(&Name) -> Name) -> Data {
    let piece = |piece: &Piece| match piece {
        Piece::Bytes(bytes) => Piece::Bytes(bytes.clone()),
        Piece::ShortName(host) => Piece::ShortName(name(host)),
        Piece::WholeName(host) => Piece::WholeName(name(host)),
    };
    match data {
        Data::Cname(host) => Data::Cname(name(host)),
        Data::Opaque(opaque) => {
            let pieces = opaque.pieces.iter().map(piece).collect();
            Data::Opaque(Box::new(Opaque { pieces, ..Opaque::clone(opaque) }))
        }
        other => other.clone(),
    }
}

/// Weight, port and host of an SRV record.
fn server(record: &Record) -> Option<(u16, u16, Name)> {
    let Data::Opaque(opaque) = &record.data else { return None };
    let (Kind::SRV, [Piece::Bytes(numbers), Piece::WholeName(target)]) =
        (opaque.kind, &*opaque.pieces)
    else {
        return None;
    };
    let number = |at: usize| Some(u16::from_be_bytes([*numbers.get(at)?, *numbers.get(at + 1)?]));
    Some((number(2)?, number(4)?, target.clone()))
}

/// The addresses among records; of one host alone when it is named.
fn addresses(records: &[Record], of: Option<&Name>) -> Vec<IpAddr> {
    let records = records.iter().filter(|record| of.is_none_or(|host| host.is(&record.owner)));
    let found = records.filter_map(|record| match &record.data {
        Data::A(ip) => Some((*ip).into()),
        Data::Aaaa(ip) => Some((*ip).into()),
        _ => None,
    });
    found.take(FALLBACK_HOSTS_MAX).collect()
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}

#[cfg(test)]
mod tests;
