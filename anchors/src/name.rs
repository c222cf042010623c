//! Names that are kept as written and compared without case, as Consul's catalog does.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A name or id of the catalog: printed as last written, equal and ordered without regard to case.
///
/// Node names, service names, service ids and check ids are all of this kind (Consul's catalog
/// lower-cases each of its index keys).
#[derive(Clone)]
pub struct Caseless {
    shown: Arc<str>,
    /// Invariant: the lower-case form of `shown`; the same allocation where nothing differs.
    key: Arc<str>,
}

impl Caseless {
    /// The name as it was last written.
    pub fn as_str(&self) -> &str {
        &self.shown
    }

    /// The lower-case form by which it is compared.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The lower-case form, shared.
    pub fn shared_key(&self) -> Arc<str> {
        Arc::clone(&self.key)
    }

    /// Whether nothing was given.
    pub fn is_empty(&self) -> bool {
        self.shown.is_empty()
    }

    /// The name as a single DNS label, when it is one (RFC 1123 as Consul reads it).
    pub fn label(&self) -> Option<DnsLabel<'_>> {
        DnsLabel::parse(&self.shown)
    }

    /// Whether both are the same to the letter, case included.
    pub fn same_spelling(&self, other: &Self) -> bool {
        self.shown == other.shown
    }
}

/// Proof that a name can be asked over DNS: 1 to 63 letters, digits and hyphens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DnsLabel<'a>(&'a str);

impl<'a> DnsLabel<'a> {
    /// The label, or nothing when the text is none.
    pub fn parse(text: &'a str) -> Option<Self> {
        let fits = (1..=63).contains(&text.len());
        let safe = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (fits && safe).then_some(Self(text))
    }

    /// The text of the label.
    pub fn as_str(self) -> &'a str {
        self.0
    }
}

// === impl Caseless ===

impl From<&str> for Caseless {
    fn from(raw: &str) -> Self {
        let shown: Arc<str> = raw.into();
        let plain = raw.is_ascii() && !raw.bytes().any(|byte| byte.is_ascii_uppercase());
        let key = if plain { Arc::clone(&shown) } else { raw.to_lowercase().into() };
        Self { shown, key }
    }
}

impl From<String> for Caseless {
    fn from(raw: String) -> Self {
        Self::from(raw.as_str())
    }
}

impl Default for Caseless {
    fn default() -> Self {
        Self::from("")
    }
}

impl PartialEq for Caseless {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Caseless {}

impl PartialOrd for Caseless {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Caseless {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key)
    }
}

impl Hash for Caseless {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl fmt::Display for Caseless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Caseless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.shown)
    }
}

impl Serialize for Caseless {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.shown)
    }
}

impl<'de> Deserialize<'de> for Caseless {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_is_kept_and_not_compared() {
        let (shouted, said) = (Caseless::from("WEB"), Caseless::from("web"));
        assert_eq!(shouted, said);
        assert!(!shouted.same_spelling(&said));
        assert_eq!((shouted.as_str(), shouted.key()), ("WEB", "web"));
    }

    #[test]
    fn only_safe_names_are_labels() {
        for (name, is_label) in [("web-1", true), ("", false), ("a.b", false), ("a_b", false)] {
            assert_eq!(Caseless::from(name).label().is_some(), is_label, "{name}");
        }
    }
}
