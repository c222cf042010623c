//! `DebugConfig` of `/v1/agent/self`: the configuration by the names of Consul's runtime.
//!
//! Fields that speak of what is not here (gossip, Consul's own raft) show the configured or default value, as Consul
//! does for features that are off. Secrets are never shown: their fields say `hidden`, set or not.

mod definitions;
mod quiet;

pub(crate) use definitions::{check_fields, service_fields};
use serde_json::{Map, Value, json};

use super::address::Listen;
use super::{CONSUL_VERSION, Config, LimitMode, Ports};
use proconsul_anchors::duration::show_wait as show;

/// What stands in the place of every secret.
const HIDDEN: &str = "hidden";

/// No bound, as Go prints an infinite rate.
const UNBOUNDED: f64 = f64::MAX;

impl Config {
    /// The `DebugConfig` object. The node's id is given by whoever keeps it.
    pub(crate) fn debug_view(&self, node_id: &str) -> Value {
        let mut view = Map::new();
        for part in [
            self.view_acl(),
            self.view_addresses(),
            self.view_agent(node_id),
            self.view_checks(),
            self.view_connect(),
            self.view_consensus(),
            self.view_dns(),
            self.view_gossip(),
            self.view_http(),
            self.view_limits(),
            self.view_log_and_metrics(),
            self.view_switches(),
            self.view_tls(),
        ] {
            if let Value::Object(part) = part {
                view.extend(part);
            }
        }
        Value::Object(view)
    }

    fn view_acl(&self) -> Value {
        let acl = self.raw.block("acl");
        let time = |key, otherwise: &str| self.time(acl.text(key), otherwise);
        json!({
            "ACLEnableKeyListPolicy": acl.flag("enable_key_list_policy").unwrap_or(false),
            "ACLInitialManagementToken": HIDDEN,
            "ACLResolverSettings": {
                "ACLDefaultPolicy": self.acl.default_policy, "ACLDownPolicy": self.acl.down_policy,
                "ACLPolicyTTL": time("policy_ttl", "30s"), "ACLRoleTTL": time("role_ttl", "0s"),
                "ACLTokenTTL": time("token_ttl", "30s"), "ACLsEnabled": self.acl.enabled,
                "Datacenter": self.datacenter, "EnterpriseMeta": {}, "NodeName": self.node.name,
            },
            "ACLTokenReplication": acl.flag("enable_token_replication").unwrap_or(false),
            "ACLTokens": {
                "ACLAgentRecoveryToken": HIDDEN, "ACLAgentToken": HIDDEN, "ACLConfigFileRegistrationToken": HIDDEN,
                "ACLDNSToken": HIDDEN, "ACLDefaultToken": HIDDEN, "ACLReplicationToken": HIDDEN,
                "DataDir": self.raw.text_or_empty("data_dir"),
                "EnablePersistence": acl.flag("enable_token_persistence").unwrap_or(false), "EnterpriseConfig": {},
            },
            "ACLsEnabled": self.acl.enabled,
        })
    }

    fn view_addresses(&self) -> Value {
        let reach = &self.network;
        let tcp = |ip: std::net::IpAddr, port: i32| {
            u16::try_from(port)
                .ok()
                .map(|port| format!("tcp://{}", std::net::SocketAddr::new(ip, port)))
        };
        let Ports { dns, http, https, grpc, grpc_tls, serf_lan, serf_wan, server, sidecar, expose } =
            reach.ports;
        json!({
            "AdvertiseAddrLAN": reach.advertise.to_string(),
            "AdvertiseAddrWAN": reach.advertise_wan.to_string(),
            "BindAddr": reach.bind.to_string(),
            "ClientAddrs": reach.client.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "ConnectSidecarMaxPort": sidecar.1, "ConnectSidecarMinPort": sidecar.0,
            "DNSPort": dns, "ExposeMaxPort": expose.1, "ExposeMinPort": expose.0,
            // Nothing answers gRPC: told as off, so that no client counts on it.
            "GRPCAddrs": [], "GRPCPort": if grpc > 0 { -1 } else { grpc }, "GRPCTLSAddrs": [],
            "GRPCTLSPort": if grpc_tls > 0 { -1 } else { grpc_tls },
            "HTTPAddrs": self.http.listen.iter().map(listen).collect::<Vec<_>>(),
            "HTTPPort": http, "HTTPSPort": https,
            "HTTPSAddrs": self.http.listen_tls.iter().map(listen).collect::<Vec<_>>(),
            "RPCAdvertiseAddr": tcp(reach.advertise, server), "RPCBindAddr": tcp(reach.bind, server),
            "SerfAdvertiseAddrLAN": tcp(reach.advertise, serf_lan), "SerfAdvertiseAddrWAN": tcp(reach.advertise_wan, serf_wan),
            "SerfAllowedCIDRsLAN": self.raw.texts("serf_lan_allowed_cidrs"),
            "SerfAllowedCIDRsWAN": self.raw.texts("serf_wan_allowed_cidrs"),
            "SerfBindAddrLAN": tcp(reach.bind, serf_lan), "SerfBindAddrWAN": tcp(reach.bind, serf_wan),
            "SerfPortLAN": serf_lan, "SerfPortWAN": serf_wan, "ServerPort": server,
            "TaggedAddresses": self.node.tagged_addresses, "TranslateWANAddrs": self.translate_wan_addrs,
        })
    }

