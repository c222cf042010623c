//! Every key that a configuration may hold, in the order in which Consul looks at them: its kind, and what it does here.
//!
//! The table decides what an unknown key is, what a wrong type is, how two sources merge and what the manual lists.
//! Names, kinds and aliases are those of Consul 1.22.7's reference.

mod blocks;
mod scopes;
mod services;

use Kind::{
    Block, BlockMap, Blocks, Bool, Float, Free, FreeList, Int, Single, Text, TextMap, Texts,
};
use blocks::{
    ACL, ADDRESSES, AUDIT, AUTO_CONFIG, AUTO_ENCRYPT, AUTOPILOT, BRIDGE, CACHE, CLOUD,
    CONFIG_ENTRIES, CONNECT, CONSUL, DNS, FALLBACK, GOSSIP, HTTP, LIMITS, PEERING, PERFORMANCE,
    PORTS, RAFT_BOLTDB, RAFT_LOG_STORE, REPORTING, RPC, SEGMENT, TELEMETRY, TLS, UI, UNIX_SOCKET,
    XDS,
};
use scopes::{POLICY, SCOPE};
use services::{CHECK, LOCALITY, SERVICE};

/// One key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    /// As the reference writes it; compared without case.
    pub(crate) name: &'static str,
    /// A second spelling; empty for none.
    pub(crate) alias: &'static str,
    /// What it may hold.
    pub(crate) kind: Kind,
    /// What it does here.
    pub(crate) effect: Effect,
}

