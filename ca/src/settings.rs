//! The configuration of the built-in provider, as clients and configuration files write it.

use std::time::Duration;

use proconsul_anchors::duration::{parse, show_wait};
use serde_json::{Map, Value};

use crate::keys::KeyKind;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Consul's bounds on the life of a leaf certificate.
const LEAF_MIN: Duration = HOUR;
const LEAF_MAX: Duration = Duration::from_secs(365 * 24 * 3600);
/// Consul's bound on the life of an intermediate certificate: three times the interval in which they are looked at.
const INTERMEDIATE_HOURS_MIN: u32 = 3;

/// What the provider is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How long a service's certificate is valid.
    pub leaf_ttl: Duration,
    /// How long an intermediate one is; there are none in a single datacenter.
    pub intermediate_ttl: Duration,
    /// How long a root is.
    pub root_ttl: Duration,
    /// Do not check the above.
    pub skip_validate: bool,
    /// The kind of key to make: `ec` or `rsa`.
    pub key_type: Box<str>,
    /// Its length.
    pub key_bits: i64,
    /// A key to use instead of a new one (PEM); empty for none.
    pub private_key: Box<str>,
    /// A root to use instead of a new one (PEM); empty for none.
    pub root_cert: Box<str>,
    /// The active root signs no other.
    pub disable_cross_signing: bool,
}

/// Why a configuration cannot be. The texts are Consul's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the text says it")]
pub enum InvalidSettings {
    #[error("error decoding config: decoding failed due to the following error(s):\n\n{0}")]
    Decode(String),
    #[error("must provide a private key when providing a root cert")]
    RootWithoutKey,
    #[error(
        "root cert TTL is set and is not greater than intermediate cert ttl. root cert ttl: {root}, intermediate cert ttl: {intermediate}"
    )]
    RootTtl { root: String, intermediate: String },
    #[error("leaf cert TTL must be greater or equal than {}", show_wait(LEAF_MIN))]
    LeafTooShort,
    #[error("leaf cert TTL must be less than {}", show_wait(LEAF_MAX))]
    LeafTooLong,
    #[error("Intermediate Cert TTL must be greater or equal than {INTERMEDIATE_HOURS_MIN}h")]
    IntermediateTooShort,
    #[error("Intermediate Cert TTL must be greater or equal than 3 * LeafCertTTL (>={0}).")]
    IntermediateBelowLeaf(String),
    #[error("EC key length must be one of (224, 256, 384, 521) bits")]
    EcBits,
    #[error("RSA key length must be 2048 or 4096 bits")]
    RsaBits,
    #[error("private key type must be either 'ec' or 'rsa'")]
    KeyType,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            leaf_ttl: 3 * DAY,
            intermediate_ttl: 365 * DAY,
            root_ttl: 3650 * DAY,
            skip_validate: false,
            key_type: "ec".into(),
            key_bits: 256,
            private_key: "".into(),
            root_cert: "".into(),
            disable_cross_signing: false,
        }
    }
}

// === impl Settings ===

