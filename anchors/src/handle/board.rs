//! Where the last applied index hangs for everybody to read, and who is woken when another takes its place.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use super::books::{LockDelays, SessionBook};
use super::watches::Watches;
use crate::clock::{Clock, Time};
use crate::group::Publish;
use crate::index::{Index, Touched, WatchKey};

/// The published index. Reading it takes no lock and waits for nobody.
pub(super) struct Board {
    current: ArcSwap<Index>,
    pub(super) watches: Arc<Watches>,
    clock: Arc<dyn Clock>,
    sessions: Mutex<SessionBook>,
    delays: Mutex<LockDelays>,
    /// Told when the next session to run out may be another one.
    pub(super) sessions_changed: Notify,
}

impl Board {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            current: ArcSwap::from_pointee(Index::new()),
            watches: Arc::default(),
            clock,
            sessions: Mutex::default(),
            delays: Mutex::default(),
            sessions_changed: Notify::new(),
        }
    }

    /// Hangs up the index that was just opened.
    pub(super) fn open(&self, index: Index) {
        *self.sessions() = SessionBook::open(&index, self.now());
        self.current.store(Arc::new(index));
    }

    pub(super) fn snapshot(&self) -> Arc<Index> {
        self.current.load_full()
    }

    pub(super) fn now(&self) -> Time {
        self.clock.now()
    }

    pub(super) fn sessions(&self) -> MutexGuard<'_, SessionBook> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn delays(&self) -> MutexGuard<'_, LockDelays> {
        self.delays.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Publish for Board {
    fn publish(&self, index: Index, touched: Touched) {
        let now = self.now();
        if touched.all {
            *self.sessions() = SessionBook::open(&index, now);
        } else {
            self.sessions().follow(&index, &touched.keys, now);
        }
        if !touched.freed.is_empty() {
            self.delays().note(&touched.freed, now);
        }
        self.current.store(Arc::new(index));
        if touched.all || touched.keys.iter().any(|key| matches!(key, WatchKey::Session(_))) {
            self.sessions_changed.notify_one();
        }
        if touched.all {
            self.watches.wake_all();
        } else {
            self.watches.wake(&touched.keys);
        }
    }
}
