//! How far the exchange on a connection is: told by whoever answers, asked by the guard of its bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// How far a connection is with its requests.
#[derive(Clone, Debug)]
pub(crate) struct Answering(Arc<Course>);

#[derive(Debug)]
struct Course {
    /// Whether what is written is an answer of ours.
    answering: AtomicBool,
    /// Requests that are worked on: one at most, but for HTTP/2.
    open: AtomicU32,
    /// Requests that were taken.
    taken: AtomicU32,
    /// Whether the latest of them has a body.
    has_body: AtomicBool,
    /// When the head of the latest was read, in nanoseconds since `birth`.
    began: AtomicU64,
    birth: Instant,
    /// How long an answer may take to its last piece, where nobody else looks.
    answer_max: Option<Duration>,
}

/// A request that is worked on, and until when its answer may be sent.
#[derive(Debug)]
pub(crate) struct Request(Answering, Option<Instant>);

// === impl Answering ===

impl Default for Answering {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Answering {
    /// A connection on which an answer may take so long, or whose guard sees to that.
    pub(super) fn new(answer_max: Option<Duration>) -> Self {
        Self(Arc::new(Course {
            answering: AtomicBool::new(false),
            open: AtomicU32::new(0),
            taken: AtomicU32::new(0),
            has_body: AtomicBool::new(false),
            began: AtomicU64::new(0),
            birth: Instant::now(),
            answer_max,
        }))
    }

    /// A request was taken; it is worked on until what this returns is dropped.
    pub(crate) fn take(&self, has_body: bool) -> Request {
        let course = &*self.0;
        let nanos = u64::try_from(course.birth.elapsed().as_nanos()).unwrap_or(u64::MAX);
        course.began.store(nanos, Ordering::Relaxed);
        course.has_body.store(has_body, Ordering::Relaxed);
        course.taken.fetch_add(1, Ordering::Relaxed);
        course.open.fetch_add(1, Ordering::Relaxed);
        Request(self.clone(), course.answer_max.map(|max| Instant::now() + max))
    }

    /// From here on what is written is an answer of ours, until it is flushed.
    pub(crate) fn begin(&self) {
        self.0.answering.store(true, Ordering::Relaxed);
    }

    pub(super) fn flushed(&self) {
        self.0.answering.store(false, Ordering::Relaxed);
    }

    pub(super) fn is_on(&self) -> bool {
        self.0.answering.load(Ordering::Relaxed)
    }

    /// Whether a request is worked on.
    pub(super) fn is_busy(&self) -> bool {
        self.0.open.load(Ordering::Relaxed) > 0
    }

    /// How many requests were taken.
    pub(super) fn taken(&self) -> u32 {
        self.0.taken.load(Ordering::Relaxed)
    }

    /// Whether the latest request has a body.
    pub(super) fn has_body(&self) -> bool {
        self.0.has_body.load(Ordering::Relaxed)
    }

    /// When the head of the latest request was read.
    pub(super) fn began(&self) -> Instant {
        self.0.birth + Duration::from_nanos(self.0.began.load(Ordering::Relaxed))
    }
}

// === impl Request ===

impl Request {
    /// How far its connection is.
    pub(super) fn answering(&self) -> &Answering {
        &self.0
    }

    /// Whether its answer may not be sent any more.
    pub(super) fn is_late(&self) -> bool {
        self.1.is_some_and(|until| Instant::now() > until)
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.0.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