    fn view_agent(&self, node_id: &str) -> Value {
        let locality = self.node.locality.as_ref().map(definitions::place);
        json!({
            "BuildDate": "1970-01-01 00:00:01 +0000 UTC",
            "DataDir": self.raw.text_or_empty("data_dir"), "Datacenter": self.datacenter, "DevMode": self.role.dev,
            "Bootstrap": self.role.bootstrap, "BootstrapExpect": self.role.bootstrap_expect,
            "Experiments": self.raw.texts("experiments"), "EnterpriseRuntimeConfig": {}, "Locality": locality,
            "NodeID": node_id, "NodeMeta": self.node.meta, "NodeName": self.node.name,
            "PidFile": self.pid_file.as_ref().map(|path| path.display().to_string()).unwrap_or_default(),
            "PrimaryDatacenter": self.primary_datacenter, "Revision": "", "ServerMode": self.role.server,
            "ServerName": self.raw.text_or_empty("server_name"),
            "Services": self.services.iter().map(definitions::service).collect::<Vec<_>>(),
            "LeaveDrainTime": show(self.leaving.drain), "LeaveOnTerm": self.leaving.on_terminate,
            "SkipLeaveOnInt": self.leaving.skip_on_interrupt,
            "Version": CONSUL_VERSION, "VersionMetadata": "", "VersionPrerelease": "",
        })
    }

    fn view_checks(&self) -> Value {
        let checking = &self.checking;
        json!({
            "AEInterval": show(checking.sync_interval), "CheckDeregisterIntervalMin": show(checking.deregister_interval_min),
            "CheckOutputMaxSize": checking.output_max_size, "CheckReapInterval": show(checking.reap_interval),
            "CheckUpdateInterval": show(checking.update_interval),
            "Checks": self.checks.iter().map(definitions::node_check).collect::<Vec<_>>(),
            "DiscardCheckOutput": checking.discard_output, "EnableLocalScriptChecks": checking.local_scripts,
            "EnableRemoteScriptChecks": checking.remote_scripts,
        })
    }

    /// What autopilot is first configured with, as `/v1/operator/autopilot/configuration` prints it.
    pub(crate) fn autopilot(&self) -> Value {
        let block = self.raw.block("autopilot");
        json!({
            "CleanupDeadServers": block.flag("cleanup_dead_servers").unwrap_or(true),
            "LastContactThreshold": self.time(block.text("last_contact_threshold"), "200ms"),
            "MaxTrailingLogs": block.int("max_trailing_logs").unwrap_or(250),
            "MinQuorum": block.uint("min_quorum").unwrap_or(0),
            "ServerStabilizationTime": self.time(block.text("server_stabilization_time"), "10s"),
        })
    }

