//! A keep-alive HTTP/1.1 client that costs as little as possible, so that what is measured is the server.
//!
//! It understands what the subjects send (a length or chunks) and nothing else: no redirects, no compression, no pipelining.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// No answer of any work comes near it: a server that sends more is broken, and must not fill the machine.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Room for the usual answer (2–3 KB) in one read.
const READ_BYTES: usize = 8 << 10;

/// A GET as it goes over the wire.
pub(crate) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

/// The same with a token.
pub(crate) fn get_as(token: &str, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nX-Consul-Token: {token}\r\n\r\n")
        .into_bytes()
}

/// A PUT as it goes over the wire.
pub(crate) fn put(path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// The same with a token.
pub(crate) fn put_as(token: &str, path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "PUT {path} HTTP/1.1\r\nHost: localhost\r\nX-Consul-Token: {token}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// What the head of an answer said, and where the answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) status: u16,
    /// `X-Consul-Index`; 0 when there was none.
    pub(crate) index: u64,
    head: usize,
    end: usize,
    chunked: bool,
}

/// One connection with its buffer.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    inbox: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, inbox: Vec::new() })
    }

    /// Sends one request and reads the whole answer, which stays in the buffer until the next call.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> io::Result<Frame> {
        self.stream.write_all(request).await?;
        self.inbox.clear();
        loop {
            self.inbox.reserve(READ_BYTES);
            if self.stream.read_buf(&mut self.inbox).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(frame) = parse(&self.inbox)? {
                return Ok(frame);
            }
            if self.inbox.len() > ANSWER_BYTES_MAX {
                return Err(malformed("an answer without an end"));
            }
        }
    }

    /// Status line and headers of the last answer, with the empty line.
    pub(crate) fn head(&self, frame: &Frame) -> &[u8] {
        &self.inbox[..frame.head]
    }

    /// Body of the last answer, without the marks of its chunks.
    pub(crate) fn body(&self, frame: &Frame) -> Vec<u8> {
        let raw = &self.inbox[frame.head..frame.end];
        if !frame.chunked {
            return raw.to_vec();
        }
        let mut body = Vec::with_capacity(raw.len());
        let mut at = 0;
        while let Ok(Some((start, end))) = chunk(raw, at) {
            if start == end {
                break;
            }
            body.extend_from_slice(&raw[start..end]);
            at = end + 2;
        }
        body
    }
}

/// A whole answer at the start of `inbox`; nothing while some of it is still to come.
fn parse(inbox: &[u8]) -> io::Result<Option<Frame>> {
    let Some(head) = inbox.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4) else {
        return Ok(None);
    };
    let text = str::from_utf8(&inbox[..head]).map_err(|_| malformed("a head that is not text"))?;
    let mut frame = Frame { status: status(text)?, index: 0, head, end: head, chunked: false };
    for (name, value) in text.lines().filter_map(|line| line.split_once(": ")) {
        if name.eq_ignore_ascii_case("content-length") {
            frame.end = head
                + value.parse::<usize>().map_err(|_| malformed("a length that is no number"))?;
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            frame.chunked = value.eq_ignore_ascii_case("chunked");
        } else if name.eq_ignore_ascii_case("x-consul-index") {
            frame.index = value.parse().map_err(|_| malformed("an index that is no number"))?;
        }
    }
    if frame.chunked {
        let Some(end) = end_of_chunks(inbox, head)? else { return Ok(None) };
        frame.end = end;
    }
    Ok((frame.end <= inbox.len()).then_some(frame))
}

fn status(head: &str) -> io::Result<u16> {
    let code = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
    code.and_then(|code| code.parse().ok())
        .ok_or_else(|| malformed("a status line of another protocol"))
}

fn end_of_chunks(inbox: &[u8], head: usize) -> io::Result<Option<usize>> {
    let mut at = head;
    while let Some((start, end)) = chunk(inbox, at)? {
        if end + 2 > inbox.len() {
            return Ok(None);
        }
        at = end + 2;
        if start == end {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

/// Where the bytes of the chunk whose size line begins at `at` begin and end; they may not all be there yet.
fn chunk(bytes: &[u8], at: usize) -> io::Result<Option<(usize, usize)>> {
    let Some(rest) = bytes.get(at..) else { return Ok(None) };
    let Some(line) = rest.windows(2).position(|two| two == b"\r\n") else { return Ok(None) };
    let size =
        str::from_utf8(&rest[..line]).ok().and_then(|hex| usize::from_str_radix(hex, 16).ok());
    let start = at + line + 2;
    size.map(|size| Some((start, start + size))).ok_or_else(|| malformed("a chunk without a size"))
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(inbox: &str, expected: Option<(u16, u64)>) {
        let frame = parse(inbox.as_bytes()).unwrap();
        assert_eq!(frame.map(|frame| (frame.status, frame.index)), expected, "{inbox:?}");
        assert!(frame.is_none_or(|frame| frame.end == inbox.len()), "{inbox:?}");
    }

    #[test]
    fn an_answer_is_whole_or_awaited() {
        check(
            "HTTP/1.1 200 OK\r\nX-Consul-Index: 7\r\nContent-Length: 2\r\n\r\nok",
            Some((200, 7)),
        );
        check("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", Some((404, 0)));
        check("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", None);
        check("HTTP/1.1 200 OK\r\nContent-Le", None);
        check(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            Some((200, 0)),
        );
        check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n", None);
        check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nA\r\nok", None);
    }

    #[test]
    fn another_protocol_is_an_error() {
        assert!(parse(b"220 mail ready\r\n\r\n").is_err());
    }
}
