//! What is ordered becomes what is known: each batch goes into the index at once, and into the backlog of what is to be
//! written of it.
//!
//! Nothing that is kept comes from a clock or a random source; the same entries make the same bytes, on every member and after every
//! restart. See [`super`] for why what is applied need not be written yet.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use imbl::OrdMap;
use openraft::storage::RaftStateMachine;
use openraft::{
    AnyError, EntryPayload, OptionalSend, RaftSnapshotBuilder, Snapshot, SnapshotMeta,
    StorageIOError, StoredMembership,
};
use redb::{Durability, ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};
use tokio::time::Instant;

use super::backlog::{Backlog, Waiting};
use super::measure;
use super::raft::{Batch, Image, LogId, Membership, RaftEntry, StorageError, Types, Verdicts};
use super::{Publish, Sealed, StartError};
use crate::change::Change;
use crate::clock::Time;
use crate::index::{Index, RowId, Touched, WatchKey};
use crate::limits;
use crate::lineage::note::Notary;
use crate::lineage::tiles::kept_checkpoint;
use crate::lineage::versions::Version;
use crate::lineage::{self, Edges, Log};
use crate::record::TableId;
use crate::scope::ScopePath;
use crate::store::tables::{
    APPLIED, BASE, BASE_ROWS, CHECKPOINT, CHECKPOINTS, ENTRIES, HASHES, MEMBERSHIP, ORDERS,
    PAYLOADS, ROWS, SCOPED_ENTRIES, SCOPED_HASHES, SCOPED_PAYLOADS, VERSIONED, VERSIONS,
};
use crate::store::{Fault, Store, StoreError};

/// The state machine of a group.
pub(super) struct Machine {
    store: Arc<Store>,
    index: Index,
    edges: Edges,
    applied: Option<LogId>,
    membership: Membership,
    outlet: Arc<Outlet>,
}

/// Where the machine's results go: shared with the keeper, and kept when the machine is made anew.
pub(super) struct Outlet {
    publish: Arc<dyn Publish>,
    /// Only revisions above it are published: what the start applies again was published before, or is handed over by
    /// the start itself.
    floor: AtomicU64,
    /// The latest state of the machine.
    latest: Mutex<Latest>,
    notary: Notary,
    pub(super) backlog: Arc<Backlog>,
}

/// What the keeper needs to know of the machine.
#[derive(Clone, Default)]
pub(super) struct Latest {
    pub(super) index: Index,
    pub(super) edges: Edges,
    pub(super) applied: Option<LogId>,
    signed: Signed,
}

/// What was signed since the start.
#[derive(Clone, Default)]
struct Signed {
    /// By scope, the datacenter's own as `None`: the size that was signed last, and after which rotation of the key.
    sizes: OrdMap<Option<ScopePath>, (u64, usize)>,
    /// The time of the newest entry when signatures were last made by themselves.
    at: Time,
}

/// What was just signed: whose, and the note.
type Notes = Vec<(Option<ScopePath>, Box<str>)>;

/// Builds snapshots: a view of the store, with nothing left waiting, from when the builder was asked for.
pub(super) struct Builder(Option<Result<Snapshot<Types>, StoreError>>);

// === impl Machine ===

impl Machine {
    /// The machine as the store has it.
    pub(super) fn load(store: Arc<Store>, outlet: Arc<Outlet>) -> Result<Self, StartError> {
        let mut machine = Self {
            store,
            index: Index::new(),
            edges: Edges::default(),
            applied: None,
            membership: StoredMembership::default(),
            outlet,
        };
        machine.read_back()?;
        Ok(machine)
    }

    fn read_back(&mut self) -> Result<(), StartError> {
        self.outlet.backlog.clear();
        if self.store.read(|tx| VERSIONED.read(tx))? != Some(true) {
            crate::replay::write_versions(&self.store)?;
        }
        let rows: Vec<(Vec<u8>, Vec<u8>)> = self.store.read(|tx| {
            self.edges = Edges::load(tx)?;
            self.applied = APPLIED.read(tx)?;
            self.membership = MEMBERSHIP.read(tx)?.unwrap_or_default();
            let rows = tx.open_table(ROWS)?;
            rows.iter()?
                .map(|row| {
                    row.map(|(key, value)| (key.value().to_owned(), value.value().to_owned()))
                })
                .map(|row| row.map_err(Fault::from))
                .collect()
        })?;
        self.index = Index::restore(rows)?;
        self.refill()?;
        self.tell(Latest::default().signed);
        Ok(())
    }

