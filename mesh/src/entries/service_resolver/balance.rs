//! How requests are spread over instances.

use crate::entries::service_resolver::CookieTtl;
use crate::text::{Verdict, quote, refuse};
use crate::wire::record;

record! {
    /// A policy and its parameters.
    LoadBalancer = "LoadBalancer" {
        policy: String = "Policy" omit,
        ring_hash: Option<Box<RingHash>> = "RingHashConfig" | "ring_hash_config" omit,
        least_request: Option<Box<LeastRequest>> = "LeastRequestConfig" | "least_request_config" omit,
        hash_policies: Vec<HashPolicy> = "HashPolicies" | "hash_policies" omit,
    }
}

record! {
    /// Bounds of the ring.
    RingHash = "RingHashConfig" {
        min: u64 = "MinimumRingSize" | "minimum_ring_size" omit,
        max: u64 = "MaximumRingSize" | "maximum_ring_size" omit,
    }
}

record! {
    /// How many instances are looked at.
    LeastRequest = "LeastRequestConfig" {
        choices: u32 = "ChoiceCount" | "choice_count" omit,
    }
}

record! {
    /// What of a request chooses the instance.
    HashPolicy = "HashPolicy" {
        field: String = "Field" omit,
        value: String = "FieldValue" | "field_value" omit,
        cookie: Option<Box<Cookie>> = "CookieConfig" | "cookie_config" omit,
        source_ip: bool = "SourceIP" | "source_ip" omit,
        terminal: bool = "Terminal" omit,
    }
}

record! {
    /// A cookie that is set for it.
    Cookie = "CookieConfig" {
        session: bool = "Session" omit,
        ttl: CookieTtl = "TTL" omit,
        path: String = "Path" omit,
    }
}

// === impl LoadBalancer ===

impl LoadBalancer {
    /// Whether something of the request chooses the instance.
    pub(crate) fn is_hash_based(&self) -> bool {
        matches!(self.policy.as_str(), "maglev" | "ring_hash")
    }

    pub(crate) fn validate(&self) -> Verdict {
        const POLICIES: [&str; 6] =
            ["", "random", "round_robin", "least_request", "ring_hash", "maglev"];
        let policy = quote(&self.policy);
        if !POLICIES.contains(&self.policy.as_str()) {
            refuse!("Bad LoadBalancer policy: {policy} is not supported");
        }
        if self.policy != "ring_hash" && self.ring_hash.is_some() {
            refuse!(
                "Bad LoadBalancer configuration. RingHashConfig specified for incompatible load balancing policy {policy}"
            );
        }
        if self.policy != "least_request" && self.least_request.is_some() {
            refuse!(
                "Bad LoadBalancer configuration. LeastRequestConfig specified for incompatible load balancing policy {policy}"
            );
        }
        if !self.is_hash_based() && !self.hash_policies.is_empty() {
            refuse!(
                "Bad LoadBalancer configuration: HashPolicies specified for non-hash-based Policy: {policy}"
            );
        }
        for (at, policy) in self.hash_policies.iter().enumerate() {
            let place = format!("Bad LoadBalancer HashPolicy[{at}]: ");
            policy.validate().map_err(|reason| reason.under(place))?;
        }
        Ok(())
    }
}

// === impl HashPolicy ===

impl HashPolicy {
    fn validate(&self) -> Verdict {
        let field = quote(&self.field);
        if !matches!(self.field.as_str(), "" | "header" | "cookie" | "query_parameter") {
            refuse!("{field} is not a supported field");
        }
        if self.source_ip && !self.field.is_empty() {
            refuse!("A single hash policy cannot hash both a source address and a {field}");
        }
        if self.source_ip && !self.value.is_empty() {
            refuse!("A FieldValue cannot be specified when hashing SourceIP");
        }
        if !self.field.is_empty() && self.value.is_empty() {
            refuse!("Field {field} was specified without a FieldValue");
        }
        if !self.value.is_empty() && self.field.is_empty() {
            refuse!("FieldValue requires a Field to apply to");
        }
        let Some(cookie) = &self.cookie else { return Ok(()) };
        if self.field != "cookie" {
            refuse!("cookie_config provided for {field}");
        }
        if cookie.session && cookie.ttl.0 != 0 {
            refuse!("a session cookie cannot have an associated TTL");
        }
        Ok(())
    }
}
