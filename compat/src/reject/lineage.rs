//! Why a lineage or a record has no answer.

use http::StatusCode;
use proconsul_anchors::handle::PruneError;
use uuid::Uuid;

use super::Reject;

/// What is wrong with a question about a lineage.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LineageFault {
    #[error("Unknown scope {scope:?}: there are {}", shown(.known))]
    UnknownScope { scope: String, known: Vec<String> },
    #[error("Invalid {name}: {why}")]
    Parameter { name: &'static str, why: String },
    #[error("The lineage of {scope} has {size} entries: {asked} is not there")]
    Beyond { scope: String, size: u64, asked: String },
    #[error(
        "Invalid tile path {0:?}: it is tile/<level>/<number>[.p/<width>] or tile/entries/<number>[.p/<width>], \
         the number in groups of three digits as x001/x234/067"
    )]
    TilePath(String),
    #[error("No entry of any lineage speaks of record {0}")]
    UnknownRecord(Uuid),
    #[error("Record {uid} has versions 1 to {newest}; {asked} is none of them")]
    UnknownVersion { uid: Uuid, asked: u64, newest: u64 },
    #[error("The record was removed in version {version}")]
    Removed { version: u64 },
    #[error(
        "What the record was in version {version} is not kept any more; its leaf is, and can be proven"
    )]
    PrunedVersion { version: u64 },
    #[error("No entry tells what the record was in version {version}")]
    NoBody { version: u64 },
    #[error("{0} cannot be rolled back: write it by its own page")]
    NoRollback(&'static str),
    #[error("No page {0:?} of a record: there are versions, diff, proof, rollback and payloads")]
    NoPage(String),
    #[error("The lineage cannot be read: {0}")]
    Unreadable(String),
}

/// As many names as an error tells.
const SHOWN_MAX: usize = 20;

fn shown(known: &[String]) -> String {
    let mut text = known.iter().take(SHOWN_MAX).cloned().collect::<Vec<_>>().join(", ");
    if known.len() > SHOWN_MAX {
        text.push_str(&format!(" and {} more", known.len() - SHOWN_MAX));
    }
    text
}

impl LineageFault {
    /// The status that goes with it.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::UnknownScope { .. }
            | Self::Beyond { .. }
            | Self::UnknownRecord(_)
            | Self::UnknownVersion { .. }
            | Self::NoBody { .. }
            | Self::NoPage(_) => StatusCode::NOT_FOUND,
            Self::Removed { .. } | Self::PrunedVersion { .. } => StatusCode::GONE,
            Self::Parameter { .. } | Self::TilePath(_) | Self::NoRollback(_) => {
                StatusCode::BAD_REQUEST
            }
            Self::Unreadable(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl From<PruneError> for Reject {
    fn from(error: PruneError) -> Self {
        match error {
            PruneError::Refused(refusal) => refusal.into(),
            other => LineageFault::Unreadable(other.to_string()).into(),
        }
    }
}
