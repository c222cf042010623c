//! Listeners for streams: an accept loop that an aborted connection does not end, and a task for each connection.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::certificates::Certificates;
use super::stream::{converse, within};
use super::{Door, Service, https};
use crate::limits::{
    ACCEPT_REST, HANDSHAKE_WAIT, SECURE_QUERIES_MAX, TCP_CONNECTIONS_MAX, TCP_QUERIES_MAX,
};

/// What is spoken on the connections to a listener.
#[derive(Clone)]
enum Spoken {
    /// DNS over TCP (RFC 7766).
    Plain,
    /// DNS over TLS (RFC 7858).
    Tls(Arc<Certificates>),
    /// DNS over HTTPS (RFC 8484).
    Https(Arc<Certificates>),
}

/// Serves the connections to a listener until `stop` says so, or whoever holds it is gone.
pub async fn serve_tcp<D: Door>(
    listener: TcpListener,
    service: Arc<Service<D>>,
    stop: watch::Receiver<bool>,
) {
    serve(listener, service, Spoken::Plain, stop).await;
}

/// The same, within TLS.
pub async fn serve_tls<D: Door>(
    listener: TcpListener,
    service: Arc<Service<D>>,
    certificates: Arc<Certificates>,
    stop: watch::Receiver<bool>,
) {
    serve(listener, service, Spoken::Tls(certificates), stop).await;
}

/// Serves HTTPS requests for `/dns-query` in the same way.
pub async fn serve_https<D: Door>(
    listener: TcpListener,
    service: Arc<Service<D>>,
    certificates: Arc<Certificates>,
    stop: watch::Receiver<bool>,
) {
    serve(listener, service, Spoken::Https(certificates), stop).await;
}

async fn serve<D: Door>(
    listener: TcpListener,
    service: Arc<Service<D>>,
    spoken: Spoken,
    mut stop: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    tokio::select! {
        () = accept_for_ever(&listener, &service, &spoken, &mut connections) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
    connections.shutdown().await;
}

async fn accept_for_ever<D: Door>(
    listener: &TcpListener,
    service: &Arc<Service<D>>,
    spoken: &Spoken,
    connections: &mut JoinSet<()>,
) {
    let places = Arc::new(Semaphore::new(TCP_CONNECTIONS_MAX));
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("nobody closes it");
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, from)) => {
                let (service, spoken) = (Arc::clone(service), spoken.clone());
                connections.spawn(async move {
                    let _place = place;
                    if let Err(error) = serve_connection(stream, from, &service, &spoken).await {
                        tracing::debug!(%error, client = %from, "connection ended");
                    }
                });
            }
            // The client gave up before it was served; the next one may not have.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!(%error, "accepting failed");
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
}

async fn serve_connection<D: Door>(
    stream: TcpStream,
    from: SocketAddr,
    service: &Arc<Service<D>>,
    spoken: &Spoken,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    match spoken {
        Spoken::Plain => converse(stream, from.ip(), service, TCP_QUERIES_MAX).await,
        Spoken::Tls(certificates) => {
            let stream = greet(stream, TlsAcceptor::from(certificates.tls())).await?;
            converse(stream, from.ip(), service, SECURE_QUERIES_MAX).await
        }
        Spoken::Https(certificates) => {
            let stream = greet(stream, TlsAcceptor::from(certificates.https())).await?;
            https::serve_connection(stream, from.ip(), service).await
        }
    }
}

/// Agrees on TLS.
async fn greet(stream: TcpStream, acceptor: TlsAcceptor) -> io::Result<TlsStream<TcpStream>> {
    within(HANDSHAKE_WAIT, acceptor.accept(stream)).await
}
