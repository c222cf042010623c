//! Rules between settings, in the order in which Consul looks at them, and what is not supported yet.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use nix::sys::resource::{Resource, getrlimit};
use proconsul_anchors::node::definition::validate_meta;

use super::network::Listening;
use super::tls;
use crate::config::address::{self, Listen};
use crate::config::faults::Faults;
use crate::config::raw::{Item, Raw};
use crate::config::{Config, SecureDns, service};

/// Longest label of a DNS name.
const LABEL_LEN_MAX: usize = 63;
/// Descriptors that the program needs besides one for each connection.
const OWN_DESCRIPTORS: u64 = 20;

/// Whether Consul's rules hold.
///
/// # Errors
/// The first rule that does not.
pub(super) fn hold(
    config: &Config,
    listening: &Listening,
    faults: &Faults,
    warnings: &mut Vec<String>,
) -> Result<(), String> {
    identity(config, warnings)?;
    dns_names(config, listening)?;
    bootstrap(config)?;
    sizes(config)?;
    let meta = config.node.meta.iter().map(|(key, value)| (key.as_str(), value.as_str().into()));
    validate_meta(Some(&meta.collect())).map_err(|fault| format!("node_meta invalid: {fault}"))?;
    encryption_key(&config.raw)?;
    unique(config, listening)?;
    faults.done()?;
    definitions(config)?;
    mesh(config)?;
    advise(config, warnings);
    descriptors(config)?;
    scripts(config, warnings);
    Ok(())
}

fn identity(config: &Config, warnings: &mut Vec<String>) -> Result<(), String> {
    let raft = config.raw.int("raft_protocol").unwrap_or(3);
    if raft != 3 {
        return Err(format!(
            "raft_protocol version {raft} is not supported by this version of Consul"
        ));
    }
    basic_name("datacenter", &config.datacenter, false)?;
    if !is_label(&config.datacenter) {
        warnings.push(format!(
            "Datacenter : {:?} will not be PKI X.509 compatible due to invalid characters. Valid characters include lowercase \
             alphanumeric characters with dashes in between.",
            config.datacenter
        ));
    }
    if config.data_dir.is_none() && !config.role.dev {
        return Err("data_dir cannot be empty".to_owned());
    }
    ui_path(&config.raw)?;
    config.data_dir.as_deref().map_or(Ok(()), folder)?;
    node_name(&config.node.name, warnings)?;
    if config.node.locality.as_ref().is_some_and(service::is_zone_alone) {
        return Err("locality is invalid: zone cannot be set without region".to_owned());
    }
    if config.raw.text("segment").is_some_and(|name| !name.is_empty())
        || !config.raw.blocks("segments").is_empty()
    {
        return Err("Network segments are not supported in this version of Consul".to_owned());
    }
    Ok(())
}

fn basic_name(key: &str, name: &str, may_be_empty: bool) -> Result<(), String> {
    let plain = |letter: char| {
        letter.is_ascii_lowercase() || letter.is_ascii_digit() || matches!(letter, '-' | '_')
    };
    if name.is_empty() && !may_be_empty {
        Err(format!("{key} cannot be empty"))
    } else if name.chars().all(plain) {
        Ok(())
    } else {
        Err(format!(
            "{key} can only contain lowercase alphanumeric, - or _ characters. received: {name:?}"
        ))
    }
}

fn is_label(name: &str) -> bool {
    let inside = name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-');
    inside && name.len() <= LABEL_LEN_MAX && !name.starts_with('-') && !name.ends_with('-')
}

