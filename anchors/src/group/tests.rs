mod scopes;

use std::collections::BTreeMap;
use std::sync::Mutex;

use openraft::RaftSnapshotBuilder;
use openraft::storage::RaftStateMachine;
use openraft::testing::{StoreBuilder, Suite};
use redb::{ReadableTable, ReadableTableMetadata};
use tlog_tiles::tile::Tile;
use tlog_tiles::tlog::{check_record, check_tree, record_hash};

use super::log::RaftLog;
use super::machine::{Machine, Outlet};
use super::raft::{StorageError, Types};
use super::*;
use crate::change::{KvChange, PutWhen};
use crate::entry::Entry;
use crate::index::RowId;
use crate::keys::Keys;
use crate::lineage::note::{Notary, verify};
use crate::lineage::tiles::LineageError;
use crate::replay::check_database;
use crate::store::tables::{CHECKPOINTS, RAFT_LOG, ROWS};
use crate::testing::{Crash, Disk, TempDir};

/// Keeps what was published.
#[derive(Default)]
pub(crate) struct Seen(Mutex<Vec<Index>>);

impl Publish for Seen {
    fn publish(&self, index: Index, _touched: Touched) {
        self.0.lock().unwrap().push(index);
    }
}

struct InMemory;

impl StoreBuilder<Types, RaftLog, Machine> for InMemory {
    async fn build(&self) -> Result<((), RaftLog, Machine), StorageError> {
        let store = Arc::new(Store::in_memory().unwrap());
        let notary = Notary::new("dc1", store.keys().scope().clone());
        let backlog = Arc::new(Backlog::new(Arc::clone(&store)));
        let outlet = Arc::new(Outlet::new(Arc::new(Seen::default()), notary, backlog));
        Ok(((), RaftLog::new(Arc::clone(&store)), Machine::load(store, outlet).unwrap()))
    }
}

#[test]
fn openrafts_own_suite_passes() {
    Suite::test_all(InMemory).unwrap();
}

pub(crate) fn settings() -> GroupSettings {
    GroupSettings { scope: "dc1".into(), member: "m1".into() }
}

pub(crate) fn put(key: &str, value: &str) -> Proposal {
    put_when(key, value, PutWhen::Always)
}

pub(crate) fn put_when(key: &str, value: &str, when: PutWhen) -> Proposal {
    let change = Change::Kv(KvChange::Put {
        key: key.into(),
        value: value.into(),
        flags: 0,
        when,
        scope: None,
    });
    Proposal {
        change,
        actor: "test".into(),
        at: Time(1_700_000_000_000_000_000),
        salt: [7; SALT_BYTES],
        outcome: Outcome::Resolve,
        rule: "open".into(),
        cause: None,
        scope: None,
        credential: None,
    }
}

#[tokio::test]
async fn a_write_is_applied_and_published_before_it_is_answered() {
    let seen = Arc::new(Seen::default());
    let store = Arc::new(Store::in_memory().unwrap());
    let (group, empty) = Group::start(store, settings(), Arc::clone(&seen) as _).await.unwrap();
    assert_eq!(empty.revision(), 0);
    let first = group.propose(put("a", "1")).await.unwrap();
    assert_eq!((first.revision, first.entry, first.yes), (2, 0, true));
    let second = group.propose(put("a", "2")).await.unwrap();
    assert_eq!((second.revision, second.entry), (3, 1));
    let published = seen.0.lock().unwrap();
    assert_eq!(published.iter().map(Index::revision).collect::<Vec<_>>(), [2, 3]);
}

/// A group on a disk, with what it published.
pub(crate) struct Running {
    pub(crate) group: Group,
    pub(crate) store: Arc<Store>,
    index: Index,
    seen: Arc<Seen>,
}

