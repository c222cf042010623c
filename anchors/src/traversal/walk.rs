//! One anchor's part in answering a question, as a value.

use std::collections::VecDeque;
use std::time::Duration;

use ed25519_dalek::SigningKey;

use super::chain::{self, About, ChainFault, Hop, Link, Next, Terms, Way};
use super::message::{Ask, Reply, ReplyKind, written};
use super::{Asked, HOP_RESERVE, HOPS_MAX, sha256_hex};
use crate::clock::Time;
use crate::encoding::hex;
use crate::outcome::Outcome;
use crate::scope::ScopePath;

/// Who walks.
#[derive(Clone, Copy)]
pub struct Me<'a> {
    /// Its scope: that of its datacenter.
    pub scope: &'a ScopePath,
    /// The key of its anchor.
    pub key: &'a SigningKey,
}

/// The anchor of another scope, as an adjacency names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its scope.
    pub scope: ScopePath,
    /// Its key: ed25519, in hex.
    pub key: Box<str>,
    /// Where its anchors are reached: `host:port`, each of which knows the same.
    pub addresses: Vec<Box<str>>,
}

/// What the own policy decided about a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The outcome.
    pub outcome: Outcome,
    /// The rule.
    pub rule: Box<str>,
    /// For how long it may be kept.
    pub ttl: Duration,
}

/// A question as it came to this anchor: from one of its own, or over an adjacency with the hops so far.
#[derive(Clone, Debug)]
pub struct Request {
    /// The question.
    pub asked: Asked,
    /// What the asker made the way unique with.
    pub nonce: Box<str>,
    /// The hops so far; none when it is asked here.
    before: Vec<Link>,
    /// When it came.
    began: Time,
    /// When an answer comes too late.
    until: Time,
    /// The digest of the answer that the asker has.
    have: Option<Box<str>>,
    mark: u64,
    wait_ms: u64,
}

/// One anchor's part in answering a question.
pub struct Walk<'a> {
    me: Me<'a>,
    request: Request,
    own: Decided,
    ways: VecDeque<Peer>,
    /// What was sent, and to whom, while its reply is awaited.
    sent: Option<(Peer, Vec<Link>)>,
    /// What kept each way that was tried from leading anywhere.
    pub failures: Vec<(ScopePath, Failure)>,
    end: Option<Verdict>,
}

/// Why a way led nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Nothing came back in time.
    #[error("it could not be reached: {0}")]
    Lost(Box<str>),
    /// It knows of no way.
    #[error("it knows of no way")]
    Unknown,
    /// It knows of ways, and none led anywhere.
    #[error("no way of its led anywhere")]
    Unreachable,
    /// What came back is not believed.
    #[error("its reply is not believed: {0}")]
    Disbelieved(#[from] ChainFault),
}

/// What is to be done next.
#[derive(Debug)]
pub enum Step {
    /// Ask over an adjacency; [`Walk::heard`] takes what comes back.
    Ask(Asking),
    /// The scope is governed here: read the answer; [`Walk::found`] takes it.
    Read,
    /// The way has ended.
    Done(Verdict),
}

/// A question to be sent.
#[derive(Debug)]
pub struct Asking {
    /// To whom.
    pub to: Peer,
    /// What.
    pub ask: Ask,
    /// When a reply comes too late.
    pub until: Time,
}

/// Where a way ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// At somebody's decision; with an answer where it is [`Outcome::Resolve`] or [`Outcome::Attest`] and the asker does not
    /// have it.
    Ended {
        /// The hops.
        links: Vec<Link>,
        /// The answer.
        answer: Option<Vec<u8>>,
    },
    /// No way to the scope is known.
    Unknown,
    /// There are ways, and none led anywhere.
    Unreachable,
    /// A hop may decide otherwise now: to be asked again.
    Again,
}

// === impl Request ===

impl Request {
    /// A question that is asked here.
    pub fn own(asked: Asked, nonce: [u8; 16], now: Time, patience: Duration) -> Self {
        Self {
            asked,
            nonce: hex::encode(&nonce).into(),
            before: Vec::new(),
            began: now,
            until: now + patience,
            have: None,
            mark: 0,
            wait_ms: 0,
        }
    }

