//! What is looked at now and then: how much there is, how the program does. Names and labels are Consul's.

use std::fs;
use std::time::Duration;

use metrics::{Counter, counter, gauge, histogram};
use proconsul_anchors::handle::Handle;
use proconsul_anchors::index::Index;
use proconsul_anchors::record::ConfigEntry;
use proconsul_anchors::service::mesh::{CONNECT_PROXY, GATEWAYS};

use super::credentials::Expiry;

/// How often: Consul's interval.
const INTERVAL: Duration = Duration::from_secs(10);
/// The service that every server registers, which counts for nobody.
const OWN_SERVICE: &str = "consul";
const CONNECT_NATIVE: &str = "connect-native";

/// Looks at everything again and again, for ever.
pub(crate) async fn follow(handle: Handle, datacenter: String, version: &'static str) {
    announce(version);
    let mut expiry = Expiry::default();
    loop {
        expiry.tell(&handle);
        tell_state(&handle.snapshot(), &datacenter);
        tell_group(&handle, &datacenter);
        tell_process();
        proconsul_compat::tell_counts();
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Counters and timers that are there from the first moment, so that alerts on them have something to look at.
fn announce(version: &'static str) {
    gauge!("consul.version", "version" => version, "pre_release" => "").set(1.0);
    counter!("consul.raft.state.leader").increment(1);
    for name in [
        "consul.raft.apply",
        "consul.raft.state.candidate",
        "consul.rpc.query",
        "consul.rpc.request",
        "consul.client.rpc",
        "consul.client.rpc.failed",
        "consul.client.rpc.exceeded",
    ] {
        let _there: Counter = counter!(name);
    }
    for name in [
        "consul.raft.commitTime",
        "consul.kvs.apply",
        "consul.txn.apply",
        "consul.catalog.register",
    ] {
        let _there = histogram!(name);
    }
}

fn tell_state(index: &Index, datacenter: &str) {
    let tell = |name: &'static str, count: usize| {
        gauge!(name, "datacenter" => datacenter.to_owned()).set(float(count));
    };
    let instances = || index.services().flat_map(|row| row.instances.values());
    tell("consul.state.nodes", index.nodes().len());
    tell("consul.state.services", index.services().count());
    tell("consul.state.service_instances", instances().count());
    tell("consul.state.kv_entries", index.keys("").count());
    let billable = instances().filter(|instance| {
        instance.service.kind().is_empty() && instance.service.name.as_str() != OWN_SERVICE
    });
    tell("consul.state.billable_service_instances", billable.count());
    let tell_kind = |name: &'static str, kind: &'static str, count: usize| {
        gauge!(name, "datacenter" => datacenter.to_owned(), "kind" => kind).set(float(count));
    };
    for kind in GATEWAYS.into_iter().chain([CONNECT_PROXY]) {
        let count = instances().filter(|instance| instance.service.kind() == kind).count();
        tell_kind("consul.state.connect_instances", kind, count);
    }
    let native = instances()
        .filter(|instance| instance.service.mesh().is_some_and(|mesh| mesh.native))
        .count();
    tell_kind("consul.state.connect_instances", CONNECT_NATIVE, native);
    for kind in CONFIG_KINDS {
        let of = index.records::<ConfigEntry>().filter(|row| &*row.record.kind == kind);
        tell_kind("consul.state.config_entries", kind, of.count());
    }
    let with_ttl = index.sessions().filter(|row| !row.session.ttl.is_empty()).count();
    gauge!("consul.session_ttl.active").set(float(with_ttl));
}

/// The kinds of configuration entries of the community edition.
const CONFIG_KINDS: [&str; 18] = [
    "api-gateway",
    "bound-api-gateway",
    "control-plane-request-limit",
    "exported-services",
    "file-system-certificate",
    "http-route",
    "ingress-gateway",
    "inline-certificate",
    "jwt-provider",
    "mesh",
    "proxy-defaults",
    "sameness-group",
    "service-defaults",
    "service-intentions",
    "service-resolver",
    "service-router",
    "service-splitter",
    "tcp-route",
];

fn tell_group(handle: &Handle, datacenter: &str) {
    let (leads, revision) = (handle.has_leader(), handle.snapshot().revision());
    let flag = f64::from(u8::from(leads));
    gauge!("consul.server.isLeader").set(flag);
    gauge!("consul.autopilot.healthy").set(flag);
    gauge!("consul.autopilot.failure_tolerance").set(0.0);
    gauge!("consul.members.servers", "datacenter" => datacenter.to_owned()).set(1.0);
    gauge!("consul.members.clients", "datacenter" => datacenter.to_owned()).set(0.0);
    #[expect(clippy::cast_precision_loss, reason = "revisions stay far below 2^52")]
    let revision = revision as f64;
    gauge!("consul.raft.applied_index").set(revision);
    gauge!("consul.raft.last_index").set(revision);
}

/// What the process takes. There is no garbage collector to tell of.
fn tell_process() {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok())
    };
    let tell = |name: &'static str, value: Option<f64>| {
        if let Some(value) = value {
            gauge!(name).set(value);
        }
    };
    const KIB: f64 = 1024.0;
    let resident = field("VmRSS").map(|kib| kib * KIB);
    tell("consul.runtime.alloc_bytes", resident);
    tell("consul.runtime.sys_bytes", field("VmSize").map(|kib| kib * KIB));
    tell("process_resident_memory_bytes", resident);
    tell("process_virtual_memory_bytes", field("VmSize").map(|kib| kib * KIB));
    let open = fs::read_dir("/proc/self/fd").map(Iterator::count).ok();
    tell("process_open_fds", open.map(float));
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        gauge!("consul.runtime.num_goroutines").set(float(runtime.metrics().num_alive_tasks()));
    }
}

fn float(count: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "nothing here is counted to 2^52")]
    let float = count as f64;
    float
}
