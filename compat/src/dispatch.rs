//! From a request to its handler: in Consul's order of looking at things.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, EXPECT, HOST, LOCATION};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::{Body as _, Incoming};
use metrics::Histogram;
use proconsul_anchors::caller::Caller;
use tracing::debug;

use crate::Site;
use crate::attest::asked;
use crate::extract::path::{Asked, Path};
use crate::extract::{Ask, Said, Whole, caller, params, path};
use crate::limits::HEADER_SLOP;
use crate::reject::Reject;
use crate::reply::{Finish, Pretty, Sent, TEXT_UTF8, bare, translated, with_options};
use crate::routes::{Found, Route, Working};
use crate::server::api::Api;
use crate::server::course::Answering;
use crate::server::gate::Gate;
use crate::server::tracked::Tracked;

/// Consul's timers count milliseconds.
const MILLIS: f64 = 1000.0;

/// An answer at once, or a handler to wait for, how to finish what it says and where to note how long it took.
enum Begun {
    Done(Box<Sent>),
    Working(Working, Finish, &'static Histogram),
}

impl Begun {
    /// An answer as Go's own server gives it.
    fn bare(sent: Sent) -> Self {
        Self::Done(Box::new(sent))
    }

    /// An answer with the configured headers.
    fn done(site: &Site, mut sent: Sent) -> Self {
        add_own_headers(site, &mut sent);
        Self::bare(sent)
    }
}

/// Answers one request. All that is wanted of its head is taken before this returns, so that a handler that waits for
/// minutes does not keep the connection's read buffer.
pub(crate) fn answer(
    api: &Arc<Api>,
    answering: &Answering,
    (peer, listener): (SocketAddr, &Arc<str>),
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response<Tracked>, Infallible>> + Send + use<> {
    let began = Instant::now();
    let taken = answering.take(!request.body().is_end_stream());
    let site = api.site();
    let told = Told { gate: &api.gate(), age: api.age(began), listener };
    // Only a policy asks for attestations: one of this scope, or one of another that adjacencies lead to.
    let governed = site.handle.has_policies() || site.handle.has_adjacencies();
    let asked = governed.then(|| asked(request.uri()));
    let begun = begin(&site, told, peer, request);
    async move {
        let sent = match begun {
            Begun::Done(sent) => *sent,
            Begun::Working(working, finish, timer) => {
                let answer = match (working.await, asked) {
                    (Ok(reply), Some(asked)) => {
                        Ok(Box::pin(finish.attest(&site.handle, &asked, reply)).await)
                    }
                    (answer, _) => answer,
                };
                let mut sent = finish.send(answer);
                timer.record(began.elapsed().as_secs_f64() * MILLIS);
                add_own_headers(&site, &mut sent);
                sent
            }
        };
        Ok(sent.map(|body| taken.answer(body)))
    }
}

/// Who is let through, when it is, and by which listener it came.
#[derive(Clone, Copy)]
struct Told<'a> {
    gate: &'a Gate,
    age: Duration,
    listener: &'a Arc<str>,
}

fn begin(site: &Arc<Site>, told: Told<'_>, peer: SocketAddr, request: Request<Incoming>) -> Begun {
    let (head, body) = request.into_parts();
    if let Some(refused) = refuse_head(&head, site.settings.header_bytes_max) {
        return Begun::bare(refused);
    }
    let path = match path::read(head.uri.path()) {
        Asked::Here(path) => path,
        Asked::Malformed => {
            return Begun::bare(malformed(StatusCode::BAD_REQUEST, "400 Bad Request"));
        }
        Asked::Elsewhere(clean) => {
            return Begun::bare(elsewhere(&head.method, &clean, head.uri.query()));
        }
    };
    if site.settings.refuse_unprintable_paths && !path.is_printable() {
        return Begun::bare(bare(StatusCode::BAD_REQUEST, HeaderMap::new(), Bytes::new()));
    }
    match crate::routes::find(path.matched()) {
        Found::Route(route, timers) => {
            let timer = timers.of(route, &head.method);
            handle(site, told, peer, (route, timer), &head, path, body)
        }
        Found::Directory(directory) => {
            Begun::bare(elsewhere(&head.method, &directory, head.uri.query()))
        }
        Found::Nothing => Begun::done(site, nothing_there(&path)),
    }
}

/// What Go's server refuses before it looks at the path.
fn refuse_head(head: &http::request::Parts, bytes_max: usize) -> Option<Sent> {
    if head_bytes(head) > bytes_max.saturating_add(HEADER_SLOP) {
        return Some(malformed(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "431 Request Header Fields Too Large",
        ));
    }
    // Go's HTTP/2 knows nothing of the rest.
    if head.version == Version::HTTP_2 {
        return None;
    }
    let hosts = head.headers.get_all(HOST).iter().count();
    if hosts == 0 && head.version == Version::HTTP_11 {
        return Some(malformed(
            StatusCode::BAD_REQUEST,
            "400 Bad Request: missing required Host header",
        ));
    }
    if hosts > 1 {
        return Some(malformed(StatusCode::BAD_REQUEST, "400 Bad Request"));
    }
    let expected = head.headers.get(EXPECT)?;
    if expected.is_empty() || expected.as_bytes().eq_ignore_ascii_case(b"100-continue") {
        return None;
    }
    let mut headers = HeaderMap::new();
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    Some(bare(StatusCode::EXPECTATION_FAILED, headers, Bytes::new()))
}

fn handle(
    site: &Arc<Site>,
    told: Told<'_>,
    peer: SocketAddr,
    (route, timer): (&'static Route, &'static Histogram),
    head: &http::request::Parts,
    path: Path,
    body: Incoming,
) -> Begun {
    // Neither the query string nor the whole path: either may hold a secret.
    debug!(method = %head.method, route = route.path, from = %peer, "request");
    let params = params::read(head.uri.query().unwrap_or(""));
    let pretty =
        match (params.as_ref().is_ok_and(|params| params.has("pretty")), site.settings.indent) {
            (true, _) => Pretty::Asked,
            (false, true) => Pretty::Always,
            (false, false) => Pretty::Compact,
        };
    let policy = site.handle.acl().default_policy.as_str();
    let finish = Finish::of(&head.method, &path.decoded, &head.headers, pretty, policy);
    let params = match params.map_err(|params::Malformed| Reject::QueryString) {
        Ok(_) if is_blocked(site, &path) => {
            return Begun::done(site, finish.send(Err(Reject::Blocked)));
        }
        Ok(_) if asks_for_methods(route, head) => {
            return Begun::done(site, finish.options(route.methods));
        }
        Ok(params) => params,
        Err(reject) => return Begun::done(site, finish.send(Err(reject))),
    };
    let allowed = check_method(site, peer, route, &head.method)
        .and_then(|()| told.gate.admit(route.path, &head.method, told.age));
    if let Err(reject) = allowed {
        return Begun::done(site, finish.send(Err(reject)));
    }
    let mut said = Said::of(&head.headers);
    if route.hands_on() {
        said.whole = Some(Box::new(Whole::of(&head.headers, &head.uri)));
    }
    let listener = Some(Arc::clone(told.listener));
    let ask = Ask {
        site: Arc::clone(site),
        method: head.method.clone(),
        caller: Caller { listener, ..caller(&head.headers, &params, peer, &site.tokens) },
        matched: route.path.len(),
        path: path.decoded,
        params,
        headers: said,
        body: Some(body),
    };
    Begun::Working((route.run)(ask, route), finish, timer)
}

fn is_blocked(site: &Site, path: &Path) -> bool {
    site.settings.block_endpoints.iter().any(|prefix| path.decoded.starts_with(prefix.as_str()))
}

/// Whether the answer is the route's methods alone. Where the handler decides about them itself, it is asked.
fn asks_for_methods(route: &Route, head: &http::request::Parts) -> bool {
    head.method == Method::OPTIONS && !route.methods.is_empty()
}

fn check_method(
    site: &Site,
    peer: SocketAddr,
    route: &Route,
    method: &Method,
) -> Result<(), Reject> {
    if !route.methods.is_empty() && !route.methods.contains(method) {
        return Err(Reject::Method { asked: method.clone(), allowed: with_options(route.methods) });
    }
    if may_write(site, peer, method) { Ok(()) } else { Err(Reject::Restricted) }
}

fn may_write(site: &Site, peer: SocketAddr, method: &Method) -> bool {
    let writes = !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    let allowed = &site.settings.allow_write_http_from;
    !writes || allowed.is_empty() || allowed.iter().any(|network| network.contains(peer.ip()))
}

/// The headers that go out with every answer.
fn add_own_headers(site: &Site, sent: &mut Sent) {
    let headers = sent.headers_mut();
    if site.settings.translate_wan_addrs {
        headers.extend([translated()]);
    }
    for (name, value) in &site.settings.response_headers {
        headers.insert(name.clone(), value.clone());
    }
}

/// About as many bytes as the head had.
fn head_bytes(head: &http::request::Parts) -> usize {
    let target = head.uri.path_and_query().map_or(0, |target| target.as_str().len());
    let lines = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    target + lines.sum::<usize>()
}

/// What Go's server says before any handler has seen the request.
fn malformed(status: StatusCode, text: &'static str) -> Sent {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(TEXT_UTF8));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    bare(status, headers, Bytes::from_static(text.as_bytes()))
}

/// Sends the client to the clean form of its path, with its query.
fn elsewhere(method: &Method, path: &str, query: Option<&str>) -> Sent {
    let location = match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(&location) {
        headers.insert(LOCATION, value);
    }
    let body = if matches!(*method, Method::GET | Method::HEAD) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        format!("<a href=\"{}\">Temporary Redirect</a>.\n\n", escape_html(&location)).into()
    } else {
        Bytes::new()
    };
    bare(StatusCode::TEMPORARY_REDIRECT, headers, body)
}

fn escape_html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&#34;")
        .replace('\'', "&#39;")
}

/// The page at `/`, and what is not there.
fn nothing_there(path: &Path) -> Sent {
    const INDEX: &str = "Consul Agent: UI disabled. To enable, set ui_config.enabled=true in the agent configuration and restart.";
    const UNKNOWN: &str = "Invalid URL path: not a recognized HTTP API endpoint\n";
    const FOREIGN: &str =
        "Invalid URL path: if attempting to use the HTTP API, ensure the path starts with '/v1/'\n";
    let (status, text) = match path.decoded.as_str() {
        "/" => (StatusCode::OK, INDEX),
        other if other.contains("/v1/") => (StatusCode::NOT_FOUND, UNKNOWN),
        _ => (StatusCode::NOT_FOUND, FOREIGN),
    };
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(TEXT_UTF8));
    bare(status, headers, Bytes::from_static(text.as_bytes()))
}
