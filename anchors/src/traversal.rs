//! Traversal: how a question reaches the scope that can answer it, over anchors that each decide for themselves.
//!
//! ```text
//!   asker ─▶ own policy, own hop ─▶ adjacency ─▶ its policy, its hop ─▶ … ─▶ owner: its policy, its hop, the answer
//!     ▲                                                                          │
//!     └───────────── verified link by link: question, nonce, hop before, answer ─┘
//! ```
//!
//! A [`Walk`] is one anchor's part of it, as a value: it is told the time, what its policy decided and what it hears, and tells
//! whom to ask. Every hop is signed and covers the one before, so that whoever asked can verify the whole way. The outcome of
//! a way is the strictest of its hops.

pub mod adjacency;
mod chain;
mod fragment;
mod message;
mod reach;
mod resolution;
pub mod resolve;
mod seen;
#[cfg(test)]
mod tests;
mod walk;

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use self::chain::{ChainFault, Hop, Link, Next, Terms, Way};
pub use self::fragment::{Fragment, FragmentFault};
pub use self::message::{Ask, Contact, Reached, Reply, ReplyKind};
pub use self::reach::Reach;
pub use self::resolution::{
    HopDocument, RECORDS_MAX, RESOLUTION_SECONDS, RESOLUTION_TYPE, Recorded, ResolutionDocument,
    Signed,
};
pub use self::seen::Seen;
pub use self::walk::{Asking, Decided, Failure, Me, Peer, Request, Step, Verdict, Walk};
use crate::encoding::hex;
use crate::query::Query;
use crate::scope::ScopePath;

/// Hops of a way at most, the asker's own among them.
pub const HOPS_MAX: usize = 8;
/// How far the clocks of two anchors may be apart, and how old a hop may be when it comes.
pub const WINDOW: Duration = Duration::from_secs(60);
/// How long a question over DNS may travel.
pub const DNS_PATIENCE: Duration = Duration::from_secs(2);
/// How long a question over HTTP may travel.
pub const HTTP_PATIENCE: Duration = Duration::from_secs(10);
/// Of what is left of the time each hop keeps this back for the way home.
pub const HOP_RESERVE: Duration = Duration::from_millis(20);
/// Bytes of a request between anchors at most.
pub const REQUEST_BYTES_MAX: usize = 256 << 10;
/// Bytes of a reply between anchors at most.
pub const REPLY_BYTES_MAX: usize = 16 << 20;

/// What is asked of a scope, in whose name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Question {
    /// The scope that is asked.
    pub target: ScopePath,
    /// What is to be done with the answer: `read`, or whatever the scope's policy knows.
    pub action: Box<str>,
    /// What is asked.
    pub subject: Subject,
    /// Who asks, as its anchor knows it.
    pub asker: Asker,
}

/// What is asked of a scope.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// Rows of its index.
    Read(Query),
    /// What a path stands for, as far as it leads.
    Resolve(Box<str>),
}

/// Who asks, as far as its anchor vouches for it. Secrets never travel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Asker {
    /// The scope that it belongs to.
    pub scope: ScopePath,
    /// The accessor of its token.
    pub accessor: Option<Box<str>>,
    /// The policies of access control that its token is linked with, by name.
    pub policies: Vec<Box<str>>,
    /// The roles of its token, by name.
    pub roles: Vec<Box<str>>,
    /// The method by which it logged in.
    pub auth_method: Option<Box<str>>,
    /// The address that it came from.
    pub source: Option<IpAddr>,
}

/// A question in the bytes that are signed and sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// JSON.
    pub text: Box<str>,
    /// What it says.
    pub question: Question,
    /// SHA-256 of the text, in hex.
    pub digest: Box<str>,
}

/// What an answer is known by: SHA-256 of its bytes, in hex.
pub(crate) fn answer_digest(answer: &[u8]) -> Box<str> {
    sha256_hex(answer)
}

/// SHA-256 in hex.
pub(crate) fn sha256_hex(bytes: &[u8]) -> Box<str> {
    hex::encode(&Sha256::digest(bytes)).into()
}

// === impl Subject ===

impl Subject {
    /// Whether it may be asked over an adjacency at all: what holds secrets never travels.
    pub fn travels(&self) -> bool {
        match self {
            Self::Resolve(_) => true,
            Self::Read(query) => travels(query),
        }
    }

    /// Whether every asker gets the same rows, so that what is decided about it is all that differs.
    pub fn is_one_for_all(&self) -> bool {
        match self {
            Self::Resolve(_) => false,
            Self::Read(query) => matches!(
                query,
                Query::Service(_)
                    | Query::Health(_)
                    | Query::Connect(_)
                    | Query::HealthConnect(_)
                    | Query::ServiceChecks { .. }
                    | Query::Key(_)
            ),
        }
    }
}

fn travels(query: &Query) -> bool {
    match query {
        Query::Nodes
        | Query::Node(_)
        | Query::Services { .. }
        | Query::Service(_)
        | Query::Health(_)
        | Query::Connect(_)
        | Query::HealthConnect(_)
        | Query::NodeChecks(_)
        | Query::ServiceChecks { .. }
        | Query::Checks { .. }
        | Query::Key(_)
        | Query::Keys(_) => true,
        Query::HealthIngress(_)
        | Query::GatewayServices { .. }
        | Query::Sessions
        | Query::Session(_)
        | Query::NodeSessions(_)
        | Query::CaRoots
        | Query::Table(_)
        | Query::Record { .. } => false,
        Query::Several(queries) => queries.iter().all(travels),
    }
}

// === impl Asked ===

impl Asked {
    /// Puts a question into bytes.
    pub fn new(question: Question) -> Self {
        let text = serde_json::to_string(&question).expect("a question has text keys only");
        Self { digest: sha256_hex(text.as_bytes()), text: text.into(), question }
    }

    /// Reads a question; nothing when it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let question = serde_json::from_str(text).ok()?;
        Some(Self { digest: sha256_hex(text.as_bytes()), text: text.into(), question })
    }
}
