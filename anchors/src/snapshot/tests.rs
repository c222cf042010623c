use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::acl::AclSettings;
use crate::caller::Caller;
use crate::change::{Change, KvChange, PutWhen, Registration, Restore};
use crate::clock::Clock;
use crate::group::GroupSettings;
use crate::handle::{Handle, RestoreError};
use crate::query::Query;
use crate::replay;
use crate::service::{Check, Node, Service};
use crate::store::Store;
use crate::testing::TempDir;

struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Time {
        Time(7)
    }
}

async fn open(dir: &Path) -> (Handle, Arc<Store>) {
    let store = Arc::new(Store::open(dir).unwrap());
    let settings = GroupSettings { scope: "dc1".into(), member: "n1".into() };
    let handle =
        Handle::open(Arc::clone(&store), settings, AclSettings::default(), Arc::new(Stopped));
    (handle.await.unwrap(), store)
}

async fn submit(handle: &Handle, change: Change) -> u64 {
    handle.submit(&Caller::own(), change).await.unwrap().revision
}

async fn put(handle: &Handle, key: &str, value: &str) -> u64 {
    let (key, value) = (key.into(), value.into());
    submit(
        handle,
        Change::Kv(KvChange::Put { key, value, flags: 0, when: PutWhen::Always, scope: None }),
    )
    .await
}

async fn register(handle: &Handle, name: &str) {
    let node = Node { name: "n".into(), address: "10.0.0.1".into(), ..Node::default() };
    let service = Service { id: name.into(), name: name.into(), ..Service::default() };
    let checks = vec![Check { id: "c".into(), ..Check::default() }];
    let registration = Registration { node, service: Some(service), checks, ..Default::default() };
    submit(handle, Change::Register(Box::new(registration))).await;
}

fn save(handle: &Handle) -> Vec<u8> {
    let (mut out, index) = (Vec::new(), handle.snapshot());
    write(&mut out, &index, &handle.about(&index)).unwrap();
    out
}

/// The same in its archive.
fn save_archive(handle: &Handle) -> Vec<u8> {
    let (mut out, index) = (Vec::new(), handle.snapshot());
    let server = archive::Server { suffrage: 0, id: "id".into(), address: "10.0.0.1:8300".into() };
    let spool = Cursor::new(Vec::new());
    archive::write(&mut out, spool, (&index, &handle.about(&index), &[server])).unwrap();
    out
}

fn content(handle: &Handle) -> Vec<(RowId, Vec<u8>)> {
    handle.snapshot().rows().filter(|(id, _)| *id != RowId::Marks).collect()
}

async fn written(dir: &Path) -> (Handle, Arc<Store>) {
    let (handle, store) = open(dir).await;
    register(&handle, "web").await;
    put(&handle, "a", "1").await;
    (handle, store)
}

#[tokio::test]
async fn it_tells_what_is_in_it() {
    let dir = TempDir::new();
    let (handle, _) = written(dir.path()).await;
    let summary = inspect(&*save(&handle)).unwrap();
    assert_eq!((&*summary.about.scope, summary.about.revision), ("dc1", 3));
    let counts: Vec<_> = summary.kinds.iter().map(|(name, kind)| (*name, kind.rows)).collect();
    let expected =
        ["Check", "KVS", "Marks", "Node", "Service", "ServiceMark"].map(|name| (name, 1));
    assert_eq!(counts, expected);
    assert_eq!(summary.bytes, summary.kinds.values().map(|kind| kind.bytes).sum::<u64>());
}

