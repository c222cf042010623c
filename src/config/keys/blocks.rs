//! The keys inside the blocks of the agent's own settings.

use super::Kind::{
    Block, BlockMap, Blocks, Bool, Float, Free, FreeList, Int, Single, Text, TextMap, Texts, Uint,
    Uint32, Uint64,
};
use super::{Effect, Key, deprecated, enterprise, key, live, quiet, start};

pub(in crate::config) const SERVICE_PROVIDER_TOKEN: &[Key] =
    &[quiet("accessor_id", Text), quiet("secret_id", Text)];

pub(in crate::config) const TOKENS: &[Key] = &[
    start("initial_management", Text),
    quiet("replication", Text),
    live("agent_recovery", Text),
    live("default", Text),
    live("agent", Text),
    live("config_file_service_registration", Text),
    live("dns", Text),
    enterprise("managed_service_provider", Blocks(SERVICE_PROVIDER_TOKEN)),
    quiet("master", Text),
    quiet("agent_master", Text),
];

pub(in crate::config) const ACL: &[Key] = &[
    start("enabled", Bool),
    quiet("enable_token_replication", Bool),
    quiet("policy_ttl", Text),
    quiet("role_ttl", Text),
    quiet("token_ttl", Text),
    start("down_policy", Text),
    start("default_policy", Text),
    start("enable_key_list_policy", Bool),
    start("tokens", Block(TOKENS)),
    start("enable_token_persistence", Bool),
    enterprise("msp_disable_bootstrap", Bool),
];

pub(in crate::config) const ADDRESSES: &[Key] = &[
    start("dns", Text),
    start("http", Text),
    start("https", Text),
    quiet("grpc", Text),
    quiet("grpc_tls", Text),
];

pub(in crate::config) const AUTO_CONFIG_AUTHORIZER: &[Key] = &[
    quiet("claim_assertions", Texts),
    quiet("allow_reuse", Bool),
    quiet("jwt_supported_algs", Texts),
    quiet("bound_audiences", Texts),
    quiet("claim_mappings", TextMap),
    quiet("list_claim_mappings", TextMap),
    quiet("oidc_discovery_url", Text),
    quiet("oidc_discovery_ca_cert", Text),
    quiet("jwks_url", Text),
    quiet("jwks_ca_cert", Text),
    quiet("jwt_validation_pub_keys", Texts),
    quiet("bound_issuer", Text),
    quiet("expiration_leeway", Text),
    quiet("not_before_leeway", Text),
    quiet("clock_skew_leeway", Text),
];

pub(in crate::config) const AUTO_CONFIG_AUTHORIZATION: &[Key] =
    &[quiet("enabled", Bool), quiet("static", Block(AUTO_CONFIG_AUTHORIZER))];

pub(in crate::config) const AUTO_CONFIG: &[Key] = &[
    quiet("enabled", Bool),
    quiet("intro_token", Text),
    quiet("intro_token_file", Text),
    quiet("server_addresses", Texts),
    quiet("dns_sans", Texts),
    quiet("ip_sans", Texts),
    quiet("authorization", Block(AUTO_CONFIG_AUTHORIZATION)),
];

pub(in crate::config) const AUTOPILOT: &[Key] = &[
    quiet("cleanup_dead_servers", Bool),
    quiet("last_contact_threshold", Text),
    quiet("max_trailing_logs", Int),
    quiet("min_quorum", Uint),
    quiet("server_stabilization_time", Text),
    enterprise("disable_upgrade_migration", Bool),
    enterprise("redundancy_zone_tag", Text),
    enterprise("upgrade_version_tag", Text),
];

pub(in crate::config) const CACHE: &[Key] =
    &[quiet("entry_fetch_max_burst", Int), quiet("entry_fetch_rate", Float)];

