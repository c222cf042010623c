//! Metrics as `GET /v1/agent/metrics` prints them: what was counted and timed in the last whole interval.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use metrics::{CounterFn, GaugeFn, HistogramFn, Key};
use serde::{Serialize, Serializer};

use super::names::{Joint, Naming};

/// Consul aggregates over as long, and prints the last interval that is over; what was measured before is forgotten.
const INTERVAL: Duration = Duration::from_secs(10);

/// The measurements of the running interval and of the one before.
#[derive(Debug, Default)]
pub(super) struct Aggregates {
    gauges: Family,
    counters: Family,
    samples: Family,
    turn: Mutex<Turn>,
}

type Family = Mutex<BTreeMap<Name, Arc<Measured>>>;

/// Which interval is running.
#[derive(Clone, Copy, Debug, Default)]
struct Turn {
    /// When it began, in seconds since 1970.
    began: u64,
    /// When the whole one before it began; `None` in the first.
    whole: Option<u64>,
}

/// Everything, in the order in which Consul prints it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Metrics {
    timestamp: String,
    gauges: Vec<Gauge>,
    points: [(); 0],
    counters: Vec<Sampled>,
    samples: Vec<Sampled>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Gauge {
    name: String,
    #[serde(serialize_with = "number")]
    value: f64,
    labels: BTreeMap<String, String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Sampled {
    name: String,
    count: u64,
    #[serde(serialize_with = "number")]
    rate: f64,
    #[serde(serialize_with = "number")]
    sum: f64,
    #[serde(serialize_with = "number")]
    min: f64,
    #[serde(serialize_with = "number")]
    max: f64,
    #[serde(serialize_with = "number")]
    mean: f64,
    #[serde(serialize_with = "number")]
    stddev: f64,
    labels: BTreeMap<String, String>,
}

/// A metric's name in dots, and its labels.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    name: String,
    labels: BTreeMap<String, String>,
}

/// What one metric measured in the running interval and in the one before. For a gauge only the last value counts.
#[derive(Debug, Default)]
pub(super) struct Measured(Mutex<Spans>);

#[derive(Clone, Copy, Debug, Default)]
struct Spans {
    running: Summary,
    whole: Summary,
}

#[derive(Clone, Copy, Debug, Default)]
struct Summary {
    count: u64,
    sum: f64,
    squares: f64,
    min: f64,
    max: f64,
    last: f64,
}

/// Go prints a whole number without a point.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn number<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    const WHOLE_MAX: f64 = 1e15;
    if value.fract() == 0.0 && value.abs() < WHOLE_MAX {
        #[expect(clippy::cast_possible_truncation, reason = "it is whole and small enough")]
        let whole = *value as i64;
        return serializer.serialize_i64(whole);
    }
    serializer.serialize_f64(*value)
}

