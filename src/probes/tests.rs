//! Words and bounds, and checks of listeners and commands of the test's own.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use proconsul_anchors::agent::Run;
use proconsul_anchors::node::definition::CheckDefinition;
use rustls::crypto::ring;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::dial::Place;
use super::proxy::Proxies;
use super::url::Target;
use super::{Probes, Proof, Surroundings, Tail, Trust, os_words};

#[test]
fn a_place_is_read_as_go_reads_it() {
    let cases = [
        ("127.0.0.1:80", "127.0.0.1 80"),
        ("[::1]:80", "::1 80"),
        (":8080", " 8080"),
        ("web:http", "web 80"),
        ("127.0.0.1", "dial tcp: address 127.0.0.1: missing port in address"),
        ("::1:80", "dial tcp: address ::1:80: too many colons in address"),
        ("[::1:80", "dial tcp: address [::1:80: missing ']' in address"),
        ("127.0.0.1:99999", "dial tcp: address 99999: invalid port"),
        ("127.0.0.1:zzz", "dial tcp: lookup tcp/zzz: unknown port"),
    ];
    for (text, expected) in cases {
        let read = match Place::parse(text) {
            Ok(place) => format!("{} {}", place.host, place.port),
            Err(error) => error.to_string(),
        };
        assert_eq!(read, expected, "{text}");
    }
}

#[test]
fn a_url_is_read_as_go_reads_it() {
    let cases = [
        ("http://a/b?c=d#e", "http a:80 a /b?c=d"),
        ("https://a", "https a:443 a /"),
        ("HTTP://a:81?x", "http a:81 a:81 /?x"),
        ("http://[::1]/", "http [::1]:80 [::1] /"),
        ("http://u:p@a/", "http a:80 a /"),
        ("http://a/b c\"d%20", "http a:80 a /b%20c%22d%20"),
        ("::bad", "missing protocol scheme"),
        ("127.0.0.1:80", "first path segment in URL cannot contain colon"),
        ("a/b", "unsupported protocol scheme \"\""),
        ("ftp://a/", "unsupported protocol scheme \"ftp\""),
        ("http:///x", "http: no Host in request URL"),
        ("http://a/\n", "net/url: invalid control character in URL"),
    ];
    for (text, expected) in cases {
        let read = Target::parse(text)
            .map(|target| shown(&target))
            .unwrap_or_else(|error| error.to_string());
        assert_eq!(read, expected, "{text}");
    }
}

#[test]
fn a_redirect_is_relative_to_where_it_came_from() {
    let from = Target::parse("http://a:81/b/c?d").unwrap();
    let cases = [
        ("/x", "http a:81 a:81 /x"),
        ("x", "http a:81 a:81 /b/x"),
        ("?x", "http a:81 a:81 /b/c?x"),
        ("//z/x", "http z:80 z /x"),
        ("https://z/x", "https z:443 z /x"),
        ("", "http a:81 a:81 /b/c?d"),
    ];
    for (location, expected) in cases {
        assert_eq!(shown(&from.join(location).unwrap()), expected, "{location}");
    }
}

#[test]
fn an_error_of_the_system_is_told_in_go_s_words() {
    assert_eq!(os_words(&io::Error::from_raw_os_error(111)), "connection refused");
    assert_eq!(os_words(&io::Error::from_raw_os_error(101)), "network is unreachable");
}

#[test]
fn a_tail_keeps_the_end_and_counts_all() {
    let mut tail = Tail::new(4);
    for piece in ["a", "bcdefg", "hi"] {
        tail.push(piece.as_bytes());
    }
    assert_eq!((tail.kept.as_slice(), tail.total), (b"fghi".as_slice(), 9));
    let mut none = Tail::new(0);
    none.push(b"abc");
    assert_eq!((none.kept.len(), none.total), (0, 3));
}

fn shown(target: &Target) -> String {
    let scheme = if target.https { "https" } else { "http" };
    format!("{scheme} {} {} {}", target.place(), target.authority, target.path)
}

