//! A world of anchors in one process: who is joined with whom, what each decides, and what happens to what they say.

use std::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::SigningKey;
use rand::rngs::StdRng;
use rand::{Rng as _, seq::SliceRandom as _};

use super::super::chain::{Hop, Link};
use super::super::{
    Ask, Asked, Asker, ChainFault, Contact, Decided, Me, Peer, Question, Reach, Reached, Reply,
    ReplyKind, Request, Step, Subject, Terms, Verdict, Walk,
};
use super::{Found, PATIENCE, random_outcome};
use crate::change::{Change, Registration};
use crate::clock::Time;
use crate::credential::dsse::Envelope;
use crate::encoding::hex;
use crate::index::{Index, Stamp};
use crate::outcome::Outcome;
use crate::query::Query;
use crate::scope::ScopePath;
use crate::service::{Check, Node, Service};

const HOUR: u64 = 3_600_000_000_000;

/// What happens to a question, or to its reply, between two scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Fine,
    Lost,
    Slow,
    ForgedAnswer,
    ForgedOutcome,
    ForgedKey,
    ForgedQuestion,
    DroppedHop,
    Replayed,
    Old,
}

const FATES: [Fate; 10] = [
    Fate::Fine,
    Fate::Lost,
    Fate::Slow,
    Fate::ForgedAnswer,
    Fate::ForgedOutcome,
    Fate::ForgedKey,
    Fate::ForgedQuestion,
    Fate::DroppedHop,
    Fate::Replayed,
    Fate::Old,
];

struct Anchor {
    path: ScopePath,
    key: SigningKey,
    decision: Outcome,
    reach: Reach,
}

pub(super) struct World {
    anchors: Vec<Anchor>,
    edges: BTreeSet<(usize, usize)>,
    fates: BTreeMap<(usize, usize), Fate>,
    /// The last reply on each edge.
    heard: BTreeMap<(usize, usize), Reply>,
    now: Time,
    carried: usize,
}

impl World {
    fn empty(count: usize) -> Self {
        let anchor = |at: usize| Anchor {
            path: ScopePath::parse(&format!("s{at}")).unwrap(),
            key: SigningKey::from_bytes(&[u8::try_from(at).unwrap() + 1; 32]),
            decision: Outcome::Resolve,
            reach: Reach::default(),
        };
        Self {
            anchors: (0..count).map(anchor).collect(),
            edges: BTreeSet::new(),
            fates: BTreeMap::new(),
            heard: BTreeMap::new(),
            now: Time(10 * HOUR),
            carried: 0,
        }
    }

    /// Scopes in a row.
    pub(super) fn line(count: usize) -> Self {
        let mut world = Self::empty(count.max(4));
        (1..count).for_each(|at| world.join(at - 1, at));
        world.settle();
        world
    }

    /// Up to seven scopes, joined at random, with random decisions; hostile ones have random fates.
    pub(super) fn random(chance: &mut StdRng, hostile: bool) -> Self {
        let count = chance.random_range(2..=7);
        let mut world = Self::empty(count);
        for a in 0..count {
            for b in a + 1..count {
                if chance.random_bool(0.4) {
                    world.join(a, b);
                }
            }
        }
        for anchor in &mut world.anchors {
            anchor.decision = random_outcome(chance);
        }
        if hostile {
            for (a, b) in world.edges.clone() {
                let fate = FATES[chance.random_range(0..FATES.len())];
                world.set_fate(a, b, if chance.random_bool(0.4) { Fate::Fine } else { fate });
            }
        }
        world.settle();
        world
    }

    pub(super) fn random_pair(&self, chance: &mut StdRng) -> (usize, usize) {
        let mut all: Vec<usize> = (0..self.anchors.len()).collect();
        all.shuffle(chance);
        (all[0], all[1])
    }

    pub(super) fn join(&mut self, a: usize, b: usize) {
        self.edges.extend([(a, b), (b, a)]);
    }

    pub(super) fn part(&mut self, a: usize, b: usize) {
        self.edges.remove(&(a, b));
        self.edges.remove(&(b, a));
        self.settle();
    }

    /// Has everybody tell their neighbours whom they reach until nothing is new.
    pub(super) fn settle(&mut self) {
        for at in 0..self.anchors.len() {
            let peers: Vec<_> =
                self.neighbours(at).into_iter().map(|to| (self.peer(to), true)).collect();
            self.anchors[at].reach = Reach::default();
            self.anchors[at].reach.set(peers);
        }
        for _ in 0..self.anchors.len() + 1 {
            for (at, to) in self.edges.clone() {
                let (me, from) = (self.anchors[at].path.clone(), self.anchors[to].path.clone());
                let reaches = self.anchors[to].reach.told(&from, self.now);
                let contact = Contact { scope: from.clone(), reaches };
                self.anchors[at].reach.heard(&me, &from, contact, self.now);
            }
        }
    }

