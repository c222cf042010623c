//! `/v1/agent/…`: the services and checks of this node.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{HeaderName, HeaderValue, StatusCode};
use proconsul_anchors::acl::Act;
use proconsul_anchors::caller::Way;
use proconsul_anchors::node::definition::{CheckDefinition, ServiceDefinition};
use proconsul_anchors::node::{
    Aggregate, Existing, LeafCheck, LeafService, Maintenance, ServiceHealth,
};
use proconsul_anchors::service::Status;

use crate::extract::body::read_json;
use crate::extract::{Ask, Tenancy};
use crate::filter::{AGENT_SERVICE, Filter, FilterError, HEALTH_CHECK, Schema};
use crate::go::text::{parse_bool, quote};
use crate::reject::Reject;
use crate::reply::Reply;
use crate::routes::held::Holds;
use crate::routes::vet::service_of;
use crate::wire::agent::{AgentServiceOut, CheckForm, HealthOut, ServiceForm, UpdateForm};
use crate::wire::check::HealthCheckOut;
use crate::wire::decode::{Hint, body};

const CONTENT_HASH: HeaderName = HeaderName::from_static("x-consul-contenthash");

/// `GET /v1/agent/services`.
pub(crate) async fn services(ask: Ask) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    let services = ask.site.agent.services();
    let filter = filter(&ask, &AGENT_SERVICE).map_err(Reject::Filter)?;
    let authority = ask.authority()?;
    let may =
        |entry: &LeafService| authority.allows(Act::service_read(entry.service.name.as_str()));
    let datacenter = &ask.site.settings.identity.datacenter;
    let mut kept = BTreeMap::new();
    let seen = || services.iter().filter(|(_, entry)| may(entry));
    for (id, entry) in seen() {
        let record = AgentServiceOut::new(entry, datacenter);
        if takes(filter.as_ref(), &record)? {
            kept.insert(&**id, record);
        }
    }
    let left_out = seen().count() < services.len();
    Ok(Reply::json(&kept).filtered(&ask.caller, left_out))
}

/// `GET /v1/agent/checks`.
pub(crate) async fn checks(ask: Ask) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    let authority = ask.authority()?;
    let holds = Holds::of(&ask.site);
    let checks: Vec<(Arc<str>, Arc<LeafCheck>)> = ask
        .site
        .agent
        .checks()
        .iter()
        .map(|(id, entry)| (Arc::clone(id), holds.check(entry)))
        .collect();
    let node = &ask.site.settings.identity.node;
    let may = |entry: &LeafCheck| match service_of(&entry.check) {
        "" => authority.allows(Act::node_read(node)),
        name => authority.allows(Act::service_read(name)),
    };
    let seen = || checks.iter().filter(|(_, entry)| may(entry));
    // Consul does not look at the expression while it has no checks.
    let filter =
        if seen().count() == 0 { None } else { filter(&ask, &HEALTH_CHECK).map_err(bare_fault)? };
    let mut kept = BTreeMap::new();
    for (id, entry) in seen() {
        let record = HealthCheckOut::new(node, &entry.check, (0, 0));
        if takes(filter.as_ref(), &record)? {
            kept.insert(&**id, record);
        }
    }
    let left_out = seen().count() < checks.len();
    Ok(Reply::json(&kept).filtered(&ask.caller, left_out))
}

/// Only on this page Consul tells bare what an expression asks in vain.
fn bare_fault(fault: FilterError) -> Reject {
    if fault.is_syntax() { Reject::Filter(fault) } else { Reject::BareFilter(fault) }
}

fn filter(ask: &Ask, schema: &'static Schema) -> Result<Option<Filter>, FilterError> {
    match ask.params.first("filter") {
        "" => Ok(None),
        expression => Filter::compile(expression, schema).map(Some),
    }
}

fn takes<T: serde::Serialize>(filter: Option<&Filter>, record: &T) -> Result<bool, Reject> {
    let Some(filter) = filter else { return Ok(true) };
    let value = serde_json::to_value(record).expect("our forms have text keys only");
    filter.matches(&value).map_err(Reject::Filter)
}