/// Each connection gets the next answer; then the listener goes.
async fn serve(answers: &'static [&'static str]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let count = stream.read(&mut request).await.unwrap();
            let request = String::from_utf8_lossy(&request[..count]).into_owned();
            let echo = request.lines().next().unwrap_or_default().to_owned();
            stream.write_all(answer.replace("<echo>", &echo).as_bytes()).await.unwrap();
        }
    });
    address
}

#[tokio::test]
async fn http_answers_decide() {
    let cases: [(&[&str], &str); 6] = [
        (&["HTTP/1.1 200 OK\r\n\r\nhello"], "passing HTTP GET <url>: 200 OK Output: hello"),
        (&["HTTP/1.1 204 No Content\r\n\r\n"], "passing HTTP GET <url>: 204 No Content Output: "),
        (&["HTTP/1.1 429 Slow\r\n\r\n"], "warning HTTP GET <url>: 429 Slow Output: "),
        (
            &["HTTP/1.1 500 Oh\r\n\r\n0123456789abcdef"],
            "critical HTTP GET <url>: 500 Oh Output: 6789abcdef",
        ),
        (
            &["HTTP/1.1 302 Found\r\nLocation: /there\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n<echo>"],
            "passing HTTP GET <url>: 200 OK Output: e HTTP/1.1",
        ),
        (&[""], "critical Get \"<url>\": EOF"),
    ];
    for (answers, expected) in cases {
        let url = format!("http://{}/x", serve(answers).await);
        let result = perform(CheckDefinition { http: url.as_str().into(), ..probed() }, 10).await;
        assert_eq!(result.replace(&url, "<url>"), expected);
    }
}

#[tokio::test]
async fn who_is_not_there_is_told_in_go_s_words() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let refused = format!("dial tcp {address}: connect: connection refused");
    let cases = [
        (CheckDefinition { tcp: address.as_str().into(), ..probed() }, refused.clone()),
        (
            CheckDefinition { http: format!("http://{address}/").into(), ..probed() },
            format!("Get \"http://{address}/\": {refused}"),
        ),
        (
            CheckDefinition { grpc: address.as_str().into(), ..probed() },
            format!(
                "rpc error: code = Unavailable desc = connection error: desc = \"transport: Error while dialing: {refused}\""
            ),
        ),
        (
            CheckDefinition { h2ping: address.as_str().into(), ..probed() },
            format!("Failed to dial to {address}: {refused}"),
        ),
    ];
    for (check, expected) in cases {
        assert_eq!(perform(check, 4096).await, format!("critical {expected}"));
    }
}

#[tokio::test]
async fn a_tcp_connection_is_enough() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let there = listener.local_addr().unwrap().to_string();
    let result = perform(CheckDefinition { tcp: there.as_str().into(), ..probed() }, 4096).await;
    assert_eq!(result, format!("passing TCP connect {there}: Success"));
}

#[tokio::test]
async fn a_command_s_exit_decides() {
    let long = CheckDefinition { timeout: Duration::from_millis(1500), ..probed() };
    let cases = [
        (probed(), "echo out; echo err >&2", "passing out\nerr\n"),
        (probed(), "echo hm; exit 1", "warning hm\n"),
        (probed(), "exit 2", "critical "),
        (probed(), "kill -9 $$", "critical "),
        (
            probed(),
            "printf 0123456789abcdefghij",
            "passing Captured 16 of 20 bytes\n...\n456789abcdefghij",
        ),
        (
            long,
            "echo start; sleep 600 & sleep 600",
            "critical! Timed out (1.5s) running check\n\nstart\n",
        ),
    ];
    for (check, script, expected) in cases {
        let args = ["sh", "-c", script].map(Into::into).to_vec();
        assert_eq!(
            perform(CheckDefinition { script_args: args, ..check }, 16).await,
            expected,
            "{script}"
        );
    }
    let none = CheckDefinition { script_args: vec!["/no/such".into()], ..probed() };
    assert_eq!(perform(none, 16).await, "critical! fork/exec /no/such: no such file or directory");
    let none = CheckDefinition { script_args: vec!["no-such-command".into()], ..probed() };
    let expected = "critical! exec: \"no-such-command\": executable file not found in $PATH";
    assert_eq!(perform(none, 16).await, expected);
}

