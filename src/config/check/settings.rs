//! The parts of a configuration that stand alone: HTTP, DNS, checks, limits, metrics, logs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::address::{self, Listen};
use crate::config::faults::Faults;
use crate::config::raw::Raw;
use crate::config::{
    Acl, Checking, Dns, Http, LimitMode, Limits, Log, RequestLimits, SecureDns, Soa, Telemetry,
    UnixSockets,
};
use proconsul_anchors::acl::Tokens;
use proconsul_anchors::caller::Secret;
use proconsul_anchors::duration;

/// The metric that Consul leaves out unless a filter asks for it.
const HIDDEN_METRIC: &str = "rpc.server.call";
/// Bytes of a KV value and of a transaction, unless said.
const VALUE_SIZE: u64 = 512 * 1024;
/// Calls of the servers that may come at once, unless said.
const RPC_BURST: i64 = 1000;
/// Largest `performance.raft_multiplier`.
const RAFT_MULTIPLIER_MAX: i64 = 10;

/// A length in seconds.
pub(super) const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A duration with a lower bound.
pub(super) fn at_least(
    faults: &mut Faults,
    key: &str,
    said: Option<&str>,
    otherwise: Duration,
    min: Duration,
) -> Duration {
    let length = faults.duration(key, said, otherwise);
    if let (true, Some(said)) = (length < min, said) {
        faults.push(format!(
            "{key}: duration '{said}' cannot be less than: {}",
            duration::show_wait(min)
        ));
    }
    length
}

/// `dns_config.service_ttl`, which Consul reads before all else.
pub(super) fn service_ttl(raw: &Raw, faults: &mut Faults) -> BTreeMap<String, Duration> {
    let said = raw.block("dns_config").text_map("service_ttl");
    let mut ttl = |(name, text): (String, String)| {
        let length = faults.duration(
            &format!("dns_config.service_ttl[{name:?}]"),
            Some(&text),
            Duration::ZERO,
        );
        (name, length)
    };
    said.into_iter().map(&mut ttl).collect()
}

/// What the DNS settings need from elsewhere.
pub(super) struct DnsAt {
    pub(super) listening: Vec<SocketAddr>,
    pub(super) secure: SecureDns,
    pub(super) recursors: Vec<String>,
}

/// `dns_config` and the domains.
pub(super) fn dns(
    raw: &Raw,
    service_ttl: BTreeMap<String, Duration>,
    at: DnsAt,
    faults: &mut Faults,
) -> Dns {
    let block = raw.block("dns_config");
    let flag = |key, otherwise| block.flag(key).unwrap_or(otherwise);
    let count = |key, otherwise| u32::try_from(block.int(key).unwrap_or(otherwise)).unwrap_or(0);
    let strategy = block.text("recursor_strategy").unwrap_or("");
    if !matches!(strategy, "" | "sequential" | "random") {
        faults.push(format!("dns_config.recursor_strategy: invalid strategy: {strategy:?}"));
    }
    let mut time = |key: &str, otherwise| {
        faults.duration(key, block.text(key.trim_start_matches("dns_config.")), otherwise)
    };
    Dns {
        listen: at.listening,
        secure: at.secure,
        domain: raw.text("domain").unwrap_or("consul.").to_owned(),
        alt_domain: raw.text_or_empty("alt_domain"),
        recursors: at.recursors,
        recursor_random: strategy == "random",
        allow_stale: flag("allow_stale", true),
        max_stale: time("dns_config.max_stale", seconds(87_600 * 3600)),
        node_ttl: time("dns_config.node_ttl", Duration::ZERO),
        recursor_timeout: time("recursor_timeout", seconds(2)),
        cache_max_age: time("dns_config.cache_max_age", Duration::ZERO),
        service_ttl,
        enable_truncate: flag("enable_truncate", false),
        only_passing: flag("only_passing", false),
        udp_answer_limit: count("udp_answer_limit", 3),
        a_record_limit: count("a_record_limit", 0),
        disable_compression: flag("disable_compression", false),
        node_meta_txt: flag("enable_additional_node_meta_txt", true),
        use_cache: flag("use_cache", false),
        soa: soa(block.single("soa")),
    }
}

fn soa(raw: Option<&Raw>) -> Soa {
    let number = |key, otherwise| {
        raw.and_then(|raw| raw.uint(key))
            .and_then(|number| u32::try_from(number).ok())
            .unwrap_or(otherwise)
    };
    Soa {
        refresh: number("refresh", 3600),
        retry: number("retry", 600),
        expire: number("expire", 86_400),
        min_ttl: number("min_ttl", 0),
    }
}

