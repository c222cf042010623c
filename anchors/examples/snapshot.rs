//! How long a scope of 100,000 instances takes to be saved and to be restored into a fresh scope, and what that costs in
//! memory. `cargo run --release -p proconsul-anchors --example snapshot [INSTANCES]`
#![expect(clippy::disallowed_methods, reason = "whoever measures reads the clock")]

use std::fs::{self, File};
use std::io::{BufWriter, Seek as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use proconsul_anchors::acl::AclSettings;
use proconsul_anchors::caller::Caller;
use proconsul_anchors::change::{Change, Registration};
use proconsul_anchors::clock::{Clock, Time};
use proconsul_anchors::group::GroupSettings;
use proconsul_anchors::handle::Handle;
use proconsul_anchors::service::{Check, Checked, Node, Service, Status};
use proconsul_anchors::snapshot;
use proconsul_anchors::store::Store;
use tokio::task::JoinSet;

/// As many instances as a large cluster has.
const INSTANCES: usize = 100_000;
/// Instances of a node.
const PER_NODE: usize = 20;
/// Instances of a service.
const PER_SERVICE: usize = 50;
/// What both may take.
const BOUND: Duration = Duration::from_secs(5);

struct System;

impl Clock for System {
    fn now(&self) -> Time {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Time(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }
}

async fn open(dir: &Path) -> (Handle, Arc<Store>) {
    let store = Arc::new(Store::open(dir).expect("the directory is ours"));
    let settings = GroupSettings { scope: "dc1".into(), member: "n1".into() };
    let acl = AclSettings::default();
    let handle = Handle::open(Arc::clone(&store), settings, acl, Arc::new(System));
    (handle.await.expect("a fresh store opens"), store)
}

fn registration(at: usize) -> Change {
    let (node, of) = (at / PER_NODE, at / PER_SERVICE);
    let service = Service {
        id: format!("web-{of:05}-{at:06}").as_str().into(),
        name: format!("web-{of:05}").as_str().into(),
        address: format!("10.{}.{}.{}", node >> 16 & 255, node >> 8 & 255, node & 255).into(),
        port: 8000 + (at % PER_NODE) as i64,
        ..Service::default()
    };
    let check = Check {
        id: format!("check-{at:06}").as_str().into(),
        name: "HTTP on port 8080".into(),
        status: Status::Passing,
        output: "HTTP GET http://10.0.0.1:8080/health: 200 OK Output: fine".into(),
        service: Some(Checked {
            id: service.id.clone(),
            name: service.name.clone(),
            ..Default::default()
        }),
        ..Check::default()
    };
    let node = Node {
        name: format!("node-{node:05}").as_str().into(),
        address: service.address.clone(),
        ..Node::default()
    };
    let (service, checks) = (Some(service), vec![check]);
    Change::Register(Box::new(Registration { node, service, checks, ..Registration::default() }))
}

/// Registers all of them, a few hundred at a time.
async fn fill(handle: &Handle, instances: usize) {
    let mut writing = JoinSet::new();
    for at in 0..instances {
        if writing.len() >= 512 {
            writing.join_next().await;
        }
        let handle = handle.clone();
        writing.spawn(async move {
            handle.submit(&Caller::own(), registration(at)).await.expect("it is taken");
        });
    }
    while writing.join_next().await.is_some() {}
}

/// The largest and the present memory of this process, in MiB.
fn memory() -> (u64, u64) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kib.unwrap_or(0) / 1024
    };
    (of("VmHWM"), of("VmRSS"))
}

fn report(what: &str, took: Duration) {
    let (most, now) = memory();
    println!(
        "{what:<28} {:>8.2} s   memory {now:>5} MiB, at most {most:>5} MiB",
        took.as_secs_f64()
    );
}

#[tokio::main]
async fn main() {
    let instances = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(INSTANCES);
    let dir = std::env::temp_dir().join(format!("proconsul-snapshot-{}", std::process::id()));
    let began = Instant::now();
    let (handle, store) = open(&dir.join("from")).await;
    fill(&handle, instances).await;
    report(&format!("{instances} instances registered"), began.elapsed());

    let began = Instant::now();
    let file = dir.join("snapshot");
    let index = handle.snapshot();
    let mut out = BufWriter::new(File::create(&file).expect("the directory is ours"));
    let options = File::options().read(true).write(true).create_new(true).open(dir.join("spool"));
    let spool = options.expect("the directory is ours");
    let taken = (&*index, &handle.about(&index), &[][..]);
    snapshot::archive::write(&mut out, spool, taken).expect("the disk takes it");
    drop((out, index));
    let saved = began.elapsed();
    report("saved", saved);

    let began = Instant::now();
    let mut reading = File::open(&file).expect("it was written");
    let summary = snapshot::inspect(&reading).expect("it is whole");
    reading.rewind().expect("it is a file");
    report("verified", began.elapsed());
    handle.stop().await;
    store.close();
    drop((handle, store));

    let (handle, store) = open(&dir.join("to")).await;
    let began = Instant::now();
    handle.restore(&Caller::own(), reading).await.expect("it is whole");
    let restored = began.elapsed();
    report("restored", restored);
    let began = Instant::now();
    handle.stop().await;
    report("written to the store", began.elapsed());
    let packed = fs::metadata(&file).map_or(0, |about| about.len());
    println!(
        "{} rows, {} bytes, {packed} bytes packed",
        summary.kinds.values().map(|kind| kind.rows).sum::<u64>(),
        summary.bytes
    );
    store.close();
    fs::remove_dir_all(&dir).expect("the directory is ours");
    assert!(saved + restored <= BOUND, "saving and restoring take more than {BOUND:?}");
}