/// Answers each connection with the next of these, and returns what it was asked.
fn engine(answers: &'static [&'static str]) -> (String, tokio::task::JoinHandle<Vec<String>>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = tokio::task::spawn_blocking(move || {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            asked.push(read_request(&mut stream));
            io::Write::write_all(&mut stream, answer.as_bytes()).unwrap();
        }
        asked
    });
    (address, asked)
}

/// The head of a request and, after a bar, its body of the length that it says.
fn read_request(stream: &mut impl io::Read) -> String {
    let (mut text, mut byte) = (String::new(), [0]);
    while !text.ends_with("\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
        text.push(byte[0].into());
    }
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).unwrap();
    format!("{}|{}", text.lines().next().unwrap_or_default(), String::from_utf8(body).unwrap())
}

#[tokio::test]
async fn a_command_in_a_container_is_judged_by_its_end() {
    const CREATED: &str =
        "HTTP/1.1 201 Created\r\nContent-Length: 13\r\nConnection: close\r\n\r\n{\"Id\":\"e\"}   ";
    const STARTED: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall is well";
    const NONE: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    const PAUSED: &str = "HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n";
    const BROKEN: &str = "HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\nno";
    const ENDED: [&str; 3] = [
        "HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{\"ExitCode\":0}",
        "HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{\"ExitCode\":1}",
        "HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{\"ExitCode\":7}",
    ];
    const CASES: &[(&[&str], usize, &str)] = &[
        (&[CREATED, STARTED, ENDED[0]], 64, "passing all is well"),
        (&[CREATED, STARTED, ENDED[1]], 64, "warning all is well"),
        (&[CREATED, STARTED, ENDED[2]], 64, "critical all is well"),
        (&[CREATED, STARTED, ENDED[0]], 14, "passing all is well"),
        (&[NONE], 64, "critical create exec failed for unknown container a b"),
        (&[PAUSED], 64, "critical create exec failed since container a b is paused or stopped"),
        (&[BROKEN], 64, "critical create exec failed for container a b with status 500: no"),
        (&[CREATED, NONE], 64, "critical start exec failed for container a b: invalid exec id e"),
        (
            &[CREATED, STARTED, BROKEN],
            64,
            "critical inspect exec failed for container a b with status 500: no",
        ),
    ];
    for (answers, output_max, expected) in CASES {
        let (address, asked) = engine(answers);
        let around =
            Surroundings { docker_host: format!("tcp://{address}"), ..Surroundings::default() };
        let check = CheckDefinition {
            docker_container_id: "a b".into(),
            script_args: vec!["ls".into(), "-l".into()],
            ..probed()
        };
        assert_eq!(perform_in(check, *output_max, around).await, *expected);
        let own = [
            r#"POST /containers/a+b/exec HTTP/1.1|{"AttachStderr":true,"AttachStdin":false,"AttachStdout":true,"Cmd":["ls","-l"],"Tty":false}"#,
            r#"POST /exec/e/start HTTP/1.1|{"Detach":false,"Tty":true}"#,
            "GET /exec/e/json HTTP/1.1|",
        ];
        assert_eq!(asked.await.unwrap(), own[..answers.len()]);
    }
}

#[tokio::test]
async fn an_engine_that_is_not_there_is_told() {
    for (host, expected) in [
        ("here", "critical unable to parse docker host `here`"),
        (
            "unix:///no/such.sock",
            "critical create exec failed for container c: Post \"http://%2Fno%2Fsuch.sock/containers/c/exec\": dial unix \
             /no/such.sock: connect: no such file or directory",
        ),
    ] {
        let around = Surroundings { docker_host: host.to_owned(), ..Surroundings::default() };
        let check = CheckDefinition {
            docker_container_id: "c".into(),
            script_args: vec!["ls".into()],
            ..probed()
        };
        assert_eq!(perform_in(check, 64, around).await, expected);
    }
}

