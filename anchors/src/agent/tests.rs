//! The agent over a catalog and a shelf in memory.

use std::sync::atomic::AtomicUsize;

use super::*;
use crate::index::{Index, Stamp};
use crate::service::{Node, Service};

/// A catalog that can be cut off.
#[derive(Default)]
struct Catalog {
    index: Mutex<Index>,
    cut: AtomicBool,
    writes: AtomicUsize,
}

/// A shelf that can fail.
#[derive(Default)]
struct Board {
    rows: Mutex<BTreeMap<String, Vec<u8>>>,
    full: AtomicBool,
    puts: AtomicUsize,
}

struct Still;

impl Clock for Still {
    fn now(&self) -> Time {
        Time(1_000_000_000_000_000_000)
    }
}

impl Upstream for Catalog {
    fn submit(&self, _caller: Caller, change: Change) -> BoxFuture<'_, Result<(), Refusal>> {
        Box::pin(async move {
            // Let others in between: an order that only holds without it would be luck.
            tokio::task::yield_now().await;
            if self.cut.load(Ordering::Relaxed) {
                return Err(Refusal::NoLeader);
            }
            let revision = self.writes.fetch_add(1, Ordering::Relaxed) as u64 + 1;
            let stamp = Stamp { revision, seq: revision, at: Still.now(), salt: [7; 16] };
            self.index.lock().unwrap().apply(&stamp, &change).verdict.map(drop)
        })
    }

    fn node(&self, name: &str) -> Option<Arc<NodeRow>> {
        self.index.lock().unwrap().node(name).cloned()
    }

    fn node_moved<'a>(&'a self, _name: &'a str, _after: u64) -> BoxFuture<'a, u64> {
        Box::pin(std::future::pending())
    }
}

impl Shelf for Board {
    fn put(&self, rows: Rows) -> Result<(), ShelfError> {
        if self.full.load(Ordering::Relaxed) {
            return Err(ShelfError("no space left".into()));
        }
        self.puts.fetch_add(1, Ordering::Relaxed);
        let mut kept = self.rows.lock().unwrap();
        for (key, row) in rows {
            match row {
                Some(row) => drop(kept.insert(key, row)),
                None => drop(kept.remove(&key)),
            }
        }
        Ok(())
    }

    fn rows(&self) -> Result<Vec<(String, Vec<u8>)>, ShelfError> {
        Ok(self.rows.lock().unwrap().clone().into_iter().collect())
    }
}

#[tokio::test]
async fn a_write_is_in_both_when_it_returns() {
    let (agent, catalog, board) = world();
    agent.register_service(service("web", "a"), Existing::Keep).await.unwrap();
    assert!(catalog.has("web") && board.has("service/web") && agent.service("web").is_some());
    agent.deregister_service("web").await.unwrap();
    assert!(!catalog.has("web") && !board.has("service/web") && agent.service("web").is_none());
}

#[tokio::test]
async fn without_a_leader_it_is_told_later() {
    let (agent, catalog, _) = world();
    catalog.cut.store(true, Ordering::Relaxed);
    agent.register_service(service("web", "a"), Existing::Keep).await.unwrap();
    assert!(agent.is_behind() && agent.service("web").is_some() && !catalog.has("web"));
    assert!(!agent.sync_full().await);
    catalog.cut.store(false, Ordering::Relaxed);
    assert!(agent.sync_full().await && catalog.has("web") && !agent.is_behind());
    let writes = catalog.writes.load(Ordering::Relaxed);
    assert!(agent.sync_full().await);
    assert_eq!(
        catalog.writes.load(Ordering::Relaxed),
        writes,
        "nothing differs, nothing is written"
    );
}

