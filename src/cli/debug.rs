//! `debug`: what the agent tells of itself, gathered for a while, in an archive.
//!
//! ```text
//! host, agent, members, ports ──▶ once            metrics, logs, cpu profile, trace ──▶ for the whole time
//! heap, tasks ──▶ at every interval               raft, index ──▶ at the end           folder ──▶ archive
//! ```

mod tar;

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Arg;
use proconsul_anchors::duration;
use reqwest::Method;
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::client::{Api, agent_flags, unexpected};
use super::go::{Span, flag, stamp, text};
use super::monitor::interrupted;
use super::{Call, Entry, FAILED, boolean, json, operator, print_err, print_out, span};
use super::{text as text_flag, texts};
use crate::config::reason;

pub(super) const ENTRIES: &[Entry] = &[Entry {
    path: &["debug"],
    words: "",
    about: "Gathers what the agent tells of itself in an archive",
    flags,
    run,
}];

/// What can be gathered; all of it unless said.
const TARGETS: &[&str] = &["metrics", "logs", "pprof", "host", "agent", "members"];
/// An older name of `members`.
const CLUSTER: &str = "cluster";
/// The version of the archive's form.
const FORMAT: u8 = 1;
/// Bounds of the flags, and how much longer than asked is waited, so that the last interval is whole.
const DURATION_MIN: Duration = Duration::from_secs(10);
const INTERVAL_MIN: Duration = Duration::from_secs(5);
const GRACE: Duration = Duration::from_secs(2);
/// Ports that agents usually listen on, and how long one may take to answer.
const PORTS: [u16; 8] = [8600, 8500, 8501, 8502, 8503, 8301, 8302, 8300];
const PORT_WAIT: Duration = Duration::from_secs(5);

fn flags() -> Vec<Arg> {
    let mut flags = agent_flags();
    flags.extend([
        boolean("archive", "Puts all files in one; otherwise the folder stays.")
            .default_value("true"),
        texts(
            "capture",
            "value",
            "`metrics`, `logs`, `pprof`, `host`, `agent` or `members`. May be given several times.",
        ),
        span("duration", "How long things are gathered.").default_value("300000000000"),
        span("interval", "How often what changes is looked at.").default_value("30000000000"),
        text_flag("output", "string", "Folder, and name of the archive without its ending."),
        text_flag("since", "string", "Not supported."),
    ]);
    flags
}

/// What is gathered, and where.
struct Plan {
    capture: Vec<String>,
    interval: Duration,
    duration: Duration,
    output: PathBuf,
    archive: bool,
    version: String,
}

// === impl Plan ===

impl Plan {
    fn wants(&self, target: &str) -> bool {
        let known = |one: &String| one == target || (target == "members" && one == CLUSTER);
        self.capture.iter().any(known)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.output.join(name)
    }
}

/// A line of the program itself.
fn title(text: &str) {
    print_out(&format!("==> {text}"));
}

/// A line of details.
fn detail(text: &str) {
    print_out(&format!("    {text}"));
}

fn failed(text: &str) -> u8 {
    print_err(&format!("==> {text}"));
    FAILED
}

fn run(call: &Call) -> u8 {
    if !call.words().is_empty() {
        return failed("debug: Too many arguments provided, expected 0");
    }
    let api = match Api::of(call) {
        Ok(api) => api,
        Err(fault) => return failed(&fault),
    };
    let plan = match plan(call, &api) {
        Ok(plan) => plan,
        Err(fault) => return failed(&format!("Capture validation failed: {fault}")),
    };
    let output = plan.output.display();
    let saved = if plan.archive { format!("{output}.tar.gz") } else { output.to_string() };
    title("Starting debugger and capturing static information...");
    detail(&format!(" Agent Version: '{}'", plan.version));
    detail(&format!("      Interval: '{}'", duration::show_wait(plan.interval)));
    detail(&format!("      Duration: '{}'", duration::show_wait(plan.duration)));
    detail(&format!("        Output: '{saved}'"));
    detail(&format!("       Capture: '{}'", plan.capture.join(", ")));
    match gather(&api, &plan) {
        Ok(()) => {
            detail(&format!("Saved debug archive: {saved}"));
            0
        }
        Err(fault) => failed(&fault),
    }
}

