//! `/v1/session/…`: leases that may hold keys.

use std::sync::Arc;
use std::time::Duration;

use proconsul_anchors::acl::Act;
use proconsul_anchors::change::Change;
use proconsul_anchors::duration;
use proconsul_anchors::index::{Index, SessionRow};
use proconsul_anchors::query::Query;
use proconsul_anchors::service::{Behavior, Session};
use uuid::Uuid;

use crate::blocking;
use crate::extract::body::read_json;
use crate::extract::{Ask, ReadOptions, Tenancy};
use crate::reject::Reject;
use crate::reply::{Meta, Reply};
use crate::wire::decode::{Hint, body_into};
use crate::wire::register::texts;
use crate::wire::session::{CreatedOut, SessionForm, SessionOut};

/// No session lives longer without being renewed.
const TTL_MAX: Duration = Duration::from_secs(24 * 3600);

/// `PUT /v1/session/create`.
pub(crate) async fn create(mut ask: Ask) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    let mut form = SessionForm::default();
    form.node = ask.site.settings.identity.node.to_string();
    let datacenter = ask.datacenter().to_owned();
    // A body without a length is not read, as in Consul.
    if ask.headers.content_length.is_some_and(|length| length > 0) {
        let text = read_json(ask.take_body(), ask.headers.content_length).await?;
        body_into(&mut form, &text, Hint::None)?;
    }
    form.settle_checks();
    own_datacenter(&ask.site, &datacenter)?;
    if form.node.is_empty() {
        return Err(Reject::SessionNode);
    }
    ask.demand(Act::session_write(&form.node))?;
    let session = session(form, ask.site.settings.session_ttl_min)?;
    let id = session.id.clone();
    blocking::write(&ask.site, &ask.caller, Change::OpenSession(Box::new(session))).await?;
    Ok(Reply::json(&CreatedOut { id: &id }))
}

fn own_datacenter(site: &crate::Site, asked: &str) -> Result<(), Reject> {
    let own = asked.is_empty() || asked == &*site.settings.identity.datacenter;
    if own { Ok(()) } else { Err(Reject::NoPathToDatacenter) }
}

fn session(form: SessionForm, ttl_min: Duration) -> Result<Session, Reject> {
    let behavior = match form.behavior.0.as_str() {
        "" | "release" => Behavior::Release,
        "delete" => Behavior::Delete,
        _ => return Err(Reject::SessionBehavior(form.behavior.0)),
    };
    check_ttl(&form.ttl, ttl_min)?;
    Ok(Session {
        id: Uuid::new_v4().to_string().into(),
        name: form.name.into(),
        node: form.node.into(),
        lock_delay: Duration::from_nanos(u64::try_from(form.lock_delay.0).unwrap_or(0)),
        behavior,
        ttl: form.ttl.into(),
        node_checks: form.node_checks.map(texts),
        service_checks: form
            .service_checks
            .map(|checks| checks.into_iter().map(Into::into).collect()),
        checks: form.checks.map(|checks| checks.into_iter().map(|check| check.0.into()).collect()),
    })
}

fn check_ttl(text: &str, min: Duration) -> Result<(), Reject> {
    if text.is_empty() {
        return Ok(());
    }
    let nanos = duration::parse(text).map_err(|reason| Reject::SessionTtlText {
        text: text.to_owned(),
        reason: reason.to_string(),
    })?;
    let ttl = Duration::from_nanos(u64::try_from(nanos).unwrap_or(0));
    if nanos != 0 && (ttl < min || ttl > TTL_MAX) {
        return Err(Reject::SessionTtl { nanos, min: duration::show_wait(min) });
    }
    Ok(())
}

/// `PUT /v1/session/destroy/<id>`.
pub(crate) async fn destroy(ask: Ask) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    let id = ask.named(Reject::MissingSession)?.into();
    ask.own_datacenter(ask.datacenter())?;
    blocking::write(&ask.site, &ask.caller, Change::CloseSession { id }).await?;
    Ok(Reply::json(&true))
}

/// `PUT /v1/session/renew/<id>`.
pub(crate) async fn renew(ask: Ask) -> Result<Reply, Reject> {
    let options = ask.read_options()?;
    ask.refuse_enterprise(Tenancy::Both)?;
    let id = ask.named(Reject::MissingSession)?;
    ask.own_datacenter(&options.datacenter)?;
    let authority = ask.authority()?;
    if let Some(row) = ask.site.handle.snapshot().session(id) {
        authority.demand(Act::session_write(row.session.node.as_str()))?;
    }
    let renewed = ask.site.handle.renew(id);
    let found = ask.site.handle.snapshot();
    match found.session(id).filter(|_| renewed) {
        Some(row) => Ok(Reply::json(&[SessionOut::from(&**row)])),
        None => Err(Reject::UnknownSession(id.to_owned())),
    }
}

/// `GET /v1/session/info/<id>`.
pub(crate) async fn info(ask: Ask) -> Result<Reply, Reject> {
    let options = ask.read_options()?;
    ask.refuse_enterprise(Tenancy::Both)?;
    let id = ask.named(Reject::MissingSession)?.to_owned();
    let find = |index: &Index| index.session(&id).cloned().into_iter().collect();
    read(&ask, &options, Query::Session(id.as_str().into()), find).await
}

/// `GET /v1/session/list`.
pub(crate) async fn list(ask: Ask) -> Result<Reply, Reject> {
    let options = ask.read_options()?;
    ask.refuse_enterprise(Tenancy::Both)?;
    let find = |index: &Index| index.sessions().cloned().collect();
    read(&ask, &options, Query::Sessions, find).await
}

/// `GET /v1/session/node/<name>`.
pub(crate) async fn node(ask: Ask) -> Result<Reply, Reject> {
    let options = ask.read_options()?;
    ask.refuse_enterprise(Tenancy::Both)?;
    let name = ask.named(Reject::MissingNodeName)?.to_owned();
    let find = |index: &Index| index.node_sessions(&name).cloned().collect();
    read(&ask, &options, Query::NodeSessions(name.as_str().into()), find).await
}

fn print<'a>(rows: impl Iterator<Item = &'a SessionRow>) -> bytes::Bytes {
    crate::wire::catalog::list(rows, |out, row| {
        crate::go::print::write_json(out, &SessionOut::from(row))
    })
}

async fn read(
    ask: &Ask,
    options: &ReadOptions,
    query: Query,
    find: impl Fn(&Index) -> Vec<Arc<SessionRow>>,
) -> Result<Reply, Reject> {
    let answer =
        blocking::read(&ask.site, &ask.caller, options, &query).await.map_err(Reject::queried)?;
    let mut found = find(&answer.at);
    let all = found.len();
    let authority = &answer.authority;
    found.retain(|row| authority.allows(Act::session_read(row.session.node.as_str())));
    let meta = Meta::of(&answer).filtered(authority, found.len() < all);
    Ok(Reply::encoded(print(found.iter().map(|row| &**row))).meta(meta))
}
