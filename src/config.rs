//! What a checked configuration is, and the way to it.
//!
//! ```text
//! files, folders ─▶ source ─▶ hcl | json ─▶ raw (table: keys) ─▶ merge ─▶ check ─▶ Config
//! command line   ─▶ flags ────────────────────▲
//! ```
//! Keys, defaults and messages are those of Consul 1.22.7; `docs/configuration.md` lists what each key does here.

mod address;
mod banner;
mod bridge;
mod check;
mod connect;
mod debug;
mod deprecated;
mod effects;
mod fallback;
mod faults;
mod flags;
mod host;
mod keys;
mod merge;
mod mesh;
mod metrics_proxy;
mod raw;
mod scopes;
mod service;
mod source;
mod template;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use proconsul_anchors::acl::Tokens;
use proconsul_anchors::caller::Secret;
use proconsul_anchors::service::Locality;

pub(crate) use address::Listen;
pub(crate) use bridge::Bridge;
pub(crate) use debug::{check_fields, service_fields};
pub(crate) use fallback::{Fallback, Upstream};
pub(crate) use flags::{SETTINGS, agent_arguments, sources_from};
pub(crate) use host::Host;
pub(crate) use scopes::{Governed, PolicyEntry, PolicySource};
pub(crate) use service::{CheckEntry, ServiceEntry};
pub(crate) use source::{Format, Sources, reason};
pub(crate) use template::{Network, network};

/// The version of Consul that the program is compatible with: what clients read as its version.
pub(crate) const CONSUL_VERSION: &str = "1.22.7";

/// A configuration that was checked as a whole.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// What this node is called.
    pub(crate) node: Node,
    /// What it does in its datacenter.
    pub(crate) role: Role,
    /// The first label of the scope's path; lower case.
    pub(crate) datacenter: String,
    /// The datacenter that others follow; the same when not said.
    pub(crate) primary_datacenter: String,
    /// Where state is kept; nothing with `-dev`, which keeps none.
    pub(crate) data_dir: Option<PathBuf>,
    /// Addresses and ports.
    pub(crate) network: Reach,
    /// The HTTP interface.
    pub(crate) http: Http,
    /// The DNS interface. Read again on reload.
    pub(crate) dns: Dns,
    /// How long a blocking query waits when it does not say (`default_query_time`).
    pub(crate) default_query_time: Duration,
    /// How long it may wait at most (`max_query_time`).
    pub(crate) max_query_time: Duration,
    /// Above zero, catalog and health reads take any server's answer unless they say otherwise.
    pub(crate) discovery_max_stale: Duration,
    /// Whether a change of the files is a reload.
    pub(crate) auto_reload: bool,
    /// Scopes and their policies.
    pub(crate) governed: Governed,
    /// Sessions with a shorter TTL are refused (`session_ttl_min`); zero leaves the built-in bound.
    pub(crate) session_ttl_min: Duration,
    /// How checks are run.
    pub(crate) checking: Checking,
    /// Bounds on clients.
    pub(crate) limits: Limits,
    /// Certificates. Read again on reload.
    pub(crate) tls: Tls,
    /// Access control. Enforcement comes later: `enabled` is always false here, because true stops the start.
    pub(crate) acl: Acl,
    /// Metrics.
    pub(crate) telemetry: Telemetry,
    /// Logs.
    pub(crate) log: Log,
    /// What a stop does.
    pub(crate) leaving: Leaving,
    /// Servers to join (`retry_join`). Joining comes later: a server list that is not empty stops the start.
    pub(crate) retry_join: Vec<String>,
    /// Services of the configuration. Read again on reload.
    pub(crate) services: Vec<ServiceEntry>,
    /// Checks of the configuration. Read again on reload.
    pub(crate) checks: Vec<CheckEntry>,
    /// Whether answers carry WAN addresses to other datacenters.
    pub(crate) translate_wan_addrs: bool,
    /// Whether keys may hold any character.
    pub(crate) disable_kv_key_validation: bool,
    /// Nodes lie nowhere.
    pub(crate) disable_coordinates: bool,
    /// Whether `/debug/pprof` and the like are open.
    pub(crate) enable_debug: bool,
    /// Whether the web interface is asked for.
    pub(crate) ui: bool,
    /// Where the process id is written.
    pub(crate) pid_file: Option<PathBuf>,
    /// Whom to ask about names that nobody knows here, first match first. Read again on reload.
    pub(crate) fallbacks: Vec<Fallback>,
    /// Zones in which public names appear.
    pub(crate) bridges: Vec<Bridge>,
    /// The source of the debug view's rarer fields.
    raw: raw::Raw,
}

