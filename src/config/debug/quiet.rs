//! The debug view of what is off here, or merely accepted: gossip, Connect, TLS, log and metric details, switches.

use serde_json::{Value, json};

use super::HIDDEN;
use crate::config::raw::Raw;
use crate::config::{Config, TlsPart};
use proconsul_anchors::duration::show_wait as show;

impl Config {
    pub(super) fn view_connect(&self) -> Value {
        let (connect, encrypt) = (self.raw.block("connect"), self.raw.block("auto_encrypt"));
        let auto = self.raw.block("auto_config");
        let authorization = auto.block("authorization");
        json!({
            "AutoConfig": {
                "Authorizer": {
                    "AllowReuse": false, "AuthMethod": auth_method(&authorization.block("static")),
                    "ClaimAssertions": authorization.block("static").texts("claim_assertions"),
                    "Enabled": authorization.flag("enabled").unwrap_or(false),
                },
                "DNSSANs": auto.texts("dns_sans"), "Enabled": auto.flag("enabled").unwrap_or(false),
                "IPSANs": auto.texts("ip_sans"), "IntroToken": HIDDEN,
                "IntroTokenFile": auto.text_or_empty("intro_token_file"), "ServerAddresses": auto.texts("server_addresses"),
            },
            "AutoEncryptAllowTLS": encrypt.flag("allow_tls").unwrap_or(false), "AutoEncryptDNSSAN": encrypt.texts("dns_san"),
            "AutoEncryptIPSAN": encrypt.texts("ip_san"), "AutoEncryptTLS": encrypt.flag("tls").unwrap_or(false),
            "ConfigEntryBootstrap": [], "ConnectCAConfig": {}, "ConnectCAProvider": connect.text_or_empty("ca_provider"),
            "ConnectEnabled": self.connect().is_ok_and(|connect| connect.enabled), "ConnectMeshGatewayWANFederationEnabled": false,
            "ConnectTestCALeafRootChangeSpread": "0s",
            "ConnectVirtualIPCIDRv4": connect.text("virtual_ip_cidr_v4").unwrap_or("240.0.0.0/4"),
            "ConnectVirtualIPCIDRv6": connect.text("virtual_ip_cidr_v6").unwrap_or("2000::/3"),
            "DefaultIntentionPolicy": self.raw.text_or_empty("default_intention_policy"),
            "LocalProxyConfigResyncInterval": "30s", "PeeringEnabled": false, "PeeringTestAllowPeerRegistrations": false,
            "XDSUpdateRateLimit": self.raw.block("xds").float("update_max_per_second").unwrap_or(250.0),
        })
    }

    pub(super) fn view_gossip(&self) -> Value {
        let (lan, wan) = (self.raw.block("gossip_lan"), self.raw.block("gossip_wan"));
        let dev = self.role.dev;
        let time = |block: &Raw, key, quick: &str, slow: &str| {
            self.time(block.text(key), if dev { quick } else { slow })
        };
        let number = |block: &Raw, key, otherwise| block.int(key).unwrap_or(otherwise);
        json!({
            "GossipLANGossipInterval": time(&lan, "gossip_interval", "100ms", "200ms"),
            "GossipLANGossipNodes": number(&lan, "gossip_nodes", 3),
            "GossipLANProbeInterval": time(&lan, "probe_interval", "100ms", "1s"),
            "GossipLANProbeTimeout": time(&lan, "probe_timeout", "100ms", "500ms"),
            "GossipLANRetransmitMult": number(&lan, "retransmit_mult", 4),
            "GossipLANSuspicionMult": number(&lan, "suspicion_mult", if dev { 3 } else { 4 }),
            "GossipWANGossipInterval": time(&wan, "gossip_interval", "100ms", "500ms"),
            "GossipWANGossipNodes": number(&wan, "gossip_nodes", 3),
            "GossipWANProbeInterval": time(&wan, "probe_interval", "100ms", "5s"),
            "GossipWANProbeTimeout": time(&wan, "probe_timeout", "100ms", "3s"),
            "GossipWANRetransmitMult": number(&wan, "retransmit_mult", 4),
            "GossipWANSuspicionMult": number(&wan, "suspicion_mult", if dev { 3 } else { 6 }),
            "EncryptKey": HIDDEN, "ReconnectTimeoutLAN": self.time(self.raw.text("reconnect_timeout"), "0s"),
            "ReconnectTimeoutWAN": self.time(self.raw.text("reconnect_timeout_wan"), "0s"),
            "StaticRuntimeConfig": {
                "EncryptVerifyIncoming": self.raw.flag("encrypt_verify_incoming").unwrap_or(true),
                "EncryptVerifyOutgoing": self.raw.flag("encrypt_verify_outgoing").unwrap_or(true),
            },
        })
    }

