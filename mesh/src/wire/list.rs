//! Lists and maps.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::wire::{Report, Wire, list_digest, map_digest, read, type_of};

/// A list that prints as null while it was never given.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct List<T>(pub(crate) Option<Vec<T>>);

/// A map that prints as null while it was never given.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Dict<T>(pub(crate) Option<BTreeMap<String, T>>);

fn take_list<T: Wire>(value: &Value, at: &str, report: &mut Report) -> Vec<T> {
    let mut list = Vec::new();
    match value {
        Value::Array(items) => {
            for (position, item) in items.iter().enumerate() {
                let mut element = T::default();
                read(&mut element, item, &format!("{at}[{position}]"), report);
                list.push(element);
            }
        }
        Value::Object(map) if map.is_empty() => {}
        lone => {
            let mut element = T::default();
            read(&mut element, lone, &format!("{at}[0]"), report);
            list.push(element);
        }
    }
    list
}

fn take_map<T: Wire>(into: &mut BTreeMap<String, T>, value: &Value, at: &str, report: &mut Report) {
    match value {
        Value::Object(map) => {
            for (key, item) in map {
                let mut element = T::default();
                read(&mut element, item, &format!("{at}[{key}]"), report);
                into.insert(key.clone(), element);
            }
        }
        Value::Array(items) => {
            for (position, item) in items.iter().enumerate() {
                take_map(into, item, &format!("{at}[{position}]"), report);
            }
        }
        other => report.fault(
            at,
            format_args!(
                "expected type '{}', got unconvertible type '{}'",
                T::GO_MAP,
                type_of(other)
            ),
        ),
    }
}

impl<T: Wire> Wire for Vec<T> {
    const TAKES_LISTS: bool = true;

    fn take(&mut self, value: &Value, at: &str, report: &mut Report) {
        *self = take_list(value, at, report);
    }

    fn is_blank(&self) -> bool {
        self.is_empty()
    }

    fn digest(&self) -> u64 {
        list_digest(self)
    }
}

impl<T: Wire> Wire for BTreeMap<String, T> {
    fn take(&mut self, value: &Value, at: &str, report: &mut Report) {
        take_map(self, value, at, report);
    }

    fn is_blank(&self) -> bool {
        self.is_empty()
    }

    fn digest(&self) -> u64 {
        map_digest(self)
    }
}

// === impl List ===

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Deref for List<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.0.as_deref().unwrap_or(&[])
    }
}

impl<T> DerefMut for List<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.0.as_deref_mut().unwrap_or(&mut [])
    }
}

impl<T: Serialize> Serialize for List<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<T: Wire> Wire for List<T> {
    const TAKES_LISTS: bool = true;

    fn take(&mut self, value: &Value, at: &str, report: &mut Report) {
        self.0 = Some(take_list(value, at, report));
    }

    fn is_blank(&self) -> bool {
        self.is_empty()
    }

    fn digest(&self) -> u64 {
        list_digest(self)
    }
}

// === impl Dict ===

impl<T> Default for Dict<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Serialize> Serialize for Dict<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<T: Wire> Wire for Dict<T> {
    fn take(&mut self, value: &Value, at: &str, report: &mut Report) {
        take_map(self.0.get_or_insert_default(), value, at, report);
    }

    fn is_blank(&self) -> bool {
        self.0.as_ref().is_none_or(BTreeMap::is_empty)
    }

    fn digest(&self) -> u64 {
        self.0.as_ref().map_or(0, map_digest)
    }
}
