//! A reply is a value and what is known about it; all headers are set here.

mod body;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AGE, ALLOW, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;
use proconsul_anchors::acl::Authority;
use proconsul_anchors::caller::Caller;
use proconsul_anchors::handle::{Answer, Answered, Handle};
use proconsul_anchors::outcome::Outcome;
use proconsul_anchors::policy::Decided;
use proconsul_anchors::traversal::Way;
use serde::Serialize;

use crate::cached::Cache;
use crate::extract::{Consistency, ReadOptions};
use crate::go::print::{indent, json};
use crate::gzip::{compress_own, compress_shared};
use crate::limits::GZIP_BYTES_MIN;
use crate::reject::Reject;
use crate::server::course::Answering;

pub(crate) use self::body::Outgoing;
pub use self::body::Pieces;

/// What goes back to the client.
pub(crate) type Sent = Response<Outgoing>;

/// A handler's answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) body: Body,
    pub(crate) meta: Option<Meta>,
    /// Headers of this one endpoint.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

/// What a reply holds.
#[derive(Debug)]
pub(crate) enum Body {
    /// Compact JSON, indented on the way out where that is asked for.
    Json(Bytes),
    /// The same, and others are sent it, too.
    Shared(Bytes),
    /// Text or bytes of this type.
    Plain(Bytes, &'static str),
    /// Bytes that come, of this type; sent as they are.
    Stream(Outgoing, Option<&'static str>),
    /// Nothing; its content type is guessed from the request, as Consul does.
    Nothing,
    /// Nothing, and no content type.
    Bare,
}

/// What is known about a read: the `X-Consul-…` headers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meta {
    pub(crate) index: u64,
    pub(crate) known_leader: bool,
    pub(crate) last_contact: Duration,
    /// Only catalog and health tell it.
    pub(crate) consistency: Option<Consistency>,
    /// Whether the answer might have come from a cache, and says whether it did.
    pub(crate) cache: Cache,
    /// Whether the caller's rules left something out, and the caller is one who is told so.
    pub(crate) filtered: bool,
    /// What the scopes decided about the read.
    pub(crate) outcome: Outcome,
    /// Over which of them it went, where it left this one.
    pub(crate) way: Option<Arc<Way>>,
    /// What a policy decided about the read, where one was asked.
    pub(crate) decided: Option<Decided>,
}

/// How the client wants its answer; kept while the handler works.
#[derive(Debug)]
pub(crate) struct Finish {
    /// Whether it takes gzip.
    pub(crate) gzip: bool,
    /// Whether JSON is indented, and ends with a line break.
    pub(crate) pretty: Pretty,
    /// The type of an answer without a body.
    pub(crate) empty_type: HeaderValue,
    /// What holds where no rule speaks: `allow` or `deny`.
    pub(crate) default_policy: &'static str,
}

/// Whether JSON is indented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pretty {
    /// No.
    Compact,
    /// With a line break at its end (`?pretty`).
    Asked,
    /// Without one (`-dev`).
    Always,
}

pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
pub(crate) const JSON_UTF8: HeaderValue =
    HeaderValue::from_static("application/json; charset=utf-8");
const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");
/// The type of errors and of values read raw.
pub(crate) const TEXT_UTF8: &str = "text/plain; charset=utf-8";

const INDEX: HeaderName = HeaderName::from_static("x-consul-index");
const KNOWN_LEADER: HeaderName = HeaderName::from_static("x-consul-knownleader");
const LAST_CONTACT: HeaderName = HeaderName::from_static("x-consul-lastcontact");
const BACKEND: HeaderName = HeaderName::from_static("x-consul-query-backend");
const CONSISTENCY: HeaderName = HeaderName::from_static("x-consul-effective-consistency");
const FILTERED: HeaderName = HeaderName::from_static("x-consul-results-filtered-by-acls");
const CACHE: HeaderName = HeaderName::from_static("x-cache");
const MISS: HeaderValue = HeaderValue::from_static("MISS");
const HIT: HeaderValue = HeaderValue::from_static("HIT");
const ACL_POLICY: HeaderName = HeaderName::from_static("x-consul-default-acl-policy");
const TRANSLATED: HeaderName = HeaderName::from_static("x-consul-translate-addresses");
const SOURCE: HeaderName = HeaderName::from_static("x-anchor-source");
pub(crate) const OUTCOME: HeaderName = HeaderName::from_static("x-anchor-outcome");
pub(crate) const ATTESTATION: HeaderName = HeaderName::from_static("x-anchor-attestation");
const CHAIN: HeaderName = HeaderName::from_static("x-anchor-chain");
const REASON: HeaderName = HeaderName::from_static("x-consul-reason");

