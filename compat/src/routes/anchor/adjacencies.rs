//! `/v1/anchor/adjacencies`: the anchors of other scopes that this one asks and answers.

use http::Method;
use proconsul_anchors::acl::Act;
use proconsul_anchors::credential::Adjacency;
use proconsul_anchors::scope::ScopePath;
use proconsul_anchors::traversal::adjacency::standing;

use super::credentials::options;
use crate::blocking;
use crate::extract::body::read_json;
use crate::extract::{Ask, Tenancy};
use crate::reject::{AnchorFault, Reject};
use crate::reply::Reply;
use crate::wire::anchor::adjacencies::{AdjacencyForm, AdjacencyOut};
use crate::wire::decode::{Hint, body};

/// `GET /v1/anchor/adjacencies`.
pub(crate) async fn all(ask: Ask) -> Result<Reply, Reject> {
    options(&ask)?;
    let handle = &ask.site.handle;
    let all = handle.adjacencies();
    let shown = all
        .iter()
        .map(|(of, standing)| AdjacencyOut::new(of, *standing, handle.heard_of(&of.peer)));
    Ok(Reply::json(&shown.collect::<Vec<_>>()))
}

/// `PUT /v1/anchor/adjacency/request`: asks another scope, and answers with the statement that is to be brought there.
pub(crate) async fn request(mut ask: Ask) -> Result<Reply, Reject> {
    let form = form(&mut ask).await?;
    let (peer, offer) = (form.peer()?, form.offer(own_address(&ask))?);
    let handle = &ask.site.handle;
    let made = handle.request_adjacency(&ask.caller, &peer, &offer).await?;
    Ok(shown(&ask, &made))
}

/// `PUT /v1/anchor/adjacency/accept`: accepts what another anchor states, and answers with the own statement.
pub(crate) async fn accept(mut ask: Ask) -> Result<Reply, Reject> {
    let form = form(&mut ask).await?;
    let (statement, offer) = (form.statement()?, form.offer(own_address(&ask))?);
    let handle = &ask.site.handle;
    let made = handle.accept_adjacency(&ask.caller, &statement, &offer).await?;
    Ok(shown(&ask, &made))
}

/// `GET` and `DELETE /v1/anchor/adjacency/<scope>`.
pub(crate) async fn one(ask: Ask) -> Result<Reply, Reject> {
    let name = ask.rest().to_owned();
    let missing = || AnchorFault::Missing { what: "adjacency", name: name.clone() };
    let peer = ScopePath::parse(&name).map_err(|_| missing())?;
    if ask.method == Method::DELETE {
        demand_write(&ask)?;
        blocking::await_leader(&ask.site).await?;
        let made = ask.site.handle.revoke_adjacency(&ask.caller, &peer).await?;
        return Ok(shown(&ask, &made));
    }
    options(&ask)?;
    let all = ask.site.handle.adjacencies();
    let found = all.iter().find(|(of, _)| of.peer == peer).ok_or_else(missing)?;
    Ok(shown(&ask, &found.0))
}

async fn form(ask: &mut Ask) -> Result<AdjacencyForm, Reject> {
    demand_write(ask)?;
    let text = read_json(ask.take_body(), ask.headers.content_length).await?;
    let form = body(&text, Hint::None)?;
    blocking::await_leader(&ask.site).await?;
    Ok(form)
}

fn demand_write(ask: &Ask) -> Result<(), Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    ask.own_datacenter(ask.params.first("dc"))?;
    ask.demand(Act::operator_write())
}

fn own_address(ask: &Ask) -> String {
    ask.site.settings.identity.server_address()
}

fn shown(ask: &Ask, of: &Adjacency) -> Reply {
    let handle = &ask.site.handle;
    let standing = standing(of, handle.now());
    Reply::json(&AdjacencyOut::new(of, standing, handle.heard_of(&of.peer)))
}
