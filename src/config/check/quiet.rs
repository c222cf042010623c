//! Settings that change nothing here: a faulty one is told all the same, as Consul tells it.

use std::time::Duration;

use super::settings::{at_least, seconds};
use super::tls;
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
    ("federation_state_anti_entropy_sync_interval", ""),
    ("gossip_lan.gossip_interval", "gossip_lan..gossip_interval"),
    ("gossip_lan.probe_interval", "gossip_lan..probe_interval"),
    ("gossip_lan.probe_timeout", "gossip_lan..probe_timeout"),
    ("gossip_wan.gossip_interval", "gossip_wan..gossip_interval"),
    ("gossip_wan.probe_interval", "gossip_wan..probe_interval"),
    ("gossip_wan.probe_timeout", "gossip_wan..probe_timeout"),
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
    for key in ["grpc", "grpc_tls"] {
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
    tls::judge(raw, faults)?;
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
