//! `jwt-provider`: who signs the tokens that intentions ask for.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::entries::Outside;
use crate::entries::shared::{Meta, check_meta};
use crate::text::{Reasons, Verdict, quote, refuse};
use crate::wire::{Bytes, Indexes, Nanos, record};

/// How far clocks may be apart where nothing is said of it.
const CLOCK_SKEW_SECONDS: i64 = 30;

record! {
    /// A signer of tokens.
    JwtProvider = "JWTProviderConfigEntry" tenant {
        kind: String = "Kind" omit,
        name: String = "Name" omit,
        keys: Option<Box<KeySet>> = "JSONWebKeySet" | "json_web_key_set" omit,
        issuer: String = "Issuer" omit,
        audiences: Vec<String> = "Audiences" omit,
        locations: Vec<Location> = "Locations" omit,
        forwarding: Option<Box<Forwarding>> = "Forwarding" omit,
        clock_skew: i64 = "ClockSkewSeconds" | "clock_skew_seconds" omit,
        cache: Option<Box<Cache>> = "CacheConfig" | "cache_config" omit,
        meta: Meta = "Meta" omit,
        hash: u64 = "Hash" hash,
        rows: Indexes = "RaftIndex" rows,
    }
}

record! {
    /// Where in a request the token stands.
    Location = "JWTLocation" {
        header: Option<Box<Header>> = "Header" omit,
        param: Option<Box<Named>> = "QueryParam" | "query_param" omit,
        cookie: Option<Box<Cookie>> = "Cookie" omit,
    }
}

record! {
    /// In a header.
    Header = "JWTLocationHeader" {
        name: String = "Name" omit,
        prefix: String = "ValuePrefix" | "value_prefix" omit,
        forward: bool = "Forward" omit,
    }
}

record! {
    /// In a query parameter.
    Named = "JWTLocationQueryParam" {
        name: String = "Name" omit,
    }
}

record! {
    /// In a cookie.
    Cookie = "JWTLocationCookie" {
        name: String = "Name" omit,
    }
}

record! {
    /// How the token is handed on.
    Forwarding = "JWTForwardingConfig" {
        header: String = "HeaderName" | "header_name" omit,
        pad: bool = "PadForwardPayloadHeader" | "pad_forward_payload_header" always,
    }
}

record! {
    /// The keys that tokens are signed with.
    KeySet = "JSONWebKeySet" {
        local: Option<Box<Local>> = "Local" omit,
        remote: Option<Box<Remote>> = "Remote" omit,
    }
}

record! {
    /// Keys that are here.
    Local = "LocalJWKS" {
        keys: String = "JWKS" omit,
        file: String = "Filename" omit,
    }
}

record! {
    /// Keys that are fetched.
    Remote = "RemoteJWKS" {
        uri: String = "URI" omit,
        timeout: i64 = "RequestTimeoutMs" | "request_timeout_ms" omit,
        cached: Nanos = "CacheDuration" | "cache_duration" omit,
        asynchronous: bool = "FetchAsynchronously" | "fetch_asynchronously" omit,
        use_sni: bool = "UseSNI" | "use_sni" omit,
        retry: Option<Box<RetryPolicy>> = "RetryPolicy" | "retry_policy" omit,
        cluster: Option<Box<Cluster>> = "JWKSCluster" | "jwks_cluster" omit,
    }
}

record! {
    /// How those who have them are found.
    Cluster = "JWKSCluster" {
        discovery: String = "DiscoveryType" | "discovery_type" omit,
        certificates: Option<Box<Certificates>> = "TLSCertificates" | "tls_certificates" omit,
        timeout: Nanos = "ConnectTimeout" | "connect_timeout" omit,
    }
}

record! {
    /// How those who have them are known.
    Certificates = "JWKSTLSCertificate" {
        provider: Option<Box<Provider>> = "CaCertificateProviderInstance" | "ca_certificate_provider_instance" omit,
        trusted: Option<Box<Trusted>> = "TrustedCA" | "trusted_ca" omit,
    }
}

record! {
    /// By a certificate that the proxy has.
    Provider = "JWKSTLSCertProviderInstance" {
        instance: String = "InstanceName" | "instance_name" omit,
        certificate: String = "CertificateName" | "certificate_name" omit,
    }
}

record! {
    /// By a certificate that is named here.
    Trusted = "JWKSTLSCertTrustedCA" {
        file: String = "Filename" | "filename" omit,
        variable: String = "EnvironmentVariable" | "environment_variable" omit,
        text: String = "InlineString" | "inline_string" omit,
        bytes: Bytes = "InlineBytes" | "inline_bytes" omit,
    }
}

record! {
    /// How often fetching is tried again.
    RetryPolicy = "JWKSRetryPolicy" {
        retries: i64 = "NumRetries" | "num_retries" omit,
        back_off: Option<Box<BackOff>> = "RetryPolicyBackOff" | "retry_policy_back_off" omit,
    }
}

record! {
    /// How long to wait in between.
    BackOff = "RetryPolicyBackOff" {
        base: Nanos = "BaseInterval" | "base_interval" omit,
        max: Nanos = "MaxInterval" | "max_interval" omit,
    }
}