impl Settings {
    /// Reads a configuration; keys that nobody knows are passed over, as Consul does.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(raw: &Map<String, Value>) -> Result<Self, InvalidSettings> {
        let mut settings = Self::default();
        let mut faults = Vec::new();
        for (key, value) in raw {
            if let Err(fault) = settings.take(key, value) {
                faults.push(fault);
            }
        }
        if !faults.is_empty() {
            return Err(InvalidSettings::Decode(faults.join("\n")));
        }
        if settings.private_key.is_empty() && !settings.root_cert.is_empty() {
            return Err(InvalidSettings::RootWithoutKey);
        }
        if !settings.skip_validate {
            settings.validate()?;
        }
        Ok(settings)
    }

    fn take(&mut self, key: &str, value: &Value) -> Result<(), String> {
        match key.to_ascii_lowercase().as_str() {
            "leafcertttl" => self.leaf_ttl = duration("LeafCertTTL", value)?,
            "intermediatecertttl" => {
                self.intermediate_ttl = duration("IntermediateCertTTL", value)?
            }
            "rootcertttl" => self.root_ttl = duration("RootCertTTL", value)?,
            "skipvalidate" => self.skip_validate = flag("SkipValidate", value)?,
            "privatekeytype" => self.key_type = text("PrivateKeyType", value)?,
            "privatekeybits" => self.key_bits = whole("PrivateKeyBits", value)?,
            "privatekey" => self.private_key = text("PrivateKey", value)?,
            "rootcert" => self.root_cert = text("RootCert", value)?,
            "disablecrosssigning" => {
                self.disable_cross_signing = flag("DisableCrossSigning", value)?
            }
            _ => {}
        }
        Ok(())
    }

    fn validate(&self) -> Result<(), InvalidSettings> {
        if self.root_ttl < self.intermediate_ttl {
            let (root, intermediate) = (show_wait(self.root_ttl), show_wait(self.intermediate_ttl));
            return Err(InvalidSettings::RootTtl { root, intermediate });
        }
        if self.leaf_ttl < LEAF_MIN {
            return Err(InvalidSettings::LeafTooShort);
        }
        if self.leaf_ttl > LEAF_MAX {
            return Err(InvalidSettings::LeafTooLong);
        }
        if self.intermediate_ttl < INTERMEDIATE_HOURS_MIN * HOUR {
            return Err(InvalidSettings::IntermediateTooShort);
        }
        if self.intermediate_ttl < 3 * self.leaf_ttl {
            return Err(InvalidSettings::IntermediateBelowLeaf(show_wait(3 * self.leaf_ttl)));
        }
        match (&*self.key_type, self.key_bits) {
            ("ec", 224 | 256 | 384 | 521) | ("rsa", 2048 | 4096) => Ok(()),
            ("ec", _) => Err(InvalidSettings::EcBits),
            ("rsa", _) => Err(InvalidSettings::RsaBits),
            _ => Err(InvalidSettings::KeyType),
        }
    }

    /// The kind and length of the key to make.
    pub fn key(&self) -> (KeyKind, u32) {
        let kind = if &*self.key_type == "rsa" { KeyKind::Rsa } else { KeyKind::Ec };
        (kind, u32::try_from(self.key_bits).unwrap_or(0))
    }

    /// Whether the same root serves both: then a change from one to the other needs no new one.
    pub fn same_root(&self, other: &Self) -> bool {
        self.private_key == other.private_key
            && self.root_cert == other.root_cert
            && self.key_type == other.key_type
            && self.key_bits == other.key_bits
    }
}

// === values as Consul's decoder takes them: weakly ===

fn unconvertible(key: &str, expected: &str, value: &Value) -> String {
    let kind = match value {
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
        Value::String(_) => "string",
        Value::Bool(_) => "bool",
        _ => "float64",
    };
    format!("'{key}' expected type '{expected}', got unconvertible type '{kind}'")
}

/// Go's text of a duration, or nanoseconds.
fn duration(key: &str, value: &Value) -> Result<Duration, String> {
    let nanos = match value {
        Value::String(text) => parse(text).map_err(|fault| format!("'{key}' {fault}"))?,
        other => number(other).ok_or_else(|| unconvertible(key, "time.Duration", value))?,
    };
    Ok(Duration::from_nanos(u64::try_from(nanos).unwrap_or(0)))
}

#[expect(clippy::cast_possible_truncation, reason = "a float is cut off, as Go does")]
fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Null => Some(0),
        Value::Bool(yes) => Some(i64::from(*yes)),
        Value::Number(number) => number.as_i64().or_else(|| Some(number.as_f64()? as i64)),
        _ => None,
    }
}