pub(in crate::config) const CLOUD: &[Key] = &[
    quiet("resource_id", Text),
    quiet("client_id", Text),
    quiet("client_secret", Text),
    quiet("hostname", Text),
    quiet("auth_url", Text),
    quiet("scada_address", Text),
];

pub(in crate::config) const CONFIG_ENTRIES: &[Key] = &[quiet("bootstrap", FreeList)];

pub(in crate::config) const AUTO_ENCRYPT: &[Key] = &[
    quiet("tls", Bool),
    quiet("dns_san", Texts),
    quiet("ip_san", Texts),
    quiet("allow_tls", Bool),
];

pub(in crate::config) const CONNECT: &[Key] = &[
    start("enabled", Bool),
    start("ca_provider", Text),
    start("ca_config", Free),
    quiet("enable_mesh_gateway_wan_federation", Bool),
    quiet("virtual_ip_cidr_v4", Text),
    quiet("virtual_ip_cidr_v6", Text),
    quiet("test_ca_leaf_root_change_spread", Text),
];

pub(in crate::config) const SOA: &[Key] = &[
    live("refresh", Uint32),
    live("retry", Uint32),
    live("expire", Uint32),
    live("min_ttl", Uint32),
];

pub(in crate::config) const DNS: &[Key] = &[
    live("allow_stale", Bool),
    live("a_record_limit", Int),
    live("disable_compression", Bool),
    live("enable_truncate", Bool),
    live("max_stale", Text),
    live("node_ttl", Text),
    live("only_passing", Bool),
    live("recursor_strategy", Text),
    live("recursor_timeout", Text),
    live("service_ttl", TextMap),
    live("udp_answer_limit", Int),
    live("enable_additional_node_meta_txt", Bool),
    live("soa", Single(SOA)),
    quiet("use_cache", Bool),
    quiet("cache_max_age", Text),
    enterprise("prefer_namespace", Bool),
];

pub(in crate::config) const FALLBACK_UPSTREAM: &[Key] = &[
    live("kind", Text),
    live("dns", Texts),
    live("http", Text),
    live("token", Text),
    live("ca_file", Text),
    live("domain", Text),
    live("zone", Text),
];

pub(in crate::config) const FALLBACK: &[Key] = &[
    live("zone", Text),
    live("upstream", Block(FALLBACK_UPSTREAM)),
    live("require", Text),
    live("trust_anchors", Text),
    live("depth", Int),
    live("ttl_max", Text),
    live("timeout", Text),
];

pub(in crate::config) const BRIDGE_PUBLIC: &[Key] =
    &[start("names", Texts), start("tags", Texts), start("meta", TextMap)];

pub(in crate::config) const BRIDGE: &[Key] = &[
    start("zone", Text),
    start("public", Block(BRIDGE_PUBLIC)),
    start("ttl", Text),
    start("name_servers", Texts),
    start("mailbox", Text),
    start("server", Text),
    start("tsig_key_file", Text),
    start("compare_interval", Text),
    start("secondaries", Texts),
];

pub(in crate::config) const GOSSIP: &[Key] = &[
    quiet("gossip_nodes", Int),
    quiet("gossip_interval", Text),
    quiet("probe_interval", Text),
    quiet("probe_timeout", Text),
    quiet("suspicion_mult", Int),
    quiet("retransmit_mult", Int),
];

pub(in crate::config) const HTTP: &[Key] = &[
    start("block_endpoints", Texts),
    start("allow_write_http_from", Texts),
    start("response_headers", TextMap),
    start("use_cache", Bool),
    start("max_header_bytes", Int),
    start("read_timeout", Text),
    start("read_header_timeout", Text),
    start("write_timeout", Text),
    start("idle_timeout", Text),
];

pub(in crate::config) const REQUEST_LIMITS: &[Key] =
    &[live("mode", Text), live("read_rate", Float), live("write_rate", Float)];

