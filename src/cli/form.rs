//! The forms of Consul's objects: which fields each has, in which order, of which kind, and which are left out when they
//! say nothing. Clients print whole objects, so an answer is brought into its form before it is printed or sent back.
//!
//! The forms are told in `form/*.txt`:
//!
//! ```text
//! Link                                  a form
//!   Name string                         always there
//!   Meta? {}string                      a map, left out when it is empty
//!   Limits? *UpstreamLimits limits      a form that may be missing; `limits` is another name in files
//! ```
//! Kinds: `string int float bool any bytes time nanos readable span` and the names of forms, behind `*` (may be `null`), `[]` and
//! `{}`. Durations are numbers (`nanos`), texts (`readable`) or texts that are left out when zero (`span`).

use std::collections::HashMap;
use std::sync::LazyLock;

use proconsul_anchors::duration;
use serde_json::{Map, Value};

use super::json::Tree;

/// A field of a form.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    /// Left out when it says nothing.
    omit: bool,
    pub(super) kind: Kind,
    /// Other names in files.
    pub(super) aliases: Vec<&'static str>,
}

/// What a field holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Text,
    Int,
    Float,
    Flag,
    Any,
    Bytes,
    Time,
    Nanos,
    Readable,
    Span,
    Pointer(Box<Self>),
    List(Box<Self>),
    Map(Box<Self>),
    Form(&'static str),
}

static FORMS: LazyLock<HashMap<&'static str, Vec<Field>>> = LazyLock::new(|| {
    [include_str!("form/acl.txt"), include_str!("form/config.txt"), include_str!("form/other.txt")]
        .into_iter()
        .flat_map(read)
        .collect()
});

/// The time that Go prints when none was set.
const NO_TIME: &str = "0001-01-01T00:00:00Z";

fn read(text: &'static str) -> Vec<(&'static str, Vec<Field>)> {
    let mut forms: Vec<(&'static str, Vec<Field>)> = Vec::new();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    for line in lines {
        match (line.strip_prefix("  "), forms.last_mut()) {
            (Some(field), Some((_, fields))) => fields.push(Field::read(field)),
            _ => forms.push((line, Vec::new())),
        }
    }
    forms
}

/// The fields of a form; none when there is no such form.
pub(super) fn fields(name: &str) -> &'static [Field] {
    FORMS.get(name).map_or(&[], Vec::as_slice)
}

/// Whether there is a form of this name.
#[cfg(test)]
pub(super) fn exists(name: &str) -> bool {
    FORMS.contains_key(name)
}

/// An answer in its form; the kind may be a list or map of forms, `[]Token`.
pub(super) fn tree(kind: &'static str, value: &Value) -> Tree {
    shape(&Kind::read(kind), Some(value)).0
}

/// The same for those who look into it: every field is called as its form calls it.
pub(super) fn value(kind: &'static str, value: &Value) -> Value {
    plain(tree(kind, value))
}

/// What a file of configuration says, with the names of the API: `local_bind_port` is `LocalBindPort`. A single object stands
/// for a list of it. What the form does not have is left as it is.
pub(super) fn from_file(kind: &'static str, value: &Value) -> Value {
    renamed(&Kind::read(kind), value)
}

fn renamed(kind: &Kind, value: &Value) -> Value {
    match (kind, value) {
        (Kind::Pointer(inner), _) => renamed(inner, value),
        (Kind::List(inner), Value::Array(items)) => {
            items.iter().map(|item| renamed(inner, item)).collect()
        }
        (Kind::List(inner), Value::Object(_)) => Value::Array(vec![renamed(inner, value)]),
        (Kind::Map(inner), Value::Object(fields)) if **inner != Kind::Any => {
            let fields = fields.iter().map(|(key, value)| (key.clone(), renamed(inner, value)));
            Value::Object(fields.collect())
        }
        (Kind::Form(form), Value::Object(given)) => {
            let own = |key: &str| fields(form).iter().find(|field| field.is_written(key));
            let fields = given.iter().map(|(key, value)| match own(key) {
                Some(field) => (field.name.to_owned(), renamed(&field.kind, value)),
                None => (key.clone(), value.clone()),
            });
            Value::Object(fields.collect())
        }
        _ => value.clone(),
    }
}

