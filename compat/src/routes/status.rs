//! `/v1/status/…`: who leads. Neither a token nor a leader is needed.

use crate::extract::Ask;
use crate::reject::Reject;
use crate::reply::Reply;

/// The leader's address; empty while there is none.
pub(crate) async fn leader(ask: Ask) -> Result<Reply, Reject> {
    ask.own_datacenter(ask.datacenter())?;
    let address = if ask.site.handle.has_leader() {
        ask.site.settings.identity.server_address()
    } else {
        String::new()
    };
    Ok(Reply::json(&address))
}

/// The addresses of the group's members.
pub(crate) async fn peers(ask: Ask) -> Result<Reply, Reject> {
    ask.own_datacenter(ask.datacenter())?;
    Ok(Reply::json(&[ask.site.settings.identity.server_address()]))
}
