//! `/v1/anchor/policies` over the wire, and how its outcomes look on Consul's pages.

use serde_json::{Value, json};

use super::lineage::{MANAGER, guarded, made};
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

#[tokio::test]
async fn a_registration_that_is_attested_has_a_receipt() {
    let server = Server::start(Settings::default()).await;
    let plain = [
        ("PUT /v1/catalog/register", service("pay-a", 80)),
        ("PUT /v1/agent/service/register", json!({"Name": "pay-b", "Port": 80})),
    ];
    for (line, body) in &plain {
        let (status, head, _) = asked(&server, line, body).await;
        assert!(status == 200 && !head.contains("x-anchor"), "{line}: {head}");
    }
    let rules = "package pay\ndecision contains {\"outcome\": \"attest\", \"rule\": \"shown\"} if {\n\
        \tinput.action == \"service:register\"\n\tstartswith(input.target.name, \"pay-\")\n}\n\
        decision contains {\"outcome\": \"defer\", \"rule\": \"late\"} if input.target.name == \"pay-late\"\n";
    written(&server, &format!("PUT {POLICY}"), &json!({"Rego": rules})).await;
    let scope = json!({"Services": ["pay-*"], "Policy": "pay"});
    written(&server, "PUT /v1/anchor/scope/dc1/pay", &scope).await;
    let attested = [
        ("PUT /v1/catalog/register", service("pay-a", 81)),
        ("PUT /v1/catalog/register", service("pay-a", 81)),
        ("PUT /v1/agent/service/register", json!({"Name": "Pay-B", "ID": "B", "Port": 81})),
        ("PUT /v1/agent/service/register", json!({"Name": "pay-b", "Port": 82})),
    ];
    for (line, body) in attested {
        let (status, head, _) = asked(&server, line, &body).await;
        assert!(status == 200 && head.contains("x-anchor-outcome: attest"), "{line}: {head}");
        let path = head.split("x-anchor-attestation: ").nth(1).unwrap();
        let path = path.lines().next().unwrap();
        assert!(path.starts_with("/v1/anchor/record/") && path.ends_with("/proof"), "{path}");
        let proof = written(&server, &format!("GET {path}"), &Value::Null).await;
        assert_eq!(proof["Lineage"], "dc1/pay", "{body}: {proof}");
    }
    for (line, body, told) in [
        ("PUT /v1/catalog/register", service("web", 80), None),
        ("PUT /v1/agent/service/register", json!({"Name": "web"}), None),
        ("PUT /v1/catalog/register", service("pay-late", 80), Some("x-anchor-outcome: defer")),
        ("PUT /v1/agent/service/register", json!({"Name": "pay-late"}), Some("outcome: defer")),
    ] {
        let (status, head, _) = asked(&server, line, &body).await;
        assert_eq!(status, 200, "{line}: {head}");
        assert_eq!(told.is_some_and(|told| head.contains(told)), told.is_some(), "{head}");
        assert_eq!(head.contains("x-anchor"), told.is_some(), "{head}");
        assert!(!head.contains("attestation"), "{head}");
    }
}

/// The first key of RFC 8032, 7.1.
const KEY: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";
/// `{"aud":"us","svc":"web","iat":1600000000,"exp":4102444800}`, signed with it.
const BEARER: &str = "eyJhbGciOiJFZERTQSIsImtpZCI6ImsifQ.eyJhdWQiOiJ1cyIsInN2YyI6IndlYiIsImlhdCI6MTYwMDAwMDAwMCwiZXhwIjo0MTAyNDQ0ODAwfQ.z95mio_8gw6LA3lvVJJ3BHgu7QpaEK075XPxVOeiE_lCHomlxVQRgg46PBZo3OABYKyVTYV_-4OrOa9PbL82BA";

