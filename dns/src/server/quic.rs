//! DNS over QUIC (RFC 9250): a connection for each client, a stream for each query.

use std::io;
use std::net::{IpAddr, UdpSocket};
use std::sync::Arc;

use quinn::{
    Connection, Endpoint, EndpointConfig, Incoming, ReadExactError, RecvStream, SendStream,
    TokioRuntime, VarInt,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::certificates::Certificates;
use super::{Door, Response, Service};
use crate::limits::{
    HANDSHAKE_WAIT, QUIC_UNPROVEN_MAX, SECURE_QUERIES_MAX, TCP_CONNECTIONS_MAX, TCP_FIRST_WAIT,
    TCP_IDLE_WAIT, TCP_WRITE_WAIT,
};
use crate::shape::Transport;

/// How connections and streams end (RFC 9250 §4.3).
const NO_ERROR: VarInt = VarInt::from_u32(0);
const PROTOCOL_ERROR: VarInt = VarInt::from_u32(2);
const EXCESSIVE_LOAD: VarInt = VarInt::from_u32(4);

/// Why a stream has no reply.
enum Failed {
    /// The client does not keep to the protocol: its connection ends.
    Protocol,
    /// The client went away, or took too long.
    Gone,
}

/// Answers what arrives at a socket until `stop` says so, or whoever holds it is gone.
pub async fn serve_quic<D: Door>(
    socket: UdpSocket,
    service: Arc<Service<D>>,
    certificates: Arc<Certificates>,
    mut stop: watch::Receiver<bool>,
) {
    let endpoint = match open(socket, &certificates) {
        Ok(endpoint) => endpoint,
        Err(error) => return tracing::error!(%error, "QUIC does not come up"),
    };
    let mut connections = JoinSet::new();
    tokio::select! {
        () = accept_for_ever(&endpoint, &service, &certificates, &mut connections) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
    endpoint.close(NO_ERROR, b"");
    connections.shutdown().await;
}

fn open(socket: UdpSocket, certificates: &Certificates) -> io::Result<Endpoint> {
    socket.set_nonblocking(true)?;
    let config = certificates.quic().as_ref().clone();
    Endpoint::new(EndpointConfig::default(), Some(config), socket, Arc::new(TokioRuntime))
}

async fn accept_for_ever<D: Door>(
    endpoint: &Endpoint,
    service: &Arc<Service<D>>,
    certificates: &Arc<Certificates>,
    connections: &mut JoinSet<()>,
) {
    let places = Arc::new(Semaphore::new(TCP_CONNECTIONS_MAX));
    while let Some(incoming) = endpoint.accept().await {
        while connections.try_join_next().is_some() {}
        let taken = TCP_CONNECTIONS_MAX - places.available_permits();
        // A crowd has to show that it can hear before anything is kept of it.
        if taken >= QUIC_UNPROVEN_MAX && !incoming.remote_address_validated() {
            if incoming.retry().is_err() {
                tracing::debug!("a client could not be asked to prove its address");
            }
            continue;
        }
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            incoming.refuse();
            continue;
        };
        connections.spawn(serve_connection(
            incoming,
            Arc::clone(service),
            Arc::clone(certificates),
            place,
        ));
    }
}

async fn serve_connection<D: Door>(
    incoming: Incoming,
    service: Arc<Service<D>>,
    certificates: Arc<Certificates>,
    _place: OwnedSemaphorePermit,
) {
    let from = incoming.remote_address();
    let Ok(connecting) = incoming.accept_with(certificates.quic()) else { return };
    let connection = match timeout(HANDSHAKE_WAIT, connecting).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return tracing::debug!(%error, client = %from, "no agreement on QUIC"),
        Err(_) => return tracing::debug!(client = %from, "no agreement on QUIC in time"),
    };
    let mut streams = JoinSet::new();
    let mut patience = TCP_FIRST_WAIT;
    for _ in 0..SECURE_QUERIES_MAX {
        while streams.try_join_next().is_some() {}
        let next = timeout(patience, connection.accept_bi()).await;
        let (send, receive) = match next {
            Ok(Ok(stream)) => stream,
            Ok(Err(_)) => return,
            // Who waits for a reply is not idle.
            Err(_) if !streams.is_empty() => continue,
            Err(_) => return connection.close(NO_ERROR, b""),
        };
        patience = TCP_IDLE_WAIT;
        streams.spawn(answer(connection.clone(), from.ip(), Arc::clone(&service), send, receive));
    }
    while streams.join_next().await.is_some() {}
    connection.close(EXCESSIVE_LOAD, b"");
}

/// Answers the query of a stream.
async fn answer<D: Door>(
    connection: Connection,
    from: IpAddr,
    service: Arc<Service<D>>,
    mut send: SendStream,
    mut receive: RecvStream,
) {
    let query = timeout(TCP_FIRST_WAIT, read(&mut receive)).await.unwrap_or(Err(Failed::Gone));
    let query = match query {
        Ok(query) => query,
        Err(Failed::Protocol) => return connection.close(PROTOCOL_ERROR, b""),
        Err(Failed::Gone) => return,
    };
    let response = service.respond(Transport::Tcp, Some(from), &query, &mut rand::rng());
    let reply = match response {
        Response::Silence => return connection.close(PROTOCOL_ERROR, b""),
        Response::Now(reply) => reply,
        Response::Later(reply) => reply.await,
    };
    let Ok(length) = u16::try_from(reply.len()) else { return };
    let framed = [&length.to_be_bytes(), &reply[..]].concat();
    let sent = timeout(TCP_WRITE_WAIT, send.write_all(&framed)).await;
    if matches!(sent, Ok(Ok(()))) {
        // Nobody waits for it any more when this fails.
        let _finished = send.finish();
    }
}

/// One query, whose number is zero (RFC 9250 §4.2.1), and the end of the stream.
async fn read(receive: &mut RecvStream) -> Result<Vec<u8>, Failed> {
    let failed = |error| match error {
        ReadExactError::FinishedEarly(_) => Failed::Protocol,
        ReadExactError::ReadError(_) => Failed::Gone,
    };
    let mut length = [0; 2];
    receive.read_exact(&mut length).await.map_err(failed)?;
    let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
    receive.read_exact(&mut query).await.map_err(failed)?;
    match query.get(..2) {
        Some([0, 0]) => Ok(query),
        _ => Err(Failed::Protocol),
    }
}