    /// A restore that was under way goes on from where the store has it.
    fn refill(&mut self) -> Result<(), StartError> {
        if self.index.restoring().is_none() {
            return Ok(());
        }
        let payloads = self.store.view()?;
        let piece = |order: u64| {
            let (scope, place) = lineage::find(&payloads, order).ok()??;
            let log = Log::open(&payloads, scope.as_ref()).ok()?;
            Sealed::piece(&log.payload(place.seq).ok()??)
        };
        self.index.refill(piece).map_err(|refusal| StartError::Restore(refusal.to_string().into()))
    }

    fn tell(&self, signed: Signed) {
        let latest = Latest {
            index: self.index.clone(),
            edges: self.edges.clone(),
            applied: self.applied,
            signed,
        };
        self.outlet.set(latest);
    }

    /// Fails only where there was no room for an entry: what is applied is never refused afterwards.
    fn apply_all(&mut self, entries: &[RaftEntry]) -> Result<Vec<Verdicts>, StoreError> {
        let outlet = Arc::clone(&self.outlet);
        let mut touched = Touched::default();
        let mut signed = outlet.latest().signed;
        let mut verdicts = Vec::with_capacity(entries.len());
        for entry in entries {
            outlet.backlog.make_room()?;
            let mut waiting = outlet.backlog.waiting();
            verdicts.push(match &entry.payload {
                EntryPayload::Blank => Verdicts::default(),
                EntryPayload::Membership(members) => {
                    self.membership = StoredMembership::new(Some(entry.log_id), members.clone());
                    waiting.keep_members(&self.membership);
                    Verdicts::default()
                }
                EntryPayload::Normal(batch) => {
                    let verdicts = self.apply_batch(&mut waiting, batch, &mut touched);
                    self.sign_at_times(&mut waiting, batch, &mut signed);
                    verdicts
                }
            });
            self.applied = Some(entry.log_id);
            waiting.reaches(&self.index, entry.log_id, 1);
        }
        self.tell(signed);
        outlet.publish(&self.index, touched);
        Ok(verdicts)
    }

    fn apply_batch(
        &mut self,
        waiting: &mut Waiting,
        batch: &Batch,
        touched: &mut Touched,
    ) -> Verdicts {
        let mut verdicts = Vec::with_capacity(batch.0.len());
        for sealed in batch.0.iter() {
            let began = Instant::now();
            let folded = sealed.fold(&mut self.index, self.edges.next(sealed.scope()));
            measure::applied(&sealed.change, began.elapsed());
            let payload = sealed.payload.get().as_bytes();
            waiting.lineage.append(&mut self.edges, &folded.entry, &sealed.terms.salt, payload);
            let order = folded.entry.place();
            waiting.lineage.add_versions(Version::made(&self.index, &folded.touched, order));
            if let (Change::Prune(prune), Ok(_)) = (&sealed.change, &folded.verdict) {
                waiting.prune(sealed.scope(), prune);
            }
            touched.keys.extend(folded.touched.keys);
            touched.freed.extend(folded.touched.freed);
            touched.all |= folded.touched.all;
            if folded.touched.all {
                waiting.rewrite();
            }
            waiting.add_rows(folded.touched.rows);
            verdicts.push(folded.verdict);
        }
        Verdicts(verdicts)
    }

    /// Signs every lineage that has grown, now and then.
    fn sign_at_times(&self, waiting: &mut Waiting, batch: &Batch, signed: &mut Signed) {
        let Some(newest) = batch.0.last().map(|sealed| sealed.terms.at) else { return };
        if newest.since(signed.at) < limits::CHECKPOINT_INTERVAL {
            return;
        }
        signed.at = newest;
        for (scope, note) in self.outlet.sign_grown(&self.edges, signed) {
            waiting.keep_checkpoint(scope, note);
        }
    }

    /// Everything that two machines of the same entries must have in common.
    #[cfg(test)]
    pub(super) fn state(&self) -> (Vec<(RowId, Vec<u8>)>, Vec<String>) {
        (self.index.rows().collect(), self.edges.roots())
    }

