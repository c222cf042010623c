//! `service-defaults`: how a service is spoken with.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::entries::shared::{
    EnvoyExtension, Expose, MeshGateway, Meta, PassiveHealthCheck, TransparentProxy, WILDCARD,
    check_meta, check_mutual_tls, is_balance, is_domain_name,
};
use crate::entries::{Outside, extension};
use crate::text::{Reasons, Verdict, refuse};
use crate::wire::{Indexes, List, record};

record! {
    /// Defaults of a service.
    ServiceDefaults = "ServiceConfigEntry" tenant {
        kind: String = "Kind" always,
        name: String = "Name" always,
        protocol: String = "Protocol" always,
        mode: String = "Mode" omit,
        transparent_proxy: TransparentProxy = "TransparentProxy" | "transparent_proxy" omit,
        mutual_tls: String = "MutualTLSMode" | "mutual_tls_mode" omit,
        mesh_gateway: MeshGateway = "MeshGateway" | "mesh_gateway" omit,
        expose: Expose = "Expose" omit,
        external_sni: String = "ExternalSNI" | "external_sni" omit,
        upstreams: Option<Box<UpstreamConfiguration>> = "UpstreamConfig" | "upstream_config" omit,
        destination: Option<Box<Destination>> = "Destination" omit,
        max_inbound_connections: i64 = "MaxInboundConnections" | "max_inbound_connections" omit,
        local_connect_timeout: i64 = "LocalConnectTimeoutMs" | "local_connect_timeout_ms" omit,
        local_request_timeout: i64 = "LocalRequestTimeoutMs" | "local_request_timeout_ms" omit,
        balance_inbound: String = "BalanceInboundConnections" | "balance_inbound_connections" omit,
        rate_limits: Option<Box<RateLimits>> = "RateLimits" | "rate_limits" omit,
        envoy_extensions: Vec<EnvoyExtension> = "EnvoyExtensions" | "envoy_extensions" omit,
        meta: Meta = "Meta" omit,
        hash: u64 = "Hash" hash,
        rows: Indexes = "RaftIndex" rows,
        max_request_headers: Option<Box<u32>> = "MaxRequestHeadersKB" omit,
    }
}

record! {
    /// How a service speaks with those that it depends on.
    UpstreamConfiguration = "UpstreamConfiguration" {
        overrides: Vec<Upstream> = "Overrides" omit,
        defaults: Option<Box<Upstream>> = "Defaults" omit,
    }
}

record! {
    /// How a service speaks with one that it depends on.
    Upstream = "UpstreamConfig" tenant {
        name: String = "Name" omit,
        peer: String = "Peer" always,
        envoy_listener_json: String = "EnvoyListenerJSON" | "envoy_listener_json" omit,
        envoy_cluster_json: String = "EnvoyClusterJSON" | "envoy_cluster_json" omit,
        protocol: String = "Protocol" omit,
        connect_timeout: i64 = "ConnectTimeoutMs" | "connect_timeout_ms" omit,
        limits: Option<Box<Limits>> = "Limits" omit,
        passive_health_check: Option<Box<PassiveHealthCheck>> = "PassiveHealthCheck" | "passive_health_check" omit,
        mesh_gateway: MeshGateway = "MeshGateway" | "mesh_gateway" omit,
        balance_outbound: String = "BalanceOutboundConnections" | "balance_outbound_connections" omit,
    }
}

record! {
    /// Bounds of what a proxy asks of an upstream at once.
    Limits = "UpstreamLimits" {
        max_connections: Option<Box<i64>> = "MaxConnections" | "max_connections" omit,
        max_pending: Option<Box<i64>> = "MaxPendingRequests" | "max_pending_requests" omit,
        max_concurrent: Option<Box<i64>> = "MaxConcurrentRequests" | "max_concurrent_requests" omit,
    }
}

record! {
    /// A service outside of the mesh.
    Destination = "DestinationConfig" {
        addresses: Vec<String> = "Addresses" omit,
        port: i64 = "Port" omit,
    }
}

record! {
    /// The enterprise edition's limits of requests.
    RateLimits = "RateLimits" {
        instance: InstanceLimits = "InstanceLevel" | "instance_level" always,
    }
}

record! {
    /// Limits of one instance.
    InstanceLimits = "InstanceLevelRateLimits" {
        per_second: i64 = "RequestsPerSecond" | "requests_per_second" always,
        max_burst: i64 = "RequestsMaxBurst" | "requests_max_burst" always,
        routes: List<RouteLimits> = "Routes" always,
    }
}

record! {
    /// Limits of one route of an instance.
    RouteLimits = "InstanceLevelRouteRateLimits" {
        exact: String = "PathExact" | "path_exact" always,
        prefix: String = "PathPrefix" | "path_prefix" always,
        regex: String = "PathRegex" | "path_regex" always,
        per_second: i64 = "RequestsPerSecond" | "requests_per_second" always,
        max_burst: i64 = "RequestsMaxBurst" | "requests_max_burst" always,
    }
}

