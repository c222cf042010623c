//! `/v1/anchor/credentials`, `/v1/anchor/credential/<id>`: who vouches for whom, as what and until when.

use std::sync::Arc;

use http::Method;
use proconsul_anchors::acl::Act;
use proconsul_anchors::credential::{CredentialRecord, Role};
use proconsul_anchors::index::Row;
use proconsul_anchors::query::Query;
use proconsul_anchors::record::TableId;

use crate::blocking;
use crate::extract::body::read_json;
use crate::extract::params::Params;
use crate::extract::{Ask, ReadOptions, Tenancy};
use crate::reject::{AnchorFault, Reject};
use crate::reply::{Meta, Reply};
use crate::wire::anchor::credentials::{
    AdmittedOut, Asked, CredentialForm, CredentialOut, RotateForm,
};
use crate::wire::decode::{Hint, body};

/// What follows a credential's id where it is issued anew.
const ROTATE: &str = "rotate";
/// What follows it where is asked what was admitted under it.
const ADMITTED: &str = "admitted";

/// `GET` and `PUT /v1/anchor/credentials`.
pub(crate) async fn all(ask: Ask) -> Result<Reply, Reject> {
    if ask.method == Method::PUT { issue(ask).await } else { list(ask).await }
}

/// `GET` and `DELETE /v1/anchor/credential/<id>`, `GET /v1/anchor/credential/<id>/admitted`, `PUT /v1/anchor/credential/<id>/rotate`.
pub(crate) async fn one(ask: Ask) -> Result<Reply, Reject> {
    let (id, verb) = ask.rest().split_once('/').unwrap_or((ask.rest(), ""));
    let id = id.to_owned();
    match (&ask.method, verb) {
        (&Method::GET, "") => read(&ask, &id).await,
        (&Method::GET, ADMITTED) => admitted(&ask, &id).await,
        (&Method::DELETE, "") => revoke(&ask, &id).await,
        (&Method::PUT, ROTATE) => rotate(ask, &id).await,
        (_, "") => Err(method(&ask, vec![Method::GET, Method::DELETE])),
        (_, ADMITTED) => Err(method(&ask, vec![Method::GET])),
        (_, ROTATE) => Err(method(&ask, vec![Method::PUT])),
        (_, verb) => Err(missing("page of a credential", verb)),
    }
}

fn method(ask: &Ask, allowed: Vec<Method>) -> Reject {
    Reject::Method { asked: ask.method.clone(), allowed }
}

fn missing(what: &'static str, name: &str) -> Reject {
    AnchorFault::Missing { what, name: name.chars().take(64).collect() }.into()
}

/// The options of a page that operators read.
pub(super) fn options(ask: &Ask) -> Result<ReadOptions, Reject> {
    let options = ask.read_options()?;
    blocking::own_datacenter(&ask.site, &options)?;
    ask.refuse_enterprise(Tenancy::Both)?;
    ask.demand(Act::operator_read())?;
    Ok(options)
}

/// Refuses a write by whoever is no operator.
fn demand_write(ask: &Ask) -> Result<(), Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    ask.own_datacenter(ask.params.first("dc"))?;
    ask.demand(Act::operator_write())
}

async fn list(ask: Ask) -> Result<Reply, Reject> {
    let options = options(&ask)?;
    check_role(&ask.params)?;
    let query = Query::Table(TableId::Credential);
    let answer = blocking::read(&ask.site, &ask.caller, &options, &query).await?;
    let (trust, now) = (ask.site.handle.trust_at(&answer.at), ask.site.handle.now());
    let shown: Vec<CredentialOut<'_>> = answer
        .at
        .records::<CredentialRecord>()
        .map(|row| CredentialOut::new(row, &trust, now))
        .filter(|credential| is_wanted(credential, &ask.params))
        .collect();
    Ok(Reply::json(&shown).meta(Meta::of(&answer)))
}

