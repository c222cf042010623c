//! This node's agent: the leaf scope behind a lock, kept on disk, told upwards before the reply.
//!
//! ```text
//!   API page ─▶ Agent ─▶ Leaf (lock, pure) ─▶ Moved ─▶ kept (one disk write for all that wait) ─▶ told upwards ─▶ reply
//! ```
//!
//! The lock is never held across an await. What one service moved is told in its own lane, from what the leaf holds
//! when its turn comes: two writes of one service can never arrive upwards in the wrong order. Who performs the checks
//! asks [`Agent::next_due`] and [`Agent::take_due`], and says [`Agent::heard`].

mod keep;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use imbl::OrdMap;
use tokio::sync::watch;
use tracing::{debug, info, warn};

use self::keep::Keeper;
pub use self::keep::{Rows, Shelf, ShelfError};
use crate::acl::{Act, AgentTokens};
use crate::caller::{Caller, Secret};
use crate::change::Change;
use crate::clock::{Clock, Time};
use crate::error::Refusal;
use crate::handle::Handle;
use crate::index::NodeRow;
use crate::name::Caseless;
use crate::node::definition::{CheckDefinition, ServiceDefinition};
use crate::node::sync::NodeTold;
pub use crate::node::{
    Aggregate, Existing, LeafCheck, LeafService, LeafSettings, NodeError, ProbeResult, Run, Server,
    ServiceHealth, Source,
};
use crate::node::{Group, Leaf, LeafRowError, Maintenance, Misconfigured, Moved};
use crate::query::Query;
use crate::service::Status;

/// Lanes in which services are told upwards: as many may be under way at a time.
pub const LANES: usize = 64;

/// A node that an alias follows is looked at again at least this often.
pub const FOLLOW_WAIT_MAX: Duration = Duration::from_secs(60);

/// Where the agent's catalog is: the anchor in this process, or a remote one.
pub trait Upstream: Send + Sync + 'static {
    /// Writes a change; returns when it is committed and visible to [`Upstream::node`].
    fn submit(&self, caller: Caller, change: Change) -> BoxFuture<'_, Result<(), Refusal>>;

    /// What the catalog has of a node.
    fn node(&self, name: &str) -> Option<Arc<NodeRow>>;

    /// The tokens that this node itself uses.
    fn tokens(&self) -> AgentTokens {
        AgentTokens::default()
    }

    /// Whether the catalog would let a caller do this.
    fn may(&self, _caller: &Caller, _act: Act<'_>) -> bool {
        true
    }

    /// Returns when a node or its checks may have changed after a revision, with the revision of what there is then. Also
    /// returns without a change, once in a while.
    fn node_moved<'a>(&'a self, name: &'a str, after: u64) -> BoxFuture<'a, u64>;
}

/// This node's agent. Cheap to clone; all clones are the same one.
#[derive(Clone)]
pub struct Agent(Arc<Inner>);

struct Inner {
    leaf: Mutex<Leaf>,
    keeper: Keeper,
    lanes: [tokio::sync::Mutex<()>; LANES],
    upstream: Arc<dyn Upstream>,
    clock: Arc<dyn Clock>,
    /// Moves whenever the leaf did.
    turn: watch::Sender<u64>,
    /// Something could not be told: the next full sync is due early.
    behind: AtomicBool,
}

/// Why an agent does not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// What was kept cannot be read.
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    /// What was kept is damaged.
    #[error(transparent)]
    Row(#[from] LeafRowError),
}

// === impl Upstream for Handle ===

