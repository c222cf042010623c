//! Settings that change nothing here: a faulty one is told all the same, as Consul tells it.

use std::time::Duration;

use super::settings::{at_least, seconds};
use crate::config::address;
use crate::config::faults::Faults;
use crate::config::host::Host;
use crate::config::raw::Raw;
use crate::config::template;

/// Keys that hold durations; where Consul's message names them otherwise, that name follows.
const DURATIONS: &[(&str, &str)] = &[
    ("acl.policy_ttl", ""),
    ("acl.role_ttl", ""),
    ("acl.token_ttl", ""),
    ("advertise_reconnect_timeout", ""),
    ("auto_config.authorization.static.clock_skew_leeway", ""),
    ("auto_config.authorization.static.expiration_leeway", ""),
    ("auto_config.authorization.static.not_before_leeway", ""),
    ("autopilot.last_contact_threshold", ""),
    ("autopilot.server_stabilization_time", ""),
    ("discovery_max_stale", ""),
    ("federation_state_anti_entropy_sync_interval", ""),
    ("gossip_lan.gossip_interval", "gossip_lan..gossip_interval"),
    ("gossip_lan.probe_interval", "gossip_lan..probe_interval"),
    ("gossip_lan.probe_timeout", "gossip_lan..probe_timeout"),
    ("gossip_wan.gossip_interval", "gossip_wan..gossip_interval"),
    ("gossip_wan.probe_interval", "gossip_wan..probe_interval"),
    ("gossip_wan.probe_timeout", "gossip_wan..probe_timeout"),
    ("limits.https_handshake_timeout", ""),
    ("limits.rpc_client_timeout", ""),
    ("limits.rpc_handshake_timeout", ""),
    ("performance.rpc_hold_timeout", ""),
    ("primary_gateways_interval", ""),
    ("raft_logstore.verification.interval", ""),
    ("raft_snapshot_interval", ""),
    ("reconnect_timeout", ""),
    ("reconnect_timeout_wan", ""),
    ("retry_interval", ""),
    ("retry_interval_wan", ""),
];

/// Versions of TLS, and the cipher suites that Consul's agent knows.
const VERSIONS: [&str; 5] = ["TLS_AUTO", "TLSv1_0", "TLSv1_1", "TLSv1_2", "TLSv1_3"];
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

/// Looks at all of them.
///
/// # Errors
/// A fault that Consul tells alone.
pub(super) fn judge(
    raw: &Raw,
    host: &Host,
    faults: &mut Faults,
    warnings: &mut Vec<String>,
) -> Result<(), String> {
    for key in ["https", "grpc", "grpc_tls"] {
        address::places(
            &format!("addresses.{key}"),
            raw.block("addresses").text(key),
            host,
            faults,
        );
    }
    for (path, shown) in DURATIONS {
        let shown = if shown.is_empty() { path } else { shown };
        faults.duration(shown, text_at(raw, path).as_deref(), Duration::ZERO);
    }
    let said = raw.text("server_rejoin_age_max");
    at_least(faults, "server_rejoin_age_max", said, seconds(7 * 24 * 3600), seconds(6 * 3600));
    let performance = raw.block("performance");
    for (key, otherwise) in [("grpc_keepalive_interval", 30), ("grpc_keepalive_timeout", 20)] {
        at_least(
            faults,
            &format!("performance.{key}"),
            performance.text(key),
            seconds(otherwise),
            seconds(1),
        );
    }
    for key in ["serf_lan", "serf_wan"] {
        address::ip(key, raw.text(key), host, faults);
    }
    tls(raw, faults);
    stanzas(raw)?;
    metrics_of_ui(raw)?;
    for (block, key, shown) in [
        ("auto_encrypt", "ip_san", "AutoEncrypt.IPSAN"),
        ("auto_config", "ip_sans", "auto_config.ip_sans"),
    ] {
        let faulty = raw
            .block(block)
            .texts(key)
            .into_iter()
            .filter(|ip| ip.parse::<std::net::IpAddr>().is_err());
        warnings.extend(faulty.map(|ip| format!("Cannot parse ip {ip:?} from {shown}")));
    }
    cache(raw)
}

fn text_at(raw: &Raw, path: &str) -> Option<String> {
    match path.split_once('.') {
        Some((block, rest)) => text_at(&raw.block(block), rest),
        None => raw.text(path).map(str::to_owned),
    }
}