/// `GET /v1/agent/service/<id>`.
pub(crate) async fn service(ask: Ask) -> Result<Reply, Reject> {
    let (_, patience) = ask.wait()?;
    ask.refuse_enterprise(Tenancy::Both)?;
    let (site, id) = (Arc::clone(&ask.site), ask.rest().to_owned());
    let hash = ask.params.first("hash").to_owned();
    let caller = ask.caller.clone();
    let may = |entry: &LeafService| -> Result<(), Reject> {
        let authority = site.handle.authority(&caller)?;
        Ok(authority.demand(Act::service_read(entry.service.name.as_str()))?)
    };
    ask.authority()?;
    drop(ask);
    if let Some(entry) = site.agent.service(&id) {
        may(&entry)?;
    }
    let found = site.agent.wait_service(&id, &hash, patience).await;
    let entry: Arc<LeafService> = found.ok_or(Reject::NoAgentService(id))?;
    may(&entry)?;
    let hash = entry.content_hash();
    let header = HeaderValue::from_str(&hash).expect("a hash is hex digits");
    let mut record = AgentServiceOut::new(&entry, &site.settings.identity.datacenter);
    record.content_hash = Some(hash);
    Ok(Reply::json(&record).header(CONTENT_HASH, header))
}

/// `PUT /v1/agent/service/register`.
pub(crate) async fn register_service(mut ask: Ask) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    let existing = match ask.params.given("replace-existing-checks") {
        Some("" | "true") => Existing::Replace,
        _ => Existing::Keep,
    };
    let text = read_json(ask.take_body(), ask.headers.content_length).await?;
    let form: ServiceForm = body(&text, Hint::None)?;
    let way = if ask.is_governed() { ask.caller.way() } else { Way::default() };
    let definition = ServiceDefinition { token: ask.caller.token.clone(), way, ..form.into() };
    ask.vet_service(&definition)?;
    let outcome = ask.ask_scopes(&definition).await?;
    let service = Some(&definition.service).filter(|service| !service.id.is_empty());
    let id = service.map_or(&definition.service.name, |service| &service.id).clone();
    ask.site.agent.register_service(definition, existing).await?;
    let node = &ask.site.settings.identity.node;
    Ok(Reply::nothing().receipt(&ask.site, outcome, (node, Some(&id))))
}

/// `PUT /v1/agent/service/deregister/<id>`.
pub(crate) async fn deregister_service(ask: Ask) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    ask.vet_service_id(ask.rest())?;
    ask.ask_scopes_of_removal(ask.rest()).await?;
    ask.site.agent.deregister_service(ask.rest()).await?;
    Ok(Reply::nothing())
}

/// `PUT /v1/agent/check/register`.
pub(crate) async fn register_check(mut ask: Ask) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    let text = read_json(ask.take_body(), ask.headers.content_length).await?;
    let form: CheckForm = body(&text, Hint::None)?;
    let check = CheckDefinition::from(form);
    check.validate_alone()?;
    ask.vet_check(&check)?;
    ask.ask_scopes_of_check(&check.service_id).await?;
    ask.site.agent.register_check(check, ask.caller.token).await?;
    Ok(Reply::nothing())
}

/// `PUT /v1/agent/check/deregister/<id>`.
pub(crate) async fn deregister_check(ask: Ask) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    ask.vet_check_id(ask.rest())?;
    ask.site.agent.deregister_check(ask.rest()).await?;
    Ok(Reply::nothing())
}

/// `PUT /v1/agent/check/pass/<id>`.
pub(crate) async fn pass(ask: Ask) -> Result<Reply, Reject> {
    note(ask, Status::Passing).await
}

/// `PUT /v1/agent/check/warn/<id>`.
pub(crate) async fn warn(ask: Ask) -> Result<Reply, Reject> {
    note(ask, Status::Warning).await
}

/// `PUT /v1/agent/check/fail/<id>`.
pub(crate) async fn fail(ask: Ask) -> Result<Reply, Reject> {
    note(ask, Status::Critical).await
}

async fn note(ask: Ask, status: Status) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    ask.vet_check_id(ask.rest())?;
    ask.site.agent.update_ttl(ask.rest(), status, ask.params.first("note")).await?;
    Ok(Reply::nothing())
}

/// `PUT /v1/agent/check/update/<id>`.
pub(crate) async fn update(mut ask: Ask) -> Result<Reply, Reject> {
    let text = read_json(ask.take_body(), ask.headers.content_length).await?;
    let form: UpdateForm = body(&text, Hint::None)?;
    let status = match Status::from(form.status.as_str()) {
        Status::Other(_) => return Err(Reject::CheckStatus(form.status)),
        status => status,
    };
    ask.refuse_enterprise(Tenancy::Both)?;
    ask.vet_check_id(ask.rest())?;
    ask.site.agent.update_ttl(ask.rest(), status, &form.output).await?;
    Ok(Reply::nothing())
}

