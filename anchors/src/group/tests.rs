use std::sync::Mutex;

use openraft::testing::{StoreBuilder, Suite};

use super::log::RaftLog;
use super::machine::{Machine, Outlet};
use super::raft::{StorageError, Types};
use super::*;
use crate::change::KvChange;
use crate::change::PutWhen;
use crate::lineage::note::Notary;

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
