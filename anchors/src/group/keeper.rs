//! The thread of a group: it makes batches of what waits, and takes the store into use again after it failed.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use metrics::{counter, histogram};
use openraft::{BasicNode, Raft, RaftMetrics, ServerState};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::backlog::Backlog;
use super::log::RaftLog;
use super::machine::{Machine, Outlet};
use super::nobody::Nobody;
use super::raft::{ALONE, Batch, Types, Verdicts, config};
use super::{GroupSettings, Publish, Sealed, StartError};
use crate::change::Committed;
use crate::error::Refusal;
use crate::index::Index;
use crate::limits;
use crate::lineage::note::Notary;
use crate::scope::ScopePath;
use crate::store::Store;

/// What the keeper is asked for.
pub(super) enum Ask {
    /// Order a write.
    Write {
        /// The write.
        sealed: Box<Sealed>,
        /// Where its verdict goes.
        reply: Reply,
    },
    /// Sign a lineage as it is.
    Checkpoint {
        /// Whose; `None` is the datacenter's own.
        scope: Option<ScopePath>,
        /// Where the signed note goes.
        reply: oneshot::Sender<Result<Box<str>, Refusal>>,
    },
    /// Tell the state, and the place of the next entry in the order.
    Image(oneshot::Sender<(Index, u64)>),
    /// Let go of what the log keeps of what was applied.
    Compact,
    /// End.
    Stop(oneshot::Sender<()>),
}

pub(super) type Reply = oneshot::Sender<Result<Committed, Refusal>>;

/// Everything that a group's thread has.
struct Keeper {
    store: Arc<Store>,
    settings: GroupSettings,
    outlet: Arc<Outlet>,
    waiting_bytes: Arc<AtomicUsize>,
    queue: mpsc::Receiver<Ask>,
    /// `None` while the store refuses.
    raft: Option<Raft<Types>>,
    /// The last raft entry whose proposers were answered, or that the start found: never to be forgotten.
    acknowledged: Option<u64>,
    /// Whether a batch was written since the store was last taken into use.
    proven: bool,
    /// When the store may be tried again.
    retry_at: Instant,
}

/// What is taken from the queue at once.
#[derive(Default)]
struct Taken {
    writes: Vec<Sealed>,
    replies: Vec<Reply>,
    bytes: usize,
    /// What ended the batch before it was full.
    then: Option<Ask>,
}

/// Starts the thread. `ready` hears when the group leads.
pub(super) fn spawn(
    store: Arc<Store>,
    settings: GroupSettings,
    publish: Arc<dyn Publish>,
    backlog: Arc<Backlog>,
    waiting_bytes: Arc<AtomicUsize>,
    queue: mpsc::Receiver<Ask>,
    ready: oneshot::Sender<Result<Index, StartError>>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let notary = Notary::new(&settings.scope, store.keys().anchor().clone());
    let outlet = Arc::new(Outlet::new(publish, notary, backlog));
    let retry_at = Instant::now();
    let mut keeper = Keeper {
        store,
        settings,
        outlet,
        waiting_bytes,
        queue,
        raft: None,
        acknowledged: None,
        proven: true,
        retry_at,
    };
    let run = move || {
        runtime.block_on(async {
            let started = keeper.start().await;
            let leads = started.is_ok();
            if ready.send(started).is_ok() && leads {
                keeper.run().await;
            }
            keeper.shut_down().await;
        });
    };
    std::thread::Builder::new().name("group".to_owned()).spawn(run).map(drop)
}

// === impl Keeper ===

