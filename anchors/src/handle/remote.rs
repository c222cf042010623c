//! Other scopes: whom this anchor reaches, what is asked of them, and what is known of them while nobody answers.
//!
//! What was asked for once is followed: one long question for each service and asking scope, shared by all callers. What is
//! decided about a caller is kept apart from what is answered, and never longer than the follow lives.

mod adjacencies;
mod explain;
mod follow;
mod judge;
mod kept;
mod resolve;
mod serve;

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use ed25519_dalek::SigningKey;

pub use self::adjacencies::AdjacencyError;
pub use self::explain::{Explanation, Source, Told};
pub use self::follow::{FarFault, Wait};
use self::kept::Kept;
pub use self::resolve::Resolution;
pub use self::serve::AskFault;
use super::Handle;
use crate::clock::Time;
use crate::credential::Adjacency;
use crate::index::Index;
use crate::record::TableId;
use crate::scope::ScopePath;
use crate::traversal::adjacency::{self, EVERYTHING, Standing, TRANSIT};
use crate::traversal::{
    Asking, Contact, Failure, Me, Peer, Reach, Reached, Reply, Request, Seen, Step, Verdict, Walk,
};

/// How often neighbours are asked whether they are there.
pub const CONTACT_EVERY: Duration = Duration::from_secs(1);
/// A scope that was not heard of for so long cannot be reached.
pub(super) const FRESH_MAX: Duration = Duration::from_secs(3);
/// How long a neighbour may take to say that it is there.
const CONTACT_PATIENCE: Duration = Duration::from_secs(2);

/// What is on its way to another anchor.
pub type Sending = Pin<Box<dyn Future<Output = Result<Vec<u8>, Box<str>>> + Send>>;

/// What an anchor is told, or asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    /// A question: [`crate::traversal::Ask`], answered by a [`Reply`].
    Ask,
    /// Whether it is there: answered by a [`Contact`].
    Contact,
}

/// Whoever carries bytes to other anchors: the program's transport.
pub trait Wire: Send + Sync + 'static {
    /// Sends a body to one of the peer's anchors, to the next one where one does not take it, and brings back the reply's.
    fn send(&self, to: &Peer, errand: Errand, body: Vec<u8>, patience: Duration) -> Sending;
}

/// What is known of other scopes.
pub(super) struct Remote {
    key: SigningKey,
    wire: OnceLock<Arc<dyn Wire>>,
    reach: Mutex<Reach>,
    /// The mark of the adjacencies from which the neighbours were taken, and until when these hold.
    noted: Mutex<(u64, Time)>,
    seen: Mutex<Seen>,
    kept: Kept,
}

// === impl Remote ===

impl Remote {
    pub(super) fn new(key: SigningKey) -> Self {
        Self {
            key,
            wire: OnceLock::new(),
            reach: Mutex::default(),
            noted: Mutex::default(),
            seen: Mutex::default(),
            kept: Kept::default(),
        }
    }

    fn reach(&self) -> MutexGuard<'_, Reach> {
        self.reach.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The adjacencies of an index.
fn adjacencies(index: &Index) -> impl Iterator<Item = &Adjacency> {
    index.records::<Adjacency>().map(|row| &row.record)
}

impl Handle {
    /// Lets this anchor speak to others, over this.
    pub fn join(&self, wire: Arc<dyn Wire>) {
        // Whoever joined first stays.
        let _joined = self.0.remote.wire.set(wire);
    }

    /// The key of this anchor, ed25519 in hex: what others know it by.
    pub fn anchor_key(&self) -> Box<str> {
        self.me(&self.root()).key_hex()
    }

    /// The key by which this anchor proves who it is.
    pub fn signing_key(&self) -> &SigningKey {
        &self.0.remote.key
    }

    /// Whether any adjacency was ever made: only then does this anchor listen for others.
    pub fn has_adjacencies(&self) -> bool {
        self.snapshot().table_mark(TableId::Adjacency) > 0
    }

    /// The adjacency of whoever has this key, however it stands.
    pub fn adjacency_of(&self, key: &str) -> Option<Adjacency> {
        let index = self.snapshot();
        adjacencies(&index).find(|adjacency| *adjacency.key == *key).cloned()
    }

    /// The scopes that can be asked, each with its shortest way.
    pub fn reached(&self) -> Vec<Reached> {
        self.note_neighbours();
        self.0.remote.reach().told(&self.root(), self.now())
    }

    /// Whether a datacenter is another one that is known here: then it is for the traversal to say what comes of a question.
    pub fn knows_far(&self, datacenter: &str) -> bool {
        let index = self.snapshot();
        if index.table_mark(TableId::Adjacency) == 0 || datacenter == self.root().as_str() {
            return false;
        }
        let Ok(target) = ScopePath::parse(datacenter) else { return false };
        let known = index.record::<Adjacency>(target.datacenter()).is_some();
        known || !self.ways(&target).is_empty()
    }

    /// Asks the neighbours again and again whether they are there, for ever.
    pub async fn keep_contact(&self) {
        let mut every = tokio::time::interval(CONTACT_EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            let handle = self.clone();
            tokio::spawn(async move { handle.ask_neighbours().await });
        }
    }

