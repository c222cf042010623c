//! The body of an answer on its way out, and the request that it ends.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};

use super::course::Request;
use crate::reply::Outgoing;

/// The body of an answer; when it goes, its request is done with.
#[derive(Debug)]
pub(crate) struct Tracked {
    body: Outgoing,
    request: Request,
}

// === impl Request ===

impl Request {
    /// The body of its answer, which is about to go out.
    pub(crate) fn answer(self, mut body: Outgoing) -> Tracked {
        body.begin(self.answering());
        Tracked { body, request: self }
    }
}

// === impl Tracked ===

impl Tracked {
    /// The same request without a word.
    pub(super) fn silent(self) -> Self {
        Self { body: Outgoing::Whole(Full::default()), ..self }
    }
}

impl Body for Tracked {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let own = self.get_mut();
        if own.request.is_late() {
            return Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())));
        }
        Pin::new(&mut own.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