impl Keeper {
    /// Brings consensus up over what the store holds, and applies what the log holds beyond it.
    async fn start(&mut self) -> Result<Index, StartError> {
        let log = RaftLog::new(Arc::clone(&self.store));
        let machine = Machine::load(Arc::clone(&self.store), Arc::clone(&self.outlet))?;
        let config = Arc::new(config(&self.settings.scope));
        let raft = Raft::new(ALONE, config, Nobody, log, machine).await.map_err(raft_error)?;
        if !raft.is_initialized().await.map_err(raft_error)? {
            let members = BTreeMap::from([(ALONE, BasicNode::new(&self.settings.member))]);
            raft.initialize(members).await.map_err(raft_error)?;
        } else if raft.metrics().borrow().state != ServerState::Leader {
            raft.trigger().elect().await.map_err(raft_error)?;
        }
        let caught_up = |seen: &RaftMetrics<u64, BasicNode>| {
            let applied = seen.last_applied.map(|id| id.index);
            seen.state == ServerState::Leader && applied.is_some() && applied == seen.last_log_index
        };
        let wait = raft.wait(Some(limits::START_WAIT_MAX));
        wait.metrics(caught_up, "leads and has applied its log").await.map_err(raft_error)?;
        let term = raft.metrics().borrow().current_term;
        self.outlet.backlog.term.store(term, Ordering::Relaxed);
        self.raft = Some(raft);
        let latest = self.outlet.open();
        self.acknowledged = latest.applied.map(|id| id.index);
        Ok(latest.index)
    }

    async fn run(&mut self) {
        let store = Arc::clone(&self.store);
        loop {
            let ask = tokio::select! {
                biased;
                ask = self.queue.recv() => ask,
                () = store.leaf_failed() => {
                    self.mend().await;
                    continue;
                }
                () = rest(&self.outlet.backlog) => {
                    self.settle().await;
                    continue;
                }
            };
            let Some(ask) = ask else { return };
            let taken = self.take(ask);
            if !taken.writes.is_empty() {
                self.write(taken.writes, taken.replies, taken.bytes).await;
            }
            match taken.then {
                None | Some(Ask::Write { .. }) => {}
                Some(Ask::Checkpoint { scope, reply }) => {
                    let _ = reply.send(self.checkpoint(scope.as_ref()));
                }
                Some(Ask::Image(reply)) => {
                    let latest = self.outlet.latest();
                    let _ = reply.send((latest.index, latest.edges.total()));
                }
                Some(Ask::Compact) => self.compact().await,
                Some(Ask::Stop(reply)) => {
                    self.shut_down().await;
                    let _ = reply.send(());
                    return;
                }
            }
        }
    }

    /// Writes what was applied. A store that refuses is found out here as well as by a write.
    async fn settle(&mut self) {
        if let Err(error) = self.outlet.backlog.flush() {
            warn!(%error, "what was applied could not be written yet");
            self.mend().await;
        }
    }

    /// Everything that waits, up to a full batch.
    fn take(&mut self, first: Ask) -> Taken {
        let mut taken = Taken::default();
        let mut next = Some(first);
        while let Some(ask) = next {
            let Ask::Write { sealed, reply } = ask else {
                taken.then = Some(ask);
                break;
            };
            taken.bytes += sealed.payload.get().len();
            taken.writes.push(*sealed);
            taken.replies.push(reply);
            let full = taken.writes.len() >= limits::BATCH_WRITES_MAX
                || taken.bytes >= limits::BATCH_BYTES_MAX;
            next = if full { None } else { self.queue.try_recv().ok() };
        }
        taken
    }

    async fn write(&mut self, writes: Vec<Sealed>, replies: Vec<Reply>, bytes: usize) {
        let outcome = self.order(Batch(writes.into())).await;
        self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
        match outcome {
            Ok(Verdicts(verdicts)) => {
                for (reply, verdict) in replies.into_iter().zip(verdicts) {
                    let _ = reply.send(verdict);
                }
            }
            Err(refusal) => {
                for reply in replies {
                    let _ = reply.send(Err(refusal.clone()));
                }
            }
        }
    }