    fn snapshot(&self) -> Result<Snapshot<Types>, StoreError> {
        self.outlet.backlog.flush()?;
        let view = self.store.view()?;
        let last_log_id = self.store.read(|_| APPLIED.read(&view))?;
        let last_membership = self.store.read(|_| MEMBERSHIP.read(&view))?.unwrap_or_default();
        let snapshot_id = last_log_id.map(|last| last.to_string()).unwrap_or_default();
        let meta = SnapshotMeta { last_log_id, last_membership, snapshot_id };
        Ok(Snapshot { meta, snapshot: Box::new(Image(Some(view))) })
    }

    fn install(&mut self, image: &ReadTransaction) -> Result<(), StartError> {
        self.outlet.backlog.clear();
        self.store.write(Durability::Immediate, |tx| {
            copy(image, tx, ENTRIES)?;
            copy(image, tx, PAYLOADS)?;
            copy(image, tx, HASHES)?;
            copy(image, tx, SCOPED_ENTRIES)?;
            copy(image, tx, SCOPED_PAYLOADS)?;
            copy(image, tx, SCOPED_HASHES)?;
            copy(image, tx, ORDERS)?;
            copy(image, tx, VERSIONS)?;
            copy(image, tx, BASE_ROWS)?;
            if let Some(base) = BASE.read(image)? {
                BASE.write(tx, &base)?;
            }
            copy(image, tx, ROWS)?;
            if let Some(applied) = APPLIED.read(image)? {
                APPLIED.write(tx, &applied)?;
            }
            MEMBERSHIP.write(tx, &MEMBERSHIP.read(image)?.unwrap_or_default())
        })?;
        let mut touched = everything(&self.index);
        self.read_back()?;
        touched.extend(everything(&self.index));
        self.outlet.publish(&self.index, Touched { keys: touched, ..Touched::default() });
        Ok(())
    }
}

/// Replaces a table by the image's.
fn copy<K: redb::Key + 'static, V: redb::Value + 'static>(
    from: &ReadTransaction,
    to: &WriteTransaction,
    table: TableDefinition<'static, K, V>,
) -> Result<(), Fault> {
    to.delete_table(table)?;
    let mut copied = to.open_table(table)?;
    for row in from.open_table(table)?.iter()? {
        let (key, value) = row?;
        copied.insert(key.value(), value.value())?;
    }
    Ok(())
}

/// All that somebody may wait for in an index that is replaced as a whole.
fn everything(index: &Index) -> Vec<WatchKey> {
    let tables = [WatchKey::Nodes, WatchKey::Services, WatchKey::Checks, WatchKey::Sessions];
    let nodes = index.nodes().map(|row| row.node.name.shared_key());
    let nodes =
        nodes.flat_map(|node| [WatchKey::Node(Arc::clone(&node)), WatchKey::NodeChecks(node)]);
    let services = index.services().map(|row| WatchKey::Service(row.name.shared_key()));
    let keys = index.keys("").map(|row| WatchKey::Key(Arc::clone(&row.key)));
    let sessions = index.sessions().map(|row| WatchKey::Session(row.session.id.as_ref().into()));
    let records = index.record_ids().filter_map(|id| match id {
        RowId::Record(table, key) => Some(WatchKey::Record(table, key)),
        RowId::ConnectMark(name) => Some(WatchKey::Connect(name)),
        _ => None,
    });
    let further = TableId::ALL.into_iter().map(WatchKey::Table).chain(records);
    tables
        .into_iter()
        .chain(nodes)
        .chain(services)
        .chain(keys)
        .chain(sessions)
        .chain(further)
        .collect()
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, Membership), StorageError> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Verdicts>, StorageError>
    where
        I: IntoIterator<Item = RaftEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<RaftEntry> = entries.into_iter().collect();
        let applied = self.apply_all(&entries);
        applied.map_err(|error| StorageIOError::write_state_machine(AnyError::new(&error)).into())
    }

    async fn get_snapshot_builder(&mut self) -> Self::SnapshotBuilder {
        Builder(Some(self.snapshot()))
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Image>, StorageError> {
        Ok(Box::default())
    }

    async fn install_snapshot(
        &mut self,
        _meta: &SnapshotMeta<u64, openraft::BasicNode>,
        image: Box<Image>,
    ) -> Result<(), StorageError> {
        let Some(view) = &image.0 else {
            return Err(StorageIOError::read_snapshot(
                None,
                AnyError::error("nothing was received"),
            )
            .into());
        };
        self.install(view)
            .map_err(|error| StorageIOError::write_snapshot(None, AnyError::new(&error)).into())
    }

    /// The state as it is now: it covers whatever snapshot was built before.
    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Types>>, StorageError> {
        let snapshot = self
            .snapshot()
            .map_err(|error| StorageIOError::read_snapshot(None, AnyError::new(&error)))?;
        Ok(snapshot.meta.last_log_id.is_some().then_some(snapshot))
    }
}

