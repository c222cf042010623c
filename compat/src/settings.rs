//! What the program tells this crate about itself.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use proconsul_anchors::network::Network;

/// Everything that answers depend on beside the catalog. The defaults are Consul's.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who this process is.
    pub identity: Identity,
    /// `http_config.response_headers`.
    pub response_headers: Vec<(HeaderName, HeaderValue)>,
    /// `translate_wan_addrs`: only its header for now, for there is one datacenter.
    pub translate_wan_addrs: bool,
    /// `http_config.block_endpoints`: prefixes of paths.
    pub block_endpoints: Vec<String>,
    /// `http_config.allow_write_http_from`; empty allows all.
    pub allow_write_http_from: Vec<Network>,
    /// `disable_http_unprintable_char_filter`, the other way round.
    pub refuse_unprintable_paths: bool,
    /// `disable_kv_key_validation`, the other way round.
    pub check_kv_keys: bool,
    /// `-dev`: every JSON answer is indented.
    pub indent: bool,
    /// `default_query_time`: a blocking query without `wait` gets this.
    pub wait_default: Duration,
    /// `max_query_time`: no blocking query waits longer.
    pub wait_max: Duration,
    /// `http_config.use_cache`: whether `?cached` is looked at.
    pub use_cache: bool,
    /// `discovery_max_stale`: above zero, catalog and health reads are stale by default.
    pub discovery_max_stale: Duration,
    /// `limits.kv_max_value_size`, in bytes.
    pub kv_value_bytes_max: u64,
    /// `disable_coordinates`, the other way round.
    pub coordinates: bool,
    /// `limits.txn_max_req_len`, in bytes; the bound on values counts where it is higher.
    pub txn_bytes_max: u64,
    /// `limits.http_max_conns_per_client`; 0 for no limit.
    pub connections_per_client_max: usize,
    /// `limits.request_limits`, and `limits.rpc_rate`.
    pub request_limits: RequestLimits,
    /// `default_intention_policy`: whether what no intention speaks of may speak; `None` where the default of access control holds.
    pub default_intentions: Option<bool>,
    /// `session_ttl_min`.
    pub session_ttl_min: Duration,
    /// `http_config.max_header_bytes`.
    pub header_bytes_max: usize,
    /// How long clients may take.
    pub timeouts: Timeouts,
    /// The environment's prometheus retention: without one the Prometheus text is not served.
    pub prometheus: bool,
    /// `ui_config.enabled`.
    pub ui: bool,
    /// `ui_config.metrics_proxy`.
    pub metrics_proxy: Option<MetricsProxy>,
    /// `domain` and `alt_domain`, without those that are empty.
    pub domains: Vec<String>,
    /// `enable_debug`: whether the program's profiles are open to everybody.
    pub debug: bool,
}

/// Where the web interface's questions for metrics go. `Debug` tells nothing: URL and headers may hold secrets.
#[derive(Clone, Default)]
pub struct MetricsProxy {
    /// `base_url`: whatever is asked lies below it.
    pub base_url: String,
    /// `path_allowlist`: which paths may be asked for, the base's own included; empty for all.
    pub path_allowlist: Vec<String>,
    /// `add_headers`.
    pub add_headers: HeaderMap,
}

impl std::fmt::Debug for MetricsProxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MetricsProxy").finish_non_exhaustive()
    }
}

/// How long clients may take for each part of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// `limits.https_handshake_timeout`: to agree on TLS.
    pub handshake: Duration,
    /// `http_config.read_header_timeout`: for the head of a request, from its first byte or that of the connection.
    pub read_header: Duration,
    /// `http_config.read_timeout`: for a request with its body.
    pub read: Duration,
    /// `http_config.write_timeout`: from the head of a request to the end of its answer.
    pub write: Duration,
    /// `http_config.idle_timeout`: a connection on which nothing is asked is closed.
    pub idle: Duration,
}

