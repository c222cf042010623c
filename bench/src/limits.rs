//! What the machine can do at all: a bare HTTP server, a UDP echo, and a disk that syncs.

use std::fs::{self, File};
use std::io::{self, IoSlice, IoSliceMut, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use axum::routing::{get, put};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use nix::sys::socket::{
    ControlMessage, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg,
};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::Failure;

/// About what one registration is in a log.
const RECORD_BYTES: usize = 1024;
/// As many as proconsul takes in one call.
const DATAGRAMS_AT_ONCE: usize = 32;
/// Longer than any datagram of the work.
const DATAGRAM_BYTES_MAX: usize = 4096;

/// Answers every GET with the very bytes of a recorded answer, at once, or for `/park/N` after the `PUT /wake`
/// that follows N others.
///
/// The router is axum's, the connections are plain hyper's: `axum::serve` holds half as much again for each of them.
pub(crate) fn serve_http(reply: &std::path::Path, address: SocketAddr) -> Result<(), Failure> {
    let reply = Reply::parse(&fs::read(reply)?)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await?;
        let router = router(Arc::new(reply));
        loop {
            let (stream, _) = listener.accept().await?;
            // Without it an answer may wait for the peer's delayed acknowledgement.
            stream.set_nodelay(true)?;
            let service = TowerToHyperService::new(router.clone());
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    })
}

fn router(reply: Arc<Reply>) -> Router {
    let (wake, _) = watch::channel(0_u64);
    let (woken, parked) = (wake.clone(), Arc::clone(&reply));
    let park = move |Path(after): Path<u64>| {
        let (mut woken, reply) = (woken.subscribe(), Arc::clone(&parked));
        async move {
            // An error means that the sender is gone, and with it the server.
            let _ = woken.wait_for(|wakes| *wakes > after).await;
            reply.response()
        }
    };
    Router::new()
        .route("/park/{after}", get(park))
        .route("/wake", put(move || async move { wake.send_modify(|wakes| *wakes += 1) }))
        .fallback(move || {
            let reply = Arc::clone(&reply);
            async move { reply.response() }
        })
}

/// An answer made beforehand.
#[derive(Debug)]
struct Reply {
    headers: HeaderMap,
    body: Bytes,
}

impl Reply {
    /// Reads a recorded answer; date and framing are left to the server, which always writes its own.
    fn parse(recorded: &[u8]) -> Result<Self, Failure> {
        let end = recorded
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .ok_or("the recorded answer has no head")?;
        let mut headers = HeaderMap::new();
        for line in str::from_utf8(&recorded[..end])?.lines().skip(1) {
            let (name, value) = line.split_once(": ").ok_or("a header without a value")?;
            if !["date", "content-length", "transfer-encoding"]
                .contains(&name.to_ascii_lowercase().as_str())
            {
                headers.append(name.parse::<HeaderName>()?, value.parse::<HeaderValue>()?);
            }
        }
        Ok(Self { headers, body: Bytes::copy_from_slice(&recorded[end + 4..]) })
    }

    fn response(&self) -> Response {
        let mut response = Response::new(Body::from(self.body.clone()));
        *response.headers_mut() = self.headers.clone();
        response
    }
}

/// Sends every datagram back, as long as `bytes` says: what came together is received and sent together, as a server that
/// does nothing else would do it.
pub(crate) fn echo_udp(address: SocketAddr, bytes: usize) -> Result<(), Failure> {
    let socket = UdpSocket::bind(address)?;
    let mut buffers = vec![[0_u8; DATAGRAM_BYTES_MAX]; DATAGRAMS_AT_ONCE];
    let mut incoming = MultiHeaders::<SockaddrStorage>::preallocate(DATAGRAMS_AT_ONCE, None);
    let mut outgoing = MultiHeaders::<SockaddrStorage>::preallocate(DATAGRAMS_AT_ONCE, None);
    loop {
        let senders = receive(&socket, &mut incoming, &mut buffers)?;
        let replies = buffers[..senders.len()].iter();
        let replies: Vec<_> = replies.map(|buffer| [IoSlice::new(&buffer[..bytes])]).collect();
        let none: [ControlMessage<'_>; 0] = [];
        sendmmsg(socket.as_raw_fd(), &mut outgoing, &replies, &senders, none, MsgFlags::empty())?;
    }
}

/// Who sent what is in the first of the buffers now.
fn receive(
    socket: &UdpSocket,
    headers: &mut MultiHeaders<SockaddrStorage>,
    buffers: &mut [[u8; DATAGRAM_BYTES_MAX]],
) -> nix::Result<Vec<Option<SockaddrStorage>>> {
    let mut slices: Vec<_> =
        buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer.as_mut_slice())]).collect();
    let flags = MsgFlags::MSG_WAITFORONE;
    let came = recvmmsg(socket.as_raw_fd(), headers, &mut slices, flags, None)?;
    Ok(came.map(|datagram| datagram.address).collect())
}

/// What a disk did.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Appends {
    pub(crate) records: usize,
    pub(crate) elapsed: Duration,
}

/// Appends `batch` records, syncs them, and so on until the time is over. It holds up the thread.
pub(crate) fn synced_appends(
    dir: &std::path::Path,
    batch: usize,
    length: Duration,
) -> io::Result<Appends> {
    let path = dir.join("appends");
    let mut file = File::create(&path)?;
    let bytes = vec![b'x'; RECORD_BYTES * batch];
    let began = Instant::now();
    let mut records = 0;
    while began.elapsed() < length {
        file.write_all(&bytes)?;
        file.sync_data()?;
        records += batch;
    }
    let elapsed = began.elapsed();
    fs::remove_file(path)?;
    Ok(Appends { records, elapsed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_answer_is_served_without_its_framing() {
        let recorded = b"HTTP/1.1 200 OK\r\nX-Consul-Index: 7\r\nDate: now\r\nTransfer-Encoding: chunked\r\n\r\n[]";
        let reply = Reply::parse(recorded).unwrap();
        assert_eq!(reply.headers.len(), 1);
        assert_eq!(reply.headers["x-consul-index"], "7");
        assert_eq!(reply.body, "[]");
        assert!(Reply::parse(b"no head").is_err());
    }
}