#[tokio::test]
async fn a_stream_that_is_not_whole_is_none() {
    let dir = TempDir::new();
    let (handle, _) = written(dir.path()).await;
    let whole = save(&handle);
    for whole in [whole.clone(), save_archive(&handle)] {
        let summary = inspect(&*whole).unwrap();
        for end in 0..whole.len() {
            assert!(inspect(&whole[..end]).is_err(), "cut at {end}");
        }
        for at in 10..whole.len() {
            let mut bent = whole.clone();
            bent[at] ^= 0x10;
            // A bit that fills up a byte between two blocks says nothing.
            assert!(inspect(&*bent).map_or(true, |read| read == summary), "bent at {at}");
        }
    }
    let more = [whole.as_slice(), b"more"].concat();
    for (stream, told) in [
        (&b""[..], "EOF"),
        (b"junk", "unexpected EOF"),
        (b"much more junk", "gzip: invalid header"),
        (&whole[..whole.len() / 2], "unexpected EOF"),
    ] {
        assert_eq!(inspect(stream).unwrap_err().to_string(), told);
    }
    // What follows the gzip stream is none of it, as for every reader of gzip.
    assert!(inspect(&*more).is_ok());
    let mut foreign = GzEncoder::new(Vec::new(), Compression::fast());
    foreign.write_all(&[b'x'; 600]).unwrap();
    let foreign = foreign.finish().unwrap();
    assert!(matches!(inspect(&*foreign), Err(SnapshotError::Foreign)));
}

/// An archive of these bytes that is whole, with these sums unless they are the right ones.
fn archived(state: &[u8], sums: impl FnOnce(String) -> String) -> Vec<u8> {
    let meta = &b"{}"[..];
    let right = [("state.bin", state), ("meta.json", meta)]
        .map(|(name, bytes)| format!("{}  {name}\n", hex::encode(&Sha256::digest(bytes))));
    let sums = sums(right.concat());
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    for (name, content) in
        [("meta.json", meta), ("state.bin", state), ("SHA256SUMS", sums.as_bytes())]
    {
        archive::file(&mut out, (name, content.len() as u64, 7), &mut &*content).unwrap();
    }
    out.write_all(&[0; 1024]).unwrap();
    out.finish().unwrap()
}

#[tokio::test]
async fn an_archive_is_compared_with_its_sums() {
    let dir = TempDir::new();
    let (handle, _) = written(dir.path()).await;
    let (bare, right) = (save(&handle), |sums: String| sums);
    assert_eq!(inspect(&*archived(&bare, right)).unwrap(), inspect(&*bare).unwrap());
    let zeros = "0".repeat(64);
    let more = [bare.as_slice(), &[0; 64 << 10]].concat();
    for (archive, told) in [
        (archived(&bare, |_| String::new()), "it is damaged: its sums are others"),
        (
            archived(&bare, |_| format!("{zeros}  meta.json\n{zeros}  state.bin\n")),
            "it is damaged: its sums are others",
        ),
        (archived(&bare, |sums| sums + "00  more"), "it is damaged: its sums are others"),
        (archived(&more, right), "it is damaged: something follows the end of state.bin"),
        (archived(&bare[..bare.len() - 1], right), "unexpected EOF"),
        (
            archived(&[0x84, 0xa8, b'D', b'a', b't', b'a'], right),
            "it is a snapshot of Consul's own, and reading its state.bin is not there yet",
        ),
        (
            archived(b"", right),
            "it is a snapshot of Consul's own, and reading its state.bin is not there yet",
        ),
    ] {
        assert_eq!(inspect(&*archive).unwrap_err().to_string(), told);
    }
}

