//! `/v1/anchor/scopes`, `/v1/anchor/scope/<path>`: who governs which names.

use http::Method;
use proconsul_anchors::acl::Act;
use proconsul_anchors::change::Change;
use proconsul_anchors::handle::Answer;
use proconsul_anchors::index::Row;
use proconsul_anchors::query::Query;
use proconsul_anchors::record::{AnyRecord, RecordChange, TableId, When};
use proconsul_anchors::scope::{Scope, ScopePath};

use super::credentials::options;
use crate::blocking;
use crate::extract::body::read_json;
use crate::extract::{Ask, Tenancy};
use crate::reject::{AnchorFault, Reject};
use crate::reply::{Meta, Reply};
use crate::wire::anchor::scopes::{ScopeForm, ScopeOut};
use crate::wire::decode::{Hint, body};

/// `GET /v1/anchor/scopes`.
pub(crate) async fn all(ask: Ask) -> Result<Reply, Reject> {
    let options = options(&ask)?;
    let query = Query::Table(TableId::Scope);
    let answer = blocking::read(&ask.site, &ask.caller, &options, &query).await?;
    let shown: Vec<_> = answer.at.records::<Scope>().map(|row| out(&answer, row)).collect();
    Ok(Reply::json(&shown).meta(Meta::of(&answer)))
}

/// `GET`, `PUT` and `DELETE /v1/anchor/scope/<path>`.
pub(crate) async fn one(ask: Ask) -> Result<Reply, Reject> {
    let path = ScopePath::parse(ask.rest()).map_err(|error| AnchorFault::scope("Path", error))?;
    match ask.method {
        Method::GET => read(ask, &path).await,
        Method::PUT => write(ask, path).await,
        Method::DELETE => remove(ask, &path).await,
        _ => Err(Reject::Method {
            asked: ask.method,
            allowed: vec![Method::GET, Method::PUT, Method::DELETE],
        }),
    }
}

fn out<'a>(answer: &Answer, row: &'a Row<Scope>) -> ScopeOut<'a> {
    ScopeOut::new(row, answer.at.usage(&row.record.path))
}

async fn read(ask: Ask, path: &ScopePath) -> Result<Reply, Reject> {
    let options = options(&ask)?;
    let query = Query::Record { table: TableId::Scope, key: path.as_str().into() };
    let answer = blocking::read(&ask.site, &ask.caller, &options, &query).await?;
    let row = answer.at.record::<Scope>(path.as_str());
    let missing = || AnchorFault::Missing { what: "scope", name: path.to_string() };
    let row = row.ok_or_else(missing)?;
    Ok(Reply::json(&out(&answer, row)).meta(Meta::of(&answer)))
}

async fn write(mut ask: Ask, path: ScopePath) -> Result<Reply, Reject> {
    let when = asked(&ask, &path)?;
    let text = read_json(ask.take_body(), ask.headers.content_length).await?;
    let form: ScopeForm = body(&text, Hint::None)?;
    let record = AnyRecord::Scope(Box::new(form.asked(path)?));
    let written = submit(&ask, RecordChange::Put { record, when }).await?;
    if let Err(error) = ask.site.handle.found_trust().await {
        tracing::warn!(%error, "the anchor has no credential");
    }
    Ok(written)
}

async fn remove(ask: Ask, path: &ScopePath) -> Result<Reply, Reject> {
    let when = asked(&ask, path)?;
    let key = path.as_str().into();
    submit(&ask, RecordChange::Remove { table: TableId::Scope, key, when }).await
}

/// Under which condition a scope is written by whom that is allowed to.
fn asked(ask: &Ask, path: &ScopePath) -> Result<When, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    ask.own_datacenter(ask.params.first("dc"))?;
    ask.demand(Act::operator_write())?;
    let root = ask.site.handle.root();
    if !path.is_within(&root) {
        let why = format!("its first label must be this datacenter's name, {root}");
        return Err(AnchorFault::scope("Path", why).into());
    }
    let there = ask.site.handle.snapshot();
    let there = there.record::<Scope>(path.as_str());
    if there.is_some_and(|row| row.record.from_configuration) {
        let why = format!("{path} is written in the configuration: change it there");
        return Err(AnchorFault::scope("Path", why).into());
    }
    match ask.params.given("cas") {
        None => Ok(When::Always),
        Some(text) => text
            .parse()
            .map(When::Index)
            .map_err(|_| AnchorFault::scope("cas", "must be a whole number").into()),
    }
}

async fn submit(ask: &Ask, change: RecordChange) -> Result<Reply, Reject> {
    let committed = blocking::write(&ask.site, &ask.caller, Change::Records(vec![change])).await?;
    Ok(Reply::json(&committed.yes))
}