    /// Has a neighbour claim that it reaches a scope.
    pub(super) fn lie(&mut self, at: usize, next: usize, far: usize) {
        let (me, from) = (self.anchors[at].path.clone(), self.anchors[next].path.clone());
        let path = vec![self.anchors[far].path.clone()];
        let contact = Contact { scope: from.clone(), reaches: vec![Reached { path, age_ms: 0 }] };
        self.anchors[at].reach.heard(&me, &from, contact, self.now);
    }

    pub(super) fn set_fate(&mut self, at: usize, to: usize, fate: Fate) {
        self.fates.insert((at, to), fate);
    }

    pub(super) fn carried(&self) -> usize {
        self.carried
    }

    pub(super) fn decision(&self, at: usize) -> Outcome {
        self.anchors[at].decision
    }

    pub(super) fn name(&self, at: usize) -> &ScopePath {
        &self.anchors[at].path
    }

    pub(super) fn neighbours(&self, at: usize) -> Vec<usize> {
        self.edges.iter().filter(|(from, _)| *from == at).map(|(_, to)| *to).collect()
    }

    fn peer(&self, at: usize) -> Peer {
        let key = hex::encode(self.anchors[at].key.verifying_key().as_bytes()).into();
        Peer { scope: self.anchors[at].path.clone(), key, addresses: Vec::new() }
    }

    fn number(&self, scope: &ScopePath) -> usize {
        self.anchors.iter().position(|anchor| anchor.path == *scope).unwrap()
    }

    fn question(&self, from: usize, to: usize) -> Question {
        Question {
            target: self.anchors[to].path.clone(),
            action: "read".into(),
            subject: Subject::Read(Query::Health("web".into())),
            asker: Asker { scope: self.anchors[from].path.clone(), ..Asker::default() },
        }
    }

    /// What a scope answers: nobody else's answer looks like it.
    fn truth(&self, at: usize) -> Vec<u8> {
        format!("the answer of {}", self.anchors[at].path).into()
    }

    /// Asks one scope for another, and says where the way ended. An answer that is not the owner's own is a panic.
    pub(super) fn ask(&mut self, from: usize, to: usize, chance: &mut StdRng) -> Found {
        let asked = Asked::new(self.question(from, to));
        let request = Request::own(asked, chance.random(), self.now, PATIENCE);
        let verdict = self.walk(from, request, chance);
        let Some(way) = verdict.way() else { return Found::Nothing };
        let Verdict::Ended { answer, .. } = verdict else { return Found::Nothing };
        let path = way.0.iter().map(|hop| self.number(&hop.scope)).collect();
        let expected = (way.outcome() <= Outcome::Attest).then(|| self.truth(to));
        assert_eq!(answer, expected, "a wrong answer");
        Found::Ended(path, way.outcome())
    }

    fn walk(&mut self, at: usize, request: Request, chance: &mut StdRng) -> Verdict {
        let (scope, key) = (self.anchors[at].path.clone(), self.anchors[at].key.clone());
        let me = Me { scope: &scope, key: &key };
        let ways = self.anchors[at].reach.ways(&request.asked.question.target);
        let decided =
            Decided { outcome: self.anchors[at].decision, rule: "random".into(), ttl: PATIENCE };
        let mut walk = Walk::begin(me, request, decided, ways);
        loop {
            match walk.next(self.now) {
                Step::Done(verdict) => return verdict,
                Step::Read => walk.found(self.truth(at), Terms::default(), self.now),
                Step::Ask(asking) => {
                    let to = self.number(&asking.to.scope);
                    let reply = self.carry(at, to, asking.ask, chance);
                    walk.heard(reply, self.now);
                }
            }
        }
    }

    /// Brings a question over an edge and its reply back, by the edge's fate.
    fn carry(
        &mut self,
        at: usize,
        to: usize,
        mut ask: Ask,
        chance: &mut StdRng,
    ) -> Result<Reply, Box<str>> {
        self.carried += 1;
        let fate = self.fates.get(&(at, to)).copied().unwrap_or(Fate::Fine);
        let began = self.now;
        match fate {
            Fate::Lost => return Err("lost".into()),
            Fate::Slow => {
                self.now = self.now + PATIENCE + PATIENCE;
                return Err("late".into());
            }
            Fate::Replayed => return self.heard.get(&(at, to)).cloned().ok_or("lost".into()),
            Fate::ForgedQuestion => ask.question = ask.question.replace("web", "evil").into(),
            Fate::Old => self.now = Time(self.now.0 - HOUR),
            _ => {}
        }
        let request = self.receive(at, to, ask).map_err(|fault| fault.to_string());
        let reply = request.map(|request| self.walk(to, request, chance).into_reply());
        self.now = self.now.max(began);
        let reply = self.forged(reply?, fate);
        self.heard.insert((at, to), reply.clone());
        Ok(reply)
    }

