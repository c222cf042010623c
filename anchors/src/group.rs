//! One order of writes for a scope: an anchor group, today of one member.
//!
//! ```text
//!   propose ─▶ queue ─▶ keeper: one batch at a time
//!                         │  raft entry ─▶ log: one durable commit           (1 fdatasync)
//!                         │  committed  ─▶ machine: index ─▶ publish
//!                         ▼                    └─▶ backlog: lineage, rows    (written now and then, not synced)
//!                       replies
//! ```
//!
//! What arrives while a batch is synced waits in the queue and makes the next one. Everything of a group runs on a thread
//! of its own: a sync blocks nobody else, and a batch goes from task to task without waking another thread.
//!
//! **Crash.** Only the log's commit acknowledges. What a batch makes (entries of the lineage, payloads, hashes, rows, the
//! mark of what is applied) waits in the `backlog` and is written with that of many others, in one transaction: when it
//! is as much as may wait, when nothing comes for a while, and before anybody reads it from the store: a snapshot, a
//! checkpoint, a reader of the lineage, the end. A later commit of the log takes the transaction to the disk. So a store
//! that comes back holds the order up to some batch, everything that the batches up to an earlier one made, and nothing
//! half. The start applies the rest again: `machine` is deterministic, so that the same entries make the same bytes. The
//! log has all of the rest, because it lets go only of what a snapshot covers, and a snapshot is a view of the store after
//! the backlog was written.
//!
//! **A disk that refuses.** redb stops at the first I/O error, and so does the raft core. The batch and those after
//! it are refused, reads go on from the published index. Each later batch tries to take the store into use again; what
//! the log holds beyond the last acknowledged batch is cut off then, because it was refused. A group of one may do that:
//! no other member has seen it. Only a crash in between can make a refused batch appear, whole. What the backlog held is
//! dropped then and comes from the log again. A batch is refused for want of room in the backlog before it is applied:
//! what was published is never taken back.

mod backlog;
pub(crate) mod fold;
mod keeper;
mod log;
mod machine;
mod measure;
mod nobody;
mod raft;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;

use self::backlog::Backlog;
pub(crate) use self::fold::Folded;
use self::keeper::Ask;
pub(crate) use self::log::raft_entries_beyond;
use crate::change::Change;
use crate::change::Committed;
use crate::clock::Time;
use crate::error::Refusal;
use crate::index::{Index, RowError, Touched};
use crate::limits;
use crate::lineage::SALT_BYTES;
use crate::lineage::note::is_origin;
use crate::lineage::prune::Base;
use crate::lineage::tiles::Lineage;
use crate::outcome::Outcome;
use crate::scope::ScopePath;
use crate::store::{Store, StoreError};

/// The members of one scope's order, seen from this one. Dropping it ends the group as [`Group::stop`] does, without
/// telling when.
pub struct Group {
    asks: mpsc::Sender<Ask>,
    waiting_bytes: Arc<AtomicUsize>,
    stopped: Arc<AtomicBool>,
    lineage: Lineage,
    /// The scope of the datacenter itself: it is not named where it is meant.
    root: Box<str>,
    /// The term in which this member leads.
    term: Arc<AtomicU64>,
}

/// What a group is told of itself.
#[derive(Clone, Debug)]
pub struct GroupSettings {
    /// The path of the scope that it governs: the origin of its checkpoints.
    pub scope: Box<str>,
    /// This member's name.
    pub member: Box<str>,
}

/// A write that was admitted or refused, with everything that its application needs: applying draws on no clock and no
/// random source.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// What is to be done.
    pub change: Change,
    /// Who asks.
    pub actor: Box<str>,
    /// When.
    pub at: Time,
    /// Randomness: it salts the payload and makes the uids.
    pub salt: [u8; SALT_BYTES],
    /// What the policy decided. Only what is admitted is applied; everything is recorded.
    pub outcome: Outcome,
    /// The rule that decided. Names that begin with `index/` are the index's own.
    pub rule: Box<str>,
    /// The entry that caused this one.
    pub cause: Option<u64>,
    /// The scope that decided, where it is not the datacenter's own.
    pub scope: Option<ScopePath>,
    /// The credential under which it was admitted, by id.
    pub credential: Option<Box<str>>,
}

/// Told of each applied batch, in order.
pub trait Publish: Send + Sync + 'static {
    /// The index after a batch, and what the batch touched.
    fn publish(&self, index: Index, touched: Touched);
}

/// Why a group did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The scope's path cannot be signed.
    #[error(
        "scope {0:?} cannot be the origin of a checkpoint: it must have no space and no plus sign"
    )]
    Scope(Box<str>),
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A row of the projection cannot be read.
    #[error("the projection is damaged: {0}; run `replay --check` to see what else is")]
    Row(#[from] RowError),
    /// A restore that was under way cannot go on.
    #[error("a restore was under way and cannot go on: {0}; put back a copy of the data directory")]
    Restore(Box<str>),
    /// Consensus did not come up.
    #[error("the group did not start: {0}")]
    Raft(Box<str>),
    /// There is no thread to run it on.
    #[error("the group has no thread: {0}")]
    Thread(std::io::Error),
}

/// A proposal as it is ordered and kept: the change stands beside its exact bytes, which the lineage's digest covers.
#[derive(Clone, Debug)]
pub(crate) struct Sealed {
    terms: Terms,
    change: Change,
    payload: Box<RawValue>,
}

/// All of a proposal but the change.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Terms {
    at: Time,
    #[serde(with = "crate::encoding::hex")]
    salt: [u8; SALT_BYTES],
    actor: Box<str>,
    outcome: Outcome,
    rule: Box<str>,
    cause: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scope: Option<ScopePath>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    credential: Option<Box<str>>,
}