#[tokio::test]
async fn what_is_not_kept_is_an_error() {
    let (agent, _, board) = world();
    board.full.store(true, Ordering::Relaxed);
    let refused = agent.register_service(service("web", "a"), Existing::Keep).await;
    assert!(matches!(refused, Err(NodeError::Storage(_))), "{refused:?}");
    board.full.store(false, Ordering::Relaxed);
    agent.register_service(service("db", "a"), Existing::Keep).await.unwrap();
    assert!(board.has("service/web"), "what could not be kept goes with the next write");
}

#[tokio::test]
async fn it_comes_back_with_what_it_kept() {
    let (agent, catalog, board) = world();
    agent.register_service(service("web", "a"), Existing::Keep).await.unwrap();
    let again = open(&catalog, &board);
    assert!(again.service("web").is_some());
    board.rows.lock().unwrap().insert("service/db".into(), b"{".to_vec());
    let damaged = Agent::open(settings(), 7, catalog as _, board as _, Arc::new(Still));
    assert!(matches!(damaged, Err(OpenError::Row(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_of_one_service_arrive_in_their_order() {
    let (agent, catalog, board) = world();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..200 {
        let agent = agent.clone();
        tasks.spawn(async move {
            agent.register_service(service("web", &format!("t{n}")), Existing::Keep).await.unwrap();
        });
    }
    tasks.join_all().await;
    let (own, row) = (agent.service("web").unwrap(), catalog.node("n1").unwrap());
    assert_eq!(row.services.get("web").unwrap().service.tags, own.service.tags);
    let kept = String::from_utf8(board.rows.lock().unwrap()["service/web"].clone()).unwrap();
    assert!(kept.contains(&*own.service.tags[0]), "{kept}");
    assert!(board.puts.load(Ordering::Relaxed) <= 200);
}

#[tokio::test]
async fn whoever_waits_for_a_service_sees_it_change_or_go() {
    let (agent, ..) = world();
    assert!(agent.wait_service("web", "", Duration::from_secs(60)).await.is_none());
    agent.register_service(service("web", "a"), Existing::Keep).await.unwrap();
    let hash = agent.wait_service("web", "", Duration::from_secs(60)).await.unwrap().content_hash();
    assert_eq!(hash.len(), 16);
    let same = agent.wait_service("web", &hash, Duration::ZERO).await.unwrap();
    assert_eq!(same.content_hash(), hash);

    let waiting = |agent: &Agent, hash: &str| {
        let (agent, hash) = (agent.clone(), hash.to_owned());
        tokio::spawn(async move { agent.wait_service("web", &hash, Duration::from_secs(60)).await })
    };
    let waiter = waiting(&agent, &hash);
    agent.register_service(service("web", "b"), Existing::Keep).await.unwrap();
    let other = waiter.await.unwrap().unwrap().content_hash();
    assert_ne!(other, hash);
    let waiter = waiting(&agent, &other);
    agent.deregister_service("web").await.unwrap();
    assert!(waiter.await.unwrap().is_none());
}

fn settings() -> LeafSettings {
    LeafSettings::new(Node { name: "n1".into(), address: "127.0.0.1".into(), ..Node::default() })
}

fn world() -> (Agent, Arc<Catalog>, Arc<Board>) {
    let (catalog, board) = (Arc::<Catalog>::default(), Arc::<Board>::default());
    (open(&catalog, &board), catalog, board)
}

fn open(catalog: &Arc<Catalog>, board: &Arc<Board>) -> Agent {
    Agent::open(settings(), 7, Arc::clone(catalog) as _, Arc::clone(board) as _, Arc::new(Still))
        .unwrap()
}

fn service(id: &str, tag: &str) -> ServiceDefinition {
    let service =
        Service { name: id.into(), tags: [tag].into_iter().collect(), ..Service::default() };
    ServiceDefinition { service, ..ServiceDefinition::default() }
}

impl Catalog {
    fn has(&self, id: &str) -> bool {
        self.node("n1").is_some_and(|row| row.services.contains_key(id))
    }
}

impl Board {
    fn has(&self, key: &str) -> bool {
        self.rows.lock().unwrap().contains_key(key)
    }
}
