//! What goes out as the body of an answer: bytes that are there, or bytes that come.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};

use crate::server::course::Answering;

/// Pieces of a body that is made while it is sent. An error breaks the connection off: the client must not take what it
/// has for the whole.
pub type Pieces = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// The body of an answer.
pub(crate) enum Outgoing {
    /// All of it.
    Whole(Full<Bytes>),
    /// What comes, and who is told of each piece before it goes out.
    Pieces(Pieces, Answering),
}

// === impl Outgoing ===

impl Outgoing {
    /// Tells the connection that this is an answer of ours, now and whenever more of it comes.
    pub(crate) fn begin(&mut self, of: &Answering) {
        of.begin();
        if let Self::Pieces(_, answering) = self {
            *answering = of.clone();
        }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.get_mut() {
            Self::Whole(whole) => Pin::new(whole).poll_frame(cx).map_err(|never| match never {}),
            Self::Pieces(pieces, answering) => {
                let next = ready!(pieces.as_mut().poll_next(cx));
                answering.begin();
                Poll::Ready(next.map(|piece| piece.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(whole) => whole.is_end_stream(),
            Self::Pieces(..) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(whole) => whole.size_hint(),
            Self::Pieces(..) => SizeHint::default(),
        }
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Whole(_) => "Whole",
            Self::Pieces(..) => "Pieces",
        })
    }
}
