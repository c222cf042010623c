use serde_json::Value;

use super::DEPTH_MAX;
use crate::testing::entry;
use crate::{Entry, Kind, Right};

/// Entries as they were written to Consul 1.22.7, each with what it printed of them (without indexes) or what it told.
const VECTORS: &str = include_str!("vectors.jsonl");

#[test]
fn entries_are_read_settled_judged_and_hashed_as_consul_does() {
    for line in VECTORS.lines() {
        let [written, told]: [Value; 2] = serde_json::from_str(line).unwrap();
        let answer = match entry(&written.to_string()) {
            Ok(entry) => serde_json::from_str(&entry.stored()).unwrap(),
            Err(reason) => {
                let told = told.as_str().unwrap_or_default();
                let decoding = told.starts_with("Request decoding failed: ");
                Value::from(format!(
                    "{}{reason}",
                    if decoding { "Request decoding failed: " } else { "" }
                ))
            }
        };
        assert_eq!(floats(answer), floats(told), "{written}");
    }
}

/// One and the same number may be printed with a point or without.
fn floats(value: Value) -> Value {
    match value {
        Value::Number(number) if !number.is_u64() => number.as_f64().map_or(Value::Null, |float| {
            let whole = float.fract() == 0.0;
            if whole { format!("{float}").into() } else { Value::from(float) }
        }),
        Value::Number(number) => number.to_string().into(),
        Value::Array(items) => items.into_iter().map(floats).collect(),
        Value::Object(map) => map.into_iter().map(|(key, value)| (key, floats(value))).collect(),
        other => other,
    }
}

#[test]
fn fields_print_in_consuls_order() {
    let entry = entry(r#"{"Kind":"service-resolver","Name":"web","ConnectTimeout":"5s"}"#).unwrap();
    let told = format!(
        r#"{{"ConnectTimeout":"5s","Kind":"service-resolver","Name":"web","Hash":{}}}"#,
        entry.stored().rsplit_once(':').unwrap().1.trim_end_matches('}')
    );
    assert_eq!(entry.stored(), told);
    let restored = Entry::restore(Kind::ServiceResolver, &told, 3, 7).unwrap();
    let shown = serde_json::to_string(&restored).unwrap();
    assert!(shown.ends_with(r#","CreateIndex":3,"ModifyIndex":7}"#), "{shown}");
    assert!(entry.is_same(&restored));
}

#[test]
fn chains_take_the_right_to_what_they_lead_to() {
    let splitter = entry(
        r#"{"Kind":"service-splitter","Name":"web","Splits":[{"Weight":50},{"Weight":50,"Service":"api"}]}"#,
    )
    .unwrap();
    let rights = [Right::ServiceWrite("web".to_owned()), Right::ServiceRead("api".to_owned())];
    assert_eq!(splitter.writer(), rights);
    assert_eq!(Entry::named(Kind::BoundApiGateway, "b").writer(), [Right::Controller]);
}

#[test]
fn keys_that_nothing_takes_are_told() {
    let told = "1 error occurred:\n\t* invalid config key \"Splits[1].foo\"\n\n";
    let splitter = r#"{"Kind":"service-splitter","Name":"web","Splits":[{"Weight":50},{"foo":1}]}"#;
    assert_eq!(entry(splitter).map(|_| ()), Err(told.to_owned()));
}

#[test]
fn what_is_taken_can_be_read_again() {
    let nested = |levels: usize| {
        let config = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        entry(&format!(r#"{{"Kind":"proxy-defaults","Name":"global","Config":{{"a":{config}}}}}"#))
    };
    let deepest = nested(DEPTH_MAX - 1).unwrap();
    let restored = Entry::restore(Kind::ProxyDefaults, &deepest.stored(), 1, 1).unwrap();
    assert!(restored.is_same(&deepest));
    let told = "config entries may be nested 64 deep".to_owned();
    assert_eq!(nested(DEPTH_MAX).map(|_| ()), Err(told));
}
