//! `/v1/acl/policy…`.

use http::Method;
use proconsul_anchors::acl::{Act, Policy};
use proconsul_anchors::query::Query;
use proconsul_anchors::record::{AnyRecord, TableId, When};

use super::{by_name, demand_removal, form, fresh, put, read, read_by_id, remove, rest, written};
use crate::acl;
use crate::extract::params::decode;
use crate::extract::{Ask, Tenancy};
use crate::reject::Reject;
use crate::reject::acl::{AclReject, Kind};
use crate::reply::{Meta, Reply};
use crate::wire::acl::policy::{PolicyForm, PolicyOut, PolicyStubOut};
use crate::wire::decode::Hint;

/// `GET /v1/acl/policies`.
pub(crate) async fn list(ask: Ask) -> Result<Reply, Reject> {
    let answer = read(&ask, Query::Table(TableId::Policy)).await?;
    let mut rows: Vec<_> = answer.at.records::<Policy>().collect();
    rows.sort_by_cached_key(|row| row.record.name.to_lowercase());
    let policies: Vec<_> = rows.into_iter().map(|row| PolicyStubOut::from(&**row)).collect();
    Ok(Reply::json(&policies).meta(Meta::of(&answer)))
}

/// `PUT /v1/acl/policy`.
pub(crate) async fn create(mut ask: Ask) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    let form: PolicyForm = form(&mut ask, DECODING, Hint::Namespaces).await?;
    if !form.id.is_empty() {
        return Err(AclReject::IdOfNewPolicy.into());
    }
    write(&ask, form).await
}

const DECODING: &str = "Policy decoding failed";

/// `/v1/acl/policy/<id>`.
pub(crate) async fn one(ask: Ask) -> Result<Reply, Reject> {
    let id = rest(&ask);
    match ask.method {
        Method::PUT => update(ask, id).await,
        _ if id.is_empty() => Err(AclReject::Missing("policy ID").into()),
        Method::DELETE => delete(&ask, &id).await,
        _ => by_id(&ask, &id).await,
    }
}

async fn by_id(ask: &Ask, id: &str) -> Result<Reply, Reject> {
    let (answer, key) = read_by_id::<Policy>(ask, id, Kind::Policy).await?;
    let row = answer.at.record::<Policy>(&key).ok_or(AclReject::Absent(Kind::Policy))?;
    Ok(Reply::json(&PolicyOut::from(&**row)).meta(Meta::of(&answer)))
}

/// `GET /v1/acl/policy/name/<name>`.
pub(crate) async fn named(ask: Ask) -> Result<Reply, Reject> {
    // Names of policies may have a slash, which clients escape once more.
    let name = ask.named(AclReject::Missing("policy Name").into())?;
    let name = decode(name).unwrap_or_else(|_| name.to_owned());
    let answer = read(&ask, by_name::<Policy>(&ask, &name)).await?;
    let row = answer.at.record_named::<Policy>(&name.to_lowercase());
    let row = row.ok_or(AclReject::Absent(Kind::Policy))?;
    Ok(Reply::json(&PolicyOut::from(&**row)).meta(Meta::of(&answer)))
}

async fn update(mut ask: Ask, id: String) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    let mut form: PolicyForm = form(&mut ask, DECODING, Hint::Namespaces).await?;
    if form.id.is_empty() {
        form.id = id;
    } else if form.id != id {
        return Err(AclReject::Mismatch("Policy ID").into());
    }
    write(&ask, form).await
}

async fn write(ask: &Ask, form: PolicyForm) -> Result<Reply, Reject> {
    ask.demand(Act::acl_write())?;
    let policy = acl::policy::write(&ask.site.handle.snapshot(), form, fresh)?;
    let id = policy.id.clone();
    let index = put(ask, AnyRecord::Policy(policy.into()), When::Always).await?;
    Ok(Reply::json(&PolicyOut::from(&**written::<Policy>(&index, &id, Kind::Policy)?)))
}

async fn delete(ask: &Ask, id: &str) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    demand_removal(ask, Kind::Policy)?;
    let key = acl::policy::remove(&ask.site.handle.snapshot(), id)?.record.id.clone();
    remove(ask, TableId::Policy, &key).await
}