    /// Asks each neighbour whether it is there, and whom it reaches.
    pub(super) async fn ask_neighbours(&self) {
        self.note_neighbours();
        let peers: Vec<Peer> = self.0.remote.reach().peers().cloned().collect();
        futures_util::future::join_all(peers.iter().map(|peer| self.contact_with(peer))).await;
    }

    /// Takes the live adjacencies for the neighbours, where these may be others than before.
    fn note_neighbours(&self) {
        let (index, now) = (self.snapshot(), self.now());
        let mark = index.table_mark(TableId::Adjacency);
        let mut noted = self.0.remote.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.0 == mark && now < noted.1 {
            return;
        }
        let live: Vec<&Adjacency> = adjacencies(&index)
            .filter(|adjacency| adjacency::standing(adjacency, now) == Standing::Live)
            .collect();
        let until = live.iter().map(|adjacency| adjacency.until).min();
        let peers = live.into_iter();
        let peers = peers.map(|adjacency| (adjacency::peer(adjacency), lets_through(adjacency)));
        self.0.remote.reach().set(peers);
        *noted = (mark, until.unwrap_or(Time(u64::MAX)));
    }

    async fn contact_with(&self, peer: &Peer) {
        let Some(wire) = self.0.remote.wire.get().cloned() else { return };
        match wire.send(peer, Errand::Contact, b"{}".to_vec(), CONTACT_PATIENCE).await {
            Ok(bytes) => match serde_json::from_slice::<Contact>(&bytes) {
                Ok(contact) => {
                    let (me, now) = (self.root(), self.now());
                    self.0.remote.reach().heard(&me, &peer.scope, contact, now);
                }
                Err(error) => {
                    tracing::warn!(scope = %peer.scope, %error, "a neighbour tells what cannot be read")
                }
            },
            Err(why) => tracing::debug!(scope = %peer.scope, %why, "a neighbour is not there"),
        }
    }

    fn me<'a>(&'a self, scope: &'a ScopePath) -> Me<'a> {
        Me { scope, key: &self.0.remote.key }
    }

    fn ways(&self, target: &ScopePath) -> Vec<Peer> {
        self.note_neighbours();
        self.0.remote.reach().ways(target)
    }

    /// How long ago a scope was heard of; nothing when it never was.
    fn age_of(&self, target: &ScopePath) -> Option<Duration> {
        self.0.remote.reach().age(target, self.now())
    }

    fn record_of(&self, target: &ScopePath) -> Option<Adjacency> {
        let index = self.snapshot();
        index.record::<Adjacency>(target.datacenter()).map(|row| row.record.clone())
    }

    /// Walks as far as others have to be asked. The scope is not governed here.
    async fn walk(&self, mut walk: Walk<'_>) -> (Verdict, Vec<(ScopePath, Failure)>) {
        loop {
            match walk.next(self.now()) {
                Step::Done(verdict) => return (verdict, std::mem::take(&mut walk.failures)),
                Step::Ask(asking) => {
                    let reply = self.send(asking).await;
                    walk.heard(reply, self.now());
                }
                // Only `serve` begins a walk whose answer is read here, and it brings the answer along.
                Step::Read => return (Verdict::Unreachable, Vec::new()),
            }
        }
    }

    async fn send(&self, asking: Asking) -> Result<Reply, Box<str>> {
        let wire = self.0.remote.wire.get().ok_or("this anchor speaks to no others")?;
        let body = serde_json::to_vec(&asking.ask).expect("a question has text keys only");
        let patience = asking.until.since(self.now());
        // Round trips that somebody waits for, and those of whoever follows.
        if asking.ask.wait_ms == 0 {
            metrics::counter!("consul.anchor.traversal.asked").increment(1);
        } else {
            metrics::counter!("consul.anchor.traversal.followed").increment(1);
        }
        let bytes = wire.send(&asking.to, Errand::Ask, body, patience).await?;
        serde_json::from_slice(&bytes).map_err(|error| error.to_string().into())
    }

    /// A question of this anchor's own, on its way.
    async fn ask_far(&self, request: Request, own: crate::traversal::Decided) -> Verdict {
        let root = self.root();
        let ways = self.ways(&request.asked.question.target);
        let target = request.asked.question.target.clone();
        let walk = Walk::begin(self.me(&root), request, own, ways);
        let (verdict, failures) = self.walk(walk).await;
        for (scope, failure) in failures {
            tell(&target, &scope, &failure);
        }
        verdict
    }
}

/// What is not believed is told to whoever reads the log: somebody forges, or clocks are apart.
fn tell(target: &ScopePath, scope: &ScopePath, failure: &Failure) {
    if matches!(failure, Failure::Disbelieved(_)) {
        tracing::warn!(%target, %scope, %failure, "a reply is not taken");
    } else {
        tracing::debug!(%target, %scope, %failure, "a way led nowhere");
    }
}

fn lets_through(adjacency: &Adjacency) -> bool {
    let stated =
        adjacency.theirs.as_deref().and_then(|theirs| adjacency::Statement::read(theirs).ok());
    let theirs = stated.is_some_and(|stated| {
        stated.actions.iter().any(|action| [EVERYTHING, TRANSIT].contains(&&**action))
    });
    theirs && adjacency::allows(adjacency, TRANSIT)
}
