//! A configuration entry as people write it, brought into the form that the API has: keys of any size and with underscores,
//! single objects where lists are meant, durations and numbers as texts.

use proconsul_anchors::duration;
use proconsul_hcl::{Node, Value as Written};
use serde_json::{Map, Value, json};

use super::super::form::{self, Field, Kind};

/// What was read so far, and what was wrong with it.
#[derive(Default)]
struct Reading {
    /// Places and what is wrong there.
    faults: Vec<String>,
    /// Keys that the form does not have.
    unknown: Vec<String>,
}

/// Reads a whole entry; its kind says which form it has.
///
/// # Errors
/// Consul's sentences: no kind, an unknown kind, values that do not fit, unknown keys.
pub(super) fn entry(source: &str) -> Result<(&'static str, Value), String> {
    let node = if source.trim_start().starts_with('{') {
        proconsul_hcl::read_json(source)
    } else {
        proconsul_hcl::read(source)
    };
    let node = node.map_err(|fault| format!("Failed to decode config entry input: {fault}"))?;
    let Written::Object(fields) = &node.value else {
        return Err("Payload does not contain a kind/Kind key at the top level".to_owned());
    };
    let kind = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, kind)| kind);
    let kind = kind("Kind")
        .or_else(|| kind("kind"))
        .ok_or("Payload does not contain a kind/Kind key at the top level")?;
    let Written::Text(name) = &kind.value else {
        return Err("Kind value in payload is not a string".to_owned());
    };
    let kind = super::kind(name)?;
    let mut reading = Reading::default();
    let value = reading.object(kind, fields, "");
    reading.verdict()?;
    Ok((kind, value))
}

// === impl Reading ===

impl Reading {
    /// All that is wrong, in Consul's words.
    fn verdict(mut self) -> Result<(), String> {
        if !self.faults.is_empty() {
            let faults = self.faults.join("\n");
            return Err(format!("decoding failed due to the following error(s):\n\n{faults}"));
        }
        if self.unknown.is_empty() {
            return Ok(());
        }
        self.unknown.sort();
        let count = self.unknown.len();
        let errors = if count == 1 { "1 error".to_owned() } else { format!("{count} errors") };
        let lines: String = self.unknown.iter().map(|key| unknown_key(key)).collect();
        Err(format!("{errors} occurred:\n{lines}\n"))
    }

    fn wrong(&mut self, place: &str, what: &str) -> Value {
        self.faults.push(format!("'{place}' {what}"));
        Value::Null
    }

    /// The fields of an object, in the order of its form.
    fn object(&mut self, form: &str, given: &[(String, Node)], place: &str) -> Value {
        let fields = form::fields(form);
        let mut read = Map::new();
        for field in fields {
            if let Some((_, node)) = given.iter().rev().find(|(key, _)| field.is_called(key)) {
                let value = self.value(&field.kind, node, &within(place, &go_name(field.name)));
                read.insert(field.name.to_owned(), value);
            }
        }
        for (key, _) in given {
            let known = fields.iter().any(|field: &Field| field.is_called(key));
            if !known && !key.eq_ignore_ascii_case("kind") {
                self.unknown.push(within(place, key));
            }
        }
        Value::Object(read)
    }

    fn value(&mut self, kind: &Kind, node: &Node, place: &str) -> Value {
        if let Kind::Pointer(inner) = kind {
            return match node.value {
                Written::Null => Value::Null,
                _ => self.value(inner, node, place),
            };
        }
        if *kind == Kind::Any {
            // Lists of one below are opened only where one was opened before: HCL writes every object so, JSON none.
            let inner = single(node);
            return any(inner, !std::ptr::eq(inner, node));
        }
        // A list of one stands for what is in it, except where a list is meant.
        let node = if matches!(kind, Kind::List(_)) { node } else { single(node) };
        match (kind, &node.value) {
            // Pointers and free content were told apart above.
            (_, Written::Null) | (Kind::Pointer(_) | Kind::Any, _) => Value::Null,
            (Kind::Text | Kind::Bytes | Kind::Time, _) => self.text(kind, node, place),
            (Kind::Int, _) => self.number(node, place, true),
            (Kind::Float, _) => self.number(node, place, false),
            (Kind::Flag, _) => self.flag(node, place),
            (Kind::Nanos | Kind::Readable | Kind::Span, _) => self.nanos(node, place),
            (Kind::List(inner), Written::List(items)) => {
                let items = items.iter().enumerate();
                items.map(|(at, item)| self.value(inner, item, &format!("{place}[{at}]"))).collect()
            }
            (Kind::List(inner), _) => {
                Value::Array(vec![self.value(inner, node, &format!("{place}[0]"))])
            }
            (Kind::Map(inner), Written::Object(fields)) => {
                let read = fields.iter().map(|(key, node)| {
                    (key.clone(), self.value(inner, node, &format!("{place}[{key}]")))
                });
                Value::Object(read.collect())
            }
            (Kind::Map(inner), _) => {
                let what = format!(
                    "expected type 'map[string]{}', got unconvertible type '{}'",
                    go_type(inner),
                    written_type(node)
                );
                self.wrong(place, &what)
            }
            (Kind::Form(form), Written::Object(fields)) => self.object(form, fields, place),
            (Kind::Form(_), _) => {
                let what = format!("expected a map or struct, got {:?}", written_type(node));
                self.wrong(place, &what)
            }
        }
    }