/// The rule of a login that vouches for this service.
fn about(service: &str, outcome: &str) -> Value {
    let rule = format!(r#"{{"outcome": "{outcome}", "rule": "doors"}}"#);
    json!({"Rego": format!(r#"package doors
decision contains {rule} if {{
	input.action == "login"
	input.target.kind == "auth_method"
	input.caller.auth_method == input.target.name
	input.target.claims["value.service"] == "{service}"
}}"#)})
}

#[tokio::test]
async fn the_datacenters_policy_is_asked_about_logins_and_their_claims() {
    let server = guarded().await;
    let put = async |path: &str, body: &Value| {
        written(&server, &format!("PUT {path}?token={MANAGER}"), body).await
    };
    let config = json!({
        "JWTValidationPubKeys": [KEY], "BoundAudiences": ["us"], "ClaimMappings": {"svc": "service"},
    });
    let method = json!({"Name": "work", "Type": "jwt", "Config": config});
    put("/v1/acl/auth-method", &method).await;
    let rule = json!({"AuthMethod": "work", "BindType": "service", "BindName": "${value.service}"});
    put("/v1/acl/binding-rule", &rule).await;
    put("/v1/anchor/policy/doors", &about("web", "refuse")).await;
    put("/v1/anchor/scope/dc1", &json!({"Policy": "doors"})).await;
    let refused = "Permission denied: scope dc1 refuses by rule doors";
    let deferred = "Permission denied: scope dc1 refuses by rule doors, which defers: try again";
    let cases = [
        (about("web", "refuse"), 403, refused),
        (about("db", "refuse"), 200, r#"{"Name":"jwt-work-"#),
        (about("web", "defer"), 403, deferred),
        (about("db", "defer"), 200, r#"{"Name":"jwt-work-"#),
        (about("web", "resolve"), 200, r#"{"Name":"jwt-work-"#),
        (
            about("web", "nonsense"),
            403,
            "Permission denied: scope dc1 refuses by rule policy/fault",
        ),
    ];
    let login = json!({"AuthMethod": "work", "BearerToken": BEARER});
    for (policy, expected, begins) in cases {
        put("/v1/anchor/policy/doors", &policy).await;
        let (status, _, told) = asked(&server, "POST /v1/acl/login", &login).await;
        assert_eq!(status, expected, "{policy}: {told}");
        assert!(told.starts_with(begins), "{policy}: {told}");
    }
}

#[tokio::test]
async fn a_credential_for_policies_writes_those_of_its_scope() {
    let server = guarded().await;
    let open = |scope: &str| json!({"Scope": scope, "Rego": "package pay\ndecision := set()"});
    let token = made(&server, r#"key_prefix "" { policy = "read" }"#).await;
    let (own, accessor) =
        (token["SecretID"].as_str().unwrap(), token["AccessorID"].as_str().unwrap());
    let put = async |path: &str, body: &Value| {
        written(&server, &format!("PUT {path}?token={MANAGER}"), body).await
    };
    put("/v1/anchor/policy/root", &open("dc1")).await;
    put("/v1/anchor/policy/shared", &open("dc1/pay")).await;
    put("/v1/anchor/scope/dc1/pay", &json!({"Policy": "shared"})).await;
    put("/v1/anchor/scope/dc1/web", &json!({"Policy": "shared"})).await;
    let lacks = format!(
        "Permission denied: token with AccessorID '{accessor}' lacks permission 'operator:write'"
    );
    let write = format!("PUT {POLICY}?token={own}");
    let (status, _, told) = asked(&server, &write, &open("dc1/pay")).await;
    assert_eq!((status, told), (403, lacks.clone()));
    let subject = format!("accessor:{accessor}");
    let issue = |role: &str| json!({"Role": role, "Scope": "dc1/pay", "Subject": subject});
    put("/v1/anchor/credentials", &issue("workload")).await;
    let (status, _, told) = asked(&server, &write, &open("dc1/pay")).await;
    assert_eq!((status, told), (403, lacks));
    let issued = put("/v1/anchor/credentials", &issue("policy")).await;
    let outside = "Permission denied: scope dc1/pay refuses by rule credential/scope";
    let cases = [
        ("PUT", "pay", "dc1/pay", 200, "{"),
        ("PUT", "pay-more", "dc1/pay/eu", 200, "{"),
        ("PUT", "pay", "dc1/web", 403, outside),
        ("PUT", "pay", "", 403, outside),
        // Another's name, and a name by which another scope goes.
        ("PUT", "root", "dc1/pay", 403, outside),
        ("PUT", "shared", "dc1/pay", 403, outside),
        ("DELETE", "root", "", 403, outside),
        ("DELETE", "pay-more", "", 200, "true"),
        ("GET", "pay", "", 403, "Permission denied: token"),
    ];
    for (method, name, scope, expected, begins) in cases {
        let line = format!("{method} /v1/anchor/policy/{name}?token={own}");
        let body = if method == "PUT" { open(scope) } else { Value::Null };
        let (status, _, told) = asked(&server, &line, &body).await;
        assert_eq!(status, expected, "{line} {scope}: {told}");
        assert!(told.starts_with(begins), "{line} {scope}: {told}");
    }
    let id = issued["ID"].as_str().unwrap();
    written(&server, &format!("DELETE /v1/anchor/credential/{id}?token={MANAGER}"), &Value::Null)
        .await;
    let (status, _, told) = asked(&server, &write, &open("dc1/pay")).await;
    let revoked = "Permission denied: scope dc1/pay refuses by rule credential/revoked";
    assert_eq!((status, told.as_str()), (403, revoked));
}

#[tokio::test]
async fn a_path_is_answered_by_its_outcome() {
    let server = governed().await;
    for (name, port) in [("pay-shown", 80), ("pay-never", 80), ("pay-open", 80)] {
        written(&server, "PUT /v1/catalog/register", &service(name, port)).await;
    }
    let alias = json!({"Target": "pay-open", "ByAction": {"write": "refuse"}});
    written(&server, "PUT /v1/anchor/alias/geo", &alias).await;
    let cases = [
        ("dc1/pay/pay-open/x", 200, "\"Matched\":\"dc1/pay/pay-open\",\"Rest\":\"x\""),
        ("dc1/pay/pay-shown", 200, "application/vnd.proconsul.resolution+json"),
        ("dc1/pay/pay-never", 202, "\"Rule\":\"never\""),
        ("geo?action=write", 403, "\"Outcome\":\"refuse\""),
        ("nothing", 404, "\"Rest\":\"nothing\""),
    ];
    for (path, expected, has) in cases {
        let line = format!("GET /v1/anchor/resolve/{path}");
        let (status, head, body) = asked(&server, &line, &Value::Null).await;
        assert_eq!(status, expected, "{path}: {body}");
        assert!(body.contains(has), "{path}: {body}");
        assert_eq!(head.contains("retry-after: "), status == 202, "{path}: {head}");
        let signed = head.contains("content-type: application/vnd.dsse.envelope.v1+json");
        assert_eq!(signed, path.ends_with("pay-shown"), "{path}: {head}");
    }
}
