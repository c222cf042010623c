//! Who waits for what: waiters subscribe to the parts of the index that they read, and only touched parts wake.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use crate::index::WatchKey;

/// All that somebody waits for now.
#[derive(Debug, Default)]
pub(super) struct Watches {
    cells: Mutex<Cells>,
}

#[derive(Debug, Default)]
struct Cells {
    /// Everything but prefixes.
    exact: HashMap<WatchKey, Cell>,
    prefixes: HashMap<Arc<str>, Cell>,
}

/// Who waits for one part.
#[derive(Debug, Default)]
struct Cell {
    notify: Arc<Notify>,
    /// Invariant: the subscriptions that name the part; a cell without any is removed.
    waiters: usize,
}

/// A waiter's place. It is told of every touch since it was made.
pub(super) struct Subscription {
    watches: Arc<Watches>,
    keys: Vec<WatchKey>,
    woken: Vec<std::pin::Pin<Box<OwnedNotified>>>,
}

// === impl Watches ===

impl Watches {
    pub(super) fn subscribe(self: &Arc<Self>, keys: Vec<WatchKey>) -> Subscription {
        let mut cells = self.lock();
        let woken = keys
            .iter()
            .map(|key| {
                let mut woken = Box::pin(cells.join(key).notified_owned());
                woken.as_mut().enable();
                woken
            })
            .collect();
        Subscription { watches: Arc::clone(self), keys, woken }
    }

    /// Wakes whoever waits for one of these, and for a prefix of a key among these.
    pub(super) fn wake(&self, keys: &[WatchKey]) {
        for cell in self.touched(keys) {
            cell.notify_waiters();
        }
    }

    /// Wakes whoever waits.
    pub(super) fn wake_all(&self) {
        let cells = self.lock();
        let all = cells.exact.values().chain(cells.prefixes.values());
        let all: Vec<_> = all.map(|cell| Arc::clone(&cell.notify)).collect();
        drop(cells);
        all.iter().for_each(|cell| cell.notify_waiters());
    }

    fn touched(&self, keys: &[WatchKey]) -> Vec<Arc<Notify>> {
        let cells = self.lock();
        let exact = keys.iter().filter_map(|key| cells.exact.get(key));
        let prefixes = keys.iter().flat_map(|key| cells.prefixes_of(key));
        exact.chain(prefixes).map(|cell| Arc::clone(&cell.notify)).collect()
    }

    /// A waiter goes; a cell for which nobody waits any more is forgotten.
    fn leave(&self, keys: &[WatchKey]) {
        let mut cells = self.lock();
        for key in keys {
            cells.leave(key);
        }
    }

    /// How many cells somebody waits on.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let cells = self.lock();
        cells.exact.len() + cells.prefixes.len()
    }

    fn lock(&self) -> MutexGuard<'_, Cells> {
        // The maps are whole between any two calls: a panic elsewhere leaves nothing half done.
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Cells ===

impl Cells {
    fn join(&mut self, key: &WatchKey) -> Arc<Notify> {
        let cell = match key {
            WatchKey::Prefix(prefix) => self.prefixes.entry(Arc::clone(prefix)).or_default(),
            key => self.exact.entry(key.clone()).or_default(),
        };
        cell.waiters += 1;
        Arc::clone(&cell.notify)
    }

    fn prefixes_of(&self, key: &WatchKey) -> Vec<&Cell> {
        let WatchKey::Key(key) = key else { return Vec::new() };
        if self.prefixes.is_empty() {
            return Vec::new();
        }
        let ends = (0..=key.len()).filter(|end| key.is_char_boundary(*end));
        ends.filter_map(|end| self.prefixes.get(&key[..end])).collect()
    }

    fn leave(&mut self, key: &WatchKey) {
        match key {
            WatchKey::Prefix(prefix) => {
                if self.prefixes.get_mut(prefix).is_some_and(Cell::empties) {
                    self.prefixes.remove(prefix);
                }
            }
            key => {
                if self.exact.get_mut(key).is_some_and(Cell::empties) {
                    self.exact.remove(key);
                }
            }
        }
    }
}

// === impl Cell ===

impl Cell {
    /// One waiter goes. Whether it was the last.
    fn empties(&mut self) -> bool {
        self.waiters -= 1;
        self.waiters == 0
    }
}

// === impl Subscription ===

impl Subscription {
    /// Waits until one of the parts is touched.
    pub(super) async fn woken(&mut self) {
        futures_util::future::select_all(self.woken.iter_mut()).await;
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.watches.leave(&self.keys);
    }
}
