//! From the checked configuration to what each part of the program is told: nobody but this sees the whole.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use proconsul_anchors::node::{LeafSettings, Server};
use proconsul_anchors::pairs::Pairs;
use proconsul_anchors::service::Node;
use proconsul_compat::{CaSettings, LimitMode, RequestLimits, Timeouts};
use proconsul_dns::bridge::Bridge;
use proconsul_dns::fallback::{Rule, Target};
use proconsul_dns::upstream::{Fallback, Proofs};
use proconsul_dns::{Recursors, ServiceTtl, SoaTimes, Strategy, Zone};

use crate::config::{self, CONSUL_VERSION, Config};
use crate::telemetry::Naming;

/// Meta that every member of a datacenter carries.
const SEGMENT_META: &str = "consul-network-segment";
const VERSION_META: &str = "consul-version";

/// Where other anchors call this one; nothing when its port is off.
pub(super) fn anchors(config: &Config) -> Option<SocketAddr> {
    let port = u16::try_from(config.network.ports.server).ok().filter(|port| *port > 0)?;
    Some(SocketAddr::new(config.network.bind, port))
}

/// What the HTTP side is told.
///
/// # Errors
/// The text names the key that cannot be used and why.
pub(super) fn http(config: &Config, node_id: &str) -> Result<proconsul_compat::Settings, String> {
    let defaults = proconsul_compat::Settings::default();
    Ok(proconsul_compat::Settings {
        identity: identity(config, node_id),
        response_headers: response_headers(config)?,
        translate_wan_addrs: config.translate_wan_addrs,
        block_endpoints: config.http.block_endpoints.clone(),
        allow_write_http_from: networks(config),
        refuse_unprintable_paths: !config.http.disable_unprintable_filter,
        check_kv_keys: !config.disable_kv_key_validation,
        indent: config.role.dev,
        use_cache: config.http.use_cache,
        wait_default: config.default_query_time,
        wait_max: config.max_query_time,
        discovery_max_stale: config.discovery_max_stale,
        kv_value_bytes_max: config.limits.kv_max_value_size,
        coordinates: !config.disable_coordinates,
        txn_bytes_max: config.limits.txn_max_req_len,
        connections_per_client_max: config.limits.http_max_conns_per_client as usize,
        request_limits: request_limits(config),
        default_intentions: config.default_intentions(),
        session_ttl_min: if config.session_ttl_min.is_zero() {
            defaults.session_ttl_min
        } else {
            config.session_ttl_min
        },
        header_bytes_max: usize::try_from(config.http.max_header_bytes)
            .ok()
            .filter(|bytes| *bytes > 0)
            .unwrap_or(defaults.header_bytes_max),
        timeouts: Timeouts {
            handshake: config.limits.https_handshake_timeout,
            read_header: config.http.read_header_timeout,
            read: config.http.read_timeout,
            write: config.http.write_timeout,
            idle: config.http.idle_timeout,
        },
        ui: config.ui,
        metrics_proxy: metrics_proxy(config)?,
        domains: [&config.dns.domain, &config.dns.alt_domain]
            .into_iter()
            .filter(|domain| !domain.is_empty())
            .cloned()
            .collect(),
        debug: config.enable_debug,
        prometheus: !config.telemetry.prometheus_retention.is_zero(),
    })
}

/// Where questions for metrics go; a reload takes it from what is said then.
///
/// # Errors
/// The text names the header that is none.
pub(super) fn metrics_proxy(
    config: &Config,
) -> Result<Option<proconsul_compat::MetricsProxy>, String> {
    let Some(proxy) = config.metrics_proxy() else { return Ok(None) };
    let mut add_headers = HeaderMap::new();
    for (name, value) in &proxy.add_headers {
        let key = "ui_config.metrics_proxy.add_headers";
        // A value may be a secret: it is not told.
        let bad = |part| format!("{key}: {name:?}: the {part} cannot stand in an HTTP header");
        let header = HeaderName::try_from(name.as_str()).map_err(|_| bad("name"))?;
        add_headers
            .insert(header, HeaderValue::try_from(value.as_str()).map_err(|_| bad("value"))?);
    }
    let (base_url, path_allowlist) = (proxy.base_url, proxy.path_allowlist);
    Ok(Some(proconsul_compat::MetricsProxy { base_url, path_allowlist, add_headers }))
}

