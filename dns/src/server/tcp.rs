//! Queries by stream: an accept loop that an aborted connection does not end, and a task for each connection.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Door, Response, Service};
use crate::limits::{
    ACCEPT_REST, MESSAGE_BYTES_MAX, TCP_CONNECTIONS_MAX, TCP_FIRST_WAIT, TCP_IDLE_WAIT,
    TCP_QUERIES_MAX, TCP_WRITE_WAIT,
};
use crate::shape::Transport;

/// Serves the connections to a listener until `stop` says so, or whoever holds it is gone.
pub async fn serve_tcp<D: Door>(
    listener: TcpListener,
    service: Arc<Service<D>>,
    mut stop: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    tokio::select! {
        () = accept_for_ever(&listener, &service, &mut connections) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
    connections.shutdown().await;
}

async fn accept_for_ever<D: Door>(
    listener: &TcpListener,
    service: &Arc<Service<D>>,
    connections: &mut JoinSet<()>,
) {
    let places = Arc::new(Semaphore::new(TCP_CONNECTIONS_MAX));
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("nobody closes it");
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, from)) => {
                let service = Arc::clone(service);
                connections.spawn(async move {
                    let _place = place;
                    if let Err(error) = serve_connection(stream, from, &service).await {
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

/// Answers the queries of one connection in their order. One that is not understood does not end it.
async fn serve_connection<D: Door>(
    mut stream: TcpStream,
    from: SocketAddr,
    service: &Arc<Service<D>>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut patience = TCP_FIRST_WAIT;
    for _ in 0..TCP_QUERIES_MAX {
        let message = within(patience, read_message(&mut stream)).await?;
        patience = TCP_IDLE_WAIT;
        let response = service.respond(Transport::Tcp, Some(from.ip()), &message, &mut rand::rng());
        let reply = match response {
            Response::Silence => continue,
            Response::Now(reply) => reply,
            Response::Later(reply) => reply.await,
        };
        within(TCP_WRITE_WAIT, write_message(&mut stream, &reply)).await?;
    }
    Ok(())
}

async fn within<T>(patience: Duration, step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(patience, step).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn read_message(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    let mut message = vec![0; usize::from(length)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

async fn write_message(stream: &mut TcpStream, reply: &[u8]) -> io::Result<()> {
    let length =
        u16::try_from(reply.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    debug_assert!(reply.len() <= MESSAGE_BYTES_MAX);
    let mut framed = Vec::with_capacity(2 + reply.len());
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(reply);
    stream.write_all(&framed).await
}
