use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use super::*;

const SCHEMAS: [(&str, &Schema); 7] = [
    ("NODE", &NODE),
    ("SERVICE_NODE", &SERVICE_NODE),
    ("NODE_SERVICE", &NODE_SERVICE),
    ("HEALTH_CHECK", &HEALTH_CHECK),
    ("CHECK_SERVICE_NODE", &CHECK_SERVICE_NODE),
    ("AGENT_SERVICE", &AGENT_SERVICE),
    ("MEMBER", &MEMBER),
];

fn schema(name: &str) -> &'static Schema {
    SCHEMAS.iter().find(|(known, _)| *known == name).unwrap().1
}

/// The places in the list of the records that match, or the text of the refusal.
fn ask(expression: &str, schema: &'static Schema, records: &[Value]) -> Value {
    match Filter::compile(expression, schema) {
        Err(refused) => json!(refused.to_string()),
        Ok(filter) => {
            let hits = records.iter().enumerate().filter(|(_, r)| filter.matches(r).unwrap());
            json!(hits.map(|(place, _)| place).collect::<Vec<_>>())
        }
    }
}

fn check(record: Value, schema: &'static Schema, lines: &[(&str, bool)]) {
    for (expression, holds) in lines {
        let filter = Filter::compile(expression, schema).unwrap();
        assert_eq!(filter.matches(&record).unwrap(), *holds, "{expression}");
    }
}

fn check_refused(lines: &[(&str, &str)]) {
    for (expression, text) in lines {
        let refused = Filter::compile(expression, &NODE).unwrap_err().to_string();
        assert_eq!(refused, *text, "{expression}");
    }
}

/// Recorded from Consul 1.22.7: the records of a list as it answered them, and what it made of expressions over them.
#[test]
fn answers_are_those_of_consul() {
    let mut records = Vec::new();
    let mut schema = &NODE;
    for line in include_str!("vectors.jsonl").lines() {
        match serde_json::from_str(line).unwrap() {
            Value::Object(mut head) => {
                schema = self::schema(head["schema"].as_str().unwrap());
                records = head["list"].as_array_mut().map(std::mem::take).unwrap();
            }
            exchange => {
                let expression = exchange[0].as_str().unwrap();
                assert_eq!(ask(expression, schema, &records), exchange[1], "{expression}");
            }
        }
    }
}

#[test]
fn what_a_record_leaves_out_is_zero() {
    check(
        json!({"Node": {"Node": "n"}, "Service": {"Tags": null}}),
        &CHECK_SERVICE_NODE,
        &[
            ("Node.Address == \"\"", true),
            ("Node.Meta is empty", true),
            ("Node.Meta.k == v", false),
            ("Node.Meta.k != v", true),
            ("k in Node.Meta", false),
            ("Service.Port == 0", true),
            ("Service.EnableTagOverride == false", true),
            ("Service.Weights.Passing == 0", true),
            ("Service.Tags is empty", true),
            ("v1 not in Service.Tags", true),
            ("Service.TaggedAddresses.lan.Port != 0", true),
            ("Service.Proxy.MeshGateway.Mode == \"\"", true),
            ("Checks is empty", true),
            ("Checks.Status == \"\"", false),
            ("Checks.Status != passing", false),
        ],
    );
}

#[test]
fn any_check_will_do() {
    check(
        json!({"Checks": [{"Status": "passing"}, {"Status": "critical"}]}),
        &CHECK_SERVICE_NODE,
        &[
            ("Checks.Status == passing", true),
            ("Checks.Status != passing", true),
            ("not Checks.Status == passing", false),
            ("Checks.Status == warning", false),
            ("Checks.Status matches `^crit`", true),
        ],
    );
}

#[test]
fn addresses_are_asked_by_their_bytes() {
    check(
        json!({"Addr": "10.0.0.7"}),
        &MEMBER,
        &[("7 in Addr", true), ("255 in Addr", false), ("Addr is empty", false)],
    );
    check(json!({"Addr": "::1"}), &MEMBER, &[("1 in Addr", true), ("2 not in Addr", true)]);
    check(json!({}), &MEMBER, &[("0 in Addr", false), ("Addr is empty", true)]);
}

#[test]
fn a_record_of_another_form_is_an_error() {
    for (record, expression) in [
        (json!({"Node": 1}), "Node == 1"),
        (json!({"Meta": []}), "Meta.a == 1"),
        (json!([]), "Node == 1"),
        (json!({"Meta": "x"}), "Meta is empty"),
    ] {
        let filter = Filter::compile(expression, &NODE).unwrap();
        assert!(filter.matches(&record).is_err(), "{record} {expression}");
    }
}

