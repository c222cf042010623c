//! `/v1/anchor/lineage` over the wire.

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