fn ui_path(raw: &Raw) -> Result<(), String> {
    let ui = raw.block("ui_config");
    let said = ui.text("content_path").or(raw.text("ui_content_path")).unwrap_or("");
    let path =
        if said.is_empty() { "/ui/".to_owned() } else { format!("/{}/", said.trim_matches('/')) };
    if !path
        .chars()
        .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '/' | '_' | '-'))
    {
        return Err(format!(
            "ui-content-path can only contain alphanumeric, -, _, or /. received: {path:?}"
        ));
    }
    let version = path.strip_prefix("/v").and_then(|rest| rest.strip_suffix('/')).unwrap_or("");
    if !version.is_empty() && version.chars().all(|letter| letter.is_ascii_digit()) {
        return Err(format!("ui-content-path cannot have 'v[0-9]'. received: {path:?}"));
    }
    let dir = ui.text("dir").or(raw.text("ui_dir")).unwrap_or("");
    let enabled = ui.flag("enabled").or(raw.flag("ui")).unwrap_or(false);
    if enabled && !dir.is_empty() {
        return Err("Both the ui_config.enabled and ui_config.dir (or -ui and -ui-dir) were specified, please provide only one.\n\
                    If trying to use your own web UI resources, use ui_config.dir or the -ui-dir flag.\n\
                    The web UI is included in the binary so use ui_config.enabled or the -ui flag to enable it"
            .to_owned());
    }
    Ok(())
}

fn folder(path: &Path) -> Result<(), String> {
    match fs::metadata(path) {
        Ok(about) if about.is_dir() => Ok(()),
        Ok(_) => Err(format!("data_dir {:?} is not a directory", path.display().to_string())),
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(fault) => {
            Err(format!("Error getting info on data_dir: stat {}: {fault}", path.display()))
        }
    }
}

fn node_name(name: &str, warnings: &mut Vec<String>) -> Result<(), String> {
    if name.is_empty() {
        return Err("node_name cannot be empty".to_owned());
    }
    let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    if !name.chars().all(plain) {
        warnings.push(format!(
            "Node name {name:?} will not be discoverable via DNS due to invalid characters. Valid characters include all \
             alpha-numerics and dashes."
        ));
    } else if name.len() > LABEL_LEN_MAX {
        warnings.push(format!(
            "Node name {name:?} will not be discoverable via DNS due to it being too long. Valid lengths are between 1 and 63 bytes."
        ));
    }
    Ok(())
}

fn dns_names(config: &Config, listening: &Listening) -> Result<(), String> {
    if listening.dns.iter().any(|listen| matches!(listen, Listen::Unix(_))) {
        return Err("DNS address cannot be a unix socket".to_owned());
    }
    if config.dns.recursors.iter().any(|recursor| address::is_any(recursor)) {
        return Err("DNS recursor address cannot be 0.0.0.0, :: or [::]".to_owned());
    }
    let first = config.dns.alt_domain.split_once('.').map_or("", |(first, _)| first);
    let taken = ["service", "connect", "node", "query", "addr", config.datacenter.as_str()];
    if !first.is_empty() && taken.contains(&first) {
        return Err(format!(
            "alt_domain cannot start with {{service,connect,node,query,addr,{}}}",
            config.datacenter
        ));
    }
    Ok(())
}

fn bootstrap(config: &Config) -> Result<(), String> {
    let role = config.role;
    let said = config.raw.int("bootstrap_expect").unwrap_or(0);
    let expects = role.bootstrap_expect > 0;
    if role.bootstrap && !role.server {
        Err("'bootstrap = true' requires 'server = true'".to_owned())
    } else if said < 0 {
        Err(format!("bootstrap_expect cannot be {said}. Must be greater than or equal to zero"))
    } else if expects && !role.server {
        Err("'bootstrap_expect > 0' requires 'server = true'".to_owned())
    } else if expects && role.dev {
        Err("'bootstrap_expect > 0' not allowed in dev mode".to_owned())
    } else if expects && role.bootstrap {
        Err("'bootstrap_expect > 0' and 'bootstrap = true' are mutually exclusive".to_owned())
    } else {
        Ok(())
    }
}

fn sizes(config: &Config) -> Result<(), String> {
    let raw = &config.raw;
    if raw.int("check_output_max_size").unwrap_or(1) < 1 {
        return Err("check_output_max_size must be positive, to discard check output use the discard_check_output flag".to_owned());
    }
    let (autopilot, dns) = (raw.block("autopilot"), raw.block("dns_config"));
    let not_negative = |key: &str, said: Option<i64>| match said {
        Some(number) if number < 0 => {
            Err(format!("{key} cannot be {number}. Must be greater than or equal to zero"))
        }
        _ => Ok(()),
    };
    not_negative("autopilot.max_trailing_logs", autopilot.int("max_trailing_logs"))?;
    basic_name("primary_datacenter", &config.primary_datacenter, true)?;
    not_negative("dns_config.udp_answer_limit", dns.int("udp_answer_limit"))?;
    not_negative("dns_config.a_record_limit", dns.int("a_record_limit"))
}

