//! `api-gateway` and `bound-api-gateway`: a gateway whose routes are entries of their own, and what is bound to it.

use std::collections::{BTreeMap, BTreeSet};

use crate::entries::Outside;
use crate::entries::shared::{Meta, Reference, Status, check_meta};
use crate::entries::tls;
use crate::text::{Verdict, quote, refuse};
use crate::wire::{Dict, Indexes, List, record};

record! {
    /// A gateway and its listeners.
    ApiGateway = "APIGatewayConfigEntry" tenant {
        kind: String = "Kind" always,
        name: String = "Name" always,
        listeners: List<Listener> = "Listeners" always,
        status: Status = "Status" always,
        meta: Meta = "Meta" omit,
        hash: u64 = "Hash" hash,
        rows: Indexes = "RaftIndex" rows,
    }
}

record! {
    /// A port that routes can be bound to.
    Listener = "APIGatewayListener" {
        name: String = "Name" always,
        hostname: String = "Hostname" always,
        port: i64 = "Port" always,
        protocol: String = "Protocol" always,
        tls: ListenerTls = "TLS" always,
        over: Option<Box<Policy>> = "Override" omit,
        default: Option<Box<Policy>> = "Default" omit,
        max_request_headers: Option<Box<u32>> = "MaxRequestHeadersKB" omit,
    }
}

record! {
    /// What requests must bring.
    Policy = "APIGatewayPolicy" {
        jwt: Option<Box<JwtRequirement>> = "JWT" omit,
    }
}

record! {
    /// The enterprise edition's demand for tokens.
    JwtRequirement = "APIGatewayJWTRequirement" {}
}

record! {
    /// What a listener speaks.
    ListenerTls = "APIGatewayTLSConfiguration" {
        certificates: List<Reference> = "Certificates" always,
        max: String = "MaxVersion" always,
        min: String = "MinVersion" always,
        suites: List<String> = "CipherSuites" always,
    }
}

record! {
    /// What is bound to a gateway; only the controller writes it.
    BoundApiGateway = "BoundAPIGatewayConfigEntry" tenant {
        kind: String = "Kind" always,
        name: String = "Name" always,
        listeners: List<BoundListener> = "Listeners" always,
        services: Dict<List<Reference>> = "Services" always,
        meta: Meta = "Meta" omit,
        hash: u64 = "Hash" hash,
        rows: Indexes = "RaftIndex" rows,
    }
}

record! {
    /// What is bound to a listener.
    BoundListener = "BoundAPIGatewayListener" {
        name: String = "Name" always,
        routes: List<Reference> = "Routes" always,
        certificates: List<Reference> = "Certificates" always,
    }
}

// === impl ApiGateway ===

impl ApiGateway {
    pub(crate) fn normalize(&mut self) -> Verdict {
        for listener in self.listeners.iter_mut() {
            listener.protocol = listener.protocol.to_lowercase();
            for certificate in listener.tls.certificates.iter_mut() {
                if certificate.kind.is_empty() {
                    "inline-certificate".clone_into(&mut certificate.kind);
                }
            }
        }
        Ok(())
    }

    pub(crate) fn validate(&self, _: &dyn Outside) -> Verdict {
        check_meta(&self.meta).verdict()?;
        if self.listeners.is_empty() {
            refuse!("api gateway must have at least one listener");
        }
        let mut names = BTreeSet::new();
        for listener in self.listeners.iter() {
            let name = quote(&listener.name);
            if !is_listener_name(&listener.name) {
                refuse!(
                    "listener name {name} is invalid, must be at least 1 character and contain only letters, numbers, or dashes"
                );
            }
            if !names.insert(&listener.name) {
                refuse!("found multiple listeners with the name {name}");
            }
        }
        let mut ports: BTreeMap<i64, &Listener> = BTreeMap::new();
        for listener in self.listeners.iter() {
            let former = ports.insert(listener.port, listener);
            let same = |former: &&Listener| {
                former.hostname == listener.hostname && former.protocol == listener.protocol
            };
            if let Some(former) = former.filter(|former| !same(former)) {
                let (one, two) = (quote(&former.name), quote(&listener.name));
                refuse!("listeners {one} and {two} cannot be merged");
            }
        }
        self.listeners.iter().try_for_each(Listener::validate)
    }
}

/// Whether a name is one of dots, dashes and words of lower case.
fn is_listener_name(name: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.split('.').all(|label| {
        let bytes = label.as_bytes();
        bytes.first().is_some_and(|first| word(*first))
            && bytes.last().is_some_and(|last| word(*last))
            && bytes.iter().all(|byte| word(*byte) || *byte == b'-')
    })
}

// === impl Listener ===

impl Listener {
    fn validate(&self) -> Verdict {
        if !matches!(self.protocol.as_str(), "tcp" | "http") {
            let protocol = quote(&self.protocol);
            refuse!("unsupported listener protocol {protocol}, must be one of 'tcp', or 'http'");
        }
        if self.protocol == "tcp" && !self.hostname.is_empty() {
            refuse!("hostname specification is not supported when using TCP");
        }
        if !(1..=65535).contains(&self.port) {
            refuse!("listener port {} not in the range 1-65535", self.port);
        }
        if self.hostname.strip_prefix("*.").unwrap_or(&self.hostname).contains('*') {
            let host = quote(&self.hostname);
            refuse!(
                "host {host} is not valid, a wildcard specifier is only allowed as the left-most label"
            );
        }
        for certificate in self.tls.certificates.iter() {
            check_certificate(
                certificate,
                &["file-system-certificate", "inline-certificate"],
                "'file-system-certificate' or 'inline-certificate'",
            )?;
        }
        tls::check(&self.tls.min, &self.tls.max, &self.tls.suites)
    }
}

fn check_certificate(certificate: &Reference, kinds: &[&str], told: &str) -> Verdict {
    if !kinds.contains(&certificate.kind.as_str()) {
        let kind = quote(&certificate.kind);
        refuse!("unsupported certificate kind: {kind}, must be {told}");
    }
    if certificate.name.is_empty() {
        refuse!("certificate reference must have a name");
    }
    Ok(())
}

// === impl BoundApiGateway ===

impl BoundApiGateway {
    pub(crate) fn validate(&self, _: &dyn Outside) -> Verdict {
        for listener in self.listeners.iter() {
            for certificate in listener.certificates.iter() {
                check_certificate(certificate, &["inline-certificate"], "'inline-certificate'")?;
            }
            for route in listener.routes.iter() {
                if !matches!(route.kind.as_str(), "http-route" | "tcp-route") {
                    let kind = quote(&route.kind);
                    refuse!(
                        "unsupported route kind: {kind}, must be one of 'http-route', or 'tcp-route'"
                    );
                }
                if route.name.is_empty() {
                    refuse!("route reference must have a name");
                }
            }
        }
        Ok(())
    }
}
