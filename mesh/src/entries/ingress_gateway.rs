//! `ingress-gateway`: where traffic from outside comes in.

use std::collections::BTreeSet;

use crate::entries::Outside;
use crate::entries::shared::{
    HeaderModifiers, Meta, PassiveHealthCheck, WILDCARD, check_meta, is_domain_name, is_http_like,
};
use crate::entries::tls::{self, GatewayServiceTls, GatewayTls};
use crate::text::{Verdict, quote, refuse};
use crate::wire::{Indexes, List, record};

record! {
    /// A gateway and its listeners.
    IngressGateway = "IngressGatewayConfigEntry" tenant {
        kind: String = "Kind" always,
        name: String = "Name" always,
        tls: GatewayTls = "TLS" always,
        listeners: List<Listener> = "Listeners" always,
        defaults: Option<Box<Defaults>> = "Defaults" omit,
        meta: Meta = "Meta" omit,
        hash: u64 = "Hash" hash,
        rows: Indexes = "RaftIndex" rows,
    }
}

record! {
    /// Bounds for all of its services.
    Defaults = "IngressServiceConfig" {
        max_connections: u32 = "MaxConnections" always,
        max_pending: u32 = "MaxPendingRequests" always,
        max_concurrent: u32 = "MaxConcurrentRequests" always,
        passive_health_check: Option<Box<PassiveHealthCheck>> = "PassiveHealthCheck" | "passive_health_check" omit,
    }
}

record! {
    /// A port and the services behind it.
    Listener = "IngressListener" {
        port: i64 = "Port" always,
        protocol: String = "Protocol" always,
        tls: Option<Box<GatewayTls>> = "TLS" omit,
        services: List<Service> = "Services" always,
    }
}

record! {
    /// A service behind a listener.
    Service = "IngressService" tenant {
        name: String = "Name" always,
        hosts: List<String> = "Hosts" always,
        tls: Option<Box<GatewayServiceTls>> = "TLS" omit,
        request_headers: Option<Box<HeaderModifiers>> = "RequestHeaders" | "request_headers" omit,
        response_headers: Option<Box<HeaderModifiers>> = "ResponseHeaders" | "response_headers" omit,
        max_connections: u32 = "MaxConnections" | "max_connections" omit,
        max_pending: u32 = "MaxPendingRequests" | "max_pending_requests" omit,
        max_concurrent: u32 = "MaxConcurrentRequests" | "max_concurrent_requests" omit,
        passive_health_check: Option<Box<PassiveHealthCheck>> = "PassiveHealthCheck" | "passive_health_check" omit,
        meta: Meta = "Meta" omit,
    }
}

// === impl IngressGateway ===

impl IngressGateway {
    pub(crate) fn normalize(&mut self) -> Verdict {
        "ingress-gateway".clone_into(&mut self.kind);
        for listener in self.listeners.iter_mut() {
            if listener.protocol.is_empty() {
                "tcp".clone_into(&mut listener.protocol);
            }
            listener.protocol = listener.protocol.to_lowercase();
        }
        Ok(())
    }

    pub(crate) fn validate(&self, _: &dyn Outside) -> Verdict {
        check_meta(&self.meta).verdict()?;
        tls::check(&self.tls.min, &self.tls.max, &self.tls.suites)?;
        let mut ports = BTreeSet::new();
        for listener in self.listeners.iter() {
            if !ports.insert(listener.port) {
                refuse!("port {} declared on two listeners", listener.port);
            }
            self.check_listener(listener)?;
        }
        Ok(())
    }

    fn check_listener(&self, listener: &Listener) -> Verdict {
        let (port, protocol) = (listener.port, listener.protocol.as_str());
        if protocol != "tcp" && !is_http_like(protocol) {
            refuse!(
                "protocol must be 'tcp', 'http', 'http2', or 'grpc'. '{protocol}' is an unsupported protocol"
            );
        }
        if listener.services.is_empty() {
            refuse!("No service declared for listener with port {port}");
        }
        if !is_http_like(protocol) && listener.services.len() > 1 {
            refuse!(
                "Multiple services per listener are only supported for L7 protocols, 'http', 'grpc' and 'http2' (listener on port {port})"
            );
        }
        if let Some(tls) = &listener.tls {
            tls::check(&tls.min, &tls.max, &tls.suites)?;
        }
        let (mut names, mut hosts) = (BTreeSet::new(), BTreeSet::new());
        for service in listener.services.iter() {
            service.validate(listener)?;
            if !names.insert(&service.name) {
                let name = &service.name;
                refuse!("Service {name} cannot be added multiple times (listener on port {port})");
            }
            self.check_sds(listener, service)?;
            for host in service.hosts.iter() {
                if !hosts.insert(host) {
                    refuse!(
                        "Hosts must be unique within a specific listener (listener on port {port})"
                    );
                }
                self.check_host(host)?;
            }
        }
        Ok(())
    }