fn encryption_key(raw: &Raw) -> Result<(), String> {
    let key = raw.text("encrypt").unwrap_or("");
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let digits = key.trim_end_matches('=');
    let bad = digits.bytes().position(|byte| !plain(byte));
    let bad = bad.or((!key.len().is_multiple_of(4)).then_some(key.len() / 4 * 4));
    bad.map_or(Ok(()), |place| {
        Err(format!("encrypt has invalid key: illegal base64 data at input byte {place}"))
    })
}

/// No address serves two purposes.
fn unique(config: &Config, listening: &Listening) -> Result<(), String> {
    let mut taken: BTreeMap<String, &str> = BTreeMap::new();
    let ports = config.network.ports;
    let announced =
        |ip, port: i32| u16::try_from(port).ok().map(|port| Listen::Tcp((ip, port).into()));
    let own = [
        ("RPC Advertise", announced(config.network.advertise, ports.server)),
        ("Serf Advertise LAN", announced(config.network.advertise, ports.serf_lan)),
        ("Serf Advertise WAN", announced(config.network.advertise_wan, ports.serf_wan)),
    ];
    let secure = |listen: &[SocketAddr]| listen.iter().copied().map(Listen::Tcp).collect();
    let (dns_tls, dns_https): (Vec<_>, Vec<_>) =
        (secure(&listening.dns_secure.tls), secure(&listening.dns_secure.https));
    let clients = [
        ("DNS", &listening.dns),
        ("HTTP", &listening.http),
        ("HTTPS", &listening.https),
        ("DNS over TLS", &dns_tls),
        ("DNS over HTTPS", &dns_https),
    ];
    let clients = clients
        .iter()
        .flat_map(|(name, listens)| listens.iter().map(move |listen| (*name, listen.clone())));
    let own = own.into_iter().filter_map(|(name, listen)| Some((name, listen?)));
    for (name, listen) in clients.chain(own) {
        if let Some(other) = taken.insert(listen.to_string(), name) {
            return Err(format!("{name} address {listen} already configured for {other}"));
        }
    }
    Ok(())
}

fn definitions(config: &Config) -> Result<(), String> {
    for service in &config.services {
        let name = service.service().name.as_str();
        service.consistent().map_err(|fault| format!("service {name:?}: {fault}"))?;
    }
    for (check, _) in &config.checks {
        check.validate().map_err(|fault| format!("check {:?}: {fault}", check.name))?;
    }
    Ok(())
}

fn mesh(config: &Config) -> Result<(), String> {
    let (connect, encrypt) = (config.raw.block("connect"), config.raw.block("auto_encrypt"));
    let provider = connect.text("ca_provider").unwrap_or("");
    let server = config.role.server;
    if !matches!(provider, "" | "consul" | "vault" | "aws-pca") {
        Err(format!("{provider} is not a valid CA provider"))
    } else if !server && connect.flag("enable_mesh_gateway_wan_federation") == Some(true) {
        Err("'connect.enable_mesh_gateway_wan_federation = true' requires 'server = true'"
            .to_owned())
    } else if !server && !config.raw.texts("primary_gateways").is_empty() {
        Err("'primary_gateways' requires 'server = true'".to_owned())
    } else if server && encrypt.flag("tls") == Some(true) {
        Err("auto_encrypt.tls can only be used on a client.".to_owned())
    } else if !server && encrypt.flag("allow_tls") == Some(true) {
        Err("auto_encrypt.allow_tls can only be used on a server.".to_owned())
    } else if server
        && config
            .raw
            .text("advertise_reconnect_timeout")
            .is_some_and(|said| !said.trim_matches(['0', 's']).is_empty())
    {
        Err("advertise_reconnect_timeout can only be used on a client".to_owned())
    } else {
        Ok(())
    }
}