/// `PUT /v1/agent/service/maintenance/<id>`.
pub(crate) async fn service_maintenance(ask: Ask) -> Result<Reply, Reject> {
    let id = ask.named(Reject::MissingServiceId)?;
    let maintenance = asked_maintenance(&ask)?;
    ask.refuse_enterprise(Tenancy::Both)?;
    ask.vet_service_id(id)?;
    ask.site.agent.set_service_maintenance(id, &maintenance).await?;
    Ok(Reply::nothing())
}

/// `PUT /v1/agent/maintenance`.
pub(crate) async fn maintenance(ask: Ask) -> Result<Reply, Reject> {
    let maintenance = asked_maintenance(&ask)?;
    ask.demand_node_write()?;
    ask.site.agent.set_node_maintenance(&maintenance).await?;
    Ok(Reply::nothing())
}

fn asked_maintenance(ask: &Ask) -> Result<Maintenance, Reject> {
    let reason = ask.params.first("reason").into();
    Ok(Maintenance { enable: enable(ask)?, reason, token: ask.caller.token.clone() })
}

fn enable(ask: &Ask) -> Result<bool, Reject> {
    let text = ask.params.given("enable").ok_or(Reject::MissingEnable)?;
    parse_bool(text).ok_or_else(|| Reject::Enable(quote(text)))
}

/// `GET /v1/agent/health/service/id/<id>`.
pub(crate) async fn health_by_id(ask: Ask) -> Result<Reply, Reject> {
    let id = ask.named(Reject::MissingHealthId)?;
    ask.refuse_enterprise(Tenancy::Both)?;
    let authority = ask.authority()?;
    if let Some(entry) = ask.site.agent.service(id) {
        authority.demand(Act::service_read(entry.service.name.as_str()))?;
    }
    let health = ask.site.agent.health_by_id(id);
    let Some(health) = health.map(|health| Holds::of(&ask.site).health(health)) else {
        return Ok(unknown(&ask, &format!("ServiceId {id} not found"), || {
            Reply::json(&HealthOut::unknown())
        }));
    };
    let identity = &ask.site.settings.identity;
    let form = || Reply::json(&HealthOut::new(&health, &identity.node, &identity.datacenter));
    Ok(judged(&ask, health.status, form))
}

/// `GET /v1/agent/health/service/name/<name>`.
pub(crate) async fn health_by_name(ask: Ask) -> Result<Reply, Reject> {
    let name = ask.named(Reject::MissingHealthName)?;
    ask.refuse_enterprise(Tenancy::Both)?;
    ask.demand(Act::service_read(name))?;
    let (holds, found) = (Holds::of(&ask.site), ask.site.agent.health_by_name(name));
    let found: Vec<ServiceHealth> = found.into_iter().map(|health| holds.health(health)).collect();
    let Some(worst) = found.iter().map(|health| health.status).max() else {
        return Ok(unknown(&ask, &format!("ServiceName {name} Not Found"), || {
            Reply::json::<[u8]>(&[])
        }));
    };
    let identity = &ask.site.settings.identity;
    let forms = || {
        let forms =
            found.iter().map(|health| HealthOut::new(health, &identity.node, &identity.datacenter));
        Reply::json(&forms.collect::<Vec<_>>())
    };
    Ok(judged(&ask, worst, forms))
}

const PLAIN: &str = "text/plain";

fn wants_text(ask: &Ask) -> bool {
    let accepted = ask.headers.accept.as_deref().unwrap_or("");
    accepted.starts_with(PLAIN) || ask.params.first("format") == "text"
}

fn unknown(ask: &Ask, reason: &str, form: impl FnOnce() -> Reply) -> Reply {
    let reply = if wants_text(ask) { Reply::plain(reason.to_owned(), PLAIN) } else { form() };
    reply.status(StatusCode::NOT_FOUND).reason(reason)
}

/// The status of a service as the status of its answer.
fn judged(ask: &Ask, status: Aggregate, form: impl FnOnce() -> Reply) -> Reply {
    let code = match status {
        Aggregate::Passing => StatusCode::OK,
        Aggregate::Warning => StatusCode::TOO_MANY_REQUESTS,
        Aggregate::Critical | Aggregate::Maintenance => StatusCode::SERVICE_UNAVAILABLE,
    };
    let reply = if wants_text(ask) { Reply::plain(status.as_str(), PLAIN) } else { form() };
    reply.status(code).reason(status.as_str())
}