    /// The same, answered when the answer is another than this, or the owner's mark has moved, or after a while.
    #[must_use]
    pub fn waiting(mut self, have: Option<Box<str>>, mark: u64, wait: Duration) -> Self {
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        (self.have, self.mark, self.wait_ms) = (have, mark, wait_ms);
        self
    }

    /// A question that came over an adjacency, when it is believed.
    ///
    /// # Errors
    /// [`ChainFault`]: it is not what this peer asked of this anchor.
    pub fn received(ask: Ask, from: &Peer, me: Me<'_>, now: Time) -> Result<Self, ChainFault> {
        let asked = Asked::parse(&ask.question).ok_or(ChainFault::Malformed(0))?;
        if ask.hops.len() >= HOPS_MAX {
            return Err(ChainFault::Length(ask.hops.len() + 1));
        }
        let about = About { question: &asked.digest, nonce: &ask.nonce, from: now, now };
        let before = chain::read(&ask.hops, &about)?;
        chain::came_from(&before, from, &me.place())?;
        // Nobody speaks for the callers of another scope.
        if before.first().is_none_or(|first| {
            asked.question.asker.scope.datacenter() != first.hop.scope.datacenter()
        }) {
            return Err(ChainFault::Foreign(0));
        }
        let until = now + Duration::from_millis(ask.patience_ms);
        Ok(Self {
            asked,
            nonce: ask.nonce,
            before,
            began: now,
            until,
            have: ask.have,
            mark: ask.mark,
            wait_ms: ask.wait_ms,
        })
    }

    /// By what it is known whether it came before: the digest of its last hop.
    pub fn last(&self) -> &str {
        self.before.last().map_or("", |link| &link.digest)
    }

    /// The answer that the asker has, by digest.
    pub fn have(&self) -> Option<&str> {
        self.have.as_deref()
    }

    /// The owner's mark that the asker has.
    pub fn mark(&self) -> u64 {
        self.mark
    }

    /// How long the owner may wait for another answer.
    pub fn wait(&self) -> Duration {
        Duration::from_millis(self.wait_ms)
    }

    /// When an answer comes too late.
    pub fn until(&self) -> Time {
        self.until
    }

    /// The scopes that it came over.
    pub fn visited(&self) -> impl Iterator<Item = &ScopePath> {
        self.before.iter().map(|link| &link.hop.scope)
    }
}

// === impl Me ===

impl Me<'_> {
    fn place(&self) -> Next {
        Next { scope: self.scope.clone(), key: self.key_hex() }
    }

    /// The public half of its key, in hex.
    pub fn key_hex(&self) -> Box<str> {
        hex::encode(self.key.verifying_key().as_bytes()).into()
    }
}

// === impl Walk ===

impl<'a> Walk<'a> {
    /// Begins where the own policy has decided; `ways` are tried in their order.
    pub fn begin(me: Me<'a>, request: Request, own: Decided, ways: Vec<Peer>) -> Self {
        let visited: Vec<ScopePath> = request.visited().cloned().collect();
        let ways = ways.into_iter().filter(|way| !visited.contains(&way.scope)).collect();
        Self { me, request, own, ways, sent: None, failures: Vec::new(), end: None }
    }

    /// What is to be done next.
    pub fn next(&mut self, now: Time) -> Step {
        if let Some(end) = &self.end {
            return Step::Done(end.clone());
        }
        if self.own.outcome > Outcome::Attest {
            let links = self.with_own(None, None, None, now);
            return self.done(Verdict::Ended { links, answer: None });
        }
        if self.is_owner() {
            return Step::Read;
        }
        let Some(to) = self.ways.pop_front() else {
            return self.no_way_left();
        };
        let left = self.request.until.since(now);
        if left <= HOP_RESERVE || self.request.before.len() + 1 >= HOPS_MAX {
            return self.done(Verdict::Unreachable);
        }
        let next = Next { scope: to.scope.clone(), key: to.key.clone() };
        let links = self.with_own(Some(next), None, None, now);
        let patience = left - HOP_RESERVE;
        let ask = Ask {
            question: self.request.asked.text.clone(),
            nonce: self.request.nonce.clone(),
            hops: written(&links),
            patience_ms: u64::try_from(patience.as_millis()).unwrap_or(u64::MAX),
            have: self.request.have.clone(),
            mark: self.request.mark,
            wait_ms: self.request.wait_ms,
        };
        self.sent = Some((to.clone(), links));
        Step::Ask(Asking { to, ask, until: self.request.until })
    }