/// How long the interval that is running will be.
pub(super) fn rest(now: SystemTime) -> Duration {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let over = since.as_secs() - since.as_secs() % INTERVAL.as_secs() + INTERVAL.as_secs();
    Duration::from_secs(over).saturating_sub(since)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Numbers are whole after each line: a panic elsewhere leaves none half written.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Aggregates ===

impl Aggregates {
    pub(super) fn counter(&self, key: &Key) -> Arc<Measured> {
        entry(&self.counters, key)
    }

    pub(super) fn gauge(&self, key: &Key) -> Arc<Measured> {
        entry(&self.gauges, key)
    }

    pub(super) fn sample(&self, key: &Key) -> Arc<Measured> {
        entry(&self.samples, key)
    }

    /// Ends the running interval when its time is over. Called at least once an interval.
    pub(super) fn turn(&self, now: SystemTime) {
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let began = seconds - seconds % INTERVAL.as_secs();
        let mut turn = lock(&self.turn);
        if turn.began != began {
            *turn = Turn { began, whole: (turn.began > 0).then_some(turn.began) };
            self.counters().for_each(Spans::end);
            self.samples().for_each(Spans::end);
        }
    }

    fn counters(&self) -> impl Iterator<Item = Arc<Measured>> {
        lock(&self.counters).values().cloned().collect::<Vec<_>>().into_iter()
    }

    fn samples(&self) -> impl Iterator<Item = Arc<Measured>> {
        lock(&self.samples).values().cloned().collect::<Vec<_>>().into_iter()
    }

    /// Each under its name and with the host's, in the order of names.
    fn gauges(&self, naming: &Naming) -> Vec<Gauge> {
        let plain =
            list(&self.gauges, |name, spans| Some(spans.running.gauge(&name.told(naming)?)));
        let twins =
            list(&self.gauges, |name, spans| Some(spans.running.gauge(&name.twin(naming)?)));
        let mut gauges: Vec<Gauge> = plain.into_iter().chain(twins).collect();
        gauges.sort_by(|a, b| (&a.name, &a.labels).cmp(&(&b.name, &b.labels)));
        gauges
    }

    /// The last whole interval, or the running one when it is the first.
    pub(super) fn told(&self, now: SystemTime, naming: &Naming) -> Metrics {
        self.turn(now);
        let turn = *lock(&self.turn);
        let of = |spans: Spans| if turn.whole.is_some() { spans.whole } else { spans.running };
        let sampled = |family| list(family, |name, spans| of(spans).sampled(&name.told(naming)?));
        let at = turn.whole.unwrap_or(turn.began);
        Metrics {
            timestamp: format!("{} +0000 UTC", super::format::clock(at, ' ')),
            gauges: self.gauges(naming),
            points: [],
            counters: sampled(&self.counters),
            samples: sampled(&self.samples),
        }
    }
}

fn entry(of: &Family, key: &Key) -> Arc<Measured> {
    let name = Name {
        name: key.name().to_owned(),
        labels: key
            .labels()
            .map(|label| (label.key().to_owned(), label.value().to_owned()))
            .collect(),
    };
    Arc::clone(lock(of).entry(name).or_default())
}

fn list<T>(of: &Family, print: impl Fn(&Name, Spans) -> Option<T>) -> Vec<T> {
    lock(of).iter().filter_map(|(name, measured)| print(name, *lock(&measured.0))).collect()
}

// === impl Name ===

impl Name {
    /// Under its configured name; nothing when it is left out.
    fn told(&self, naming: &Naming) -> Option<Self> {
        let name = naming.told(&self.name, Joint::Dot)?;
        Some(Self { name, labels: self.labels.clone() })
    }

    fn twin(&self, naming: &Naming) -> Option<Self> {
        let name = naming.twin(&self.name, Joint::Dot)?;
        Some(Self { name, labels: self.labels.clone() })
    }
}

// === impl Spans ===

impl Spans {
    fn end(measured: Arc<Measured>) {
        let mut spans = lock(&measured.0);
        *spans = Self { running: Summary::default(), whole: spans.running };
    }
}

// === impl Summary ===

impl Summary {
    fn add(&mut self, value: f64) {
        (self.min, self.max) = match self.count {
            0 => (value, value),
            _ => (self.min.min(value), self.max.max(value)),
        };
        self.count += 1;
        self.sum += value;
        self.squares += value * value;
    }

    fn gauge(self, name: &Name) -> Gauge {
        Gauge { name: name.name.clone(), value: self.last, labels: name.labels.clone() }
    }

    fn sampled(self, name: &Name) -> Option<Sampled> {
        if self.count == 0 {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "a count of ten seconds is far below 2^52")]
        let count = self.count as f64;
        let mean = self.sum / count;
        let deviation = if self.count > 1 {
            ((self.squares - self.sum * mean).max(0.0) / (count - 1.0)).sqrt()
        } else {
            0.0
        };
        Some(Sampled {
            name: name.name.clone(),
            count: self.count,
            rate: self.sum / INTERVAL.as_secs_f64(),
            sum: self.sum,
            min: self.min,
            max: self.max,
            mean,
            stddev: deviation,
            labels: name.labels.clone(),
        })
    }
}

// === impl Measured ===

impl CounterFn for Measured {
    fn increment(&self, value: u64) {
        #[expect(clippy::cast_precision_loss, reason = "a count of ten seconds is far below 2^52")]
        lock(&self.0).running.add(value as f64);
    }

    fn absolute(&self, value: u64) {
        #[expect(clippy::cast_precision_loss, reason = "a count of ten seconds is far below 2^52")]
        lock(&self.0).running.add(value as f64);
    }
}

impl GaugeFn for Measured {
    fn increment(&self, value: f64) {
        lock(&self.0).running.last += value;
    }

    fn decrement(&self, value: f64) {
        lock(&self.0).running.last -= value;
    }

    fn set(&self, value: f64) {
        lock(&self.0).running.last = value;
    }
}

impl HistogramFn for Measured {
    fn record(&self, value: f64) {
        lock(&self.0).running.add(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of the only counter this many seconds after the start: its sum, and the interval's second.
    fn sum(aggregates: &Aggregates, seconds: u64) -> (Option<f64>, String) {
        let naming = Naming { by_default: true, ..Naming::default() };
        let told = aggregates.told(UNIX_EPOCH + Duration::from_secs(1_000 + seconds), &naming);
        (told.counters.first().map(|counter| counter.sum), told.timestamp)
    }

    #[test]
    fn a_counter_is_told_of_the_last_whole_interval() {
        let aggregates = Aggregates::default();
        let counter = aggregates.counter(&Key::from_name("consul.kvs.apply"));
        let at = |second: u32| format!("1970-01-01 00:16:{second} +0000 UTC");
        assert_eq!(sum(&aggregates, 0), (None, at(40)));
        CounterFn::increment(&*counter, 2);
        CounterFn::increment(&*counter, 4);
        assert_eq!(sum(&aggregates, 9), (Some(6.0), at(40)));
        CounterFn::increment(&*counter, 1);
        assert_eq!(sum(&aggregates, 10), (Some(7.0), at(40)));
        assert_eq!(sum(&aggregates, 19), (Some(7.0), at(40)));
        assert_eq!(sum(&aggregates, 20), (None, at(50)));
    }
}
