//! The whole HTTP side over a scope in memory: requests as text, answers as text.
#![expect(clippy::unwrap_used, reason = "a test says by failing that what it builds on is broken")]

#[path = "serve/credentials.rs"]
mod credentials;
#[path = "serve/lineage.rs"]
mod lineage;
#[path = "serve/policies.rs"]
mod policies;

use std::fs::File;
use std::sync::Arc;

use futures_util::stream;
use http::{HeaderName, HeaderValue, StatusCode};
use proconsul_anchors::acl::AclSettings;
use proconsul_anchors::agent::Agent;
use proconsul_anchors::clock::{Clock, Time};
use proconsul_anchors::group::GroupSettings;
use proconsul_anchors::handle::Handle;
use proconsul_anchors::node::LeafSettings;
use proconsul_anchors::service::Node;
use proconsul_anchors::store::Store;
use proconsul_compat::{
    Api, Asking, CaSettings, Control, DnsQuestion, Elsewhere, Explained, Explaining, Fallback,
    Fetch, FetchError, FetchRequest, Fetching, Forward, Forwarded, Forwarding, Found, Host,
    Instances, Issuer, Logins, MetricsProxy, Pieces, Profile, Profiling, Reloading, Settings, Site,
    Stats, serve,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// It is always the same moment.
struct Still;

impl Clock for Still {
    fn now(&self) -> Time {
        Time(1_700_000_000_000_000_000)
    }
}

/// A program that can do nothing.
struct Nobody;

impl Fetch for Nobody {
    fn fetch(&self, _request: FetchRequest) -> Fetching<'_> {
        Box::pin(async { Err(FetchError::Failed("no network".to_owned())) })
    }
}

/// Knows of one service.
impl Elsewhere for Nobody {
    fn source(&self, service: &str, hops: u8) -> Option<Box<str>> {
        (service.starts_with("far") && hops == 0).then(|| "zone@old.example".into())
    }

    fn ask<'a>(&'a self, service: &'a str, _: u8) -> Asking<'a> {
        let address = [10, 0, 0, 1].into();
        let host = Host { name: "h.old.example.".to_owned(), address, port: 80, weight: 1 };
        let found = Found {
            ttl: std::time::Duration::from_secs(60),
            instances: Instances::Hosts(vec![host]),
        };
        let answer = match service {
            "far" => Ok(Some(found)),
            "far-silent" => Err("nobody answers".to_owned()),
            _ => Ok(None),
        };
        Box::pin(async move { answer })
    }
}

impl Control for Nobody {
    fn reload(&self) -> Reloading<'_> {
        Box::pin(async { Err("no configuration".to_owned()) })
    }

    fn leave(&self) {}

    fn metrics_json(&self) -> String {
        "{}".to_owned()
    }

    fn metrics_prometheus(&self) -> String {
        String::new()
    }

    fn metrics_stream(&self) -> Pieces {
        Box::pin(stream::empty())
    }

    fn monitor(&self, level: &str, json: bool) -> Pieces {
        let lines = [format!("{level}\n"), format!("{json}\n")];
        Box::pin(stream::iter(lines.map(|line| Ok(line.into()))))
    }

    fn profile(&self, profile: Profile) -> Profiling<'_> {
        Box::pin(async move { Ok(format!("{profile:?}").into_bytes()) })
    }

    fn forward(&self, question: Forward) -> Forwarding<'_> {
        let told = format!("{} {:?}", question.url, question.headers.get("x-own"));
        let headers = [("content-type", "a/b"), ("keep-alive", "timeout=5"), ("x-theirs", "1")];
        let headers = headers
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let headers = headers.into_iter().collect();
        let body: Pieces = Box::pin(stream::iter([Ok(told.into())]));
        Box::pin(async { Ok(Forwarded { status: StatusCode::IM_A_TEAPOT, headers, body }) })
    }

    fn explain_dns(&self, question: DnsQuestion) -> Explaining<'_> {
        let DnsQuestion { name, kind, tcp, udp_size, .. } = question;
        let text = format!("{name} {kind} {tcp} {udp_size:?}");
        Box::pin(async move { Ok(Explained { text, json: "{}".to_owned() }) })
    }

    fn zone_file(&self, zone: &str) -> Option<String> {
        (zone == "corp.example").then(|| "corp.example. 30 IN A 10.0.0.1\n".to_owned())
    }

    fn command_line(&self) -> Vec<u8> {
        b"program\0agent".to_vec()
    }

    fn spool(&self) -> std::io::Result<File> {
        let name = format!("proconsul-serve-{:032x}", uuid::Uuid::new_v4().as_u128());
        let path = std::env::temp_dir().join(name);
        let file = File::options().read(true).write(true).create_new(true).open(&path)?;
        std::fs::remove_file(path)?;
        Ok(file)
    }

    fn restored(&self) {}

    fn stats(&self) -> Stats {
        Stats::new()
    }

    fn bootstrap_reset(&self) -> u64 {
        0
    }

    fn forget_bootstrap_reset(&self) {}

    fn host_json(&self) -> String {
        "{}".to_owned()
    }
}

