//! Logs and metrics: where they go and what they look like.

mod aggregates;
mod credentials;
mod file;
mod format;
pub(crate) mod gauges;
mod monitor;
mod names;
pub(crate) mod profile;
mod syslog;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use serde::Serialize as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt as _;

use self::aggregates::Aggregates;
pub(crate) use self::file::{LogFile, Rotation};
use self::format::Line;
pub(crate) use self::monitor::Listening;
use self::monitor::Monitors;
pub(crate) use self::names::Naming;
pub(crate) use self::syslog::Syslog;

/// How often measurements are folded: a busy server keeps a few megabytes of them meanwhile.
const UPKEEP: Duration = Duration::from_secs(5);

/// The quantiles of every timer, as Consul's boards read them.
const QUANTILES: [f64; 3] = [0.5, 0.9, 0.99];

/// A hand on the running program's metrics and logs.
#[derive(Clone)]
pub(crate) struct Telemetry {
    prometheus: PrometheusHandle,
    aggregates: Arc<Aggregates>,
    level: LogLevel,
    monitors: Monitors,
    monitored: LogLevel,
    naming: Arc<ArcSwap<Naming>>,
}

/// Changes how much is logged while the program runs.
#[derive(Clone)]
pub(crate) struct LogLevel(reload::Handle<Targets, tracing_subscriber::Registry>);

/// How logs are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogSettings {
    /// Nothing below it is written.
    pub(crate) level: LevelFilter,
    /// One JSON object a line instead of text.
    pub(crate) json: bool,
}

/// Hands each measurement to both recorders.
struct Tee(PrometheusRecorder, Arc<Aggregates>);

struct Both<T>(T, T);

/// Libraries that tell at INFO what only their authors read.
const QUIET: &[&str] = &["openraft", "hyper", "hyper_util", "h2", "reqwest", "rustls"];

fn targets(level: LevelFilter) -> Targets {
    let quiet = QUIET.iter().map(|library| (*library, level.min(LevelFilter::WARN)));
    Targets::new().with_default(level).with_targets(quiet)
}

// === impl Telemetry ===

impl Telemetry {
    /// Starts logging to standard output, and to a file, and counting. Once in a process; a second call leaves the
    /// first in force.
    pub(crate) fn start(logs: LogSettings, file: Option<LogFile>, syslog: Option<Syslog>) -> Self {
        let (filter, level) = LogLevel::new(logs.level);
        let (heard, monitored) = LogLevel::new(LevelFilter::OFF);
        let monitors = Monitors::default();
        let lines = tracing_subscriber::fmt::layer()
            .event_format(Line { json: logs.json })
            .with_ansi(false);
        let file = file.map(|file| {
            let lines = tracing_subscriber::fmt::layer().event_format(Line { json: logs.json });
            lines.with_ansi(false).with_writer(file)
        });
        let syslog = syslog.map(|syslog| {
            let lines = tracing_subscriber::fmt::layer().event_format(Line { json: logs.json });
            lines.with_ansi(false).with_writer(syslog)
        });
        let written = lines.and_then(file).and_then(syslog).with_filter(filter);
        // Each filters for itself: in a list none hides what another wants.
        let monitoring = monitors.clone().with_filter(heard);
        let layers = vec![written.boxed(), monitoring.boxed()];
        let _ = tracing_subscriber::registry().with(layers).try_init();
        let builder = PrometheusBuilder::new()
            .set_quantiles(&QUANTILES)
            .expect("three quantiles between 0 and 1");
        let recorder = builder.build_recorder();
        let telemetry = Self {
            prometheus: recorder.handle(),
            aggregates: Arc::default(),
            level,
            monitors,
            monitored,
            naming: Arc::default(),
        };
        let _ = metrics::set_global_recorder(Tee(recorder, Arc::clone(&telemetry.aggregates)));
        telemetry
    }

    /// Folds what the timers measured into their quantiles, for ever: until then every single measurement is kept.
    pub(crate) async fn keep_small(self) {
        loop {
            tokio::time::sleep(UPKEEP).await;
            self.prometheus.run_upkeep();
            self.aggregates.turn(SystemTime::now());
        }
    }