// === impl Reply ===

impl Reply {
    fn new(body: Body) -> Self {
        Self { status: StatusCode::OK, body, meta: None, headers: Vec::new() }
    }

    /// A value as JSON.
    pub(crate) fn json<T: Serialize + ?Sized>(value: &T) -> Self {
        Self::encoded(json(value))
    }

    /// JSON that is encoded already.
    pub(crate) fn encoded(body: Bytes) -> Self {
        Self::new(Body::Json(body))
    }

    /// JSON that was encoded once for all who ask for it.
    pub(crate) fn shared(body: Bytes) -> Self {
        Self::new(Body::Shared(body))
    }

    /// Text or bytes of a type.
    pub(crate) fn plain(body: impl Into<Bytes>, content_type: &'static str) -> Self {
        Self::new(Body::Plain(body.into(), content_type))
    }

    /// Bytes that come, of this type.
    pub(crate) fn stream(pieces: Pieces, content_type: Option<&'static str>) -> Self {
        Self::new(Body::Stream(Outgoing::Pieces(pieces, Answering::default()), content_type))
    }

    /// Success without a word.
    pub(crate) fn nothing() -> Self {
        Self::new(Body::Nothing)
    }

    /// Not there, without a word.
    pub(crate) fn absent() -> Self {
        Self::new(Body::Bare).status(StatusCode::NOT_FOUND)
    }

    pub(crate) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn meta(mut self, meta: Meta) -> Self {
        self.meta = Some(meta);
        self
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Tells that something was left out of what this process itself has. Nobody who came without a secret is told.
    pub(crate) fn filtered(self, caller: &Caller, left_out: bool) -> Self {
        if left_out && caller.token.is_some() {
            return self.header(FILTERED, HeaderValue::from_static("true"));
        }
        self
    }

    /// Tells where it comes from when that is not the index.
    pub(crate) fn source(self, source: Option<HeaderValue>) -> Self {
        match source {
            Some(source) => self.header(SOURCE, source),
            None => self,
        }
    }

    /// The same JSON with its character set told.
    pub(crate) fn charset(self) -> Self {
        self.header(CONTENT_TYPE, JSON_UTF8)
    }

    /// Tells an index and nothing else of what is known about a read.
    pub(crate) fn index(self, index: u64) -> Self {
        self.header(INDEX, index.into())
    }

    /// Tells of a read what is known about the leader, and no more.
    pub(crate) fn leader(self, known: bool) -> Self {
        let known = HeaderValue::from_static(if known { "true" } else { "false" });
        self.header(KNOWN_LEADER, known).header(LAST_CONTACT, HeaderValue::from_static("0"))
    }

    /// Says why in a header, as far as a header can carry it.
    pub(crate) fn reason(self, reason: &str) -> Self {
        match HeaderValue::from_str(reason) {
            Ok(value) => self.header(REASON, value),
            Err(_) => self,
        }
    }
}

// === impl Meta ===

impl Meta {
    /// What is known about an answer, without its consistency.
    pub(crate) fn of(answer: &Answer) -> Self {
        Self {
            index: answer.index,
            known_leader: answer.known_leader,
            last_contact: answer.age,
            consistency: None,
            cache: Cache::Unasked,
            filtered: answer.filtered || answer.outcome == Outcome::Refuse,
            outcome: answer.outcome,
            way: answer.way.clone(),
            decided: answer.decided.clone(),
        }
    }

    /// The same with the consistency that was asked for.
    pub(crate) fn with_consistency(answer: &Answer, options: &ReadOptions) -> Self {
        Self { consistency: Some(options.consistency), ..Self::of(answer) }
    }

    /// The same for a read that a cache could have answered.
    pub(crate) fn cacheable(self, options: &ReadOptions) -> Self {
        Self { cache: options.cache, ..self }
    }

    /// The same for an answer of which something was left out or not. Nobody who came without a token is told,
    /// unless a policy left it out.
    pub(crate) fn filtered(self, authority: &Authority, left_out: bool) -> Self {
        let is_told = authority.has_token() || authority.is_narrowed();
        Self { filtered: self.filtered || left_out && is_told, ..self }
    }

