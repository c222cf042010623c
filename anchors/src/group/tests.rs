use std::sync::Mutex;

use openraft::testing::{StoreBuilder, Suite};

use super::log::RaftLog;
use super::machine::{Machine, Outlet};
use super::raft::{StorageError, Types};
use super::*;
use crate::change::{KvChange, PutWhen};
use crate::keys::Keys;
use crate::lineage::note::Notary;
use crate::replay::check_database;
use crate::testing::{Crash, Disk};

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
        let outlet = Arc::new(Outlet::new(Arc::new(Seen::default()), notary));
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
    let change = Change::Kv(KvChange::Put { key: key.into(), value: value.into(), flags: 0, when });
    Proposal {
        change,
        actor: "test".into(),
        at: Time(1_700_000_000_000_000_000),
        salt: [7; SALT_BYTES],
        outcome: Outcome::Resolve,
        rule: "open".into(),
        cause: None,
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
struct Running {
    group: Group,
    store: Arc<Store>,
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
async fn what_was_acknowledged_survives_any_crash() {
    for seed in 0..60_u64 {
        let disk = new_disk();
        let first = start_on(&disk, 1).await;
        disk.die_after(seed * 7 % 97);
        let mut acknowledged = Vec::new();
        for number in 0..40 {
            let key = format!("k{}", number % 5);
            match first.group.propose(put(&key, &number.to_string())).await {
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