    pub(super) fn view_log_and_metrics(&self) -> Value {
        let (log, raw) = (&self.log, &self.raw);
        json!({
            "Logging": {
                "EnableSyslog": raw.flag("enable_syslog").unwrap_or(false),
                "LogFilePath": log.file.as_ref().map(|path| path.display().to_string()).unwrap_or_default(),
                "LogJSON": log.json, "LogLevel": log.level, "LogRotateBytes": log.rotate_bytes,
                "LogRotateDuration": show(log.rotate_after), "LogRotateMaxFiles": log.rotate_max_files, "Name": "",
                "SyslogFacility": raw.text("syslog_facility").unwrap_or("LOCAL0"),
            },
            "Telemetry": self.view_telemetry(),
        })
    }

    fn view_telemetry(&self) -> Value {
        let (block, telemetry) = (self.raw.block("telemetry"), &self.telemetry);
        let (text, flag) = (|key| block.text_or_empty(key), |key| block.flag(key).unwrap_or(false));
        json!({
            "AllowedPrefixes": telemetry.allowed_prefixes, "BlockedPrefixes": telemetry.blocked_prefixes,
            "CirconusAPIApp": text("circonus_api_app"), "CirconusAPIToken": HIDDEN, "CirconusAPIURL": text("circonus_api_url"),
            "CirconusBrokerID": text("circonus_broker_id"), "CirconusBrokerSelectTag": text("circonus_broker_select_tag"),
            "CirconusCheckDisplayName": text("circonus_check_display_name"),
            "CirconusCheckForceMetricActivation": text("circonus_check_force_metric_activation"),
            "CirconusCheckID": text("circonus_check_id"), "CirconusCheckInstanceID": text("circonus_check_instance_id"),
            "CirconusCheckSearchTag": text("circonus_check_search_tag"), "CirconusCheckTags": text("circonus_check_tags"),
            "CirconusSubmissionInterval": text("circonus_submission_interval"),
            "CirconusSubmissionURL": text("circonus_submission_url"), "Disable": false,
            "DisableHostname": telemetry.disable_hostname,
            "DisablePerTenancyUsageMetrics": flag("disable_per_tenancy_usage_metrics"),
            "DogstatsdAddr": text("dogstatsd_addr"), "DogstatsdTags": block.texts("dogstatsd_tags"),
            "EnableHostMetrics": flag("enable_host_metrics"), "FilterDefault": telemetry.filter_default,
            "MetricsPrefix": telemetry.metrics_prefix,
            "PrometheusOpts": {
                "CounterDefinitions": [], "Expiration": show(telemetry.prometheus_retention), "GaugeDefinitions": [],
                "Name": telemetry.metrics_prefix, "Registerer": null, "SummaryDefinitions": [],
            },
            "RetryFailedConfiguration": block.flag("retry_failed_connection").unwrap_or(true),
            "StatsdAddr": text("statsd_address"), "StatsiteAddr": text("statsite_address"),
        })
    }

    pub(super) fn view_switches(&self) -> Value {
        let raw = &self.raw;
        let flag = |key, otherwise| raw.flag(key).unwrap_or(otherwise);
        let dev = self.role.dev;
        json!({
            "AdvertiseReconnectTimeout": self.time(raw.text("advertise_reconnect_timeout"), "0s"),
            "AutoReloadConfig": self.auto_reload, "AutoReloadConfigCoalesceInterval": "1s",
            "DisableAnonymousSignature": flag("disable_anonymous_signature", dev),
            "DisableCoordinates": flag("disable_coordinates", false),
            "DisableHostNodeID": self.node.disable_host_node_id, "DisableKVKeyValidation": self.disable_kv_key_validation,
            "DisableKeyringFile": flag("disable_keyring_file", dev), "DisableRemoteExec": flag("disable_remote_exec", true),
            "DisableUpdateCheck": flag("disable_update_check", false),
            "DiscoveryMaxStale": show(self.discovery_max_stale),
            "EnableAgentTLSForChecks": self.tls.for_checks,
            "EnableCentralServiceConfig": flag("enable_central_service_config", true), "EnableDebug": self.enable_debug,
            "EnableXDSLoadBalancing": raw.block("performance").flag("enable_xds_load_balancing").unwrap_or(true),
            "FederationStateAntiEntropySyncInterval": "0s",
            "GRPCKeepaliveInterval": self.time(raw.block("performance").text("grpc_keepalive_interval"), "30s"),
            "GRPCKeepaliveTimeout": self.time(raw.block("performance").text("grpc_keepalive_timeout"), "20s"),
            "PrimaryGateways": raw.texts("primary_gateways"),
            "PrimaryGatewaysInterval": self.time(raw.text("primary_gateways_interval"), "30s"),
            "RPCConfig": { "EnableStreaming": raw.block("rpc").flag("enable_streaming").unwrap_or(self.role.server) },
            "RPCProtocol": raw.int("protocol").unwrap_or(2),
            "Reporting": { "License": { "Enabled": false }, "SnapshotRetentionTime": "0s" },
            "SegmentLimit": 64, "SegmentName": "", "SegmentNameLimit": 64, "Segments": [],
            "SyncCoordinateIntervalMin": "15s", "SyncCoordinateRateTarget": 64,
            "UIConfig": self.view_ui(), "UnixSocketGroup": raw.block("unix_sockets").text_or_empty("group"),
            "UnixSocketMode": raw.block("unix_sockets").text_or_empty("mode"),
            "UnixSocketUser": raw.block("unix_sockets").text_or_empty("user"),
            "UseStreamingBackend": flag("use_streaming_backend", true), "Watches": [],
        })
    }

