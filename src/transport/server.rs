//! Answers other anchors. Whoever is none of the neighbours gets no further than the handshake.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use proconsul_anchors::handle::{AskFault, Handle};
use proconsul_anchors::traversal::REQUEST_BYTES_MAX;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tracing::{error, warn};

use super::{ASK, CONTACT, HANDSHAKE_MAX, keys};

/// Connections of other anchors at most.
const CONNECTIONS_MAX: usize = 256;
/// Questions over one connection at a time at most: each followed answer is one.
const STREAMS_MAX: u32 = 8_192;
/// Bytes of a request's headers at most.
const HEADERS_BYTES_MAX: u32 = 4 << 10;

type Answered = Response<Full<Bytes>>;

/// Serves a listener until the program stops.
pub(super) async fn serve(
    listener: TcpListener,
    handle: Handle,
    mut stopping: watch::Receiver<bool>,
) {
    let config = match keys::server(&handle) {
        Ok(config) => Arc::new(config),
        Err(why) => return error!(%why, "other anchors cannot be answered"),
    };
    let acceptor = TlsAcceptor::from(config);
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.wait_for(|stop| *stop) => return,
        };
        let Ok((stream, from)) = accepted else { continue };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            warn!(%from, "too many anchors call at once; this one is not answered");
            continue;
        };
        let (acceptor, handle) = (acceptor.clone(), handle.clone());
        tokio::spawn(async move {
            if let Err(why) = connection(stream, &acceptor, handle).await {
                warn!(%from, %why, "somebody who calls as an anchor is not answered");
            }
            drop(place);
        });
    }
}

async fn connection(
    stream: TcpStream,
    acceptor: &TlsAcceptor,
    handle: Handle,
) -> Result<(), String> {
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let shaken = tokio::time::timeout(HANDSHAKE_MAX, acceptor.accept(stream)).await;
    let stream = shaken.map_err(|_| "the handshake took too long".to_owned())?;
    let stream = stream.map_err(|error| error.to_string())?;
    let proofs = stream.get_ref().1.peer_certificates();
    let key = proofs.and_then(|proofs| keys::key_of(proofs.first()?));
    let key: Arc<str> = key.ok_or("no key was proven")?.into();
    let service = service_fn(move |request| {
        let (handle, key) = (handle.clone(), Arc::clone(&key));
        async move { Ok::<_, Infallible>(answer(&handle, &key, request).await) }
    });
    let served = http2::Builder::new(TokioExecutor::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADERS_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    // A neighbour that hangs up is no news.
    if let Err(error) = served {
        tracing::debug!(%error, "a connection of another anchor ended");
    }
    Ok(())
}

async fn answer(handle: &Handle, key: &str, request: Request<Incoming>) -> Answered {
    let (head, body) = request.into_parts();
    if head.method != Method::POST {
        return told(StatusCode::METHOD_NOT_ALLOWED, "anchors ask by POST");
    }
    let Ok(body) = Limited::new(body, REQUEST_BYTES_MAX).collect().await else {
        return told(StatusCode::PAYLOAD_TOO_LARGE, "the question is too large");
    };
    match head.uri.path() {
        CONTACT => match handle.contact(key) {
            Some(contact) => json(&contact),
            None => told(StatusCode::FORBIDDEN, "no adjacency"),
        },
        ASK => ask(handle, key, &body.to_bytes()).await,
        _ => told(StatusCode::NOT_FOUND, "anchors are asked elsewhere"),
    }
}

async fn ask(handle: &Handle, key: &str, body: &[u8]) -> Answered {
    let ask = match serde_json::from_slice(body) {
        Ok(ask) => ask,
        Err(why) => {
            warn!(%key, %why, "a question of another anchor cannot be read");
            return told(StatusCode::BAD_REQUEST, "the question cannot be read");
        }
    };
    match handle.hop(key, ask).await {
        Ok(reply) => json(&reply),
        Err(fault) => {
            warn!(%key, %fault, "a question of another anchor is not answered");
            let status = match fault {
                AskFault::Stranger(_) => StatusCode::FORBIDDEN,
                AskFault::Chain(_) | AskFault::Replayed => StatusCode::BAD_REQUEST,
                AskFault::Answer(_) | AskFault::Refusal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            };
            told(status, &fault.to_string())
        }
    }
}

fn json<T: serde::Serialize>(value: &T) -> Answered {
    let body = serde_json::to_vec(value).expect("what anchors say has text keys only");
    Response::new(Full::new(body.into()))
}

fn told(status: StatusCode, text: &str) -> Answered {
    let mut response = Response::new(Full::new(Bytes::copy_from_slice(text.as_bytes())));
    *response.status_mut() = status;
    response
}