fn tls(raw: &Raw, faults: &mut Faults) {
    let tls = raw.block("tls");
    for part in ["defaults", "internal_rpc", "https", "grpc"] {
        let block = tls.block(part);
        let version = block.text("tls_min_version").unwrap_or("");
        if !version.is_empty() && !VERSIONS.contains(&version) {
            faults.push(format!(
                "tls.{part}.tls_min_version: invalid TLS version: no matching TLS version found for {version}, please specify one of [{}]",
                VERSIONS.join(", ")
            ));
        }
        let suites = block.text("tls_cipher_suites").unwrap_or("").trim();
        let unknown: Vec<&str> = suites
            .split(',')
            .filter(|suite| !suites.is_empty() && !SUITES.contains(suite))
            .collect();
        if block.item("tls_cipher_suites").is_some() && version == "TLSv1_3" {
            faults.push(format!(
                "tls.{part}.tls_cipher_suites: TLS 1.3 cipher suites are not configurable"
            ));
        } else if !unknown.is_empty() {
            faults.push(format!(
                "tls.{part}.tls_cipher_suites: invalid TLS cipher suites: no matching Consul Agent TLS cipher suite found for {}",
                unknown.join(",")
            ));
        }
    }
}

/// Keys that stand in a part of `tls` where Consul does not take them.
fn stanzas(raw: &Raw) -> Result<(), String> {
    let tls = raw.block("tls");
    let on = |part, key| tls.block(part).flag(key) == Some(true);
    if ["defaults", "internal_rpc", "https"].iter().any(|part| on(part, "use_auto_cert")) {
        Err("use_auto_cert is only valid in the tls.grpc stanza".to_owned())
    } else if on("grpc", "verify_outgoing") {
        Err("verify_outgoing is not valid in the tls.grpc stanza".to_owned())
    } else if ["https", "grpc"].iter().any(|part| on(part, "verify_server_hostname")) {
        Err("verify_server_hostname is only valid in the tls.defaults and tls.internal_rpc stanzas"
            .to_owned())
    } else {
        Ok(())
    }
}

/// The metrics of a web interface.
fn metrics_of_ui(raw: &Raw) -> Result<(), String> {
    let ui = raw.block("ui_config");
    let proxy = ui.block("metrics_proxy");
    let is_url = |text: &str| text.starts_with("http://") || text.starts_with("https://");
    let options = ui.text("metrics_provider_options_json").unwrap_or("");
    if !options.is_empty()
        && serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(options).is_err()
    {
        return Err(format!(
            "ui_config.metrics_provider_options_json must be empty or a string containing a valid JSON object. received: {options:?}"
        ));
    }
    let base = proxy.text("base_url").unwrap_or("");
    if !base.is_empty() && !is_url(base) {
        return Err(format!(
            "ui_config.metrics_proxy.base_url must be a valid http or https URL. received: {base:?}"
        ));
    }
    if let Some(path) = proxy.texts("path_allowlist").iter().find(|path| !path.starts_with('/')) {
        return Err(format!(
            "ui_config.metrics_proxy.path_allowlist: path {path:?} is not an absolute path"
        ));
    }
    if ui.text_map("dashboard_url_templates").values().any(|url| !is_url(url)) {
        return Err(format!(
            "ui_config.dashboard_url_templates values must be a valid http or https URL. received: {base:?}"
        ));
    }
    Ok(())
}

/// Networks of gossip.
///
/// # Errors
/// Consul's sentence.
pub(super) fn gossip_networks(raw: &Raw) -> Result<(), String> {
    for key in ["serf_lan_allowed_cidrs", "serf_wan_allowed_cidrs"] {
        let mut faults = Faults::default();
        address::networks(key, &raw.texts(key), &mut faults);
        faults
            .done()
            .map_err(|told| format!("{key}: {}", told.replace(&format!("* {key}: "), "* ")))?;
    }
    Ok(())
}

fn cache(raw: &Raw) -> Result<(), String> {
    let block = raw.block("cache");
    match (block.int("entry_fetch_max_burst"), block.float("entry_fetch_rate")) {
        (Some(burst), _) if burst <= 0 => {
            Err(format!("cache.entry_fetch_max_burst must be strictly positive, was: {burst}"))
        }
        (_, Some(0.0)) => {
            Err("cache.entry_fetch_rate must be strictly positive, was: 0".to_owned())
        }
        _ => Ok(()),
    }
}

/// The networks of virtual addresses.
///
/// # Errors
/// Consul's sentence.
pub(super) fn virtual_networks(raw: &Raw) -> Result<(), String> {
    let connect = raw.block("connect");
    for (key, four) in [("virtual_ip_cidr_v4", true), ("virtual_ip_cidr_v6", false)] {
        let Some(said) = connect.text(key).filter(|said| !said.is_empty()) else { continue };
        let network = template::network(said)
            .ok_or_else(|| format!("invalid {key}: invalid CIDR address: {said}"))?;
        if network.address.is_ipv4() != four {
            let family = if four { "IPv4" } else { "IPv6" };
            return Err(format!("invalid {key}: {said} is not an {family} CIDR"));
        }
    }
    Ok(())
}