fn plain(tree: Tree) -> Value {
    match tree {
        Tree::Plain(value) => value,
        Tree::List(items) => items.into_iter().map(plain).collect(),
        Tree::Object(fields) => {
            Value::Object(fields.into_iter().map(|(name, tree)| (name, plain(tree))).collect())
        }
    }
}

// === impl Field ===

impl Field {
    fn read(line: &'static str) -> Self {
        let mut words = line.split(' ');
        let name = words.next().unwrap_or_default();
        let kind = Kind::read(words.next().unwrap_or_default());
        let (name, omit) = name.strip_suffix('?').map_or((name, false), |name| (name, true));
        Self { name, omit, kind, aliases: words.collect() }
    }

    /// Whether a key of a file is its name, whatever the underscores.
    fn is_written(&self, key: &str) -> bool {
        self.is_called(&key.replace('_', ""))
    }

    /// The name in files that equals a key, whatever its letters' size.
    pub(super) fn is_called(&self, key: &str) -> bool {
        self.name.eq_ignore_ascii_case(key)
            || self.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(key))
    }
}

// === impl Kind ===

impl Kind {
    fn read(text: &'static str) -> Self {
        let boxed = |rest| Box::new(Self::read(rest));
        if let Some(rest) = text.strip_prefix('*') {
            Self::Pointer(boxed(rest))
        } else if let Some(rest) = text.strip_prefix("[]") {
            Self::List(boxed(rest))
        } else if let Some(rest) = text.strip_prefix("{}") {
            Self::Map(boxed(rest))
        } else {
            match text {
                "string" => Self::Text,
                "int" => Self::Int,
                "float" => Self::Float,
                "bool" => Self::Flag,
                "any" => Self::Any,
                "bytes" => Self::Bytes,
                "time" => Self::Time,
                "nanos" => Self::Nanos,
                "readable" => Self::Readable,
                "span" => Self::Span,
                form => Self::Form(form),
            }
        }
    }
}

/// A value in its kind, and whether it says nothing.
fn shape(kind: &Kind, value: Option<&Value>) -> (Tree, bool) {
    let value = value.filter(|value| !value.is_null());
    let plain = |value: Value, empty| (Tree::Plain(value), empty);
    match kind {
        Kind::Text => {
            let text = value.and_then(Value::as_str).unwrap_or_default();
            plain(text.into(), text.is_empty())
        }
        Kind::Int | Kind::Float => {
            let number = value.filter(|value| value.is_number()).cloned().unwrap_or(0.into());
            let number = as_go_prints(number);
            let zero = number == 0;
            plain(number, zero)
        }
        Kind::Flag => {
            let flag = value.and_then(Value::as_bool).unwrap_or_default();
            plain(flag.into(), !flag)
        }
        Kind::Any => {
            plain(value.cloned().map_or(Value::Null, as_go_prints), value.is_none_or(is_empty))
        }
        Kind::Bytes => {
            let text = value.and_then(Value::as_str).unwrap_or_default();
            plain(value.map_or(Value::Null, |_| text.into()), text.is_empty())
        }
        // A time is a struct to Go: it is never left out.
        Kind::Time => plain(value.and_then(Value::as_str).unwrap_or(NO_TIME).into(), false),
        Kind::Nanos => plain(nanos(value).into(), nanos(value) == 0),
        Kind::Readable => plain(duration::show(nanos(value)).into(), false),
        Kind::Span => plain(duration::show(nanos(value)).into(), nanos(value) == 0),
        Kind::Pointer(inner) => match value {
            None => plain(Value::Null, true),
            Some(value) => (shape(inner, Some(value)).0, false),
        },
        Kind::List(inner) => match value.and_then(Value::as_array) {
            None => plain(Value::Null, true),
            Some(items) => {
                let shaped = items.iter().map(|item| shape(inner, Some(item)).0).collect();
                (Tree::List(shaped), items.is_empty())
            }
        },
        Kind::Map(inner) => match value.and_then(Value::as_object) {
            None => plain(Value::Null, true),
            Some(fields) => {
                let one =
                    |(name, value): (&String, &Value)| (name.clone(), shape(inner, Some(value)).0);
                (Tree::Object(fields.iter().map(one).collect()), fields.is_empty())
            }
        },
        Kind::Form(name) => (object(name, value), false),
    }
}

