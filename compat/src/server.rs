//! The listener's side: connections, their bounds, and the end.

pub(crate) mod malformed;

use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{debug, warn};

use self::malformed::{Answering, Guarded};
use crate::limits::{ACCEPT_PAUSE, DRAIN_MAX};
use crate::{Site, dispatch};

/// Serves the API until `stop` says so; then what is on its way gets a moment, and everything else ends.
pub async fn serve(listener: TcpListener, site: Arc<Site>, mut stop: watch::Receiver<bool>) {
    let house = Arc::new(House { server: server(&site), site, clients: Arc::default() });
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok((stream, peer)) => connections.spawn(connection(&house, stream, peer)),
            Err(error) => {
                warn!(%error, "no connection could be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
    }
    drop(listener);
    tokio::time::sleep(DRAIN_MAX).await;
}

/// What all connections share.
struct House {
    server: http1::Builder,
    site: Arc<Site>,
    clients: Arc<Clients>,
}

fn server(site: &Site) -> http1::Builder {
    let mut server = http1::Builder::new();
    server
        .title_case_headers(true)
        .timer(TokioTimer::new())
        .header_read_timeout(site.settings.idle_timeout)
        .max_buf_size(site.settings.header_bytes_max.max(BUFFER_MIN));
    server
}

/// Serves one connection to its end. Thousands of these may wait: each keeps as little as it can.
fn connection(
    house: &House,
    stream: TcpStream,
    peer: SocketAddr,
) -> impl Future<Output = ()> + Send + use<> {
    // Answers are written whole: waiting for more to send would only delay them.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "no delay could not be set");
    }
    let max = house.site.settings.connections_per_client_max;
    let mut entered = match house.clients.enter(peer.ip(), max) {
        None => Err(stream),
        Some(place) => {
            let answering = Answering::default();
            let stream = TokioIo::new(Guarded::new(stream, answering.clone()));
            let site = Arc::clone(&house.site);
            let service =
                service_fn(move |request| dispatch::answer(&site, &answering, peer, request));
            Ok((house.server.serve_connection(stream, service), place))
        }
    };
    async move {
        let ended = match &mut entered {
            Ok((serving, _place)) => serving.await,
            Err(stream) => return Box::pin(send_last(stream, TOO_MANY)).await,
        };
        let Err(error) = ended else { return };
        debug!(%error, "a connection ended");
        if let Ok((serving, _place)) = entered
            && error.is_parse()
        {
            let mut parts = Box::new(serving.into_parts());
            let answer = malformed::answer(&parts.read_buf, error.is_parse_too_large());
            Box::pin(send_last(&mut parts.io.inner_mut().stream, &answer)).await;
        }
    }
}

/// The smallest buffer that the HTTP library takes.
const BUFFER_MIN: usize = 8192;

/// What a client with too many connections is told, as Consul does: at once and raw.
const TOO_MANY: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nYour IP is issuing too many concurrent connections, please rate limit your calls\n";

/// Sends the last that a client will hear on a connection.
async fn send_last(stream: &mut TcpStream, answer: &[u8]) {
    let sent = async {
        stream.write_all(answer).await?;
        stream.shutdown().await
    };
    if let Err(error) = sent.await {
        debug!(%error, "a refused client went away");
    }
}

/// How many connections each address has.
#[derive(Default)]
struct Clients(Mutex<HashMap<IpAddr, usize>>);

/// A connection's place among those of its address; given back when dropped.
struct Place {
    clients: Arc<Clients>,
    address: IpAddr,
}

impl Clients {
    /// Takes a place, unless the address has as many as it may (0: as many as it likes).
    fn enter(self: &Arc<Self>, address: IpAddr, max: usize) -> Option<Place> {
        let mut counts = self.counts();
        let count = counts.entry(address).or_insert(0);
        if max != 0 && *count >= max {
            return None;
        }
        *count += 1;
        drop(counts);
        Some(Place { clients: Arc::clone(self), address })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.clients.counts();
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_only_so_many_places() {
        let clients = Arc::new(Clients::default());
        let (one, other): (IpAddr, IpAddr) =
            ("127.0.0.1".parse().unwrap(), "127.0.0.2".parse().unwrap());
        let first = clients.enter(one, 2);
        let _second = clients.enter(one, 2);
        assert!(clients.enter(one, 2).is_none());
        assert!(clients.enter(other, 2).is_some());
        drop(first);
        assert!(clients.enter(one, 2).is_some());
        assert!(clients.enter(one, 0).is_some());
    }
}
