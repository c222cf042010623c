//! Lines of data: configuration texts, and what Consul 1.22.7 says of them. Where a line number is told, it is ours.

use proconsul_anchors::node::definition::ServiceDefinition;
use proconsul_anchors::service::{ServiceAddress, Weights};

use super::host::Interface;
use super::*;

/// A machine with one private address.
fn host() -> Host {
    let interface = |name: &str, address: &str| Interface {
        name: name.to_owned(),
        address: address.parse().unwrap(),
        prefix: 24,
        up: true,
        loopback: name == "lo",
        is_default: name == "eth0",
    };
    Host {
        name: Some("host-1".to_owned()),
        interfaces: vec![interface("lo", "127.0.0.1"), interface("eth0", "10.1.2.3")],
    }
}

pub(super) fn load(hcl: &str) -> Result<Loaded, String> {
    let sources = Sources { fragments: vec![hcl.to_owned()], ..Sources::default() };
    Config::load(&sources, &host())
}

/// A configuration that is taken, from HCL beside a data folder.
fn taken(hcl: &str) -> Config {
    load(&format!("data_dir = \"/nowhere\"\n{hcl}"))
        .unwrap_or_else(|fault| panic!("{hcl}: {fault}"))
        .config
}

fn dev(hcl: &str) -> Config {
    let sources = Sources { fragments: vec![hcl.to_owned()], dev: true, ..Sources::default() };
    Config::load(&sources, &host()).unwrap().config
}

#[test]
fn what_is_wrong_is_told_as_consul_tells_it() {
    for (hcl, told) in [
        (
            "foo = 1",
            "failed to parse flags-0.hcl: 1 error occurred:\n\t* invalid config key foo (line 2)\n\n",
        ),
        (
            "acl { bar = 2 }\nfoo = 1\ntls { https { q = 1 } }",
            "failed to parse flags-0.hcl: 3 errors occurred:\n\t* invalid config key acl.bar (line 2)\n\t* invalid config key \
             tls.https.q (line 4)\n\t* invalid config key foo (line 3)\n\n",
        ),
        (
            "service \"web\" { port = 3 }",
            "failed to parse flags-0.hcl: 1 error occurred:\n\t* invalid config key service.web (line 2)\n\n",
        ),
        (
            "server = \"true\"\nports { http = \"x\" }\nretry_join = \"a\"\nnode_meta { a = 1 b = true }",
            "failed to parse flags-0.hcl: decoding failed due to the following error(s):\n\n'node_meta[a]' expected type 'string', \
             got unconvertible type 'int' (line 5)\n'node_meta[b]' expected type 'string', got unconvertible type 'bool' (line 5)\n\
             'ports.http' expected type 'int', got unconvertible type 'string' (line 3)\n'retry_join' source data must be an array \
             or slice, got string (line 4)\n'server' expected type 'bool', got unconvertible type 'string' (line 2)",
        ),
        (
            "service { name = \"a\" }\nservice { name = \"b\" }",
            "failed to parse flags-0.hcl: decoding failed due to the following error(s):\n\n'service' expected a map or struct, got \
             \"slice\" (line 2)",
        ),
        (
            "limits { kv_max_value_size = -1 }",
            "failed to parse flags-0.hcl: decoding failed due to the following error(s):\n\n\
          'limits.kv_max_value_size' cannot parse value as 'uint64': -1 overflows uint (line 2)",
        ),
        ("a = \"", "failed to parse flags-0.hcl: At 2:6: literal not terminated"),
        (
            "session_ttl_min = \"x\" max_query_time = \"y\" ports { http = 70000 } dns_config { service_ttl { \"*\" = \"q\" } }",
            "2 errors occurred:\n\t* dns_config.service_ttl[\"*\"]: invalid duration: \"q\": time: invalid duration \"q\"\n\t* \
             ports.http: invalid port: 70000\n\n",
        ),
        (
            "default_query_time = \"10\"",
            "1 error occurred:\n\t* default_query_time: invalid duration: \"10\": time: missing unit in duration \"10\"\n\n",
        ),
        (
            "reconnect_timeout = \"x\"",
            "1 error occurred:\n\t* reconnect_timeout: invalid duration: \"x\": time: invalid duration \"x\"\n\n",
        ),
        (
            "http_config { read_timeout = \"10ms\" }",
            "1 error occurred:\n\t* http_config.read_timeout: duration '10ms' cannot be less than: 1s\n\n",
        ),
        (
            "check { name = \"q\" ttl = \"x\" }",
            "1 error occurred:\n\t* check[].ttl: invalid duration: \"x\": time: invalid duration \"x\"\n\n",
        ),
        ("check { name = \"q\" }", "check \"q\": TTL must be > 0 for TTL checks"),
        (
            "service { name = \"web\" check { http = \"http://x\" } }",
            "service \"web\": check \"\": Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks",
        ),
        (
            "limits { request_limits { mode = \"q\" } }",
            "1 error occurred:\n\t* limits.request_limits.mode: invalid mode: \"q\"\n\n",
        ),
        (
            "telemetry { prometheus_retention_time = \"q\" }",
            "1 error occurred:\n\t* prometheus_retention_time: invalid duration: \"q\": time: invalid duration \"q\"\n\n",
        ),
    ] {
        let fault = load(&format!("data_dir = \"/nowhere\"\n{hcl}")).unwrap_err();
        assert_eq!(fault, told, "{hcl}");
    }
}

