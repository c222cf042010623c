//! What Go's server says to a head that it cannot read. The HTTP library has its own, silent answer to these: it is held
//! back on the way out, and this one is sent instead.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Whether one of our answers is on its way out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answering(Arc<AtomicBool>);

/// A stream that passes on our answers, and of what the HTTP library says by itself only the request to go on.
#[derive(Debug)]
pub(super) struct Guarded {
    pub(super) stream: TcpStream,
    answering: Answering,
    /// The library has spoken by itself: the stream stays open for who answers instead.
    held_back: bool,
}

/// The interim answer that asks a client to send its body.
const GO_ON: &[u8] = b"HTTP/1.1 100";

// === impl Answering ===

impl Answering {
    /// From here on what is written is an answer of ours, until it is flushed.
    pub(crate) fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn end(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

// === impl Guarded ===

impl Guarded {
    pub(super) fn new(stream: TcpStream, answering: Answering) -> Self {
        Self { stream, answering, held_back: false }
    }

    /// Whether these bytes are to be swallowed.
    fn holds_back(&mut self, bytes: &[u8]) -> bool {
        let own = !self.answering.is_on() && !bytes.starts_with(GO_ON);
        self.held_back |= own;
        own
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.holds_back(buf) {
            return Poll::Ready(Ok(buf.len()));
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.holds_back(bufs.first().map_or(&[], |buf| buf)) {
            return Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()));
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.answering.end();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.held_back {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

// === what Go says ===

/// The whole answer to a head that cannot be read.
pub(super) fn answer(head: &[u8], too_large: bool) -> Vec<u8> {
    let (line, text) = if too_large { TOO_LARGE } else { fault(&String::from_utf8_lossy(head)) };
    format!("HTTP/1.1 {line}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n{text}").into_bytes()
}

/// A status line and a body.
type Words = (&'static str, &'static str);

const TOO_LARGE: Words =
    ("431 Request Header Fields Too Large", "431 Request Header Fields Too Large");
const BAD: Words = ("400 Bad Request", "400 Bad Request");
const BAD_NAME: Words =
    ("400 Bad Request: invalid header name", "400 Bad Request: invalid header name");
const BAD_VALUE: Words =
    ("400 Bad Request: invalid header value", "400 Bad Request: invalid header value");
const BAD_VERSION: Words = (
    "505 HTTP Version Not Supported: unsupported protocol version",
    "505 HTTP Version Not Supported: unsupported protocol version",
);
const BAD_ENCODING: Words = ("501 Not Implemented", "Unsupported transfer encoding");

/// What is wrong with a head, in the order in which Go looks.
fn fault(head: &str) -> Words {
    let mut lines = head.split('\n').map(|line| line.trim_end_matches('\r'));
    let mut words = lines.next().unwrap_or("").splitn(3, ' ');
    match (words.next(), words.next(), words.next().and_then(version)) {
        (Some(_), Some(_), Some((1, 0 | 1))) => {}
        (Some(_), Some(_), Some(_)) => return BAD_VERSION,
        _ => return BAD,
    }
    let headers: Vec<(&str, &str)> = lines
        .take_while(|line| !line.is_empty())
        .map(|line| line.split_once(':').unwrap_or((line, "")))
        .collect();
    let odd_encoding = |(name, value): &(&str, &str)| {
        name.eq_ignore_ascii_case("transfer-encoding")
            && !value.trim().eq_ignore_ascii_case("chunked")
    };
    let odd_value = |(_, value): &(&str, &str)| {
        value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t')
    };
    match () {
        () if headers
            .iter()
            .any(|(name, _)| !name.bytes().all(|byte| is_token(byte) || byte == b' ')) =>
        {
            BAD
        }
        () if headers.iter().any(odd_encoding) => BAD_ENCODING,
        () if headers.iter().any(|(name, _)| name.contains(' ')) => BAD_NAME,
        () if headers.iter().any(odd_value) => BAD_VALUE,
        () => BAD,
    }
}

/// Major and minor of `HTTP/1.1`.
fn version(text: &str) -> Option<(u8, u8)> {
    let (major, minor) = text.strip_prefix("HTTP/")?.split_once('.')?;
    let digit = |text: &str| text.parse().ok().filter(|number| *number < 10);
    Some((digit(major)?, digit(minor)?))
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_told_in_gos_words() {
        let cases = [
            ("GET / HTTP/9.9\r\nHost: a\r\n\r\n", BAD_VERSION),
            ("GET /v1/kv/a\r\n\r\n", BAD),
            ("GET / HTTP/x\r\n\r\n", BAD),
            ("GET / HTTP/1.1\r\nBad Name: x\r\n\r\n", BAD_NAME),
            ("GET / HTTP/1.1\r\nBad(Name: x\r\n\r\n", BAD),
            ("GET / HTTP/1.1\r\nName: a\u{1}b\r\n\r\n", BAD_VALUE),
            ("PUT / HTTP/1.1\r\nTransfer-Encoding: zz\r\n\r\n", BAD_ENCODING),
            ("PUT / HTTP/1.1\r\nContent-Length: x\r\n\r\n", BAD),
            ("\u{16}\u{3}", BAD),
        ];
        for (head, words) in cases {
            assert_eq!(fault(head), words, "{head:?}");
        }
    }
}
