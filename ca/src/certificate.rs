//! What all certificates have in common: how they are told, and why there is none.

use rcgen::SanType;
use rcgen::string::Ia5String;
use time::{Duration, OffsetDateTime};

use crate::keys::KeyError;
use crate::spiffe::Identity;

/// Why a certificate is not issued.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// A key cannot be used. Consul shows the key; here it stays hidden.
    #[error("error generating CA: error parsing private key: {0}")]
    Key(#[from] KeyError),
    /// A text that should be a certificate is none.
    #[error("no PEM-encoded data found")]
    NoCertificate,
    /// Neither an elliptic curve nor RSA.
    #[error("error extracting root key info: unsupported key type")]
    KeyType,
    /// A name that cannot be written again.
    #[error("the certificate has a name of an unknown form")]
    Name,
    /// A time that no certificate can tell.
    #[error("the time does not fit into a certificate")]
    Time,
    /// The library that writes certificates says so.
    #[error("error generating certificate: {0}")]
    Certificate(String),
}

impl From<rcgen::Error> for IssueError {
    fn from(error: rcgen::Error) -> Self {
        Self::Certificate(error.to_string())
    }
}

/// An identity as a certificate names it.
pub(crate) fn uri_name(identity: &Identity) -> Result<SanType, IssueError> {
    Ok(SanType::URI(Ia5String::try_from(identity.uri())?))
}

/// A moment in seconds since 1970.
pub(crate) fn moment(seconds: i64) -> Result<OffsetDateTime, IssueError> {
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| IssueError::Time)
}

/// Bytes as hex with colons between them.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let texts: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    texts.join(":")
}

/// The moment so much later.
pub(crate) fn until(
    from: OffsetDateTime,
    ttl: std::time::Duration,
) -> Result<OffsetDateTime, IssueError> {
    let ttl = Duration::try_from(ttl).map_err(|_| IssueError::Time)?;
    from.checked_add(ttl).ok_or(IssueError::Time)
}
