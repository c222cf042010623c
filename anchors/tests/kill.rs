//! Law 10: an acknowledged write survives `kill -9`.
//!
//! The test starts itself as a child that writes with several clients and tells each acknowledgement, kills it after a
//! number of them, and looks at what is left. `KILL_ROUNDS` says how often (20 by default).
#![expect(clippy::unwrap_used, reason = "a test stops where it is surprised")]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use proconsul_anchors::change::{Change, KvChange, PutWhen};
use proconsul_anchors::clock::Time;
use proconsul_anchors::group::{Group, GroupSettings, Proposal, Publish};
use proconsul_anchors::index::{Index, Touched};
use proconsul_anchors::outcome::Outcome;
use proconsul_anchors::replay;
use proconsul_anchors::scope::ScopePath;
use proconsul_anchors::store::Store;

const DIR: &str = "KILL_TEST_DIR";
const ROUNDS: &str = "KILL_ROUNDS";
const CLIENTS: u64 = 8;
/// A replay reads everything that was ever written: the history of a store is kept short.
const ROUNDS_PER_STORE: usize = 10;

struct Nowhere;

impl Publish for Nowhere {
    fn publish(&self, _index: Index, _touched: Touched) {}
}

async fn start(dir: &Path) -> (Arc<Store>, Group, Index) {
    let store = Arc::new(Store::open(dir).unwrap());
    let settings = GroupSettings { scope: "dc1".into(), member: "m1".into() };
    let (group, index) =
        Group::start(Arc::clone(&store), settings, Arc::new(Nowhere)).await.unwrap();
    (store, group, index)
}

/// As each client writes into a lineage of its own, or into the datacenter's.
fn scope_of(client: u64) -> Option<ScopePath> {
    let path = ["", "dc1/a", "dc1/a/b", "dc1/c"][(client % 4) as usize];
    ScopePath::parse(path).ok()
}

fn put(key: &str, value: &str) -> Proposal {
    Proposal {
        change: Change::Kv(KvChange::Put {
            key: key.into(),
            value: value.into(),
            flags: 0,
            when: PutWhen::Always,
            scope: None,
        }),
        actor: "test".into(),
        at: Time(1_700_000_000_000_000_000),
        salt: [5; 16],
        outcome: Outcome::Resolve,
        rule: "open".into(),
        cause: None,
        scope: None,
        credential: None,
    }
}

/// The child: writes until it is killed. Each line is `key value revision`, printed after the acknowledgement.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the other test starts it"]
async fn child() {
    let Some(dir) = std::env::var_os(DIR).map(PathBuf::from) else { return };
    let (_store, group, index) = start(&dir).await;
    let group = Arc::new(group);
    let from = index.revision();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let group = Arc::clone(&group);
            tokio::spawn(async move {
                for number in from.. {
                    let (key, value) =
                        (format!("key-{client}-{}", number % 3), format!("value-{number}"));
                    let proposal = Proposal { scope: scope_of(client), ..put(&key, &value) };
                    let committed = group.propose(proposal).await.unwrap();
                    let line = format!("ack {key} {value} {}\n", committed.revision);
                    std::io::stdout().write_all(line.as_bytes()).unwrap();
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
}

fn spawn(dir: &Path) -> Child {
    // Not by its path: a build may replace the file while the test runs.
    let mut command = Command::new("/proc/self/exe");
    command
        .args(["--exact", "child", "--ignored", "--nocapture", "--test-threads=1"])
        .env(DIR, dir);
    command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// Kills the child after so many acknowledgements; everything that it told until it died counts.
fn kill_after(dir: &Path, count: usize) -> Vec<(String, String, u64)> {
    let mut child = spawn(dir);
    let mut told = Vec::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while out.read_line(&mut line).unwrap() > 0 {
        if let Some(ack) = line.strip_suffix('\n').and_then(|line| line.split("ack ").nth(1)) {
            let [key, value, revision] = ack.split(' ').collect::<Vec<_>>()[..] else {
                panic!("{ack}")
            };
            told.push((key.to_owned(), value.to_owned(), revision.parse().unwrap()));
        }
        line.clear();
        if told.len() == count {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(told.len() >= count, "the child ended by itself");
    told
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let rounds = std::env::var(ROUNDS).ok().and_then(|text| text.parse().ok()).unwrap_or(20);
    for first in (0..rounds).step_by(ROUNDS_PER_STORE) {
        let dir = std::env::temp_dir().join(format!("proconsul-kill-{}", std::process::id()));
        live_through(&dir, first..rounds.min(first + ROUNDS_PER_STORE));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}

/// One store, killed again and again.
fn live_through(dir: &Path, rounds: Range<usize>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut latest: HashMap<String, (u64, String)> = HashMap::new();
    let mut highest = 0;
    for round in rounds {
        for (key, value, revision) in kill_after(dir, 1 + round * 37 % 300) {
            highest = highest.max(revision);
            let kept = latest.entry(key).or_default();
            *kept = (revision, value).max(kept.clone());
        }
        let report = replay::check(dir).unwrap();
        assert!(report.is_clean(), "round {round}: {report}");
        runtime.block_on(judge(dir, &latest, highest, round));
    }
}

async fn judge(dir: &Path, latest: &HashMap<String, (u64, String)>, highest: u64, round: usize) {
    let (store, group, index) = start(dir).await;
    assert!(index.revision() >= highest, "round {round}: the index fell");
    for (key, (revision, value)) in latest {
        let row = index.key(key).unwrap_or_else(|| panic!("round {round}: {key} is lost"));
        assert!(row.modified >= *revision, "round {round}: {key} fell to {}", row.modified);
        assert!(
            row.modified > *revision || *row.value == *value.as_bytes(),
            "round {round}: {key}"
        );
    }
    group.stop().await;
    store.close();
}
