//! What the lineage costs a registration: `cargo test --release -p proconsul-anchors --lib -- --ignored lineage::cost
//! --nocapture`.
//!
//! The same registrations go through the group, and their entries once more through that part alone which is the lineage's:
//! digest, leaf, tree, versions, and their tables.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "whoever measures reads the clock and tells"
)]

use std::sync::Arc;
use std::time::Instant;

use redb::Durability;

use super::versions::Version;
use super::{Edges, Spool, payload_digest};
use crate::change::{Change, Registration};
use crate::entry::Entry;
use crate::group::tests::{Seen, put, settings};
use crate::group::{Group, Proposal};
use crate::index::RowId;
use crate::service::{Check, Checked, Node, Service, Status};
use crate::store::Store;
use crate::testing::TempDir;

const REGISTRATIONS: u64 = 40_000;
/// As many wait together, and are written together.
const TOGETHER: u64 = 512;

fn registration(number: u64) -> Change {
    let name = format!("node-{:05}", number % 1_000);
    let node = Node { name: name.as_str().into(), address: "10.0.0.1".into(), ..Node::default() };
    let id = format!("service-{number:06}");
    let service = Service {
        id: id.as_str().into(),
        name: format!("service-{:03}", number % 100).into(),
        tags: ["blue", "http", "v1.4.2"].into_iter().collect(),
        port: 8080,
        ..Service::default()
    };
    let check = Check {
        id: format!("service:{id}").into(),
        name: "answers over HTTP".into(),
        status: Status::Passing,
        output: "HTTP GET http://10.0.0.1:8080/health: 200 OK Output: ok".into(),
        service: Some(Checked { id: id.as_str().into(), ..Checked::default() }),
        ..Check::default()
    };
    let (service, checks) = (Some(service), vec![check]);
    Change::Register(Box::new(Registration { node, service, checks, ..Registration::default() }))
}

#[tokio::test]
#[ignore = "it measures: run it alone, with --release"]
async fn what_the_lineage_costs_a_registration() {
    let dir = TempDir::new();
    let store = Arc::new(Store::open(&dir.path().join("whole")).unwrap());
    let (group, _) =
        Group::start(Arc::clone(&store), settings(), Arc::new(Seen::default())).await.unwrap();
    let begun = Instant::now();
    for first in (0..REGISTRATIONS).step_by(TOGETHER as usize) {
        let writes = (first..first + TOGETHER)
            .map(|number| group.propose(Proposal { change: registration(number), ..put("", "") }));
        let done = futures_util::future::join_all(writes).await;
        assert!(done.iter().all(Result::is_ok));
    }
    let lineage = group.lineage();
    let whole = begun.elapsed();
    let entries: Vec<(Entry, Vec<u8>)> = (0..REGISTRATIONS)
        .map(|seq| {
            let entry = serde_json::from_slice(&lineage.entry(seq).unwrap().unwrap()).unwrap();
            (entry, lineage.payload(seq).unwrap().unwrap().change)
        })
        .collect();
    group.stop().await;
    let alone = Store::open(&dir.path().join("alone")).unwrap();
    let (mut edges, mut spool) = (Edges::default(), Spool::default());
    let begun = Instant::now();
    for together in entries.chunks(TOGETHER as usize) {
        for (entry, payload) in together {
            std::hint::black_box(payload_digest(&[7; 16], payload));
            spool.append(&mut edges, entry, &[7; 16], payload);
            let order = entry.seq;
            let version = |at: u128| {
                let uid = uuid::Uuid::from_u128(u128::from(order) * 2 + at);
                Version { uid, order, alive: true, row: RowId::Node("node-00000".into()) }
            };
            spool.add_versions(vec![version(0), version(1)]);
        }
        alone.write(Durability::None, |tx| spool.write(tx)).unwrap();
        spool.clear();
    }
    let part = begun.elapsed();
    let per = |time: std::time::Duration| time.as_secs_f64() * 1e6 / REGISTRATIONS as f64;
    let share = 100.0 * part.as_secs_f64() / whole.as_secs_f64();
    println!("registration {:.1} µs, lineage {:.1} µs: {share:.0} %", per(whole), per(part));
}
