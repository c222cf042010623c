//! gRPC checks: the health protocol of gRPC (`grpc.health.v1.Health/Check`).

use std::pin::pin;
use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use futures_util::FutureExt as _;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper::header::HeaderMap;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use proconsul_anchors::agent::ProbeResult;
use proconsul_anchors::node::definition::TlsSpec;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};

use super::dial::{DialError, Place, dial};
use super::h2ping::ping_words;
use super::tls::{Alpn, Trust, tls_words};
use super::{critical, passing};

/// An answer is a few bytes; whoever sends more speaks something else.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// gRPC's codes by number.
const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];
const UNKNOWN: usize = 2;
const DEADLINE_EXCEEDED: usize = 4;
const UNIMPLEMENTED: usize = 12;
const INTERNAL: usize = 13;
const UNAVAILABLE: usize = 14;

/// gRPC's failure: a code and a description.
struct RpcError(usize, String);

pub(super) async fn perform(
    target: &str,
    tls: Option<&TlsSpec>,
    timeout: Duration,
    trust: &Trust,
) -> ProbeResult {
    let until = Instant::now() + timeout;
    let (server, service) = target.split_once('/').unwrap_or((target, ""));
    match ask(server, service, tls, until, trust).await {
        Ok(1) => passing(format!("gRPC check {target}: success")),
        Ok(status) => critical(format!("gRPC {target} serving status: {}", status_name(status))),
        Err(RpcError(code, text)) => {
            let code =
                CODES.get(code).map_or_else(|| format!("Code({code})"), |name| (*name).to_owned());
            critical(format!("rpc error: code = {code} desc = {text}"))
        }
    }
}

async fn ask(
    server: &str,
    service: &str,
    tls: Option<&TlsSpec>,
    until: Instant,
    trust: &Trust,
) -> Result<u64, RpcError> {
    let late = "context deadline exceeded while waiting for connections to become ready";
    let stream = dial(server, until).await.map_err(|error| match error {
        DialError::Timeout(_) => RpcError(DEADLINE_EXCEEDED, late.into()),
        error => unconnected(&format!("transport: Error while dialing: {error}")),
    })?;
    let Some(tls) = tls else { return call(stream, "http", server, service, until).await };
    let host = Place::parse(server).map(|place| place.host).unwrap_or_default();
    let greeted = timeout_at(until, trust.greet(tls, &host, Alpn::Http2, stream)).await;
    let stream = greeted.map_err(|_| RpcError(DEADLINE_EXCEEDED, late.into()))?;
    let failed =
        |why: &str| unconnected(&format!("transport: authentication handshake failed: {why}"));
    let stream = stream.map_err(|error| failed(&tls_words(&error, &host)))?;
    if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
        return Err(failed("credentials: cannot check peer: missing selected ALPN property"));
    }
    call(stream, "https", server, service, until).await
}

async fn call<S>(
    stream: S,
    scheme: &str,
    server: &str,
    service: &str,
    until: Instant,
) -> Result<u64, RpcError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let exchange = async {
        let broken = |error: hyper::Error| unconnected(&preface_words(&error));
        let (mut sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.map_err(broken)?;
        let request = request(scheme, server, service)
            .map_err(|error| RpcError(INTERNAL, error.to_string()))?;
        let mut asked =
            pin!(async move { read(sender.send_request(request).await.map_err(broken)?).await });
        // Whoever asks is only told that the connection broke; the connection tells why.
        tokio::select! {
            biased;
            ended = connection => match (ended, asked.as_mut().now_or_never()) {
                (_, Some(Ok(status))) => Ok(status),
                (Err(error), _) => Err(broken(error)),
                (Ok(()), Some(failed)) => failed,
                (Ok(()), None) => asked.await,
            },
            answer = &mut asked => answer,
        }
    };
    match timeout_at(until, exchange).await {
        Ok(answer) => answer,
        Err(_) => Err(RpcError(DEADLINE_EXCEEDED, "context deadline exceeded".into())),
    }
}

