//! Metrics as `GET /v1/agent/metrics` prints them: what was counted and timed since they were last started anew.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use metrics::{CounterFn, GaugeFn, HistogramFn, Key};
use serde_json::{Value, json};

/// Consul aggregates over as long; what was measured before the current interval is forgotten.
const INTERVAL: Duration = Duration::from_secs(10);

/// The measurements of the current interval.
#[derive(Debug, Default)]
pub(super) struct Aggregates {
    gauges: Mutex<BTreeMap<Name, Arc<Measured>>>,
    counters: Mutex<BTreeMap<Name, Arc<Measured>>>,
    samples: Mutex<BTreeMap<Name, Arc<Measured>>>,
    interval: Mutex<u64>,
}

/// A metric's name in dots, and its labels.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    name: String,
    labels: BTreeMap<String, String>,
}

/// What one metric measured. For a gauge only the last value counts.
#[derive(Debug, Default)]
pub(super) struct Measured(Mutex<Summary>);

#[derive(Clone, Copy, Debug, Default)]
struct Summary {
    count: u64,
    sum: f64,
    squares: f64,
    min: f64,
    max: f64,
    last: f64,
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

    /// Prints everything; counters and samples of an interval that is over start anew.
    pub(super) fn json(&self, now: SystemTime) -> Value {
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let interval = seconds - seconds % INTERVAL.as_secs();
        let mut current = lock(&self.interval);
        if *current != interval {
            *current = interval;
            restart(&self.counters);
            restart(&self.samples);
        }
        json!({
            "Timestamp": format!("{} +0000 UTC", super::format::clock(interval, ' ')),
            "Gauges": list(&self.gauges, Summary::gauge),
            "Points": [],
            "Counters": list(&self.counters, Summary::sampled),
            "Samples": list(&self.samples, Summary::sampled),
        })
    }
}

fn entry(of: &Mutex<BTreeMap<Name, Arc<Measured>>>, key: &Key) -> Arc<Measured> {
    let name = Name {
        name: key.name().to_owned(),
        labels: key
            .labels()
            .map(|label| (label.key().to_owned(), label.value().to_owned()))
            .collect(),
    };
    Arc::clone(lock(of).entry(name).or_default())
}

fn restart(of: &Mutex<BTreeMap<Name, Arc<Measured>>>) {
    for measured in lock(of).values() {
        *lock(&measured.0) = Summary::default();
    }
}

fn list(
    of: &Mutex<BTreeMap<Name, Arc<Measured>>>,
    print: fn(Summary, &Name) -> Option<Value>,
) -> Vec<Value> {
    lock(of).iter().filter_map(|(name, measured)| print(*lock(&measured.0), name)).collect()
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

    fn gauge(self, name: &Name) -> Option<Value> {
        Some(json!({ "Name": name.name, "Value": self.last, "Labels": name.labels }))
    }

    fn sampled(self, name: &Name) -> Option<Value> {
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
        Some(json!({
            "Name": name.name, "Count": self.count, "Rate": self.sum / INTERVAL.as_secs_f64(), "Sum": self.sum,
            "Min": self.min, "Max": self.max, "Mean": mean, "Stddev": deviation, "Labels": name.labels,
        }))
    }
}

// === impl Measured ===

impl CounterFn for Measured {
    fn increment(&self, value: u64) {
        #[expect(clippy::cast_precision_loss, reason = "a count of ten seconds is far below 2^52")]
        lock(&self.0).add(value as f64);
    }

    fn absolute(&self, value: u64) {
        #[expect(clippy::cast_precision_loss, reason = "a count of ten seconds is far below 2^52")]
        lock(&self.0).add(value as f64);
    }
}

impl GaugeFn for Measured {
    fn increment(&self, value: f64) {
        lock(&self.0).last += value;
    }

    fn decrement(&self, value: f64) {
        lock(&self.0).last -= value;
    }

    fn set(&self, value: f64) {
        lock(&self.0).last = value;
    }
}

impl HistogramFn for Measured {
    fn record(&self, value: f64) {
        lock(&self.0).add(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_told_once_an_interval() {
        let aggregates = Aggregates::default();
        let key = Key::from_name("consul.kvs.apply");
        aggregates.json(UNIX_EPOCH);
        CounterFn::increment(&*aggregates.counter(&key), 2);
        CounterFn::increment(&*aggregates.counter(&key), 4);
        let told = aggregates.json(UNIX_EPOCH + Duration::from_secs(9));
        assert_eq!(told["Counters"][0]["Name"], "consul.kvs.apply");
        assert_eq!(told["Counters"][0]["Sum"], 6.0);
        assert_eq!(told["Counters"][0]["Mean"], 3.0);
        assert_eq!(told["Timestamp"], "1970-01-01 00:00:00 +0000 UTC");
        let later = aggregates.json(UNIX_EPOCH + Duration::from_secs(10));
        assert_eq!(later["Counters"], json!([]));
    }
}
