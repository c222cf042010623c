//! `tls`: what each interface is told, over what all are, and what makes no sense.

use crate::config::faults::Faults;
use crate::config::raw::Raw;
use crate::config::{Tls, TlsPart};

/// Versions of TLS by Consul's names.
const VERSIONS: [&str; 5] = ["TLS_AUTO", "TLSv1_0", "TLSv1_1", "TLSv1_2", "TLSv1_3"];
/// What is spoken at least, unless said.
const VERSION: &str = "TLSv1_2";
/// The version whose cipher suites are its own affair.
const NEWEST: &str = "TLSv1_3";
/// The cipher suites that Consul's agent knows.
const SUITES: [&str; 10] = [
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
];

/// What each interface is told: its own word, else that of `tls.defaults`.
pub(super) fn read(raw: &Raw) -> Tls {
    let tls = raw.block("tls");
    let defaults = tls.block("defaults");
    let part = |name| part(&tls.block(name), &defaults);
    let (https, grpc, internal) = (part("https"), part("grpc"), part("internal_rpc"));
    Tls {
        https: TlsPart { verify_server_hostname: false, use_auto_cert: false, ..https },
        dns: TlsPart { verify_server_hostname: false, use_auto_cert: false, ..part("dns") },
        // There is nobody that it calls.
        grpc: TlsPart { verify_server_hostname: false, verify_outgoing: false, ..grpc },
        internal_rpc: TlsPart {
            // Who checks names has to speak TLS first.
            verify_outgoing: internal.verify_outgoing || internal.verify_server_hostname,
            use_auto_cert: false,
            ..internal
        },
        for_checks: raw.flag("enable_agent_tls_for_checks").unwrap_or(false),
    }
}

fn part(own: &Raw, defaults: &Raw) -> TlsPart {
    let said = |key| own.text(key).or(defaults.text(key)).unwrap_or("");
    let text = |key| said(key).to_owned();
    let flag = |key| own.flag(key).or(defaults.flag(key)).unwrap_or(false);
    let min_version = match said("tls_min_version") {
        "" => VERSION.to_owned(),
        other => other.to_owned(),
    };
    // Suites that were said for all do not count where the version takes none.
    let inherited = own.text("tls_cipher_suites").is_none() && min_version == NEWEST;
    let cipher_suites = if inherited { Vec::new() } else { suites(said("tls_cipher_suites")) };
    TlsPart {
        ca_file: text("ca_file"),
        ca_path: text("ca_path"),
        cert_file: text("cert_file"),
        key_file: text("key_file"),
        min_version,
        cipher_suites,
        verify_incoming: flag("verify_incoming"),
        verify_outgoing: flag("verify_outgoing"),
        verify_server_hostname: flag("verify_server_hostname"),
        use_auto_cert: flag("use_auto_cert"),
    }
}

fn suites(said: &str) -> Vec<String> {
    said.trim().split(',').filter(|suite| !suite.is_empty()).map(str::to_owned).collect()
}

/// What one part is told to speak and does not: old versions and suites are left out, whoever asks for them.
pub(super) fn unspoken(name: &str, part: &TlsPart) -> Vec<String> {
    let mut told = Vec::new();
    if matches!(part.min_version.as_str(), "TLSv1_0" | "TLSv1_1") {
        told.push(format!(
            "tls.{name}.tls_min_version: {} is not spoken; clients need {VERSION}",
            part.min_version
        ));
    }
    let old: Vec<&str> = part
        .cipher_suites
        .iter()
        .map(String::as_str)
        .filter(|suite| suite.contains("_CBC_"))
        .collect();
    if !old.is_empty() {
        told.push(format!("tls.{name}.tls_cipher_suites: {} is not spoken", old.join(",")));
    }
    told
}

/// Whether it makes sense.
///
/// # Errors
/// A key in a part where Consul does not take it, which is told alone.
pub(super) fn judge(raw: &Raw, faults: &mut Faults) -> Result<(), String> {
    let tls = raw.block("tls");
    let said = |part, key| tls.block(part).item(key).is_some();
    if said("grpc", "verify_outgoing") {
        return Err("verify_outgoing is not valid in the tls.grpc stanza".to_owned());
    }
    if ["grpc", "https", "dns"].iter().any(|part| said(part, "verify_server_hostname")) {
        return Err(
            "verify_server_hostname is only valid in the tls.defaults and tls.internal_rpc stanzas"
                .to_owned(),
        );
    }
    if ["defaults", "https", "dns", "internal_rpc"].iter().any(|part| said(part, "use_auto_cert")) {
        return Err("use_auto_cert is only valid in the tls.grpc stanza".to_owned());
    }
    for part in ["defaults", "internal_rpc", "https", "dns", "grpc"] {
        judge_part(part, &tls.block(part), faults);
    }
    Ok(())
}

fn judge_part(part: &str, block: &Raw, faults: &mut Faults) {
    let version = block.text("tls_min_version").unwrap_or("");
    if !version.is_empty() && !VERSIONS.contains(&version) {
        faults.push(format!(
            "tls.{part}.tls_min_version: invalid TLS version: no matching TLS version found for {version}, please specify one of [{}]",
            VERSIONS.join(", ")
        ));
    }
    let Some(said) = block.text("tls_cipher_suites") else { return };
    if version == NEWEST {
        faults.push(format!(
            "tls.{part}.tls_cipher_suites: TLS 1.3 cipher suites are not configurable"
        ));
        return;
    }
    let unknown: Vec<String> =
        suites(said).into_iter().filter(|suite| !SUITES.contains(&suite.as_str())).collect();
    if !unknown.is_empty() {
        faults.push(format!(
            "tls.{part}.tls_cipher_suites: invalid TLS cipher suites: no matching Consul Agent TLS cipher suite found for {}",
            unknown.join(",")
        ));
    }
}
