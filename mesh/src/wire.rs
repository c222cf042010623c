//! Forms that Consul reads, prints and hashes by the names of their fields.
//!
//! A form is declared once ([`record`]); from that come three things that have to agree:
//! - reading as `mapstructure` reads with weak types: keys in any case and by their snake-case names, a lone value where a list
//!   stands, a list of one where a value stands, numbers and booleans as texts and the other way round;
//! - printing in the order of the fields, with Go's rules of omission;
//! - the hash that Consul prints beside an entry (`hashstructure` over FNV-1).

use std::collections::BTreeMap;

use serde_json::Value;

mod fields;
mod list;
mod opaque;
mod record;
mod scalar;

pub(crate) use fields::{Fields, Report};
pub(crate) use list::{Dict, List};
pub(crate) use opaque::Opaque;
pub(crate) use record::record;
pub(crate) use scalar::{Bytes, Moment, Nanos, Pause, Share};

/// Something with a place in a form.
pub(crate) trait Wire: Default {
    /// Whether a list is taken as it is; elsewhere a list of one stands for its only element.
    const TAKES_LISTS: bool = false;

    /// What Go calls a map of such values, where it is told.
    const GO_MAP: &str = "map[string]string";

    /// Takes a value that is not null over.
    fn take(&mut self, value: &Value, at: &str, report: &mut Report);

    /// Whether Go calls it empty.
    fn is_blank(&self) -> bool;

    /// Its part of the hash.
    fn digest(&self) -> u64;
}

/// Reads a value into a place; null leaves it as it is.
pub(crate) fn read<T: Wire>(slot: &mut T, value: &Value, at: &str, report: &mut Report) {
    match value {
        Value::Null => {}
        Value::Array(items) if items.len() == 1 && !T::TAKES_LISTS => {
            read_only(slot, &items[0], at, report);
        }
        _ => slot.take(value, at, report),
    }
}

/// The only element of a list where no list stands.
fn read_only<T: Wire>(slot: &mut T, value: &Value, at: &str, report: &mut Report) {
    if !value.is_null() {
        slot.take(value, at, report);
    }
}

/// A pointer in Go: there or not.
impl<T: Wire> Wire for Option<Box<T>> {
    fn take(&mut self, value: &Value, at: &str, report: &mut Report) {
        let mut inner = T::default();
        let before = report.faults();
        read(&mut inner, value, at, report);
        if report.faults() == before {
            *self = Some(Box::new(inner));
        }
    }

    fn is_blank(&self) -> bool {
        self.is_none()
    }

    fn digest(&self) -> u64 {
        self.as_ref().map_or_else(nothing, |inner| inner.digest())
    }
}

/// What Go calls a kind of JSON value.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "invalid",
        Value::Bool(_) => "bool",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "slice",
        Value::Object(_) => "map",
    }
}

/// The Go type of a JSON value.
pub(crate) fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
        _ => kind_of(value),
    }
}

// === hashing ===

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

/// FNV-1 over bytes.
pub(crate) fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(FNV_OFFSET, |hash, byte| hash.wrapping_mul(FNV_PRIME) ^ u64::from(*byte))
}

/// Two hashes, one after the other.
pub(crate) fn ordered(first: u64, second: u64) -> u64 {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&first.to_le_bytes());
    bytes[8..].copy_from_slice(&second.to_le_bytes());
    fnv(&bytes)
}

/// What a missing value counts as: the number 0.
pub(crate) fn nothing() -> u64 {
    fnv(&[0; 8])
}

/// The hash of a field.
pub(crate) fn field_digest(name: &str, value: u64) -> u64 {
    ordered(fnv(name.as_bytes()), value)
}

/// The hash of a list.
pub(crate) fn list_digest<T: Wire>(items: &[T]) -> u64 {
    items.iter().fold(0, |hash, item| ordered(hash, item.digest()))
}

/// The hash of a map.
pub(crate) fn map_digest<T: Wire>(map: &BTreeMap<String, T>) -> u64 {
    map.iter().fold(0, |hash, (key, value)| hash ^ field_digest(key, value.digest()))
}

/// The two indexes of a stored entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Indexes {
    /// Whether they are printed at all.
    pub(crate) shown: bool,
    pub(crate) created: u64,
    pub(crate) modified: u64,
}
