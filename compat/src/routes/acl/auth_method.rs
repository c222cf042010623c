//! `/v1/acl/auth-method…`.

use http::Method;
use proconsul_anchors::acl::{Act, AuthMethod, BindingRule, Token};
use proconsul_anchors::caller::Secret;
use proconsul_anchors::index::{Index, Row};
use proconsul_anchors::query::Query;
use proconsul_anchors::record::{AnyRecord, RecordChange, TableId, When};
use serde_json::Value;

use super::{demand_removal, form, put, read, rest, submit, written};
use crate::Site;
use crate::acl::auth_method;
use crate::extract::{Ask, Tenancy};
use crate::login::settings::Settings;
use crate::reject::Reject;
use crate::reject::acl::{AclReject, Kind};
use crate::reply::{Meta, Reply};
use crate::wire::acl::auth_method::{AuthMethodForm, AuthMethodOut};
use crate::wire::decode::Hint;

/// `GET /v1/acl/auth-methods`.
pub(crate) async fn list(ask: Ask) -> Result<Reply, Reject> {
    let answer = read(&ask, Query::Table(TableId::AuthMethod)).await?;
    let rows = answer.at.records::<AuthMethod>();
    let methods: Vec<_> = rows.map(|row| AuthMethodOut::from(&**row)).collect();
    Ok(Reply::json(&methods).meta(Meta::of(&answer)))
}

/// `PUT /v1/acl/auth-method`.
pub(crate) async fn create(ask: Ask) -> Result<Reply, Reject> {
    write(ask, String::new()).await
}

/// `/v1/acl/auth-method/<name>`.
pub(crate) async fn one(ask: Ask) -> Result<Reply, Reject> {
    let name = rest(&ask);
    match ask.method {
        Method::PUT => write(ask, name).await,
        _ if name.is_empty() => Err(AclReject::Missing("auth method name").into()),
        Method::DELETE => delete(&ask, &name).await,
        _ => named(&ask, &name).await,
    }
}

async fn named(ask: &Ask, name: &str) -> Result<Reply, Reject> {
    let key = name.to_lowercase();
    let query = Query::Record { table: TableId::AuthMethod, key: key.as_str().into() };
    let answer = read(ask, query).await?;
    let row = answer.at.record::<AuthMethod>(&key).ok_or(AclReject::Absent(Kind::AuthMethod))?;
    Ok(Reply::json(&print(&ask.site, row)).meta(Meta::of(&answer)))
}

fn print<'a>(site: &Site, row: &'a Row<AuthMethod>) -> AuthMethodOut<'a> {
    AuthMethodOut::from(row).with(config_of(site, &row.record))
}

/// The settings of a method as they were written.
fn config_of(site: &Site, method: &AuthMethod) -> Value {
    let text = site.handle.unseal(&method.config);
    text.map_or(Value::Null, |text| auth_method::config(text.expose()))
}

/// The settings of a method, read.
pub(super) fn settings_of(site: &Site, method: &AuthMethod) -> Result<Settings, AclReject> {
    let uninitialized =
        |fault| crate::login::LoginFault::Uninitialized { method: method.name.to_string(), fault };
    Ok(Settings::read(&method.kind, &config_of(site, method)).map_err(uninitialized)?)
}

async fn write(mut ask: Ask, name: String) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    let mut form: AuthMethodForm =
        form(&mut ask, "AuthMethod decoding failed", Hint::Namespaces).await?;
    if !name.is_empty() {
        if form.name.is_empty() {
            form.name = name;
        } else if form.name != name {
            return Err(AclReject::Mismatch("AuthMethod Name").into());
        }
    }
    ask.own_datacenter(ask.datacenter())?;
    ask.demand(Act::acl_write())?;
    let site = &ask.site;
    let seal = |text: &str| site.handle.seal(&Secret::new(text));
    let draft = auth_method::write(&site.handle.snapshot(), form, seal)?;
    let probed = site.logins.probe(&draft.settings).await;
    probed.map_err(|fault| AclReject::MethodSettings(fault.to_string()))?;
    let key = draft.method.name.to_lowercase();
    let index = put(&ask, AnyRecord::AuthMethod(draft.method.into()), When::Always).await?;
    let row = written::<AuthMethod>(&index, &key, Kind::AuthMethod)?;
    Ok(Reply::json(&print(&ask.site, row)))
}

async fn delete(ask: &Ask, name: &str) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    ask.own_datacenter(ask.datacenter())?;
    demand_removal(ask, Kind::AuthMethod)?;
    let index = ask.site.handle.snapshot();
    let row = index.record::<AuthMethod>(&name.to_lowercase());
    let method = &row.ok_or(AclReject::Undeletable(Kind::AuthMethod))?.record;
    submit(ask, removal(&index, method)).await?;
    ask.site.logins.forget(&method.name);
    Ok(Reply::json(&true))
}

/// A method goes with its rules and with its tokens.
fn removal(index: &Index, method: &AuthMethod) -> Vec<RecordChange> {
    let gone =
        |table, key: &str| RecordChange::Remove { table, key: key.into(), when: When::Always };
    let same = |name: &str| name.eq_ignore_ascii_case(&method.name);
    let global = &*method.token_locality == "global";
    let rules = index.records::<BindingRule>().filter(|row| same(&row.record.method));
    let tokens = index.records::<Token>();
    let tokens = tokens.filter(|row| same(&row.record.auth_method) && row.record.local != global);
    std::iter::once(gone(TableId::AuthMethod, &method.name.to_lowercase()))
        .chain(rules.map(|row| gone(TableId::BindingRule, &row.record.id)))
        .chain(tokens.map(|row| gone(TableId::Token, &row.record.accessor.to_ascii_lowercase())))
        .collect()
}
