use std::io::{Seek, SeekFrom, Write};

use super::*;
use crate::testing::TempDir;

/// Opens the store after something was done to its file.
fn reopened(work: impl FnOnce(&Path)) -> Result<Store, StoreError> {
    let dir = TempDir::new();
    Store::open(dir.path()).unwrap().close();
    work(&dir.path().join(FILE_NAME));
    Store::open(dir.path())
}

/// What is done to a file, and how.
type Damage<'a> = (&'a str, &'a dyn Fn(&Path));

fn overwrite(path: &Path, at: u64, bytes: &[u8]) {
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(bytes).unwrap();
}

#[test]
fn a_store_keeps_its_node_and_its_leaf() {
    let dir = TempDir::new();
    let store = Store::open(dir.path()).unwrap();
    let node_id = store.node_id();
    store.put_leaf("a", Some(b"1")).unwrap();
    store.put_leaf("b", Some(b"2")).unwrap();
    store.put_leaf("a", None).unwrap();
    drop(store);
    let again = Store::open(dir.path()).unwrap();
    assert_eq!(again.node_id(), node_id);
    assert_eq!(again.leaf().unwrap(), [("b".to_owned(), b"2".to_vec())]);
}

#[test]
fn the_second_to_open_a_store_is_told_who_has_it() {
    let dir = TempDir::new();
    let _first = Store::open(dir.path()).unwrap();
    assert!(
        matches!(Store::open(dir.path()), Err(StoreError::InUse { dir: named }) if named == dir.path())
    );
}

#[test]
fn damage_is_named_wherever_it_is() {
    let noise = [0xA5; 512];
    let whole = reopened(|_| {});
    assert!(whole.is_ok());
    let damages: [Damage<'_>; 5] = [
        ("empty", &|path| fs::write(path, "").unwrap()),
        ("text", &|path| fs::write(path, "not a database".repeat(1000)).unwrap()),
        ("header", &|path| overwrite(path, 0, &noise)),
        ("pages", &|path| (1..64).for_each(|page| overwrite(path, page * 4096 + 64, &noise))),
        ("cut off", &|path| {
            OpenOptions::new().write(true).open(path).unwrap().set_len(20_000).unwrap()
        }),
    ];
    for (what, damage) in damages {
        let error = reopened(damage).err().unwrap_or_else(|| panic!("{what}: opened"));
        assert!(
            matches!(&error, StoreError::Damaged { file, .. } if file.ends_with(FILE_NAME)),
            "{what}: {error:?}"
        );
    }
}

#[test]
fn stores_of_others_and_of_later_versions_are_left_alone() {
    let foreign = reopened(|path| {
        fs::remove_file(path).unwrap();
        drop(Database::create(path).unwrap());
    });
    assert!(matches!(foreign, Err(StoreError::Foreign { .. })));
    let newer = reopened(|path| {
        let database = Database::open(path).unwrap();
        let tx = database.begin_write().unwrap();
        tables::FORMAT.write(&tx, &99).unwrap();
        tx.commit().unwrap();
    });
    assert!(matches!(newer, Err(StoreError::Newer { found: 99, .. })));
}

#[test]
fn a_crash_while_the_store_is_made_leaves_none() {
    let dir = TempDir::new();
    fs::write(dir.path().join("scope.redb.new"), "half").unwrap();
    Store::open(dir.path()).unwrap();
}

#[test]
fn what_was_verified_stays_as_it_was_after_a_crash() {
    let dir = TempDir::new();
    let store = Store::open(dir.path()).unwrap();
    store.put_leaf("a", Some(b"1")).unwrap();
    // As after kill -9: the copy was never closed.
    let path = dir.path().join("copy.redb");
    fs::copy(dir.path().join(FILE_NAME), &path).unwrap();
    let before = fs::read(&path).unwrap();
    overlay::verify(&path).unwrap();
    assert!(before == fs::read(&path).unwrap());
}

#[test]
fn those_who_come_while_another_row_is_synced_share_the_next_sync() {
    let store = Arc::new(Store::in_memory().unwrap());
    let writers = (0..32).map(|number| {
        let store = Arc::clone(&store);
        std::thread::spawn(move || store.put_leaf(&format!("{number:02}"), Some(b"x")).unwrap())
    });
    writers.collect::<Vec<_>>().into_iter().for_each(|writer| writer.join().unwrap());
    assert_eq!(store.leaf().unwrap().len(), 32);
}
