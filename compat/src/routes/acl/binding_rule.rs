//! `/v1/acl/binding-rule…`.

use http::Method;
use proconsul_anchors::acl::{Act, BindingRule};
use proconsul_anchors::query::Query;
use proconsul_anchors::record::{AnyRecord, TableId, When};

use super::auth_method::settings_of;
use super::{demand_removal, form, fresh, put, read, read_by_id, remove, rest, written};
use crate::acl::{binding_rule, uuid};
use crate::extract::{Ask, Tenancy};
use crate::reject::Reject;
use crate::reject::acl::{AclReject, Kind};
use crate::reply::{Meta, Reply};
use crate::wire::acl::binding_rule::{BindingRuleForm, BindingRuleOut};
use crate::wire::decode::Hint;

/// `GET /v1/acl/binding-rules`.
pub(crate) async fn list(ask: Ask) -> Result<Reply, Reject> {
    let answer = read(&ask, Query::Table(TableId::BindingRule)).await?;
    let method = ask.params.first("authmethod");
    let of = |rule: &BindingRule| method.is_empty() || rule.method.eq_ignore_ascii_case(method);
    let rows = answer.at.records::<BindingRule>().filter(|row| of(&row.record));
    let rules: Vec<_> = rows.map(|row| BindingRuleOut::from(&**row)).collect();
    Ok(Reply::json(&rules).meta(Meta::of(&answer)))
}

/// `PUT /v1/acl/binding-rule`.
pub(crate) async fn create(ask: Ask) -> Result<Reply, Reject> {
    write(ask, String::new()).await
}

/// `/v1/acl/binding-rule/<id>`.
pub(crate) async fn one(ask: Ask) -> Result<Reply, Reject> {
    let id = rest(&ask);
    match ask.method {
        Method::PUT => write(ask, id).await,
        _ if id.is_empty() => Err(AclReject::Missing("binding rule ID").into()),
        Method::DELETE => delete(&ask, &id).await,
        _ => by_id(&ask, &id).await,
    }
}

async fn by_id(ask: &Ask, id: &str) -> Result<Reply, Reject> {
    let kind = Kind::BindingRule;
    let (answer, key) = read_by_id::<BindingRule>(ask, id, kind).await?;
    let row = answer.at.record::<BindingRule>(&key).ok_or(AclReject::Absent(kind))?;
    Ok(Reply::json(&BindingRuleOut::from(&**row)).meta(Meta::of(&answer)))
}

async fn write(mut ask: Ask, id: String) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    let mut form: BindingRuleForm =
        form(&mut ask, "BindingRule decoding failed", Hint::Namespaces).await?;
    if form.id.is_empty() {
        form.id = id;
    } else if form.id != id {
        return Err(AclReject::Mismatch("BindingRule ID").into());
    }
    ask.own_datacenter(ask.datacenter())?;
    ask.demand(Act::acl_write())?;
    let index = ask.site.handle.snapshot();
    let settings = |method: &_| settings_of(&ask.site, method);
    let rule = binding_rule::write(&index, form, &settings, fresh)?;
    let id = rule.id.clone();
    let index = put(&ask, AnyRecord::BindingRule(rule.into()), When::Always).await?;
    let row = written::<BindingRule>(&index, &id, Kind::BindingRule)?;
    Ok(Reply::json(&BindingRuleOut::from(&**row)))
}

async fn delete(ask: &Ask, id: &str) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    ask.own_datacenter(ask.datacenter())?;
    demand_removal(ask, Kind::BindingRule)?;
    let kind = Kind::BindingRule;
    let key = uuid::key(id).map_err(|fault| AclReject::Lookup { kind, fault })?;
    if ask.site.handle.snapshot().record::<BindingRule>(&key).is_none() {
        return Err(AclReject::Undeletable(kind).into());
    }
    remove(ask, TableId::BindingRule, &key).await
}