impl Upstream for Handle {
    fn submit(&self, caller: Caller, change: Change) -> BoxFuture<'_, Result<(), Refusal>> {
        Box::pin(async move { Self::submit(self, &caller, change).await.map(drop) })
    }

    fn node(&self, name: &str) -> Option<Arc<NodeRow>> {
        self.snapshot().node(name).cloned()
    }

    fn tokens(&self) -> AgentTokens {
        self.acl().tokens.clone()
    }

    fn may(&self, caller: &Caller, act: Act<'_>) -> bool {
        self.authority(caller).is_ok_and(|authority| authority.allows(act))
    }

    fn node_moved<'a>(&'a self, name: &'a str, after: u64) -> BoxFuture<'a, u64> {
        let (checks, node) = (Query::NodeChecks(name.into()), Query::Node(name.into()));
        Box::pin(async move {
            let own = Caller::own();
            tokio::select! {
                _ = self.wait(&own, &checks, after, FOLLOW_WAIT_MAX) => {}
                _ = self.wait(&own, &node, after, FOLLOW_WAIT_MAX) => {}
            }
            self.snapshot().revision()
        })
    }
}

// === impl Agent ===

impl Agent {
    /// The agent with what it kept. Nothing is told upwards yet: [`Agent::configure`] comes first, then
    /// [`Agent::sync_full`]. The seed spreads the first runs of the checks.
    ///
    /// # Errors
    /// What was kept cannot be read.
    pub fn open(
        settings: LeafSettings,
        seed: u64,
        upstream: Arc<dyn Upstream>,
        shelf: Arc<dyn Shelf>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let now = clock.now();
        let mut leaf = Leaf::new(settings, seed, now);
        let refused = leaf.restore(shelf.rows()?, now)?;
        for key in &refused {
            warn!(%key, "a kept check is not allowed any more and is forgotten");
        }
        if !refused.is_empty() {
            shelf.put(refused.into_iter().map(|key| (key.to_string(), None)).collect())?;
        }
        Ok(Self(Arc::new(Inner {
            leaf: Mutex::new(leaf),
            keeper: Keeper::new(shelf),
            lanes: std::array::from_fn(|_| tokio::sync::Mutex::new(())),
            upstream,
            clock,
            turn: watch::Sender::new(0),
            behind: AtomicBool::new(false),
        })))
    }

    // --- reads

    /// The services by id.
    pub fn services(&self) -> OrdMap<Arc<str>, Arc<LeafService>> {
        self.leaf().services().clone()
    }

    /// One service.
    pub fn service(&self, id: &str) -> Option<Arc<LeafService>> {
        self.leaf().services().get(id).cloned()
    }

    /// The checks by id, maintenance included.
    pub fn checks(&self) -> OrdMap<Arc<str>, Arc<LeafCheck>> {
        self.leaf().checks().clone()
    }

    /// One check.
    pub fn check(&self, id: &str) -> Option<Arc<LeafCheck>> {
        self.leaf().checks().get(id).cloned()
    }

    /// How many checks are probed, and how many are TTL checks.
    pub fn check_counts(&self) -> (usize, usize) {
        self.leaf().check_counts()
    }

    /// The health of one service; `None` when it is unknown.
    pub fn health_by_id(&self, id: &str) -> Option<ServiceHealth> {
        self.leaf().health(id)
    }

    /// The health of every instance of a name, by id.
    pub fn health_by_name(&self, name: &str) -> Vec<ServiceHealth> {
        self.leaf().health_by_name(name)
    }

    /// One service as soon as its content hash differs, or as it is when patience is over. `None` when it is unknown or
    /// goes meanwhile.
    pub async fn wait_service(
        &self,
        id: &str,
        hash: &str,
        patience: Duration,
    ) -> Option<Arc<LeafService>> {
        let mut turn = self.0.turn.subscribe();
        let differs = |service: &Arc<LeafService>| service.content_hash() != hash;
        let wait = async {
            loop {
                let found = self.service(id);
                if found.as_ref().is_none_or(differs) || turn.changed().await.is_err() {
                    return found;
                }
            }
        };
        match tokio::time::timeout(patience, wait).await {
            Ok(found) => found,
            Err(_) => self.service(id),
        }
    }