    fn write(&self, headers: &mut HeaderMap) {
        // An index of 0 would turn a blocking client into a busy one.
        headers.insert(INDEX, self.index.max(1).into());
        headers.insert(
            KNOWN_LEADER,
            HeaderValue::from_static(if self.known_leader { "true" } else { "false" }),
        );
        let last_contact = u64::try_from(self.last_contact.as_millis()).unwrap_or(u64::MAX);
        headers.insert(LAST_CONTACT, last_contact.into());
        headers.insert(BACKEND, HeaderValue::from_static("blocking-query"));
        headers.extend(cache_headers(self.cache));
        if self.filtered {
            headers.insert(FILTERED, HeaderValue::from_static("true"));
        }
        if self.outcome == Outcome::Defer {
            headers.insert(CACHE, HIT);
            headers.insert(AGE, self.last_contact.as_secs().into());
        }
        if self.way.is_some() || self.decided.is_some() {
            headers.insert(OUTCOME, HeaderValue::from_static(self.outcome.as_str()));
        }
        if let Some(way) = &self.way {
            // A scope's path is of letters, digits, dashes and slashes.
            headers.extend(HeaderValue::from_str(&way.shown()).ok().map(|value| (CHAIN, value)));
        }
        if let Some(consistency) = self.consistency {
            headers.insert(CONSISTENCY, HeaderValue::from_static(consistency.as_str()));
        }
    }
}

// === impl Finish ===

impl Finish {
    /// How this request wants its answer.
    pub(crate) fn of(
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        pretty: Pretty,
        default_policy: &'static str,
    ) -> Self {
        let accepted = headers.get(http::header::ACCEPT_ENCODING).map(HeaderValue::as_bytes);
        Self {
            gzip: accepted.is_some_and(takes_gzip),
            pretty,
            empty_type: empty_type(method, path, headers),
            default_policy,
        }
    }

    /// Has an answer attested where a policy wants that: the header tells where the statement is.
    pub(crate) async fn attest(&self, handle: &Handle, query: &str, reply: Reply) -> Reply {
        let decided = reply.meta.as_ref().and_then(|meta| meta.decided.as_ref());
        let attested = decided.filter(|decided| decided.outcome == Outcome::Attest);
        let Some(decided) = attested else { return reply };
        let body = match &reply.body {
            Body::Json(compact) | Body::Shared(compact) => self.layout(compact.clone()),
            Body::Plain(bytes, _) => bytes.clone(),
            Body::Stream(..) | Body::Nothing | Body::Bare => return reply,
        };
        let root = handle.root();
        let scope = decided.scope.as_ref().unwrap_or(&root);
        let (outcome, rule) = (decided.outcome, &*decided.rule);
        let answered = Answered { scope, query, body: &body, outcome, rule };
        match handle.attest(answered).await {
            Ok(id) => match HeaderValue::from_str(&format!("/v1/anchor/attestation/{id}")) {
                Ok(value) => reply.header(ATTESTATION, value),
                Err(_) => reply,
            },
            Err(refusal) => {
                tracing::warn!(%refusal, "an answer could not be attested");
                reply
            }
        }
    }

    /// Puts the answer together.
    pub(crate) fn send(&self, answer: Result<Reply, Reject>) -> Sent {
        match answer {
            Ok(reply) => self.reply(reply),
            Err(reject) => self.reject(&reject),
        }
    }

    fn reply(&self, reply: Reply) -> Sent {
        let mut headers = HeaderMap::with_capacity(16);
        let shared = matches!(reply.body, Body::Shared(_)) && self.pretty == Pretty::Compact;
        let mut pieces = None;
        let (body, content_type) = match reply.body {
            Body::Json(compact) | Body::Shared(compact) => (self.layout(compact), Some(JSON)),
            Body::Plain(bytes, content_type) => {
                (bytes, Some(HeaderValue::from_static(content_type)))
            }
            Body::Stream(outgoing, content_type) => {
                pieces = Some(outgoing);
                (Bytes::new(), content_type.map(HeaderValue::from_static))
            }
            Body::Nothing => (Bytes::new(), Some(self.empty_type.clone())),
            Body::Bare => (Bytes::new(), None),
        };
        if let Some(content_type) = content_type {
            headers.insert(CONTENT_TYPE, content_type);
        }
        if let Some(meta) = &reply.meta {
            meta.write(&mut headers);
        }
        for (name, value) in reply.headers {
            headers.insert(name, value);
        }
        let pack = if shared { compress_shared } else { compress_own };
        let mut sent = self.sent(reply.status, headers, body, pack);
        if let Some(pieces) = pieces {
            *sent.body_mut() = pieces;
        }
        sent
    }

    fn reject(&self, reject: &Reject) -> Sent {
        let mut headers = HeaderMap::with_capacity(16);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(TEXT_UTF8));
        if let Some(methods) = reject.allowed() {
            headers.insert(ALLOW, allow(methods));
        }
        if reject.met_the_query() {
            Meta::default().write(&mut headers);
        }
        if reject.closes() {
            headers.insert(http::header::CONNECTION, HeaderValue::from_static("close"));
        }
        self.sent(reject.status(), headers, reject.to_string().into(), compress_own)
    }