/// What a node is called.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// The host's name when none is given.
    pub(crate) name: String,
    /// A UUID; when none is given one is kept in the data folder.
    pub(crate) id: Option<String>,
    /// Whether the id must not be made from the machine's.
    pub(crate) disable_host_node_id: bool,
    /// Free pairs. Read again on reload.
    pub(crate) meta: BTreeMap<String, String>,
    /// By purpose: `lan`, `lan_ipv4`, `wan`, `wan_ipv4` and those of the configuration.
    pub(crate) tagged_addresses: BTreeMap<String, String>,
    /// Region and zone.
    pub(crate) locality: Option<Locality>,
}

/// What a node does in its datacenter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Role {
    /// Whether it keeps the catalog, or only syncs to who does.
    pub(crate) server: bool,
    /// Whether it starts a group of its own.
    pub(crate) bootstrap: bool,
    /// How many servers to wait for.
    pub(crate) bootstrap_expect: u32,
    /// `-dev`: everything in memory.
    pub(crate) dev: bool,
}

/// Addresses and ports. A port of -1 is off.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    /// Where the traffic of the group is expected.
    pub(crate) bind: IpAddr,
    /// What this node tells others of itself.
    pub(crate) advertise: IpAddr,
    /// The same for other datacenters.
    pub(crate) advertise_wan: IpAddr,
    /// Where clients are expected.
    pub(crate) client: Vec<IpAddr>,
    /// The ports.
    pub(crate) ports: Ports,
}

/// The ports; -1 is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ports {
    /// DNS, UDP and TCP.
    pub(crate) dns: i32,
    /// HTTP.
    pub(crate) http: i32,
    /// HTTPS.
    pub(crate) https: i32,
    /// xDS; accepted, not served yet.
    pub(crate) grpc: i32,
    /// xDS with TLS; accepted, not served yet.
    pub(crate) grpc_tls: i32,
    /// Named in members' answers.
    pub(crate) serf_lan: i32,
    /// Named in members' answers.
    pub(crate) serf_wan: i32,
    /// Between servers.
    pub(crate) server: i32,
    /// Bounds of the ports given to sidecars.
    pub(crate) sidecar: (i32, i32),
    /// Bounds of the ports given to exposed checks.
    pub(crate) expose: (i32, i32),
}

/// The HTTP interface.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    /// Where it listens.
    pub(crate) listen: Vec<Listen>,
    /// Where it listens with TLS.
    pub(crate) listen_tls: Vec<Listen>,
    /// Whose its Unix sockets are.
    pub(crate) unix_sockets: UnixSockets,
    /// Path prefixes that answer 403.
    pub(crate) block_endpoints: Vec<String>,
    /// Networks from which writes are taken; empty means all.
    pub(crate) allow_write_from: Vec<Network>,
    /// Added to every answer.
    pub(crate) response_headers: BTreeMap<String, String>,
    /// Whether `?cached` does anything.
    pub(crate) use_cache: bool,
    /// 0 is the built-in bound.
    pub(crate) max_header_bytes: i64,
    /// For a request with its body.
    pub(crate) read_timeout: Duration,
    /// For a request's head.
    pub(crate) read_header_timeout: Duration,
    /// For an answer.
    pub(crate) write_timeout: Duration,
    /// Between requests.
    pub(crate) idle_timeout: Duration,
    /// Whether paths may hold unprintable characters.
    pub(crate) disable_unprintable_filter: bool,
}

/// Whose a Unix socket is, and who may use it; what is empty stays as the system makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnixSockets {
    /// A name or a number.
    pub(crate) user: String,
    /// A number.
    pub(crate) group: String,
    /// Octal.
    pub(crate) mode: String,
}

/// Certificates of each interface, with what `tls.defaults` says filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tls {
    /// xDS, which is not served: read and judged all the same.
    pub(crate) grpc: TlsPart,
    /// HTTPS.
    pub(crate) https: TlsPart,
    /// DNS over TLS, HTTPS and QUIC.
    pub(crate) dns: TlsPart,
    /// Between servers; checks use it too, where they are told to.
    pub(crate) internal_rpc: TlsPart,
    /// Whether checks show the agent's certificate and trust whom it trusts (`enable_agent_tls_for_checks`).
    pub(crate) for_checks: bool,
}

/// Certificates of one interface. Empty texts say nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TlsPart {
    /// A file of certificates to trust.
    pub(crate) ca_file: String,
    /// A folder of such files; counts when there is no file.
    pub(crate) ca_path: String,
    /// The own certificate, with those between it and its root.
    pub(crate) cert_file: String,
    /// Its key.
    pub(crate) key_file: String,
    /// As Consul names it: `TLSv1_2`.
    pub(crate) min_version: String,
    /// For TLS 1.2; none said means all.
    pub(crate) cipher_suites: Vec<String>,
    /// Whether who calls needs a certificate.
    pub(crate) verify_incoming: bool,
    /// Whether who is called does.
    pub(crate) verify_outgoing: bool,
    /// Whether the name in it must be the server's.
    pub(crate) verify_server_hostname: bool,
    /// Whether an automatic certificate may be used.
    pub(crate) use_auto_cert: bool,
}