fn advise(config: &Config, warnings: &mut Vec<String>) {
    let role = config.role;
    if role.server && role.bootstrap && role.bootstrap_expect == 0 {
        warnings.push("bootstrap = true: do not enable unless necessary".to_owned());
    }
    let streaming = config.raw.block("rpc").flag("enable_streaming");
    if role.server
        && streaming == Some(false)
        && config.raw.flag("use_streaming_backend") != Some(false)
    {
        warnings.push("use_streaming_backend = true requires rpc.enable_streaming on servers to work properly".to_owned());
    } else if !role.server && streaming == Some(true) {
        warnings.push(
            "rpc.enable_streaming = true has no effect when not running in server mode".to_owned(),
        );
    }
}

fn descriptors(config: &Config) -> Result<(), String> {
    let wanted = config.limits.http_max_conns_per_client;
    let Ok((available, _)) = getrlimit(Resource::RLIMIT_NOFILE) else { return Ok(()) };
    let needed = u64::from(wanted) + OWN_DESCRIPTORS;
    if wanted > 0 && available < needed {
        return Err(format!(
            "system allows a max of {available} file descriptors, but limits.http_max_conns_per_client: {wanted} needs at least {needed}"
        ));
    }
    Ok(())
}

fn scripts(config: &Config, warnings: &mut Vec<String>) {
    if config.checking.remote_scripts
        && !config.acl.enabled
        && config.http.allow_write_from.is_empty()
    {
        warnings.push(
            "using enable-script-checks without ACLs and without allow_write_http_from is DANGEROUS, use \
             enable-local-script-checks instead, see \
             https://www.hashicorp.com/blog/protecting-consul-from-rce-risk-in-specific-configurations/"
                .to_owned(),
        );
    }
}

/// Whether everything that is asked for is there. What would be unsafe to leave out stops the start; what is merely
/// missing is told.
///
/// # Errors
/// The key, and what to do.
pub(super) fn supported(config: &Config, warnings: &mut Vec<String>) -> Result<(), String> {
    if !config.retry_join.is_empty() {
        return Err("retry_join is not supported yet: a server stands alone. Remove it (or -retry-join, -join, start_join)".to_owned());
    }
    if config.role.bootstrap_expect > 1 {
        let expected = config.role.bootstrap_expect;
        return Err(format!(
            "bootstrap_expect = {expected} is not supported yet: a server stands alone. Use 1"
        ));
    }
    for (path, said) in unserved(&config.raw) {
        if said {
            warnings.push(format!("{path:?} has no effect yet"));
        }
    }
    warnings.extend(tls::unspoken("https", &config.tls.https));
    if config.dns.secure != SecureDns::default() {
        warnings.extend(tls::unspoken("dns", &config.tls.dns));
    }
    Ok(())
}

/// Settings that somebody may rely on and that are not served.
fn unserved(raw: &Raw) -> Vec<(&'static str, bool)> {
    let said = |block: &str, key: &str| raw.block(block).flag(key) == Some(true);
    let sinks = raw.block("telemetry");
    let sinks_said = [
        "statsd_address",
        "statsite_address",
        "dogstatsd_addr",
        "circonus_api_token",
        "circonus_submission_url",
    ];
    let telemetry =
        sinks_said.iter().any(|key| sinks.text(key).is_some_and(|sink| !sink.is_empty()));
    vec![
        ("encrypt", raw.text("encrypt").is_some_and(|key| !key.is_empty())),
        ("auto_encrypt", said("auto_encrypt", "tls") || said("auto_encrypt", "allow_tls")),
        ("auto_config", said("auto_config", "enabled")),
        ("config_entries", raw.block("config_entries").item("bootstrap").is_some()),
        ("retry_join_wan", !raw.texts("retry_join_wan").is_empty()),
        ("telemetry", telemetry),
        (
            "watches",
            matches!(raw.item("watches"), Some(Item::FreeList(watches)) if !watches.is_empty()),
        ),
    ]
}
