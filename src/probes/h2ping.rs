//! HTTP/2 ping checks: whoever acknowledges a ping is fit.

use std::time::Duration;

use h2::{Ping, Reason, client};
use proconsul_anchors::agent::ProbeResult;
use proconsul_anchors::node::definition::TlsSpec;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};

use super::dial::{DialError, Place, dial};
use super::tls::{Alpn, Trust, tls_words};
use super::{critical, os_words, passing};

pub(super) async fn perform(
    address: &str,
    tls: Option<&TlsSpec>,
    timeout: Duration,
    trust: &Trust,
) -> ProbeResult {
    let until = Instant::now() + timeout;
    let undialled = |why: &str| critical(format!("Failed to dial to {address}: {why}"));
    let stream = match dial(address, until).await {
        Ok(stream) => stream,
        Err(error) => return undialled(&error.to_string()),
    };
    let Some(tls) = tls else { return told(timeout_at(until, ping(stream)).await.ok()) };
    let host = Place::parse(address).map(|place| place.host).unwrap_or_default();
    match timeout_at(until, trust.greet(tls, &host, Alpn::Http2, stream)).await {
        Ok(Ok(stream)) => told(timeout_at(until, ping(stream)).await.ok()),
        Ok(Err(error)) => undialled(&tls_words(&error, &host)),
        Err(_) => undialled(&DialError::Timeout(address.to_owned()).to_string()),
    }
}

/// What a ping came to; nothing when time ran out.
fn told(outcome: Option<Result<(), h2::Error>>) -> ProbeResult {
    match outcome {
        Some(Ok(())) => passing("HTTP2 ping was successful"),
        Some(Err(error)) => critical(format!("HTTP2 ping failed: {}", ping_words(&error))),
        None => critical("HTTP2 ping failed: context deadline exceeded"),
    }
}

async fn ping<S>(stream: S) -> Result<(), h2::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (_requests, mut connection) = client::handshake(stream).await?;
    let mut pinger = connection.ping_pong().expect("it is asked for once");
    tokio::select! {
        pong = pinger.ping(Ping::opaque()) => pong.map(drop),
        ended = connection => ended.and(Err(Reason::NO_ERROR.into())),
    }
}

/// What went wrong below HTTP/2, in the words of Go's library.
pub(super) fn ping_words(error: &h2::Error) -> String {
    match (error.get_io(), error.reason()) {
        (Some(broken), _) if broken.raw_os_error().is_some() => os_words(broken),
        (Some(_), _) => "EOF".into(),
        // Whoever answers with something else than HTTP/2 is read as a frame that cannot be.
        (None, Some(Reason::FRAME_SIZE_ERROR)) => "http2: frame too large".into(),
        (None, _) => error.to_string(),
    }
}
