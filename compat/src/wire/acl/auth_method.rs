//! Auth methods.

use std::collections::BTreeMap;

use proconsul_anchors::acl::AuthMethod;
use proconsul_anchors::duration;
use proconsul_anchors::index::Row;
use serde::Serialize;
use serde_json::{Number, Value};

use crate::go::json::Json;
use crate::wire::decode::{Nanos, form};

/// The body of an auth method's write. No `Debug`: it may hold secrets.
#[derive(Default)]
pub(crate) struct AuthMethodForm {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) display_name: String,
    pub(crate) description: String,
    pub(crate) max_token_ttl: Nanos,
    pub(crate) token_locality: String,
    pub(crate) token_name_format: String,
    pub(crate) config: Option<BTreeMap<String, Json>>,
    index: u64,
}

form!(AuthMethodForm, "struct { MaxTokenTTL interface {}; *structs.Alias }", custom, refuse, {
    "Name" => name, "Type" => kind, "DisplayName" => display_name, "Description" => description,
    "TokenLocality" => token_locality, "TokenNameFormat" => token_name_format, "Config" => config,
    "CreateIndex" => index, "ModifyIndex" => index,
} own {
    "MaxTokenTTL" => max_token_ttl,
});

/// An auth method; in lists without its settings.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AuthMethodOut<'a> {
    #[serde(rename = "MaxTokenTTL", skip_serializing_if = "Option::is_none")]
    max_token_ttl: Option<String>,
    name: &'a str,
    #[serde(rename = "Type")]
    kind: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    display_name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    token_locality: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    token_name_format: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<Value>,
    create_index: u64,
    modify_index: u64,
}

// === impl AuthMethodOut ===

impl AuthMethodOut<'_> {
    /// The same with its settings.
    pub(crate) fn with(self, config: Value) -> Self {
        Self { config: Some(config), ..self }
    }
}

impl<'a> From<&'a Row<AuthMethod>> for AuthMethodOut<'a> {
    fn from(row: &'a Row<AuthMethod>) -> Self {
        let method = &row.record;
        let ttl = i64::try_from(method.max_token_ttl).unwrap_or(i64::MAX);
        Self {
            max_token_ttl: (ttl > 0).then(|| duration::show(ttl)),
            name: &method.name,
            kind: &method.kind,
            display_name: &method.display_name,
            description: &method.description,
            token_locality: &method.token_locality,
            token_name_format: &method.token_name_format,
            config: None,
            create_index: row.created,
            modify_index: row.modified,
        }
    }
}

/// The settings as they are kept: an object, or `null` for none.
pub(crate) fn settings(config: Option<BTreeMap<String, Json>>) -> Value {
    let pairs =
        |pairs: BTreeMap<String, Json>| pairs.into_iter().map(|(key, value)| (key, plain(value)));
    config.map_or(Value::Null, |config| Value::Object(pairs(config).collect()))
}

fn plain(value: Json) -> Value {
    match value {
        Json::Null => Value::Null,
        Json::Bool(yes) => Value::Bool(yes),
        Json::Number(text) => Value::Number(number(&text)),
        Json::Text(text) => Value::String(text),
        Json::Array(items) => Value::Array(items.into_iter().map(plain).collect()),
        Json::Object(pairs) => {
            Value::Object(pairs.into_iter().map(|(key, value)| (key, plain(value))).collect())
        }
    }
}

/// Go keeps numbers of a map as floats, and prints whole ones without a point.
fn number(text: &str) -> Number {
    let whole = text.parse::<i64>().ok().map(Number::from);
    let float = || text.parse().ok().and_then(Number::from_f64);
    whole.or_else(float).unwrap_or_else(|| Number::from(0))
}