impl RaftSnapshotBuilder<Types> for Builder {
    async fn build_snapshot(&mut self) -> Result<Snapshot<Types>, StorageError> {
        let spent =
            || StorageIOError::read_snapshot(None, AnyError::error("a builder builds once"));
        let built = self.0.take().ok_or_else(spent)?;
        built.map_err(|error| StorageIOError::read_snapshot(None, AnyError::new(&error)).into())
    }
}

// === impl Outlet ===

impl Outlet {
    /// Nothing is published until [`Outlet::open`].
    pub(super) fn new(publish: Arc<dyn Publish>, notary: Notary, backlog: Arc<Backlog>) -> Self {
        let floor = AtomicU64::new(u64::MAX);
        Self { publish, floor, latest: Mutex::default(), notary, backlog }
    }

    /// From now on what is newer than the latest state is published.
    pub(super) fn open(&self) -> Latest {
        let latest = self.latest();
        self.floor.store(latest.index.revision(), Ordering::Relaxed);
        latest
    }

    pub(super) fn latest(&self) -> Latest {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, latest: Latest) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = latest;
    }

    fn publish(&self, index: &Index, touched: Touched) {
        if index.revision() > self.floor.load(Ordering::Relaxed) {
            self.floor.store(index.revision(), Ordering::Relaxed);
            self.publish.publish(index.clone(), touched);
        }
    }

    /// Signs each lineage that is larger than what was signed of it.
    fn sign_grown(&self, edges: &Edges, signed: &mut Signed) -> Notes {
        let scopes = std::iter::once(None).chain(edges.scopes().cloned().map(Some));
        let grown = scopes.filter(|scope| {
            let now = (edges.size(scope.as_ref()), self.notary.rotation());
            now.0 > 0 && signed.sizes.insert(scope.clone(), now) != Some(now)
        });
        let note = |scope: Option<ScopePath>| {
            let (size, root) = (edges.size(scope.as_ref()), edges.root(scope.as_ref()));
            let note = self.notary.sign(scope.as_ref(), size, root);
            (scope, note)
        };
        grown.map(note).collect()
    }

    /// Signs what has grown, and keeps what was signed, with all that waited to be written.
    pub(super) fn checkpoint_all(&self, store: &Store) -> Result<(), StoreError> {
        self.backlog.flush()?;
        let mut latest = self.latest();
        let notes = self.sign_grown(&latest.edges, &mut latest.signed);
        store.write(Durability::None, |tx| {
            notes.iter().try_for_each(|(scope, note)| write_checkpoint(tx, scope.as_ref(), note))
        })?;
        self.set(latest);
        Ok(())
    }

    /// Signs a lineage as it is, and keeps what was signed, with all that waited to be written.
    pub(super) fn checkpoint(
        &self,
        store: &Store,
        scope: Option<&ScopePath>,
    ) -> Result<Box<str>, StoreError> {
        self.backlog.flush()?;
        let mut latest = self.latest();
        let size = latest.edges.size(scope);
        let now = (size, self.notary.rotation());
        if latest.signed.sizes.get(&scope.cloned()) == Some(&now)
            && let Some(note) = store.read(|tx| kept_checkpoint(tx, scope))?
        {
            return Ok(note);
        }
        let note = self.notary.sign(scope, size, latest.edges.root(scope));
        store.write(Durability::None, |tx| write_checkpoint(tx, scope, &note))?;
        latest.signed.sizes.insert(scope.cloned(), now);
        self.set(latest);
        Ok(note)
    }
}

/// Keeps what was signed of a lineage; `None` is the datacenter's own.
pub(super) fn write_checkpoint(
    tx: &WriteTransaction,
    scope: Option<&ScopePath>,
    note: &str,
) -> Result<(), Fault> {
    match scope {
        None => CHECKPOINT.write(tx, &note.into()),
        Some(path) => {
            tx.open_table(CHECKPOINTS)?.insert(path.as_str(), note)?;
            Ok(())
        }
    }
}
