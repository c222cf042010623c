//! `/v1/acl/role…`.

use http::Method;
use proconsul_anchors::acl::{Act, Role};
use proconsul_anchors::query::Query;
use proconsul_anchors::record::{AnyRecord, TableId, When};

use super::{by_name, demand_removal, form, fresh, put, read, read_by_id, remove, rest, written};
use crate::acl::{role, uuid};
use crate::extract::{Ask, Tenancy};
use crate::reject::Reject;
use crate::reject::acl::{AclReject, Kind};
use crate::reply::{Meta, Reply};
use crate::wire::acl::role::{RoleForm, RoleOut};
use crate::wire::decode::Hint;

/// `GET /v1/acl/roles`.
pub(crate) async fn list(ask: Ask) -> Result<Reply, Reject> {
    let answer = read(&ask, Query::Table(TableId::Role)).await?;
    let policy = match ask.params.first("policy") {
        "" => None,
        id => Some(uuid::key(id).map_err(|fault| {
            Reject::from(AclReject::Lookup { kind: Kind::Role, fault }).queried()
        })?),
    };
    let has = |role: &Role| {
        policy.as_deref().is_none_or(|id| role.policies.iter().any(|own| **own == *id))
    };
    let mut rows: Vec<_> = answer.at.records::<Role>().filter(|row| has(&row.record)).collect();
    rows.sort_by_cached_key(|row| row.record.name.to_lowercase());
    let roles: Vec<_> = rows.into_iter().map(|row| RoleOut::new(&answer.at, row)).collect();
    Ok(Reply::json(&roles).meta(Meta::of(&answer)))
}

/// `PUT /v1/acl/role`.
pub(crate) async fn create(ask: Ask) -> Result<Reply, Reject> {
    write(ask, String::new()).await
}

/// `/v1/acl/role/<id>`.
pub(crate) async fn one(ask: Ask) -> Result<Reply, Reject> {
    let id = rest(&ask);
    match ask.method {
        Method::PUT => write(ask, id).await,
        _ if id.is_empty() => Err(AclReject::Missing("role ID").into()),
        Method::DELETE => delete(&ask, &id).await,
        _ => by_id(&ask, &id).await,
    }
}

async fn by_id(ask: &Ask, id: &str) -> Result<Reply, Reject> {
    let (answer, key) = read_by_id::<Role>(ask, id, Kind::Role).await?;
    let row = answer.at.record::<Role>(&key).ok_or(AclReject::Absent(Kind::Role))?;
    Ok(Reply::json(&RoleOut::new(&answer.at, row)).meta(Meta::of(&answer)))
}

/// `GET /v1/acl/role/name/<name>`.
pub(crate) async fn named(ask: Ask) -> Result<Reply, Reject> {
    let name = ask.named(AclReject::Missing("role Name").into())?.to_owned();
    let answer = read(&ask, by_name::<Role>(&ask, &name)).await?;
    let row = answer.at.record_named::<Role>(&name.to_lowercase());
    let row = row.ok_or(AclReject::Absent(Kind::Role))?;
    Ok(Reply::json(&RoleOut::new(&answer.at, row)).meta(Meta::of(&answer)))
}

async fn write(mut ask: Ask, id: String) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    let mut form: RoleForm = form(&mut ask, "Role decoding failed", Hint::Namespaces).await?;
    if form.id.is_empty() {
        form.id = id;
    } else if form.id != id {
        return Err(AclReject::Mismatch("Role ID").into());
    }
    ask.demand(Act::acl_write())?;
    let role = role::write(&ask.site.handle.snapshot(), form, fresh)?;
    let id = role.id.clone();
    let index = put(&ask, AnyRecord::Role(role.into()), When::Always).await?;
    Ok(Reply::json(&RoleOut::new(&index, written::<Role>(&index, &id, Kind::Role)?)))
}

async fn delete(ask: &Ask, id: &str) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    demand_removal(ask, Kind::Role)?;
    let kind = Kind::Role;
    let key = uuid::key(id).map_err(|fault| AclReject::Lookup { kind, fault })?;
    if ask.site.handle.snapshot().record::<Role>(&key).is_none() {
        return Err(AclReject::Undeletable(kind).into());
    }
    remove(ask, TableId::Role, &key).await
}
