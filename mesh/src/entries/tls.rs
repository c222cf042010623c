//! Versions and cipher suites of TLS, as proxies are told them.

use crate::text::{Verdict, refuse};
use crate::wire::record;

record! {
    /// What a gateway's listeners speak.
    GatewayTls = "GatewayTLSConfig" {
        enabled: bool = "Enabled" always,
        sds: Option<Box<Sds>> = "SDS" omit,
        min: String = "TLSMinVersion" | "tls_min_version" omit,
        max: String = "TLSMaxVersion" | "tls_max_version" omit,
        suites: Vec<String> = "CipherSuites" | "cipher_suites" omit,
    }
}

record! {
    /// What one service of a gateway's listener speaks.
    GatewayServiceTls = "GatewayServiceTLSConfig" {
        sds: Option<Box<Sds>> = "SDS" omit,
    }
}

record! {
    /// Where a certificate is had from.
    Sds = "GatewayTLSSDSConfig" {
        cluster: String = "ClusterName" | "cluster_name" omit,
        certificate: String = "CertResource" | "cert_resource" omit,
    }
}

/// From the oldest to the newest.
const VERSIONS: [&str; 4] = ["TLSv1_0", "TLSv1_1", "TLSv1_2", "TLSv1_3"];
const AUTO: &str = "TLS_AUTO";

const SUITES: [&str; 14] = [
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
];

/// Whether versions and suites fit each other.
pub(crate) fn check(min: &str, max: &str, suites: &[String]) -> Verdict {
    check_version(min)?;
    check_version(max)?;
    let rank = |version: &str| VERSIONS.iter().position(|known| *known == version);
    if let (Some(low), Some(high)) = (rank(min), rank(max))
        && high < low
    {
        refuse!(
            "configuring max version {max} less than the configured min version {min} is invalid"
        );
    }
    if suites.is_empty() {
        return Ok(());
    }
    if min == "TLSv1_3" {
        refuse!(
            "configuring CipherSuites is only applicable to connections negotiated with TLS 1.2 or earlier, TLSMinVersion is set to {min}"
        );
    }
    let unknown: Vec<&str> =
        suites.iter().map(String::as_str).filter(|suite| !SUITES.contains(suite)).collect();
    if !unknown.is_empty() {
        refuse!("no matching Envoy TLS cipher suite found for {}", unknown.join(","));
    }
    Ok(())
}

fn check_version(version: &str) -> Verdict {
    if version.is_empty() || version == AUTO || VERSIONS.contains(&version) {
        return Ok(());
    }
    refuse!(
        "no matching TLS version found for {version}, please specify one of [{AUTO}, {}]",
        VERSIONS.join(", ")
    )
}