#[test]
fn rules_are_told_as_consul_tells_them() {
    for (hcl, told) in [
        ("bind_addr = \"foo\"", "1 error occurred:\n\t* bind_addr: invalid ip address: foo\n\n"),
        (
            "bind_addr = \"1.1.1.1 2.2.2.2\"",
            "bind_addr cannot contain multiple addresses. Use 'addresses.{dns,http,https}' instead.",
        ),
        ("bind_addr = \"\"", "bind_addr cannot be empty"),
        ("bind_addr = \"{{ GetInterfaceIP \\\"eth9\\\" }}\"", "bind_addr cannot be empty"),
        (
            "bind_addr = \"{{ Foo }}\"",
            "1 error occurred:\n\t* bind_addr: error parsing \"{{ Foo }}\": unable to parse template \"{{ Foo }}\": template: \
             sockaddr.Parse:1: function \"Foo\" not defined\n\n",
        ),
        ("advertise_addr = \"0.0.0.0\"", "Advertise address cannot be 0.0.0.0, :: or [::]"),
        ("addresses { dns = \"unix:///q\" }", "DNS address cannot be a unix socket"),
        (
            "node_name = \"a b\" datacenter = \"A B\"",
            "datacenter can only contain lowercase alphanumeric, - or _ characters. received: \"a b\"",
        ),
        (
            "datacenter = \"DC_1\" alt_domain = \"dc_1.x\"",
            "alt_domain cannot start with {service,connect,node,query,addr,dc_1}",
        ),
        ("recursors = [\"0.0.0.0\"]", "DNS recursor address cannot be 0.0.0.0, :: or [::]"),
        (
            "node_meta { consul-x = \"y\" }",
            "node_meta invalid: Couldn't load metadata pair ('consul-x', 'y'): Key prefix 'consul-' is reserved for internal use",
        ),
        (
            "node_meta { \"a b\" = \"y\" }",
            "node_meta invalid: Couldn't load metadata pair ('a b', 'y'): Key contains invalid characters",
        ),
        ("raft_protocol = 2", "raft_protocol version 2 is not supported by this version of Consul"),
        (
            "performance { raft_multiplier = 11 }",
            "performance.raft_multiplier cannot be 11. Must be between 1 and 10",
        ),
        (
            "dns_config { udp_answer_limit = -1 }",
            "dns_config.udp_answer_limit cannot be -1. Must be greater than or equal to zero",
        ),
        (
            "check_output_max_size = -1",
            "check_output_max_size must be positive, to discard check output use the discard_check_output flag",
        ),
        ("encrypt = \"xx\"", "encrypt has invalid key: illegal base64 data at input byte 0"),
        ("bootstrap = true", "'bootstrap = true' requires 'server = true'"),
        ("bootstrap_expect = 3", "'bootstrap_expect > 0' requires 'server = true'"),
        (
            "server = true bootstrap = true bootstrap_expect = 3",
            "'bootstrap_expect > 0' and 'bootstrap = true' are mutually exclusive",
        ),
        (
            "ports { http = 1000 dns = 1000 }",
            "HTTP address 127.0.0.1:1000 already configured for DNS",
        ),
        ("ports { server = 0 }", "server-port must be greater than zero"),
        ("segment = \"x\"", "Network segments are not supported in this version of Consul"),
        ("data_dir = \"\"", "data_dir cannot be empty"),
    ] {
        let fault = load(&format!("data_dir = \"/nowhere\"\n{hcl}")).unwrap_err();
        assert_eq!(fault, told, "{hcl}");
    }
}