    fn text(&mut self, kind: &Kind, node: &Node, place: &str) -> Value {
        match &node.value {
            Written::Text(text) if *kind == Kind::Time && !is_time(text) => self.wrong(
                place,
                "parsing time as \"2006-01-02T15:04:05Z07:00\": cannot parse as \"2006\"",
            ),
            Written::Text(text) => text.as_str().into(),
            Written::Int(number) => number.to_string().into(),
            Written::Float(number) => number.to_string().into(),
            Written::Bool(flag) => if *flag { "1" } else { "0" }.into(),
            _ => self.unfit(node, place, "string"),
        }
    }

    fn unfit(&mut self, node: &Node, place: &str, meant: &str) -> Value {
        let got = written_type(node);
        self.wrong(place, &format!("expected type '{meant}', got unconvertible type '{got}'"))
    }

    fn number(&mut self, node: &Node, place: &str, whole: bool) -> Value {
        let meant = if whole { "int" } else { "float32" };
        match &node.value {
            Written::Int(number) => (*number).into(),
            #[expect(clippy::cast_possible_truncation, reason = "a fraction is cut off, as in Go")]
            Written::Float(number) if whole => (*number as i64).into(),
            Written::Float(number) => (*number).into(),
            Written::Bool(flag) => i64::from(*flag).into(),
            Written::Text(text) if text.is_empty() => 0.into(),
            Written::Text(text) if whole => match super::super::argv::go_int(text) {
                Some(number) => number.into(),
                None => self
                    .wrong(place, "cannot parse value as 'int': strconv.ParseInt: invalid syntax"),
            },
            Written::Text(text) => match text.parse::<f64>() {
                Ok(number) => json!(number),
                Err(_) => self.wrong(
                    place,
                    "cannot parse value as 'float32': strconv.ParseFloat: invalid syntax",
                ),
            },
            _ => self.unfit(node, place, meant),
        }
    }

    fn flag(&mut self, node: &Node, place: &str) -> Value {
        match &node.value {
            Written::Bool(flag) => (*flag).into(),
            Written::Int(number) => (*number != 0).into(),
            Written::Float(number) => (*number != 0.0).into(),
            Written::Text(text) if text.is_empty() => false.into(),
            Written::Text(text) => match super::super::argv::go_bool(text) {
                Some(flag) => (flag == "true").into(),
                None => self.wrong(
                    place,
                    "cannot parse value as 'bool': strconv.ParseBool: invalid syntax",
                ),
            },
            _ => self.unfit(node, place, "bool"),
        }
    }

    fn nanos(&mut self, node: &Node, place: &str) -> Value {
        match &node.value {
            Written::Text(text) => match duration::parse(text) {
                Ok(nanos) => nanos.into(),
                // The text is not told: it may be a secret at the wrong place.
                Err(_) => self.wrong(place, "time: invalid duration"),
            },
            _ => self.number(node, place, true),
        }
    }
}

fn within(place: &str, name: &str) -> String {
    if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") }
}

/// A field's name in Go, which begins with a capital also where the JSON's does not.
fn go_name(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or(String::new(), |first| first.to_ascii_uppercase().to_string())
        + letters.as_str()
}

