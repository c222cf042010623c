//! `service-router`: which requests to a service go where.

use std::collections::BTreeSet;

use crate::entries::Outside;
use crate::entries::shared::{HeaderModifiers, Meta, check_meta, is_http_method};
use crate::text::{Verdict, quote, refuse};
use crate::wire::{Indexes, List, Pause, record};

record! {
    /// Routes of a service, tried in their order.
    ServiceRouter = "ServiceRouterConfigEntry" tenant {
        kind: String = "Kind" always,
        name: String = "Name" always,
        routes: List<Route> = "Routes" always,
        meta: Meta = "Meta" omit,
        hash: u64 = "Hash" hash,
        rows: Indexes = "RaftIndex" rows,
    }
}

record! {
    /// Requests, and where they go.
    Route = "ServiceRoute" {
        matching: Option<Box<Match>> = "Match" omit,
        destination: Option<Box<Destination>> = "Destination" omit,
    }
}

record! {
    /// Which requests.
    Match = "ServiceRouteMatch" {
        http: Option<Box<HttpMatch>> = "HTTP" omit,
    }
}

record! {
    /// Which HTTP requests.
    HttpMatch = "ServiceRouteHTTPMatch" {
        exact: String = "PathExact" | "path_exact" omit,
        prefix: String = "PathPrefix" | "path_prefix" omit,
        regex: String = "PathRegex" | "path_regex" omit,
        case_insensitive: bool = "CaseInsensitive" | "case_insensitive" omit,
        headers: Vec<HeaderMatch> = "Header" omit,
        params: Vec<ParamMatch> = "QueryParam" | "query_param" omit,
        methods: Vec<String> = "Methods" omit,
    }
}

record! {
    /// A header that a request has.
    HeaderMatch = "ServiceRouteHTTPMatchHeader" {
        name: String = "Name" always,
        present: bool = "Present" omit,
        exact: String = "Exact" omit,
        prefix: String = "Prefix" omit,
        suffix: String = "Suffix" omit,
        regex: String = "Regex" omit,
        invert: bool = "Invert" omit,
    }
}

record! {
    /// A query parameter that a request has.
    ParamMatch = "ServiceRouteHTTPMatchQueryParam" {
        name: String = "Name" always,
        present: bool = "Present" omit,
        exact: String = "Exact" omit,
        regex: String = "Regex" omit,
    }
}

record! {
    /// Where requests go, and how.
    Destination = "ServiceRouteDestination" {
        request_timeout: Pause = "RequestTimeout" | "request_timeout" omit,
        idle_timeout: Pause = "IdleTimeout" | "idle_timeout" omit,
        service: String = "Service" omit,
        subset: String = "ServiceSubset" | "service_subset" omit,
        namespace: String = "Namespace" omit,
        partition: String = "Partition" omit,
        prefix_rewrite: String = "PrefixRewrite" | "prefix_rewrite" omit,
        retries: u32 = "NumRetries" | "num_retries" omit,
        retry_on_connect_failure: bool = "RetryOnConnectFailure" | "retry_on_connect_failure" omit,
        retry_on: Vec<String> = "RetryOn" | "retry_on" omit,
        retry_on_codes: Vec<u32> = "RetryOnStatusCodes" | "retry_on_status_codes" omit,
        request_headers: Option<Box<HeaderModifiers>> = "RequestHeaders" | "request_headers" omit,
        response_headers: Option<Box<HeaderModifiers>> = "ResponseHeaders" | "response_headers" omit,
    }
}

const RETRY_CONDITIONS: [&str; 12] = [
    "5xx",
    "gateway-error",
    "reset",
    "connect-failure",
    "envoy-ratelimited",
    "retriable-4xx",
    "refused-stream",
    "cancelled",
    "deadline-exceeded",
    "internal",
    "resource-exhausted",
    "unavailable",
];

// === impl ServiceRouter ===

impl ServiceRouter {
    pub(crate) fn normalize(&mut self) -> Verdict {
        "service-router".clone_into(&mut self.kind);
        for route in self.routes.iter_mut() {
            let http = route.matching.as_mut().and_then(|matching| matching.http.as_mut());
            let Some(http) = http else { continue };
            http.methods.iter_mut().for_each(|method| *method = method.to_uppercase());
        }
        Ok(())
    }

