//! Texts, numbers, durations, moments.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proconsul_anchors::duration;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::wire::{Report, Wire, fnv, type_of};

fn unconvertible(value: &Value, go_type: &str, at: &str, report: &mut Report) {
    let found = type_of(value);
    report.fault(at, format_args!("expected type '{go_type}', got unconvertible type '{found}'"));
}

fn unparsable(go_type: &str, reason: &str, at: &str, report: &mut Report) {
    report.fault(at, format_args!("cannot parse value as '{go_type}': {reason}"));
}

impl Wire for String {
    fn take(&mut self, value: &Value, at: &str, report: &mut Report) {
        match value {
            Value::String(text) => self.clone_from(text),
            Value::Bool(yes) => *self = u8::from(*yes).to_string(),
            Value::Number(number) => *self = number.as_f64().unwrap_or(0.0).to_string(),
            other => unconvertible(other, "string", at, report),
        }
    }

    fn is_blank(&self) -> bool {
        self.is_empty()
    }

    fn digest(&self) -> u64 {
        fnv(self.as_bytes())
    }
}

impl Wire for bool {
    fn take(&mut self, value: &Value, at: &str, report: &mut Report) {
        match value {
            Value::Bool(yes) => *self = *yes,
            Value::Number(number) => *self = number.as_f64() != Some(0.0),
            Value::String(text) => match text.as_str() {
                "1" | "t" | "T" | "TRUE" | "true" | "True" => *self = true,
                "" | "0" | "f" | "F" | "FALSE" | "false" | "False" => *self = false,
                _ => unparsable("bool", "strconv.ParseBool: invalid syntax", at, report),
            },
            other => unconvertible(other, "bool", at, report),
        }
    }

    fn is_blank(&self) -> bool {
        !self
    }

    fn digest(&self) -> u64 {
        fnv(&[u8::from(*self)])
    }
}

/// A whole number out of whatever stands for one, cut to its width as Go cuts it.
fn whole(value: &Value, go_type: &str, at: &str, report: &mut Report) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "Go cuts a float the same way")]
    let cut = |float: f64| float as i64;
    match value {
        Value::Number(number) => {
            let exact = number.as_i64().or_else(|| number.as_u64().map(u64::cast_signed));
            exact.or_else(|| number.as_f64().map(cut))
        }
        Value::Bool(yes) => Some(i64::from(*yes)),
        Value::String(text) if text.is_empty() => Some(0),
        Value::String(text) => {
            let parsed = text.parse().ok();
            if parsed.is_none() {
                let function = if go_type.starts_with('u') { "ParseUint" } else { "ParseInt" };
                unparsable(go_type, &format!("strconv.{function}: invalid syntax"), at, report);
            }
            parsed
        }
        other => {
            unconvertible(other, go_type, at, report);
            None
        }
    }
}

/// A number cut to its width.
fn cut_to<T>(number: i64, cut: fn(i64) -> T) -> T {
    cut(number)
}

macro_rules! whole_number {
    ($($type:ty, $go:literal, $cut:expr);* $(;)?) => { $(
        impl Wire for $type {
            fn take(&mut self, value: &Value, at: &str, report: &mut Report) {
                if let Some(number) = whole(value, $go, at, report) {
                    *self = cut_to::<$type>(number, $cut);
                }
            }

            fn is_blank(&self) -> bool {
                *self == 0
            }

            fn digest(&self) -> u64 {
                fnv(&self.to_le_bytes())
            }
        }
    )* };
}

whole_number! {
    i64, "int", |number| number;
    u64, "uint64", i64::cast_unsigned;
    u32, "uint32", |number| (number & i64::from(Self::MAX)).try_into().unwrap_or_default();
}

/// A duration in nanoseconds that prints as a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Nanos(pub(crate) i64);

/// A duration in nanoseconds that prints as a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pause(pub(crate) i64);