    /// The settings as they are now.
    pub fn settings(&self) -> LeafSettings {
        self.leaf().settings().clone()
    }

    // --- writes: kept and told upwards when they return

    /// Registers a service with its checks, or does it again.
    ///
    /// # Errors
    /// Whatever Consul would refuse; then nothing has changed. Or the store did not take it.
    pub async fn register_service(
        &self,
        definition: ServiceDefinition,
        existing: Existing,
    ) -> Result<(), NodeError> {
        warn_of_name(&definition);
        self.write(|leaf, now| leaf.register_service(definition, existing, Source::Api, now)).await
    }

    /// Deregisters a service with its checks and its sidecar.
    ///
    /// # Errors
    /// [`NodeError::UnknownService`].
    pub async fn deregister_service(&self, id: &str) -> Result<(), NodeError> {
        self.write(|leaf, now| leaf.deregister_service(id, now)).await
    }

    /// Registers a check of the node, or of a service that is here.
    ///
    /// # Errors
    /// As [`Agent::register_service`], and [`NodeError::NoServiceForCheck`].
    pub async fn register_check(
        &self,
        check: CheckDefinition,
        token: Option<Secret>,
    ) -> Result<(), NodeError> {
        self.write(|leaf, now| leaf.register_check(check, token, Source::Api, now)).await
    }

    /// Deregisters a check.
    ///
    /// # Errors
    /// [`NodeError::UnknownCheck`].
    pub async fn deregister_check(&self, id: &str) -> Result<(), NodeError> {
        self.write(|leaf, now| leaf.deregister_check(id, now)).await
    }

    /// A TTL check is heard of.
    ///
    /// # Errors
    /// [`NodeError::UnknownCheck`] or [`NodeError::NoTtl`].
    pub async fn update_ttl(
        &self,
        id: &str,
        status: Status,
        output: &str,
    ) -> Result<(), NodeError> {
        self.write(|leaf, now| leaf.update_ttl(id, status, output, now)).await
    }

    /// Puts a service into maintenance or takes it out.
    ///
    /// # Errors
    /// [`NodeError::UnknownService`].
    pub async fn set_service_maintenance(
        &self,
        id: &str,
        maintenance: &Maintenance,
    ) -> Result<(), NodeError> {
        self.write(|leaf, now| leaf.set_service_maintenance(id, maintenance, now)).await
    }

    /// Puts the node into maintenance or takes it out.
    ///
    /// # Errors
    /// The store did not take it.
    pub async fn set_node_maintenance(&self, maintenance: &Maintenance) -> Result<(), NodeError> {
        self.write(|leaf, now| Ok(leaf.set_node_maintenance(maintenance, now))).await
    }

    /// Takes what the configuration files define now: what they defined before and do not any more goes.
    ///
    /// # Errors
    /// The first definition that is refused; then nothing has changed.
    pub async fn configure(
        &self,
        services: Vec<ServiceDefinition>,
        checks: Vec<(CheckDefinition, Option<Secret>)>,
    ) -> Result<(), Misconfigured> {
        services.iter().for_each(warn_of_name);
        let now = self.now();
        let moved = self.leaf().configure(services, checks, now)?;
        self.finish(moved).await.map_err(Misconfigured::from)
    }

    /// Settles anew (a reload); what follows from it is told at the next full sync.
    pub fn settle(&self, settings: LeafSettings) {
        self.leaf().settle(settings);
        self.sync_soon();
    }

    /// What decides over what the scope takes has changed: the next full sync is due early.
    pub fn sync_soon(&self) {
        self.0.behind.store(true, Ordering::Relaxed);
        self.moved();
    }

    // --- for whoever performs the checks

    /// When something is due: a run, or what the passing of time brings.
    pub fn next_due(&self) -> Option<Time> {
        self.leaf().next_due()
    }

    /// The checks to perform now.
    pub fn take_due(&self) -> Vec<Run> {
        let now = self.now();
        self.leaf().take_due(now)
    }

