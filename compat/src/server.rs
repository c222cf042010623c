//! The listeners' side: connections, their bounds, and the end.

mod clients;
pub(crate) mod course;
pub(crate) mod gate;
mod guard;
mod malformed;
mod secure;
mod socket;
pub(crate) mod tracked;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use futures_util::future::Either;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{debug, warn};

use self::clients::{Clients, Place};
use self::course::Answering;
use self::gate::Gate;
use self::guard::Guarded;
pub use self::secure::Certificates;
pub use self::socket::Listener;
use self::socket::Socket;
use crate::limits::{ACCEPT_PAUSE, DRAIN_MAX};
use crate::settings::{Settings, Timeouts};
use crate::{Site, dispatch};

/// The API, over all listeners: what answers come from, and what is counted.
pub struct Api {
    site: ArcSwap<Site>,
    gate: ArcSwap<Gate>,
    clients: Arc<Clients>,
    born: Instant,
}

/// Serves the API on a listener until `stop` says so; then what is on its way gets a moment, and everything else ends.
/// With certificates it speaks TLS.
pub async fn serve(
    api: Arc<Api>,
    listener: impl Into<Listener>,
    certificates: Option<Certificates>,
    mut stop: watch::Receiver<bool>,
) {
    let listener = listener.into();
    let counter = Arc::new(Counter::new(api));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        match (accepted, &certificates) {
            (Ok((socket, peer)), None) => connections.spawn(connection(&counter, socket, peer)),
            (Ok((socket, peer)), Some(certificates)) => {
                connections.spawn(secure::connection(&counter, certificates, socket, peer))
            }
            (Err(error), _) => {
                warn!(%error, "no connection could be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
    }
    drop(listener);
    tokio::time::sleep(DRAIN_MAX).await;
}

/// What the connections of a listener share.
struct Counter {
    api: Arc<Api>,
    http1: http1::Builder,
    header_bytes_max: usize,
    timeouts: Arc<Timeouts>,
}

// === impl Api ===

impl Api {
    /// The API of a site.
    #[must_use]
    pub fn new(site: Site) -> Arc<Self> {
        Arc::new(Self {
            gate: ArcSwap::from_pointee(Gate::new(site.settings.request_limits)),
            site: ArcSwap::from_pointee(site),
            clients: Arc::default(),
            born: Instant::now(),
        })
    }

    /// What answers come from now.
    #[must_use]
    pub fn site(&self) -> Arc<Site> {
        self.site.load_full()
    }

    /// Goes on with these settings, from the next request on; those of listeners and timeouts stay.
    pub fn settle(&self, settings: Settings) {
        if !self.gate.load().is_of(settings.request_limits) {
            self.gate.store(Arc::new(Gate::new(settings.request_limits)));
        }
        let site = self.site();
        self.site.store(Arc::new(Site { settings, ..(*site).clone() }));
    }

    /// Who is let through.
    pub(crate) fn gate(&self) -> arc_swap::Guard<Arc<Gate>> {
        self.gate.load()
    }

    /// How long it has been there.
    pub(crate) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.born)
    }
}

// === impl Counter ===

impl Counter {
    fn new(api: Arc<Api>) -> Self {
        let site = api.site();
        let header_bytes_max = site.settings.header_bytes_max.saturating_add(HEADER_SLOP);
        let mut http1 = http1::Builder::new();
        // Who waits too long is the guard's to say.
        http1
            .title_case_headers(true)
            .header_read_timeout(None)
            .max_buf_size(header_bytes_max.max(BUFFER_MIN));
        Self { http1, header_bytes_max, timeouts: Arc::new(site.settings.timeouts), api }
    }

    /// A place for one more connection of a client, if he may have one.
    fn enter(&self, peer: SocketAddr) -> Option<Place> {
        let max = self.api.site.load().settings.connections_per_client_max;
        self.api.clients.enter(peer.ip(), max)
    }
}

/// Serves one connection to its end. Thousands of these may wait: each keeps as little as it can.
fn connection(
    counter: &Counter,
    socket: Socket,
    peer: SocketAddr,
) -> impl Future<Output = ()> + Send + use<> {
    match counter.enter(peer) {
        Some(place) => Either::Left(http1(counter, socket, Socket::ends, peer, place)),
        None => Either::Right(refuse(Box::new(socket))),
    }
}

/// Tells a client that he has too many connections.
async fn refuse(mut socket: Box<Socket>) {
    Box::pin(send_last(&mut socket, TOO_MANY)).await;
}

/// Speaks HTTP/1.1 on a stream to its end.
fn http1<S>(
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
    let service = service_fn(move |request| dispatch::answer(&api, &answering, peer, request));
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

/// Heads may have so many bytes more than is said, as Go's server lets them.
pub(crate) const HEADER_SLOP: usize = 4096;

/// What a client with too many connections is told, as Consul does: at once and raw.
const TOO_MANY: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain\r\nContent-Length: 81\r\nConnection: close\r\n\r\nYour IP is issuing too many concurrent connections, please rate limit your calls\n";

/// Sends the last that a client will hear on a connection.
async fn send_last(stream: &mut (impl AsyncWrite + Unpin), answer: &[u8]) {
    let sent = async {
        stream.write_all(answer).await?;
        stream.shutdown().await
    };
    if let Err(error) = sent.await {
        debug!(%error, "a refused client went away");
    }
}
