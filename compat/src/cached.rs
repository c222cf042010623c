//! What `?cached` is told: whether the same was asked before.
//!
//! Consul's agent keeps the answer to a cached read and follows it in the background, so that whoever asks again is told
//! `X-Cache: HIT` and an age of 0. Here the published snapshot is as near as any cache and as fresh as the index: only what
//! was asked is remembered, so that clients are told the same.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};

use proconsul_anchors::caller::{Caller, Secret};

use crate::extract::params::Params;
use crate::limits::REMEMBERED_MAX;

/// The reads that were asked for with `?cached`. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Remembered(Arc<Mutex<HashSet<u64>>>);

/// Whether a read may come from a cache, and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Cache {
    /// It was not asked for.
    #[default]
    Unasked,
    /// The first of its kind.
    Miss,
    /// It was asked before.
    Hit,
}

/// What decides how long to wait, or how to print: the same read without it is the same.
const BESIDE: [&str; 4] = ["index", "wait", "pretty", "cached"];

impl Remembered {
    /// Whether a caller's token looked this up before, for a page that always looks into the cache; from now on it did.
    pub(crate) fn look_up(&self, page: &str, what: &str, caller: &Caller) -> Cache {
        let token = caller.token.as_ref().map_or("", Secret::expose);
        let mut hash = DefaultHasher::new();
        (page, what, token).hash(&mut hash);
        self.insert(hash.finish())
    }

    /// Whether this read was asked for before; from now on it was.
    pub(crate) fn ask(&self, path: &str, params: &Params, token: &str) -> Cache {
        let mut hash = DefaultHasher::new();
        (path, token).hash(&mut hash);
        for (name, value) in params.pairs().filter(|(name, _)| !BESIDE.contains(name)) {
            (name, value).hash(&mut hash);
        }
        self.insert(hash.finish())
    }

    fn insert(&self, hash: u64) -> Cache {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.len() >= REMEMBERED_MAX {
            asked.clear();
        }
        if asked.insert(hash) { Cache::Miss } else { Cache::Hit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::params;

    #[test]
    fn the_same_read_is_a_hit() {
        let remembered = Remembered::default();
        let ask = |path, query| remembered.ask(path, &params::read(query).unwrap(), "");
        assert_eq!(ask("/a", "cached&tag=x"), Cache::Miss);
        assert_eq!(ask("/a", "cached&tag=x&index=7&wait=1s"), Cache::Hit);
        assert_eq!(ask("/a", "cached&tag=y"), Cache::Miss);
        assert_eq!(ask("/b", "cached&tag=x"), Cache::Miss);
    }
}
