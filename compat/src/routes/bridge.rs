//! `/v1/anchor/bridge/…`: the zones of the DNS around in which public names appear. Consul has no such page.

use http::StatusCode;
use proconsul_anchors::acl::Act;

use crate::extract::Ask;
use crate::reject::Reject;
use crate::reply::{Reply, TEXT_UTF8};

/// What is said of a path that leads nowhere, as everywhere else.
const NOTHING: &str = "Invalid URL path: not a recognized HTTP API endpoint\n";

/// `GET /v1/anchor/bridge/<zone>`: the zone as a file for a name server.
pub(crate) async fn export(ask: Ask) -> Result<Reply, Reject> {
    ask.demand(Act::operator_read())?;
    match ask.site.control.zone_file(ask.rest()) {
        Some(file) => Ok(Reply::plain(file, TEXT_UTF8)),
        None => Ok(Reply::plain(NOTHING, TEXT_UTF8).status(StatusCode::NOT_FOUND)),
    }
}