/// Where the HTTP interface listens.
pub(super) struct HttpAt {
    pub(super) plain: Vec<Listen>,
    pub(super) tls: Vec<Listen>,
}

/// `http_config`.
pub(super) fn http(raw: &Raw, at: HttpAt, faults: &mut Faults) -> Http {
    let block = raw.block("http_config");
    let sockets = raw.block("unix_sockets");
    let allow_write_from =
        address::networks("allow_write_http_from", &block.texts("allow_write_http_from"), faults);
    let mut time = |key: &str, otherwise: u64, min: u64| {
        at_least(
            faults,
            &format!("http_config.{key}"),
            block.text(key),
            seconds(otherwise),
            seconds(min),
        )
    };
    Http {
        listen: at.plain,
        listen_tls: at.tls,
        unix_sockets: UnixSockets {
            user: sockets.text_or_empty("user"),
            group: sockets.text_or_empty("group"),
            mode: sockets.text_or_empty("mode"),
        },
        block_endpoints: block.texts("block_endpoints"),
        allow_write_from,
        response_headers: block.text_map("response_headers"),
        use_cache: block.flag("use_cache").unwrap_or(true),
        max_header_bytes: block.int("max_header_bytes").unwrap_or(0),
        read_timeout: time("read_timeout", 900, 1),
        read_header_timeout: time("read_header_timeout", 10, 1),
        write_timeout: time("write_timeout", 900, 1),
        idle_timeout: time("idle_timeout", 120, 10),
        disable_unprintable_filter: raw
            .flag("disable_http_unprintable_char_filter")
            .unwrap_or(false),
    }
}

/// How checks are run. Sizes below 1 are told by the rules.
pub(super) fn checking(raw: &Raw, faults: &mut Faults) -> Checking {
    let remote_scripts = raw.flag("enable_script_checks").unwrap_or(false);
    let mut time = |key, otherwise| faults.duration(key, raw.text(key), otherwise);
    // Consul does not look at these three: for tests only, and never told when they are faulty.
    let hidden = |key, otherwise| {
        let said = raw
            .text(key)
            .and_then(|text| duration::parse_wait(text).ok())
            .filter(|time| !time.is_zero());
        said.unwrap_or(seconds(otherwise))
    };
    Checking {
        remote_scripts,
        local_scripts: raw.flag("enable_local_script_checks").unwrap_or(remote_scripts),
        update_interval: time("check_update_interval", seconds(300)),
        deregister_interval_min: hidden("check_deregister_interval_min", 60),
        reap_interval: hidden("check_reap_interval", 30),
        sync_interval: hidden("ae_interval", 60),
        output_max_size: u32::try_from(raw.int("check_output_max_size").unwrap_or(4096))
            .unwrap_or(0),
        discard_output: raw.flag("discard_check_output").unwrap_or(false),
    }
}

/// `limits`.
pub(super) fn limits(raw: &Raw, faults: &mut Faults) -> Limits {
    let block = raw.block("limits");
    let requests = block.block("request_limits");
    let mode = match requests.text("mode").unwrap_or("") {
        "" | "disabled" => LimitMode::Disabled,
        "permissive" => LimitMode::Permissive,
        "enforcing" => LimitMode::Enforcing,
        other => {
            faults.push(format!("limits.request_limits.mode: invalid mode: {other:?}"));
            LimitMode::Disabled
        }
    };
    let bounded = |rate: &f64| *rate >= 0.0;
    let burst = block.int("rpc_max_burst").unwrap_or(RPC_BURST);
    let handshake = block.text("https_handshake_timeout");
    Limits {
        https_handshake_timeout: faults.duration(
            "limits.https_handshake_timeout",
            handshake,
            seconds(5),
        ),
        requests: RequestLimits {
            mode,
            read_rate: requests.float("read_rate").filter(bounded),
            write_rate: requests.float("write_rate").filter(bounded),
            rpc_rate: block.float("rpc_rate").filter(bounded),
            rpc_burst_max: u32::try_from(burst).unwrap_or(0),
        },
        http_max_conns_per_client: u32::try_from(
            block.int("http_max_conns_per_client").unwrap_or(200),
        )
        .unwrap_or(0),
        kv_max_value_size: block.uint("kv_max_value_size").unwrap_or(VALUE_SIZE),
        txn_max_req_len: block.uint("txn_max_req_len").unwrap_or(VALUE_SIZE),
    }
}