    fn check_host(&self, host: &str) -> Verdict {
        if host == "*" && self.tls.enabled {
            refuse!(
                "Host '*' is not allowed when TLS is enabled, all hosts must be valid DNS records to add as a DNSSAN"
            );
        }
        if host == "*" {
            return Ok(());
        }
        let quoted = quote(host);
        if !is_domain_name(host) {
            refuse!("Host {quoted} must be a valid DNS hostname");
        }
        if host.strip_prefix("*.").unwrap_or(host).contains('*') {
            refuse!(
                "Host {quoted} is not valid, a wildcard specifier is only allowed as the leftmost label"
            );
        }
        Ok(())
    }

    /// Whether each certificate has a cluster to be had from, and each cluster a certificate.
    fn check_sds(&self, listener: &Listener, service: &Service) -> Verdict {
        let given = |text: Option<&String>| text.is_some_and(|text| !text.is_empty());
        let gateway = self.tls.sds.as_ref();
        let gateway_cluster = given(gateway.map(|sds| &sds.cluster));
        let gateway_certificate = given(gateway.map(|sds| &sds.certificate));
        if gateway_certificate && !gateway_cluster {
            refuse!("TLS.SDS.ClusterName is required if CertResource is set");
        }
        let own = listener.tls.as_ref().and_then(|tls| tls.sds.as_ref());
        let cluster = given(own.map(|sds| &sds.cluster));
        let certificate = given(own.map(|sds| &sds.certificate));
        let port = listener.port;
        if gateway_cluster && !gateway_certificate && !certificate {
            refuse!(
                "TLS.SDS.CertResource is required if ClusterName is set for gateway (listener on port {port})"
            );
        }
        if cluster && !certificate {
            refuse!(
                "TLS.SDS.CertResource is required if ClusterName is set for listener (listener on port {port})"
            );
        }
        if certificate && !cluster && !gateway_cluster {
            refuse!(
                "TLS.SDS.ClusterName is required if CertResource is set (listener on port {port})"
            );
        }
        let sds = service.tls.as_ref().and_then(|tls| tls.sds.as_ref());
        let Some(sds) = sds.filter(|sds| !sds.certificate.is_empty()) else { return Ok(()) };
        let name = quote(&service.name);
        if service.hosts.is_empty() {
            refuse!(
                "A service specifying TLS.SDS.CertResource must have at least one item in Hosts (service {name} on listener on port {port})"
            );
        }
        if sds.cluster.is_empty() && !cluster && !gateway_cluster {
            refuse!(
                "TLS.SDS.ClusterName is required if CertResource is set (service {name} on listener on port {port})"
            );
        }
        Ok(())
    }

    /// The services behind it.
    pub(crate) fn related(&self) -> BTreeSet<String> {
        let services = self.listeners.iter().flat_map(|listener| listener.services.iter());
        let names = services.map(|service| service.name.clone());
        names.filter(|name| name != WILDCARD).collect()
    }
}

// === impl Service ===

impl Service {
    fn validate(&self, listener: &Listener) -> Verdict {
        let (port, protocol) = (listener.port, listener.protocol.as_str());
        let changes = |headers: &Option<Box<HeaderModifiers>>| {
            headers.as_ref().is_some_and(|headers| !headers.is_zero())
        };
        for (which, headers) in
            [("request", &self.request_headers), ("response", &self.response_headers)]
        {
            if changes(headers) && !is_http_like(protocol) {
                let name = quote(&self.name);
                refuse!(
                    "{which} headers only valid for http, http2 and grpc protocols (service {name} on listener on port {port})"
                );
            }
        }
        if protocol == "tcp" && self.name == WILDCARD {
            refuse!(
                "Wildcard service name is only valid for protocol = 'http' (listener on port {port})"
            );
        }
        if protocol == "tcp" && !self.hosts.is_empty() {
            refuse!(
                "Associating hosts to a service is not supported for the {protocol} protocol (listener on port {port})"
            );
        }
        if self.name.is_empty() {
            refuse!("Service name cannot be blank (listener on port {port})");
        }
        if self.name == WILDCARD && !self.hosts.is_empty() {
            refuse!(
                "Associating hosts to a wildcard service is not supported (listener on port {port})"
            );
        }
        Ok(())
    }
}
