//! `/v1/anchor/credentials` over the wire.

use serde_json::{Value, json};

use super::{Server, Settings};

const ALL: &str = "/v1/anchor/credentials";
const ACCESSOR: &str = "accessor:0d2a5ba6-4a5b-4d6e-8a39-5bd3e0b64c21";

async fn asked(server: &Server, line: &str, body: &Value) -> (u16, String) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = server.ask(line, &body).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}

async fn read(server: &Server, line: &str, body: &Value) -> Value {
    let (status, answer) = asked(server, line, body).await;
    assert_eq!(status, 200, "{line}: {answer}");
    serde_json::from_str(&answer).unwrap()
}

fn workload() -> Value {
    json!({"Role": "workload", "Scope": "dc1/payments", "Subject": ACCESSOR})
}

/// The same with one field said otherwise.
fn with(field: &str, value: Value) -> Value {
    let mut form = workload();
    form[field] = value;
    form
}

#[tokio::test]
async fn a_credential_is_issued_found_rotated_and_revoked() {
    let server = Server::start(Settings::default()).await;
    assert_eq!(read(&server, &format!("GET {ALL}"), &Value::Null).await, json!([]));
    let wish = with("NotAfter", json!("2023-11-20T00:00:00Z"));
    let issued = read(&server, &format!("PUT {ALL}"), &wish).await;
    assert_eq!((&issued["State"], &issued["NotAfter"]), (&json!("valid"), &wish["NotAfter"]));
    assert_eq!(issued["Chain"].as_array().unwrap().len(), 3);
    let (id, issuer) = (issued["ID"].as_str().unwrap(), issued["Issuer"].as_str().unwrap());
    for (filter, count) in [
        ("role=workload", 1),
        ("role=anchor", 1),
        ("scope=dc1", 2),
        ("state=valid", 3),
        ("state=expired", 0),
        (&format!("issuer={issuer}"), 1),
        (&format!("subject={ACCESSOR}&role=workload"), 1),
        ("subject=accessor:none", 0),
    ] {
        let found = read(&server, &format!("GET {ALL}?{filter}"), &Value::Null).await;
        assert_eq!(found.as_array().unwrap().len(), count, "{filter}");
    }
    let one = format!("/v1/anchor/credential/{id}");
    assert_eq!(read(&server, &format!("GET {one}"), &Value::Null).await, issued);
    let longer = read(&server, &format!("PUT {ALL}"), &with("TTL", json!("48h"))).await;
    let admitted = read(&server, &format!("GET {one}/admitted"), &Value::Null).await;
    let lineage = format!("/v1/anchor/lineage/dc1/payments?credential={id}");
    assert_eq!(
        (admitted.as_array().unwrap().len(), &admitted[0]["Lineages"]),
        (1, &json!([lineage]))
    );
    let under = format!("GET /v1/anchor/credential/{issuer}/admitted");
    assert_eq!(read(&server, &under, &Value::Null).await.as_array().unwrap().len(), 3);
    let gone = read(&server, &format!("DELETE {one}"), &Value::Null).await;
    assert_eq!(gone["State"], "revoked");
    assert!(gone["Reason"].as_str().unwrap().contains(id), "{gone}");
    // The clock stands still: what would be issued anew is the very same.
    let again = format!("PUT /v1/anchor/credential/{}/rotate", longer["ID"].as_str().unwrap());
    let told = "Invalid credential: ID: was issued in this very second; rotate it in the next";
    assert_eq!(asked(&server, &again, &Value::Null).await, (400, told.to_owned()));
    let key =
        format!("ed25519:{}", "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
    let rotated = read(&server, &again, &json!({"Subject": key, "Overlap": "1h"})).await;
    assert_eq!((&rotated["Subject"], &rotated["State"]), (&json!(key), &json!("valid")));
    server.check(&[("POST /v1/anchor/credential/x", "", 405, "method POST not allowed")]).await;
}

#[tokio::test]
async fn what_is_wrong_with_a_credential_is_named() {
    let server = Server::start(Settings::default()).await;
    let envelope = |payload: String, kind: &str, signatures: Value| json!({"Envelope": {"payload": payload, "payloadType": kind, "signatures": signatures}});
    let kind = "application/vnd.proconsul.credential+json";
    let signed = json!([{"sig": ""}]);
    let small = &envelope("AA==".to_owned(), "x", signed.clone())["Envelope"];
    let cases = [
        (with("Role", json!("emperor")), "Role: must be one of root, policy, anchor"),
        (with("Role", json!("root")), "Role: a root signs itself"),
        (with("Role", json!("")), "Role: is missing"),
        (with("Scope", json!("DC1")), "Scope: scope \"DC1\": the label \"DC1\""),
        (with("Scope", json!("eu")), "Scope: its scope eu is not within its issuer's scope dc1"),
        (with("Subject", json!("web")), "Subject: the subject \"web\" must be ed25519:"),
        (with("Role", json!("peer")), "Subject: a credential of role peer needs a key"),
        (with("TTL", json!("-1h")), "TTL: must be above 0"),
        (with("TTL", json!("a")), "TTL: time: invalid duration"),
        (with("TTL", json!("100000h")), "NotAfter: is after the end of its issuer"),
        (with("NotAfter", json!("2001-01-01T00:00:00Z")), "NotAfter: must be after NotBefore"),
        (with("NotBefore", json!("tomorrow")), "NotBefore: parsing time \"tomorrow\""),
        (with("NotBefore", json!("2099-01-01T00:00:00Z")), "NotAfter: must be after NotBefore"),
        (with("Issuer", json!("00")), "Issuer: is not known"),
        (
            with("Actions", json!(vec!["x"; 65])),
            "Envelope: the credential's statement cannot be read: actions has 65",
        ),
        (
            envelope("e30=".to_owned(), "text/plain", signed.clone()),
            "Envelope: the envelope's payloadType is \"text/plain\"",
        ),
        (
            envelope("e30=".to_owned(), kind, signed.clone()),
            "Envelope: the credential's statement cannot be read: missing field",
        ),
        (envelope("e30=".to_owned(), kind, json!([])), "Envelope: the envelope has 0 signatures"),
        (envelope("A".repeat(1 << 20), kind, signed.clone()), "Envelope: the envelope has 1048"),
        (json!({"Envelopes": vec![small; 21]}), "Envelopes: must be 1 to 20"),
        (json!({"Envelopes": vec![small; 50_000]}), "Envelopes: must be 1 to 20"),
        (json!({"Envelope": small, "Role": "peer"}), "Envelope: tells all of it"),
    ];
    for (form, expected) in cases {
        let shown = format!("{:.200}", form.to_string());
        let (status, told) = asked(&server, &format!("PUT {ALL}"), &form).await;
        assert_eq!(status, 400, "{shown}: {told}");
        assert!(told.starts_with(&format!("Invalid credential: {expected}")), "{shown}: {told}");
    }
    let none = "No credential \"x\"";
    server
        .check(&[
            ("GET /v1/anchor/credential/x", "", 404, none),
            ("DELETE /v1/anchor/credential/x", "", 404, none),
            ("PUT /v1/anchor/credential/x/rotate", "", 404, none),
            ("GET /v1/anchor/attestation/x", "", 404, "No attestation \"x\""),
            ("GET /v1/anchor/credentials?dc=other", "", 500, "No path to datacenter"),
        ])
        .await;
}

/// Nothing of it is there before it is asked for: no credential, and no entry in the lineage.
#[tokio::test]
async fn the_taxonomy_is_there_before_any_credential() {
    let server = Server::start(Settings::default()).await;
    let taxonomy = read(&server, "GET /v1/anchor/taxonomy", &Value::Null).await;
    assert_eq!(taxonomy["payloadType"], "application/vnd.proconsul.taxonomy+json");
    assert_eq!(read(&server, "GET /v1/anchor/jwks", &Value::Null).await, json!({"keys": []}));
    let lineage = read(&server, "GET /v1/anchor/lineage/dc1", &Value::Null).await;
    assert_eq!(lineage["Entries"], json!([]));
}