    /// The answer to `OPTIONS` on a route with these methods.
    pub(crate) fn options(&self, methods: &[Method]) -> Sent {
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(CONTENT_TYPE, JSON_UTF8);
        headers.insert(ALLOW, allow(&with_options(methods)));
        self.sent(StatusCode::OK, headers, Bytes::new(), compress_own)
    }

    fn sent(
        &self,
        status: StatusCode,
        mut headers: HeaderMap,
        body: Bytes,
        pack: fn(&Bytes) -> Bytes,
    ) -> Sent {
        headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
        headers.insert(ACL_POLICY, HeaderValue::from_static(self.default_policy));
        let body = if self.gzip && body.len() >= GZIP_BYTES_MIN {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            pack(&body)
        } else {
            body
        };
        bare(status, headers, body)
    }

    fn layout(&self, compact: Bytes) -> Bytes {
        match self.pretty {
            Pretty::Compact => compact,
            Pretty::Always => indent(&compact).into(),
            Pretty::Asked => {
                let mut text = indent(&compact);
                text.push(b'\n');
                text.into()
            }
        }
    }
}

/// Says whether a cache answered. What is kept is followed, so that it is no older than the index.
pub(crate) fn cache_headers(cache: Cache) -> Vec<(HeaderName, HeaderValue)> {
    match cache {
        Cache::Unasked => Vec::new(),
        Cache::Miss => vec![(CACHE, MISS)],
        Cache::Hit => vec![(CACHE, HIT), (AGE, HeaderValue::from_static("0"))],
    }
}

/// A response with these headers and no others.
pub(crate) fn bare(status: StatusCode, headers: HeaderMap, body: Bytes) -> Sent {
    let mut response = Response::new(Outgoing::Whole(Full::new(body)));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// The header that `translate_wan_addrs` adds.
pub(crate) fn translated() -> (HeaderName, HeaderValue) {
    (TRANSLATED, HeaderValue::from_static("true"))
}

/// `OPTIONS`, then the methods.
pub(crate) fn with_options(methods: &[Method]) -> Vec<Method> {
    std::iter::once(Method::OPTIONS).chain(methods.iter().cloned()).collect()
}

fn allow(methods: &[Method]) -> HeaderValue {
    let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
    HeaderValue::from_str(&names.join(",")).expect("methods are tokens")
}

/// The type that Consul gives to an answer without a body.
fn empty_type(method: &Method, path: &str, headers: &HeaderMap) -> HeaderValue {
    const OCTET_PUTS: [&str; 3] = ["/v1/kv", "/v1/snapshot", "/v1/event/fire"];
    match *method {
        Method::PUT if OCTET_PUTS.iter().any(|prefix| path.starts_with(prefix)) => OCTETS,
        Method::GET | Method::DELETE => {
            // Copied, because the original lies in the connection's read buffer.
            let own = headers.get(CONTENT_TYPE).filter(|own| !own.is_empty());
            own.and_then(|own| HeaderValue::from_bytes(own.as_bytes()).ok()).unwrap_or(JSON_UTF8)
        }
        _ => JSON_UTF8,
    }
}

/// Whether an `Accept-Encoding` names gzip with a weight above 0.
fn takes_gzip(accepted: &[u8]) -> bool {
    let accepted = String::from_utf8_lossy(accepted);
    accepted.split(',').any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight =
            weight.trim().strip_prefix("q=").map_or(1.0, |weight| weight.parse().unwrap_or(0.0));
        name.trim().eq_ignore_ascii_case("gzip") && weight > 0.0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_taken_by_name_only() {
        for (accepted, taken) in [
            ("gzip", true),
            ("deflate, gzip;q=0.5", true),
            ("gzip;q=0", false),
            ("*", false),
            ("br", false),
        ] {
            assert_eq!(takes_gzip(accepted.as_bytes()), taken, "{accepted}");
        }
    }

    #[test]
    fn empty_answers_get_consuls_types() {
        let mut own = HeaderMap::new();
        own.insert(CONTENT_TYPE, HeaderValue::from_static("text/x"));
        let cases = [
            (Method::PUT, "/v1/agent/reload", &own, "application/json; charset=utf-8"),
            (Method::PUT, "/v1/kv/a", &own, "application/octet-stream"),
            (Method::GET, "/v1/agent/metrics", &own, "text/x"),
            (
                Method::GET,
                "/v1/agent/metrics",
                &HeaderMap::new(),
                "application/json; charset=utf-8",
            ),
        ];
        for (method, path, headers, expected) in cases {
            assert_eq!(empty_type(&method, path, headers), expected, "{method} {path}");
        }
    }
}