/// How many requests a second are answered, over all clients.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RequestLimits {
    /// What happens to a read or write too many.
    pub mode: LimitMode,
    /// Reads a second; none is no bound. Ten seconds' worth may come at once.
    pub read_rate: Option<f64>,
    /// Writes a second; none is no bound. Ten seconds' worth may come at once.
    pub write_rate: Option<f64>,
    /// `limits.rpc_rate`: whatever asks the servers, each second; none is no bound.
    pub rpc_rate: Option<f64>,
    /// `limits.rpc_max_burst`: how many of these may come at once.
    pub rpc_burst_max: u32,
}

/// What happens to a request too many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LimitMode {
    /// Nobody counts.
    #[default]
    Disabled,
    /// It is told in the log.
    Permissive,
    /// It is refused.
    Enforcing,
}

/// Who this process is, as `/v1/agent/self` tells it.
#[derive(Clone, Debug)]
pub struct Identity {
    /// `node_name`.
    pub node: Box<str>,
    /// The node's UUID.
    pub node_id: Box<str>,
    /// The datacenter: the first label of the scope's path.
    pub datacenter: Box<str>,
    /// `primary_datacenter`.
    pub primary_datacenter: Box<str>,
    /// Whether it is a server.
    pub server: bool,
    /// The version of Consul that it is compatible with.
    pub version: Box<str>,
    /// Its revision.
    pub revision: Box<str>,
    /// RFC 3339.
    pub build_date: Box<str>,
    /// `bind_addr`.
    pub bind: Box<str>,
    /// The address that it is known by in its datacenter.
    pub advertise: Box<str>,
    /// `ports.serf_lan`.
    pub serf_lan_port: i64,
    /// `ports.server`.
    pub server_port: i64,
    /// Tags of the member, `role` and `build` among them.
    pub member_tags: BTreeMap<String, String>,
    /// The running configuration, as JSON: Consul's key names, secrets hidden.
    pub debug_config: Box<str>,
}

// === impl Settings ===

impl Default for Settings {
    fn default() -> Self {
        Self {
            identity: Identity::default(),
            response_headers: Vec::new(),
            translate_wan_addrs: false,
            block_endpoints: Vec::new(),
            allow_write_http_from: Vec::new(),
            refuse_unprintable_paths: true,
            check_kv_keys: true,
            indent: false,
            wait_default: Duration::from_secs(300),
            wait_max: Duration::from_secs(600),
            use_cache: true,
            discovery_max_stale: Duration::ZERO,
            kv_value_bytes_max: 512 * 1024,
            coordinates: true,
            txn_bytes_max: 512 * 1024,
            connections_per_client_max: 200,
            request_limits: RequestLimits::default(),
            default_intentions: None,
            session_ttl_min: Duration::from_secs(10),
            header_bytes_max: 1024 * 1024,
            timeouts: Timeouts::default(),
            prometheus: false,
            ui: false,
            metrics_proxy: None,
            domains: vec!["consul.".to_owned()],
            debug: false,
        }
    }
}

// === impl RequestLimits ===

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            mode: LimitMode::default(),
            read_rate: None,
            write_rate: None,
            rpc_rate: None,
            rpc_burst_max: 1000,
        }
    }
}

// === impl Timeouts ===

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(5),
            read_header: Duration::from_secs(10),
            read: Duration::from_secs(900),
            write: Duration::from_secs(900),
            idle: Duration::from_secs(120),
        }
    }
}

// === impl Identity ===

impl Identity {
    /// Where the server can be reached: what `/v1/status/leader` answers.
    pub fn server_address(&self) -> String {
        match self.advertise.parse() {
            Ok(IpAddr::V6(address)) => format!("[{address}]:{}", self.server_port),
            _ => format!("{}:{}", self.advertise, self.server_port),
        }
    }
}

impl Default for Identity {
    fn default() -> Self {
        Self {
            node: "node".into(),
            node_id: "".into(),
            datacenter: "dc1".into(),
            primary_datacenter: "dc1".into(),
            server: true,
            version: "1.22.7".into(),
            revision: "".into(),
            build_date: "1970-01-01T00:00:01Z".into(),
            bind: "127.0.0.1".into(),
            advertise: "127.0.0.1".into(),
            serf_lan_port: 8301,
            server_port: 8300,
            member_tags: BTreeMap::new(),
            debug_config: "{}".into(),
        }
    }
}