/// What a key may hold. Later sources replace, except where it says otherwise.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number; a fraction is cut off.
    Int,
    /// Not negative.
    Uint,
    /// Not negative, 32 bits.
    Uint32,
    /// Not negative, 64 bits.
    Uint64,
    /// A number.
    Float,
    /// A string; durations and addresses too.
    Text,
    /// A list of strings; sources append.
    Texts,
    /// Strings by name; sources overlay.
    TextMap,
    /// Lists of strings by name; sources overlay.
    TextsMap,
    /// An object of any keys; sources overlay.
    Free,
    /// A list of such objects; sources append.
    FreeList,
    /// An object of these keys; sources merge key by key.
    Block(&'static [Key]),
    /// An object of these keys; a later one replaces it whole.
    Single(&'static [Key]),
    /// A list of such objects; sources append.
    Blocks(&'static [Key]),
    /// Such objects by name; sources overlay.
    BlockMap(&'static [Key]),
}

/// What a key does here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It is read at the start.
    Start,
    /// It is read at the start and again on a reload.
    Live,
    /// It is accepted, checked for its kind, and changes nothing.
    Quiet,
    /// It is an older name: a warning tells the newer one, which gets the value.
    Deprecated,
    /// Consul's community edition warns and ignores it; so do we.
    Enterprise,
}

const fn key(name: &'static str, kind: Kind, effect: Effect) -> Key {
    Key { name, alias: "", kind, effect }
}

const fn start(name: &'static str, kind: Kind) -> Key {
    key(name, kind, Effect::Start)
}

const fn live(name: &'static str, kind: Kind) -> Key {
    key(name, kind, Effect::Live)
}

const fn quiet(name: &'static str, kind: Kind) -> Key {
    key(name, kind, Effect::Quiet)
}

const fn deprecated(name: &'static str, kind: Kind) -> Key {
    key(name, kind, Effect::Deprecated)
}

const fn enterprise(name: &'static str, kind: Kind) -> Key {
    key(name, kind, Effect::Enterprise)
}

impl Key {
    const fn or(mut self, alias: &'static str) -> Self {
        self.alias = alias;
        self
    }

    /// Whether a word of a source means this key.
    pub(crate) fn is(&self, word: &str) -> bool {
        self.name.eq_ignore_ascii_case(word)
            || (!self.alias.is_empty() && self.alias.eq_ignore_ascii_case(word))
    }
}

/// The keys that stand at the top of a source.
pub(crate) const TOP: &[Key] = &[
    deprecated("acl_agent_master_token", Text),
    deprecated("acl_agent_token", Text),
    deprecated("acl_token", Text),
    deprecated("acl_enable_key_list_policy", Bool),
    deprecated("acl_master_token", Text),
    deprecated("acl_replication_token", Text),
    deprecated("enable_acl_replication", Bool),
    deprecated("acl_datacenter", Text),
    deprecated("acl_default_policy", Text),
    deprecated("acl_down_policy", Text),
    deprecated("acl_ttl", Text),
    deprecated("ca_file", Text),
    deprecated("ca_path", Text),
    deprecated("cert_file", Text),
    deprecated("key_file", Text),
    deprecated("tls_cipher_suites", Text),
    deprecated("tls_min_version", Text),
    deprecated("verify_incoming", Bool),
    deprecated("verify_incoming_https", Bool),
    deprecated("verify_incoming_rpc", Bool),
    deprecated("verify_outgoing", Bool),
    deprecated("verify_server_hostname", Bool),
    deprecated("tls_prefer_server_cipher_suites", Bool),
    deprecated("start_join", Texts),
    deprecated("start_join_wan", Texts),
    deprecated("raft_boltdb", Block(RAFT_BOLTDB)),
    start("acl", Block(ACL)),
    start("addresses", Block(ADDRESSES)),
    start("advertise_addr", Text),
    start("advertise_addr_ipv4", Text),
    start("advertise_addr_ipv6", Text),
    start("advertise_addr_wan", Text),
    start("advertise_addr_wan_ipv4", Text),
    start("advertise_addr_wan_ipv6", Text),
    quiet("advertise_reconnect_timeout", Text),
    quiet("auto_config", Block(AUTO_CONFIG)),
    quiet("autopilot", Block(AUTOPILOT)),
    start("bind_addr", Text),
    start("bootstrap", Bool),
    start("bootstrap_expect", Int),
    quiet("cache", Block(CACHE)),
    live("check", Single(CHECK)),
    live("check_output_max_size", Int),
    start("check_update_interval", Text),
    live("checks", Blocks(CHECK)),
    start("client_addr", Text),
    quiet("cloud", Single(CLOUD)),
    quiet("config_entries", Block(CONFIG_ENTRIES)),
    quiet("auto_encrypt", Block(AUTO_ENCRYPT)),
    start("connect", Block(CONNECT)),
    live("dns_config", Block(DNS)),
    start("domain", Text),
    start("alt_domain", Text),
    live("recursors", Texts),
    start("data_dir", Text),
    start("datacenter", Text),
    start("default_query_time", Text),
    live("default_scope", Text),
    quiet("default_intention_policy", Text),
    quiet("disable_anonymous_signature", Bool),
    start("disable_coordinates", Bool),
    quiet("disable_host_node_id", Bool),
    start("disable_http_unprintable_char_filter", Bool),
    quiet("disable_keyring_file", Bool),
    quiet("disable_remote_exec", Bool),
    quiet("disable_update_check", Bool),
    live("discard_check_output", Bool),
    start("discovery_max_stale", Text),
    start("disable_kv_key_validation", Bool),
    live("enable_agent_tls_for_checks", Bool),
    quiet("enable_central_service_config", Bool),
    quiet("enable_debug", Bool),
    start("enable_script_checks", Bool),
    start("enable_local_script_checks", Bool),
    start("enable_syslog", Bool),
    quiet("encrypt", Text),
    quiet("encrypt_verify_incoming", Bool),
    quiet("encrypt_verify_outgoing", Bool),
    quiet("experiments", Texts),
    quiet("federation_state_anti_entropy_sync_interval", Text),
    quiet("gossip_lan", Block(GOSSIP)),
    quiet("gossip_wan", Block(GOSSIP)),
    start("http_config", Block(HTTP)),
    quiet("leave_on_terminate", Bool),
    enterprise("license_path", Text),
    start("limits", Block(LIMITS)),
    start("locality", Single(LOCALITY)),
    live("log_level", Text),
    start("log_json", Bool),
    start("log_file", Text),
    start("log_rotate_duration", Text),
    start("log_rotate_bytes", Int),
    start("log_rotate_max_files", Int),
    start("max_query_time", Text),
    start("node_id", Text),
    live("node_meta", TextMap),
    start("node_name", Text),
    quiet("peering", Block(PEERING)),
    quiet("performance", Block(PERFORMANCE)),
    start("pid_file", Text),
    live("policy", BlockMap(POLICY)),
    start("ports", Block(PORTS)),
    start("primary_datacenter", Text),
    quiet("primary_gateways", Texts),
    quiet("primary_gateways_interval", Text),
    quiet("protocol", Int),
    quiet("raft_protocol", Int),
    quiet("raft_snapshot_threshold", Int),
    quiet("raft_snapshot_interval", Text),
    quiet("raft_trailing_logs", Int),
    quiet("raft_prevote_disabled", Bool),
    quiet("reconnect_timeout", Text),
    quiet("reconnect_timeout_wan", Text),
    quiet("rejoin_after_leave", Bool),
    start("auto_reload_config", Bool),
    quiet("retry_interval", Text),
    quiet("retry_interval_wan", Text),
    quiet("retry_join", Texts),
    quiet("retry_max", Int),
    quiet("retry_max_wan", Int),
    quiet("retry_join_wan", Texts),
    quiet("serf_lan_allowed_cidrs", Texts),
    quiet("serf_wan_allowed_cidrs", Texts),
    quiet("serf_lan", Text),
    quiet("serf_wan", Text),
    start("server", Bool),
    quiet("server_name", Text),
    quiet("server_rejoin_age_max", Text),
    live("service", Single(SERVICE)),
    live("services", Blocks(SERVICE)),
    live("scope", BlockMap(SCOPE)),
    start("session_ttl_min", Text),
    quiet("skip_leave_on_interrupt", Bool),
    start("syslog_facility", Text),
    live("tls", Block(TLS)),
    start("tagged_addresses", TextMap),
    start("telemetry", Block(TELEMETRY)),
    start("translate_wan_addrs", Bool),
    quiet("xds", Block(XDS)),
    quiet("ui", Bool),
    quiet("ui_content_path", Text),
    quiet("ui_dir", Text),
    quiet("ui_config", Block(UI)),
    start("unix_sockets", Block(UNIX_SOCKET)),
    quiet("watches", FreeList),
    quiet("rpc", Block(RPC)),
    quiet("raft_logstore", Block(RAFT_LOG_STORE)),
    quiet("use_streaming_backend", Bool),
    quiet("snapshot_agent", Free),
    quiet("ae_interval", Text),
    start("check_deregister_interval_min", Text),
    start("check_reap_interval", Text),
    quiet("consul", Block(CONSUL)),
    quiet("revision", Text),
    quiet("segment_limit", Int),
    quiet("segment_name_limit", Int),
    quiet("sync_coordinate_interval_min", Text),
    quiet("sync_coordinate_rate_target", Float),
    quiet("version", Text),
    quiet("version_prerelease", Text),
    quiet("version_metadata", Text),
    quiet("build_date", Block(&[])),
    enterprise("audit", Block(AUDIT)),
    enterprise("read_replica", Bool).or("non_voting_server"),
    enterprise("segment", Text),
    enterprise("segments", Blocks(SEGMENT)),
    enterprise("partition", Text),
    quiet("license_poll_base_time", Text),
    quiet("license_poll_max_time", Text),
    quiet("license_update_base_time", Text),
    quiet("license_update_max_time", Text),
    quiet("reporting", Block(REPORTING)),
    live("fallback", Blocks(FALLBACK)),
    start("bridge", Blocks(BRIDGE)),
];