fn object(form: &str, value: Option<&Value>) -> Tree {
    let given = value.and_then(Value::as_object);
    let mut shaped = Vec::new();
    for field in fields(form) {
        let (tree, empty) = shape(&field.kind, given.and_then(|given| find(given, field.name)));
        if !(field.omit && empty) {
            shaped.push((field.name.to_owned(), tree));
        }
    }
    Tree::Object(shaped)
}

/// A field by its name, else by its name in letters of another size, as Go reads JSON.
pub(super) fn find<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let close =
        || object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    object.get(name).or_else(close)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// A duration that is a number of nanoseconds or a text.
pub(super) fn nanos(value: Option<&Value>) -> i64 {
    match value {
        Some(Value::String(text)) => duration::parse(text).unwrap_or(0),
        Some(number) => number.as_i64().unwrap_or(0),
        None => 0,
    }
}

/// Numbers as Go prints those that it has read without knowing their kind: without a fraction that is zero.
fn as_go_prints(value: Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64() {
            #[expect(clippy::cast_possible_truncation, reason = "bounded by the condition")]
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 1e15 => {
                (float as i64).into()
            }
            _ => Value::Number(number),
        },
        Value::Array(items) => items.into_iter().map(as_go_prints).collect(),
        Value::Object(fields) => Value::Object(
            fields.into_iter().map(|(name, value)| (name, as_go_prints(value))).collect(),
        ),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::json::line;

    #[test]
    fn objects_are_brought_into_their_form() {
        for (form, value, expected) in [
            ("Link", json!({"Name": "b"}), r#"{"ID":"","Name":"b"}"#),
            ("[]Link", json!([]), "[]"),
            ("[]Link", json!(null), "null"),
            (
                "Policy",
                json!({"id": "1", "Datacenters": null}),
                r#"{"ID":"1","Name":"","Description":"","Rules":"","Datacenters":null,"Hash":null,"CreateIndex":0,"ModifyIndex":0}"#,
            ),
            (
                "AuthMethod",
                json!({"MaxTokenTTL": "90s", "Config": {"b": 1.0, "a": 1.5}}),
                r#"{"MaxTokenTTL":"1m30s","Name":"","Type":"","Config":{"a":1.5,"b":1},"CreateIndex":0,"ModifyIndex":0}"#,
            ),
            ("JWTCacheConfig", json!({}), "{}"),
        ] {
            let printed = String::from_utf8(line(&tree(form, &value))).unwrap();
            assert_eq!(printed, expected, "{form}");
        }
    }

    #[test]
    fn files_are_brought_to_the_names_of_the_api() {
        let proxy = json!({
            "destination_service_name": "web", "config": { "local_x": 1 }, "strange": 1,
            "upstreams": { "destination_name": "db", "local_bind_port": 1 },
        });
        let expected = json!({
            "DestinationServiceName": "web", "Config": { "local_x": 1 }, "strange": 1,
            "Upstreams": [{ "DestinationName": "db", "LocalBindPort": 1 }],
        });
        assert_eq!(from_file("AgentServiceConnectProxyConfig", &proxy), expected);
    }

    #[test]
    fn every_form_that_is_named_exists() {
        fn named(kind: &Kind) -> Option<&'static str> {
            match kind {
                Kind::Pointer(inner) | Kind::List(inner) | Kind::Map(inner) => named(inner),
                Kind::Form(name) => Some(name),
                _ => None,
            }
        }
        for (form, fields) in FORMS.iter() {
            for field in fields {
                if let Some(name) = named(&field.kind) {
                    assert!(exists(name), "{form}.{} names {name}", field.name);
                }
            }
        }
    }
}