    fn view_consensus(&self) -> Value {
        let (autopilot, consul) = (self.raw.block("autopilot"), self.raw.block("consul"));
        let store = self.raw.block("raft_logstore");
        let text = |key, otherwise| self.time(self.raw.text(key), otherwise);
        let number = |key, otherwise| self.raw.int(key).unwrap_or(otherwise);
        let wal = store.block("wal").int("segment_size_mb").unwrap_or(64);
        let multiplier =
            u64::try_from(self.raw.block("performance").int("raft_multiplier").unwrap_or(5))
                .unwrap_or(5);
        let raft = |key, dev: u64, otherwise: u64| {
            let millis = if self.role.dev { dev } else { otherwise * multiplier };
            self.time(
                consul.block("raft").text(key),
                &show(std::time::Duration::from_millis(millis)),
            )
        };
        json!({
            "AutopilotCleanupDeadServers": autopilot.flag("cleanup_dead_servers").unwrap_or(true),
            "AutopilotDisableUpgradeMigration": false,
            "AutopilotLastContactThreshold": self.time(autopilot.text("last_contact_threshold"), "200ms"),
            "AutopilotMaxTrailingLogs": autopilot.int("max_trailing_logs").unwrap_or(250),
            "AutopilotMinQuorum": autopilot.uint("min_quorum").unwrap_or(0), "AutopilotRedundancyZoneTag": "",
            "AutopilotServerStabilizationTime": self.time(autopilot.text("server_stabilization_time"), "10s"),
            "AutopilotUpgradeVersionTag": "",
            "ConsulCoordinateUpdateBatchSize": 128, "ConsulCoordinateUpdateMaxBatches": 5,
            "ConsulCoordinateUpdatePeriod": if self.role.dev { "100ms" } else { "5s" },
            "ConsulRaftElectionTimeout": raft("election_timeout", 52, 1000),
            "ConsulRaftHeartbeatTimeout": raft("heartbeat_timeout", 35, 1000),
            "ConsulRaftLeaderLeaseTimeout": raft("leader_lease_timeout", 20, 500),
            "ConsulServerHealthInterval": if self.role.dev { "10ms" } else { "2s" },
            "RaftLogStoreConfig": {
                "Backend": store.text("backend").unwrap_or("default"),
                "BoltDB": { "NoFreelistSync": store.block("boltdb").flag("no_freelist_sync").unwrap_or(false) },
                "DisableLogCache": store.flag("disable_log_cache").unwrap_or(false),
                "Verification": {
                    "Enabled": store.block("verification").flag("enabled").unwrap_or(false),
                    "Interval": self.time(store.block("verification").text("interval"), "0s"),
                },
                "WAL": { "SegmentSize": wal * 1024 * 1024 },
            },
            "RaftPreVoteDisabled": self.raw.flag("raft_prevote_disabled").unwrap_or(false), "RaftProtocol": 3,
            "RaftSnapshotInterval": text("raft_snapshot_interval", "30s"),
            "RaftSnapshotThreshold": number("raft_snapshot_threshold", 16_384),
            "RaftTrailingLogs": number("raft_trailing_logs", 10_240), "ReadReplica": false,
            "RejoinAfterLeave": self.raw.flag("rejoin_after_leave").unwrap_or(false),
            "RetryJoinIntervalLAN": text("retry_interval", "30s"), "RetryJoinIntervalWAN": text("retry_interval_wan", "30s"),
            "RetryJoinLAN": self.retry_join, "RetryJoinMaxAttemptsLAN": number("retry_max", 0),
            "RetryJoinMaxAttemptsWAN": number("retry_max_wan", 0), "RetryJoinWAN": self.raw.texts("retry_join_wan"),
            "ServerRejoinAgeMax": text("server_rejoin_age_max", "168h0m0s"),
        })
    }

    fn view_dns(&self) -> Value {
        let dns = &self.dns;
        let addresses = ["tcp", "udp"]
            .iter()
            .flat_map(|kind| dns.listen.iter().map(move |at| format!("{kind}://{at}")));
        let ttl: Map<String, Value> =
            dns.service_ttl.iter().map(|(name, ttl)| (name.clone(), show(*ttl).into())).collect();
        json!({
            "DNSARecordLimit": dns.a_record_limit, "DNSAddrs": addresses.collect::<Vec<_>>(), "DNSAllowStale": dns.allow_stale,
            "DNSAltDomain": dns.alt_domain, "DNSCacheMaxAge": show(dns.cache_max_age),
            "DNSDisableCompression": dns.disable_compression, "DNSDomain": dns.domain, "DNSEnableTruncate": dns.enable_truncate,
            "DNSMaxStale": show(dns.max_stale), "DNSNodeMetaTXT": dns.node_meta_txt, "DNSNodeTTL": show(dns.node_ttl),
            "DNSOnlyPassing": dns.only_passing,
            "DNSRecursorStrategy": if dns.recursor_random { "random" } else { "sequential" },
            "DNSRecursorTimeout": show(dns.recursor_timeout), "DNSRecursors": dns.recursors,
            "DNSSOA": { "Expire": dns.soa.expire, "Minttl": dns.soa.min_ttl, "Refresh": dns.soa.refresh, "Retry": dns.soa.retry },
            "DNSServiceTTL": ttl, "DNSUDPAnswerLimit": dns.udp_answer_limit, "DNSUseCache": dns.use_cache,
        })
    }

