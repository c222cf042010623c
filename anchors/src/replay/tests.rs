use std::sync::Arc;

use redb::Durability;

use super::*;
use crate::change::PutWhen;
use crate::group::Group;
use crate::group::tests::{Seen, put, put_when, settings};
use crate::store::Store;
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
    assert!(payload.await.contains(&Difference::Payload(1)));
    let entry = differences(|tx| {
        let mut entries = tx.open_table(ENTRIES)?;
        let leaf = String::from_utf8(entries.get(2)?.unwrap().value().to_owned()).unwrap();
        entries.insert(2, leaf.replace("\"test\"", "\"mallory\"").as_bytes())?;
        Ok(())
    });
    let entry = entry.await;
    assert!(entry.contains(&Difference::Hash { seq: 2, place: 3 }), "{entry:?}");
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
    assert!(matches!(check(dir.path()), Err(ReplayError::Entry { seq: 3, .. })));
}
