//! The path of a scope: labels from the datacenter down, parted by slashes.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The labels of a path at most, whatever a policy allows.
pub(crate) const LABELS_MAX: usize = 64;
/// A label is one of a DNS name, too (RFC 1035 §2.3.4).
pub(crate) const LABEL_BYTES_MAX: usize = 63;

/// Where a scope lies: `dc1`, `dc1/payments`. The first label is what Consul calls a datacenter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ScopePath(Arc<str>);

/// Why a text is no path of a scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopePathError {
    /// A label is empty, too long, or has other letters.
    #[error(
        "scope {path:?}: the label {label:?} must be 1 to 63 lower-case letters, digits and dashes, without a dash at either end"
    )]
    Label {
        /// The whole text.
        path: Box<str>,
        /// The label.
        label: Box<str>,
    },
    /// It has too many labels.
    #[error("scope {path:?} has {labels} labels; at most {LABELS_MAX} are possible")]
    Depth {
        /// The whole text.
        path: Box<str>,
        /// As many as it has.
        labels: usize,
    },
}

// === impl ScopePath ===

impl ScopePath {
    /// Reads a path.
    ///
    /// # Errors
    /// [`ScopePathError`].
    pub fn parse(text: &str) -> Result<Self, ScopePathError> {
        let labels = text.split('/').count();
        if labels > LABELS_MAX {
            return Err(ScopePathError::Depth { path: text.into(), labels });
        }
        match text.split('/').find(|label| !is_label(label)) {
            Some(label) => Err(ScopePathError::Label { path: text.into(), label: label.into() }),
            None => Ok(Self(text.into())),
        }
    }

    /// The path as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first label.
    pub fn datacenter(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }

    /// The path above it; nothing above a datacenter.
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.into()))
    }

    /// How many labels it has.
    pub fn depth(&self) -> usize {
        self.0.split('/').count()
    }

    /// Whether it is `other` or lies under it.
    pub fn is_within(&self, other: &Self) -> bool {
        let rest = self.0.strip_prefix(&*other.0);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Itself, then what lies above it, up to the datacenter.
    pub fn lineage(&self) -> impl Iterator<Item = Self> {
        std::iter::successors(Some(self.clone()), Self::parent)
    }
}

fn is_label(label: &str) -> bool {
    let fits = (1..=LABEL_BYTES_MAX).contains(&label.len());
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    fits && label.bytes().all(plain) && !label.starts_with('-') && !label.ends_with('-')
}

impl Default for ScopePath {
    /// The scope of Consul's default datacenter.
    fn default() -> Self {
        Self("dc1".into())
    }
}

impl fmt::Display for ScopePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ScopePath {
    type Err = ScopePathError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl TryFrom<String> for ScopePath {
    type Error = ScopePathError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<ScopePath> for String {
    fn from(path: ScopePath) -> Self {
        path.as_str().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> ScopePath {
        ScopePath::parse(text).unwrap()
    }

    #[test]
    fn paths_are_labels() {
        for good in ["dc1", "dc1/payments", "a/b-c/d0"] {
            assert_eq!(path(good).as_str(), good);
        }
        for bad in ["", "/", "dc1/", "dc1//x", "DC1", "dc1/-x", "dc1/x-", "dc1/a_b", "dc1/ä"] {
            assert!(matches!(ScopePath::parse(bad), Err(ScopePathError::Label { .. })), "{bad}");
        }
        let deep = vec!["x"; LABELS_MAX + 1].join("/");
        assert!(matches!(ScopePath::parse(&deep), Err(ScopePathError::Depth { .. })));
    }

    #[test]
    fn a_path_lies_within_those_above_it() {
        let cases = [
            ("dc1/a", "dc1", true),
            ("dc1", "dc1", true),
            ("dc1", "dc1/a", false),
            ("dc1/ab", "dc1/a", false),
            ("dc1/a/b", "dc1/a", true),
        ];
        for (inner, outer, expected) in cases {
            assert_eq!(path(inner).is_within(&path(outer)), expected, "{inner} in {outer}");
        }
        let up: Vec<String> = path("a/b/c").lineage().map(String::from).collect();
        assert_eq!(up, ["a/b/c", "a/b", "a"]);
    }
}