// === impl ServiceDefaults ===

impl ServiceDefaults {
    pub(crate) fn normalize(&mut self) -> Verdict {
        "service-defaults".clone_into(&mut self.kind);
        self.protocol = self.protocol.to_lowercase();
        if let Some(upstreams) = &mut self.upstreams {
            upstreams.overrides.iter_mut().for_each(Upstream::normalize);
            upstreams.defaults.iter_mut().for_each(|upstream| upstream.normalize());
        }
        Ok(())
    }

    pub(crate) fn validate(&self, _: &dyn Outside) -> Verdict {
        if self.name.is_empty() {
            refuse!("Name is required");
        }
        if self.name == WILDCARD {
            refuse!("service-defaults name must be the name of a service, and not a wildcard");
        }
        let mut reasons = check_meta(&self.meta);
        if !is_balance(&self.balance_inbound) {
            let balance = &self.balance_inbound;
            reasons.add(format!("invalid value for balance_inbound_connections: {balance}"));
        }
        if !matches!(self.protocol.as_str(), "" | "http" | "http2" | "grpc" | "tcp") {
            reasons.add(format!("invalid value for protocol: {}", self.protocol));
        }
        if self.upstreams.is_some() && self.destination.is_some() {
            reasons
                .add("UpstreamConfig and Destination are mutually exclusive for service defaults");
            return reasons.verdict();
        }
        self.check_upstreams(&mut reasons);
        self.check_destination(&mut reasons);
        if self.rate_limits.is_some() {
            reasons.add("invalid rate_limits config. Rate limiting is a consul enterprise feature");
        }
        reasons.append(extension::check(&self.envoy_extensions));
        check_mutual_tls(&self.mutual_tls)?;
        reasons.verdict()
    }

    fn check_upstreams(&self, reasons: &mut Reasons) {
        let Some(upstreams) = &self.upstreams else { return };
        for upstream in &upstreams.overrides {
            if let Err(reason) = upstream.validate(true) {
                let (name, peer) = (&upstream.name, &upstream.peer);
                let (name, peer) = if name.is_empty() { ("", "") } else { (&**name, &**peer) };
                reasons.add(format!("error in upstream override for {name}:{peer}: {reason}"));
            }
        }
        if let Some(Err(reason)) =
            upstreams.defaults.as_ref().map(|defaults| defaults.validate(false))
        {
            reasons.add(format!("error in upstream defaults: {reason}"));
        }
    }

    fn check_destination(&self, reasons: &mut Reasons) {
        let Some(destination) = &self.destination else { return };
        if destination.addresses.is_empty() {
            reasons.add("Destination must contain at least one valid address");
        }
        let mut seen = BTreeSet::new();
        for address in &destination.addresses {
            if !seen.insert(address) {
                reasons.add(format!("Duplicate address '{address}' is not allowed"));
            } else if address.parse::<IpAddr>().is_err()
                && (!is_domain_name(address) || address.contains('*'))
            {
                reasons.add(format!(
                    "Destination address '{address}' is invalid Could not validate address {address} as an IP or Hostname"
                ));
            }
        }
        if !(1..=65535).contains(&destination.port) {
            reasons.add(format!("Invalid Port number {}", destination.port));
        }
    }
}

// === impl Upstream ===

impl Upstream {
    fn normalize(&mut self) {
        self.protocol = self.protocol.to_lowercase();
        self.connect_timeout = self.connect_timeout.max(0);
    }

    fn validate(&self, named: bool) -> Verdict {
        if named && self.name.is_empty() {
            refuse!("Name is required");
        }
        if named && self.name == WILDCARD {
            refuse!("Wildcard name is not supported");
        }
        if !named && !self.name.is_empty() {
            refuse!("Name must be empty");
        }
        let mut reasons = Reasons::default();
        if let Some(check) = &self.passive_health_check {
            reasons.check(check.validate());
        }
        if let Some(limits) = &self.limits {
            reasons.check(limits.validate());
        }
        if !is_balance(&self.balance_outbound) {
            let balance = &self.balance_outbound;
            reasons.add(format!("invalid value for balance_outbound_connections: {balance}"));
        }
        reasons.verdict()
    }
}

// === impl Limits ===

impl Limits {
    fn validate(&self) -> Verdict {
        let negative = |limit: &Option<Box<i64>>| limit.as_ref().is_some_and(|limit| **limit < 0);
        if negative(&self.max_connections) {
            refuse!("max connections cannot be negative");
        }
        if negative(&self.max_pending) {
            refuse!("max pending requests cannot be negative");
        }
        if negative(&self.max_concurrent) {
            refuse!("max concurrent requests cannot be negative");
        }
        Ok(())
    }
}
