//! What the pages of `/v1/anchor` refuse. They are not Consul's, and neither are the words.

use http::StatusCode;
use proconsul_anchors::credential::CredentialFault;
use proconsul_anchors::error::Refusal;
use proconsul_anchors::handle::{AdjacencyError, CredentialError, FarFault};

use super::Reject;

/// Why a page of `/v1/anchor` has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnchorFault {
    /// A field of the body or of the query, and what is wrong with it.
    #[error("Invalid {what}: {field}: {why}")]
    Field { what: &'static str, field: &'static str, why: String },
    /// What is stated about an adjacency, or offered for one.
    #[error("Invalid adjacency: {0}")]
    Adjacency(AdjacencyError),
    /// What is asked for is not there.
    #[error("No {what} {name:?}")]
    Missing { what: &'static str, name: String },
}

// === impl AnchorFault ===

impl AnchorFault {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Field { .. } | Self::Adjacency(_) => StatusCode::BAD_REQUEST,
            Self::Missing { .. } => StatusCode::NOT_FOUND,
        }
    }

    /// A field of a scope.
    pub(crate) fn scope(field: &'static str, why: impl ToString) -> Self {
        Self::Field { what: "scope", field, why: why.to_string() }
    }

    /// A field of a credential.
    pub(crate) fn credential(field: &'static str, why: impl ToString) -> Self {
        Self::Field { what: "credential", field, why: why.to_string() }
    }
}

impl From<CredentialError> for Reject {
    fn from(error: CredentialError) -> Self {
        match error {
            CredentialError::Refusal(refusal) => refusal.into(),
            CredentialError::Key(why) => Refusal::Storage(why).into(),
            CredentialError::Unknown(name) => {
                AnchorFault::Missing { what: "credential", name: name.into() }.into()
            }
            CredentialError::Field { field, why } => AnchorFault::credential(field, why).into(),
            CredentialError::Fault(fault) => {
                AnchorFault::credential(field_of(&fault), &fault).into()
            }
        }
    }
}

impl From<AdjacencyError> for Reject {
    fn from(error: AdjacencyError) -> Self {
        match error {
            AdjacencyError::Refused(refusal) => refusal.into(),
            AdjacencyError::Unknown(scope) => {
                AnchorFault::Missing { what: "adjacency", name: scope.into() }.into()
            }
            AdjacencyError::Joined(_) | AdjacencyError::Fault(_) => {
                AnchorFault::Adjacency(error).into()
            }
        }
    }
}

impl From<FarFault> for Reject {
    fn from(fault: FarFault) -> Self {
        match fault {
            FarFault::NoPath(_) | FarFault::NotReady(_) => Self::NoPathToDatacenter,
            FarFault::Refused(refusal) => refusal.into(),
        }
    }
}

/// The field of a credential that is at fault.
fn field_of(fault: &CredentialFault) -> &'static str {
    match fault {
        CredentialFault::Subject(_) | CredentialFault::NeedsKey { .. } => "Subject",
        CredentialFault::NotCompetent { .. } => "Role",
        CredentialFault::OutsideScope { .. } => "Scope",
        CredentialFault::OutsideActions(_) => "Actions",
        CredentialFault::UnknownIssuer(_)
        | CredentialFault::Cycle(_)
        | CredentialFault::TooLong
        | CredentialFault::UnknownRoot(_)
        | CredentialFault::NotYet(_)
        | CredentialFault::Expired(_)
        | CredentialFault::Revoked(_) => "Issuer",
        CredentialFault::Envelope(_)
        | CredentialFault::Statement(_)
        | CredentialFault::Differs(_)
        | CredentialFault::Signature(_) => "Envelope",
    }
}