async fn start_on(disk: &Disk, seed: u8) -> Running {
    let keys = Keys::from_seeds([seed; 32], [seed; 32]);
    let store = Arc::new(Store::with_opener("the disk", disk.opener(), keys, None).unwrap());
    let seen = Arc::new(Seen::default());
    let (group, index) =
        Group::start(Arc::clone(&store), settings(), Arc::clone(&seen) as _).await.unwrap();
    Running { group, store, index, seen }
}

fn new_disk() -> Disk {
    let disk = Disk::default();
    crate::store::prepare(&disk.opener()().unwrap()).unwrap();
    disk
}

fn value_of(index: &Index, key: &str) -> Option<String> {
    index.key(key).map(|row| String::from_utf8(row.value.to_vec()).unwrap())
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_loses_none() {
    let disk = new_disk();
    let run = start_on(&disk, 1).await;
    run.group.propose(put("kept", "1")).await.unwrap();
    disk.set_full(true);
    for _ in 0..3 {
        assert!(matches!(run.group.propose(put("refused", "1")).await, Err(Refusal::Storage(_))));
    }
    assert!(run.group.has_leader());
    disk.set_full(false);
    let again = loop {
        match run.group.propose(put("again", "1")).await {
            Ok(committed) => break committed,
            Err(Refusal::Storage(_)) => tokio::task::yield_now().await,
            Err(other) => panic!("{other}"),
        }
    };
    let index = run.seen.0.lock().unwrap().last().unwrap().clone();
    assert_eq!(value_of(&index, "kept").as_deref(), Some("1"));
    assert_eq!(value_of(&index, "refused"), None);
    assert_eq!((again.entry, again.revision), (1, 3), "a refused write takes no place");
    let published: Vec<u64> = run.seen.0.lock().unwrap().iter().map(Index::revision).collect();
    assert_eq!(published, [2, 3], "nothing is published twice");
}

#[tokio::test]
async fn a_leaf_that_could_not_be_kept_has_the_store_mended() {
    let disk = new_disk();
    let run = start_on(&disk, 1).await;
    run.group.propose(put("kept", "1")).await.unwrap();
    disk.set_full(true);
    let error = run.store.put_leaf("a", Some(b"1")).unwrap_err();
    assert!(
        matches!(error, StoreError::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull)
    );
    disk.set_full(false);
    while run.store.put_leaf("a", Some(b"1")).is_err() {
        tokio::task::yield_now().await;
    }
    let again = run.group.propose(put("again", "1")).await.unwrap();
    assert_eq!((again.entry, again.revision), (1, 3));
    assert_eq!(run.store.leaf().unwrap().len(), 1);
    judge(&disk.after(Crash::Killed), &[("kept".into(), 1, 2), ("again".into(), 1, 3)], "mended")
        .await;
}

#[tokio::test]
async fn what_was_acknowledged_survives_any_crash() {
    for seed in 0..60_u64 {
        let disk = new_disk();
        let first = start_on(&disk, 1).await;
        disk.die_after(seed * 7 % 97);
        let mut acknowledged = Vec::new();
        for number in 0..40 {
            let key = format!("k{}", number % 5);
            // Half of the stories have scopes.
            let proposal = match seed % 2 {
                0 => put(&key, &number.to_string()),
                _ => put_in_turn(number, &number.to_string()),
            };
            match first.group.propose(proposal).await {
                Ok(committed) => acknowledged.push((key, number, committed.revision)),
                Err(_) => break,
            }
        }
        drop(first);
        for crash in [Crash::Killed, Crash::PowerLost(seed), Crash::PowerLost(!seed)] {
            judge(&disk.after(crash), &acknowledged, &format!("seed {seed}, {crash:?}")).await;
        }
    }
}

#[tokio::test]
async fn what_waits_to_be_written_is_read_and_survives() {
    let disk = new_disk();
    let run = start_on(&disk, 1).await;
    let mut acknowledged = Vec::new();
    for number in 0..20 {
        let committed = run.group.propose(put("k", &number.to_string())).await.unwrap();
        acknowledged.push(("k".to_owned(), number, committed.revision));
    }
    let killed = disk.after(Crash::Killed);
    let keys = Keys::from_seeds([1; 32], [1; 32]);
    let report = check_database("the disk", &killed.opener()().unwrap(), &keys).unwrap();
    assert!(report.is_clean(), "{report}");
    // The last batch is never written before another one is ordered.
    assert!((1..=limits::BACKLOG_BATCHES_MAX + 1).contains(&report.waiting), "{report}");
    assert_eq!(run.group.lineage().size().unwrap(), 20, "readers see what waits");
    judge(&killed, &acknowledged, "killed").await;
}

#[tokio::test]
async fn a_first_start_that_was_cut_off_can_be_repeated() {
    for operations in 0..40 {
        let disk = new_disk();
        disk.die_after(operations);
        let keys = Keys::from_seeds([1; 32], [1; 32]);
        if let Ok(store) = Store::with_opener("the disk", disk.opener(), keys, None) {
            let _ = Group::start(Arc::new(store), settings(), Arc::new(Seen::default())).await;
        }
        for crash in [Crash::Killed, Crash::PowerLost(operations)] {
            judge(&disk.after(crash), &[], &format!("after {operations}, {crash:?}")).await;
        }
    }
}

/// A key of one of several scopes, so that their lineages interleave.
fn put_in_turn(number: u64, value: &str) -> Proposal {
    let mut proposal = put(&format!("k{}", number % 5), value);
    proposal.scope = scopes::of_turn(number);
    proposal
}

/// The store comes back with all that was acknowledged and at most one batch more, and is the fold of its lineage.
async fn judge(disk: &Disk, acknowledged: &[(String, u64, u64)], story: &str) {
    let again = start_on(disk, 1).await;
    let highest = acknowledged.last().map_or(0, |(_, _, revision)| *revision);
    assert!(
        [highest, highest.max(1) + 1].contains(&again.index.revision()),
        "{story}: {}",
        again.index.revision()
    );
    for (key, number, revision) in acknowledged {
        let row = again.index.key(key).unwrap_or_else(|| panic!("{story}: {key} is lost"));
        assert!(row.modified >= *revision, "{story}: {key}={number} is lost");
    }
    again.group.propose(put("after", "1")).await.unwrap();
    again.group.stop().await;
    again.store.close();
    let database = disk.opener()().unwrap();
    let report =
        check_database("the disk", &database, &Keys::from_seeds([1; 32], [1; 32])).unwrap();
    assert!(report.is_clean() && report.waiting == 0, "{story}: {report}");
}

pub(crate) async fn running() -> Running {
    start_on(&new_disk(), 1).await
}

#[tokio::test]
async fn a_restart_goes_on_where_it_ended() {
    let dir = TempDir::new();
    let mut expected: Vec<_> = Index::new().rows().collect();
    for round in 0..4_u64 {
        let store = Arc::new(Store::open(dir.path()).unwrap());
        let (group, index) =
            Group::start(Arc::clone(&store), settings(), Arc::new(Seen::default())).await.unwrap();
        assert_eq!(index.rows().collect::<Vec<_>>(), expected, "round {round}");
        let committed = group.propose(put(&format!("k{round}"), "v")).await.unwrap();
        assert_eq!((committed.entry, committed.revision), (round, round + 2));
        // Even rounds end in good order, odd ones as dropped as a process can be from within.
        if round % 2 == 0 {
            group.stop().await;
        }
        drop(group);
        expected = wait_closed(store).await;
    }
}

/// Lets the group's thread end, and tells the rows that it left.
async fn wait_closed(store: Arc<Store>) -> Vec<(RowId, Vec<u8>)> {
    while Arc::strong_count(&store) > 1 {
        tokio::task::yield_now().await;
    }
    let rows = store.read(|tx| {
        let table = tx.open_table(ROWS)?;
        let rows = table
            .iter()?
            .map(|row| row.map(|(key, value)| (key.value().to_owned(), value.value().to_owned())));
        Ok(rows.collect::<Result<Vec<_>, _>>()?)
    });
    Index::restore(rows.unwrap()).unwrap().rows().collect()
}

#[tokio::test]
async fn checkpoints_prove_what_is_in_the_log_and_that_it_only_grows() {
    let run = running().await;
    let key = run.store.keys().scope().verifying_key();
    let mut signed = vec![verify(&run.group.checkpoint().await.unwrap(), "dc1", &key).unwrap()];
    for number in 0..40 {
        run.group.propose(put(&format!("k{number}"), "v")).await.unwrap();
        signed.push(verify(&run.group.checkpoint().await.unwrap(), "dc1", &key).unwrap());
    }
    let lineage = run.group.lineage();
    let last = signed[40];
    assert_eq!((last.size, lineage.size().unwrap()), (40, 40));
    for seq in 0..40 {
        let leaf = lineage.entry(seq).unwrap().unwrap();
        let proof = lineage.inclusion(40, seq).unwrap();
        check_record(&proof, last.size, last.root, seq, record_hash(&leaf)).unwrap();
        let forged = record_hash(&[&leaf[..], b" "].concat());
        assert!(check_record(&proof, last.size, last.root, seq, forged).is_err());
    }
    for old in &signed[1..40] {
        let proof = lineage.consistency(40, old.size).unwrap();
        check_tree(&proof, last.size, last.root, old.size, old.root).unwrap();
        assert!(check_tree(&proof, last.size, last.root, old.size, last.root).is_err());
    }
    assert!(matches!(lineage.inclusion(41, 3), Err(LineageError::Beyond { size: 40, .. })));
    assert_eq!(run.group.checkpoint().await.unwrap(), lineage.kept_checkpoint().unwrap().unwrap());
}

#[tokio::test]
async fn tiles_hold_what_the_proofs_hold() {
    let run = running().await;
    let writes = (0..300).map(|number| run.group.propose(put(&format!("k{number}"), "v")));
    assert!(futures_util::future::join_all(writes).await.iter().all(Result::is_ok));
    let lineage = run.group.lineage();
    let full = lineage.tile(0, 0, 256).unwrap();
    assert_eq!(Tile::subtree_hash(&full).0.as_slice(), lineage.tile(1, 0, 1).unwrap());
    let partial = lineage.tile(0, 1, 44).unwrap();
    assert_eq!(partial[..32], record_hash(&lineage.entry(256).unwrap().unwrap()).0);
    assert!(lineage.tile(0, 1, 45).is_err() && lineage.tile(1, 0, 2).is_err());
    let bundle = lineage.entries_tile(1, 44).unwrap();
    let (length, rest) = bundle.split_first_chunk::<2>().unwrap();
    assert_eq!(
        rest[..usize::from(u16::from_be_bytes(*length))],
        lineage.entry(256).unwrap().unwrap()
    );
}

#[tokio::test]
async fn what_waits_together_is_one_entry_of_the_log() {
    let run = running().await;
    let writes = (0..100).map(|number| run.group.propose(put("k", &number.to_string())));
    let verdicts = futures_util::future::join_all(writes).await;
    let entries: Vec<u64> = verdicts.into_iter().map(|verdict| verdict.unwrap().entry).collect();
    assert_eq!(
        entries,
        (0..100).collect::<Vec<_>>(),
        "each has its own place, in the order of asking"
    );
    let batches = run.seen.0.lock().unwrap().len();
    assert!(batches <= 2, "{batches} batches");
}

#[tokio::test]
async fn more_than_may_wait_is_refused() {
    let run = running().await;
    let many = limits::WRITES_WAITING_MAX + 10;
    let writes = (0..many).map(|_| run.group.propose(put("k", "v")));
    let verdicts = futures_util::future::join_all(writes).await;
    assert!(verdicts.iter().all(|verdict| matches!(verdict, Ok(_) | Err(Refusal::Overloaded))));
    run.group.waiting_bytes.store(limits::WRITES_WAITING_BYTES_MAX, Ordering::Relaxed);
    assert_eq!(run.group.propose(put("k", "v")).await.err(), Some(Refusal::Overloaded));
    run.group.waiting_bytes.store(0, Ordering::Relaxed);
    run.group.propose(put("k", "v")).await.unwrap();
}

#[tokio::test]
async fn refusals_are_recorded_with_their_reason() {
    let run = running().await;
    let mut denied = put("k", "v");
    (denied.outcome, denied.rule) = (Outcome::Refuse, "no-kv".into());
    assert_eq!(
        run.group.propose(denied).await.err(),
        Some(Refusal::Denied { scope: ScopePath::default(), rule: "no-kv".into() })
    );
    let lost = run.group.propose(put_when("k", "v", PutWhen::Acquire("none".into()))).await;
    assert_eq!(lost.err(), Some(Refusal::UnknownSession("none".into())));
    let rules = [0, 1].map(|seq| {
        let entry: Entry =
            serde_json::from_slice(&run.group.lineage().entry(seq).unwrap().unwrap()).unwrap();
        (entry.outcome, entry.rule)
    });
    assert_eq!(
        rules,
        [(Outcome::Refuse, "no-kv".into()), (Outcome::Refuse, "index/unknown-session".into())]
    );
}

#[tokio::test]
async fn the_raft_log_stays_short() {
    let run = running().await;
    for number in 0..limits::RAFT_ENTRIES_MAX + 40 {
        run.group.propose(put("k", &number.to_string())).await.unwrap();
    }
    run.group.stop().await;
    let kept = run.store.read(|tx| Ok(tx.open_table(RAFT_LOG)?.len()?)).unwrap();
    assert!(kept <= 60, "{kept} entries");
}

#[tokio::test]
async fn a_snapshot_makes_another_member_the_same() {
    let run = running().await;
    for number in 0..20 {
        run.group.propose(put_in_turn(number, "v")).await.unwrap();
    }
    run.group.checkpoint().await.unwrap();
    run.group.stop().await;
    let [mut from, mut to] =
        [Arc::clone(&run.store), Arc::new(Store::in_memory().unwrap())].map(|store| {
            let outlet = Arc::new(Outlet::new(
                Arc::new(Seen::default()),
                Notary::new("dc1", store.keys().scope().clone()),
                Arc::new(Backlog::new(Arc::clone(&store))),
            ));
            Machine::load(store, outlet).unwrap()
        });
    let mut snapshot = from.get_snapshot_builder().await.build_snapshot().await.unwrap();
    let mut received = to.begin_receiving_snapshot().await.unwrap();
    std::mem::swap(&mut received, &mut snapshot.snapshot);
    to.install_snapshot(&snapshot.meta, received).await.unwrap();
    assert_eq!(from.state().1.len(), 3, "the datacenter's lineage and those of two scopes");
    assert_eq!(to.applied_state().await.unwrap(), from.applied_state().await.unwrap());
    assert_eq!(to.state(), from.state());
}

#[tokio::test]
async fn a_stopped_group_refuses() {
    let run = running().await;
    run.group.stop().await;
    assert!(!run.group.has_leader());
    assert_eq!(run.group.propose(put("k", "v")).await.err(), Some(Refusal::Stopping));
    assert_eq!(run.group.checkpoint().await, Err(Refusal::Stopping));
}

#[tokio::test]
async fn a_scope_that_cannot_be_signed_does_not_start() {
    let store = Arc::new(Store::in_memory().unwrap());
    let strange = GroupSettings { scope: "dc 1".into(), member: "m1".into() };
    let started = Group::start(store, strange, Arc::new(Seen::default())).await;
    assert!(matches!(started, Err(StartError::Scope(_))));
}