    /// A check was performed.
    pub async fn heard(&self, check: &Arc<str>, number: u64, result: ProbeResult) {
        let status_of = |agent: &Self| agent.check(check).map(|entry| entry.check.status.clone());
        let before = status_of(self);
        self.act(|leaf, now| leaf.heard(check, number, result, now)).await;
        match status_of(self) {
            Some(status) if before.as_ref() != Some(&status) => {
                info!(%check, %status, "check status changed")
            }
            _ => {}
        }
    }

    /// What the passing of time brings: TTLs run out, held outputs are told, services critical for too long go. The
    /// leaf has it when this returns; the future keeps and tells it.
    pub fn tick(&self) -> impl Future<Output = ()> + Send + use<> {
        let now = self.now();
        let moved = self.leaf().tick(now);
        for (service, _) in moved.groups.iter().filter(|(_, group)| group.service) {
            warn!(%service, "service deregistered: critical for too long");
        }
        let agent = self.clone();
        async move { agent.finish_own(moved).await }
    }

    /// The aliases that follow another node by name, and that name.
    pub fn remote_aliases(&self) -> BTreeMap<Arc<str>, Box<str>> {
        self.leaf().remote_aliases().clone()
    }

    /// Keeps an alias that follows a node by name up to date with the catalog, for ever.
    pub async fn follow_node(&self, check: &Arc<str>, node: &str) {
        let mut revision = 0;
        loop {
            let row = self.0.upstream.node(node);
            self.act(|leaf, now| leaf.heard_alias(check, row.as_deref(), now)).await;
            revision = self.0.upstream.node_moved(node, revision).await;
        }
    }

    /// The time, as the agent is told it.
    pub fn now(&self) -> Time {
        self.0.clock.now()
    }

