//! Values that nobody here understands: what a proxy is configured with.

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::wire::{Report, Wire, field_digest, fnv, nothing, ordered};

/// Any JSON value. Its numbers are floats, as Go reads them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Opaque(pub(crate) Value);

impl Serialize for Opaque {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl Wire for Opaque {
    const TAKES_LISTS: bool = true;
    const GO_MAP: &str = "map[string]interface {}";

    fn take(&mut self, value: &Value, _at: &str, report: &mut Report) {
        self.0 = match value {
            Value::Array(items) if items.len() == 1 && !report.ours => {
                let mut only = items[0].clone();
                unwrap_singles(&mut only);
                only
            }
            other => other.clone(),
        };
        float(&mut self.0);
    }

    fn is_blank(&self) -> bool {
        self.0.is_null()
    }

    fn digest(&self) -> u64 {
        digest(&self.0)
    }
}

/// Below a list of one, lists of one that are members of objects stand for their only element, too.
fn unwrap_singles(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for member in map.values_mut() {
                if let Value::Array(items) = member
                    && items.len() == 1
                {
                    *member = items.remove(0);
                }
                unwrap_singles(member);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(unwrap_singles),
        _ => {}
    }
}

/// Makes every number a float.
fn float(value: &mut Value) {
    match value {
        Value::Number(number) => *value = number.as_f64().map_or(Value::Null, Value::from),
        Value::Array(items) => items.iter_mut().for_each(float),
        Value::Object(map) => map.values_mut().for_each(float),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

fn digest(value: &Value) -> u64 {
    match value {
        Value::Null => nothing(),
        Value::Bool(yes) => fnv(&[u8::from(*yes)]),
        Value::Number(number) => fnv(&number.as_f64().unwrap_or(0.0).to_le_bytes()),
        Value::String(text) => fnv(text.as_bytes()),
        Value::Array(items) => items.iter().fold(0, |hash, item| ordered(hash, digest(item))),
        Value::Object(map) => {
            map.iter().fold(0, |hash, (key, item)| hash ^ field_digest(key, digest(item)))
        }
    }
}
