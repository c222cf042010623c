//! The bytes of a connection, watched: what the HTTP library says by itself is held back, and nobody takes longer than
//! he may.

use std::future::Future as _;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::course::Answering;
use crate::settings::Timeouts;

/// The interim answer that asks a client to send its body.
const GO_ON: &[u8] = b"HTTP/1.1 100";

/// A stream that passes on our answers, and of what the HTTP library says by itself only the request to go on.
pub(super) struct Guarded<S> {
    pub(super) stream: S,
    course: Answering,
    /// Requests that it was seen to have taken.
    taken: u32,
    timeouts: Arc<Timeouts>,
    /// How errors tell of the connection.
    ends: fn(&S) -> String,
    stage: Stage,
    /// Wakes the connection; may ring early, never late.
    alarm: Option<Pin<Box<Sleep>>>,
    /// The library has spoken by itself: the stream stays open for who answers instead.
    held_back: bool,
    /// The client took too long.
    is_late: bool,
}

/// What is waited for while no request is worked on.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// The rest of a head, since then.
    Head(Instant),
    /// The first byte of the next head; nobody has waited for it yet.
    Answered,
    /// The same, since then.
    Idle(Instant),
}

// === impl Guarded ===

impl<S> Guarded<S> {
    pub(super) fn new(
        stream: S,
        course: Answering,
        timeouts: Arc<Timeouts>,
        ends: fn(&S) -> String,
    ) -> Self {
        let stage = Stage::Head(Instant::now());
        Self {
            stream,
            taken: course.taken(),
            course,
            timeouts,
            ends,
            stage,
            alarm: None,
            held_back: false,
            is_late: false,
        }
    }

    /// Whether the connection broke because the client took too long.
    pub(super) fn is_late(&self) -> bool {
        self.is_late
    }

    /// Whether these bytes are to be swallowed.
    fn holds_back(&mut self, bytes: &[u8]) -> bool {
        let own = !self.course.is_on() && !bytes.starts_with(GO_ON);
        self.held_back |= own;
        own
    }

    /// Bytes came.
    fn heard(&mut self) {
        self.catch_up();
        if !self.course.is_busy() && !matches!(self.stage, Stage::Head(_)) {
            self.stage = Stage::Head(Instant::now());
        }
    }

    /// A head that was read is no longer waited for.
    fn catch_up(&mut self) {
        let taken = self.course.taken();
        if taken != self.taken {
            self.taken = taken;
            self.stage = Stage::Answered;
        }
    }

    /// Until when the next bytes have to come.
    fn read_by(&mut self) -> Option<Instant> {
        self.catch_up();
        if self.course.is_busy() {
            return self.course.has_body().then(|| self.course.began() + self.timeouts.read);
        }
        match self.stage {
            Stage::Head(began) => Some(began + self.timeouts.read_header),
            Stage::Idle(began) => Some(began + self.timeouts.idle),
            Stage::Answered => {
                let now = Instant::now();
                self.stage = Stage::Idle(now);
                Some(now + self.timeouts.idle)
            }
        }
    }

    /// Whether it is too late; if not, the task is woken when it is.
    fn is_over(&mut self, by: Instant, cx: &mut Context<'_>) -> bool {
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(by)));
        if alarm.deadline() > by {
            alarm.as_mut().reset(by);
        }
        while alarm.as_mut().poll(cx).is_ready() {
            if Instant::now() >= by {
                return true;
            }
            alarm.as_mut().reset(by);
        }
        false
    }

    fn late(&mut self, verb: &str) -> io::Error {
        self.is_late = true;
        let told = format!("{verb} {}: i/o timeout", (self.ends)(&self.stream));
        io::Error::new(io::ErrorKind::TimedOut, told)
    }

    /// What becomes of a write that cannot go on.
    fn stuck<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let by = self.course.began() + self.timeouts.write;
        if self.is_over(by, cx) { Poll::Ready(Err(self.late("write"))) } else { Poll::Pending }
    }

    /// Whether an answer comes after its time: then the client gets none.
    fn is_overdue(&self) -> bool {
        self.course.is_on() && Instant::now() > self.course.began() + self.timeouts.write
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(cx, buf) {
            if buf.filled().len() > before {
                self.heard();
            }
            return Poll::Ready(read);
        }
        match self.read_by() {
            Some(by) if self.is_over(by, cx) => Poll::Ready(Err(self.late("read"))),
            _ => Poll::Pending,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.holds_back(buf) {
            return Poll::Ready(Ok(buf.len()));
        }
        if self.is_overdue() {
            return Poll::Ready(Err(self.late("write")));
        }
        match Pin::new(&mut self.stream).poll_write(cx, buf) {
            Poll::Pending => self.stuck(cx),
            written => written,
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.holds_back(bufs.first().map_or(&[], |buf| buf)) {
            return Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()));
        }
        if self.is_overdue() {
            return Poll::Ready(Err(self.late("write")));
        }
        match Pin::new(&mut self.stream).poll_write_vectored(cx, bufs) {
            Poll::Pending => self.stuck(cx),
            written => written,
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.course.flushed();
        // The library, which was told that there is nothing to read, does not ask again before it is woken.
        if !self.course.is_busy()
            && let Some(by) = self.read_by()
        {
            let _read_tells = self.is_over(by, cx);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.held_back {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
