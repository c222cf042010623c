//! `/v1/anchor/taxonomy`, `/v1/anchor/jwks`, `/v1/anchor/attestation/<id>`: what a stranger verifies with. They are public: whoever
//! may reach the server may know whom it trusts.

use crate::extract::Ask;
use crate::reject::{AnchorFault, Reject};
use crate::reply::Reply;

/// `GET /v1/anchor/taxonomy`.
pub(crate) async fn taxonomy(ask: Ask) -> Result<Reply, Reject> {
    Ok(Reply::encoded(ask.site.handle.taxonomy().to_json().into()))
}

/// `GET /v1/anchor/jwks`.
pub(crate) async fn jwks(ask: Ask) -> Result<Reply, Reject> {
    Ok(Reply::json(&ask.site.handle.key_set()))
}

/// `GET /v1/anchor/attestation/<id>`. Whoever knows the id was given the answer.
pub(crate) async fn attestation(ask: Ask) -> Result<Reply, Reject> {
    let envelope = ask.site.handle.attestation(ask.rest());
    let name = || ask.rest().chars().take(64).collect();
    let missing = || AnchorFault::Missing { what: "attestation", name: name() };
    let envelope = envelope.ok_or_else(missing)?;
    Ok(Reply::encoded(envelope.as_bytes().to_vec().into()))
}
