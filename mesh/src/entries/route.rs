//! `http-route` and `tcp-route`: what API gateways send where.

use crate::entries::Outside;
use crate::entries::shared::{Meta, Reference, Status, check_meta, is_domain_name, is_http_method};
use crate::text::{Verdict, quote, refuse};
use crate::wire::{Dict, Indexes, List, Nanos, record};

record! {
    /// Requests and where they go.
    HttpRoute = "HTTPRouteConfigEntry" tenant {
        kind: String = "Kind" always,
        name: String = "Name" always,
        parents: List<Reference> = "Parents" always,
        rules: List<Rule> = "Rules" always,
        hostnames: List<String> = "Hostnames" always,
        meta: Meta = "Meta" omit,
        status: Status = "Status" always,
        hash: u64 = "Hash" hash,
        rows: Indexes = "RaftIndex" rows,
    }
}

record! {
    /// Which requests, what is done to them, and where they go.
    Rule = "HTTPRouteRule" {
        filters: Filters = "Filters" always,
        response_filters: ResponseFilters = "ResponseFilters" always,
        matches: List<Match> = "Matches" always,
        services: List<HttpService> = "Services" always,
    }
}

record! {
    /// Which requests.
    Match = "HTTPMatch" {
        headers: List<NamedMatch> = "Headers" always,
        method: String = "Method" always,
        path: PathMatch = "Path" always,
        query: List<QueryMatch> = "Query" always,
    }
}

record! {
    /// A header that they have.
    NamedMatch = "HTTPHeaderMatch" {
        how: String = "Match" always,
        name: String = "Name" always,
        value: String = "Value" always,
    }
}

record! {
    /// Their path.
    PathMatch = "HTTPPathMatch" {
        how: String = "Match" always,
        value: String = "Value" always,
    }
}

record! {
    /// A query parameter that they have.
    QueryMatch = "HTTPQueryMatch" {
        how: String = "Match" always,
        name: String = "Name" always,
        value: String = "Value" always,
    }
}

record! {
    /// What is done to requests.
    Filters = "HTTPFilters" {
        headers: List<HeaderFilter> = "Headers" always,
        rewrite: Option<Box<Rewrite>> = "URLRewrite" always,
        retry: Option<Box<Retry>> = "RetryFilter" always,
        timeout: Option<Box<Timeouts>> = "TimeoutFilter" always,
        jwt: Option<Box<JwtFilter>> = "JWT" always,
    }
}

record! {
    /// What is done to answers.
    ResponseFilters = "HTTPResponseFilters" {
        headers: List<HeaderFilter> = "Headers" always,
    }
}

record! {
    /// What is done to headers.
    HeaderFilter = "HTTPHeaderFilter" {
        add: Dict<String> = "Add" always,
        remove: List<String> = "Remove" always,
        set: Dict<String> = "Set" always,
    }
}

record! {
    /// Another path.
    Rewrite = "URLRewrite" {
        path: String = "Path" always,
    }
}

record! {
    /// When a request is tried again.
    Retry = "RetryFilter" {
        retries: u32 = "NumRetries" always,
        on: List<String> = "RetryOn" always,
        on_codes: List<u32> = "RetryOnStatusCodes" always,
        on_connect_failure: bool = "RetryOnConnectFailure" always,
    }
}

record! {
    /// How long to wait.
    Timeouts = "TimeoutFilter" {
        request: Nanos = "RequestTimeout" always,
        idle: Nanos = "IdleTimeout" always,
    }
}

record! {
    /// The enterprise edition's demand for tokens.
    JwtFilter = "JWTFilter" {}
}

record! {
    /// A service that requests go to.
    HttpService = "HTTPService" tenant {
        name: String = "Name" always,
        weight: i64 = "Weight" always,
        filters: Filters = "Filters" always,
        response_filters: ResponseFilters = "ResponseFilters" always,
    }
}

record! {
    /// Connections and where they go.
    TcpRoute = "TCPRouteConfigEntry" tenant {
        kind: String = "Kind" always,
        name: String = "Name" always,
        parents: List<Reference> = "Parents" always,
        services: List<TcpService> = "Services" always,
        meta: Meta = "Meta" omit,
        status: Status = "Status" always,
        hash: u64 = "Hash" hash,
        rows: Indexes = "RaftIndex" rows,
    }
}