    async fn order(&mut self, batch: Batch) -> Result<Verdicts, Refusal> {
        if self.raft.is_none() {
            self.recover().await?;
        }
        let raft = self.raft.as_ref().ok_or(Refusal::NoLeader)?;
        let (began, writes) = (Instant::now(), batch.0.len() as u64);
        match raft.client_write(batch).await {
            Ok(written) => {
                self.acknowledged = Some(written.log_id.index);
                self.proven = true;
                counter!("consul.raft.apply").increment(writes);
                histogram!("consul.raft.commitTime")
                    .record(began.elapsed().as_secs_f64() * 1_000.0);
                Ok(written.data)
            }
            Err(openraft::error::RaftError::APIError(_)) => Err(Refusal::NoLeader),
            Err(openraft::error::RaftError::Fatal(fatal)) => {
                let cause = self.store.last_failure().unwrap_or_else(|| fatal.to_string());
                self.give_up(&cause).await;
                Err(Refusal::Storage(cause.into()))
            }
        }
    }

    /// Stops using the store. The next write tries it again at once, unless it failed again without having worked.
    async fn give_up(&mut self, cause: &str) {
        self.shut_down_raft().await;
        if self.proven {
            error!(error = cause, "the store failed: writes are refused until it works again");
        }
        let pause = if self.proven { Duration::ZERO } else { limits::REOPEN_PAUSE };
        self.retry_at = Instant::now() + pause;
    }

    /// Somebody else found the store failing: whatever consensus believes to be written may not be.
    async fn mend(&mut self) {
        if !self.store.is_broken() {
            return;
        }
        if self.raft.is_some() {
            self.give_up(&self.store.last_failure().unwrap_or_default()).await;
        }
        // Whoever comes next is told if it fails.
        let _ = self.recover().await;
    }

    /// Takes the store into use again, without what was refused.
    async fn recover(&mut self) -> Result<(), Refusal> {
        if Instant::now() < self.retry_at {
            return Err(Refusal::Storage(self.store.last_failure().unwrap_or_default().into()));
        }
        // It leads beyond what the store will be found to hold; the log leads there again.
        self.outlet.backlog.clear();
        let reopened = self.store.reopen().and_then(|()| match self.acknowledged {
            Some(last) => RaftLog::forget_after(&self.store, last),
            None => Ok(()),
        });
        let recovered = match reopened {
            Ok(()) => self.start().await.map(drop),
            Err(error) => Err(error.into()),
        };
        match recovered {
            Ok(()) => {
                info!("the store is in use again");
                self.proven = false;
                Ok(())
            }
            Err(error) => {
                warn!(%error, "the store still fails");
                self.retry_at = Instant::now() + limits::REOPEN_PAUSE;
                Err(Refusal::Storage(error.to_string().into()))
            }
        }
    }

    fn checkpoint(&self, scope: Option<&ScopePath>) -> Result<Box<str>, Refusal> {
        let signed = self.outlet.checkpoint(&self.store, scope);
        signed.map_err(|error| Refusal::Storage(error.to_string().into()))
    }

    /// What a snapshot covers is not in the log any more.
    async fn compact(&self) {
        if let Some(raft) = &self.raft
            && let Err(error) = raft.trigger().snapshot().await
        {
            warn!(%error, "the log could not be shortened");
        }
    }

    async fn shut_down_raft(&mut self) {
        if let Some(raft) = self.raft.take() {
            let _ = raft.shutdown().await;
        }
    }

    async fn shut_down(&mut self) {
        self.queue.close();
        if self.raft.is_some()
            && let Err(error) = self.outlet.checkpoint_all(&self.store)
        {
            warn!(%error, "the lineage could not be signed at the end");
        }
        self.shut_down_raft().await;
    }
}

/// Returns when there is something to write and nothing else came for a while.
async fn rest(backlog: &Backlog) {
    if backlog.is_empty() {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(limits::BACKLOG_REST).await;
}

fn raft_error(error: impl std::fmt::Display) -> StartError {
    StartError::Raft(error.to_string().into())
}
