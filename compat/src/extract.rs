//! What a request says: whose it is, what it asks for, and how the answer is wanted.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method, Uri, header};
use hyper::body::Incoming;
use proconsul_anchors::acl::{Act, AgentTokens, Authority};
use proconsul_anchors::caller::{Caller, Secret};
use proconsul_anchors::duration;

use crate::Site;
use crate::cached::Cache;
use crate::extract::params::Params;
use crate::go::text::{lossy, parse_bool, parse_int, parse_uint, quote};
use crate::reject::Reject;

/// Through how many servers with fallbacks a request has come: what ends a question that goes round.
pub const HOPS_HEADER: &str = "x-anchor-hops";

pub(crate) mod body;
pub(crate) mod params;
pub(crate) mod path;

/// A request, as handlers see it. Its headers are gone by then: who waits must not hold the read buffer of its connection.
pub(crate) struct Ask {
    pub(crate) site: Arc<Site>,
    pub(crate) method: Method,
    pub(crate) caller: Caller,
    /// The decoded path.
    pub(crate) path: String,
    /// How much of the path the route matched.
    pub(crate) matched: usize,
    pub(crate) params: Params,
    pub(crate) headers: Said,
    pub(crate) body: Option<Incoming>,
}

/// What handlers need of the headers.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) content_length: Option<u64>,
    namespace: bool,
    partition: bool,
    cache_control: Option<Box<str>>,
    pub(crate) accept: Option<Box<str>>,
    forwarded_for: Option<Box<str>>,
    /// Through how many servers with fallbacks the request has come.
    pub(crate) hops: u8,
    /// All of it, for the route alone that hands requests on.
    pub(crate) whole: Option<Box<Whole>>,
}

/// All headers and the query as they came.
#[derive(Debug, Default)]
pub(crate) struct Whole {
    pub(crate) headers: HeaderMap,
    pub(crate) query: Box<str>,
}

/// How fresh a read has to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Consistency {
    /// What the leader knows.
    #[default]
    Leader,
    /// What this process knows, leader or not.
    Stale,
    /// What the leader knows after it has made sure that it still is one.
    Consistent,
}

/// How a read wants to be answered: Consul's query options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReadOptions {
    /// Empty for the own one.
    pub(crate) datacenter: String,
    pub(crate) consistency: Consistency,
    /// Answer when the index is above this; 0 does not wait.
    pub(crate) after: u64,
    /// How long at most.
    pub(crate) patience: Duration,
    /// Whether a cached answer would do, and the same was asked before.
    pub(crate) cache: Cache,
    /// An expression; empty for none.
    pub(crate) filter: String,
    /// Only nodes with these pairs.
    pub(crate) node_meta: Vec<(String, String)>,
    /// The node near to which; empty for any order.
    pub(crate) near: String,
}

/// Which of the enterprise edition's words an endpoint looks at, to refuse them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tenancy {
    /// Namespaces and partitions.
    Both,
    /// Partitions alone.
    Partition,
}

// === impl Said ===

impl Said {
    /// Takes what is needed of a request's headers.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let text =
            |name: &str| headers.get(name).map(|value| lossy(value.as_bytes()).into_boxed_str());
        let given = |name: &str| headers.get(name).is_some_and(|value| !value.is_empty());
        Self {
            content_length: headers
                .get(header::CONTENT_LENGTH)
                .and_then(|value| value.to_str().ok()?.parse().ok()),
            namespace: given("x-consul-namespace"),
            partition: given("x-consul-partition"),
            cache_control: text("cache-control"),
            accept: text("accept"),
            forwarded_for: text("x-forwarded-for"),
            hops: hops(headers),
            whole: None,
        }
    }
}

/// A count that cannot be read is the highest: then nobody else is asked.
fn hops(headers: &HeaderMap) -> u8 {
    let told = headers.get(HOPS_HEADER).map(|value| value.to_str().ok()?.parse().ok());
    told.map_or(0, |count| count.unwrap_or(u8::MAX))
}

/// Whose request it is: `?token`, then `X-Consul-Token`, then a bearer, then the agent's default token.
pub(crate) fn caller(
    headers: &HeaderMap,
    params: &Params,
    peer: SocketAddr,
    tokens: &AgentTokens,
) -> Caller {
    let header = |name| {
        headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok()).unwrap_or("")
    };
    let token = [params.first("token"), header("x-consul-token"), bearer(header("authorization"))];
    let token = token.into_iter().find(|token| !token.is_empty()).map(Secret::new);
    let address = Some(canonical(peer.ip()));
    Caller { token: tokens.or_default(token), address, ..Caller::default() }
}