record! {
    /// The service that they go to.
    TcpService = "TCPService" tenant {
        name: String = "Name" always,
    }
}

fn settle_parents(parents: &mut List<Reference>) {
    for parent in parents.iter_mut().filter(|parent| parent.kind.is_empty()) {
        "api-gateway".clone_into(&mut parent.kind);
    }
}

fn check_parents(parents: &[Reference]) -> Verdict {
    for (at, parent) in parents.iter().enumerate() {
        if parent.kind != "api-gateway" {
            let kind = quote(&parent.kind);
            refuse!("unsupported parent kind: {kind}, must be 'api-gateway'");
        }
        if parents[..at].contains(parent) {
            refuse!("route parents must be unique");
        }
    }
    Ok(())
}

// === impl HttpRoute ===

impl HttpRoute {
    pub(crate) fn normalize(&mut self) -> Verdict {
        settle_parents(&mut self.parents);
        for rule in self.rules.iter_mut() {
            for matching in rule.matches.iter_mut() {
                matching.method = matching.method.to_uppercase();
                if matching.path.how.is_empty() {
                    "prefix".clone_into(&mut matching.path.how);
                    "/".clone_into(&mut matching.path.value);
                }
            }
            for service in rule.services.iter_mut().filter(|service| service.weight < 0) {
                service.weight = 1;
            }
        }
        Ok(())
    }

    pub(crate) fn validate(&self, _: &dyn Outside) -> Verdict {
        for host in self.hostnames.iter() {
            let quoted = quote(host);
            if !is_domain_name(host) {
                refuse!("host {quoted} must be a valid DNS hostname");
            }
            if host.contains('*') {
                refuse!("host {quoted} must not be a wildcard");
            }
        }
        check_parents(&self.parents)?;
        check_meta(&self.meta).verdict()?;
        for (at, rule) in self.rules.iter().enumerate() {
            for (match_at, matching) in rule.matches.iter().enumerate() {
                let place = format!("Rule[{at}], Match[{match_at}], ");
                matching.validate().map_err(|reason| reason.under(place))?;
            }
        }
        Ok(())
    }
}

// === impl Match ===

impl Match {
    fn validate(&self) -> Verdict {
        if !self.method.is_empty() && !is_http_method(&self.method) {
            refuse!("Method contains an invalid method {}", quote(&self.method));
        }
        for (at, query) in self.query.iter().enumerate() {
            if query.name.is_empty() {
                refuse!("Query[{at}], missing required Name field");
            }
            if !matches!(query.how.as_str(), "exact" | "present" | "regex") {
                refuse!("Query[{at}], match type should be one of present, exact, or regex");
            }
        }
        for (at, header) in self.headers.iter().enumerate() {
            if header.name.is_empty() {
                refuse!("Headers[{at}], missing required Name field");
            }
            if !matches!(header.how.as_str(), "exact" | "prefix" | "regex" | "suffix" | "present") {
                refuse!(
                    "Headers[{at}], match type should be one of present, exact, prefix, suffix, or regex"
                );
            }
        }
        self.path.validate()
    }
}

// === impl PathMatch ===

impl PathMatch {
    fn validate(&self) -> Verdict {
        let how = self.how.as_str();
        match how {
            "exact" | "prefix" if !self.value.starts_with('/') => {
                let value = quote(&self.value);
                refuse!("Path, {how} type match doesn't start with '/': {value}")
            }
            "exact" | "prefix" | "regex" => Ok(()),
            _ => refuse!("Path, match type should be one of exact, prefix, or regex"),
        }
    }
}

// === impl TcpRoute ===

impl TcpRoute {
    pub(crate) fn normalize(&mut self) -> Verdict {
        settle_parents(&mut self.parents);
        Ok(())
    }

    pub(crate) fn validate(&self, _: &dyn Outside) -> Verdict {
        if self.services.len() > 1 {
            refuse!("tcp-route currently only supports one service");
        }
        check_parents(&self.parents)?;
        check_meta(&self.meta).verdict()
    }
}