fn request_limits(config: &Config) -> RequestLimits {
    let requests = config.limits.requests;
    RequestLimits {
        mode: match requests.mode {
            config::LimitMode::Disabled => LimitMode::Disabled,
            config::LimitMode::Permissive => LimitMode::Permissive,
            config::LimitMode::Enforcing => LimitMode::Enforcing,
        },
        read_rate: requests.read_rate,
        write_rate: requests.write_rate,
        rpc_rate: requests.rpc_rate,
        rpc_burst_max: requests.rpc_burst_max,
    }
}

fn networks(config: &Config) -> Vec<proconsul_compat::Network> {
    let networks = config.http.allow_write_from.iter();
    networks.filter_map(|network| proconsul_compat::Network::parse(&network.to_string())).collect()
}

fn response_headers(config: &Config) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let parse = |(name, value): (&String, &String)| {
        let bad = |part| {
            format!(
                "http_config.response_headers: {name:?}: the {part} cannot stand in an HTTP header"
            )
        };
        let header = HeaderName::try_from(name.as_str()).map_err(|_| bad("name"))?;
        let value = HeaderValue::try_from(value.as_str()).map_err(|_| bad("value"))?;
        Ok((header, value))
    };
    config.http.response_headers.iter().map(parse).collect()
}

fn identity(config: &Config, node_id: &str) -> proconsul_compat::Identity {
    proconsul_compat::Identity {
        node: config.node.name.as_str().into(),
        node_id: node_id.into(),
        datacenter: config.datacenter.as_str().into(),
        primary_datacenter: config.primary_datacenter.as_str().into(),
        server: config.role.server,
        version: CONSUL_VERSION.into(),
        bind: config.network.bind.to_string().into(),
        advertise: config.network.advertise.to_string().into(),
        serf_lan_port: config.network.ports.serf_lan.into(),
        server_port: config.network.ports.server.into(),
        member_tags: member_tags(config, node_id),
        debug_config: config.debug_view(node_id).to_string().into(),
        ..proconsul_compat::Identity::default()
    }
}