fn whole(key: &str, value: &Value) -> Result<i64, String> {
    match value {
        Value::String(text) if text.is_empty() => Ok(0),
        Value::String(text) => text.parse().map_err(|_| {
            format!("'{key}' cannot parse value as 'int': strconv.ParseInt: invalid syntax")
        }),
        other => number(other).ok_or_else(|| unconvertible(key, "int", value)),
    }
}

fn flag(key: &str, value: &Value) -> Result<bool, String> {
    match value {
        Value::String(text) => match text.as_str() {
            "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            _ => Err(format!(
                "'{key}' cannot parse value as 'bool': strconv.ParseBool: invalid syntax"
            )),
        },
        other => {
            number(other).map(|number| number != 0).ok_or_else(|| unconvertible(key, "bool", value))
        }
    }
}

fn text(key: &str, value: &Value) -> Result<Box<str>, String> {
    match value {
        Value::Null => Ok("".into()),
        Value::String(text) => Ok(text.as_str().into()),
        Value::Bool(yes) => Ok(if *yes { "1" } else { "0" }.into()),
        Value::Number(number) => Ok(number.to_string().into()),
        _ => Err(unconvertible(key, "string", value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_told_in_consuls_words() {
        let cases = [
            (r#"{"LeafCertTTL":"1m"}"#, "leaf cert TTL must be greater or equal than 1h0m0s"),
            (r#"{"LeafCertTTL":true}"#, "leaf cert TTL must be greater or equal than 1h0m0s"),
            (r#"{"LeafCertTTL":"8761h"}"#, "leaf cert TTL must be less than 8760h0m0s"),
            (
                r#"{"LeafCertTTL":"zz"}"#,
                "error decoding config: decoding failed due to the following error(s):\n\n'LeafCertTTL' time: invalid duration \"zz\"",
            ),
            (
                r#"{"IntermediateCertTTL":"1h"}"#,
                "Intermediate Cert TTL must be greater or equal than 3h",
            ),
            (
                r#"{"IntermediateCertTTL":"100h"}"#,
                "Intermediate Cert TTL must be greater or equal than 3 * LeafCertTTL (>=216h0m0s).",
            ),
            (
                r#"{"RootCertTTL":"100h"}"#,
                "root cert TTL is set and is not greater than intermediate cert ttl. root cert ttl: 100h0m0s, intermediate cert ttl: 8760h0m0s",
            ),
            (r#"{"PrivateKeyType":"zz"}"#, "private key type must be either 'ec' or 'rsa'"),
            (r#"{"PrivateKeyBits":100}"#, "EC key length must be one of (224, 256, 384, 521) bits"),
            (r#"{"PrivateKeyType":"rsa"}"#, "RSA key length must be 2048 or 4096 bits"),
            (
                r#"{"PrivateKeyBits":"x"}"#,
                "error decoding config: decoding failed due to the following error(s):\n\n'PrivateKeyBits' cannot parse value as 'int': strconv.ParseInt: invalid syntax",
            ),
            (r#"{"RootCert":"zz"}"#, "must provide a private key when providing a root cert"),
            (r#"{"Foo":1,"LeafCertTTL":255600000000000}"#, "fine"),
            (r#"{"skipvalidate":true,"LeafCertTTL":"1s"}"#, "fine"),
        ];
        for (text, told) in cases {
            let read = Settings::read(&serde_json::from_str(text).unwrap());
            let said = read.map_or_else(|fault| fault.to_string(), |_| "fine".into());
            assert_eq!(said, told, "{text}");
        }
    }

    #[test]
    fn only_another_key_asks_for_another_root() {
        let of = |text: &str| Settings::read(&serde_json::from_str(text).unwrap()).unwrap();
        let plain = of("{}");
        assert!(plain.same_root(&of(r#"{"LeafCertTTL":"71h","PrivateKeyBits":256}"#)));
        assert!(!plain.same_root(&of(r#"{"PrivateKeyBits":384}"#)));
    }
}