    /// What the scope `to` makes of a question that comes from `at`.
    pub(super) fn receive(&self, at: usize, to: usize, ask: Ask) -> Result<Request, ChainFault> {
        let anchor = &self.anchors[to];
        let me = Me { scope: &anchor.path, key: &anchor.key };
        Request::received(ask, &self.peer(at), me, self.now)
    }

    fn forged(&self, mut reply: Reply, fate: Fate) -> Reply {
        if reply.kind != ReplyKind::Ended {
            return reply;
        }
        let last = reply.hops.len() - 1;
        match fate {
            Fate::ForgedAnswer => reply.answer = Some(b"the answer of a thief".to_vec()),
            Fate::ForgedOutcome => {
                let milder = |hop: &mut Hop| {
                    let mild = hop.outcome == Outcome::Resolve;
                    hop.outcome = if mild { Outcome::Attest } else { Outcome::Resolve };
                };
                reply.hops[last] = changed(&reply.hops[last], milder).to_json().into();
            }
            Fate::ForgedKey => {
                let thief = SigningKey::from_bytes(&[99; 32]);
                let envelope = Envelope::parse(reply.hops[last].as_bytes()).unwrap();
                let mut hop: Hop = serde_json::from_slice(&envelope.payload).unwrap();
                hop.key = hex::encode(thief.verifying_key().as_bytes()).into();
                reply.hops[last] = Link::sign(hop, &thief).envelope.to_json().into();
            }
            Fate::DroppedHop => {
                reply.hops.remove(last.saturating_sub(1));
            }
            _ => {}
        }
        reply
    }

    /// A question of the first scope to the third, as it comes to the second.
    pub(super) fn good_request(&self, chance: &mut StdRng) -> Ask {
        self.sent(self.question(0, 2), self.now, chance)
    }

    fn sent(&self, question: Question, now: Time, chance: &mut StdRng) -> Ask {
        let anchor = &self.anchors[0];
        let me = Me { scope: &anchor.path, key: &anchor.key };
        let request = Request::own(Asked::new(question), chance.random(), now, PATIENCE);
        let decided = Decided { outcome: Outcome::Resolve, rule: "open".into(), ttl: PATIENCE };
        match Walk::begin(me, request, decided, vec![self.peer(1)]).next(now) {
            Step::Ask(asking) => asking.ask,
            other => panic!("{other:?}"),
        }
    }

    /// Questions that are not to be believed, and why.
    pub(super) fn bad_requests(&self, chance: &mut StdRng) -> Vec<(Ask, ChainFault)> {
        let mut unsigned = self.good_request(chance);
        let mut envelope = Envelope::parse(unsigned.hops[0].as_bytes()).unwrap();
        envelope.signatures[0].sig[5] ^= 1;
        unsigned.hops[0] = envelope.to_json().into();
        let mut another = self.good_request(chance);
        another.question = another.question.replace("web", "db").into();
        let old = self.sent(self.question(0, 2), Time(self.now.0 - HOUR), chance);
        let mut endless = self.good_request(chance);
        endless.hops = vec![endless.hops[0].clone(); 9];
        let mut noise = self.good_request(chance);
        noise.hops[0] = "{}".into();
        let mut stolen = self.question(0, 2);
        stolen.asker.scope = self.anchors[2].path.clone();
        vec![
            (unsigned, ChainFault::Signature(0)),
            (another, ChainFault::Foreign(0)),
            (old, ChainFault::Time(0)),
            (endless, ChainFault::Length(10)),
            (noise, ChainFault::Malformed(0)),
            (self.sent(stolen, self.now, chance), ChainFault::Foreign(0)),
        ]
    }
}

/// The same envelope with another statement, under the signature of the one before.
fn changed(envelope: &str, change: impl Fn(&mut Hop)) -> Envelope {
    let mut envelope = Envelope::parse(envelope.as_bytes()).unwrap();
    let mut hop: Hop = serde_json::from_slice(&envelope.payload).unwrap();
    change(&mut hop);
    envelope.payload = serde_json::to_vec(&hop).unwrap();
    envelope
}

/// An index of two services on two nodes, with checks.
pub(in crate::traversal) fn index_with_services() -> Index {
    let mut index = Index::new();
    for (seq, (node, service)) in (1..).zip([("n1", "web"), ("n2", "web"), ("n2", "db")]) {
        let registration = Registration {
            node: Node { name: node.into(), address: "10.0.0.1".into(), ..Node::default() },
            service: Some(Service {
                id: format!("{service}-{node}").as_str().into(),
                name: service.into(),
                ..Service::default()
            }),
            checks: vec![Check { id: "alive".into(), ..Check::default() }],
            ..Registration::default()
        };
        let at = Time(seq);
        let stamp = Stamp { revision: seq, seq, at, salt: [3; 16] };
        index.apply(&stamp, &Change::Register(Box::new(registration)));
    }
    index
}