#[test]
fn warnings_are_told_as_consul_tells_them() {
    let hcl = "acl_default_policy = \"deny\" tls_min_version = \"tls12\" partition = \"x\" license_path = \"\"\n\
               acl { tokens { master = \"x\" } } read_replica = true acl_enforce_version_8 = true server = true bootstrap = true\n\
               data_dir = \"/nowhere\" telemetry { prefix_filter = [\"x\", \"\"] } audit { enabled = false } ui = true";
    assert_eq!(
        load(hcl).unwrap().warnings,
        [
            "config key \"acl_enforce_version_8\" is deprecated and should be removed",
            "\"read_replica (or the deprecated non_voting_server)\" is a Consul Enterprise configuration and will have no effect",
            "\"partition\" is a Consul Enterprise configuration and will have no effect",
            "\"license_path\" is a Consul Enterprise configuration and will have no effect",
            "The 'acl.tokens.master' field is deprecated. Use the 'acl.tokens.initial_management' field instead.",
            "The 'acl_default_policy' field is deprecated. Use the 'acl.default_policy' field instead.",
            "'tls_min_version' value 'tls12' is deprecated, please specify 'TLSv1_2' instead",
            "The 'tls_min_version' field is deprecated. Use the 'tls.defaults.tls_min_version' field instead.",
            "Filter rule must begin with either '+' or '-': \"x\"",
            "Cannot have empty filter rule in prefix_filter",
            "The 'ui' field is deprecated. Use the 'ui_config.enabled' field instead.",
            "bootstrap = true: do not enable unless necessary",
        ]
    );
}

#[test]
fn what_would_be_unsafe_to_leave_out_stops_the_start() {
    for (hcl, key) in [
        ("retry_join = [\"1.1.1.1\"]", "retry_join"),
        ("server = true bootstrap_expect = 3", "bootstrap_expect"),
    ] {
        let fault = load(&format!("data_dir = \"/nowhere\"\n{hcl}")).unwrap_err();
        assert!(fault.starts_with(key) && fault.contains("not supported yet"), "{hcl}: {fault}");
    }
    let warnings = load("data_dir = \"/nowhere\" encrypt = \"aaaa\"").unwrap().warnings;
    assert_eq!(warnings, ["\"encrypt\" has no effect yet"]);
}

