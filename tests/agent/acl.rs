//! Access control of a real process: its first manager, the way back in, logins with keys from elsewhere, and what of its
//! secrets lies on the disk.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Agent, Folder, replay};

/// Made-up secrets.
const FIRST: &str = "11111111-aaaa-bbbb-cccc-000000000001";
const SECOND: &str = "11111111-aaaa-bbbb-cccc-000000000002";

/// The first key of RFC 8032, 7.1, as a key set has it.
const KEYS: &str = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

/// `{"aud":"us","svc":"web","iat":1600000000,"exp":4102444800}`, signed with that key.
const BEARER: &str = "eyJhbGciOiJFZERTQSIsImtpZCI6ImsifQ.eyJhdWQiOiJ1cyIsInN2YyI6IndlYiIsImlhdCI6MTYwMDAwMDAwMCwiZXhwIjo0MTAyNDQ0ODAwfQ.z95mio_8gw6LA3lvVJJ3BHgu7QpaEK075XPxVOeiE_lCHomlxVQRgg46PBZo3OABYKyVTYV_-4OrOa9PbL82BA";

fn start(folder: &Folder) -> Agent {
    let config =
        folder.write("acl.json", r#"{"acl": {"enabled": true, "default_policy": "deny"}}"#);
    let [server, bootstrap, flag, data] = folder.arguments();
    Agent::start(&[server, bootstrap, flag, data, "-config-file", &config])
}

fn ask(agent: &Agent, method: &str, path: &str, body: &Value) -> (u16, String) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    agent.ask(method, path, &body).expect("the agent answers")
}

fn json_of(reply: &str) -> Value {
    serde_json::from_str(reply).unwrap_or(Value::Null)
}

/// Whether any file of a folder holds this text.
fn holds(folder: &Path, text: &str) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return holds(&path, text);
        }
        let bytes = fs::read(path).unwrap();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}

/// Answers every request with the keys, as long as the test runs.
fn serve_keys() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _head = stream.read(&mut [0; 4096]);
            let length = KEYS.len();
            let _gone = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{KEYS}"
            );
        }
    });
    format!("http://{address}/keys")
}

#[test]
fn there_is_one_first_manager_and_a_way_back_in() {
    let folder = Folder::new();
    let agent = start(&folder);
    let bootstrap =
        |secret: &str| ask(&agent, "PUT", "/v1/acl/bootstrap", &json!({"BootstrapSecret": secret}));
    let (status, reply) = bootstrap(FIRST);
    assert_eq!((status, &json_of(&reply)["ID"]), (200, &json!(FIRST)), "{reply}");
    let (status, told) = bootstrap(SECOND);
    assert_eq!(status, 403, "{told}");
    let digits: String = told.chars().filter(char::is_ascii_digit).collect();
    folder.write("acl-bootstrap-reset", "1");
    assert_eq!(bootstrap(SECOND).0, 500);
    folder.write("acl-bootstrap-reset", &digits);
    assert_eq!(bootstrap(SECOND).0, 200);
    assert!(!folder.path().join("acl-bootstrap-reset").exists(), "it serves once");
    assert_eq!(bootstrap(SECOND).0, 403);

    drop(agent);
    let agent = start(&folder);
    for secret in [FIRST, SECOND] {
        let (status, _) =
            ask(&agent, "GET", &format!("/v1/acl/tokens?token={secret}"), &Value::Null);
        assert_eq!(status, 200, "after a restart");
        assert!(!holds(folder.path(), secret), "it lies on the disk");
    }
    drop(agent);
    assert!(replay(&folder).status.success());
}

#[test]
fn workloads_log_in_with_keys_from_elsewhere() {
    let folder = Folder::new();
    let agent = start(&folder);
    ask(&agent, "PUT", "/v1/acl/bootstrap", &json!({"BootstrapSecret": FIRST}));
    let put = |path: &str, body: Value| {
        let (status, reply) = ask(&agent, "PUT", &format!("{path}?token={FIRST}"), &body);
        assert_eq!(status, 200, "{path}: {reply}");
    };
    let config = json!({
        "JWKSURL": serve_keys(), "BoundAudiences": ["us"], "ClaimMappings": {"svc": "service"},
    });
    put("/v1/acl/auth-method", json!({"Name": "work", "Type": "jwt", "Config": config}));
    put(
        "/v1/acl/binding-rule",
        json!({
            "AuthMethod": "work", "Selector": "value.service != ``", "BindType": "service", "BindName": "${value.service}",
        }),
    );
    let login = json!({"AuthMethod": "work", "BearerToken": BEARER});
    let (status, reply) = ask(&agent, "POST", "/v1/acl/login", &login);
    assert_eq!(status, 200, "{reply}");
    let secret = json_of(&reply)["SecretID"].as_str().unwrap().to_owned();

    let register = |name: &str| {
        let path = format!("/v1/agent/service/register?token={secret}");
        ask(&agent, "PUT", &path, &json!({"Name": name})).0
    };
    assert_eq!((register("web"), register("db")), (200, 403));
    assert_eq!(ask(&agent, "POST", &format!("/v1/acl/logout?token={secret}"), &Value::Null).0, 200);
    assert_eq!(register("web"), 403, "logged out");
    assert!(
        !holds(folder.path(), &secret) && !holds(folder.path(), BEARER),
        "they lie on the disk"
    );
}
