//! What several kinds have in common.

use std::collections::BTreeMap;

use crate::text::{Reasons, Verdict, quote, refuse};
use crate::wire::{Dict, List, Moment, Nanos, Opaque, record};

/// The name that stands for every service.
pub(crate) const WILDCARD: &str = "*";

/// Meta pairs of an entry at most.
const META_PAIRS_MAX: usize = 64;
/// Bytes of a meta key at most.
pub(crate) const META_KEY_BYTES_MAX: usize = 128;
/// Bytes of a meta value at most.
pub(crate) const META_VALUE_BYTES_MAX: usize = 512;

/// Pairs of an entry's writer.
pub(crate) type Meta = BTreeMap<String, String>;

record! {
    /// How traffic to other datacenters travels.
    MeshGateway = "MeshGatewayConfig" {
        mode: String = "Mode" omit,
    }
}

record! {
    /// How a transparent proxy behaves.
    TransparentProxy = "TransparentProxyConfig" {
        outbound_listener_port: i64 = "OutboundListenerPort" | "outbound_listener_port" omit,
        dialed_directly: bool = "DialedDirectly" | "dialed_directly" omit,
    }
}

record! {
    /// Paths that are exposed past the proxy.
    Expose = "ExposeConfig" {
        checks: bool = "Checks" omit,
        paths: Vec<ExposePath> = "Paths" omit,
    }
}

record! {
    /// One exposed path.
    ExposePath = "ExposePath" {
        listener_port: i64 = "ListenerPort" | "listener_port" omit,
        path: String = "Path" omit,
        local_path_port: i64 = "LocalPathPort" | "local_path_port" omit,
        protocol: String = "Protocol" omit,
        parsed_from_check: bool = "ParsedFromCheck" | "parsed_from_check" omit,
    }
}

record! {
    /// An extension of Envoy.
    EnvoyExtension = "EnvoyExtension" {
        name: String = "Name" always,
        required: bool = "Required" always,
        arguments: Dict<Opaque> = "Arguments" always,
        consul_version: String = "ConsulVersion" always,
        envoy_version: String = "EnvoyVersion" always,
    }
}

record! {
    /// Headers to add, set and take away.
    HeaderModifiers = "HTTPHeaderModifiers" {
        add: BTreeMap<String, String> = "Add" omit,
        set: BTreeMap<String, String> = "Set" omit,
        remove: Vec<String> = "Remove" omit,
    }
}

record! {
    /// When an upstream instance is left out for its failures.
    PassiveHealthCheck = "PassiveHealthCheck" {
        interval: Nanos = "Interval" omit,
        max_failures: u32 = "MaxFailures" | "max_failures" omit,
        enforcing: Option<Box<u32>> = "EnforcingConsecutive5xx" | "enforcing_consecutive_5xx" omit,
        max_ejection: Option<Box<u32>> = "MaxEjectionPercent" | "max_ejection_percent" omit,
        base_ejection: Option<Box<Nanos>> = "BaseEjectionTime" | "base_ejection_time" omit,
    }
}

record! {
    /// A reference to another entry, or to a part of it.
    Reference = "ResourceReference" tenant {
        kind: String = "Kind" always,
        name: String = "Name" always,
        section: String = "SectionName" always,
    }
}

record! {
    /// What the controller tells of an entry.
    Status = "Status" {
        conditions: List<Condition> = "Conditions" always,
    }
}

record! {
    /// One thing that the controller tells.
    Condition = "Condition" {
        kind: String = "Type" always,
        status: String = "Status" always,
        reason: String = "Reason" always,
        message: String = "Message" always,
        resource: Option<Box<Reference>> = "Resource" always,
        since: Option<Box<Moment>> = "LastTransitionTime" always,
    }
}

// === impl HeaderModifiers ===

impl HeaderModifiers {
    /// Whether it changes nothing.
    pub(crate) fn is_zero(&self) -> bool {
        self.add.is_empty() && self.set.is_empty() && self.remove.is_empty()
    }

    /// Those of `base`, and these over them.
    pub(crate) fn merged(base: Option<&Self>, over: Option<&Self>) -> Option<Self> {
        let Some(base) = base.filter(|base| !base.is_zero()) else { return over.cloned() };
        let mut merged = base.clone();
        let Some(over) = over.filter(|over| !over.is_zero()) else { return Some(merged) };
        merged.add.extend(over.add.clone());
        merged.set.extend(over.set.clone());
        for name in &over.remove {
            if !base.remove.contains(name) {
                merged.remove.push(name.clone());
            }
        }
        Some(merged)
    }
}

// === impl PassiveHealthCheck ===

impl PassiveHealthCheck {
    pub(crate) fn validate(&self) -> Verdict {
        let percent = |value: &Option<Box<u32>>| value.as_ref().is_none_or(|value| **value <= 100);
        if self.interval.0 < 0 {
            refuse!("passive health check interval cannot be negative");
        }
        if !percent(&self.enforcing) {
            refuse!(
                "passive health check enforcing_consecutive_5xx must be a percentage between 0 and 100"
            );
        }
        if !percent(&self.max_ejection) {
            refuse!(
                "passive health check max_ejection_percent must be a percentage between 0 and 100"
            );
        }
        if self.base_ejection.as_ref().is_some_and(|time| time.0 < 0) {
            refuse!("passive health check base_ejection_time cannot be negative");
        }
        Ok(())
    }
}

/// Whether an entry's meta is within its bounds.
pub(crate) fn check_meta(meta: &Meta) -> Reasons {
    let mut reasons = Reasons::default();
    if meta.len() > META_PAIRS_MAX {
        reasons.add(format!("Meta exceeds maximum element count {META_PAIRS_MAX}"));
    }
    for (key, value) in meta {
        if key.len() > META_KEY_BYTES_MAX {
            let key = quote(key);
            reasons.add(format!("Meta key {key} exceeds maximum length {META_KEY_BYTES_MAX}"));
        }
        if value.len() > META_VALUE_BYTES_MAX {
            let key = quote(key);
            reasons.add(format!(
                "Meta value for key {key} exceeds maximum length {META_VALUE_BYTES_MAX}"
            ));
        }
    }
    reasons
}

/// The same bounds for the meta of a source, which names them otherwise.
pub(crate) fn meta_pairs_max() -> usize {
    META_PAIRS_MAX
}

/// Whether a protocol is one that requests can be told apart in.
pub(crate) fn is_http_like(protocol: &str) -> bool {
    matches!(protocol, "http" | "http2" | "grpc")
}

/// Whether HTTP has such a method.
pub(crate) fn is_http_method(method: &str) -> bool {
    const METHODS: [&str; 9] =
        ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE"];
    METHODS.contains(&method)
}

/// Whether a text can be a name in DNS: labels of at most 63 bytes, 255 in all.
pub(crate) fn is_domain_name(name: &str) -> bool {
    let labels = name.strip_suffix('.').unwrap_or(name);
    let fits = labels.split('.').all(|label| !label.is_empty() && label.len() < 64);
    name == "." || (fits && labels.len() < 255)
}

pub(crate) fn check_mutual_tls(mode: &str) -> Verdict {
    match mode {
        "" | "strict" | "permissive" => Ok(()),
        other => refuse!(
            "Invalid MutualTLSMode {}. Must be one of \"\", \"strict\", or \"permissive\".",
            quote(other)
        ),
    }
}

/// Whether the connections to or from a service are balanced in a way that there is.
pub(crate) fn is_balance(balance: &str) -> bool {
    matches!(balance, "" | "exact_balance")
}