/// Checks what was asked for, and makes the folder.
fn plan(call: &Call, api: &Api) -> Result<Plan, String> {
    let span = |name: &str| {
        let Span(nanos) = call.matches.get_one::<Span>(name).copied().unwrap_or_default();
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
    };
    let (length, interval) = (span("duration"), span("interval"));
    if length < DURATION_MIN {
        return Err("duration must be longer than 10s".to_owned());
    }
    if interval < INTERVAL_MIN {
        // Consul names the wrong bound here.
        return Err("interval must be longer than 10s".to_owned());
    }
    if length < interval {
        return Err(format!(
            "duration ({}) must be longer than interval ({})",
            duration::show_wait(length),
            duration::show_wait(interval)
        ));
    }
    let own: Value = api.get("agent/self", &[]).map_err(|fault| {
        format!("error querying target agent: {fault}. verify connectivity and agent address")
    })?;
    let output = call.said("output").map_or_else(
        || PathBuf::from(format!("consul-debug-{}", stamp(OffsetDateTime::now_utc()))),
        PathBuf::from,
    );
    let plan = Plan {
        capture: capture(call, &own)?,
        interval,
        duration: length,
        archive: call.flag("archive"),
        version: text(&own["Config"], "Version").to_owned(),
        output,
    };
    if plan.output.exists() {
        return Err(format!("output directory already exists: {}", plan.output.display()));
    }
    fs::create_dir_all(&plan.output)
        .map_err(|fault| format!("could not create output directory: {}", reason(&fault)))?;
    Ok(plan)
}

/// What is to be gathered; profiles only where the agent gives them out.
fn capture(call: &Call, own: &Value) -> Result<Vec<String>, String> {
    let said = call.texts("capture");
    let mut capture: Vec<String> =
        if said.is_empty() { TARGETS } else { &said }.iter().map(|it| (*it).to_owned()).collect();
    let settings = &own["DebugConfig"];
    let allowed = flag(settings, "EnableDebug") || flag(settings, "ACLsEnabled");
    if !allowed && capture.iter().any(|target| target == "pprof") {
        print_err(
            "[WARN] Unable to capture pprof. Set enable_debug to true on target agent to enable profiling.",
        );
        capture.retain(|target| target != "pprof");
    }
    let known = |target: &String| TARGETS.contains(&target.as_str()) || target == CLUSTER;
    match capture.iter().find(|target| !known(target)) {
        Some(target) => Err(format!("target not found: {target}")),
        None => Ok(capture),
    }
}

fn gather(api: &Api, plan: &Plan) -> Result<(), String> {
    once(api, plan);
    let gathered = api.runtime().block_on(async {
        write_json(&plan.file("ports.json"), &ports().await)?;
        let stop = interrupted()?;
        tokio::select! {
            gathered = during(api, plan) => gathered,
            () = stop => Err("stopping collection due to shutdown signal".to_owned()),
        }
    });
    if let Err(fault) = gathered {
        failed(&format!("Error encountered during collection: {fault}"));
    }
    let index = Index {
        version: FORMAT,
        agent_version: &plan.version,
        interval: duration::show_wait(plan.interval),
        duration: duration::show_wait(plan.duration + GRACE),
        targets: &plan.capture,
    };
    write_json(&plan.file("index.json"), &index)
        .map_err(|fault| format!("Error creating index document: {fault}"))?;
    if let Err(fault) = raft(api, plan) {
        print_err(&format!("Raft list peers capture failed: {fault}"));
    }
    if plan.archive {
        archived(plan).map_err(|fault| format!("Archive creation failed: {fault}"))?;
    }
    Ok(())
}

/// What the archive is of.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Index<'a> {
    version: u8,
    agent_version: &'a str,
    interval: String,
    duration: String,
    targets: &'a [String],
}

/// The usual ports, by whether somebody answers.
#[derive(Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Ports {
    open: Option<Vec<String>>,
    closed: Option<Vec<String>>,
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    fs::write(path, bytes).map_err(|fault| format!("open {}: {}", path.display(), reason(&fault)))
}

fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), String> {
    write(path, json::indented(value, "\t").as_bytes())
}

/// What does not change.
fn once(api: &Api, plan: &Plan) {
    for (target, path, query) in [
        ("host", "agent/host", &[][..]),
        ("agent", "agent/self", &[]),
        ("members", "agent/members", &[("wan", "1")]),
    ] {
        if !plan.wants(target) {
            continue;
        }
        let told = api.get::<Value>(path, query);
        let written =
            told.and_then(|told| write_json(&plan.file(&format!("{target}.json")), &told));
        if let Err(fault) = written {
            print_err(&format!("Static capture failed: 1 error occurred:\n\t* {fault}\n\n"));
        }
    }
}

async fn ports() -> Ports {
    let mut ports = Ports::default();
    for port in PORTS {
        let connected = tokio::time::timeout(PORT_WAIT, TcpStream::connect(("localhost", port)));
        let list = match connected.await {
            Ok(Ok(_)) => &mut ports.open,
            Ok(Err(_)) | Err(_) => &mut ports.closed,
        };
        list.get_or_insert_default().push(port.to_string());
    }
    ports
}

