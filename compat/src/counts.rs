//! How much is asked, under the names by which Consul's servers count it. Here there is no call from an agent to a server:
//! what is counted is what would be one.
//!
//! It is counted in plain numbers, which cost a read next to nothing, and told now and then.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use metrics::{counter, gauge};

static READS: AtomicU64 = AtomicU64::new(0);
static WRITES: AtomicU64 = AtomicU64::new(0);
static WAITING: AtomicI64 = AtomicI64::new(0);

/// A read was asked for.
pub(crate) fn read() {
    READS.fetch_add(1, Ordering::Relaxed);
}

/// A write was asked for.
pub(crate) fn write() {
    WRITES.fetch_add(1, Ordering::Relaxed);
}

/// A blocking query, counted for as long as it waits.
pub(crate) struct Waiting(());

impl Waiting {
    /// It waits from now on.
    pub(crate) fn begin() -> Self {
        WAITING.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        WAITING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Tells the metrics what was counted since it was told last.
pub fn tell_counts() {
    let (reads, writes) = (READS.swap(0, Ordering::Relaxed), WRITES.swap(0, Ordering::Relaxed));
    counter!("consul.rpc.query").increment(reads);
    counter!("consul.rpc.request").increment(reads + writes);
    counter!("consul.client.rpc").increment(reads + writes);
    #[expect(clippy::cast_precision_loss, reason = "nobody has 2^52 connections")]
    gauge!("consul.rpc.queries_blocking").set(WAITING.load(Ordering::Relaxed) as f64);
}
