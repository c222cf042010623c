//! HTTP checks: 2xx is fit, 429 a warning, anything else is not fit.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::ext::ReasonPhrase;
use hyper::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, LOCATION,
    PROXY_AUTHORIZATION,
};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use proconsul_anchors::agent::ProbeResult;
use proconsul_anchors::node::definition::HttpSpec;
use proconsul_anchors::service::Status;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};

use super::dial::{Place, dial};
use super::proxy::{Proxies, Proxy};
use super::tls::{Alpn, Trust, tls_words};
use super::url::Target;
use super::{Tail, critical, os_words};

/// Redirects that are followed, as Go's client does.
const REDIRECTS_MAX: usize = 10;

/// What a check asks, checked.
struct Ask {
    method: Method,
    header: HeaderMap,
    body: Bytes,
}

/// Where it failed: the URL that stands in the message, and why.
struct Failed {
    url: String,
    why: String,
}

pub(super) async fn perform(
    spec: &HttpSpec,
    timeout: Duration,
    output_max: usize,
    trust: &Trust,
    proxies: &Proxies,
) -> ProbeResult {
    let until = Instant::now() + timeout;
    let method = if spec.method.is_empty() { "GET" } else { &spec.method };
    let op = go_op(method);
    let target = match Target::parse(&spec.url) {
        Ok(target) => target,
        Err(error) if error.is_syntax() => {
            return critical(format!("parse {:?}: {error}", spec.url));
        }
        Err(error) => return critical(format!("{op} {:?}: {error}", spec.url)),
    };
    let ask = match Ask::new(spec, method) {
        Ok(ask) => ask,
        Err(why) => return critical(why),
    };
    let response = match timeout_at(until, follow(spec, ask, target, (trust, proxies))).await {
        Ok(Ok(response)) => response,
        Ok(Err(failed)) => return critical(format!("{op} {:?}: {}", failed.url, failed.why)),
        Err(_) => {
            let why = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
            return critical(format!("{op} {:?}: {why}", spec.url));
        }
    };
    let (status, shown) = (response.status(), status_line(&response));
    let mut tail = Tail::new(output_max);
    // What came in time counts, also of a body that breaks off.
    let _ = timeout_at(until, read(response.into_body(), &mut tail)).await;
    let body = String::from_utf8_lossy(&tail.kept);
    ProbeResult::counted(
        verdict(status),
        format!("HTTP {method} {}: {shown} Output: {body}", spec.url),
    )
}

/// Asks, and asks again where it is sent to.
async fn follow(
    spec: &HttpSpec,
    mut ask: Ask,
    mut target: Target,
    (trust, proxies): (&Trust, &Proxies),
) -> Result<Response<Incoming>, Failed> {
    let mut url = spec.url.to_string();
    for _ in 0..REDIRECTS_MAX {
        let response = exchange(spec, &ask, &target, trust, proxies.of(&target))
            .await
            .map_err(|why| Failed { url: url.clone(), why })?;
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let Some(location) =
            location.filter(|_| spec.follow_redirects && is_redirect(response.status()))
        else {
            return Ok(response);
        };
        location.clone_into(&mut url);
        let failed = |why: &dyn Display| Failed { url: url.clone(), why: why.to_string() };
        target = target.join(&url).map_err(|error| failed(&error))?;
        ask.redirect(response.status());
    }
    Err(Failed { url, why: format!("stopped after {REDIRECTS_MAX} redirects") })
}

/// One request over a connection of its own.
async fn exchange(
    spec: &HttpSpec,
    ask: &Ask,
    target: &Target,
    trust: &Trust,
    proxy: Option<&Proxy>,
) -> Result<Response<Incoming>, String> {
    let place = target.place();
    // The caller's patience bounds all of it.
    let far = Instant::now() + Duration::from_secs(24 * 3600);
    let stream = match proxy {
        Some(proxy) if target.https => proxy.tunnel(&place, far).await?,
        Some(proxy) => proxy.dial(far).await?,
        None => dial(&place, far).await.map_err(|error| error.to_string())?,
    };
    let ends = (stream.local_addr().ok(), stream.peer_addr().ok());
    let mut request = ask.request(target).map_err(|error| error.to_string())?;
    if let Some(proxy) = proxy.filter(|_| !target.https) {
        pass_on(&mut request, target, proxy).map_err(|error| error.to_string())?;
    }
    if !target.https {
        return send(stream, request, ends).await;
    }
    let host = Place::parse(&place).map(|place| place.host).unwrap_or_default();
    let stream = trust.greet(&spec.tls, &host, Alpn::Http, stream).await;
    let stream = stream.map_err(|error| tls_words(&error, &host))?;
    match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => {
            send_http2(stream, ask.http2_request(target).map_err(|error| error.to_string())?).await
        }
        _ => send(stream, request, ends).await,
    }
}

/// Makes it a request that a proxy passes on.
fn pass_on(
    request: &mut Request<Full<Bytes>>,
    target: &Target,
    proxy: &Proxy,
) -> Result<(), http::Error> {
    *request.uri_mut() = format!("http://{}{}", target.authority, target.path).parse()?;
    if let Some(shown) = &proxy.authorization {
        request.headers_mut().insert(PROXY_AUTHORIZATION, HeaderValue::try_from(shown)?);
    }
    Ok(())
}

