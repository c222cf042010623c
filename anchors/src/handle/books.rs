//! What the leader keeps in memory beside the index: when sessions run out, and which keys cannot be taken yet.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Time;
use crate::duration;
use crate::index::{Index, WatchKey};
use crate::service::Session;

/// A session ends when it was not renewed for this many times its TTL: clocks differ, and Consul waits as long.
const TTL_FACTOR: u32 = 2;

/// When each session with a TTL runs out.
#[derive(Debug, Default)]
pub(super) struct SessionBook {
    due: BTreeSet<(Time, Arc<str>)>,
    by_id: HashMap<Arc<str>, Time>,
}

/// The keys whose last holder ended, and until when nobody may take them.
#[derive(Debug, Default)]
pub(super) struct LockDelays {
    until: HashMap<Arc<str>, Time>,
}

// === impl SessionBook ===

impl SessionBook {
    /// Starts a timer for each session that has come, and stops it for each that has gone.
    pub(super) fn follow(&mut self, index: &Index, touched: &[WatchKey], now: Time) {
        for key in touched {
            let WatchKey::Session(id) = key else { continue };
            match index.session(id) {
                Some(row) if !self.by_id.contains_key(id) => self.start(&row.session, now),
                Some(_) => {}
                None => self.stop(id),
            }
        }
    }

    /// Starts the timers of all sessions: the index was just opened.
    pub(super) fn open(index: &Index, now: Time) -> Self {
        let mut book = Self::default();
        for row in index.sessions() {
            book.start(&row.session, now);
        }
        book
    }

    /// Restarts the timer of a session.
    pub(super) fn start(&mut self, session: &Session, now: Time) {
        let ttl = duration::parse_wait(&session.ttl).unwrap_or_default();
        if ttl.is_zero() {
            return;
        }
        let id: Arc<str> = session.id.as_ref().into();
        self.stop(&id);
        let due = now + ttl * TTL_FACTOR;
        self.due.insert((due, Arc::clone(&id)));
        self.by_id.insert(id, due);
    }

    fn stop(&mut self, id: &str) {
        if let Some((id, due)) = self.by_id.remove_entry(id) {
            self.due.remove(&(due, id));
        }
    }

    /// When the next one runs out.
    pub(super) fn next_due(&self) -> Option<Time> {
        self.due.first().map(|(due, _)| *due)
    }

    /// The sessions that have run out; their timers stop.
    pub(super) fn take_due(&mut self, now: Time) -> Vec<Arc<str>> {
        let mut ids = Vec::new();
        while let Some((_, id)) = self.due.first().filter(|(due, _)| *due <= now).cloned() {
            self.stop(&id);
            ids.push(id);
        }
        ids
    }
}

// === impl LockDelays ===

impl LockDelays {
    /// Notes that a session which held these keys has ended.
    pub(super) fn note(&mut self, freed: &[(Arc<str>, Duration)], now: Time) {
        self.until.retain(|_, until| *until > now);
        for (key, delay) in freed.iter().filter(|(_, delay)| !delay.is_zero()) {
            self.until.insert(Arc::clone(key), now + *delay);
        }
    }

    /// Whether nobody may take this key yet.
    pub(super) fn holds(&self, key: &str, now: Time) -> bool {
        self.until.get(key).is_some_and(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(id: &str, ttl: &str) -> Session {
        Session {
            id: id.into(),
            name: "".into(),
            node: "n".into(),
            lock_delay: Duration::ZERO,
            behavior: crate::service::Behavior::Release,
            ttl: ttl.into(),
            node_checks: None,
            service_checks: None,
            checks: None,
        }
    }

    #[test]
    fn a_session_runs_out_after_twice_its_ttl_unless_renewed() {
        let mut book = SessionBook::default();
        let start = Time(0);
        book.start(&session("a", "10s"), start);
        book.start(&session("b", "10s"), start);
        book.start(&session("never", ""), start);
        book.start(&session("a", "10s"), start + Duration::from_secs(15));
        assert!(book.take_due(start + Duration::from_secs(19)).is_empty());
        assert_eq!(book.take_due(start + Duration::from_secs(20)), ["b".into()]);
        assert_eq!(book.next_due(), Some(start + Duration::from_secs(35)));
    }

    #[test]
    fn a_key_is_held_back_for_the_lock_delay() {
        let mut delays = LockDelays::default();
        delays.note(
            &[("k".into(), Duration::from_secs(15)), ("free".into(), Duration::ZERO)],
            Time(0),
        );
        assert!(delays.holds("k", Time(0) + Duration::from_secs(14)));
        assert!(!delays.holds("k", Time(0) + Duration::from_secs(15)));
        assert!(!delays.holds("free", Time(1)));
    }
}
