//! Questions that came already: none is answered twice.

use std::collections::{HashSet, VecDeque};

use super::WINDOW;
use crate::clock::Time;

/// Questions that are remembered at most. Whoever asks more within the window than this is told to wait.
const SEEN_MAX: usize = 65_536;

/// The last hops of the questions that came within the window in which their signatures count.
#[derive(Debug, Default)]
pub struct Seen {
    digests: HashSet<Box<str>>,
    order: VecDeque<(Time, Box<str>)>,
}

// === impl Seen ===

impl Seen {
    /// Whether a hop comes for the first time; it is remembered. Also `false` when nothing more can be remembered.
    pub fn is_first(&mut self, digest: &str, now: Time) -> bool {
        // A hop may be signed by a clock that is ahead by as much as another is behind.
        while self.order.front().is_some_and(|(at, _)| now.since(*at) > WINDOW * 3) {
            if let Some((_, old)) = self.order.pop_front() {
                self.digests.remove(&old);
            }
        }
        if self.order.len() >= SEEN_MAX || !self.digests.insert(digest.into()) {
            return false;
        }
        self.order.push_back((now, digest.into()));
        true
    }
}
