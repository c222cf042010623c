//! How much is asked, under the names by which Consul's servers count it. Here there is no call from an agent to a server:
//! what is counted is what would be one.

use std::sync::OnceLock;

use metrics::{Counter, Gauge, counter, gauge};

/// Counters that are made when they first count.
struct Counts {
    names: &'static [&'static str],
    made: OnceLock<Vec<Counter>>,
}

static READS: Counts =
    Counts::new(&["consul.rpc.query", "consul.rpc.request", "consul.client.rpc"]);
static WRITES: Counts = Counts::new(&["consul.rpc.request", "consul.client.rpc"]);

impl Counts {
    const fn new(names: &'static [&'static str]) -> Self {
        Self { names, made: OnceLock::new() }
    }

    fn count(&self) {
        let make = || self.names.iter().map(|name| counter!(*name)).collect();
        self.made.get_or_init(make).iter().for_each(|counter| counter.increment(1));
    }
}

/// A read was asked for.
pub(crate) fn read() {
    READS.count();
}

/// A write was asked for.
pub(crate) fn write() {
    WRITES.count();
}

/// A blocking query, counted for as long as it waits.
pub(crate) struct Waiting(&'static Gauge);

impl Waiting {
    /// It waits from now on.
    pub(crate) fn begin() -> Self {
        static WAITING: OnceLock<Gauge> = OnceLock::new();
        let waiting = WAITING.get_or_init(|| gauge!("consul.rpc.queries_blocking"));
        waiting.increment(1.0);
        Self(waiting)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}
