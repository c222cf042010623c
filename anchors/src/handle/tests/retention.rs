//! Payloads whose time is over, and those that are asked to go.

use redb::ReadableTable as _;

use super::*;
use crate::lineage::query::{Wanted, Window};
use crate::record::{AnyRecord, RecordChange, When};
use crate::replay::check_database_of;
use crate::scope::Scope;

const HOUR: Duration = Duration::from_secs(3_600);

/// A datacenter whose payloads are kept for so long.
async fn kept_for(kept: Duration) -> (Handle, Arc<Moved>, Arc<Store>) {
    let clock = Arc::new(Moved(AtomicU64::new(1_000_000_000_000_000)));
    let store = Arc::new(Store::in_memory().unwrap());
    let settings = GroupSettings { scope: "dc1".into(), member: "n1".into() };
    let (told, acl) = (Arc::clone(&clock) as _, AclSettings::default());
    let handle = Handle::open(Arc::clone(&store), settings, acl, told).await.unwrap();
    let scope = Scope { retention_seconds: kept.as_secs(), ..Scope::default() };
    let record = AnyRecord::Scope(Box::new(scope));
    let change = RecordChange::Put { record, when: When::Always };
    submit(&handle, Change::Records(vec![change])).await;
    (handle, clock, store)
}

fn write(key: &str, value: &str) -> Change {
    let (key, value) = (key.into(), value.as_bytes().to_vec());
    Change::Kv(KvChange::Put { key, value, flags: 0, when: PutWhen::Always, scope: None })
}

/// The places of the datacenter's own lineage whose payloads are gone.
fn gone(handle: &Handle) -> Vec<u64> {
    let window = Window { from: 0, reverse: false, limit: 1_000 };
    let page = handle.lineage(&handle.root()).page(&Wanted::default(), window).unwrap();
    let gone = page.lines.iter().filter(|line| line.payload.is_none());
    gone.map(|line| line.entry.seq).collect()
}

async fn step(handle: &Handle) -> u64 {
    handle.prune_step(&mut Pruning::default(), handle.now()).await.unwrap().0
}

fn pass(clock: &Moved, time: Duration) {
    clock.0.fetch_add(u64::try_from(time.as_nanos()).unwrap(), Ordering::Relaxed);
}

#[tokio::test]
async fn what_is_old_and_not_in_force_goes_and_the_rest_can_be_folded() {
    let (handle, clock, store) = kept_for(HOUR).await;
    for (key, value) in [("a", "1"), ("b", "1"), ("a", "2"), ("c", "1")] {
        submit(&handle, write(key, value)).await;
    }
    let key = "c".into();
    submit(&handle, Change::Kv(KvChange::Delete { key, cas: None })).await;
    assert_eq!(step(&handle).await, 0, "nothing is old");
    pass(&clock, HOUR + HOUR);
    submit(&handle, write("a", "3")).await;
    // The first entry of b is old and in force, as is the scope itself; a and c have gone on.
    assert_eq!(step(&handle).await, 4);
    assert_eq!(gone(&handle), [1, 3, 4, 5]);
    assert_eq!(step(&handle).await, 0, "nothing goes twice");
    submit(&handle, write("d", "1")).await;
    let report = check_database_of(&store);
    assert!(report.is_clean() && report.pruned == 4, "{report}");
    pass(&clock, HOUR + HOUR);
    submit(&handle, write("a", "4")).await;
    submit(&handle, write("b", "2")).await;
    assert_eq!(step(&handle).await, 2, "what was in force once");
    assert_eq!(gone(&handle), [1, 2, 3, 4, 5, 6]);
    let report = check_database_of(&store);
    assert!(report.is_clean() && report.pruned == 6, "{report}");
}