    fn view_ui(&self) -> Value {
        let (ui, proxy) =
            (self.raw.block("ui_config"), self.raw.block("ui_config").block("metrics_proxy"));
        let path = ui
            .text("content_path")
            .or(self.raw.text("ui_content_path"))
            .filter(|path| !path.is_empty());
        let headers = proxy.blocks("add_headers").iter();
        json!({
            "ContentPath": format!("/{}/", path.unwrap_or("ui").trim_matches('/')),
            "DashboardURLTemplates": ui.text_map("dashboard_url_templates"), "Dir": ui.text_or_empty("dir"), "Enabled": self.ui,
            "MetricsProvider": ui.text_or_empty("metrics_provider"), "MetricsProviderFiles": ui.texts("metrics_provider_files"),
            "MetricsProviderOptionsJSON": ui.text_or_empty("metrics_provider_options_json"),
            "MetricsProxy": {
                "AddHeaders": headers.map(|header| json!({ "Name": header.text_or_empty("name"), "Value": HIDDEN })).collect::<Vec<_>>(),
                "BaseURL": proxy.text_or_empty("base_url"), "PathAllowlist": proxy.texts("path_allowlist"),
            },
        })
    }

    pub(super) fn view_tls(&self) -> Value {
        let tls = &self.tls;
        json!({
            "TLS": {
                "AutoTLS": false, "Domain": self.dns.domain, "EnableAgentTLSForChecks": tls.for_checks,
                "GRPC": protocol(&tls.grpc), "HTTPS": protocol(&tls.https),
                "InternalRPC": protocol(&tls.internal_rpc), "NodeName": self.node.name,
                "ServerMode": self.role.server, "ServerName": self.raw.text_or_empty("server_name"),
            },
        })
    }
}

fn protocol(part: &TlsPart) -> Value {
    json!({
        "CAFile": part.ca_file, "CAPath": part.ca_path, "CertFile": part.cert_file, "CipherSuites": part.cipher_suites,
        "KeyFile": HIDDEN, "TLSMinVersion": part.min_version, "UseAutoCert": part.use_auto_cert,
        "VerifyIncoming": part.verify_incoming, "VerifyOutgoing": part.verify_outgoing,
        "VerifyServerHostname": part.verify_server_hostname,
    })
}

fn auth_method(said: &Raw) -> Value {
    let list = |key| Some(said.texts(key)).filter(|list| !list.is_empty());
    json!({
        "ACLAuthMethodEnterpriseFields": {},
        "Config": {
            "BoundAudiences": list("bound_audiences"), "BoundIssuer": said.text_or_empty("bound_issuer"), "ClaimMappings": null,
            "ClockSkewLeeway": 0, "ExpirationLeeway": 0, "JWKSCACert": said.text_or_empty("jwks_ca_cert"),
            "JWKSURL": said.text_or_empty("jwks_url"), "JWTSupportedAlgs": list("jwt_supported_algs"),
            "JWTValidationPubKeys": list("jwt_validation_pub_keys"), "ListClaimMappings": null, "NotBeforeLeeway": 0,
            "OIDCDiscoveryCACert": said.text_or_empty("oidc_discovery_ca_cert"),
            "OIDCDiscoveryURL": said.text_or_empty("oidc_discovery_url"),
        },
        "Description": "", "DisplayName": "", "EnterpriseMeta": {}, "MaxTokenTTL": "0s", "Name": "Auto Config Authorizer",
        "RaftIndex": { "CreateIndex": 0, "ModifyIndex": 0 }, "TokenLocality": "", "TokenNameFormat": HIDDEN, "Type": "jwt",
    })
}
