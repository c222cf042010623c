//! Configuration entries on the wire: bodies as `mapstructure` takes them, and what judging them takes of this crate.

use proconsul_anchors::index::Index;
use proconsul_anchors::record::ConfigEntry;
use proconsul_ca::pair;
use proconsul_mesh::{Entry, Kind, Library, Outside};
use serde_json::{Map, Number, Value};
use std::sync::Arc;

use crate::filter::{Filter, NODE};
use crate::go::json::{Json, SyntaxError, parse};

/// Why a body is no object that an entry could be read from, in Go's words.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RawFault {
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    #[error("json: cannot unmarshal number {0} into Go value of type float64")]
    Number(Box<str>),
    #[error("'' expected type 'map[string]interface {{}}', got unconvertible type '{0}'")]
    Kind(&'static str),
    #[error("json: cannot unmarshal {0} into Go value of type map[string]interface {{}}")]
    Value(&'static str),
}

/// Reads a body into an object with floats; null is an empty one.
pub(crate) fn raw(text: &[u8]) -> Result<Map<String, Value>, RawFault> {
    match value(parse(text)?)? {
        Value::Null => Ok(Map::new()),
        Value::Object(map) => Ok(map),
        Value::Bool(_) => Err(RawFault::Kind("bool")),
        Value::Number(_) => Err(RawFault::Kind("float64")),
        Value::String(_) => Err(RawFault::Kind("string")),
        Value::Array(_) => Err(RawFault::Kind("[]interface {}")),
    }
}

/// The same where the decoder is told at once that an object is wanted.
pub(crate) fn object(text: &[u8]) -> Result<Value, RawFault> {
    let json = parse(text)?;
    match json {
        Json::Null => Ok(Value::Object(Map::new())),
        Json::Object(_) => value(json),
        other => Err(RawFault::Value(other.kind())),
    }
}

/// JSON with floats for numbers, as Go reads it where it is told no type.
fn value(json: Json) -> Result<Value, RawFault> {
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(yes) => Value::Bool(yes),
        Json::Text(text) => Value::String(text),
        Json::Number(text) => {
            let float = text.parse().ok().and_then(Number::from_f64);
            Value::Number(float.ok_or(RawFault::Number(text))?)
        }
        Json::Array(items) => Value::Array(items.into_iter().map(value).collect::<Result<_, _>>()?),
        Json::Object(pairs) => {
            let pairs = pairs.into_iter().map(|(key, json)| Ok((key, value(json)?)));
            Value::Object(pairs.collect::<Result<_, RawFault>>()?)
        }
    })
}

/// The entries of an index.
#[derive(Clone, Copy)]
pub(crate) struct Shelf<'a>(pub(crate) &'a Index);

impl Shelf<'_> {
    /// The entries of a kind in their order; those that no longer can be read are passed over.
    pub(crate) fn of(self, kind: Kind) -> impl Iterator<Item = Entry> {
        let prefix = format!("{kind}\n");
        let rows: Vec<_> = self.0.records_under::<ConfigEntry>(&prefix).cloned().collect();
        rows.into_iter().filter_map(move |row| {
            let found = Entry::restore(kind, &row.record.body, row.created, row.modified);
            found.inspect_err(|fault| tracing::error!(%kind, %fault, "entry cannot be read")).ok()
        })
    }

    /// The entry of this kind and name.
    pub(crate) fn find(self, kind: Kind, name: &str) -> Option<Entry> {
        let row = self.0.record::<ConfigEntry>(&ConfigEntry::key_of(kind.as_str(), name))?;
        let found = Entry::restore(kind, &row.record.body, row.created, row.modified);
        found.inspect_err(|fault| tracing::error!(%kind, %fault, "entry cannot be read")).ok()
    }
}

impl Library for Shelf<'_> {
    fn entry(&self, kind: Kind, name: &str) -> Option<Arc<Entry>> {
        self.find(kind, name).map(Arc::new)
    }

    fn entries(&self, kind: Kind) -> Vec<Arc<Entry>> {
        self.of(kind).map(Arc::new).collect()
    }
}

/// What judging entries takes of this crate.
pub(crate) struct Judge;

impl Outside for Judge {
    fn expression(&self, text: &str) -> Result<(), String> {
        // Without a record's type only the form counts.
        match Filter::compile(text, &NODE) {
            Err(fault) if fault.is_syntax() => Err(fault.to_string()),
            _ => Ok(()),
        }
    }

    fn json(&self, text: &str) -> Result<(), String> {
        match parse(text.as_bytes()) {
            Ok(_) => Ok(()),
            Err(SyntaxError::Empty | SyntaxError::Cut) => {
                Err("unexpected end of JSON input".to_owned())
            }
            Err(fault) => Err(fault.to_string()),
        }
    }

    fn key_pair(&self, certificate: &str, key: &str) -> Result<Vec<String>, String> {
        pair::check(certificate, key).map_err(|fault| fault.to_string())
    }
}