#[tokio::test]
async fn http_goes_through_the_proxy_that_the_environment_names() {
    let (address, asked) =
        engine(&["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "HTTP/1.1 403 Nobody\r\n\r\n"]);
    let proxies = || {
        Proxies::read(|name| if name.ends_with("_PROXY") { address.clone() } else { String::new() })
    };
    let around = || Surroundings { proxies: proxies(), ..Surroundings::default() };
    let check = |url: &str| CheckDefinition { http: url.into(), ..probed() };
    let plain = perform_in(check("http://web.example/a?b"), 64, around()).await;
    assert_eq!(plain, "passing HTTP GET http://web.example/a?b: 200 OK Output: hi");
    let secure = perform_in(check("https://web.example/"), 64, around()).await;
    assert_eq!(secure, "critical Get \"https://web.example/\": Nobody");
    let own = ["GET http://web.example/a?b HTTP/1.1|", "CONNECT web.example:443 HTTP/1.1|"];
    assert_eq!(asked.await.unwrap(), own);
}

#[tokio::test]
async fn checks_show_the_agents_certificate_and_trust_whom_it_trusts() {
    let issue = || rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (there, own) = (issue(), issue());
    let trusting = |made: &rcgen::CertifiedKey<rcgen::KeyPair>| {
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        Arc::new(roots)
    };
    let provider = Arc::new(ring::default_provider());
    let key = |made: &rcgen::CertifiedKey<rcgen::KeyPair>| {
        PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into()
    };
    let judge = WebPkiClientVerifier::builder_with_provider(trusting(&own), Arc::clone(&provider));
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(judge.build().unwrap())
        .with_single_cert(vec![there.cert.der().clone()], key(&there))
        .unwrap();
    let listener = TcpListener::bind("localhost:0").await.unwrap();
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    let server = tokio::spawn(async move {
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let _head = stream.read(&mut [0; 1024]).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await.unwrap();
            let _gone = stream.shutdown().await;
        }
    });
    let signing_key = ring::sign::any_supported_type(&key(&own)).unwrap();
    let pair = CertifiedKey::new(vec![own.cert.der().clone()], signing_key);
    let proof = |roots, certificate| Proof {
        provider: Arc::clone(&provider),
        versions: rustls::ALL_VERSIONS,
        roots: Some(roots),
        certificate,
    };
    let pair = Some(Arc::new(SingleCertAndKey::from(pair)));
    let foreign = "critical Get \"URL\": tls: failed to verify certificate: x509: certificate signed by unknown authority";
    for (proof, expected) in [
        (proof(trusting(&there), pair.clone()), "passing HTTP GET URL: 200 OK Output: hi"),
        (proof(trusting(&own), pair), foreign),
        (proof(trusting(&there), None), "critical Get \"URL\": "),
    ] {
        let check = CheckDefinition { http: url.as_str().into(), ..probed() };
        let found =
            perform_trusting(check, 64, Surroundings::default(), Trust::of_the_agent(proof));
        let found = found.await.replace(&url, "URL");
        assert!(found.starts_with(expected), "{found}");
    }
    server.abort();
}

fn probed() -> CheckDefinition {
    CheckDefinition { interval: Duration::from_secs(1), ..CheckDefinition::default() }
}

/// Status and output; an exclamation mark where thresholds do not count.
async fn perform(check: CheckDefinition, output_max: usize) -> String {
    perform_in(check, output_max, Surroundings::default()).await
}

/// The same, with others around.
async fn perform_in(check: CheckDefinition, output_max: usize, around: Surroundings) -> String {
    perform_trusting(check, output_max, around, Trust::of_the_machine()).await
}

/// The same, trusting whom the agent trusts.
async fn perform_trusting(
    check: CheckDefinition,
    output_max: usize,
    around: Surroundings,
    trust: Trust,
) -> String {
    let timeout = if check.timeout.is_zero() { Duration::from_secs(60) } else { check.timeout };
    let run =
        Run { check: "c".into(), number: 1, spec: check.spec().unwrap(), timeout, output_max };
    let trust = Arc::new(ArcSwap::from_pointee(trust));
    let result = Probes::new(trust, around).perform(&run).await;
    let mark = if result.certain { "!" } else { "" };
    format!("{}{mark} {}", result.status, result.output)
}