record! {
    /// How many verified tokens are kept.
    Cache = "JWTCacheConfig" {
        size: i64 = "Size" omit,
    }
}

// === impl JwtProvider ===

impl JwtProvider {
    pub(crate) fn normalize(&mut self) -> Verdict {
        "jwt-provider".clone_into(&mut self.kind);
        if self.clock_skew == 0 {
            self.clock_skew = CLOCK_SKEW_SECONDS;
        }
        Ok(())
    }

    pub(crate) fn validate(&self, _: &dyn Outside) -> Verdict {
        if self.name.is_empty() {
            refuse!("Name is required");
        }
        check_meta(&self.meta).verdict()?;
        let Some(keys) = &self.keys else { refuse!("JSONWebKeySet is required") };
        keys.validate()?;
        let mut reasons = Reasons::default();
        self.locations.iter().for_each(|location| reasons.check(location.validate()));
        reasons.verdict()?;
        if self.forwarding.as_ref().is_some_and(|forwarding| forwarding.header.is_empty()) {
            refuse!("Header name required for forwarding config");
        }
        Ok(())
    }
}

// === impl Location ===

impl Location {
    fn validate(&self) -> Verdict {
        let named = |kind: &str, name: &str| -> Verdict {
            if name.is_empty() {
                refuse!("JWT location {kind} name must be specified");
            }
            Ok(())
        };
        match (&self.header, &self.param, &self.cookie) {
            (Some(header), None, None) => named("header", &header.name),
            (None, Some(param), None) => named("query param", &param.name),
            (None, None, Some(cookie)) => named("cookie", &cookie.name),
            _ => refuse!("must set exactly one of: JWT location header, query param or cookie"),
        }
    }
}

// === impl KeySet ===

impl KeySet {
    fn validate(&self) -> Verdict {
        match (&self.local, &self.remote) {
            (Some(local), None) => local.validate(),
            (None, Some(remote)) => remote.validate(),
            _ => refuse!("must specify exactly one of Local or Remote JSON Web key set"),
        }
    }
}

// === impl Local ===

impl Local {
    fn validate(&self) -> Verdict {
        if self.keys.is_empty() == self.file.is_empty() {
            refuse!("must specify exactly one of String or filename for local keyset");
        }
        // Go's decoder passes line breaks over.
        let text: String = self.keys.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
        if STANDARD.decode(text).is_err() {
            refuse!("JWKS must be valid base64 encoded string");
        }
        Ok(())
    }
}

// === impl Remote ===

impl Remote {
    fn validate(&self) -> Verdict {
        if self.uri.is_empty() {
            refuse!("Remote JWKS URI is required");
        }
        let absolute = |uri: &str| uri.starts_with('/') || scheme(uri).is_some();
        if !absolute(&self.uri) {
            let (uri, quoted) = (&self.uri, quote(&self.uri));
            refuse!(
                "Remote JWKS URI is invalid: parse {quoted}: invalid URI for request, uri: {uri}"
            );
        }
        let waits = self.retry.as_ref().and_then(|retry| retry.back_off.as_ref());
        if waits.is_some_and(|waits| waits.max.0 != 0 && waits.base > waits.max) {
            refuse!(
                "retry policy backoff's MaxInterval should be greater or equal to BaseInterval"
            );
        }
        self.cluster.as_ref().map_or(Ok(()), |cluster| cluster.validate())
    }
}

/// The scheme that a URI begins with.
fn scheme(uri: &str) -> Option<&str> {
    let (scheme, _) = uri.split_once(':')?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    let begins = scheme.bytes().next().is_some_and(|first| first.is_ascii_alphabetic());
    (begins && scheme.bytes().all(fits)).then_some(scheme)
}

// === impl Cluster ===

impl Cluster {
    fn validate(&self) -> Verdict {
        const KNOWN: [&str; 6] = ["", "STATIC", "STRICT_DNS", "LOGICAL_DNS", "EDS", "ORIGINAL_DST"];
        if !KNOWN.contains(&self.discovery.as_str()) {
            let discovery = quote(&self.discovery);
            refuse!("unsupported jwks cluster discovery type: {discovery}");
        }
        let Some(certificates) = &self.certificates else { return Ok(()) };
        match (&certificates.provider, &certificates.trusted) {
            (Some(_), None) => Ok(()),
            (None, Some(trusted)) => trusted.validate(),
            _ => refuse!(
                "must specify exactly one of: CaCertificateProviderInstance or TrustedCA for JKWS' TLSCertificates"
            ),
        }
    }
}

// === impl Trusted ===

impl Trusted {
    fn validate(&self) -> Verdict {
        let texts = [&self.file, &self.variable, &self.text];
        let given = texts.iter().filter(|text| !text.is_empty()).count();
        if given + usize::from(!self.bytes.0.is_empty()) != 1 {
            refuse!(
                "must specify exactly one of: Filename, EnvironmentVariable, InlineString or InlineBytes for JWKS' TrustedCA"
            );
        }
        Ok(())
    }
}