/// The DNS interface.
#[derive(Clone, Debug)]
pub(crate) struct Dns {
    /// Where it listens, UDP and TCP alike.
    pub(crate) listen: Vec<SocketAddr>,
    /// Where it listens with TLS.
    pub(crate) secure: SecureDns,
    /// With its final dot, `consul.`
    pub(crate) domain: String,
    /// A second domain; empty for none.
    pub(crate) alt_domain: String,
    /// Where other names are asked, in order, each once.
    pub(crate) recursors: Vec<String>,
    /// Whether they are asked in random order.
    pub(crate) recursor_random: bool,
    /// How long each may take.
    pub(crate) recursor_timeout: Duration,
    /// Whether answers may come from any server.
    pub(crate) allow_stale: bool,
    /// How old such an answer may be.
    pub(crate) max_stale: Duration,
    /// TTL of node answers.
    pub(crate) node_ttl: Duration,
    /// TTL of service answers by name; `*` and `prefix*` are patterns.
    pub(crate) service_ttl: BTreeMap<String, Duration>,
    /// Whether a cut answer over UDP says so.
    pub(crate) enable_truncate: bool,
    /// Whether warning instances are left out.
    pub(crate) only_passing: bool,
    /// Most records in an answer over UDP without EDNS.
    pub(crate) udp_answer_limit: u32,
    /// Most A and AAAA records in any answer; 0 is no bound.
    pub(crate) a_record_limit: u32,
    /// Whether names are written out.
    pub(crate) disable_compression: bool,
    /// Whether node answers carry the node's meta as TXT.
    pub(crate) node_meta_txt: bool,
    /// Whether answers may come from the agent's cache.
    pub(crate) use_cache: bool,
    /// How old such an answer may be.
    pub(crate) cache_max_age: Duration,
    /// The numbers of the SOA record.
    pub(crate) soa: Soa,
}

/// Where DNS is answered within TLS; nowhere unless a port is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SecureDns {
    /// By `ports.dns_tls`.
    pub(crate) tls: Vec<SocketAddr>,
    /// By `ports.dns_https`.
    pub(crate) https: Vec<SocketAddr>,
    /// By `ports.dns_quic`, which is a port of UDP.
    pub(crate) quic: Vec<SocketAddr>,
}

/// The numbers of the SOA record, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Soa {
    pub(crate) refresh: u32,
    pub(crate) retry: u32,
    pub(crate) expire: u32,
    pub(crate) min_ttl: u32,
}

/// How checks are run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checking {
    /// Whether scripts may be registered over HTTP.
    pub(crate) remote_scripts: bool,
    /// Whether scripts may be given in configuration.
    pub(crate) local_scripts: bool,
    /// How long a change of output alone waits for its sync.
    pub(crate) update_interval: Duration,
    /// Bytes of output kept of each check. Read again on reload.
    pub(crate) output_max_size: u32,
    /// Whether no output is kept. Read again on reload.
    pub(crate) discard_output: bool,
    /// `deregister_critical_service_after` is at least this.
    pub(crate) deregister_interval_min: Duration,
    /// How often critical services are looked for.
    pub(crate) reap_interval: Duration,
    /// How often the whole state is synced, before Consul's scaling by size.
    pub(crate) sync_interval: Duration,
}

/// Bounds on clients.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Limits {
    /// Connections from one address; 0 is no bound. Read again on reload.
    pub(crate) http_max_conns_per_client: u32,
    /// How long a client may take to agree on TLS.
    pub(crate) https_handshake_timeout: Duration,
    /// Requests at a time. Read again on reload.
    pub(crate) requests: RequestLimits,
    /// Bytes of a KV value.
    pub(crate) kv_max_value_size: u64,
    /// Bytes of a transaction.
    pub(crate) txn_max_req_len: u64,
}

/// How many requests are answered (`limits.request_limits`, `limits.rpc_rate`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RequestLimits {
    /// What happens to one too many.
    pub(crate) mode: LimitMode,
    /// Reads a second; none is no bound.
    pub(crate) read_rate: Option<f64>,
    /// Writes a second; none is no bound.
    pub(crate) write_rate: Option<f64>,
    /// Whatever asks the servers, each second; none is no bound.
    pub(crate) rpc_rate: Option<f64>,
    /// How many of these may come at once.
    pub(crate) rpc_burst_max: u32,
}

/// What happens to a request too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LimitMode {
    /// Nobody counts.
    Disabled,
    /// It is told in the log.
    Permissive,
    /// It is refused.
    Enforcing,
}