// === impl Whole ===

impl Whole {
    /// The whole of what a request says, for whoever hands it on.
    pub(crate) fn of(headers: &HeaderMap, uri: &Uri) -> Self {
        Self { headers: headers.clone(), query: uri.query().unwrap_or("").into() }
    }
}

/// The token that comes in a header.
pub(crate) fn header_token(headers: &HeaderMap) -> Option<&str> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
    let token = [header("x-consul-token"), bearer(header("authorization"))];
    token.into_iter().find(|token| !token.is_empty())
}

fn bearer(authorization: &str) -> &str {
    let (scheme, token) = authorization.split_once(' ').unwrap_or((authorization, ""));
    if scheme.eq_ignore_ascii_case("bearer") { token.trim() } else { "" }
}

fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

// === impl Ask ===

impl Ask {
    /// What the caller may do.
    pub(crate) fn authority(&self) -> Result<Authority, Reject> {
        self.site.handle.authority(&self.caller).map_err(Reject::from)
    }

    /// Refuses a caller whose rules do not allow this.
    pub(crate) fn demand(&self, act: Act<'_>) -> Result<(), Reject> {
        Ok(self.authority()?.demand(act)?)
    }

    /// The address of who asks, as a proxy before us tells it, else as we see it.
    pub(crate) fn source_address(&self) -> String {
        let told = self.headers.forwarded_for.as_deref().unwrap_or("");
        let first = told.split(',').next().unwrap_or("").trim();
        let address =
            first.parse().ok().map(|ip: IpAddr| ip.to_canonical()).or(self.caller.address);
        address.map(|ip| ip.to_string()).unwrap_or_default()
    }

    /// The body, for whoever reads it first.
    pub(crate) fn take_body(&mut self) -> Option<Incoming> {
        self.body.take()
    }

    /// What follows the route's own path: a name, an id, a key.
    pub(crate) fn rest(&self) -> &str {
        self.path.get(self.matched..).unwrap_or("")
    }

    /// The same, which must be there.
    pub(crate) fn named(&self, missing: Reject) -> Result<&str, Reject> {
        match self.rest() {
            "" => Err(missing),
            name => Ok(name),
        }
    }

    /// Refuses what only the enterprise edition has.
    pub(crate) fn refuse_enterprise(&self, looks_at: Tenancy) -> Result<(), Reject> {
        if looks_at == Tenancy::Both {
            if self.headers.namespace {
                return Err(Reject::NamespaceHeader);
            }
            if !self.params.first("ns").is_empty() {
                return Err(Reject::NamespaceParam);
            }
        }
        if self.headers.partition {
            return Err(Reject::PartitionHeader);
        }
        if !self.params.first("partition").is_empty() {
            return Err(Reject::PartitionParam);
        }
        Ok(())
    }

    /// The datacenter that is asked for; empty for the own one.
    pub(crate) fn datacenter(&self) -> &str {
        match self.params.first("datacenter") {
            "" => self.params.first("dc"),
            long => long,
        }
    }

    /// Refuses every datacenter but the own one.
    pub(crate) fn own_datacenter(&self, asked: &str) -> Result<(), Reject> {
        let own = asked.is_empty() || asked == &*self.site.settings.identity.datacenter;
        if own { Ok(()) } else { Err(Reject::NoPathToDatacenter) }
    }

    /// How the read wants to be answered.
    pub(crate) fn read_options(&self) -> Result<ReadOptions, Reject> {
        let params = &self.params;
        let consistency = self.consistency()?;
        check_cache_control(self.headers.cache_control.as_deref().unwrap_or(""))?;
        let (after, patience) = self.wait()?;
        Ok(ReadOptions {
            datacenter: self.datacenter().to_owned(),
            consistency,
            after,
            patience,
            cache: self.cache(),
            filter: params.first("filter").to_owned(),
            node_meta: params.all("node-meta").map(meta_pair).collect(),
            near: self.near().to_owned(),
        })
    }

    /// The node near to which; this one where the agent that is asked is meant.
    fn near(&self) -> &str {
        match self.params.first("near") {
            "_agent" => &self.site.settings.identity.node,
            near => near,
        }
    }