fn request(scheme: &str, server: &str, service: &str) -> Result<Request<Full<Bytes>>, http::Error> {
    Request::post(format!("{scheme}://{server}/grpc.health.v1.Health/Check"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", "grpc-proconsul")
        .body(Full::new(message(service)))
}

/// `HealthCheckRequest { service }`, framed.
fn message(service: &str) -> Bytes {
    let mut body = BytesMut::new();
    if !service.is_empty() {
        body.put_u8(0x0a);
        put_varint(&mut body, service.len() as u64);
        body.put_slice(service.as_bytes());
    }
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(u32::try_from(body.len()).unwrap_or(u32::MAX));
    framed.put(body);
    framed.freeze()
}

async fn read(response: Response<Incoming>) -> Result<u64, RpcError> {
    let (head, body) = response.into_parts();
    refusal(&head.headers)?;
    if head.status.as_u16() != 200 {
        let code = match head.status.as_u16() {
            401 => 16,
            403 => 7,
            404 => UNIMPLEMENTED,
            429 | 502..=504 => UNAVAILABLE,
            _ => UNKNOWN,
        };
        return Err(RpcError(
            code,
            format!("unexpected HTTP status code received from server: {}", go_status(head.status)),
        ));
    }
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(|error| RpcError(UNAVAILABLE, error.to_string()))?;
    if let Some(trailers) = body.trailers() {
        refusal(trailers)?;
    }
    serving_status(body.to_bytes())
        .ok_or_else(|| RpcError(INTERNAL, "the answer is no HealthCheckResponse".into()))
}

/// The failure that headers or trailers tell.
fn refusal(headers: &HeaderMap) -> Result<(), RpcError> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    match text("grpc-status").map(str::parse::<usize>) {
        None | Some(Ok(0)) => Ok(()),
        Some(code) => Err(RpcError(
            code.unwrap_or(UNKNOWN),
            unescape(text("grpc-message").unwrap_or_default()),
        )),
    }
}

/// The `status` of a framed `HealthCheckResponse`; an empty one is 0.
fn serving_status(mut framed: Bytes) -> Option<u64> {
    if framed.len() < 5 || framed.get_u8() != 0 {
        return None;
    }
    let length = usize::try_from(framed.get_u32()).ok()?;
    let mut body = (length <= framed.len()).then(|| framed.split_to(length))?;
    let mut status = 0;
    while body.has_remaining() {
        let tag = take_varint(&mut body)?;
        match (tag >> 3, tag & 7) {
            (1, 0) => status = take_varint(&mut body)?,
            (_, 0) => drop(take_varint(&mut body)?),
            (_, 2) => {
                let length = usize::try_from(take_varint(&mut body)?).ok()?;
                (length <= body.len()).then(|| body.advance(length))?;
            }
            _ => return None,
        }
    }
    Some(status)
}

fn put_varint(into: &mut BytesMut, mut number: u64) {
    while number >= 0x80 {
        into.put_u8((number as u8 & 0x7f) | 0x80);
        number >>= 7;
    }
    into.put_u8(number as u8);
}

fn take_varint(from: &mut Bytes) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = from.has_remaining().then(|| from.get_u8())?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn unconnected(why: &str) -> RpcError {
    RpcError(UNAVAILABLE, format!("connection error: desc = {why:?}"))
}

fn preface_words(error: &hyper::Error) -> String {
    let inner = std::error::Error::source(error);
    let below = inner.and_then(|inner| inner.downcast_ref::<h2::Error>());
    let broken = inner.and_then(|inner| inner.downcast_ref::<std::io::Error>());
    let why = match (below, broken.filter(|broken| broken.raw_os_error().is_some())) {
        (Some(below), _) => ping_words(below),
        (None, Some(broken)) => super::os_words(broken),
        (None, None) => "EOF".into(),
    };
    format!("error reading server preface: {why}")
}

fn go_status(status: hyper::StatusCode) -> String {
    format!("{} ({})", status.as_u16(), status.canonical_reason().unwrap_or_default())
}

fn status_name(status: u64) -> String {
    match status {
        0 => "UNKNOWN".into(),
        1 => "SERVING".into(),
        2 => "NOT_SERVING".into(),
        3 => "SERVICE_UNKNOWN".into(),
        other => other.to_string(),
    }
}

/// gRPC escapes its messages with percent signs.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let code = (byte == b'%').then(|| after.get(..2)).flatten();
        let code =
            code.and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        bytes.push(code.unwrap_or(byte));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
