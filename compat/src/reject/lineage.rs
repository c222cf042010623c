//! Why a lineage or a record has no answer.

use http::StatusCode;

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
            Self::UnknownScope { .. } | Self::Beyond { .. } => StatusCode::NOT_FOUND,
            Self::Parameter { .. } | Self::TilePath(_) => StatusCode::BAD_REQUEST,
            Self::Unreadable(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}
