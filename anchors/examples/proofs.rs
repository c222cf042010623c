//! Measures proofs in a long log: `proofs [memory|DIR] [entries]`.
//!
//! Writes as many entries under a scope (1,000,000 by default), then times proofs of random ones: that an entry is in the
//! log, that the log continues an earlier one, and all that stands in the proof of a record.
#![expect(clippy::disallowed_methods, reason = "whoever measures reads the clock")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proconsul_anchors::change::{Change, KvChange, PutWhen};
use proconsul_anchors::clock::Time;
use proconsul_anchors::group::{Group, GroupSettings, Proposal, Publish};
use proconsul_anchors::index::{Index, Touched};
use proconsul_anchors::outcome::Outcome;
use proconsul_anchors::scope::ScopePath;
use proconsul_anchors::store::Store;

struct Nowhere;

impl Publish for Nowhere {
    fn publish(&self, _index: Index, _touched: Touched) {}
}

/// Writes that wait together.
const TOGETHER: u64 = 4_096;
/// Proofs of each kind that are timed.
const PROOFS: u64 = 2_000;

fn proposal(number: u64, scope: &ScopePath) -> Proposal {
    let key = format!("k{}", number % 10_000).into();
    let value = number.to_string().into_bytes();
    let when = PutWhen::Always;
    Proposal {
        change: Change::Kv(KvChange::Put { key, value, flags: 0, when, scope: None }),
        actor: "anonymous".into(),
        at: Time(1_700_000_000_000_000_000 + number * 1_000_000),
        salt: [3; 16],
        outcome: Outcome::Resolve,
        rule: "open".into(),
        cause: None,
        scope: Some(scope.clone()),
        credential: None,
    }
}

/// The median and the largest of what a piece of work takes.
fn timed(mut work: impl FnMut(u64)) -> (Duration, Duration) {
    let mut times: Vec<Duration> = (0..PROOFS)
        .map(|number| {
            let begun = Instant::now();
            // Spread over the log by a step that has no divisor in common with its size.
            work(number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    (times[times.len() / 2], times[times.len() - 1])
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let place = args.next().unwrap_or_else(|| "memory".to_owned());
    let entries: u64 = args.next().map_or(Ok(1_000_000), |text| text.parse())?;
    let store =
        if place == "memory" { Store::in_memory()? } else { Store::open(Path::new(&place))? };
    let store = Arc::new(store);
    let settings = GroupSettings { scope: "dc1".into(), member: "bench".into() };
    let (group, _) = Group::start(Arc::clone(&store), settings, Arc::new(Nowhere)).await?;
    let scope = ScopePath::parse("dc1/payments")?;
    let begun = Instant::now();
    for first in (0..entries).step_by(TOGETHER as usize) {
        let numbers = first..entries.min(first + TOGETHER);
        let writes = numbers.map(|number| group.propose(proposal(number, &scope)));
        futures_util::future::try_join_all(writes).await?;
    }
    let took = begun.elapsed();
    println!("writes       {entries} in {took:.1?}: {:.0}/s", entries as f64 / took.as_secs_f64());
    let note = group.checkpoint_of(Some(scope.clone())).await?;
    let lineage = group.lineage().of(Some(scope));
    let size = lineage.size()?;
    println!("checkpoint   {}", note.lines().take(2).collect::<Vec<_>>().join(" "));
    let shown = |what: &str, (median, most): (Duration, Duration)| {
        println!("{what:<12} {median:.1?} at the median, {most:.1?} at most");
    };
    shown("inclusion", timed(|at| drop(lineage.inclusion(size, at % size))));
    shown("consistency", timed(|at| drop(lineage.consistency(size, at % size + 1))));
    shown(
        "record",
        timed(|at| {
            let leaf = lineage.entry(at % size);
            let payload = lineage.payload(at % size);
            drop((leaf, payload, lineage.inclusion_text(size, at % size)));
        }),
    );
    group.stop().await;
    store.close();
    Ok(())
}