#[test]
fn bounds_hold_where_they_are_named() {
    let nested = |depth: usize| format!("{}Node == a{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Filter::compile(&nested(DEPTH_MAX), &NODE).is_ok());
    let grouped =
        |depth: usize| format!("Node matches `{}a{}`", "(".repeat(depth), ")".repeat(depth));
    assert!(Filter::compile(&grouped(GROUPS_MAX - 1), &NODE).is_ok());
    let long = |bytes: usize| format!("Node == `{}`", "a".repeat(bytes - 10));
    assert!(Filter::compile(&long(EXPRESSION_BYTES_MAX), &NODE).is_ok());
    let classes = |count: usize| format!("Node matches `{}`", r"[\x{0}-\x{10FFFF}]".repeat(count));
    assert!(Filter::compile(&classes(64), &NODE).is_ok());
    for beyond in [
        nested(DEPTH_MAX + 1),
        nested(10_000),
        "(".repeat(10_000),
        grouped(GROUPS_MAX + 1),
        long(EXPRESSION_BYTES_MAX + 1),
        classes(66),
        format!("Node matches `{}`", r"(?i)[\x{0}-\x{10FFFF}]{1000}".repeat(100)),
    ] {
        assert!(Filter::compile(&beyond, &NODE).is_err(), "{}", &beyond[..40]);
    }
}

#[test]
fn long_chains_are_fine() {
    for chain in [
        "not ".repeat(10_000) + "Node == a",
        vec!["Node == a"; 10_000].join(" or "),
        vec!["Node == a"; 10_000].join(" and "),
    ] {
        let filter = Filter::compile(&chain, &NODE).unwrap();
        assert!(filter.matches(&json!({"Node": "a"})).unwrap(), "{}", &chain[..40]);
    }
}

#[test]
fn all_faults_are_told_up_to_a_hundred() {
    let text = vec![r#"Node == "\q""#; 1000].join(" and ");
    let refused = Filter::compile(&text, &NODE).unwrap_err().to_string();
    assert_eq!(refused.lines().count(), 100);
}

#[test]
fn lines_are_counted_as_consul_counts() {
    check_refused(&[
        (
            "Node\n==\n!",
            concat!(
                "3:1 (8): no match found, expected: ",
                r#""-", "0", "\"", "`", [ \t\r\n], [1-9] or [a-zA-Z]"#
            ),
        ),
        ("Meta[\n", "2:1 (6): rule \"index\": Invalid index"),
        (
            "é",
            concat!(
                "1:1 (0): no match found, expected: ",
                r#""(", "-", "0", "\"", "`", "not", [ \t\r\n], [1-9] or [a-zA-Z]"#
            ),
        ),
    ]);
}

#[test]
fn quoting_is_that_of_go() {
    check_refused(&[
        (
            "Meta[`\"\\\u{7}\u{1}é\u{200b}\u{e000}\u{10ffff}`] is empty",
            concat!(
                "Invalid match operator \"Is Empty\" for selector ",
                r#""Meta.\"\\\a\x01é\u200b\ue000\U0010ffff""#
            ),
        ),
        (
            "Node matches \"\\n(\"",
            concat!(
                r#"Failed to compile regular expression "\n(": "#,
                "error parsing regexp: missing closing ): `\n(`"
            ),
        ),
    ]);
}

/// Pieces that expressions and patterns are made of, so that random strings get deep into the reader.
const PIECES: &[&str] = &[
    "Node",
    "Meta",
    "Checks.Status",
    "Service.Port",
    "Addr",
    "==",
    "!=",
    "(",
    ")",
    "[",
    "]",
    "[\"a\"]",
    ".",
    ".a",
    "\"x\"",
    "`y`",
    "\"",
    "`",
    "in",
    "not",
    "and",
    "or",
    "is",
    "empty",
    "contains",
    "matches",
    "1",
    "0",
    "-",
    "1.5",
    " ",
    " ",
    " ",
    "\n",
    "\"\\u00e9\"",
    "\"\\q\"",
    "é",
    "\u{0}",
    "\u{10ffff}",
    "\\",
    "\\p{L}",
    "\\Q",
    "\\x{d800}",
    "[^",
    "[a-",
    "[:alpha:]",
    "{2,3}",
    "{1000}",
    "*",
    "+",
    "?",
    "(?i)",
    "(?P<n>",
    "(?-s:",
    "|",
    "^",
    "$",
    "\\b",
    "\\W",
    "&&",
];

#[test]
fn no_string_makes_it_panic() {
    let mut random = StdRng::seed_from_u64(8500);
    let record = json!({
        "Node": "é", "Meta": {"a": "b"}, "Addr": "10.0.0.1", "Name": "m", "Tags": {}, "Checks": [],
    });
    for _ in 0..2_000 {
        let length = random.random_range(0..12);
        let pieces = (0..length).map(|_| *PIECES.choose(&mut random).unwrap());
        let text: String = pieces.collect();
        for text in [text.clone(), format!("Node == {text}"), format!("Name matches `{text}`")] {
            for (_, schema) in SCHEMAS {
                if let Ok(filter) = Filter::compile(&text, schema) {
                    drop(filter.matches(&record));
                }
            }
        }
    }
}