pub(in crate::config) const LIMITS: &[Key] = &[
    live("http_max_conns_per_client", Int),
    start("https_handshake_timeout", Text),
    quiet("request_limits", Block(REQUEST_LIMITS)),
    quiet("rpc_client_timeout", Text),
    quiet("rpc_handshake_timeout", Text),
    live("rpc_max_burst", Int),
    quiet("rpc_max_conns_per_client", Int),
    live("rpc_rate", Float),
    start("kv_max_value_size", Uint64),
    start("txn_max_req_len", Uint64),
];

pub(in crate::config) const PEERING: &[Key] =
    &[quiet("enabled", Bool), quiet("test_allow_peer_registrations", Bool)];

pub(in crate::config) const PERFORMANCE: &[Key] = &[
    quiet("leave_drain_time", Text),
    quiet("raft_multiplier", Int),
    quiet("rpc_hold_timeout", Text),
    quiet("grpc_keepalive_interval", Text),
    quiet("grpc_keepalive_timeout", Text),
    quiet("enable_xds_load_balancing", Bool),
];

pub(in crate::config) const PORTS: &[Key] = &[
    start("dns", Int),
    start("dns_tls", Int),
    start("dns_https", Int),
    start("dns_quic", Int),
    start("http", Int),
    start("https", Int),
    start("serf_lan", Int),
    start("serf_wan", Int),
    start("server", Int),
    quiet("grpc", Int),
    quiet("grpc_tls", Int),
    quiet("proxy_min_port", Int),
    quiet("proxy_max_port", Int),
    quiet("sidecar_min_port", Int),
    quiet("sidecar_max_port", Int),
    quiet("expose_min_port", Int),
    quiet("expose_max_port", Int),
];

/// The keys of one part of `tls`: what its files do here, and its demand for certificates.
const fn tls_part(files: Effect, verify_incoming: Effect) -> [Key; 10] {
    [
        key("ca_file", Text, files),
        key("ca_path", Text, files),
        key("cert_file", Text, files),
        key("key_file", Text, files),
        key("tls_min_version", Text, files),
        key("tls_cipher_suites", Text, files),
        key("verify_incoming", Bool, verify_incoming),
        quiet("verify_outgoing", Bool),
        quiet("verify_server_hostname", Bool),
        quiet("use_auto_cert", Bool),
    ]
}

const TLS_SERVED: &[Key] = &tls_part(Effect::Live, Effect::Live);
/// There is no RPC to secure; checks use the files (`enable_agent_tls_for_checks`).
const TLS_INTERNAL: &[Key] = &tls_part(Effect::Live, Effect::Quiet);
const TLS_UNSERVED: &[Key] = &tls_part(Effect::Quiet, Effect::Quiet);

pub(in crate::config) const TLS: &[Key] = &[
    live("defaults", Block(TLS_SERVED)),
    live("internal_rpc", Block(TLS_INTERNAL)),
    live("https", Block(TLS_SERVED)),
    live("dns", Block(TLS_SERVED)),
    quiet("grpc", Block(TLS_UNSERVED)),
];

pub(in crate::config) const TELEMETRY: &[Key] = &[
    quiet("circonus_api_app", Text),
    quiet("circonus_api_token", Text),
    quiet("circonus_api_url", Text),
    quiet("circonus_broker_id", Text),
    quiet("circonus_broker_select_tag", Text),
    quiet("circonus_check_display_name", Text),
    quiet("circonus_check_force_metric_activation", Text),
    quiet("circonus_check_id", Text),
    quiet("circonus_check_instance_id", Text),
    quiet("circonus_check_search_tag", Text),
    quiet("circonus_check_tags", Text),
    quiet("circonus_submission_interval", Text),
    quiet("circonus_submission_url", Text),
    quiet("disable_hostname", Bool),
    quiet("disable_per_tenancy_usage_metrics", Bool),
    quiet("enable_host_metrics", Bool),
    quiet("dogstatsd_addr", Text),
    quiet("dogstatsd_tags", Texts),
    quiet("retry_failed_connection", Bool),
    quiet("filter_default", Bool),
    quiet("prefix_filter", Texts),
    quiet("metrics_prefix", Text),
    start("prometheus_retention_time", Text),
    quiet("statsd_address", Text),
    quiet("statsite_address", Text),
];