fn take_duration(nanos: &mut i64, value: &Value, at: &str, report: &mut Report) {
    let Value::String(text) = value else {
        if let Some(number) = whole(value, "time.Duration", at, report) {
            *nanos = number;
        }
        return;
    };
    match duration::parse(text) {
        Ok(read) => *nanos = read,
        Err(reason) => {
            // Consul cuts the text itself off the reason.
            let told = reason.to_string();
            let kept = told.rsplit_once(' ').map_or(told.as_str(), |(kept, _)| kept);
            let kept =
                if kept.starts_with("time: unknown unit") { "time: unknown unit" } else { kept };
            report.fault(at, kept);
        }
    }
}

impl Wire for Nanos {
    fn take(&mut self, value: &Value, at: &str, report: &mut Report) {
        take_duration(&mut self.0, value, at, report);
    }

    fn is_blank(&self) -> bool {
        self.0 == 0
    }

    fn digest(&self) -> u64 {
        self.0.digest()
    }
}

impl Serialize for Nanos {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0)
    }
}

impl Wire for Pause {
    fn take(&mut self, value: &Value, at: &str, report: &mut Report) {
        take_duration(&mut self.0, value, at, report);
    }

    fn is_blank(&self) -> bool {
        self.0 == 0
    }

    fn digest(&self) -> u64 {
        self.0.digest()
    }
}

impl Serialize for Pause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&duration::show(self.0))
    }
}

/// A share of the traffic, in percent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Share(pub(crate) f32);

impl Wire for Share {
    fn take(&mut self, value: &Value, at: &str, report: &mut Report) {
        #[expect(clippy::cast_possible_truncation, reason = "Go rounds it the same way")]
        match value {
            Value::Number(number) => self.0 = number.as_f64().unwrap_or(0.0) as f32,
            Value::Bool(yes) => self.0 = f32::from(u8::from(*yes)),
            Value::String(text) => match if text.is_empty() { Ok(0.0) } else { text.parse() } {
                Ok(read) => self.0 = read,
                Err(_) => {
                    unparsable("float32", "strconv.ParseFloat: invalid syntax", at, report);
                }
            },
            other => unconvertible(other, "float32", at, report),
        }
    }

    fn is_blank(&self) -> bool {
        self.0 == 0.0
    }

    fn digest(&self) -> u64 {
        fnv(&self.0.to_le_bytes())
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // The shortest text that means this number, not the number's own long tail.
        serializer.serialize_f64(self.0.to_string().parse().unwrap_or_default())
    }
}

/// A moment as RFC 3339 tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) String);

impl Wire for Moment {
    fn take(&mut self, value: &Value, at: &str, report: &mut Report) {
        match value {
            Value::String(text) => self.0.clone_from(text),
            other => report.fault(
                at,
                format_args!("expected a map or struct, got \"{}\"", crate::wire::kind_of(other)),
            ),
        }
    }

    fn is_blank(&self) -> bool {
        false
    }

    fn digest(&self) -> u64 {
        // All fields of Go's `time.Time` are private: nothing but its name is hashed.
        fnv(b"Time")
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Bytes that print in base64 and are read as the text that they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl Wire for Bytes {
    const TAKES_LISTS: bool = true;

    fn take(&mut self, value: &Value, at: &str, report: &mut Report) {
        match value {
            Value::String(text) if report.ours => {
                self.0 = STANDARD.decode(text).unwrap_or_default()
            }
            Value::String(text) => self.0 = text.as_bytes().to_vec(),
            Value::Array(items) => {
                let byte = |item: &Value| item.as_f64().map(|byte| byte.clamp(0.0, 255.0));
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "clamped to a byte"
                )]
                let bytes = items.iter().map(|item| byte(item).map(|byte| byte as u8)).collect();
                match bytes {
                    Some(bytes) => self.0 = bytes,
                    None => unconvertible(value, "[]uint8", at, report),
                }
            }
            other => unconvertible(other, "[]uint8", at, report),
        }
    }

    fn is_blank(&self) -> bool {
        self.0.is_empty()
    }

    fn digest(&self) -> u64 {
        self.0.iter().fold(0, |hash, byte| crate::wire::ordered(hash, fnv(&[*byte])))
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::nothing;

    #[test]
    fn nothing_hashes_like_the_number_zero() {
        assert_eq!(None::<Box<i64>>.digest(), 0_i64.digest());
        assert_eq!(nothing(), 0_i64.digest());
    }
}
