//! Log lines for whoever listens while the program runs (`GET /v1/agent/monitor`), each at a level of its own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use tokio::sync::mpsc;
use tracing::{Event, Subscriber, warn};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::LogLevel;
use super::format::line;

/// Lines that wait for a listener; what comes beyond it is dropped and counted (Consul's own bound).
const LINES_WAITING_MAX: usize = 512;

/// Hands each event to all who listen.
#[derive(Clone, Default)]
pub(super) struct Monitors(Arc<Mutex<Vec<Arc<Listener>>>>);

/// One who listens.
struct Listener {
    level: LevelFilter,
    json: bool,
    lines: mpsc::Sender<Bytes>,
    dropped: AtomicU64,
}

/// A listener's end. Dropping it ends the listening.
pub(crate) struct Listening {
    lines: mpsc::Receiver<Bytes>,
    of: Arc<Listener>,
    all: Weak<Mutex<Vec<Arc<Listener>>>>,
    filter: LogLevel,
}

fn lock(all: &Mutex<Vec<Arc<Listener>>>) -> MutexGuard<'_, Vec<Arc<Listener>>> {
    // The list is whole between any two calls.
    all.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets through what the keenest listener wants to hear, and nothing while there is none.
fn follow(filter: &LogLevel, all: &[Arc<Listener>]) {
    filter.set(all.iter().map(|listener| listener.level).max().unwrap_or(LevelFilter::OFF));
}

// === impl Monitors ===

impl Monitors {
    /// Listens from now on. `filter` is the one in front of this layer.
    pub(super) fn listen(&self, level: LevelFilter, json: bool, filter: &LogLevel) -> Listening {
        let (sender, lines) = mpsc::channel(LINES_WAITING_MAX);
        let of = Arc::new(Listener { level, json, lines: sender, dropped: AtomicU64::new(0) });
        let mut all = lock(&self.0);
        all.push(Arc::clone(&of));
        follow(filter, &all);
        drop(all);
        Listening { lines, of, all: Arc::downgrade(&self.0), filter: filter.clone() }
    }

    fn all(&self) -> Vec<Arc<Listener>> {
        lock(&self.0).clone()
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Monitors {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let (mut text, mut json) = (None, None);
        for listener in self.all() {
            if *event.metadata().level() <= listener.level {
                let made = if listener.json { &mut json } else { &mut text };
                listener.tell(made.get_or_insert_with(|| line(event, listener.json).into()));
            }
        }
    }
}

// === impl Listener ===

impl Listener {
    fn tell(&self, line: &Bytes) {
        if self.lines.try_send(line.clone()).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

// === impl Listening ===

impl Listening {
    /// The next line, with its line break.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        self.lines.recv().await
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        if let Some(all) = self.all.upgrade() {
            let mut all = lock(&all);
            all.retain(|listener| !Arc::ptr_eq(listener, &self.of));
            follow(&self.filter, &all);
        }
        let dropped = self.of.dropped.load(Ordering::Relaxed);
        if dropped > 0 {
            warn!(dropped_count = dropped, "Dropped logs during monitor request");
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn each_hears_its_level_and_no_more_than_waits() {
        let monitors = Monitors::default();
        let (filter, handle) = LogLevel::new(LevelFilter::OFF);
        let layer = monitors.clone().with_filter(filter);
        let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
        let mut loud = monitors.listen(LevelFilter::DEBUG, false, &handle);
        let mut quiet = monitors.listen(LevelFilter::WARN, true, &handle);
        tracing::debug!("small");
        tracing::warn!(at = 3, "large");
        drop(guard);
        let hear = |listening: &mut Listening| {
            std::iter::from_fn(|| listening.lines.try_recv().ok())
                .map(|line| String::from_utf8(line.to_vec()).unwrap())
                .collect::<String>()
        };
        let heard = hear(&mut loud);
        assert!(
            heard.contains("[DEBUG] ") && heard.contains(": small\n") && heard.contains("at=3")
        );
        let heard = hear(&mut quiet);
        assert!(heard.starts_with('{') && heard.contains("\"@message\":\"large\""), "{heard}");
        for _ in 0..LINES_WAITING_MAX + 3 {
            loud.of.tell(&Bytes::new());
        }
        assert_eq!(loud.of.dropped.load(Ordering::Relaxed), 3);
        drop((loud, quiet));
        assert!(monitors.all().is_empty());
    }
}