    /// All metrics in Prometheus' text format 0.0.4.
    pub(crate) fn prometheus(&self) -> String {
        self.prometheus.run_upkeep();
        self.naming.load().rename(&self.prometheus.render())
    }

    /// All metrics of the last whole interval, as `/v1/agent/metrics` prints them.
    pub(crate) fn json(&self, now: SystemTime) -> String {
        serde_json::to_string(&self.aggregates.told(now, &self.naming.load()))
            .expect("metrics have text keys only")
    }

    /// The metrics of the interval that is running, when it is over: as [`Telemetry::json`], indented, with a line break.
    pub(crate) async fn next_interval(&self) -> String {
        tokio::time::sleep(aggregates::rest(SystemTime::now())).await;
        let told = self.aggregates.told(SystemTime::now(), &self.naming.load());
        let mut out = Vec::new();
        let form = serde_json::ser::PrettyFormatter::with_indent(b"    ");
        told.serialize(&mut serde_json::Serializer::with_formatter(&mut out, form))
            .expect("metrics have text keys only");
        out.push(b'\n');
        String::from_utf8(out).expect("JSON is UTF-8")
    }

    /// Metrics are told under these names from now on.
    pub(crate) fn set_naming(&self, naming: Naming) {
        self.naming.store(Arc::new(naming));
    }

    /// Logs from this level on.
    pub(crate) fn set_level(&self, level: LevelFilter) {
        self.level.set(level);
    }

    /// Lines of the log from this level on, as text or as JSON, whatever is written elsewhere.
    pub(crate) fn monitor(&self, level: LevelFilter, json: bool) -> Listening {
        self.monitors.listen(level, json, &self.monitored)
    }
}

// === impl LogLevel ===

impl LogLevel {
    /// A filter, and the hand on it.
    fn new(level: LevelFilter) -> (reload::Layer<Targets, tracing_subscriber::Registry>, Self) {
        let (filter, handle) = reload::Layer::new(targets(level));
        (filter, Self(handle))
    }

    fn set(&self, level: LevelFilter) {
        // It fails only when the log is gone.
        let _ = self.0.reload(targets(level));
    }
}

// === impl Tee ===

impl Recorder for Tee {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, text: SharedString) {
        self.0.describe_counter(key, unit, text);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, text: SharedString) {
        self.0.describe_gauge(key, unit, text);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, text: SharedString) {
        self.0.describe_histogram(key, unit, text);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        let other = Counter::from_arc(self.1.counter(key));
        Counter::from_arc(Arc::new(Both(self.0.register_counter(key, metadata), other)))
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        let other = Gauge::from_arc(self.1.gauge(key));
        Gauge::from_arc(Arc::new(Both(self.0.register_gauge(key, metadata), other)))
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        let other = Histogram::from_arc(self.1.sample(key));
        Histogram::from_arc(Arc::new(Both(self.0.register_histogram(key, metadata), other)))
    }
}

// === impl Both ===

impl CounterFn for Both<Counter> {
    fn increment(&self, value: u64) {
        self.0.increment(value);
        self.1.increment(value);
    }

    fn absolute(&self, value: u64) {
        self.0.absolute(value);
        self.1.absolute(value);
    }
}

impl GaugeFn for Both<Gauge> {
    fn increment(&self, value: f64) {
        self.0.increment(value);
        self.1.increment(value);
    }

    fn decrement(&self, value: f64) {
        self.0.decrement(value);
        self.1.decrement(value);
    }

    fn set(&self, value: f64) {
        self.0.set(value);
        self.1.set(value);
    }
}

impl HistogramFn for Both<Histogram> {
    fn record(&self, value: f64) {
        self.0.record(value);
        self.1.record(value);
    }
}

/// The level that a configuration names; what it does not know counts as INFO (the configuration was checked before).
pub(crate) fn level(name: &str) -> LevelFilter {
    match name.to_ascii_uppercase().as_str() {
        "TRACE" => LevelFilter::TRACE,
        "DEBUG" => LevelFilter::DEBUG,
        "WARN" => LevelFilter::WARN,
        "ERR" | "ERROR" => LevelFilter::ERROR,
        _ => LevelFilter::INFO,
    }
}