#[test]
fn defaults_are_consuls() {
    let config = taken("");
    assert_eq!((config.node.name.as_str(), config.datacenter.as_str()), ("host-1", "dc1"));
    assert_eq!(
        config.role,
        Role { server: false, bootstrap: false, bootstrap_expect: 0, dev: false }
    );
    assert_eq!(
        (config.network.bind.to_string(), config.network.advertise.to_string()),
        ("0.0.0.0".into(), "10.1.2.3".into())
    );
    assert_eq!(config.http.listen, [Listen::Tcp("127.0.0.1:8500".parse().unwrap())]);
    assert_eq!(config.dns.listen, ["127.0.0.1:8600".parse().unwrap()]);
    assert_eq!((config.default_query_time.as_secs(), config.max_query_time.as_secs()), (300, 600));
    assert_eq!(
        (config.limits.http_max_conns_per_client, config.limits.kv_max_value_size),
        (200, 524_288)
    );
    assert!(config.leaving.on_terminate && !config.leaving.skip_on_interrupt);
    let config = dev("");
    assert_eq!(
        config.role,
        Role { server: true, bootstrap: false, bootstrap_expect: 0, dev: true }
    );
    assert_eq!(
        (config.network.bind.to_string(), config.network.ports.grpc),
        ("127.0.0.1".into(), 8502)
    );
    assert!(config.ui && config.enable_debug && config.log.level == "DEBUG");
    assert!(!config.leaving.on_terminate && config.leaving.skip_on_interrupt);
}

#[test]
fn dns_within_tls_listens_where_dns_does() {
    let secure = |more: &str| taken(&format!("client_addr = \"192.0.2.1\" {more}")).dns.secure;
    let at = |text: &str| text.split(' ').map(|address| address.parse().unwrap()).collect();
    assert_eq!(secure("tls { dns { cert_file = \"c\" key_file = \"k\" } }"), SecureDns::default());
    assert_eq!(
        secure(
            "ports { dns_tls = 853 dns_https = 443 dns_quic = 853 } addresses { dns = \"127.0.0.1 ::1\" }"
        ),
        SecureDns {
            tls: at("127.0.0.1:853 [::1]:853"),
            https: at("127.0.0.1:443 [::1]:443"),
            quic: at("127.0.0.1:853 [::1]:853")
        }
    );
    assert_eq!(secure("ports { dns_tls = 853 }").tls, at("192.0.2.1:853") as Vec<_>);
    let told = load("data_dir = \"/nowhere\" ports { dns_tls = 8500 }").err().unwrap();
    assert!(
        told.contains("DNS over TLS address 127.0.0.1:8500 already configured for HTTP"),
        "{told}"
    );
}

