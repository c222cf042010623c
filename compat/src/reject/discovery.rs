//! What transactions, prepared queries, events and coordinates are refused, in Consul's words.

use http::StatusCode;
use proconsul_anchors::coordinate::BadCoordinate;
use proconsul_anchors::error::{Misfit, Refusal};
use proconsul_anchors::events::BadFilter;
use proconsul_anchors::prepared::{BadTemplate, Unresolved};
use proconsul_anchors::txn::Verb;

use super::{Reject, refusal};
use crate::go::text::quote;
use crate::limits::EVENT_BYTES_MAX;
use crate::wire::decode::DecodeError;

/// Why a page of these has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DiscoveryFault {
    // --- transactions ---
    #[error("Failed to parse body: {0}")]
    TxnBody(DecodeError),
    #[error(
        "Request body({length} bytes) too large, max size: {max} bytes. See https://developer.hashicorp.com/docs/agent/config/config-files#txn_max_req_len."
    )]
    TxnTooLarge { length: u64, max: u64 },
    #[error(
        "Request body too large, max size: {max} bytes. See https://developer.hashicorp.com/docs/agent/config/config-files#txn_max_req_len."
    )]
    UnsizedTxnTooLarge { max: u64 },
    #[error("Transaction contains too many operations ({count} > {max})")]
    TxnTooMany { count: usize, max: usize },
    #[error("Value for key {} is too large ({bytes} > {max} bytes)", quote(.key))]
    TxnValue { key: String, bytes: usize, max: u64 },

    // --- prepared queries ---
    #[error("Query not found")]
    QueryNotFound,
    #[error("failed prepared query lookup: index error: {0}")]
    QueryId(String),
    #[error("Prepared Query lookup failed: failed prepared query lookup: index error: {0}")]
    QueryIdToChange(String),
    #[error("Cannot modify non-existent prepared query: '{0}'")]
    NoQueryToChange(String),
    #[error("ID must be empty when creating a new prepared query")]
    QueryWithId,
    #[error("Invalid prepared query: {0}")]
    InvalidQuery(String),
    #[error("raft apply failed: failed compiling template: {0}")]
    Template(BadTemplate),
    #[error("{0}")]
    Unresolved(Unresolved),
    #[error("Bad limit: strconv.Atoi: parsing {}: invalid syntax", quote(.0))]
    Limit(String),
    #[error("Error parsing 'connect' value: strconv.ParseBool: parsing {}: invalid syntax", quote(.0))]
    ConnectFlag(String),

    // --- events ---
    #[error("Missing name")]
    MissingEventName,
    #[error(
        "Event payload too large, received {0} bytes, max size: {max} bytes. User events should be kept small for efficient gossip propagation.",
        max = EVENT_BYTES_MAX
    )]
    EventTooLarge(u64),
    #[error("Event payload size must be greater than zero")]
    UnsizedEvent,
    #[error("{0}")]
    EventFilter(BadFilter),
    #[error("{0}")]
    EventToken(Box<Reject>),

    // --- coordinates ---
    #[error("Coordinate support disabled")]
    CoordinatesDisabled,
    #[error("{0}")]
    Coordinate(#[from] BadCoordinate),
}

