//! Measures the way of a write, without any server: `writes [memory|DIR] [clients] [registrations] [nodes]`.
//!
//! All clients together register as many instances, each with a check of its node and one of its own, dealt to the nodes
//! and to 100 services in turn; a client waits until its registration is durable, and goes on. Printed are the rate, the
//! CPU time of the whole process (and what of it went into making the registrations), what was written to the disk, the
//! resident memory and the latency.
#![expect(clippy::disallowed_methods, reason = "whoever measures reads the clock")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proconsul_anchors::change::{Change, Registration};
use proconsul_anchors::clock::Time;
use proconsul_anchors::group::{Group, GroupSettings, Proposal, Publish};
use proconsul_anchors::index::{Index, Touched};
use proconsul_anchors::name::Caseless;
use proconsul_anchors::outcome::Outcome;
use proconsul_anchors::service::{Check, Checked, Node, Service, Status};
use proconsul_anchors::store::Store;

struct Nowhere;

impl Publish for Nowhere {
    fn publish(&self, _index: Index, _touched: Touched) {}
}

/// How many services the instances are dealt to.
const SERVICES: usize = 100;

fn proposal(number: usize, nodes: usize) -> Proposal {
    let place = number % nodes;
    let name = format!("service-{:03}", (number + number / nodes) % SERVICES);
    let id = Caseless::from(format!("{name}-{number:05}"));
    let address = format!("10.{}.{}.{}", place >> 16, place >> 8 & 255, place & 255);
    let pair = |key: &str, value: &str| (Box::<str>::from(key), Box::<str>::from(value));
    let node = Node {
        name: format!("node-{place:05}").into(),
        address: address.as_str().into(),
        meta: Some(
            [pair("rack", &format!("r{}", place % 40)), pair("os", "linux")].into_iter().collect(),
        ),
        ..Node::default()
    };
    let service = Service {
        id: id.clone(),
        name: name.into(),
        tags: ["blue", "http", "v1.4.2"].into_iter().collect(),
        meta: Some([pair("version", "1.4.2"), pair("owner", "payments")].into_iter().collect()),
        address: address.as_str().into(),
        port: 8080,
        ..Service::default()
    };
    let of_node = Check {
        id: "alive".into(),
        name: "node is alive".into(),
        status: Status::Passing,
        output: "seen by its keeper".into(),
        ..Check::default()
    };
    let of_service = Check {
        id: format!("service:{id}").into(),
        name: "answers over HTTP".into(),
        status: Status::Passing,
        output: format!("HTTP GET http://{address}:8080/health: 200 OK Output: ok").into(),
        service: Some(Checked { id, ..Checked::default() }),
        ..Check::default()
    };
    let checks = vec![of_node, of_service];
    let registration =
        Registration { node, service: Some(service), checks, ..Registration::default() };
    Proposal {
        change: Change::Register(Box::new(registration)),
        actor: "anonymous".into(),
        at: Time(1_700_000_000_000_000_000 + number as u64 * 1_000_000),
        salt: [3; 16],
        outcome: Outcome::Resolve,
        rule: "open".into(),
        cause: None,
        scope: None,
        credential: None,
    }
}

/// A number after a name in a file of `/proc/self`; 0 when it is not there.
fn told(file: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(Path::new("/proc/self").join(file)).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or_default()
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
    let writes: usize = args.next().map_or(Ok(22_000), |text| text.parse())?;
    let nodes: usize = args.next().map_or(Ok(1_000), |text| text.parse())?;
    let before = cpu();
    (0..writes).for_each(|number| drop(std::hint::black_box(proposal(number, nodes))));
    let making = cpu() - before;
    let begun = Instant::now();
    let store =
        if place == "memory" { Store::in_memory()? } else { Store::open(Path::new(&place))? };
    let store = Arc::new(store);
    let opened = begun.elapsed();
    let settings = GroupSettings { scope: "dc1".into(), member: "bench".into() };
    let (group, _) = Group::start(Arc::clone(&store), settings, Arc::new(Nowhere)).await?;
    println!("start     store {opened:?}, group {:?}", begun.elapsed() - opened);
    let group = Arc::new(group);
    let (begun, used, written) = (Instant::now(), cpu(), told("io", "write_bytes:"));
    let tasks: Vec<_> = (0..clients)
        .map(|client| {
            let group = Arc::clone(&group);
            tokio::spawn(async move {
                let mut slowest = Duration::ZERO;
                for number in (client..writes).step_by(clients) {
                    let asked = Instant::now();
                    group.propose(proposal(number, nodes)).await.expect("the disk has room");
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
    let (took, used) = (begun.elapsed(), cpu() - used);
    let per = |whole: Duration| whole.as_secs_f64() * 1e6 / writes as f64;
    let rate = writes as f64 / took.as_secs_f64();
    println!("writes    {writes} by {clients} clients in {took:.2?}: {rate:.0}/s");
    println!("cpu       {:.1} µs a write, {:.1} of them its making", per(used), per(making));
    let written = told("io", "write_bytes:") - written;
    println!("disk      {:.1} KiB a write", written as f64 / writes as f64 / 1024.0);
    println!("memory    {} MiB resident", told("status", "VmRSS:") / 1024);
    println!("latency   {:.0} µs on average, {slowest:.2?} at most", per(took) * clients as f64);
    group.stop().await;
    store.close();
    Ok(())
}
