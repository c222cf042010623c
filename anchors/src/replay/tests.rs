use std::sync::Arc;

use redb::Durability;

use super::*;
use crate::change::PutWhen;
use crate::group::Group;
use crate::group::tests::{Seen, put, put_when, settings};
use crate::store::Store;
use crate::store::tables::{
    CHECKPOINTS, ENTRIES, ORDERS, PAYLOADS, SCOPED_ENTRIES, SCOPED_HASHES, SCOPED_PAYLOADS,
};
use crate::testing::TempDir;

/// A data directory with a little history: writes, an overwrite, a verdict of no, and a refusal.
async fn written(dir: &Path) {
    let store = Arc::new(Store::open(dir).unwrap());
    let (group, _) =
        Group::start(Arc::clone(&store), settings(), Arc::new(Seen::default())).await.unwrap();
    for key in ["a", "b", "c", "a"] {
        group.propose(put(key, "value")).await.unwrap();
    }
    assert!(!group.propose(put_when("a", "late", PutWhen::Index(1))).await.unwrap().yes);
    group.propose(put_when("a", "x", PutWhen::Acquire("nobody".into()))).await.unwrap_err();
    group.stop().await;
    store.close();
}

/// One with a scope, whose entries have the places 0 and 2 in the order.
async fn written_with_scope(dir: &Path) {
    let store = Arc::new(Store::open(dir).unwrap());
    let (group, _) =
        Group::start(Arc::clone(&store), settings(), Arc::new(Seen::default())).await.unwrap();
    for (key, scope) in [("a", "dc1/x"), ("b", ""), ("a", "dc1/x"), ("c", "")] {
        let scope = ScopePath::parse(scope).ok();
        group.propose(crate::group::Proposal { scope, ..put(key, "value") }).await.unwrap();
    }
    group.stop().await;
    store.close();
}

async fn scoped_check(
    work: impl FnOnce(&redb::WriteTransaction) -> Result<(), Fault>,
) -> Result<ReplayReport, ReplayError> {
    let dir = TempDir::new();
    written_with_scope(dir.path()).await;
    tamper(dir.path(), work);
    check(dir.path())
}

#[tokio::test]
async fn lineages_of_scopes_are_folded_in_the_one_order() {
    let report = scoped_check(|_| Ok(())).await.unwrap();
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.entries, report.signed), (4, Some(2)));
    assert!(matches!(&report.scopes[..], [(path, 2, _)] if path.as_str() == "dc1/x"), "{report}");
}

#[tokio::test]
async fn a_touched_entry_of_a_scope_is_named_with_its_scope() {
    let at = |seq| At { scope: ScopePath::parse("dc1/x").ok(), seq };
    let payload = scoped_check(|tx| {
        let mut payloads = tx.open_table(SCOPED_PAYLOADS)?;
        let mut kept = payloads.get(("dc1/x", 1))?.unwrap().value().to_owned();
        kept[0] ^= 1;
        payloads.insert(("dc1/x", 1), kept.as_slice())?;
        Ok(())
    });
    let found = payload.await.unwrap().differences;
    assert!(found.contains(&Difference::Payload(at(1))), "{found:?}");
    let hash = scoped_check(|tx| {
        tx.open_table(SCOPED_HASHES)?.insert(("dc1/x", 2), [9; 32])?;
        Ok(())
    });
    let found = hash.await.unwrap().differences;
    assert_eq!(found, [Difference::Hash { at: at(1), place: 2 }]);
    let order = scoped_check(|tx| {
        tx.open_table(ORDERS)?.remove(2)?;
        Ok(())
    });
    assert_eq!(order.await.unwrap().differences, [Difference::Order(at(1))]);
    let gone = scoped_check(|tx| {
        tx.open_table(SCOPED_ENTRIES)?.remove(("dc1/x", 1))?;
        Ok(())
    });
    assert!(matches!(gone.await, Err(ReplayError::Entry { at: At { seq: 2, .. }, .. })));
}

#[tokio::test]
async fn a_store_that_an_earlier_version_wrote_opens() {
    let dir = TempDir::new();
    written(dir.path()).await;
    tamper(dir.path(), |tx| {
        tx.delete_table(SCOPED_ENTRIES)?;
        tx.delete_table(SCOPED_PAYLOADS)?;
        tx.delete_table(SCOPED_HASHES)?;
        tx.delete_table(ORDERS)?;
        tx.delete_table(CHECKPOINTS)?;
        Ok(())
    });
    let before = check(dir.path()).unwrap();
    assert!(before.is_clean() && before.entries == 6, "{before}");
    written(dir.path()).await;
    let after = check(dir.path()).unwrap();
    assert!(after.is_clean() && after.entries == 12, "{after}");
}

