//! What anchors say to each other over an adjacency: JSON.

use serde::{Deserialize, Serialize};

use super::chain::Link;
use crate::scope::ScopePath;

/// A question on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// The question, as it is signed: JSON.
    pub question: Box<str>,
    /// What the asker made this way unique with.
    pub nonce: Box<str>,
    /// The hops so far, from the asker's on: DSSE envelopes as JSON.
    pub hops: Vec<Box<str>>,
    /// Milliseconds that are left.
    pub patience_ms: u64,
    /// SHA-256, in hex, of the answer that the asker has: it is not sent again, and while it holds the owner waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub have: Option<Box<str>>,
    /// The owner's mark that the asker has; see [`super::Terms::mark`].
    #[serde(default)]
    pub mark: u64,
    /// Milliseconds that the owner waits for another answer; 0 for none.
    #[serde(default)]
    pub wait_ms: u64,
}

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// Of what kind it is.
    pub kind: ReplyKind,
    /// All hops of the way, where it came to an end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hops: Vec<Box<str>>,
    /// The answer; nothing when nobody may have it, or when the asker has it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_base64")]
    pub answer: Option<Vec<u8>>,
}

/// What came of a question, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplyKind {
    /// The way came to its end; the hops tell.
    Ended,
    /// No way to the scope is known here.
    Unknown,
    /// There are ways, and none of them led anywhere now.
    Unreachable,
    /// What was decided on the way may be decided otherwise now: whoever waits is to ask again.
    Again,
}

/// What an anchor tells its neighbours of itself, again and again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Its scope.
    pub scope: ScopePath,
    /// The scopes that it reaches.
    pub reaches: Vec<Reached>,
}

/// A scope that can be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// Over which scopes, from the next one to the scope itself.
    pub path: Vec<ScopePath>,
    /// Milliseconds since it was heard of.
    pub age_ms: u64,
}

mod optional_base64 {
    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    struct Bytes(#[serde(with = "crate::encoding::base64")] Vec<u8>);

    #[expect(clippy::ref_option, reason = "the shape that serde asks for")]
    pub(super) fn serialize<S: Serializer>(
        bytes: &Option<Vec<u8>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match bytes {
            Some(bytes) => crate::encoding::base64::serialize(bytes, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Vec<u8>>, D::Error> {
        Ok(Option::<Bytes>::deserialize(deserializer)?.map(|bytes| bytes.0))
    }
}

// === impl Reply ===

impl Reply {
    /// A reply without hops.
    pub fn of(kind: ReplyKind) -> Self {
        Self { kind, hops: Vec::new(), answer: None }
    }

    /// The end of a way.
    pub(super) fn ended(links: &[Link], answer: Option<Vec<u8>>) -> Self {
        Self { kind: ReplyKind::Ended, hops: written(links), answer }
    }
}

/// Hops in the form in which they travel.
pub(super) fn written(links: &[Link]) -> Vec<Box<str>> {
    links.iter().map(|link| link.envelope.to_json().into()).collect()
}