pub(in crate::config) const XDS: &[Key] = &[quiet("update_max_per_second", Float)];

pub(in crate::config) const UI_METRICS_PROXY_ADD_HEADER: &[Key] =
    &[live("name", Text), live("value", Text)];

pub(in crate::config) const UI_METRICS_PROXY: &[Key] = &[
    live("base_url", Text),
    live("add_headers", Blocks(UI_METRICS_PROXY_ADD_HEADER)),
    live("path_allowlist", Texts),
];

pub(in crate::config) const UI: &[Key] = &[
    quiet("enabled", Bool),
    quiet("dir", Text),
    quiet("content_path", Text),
    live("metrics_provider", Text),
    quiet("metrics_provider_files", Texts),
    quiet("metrics_provider_options_json", Text),
    quiet("metrics_proxy", Block(UI_METRICS_PROXY)),
    quiet("dashboard_url_templates", TextMap),
];

pub(in crate::config) const UNIX_SOCKET: &[Key] =
    &[start("group", Text), start("mode", Text), start("user", Text)];

pub(in crate::config) const RPC: &[Key] = &[quiet("enable_streaming", Bool)];

pub(in crate::config) const RAFT_LOG_STORE_VERIFICATION: &[Key] =
    &[quiet("enabled", Bool), quiet("interval", Text)];

pub(in crate::config) const RAFT_BOLT_DB: &[Key] = &[quiet("no_freelist_sync", Bool)];

pub(in crate::config) const RAFT_WAL: &[Key] = &[quiet("segment_size_mb", Int)];

pub(in crate::config) const RAFT_LOG_STORE: &[Key] = &[
    quiet("backend", Text),
    quiet("disable_log_cache", Bool),
    quiet("verification", Block(RAFT_LOG_STORE_VERIFICATION)),
    quiet("boltdb", Block(RAFT_BOLT_DB)),
    quiet("wal", Block(RAFT_WAL)),
];

pub(in crate::config) const CONSUL: &[Key] = &[
    quiet(
        "coordinate",
        Block(&[
            quiet("update_batch_size", Int),
            quiet("update_max_batches", Int),
            quiet("update_period", Text),
        ]),
    ),
    quiet(
        "raft",
        Block(&[
            quiet("election_timeout", Text),
            quiet("heartbeat_timeout", Text),
            quiet("leader_lease_timeout", Text),
        ]),
    ),
    quiet("server", Block(&[quiet("health_interval", Text)])),
];

pub(in crate::config) const AUDIT_SINK: &[Key] = &[
    quiet("type", Text),
    quiet("format", Text),
    quiet("path", Text),
    quiet("delivery_guarantee", Text),
    quiet("mode", Text),
    quiet("rotate_bytes", Int),
    quiet("rotate_duration", Text),
    quiet("rotate_max_files", Int),
];

pub(in crate::config) const AUDIT: &[Key] =
    &[quiet("enabled", Bool), quiet("sink", BlockMap(AUDIT_SINK)), quiet("rpc_enabled", Bool)];

pub(in crate::config) const SEGMENT: &[Key] = &[
    quiet("advertise", Text),
    quiet("bind", Text),
    quiet("name", Text),
    quiet("port", Int),
    quiet("rpc_listener", Bool),
];

pub(in crate::config) const LICENSE: &[Key] = &[quiet("enabled", Bool)];

pub(in crate::config) const REPORTING: &[Key] =
    &[enterprise("license", Block(LICENSE)), quiet("snapshot_retention_time", Text)];

pub(in crate::config) const RAFT_BOLTDB: &[Key] = &[deprecated("NoFreelistSync", Bool)];