fn unknown_key(key: &str) -> String {
    let lower = key.to_lowercase();
    let why = if lower.ends_with("namespace") {
        ", namespaces are a consul enterprise feature"
    } else if lower.contains("jwt") {
        ", api-gateway jwt validation is a consul enterprise feature"
    } else {
        ""
    };
    format!("\t* invalid config key {key:?}{why}\n")
}

/// The only item of a list, or the node itself.
fn single(node: &Node) -> &Node {
    match &node.value {
        Written::List(items) if items.len() == 1 => &items[0],
        _ => node,
    }
}

/// Free-form content; lists of one within objects are opened.
fn any(node: &Node, open: bool) -> Value {
    match &node.value {
        Written::Null => Value::Null,
        Written::Bool(flag) => (*flag).into(),
        Written::Int(number) => (*number).into(),
        Written::Float(number) => json!(number),
        Written::Text(text) => text.as_str().into(),
        Written::List(items) => items.iter().map(|item| any(item, open)).collect(),
        Written::Object(fields) => {
            let read = fields.iter().map(|(key, node)| {
                let node = if open { single(node) } else { node };
                (key.clone(), any(node, open))
            });
            Value::Object(read.collect())
        }
    }
}

/// Whether a text begins as RFC 3339 does.
fn is_time(text: &str) -> bool {
    let shape = b"0000-00-00T00:00:00";
    text.len() > shape.len()
        && text.bytes().zip(shape).all(|(byte, shape)| match shape {
            b'0' => byte.is_ascii_digit(),
            other => byte == *other,
        })
}

/// Go's word for what stands in a file.
fn written_type(node: &Node) -> &'static str {
    match &node.value {
        Written::List(_) => "[]interface {}",
        Written::Object(_) => "map[string]interface {}",
        other => other.kind(),
    }
}

/// Go's word for what a map holds.
fn go_type(kind: &Kind) -> &'static str {
    match kind {
        Kind::Text => "string",
        Kind::Int => "int",
        Kind::Any => "interface {}",
        _ => "struct",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written, and what is sent: the entry in its form, or the fault.
    const CASES: &[(&str, &str)] = &[
        (
            "kind = \"service-defaults\" name = \"web\" max_inbound_connections = \"0x10\"",
            r#"{"Kind":"service-defaults","Name":"web","MaxInboundConnections":16,"TransparentProxy":null}"#,
        ),
        ("name = 1", "Payload does not contain a kind/Kind key at the top level"),
        ("kind = 1", "Kind value in payload is not a string"),
        ("kind = \"x\"", "invalid config entry kind: x"),
        ("kind = \"mesh\" foo = 1", "1 error occurred:\n\t* invalid config key \"foo\"\n\n"),
        (
            "kind = \"service-router\" name = \"w\" routes = [{ match { http { nope = 1 } } }]",
            "1 error occurred:\n\t* invalid config key \"Routes[0].Match.HTTP.nope\"\n\n",
        ),
        (
            "kind = \"service-defaults\" expose { checks = \"maybe\" } meta = \"x\"",
            "decoding failed due to the following error(s):\n\n'Expose.Checks' cannot parse value as 'bool': strconv.ParseBool: \
             invalid syntax\n'Meta' expected type 'map[string]string', got unconvertible type 'string'",
        ),
        (
            "kind = \"service-resolver\" connect_timeout = \"5x\"",
            "decoding failed due to the following error(s):\n\n'ConnectTimeout' time: invalid duration",
        ),
    ];

    #[test]
    fn entries_are_read_as_consul_reads_them() {
        for (source, expected) in CASES {
            let read = match entry(source) {
                Ok((_, value)) => {
                    let expected: Value = serde_json::from_str(expected).unwrap();
                    for (name, field) in expected.as_object().unwrap() {
                        assert_eq!(value.get(name).unwrap_or(&Value::Null), field, "{source}");
                    }
                    continue;
                }
                Err(fault) => fault,
            };
            assert_eq!(read, *expected, "{source}");
        }
    }

    #[test]
    fn free_content_loses_lists_of_one() {
        let source = "kind = \"proxy-defaults\" config { a = [\"x\"] b { c = [1] d = [1, 2] } }";
        let (_, value) = entry(source).unwrap();
        assert_eq!(value["Config"], json!({"a": "x", "b": {"c": 1, "d": [1, 2]}}));
    }
}
