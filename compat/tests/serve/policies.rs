//! `/v1/anchor/policies` over the wire, and how its outcomes look on Consul's pages.

use serde_json::{Value, json};

use super::{Server, Settings};

const POLICY: &str = "/v1/anchor/policy/pay";
const RULES: &str = r#"package pay
decision contains {"outcome": "refuse", "rule": "hidden"} if {
	input.action in ["service:read", "key:read"]
	contains(input.target.name, "hidden")
}
decision contains {"outcome": "attest", "rule": "shown"} if {
	input.action == "service:read"
	input.target.name == "pay-shown"
}
decision contains {"outcome": "defer", "rule": "never"} if {
	input.action == "service:read"
	input.target.name == "pay-never"
}
decision contains {"outcome": "refuse", "rule": "ports"} if {
	input.action == "service:register"
	input.target.port == 22
}
decision contains {"outcome": "defer", "rule": "approval"} if {
	input.action == "service:register"
	input.target.name == "pay-late"
}
"#;

/// The status, the head and the body of an answer.
async fn asked(server: &Server, line: &str, body: &Value) -> (u16, String, String) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = server.ask(line, &body).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), head.to_lowercase(), body.to_owned())
}

async fn written(server: &Server, line: &str, body: &Value) -> Value {
    let (status, _, answer) = asked(server, line, body).await;
    assert_eq!(status, 200, "{line}: {answer}");
    serde_json::from_str(&answer).unwrap_or(Value::Null)
}

fn service(name: &str, port: u16) -> Value {
    json!({"Node": "n1", "Address": "10.0.0.1", "Service": {"Service": name, "Port": port},
        "Check": {"CheckID": format!("c-{name}"), "Name": "c", "ServiceID": name, "Status": "passing"}})
}

/// `dc1/pay` has all names that begin so, and a policy.
async fn governed() -> Server {
    let server = Server::start(Settings::default()).await;
    let made = written(&server, &format!("PUT {POLICY}"), &json!({"Rego": RULES})).await;
    assert_eq!((&made["Version"], &made["Scope"]), (&json!(1), &json!("dc1")));
    let scope = json!({"Services": ["pay-*"], "Keys": ["pay/"], "Policy": "pay"});
    written(&server, "PUT /v1/anchor/scope/dc1/pay", &scope).await;
    server
}

#[tokio::test]
async fn a_policy_is_written_read_explained_and_deleted() {
    let server = governed().await;
    let again = written(&server, &format!("PUT {POLICY}"), &json!({"Rego": RULES})).await;
    assert_eq!(again["Version"], 1);
    let bad = json!({"Rego": "package pay\n\ndecision := {"});
    let (status, _, told) = asked(&server, &format!("PUT {POLICY}"), &bad).await;
    assert!(status == 400 && told.contains("pay:3"), "{status} {told}");
    let read = written(&server, &format!("GET {POLICY}"), &Value::Null).await;
    assert_eq!((&read["Rego"], &read["Version"]), (&json!(RULES), &json!(1)));
    let list = written(&server, "GET /v1/anchor/policies", &Value::Null).await;
    assert_eq!(list[0]["Name"], "pay");
    let asks = json!({"Action": "service:register", "Name": "pay-api", "Port": 22});
    let told = written(&server, "PUT /v1/anchor/policies/explain", &asks).await;
    assert_eq!(
        (&told["Scope"], &told["Outcome"], &told["Rule"]),
        (&json!("dc1/pay"), &json!("refuse"), &json!("ports"))
    );
    assert_eq!(told["Policies"][0]["Policy"], "pay");
    assert_eq!(told["Input"]["target"]["port"], 22);
    let other = json!({"Rego": "package pay\ndecision := set()"});
    let made = written(&server, "PUT /v1/anchor/policy/other", &other).await;
    assert_eq!(made["Version"], 1);
    assert_eq!(written(&server, "DELETE /v1/anchor/policy/other", &Value::Null).await, json!(true));
    let (status, _, told) = asked(&server, "GET /v1/anchor/policy/other", &Value::Null).await;
    assert_eq!((status, told.as_str()), (404, "No policy \"other\""));
}

#[tokio::test]
async fn outcomes_look_as_consul_has_room_for_them() {
    let server = governed().await;
    for name in ["pay-api", "pay-shown", "pay-hidden", "web"] {
        written(&server, "PUT /v1/catalog/register", &service(name, 80)).await;
    }
    for key in ["pay/hidden", "pay/k"] {
        written(&server, &format!("PUT /v1/kv/{key}"), &json!("v")).await;
    }
    let filtered = "x-consul-results-filtered-by-acls: true";
    let cases: [(&str, bool, &[&str]); 8] = [
        ("/v1/health/service/web", true, &[]),
        ("/v1/health/service/pay-api", true, &["x-anchor-outcome: resolve"]),
        (
            "/v1/health/service/pay-shown",
            true,
            &["x-anchor-outcome: attest", "x-anchor-attestation: /v1/anchor/attestation/"],
        ),
        ("/v1/health/service/pay-hidden", false, &["x-anchor-outcome: refuse", filtered]),
        ("/v1/catalog/service/pay-hidden", false, &["x-anchor-outcome: refuse", filtered]),
        ("/v1/health/checks/pay-hidden", false, &["x-anchor-outcome: refuse", filtered]),
        ("/v1/kv/pay/hidden", false, &["x-anchor-outcome: refuse", filtered]),
        ("/v1/kv/pay/k", true, &["x-anchor-outcome: resolve"]),
    ];
    for (target, shown, headers) in cases {
        let (status, head, body) = asked(&server, &format!("GET {target}"), &Value::Null).await;
        assert_eq!((status, body != "[]"), (200, shown), "{target}: {body}");
        for header in headers {
            assert!(head.contains(header), "{target}: {header} in {head}");
        }
    }
    let (_, head, services) = asked(&server, "GET /v1/catalog/services", &Value::Null).await;
    assert!(head.contains(filtered) && !services.contains("pay-hidden"), "{services}");
    assert!(services.contains("pay-api") && services.contains("web"));
    // Deferred and never answered before: as a datacenter that cannot be reached.
    let (status, _, told) = asked(&server, "GET /v1/health/service/pay-never", &Value::Null).await;
    assert_eq!((status, told.as_str()), (500, "No path to datacenter"));
    let (status, _, told) = asked(&server, "PUT /v1/catalog/register", &service("pay-x", 22)).await;
    assert_eq!(
        (status, told.as_str()),
        (403, "Permission denied: scope dc1/pay refuses by rule ports")
    );
}

#[tokio::test]
async fn a_deferred_registration_is_held_with_its_reason() {
    let server = governed().await;
    written(&server, "PUT /v1/catalog/register", &service("pay-late", 80)).await;
    let health = written(&server, "GET /v1/health/service/pay-late", &Value::Null).await;
    let check = &health[0]["Checks"][0];
    let told = (json!("critical"), json!("deferred: scope dc1/pay, rule approval"));
    assert_eq!((&check["Status"], &check["Output"]), (&told.0, &told.1));
    let passing = "GET /v1/health/service/pay-late?passing";
    assert_eq!(written(&server, passing, &Value::Null).await, json!([]));
    let critical = written(&server, "GET /v1/health/state/critical", &Value::Null).await;
    assert_eq!(critical[0]["CheckID"], "c-pay-late");
    let open = json!({"Rego": "package pay\ndecision := set()"});
    assert_eq!(written(&server, &format!("PUT {POLICY}"), &open).await["Version"], 2);
    let passing = written(&server, passing, &Value::Null).await;
    assert_eq!(passing[0]["Checks"][0]["Status"], "passing");
}