impl DiscoveryFault {
    /// The status that goes with it.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::TxnTooLarge { .. }
            | Self::UnsizedTxnTooLarge { .. }
            | Self::TxnTooMany { .. }
            | Self::TxnValue { .. }
            | Self::EventTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TxnBody(_) | Self::MissingEventName | Self::UnsizedEvent => {
                StatusCode::BAD_REQUEST
            }
            Self::QueryNotFound => StatusCode::NOT_FOUND,
            Self::CoordinatesDisabled => StatusCode::UNAUTHORIZED,
            Self::QueryId(_)
            | Self::QueryIdToChange(_)
            | Self::NoQueryToChange(_)
            | Self::QueryWithId
            | Self::InvalidQuery(_)
            | Self::Template(_)
            | Self::Unresolved(_)
            | Self::Limit(_)
            | Self::ConnectFlag(_)
            | Self::EventFilter(_)
            | Self::EventToken(_)
            | Self::Coordinate(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Whether the rest of the request is not worth reading.
    pub(crate) fn closes(&self) -> bool {
        matches!(self, Self::TxnTooLarge { .. } | Self::UnsizedTxnTooLarge { .. })
    }
}

/// What a transaction tells of a verb that there is not.
pub(crate) fn unknown_verb(of: &str, verb: &str) -> String {
    format!("unknown {of} operation: {verb}")
}

/// What a transaction tells of an operation on no key.
pub(crate) const NO_KEY: &str = "Must provide key";

/// Consul's words for an operation that fails.
pub(crate) fn misfit(misfit: &Misfit) -> String {
    match misfit {
        Misfit::StaleKey(key) => format!("failed to set key {}, index is stale", quote(key)),
        Misfit::StaleKeyDelete(key) => {
            format!("failed to delete key {}, index is stale", quote(key))
        }
        Misfit::LockHeld(key) => {
            format!("failed to lock key {}, lock is already held", quote(key))
        }
        Misfit::LockDelayed(key) => format!("failed to lock key {} due to lock delay", quote(key)),
        Misfit::LockNotHeld(key) => format!(
            "failed to unlock key {}, lock isn't held, or is held by another session",
            quote(key)
        ),
        Misfit::NoKey(key) => format!("key {} doesn't exist", quote(key)),
        Misfit::KeyExists(key) => format!("key {} exists", quote(key)),
        Misfit::NoKeyForIndex(key) => {
            format!("failed to check index, key {} doesn't exist", quote(key))
        }
        Misfit::NoKeyForSession(key) => {
            format!("failed to check session, key {} doesn't exist", quote(key))
        }
        Misfit::KeyIndex { key, is, asked } => format!(
            "failed index check for key {}, current modify index {is} != {asked}",
            quote(key)
        ),
        Misfit::KeySession { key, is, asked } => format!(
            "failed session check for key {}, current session {} != {}",
            quote(key),
            quote(is),
            quote(asked)
        ),
        Misfit::Refused(refusal) => refused(refusal),
        of_catalog => catalog_misfit(of_catalog),
    }
}

fn catalog_misfit(misfit: &Misfit) -> String {
    let on =
        |what: &str, id: &str, node: &str| format!("{what} {} on node {}", quote(id), quote(node));
    let stale = |verb: &str, subject: String| format!("failed to {verb} {subject}, index is stale");
    match misfit {
        Misfit::NoNode(node) => format!("node {} doesn't exist", quote(node.as_str())),
        Misfit::StaleNode(node) => stale("set", format!("node {}", quote(node.as_str()))),
        Misfit::StaleNodeDelete(node) => stale("delete", format!("node {}", quote(node.as_str()))),
        Misfit::NoService { node, id } => {
            format!("{} doesn't exist", on("service", id.as_str(), node.as_str()))
        }
        Misfit::StaleService { node, id } => {
            stale("set", on("service", id.as_str(), node.as_str()))
        }
        Misfit::StaleServiceDelete { node, id } => {
            stale("delete", on("service", id.as_str(), node.as_str()))
        }
        Misfit::ServiceMeta { node, id, reason } => {
            format!("Invalid Service Meta for node {node} and serviceID {id}: {reason}")
        }
        Misfit::NamelessCheck(verb) => {
            let lookup = match verb {
                Verb::Get | Verb::Cas => "failed check lookup",
                Verb::Set => "failed health check lookup",
                Verb::Delete => "check lookup failed",
                Verb::DeleteCas => "check lookup failed: failed check lookup",
            };
            format!("{lookup}: index error: object is missing a value for this index")
        }
        Misfit::NoCheck { node, id } => {
            format!("{} doesn't exist", on("check", id.as_str(), node.as_str()))
        }
        Misfit::StaleCheck { node, id } => stale("set", on("check", id.as_str(), node.as_str())),
        Misfit::StaleCheckDelete { node, id } => {
            stale("delete", on("check", id.as_str(), node.as_str()))
        }
        other => other.to_string(),
    }
}

/// What is refused alone has other words inside a transaction.
fn refused(inner: &Refusal) -> String {
    match inner {
        Refusal::MissingSession => "missing session".to_owned(),
        Refusal::UnknownSession(session) => format!("invalid session {}", quote(session)),
        Refusal::UnknownNode(_) => "Missing node registration".to_owned(),
        Refusal::UnknownService { .. } => "Missing service registration".to_owned(),
        Refusal::NodeNameTaken { .. } => {
            let text = refusal(inner);
            text.strip_prefix("failed inserting node: ").unwrap_or(&text).to_owned()
        }
        other => Reject::from(other.clone()).to_string(),
    }
}