// === impl Group ===

impl Group {
    /// Starts the group over its store. When it returns, everything that was ever acknowledged is in the index, and
    /// this member leads. `publish` hears of what comes after.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(
        store: Arc<Store>,
        settings: GroupSettings,
        publish: Arc<dyn Publish>,
    ) -> Result<(Self, Index), StartError> {
        if !is_origin(&settings.scope) {
            return Err(StartError::Scope(settings.scope));
        }
        let (asks, queue) = mpsc::channel(limits::WRITES_WAITING_MAX);
        let (ready, started) = oneshot::channel();
        let backlog = Arc::new(Backlog::new(Arc::clone(&store)));
        let group = Self {
            asks,
            waiting_bytes: Arc::default(),
            stopped: Arc::default(),
            lineage: Lineage::new(Arc::clone(&store), Arc::clone(&backlog) as _),
            root: settings.scope.clone(),
            term: Arc::clone(&backlog.term),
        };
        let waiting_bytes = Arc::clone(&group.waiting_bytes);
        keeper::spawn(store, settings, publish, backlog, waiting_bytes, queue, ready)
            .map_err(StartError::Thread)?;
        let index =
            started.await.unwrap_or_else(|_| Err(StartError::Raft("its thread ended".into())))?;
        Ok((group, index))
    }

    /// Orders a write, makes it durable, applies and publishes it.
    ///
    /// # Errors
    /// [`Refusal`]: nothing was changed. Refusals by the index or the policy are recorded in the lineage, those for want
    /// of room, disk or time are not.
    pub async fn propose(&self, mut proposal: Proposal) -> Result<Committed, Refusal> {
        proposal.scope = self.named(proposal.scope);
        let sealed = Box::new(Sealed::new(proposal));
        let bytes = sealed.payload.get().len();
        let waiting = self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        if waiting + bytes > limits::WRITES_WAITING_BYTES_MAX {
            self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(Refusal::Overloaded);
        }
        let (reply, answer) = oneshot::channel();
        if let Err(error) = self.asks.try_send(Ask::Write { sealed, reply }) {
            self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(match error {
                mpsc::error::TrySendError::Full(_) => Refusal::Overloaded,
                mpsc::error::TrySendError::Closed(_) => Refusal::Stopping,
            });
        }
        answer.await.unwrap_or(Err(Refusal::Stopping))
    }

    /// Whether the group has a leader. A group of one has as long as it runs, also while its disk refuses.
    pub fn has_leader(&self) -> bool {
        !self.stopped.load(Ordering::Relaxed) && !self.asks.is_closed()
    }

    /// The term in which this member leads: it rises with each election.
    pub fn term(&self) -> u64 {
        self.term.load(Ordering::Relaxed)
    }

    /// The datacenter's own lineage, signed as it is now.
    ///
    /// # Errors
    /// [`Refusal::Stopping`] or [`Refusal::Storage`].
    pub async fn checkpoint(&self) -> Result<Box<str>, Refusal> {
        self.checkpoint_of(None).await
    }

    /// The lineage of a scope, signed as it is now; `None` is the datacenter's own.
    ///
    /// # Errors
    /// [`Refusal::Stopping`] or [`Refusal::Storage`].
    pub async fn checkpoint_of(&self, scope: Option<ScopePath>) -> Result<Box<str>, Refusal> {
        let (scope, (reply, note)) = (self.named(scope), oneshot::channel());
        self.asks.send(Ask::Checkpoint { scope, reply }).await.map_err(|_| Refusal::Stopping)?;
        note.await.unwrap_or(Err(Refusal::Stopping))
    }

    /// Keeps an image of the state as it is, from which it can be folded when payloads of the entries before are gone.
    ///
    /// # Errors
    /// [`Refusal::Stopping`] or [`Refusal::Storage`].
    pub async fn seal(&self) -> Result<Base, Refusal> {
        let (reply, image) = oneshot::channel();
        self.asks.send(Ask::Image(reply)).await.map_err(|_| Refusal::Stopping)?;
        let (index, order) = image.await.map_err(|_| Refusal::Stopping)?;
        let lineage = self.lineage.clone();
        let drafted = spawn_blocking(move || lineage.draft(&index, order));
        let failed = |error: String| Refusal::Storage(error.into());
        let drafted = drafted.await.map_err(|error| failed(error.to_string()))?;
        drafted.map_err(|error| failed(error.to_string()))
    }

    /// Lets go of what the log keeps of writes that were applied: payloads that were pruned are in it, too.
    pub async fn compact(&self) {
        let _ = self.asks.send(Ask::Compact).await;
    }

    /// The datacenter's scope goes without a name.
    fn named(&self, scope: Option<ScopePath>) -> Option<ScopePath> {
        scope.filter(|path| path.as_str() != &*self.root)
    }

    /// Reads the datacenter's own lineage, and from there the others.
    pub fn lineage(&self) -> &Lineage {
        &self.lineage
    }

    /// Ends the group: what waits is still written, the lineage is signed, the store is left in good order.
    pub async fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        let (reply, stopped) = oneshot::channel();
        if self.asks.send(Ask::Stop(reply)).await.is_ok() {
            let _ = stopped.await;
        }
    }
}

// === impl Sealed ===

impl Sealed {
    fn new(proposal: Proposal) -> Self {
        let Proposal { change, actor, at, salt, outcome, rule, cause, scope, credential } =
            proposal;
        let payload = serde_json::value::to_raw_value(&change).expect("changes are plain values");
        let terms = Terms { at, salt, actor, outcome, rule, cause, scope, credential };
        Self { terms, change, payload }
    }
}

#[cfg(test)]
pub(crate) mod tests;