/// The tags under which a server is known in Consul's member list.
fn member_tags(config: &Config, node_id: &str) -> std::collections::BTreeMap<String, String> {
    let ports = &config.network.ports;
    let mut tags: std::collections::BTreeMap<String, String> = [
        ("acls", u8::from(config.acl.enabled).to_string()),
        ("build", format!("{CONSUL_VERSION}:")),
        ("dc", config.datacenter.clone()),
        ("ft_fs", "1".to_owned()),
        ("ft_si", "1".to_owned()),
        ("id", node_id.to_owned()),
        ("port", ports.server.to_string()),
        ("raft_vsn", "3".to_owned()),
        ("role", "consul".to_owned()),
        ("segment", String::new()),
        ("vsn", "2".to_owned()),
        ("vsn_max", "3".to_owned()),
        ("vsn_min", "2".to_owned()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    if ports.serf_wan > 0 {
        tags.insert("wan_join_port".to_owned(), ports.serf_wan.to_string());
    }
    if config.role.bootstrap {
        tags.insert("bootstrap".to_owned(), "1".to_owned());
    }
    let own = &config.tls.internal_rpc;
    if !own.cert_file.is_empty() && !own.key_file.is_empty() {
        tags.insert("use_tls".to_owned(), "1".to_owned());
    }
    tags
}

/// What the DNS side is told.
///
/// # Errors
/// The text names the zone that is no DNS name, or the recursor that cannot be found.
pub(super) fn dns(config: &Config) -> Result<proconsul_dns::Settings, String> {
    let zone = |key: &str, text: &str| {
        Zone::parse(text).map_err(|error| format!("{key}: {text:?}: {error}"))
    };
    let dns = &config.dns;
    Ok(proconsul_dns::Settings {
        node_name: config.node.name.as_str().into(),
        datacenter: config.datacenter.as_str().into(),
        domain: zone("domain", &dns.domain)?,
        alt_domain: Some(dns.alt_domain.as_str())
            .filter(|name| !name.is_empty())
            .map(|name| zone("alt_domain", name))
            .transpose()?,
        node_ttl: dns.node_ttl,
        service_ttl: dns
            .service_ttl
            .iter()
            .map(|(name, ttl)| (name.as_str(), *ttl))
            .collect::<ServiceTtl>(),
        only_passing: dns.only_passing,
        udp_answer_limit: dns.udp_answer_limit as usize,
        a_record_limit: dns.a_record_limit as usize,
        enable_truncate: dns.enable_truncate,
        disable_compression: dns.disable_compression,
        soa: SoaTimes {
            refresh: dns.soa.refresh,
            retry: dns.soa.retry,
            expire: dns.soa.expire,
            min_ttl: dns.soa.min_ttl,
        },
        enable_additional_node_meta_txt: dns.node_meta_txt,
        translate_wan_addrs: config.translate_wan_addrs,
        allow_stale: dns.allow_stale,
        max_stale: dns.max_stale,
        recursors: recursors(&config.dns)?,
        fallbacks: fallbacks(config)?,
        images: Arc::default(),
    })
}

/// Who is asked by DNS about names that are unknown here, in the order of the configuration.
fn fallbacks(config: &Config) -> Result<Arc<[Arc<Fallback>]>, String> {
    let all = config.fallbacks.iter().enumerate();
    all.map(|(place, fallback)| {
        fallback_of(fallback).map_err(|fault| format!("fallback[{place}]: {fault}"))
    })
    .collect()
}

fn fallback_of(fallback: &config::Fallback) -> Result<Arc<Fallback>, String> {
    let (target, servers) = match &fallback.upstream {
        config::Upstream::Consul { dns, domain, .. } => (Target::Consul(domain.clone()), dns),
        config::Upstream::Recursor { dns } => (Target::Recursor, dns),
        config::Upstream::Zone { dns, zone } => (Target::Zone(zone.clone()), dns),
    };
    let prove = || Proofs::new(servers, fallback.trust_anchors.as_deref(), fallback.timeout);
    let proofs = fallback.dnssec.then(prove).transpose().map_err(|error| error.to_string())?;
    let rule = Rule {
        zone: fallback.zone.clone(),
        target,
        servers: servers.clone().into(),
        depth: fallback.depth,
        ttl_max: u32::try_from(fallback.ttl_max.as_secs()).unwrap_or(u32::MAX),
        timeout: fallback.timeout,
    };
    Ok(Arc::new(Fallback::new(rule, proofs)))
}

/// What of the index appears in a bridged zone, and how.
pub(super) fn bridge(config: &Config, bridge: &config::Bridge) -> Bridge {
    let soa = &config.dns.soa;
    let soa = SoaTimes {
        refresh: soa.refresh,
        retry: soa.retry,
        expire: soa.expire,
        min_ttl: soa.min_ttl,
    };
    Bridge {
        zone: bridge.zone.clone(),
        public: bridge.public.clone(),
        ttl: u32::try_from(bridge.ttl.as_secs()).unwrap_or(u32::MAX),
        name_servers: bridge.name_servers.clone(),
        mailbox: bridge.mailbox.clone(),
        soa,
        owner: config.datacenter.as_str().into(),
        secondaries: bridge.secondaries.iter().map(|secondary| secondary.ip()).collect(),
    }
}

/// The servers for the names that are not ours.
fn recursors(dns: &config::Dns) -> Result<Option<Arc<Recursors>>, String> {
    let servers: Vec<SocketAddr> = dns
        .recursors
        .iter()
        .map(|text| super::recursors::address(text))
        .collect::<Result<_, _>>()?;
    if servers.is_empty() {
        return Ok(None);
    }
    let strategy = if dns.recursor_random { Strategy::Random } else { Strategy::Sequential };
    let servers = servers.into();
    Ok(Some(Arc::new(Recursors { servers, strategy, timeout: dns.recursor_timeout })))
}

/// What the mesh's certificate authority is told.
///
/// # Errors
/// The text names what cannot be.
pub(super) fn issuer(config: &Config) -> Result<CaSettings, String> {
    let connect = config.connect()?;
    Ok(CaSettings {
        enabled: connect.enabled && config.role.server,
        cluster: connect.cluster.map(Into::into),
        provider: connect.provider.into(),
        config: connect.ca_config,
    })
}

/// What the node's leaf is told.
pub(super) fn leaf(config: &Config, node_id: &str) -> LeafSettings {
    let checking = &config.checking;
    LeafSettings {
        server: config.role.server.then(|| Server {
            port: u16::try_from(config.network.ports.server).unwrap_or(0),
            meta: server_meta(),
        }),
        check_update_interval: checking.update_interval,
        discard_check_output: checking.discard_output,
        check_output_max: checking.output_max_size as usize,
        deregister_after_min: checking.deregister_interval_min,
        reap_interval: checking.reap_interval,
        local_scripts: checking.local_scripts || checking.remote_scripts,
        remote_scripts: checking.remote_scripts,
        sidecar_ports: sidecar_ports(config.network.ports.sidecar),
        ..LeafSettings::new(node(config, node_id))
    }
}

/// A range that begins below 1 gives no ports.
fn sidecar_ports((min, max): (i32, i32)) -> Option<(i64, i64)> {
    (min >= 1 && max >= 1).then(|| (min.into(), max.into()))
}

fn node(config: &Config, node_id: &str) -> Node {
    let own = [(SEGMENT_META, ""), (VERSION_META, CONSUL_VERSION)];
    let own = own.map(|(key, value)| (key.to_owned(), Box::<str>::from(value)));
    let given =
        config.node.meta.iter().map(|(key, value)| (key.clone(), Box::<str>::from(value.as_str())));
    let tagged = &config.node.tagged_addresses;
    Node {
        id: node_id.into(),
        name: config.node.name.as_str().into(),
        address: address(config.network.advertise),
        datacenter: config.datacenter.as_str().into(),
        tagged_addresses: Some(
            tagged.iter().map(|(key, value)| (key.clone(), value.as_str().into())).collect(),
        ),
        meta: Some(own.into_iter().chain(given).collect()),
        locality: config.node.locality.clone(),
    }
}

fn address(ip: IpAddr) -> Box<str> {
    ip.to_string().into()
}

/// What a server's own service tells of it.
fn server_meta() -> Pairs {
    [
        ("non_voter", "false"),
        ("raft_version", "3"),
        ("read_replica", "false"),
        ("serf_protocol_current", "2"),
        ("serf_protocol_max", "5"),
        ("serf_protocol_min", "1"),
        ("version", CONSUL_VERSION),
    ]
    .into_iter()
    .map(|(key, value)| (key, value.into()))
    .collect()
}

/// Under which names metrics are told.
pub(super) fn naming(config: &Config) -> Naming {
    let telemetry = &config.telemetry;
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    Naming {
        prefix: telemetry.metrics_prefix.clone(),
        host: host.filter(|_| !telemetry.disable_hostname),
        allowed: telemetry.allowed_prefixes.clone(),
        blocked: telemetry.blocked_prefixes.clone(),
        by_default: telemetry.filter_default,
    }
}