#[tokio::test]
async fn what_was_saved_comes_back_in_another_scope_too() {
    let (here, there) = (TempDir::new(), TempDir::new());
    let (handle, store) = written(here.path()).await;
    let (saved, content_then) = (save_archive(&handle), content(&handle));
    put(&handle, "a", "2").await;
    put(&handle, "b", "2").await;
    let query = Query::Key("a".into());
    let before = handle.lookup(&Caller::own(), &query).unwrap().index;
    let waiter = {
        let handle = handle.clone();
        let long = Duration::from_secs(3_600);
        tokio::spawn(async move {
            handle.wait(&Caller::own(), &Query::Key("a".into()), before, long).await
        })
    };
    handle.restore(&Caller::own(), Cursor::new(saved.clone())).await.unwrap();
    assert_eq!(content(&handle), content_then);
    assert!(waiter.await.unwrap().unwrap().index > before);
    assert!(put(&handle, "c", "3").await > before);

    // A scope that has written less goes on above the snapshot's revision.
    let (other, other_store) = open(there.path()).await;
    other.restore(&Caller::own(), Cursor::new(saved)).await.unwrap();
    assert_eq!(content(&other), content_then);
    assert!(put(&other, "d", "4").await > 3);

    for (dir, handle, store) in [(here, handle, store), (there, other, other_store)] {
        let rows: Vec<_> = handle.snapshot().rows().collect();
        handle.stop().await;
        store.close();
        assert_eq!(replay::check(dir.path()).unwrap().differences, []);
        let (again, _) = open(dir.path()).await;
        assert_eq!(again.snapshot().rows().collect::<Vec<_>>(), rows);
    }
}

#[tokio::test]
async fn a_bad_one_changes_nothing() {
    let dir = TempDir::new();
    let (handle, store) = written(dir.path()).await;
    let (saved, before) = (save(&handle), handle.snapshot().revision());
    let half = Cursor::new(saved[..saved.len() / 2].to_vec());
    let failed = handle.restore(&Caller::own(), half).await.unwrap_err();
    assert!(matches!(failed, RestoreError::Snapshot(SnapshotError::Cut)), "{failed}");
    assert_eq!(handle.snapshot().revision(), before);

    // Whole, but with a row that no index can have: a check of a node that is not there.
    let mut rows = Vec::new();
    let orphan = RowId::Check("x".into(), "c".into()).to_key();
    let value = content(&handle).into_iter().find(|(id, _)| matches!(id, RowId::Check(..)));
    pack::push(&mut rows, (&orphan, &value.unwrap().1));
    let mut writer =
        Writer { out: GzEncoder::new(Vec::new(), Compression::fast()), digest: Sha256::new() };
    writer.put(MAGIC).unwrap();
    writer.put(&VERSION.to_be_bytes()).unwrap();
    let about = serde_json::to_vec(&handle.about(&handle.snapshot())).unwrap();
    writer.piece(HEADER, &about).unwrap();
    writer.piece(ROWS, &rows).unwrap();
    writer.piece(END, &[]).unwrap();
    let digest = writer.digest.clone().finalize();
    writer.out.write_all(&digest).unwrap();
    let orphaned = Cursor::new(writer.out.finish().unwrap());
    let live = content(&handle);
    let failed = handle.restore(&Caller::own(), orphaned).await.unwrap_err();
    assert!(matches!(failed, RestoreError::Refused(_)), "{failed}");
    assert_eq!((content(&handle), handle.snapshot().restoring()), (live, None));
    handle.stop().await;
    store.close();
    assert_eq!(replay::check(dir.path()).unwrap().differences, []);
}

#[tokio::test]
async fn one_that_the_end_interrupted_is_forgotten() {
    let dir = TempDir::new();
    let (handle, store) = written(dir.path()).await;
    let saved = save(&handle);
    let mut pieces = Pieces::open(&*saved).unwrap();
    let packed = pack::deflate(pieces.next_rows().unwrap().unwrap());
    let id: Box<str> = "half".into();
    submit(&handle, Change::Restore(Restore::Begin { id: id.clone() })).await;
    submit(&handle, Change::Restore(Restore::Rows { id, number: 0, packed })).await;
    let live: Vec<_> =
        content(&handle).into_iter().filter(|(id, _)| *id != RowId::Staged).collect();
    handle.stop().await;
    store.close();
    assert_eq!(replay::check(dir.path()).unwrap().differences, []);

    let (handle, store) = open(dir.path()).await;
    assert_eq!((content(&handle), handle.snapshot().restoring()), (live, None));
    handle.stop().await;
    store.close();
    assert_eq!(replay::check(dir.path()).unwrap().differences, []);
}