    pub(crate) fn validate(&self, _: &dyn Outside) -> Verdict {
        if self.name.is_empty() {
            refuse!("Name is required");
        }
        check_meta(&self.meta).verdict()?;
        for (at, route) in self.routes.iter().enumerate() {
            let http = route.matching.as_ref().and_then(|matching| matching.http.as_ref());
            http.map_or(Ok(()), |http| http.validate(at))?;
            let rewritable =
                http.is_some_and(|http| !http.exact.is_empty() || !http.prefix.is_empty());
            route.destination.as_ref().map_or(Ok(()), |to| to.validate(at, rewritable))?;
        }
        Ok(())
    }

    /// The services that routes lead to, and the own one.
    pub(crate) fn related(&self) -> BTreeSet<String> {
        let destinations = self.routes.iter().filter_map(|route| route.destination.as_ref());
        let named = destinations.map(|to| &to.service).filter(|service| !service.is_empty());
        named.chain([&self.name]).cloned().collect()
    }
}

// === impl HttpMatch ===

impl HttpMatch {
    fn validate(&self, at: usize) -> Verdict {
        if !self.exact.is_empty() && !self.exact.starts_with('/') {
            refuse!("Route[{at}] PathExact doesn't start with '/': {}", quote(&self.exact));
        }
        if !self.prefix.is_empty() && !self.prefix.starts_with('/') {
            refuse!("Route[{at}] PathPrefix doesn't start with '/': {}", quote(&self.prefix));
        }
        let paths = [&self.exact, &self.prefix, &self.regex];
        if paths.iter().filter(|path| !path.is_empty()).count() > 1 {
            refuse!(
                "Route[{at}] should only contain at most one of PathExact, PathPrefix, or PathRegex"
            );
        }
        for (header_at, header) in self.headers.iter().enumerate() {
            header.validate(at, header_at)?;
        }
        for (param_at, param) in self.params.iter().enumerate() {
            param.validate(at, param_at)?;
        }
        let mut seen = BTreeSet::new();
        for method in &self.methods {
            if !is_http_method(method) {
                refuse!("Route[{at}] Methods contains an invalid method {}", quote(method));
            }
            if !seen.insert(method) {
                refuse!("Route[{at}] Methods contains {} more than once", quote(method));
            }
        }
        Ok(())
    }
}

// === impl HeaderMatch ===

impl HeaderMatch {
    fn validate(&self, route: usize, at: usize) -> Verdict {
        if self.name.is_empty() {
            refuse!("Route[{route}] Header[{at}] missing required Name field");
        }
        let texts = [&self.exact, &self.regex, &self.prefix, &self.suffix];
        let given = texts.iter().filter(|text| !text.is_empty()).count();
        if given + usize::from(self.present) != 1 {
            refuse!(
                "Route[{route}] Header[{at}] should only contain one of Present, Exact, Prefix, Suffix, or Regex"
            );
        }
        Ok(())
    }
}

// === impl ParamMatch ===

impl ParamMatch {
    fn validate(&self, route: usize, at: usize) -> Verdict {
        if self.name.is_empty() {
            refuse!("Route[{route}] QueryParam[{at}] missing required Name field");
        }
        let given = [&self.exact, &self.regex].iter().filter(|text| !text.is_empty()).count();
        if given + usize::from(self.present) != 1 {
            refuse!(
                "Route[{route}] QueryParam[{at}] should only contain one of Present, Exact, or Regex"
            );
        }
        Ok(())
    }
}

// === impl Destination ===

impl Destination {
    fn validate(&self, at: usize, rewritable: bool) -> Verdict {
        if !self.prefix_rewrite.is_empty() && !rewritable {
            refuse!(
                "Route[{at}] cannot make use of PrefixRewrite without configuring either PathExact or PathPrefix"
            );
        }
        let unknown = self.retry_on.iter().find(|on| !RETRY_CONDITIONS.contains(&on.as_str()));
        if let Some(unknown) = unknown {
            refuse!("Route[{at}] contains an invalid retry condition: {}", quote(unknown));
        }
        Ok(())
    }
}