/// Changes the stored scope behind the lineage's back.
fn tamper(dir: &Path, work: impl FnOnce(&redb::WriteTransaction) -> Result<(), Fault>) {
    let store = Store::open(dir).unwrap();
    store.write(Durability::Immediate, work).unwrap();
    store.close();
}

async fn differences(
    work: impl FnOnce(&redb::WriteTransaction) -> Result<(), Fault>,
) -> Vec<Difference> {
    let dir = TempDir::new();
    written(dir.path()).await;
    tamper(dir.path(), work);
    check(dir.path()).unwrap().differences
}

#[tokio::test]
async fn what_was_written_is_the_fold_of_its_lineage() {
    let dir = TempDir::new();
    written(dir.path()).await;
    let report = check(dir.path()).unwrap();
    assert_eq!(report.differences, []);
    assert_eq!((report.entries, report.refused, report.signed, report.waiting), (6, 1, Some(6), 0));
    assert!(report.to_string().ends_with("to the byte"), "{report}");
}

#[tokio::test]
async fn an_empty_scope_is_the_fold_of_nothing() {
    let dir = TempDir::new();
    Store::open(dir.path()).unwrap().close();
    let report = check(dir.path()).unwrap();
    assert!(report.is_clean() && report.entries == 0 && report.signed.is_none(), "{report}");
}

#[tokio::test]
async fn a_store_that_is_in_use_is_left_alone() {
    let dir = TempDir::new();
    let _store = Store::open(dir.path()).unwrap();
    assert!(
        matches!(check(dir.path()), Err(ReplayError::Store(StoreError::InUse { dir: named })) if named == dir.path())
    );
}

#[tokio::test]
async fn looking_changes_no_file() {
    let dir = TempDir::new();
    written(dir.path()).await;
    let file = dir.path().join("scope.redb");
    let before = std::fs::read(&file).unwrap();
    check(dir.path()).unwrap();
    assert!(before == std::fs::read(&file).unwrap());
}

#[tokio::test]
async fn a_changed_row_is_found() {
    let key = RowId::Key("b".into()).to_key();
    let found = differences(|tx| {
        let mut rows = tx.open_table(ROWS)?;
        let value = rows.get(key.as_slice())?.unwrap().value().to_owned();
        rows.insert(
            key.as_slice(),
            String::from_utf8(value).unwrap().replace("flags\":0", "flags\":1").as_bytes(),
        )?;
        Ok(())
    });
    assert!(matches!(&found.await[..], [Difference::Row { row, .. }] if row.contains("\"b\"")));
}

#[tokio::test]
async fn a_lost_and_an_invented_row_are_found() {
    let found = differences(|tx| {
        let mut rows = tx.open_table(ROWS)?;
        rows.remove(RowId::Key("a".into()).to_key().as_slice())?;
        rows.insert(RowId::Key("z".into()).to_key().as_slice(), b"{}".as_slice())?;
        Ok(())
    });
    let sides: Vec<_> = found
        .await
        .into_iter()
        .map(|found| match found {
            Difference::Row { stored, folded, .. } => (stored == "absent", folded == "absent"),
            other => panic!("{other}"),
        })
        .collect();
    assert_eq!(sides, [(false, true), (true, false)]);
}

#[tokio::test]
async fn a_changed_payload_and_a_changed_entry_are_named() {
    let payload = differences(|tx| {
        let mut payloads = tx.open_table(PAYLOADS)?;
        let mut kept = payloads.get(1)?.unwrap().value().to_owned();
        kept[0] ^= 1;
        payloads.insert(1, kept.as_slice())?;
        Ok(())
    });
    assert!(payload.await.contains(&Difference::Payload(At { scope: None, seq: 1 })));
    let entry = differences(|tx| {
        let mut entries = tx.open_table(ENTRIES)?;
        let leaf = String::from_utf8(entries.get(2)?.unwrap().value().to_owned()).unwrap();
        entries.insert(2, leaf.replace("\"test\"", "\"mallory\"").as_bytes())?;
        Ok(())
    });
    let entry = entry.await;
    assert!(
        entry.contains(&Difference::Hash { at: At { scope: None, seq: 2 }, place: 3 }),
        "{entry:?}"
    );
    assert!(entry.iter().any(|found| matches!(found, Difference::Checkpoint(_))), "{entry:?}");
}

#[tokio::test]
async fn a_missing_payload_ends_the_replay_and_is_named() {
    let dir = TempDir::new();
    written(dir.path()).await;
    tamper(dir.path(), |tx| {
        tx.open_table(PAYLOADS)?.remove(3)?;
        Ok(())
    });
    assert!(matches!(check(dir.path()), Err(ReplayError::Entry { at: At { seq: 3, .. }, .. })));
}