    fn view_http(&self) -> Value {
        let http = &self.http;
        let networks =
            http.allow_write_from.iter().map(|net| format!("{}/{}", net.address, net.prefix));
        json!({
            "AllowWriteHTTPFrom": networks.collect::<Vec<_>>(),
            "DisableHTTPUnprintableCharFilter": http.disable_unprintable_filter,
            "HTTPBlockEndpoints": http.block_endpoints, "HTTPIdleTimeout": show(http.idle_timeout),
            "HTTPMaxConnsPerClient": self.limits.http_max_conns_per_client, "HTTPMaxHeaderBytes": http.max_header_bytes,
            "HTTPReadHeaderTimeout": show(http.read_header_timeout), "HTTPReadTimeout": show(http.read_timeout),
            "HTTPResponseHeaders": http.response_headers, "HTTPUseCache": http.use_cache,
            "HTTPWriteTimeout": show(http.write_timeout),
        })
    }

    fn view_limits(&self) -> Value {
        let (limits, cache) = (self.raw.block("limits"), self.raw.block("cache"));
        let requests = self.limits.requests;
        let rate =
            |said: Option<f64>| number(said.filter(|rate| *rate >= 0.0).unwrap_or(UNBOUNDED));
        let mode = match requests.mode {
            LimitMode::Disabled => 0,
            LimitMode::Permissive => 1,
            LimitMode::Enforcing => 2,
        };
        json!({
            "Cache": {
                "EntryFetchMaxBurst": cache.int("entry_fetch_max_burst").unwrap_or(2),
                "EntryFetchRate": rate(cache.float("entry_fetch_rate")), "Logger": null,
            },
            "DefaultQueryTime": show(self.default_query_time), "MaxQueryTime": show(self.max_query_time),
            "HTTPSHandshakeTimeout": show(self.limits.https_handshake_timeout),
            "KVMaxValueSize": self.limits.kv_max_value_size, "TxnMaxReqLen": self.limits.txn_max_req_len,
            "RPCClientTimeout": self.time(limits.text("rpc_client_timeout"), "1m0s"),
            "RPCHandshakeTimeout": self.time(limits.text("rpc_handshake_timeout"), "5s"),
            "RPCHoldTimeout": self.time(self.raw.block("performance").text("rpc_hold_timeout"), "7s"),
            "RPCMaxBurst": requests.rpc_burst_max,
            "RPCMaxConnsPerClient": limits.int("rpc_max_conns_per_client").unwrap_or(100),
            "RPCRateLimit": rate(requests.rpc_rate), "RequestLimitsMode": mode,
            "RequestLimitsReadRate": rate(requests.read_rate), "RequestLimitsWriteRate": rate(requests.write_rate),
            "SessionTTLMin": show(self.session_ttl_min),
        })
    }

    /// A duration as it was said, in Go's spelling.
    pub(super) fn time(&self, said: Option<&str>, otherwise: &str) -> String {
        let nanos = said
            .and_then(|said| proconsul_anchors::duration::parse(said).ok())
            .and_then(|nanos| u64::try_from(nanos).ok());
        nanos.map_or_else(
            || otherwise.to_owned(),
            |nanos| show(std::time::Duration::from_nanos(nanos)),
        )
    }
}

/// A number as Go prints it: whole ones without a point.
#[expect(clippy::cast_possible_truncation, reason = "numbers that do not fit are left as they are")]
fn number(number: f64) -> Value {
    let whole = number as i64;
    #[expect(clippy::cast_precision_loss, reason = "a loss shows in the comparison")]
    let is_whole = whole as f64 == number;
    if is_whole && whole != i64::MAX { whole.into() } else { number.into() }
}

fn listen(listen: &Listen) -> String {
    match listen {
        Listen::Tcp(at) => format!("tcp://{at}"),
        Listen::Unix(path) => format!("unix://{}", path.display()),
    }
}
