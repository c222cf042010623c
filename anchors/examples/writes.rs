//! Measures the way of a write, without any server: `writes [memory|DIR] [clients] [writes per client]`.
//!
//! Each client registers an instance of a service with a check, waits until it is durable, and goes on. Printed are the
//! rate, the CPU time of the whole process per write, and the latency.
#![expect(clippy::disallowed_methods, reason = "whoever measures reads the clock")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proconsul_anchors::change::{Change, Registration};
use proconsul_anchors::clock::Time;
use proconsul_anchors::group::{Group, GroupSettings, Proposal, Publish};
use proconsul_anchors::index::{Index, Touched};
use proconsul_anchors::outcome::Outcome;
use proconsul_anchors::service::{Check, Checked, Node, Service, Status};
use proconsul_anchors::store::Store;

struct Nowhere;

impl Publish for Nowhere {
    fn publish(&self, _index: Index, _touched: Touched) {}
}

fn proposal(client: usize, number: usize) -> Proposal {
    let id = format!("web-{client}-{}", number % 100);
    let service = Service {
        id: id.as_str().into(),
        name: format!("web{}", client % 16).as_str().into(),
        tags: ["blue", "v1"].map(Into::into).into(),
        address: "10.0.0.1".into(),
        port: 8000 + i64::try_from(number).unwrap_or_default(),
        ..Service::default()
    };
    let check = Check {
        id: format!("check-{id}").as_str().into(),
        name: "alive".into(),
        status: Status::Passing,
        output: "HTTP GET http://10.0.0.1:8000/health: 200 OK".into(),
        service: Some(Checked { id: id.as_str().into(), ..Checked::default() }),
        ..Check::default()
    };
    let node = Node {
        name: format!("node-{client}").as_str().into(),
        address: "10.0.0.1".into(),
        ..Node::default()
    };
    let registration = Registration {
        node,
        service: Some(service),
        checks: vec![check],
        ..Registration::default()
    };
    Proposal {
        change: Change::Register(Box::new(registration)),
        actor: "anonymous".into(),
        at: Time(1_700_000_000_000_000_000 + number as u64 * 1_000_000),
        salt: [3; 16],
        outcome: Outcome::Resolve,
        rule: "open".into(),
        cause: None,
    }
}

/// CPU time of this process: user and system, in clock ticks of 10 ms.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks =
        |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or_default();
    Duration::from_millis(10 * (ticks(11) + ticks(12)))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let place = args.next().unwrap_or_else(|| "memory".to_owned());
    let clients: usize = args.next().map_or(Ok(64), |text| text.parse())?;
    let each: usize = args.next().map_or(Ok(1000), |text| text.parse())?;
    let begun = Instant::now();
    let store =
        if place == "memory" { Store::in_memory()? } else { Store::open(Path::new(&place))? };
    let store = Arc::new(store);
    let opened = begun.elapsed();
    let settings = GroupSettings { scope: "dc1".into(), member: "bench".into() };
    let (group, _) = Group::start(Arc::clone(&store), settings, Arc::new(Nowhere)).await?;
    println!("start     store {opened:?}, group {:?}", begun.elapsed() - opened);
    let group = Arc::new(group);
    let (begun, used) = (Instant::now(), cpu());
    let tasks: Vec<_> = (0..clients)
        .map(|client| {
            let group = Arc::clone(&group);
            tokio::spawn(async move {
                let mut slowest = Duration::ZERO;
                for number in 0..each {
                    let asked = Instant::now();
                    group.propose(proposal(client, number)).await.expect("the disk has room");
                    slowest = slowest.max(asked.elapsed());
                }
                slowest
            })
        })
        .collect();
    let mut slowest = Duration::ZERO;
    for task in tasks {
        slowest = slowest.max(task.await?);
    }
    let (took, used, writes) = (begun.elapsed(), cpu() - used, clients * each);
    let per = |whole: Duration| whole.as_secs_f64() * 1e6 / writes as f64;
    println!(
        "writes    {writes} by {clients} clients in {took:.2?}: {:.0}/s",
        writes as f64 / took.as_secs_f64()
    );
    println!("cpu       {:.1} µs a write", per(used));
    println!("latency   {:.0} µs on average, {slowest:.2?} at most", per(took) * clients as f64);
    group.stop().await;
    store.close();
    Ok(())
}