    /// Says when the leaf moved: what is due may have changed.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.0.turn.subscribe()
    }

    /// Whether something could not be told upwards since the last full sync began.
    pub fn is_behind(&self) -> bool {
        self.0.behind.load(Ordering::Relaxed)
    }

    /// The catalog may be another now: the next full sync comes at once.
    pub fn distrust(&self) {
        self.0.behind.store(true, Ordering::Relaxed);
        self.moved();
    }

    /// Compares all of the leaf with the catalog and writes what differs. Whether all of it was taken.
    pub async fn sync_full(&self) -> bool {
        self.0.behind.store(false, Ordering::Relaxed);
        let row = self.own_row();
        let (node, stale) = {
            let mut leaf = self.leaf();
            if row.as_deref().is_some_and(|row| leaf.adopt(row)) {
                self.moved();
            }
            let told = self.may_tell_of_node(&leaf.settings().node.name);
            (leaf.node_difference(row.as_deref(), told), leaf.stale_groups(row.as_deref()))
        };
        if let Some(change) = node
            && !self.submit(Caller::own(), change, "node").await
        {
            return false;
        }
        futures_util::stream::iter(stale)
            .for_each_concurrent(
                LANES,
                |(id, group)| async move { self.tell_group(&id, &group).await },
            )
            .await;
        !self.is_behind()
    }

    // --- inside

    fn leaf(&self) -> MutexGuard<'_, Leaf> {
        self.0.leaf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn own_row(&self) -> Option<Arc<NodeRow>> {
        let name = self.leaf().settings().node.name.clone();
        self.0.upstream.node(name.as_str())
    }

    /// How much of the node the agent may write: servers write down who is a member, the agent's token the rest.
    fn may_tell_of_node(&self, name: &Caseless) -> NodeTold {
        let upstream = &self.0.upstream;
        let agent = Caller { token: upstream.tokens().for_agent(), ..Caller::default() };
        if upstream.may(&agent, Act::node_write(name.as_str())) {
            NodeTold::All
        } else {
            warn!("the agent's token may not write its node: it is told of as a member only");
            NodeTold::Membership
        }
    }

    async fn write(
        &self,
        act: impl FnOnce(&mut Leaf, Time) -> Result<Moved, NodeError>,
    ) -> Result<(), NodeError> {
        let now = self.now();
        let moved = act(&mut self.leaf(), now)?;
        self.finish(moved).await
    }

    async fn act(&self, act: impl FnOnce(&mut Leaf, Time) -> Moved) {
        let now = self.now();
        let moved = act(&mut self.leaf(), now);
        self.finish_own(moved).await;
    }

    async fn finish_own(&self, moved: Moved) {
        if let Err(error) = self.finish(moved).await {
            warn!(%error, "a change of the agent's own was not kept");
        }
    }

    /// Keeps and tells what moved, also when whoever asked for it goes away meanwhile.
    async fn finish(&self, moved: Moved) -> Result<(), NodeError> {
        if moved.is_empty() {
            return Ok(());
        }
        self.moved();
        let agent = self.clone();
        let carried = tokio::spawn(async move { agent.carry(moved).await }).await;
        carried.unwrap_or_else(|stopped| Err(NodeError::Storage(stopped.to_string().into())))
    }

    fn moved(&self) {
        self.0.turn.send_modify(|turn| *turn = turn.wrapping_add(1));
    }

    async fn carry(&self, moved: Moved) -> Result<(), NodeError> {
        let read = |keys: &BTreeSet<_>| {
            let leaf = self.leaf();
            keys.iter().map(|key: &crate::node::RowKey| (key.to_string(), leaf.row(key))).collect()
        };
        self.0
            .keeper
            .keep(moved.rows, read)
            .await
            .map_err(|error| NodeError::Storage(error.to_string().into()))?;
        self.tell(&moved.groups).await;
        Ok(())
    }

    async fn tell(&self, groups: &BTreeMap<Arc<str>, Group>) {
        for (id, group) in groups {
            self.tell_group(id, group).await;
        }
    }

    async fn tell_group(&self, id: &Arc<str>, group: &Group) {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(id);
        let lane = usize::try_from(hash % LANES as u64).unwrap_or(0);
        let _in_turn = self.0.lanes[lane].lock().await;
        let row = self.own_row();
        let tokens = self.0.upstream.tokens().now();
        let writes = {
            let leaf = self.leaf();
            leaf.bearers(leaf.group_difference(id, group, row.as_deref()), &tokens)
        };
        for (caller, change) in writes {
            if !self.submit(caller, change, id).await {
                return;
            }
        }
    }

    async fn submit(&self, caller: Caller, change: Change, what: &str) -> bool {
        match self.0.upstream.submit(caller, change).await {
            Ok(()) => {
                debug!(what, "told upwards");
                true
            }
            // As Consul does: it counts as told, or each sync would ask again at once.
            Err(refusal) if is_final(&refusal) => {
                warn!(what, %refusal, "the scope refuses what the agent registers");
                true
            }
            Err(refusal) => {
                info!(what, %refusal, "not told upwards yet");
                self.0.behind.store(true, Ordering::Relaxed);
                self.moved();
                false
            }
        }
    }
}

/// Whether the scope knows the caller's place: asking again changes nothing.
fn is_final(refusal: &Refusal) -> bool {
    matches!(
        refusal,
        Refusal::Denied { .. }
            | Refusal::OtherOwner { .. }
            | Refusal::NotAllowed(_)
            | Refusal::Forbidden
            | Refusal::UnknownToken { .. }
            | Refusal::ExpiredToken
            | Refusal::ReservedSecret
    )
}

/// Consul takes any name; DNS does not.
fn warn_of_name(definition: &ServiceDefinition) {
    let name = &definition.service.name;
    if !name.is_empty() && name.label().is_none() {
        warn!(service = %name, "a service of this name cannot be asked for over DNS");
    }
}

#[cfg(test)]
mod tests;
