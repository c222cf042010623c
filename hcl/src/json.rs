//! JSON configuration: serde_json reads it, this keeps the lines.
//!
//! Each object is read as keys and raw slices of the source; a slice's address is its place in the text.

use std::fmt;

use serde::Deserialize;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::document::{Node, Value, line_at};

/// A file nested deeper than this is a mistake or an attack; Consul's own deepest key has six levels.
const DEPTH_MAX: usize = 64;

/// Reads a whole source.
///
/// # Errors
/// A sentence for people; Consul's where it names no place, else one with line and column.
pub fn read(source: &str) -> Result<Node, String> {
    let raw: &RawValue = serde_json::from_str(source).map_err(|fault| sentence(&fault))?;
    let node = node(source, raw, 0)?;
    match &node.value {
        Value::Object(_) => Ok(node),
        Value::Null => Ok(Node { line: 1, value: Value::Object(Vec::new()) }),
        other => Err(format!(
            "json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
            shape(other)
        )),
    }
}

fn sentence(fault: &serde_json::Error) -> String {
    if fault.is_eof() { "unexpected end of JSON input".to_owned() } else { fault.to_string() }
}

fn shape(value: &Value) -> &'static str {
    match value {
        Value::Null | Value::Object(_) => "object",
        Value::Bool(_) => "bool",
        Value::Int(_) | Value::Float(_) => "number",
        Value::Text(_) => "string",
        Value::List(_) => "array",
    }
}

fn node(source: &str, raw: &RawValue, depth: usize) -> Result<Node, String> {
    let text = raw.get();
    let line = line_at(source, text.as_ptr().addr() - source.as_ptr().addr());
    if depth > DEPTH_MAX {
        return Err(format!("line {line}: nested deeper than {DEPTH_MAX} levels"));
    }
    let value = match text.as_bytes().first() {
        Some(b'{') => {
            let fields: Fields<'_> = parse(text)?;
            let fields =
                fields.0.into_iter().map(|(key, field)| Ok((key, node(source, field, depth + 1)?)));
            Value::Object(fields.collect::<Result<_, String>>()?)
        }
        Some(b'[') => {
            let items: Items<'_> = parse(text)?;
            let items = items.0.into_iter().map(|item| node(source, item, depth + 1));
            Value::List(items.collect::<Result<_, String>>()?)
        }
        Some(b'"') => Value::Text(parse(text)?),
        Some(b't' | b'f') => Value::Bool(parse(text)?),
        Some(b'n') | None => Value::Null,
        Some(_) => Value::Float(parse(text)?),
    };
    Ok(Node { line, value })
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|fault| sentence(&fault))
}

/// An object's fields in their order, unread.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

/// An array's items, unread.
struct Items<'a>(Vec<&'a RawValue>);

struct FieldsVisitor;
struct ItemsVisitor;

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields: Vec<(String, &RawValue)> = Vec::new();
        while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
            // A key said twice counts once: the later one.
            fields.retain(|(earlier, _)| *earlier != key);
            fields.push((key, value));
        }
        Ok(Fields(fields))
    }
}

impl<'de> Deserialize<'de> for Items<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ItemsVisitor)
    }
}

impl<'de> Visitor<'de> for ItemsVisitor {
    type Value = Items<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Items<'de>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Items(items))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line_of(source: &str, path: &[&str]) -> usize {
        let mut node = read(source).unwrap();
        for key in path {
            let Value::Object(fields) = node.value else { panic!("no object at {key}") };
            node = fields.into_iter().find(|(name, _)| name == key).unwrap().1;
        }
        node.line
    }

    #[test]
    fn values_know_their_lines() {
        let source = "{\n \"a\": 1,\n \"b\": {\n  \"c\": [\n 1]\n }\n}";
        for (path, line) in [(&["a"][..], 2), (&["b"], 3), (&["b", "c"], 4)] {
            assert_eq!(line_of(source, path), line, "{path:?}");
        }
    }

    #[test]
    fn faults_are_told_as_consul_tells_them() {
        for (source, told) in [
            ("{\"a\":1", "unexpected end of JSON input"),
            ("[]", "json: cannot unmarshal array into Go value of type map[string]interface {}"),
            ("{\"a\":}", "expected value at line 1 column 6"),
        ] {
            assert_eq!(read(source), Err(told.to_owned()), "{source}");
        }
        assert!(read(&format!("{{\"a\":{}{}}}", "[".repeat(100), "]".repeat(100))).is_err());
    }
}