#[test]
fn values_reach_their_places() {
    let config = taken(
        "client_addr = \"0.0.0.0 ::1\" addresses { http = \"unix:///s 127.0.0.1\" } ports { https = 8501 dns = -1 }
         node_meta { a = \"b\" } recursors = [\"1.1.1.1\", \"8.8.8.8 1.1.1.1\"] server = true
         advertise_addr = \"{{ GetPrivateIP }}\" advertise_addr_wan = \"2001:db9::1\"
         dns_config { soa { retry = 7 } service_ttl { \"*\" = \"5s\" } recursor_strategy = \"random\" }
         http_config { allow_write_http_from = [\"10.9.8.7/8\"] response_headers { a = \"b\" } }
         NODE_NAME = \"Named\" node_id = \"ABC\"",
    );
    assert_eq!(
        config.http.listen,
        [Listen::Unix("/s".into()), Listen::Tcp("127.0.0.1:8500".parse().unwrap())]
    );
    assert_eq!((config.dns.listen.len(), config.network.ports.https), (0, 8501));
    assert_eq!(config.dns.recursors, ["1.1.1.1", "8.8.8.8"]);
    assert_eq!(
        (config.dns.soa.retry, config.dns.soa.expire, config.dns.recursor_random),
        (7, 86_400, true)
    );
    assert_eq!(config.dns.service_ttl["*"].as_secs(), 5);
    assert_eq!(config.http.allow_write_from[0].to_string(), "10.0.0.0/8");
    assert_eq!((config.node.name.as_str(), config.node.id.as_deref()), ("Named", Some("abc")));
    let tagged: Vec<_> =
        config.node.tagged_addresses.iter().map(|(tag, at)| format!("{tag}={at}")).collect();
    assert_eq!(
        tagged.join(" "),
        "lan=10.1.2.3 lan_ipv4=10.1.2.3 wan=2001:db9::1 wan_ipv6=2001:db9::1"
    );
    assert!(!config.leaving.on_terminate && config.leaving.skip_on_interrupt);
}

#[test]
fn services_and_checks_are_read_in_both_spellings() {
    let config = taken(
        "service { name = \"web\" port = 80 tags = [\"a\"] weights { passing = 5 } check { ttl = \"5s\" }
           checks = [{ id = \"x\" http = \"http://y\" interval = \"1m\" header { A = [\"b\"] } }] tagged_addresses { lan { address = \"z\" port = 1 } } }
         check { Name = \"n\" Args = [\"true\"] Interval = \"3s\" ServiceID = \"web\" DeregisterCriticalServiceAfter = \"1m\" }",
    );
    let ServiceDefinition { service, checks, .. } = &config.services[0].definition;
    let Weights { passing, warning } = service.weights;
    assert_eq!((service.name.as_str(), service.port, passing, warning), ("web", 80, 5, 1));
    let lan = service.tagged_addresses.as_ref().unwrap().get("lan");
    assert_eq!(lan, Some(&ServiceAddress { address: "z".into(), port: 1 }));
    assert_eq!(checks.iter().map(|check| check.id.as_ref()).collect::<Vec<_>>(), ["x", ""]);
    assert_eq!((checks[0].interval.as_secs(), checks[1].ttl.as_secs()), (60, 5));
    let (check, _) = &config.checks[0];
    assert_eq!((&*check.name, &*check.service_id, check.script_args.len()), ("n", "web", 1));
    assert_eq!(check.deregister_critical_service_after.as_secs(), 60);
}

#[test]
fn later_sources_win_and_lists_append() {
    let sources = Sources {
        fragments: vec![
            "data_dir = \"/nowhere\" node_name = \"a\" recursors = [\"1.1.1.1\"] service { name = \"s1\" } ports { http = 1 dns = 2 }".into(),
            "node_name = \"b\" recursors = [\"2.2.2.2\"] service { name = \"s2\" } ports { http = 3 } node_meta { x = \"1\" }".into(),
            "node_meta { y = \"2\" } services = [{ name = \"s3\" }]".into(),
        ],
        ..Sources::default()
    };
    let config = Config::load(&sources, &host()).unwrap().config;
    assert_eq!(
        (config.node.name.as_str(), config.network.ports.http, config.network.ports.dns),
        ("b", 3, 2)
    );
    assert_eq!(config.dns.recursors, ["1.1.1.1", "2.2.2.2"]);
    assert_eq!(
        config.services.iter().map(|entry| entry.service().name.as_str()).collect::<Vec<_>>(),
        ["s1", "s2", "s3"]
    );
    assert_eq!(config.node.meta.len(), 2);
}

#[test]
fn all_that_the_go_test_server_writes_is_taken() {
    let file = r#"{"node_name":"node-1","node_id":"11111111-2222-3333-4444-555555555555","performance":{"raft_multiplier":1},
        "bootstrap":true,"server":true,"data_dir":"/nowhere","segments":null,"disable_update_check":true,"log_level":"debug",
        "bind_addr":"127.0.0.1","addresses":{},"retry_join":null,"partition":null,"locality":null,"node_meta":null,
        "ports":{"dns":1001,"http":1002,"https":1003,"serf_lan":1004,"serf_wan":1005,"server":1006,"grpc":1007,"grpc_tls":1008,
        "proxy_min_port":1,"proxy_max_port":2},"acl":{"tokens":{}},"connect":{"enabled":true,"ca_config":{"cluster_id":"x"}},
        "skip_leave_on_interrupt":true,"peering":null,"version":"1.22.7","autopilot":{"server_stabilization_time":"1s"},
        "enable_script_checks":false,"enable_debug":true,"audit":null,"experiments":null,"raft_protocol":3}"#;
    let folder = std::env::temp_dir().join(format!("proconsul-config-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("config.json"), file).unwrap();
    std::fs::write(folder.join("readme.txt"), "not read").unwrap();
    let loaded = |path: PathBuf| {
        Config::load(&Sources { paths: vec![path], ..Sources::default() }, &host()).unwrap()
    };
    let (of_file, of_folder) = (loaded(folder.join("config.json")), loaded(folder.clone()));
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(of_file.warnings, ["bootstrap = true: do not enable unless necessary"]);
    assert!(of_folder.warnings[0].starts_with("skipping file "), "{:?}", of_folder.warnings);
    assert_eq!((of_file.config.network.ports.https, of_folder.config.role.bootstrap), (1003, true));
}

#[test]
fn a_reload_takes_what_may_change_and_keeps_the_rest() {
    let (old, fresh) = (
        taken("node_meta { a = \"1\" }"),
        taken(
            "node_meta { a = \"2\" } log_level = \"WARN\" ports { http = 1 } dns_config { node_ttl = \"9s\" }",
        ),
    );
    let next = old.reloaded(&fresh);
    assert_eq!(
        (next.node.meta["a"].as_str(), next.log.level.as_str(), next.dns.node_ttl.as_secs()),
        ("2", "WARN", 9)
    );
    assert_eq!(next.network.ports.http, 8500);
}

#[test]
fn changes_that_wait_for_a_restart_are_told() {
    let old = taken("node_meta { a = \"1\" } ports { dns = 5 }");
    let fresh = taken(
        "node_meta { a = \"2\" } ports { http = 1 dns = 5 } datacenter = \"dc2\" raft_snapshot_threshold = 7",
    );
    assert_eq!(old.waiting_for_restart(&fresh), ["datacenter", "ports.http"]);
}

#[test]
fn a_start_looks_closer_than_validate() {
    for (hcl, told) in [
        (
            "log_level = \"foo\"",
            "Invalid log level: foo. Valid log levels are: [TRACE DEBUG INFO WARN ERR ERROR]",
        ),
        (
            "node_id = \"xx\"",
            "failed to setup node ID: specified NodeID is invalid: uuid string is wrong length",
        ),
        (
            "node_id = \"11111111-2222-3333-4444-55555555555Z\"",
            "failed to setup node ID: specified NodeID is invalid: encoding/hex: invalid byte: U+007A 'z'",
        ),
        ("acl { default_policy = \"foo\" }", "Unsupported default ACL policy: foo"),
    ] {
        assert_eq!(taken(hcl).startable(), Err(told.to_owned()), "{hcl}");
    }
    assert_eq!(taken("log_level = \"warn\" server = true").startable(), Ok(()));
    assert!(taken("").startable().unwrap_err().contains("not supported yet"));
}

#[test]
fn the_debug_view_has_consuls_fields_and_no_secrets() {
    let names: Vec<&str> = include_str!("debug/names.txt").lines().collect();
    let config = taken(
        "acl { tokens { default = \"sekret\" } } encrypt = \"c2Vrc2VrcmV0cmV0\" service { name = \"a\" token = \"sekret\" }",
    );
    let view = config.debug_view("node-id");
    let ours: Vec<&str> = view.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(ours, names);
    assert!(!view.to_string().contains("sek"), "{view}");
}

#[test]
fn each_interface_has_its_certificates_over_those_of_all() {
    let tls = taken(
        "tls { defaults { ca_file = \"a\" cert_file = \"c\" verify_outgoing = true verify_server_hostname = true
                          tls_cipher_suites = \"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384\" }
               https { ca_file = \"h\" tls_min_version = \"TLSv1_3\" } grpc { use_auto_cert = true } }
         key_file = \"k\" verify_incoming_https = true enable_agent_tls_for_checks = true",
    )
    .tls;
    let of_all = TlsPart {
        ca_file: "a".into(),
        cert_file: "c".into(),
        key_file: "k".into(),
        min_version: "TLSv1_2".into(),
        cipher_suites: vec![
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256".into(),
            "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384".into(),
        ],
        ..TlsPart::default()
    };
    assert_eq!(
        tls.https,
        TlsPart {
            ca_file: "h".into(),
            min_version: "TLSv1_3".into(),
            cipher_suites: Vec::new(),
            verify_incoming: true,
            verify_outgoing: true,
            ..of_all.clone()
        }
    );
    assert_eq!(tls.grpc, TlsPart { use_auto_cert: true, ..of_all.clone() });
    let internal = TlsPart { verify_outgoing: true, verify_server_hostname: true, ..of_all };
    assert_eq!((tls.internal_rpc, tls.for_checks), (internal, true));
    // Who is to check names calls with TLS.
    let implied = taken("tls { internal_rpc { verify_server_hostname = true } }").tls;
    assert!(implied.internal_rpc.verify_outgoing && !implied.https.verify_outgoing);
}

#[test]
fn what_makes_no_sense_of_tls_is_told() {
    for (hcl, told) in [
        (
            "grpc { verify_outgoing = false } https { verify_server_hostname = true }",
            "verify_outgoing is not valid in the tls.grpc stanza",
        ),
        (
            "https { verify_server_hostname = false }",
            "verify_server_hostname is only valid in the tls.defaults and tls.internal_rpc stanzas",
        ),
        ("https { use_auto_cert = false }", "use_auto_cert is only valid in the tls.grpc stanza"),
        (
            "https { tls_min_version = \"TLSv1_3\" tls_cipher_suites = \"x\" } defaults { tls_min_version = \"2\" }",
            "2 errors occurred:\n\t* tls.defaults.tls_min_version: invalid TLS version: no matching TLS version found for 2, \
             please specify one of [TLS_AUTO, TLSv1_0, TLSv1_1, TLSv1_2, TLSv1_3]\n\t* tls.https.tls_cipher_suites: TLS 1.3 \
             cipher suites are not configurable\n\n",
        ),
    ] {
        let fault = load(&format!("data_dir = \"/nowhere\" tls {{ {hcl} }}")).unwrap_err();
        assert_eq!(fault, told, "{hcl}");
    }
    let old = "tls { https { tls_min_version = \"TLSv1_0\" tls_cipher_suites = \"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA\" } }";
    let warnings = load(&format!("data_dir = \"/nowhere\" {old}")).unwrap().warnings;
    assert_eq!(
        warnings,
        [
            "tls.https.tls_min_version: TLSv1_0 is not spoken; clients need TLSv1_2",
            "tls.https.tls_cipher_suites: TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA is not spoken",
        ]
    );
}

#[test]
fn what_makes_no_sense_of_fallbacks_and_bridges_is_told() {
    let consul = "upstream { kind = \"consul\" dns = [\"10.0.0.1\"] }";
    for (hcl, told) in [
        (
            "fallback { }".to_owned(),
            "fallback[0].upstream.kind: \"\" is not known; write \"consul\", \"recursor\" or \"zone\"",
        ),
        (
            format!("fallback {{ {consul} }} fallback {{ zone = \"a..b\" {consul} }}"),
            "fallback[1].zone: \"a..b\": a label is empty; write a domain such as \"corp.example\"",
        ),
        (
            format!("fallback {{ zone = \"corp.example\" {consul} }}"),
            "fallback[0].zone: \"corp.example\" is not in the domain of this agent; write a name at or under consul.",
        ),
        (
            format!("fallback {{ require = \"dnssec\" {consul} }}"),
            "fallback[0].require: a Consul signs nothing; set require = \"none\", or an upstream of another kind",
        ),
        (
            format!("fallback {{ depth = 9 {consul} }}"),
            "fallback[0].depth: 9 is not between 1 and 8",
        ),
        (
            format!("fallback {{ timeout = \"1m\" {consul} }}"),
            "fallback[0].timeout: must be above 0s and at most 10s",
        ),
        (
            "fallback { upstream { kind = \"consul\" http = \"x\" } }".to_owned(),
            "fallback[0].upstream.http: \"x\" is no URL; write http://HOST:PORT or https://HOST:PORT",
        ),
        (
            "fallback { upstream { kind = \"zone\" dns = [\"10.0.0.1\"] } }".to_owned(),
            "fallback[0].upstream.zone: missing; write the zone that holds the services, such as \"svc.old.example\"",
        ),
        (
            "fallback { upstream { kind = \"recursor\" dns = [\"x\"] token = \"t\" } }".to_owned(),
            "fallback[0].upstream.dns: \"x\" is no address; write IP or IP:PORT\n\t* fallback[0].upstream.token: an upstream of \
             kind \"recursor\" has none; leave it out",
        ),
        (
            "bridge { zone = \"corp.example\" }".to_owned(),
            "bridge[0].public: says nothing, so that nothing would appear; write names, tags or meta, such as meta = { public = \"true\" }",
        ),
        (
            "bridge { public { tags = [\"x\"] } }".to_owned(),
            "bridge[0].zone: missing; write the zone, such as \"corp.example\"",
        ),
        (
            "bridge { zone = \"corp.example\" public { tags = [\"x\"] } server = \"10.0.0.1\" }".to_owned(),
            "bridge[0].tsig_key_file: missing; updates are signed, make a key with tsig-keygen",
        ),
        (
            "bridge { zone = \"a.example\" public { tags = [\"x\"] } } bridge { zone = \"A.example\" public { tags = [\"y\"] } }".to_owned(),
            "bridge: the zone a.example. stands in two blocks; put them together",
        ),
    ] {
        let fault = load(&format!("data_dir = \"/nowhere\"\n{hcl}")).unwrap_err();
        assert!(fault.ends_with(&format!("\t* {told}\n\n")), "{hcl}: {fault}");
    }
}

#[test]
fn fallbacks_and_bridges_are_read() {
    let config = taken(
        "fallback { upstream { kind = \"consul\" dns = [\"10.0.0.1\", \"[fd00::1]:53\"] http = \"http://h/\" token = \"t\" } }
         fallback { zone = \"Node.consul\" require = \"dnssec\" depth = 3 ttl_max = \"5s\" timeout = \"1s\"
           upstream { kind = \"zone\" zone = \"svc.old.example\" dns = [\"10.0.0.2\"] } }
         bridge { zone = \"Corp.example\" public { meta { public = \"true\" } } secondaries = [\"10.0.0.3:5353\"] }",
    );
    let [first, second] = config.fallbacks.as_slice() else { panic!("{:?}", config.fallbacks) };
    let Upstream::Consul { dns, http, token, .. } = &first.upstream else { panic!("{first:?}") };
    assert_eq!(
        (dns.as_slice(), http.as_deref()),
        (
            ["10.0.0.1:8600", "[fd00::1]:53"].map(|text| text.parse().unwrap()).as_slice(),
            Some("http://h")
        )
    );
    assert!(token.is_some() && !format!("{first:?}").contains("\"t\""));
    assert_eq!((second.dnssec, second.depth, second.ttl_max.as_secs()), (true, 3, 5));
    assert_eq!(second.zone.as_ref().map(ToString::to_string).as_deref(), Some("node.consul."));
    let [bridge] = config.bridges.as_slice() else { panic!("{:?}", config.bridges) };
    assert_eq!((bridge.zone.to_string().as_str(), bridge.ttl.as_secs()), ("corp.example.", 30));
    assert_eq!(bridge.secondaries, ["10.0.0.3:5353".parse().unwrap()]);
}