/// To a server that chose HTTP/2.
async fn send_http2<S>(
    stream: S,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let words = |error: hyper::Error| error.to_string();
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.map_err(words)?;
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(words)
}

async fn send<S>(
    stream: S,
    request: Request<Full<Bytes>>,
    ends: (Option<SocketAddr>, Option<SocketAddr>),
) -> Result<Response<Incoming>, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let words = |error: hyper::Error| exchange_words(&error, ends);
    let (mut sender, connection) = http1::Builder::new()
        .title_case_headers(true)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(words)?;
    // The body is read through the connection, which ends with it.
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(words)
}

async fn read(body: Incoming, tail: &mut Tail) {
    let mut body = pin!(body);
    while let Some(Ok(frame)) = body.frame().await {
        if let Some(piece) = frame.data_ref() {
            tail.push(piece);
        }
    }
}

fn exchange_words(error: &hyper::Error, ends: (Option<SocketAddr>, Option<SocketAddr>)) -> String {
    let inner =
        std::error::Error::source(error).and_then(|inner| inner.downcast_ref::<io::Error>());
    match (inner, ends) {
        _ if error.is_incomplete_message() => "EOF".into(),
        _ if error.is_parse() => {
            "net/http: HTTP/1.x transport connection broken: malformed HTTP response".into()
        }
        (Some(inner), (Some(own), Some(peer))) => {
            format!("read tcp {own}->{peer}: read: {}", os_words(inner))
        }
        (Some(inner), _) => os_words(inner),
        (None, _) => error.to_string(),
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn verdict(status: StatusCode) -> Status {
    match status.as_u16() {
        200..=299 => Status::Passing,
        429 => Status::Warning,
        _ => Status::Critical,
    }
}

/// `200 OK`, with the words of the server where it has its own.
fn status_line(response: &Response<Incoming>) -> String {
    let own = response.extensions().get::<ReasonPhrase>();
    let reason = match own {
        Some(own) => String::from_utf8_lossy(own.as_bytes()).into_owned(),
        None => response.status().canonical_reason().unwrap_or_default().to_owned(),
    };
    format!("{} {reason}", response.status().as_u16())
}

/// `GET` is told as `Get`.
fn go_op(method: &str) -> String {
    let mut letters = method.chars();
    letters.next().map_or_else(String::new, |first| {
        std::iter::once(first).chain(letters.flat_map(char::to_lowercase)).collect()
    })
}

// === impl Ask ===

impl Ask {
    fn new(spec: &HttpSpec, method: &str) -> Result<Self, String> {
        let bad = |_| format!("net/http: invalid method {method:?}");
        let method = Method::from_bytes(method.as_bytes()).map_err(bad)?;
        let mut header = HeaderMap::new();
        for (name, values) in spec.header.iter() {
            for value in values {
                let (name, value) =
                    (HeaderName::try_from(name), HeaderValue::try_from(value.as_ref()));
                let (Ok(name), Ok(value)) = (name, value) else {
                    return Err("net/http: invalid header field".into());
                };
                header.append(name, value);
            }
        }
        let default = |name: &'static str, value: &'static str, header: &mut HeaderMap| {
            header.entry(name).or_insert(HeaderValue::from_static(value));
        };
        default("user-agent", "Consul Health Check", &mut header);
        default("accept", "text/plain, text/*, */*", &mut header);
        header.insert(CONNECTION, HeaderValue::from_static("close"));
        Ok(Self { method, header, body: Bytes::copy_from_slice(spec.body.as_bytes()) })
    }

    fn request(&self, target: &Target) -> Result<Request<Full<Bytes>>, http::Error> {
        let mut request = Request::builder()
            .method(&self.method)
            .uri(target.path.as_str())
            .body(Full::new(self.body.clone()))?;
        let header = request.headers_mut();
        header.extend(self.header.clone());
        if !header.contains_key(HOST) {
            header.insert(HOST, HeaderValue::try_from(target.authority.as_str())?);
        }
        if let Some(user) =
            target.user.as_ref().filter(|_| !self.header.contains_key(AUTHORIZATION))
        {
            header.insert(
                AUTHORIZATION,
                HeaderValue::try_from(format!("Basic {}", STANDARD.encode(user)))?,
            );
        }
        if self.body.is_empty() && matches!(self.method.as_str(), "POST" | "PUT" | "PATCH") {
            header.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        Ok(request)
    }

    /// The same for HTTP/2: the host stands in the URL, and what concerns a connection alone may not be said.
    fn http2_request(&self, target: &Target) -> Result<Request<Full<Bytes>>, http::Error> {
        let mut request = self.request(target)?;
        let host = request.headers_mut().remove(HOST);
        let host = host.as_ref().and_then(|host| host.to_str().ok()).unwrap_or(&target.authority);
        *request.uri_mut() = format!("https://{host}{}", target.path).parse()?;
        request.headers_mut().remove(CONNECTION);
        Ok(request)
    }

    /// After most redirects a GET follows; 307 and 308 repeat what was asked.
    fn redirect(&mut self, status: StatusCode) {
        self.header.remove(HOST);
        if !matches!(status.as_u16(), 307 | 308) {
            self.body = Bytes::new();
            if self.method != Method::HEAD {
                self.method = Method::GET;
            }
        }
    }
}