/// Access control.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Acl {
    /// Whether tokens are asked for.
    pub(crate) enabled: bool,
    /// What a request without rules may: the `X-Consul-Default-Acl-Policy` header.
    pub(crate) default_policy: String,
    /// What counts while no server is reached.
    pub(crate) down_policy: String,
    /// Whether listing keys takes more than reading them.
    pub(crate) key_list_policy: bool,
    /// Whether tokens that are set through the API are kept over a restart.
    pub(crate) token_persistence: bool,
    /// The agent's own tokens.
    pub(crate) tokens: Tokens,
    /// A manager's secret, made at the first start.
    pub(crate) initial_management: Option<Secret>,
}

/// Metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Telemetry {
    /// First part of every name.
    pub(crate) metrics_prefix: String,
    /// How long the Prometheus form keeps a metric; zero switches that form off.
    pub(crate) prometheus_retention: Duration,
    /// Whether gauges go without the host's name.
    pub(crate) disable_hostname: bool,
    /// Whether metrics that no filter names are kept.
    pub(crate) filter_default: bool,
    /// Prefixes that are kept. Read again on reload.
    pub(crate) allowed_prefixes: Vec<String>,
    /// Prefixes that are dropped. Read again on reload.
    pub(crate) blocked_prefixes: Vec<String>,
}

/// Logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Log {
    /// TRACE, DEBUG, INFO, WARN or ERROR, as written. Read again on reload.
    pub(crate) level: String,
    /// Whether each line is a JSON object.
    pub(crate) json: bool,
    /// Where lines go besides standard output; a folder when it ends with a slash.
    pub(crate) file: Option<PathBuf>,
    /// A file is closed after this many bytes; 0 is never.
    pub(crate) rotate_bytes: i64,
    /// A file is closed after this time; zero is a day.
    pub(crate) rotate_after: Duration,
    /// Closed files kept; 0 is all, -1 none.
    pub(crate) rotate_max_files: i64,
    /// The facility of the machine's log that gets the lines, too.
    pub(crate) syslog: Option<String>,
}

/// What a stop does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leaving {
    /// Whether SIGTERM takes the node out of the catalog.
    pub(crate) on_terminate: bool,
    /// Whether SIGINT does not.
    pub(crate) skip_on_interrupt: bool,
    /// How long listeners stay open while leaving.
    pub(crate) drain: Duration,
}

/// A configuration with what the user should be told about it.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// What was checked.
    pub(crate) config: Config,
    /// Sentences for standard error, in the order in which Consul tells them.
    pub(crate) warnings: Vec<String>,
}

impl Config {
    /// Reads all sources, merges and checks them.
    ///
    /// # Errors
    /// Consul's report of what is wrong, without its `==> `.
    pub(crate) fn load(sources: &Sources, host: &Host) -> Result<Loaded, String> {
        check::check(source::load(sources)?, sources.dev, host)
    }

    /// Whether the agent can start with it: what Consul checks only then, and not in `validate`.
    ///
    /// # Errors
    /// Consul's sentence.
    pub(crate) fn startable(&self) -> Result<(), String> {
        check::startable(self)
    }

    /// Keys that a fresh configuration says differently and that are read at a start only.
    pub(crate) fn waiting_for_restart(&self, fresh: &Self) -> Vec<String> {
        effects::waiting(&self.raw, &fresh.raw, keys::TOP, "")
    }

    /// This configuration with what may change while it runs taken from a fresh one.
    #[must_use]
    pub(crate) fn reloaded(&self, fresh: &Self) -> Self {
        let mut next = self.clone();
        next.services.clone_from(&fresh.services);
        next.checks.clone_from(&fresh.checks);
        next.governed.clone_from(&fresh.governed);
        next.node.meta.clone_from(&fresh.node.meta);
        next.log.level.clone_from(&fresh.log.level);
        next.checking.output_max_size = fresh.checking.output_max_size;
        next.checking.discard_output = fresh.checking.discard_output;
        next.telemetry.allowed_prefixes.clone_from(&fresh.telemetry.allowed_prefixes);
        next.telemetry.blocked_prefixes.clone_from(&fresh.telemetry.blocked_prefixes);
        next.telemetry.filter_default = fresh.telemetry.filter_default;
        next.limits.http_max_conns_per_client = fresh.limits.http_max_conns_per_client;
        next.limits.requests = fresh.limits.requests;
        next.tls.clone_from(&fresh.tls);
        next.fallbacks.clone_from(&fresh.fallbacks);
        let Dns { listen, secure, domain, alt_domain, .. } = next.dns;
        next.dns = Dns { listen, secure, domain, alt_domain, ..fresh.dns.clone() };
        next
    }
}

#[cfg(test)]
mod tests;
