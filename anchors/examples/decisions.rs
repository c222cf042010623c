//! Measures what policies cost a local lookup, without any server: `decisions [lookups]`.
//!
//! The same lookup of a service is done with no scope configured, with scopes and no policy, with a policy that lets
//! everything through, and with one that looks at names, listeners and networks. Printed are nanoseconds for each, kept decisions on, and
//! for one that nothing is kept of.
#![expect(clippy::disallowed_methods, reason = "whoever measures reads the clock")]

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use proconsul_anchors::acl::{AclSettings, Act};
use proconsul_anchors::caller::Caller;
use proconsul_anchors::change::{Change, Registration};
use proconsul_anchors::clock::{Clock, Time};
use proconsul_anchors::group::GroupSettings;
use proconsul_anchors::handle::Handle;
use proconsul_anchors::query::Query;
use proconsul_anchors::record::{AnyRecord, RecordChange, When};
use proconsul_anchors::scope::{NameRange, Scope, ScopePath, ScopePolicy};
use proconsul_anchors::service::{Node, Service};
use proconsul_anchors::store::Store;

/// Time stands still: decisions do not run out while they are measured.
struct Still;

impl Clock for Still {
    fn now(&self) -> Time {
        Time(1_800_000_000_000_000_000)
    }
}

const DEFAULT: &str = "package p\ndecision := {\"outcome\": \"resolve\", \"rule\": \"open\"}";

const REAL: &str = r#"package p
import data.library.names
import data.library.addresses
decision contains {"outcome": "refuse", "rule": "names"} if {
	input.action == "service:register"
	names.outside(["web", "pay-"])
}
decision contains {"outcome": "refuse", "rule": "networks"} if addresses.caller_outside(["10.0.0.0/8", "127.0.0.0/8"])
decision contains {"outcome": "refuse", "rule": "listeners"} if {
	input.caller.listener == "public"
	not input.target.name in ["web", "docs"]
}
decision contains {"outcome": "attest", "rule": "auditors"} if "auditor" in input.caller.roles
"#;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let lookups: u32 = std::env::args().nth(1).map_or(Ok(1_000_000), |text| text.parse())?;
    let none = measure("no scope", None, lookups).await?;
    let cases = [("scope, no policy", ""), ("default policy", DEFAULT), ("real policy", REAL)];
    for (what, rego) in cases {
        let nanos = measure(what, Some(rego), lookups).await?;
        println!("          {:+.1} ns, {:+.1} %", nanos - none, (nanos / none - 1.0) * 100.0);
    }
    Ok(())
}

async fn measure(what: &str, rego: Option<&str>, lookups: u32) -> Result<f64, Box<dyn Error>> {
    let store = Arc::new(Store::in_memory()?);
    let settings = GroupSettings { scope: "dc1".into(), member: "n1".into() };
    let handle = Handle::open(store, settings, AclSettings::default(), Arc::new(Still)).await?;
    let own = Caller::own();
    for number in 0..100 {
        let node = Node { name: format!("n{number}").as_str().into(), ..Node::default() };
        let service = Service { id: "web".into(), name: "web".into(), ..Service::default() };
        let registration = Registration { node, service: Some(service), ..Registration::default() };
        handle.submit(&own, Change::Register(Box::new(registration))).await?;
    }
    if let Some(rego) = rego {
        handle.submit(&own, Change::Records(rules(rego))).await?;
    }
    let caller = Caller { address: Some([127, 0, 0, 1].into()), ..Caller::default() };
    let query = Query::Health("web".into());
    let look = || {
        let answer = handle.lookup(&caller, &query).expect("nothing is refused");
        // As pages do: every line of a service is asked for once.
        assert!(black_box(answer.authority.allows(Act::service_read("web"))));
        black_box(answer);
    };
    look();
    let began = Instant::now();
    for _ in 0..lookups {
        look();
    }
    let nanos = began.elapsed().as_secs_f64() * 1e9 / f64::from(lookups);
    println!("{what:<18} {nanos:>8.1} ns a lookup");
    if rego.is_some_and(|rego| !rego.is_empty()) {
        anew(&handle, &caller);
    }
    Ok(nanos)
}

/// What a decision costs of which nothing is kept: each name is asked for once.
fn anew(handle: &Handle, caller: &Caller) {
    const NAMES: u32 = 10_000;
    let queries: Vec<Query> =
        (0..NAMES).map(|number| Query::Health(format!("web{number}").as_str().into())).collect();
    let began = Instant::now();
    for query in &queries {
        let _ = black_box(handle.lookup(caller, query));
    }
    let nanos = began.elapsed().as_secs_f64() * 1e9 / f64::from(NAMES);
    println!("          {nanos:.0} ns for one that is decided anew");
}

fn rules(rego: &str) -> Vec<RecordChange> {
    let put = |record| RecordChange::Put { record, when: When::Always };
    let has_policy = !rego.is_empty();
    let scope = Scope {
        path: ScopePath::parse("dc1/web").expect("a path"),
        services: vec![NameRange::Prefix("web".into())],
        policy: has_policy.then(|| "p".into()),
        ..Scope::default()
    };
    let policy =
        ScopePolicy { name: "p".into(), rego: rego.into(), version: 1, ..ScopePolicy::default() };
    let policy = has_policy.then(|| put(AnyRecord::ScopePolicy(Box::new(policy))));
    policy.into_iter().chain([put(AnyRecord::Scope(Box::new(scope)))]).collect()
}