/// `acl`.
pub(super) fn acl(raw: &Raw) -> Acl {
    let block = raw.block("acl");
    let tokens = block.block("tokens");
    let token = |name| tokens.text(name).filter(|text| !text.is_empty()).map(Secret::new);
    Acl {
        enabled: block.flag("enabled").unwrap_or(false),
        default_policy: block.text("default_policy").unwrap_or("allow").to_owned(),
        down_policy: block.text("down_policy").unwrap_or("extend-cache").to_owned(),
        key_list_policy: block.flag("enable_key_list_policy").unwrap_or(false),
        token_persistence: block.flag("enable_token_persistence").unwrap_or(false),
        tokens: Tokens {
            default: token("default"),
            agent: token("agent"),
            agent_recovery: token("agent_recovery"),
            replication: token("replication"),
            config_file_service_registration: token("config_file_service_registration"),
            dns: token("dns"),
        },
        initial_management: token("initial_management"),
    }
}

/// `telemetry`.
pub(super) fn telemetry(raw: &Raw, faults: &mut Faults, warnings: &mut Vec<String>) -> Telemetry {
    let block = raw.block("telemetry");
    let metrics_prefix = block.text("metrics_prefix").unwrap_or("consul").to_owned();
    let (mut allowed_prefixes, mut blocked_prefixes) = (Vec::new(), Vec::new());
    for rule in block.texts("prefix_filter") {
        match (rule.strip_prefix('+'), rule.strip_prefix('-')) {
            _ if rule.is_empty() => {
                warnings.push("Cannot have empty filter rule in prefix_filter".to_owned())
            }
            (Some(prefix), _) => allowed_prefixes.push(prefix.to_owned()),
            (_, Some(prefix)) => blocked_prefixes.push(prefix.to_owned()),
            (None, None) => {
                warnings.push(format!("Filter rule must begin with either '+' or '-': {rule:?}"))
            }
        }
    }
    let hidden = format!("{metrics_prefix}.{HIDDEN_METRIC}");
    if !allowed_prefixes.contains(&hidden) && !blocked_prefixes.contains(&hidden) {
        blocked_prefixes.push(hidden);
    }
    let retention = block.text("prometheus_retention_time");
    Telemetry {
        prometheus_retention: faults.duration(
            "prometheus_retention_time",
            retention,
            Duration::ZERO,
        ),
        disable_hostname: block.flag("disable_hostname").unwrap_or(false),
        filter_default: block.flag("filter_default").unwrap_or(true),
        metrics_prefix,
        allowed_prefixes,
        blocked_prefixes,
    }
}

/// Bounds a setting that tunes Consul's own raft.
///
/// # Errors
/// Consul's sentence.
pub(super) fn raft_multiplier(raw: &Raw) -> Result<(), String> {
    match raw.block("performance").int("raft_multiplier").unwrap_or(5) {
        1..=RAFT_MULTIPLIER_MAX => Ok(()),
        other => Err(format!(
            "performance.raft_multiplier cannot be {other}. Must be between 1 and {RAFT_MULTIPLIER_MAX}"
        )),
    }
}

/// The web interface, with the older keys.
pub(super) fn ui(raw: &Raw, dev: bool, warnings: &mut Vec<String>) -> bool {
    for (old, new) in [
        ("ui", "ui_config.enabled"),
        ("ui_dir", "ui_config.dir"),
        ("ui_content_path", "ui_config.content_path"),
    ] {
        if raw.item(old).is_some() {
            warnings
                .push(format!("The '{old}' field is deprecated. Use the '{new}' field instead."));
        }
    }
    raw.block("ui_config").flag("enabled").or(raw.flag("ui").filter(|_| !dev)).unwrap_or(dev)
}

/// Logs.
pub(super) fn log(raw: &Raw, dev: bool, faults: &mut Faults) -> Log {
    Log {
        level: raw.text("log_level").unwrap_or(if dev { "DEBUG" } else { "INFO" }).to_owned(),
        json: raw.flag("log_json").unwrap_or(false),
        file: raw.text("log_file").filter(|path| !path.is_empty()).map(PathBuf::from),
        rotate_bytes: raw.int("log_rotate_bytes").unwrap_or(0),
        rotate_after: faults.duration(
            "log_rotate_duration",
            raw.text("log_rotate_duration"),
            Duration::ZERO,
        ),
        rotate_max_files: raw.int("log_rotate_max_files").unwrap_or(0),
        syslog: (raw.flag("enable_syslog") == Some(true))
            .then(|| raw.text("syslog_facility").unwrap_or("LOCAL0").to_owned()),
    }
}
