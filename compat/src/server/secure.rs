//! Connections with TLS: who may come, what is spoken, and when nobody asks any more.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::FutureExt as _;
use http::header::CONTENT_LENGTH;
use http::{Method, Response};
use hyper::body::Body as _;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;
use tracing::debug;

use super::connection::{Counter, TOO_MANY, http1, send_last};
use super::course::Answering;
use super::socket::Socket;
use super::tracked::Tracked;
use crate::dispatch;

/// What TLS is spoken with; whoever comes next gets what is there then.
pub type Certificates = Arc<ArcSwap<ServerConfig>>;

/// The protocol that a client may choose besides HTTP/1.1.
const HTTP2: &[u8] = b"h2";

/// Requests that a client may have open on one connection (Go's own bound).
const STREAMS_MAX: u32 = 250;

/// A client with too many connections is told so if it can be reached in this time; else it is just cut off.
const REFUSAL_MAX: Duration = Duration::from_millis(100);

/// The first bytes of requests that come without TLS, as Go's server knows them.
const PLAIN: [&[u8; 5]; 5] = [b"GET /", b"HEAD ", b"POST ", b"PUT /", b"OPTIO"];

/// What whoever sends them is told.
const NOT_PLAIN: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// Serves one connection to its end.
pub(super) fn connection(
    counter: &Arc<Counter>,
    certificates: &Certificates,
    socket: Socket,
    peer: SocketAddr,
) -> impl Future<Output = ()> + Send + use<> {
    let (counter, certificates) = (Arc::clone(counter), Arc::clone(certificates));
    async move {
        let place = counter.api.enter(peer.ip());
        let patience = place.as_ref().map_or(REFUSAL_MAX, |_| counter.timeouts.handshake);
        let mut stream = match timeout(patience, greet(&certificates, socket)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return debug!(%error, from = %peer, "no agreement on TLS"),
            Err(_) => return debug!(from = %peer, "no agreement on TLS in time"),
        };
        let Some(place) = place else { return send_last(&mut stream, TOO_MANY).await };
        if stream.get_ref().1.alpn_protocol() == Some(HTTP2) {
            http2(&counter, stream, peer).await;
            drop(place);
        } else {
            http1(&counter, stream, |stream| stream.get_ref().0.ends(), peer, place).await;
        }
    }
}

/// Agrees on TLS.
async fn greet(certificates: &Certificates, mut socket: Socket) -> io::Result<TlsStream<Socket>> {
    let mut first = [0; 5];
    if socket.peek(&mut first).await? == first.len() && PLAIN.contains(&&first) {
        send_last(&mut socket, NOT_PLAIN).await;
        return Err(io::Error::other("the client speaks HTTP without TLS"));
    }
    TlsAcceptor::from(certificates.load_full()).accept(socket).await
}

/// Speaks HTTP/2 on a stream to its end.
async fn http2(counter: &Counter, stream: TlsStream<Socket>, peer: SocketAddr) {
    let listener = Arc::clone(&counter.listener);
    let write = counter.timeouts.write;
    let answering = Answering::new(Some(write));
    let (api, course) = (Arc::clone(&counter.api), answering.clone());
    // An answer that does not come in time takes its stream with it, and no other.
    let service = service_fn(move |request| {
        let method = request.method().clone();
        timeout(write, dispatch::answer(&api, &answering, (peer, &listener), request))
            .map(move |answer| answer.map(|Ok(sent)| framed(&method, sent)))
    });
    let header_bytes_max = u32::try_from(counter.header_bytes_max).unwrap_or(u32::MAX);
    let serving = http2::Builder::new(TokioExecutor::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(header_bytes_max)
        .serve_connection(TokioIo::new(stream), service);
    let mut serving = pin!(serving);
    loop {
        let (taken, idle_at) = (course.taken(), Instant::now() + counter.timeouts.idle);
        tokio::select! {
            ended = &mut serving => {
                if let Err(error) = ended {
                    debug!(%error, "a connection ended");
                }
                return;
            }
            () = sleep_until(idle_at) => {
                if !course.is_busy() && course.taken() == taken {
                    serving.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

/// An answer as Go's HTTP/2 sends it: its length is told, and HEAD gets no body. HTTP/1.1's library sees to both.
fn framed(method: &Method, mut sent: Response<Tracked>) -> Response<Tracked> {
    if let Some(length) = sent.body().size_hint().exact() {
        sent.headers_mut().entry(CONTENT_LENGTH).or_insert_with(|| length.into());
    }
    if method == Method::HEAD { sent.map(Tracked::silent) } else { sent }
}
