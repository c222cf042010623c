//! What operators and the web interface are refused, in Consul's words.

use http::StatusCode;

use super::Faults;
use crate::go::text::{NumberError, quote};
use crate::wire::decode::DecodeError;

/// Why a page of an operator or of the web interface has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OperatorFault {
    // --- the group's members ---
    #[error("cannot find peer")]
    NoPeer,
    #[error("Could not find address for server id {0}")]
    NoSuchServer(String),
    #[error("cannot transfer leadership to itself")]
    OwnServer,
    #[error(
        "Must specify either ?id with the server's ID or ?address with IP:port of peer to remove"
    )]
    PeerUnnamed,
    #[error("Must specify only one of ?id or ?address")]
    PeerNamedTwice,
    #[error("{by} {} was not found in the Raft configuration", quote(.name))]
    UnknownPeer { by: &'static str, name: String },
    #[error("need at least one voter in configuration: {{[]}}")]
    LastVoter,
    #[error("Error parsing autopilot config: {0}")]
    Autopilot(DecodeError),
    #[error("Error parsing cas value: {0}")]
    Cas(NumberError),

    // --- gossip keys ---
    #[error("Error parsing relay factor: strconv.Atoi: parsing {}: invalid syntax", quote(.0))]
    RelayFactor(String),
    #[error("Invalid relay-factor: Relay factor must be in range: [0, 5]")]
    RelayFactorRange,
    #[error("Error parsing local-only: strconv.ParseBool: parsing {}: invalid syntax", quote(.0))]
    LocalOnly(String),
    #[error("Invalid use of local-only: local-only can only be set for list requests")]
    LocalOnlyWrite,
    #[error("{0}")]
    Keyring(Faults),

    // --- snapshots ---
    #[error("stale not allowed for restore")]
    StaleRestore,
    #[error("{0}")]
    Snapshot(String),

    // --- the web interface ---
    #[error("Missing service kind")]
    MissingServiceKind,
    #[error("Unsupported service kind {}", quote(.0))]
    ServiceKind(String),
    #[error("not an APIGateway")]
    NoApiGateway,
    #[error("must provide PeerName")]
    MissingPeer,
    #[error("UI is not enabled")]
    UiOff,
    #[error("Metrics proxy is not enabled")]
    NoMetricsProxy,
    #[error("Invalid path.")]
    MetricsPath,
    #[error("Missing datacenter name")]
    MissingDatacenter,

    // --- profiles ---
    #[error(
        "there is no {0} profile: this program is not written in Go; there are profile, heap, allocs, goroutine, threadcreate"
    )]
    NoSuchProfile(String),
    #[error("{0}")]
    Profile(String),
}

impl OperatorFault {
    /// The status that goes with it.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::NoPeer
            | Self::NoSuchServer(_)
            | Self::OwnServer
            | Self::UnknownPeer { .. }
            | Self::LastVoter
            | Self::Keyring(_)
            | Self::StaleRestore
            | Self::Snapshot(_)
            | Self::Profile(_)
            | Self::NoApiGateway
            | Self::MissingPeer => StatusCode::INTERNAL_SERVER_ERROR,
            Self::PeerUnnamed
            | Self::PeerNamedTwice
            | Self::Autopilot(_)
            | Self::Cas(_)
            | Self::RelayFactor(_)
            | Self::RelayFactorRange
            | Self::LocalOnly(_)
            | Self::LocalOnlyWrite
            | Self::MissingServiceKind
            | Self::ServiceKind(_)
            | Self::MetricsPath
            | Self::MissingDatacenter => StatusCode::BAD_REQUEST,
            Self::NoSuchProfile(_) => StatusCode::NOT_IMPLEMENTED,
            Self::UiOff | Self::NoMetricsProxy => StatusCode::NOT_FOUND,
        }
    }
}
