//! `/v1/anchor/lineage` over the wire.

use proconsul_anchors::acl::{AclSettings, DefaultPolicy};
use proconsul_anchors::caller::Secret;
use serde_json::Value;

use super::{Server, Settings, header};

async fn written(keys: usize) -> Server {
    let server = Server::start(Settings::default()).await;
    for number in 0..keys {
        let line = format!("PUT /v1/kv/k{}", number % 3);
        assert!(server.ask(&line, &format!("value {number}")).await.ends_with("true"));
    }
    server
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

/// A body that came in chunks, put together.
fn unchunked(answer: &str) -> String {
    let mut rest = body(answer);
    let mut whole = String::new();
    while let Some((length, after)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        whole.push_str(&after[..length]);
        rest = &after[(length + 2).min(after.len())..];
    }
    whole
}

async fn json(server: &Server, line: &str) -> Value {
    let answer = server.ask(line, "").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{line}: {answer}");
    serde_json::from_str(body(&answer)).unwrap()
}

#[tokio::test]
async fn a_lineage_is_read_page_by_page() {
    let server = written(7).await;
    let list = json(&server, "GET /v1/anchor/lineage").await;
    assert_eq!((&list[0]["Scope"], &list[0]["Size"]), (&"dc1".into(), &7.into()));
    let first = json(&server, "GET /v1/anchor/lineage/dc1?limit=4&payload").await;
    assert_eq!(first["Entries"].as_array().unwrap().len(), 4);
    assert_eq!(first["Entries"][1]["Kind"], "kv_put");
    assert_eq!(first["Entries"][1]["Change"]["kv"]["put"]["key"], "k1");
    let line = format!("GET /v1/anchor/lineage/dc1/?cursor={}", first["Next"].as_str().unwrap());
    let rest = json(&server, &line).await;
    assert_eq!((rest["Entries"].as_array().unwrap().len(), &rest["Next"]), (3, &Value::Null));
    assert_eq!(
        rest["Entries"][0]["Change"],
        Value::Null,
        "payloads are told when they are asked for"
    );
    let back = json(&server, "GET /v1/anchor/lineage/dc1?reverse&limit=2").await;
    assert_eq!((&back["Entries"][0]["Seq"], &back["Next"]), (&6.into(), &"-5".into()));
    let uid = first["Entries"][1]["UID"].as_str().unwrap();
    let cases = [
        (format!("uid={uid}"), 2),
        ("actor=anonymous".to_owned(), 7),
        ("actor=nobody".to_owned(), 0),
        ("kind=kv_put".to_owned(), 7),
        ("kind=register".to_owned(), 0),
        ("outcome=resolve".to_owned(), 7),
        ("outcome=refuse".to_owned(), 0),
        ("credential=x".to_owned(), 0),
        ("since=2023-11-14T22:13:20Z".to_owned(), 7),
        ("until=2023-11-14T22:13:20Z".to_owned(), 0),
    ];
    for (query, expected) in cases {
        let found = json(&server, &format!("GET /v1/anchor/lineage/dc1?{query}")).await;
        assert_eq!(found["Entries"].as_array().unwrap().len(), expected, "{query}");
    }
}

#[tokio::test]
async fn bad_questions_about_a_lineage_are_told_what_is_wrong() {
    let server = written(3).await;
    let cases = [
        ("dc1?cursor=x", 400, "Invalid cursor: it must be what Next of an earlier page told"),
        ("dc1?limit=0", 400, "Invalid limit: it must be a number from 1 to 1000"),
        (
            "dc1?limit=99999999999999999999",
            400,
            "Invalid limit: it must be a number from 1 to 1000",
        ),
        ("dc1?uid=7", 400, "Invalid uid"),
        ("dc1?since=yesterday", 400, "Invalid since: it must be a time as 2026-11-20T17:00:00Z"),
        ("dc1?outcome=maybe", 400, "Invalid outcome: it must be resolve, attest, defer or refuse"),
        ("dc1?format=xml", 400, "Invalid format"),
        ("dc1/nope", 404, "Unknown scope \"dc1/nope\": there are dc1"),
        ("nope/checkpoint", 404, "Unknown scope \"nope\": there are dc1"),
        ("DC1", 404, "Unknown scope"),
        ("dc1/tile/0/000", 404, "The lineage of dc1 has 3 entries: tile/0/000 is not there"),
        ("dc1/tile/entries/001.p/1", 404, "The lineage of dc1 has 3 entries"),
        ("dc1/tile/63/000.p/1", 404, "The lineage of dc1 has 3 entries"),
        ("dc1/tile/0/x018/x446/x744/x073/x709/x551/615.p/1", 404, "The lineage of dc1 has"),
        ("dc1/tile/0/x018/x446/x744/x073/x709/x551/616.p/1", 400, "Invalid tile path"),
        ("dc1/tile/0/0", 400, "Invalid tile path"),
        ("dc1/tile/0/000.p/0", 400, "Invalid tile path"),
        ("dc1/tile/0/000.p/256", 400, "Invalid tile path"),
        ("dc1/tile/00/000", 400, "Invalid tile path"),
    ];
    for (path, status, expected) in cases {
        let answer = server.ask(&format!("GET /v1/anchor/lineage/{path}"), "").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
        assert!(body(&answer).starts_with(expected), "{path}: {answer}");
    }
    let far = json(&server, "GET /v1/anchor/lineage/dc1?cursor=18446744073709551615").await;
    assert_eq!((&far["Entries"], &far["Next"]), (&Value::Array(Vec::new()), &Value::Null));
}

#[tokio::test]
async fn checkpoints_and_tiles_are_served_as_tlog_tiles_has_them() {
    let server = written(3).await;
    let checkpoint = server.ask("GET /v1/anchor/lineage/dc1/checkpoint", "").await;
    assert!(body(&checkpoint).starts_with("dc1\n3\n"), "{checkpoint}");
    let told = ["Content-Type", "Cache-Control"].map(|name| header(&checkpoint, name));
    assert_eq!(told, [Some("text/plain; charset=utf-8"), Some("no-cache")]);
    let bundle = server.ask("GET /v1/anchor/lineage/dc1/tile/entries/000.p/3", "").await;
    assert_eq!(bundle.matches(r#"{"seq":"#).count(), 3, "{bundle}");
    let told = ["Content-Type", "Cache-Control"].map(|name| header(&bundle, name));
    let kept = "private, max-age=604800, immutable";
    assert_eq!(told, [Some("application/octet-stream"), Some(kept)]);
}

#[tokio::test]
async fn an_export_has_every_entry_and_ends_with_what_signs_them() {
    let server = written(5).await;
    let answer = server.ask("GET /v1/anchor/lineage/dc1?format=ndjson", "").await;
    assert_eq!(header(&answer, "Content-Type"), Some("application/x-ndjson"));
    let lines = unchunked(&answer);
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 7);
    assert_eq!((&lines[0]["Lineage"], &lines[0]["Size"]), (&"dc1".into(), &5.into()));
    assert_eq!(lines[0]["Complete"], true);
    assert!(lines[6]["Checkpoint"].as_str().unwrap().starts_with("dc1\n5\n"));
    let change: Value = serde_json::from_str(lines[3]["Payload"].as_str().unwrap()).unwrap();
    assert_eq!(change["kv"]["put"]["key"], "k2");
    let some = server.ask("GET /v1/anchor/lineage/dc1?format=ndjson&kind=register", "").await;
    let some = unchunked(&some);
    assert_eq!(some.lines().count(), 2, "{some}");
    assert!(some.contains(r#""Complete":false"#), "{some}");
}

#[tokio::test]
async fn a_record_is_known_through_all_its_versions() {
    let server = Server::start(Settings::default()).await;
    for value in ["one", "two", "three"] {
        server.ask("PUT /v1/kv/app?flags=7", value).await;
    }
    let page = json(&server, "GET /v1/anchor/lineage/dc1").await;
    let uid = page["Entries"][0]["UID"].as_str().unwrap().to_owned();
    let record = format!("/v1/anchor/record/{uid}");
    let now = json(&server, &format!("GET {record}")).await;
    assert_eq!((&now["Version"], &now["Newest"]), (&3.into(), &3.into()));
    assert_eq!((&now["Body"]["key"], &now["Body"]["value"]), (&"app".into(), &"dGhyZWU=".into()));
    let first = json(&server, &format!("GET {record}?version=1")).await;
    assert_eq!(first["Body"]["value"], "b25l");
    let versions = json(&server, &format!("GET {record}/versions")).await;
    assert_eq!(versions.as_array().unwrap().len(), 3);
    assert_eq!(versions[1]["Entry"]["Seq"], 1);
    let diff = json(&server, &format!("GET {record}/diff?from=1&to=3")).await;
    assert_eq!(diff.to_string(), r#"[{"op":"replace","path":"/value","value":"dGhyZWU="}]"#);
    let back = json(&server, &format!("PUT {record}/rollback?version=1")).await;
    assert_eq!((&back["UID"], &back["Entry"]), (&uid.as_str().into(), &3.into()));
    let again = json(&server, &format!("GET {record}")).await;
    assert_eq!((&again["Version"], &again["Body"]), (&4.into(), &first["Body"]));
    assert!(server.ask("GET /v1/kv/app?raw", "").await.ends_with("one"));
    let proof = server.ask(&format!("GET {record}/proof?version=2"), "").await;
    let report = proconsul_anchors::lineage::verify::record_proof(body(&proof).as_bytes(), &[]);
    assert!(report.unwrap().is_clean());
    assert!(server.ask("DELETE /v1/kv/app", "").await.ends_with("true"));
    let gone = server.ask(&format!("GET {record}"), "").await;
    assert!(gone.starts_with("HTTP/1.1 410 ") && gone.contains(r#""Removed":true"#), "{gone}");
    let line = format!("DELETE {record}/payloads?before=2030-01-01T00:00:00Z");
    let pruned = server.ask(&line, "").await;
    assert!(pruned.ends_with(r#"{"Pruned":5}"#), "{pruned}");
    let pruned = server.ask(&format!("GET {record}?version=2"), "").await;
    assert!(pruned.starts_with("HTTP/1.1 410 ") && pruned.contains(r#""LeafHash":""#), "{pruned}");
    let proof = server.ask(&format!("GET {record}/proof?version=2"), "").await;
    let report = proconsul_anchors::lineage::verify::record_proof(body(&proof).as_bytes(), &[]);
    assert!(report.unwrap().is_clean(), "what is pruned can still be proven");
}

#[tokio::test]
async fn bad_questions_about_a_record_are_told_what_is_wrong() {
    let server = written(3).await;
    let page = json(&server, "GET /v1/anchor/lineage/dc1").await;
    let uid = page["Entries"][0]["UID"].as_str().unwrap();
    let never = "0190c6f0-0000-7000-8000-000000000000";
    let cases = [
        ("GET", "x".to_owned(), 400, "Invalid uid"),
        ("GET", never.to_owned(), 404, "No entry of any lineage speaks of record"),
        ("GET", format!("{never}/versions"), 404, "No entry of any lineage"),
        ("GET", format!("{uid}?version=9"), 404, "Record"),
        ("GET", format!("{uid}?version=x"), 400, "Invalid version: it must be a number"),
        ("GET", format!("{uid}/diff"), 404, "Record"),
        ("GET", format!("{uid}/nope"), 404, "No page \"nope\" of a record"),
        ("PUT", format!("{uid}/rollback"), 400, "Invalid version: say which one to go back to"),
        ("DELETE", uid.to_owned(), 405, "method DELETE not allowed"),
        ("DELETE", format!("{uid}/payloads?before=x"), 400, "Invalid before"),
    ];
    for (method, path, status, expected) in cases {
        let answer = server.ask(&format!("{method} /v1/anchor/record/{path}"), "").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
        assert!(body(&answer).starts_with(expected), "{path}: {answer}");
    }
}

pub(super) const MANAGER: &str = "11111111-1111-1111-1111-111111111111";

/// The secret of a token with these rules.
async fn token(server: &Server, rules: &str) -> String {
    made(server, rules).await["SecretID"].as_str().unwrap().to_owned()
}

pub(super) async fn made(server: &Server, rules: &str) -> Value {
    let name = format!("p{}", rules.len());
    let policy = serde_json::json!({ "Name": name, "Rules": rules }).to_string();
    let line = format!("PUT /v1/acl/policy?token={MANAGER}");
    assert!(server.ask(&line, &policy).await.starts_with("HTTP/1.1 200 "));
    let token = serde_json::json!({ "Policies": [{ "Name": name }] }).to_string();
    let made = server.ask(&format!("PUT /v1/acl/token?token={MANAGER}"), &token).await;
    serde_json::from_str(body(&made)).unwrap()
}

/// A server with access control.
pub(super) async fn guarded() -> Server {
    let acl = AclSettings {
        enabled: true,
        default_policy: DefaultPolicy::Deny,
        datacenter: "dc1".into(),
        initial_management: Some(Secret::new(MANAGER)),
        ..AclSettings::default()
    };
    Server::guarded(Settings::default(), acl).await
}

#[tokio::test]
async fn whoever_speaks_for_a_scope_reads_its_lineage() {
    let server = guarded().await;
    let made = made(&server, r#"key_prefix "" { policy = "write" }"#).await;
    let callers =
        serde_json::json!({ "Keys": ["pay/"], "Callers": [{ "Accessor": made["AccessorID"] }] });
    let line = format!("PUT /v1/anchor/scope/dc1/payments?token={MANAGER}");
    let answer = server.ask(&line, &callers.to_string()).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let own = made["SecretID"].as_str().unwrap();
    let write = server.ask(&format!("PUT /v1/kv/pay/x?token={own}"), "1").await;
    assert!(write.ends_with("true"), "{write}");
    let page = json(&server, &format!("GET /v1/anchor/lineage/dc1/payments?token={own}")).await;
    assert_eq!((&page["Size"], &page["Entries"][0]["Seq"]), (&1.into(), &0.into()));
    let line = format!("GET /v1/anchor/lineage/dc1/payments/checkpoint?token={own}");
    let note = server.ask(&line, "").await;
    assert!(body(&note).starts_with("dc1/payments\n1\n"), "{note}");
    for other in ["dc1", "dc1/paymentsx", "dc1/other", "dc1/checkpoint"] {
        let answer = server.ask(&format!("GET /v1/anchor/lineage/{other}?token={own}"), "").await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{other}: {answer}");
    }
}

#[tokio::test]
async fn what_was_written_is_told_to_those_who_may_read_it() {
    let server = guarded().await;
    for key in ["open", "closed"] {
        let line = format!("PUT /v1/kv/{key}?token={MANAGER}");
        assert!(server.ask(&line, "secret").await.ends_with("true"));
    }
    for page in ["lineage", "lineage/dc1", "lineage/dc1/checkpoint", "lineage/dc1/tile/0/000.p/1"] {
        let answer = server.ask(&format!("GET /v1/anchor/{page}"), "").await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{page}: {answer}");
    }
    let auditor = token(&server, r#"operator = "read" key "open" { policy = "read" }"#).await;
    let line = format!("GET /v1/anchor/lineage/dc1?payload&token={auditor}");
    let page = json(&server, &line).await;
    let told = |of: &dyn Fn(&Value) -> bool| {
        let entries = page["Entries"].as_array().unwrap().iter();
        entries
            .filter(|entry| of(entry))
            .map(|entry| !entry["Change"].is_null())
            .collect::<Vec<_>>()
    };
    assert_eq!(told(&|entry| entry["Kind"] == "kv_put"), [true, false]);
    let tokens = told(&|entry| entry["Kind"] == "record_put:token");
    assert!(!tokens.is_empty() && !tokens.contains(&true), "secrets are told to managers");
    let line = format!("GET /v1/anchor/lineage/dc1?format=ndjson&token={auditor}");
    let export = unchunked(&server.ask(&line, "").await);
    let report = proconsul_anchors::lineage::verify::export(export.as_bytes(), &[], None).unwrap();
    assert!(report.is_clean() && report.withheld > 0, "{report}");
    let closed = page["Entries"].as_array().unwrap().iter();
    let closed: Vec<&Value> = closed.filter(|entry| entry["Kind"] == "kv_put").collect();
    let uid = closed[1]["UID"].as_str().unwrap();
    let cases = [
        (format!("GET /v1/anchor/record/{uid}?token={auditor}"), 403),
        (format!("GET /v1/anchor/record/{uid}/versions?token={auditor}"), 200),
        (format!("GET /v1/anchor/record/{uid}?token={MANAGER}"), 200),
        (format!("PUT /v1/anchor/record/{uid}/rollback?version=1&token={auditor}"), 403),
        (format!("DELETE /v1/anchor/record/{uid}/payloads?token={auditor}"), 403),
        (format!("PUT /v1/anchor/record/{uid}/rollback?version=1&token={MANAGER}"), 200),
    ];
    for (line, status) in cases {
        let answer = server.ask(&line, "").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{line}: {answer}");
    }
}