    fn consistency(&self) -> Result<Consistency, Reject> {
        let params = &self.params;
        let max_stale = match params.first("max_stale") {
            "" => 0,
            text => duration::parse(text).map_err(|_| Reject::MaxStale(quote(text)))?,
        };
        let cached = self.cached();
        let consistent = params.has("consistent");
        let told = params.has("leader") || cached || consistent;
        let stale = params.has("stale") || max_stale > 0 || (!told && self.stale_by_default());
        match (stale, consistent) {
            (true, true) => Err(Reject::StaleAndConsistent),
            (_, true) if cached => Err(Reject::CachedAndConsistent),
            (false, true) => Ok(Consistency::Consistent),
            (true, false) => Ok(Consistency::Stale),
            (false, false) => Ok(Consistency::Leader),
        }
    }

    fn cached(&self) -> bool {
        self.site.settings.use_cache && self.params.has("cached")
    }

    fn cache(&self) -> Cache {
        if !self.cached() {
            return Cache::Unasked;
        }
        let token = self.caller.token.as_ref().map_or("", Secret::expose);
        self.site.remembered.ask(&self.path, &self.params, token)
    }

    fn stale_by_default(&self) -> bool {
        let discovery = self.path.starts_with("/v1/catalog") || self.path.starts_with("/v1/health");
        discovery && !self.site.settings.discovery_max_stale.is_zero()
    }

    pub(crate) fn wait(&self) -> Result<(u64, Duration), Reject> {
        let settings = &self.site.settings;
        let asked = match self.params.first("wait") {
            "" => Duration::ZERO,
            text => duration::parse_wait(text).map_err(|_| Reject::WaitTime)?,
        };
        let after = match self.params.first("index") {
            "" => 0,
            text => parse_uint(text).map_err(|_| Reject::Index)?,
        };
        let patience =
            if asked.is_zero() { settings.wait_default } else { asked.min(settings.wait_max) };
        Ok((after, patience))
    }

    /// A flag that counts when it is there without a value or with a true one.
    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        match self.params.given(name) {
            None => Some(false),
            Some("") => Some(true),
            Some(text) => parse_bool(text),
        }
    }
}

/// A `node-meta` parameter: key and value around the first colon.
fn meta_pair(raw: &str) -> (String, String) {
    let (key, value) = raw.split_once(':').unwrap_or((raw, ""));
    (key.to_owned(), value.to_owned())
}

/// Nothing is cached here, so that every directive is obeyed; one that is no number is refused as Consul refuses it.
fn check_cache_control(header: &str) -> Result<(), Reject> {
    for directive in header.split(',').map(|directive| directive.trim().to_ascii_lowercase()) {
        let seconds = directive
            .strip_prefix("max-age=")
            .or_else(|| directive.strip_prefix("stale-if-error="));
        if seconds.is_some_and(|seconds| parse_int(seconds).is_none()) {
            return Err(Reject::CacheControl);
        }
    }
    Ok(())
}

// === impl Consistency ===

impl Consistency {
    /// The value of `X-Consul-Effective-Consistency`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Leader => "leader",
            Self::Stale => "stale",
            Self::Consistent => "consistent",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_found_in_consuls_order() {
        let cases = [
            ("", "", "", None),
            ("a", "b", "Bearer c", Some("a")),
            ("", "b", "Bearer c", Some("b")),
            ("", "", "bearer c", Some("c")),
            ("", "", "Basic c", None),
        ];
        for (param, header, authorization, token) in cases {
            let mut headers = HeaderMap::new();
            headers.insert("x-consul-token", header.parse().unwrap());
            headers.insert("authorization", authorization.parse().unwrap());
            let params = params::read(&format!("token={param}")).unwrap();
            let caller =
                caller(&headers, &params, "127.0.0.1:1".parse().unwrap(), &AgentTokens::default());
            assert_eq!(caller.token.as_ref().map(Secret::expose), token);
        }
    }

    #[test]
    fn cache_control_must_be_numbers() {
        for (header, fine) in [
            ("", true),
            ("no-cache", true),
            ("max-age=5, must-revalidate", true),
            ("max-age=x", false),
            ("Stale-If-Error=", false),
        ] {
            assert_eq!(check_cache_control(header).is_ok(), fine, "{header}");
        }
    }
}
