//! The node's role: performs the checks that are due, and keeps the catalog told of the node.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use proconsul_anchors::agent::Agent;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, warn};

use crate::probes::{Probes, Surroundings, Trust};

/// Checks that are performed at a time; what is due beyond it waits for its turn.
const RUNS_MAX: usize = 256;
/// A full comparison with the catalog comes after this and a random part of it: Consul's interval.
const SYNC_INTERVAL: Duration = Duration::from_secs(60);
/// What could not be told is tried again after this, doubled at each failure …
const RETRY_FIRST: Duration = Duration::from_millis(250);
/// … up to Consul's retry.
const RETRY_MAX: Duration = Duration::from_secs(15);
/// The loop looks at the clock at least this often: the machine's time may be set.
const LOOK_MAX: Duration = Duration::from_secs(30);

/// The node's loop.
struct Node {
    agent: Agent,
    probes: Arc<Probes>,
    room: Arc<Semaphore>,
    tasks: JoinSet<()>,
    /// Aliases that follow another node, each with its watching task.
    followers: HashMap<Arc<str>, (Box<str>, tokio::task::AbortHandle)>,
    sync_at: Instant,
    retry: Duration,
}

/// Performs the node's checks and syncs its leaf until `stop` turns true.
pub(crate) async fn run(agent: Agent, trust: Arc<ArcSwap<Trust>>, mut stop: watch::Receiver<bool>) {
    let mut moved = agent.watch();
    let mut node = Node::new(agent, trust);
    let mut syncing: Option<tokio::task::JoinHandle<bool>> = None;
    node.follow();
    loop {
        let due = node.wake_at();
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            changed = moved.changed() => match changed {
                Ok(()) => node.moved(),
                Err(_) => return,
            },
            () = sleep_until(due) => node.perform(),
            () = sleep_until(node.sync_at), if syncing.is_none() => {
                let agent = node.agent.clone();
                syncing = Some(tokio::spawn(async move { agent.sync_full().await }));
            }
            done = finished(&mut syncing) => {
                syncing = None;
                node.synced(done);
            }
            Some(ended) = node.tasks.join_next(), if !node.tasks.is_empty() => {
                if let Err(error) = ended && error.is_panic() {
                    warn!(%error, "a check's run broke off");
                }
            }
        }
    }
}

/// Whether the full sync under way told everything; waits for ever while none is.
async fn finished(syncing: &mut Option<tokio::task::JoinHandle<bool>>) -> bool {
    match syncing {
        Some(task) => task.await.unwrap_or(false),
        None => std::future::pending().await,
    }
}

// === impl Node ===

impl Node {
    fn new(agent: Agent, trust: Arc<ArcSwap<Trust>>) -> Self {
        Self {
            agent,
            probes: Arc::new(Probes::new(trust, Surroundings::of_the_process())),
            room: Arc::new(Semaphore::new(RUNS_MAX)),
            tasks: JoinSet::new(),
            followers: HashMap::new(),
            sync_at: Instant::now(),
            retry: RETRY_FIRST,
        }
    }

    fn wake_at(&self) -> Instant {
        let wait = self.agent.next_due().map_or(LOOK_MAX, |due| due.since(self.agent.now()));
        Instant::now() + wait.min(LOOK_MAX)
    }

    /// Starts what is due. Results are heard in tasks of their own: a slow disk must not hold up the next check.
    fn perform(&mut self) {
        for run in self.agent.take_due() {
            let (agent, probes, room) =
                (self.agent.clone(), Arc::clone(&self.probes), Arc::clone(&self.room));
            self.tasks.spawn(async move {
                let _place = room.acquire_owned().await;
                let result = probes.perform(&run).await;
                debug!(check = %run.check, status = %result.status, "check performed");
                agent.heard(&run.check, run.number, result).await;
            });
        }
        self.tasks.spawn(self.agent.tick());
    }

    fn moved(&mut self) {
        self.follow();
        if self.agent.is_behind() {
            self.sync_at = self.sync_at.min(Instant::now() + self.retry);
        }
    }

    fn synced(&mut self, all_told: bool) {
        if all_told {
            self.retry = RETRY_FIRST;
            let spread = SYNC_INTERVAL.mul_f64(rand::random::<f64>());
            self.sync_at = Instant::now() + SYNC_INTERVAL + spread;
        } else {
            self.sync_at = Instant::now() + self.retry;
            self.retry = (self.retry * 2).min(RETRY_MAX);
        }
    }

    /// Watches the nodes that aliases follow, and no others.
    fn follow(&mut self) {
        let wanted = self.agent.remote_aliases();
        self.followers.retain(|check, (node, task)| {
            let stays = wanted.get(check) == Some(node);
            if !stays {
                task.abort();
            }
            stays
        });
        for (check, node) in wanted {
            if !self.followers.contains_key(&check) {
                let (agent, of, on) = (self.agent.clone(), Arc::clone(&check), node.clone());
                let task = self.tasks.spawn(async move { agent.follow_node(&of, &on).await });
                self.followers.insert(check, (node, task));
            }
        }
    }
}
