//! One connection without TLS, and what it has in common with those that have it.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::future::Either;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tracing::debug;

use super::api::Api;
use super::clients::Place;
use super::course::Answering;
use super::guard::Guarded;
use super::malformed;
use super::socket::Socket;
use crate::dispatch;
use crate::limits::HEADER_SLOP;
use crate::settings::Timeouts;

/// What the connections of a listener share.
pub(super) struct Counter {
    pub(super) api: Arc<Api>,
    http1: http1::Builder,
    pub(super) header_bytes_max: usize,
    pub(super) timeouts: Arc<Timeouts>,
    /// As the configuration names it.
    pub(super) listener: Arc<str>,
}

// === impl Counter ===

impl Counter {
    pub(super) fn new(api: Arc<Api>, listener: Arc<str>) -> Self {
        let site = api.site();
        let header_bytes_max = site.settings.header_bytes_max.saturating_add(HEADER_SLOP);
        let mut http1 = http1::Builder::new();
        // Who waits too long is the guard's to say.
        http1
            .title_case_headers(true)
            .header_read_timeout(None)
            .max_buf_size(header_bytes_max.max(BUFFER_MIN));
        let timeouts = Arc::new(site.settings.timeouts);
        Self { http1, header_bytes_max, timeouts, listener, api }
    }
}

/// Serves one connection to its end. Thousands of these may wait: each keeps as little as it can.
pub(super) fn connection(
    counter: &Counter,
    socket: Socket,
    peer: SocketAddr,
) -> impl Future<Output = ()> + Send + use<> {
    match counter.api.enter(peer.ip()) {
        Some(place) => Either::Left(http1(counter, socket, Socket::ends, peer, place)),
        None => Either::Right(refuse(Box::new(socket))),
    }
}

/// Tells a client that he has too many connections.
async fn refuse(mut socket: Box<Socket>) {
    Box::pin(send_last(&mut socket, TOO_MANY)).await;
}

/// Speaks HTTP/1.1 on a stream to its end.
pub(super) fn http1<S>(
    counter: &Counter,
    stream: S,
    ends: fn(&S) -> String,
    peer: SocketAddr,
    place: Place,
) -> impl Future<Output = ()> + Send + use<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let answering = Answering::default();
    let guarded = Guarded::new(stream, answering.clone(), Arc::clone(&counter.timeouts), ends);
    let api = Arc::clone(&counter.api);
    let listener = Arc::clone(&counter.listener);
    let service =
        service_fn(move |request| dispatch::answer(&api, &answering, (peer, &listener), request));
    let mut serving = counter.http1.serve_connection(TokioIo::new(guarded), service);
    async move {
        let _until_the_end = &place;
        let Err(error) = (&mut serving).await else { return };
        debug!(%error, "a connection ended");
        let mut parts = Box::new(serving.into_parts());
        let guarded = parts.io.inner_mut();
        // A head that broke off for too long is one that cannot be read.
        if error.is_parse() || (guarded.is_late() && !parts.read_buf.is_empty()) {
            let answer = malformed::answer(&parts.read_buf, error.is_parse_too_large());
            Box::pin(send_last(&mut guarded.stream, &answer)).await;
        }
    }
}

/// The smallest buffer that the HTTP library takes.
const BUFFER_MIN: usize = 8192;

/// What a client with too many connections is told, as Consul does: at once and raw.
pub(super) const TOO_MANY: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain\r\nContent-Length: 81\r\nConnection: close\r\n\r\nYour IP is issuing too many concurrent connections, please rate limit your calls\n";

/// Sends the last that a client will hear on a connection.
pub(super) async fn send_last(stream: &mut (impl AsyncWrite + Unpin), answer: &[u8]) {
    let sent = async {
        stream.write_all(answer).await?;
        stream.shutdown().await
    };
    if let Err(error) = sent.await {
        debug!(%error, "a refused client went away");
    }
}
