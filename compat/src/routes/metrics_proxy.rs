//! `/v1/internal/ui/metrics-proxy/`: questions of the web interface that a server of metrics answers.

use std::sync::Arc;

use http::StatusCode;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use proconsul_anchors::acl::{Act, Denial};
use proconsul_anchors::caller::{Caller, Secret};
use tracing::warn;

use crate::Site;
use crate::control::{Forward, Forwarded};
use crate::extract::{Ask, Whole, header_token};
use crate::reject::{OperatorFault, Reject};
use crate::reply::Reply;
use crate::settings::MetricsProxy;

/// Headers that hold for one connection alone (RFC 9110, 7.6.1).
const OF_ONE_CONNECTION: [&str; 9] = [
    "connection",
    "proxy-connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// `GET /v1/internal/ui/metrics-proxy/…`.
pub(crate) async fn metrics_proxy(mut ask: Ask) -> Result<Reply, Reject> {
    let site = Arc::clone(&ask.site);
    if !site.settings.ui {
        return Err(OperatorFault::UiOff.into());
    }
    let proxy = site.settings.metrics_proxy.as_ref();
    let proxy = proxy.filter(|proxy| !proxy.base_url.is_empty());
    let proxy = proxy.ok_or(OperatorFault::NoMetricsProxy)?;
    let whole = ask.headers.whole.take().map(|whole| *whole).unwrap_or_default();
    demand_all(&site, &ask, &whole)?;
    let url = match target(proxy, ask.rest(), &whole.query) {
        Ok(url) => url,
        Err(Astray::Denied) => return Ok(Reply::absent().status(StatusCode::FORBIDDEN)),
        Err(Astray::Escaped) => return Err(OperatorFault::MetricsPath.into()),
    };
    let headers = passed_on(whole.headers, proxy, ask.caller.address.map(|ip| ip.to_string()));
    Ok(match site.control.forward(Forward { url, headers }).await {
        Ok(forwarded) => passed_back(forwarded),
        Err(reason) => {
            warn!(reason, "the server of metrics did not answer");
            Reply::absent().status(StatusCode::BAD_GATEWAY)
        }
    })
}

/// Metrics tell of all nodes and services. The token comes in a header: `?token` may be meant for the other server.
fn demand_all(site: &Site, ask: &Ask, whole: &Whole) -> Result<(), Reject> {
    let token = header_token(&whole.headers).map(Secret::new);
    let caller = Caller { token, ..ask.caller.clone() };
    let authority = site.handle.authority(&caller)?;
    // Consul says here of what, in words.
    let of = |all: &'static str| move |denial| Denial { name: Some(all.into()), ..denial };
    authority.demand(Act::node_read_all()).map_err(of("all nodes"))?;
    Ok(authority.demand(Act::service_read_all()).map_err(of("all services"))?)
}

/// Why nobody is asked.
#[derive(Debug, PartialEq)]
enum Astray {
    /// The path is not among those that are allowed.
    Denied,
    /// It leads out of the base.
    Escaped,
}

/// The URL behind a path.
fn target(proxy: &MetricsProxy, rest: &str, query: &str) -> Result<String, Astray> {
    let base = &*proxy.base_url;
    let (scheme, behind) = base.split_once("://").ok_or(Astray::Escaped)?;
    let path_at = behind.find(['/', '?', '#']).unwrap_or(behind.len());
    let (authority, path) = behind.split_at(path_at);
    let path = path.split(['?', '#']).next().unwrap_or("");
    let (root, below) = (clean(path), clean(rest));
    let joined = |below: &str| match (root.as_str(), below) {
        (root, "/") => root.to_owned(),
        ("/", below) => below.to_owned(),
        (root, below) => format!("{root}{below}"),
    };
    let allowed = &proxy.path_allowlist;
    if !allowed.is_empty() && !allowed.contains(&joined(&below)) {
        return Err(Astray::Denied);
    }
    let mut url = format!("{scheme}://{authority}{}", joined(&escape(&below)));
    if !query.is_empty() {
        url = format!("{url}?{query}");
    }
    let prefix = if base.ends_with('/') { base.to_owned() } else { format!("{base}/") };
    if url == base || url.starts_with(&prefix) { Ok(url) } else { Err(Astray::Escaped) }
}

/// An absolute path without empty parts, `.` and `..`.
fn clean(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop(),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// A decoded path as it stands in a URL.
fn escape(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => out.push(byte.into()),
            _ if b"-_.~/$&+,:;=@".contains(&byte) => out.push(byte.into()),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// What the other server is told: what the client said but who it is to us, and what the operator adds.
fn passed_on(mut headers: HeaderMap, proxy: &MetricsProxy, address: Option<String>) -> HeaderMap {
    headers.remove("x-consul-token");
    headers.remove(header::AUTHORIZATION);
    // Its body is not handed on.
    headers.remove(header::CONTENT_LENGTH);
    for (name, value) in &proxy.add_headers {
        headers.insert(name, value.clone());
    }
    strip(&mut headers);
    let before = headers.get_all(X_FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
    let through = before.map(str::to_owned).chain(address).collect::<Vec<_>>().join(", ");
    if let Ok(through) = HeaderValue::try_from(through) {
        headers.insert(X_FORWARDED_FOR, through);
    }
    headers
}

/// Removes what holds for one connection alone.
fn strip(headers: &mut HeaderMap) {
    let named = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let named: Vec<String> =
        named.flat_map(|value| value.split(',')).map(|name| name.trim().to_owned()).collect();
    for name in OF_ONE_CONNECTION.iter().copied().chain(named.iter().map(String::as_str)) {
        headers.remove(name);
    }
}

fn passed_back(forwarded: Forwarded) -> Reply {
    let Forwarded { status, mut headers, body } = forwarded;
    strip(&mut headers);
    let names: Vec<HeaderName> = headers.keys().cloned().collect();
    let mut reply = Reply::stream(body, None).status(status);
    for (name, value) in names.iter().filter_map(|name| Some((name, headers.get(name)?))) {
        reply = reply.header(name.clone(), value.clone());
    }
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_below_the_base() {
        let list = &["/a/query"][..];
        let at = |path: &str| Ok(path.to_owned());
        for (base, allowed, rest, query, expected) in [
            ("http://they:9090", &[][..], "api/v1", "", at("http://they:9090/api/v1")),
            ("http://they/", &[], "api", "q=1&q=2", at("http://they/api?q=1&q=2")),
            ("http://they/a", &[], "b//c/./d/", "", at("http://they/a/b/c/d")),
            ("http://they/a/", &[], "b", "", at("http://they/a/b")),
            ("http://they/a", &[], "", "", at("http://they/a")),
            ("http://they/a", &[], "../../b", "", at("http://they/a/b")),
            (
                "http://they/a",
                &[],
                "b c?d\\..\\e%2e",
                "",
                at("http://they/a/b%20c%3Fd%5C..%5Ce%252e"),
            ),
            ("http://they/a/../b", &[], "c", "", Err(Astray::Escaped)),
            ("http://they/a", list, "query", "x", at("http://they/a/query?x")),
            ("http://they/a", list, "query/more", "", Err(Astray::Denied)),
            ("http://they/a", list, "../query", "", at("http://they/a/query")),
        ] {
            let proxy = MetricsProxy {
                base_url: base.into(),
                path_allowlist: allowed.iter().map(|path| (*path).to_owned()).collect(),
                ..MetricsProxy::default()
            };
            assert_eq!(target(&proxy, rest, query), expected, "{base} {rest}");
        }
    }

    #[test]
    fn who_asks_is_told_but_not_by_token() {
        let map = |pairs: &[(&'static str, &'static str)]| -> HeaderMap {
            let pair = |(name, value): &(&'static str, &'static str)| {
                (HeaderName::from_static(name), HeaderValue::from_static(value))
            };
            pairs.iter().map(pair).collect()
        };
        let said = map(&[
            ("x-consul-token", "secret"),
            ("authorization", "Bearer secret"),
            ("accept", "a/b"),
            ("connection", "x-mine, close"),
            ("x-mine", "1"),
            ("x-forwarded-for", "10.0.0.1"),
        ]);
        let proxy = MetricsProxy {
            add_headers: map(&[("authorization", "Basic theirs"), ("x-own", "2")]),
            ..MetricsProxy::default()
        };
        let expected = map(&[
            ("accept", "a/b"),
            ("authorization", "Basic theirs"),
            ("x-own", "2"),
            ("x-forwarded-for", "10.0.0.1, 10.0.0.2"),
        ]);
        assert_eq!(passed_on(said, &proxy, Some("10.0.0.2".to_owned())), expected);
    }
}