/// A role that is none would find nothing, for ever.
fn check_role(params: &Params) -> Result<(), Reject> {
    let role = params.given("role").filter(|role| !role.is_empty());
    let known = role.map_or(Ok(()), |role| role.parse::<Role>().map(drop));
    known.map_err(|error| AnchorFault::credential("role", error).into())
}

fn is_wanted(credential: &CredentialOut<'_>, params: &Params) -> bool {
    let is = |name, value: &str| {
        let wanted = params.first(name);
        wanted.is_empty() || *wanted == *value
    };
    is("role", credential.role.as_str())
        && is("scope", credential.scope.as_str())
        && is("issuer", credential.issuer)
        && is("subject", credential.subject)
        && is("state", credential.state.as_str())
}

async fn read(ask: &Ask, id: &str) -> Result<Reply, Reject> {
    let options = options(ask)?;
    let query = Query::Record { table: TableId::Credential, key: id.into() };
    let answer = blocking::read(&ask.site, &ask.caller, &options, &query).await?;
    let row = answer.at.record::<CredentialRecord>(id);
    let row = row.ok_or_else(|| missing("credential", id))?;
    Ok(shown(ask, row).meta(Meta::of(&answer)))
}

fn shown(ask: &Ask, row: &Arc<Row<CredentialRecord>>) -> Reply {
    let handle = &ask.site.handle;
    Reply::json(&CredentialOut::new(row, &handle.trust(), handle.now()))
}

/// The credential and those that were issued under it, and where the lineages tell what each of them admitted.
async fn admitted(ask: &Ask, id: &str) -> Result<Reply, Reject> {
    options(ask)?;
    let (index, trust) = (ask.site.handle.snapshot(), ask.site.handle.trust());
    trust.credential(id).ok_or_else(|| missing("credential", id))?;
    let under = trust.credentials().filter(|known| known.chain.iter().any(|link| **link == *id));
    let shown: Vec<AdmittedOut<'_>> = under
        .map(|known| AdmittedOut::new(known, index.scopes().map(|scopes| &**scopes)))
        .collect();
    Ok(Reply::json(&shown))
}

async fn issue(mut ask: Ask) -> Result<Reply, Reject> {
    demand_write(&ask)?;
    let text = read_json(ask.take_body(), ask.headers.content_length).await?;
    let form: CredentialForm = body(&text, Hint::None)?;
    let handle = &ask.site.handle;
    blocking::await_leader(&ask.site).await?;
    match form.asked(handle.now())? {
        Asked::Issue(wish) => written(&ask, &handle.issue(&ask.caller, *wish).await?.id),
        Asked::Accept(envelopes) => {
            let records = handle.accept(&ask.caller, &envelopes).await?;
            let (index, trust, now) = (handle.snapshot(), handle.trust(), handle.now());
            let rows = records.iter().filter_map(|of| index.record::<CredentialRecord>(&of.id));
            let shown: Vec<_> = rows.map(|row| CredentialOut::new(row, &trust, now)).collect();
            Ok(Reply::json(&shown))
        }
    }
}

async fn revoke(ask: &Ask, id: &str) -> Result<Reply, Reject> {
    demand_write(ask)?;
    blocking::await_leader(&ask.site).await?;
    let handle = &ask.site.handle;
    written(ask, &handle.revoke(&ask.caller, id, handle.now()).await?.id)
}

async fn rotate(mut ask: Ask, id: &str) -> Result<Reply, Reject> {
    demand_write(&ask)?;
    let text = read_json(ask.take_body(), ask.headers.content_length).await?;
    let form: RotateForm =
        if text.is_empty() { RotateForm::default() } else { body(&text, Hint::None)? };
    let (subject, overlap) = form.asked()?;
    blocking::await_leader(&ask.site).await?;
    written(&ask, &ask.site.handle.rotate(&ask.caller, id, subject, overlap).await?.id)
}

/// A credential after it was written.
fn written(ask: &Ask, id: &str) -> Result<Reply, Reject> {
    let index = ask.site.handle.snapshot();
    let row = index.record::<CredentialRecord>(id);
    Ok(shown(ask, row.ok_or_else(|| missing("credential", id))?))
}
