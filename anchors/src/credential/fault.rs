//! Why a credential is not believed.

use super::Role;
use super::dsse::DsseFault;
use super::trust::CHAIN_MAX;
use crate::scope::ScopePath;

/// The first thing that is wrong with a credential, in the order in which they are looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialFault {
    /// Its envelope cannot be read, or is one of something else.
    #[error(transparent)]
    Envelope(#[from] DsseFault),
    /// Its payload cannot be read: which field, and why.
    #[error("the credential's statement cannot be read: {0}")]
    Statement(Box<str>),
    /// Its subject is neither a key nor a token.
    #[error("the subject {0:?} must be ed25519:<64 hex digits of a key> or accessor:<uuid>")]
    Subject(Box<str>),
    /// What is kept beside the statement is not what the statement says.
    #[error("the record of credential {0} is not what its statement says")]
    Differs(Box<str>),
    /// Nobody knows its issuer.
    #[error("the issuer {0} is not known")]
    UnknownIssuer(Box<str>),
    /// It is its own issuer, by way of others or not.
    #[error("credential {0} is its own issuer")]
    Cycle(Box<str>),
    /// There are too many between it and a root.
    #[error("more than {CHAIN_MAX} credentials lie between it and a root")]
    TooLong,
    /// Its chain ends at a root that is not recognised.
    #[error("its root {0} is not recognised")]
    UnknownRoot(Box<str>),
    /// A statement is not signed by its issuer's key.
    #[error("credential {0} is not signed by its issuer's key")]
    Signature(Box<str>),
    /// Its role is for those who have a key.
    #[error("a credential of role {role} needs a key as its subject, not a token")]
    NeedsKey {
        /// The role.
        role: Role,
    },
    /// Its issuer's role does not issue its role.
    #[error("a credential of role {issuer} does not issue role {role}{}", narrower(*issuer, *role))]
    NotCompetent {
        /// The issuer's role.
        issuer: Role,
        /// Its role.
        role: Role,
    },
    /// Its scope is not within its issuer's.
    #[error("its scope {scope} is not within its issuer's scope {issuer}")]
    OutsideScope {
        /// Its scope.
        scope: ScopePath,
        /// Its issuer's.
        issuer: ScopePath,
    },
    /// It allows what its issuer may not.
    #[error("its action {0} is not among its issuer's")]
    OutsideActions(Box<str>),
    /// It does not hold yet.
    #[error("credential {0} does not hold yet")]
    NotYet(Box<str>),
    /// It does not hold any more.
    #[error("credential {0} has expired")]
    Expired(Box<str>),
    /// It was revoked.
    #[error("credential {0} was revoked")]
    Revoked(Box<str>),
}

/// An anchor issues anchors, but below itself only.
fn narrower(issuer: Role, role: Role) -> &'static str {
    if issuer == Role::Anchor && role == Role::Anchor { " for its own scope" } else { "" }
}
