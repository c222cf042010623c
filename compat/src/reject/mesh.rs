//! What configuration entries, intentions and discovery chains are refused, in Consul's words.

use http::StatusCode;
use proconsul_mesh::Invalid;

use crate::go::text::quote;
use crate::wire::decode::DecodeError;
use crate::wire::entries::RawFault;

/// Why a page of the mesh has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MeshFault {
    // --- configuration entries ---
    #[error("Request decoding failed: {0}")]
    Raw(#[from] RawFault),
    #[error("Request decoding failed: {0}")]
    Undecoded(Invalid),
    #[error("{0}")]
    UnknownKind(Invalid),
    #[error("Must provide both a kind and name to delete")]
    NoKindAndName,
    #[error("filtering not supported for config entry kind={0}")]
    NoFilter(String),
    #[error("exported-services writes must not target secondary datacenters.")]
    Elsewhere,
    #[error("Permission denied: only writeable by controller")]
    Controller,
    #[error("{0}")]
    Invalid(#[from] Invalid),

    // --- intentions ---
    #[error("Failed to decode request body: {0}")]
    Create(DecodeError),
    #[error("required query parameter '{0}' not set")]
    MissingParam(&'static str),
    #[error("'by' parameter must be one of 'source' or 'destination'")]
    By,
    #[error("{what} {} is invalid: {reason}", quote(.text))]
    Name { what: &'static str, text: String, reason: &'static str },
    #[error("Invalid {what} {}: Namespaces is a Consul Enterprise feature", quote(.namespace))]
    Namespace { what: &'static str, namespace: String },
    #[error("Invalid {what} {}: Partitions is a Consul Enterprise feature", quote(.partition))]
    Partition { what: &'static str, partition: String },
    #[error("Invalid {what}({namespace}): Namespaces is a Consul Enterprise feature")]
    FormNamespace { what: &'static str, namespace: String },
    #[error("Cannot specify a {0} partition with this endpoint")]
    FormPartition(&'static str),
    #[error("SourcePeer field is not supported on this endpoint. Use config entries instead")]
    SourcePeer,
    #[error("ID must be empty when creating a new intention")]
    GivenId,
    #[error("Permission denied")]
    Denied,
    #[error("unsupported SourceType: {}", quote(.0))]
    SourceType(String),
    #[error("Intention not found")]
    NoIntention,
    #[error("failed config entry lookup: index error: {0}")]
    Id(String),
    #[error("Intention lookup failed: failed config entry lookup: index error: {0}")]
    WrittenId(String),
    #[error("{0}")]
    Missing(super::Faults),

    // --- discovery chains ---
    #[error("Missing chain name")]
    MissingChain,
    #[error("Invalid OverrideMeshGateway.Mode parameter")]
    Mode,
    #[error("no cluster ca config setup")]
    NoAuthority,
}

impl MeshFault {
    /// The status that goes with it.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Raw(_)
            | Self::Undecoded(_)
            | Self::UnknownKind(_)
            | Self::FormNamespace { .. }
            | Self::FormPartition(_)
            | Self::Id(_)
            | Self::MissingChain
            | Self::Mode => StatusCode::BAD_REQUEST,
            Self::NoKindAndName | Self::NoIntention => StatusCode::NOT_FOUND,
            Self::Controller | Self::Denied => StatusCode::FORBIDDEN,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}