    /// Takes what came back from whoever was asked last, or why nothing did.
    pub fn heard(&mut self, reply: Result<Reply, Box<str>>, now: Time) {
        let Some((from, sent)) = self.sent.take() else { return };
        let failure = match reply {
            Err(why) => Failure::Lost(why),
            Ok(Reply { kind: ReplyKind::Unknown, .. }) => Failure::Unknown,
            Ok(Reply { kind: ReplyKind::Unreachable, .. }) => Failure::Unreachable,
            Ok(Reply { kind: ReplyKind::Again, .. }) => {
                self.end = Some(Verdict::Again);
                return;
            }
            Ok(reply) => match self.believe(reply, &sent, now) {
                Ok(verdict) => {
                    self.end = Some(verdict);
                    return;
                }
                Err(fault) => Failure::Disbelieved(fault),
            },
        };
        self.failures.push((from.scope, failure));
    }

    /// Takes the answer that the own index gives; it is left out where the asker has it.
    pub fn found(&mut self, answer: Vec<u8>, terms: Terms, now: Time) {
        let digest = sha256_hex(&answer);
        let answer = (self.request.have.as_deref() != Some(&*digest)).then_some(answer);
        let links = self.with_own(None, Some(digest), Some(terms), now);
        self.end = Some(Verdict::Ended { links, answer });
    }

    /// What the way here is about.
    pub fn request(&self) -> &Request {
        &self.request
    }

    fn believe(&self, reply: Reply, sent: &[Link], now: Time) -> Result<Verdict, ChainFault> {
        let request = &self.request;
        // The hops before this one were verified when they came, and are compared below.
        let from = request.before.first().map_or(request.began, |first| first.hop.at);
        let about = About { question: &request.asked.digest, nonce: &request.nonce, from, now };
        let links = chain::read(&reply.hops, &about)?;
        let signed = links.last().and_then(|link| link.hop.answer.as_deref());
        let known = request.have.as_deref().filter(|have| signed == Some(have));
        let digest = reply.answer.as_deref().map(sha256_hex);
        let digest = digest.as_deref().or(known);
        chain::verify(&links, sent, &request.asked.question.target, digest)?;
        Ok(Verdict::Ended { links, answer: reply.answer })
    }

    fn is_owner(&self) -> bool {
        self.request.asked.question.target.datacenter() == self.me.scope.datacenter()
    }

    fn no_way_left(&mut self) -> Step {
        let known = self.failures.iter().any(|(_, failure)| *failure != Failure::Unknown);
        self.done(if known { Verdict::Unreachable } else { Verdict::Unknown })
    }

    fn done(&mut self, verdict: Verdict) -> Step {
        self.end = Some(verdict.clone());
        Step::Done(verdict)
    }

    /// The hops so far and the own one.
    fn with_own(
        &self,
        next: Option<Next>,
        answer: Option<Box<str>>,
        terms: Option<Terms>,
        now: Time,
    ) -> Vec<Link> {
        let place = self.me.place();
        let hop = Hop {
            scope: place.scope,
            key: place.key,
            question: self.request.asked.digest.clone(),
            nonce: self.request.nonce.clone(),
            previous: self.request.before.last().map(|link| link.digest.clone()),
            next,
            outcome: self.own.outcome,
            rule: self.own.rule.clone(),
            ttl_seconds: self.own.ttl.as_secs(),
            answer,
            terms,
            at: now,
        };
        let mut links = self.request.before.clone();
        links.push(Link::sign(hop, self.me.key));
        links
    }
}

// === impl Verdict ===

impl Verdict {
    /// What is replied to who asked over an adjacency.
    pub fn into_reply(self) -> Reply {
        match self {
            Self::Ended { links, answer } => Reply::ended(&links, answer),
            Self::Unknown => Reply::of(ReplyKind::Unknown),
            Self::Unreachable => Reply::of(ReplyKind::Unreachable),
            Self::Again => Reply::of(ReplyKind::Again),
        }
    }

    /// The verified way; nothing when it did not come to an end.
    pub fn way(&self) -> Option<Way> {
        match self {
            Self::Ended { links, .. } => {
                Some(Way(links.iter().map(|link| link.hop.clone()).collect()))
            }
            _ => None,
        }
    }
}
