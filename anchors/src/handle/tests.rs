//! The door over a group in memory: what a write shows, and whom it wakes.

mod credentials;
mod far;
mod guard;
mod policies;
mod retention;
mod scopes;

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::change::{Registration, Removal};
use crate::service::{Behavior, Node, Service, Session};

/// A clock that the test moves.
struct Moved(AtomicU64);

impl Clock for Moved {
    fn now(&self) -> Time {
        Time(self.0.load(Ordering::Relaxed))
    }
}

async fn open() -> (Handle, Arc<Moved>) {
    let clock = Arc::new(Moved(AtomicU64::new(1_000)));
    let store = Arc::new(Store::in_memory().unwrap());
    let settings = GroupSettings { scope: "dc1".into(), member: "n1".into() };
    (
        Handle::open(store, settings, AclSettings::default(), Arc::clone(&clock) as _)
            .await
            .unwrap(),
        clock,
    )
}

async fn submit(handle: &Handle, change: Change) -> Committed {
    handle.submit(&Caller::own(), change).await.unwrap()
}

fn register(node: &str, service: Option<&str>) -> Change {
    let node = Node { name: node.into(), address: "10.0.0.1".into(), ..Node::default() };
    let service =
        service.map(|name| Service { id: name.into(), name: name.into(), ..Service::default() });
    Change::Register(Box::new(Registration { node, service, ..Registration::default() }))
}

fn put(key: &str, when: PutWhen) -> Change {
    Change::Kv(KvChange::Put { key: key.into(), value: b"v".to_vec(), flags: 0, when, scope: None })
}

fn session(id: &str, ttl: &str) -> Change {
    Change::OpenSession(Box::new(Session {
        id: id.into(),
        name: "".into(),
        node: "n1".into(),
        lock_delay: Duration::from_secs(15),
        behavior: Behavior::Release,
        ttl: ttl.into(),
        node_checks: None,
        service_checks: None,
        checks: None,
    }))
}

/// Longer than any test takes: who waits so long was not woken.
const FOREVER: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn a_write_shows_at_once() {
    let (handle, _) = open().await;
    let committed = submit(&handle, register("n1", Some("web"))).await;
    let answer = handle.lookup(&Caller::own(), &Query::Service("web".into())).unwrap();
    assert_eq!(answer.index, committed.revision);
    assert_eq!(answer.at.service("WEB").unwrap().instances.len(), 1);
    assert!(answer.known_leader);
}

#[tokio::test]
async fn a_waiter_wakes_for_what_it_shows_and_for_nothing_else() {
    let (handle, _) = open().await;
    submit(&handle, register("n1", Some("web"))).await;
    let query = Query::Service("db".into());
    let before = handle.lookup(&Caller::own(), &query).unwrap().index;
    let waiter = handle.clone();
    let waiting =
        tokio::spawn(
            async move { waiter.wait(&Caller::own(), &query, before, FOREVER).await.unwrap() },
        );
    while handle.0.board.watches.len() == 0 {
        tokio::task::yield_now().await;
    }
    submit(&handle, put("beside", PutWhen::Always)).await;
    assert!(!waiting.is_finished());
    let committed = submit(&handle, register("n1", Some("db"))).await;
    assert_eq!(waiting.await.unwrap().index, committed.revision);
    assert_eq!(handle.0.board.watches.len(), 0);
}

#[tokio::test]
async fn a_missing_key_is_waited_for_until_it_comes() {
    let (handle, _) = open().await;
    let first = submit(&handle, put("other", PutWhen::Always)).await;
    let query = Query::Key("wanted".into());
    let early = handle.wait(&Caller::own(), &query, first.revision - 1, FOREVER).await.unwrap();
    assert_eq!(early.index, first.revision);
    let waiter = handle.clone();
    let waiting = tokio::spawn(async move {
        waiter.wait(&Caller::own(), &query, first.revision, FOREVER).await.unwrap()
    });
    while handle.0.board.watches.len() == 0 {
        tokio::task::yield_now().await;
    }
    submit(&handle, put("other", PutWhen::Index(first.revision))).await;
    let committed = submit(&handle, put("wanted", PutWhen::Always)).await;
    let answer = waiting.await.unwrap();
    assert_eq!((answer.index, answer.at.key("wanted").is_some()), (committed.revision, true));
}

#[tokio::test]
async fn a_prefix_is_woken_by_a_key_under_it() {
    let (handle, _) = open().await;
    let waiter = handle.clone();
    let query = Query::Keys("app/".into());
    let waiting =
        tokio::spawn(
            async move { waiter.wait(&Caller::own(), &query, 1_000, FOREVER).await.unwrap() },
        );
    let before = handle.lookup(&Caller::own(), &Query::Keys("app/".into())).unwrap().index;
    waiting.abort();
    let waiter = handle.clone();
    let query = Query::Keys("app/".into());
    let waiting =
        tokio::spawn(
            async move { waiter.wait(&Caller::own(), &query, before, FOREVER).await.unwrap() },
        );
    let committed = submit(&handle, put("app/a", PutWhen::Always)).await;
    assert_eq!(waiting.await.unwrap().index, committed.revision);
}

#[tokio::test]
async fn a_key_that_a_session_held_cannot_be_taken_during_the_lock_delay() {
    let (handle, clock) = open().await;
    submit(&handle, register("n1", None)).await;
    submit(&handle, session("s1", "")).await;
    submit(&handle, session("s2", "")).await;
    assert!(submit(&handle, put("lock", PutWhen::Acquire("s1".into()))).await.yes);
    submit(&handle, Change::CloseSession { id: "s1".into() }).await;
    assert!(!submit(&handle, put("lock", PutWhen::Acquire("s2".into()))).await.yes);
    clock.0.fetch_add(16_000_000_000, Ordering::Relaxed);
    assert!(submit(&handle, put("lock", PutWhen::Acquire("s2".into()))).await.yes);
}

#[tokio::test]
async fn sessions_end_when_they_run_out_and_when_their_node_goes() {
    let (handle, clock) = open().await;
    submit(&handle, register("n1", None)).await;
    submit(&handle, session("s1", "10s")).await;
    submit(&handle, session("s2", "10s")).await;
    clock.0.fetch_add(15_000_000_000, Ordering::Relaxed);
    assert!(handle.renew("s1") && !handle.renew("nobody"));
    clock.0.fetch_add(6_000_000_000, Ordering::Relaxed);
    handle.close_expired().await;
    let ids = || handle.snapshot().sessions().map(|row| row.session.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(), ["s1".into()]);
    submit(&handle, Change::Deregister(Removal::Node { node: "n1".into() })).await;
    assert_eq!(ids(), []);
}
