//! How much a client may ask for.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::harness::{Agent, Folder};

/// Asks on a connection that stays open; its status.
fn ask(stream: &mut TcpStream) -> String {
    stream.write_all(b"GET /v1/status/leader HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).unwrap();
    String::from_utf8_lossy(&status[9..]).into_owned()
}

#[test]
fn a_client_has_only_so_many_connections() {
    let folder = Folder::new();
    let config = folder.write("limits.hcl", "limits { http_max_conns_per_client = 2 }");
    let mut agent = Agent::start(&["-dev", "-config-file", &config]);
    let http = agent.http();
    let connect = || TcpStream::connect(("127.0.0.1", http)).unwrap();
    let mut held = Vec::new();
    // Those that asked whether it runs may take a moment to go.
    agent.until("two connections are open", |_| {
        let mut stream = connect();
        if ask(&mut stream) == "200" {
            held.push(stream);
        }
        held.len() == 2
    });
    let mut refused = String::new();
    connect().read_to_string(&mut refused).unwrap();
    let (head, body) = refused.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 429 Too Many Requests\r\n"), "{refused}");
    assert!(head.contains(&format!("Content-Length: {}", body.len())), "{refused}");
    assert!(body.starts_with("Your IP is issuing too many concurrent connections"), "{body}");
    // A place that was given back is another's, and a reload gives more.
    drop(held.pop());
    agent.until("there is room again", |_| ask_if_let_in(&mut connect()));
    folder.write("limits.hcl", "limits { http_max_conns_per_client = 100 }");
    agent.until("it was reloaded", |agent| {
        agent.ask("PUT", "/v1/agent/reload", "").is_some_and(|(status, _)| status == 200)
    });
    let mut many: Vec<TcpStream> = (0..20).map(|_| connect()).collect();
    assert!(many.iter_mut().all(|stream| ask(stream) == "200"));
}

/// Whether a request is answered: a connection that is refused may be gone before it can be asked.
fn ask_if_let_in(stream: &mut TcpStream) -> bool {
    let asked = stream.write_all(b"GET /v1/status/leader HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut status = [0; 12];
    asked.is_ok() && stream.read_exact(&mut status).is_ok() && status.ends_with(b"200")
}

#[test]
fn requests_are_refused_above_their_rate_and_a_reload_lifts_it() {
    let folder = Folder::new();
    let limits = |mode: &str| {
        let rates = "read_rate = 0 write_rate = 0";
        folder.write(
            "limits.hcl",
            &format!("limits {{ request_limits {{ mode = {mode:?} {rates} }} }}"),
        )
    };
    let agent = Agent::start(&["-dev", "-config-file", &limits("enforcing")]);
    let exchange = |method, path| agent.ask(method, path, "").expect("the agent answers");
    let (status, told) = exchange("PUT", "/v1/kv/a");
    let later = "rate limit exceeded for operation that can only be performed by the leader, try again later";
    assert_eq!((status, told.as_str()), (503, later));
    let (status, told) = exchange("GET", "/v1/kv/a");
    let elsewhere = "rate limit exceeded, try again later or against a different server";
    assert_eq!((status, told.as_str()), (429, elsewhere));
    limits("permissive");
    // Whoever looks after the agent is never refused.
    assert_eq!(exchange("PUT", "/v1/agent/reload").0, 200);
    assert_eq!(exchange("PUT", "/v1/kv/a"), (200, "true".to_owned()));
    assert!(agent.get("/v1/agent/self").contains(r#""RequestLimitsMode": 1"#));
}

#[test]
fn who_takes_too_long_is_cut_off() {
    let folder = Folder::new();
    let config = folder.write(
        "limits.hcl",
        "http_config { read_header_timeout = \"1s\" write_timeout = \"1s\" max_header_bytes = 100 }",
    );
    let agent = Agent::start(&["-dev", "-config-file", &config]);
    let say = |text: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", agent.http())).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    assert_eq!(say(""), "");
    assert!(say("GET /v1/sta").starts_with("HTTP/1.1 400 Bad Request\r\n"));
    // Nobody waits for an answer that comes after its time.
    assert_eq!(say("GET /v1/kv/a?index=9999&wait=2s HTTP/1.1\r\nHost: x\r\n\r\n"), "");
    let head = "a".repeat(5_000);
    let long = say(&format!("GET /v1/kv/a HTTP/1.1\r\nHost: x\r\nX: {head}\r\n\r\n"));
    assert!(long.starts_with("HTTP/1.1 431 "), "{long}");
}