#[tokio::test]
async fn a_pruned_store_goes_on_after_a_restart_and_tells_who_touched_it() {
    use crate::store::tables::{BASE_ROWS, PAYLOADS};
    let (handle, clock, store) = kept_for(HOUR).await;
    for value in ["1", "2", "3"] {
        submit(&handle, write("a", value)).await;
    }
    pass(&clock, HOUR + HOUR);
    assert_eq!(step(&handle).await, 2);
    handle.stop().await;
    drop(handle);
    let settings = GroupSettings { scope: "dc1".into(), member: "n1".into() };
    let acl = AclSettings::default();
    let again = Handle::open(Arc::clone(&store), settings, acl, clock as _).await.unwrap();
    assert_eq!(&*again.snapshot().key("a").unwrap().value, b"3");
    submit(&again, write("a", "4")).await;
    again.stop().await;
    let report = check_database_of(&store);
    assert!(report.is_clean() && report.pruned == 2, "{report}");
    let none = redb::Durability::None;
    let take = |tx: &redb::WriteTransaction| {
        tx.open_table(PAYLOADS)?.remove(0)?;
        Ok(())
    };
    store.write(none, take).unwrap();
    let report = check_database_of(&store).to_string();
    assert!(report.contains("the payload of entry 0 is missing"), "{report}");
    let touch = |tx: &redb::WriteTransaction| {
        let mut rows = tx.open_table(BASE_ROWS)?;
        let key = crate::index::RowId::Key("a".into()).to_key();
        let row = rows.get(key.as_slice())?.unwrap().value().to_owned();
        let row = String::from_utf8(row).unwrap().replace("\"flags\":0", "\"flags\":1");
        rows.insert(key.as_slice(), row.as_bytes())?;
        Ok(())
    };
    store.write(none, touch).unwrap();
    let report = check_database_of(&store).to_string();
    assert!(report.contains("the image of the state at"), "{report}");
}

#[tokio::test]
async fn a_records_history_goes_when_it_is_asked_to() {
    let (handle, clock, store) = kept_for(Duration::ZERO).await;
    let secret = write("person", "Jane");
    submit(&handle, secret).await;
    let uid = handle.snapshot().key("person").unwrap().uid;
    pass(&clock, HOUR);
    submit(&handle, write("person", "-")).await;
    submit(&handle, write("other", "1")).await;
    let pruned = handle.prune_record(&Caller::own(), uid, handle.now()).await.unwrap();
    assert_eq!((pruned, gone(&handle)), (1, vec![1]), "what is in force stays");
    let versions = handle.lineage(&handle.root()).versions(uid, 0).unwrap();
    let numbers: Vec<_> = versions.iter().map(|(number, of)| (*number, of.order)).collect();
    assert_eq!(numbers, [(1, 1), (2, 2)], "that there was one is still known");
    let report = check_database_of(&store);
    assert!(report.is_clean() && report.pruned == 1, "{report}");
}

#[tokio::test]
async fn a_record_has_a_version_for_each_change_of_it() {
    let (handle, _, store) = kept_for(Duration::ZERO).await;
    let uid_of = |handle: &Handle| {
        handle.snapshot().service("web").unwrap().instances.values().next().unwrap().uid
    };
    submit(&handle, register("n1", Some("web"))).await;
    let uid = uid_of(&handle);
    submit(&handle, register("n1", Some("web"))).await;
    submit(&handle, register("n1", None)).await;
    let (node, id) = ("n1".into(), "web".into());
    submit(&handle, Change::Deregister(Removal::Service { node, id })).await;
    submit(&handle, register("n1", Some("web"))).await;
    assert_ne!(uid_of(&handle), uid, "a uid is never used again");
    let versions = handle.lineage(&handle.root()).versions(uid, 0).unwrap();
    let told: Vec<_> = versions.iter().map(|(number, of)| (*number, of.order, of.alive)).collect();
    assert_eq!(told, [(1, 1, true), (2, 4, false)], "the same again is no version");
    let node = handle.snapshot().node("n1").unwrap().uid;
    let versions = handle.lineage(&handle.root()).versions(node, 0).unwrap();
    assert_eq!(versions.len(), 1);
    let report = check_database_of(&store);
    assert!(report.is_clean(), "{report}");
}