/// What changes, until the time is over.
async fn during(api: &Api, plan: &Plan) -> Result<(), String> {
    if !["metrics", "logs", "pprof"].iter().any(|target| plan.wants(target)) {
        return Ok(());
    }
    let end = Instant::now() + plan.duration + GRACE;
    let (profile, trace) = ((plan.duration + GRACE).as_secs(), plan.interval.as_secs());
    // One that fails does not keep the others from their end.
    let gathered = tokio::join!(
        intervals(api, plan, end),
        stream(api, plan, ("metrics", "agent/metrics/stream"), &[], "metrics.json", end),
        stream(api, plan, ("logs", "agent/monitor"), &[("loglevel", "TRACE")], "consul.log", end),
        profiled(api, plan, "profile", profile, "profile.prof"),
        profiled(api, plan, "trace", trace, "trace.out"),
    );
    let (intervals, metrics, logs, profile, trace) = gathered;
    intervals.and(metrics).and(logs).and(profile).and(trace)
}

/// Looks at once and at every interval.
async fn intervals(api: &Api, plan: &Plan, end: Instant) -> Result<(), String> {
    let mut ticks = tokio::time::interval(plan.interval);
    ticks.tick().await;
    let now = || super::go::time(&super::go::rfc3339(OffsetDateTime::now_utc()));
    title(&format!("Beginning capture interval {} (0)", now()));
    let mut count = 0;
    loop {
        if plan.wants("pprof") {
            let folder = plan.file(&stamp(OffsetDateTime::now_utc()));
            fs::create_dir_all(&folder).map_err(|fault| {
                format!(
                    "failed to create output directory {}: {}",
                    folder.display(),
                    reason(&fault)
                )
            })?;
            for (kind, name) in [("heap", "heap.prof"), ("goroutine", "goroutine.prof")] {
                let told = pprof(api, kind, &[]).await;
                let told =
                    told.map_err(|fault| format!("failed to collect {kind} profile: {fault}"))?;
                write(&folder.join(name), &told)?;
            }
        }
        title(&format!("Capture successful {} ({count})", now()));
        count += 1;
        tokio::select! {
            _ = ticks.tick() => {}
            () = tokio::time::sleep_until(end) => return Ok(()),
        }
    }
}

async fn pprof(api: &Api, kind: &str, query: &[(&str, &str)]) -> Result<Vec<u8>, String> {
    let answer = api.root_answer(Method::GET, &format!("debug/pprof/{kind}"), query).await?;
    if answer.status == 200 { Ok(answer.body) } else { Err(unexpected(&answer)) }
}

/// A profile over some seconds.
async fn profiled(
    api: &Api,
    plan: &Plan,
    kind: &str,
    seconds: u64,
    name: &str,
) -> Result<(), String> {
    if !plan.wants("pprof") {
        return Ok(());
    }
    let told = pprof(api, kind, &[("seconds", &seconds.to_string())]).await;
    let told = told.map_err(|fault| format!("failed to collect cpu profile: {fault}"))?;
    write(&plan.file(name), &told)
}

/// Writes what comes until the time is over.
async fn stream(
    api: &Api,
    plan: &Plan,
    (target, path): (&str, &str),
    query: &[(&str, &str)],
    name: &str,
    end: Instant,
) -> Result<(), String> {
    if !plan.wants(target) {
        return Ok(());
    }
    let mut response = api.stream(path, query).await?;
    let path = plan.file(name);
    let failed = |fault: &std::io::Error| format!("open {}: {}", path.display(), reason(fault));
    let mut file = File::create(&path).map_err(|fault| failed(&fault))?;
    loop {
        let chunk = tokio::time::timeout_at(end, response.chunk()).await;
        // The time is over, or the agent ended it.
        let Ok(Ok(Some(chunk))) = chunk else { return Ok(()) };
        file.write_all(&chunk).map_err(|fault| failed(&fault))?;
    }
}

fn raft(api: &Api, plan: &Plan) -> Result<(), String> {
    let found: Value = api
        .get("operator/raft/configuration", &[])
        .map_err(|fault| format!("Failed to retrieve raft configuration: {fault}"))?;
    let table = operator::peers(&found);
    write(&plan.file("listpeers.json"), table.as_bytes())
}

/// Puts the folder in one file, and removes it.
fn archived(plan: &Plan) -> Result<(), String> {
    let path = format!("{}.tar.gz", plan.output.display());
    let beside = format!("{path}.tmp");
    let told = |fault: std::io::Error| reason(&fault);
    tar::write(&plan.output, Path::new(&beside))
        .and_then(|()| fs::rename(&beside, &path))
        .map_err(told)?;
    fs::remove_dir_all(&plan.output)
        .map_err(|fault| format!("failed to remove archived directory: {}", reason(&fault)))
}
