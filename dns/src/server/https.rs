//! DNS over HTTPS (RFC 8484): `GET` and `POST` of `/dns-query`, by HTTP/2 or 1.1.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderMap};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Body;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep, timeout};

use super::{Door, Response, Service};
use crate::limits::{
    HTTPS_HEAD_BYTES_MAX, IN_FLIGHT_MAX, MESSAGE_BYTES_MAX, TCP_FIRST_WAIT, TCP_IDLE_WAIT,
};
use crate::reader::freshness;
use crate::shape::Transport;

/// The only path there is.
const PATH: &str = "/dns-query";
/// What is sent and taken.
const MEDIA_TYPE: &str = "application/dns-message";
const METHODS: &str = "GET, POST";

type Answer = http::Response<Full<Bytes>>;

/// What a connection is doing.
#[derive(Default)]
struct Course {
    /// Requests begun.
    begun: AtomicUsize,
    /// Requests answered, or given up.
    ended: AtomicUsize,
}

/// A request that is being answered; it ends with this.
struct Begun(Arc<Course>);

/// Serves a connection until nobody asks on it any more.
pub(super) async fn serve_connection<S, D>(
    stream: S,
    from: IpAddr,
    service: &Arc<Service<D>>,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    D: Door,
{
    let course = Arc::<Course>::default();
    let answering = service_fn(|request| {
        let (begun, service) = (Begun::at(&course), Arc::clone(service));
        async move {
            let answer = respond(&service, from, request).await;
            drop(begun);
            Ok::<_, Infallible>(answer.unwrap_or_else(plain))
        }
    });
    let builder = builder();
    let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), answering));
    let mut patience = TCP_FIRST_WAIT;
    loop {
        let before = course.begun.load(Ordering::Relaxed);
        tokio::select! {
            ended = &mut serving => return ended.map_err(io::Error::other),
            () = sleep(patience) => {}
        }
        patience = TCP_IDLE_WAIT;
        if course.is_idle_since(before) {
            serving.as_mut().graceful_shutdown();
            return match timeout(TCP_FIRST_WAIT, serving).await {
                Ok(ended) => ended.map_err(io::Error::other),
                Err(_) => Err(io::ErrorKind::TimedOut.into()),
            };
        }
    }
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    let streams = u32::try_from(IN_FLIGHT_MAX).unwrap_or(u32::MAX);
    let head = u32::try_from(HTTPS_HEAD_BYTES_MAX).unwrap_or(u32::MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(streams)
        .max_header_list_size(head);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(TCP_IDLE_WAIT)
        .max_buf_size(HTTPS_HEAD_BYTES_MAX);
    builder
}

/// Answers a request.
///
/// # Errors
/// The status of one that asks nothing.
async fn respond<D, B>(
    service: &Arc<Service<D>>,
    from: IpAddr,
    request: Request<B>,
) -> Result<Answer, StatusCode>
where
    D: Door,
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let query = query(request).await?;
    let response = service.respond(Transport::Tcp, Some(from), &query, &mut rand::rng());
    let reply = match response {
        Response::Silence => return Err(StatusCode::BAD_REQUEST),
        Response::Now(reply) => reply,
        Response::Later(reply) => reply.await,
    };
    let mut answer = Answer::default();
    let seconds = freshness(&reply).unwrap_or(Duration::ZERO).as_secs();
    let cached = HeaderValue::try_from(format!("max-age={seconds}"));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    answer.headers_mut().insert(CACHE_CONTROL, cached.expect("a number stands in a header"));
    *answer.body_mut() = Full::new(reply.into());
    Ok(answer)
}

/// The message that a request carries.
async fn query<B>(request: Request<B>) -> Result<Bytes, StatusCode>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if request.uri().path() != PATH {
        return Err(StatusCode::NOT_FOUND);
    }
    match *request.method() {
        Method::GET => {
            let parameters = request.uri().query().unwrap_or_default().split('&');
            let mut dns = parameters.filter_map(|pair| pair.strip_prefix("dns="));
            let encoded = dns.next().ok_or(StatusCode::BAD_REQUEST)?;
            let query = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| StatusCode::BAD_REQUEST)?;
            Ok(query.into())
        }
        Method::POST if !is_dns(request.headers()) => Err(StatusCode::UNSUPPORTED_MEDIA_TYPE),
        Method::POST => {
            let body = pin!(request.into_body());
            let whole = timeout(TCP_FIRST_WAIT, Limited::new(body, MESSAGE_BYTES_MAX).collect());
            let whole = whole.await.map_err(|_| StatusCode::REQUEST_TIMEOUT)?;
            Ok(whole.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?.to_bytes())
        }
        _ => Err(StatusCode::METHOD_NOT_ALLOWED),
    }
}

fn is_dns(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| value == MEDIA_TYPE)
}

/// A status, and nothing else.
fn plain(status: StatusCode) -> Answer {
    let mut answer = Answer::default();
    *answer.status_mut() = status;
    if status == StatusCode::METHOD_NOT_ALLOWED {
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static(METHODS));
    }
    answer
}

// === impl Course ===

impl Course {
    /// Whether nothing was begun since, and nothing is under way.
    fn is_idle_since(&self, before: usize) -> bool {
        let begun = self.begun.load(Ordering::Relaxed);
        begun == before && self.ended.load(Ordering::Relaxed) == begun
    }
}

// === impl Begun ===

impl Begun {
    fn at(course: &Arc<Course>) -> Self {
        course.begun.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(course))
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}
