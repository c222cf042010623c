//! `/v1/acl/login` and `/v1/acl/logout`.

use std::collections::BTreeMap;

use proconsul_anchors::acl::{AuthMethod, Token};
use proconsul_anchors::caller::Caller;
use proconsul_anchors::change::Change;
use proconsul_anchors::index::Row;
use proconsul_anchors::record::{AnyRecord, RecordChange, TableId, When};

use super::auth_method::settings_of;
use super::form;
use super::token::{reply, with_desk};
use crate::acl::auth_method::fill_name;
use crate::acl::token::Desk;
use crate::blocking;
use crate::extract::{Ask, Tenancy};
use crate::go::print::json;
use crate::login::bind::{Bindings, bind};
use crate::login::{Door, LoginFault};
use crate::reject::Reject;
use crate::reject::acl::AclReject;
use crate::reply::Reply;
use crate::wire::acl::login::LoginForm;
use crate::wire::decode::Hint;

/// `POST /v1/acl/login`. A token that comes with it is not looked at.
pub(crate) async fn login(mut ask: Ask) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    let form: Option<LoginForm> =
        form(&mut ask, "Failed to decode request body", Hint::Namespaces).await?;
    let form = form.ok_or(AclReject::NoLogin)?;
    ask.own_datacenter(ask.datacenter())?;
    let site = &ask.site;
    let found = site.handle.snapshot().record::<AuthMethod>(&form.method.to_lowercase()).cloned();
    let row = found.ok_or_else(|| AclReject::UnknownMethod(form.method.clone()))?;
    let settings = settings_of(site, &row.record)?;
    let door = Door { name: &row.record.name, modified: row.modified, settings: &settings };
    let identity = site.logins.identify(&door, &form.bearer, site.handle.now()).await;
    let identity = identity.map_err(AclReject::from)?;
    let index = site.handle.snapshot();
    let datacenter = &site.settings.identity.datacenter;
    let bindings = bind(&index, &row.record.name, &identity, settings.schema(), datacenter);
    let bindings = bindings.map_err(AclReject::from)?;
    if bindings.is_empty() {
        return Err(AclReject::NothingBinds.into());
    }
    site.handle.admit_login(&ask.caller, &row.record.name, &identity.vars)?;
    let number = rand::random::<u64>();
    let token = with_desk(site, |desk| token(desk, &row, bindings, &form.meta, number))?;
    let accessor = token.accessor.clone();
    let record = AnyRecord::Token(token.into());
    let change = Change::Records(vec![RecordChange::Put { record, when: When::Index(0) }]);
    blocking::write(site, &Caller::own(), change).await?;
    reply(site, &site.handle.snapshot(), &accessor)
}

/// The token of a login.
fn token(
    desk: &Desk<'_>,
    row: &Row<AuthMethod>,
    bindings: Bindings,
    meta: &BTreeMap<String, String>,
    number: u64,
) -> Result<Token, AclReject> {
    let method = &row.record;
    let name = fill_name(&method.token_name_format, &method.kind, &method.name);
    let name = name.map_err(|fault| AclReject::from(LoginFault::TokenName(fault)))?;
    let ttl = std::time::Duration::from_nanos(method.max_token_ttl);
    Ok(Token {
        name: format!("{name}-{number}").into(),
        description: description(meta).into(),
        policies: bindings.policies,
        roles: bindings.roles,
        service_identities: bindings.service_identities,
        node_identities: bindings.node_identities,
        templated_policies: bindings.templated_policies,
        local: &*method.token_locality != "global",
        auth_method: method.name.clone(),
        expires: (!ttl.is_zero()).then(|| desk.now + ttl),
        ..desk.blank((desk.fresh)(), &(desk.fresh)())
    })
}

fn description(meta: &BTreeMap<String, String>) -> String {
    const LOGIN: &str = "token created via login";
    if meta.is_empty() {
        return LOGIN.to_owned();
    }
    format!("{LOGIN}: {}", String::from_utf8_lossy(&json(meta)))
}

/// `POST /v1/acl/logout`.
pub(crate) async fn logout(ask: Ask) -> Result<Reply, Reject> {
    let secret = ask.caller.token.as_ref().ok_or(AclReject::NoTokenSupplied)?;
    ask.own_datacenter(ask.datacenter())?;
    let index = ask.site.handle.snapshot();
    let row = index.record_named::<Token>(&ask.site.handle.digest(secret));
    let token = &row.ok_or(AclReject::UnknownLogin)?.record;
    if token.auth_method.is_empty() {
        return Err(AclReject::NoLoginToken.into());
    }
    let key = token.accessor.to_ascii_lowercase().into();
    let change = RecordChange::Remove { table: TableId::Token, key, when: When::Always };
    blocking::write(&ask.site, &Caller::own(), Change::Records(vec![change])).await?;
    Ok(Reply::json(&true))
}