/// A server of its own for one test; it ends with it.
struct Server {
    address: std::net::SocketAddr,
    _stop: watch::Sender<bool>,
}

impl Server {
    async fn start(settings: Settings) -> Self {
        Self::guarded(settings, AclSettings::default()).await
    }

    async fn guarded(settings: Settings, acl: AclSettings) -> Self {
        let store = Arc::new(Store::in_memory().unwrap());
        let clock: Arc<dyn Clock> = Arc::new(Still);
        let group = GroupSettings { scope: "dc1".into(), member: "node".into() };
        let handle =
            Handle::open(Arc::clone(&store), group, acl, Arc::clone(&clock)).await.unwrap();
        handle.found_acl().await.unwrap();
        let node = Node { name: "node".into(), address: "127.0.0.1".into(), ..Node::default() };
        let agent = Agent::open(LeafSettings::new(node), 1, Arc::new(handle.clone()), store, clock)
            .unwrap();
        let issuer = Issuer::new(handle.clone(), CaSettings::off());
        let api = Api::new(Site {
            handle,
            issuer,
            agent,
            remembered: proconsul_compat::Remembered::default(),
            tokens: proconsul_anchors::acl::AgentTokens::default(),
            settings,
            events: proconsul_anchors::events::Events::default(),
            survey: proconsul_anchors::survey::Survey::default(),
            logins: Logins::new(Nobody),
            fallback: Fallback::new(Nobody),
            control: Arc::new(Nobody),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopping) = watch::channel(false);
        tokio::spawn(serve(api, listener, None, stopping));
        Self { address, _stop: stop }
    }

    /// Sends a request (its first line, and a body) and returns the whole answer.
    async fn ask(&self, line: &str, body: &str) -> String {
        let head = format!(
            "{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.send(&(head + body)).await
    }

    async fn send(&self, text: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Asks one after the other; each answer must have this status and this body.
    async fn check(&self, exchanges: &[(&str, &str, u16, &str)]) {
        for (line, body, status, expected) in exchanges {
            let answer = self.ask(line, body).await;
            let (head, answered) = answer.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{line}: {answer}");
            assert_eq!(answered, *expected, "{line}");
        }
    }
}

fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[tokio::test]
async fn questions_for_metrics_are_handed_on() {
    let path = "GET /v1/internal/ui/metrics-proxy/api/query?q=1&token=2";
    let none = Settings { ui: true, ..Settings::default() };
    let told = "Metrics proxy is not enabled";
    Server::start(none.clone()).await.check(&[(path, "", 404, told)]).await;
    let own = [(HeaderName::from_static("x-own"), HeaderValue::from_static("2"))];
    let metrics_proxy = MetricsProxy {
        base_url: "http://they/a".to_owned(),
        path_allowlist: vec!["/a/api/query".to_owned()],
        add_headers: own.into_iter().collect(),
    };
    let settings = Settings { metrics_proxy: Some(metrics_proxy), ..none };
    let server = Server::start(settings.clone()).await;
    let asked = "http://they/a/api/query?q=1&token=2 Some(\"2\")";
    let answer = server.ask(path, "").await;
    assert!(answer.starts_with("HTTP/1.1 418 ") && answer.contains(asked), "{answer}");
    let told = ["Content-Type", "X-Theirs", "Keep-Alive"].map(|name| header(&answer, name));
    assert_eq!(told, [Some("a/b"), Some("1"), None]);
    let other = "GET /v1/internal/ui/metrics-proxy/api/other";
    server.check(&[(other, "", 403, "")]).await;
    let off = Settings { ui: false, ..settings };
    Server::start(off).await.check(&[(path, "", 404, "UI is not enabled")]).await;
}

#[tokio::test]
async fn what_is_registered_is_found() {
    let server = Server::start(Settings::default()).await;
    let registration =
        r#"{"Node":"n1","Address":"10.0.0.1","Service":{"Service":"web","Port":80,"Tags":["v1"]}}"#;
    server
        .check(&[
            ("PUT /v1/catalog/register", registration, 200, "true"),
            ("GET /v1/catalog/services", "", 200, r#"{"web":["v1"]}"#),
            ("GET /v1/catalog/service/web?tag=V1&filter=ServicePort==81", "", 200, "[]"),
            ("GET /v1/health/state/any", "", 200, "[]"),
            ("GET /v1/catalog/node/n9", "", 200, "null"),
            ("GET /v1/catalog/datacenters", "", 200, r#"["dc1"]"#),
            ("PUT /v1/catalog/deregister", r#"{"Node":"n1"}"#, 200, "true"),
            ("GET /v1/catalog/services", "", 200, "{}"),
        ])
        .await;
}

#[tokio::test]
async fn refusals_are_told_in_consuls_words() {
    let server = Server::start(Settings::default()).await;
    server
        .check(&[
            ("GET /v1/nope", "", 404, "Invalid URL path: not a recognized HTTP API endpoint\n"),
            (
                "GET /v1/operator/license",
                "",
                404,
                "Invalid URL path: not a recognized HTTP API endpoint\n",
            ),
            ("POST /v1/kv/a", "", 405, "method POST not allowed"),
            ("GET /v1/acl/tokens", "", 401, "ACL support disabled"),
            ("GET /v1/catalog/nodes?a=%zz", "", 500, ""),
            ("GET /v1/catalog/nodes?wait=1", "", 400, "Invalid wait time"),
            ("GET /v1/catalog/nodes?dc=DC1", "", 500, "No path to datacenter"),
            (
                "GET /v1/kv/a?ns=x",
                "",
                400,
                r#"Invalid query parameter: "ns" - Namespaces are a Consul Enterprise feature"#,
            ),
            ("PUT /v1/kv/a?cas=x", "", 500, r#"strconv.ParseUint: parsing "x": invalid syntax"#),
            ("PUT /v1/kv/a?acquire=s&cas=1", "", 400, "Conflicting flags: acquire=s&cas=1\n"),
            ("PUT /v1/catalog/register", "{", 400, "Request decode failed: unexpected EOF"),
            ("PUT /v1/agent/reload", "", 500, "no configuration"),
        ])
        .await;
    let answer = server.ask("GET /v1/peerings", "").await;
    assert!(answer.starts_with("HTTP/1.1 501 ") && answer.contains("README"), "{answer}");
}

#[tokio::test]
async fn headers_are_those_of_a_read() {
    let server = Server::start(Settings::default()).await;
    let answer = server.ask("GET /v1/kv/none", "").await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    let expected = [
        ("X-Consul-Index", Some("1")),
        ("X-Consul-Knownleader", Some("true")),
        ("X-Consul-Lastcontact", Some("0")),
        ("X-Consul-Query-Backend", Some("blocking-query")),
        ("X-Consul-Default-Acl-Policy", Some("allow")),
        ("X-Consul-Effective-Consistency", None),
        ("Content-Type", None),
        ("Vary", Some("Accept-Encoding")),
    ];
    for (name, value) in expected {
        assert_eq!(header(&answer, name), value, "{name}");
    }
    let moved = server.ask("GET /v1/kv?keys", "").await;
    assert_eq!((header(&moved, "Location"), header(&moved, "Vary")), (Some("/v1/kv/?keys"), None));
}

#[tokio::test]
async fn a_waiting_read_is_answered_by_the_write_that_concerns_it() {
    let server = Server::start(Settings::default()).await;
    let first = server.ask("PUT /v1/kv/a", "1").await;
    assert!(first.ends_with("true"), "{first}");
    let seen = server.ask("GET /v1/kv/a", "").await;
    let index = header(&seen, "X-Consul-Index").unwrap();
    let line = format!("GET /v1/kv/a?raw&index={index}&wait=600s");
    let (woken, _) = tokio::join!(server.ask(&line, ""), server.ask("PUT /v1/kv/a", "2"));
    assert!(woken.ends_with("\r\n\r\n2"), "{woken}");
}

#[tokio::test]
async fn heads_that_cannot_be_read_are_answered() {
    let server = Server::start(Settings::default()).await;
    let cases = [
        ("GET / HTTP/9.9\r\nHost: x\r\n\r\n", "HTTP/1.1 505 "),
        ("GET /v1/kv/a\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n"),
        ("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "),
        (
            "GET / HTTP/1.1\r\nHost: x\r\nBad Name: x\r\n\r\n",
            "HTTP/1.1 400 Bad Request: invalid header name\r\n",
        ),
    ];
    for (text, start) in cases {
        let answer = server.send(text).await;
        assert!(answer.starts_with(start), "{text:?}: {answer}");
    }
}

#[tokio::test]
async fn values_have_a_bound() {
    let server = Server::start(Settings { kv_value_bytes_max: 4, ..Settings::default() }).await;
    let see =
        "See https://developer.hashicorp.com/docs/agent/config/config-files#kv_max_value_size.";
    let told = format!("Request body(5 bytes) too large, max size: 4 bytes. {see}");
    server
        .check(&[("PUT /v1/kv/a", "12345", 413, &told), ("PUT /v1/kv/a", "1234", 200, "true")])
        .await;
}

#[tokio::test]
async fn the_last_instance_takes_the_place_of_one_that_is_left_out() {
    let server = Server::start(Settings::default()).await;
    for (id, status) in [("a", "critical"), ("b", "passing"), ("c", "passing"), ("d", "warning")] {
        let body = format!(
            r#"{{"Node":"n","Address":"x","Service":{{"ID":"{id}","Service":"web"}},"Check":{{"Name":"{id}","ServiceID":"{id}","Status":"{status}"}}}}"#
        );
        assert!(server.ask("PUT /v1/catalog/register", &body).await.ends_with("true"));
    }
    let cases = [
        ("GET /v1/health/service/web", ["a", "b", "c", "d"].as_slice()),
        ("GET /v1/health/service/web?passing", &["c", "b"]),
        ("GET /v1/health/service/web?passing&index=1", &["b", "c"]),
        ("GET /v1/health/service/web?passing&filter=Service.ID!=c", &["b"]),
    ];
    for (line, expected) in cases {
        let answer = server.ask(line, "").await;
        let ids: Vec<&str> =
            answer.split(r#""Service":{"ID":""#).skip(1).map(|rest| &rest[..1]).collect();
        assert_eq!(ids, expected, "{line}");
    }
}

#[tokio::test]
async fn lines_of_the_log_come_in_pieces() {
    let server = Server::start(Settings::default()).await;
    let answer = server.ask("GET /v1/agent/monitor?loglevel=debug&logjson", "").await;
    assert!(answer.contains("Transfer-Encoding: chunked"), "{answer}");
    assert!(answer.ends_with("6\r\ndebug\n\r\n5\r\ntrue\n\r\n0\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn profiles_are_for_whom_they_are_open() {
    for (debug, path, status, told) in [
        (false, "heap", 404, ""),
        (true, "heap", 200, "Heap"),
        (true, "profile?seconds=x", 200, "Processor(30s)"),
        (true, "profile?seconds=0.5", 200, "Processor(500ms)"),
        (true, "goroutine", 200, "Threads"),
        (true, "goroutine?debug=2", 200, "ThreadsText"),
        (true, "cmdline", 200, "program\0agent"),
        (true, "nope", 404, "Unknown profile\n"),
        (
            true,
            "mutex",
            501,
            "there is no mutex profile: this program is not written in Go; there are profile, heap, allocs, goroutine, threadcreate",
        ),
    ] {
        let server = Server::start(Settings { debug, ..Settings::default() }).await;
        let answer = server.ask(&format!("GET /debug/pprof/{path}"), "").await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")) && body == told, "{answer}");
    }
}

/// The index and where it comes from, and how many instances there are.
fn told(answer: &str) -> (u64, Option<&str>, usize) {
    let header = |name: &str| {
        let line = answer.lines().find(|line| line.to_lowercase().starts_with(name))?;
        Some(line[name.len()..].trim())
    };
    let index = header("x-consul-index:").unwrap().parse().unwrap();
    (index, header("x-anchor-source:"), answer.matches("\"ServiceAddress\"").count())
}

#[tokio::test]
async fn unknown_services_are_told_from_elsewhere() {
    let server = Server::start(Settings::default()).await;
    let ask = async |path: &str| server.ask(&format!("GET /v1/catalog/service/{path}"), "").await;
    let source = Some("fallback:zone@old.example");
    let first = ask("far").await;
    assert_eq!((told(&first).1, told(&first).2), (source, 1), "{first}");
    // What is told has an index of its own, which stands while it is the same.
    let index = told(&first).0;
    assert!(index > 1, "{first}");
    assert_eq!(told(&ask("far").await).0, index);
    assert_eq!(told(&ask(&format!("far?index={index}&wait=10ms")).await).0, index);
    for path in ["far-unknown", "far-silent", "near"] {
        let answer = ask(path).await;
        assert_eq!((told(&answer).1, told(&answer).2), (None, 0), "{answer}");
    }
    // A request that came through another one is not handed on.
    let again = "GET /v1/catalog/service/far HTTP/1.1\r\nHost: x\r\nX-Anchor-Hops: 1\r\nConnection: close\r\n\r\n";
    assert_eq!(told(&server.send(again).await).2, 0);
    // What is registered here is ours, with a higher index.
    let body = r#"{"Node":"n","Address":"10.0.0.9","Service":{"Service":"far","Port":1}}"#;
    let registered = server.ask("PUT /v1/catalog/register", body).await;
    assert!(registered.ends_with("true"), "{registered}");
    let ours = ask("far").await;
    assert_eq!((told(&ours).1, told(&ours).2), (None, 1), "{ours}");
    assert!(told(&ours).0 > index, "{ours}");
    assert!(ask(&format!("far?index={index}&wait=10s")).await.contains("10.0.0.9"));
}

#[tokio::test]
async fn the_way_of_a_dns_answer_is_told() {
    let server = Server::start(Settings::default()).await;
    for (query, status, told) in [
        ("name=web.service.consul&format=text", 200, "web.service.consul A false None"),
        ("name=x&type=srv&edns=1232&transport=tcp&format=text", 200, "x SRV true Some(1232)"),
        ("name=x", 200, "{}"),
        ("type=A", 400, "Missing name: say ?name=web.service.consul"),
        ("name=x&edns=70000", 400, "Invalid edns \"70000\": say a number of bytes up to 65535"),
        ("name=x&transport=tls", 400, "Invalid transport \"tls\": say udp or tcp"),
    ] {
        let answer = server.ask(&format!("GET /v1/anchor/dns/explain?{query}"), "").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        assert!(answer.ends_with(&format!("\r\n\r\n{told}")), "{answer}");
    }
}

#[tokio::test]
async fn a_bridged_zone_is_exported() {
    let server = Server::start(Settings::default()).await;
    let known = server.ask("GET /v1/anchor/bridge/corp.example", "").await;
    assert!(known.ends_with("corp.example. 30 IN A 10.0.0.1\n"), "{known}");
    let unknown = server.ask("GET /v1/anchor/bridge/other.example", "").await;
    assert!(unknown.starts_with("HTTP/1.1 404"), "{unknown}");
}
