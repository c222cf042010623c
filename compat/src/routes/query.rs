//! `/v1/query…`: prepared queries.

use std::borrow::Cow;
use std::time::Duration;

use http::{HeaderValue, Method, header};
use proconsul_anchors::acl::{Act, Authority};
use proconsul_anchors::caller::{Caller, Secret};
use proconsul_anchors::change::Change;
use proconsul_anchors::duration;
use proconsul_anchors::error::Refusal;
use proconsul_anchors::handle::Wait;
use proconsul_anchors::index::{Index, Row};
use proconsul_anchors::node::definition::validate_meta;
use proconsul_anchors::pairs::Pairs;
use proconsul_anchors::prepared::execute::{Found, Wanted};
use proconsul_anchors::prepared::{PreparedQuery, Resolved};
use proconsul_anchors::query::Query;
use proconsul_anchors::record::{AnyRecord, RecordChange, TableId, When};
use proconsul_anchors::scope::ScopePath;
use proconsul_anchors::traversal::HTTP_PATIENCE;
use uuid::Uuid;

use crate::blocking;
use crate::extract::body::read_json;
use crate::extract::{Ask, Consistency, ReadOptions};
use crate::go::text::{parse_bool, parse_int};
use crate::go::uuid::uuid_key;
use crate::reject::{DiscoveryFault, Reject};
use crate::reply::{Meta, Reply};
use crate::wire::decode::{Hint, body};
use crate::wire::query::{ExecutedOut, ExplainedOut, QueryForm, QueryOut};
use crate::wire::session::CreatedOut;
use crate::wire::txn::QueryMetaOut;

/// What stands for a token that the caller may not see.
const HIDDEN: &str = "<hidden>";
/// Meta keys that begin so are Consul's own; a query may ask for them.
const OWN_META: &str = "consul-";

/// `GET` and `POST /v1/query`.
pub(crate) async fn all(ask: Ask) -> Result<Reply, Reject> {
    if ask.method == Method::POST { create(ask).await } else { list(ask).await }
}

/// `/v1/query/<id>`, `/v1/query/<id or name>/execute` and `…/explain`.
pub(crate) async fn one(ask: Ask) -> Result<Reply, Reject> {
    const GET: &[Method] = &[Method::GET];
    const GET_PUT_DELETE: &[Method] = &[Method::GET, Method::PUT, Method::DELETE];
    // The whole path decides, the name is what is left: `/v1/query/execute` executes the query `execute`.
    let asked = match () {
        () if ask.path.ends_with("/execute") => Asked::Execute,
        () if ask.path.ends_with("/explain") => Asked::Explain,
        () => Asked::Itself,
    };
    let rest = ask.rest();
    let id = match asked {
        Asked::Itself => rest,
        Asked::Execute => rest.strip_suffix("/execute").unwrap_or(rest),
        Asked::Explain => rest.strip_suffix("/explain").unwrap_or(rest),
    };
    let id = id.to_owned();
    let methods = if asked == Asked::Itself { GET_PUT_DELETE } else { GET };
    if ask.method == Method::OPTIONS {
        return Ok(options(asked));
    }
    if !methods.contains(&ask.method) {
        return Err(Reject::Method { asked: ask.method, allowed: methods.to_vec() });
    }
    match (asked, &ask.method) {
        (Asked::Execute, _) => execute(ask, &id).await,
        (Asked::Explain, _) => explain(ask, &id).await,
        (Asked::Itself, &Method::PUT) => update(ask, id).await,
        (Asked::Itself, &Method::DELETE) => delete(ask, &id).await,
        (Asked::Itself, _) => get(ask, &id).await,
    }
}

/// What is asked of a query.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Itself,
    Execute,
    Explain,
}

/// Consul prints its own answer's empty record there.
fn options(asked: Asked) -> Reply {
    let methods = match asked {
        Asked::Itself => "OPTIONS,GET,PUT,DELETE",
        Asked::Execute | Asked::Explain => "OPTIONS,GET",
    };
    let empty: [(&str, &str); 0] = [];
    let reply = Reply::json(&std::collections::BTreeMap::from(empty));
    reply.header(header::ALLOW, HeaderValue::from_static(methods))
}

// === writing ===

async fn create(ask: Ask) -> Result<Reply, Reject> {
    let datacenter = ask.datacenter().to_owned();
    let (ask, form) = form(ask, true).await?;
    ask.own_datacenter(&datacenter)?;
    if !form.id.is_empty() {
        return Err(DiscoveryFault::QueryWithId.into());
    }
    let id = Uuid::new_v4().to_string();
    let authority = ask.authority()?;
    demand_write(&authority, &form.name, &form.template.kind)?;
    put(&ask, &id, form).await?;
    Ok(Reply::json(&CreatedOut { id: &id }))
}

async fn update(ask: Ask, id: String) -> Result<Reply, Reject> {
    let datacenter = ask.datacenter().to_owned();
    let has_body = ask.headers.content_length.is_some_and(|length| length > 0);
    let (ask, form) = form(ask, has_body).await?;
    ask.own_datacenter(&datacenter)?;
    let authority = ask.authority()?;
    demand_write(&authority, &form.name, &form.template.kind)?;
    let key = may_change(&ask, &authority, &id)?;
    put(&ask, &key, form).await?;
    Ok(Reply::nothing())
}

async fn delete(ask: Ask, id: &str) -> Result<Reply, Reject> {
    ask.own_datacenter(ask.datacenter())?;
    let authority = ask.authority()?;
    let key = may_change(&ask, &authority, id)?.into();
    let gone = RecordChange::Remove { table: TableId::PreparedQuery, key, when: When::Always };
    blocking::write(&ask.site, &ask.caller, Change::Records(vec![gone])).await?;
    Ok(Reply::nothing())
}

/// The query that a body describes. Where none is read, it describes nothing.
async fn form(mut ask: Ask, has_body: bool) -> Result<(Ask, QueryForm), Reject> {
    if !has_body {
        return Ok((ask, QueryForm::default()));
    }
    let text = read_json(ask.take_body(), ask.headers.content_length).await?;
    Ok((ask, body(&text, Hint::None)?))
}

/// Rules speak of queries by their names; one without may be written by who has any token.
fn demand_write(authority: &Authority, name: &str, template: &str) -> Result<(), Reject> {
    if name.is_empty() && template.is_empty() {
        return Ok(());
    }
    Ok(authority.demand(Act::query_write(name))?)
}

/// The key of a query that is there and may be changed.
fn may_change(ask: &Ask, authority: &Authority, id: &str) -> Result<String, Reject> {
    let key = uuid_key(id).map_err(DiscoveryFault::QueryIdToChange)?;
    let index = ask.site.handle.snapshot();
    let Some(row) = index.record::<PreparedQuery>(&key) else {
        return Err(DiscoveryFault::NoQueryToChange(id.to_owned()).into());
    };
    demand_write(authority, &row.record.name, &row.record.template.kind)?;
    Ok(key)
}

async fn put(ask: &Ask, id: &str, form: QueryForm) -> Result<(), Reject> {
    let fault = |reason: String| Reject::from(DiscoveryFault::InvalidQuery(reason));
    check(&form).map_err(fault)?;
    let token = Some(form.token.as_str()).filter(|token| !token.is_empty()).map(Secret::new);
    let token = token.map(|token| ask.site.handle.seal(&token));
    let query = PreparedQuery { id: id.into(), token, ..form.into() };
    validate_node_meta(query.service.node_meta.as_ref()).map_err(fault)?;
    if let Err(bad) = query.check_template() {
        // Consul looks at templates last.
        ask.site.handle.snapshot().takes_query(&query)?;
        return Err(DiscoveryFault::Template(bad).into());
    }
    let record = AnyRecord::PreparedQuery(Box::new(query));
    let change = Change::Records(vec![RecordChange::Put { record, when: When::Always }]);
    blocking::write(&ask.site, &ask.caller, change).await?;
    Ok(())
}

/// What Consul finds wrong with a query before it looks at any other.
fn check(form: &QueryForm) -> Result<(), String> {
    let QueryForm { name, template, session, token, service, dns, .. } = form;
    if name.is_empty() && template.kind.is_empty() && session.is_empty() {
        return Err("Must be bound to a session".to_owned());
    }
    if token == HIDDEN {
        return Err(format!(
            "Bad Token '{HIDDEN}', it looks like a query definition with a redacted token was submitted"
        ));
    }
    if service.service.is_empty() {
        return Err("Must provide a Service name to query".to_owned());
    }
    let failover = &service.failover;
    if failover.nearest_n < 0 {
        return Err(format!("Bad NearestN '{}', must be >= 0", failover.nearest_n));
    }
    let some = |length: Option<usize>| length.is_some_and(|length| length > 0);
    let by_datacenter =
        failover.nearest_n != 0 || some(failover.datacenters.as_ref().map(Vec::len));
    if by_datacenter && some(failover.targets.as_ref().map(Vec::len)) {
        return Err("Targets cannot be populated with NearestN or Datacenters".to_owned());
    }
    if !service.sameness_group.is_empty() {
        return Err("sameness-groups are an enterprise-only feature".to_owned());
    }
    check_ttl(&dns.ttl)
}

fn check_ttl(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    match duration::parse(text) {
        Err(reason) => Err(format!("Bad DNS TTL '{text}': {reason}")),
        Ok(nanos) if nanos < 0 => Err(format!("DNS TTL '{nanos}', must be >=0")),
        Ok(_) => Ok(()),
    }
}

fn validate_node_meta(meta: Option<&Pairs>) -> Result<(), String> {
    let others: Pairs = meta
        .into_iter()
        .flat_map(Pairs::iter)
        .filter(|(key, _)| !key.starts_with(OWN_META))
        .map(|(key, value)| (key, value.clone()))
        .collect();
    validate_meta(Some(&others)).map_err(|reason| reason.to_string())
}

// === reading ===

async fn list(ask: Ask) -> Result<Reply, Reject> {
    let options = ask.read_options()?;
    let query = Query::Table(TableId::PreparedQuery);
    let answer =
        blocking::read(&ask.site, &ask.caller, &options, &query).await.map_err(Reject::queried)?;
    let rows: Vec<_> = answer.at.records::<PreparedQuery>().collect();
    let seen: Vec<QueryOut<'_>> = rows
        .iter()
        .filter(|row| may_read(&answer.authority, &row.record))
        .map(|row| shown(&ask, &answer.authority, row, &row.record))
        .collect();
    // Nobody is told of those without a name.
    let left_out =
        rows.iter().any(|row| row.record.is_named() && !may_read(&answer.authority, &row.record));
    let meta = Meta::with_consistency(&answer, &options).filtered(&answer.authority, left_out);
    Ok(Reply::json(&seen).meta(meta))
}

/// Whether a caller may see a query in a list. Who manages access control sees all; those without a name are nobody else's.
fn may_read(authority: &Authority, query: &PreparedQuery) -> bool {
    authority.allows(Act::acl_write())
        || (query.is_named() && authority.allows(Act::query_read(&query.name)))
}

/// A query as a caller may see it.
fn shown<'a>(
    ask: &Ask,
    authority: &Authority,
    row: &Row<PreparedQuery>,
    query: &'a PreparedQuery,
) -> QueryOut<'a> {
    let token = match &row.record.token {
        None => Cow::Borrowed(""),
        Some(_) if !authority.allows(Act::acl_write()) => Cow::Borrowed(HIDDEN),
        Some(sealed) => {
            let opened = ask.site.handle.unseal(sealed);
            Cow::Owned(opened.map_or_else(|| HIDDEN.to_owned(), |token| token.expose().to_owned()))
        }
    };
    QueryOut::new(row, query, token)
}

async fn get(ask: Ask, id: &str) -> Result<Reply, Reject> {
    let options = ask.read_options()?;
    read_one(&ask, &options, id).await.map_err(Reject::queried)
}

async fn read_one(ask: &Ask, options: &ReadOptions, id: &str) -> Result<Reply, Reject> {
    blocking::own_datacenter(&ask.site, options)?;
    let key = uuid_key(id).map_err(DiscoveryFault::QueryId)?;
    let find = |index: &Index| index.record::<PreparedQuery>(&key).cloned();
    // Consul does not wait for one that is not there, nor looks at who asks for it.
    let missing = || Reject::from(DiscoveryFault::QueryNotFound);
    if find(&ask.site.handle.snapshot()).is_none() {
        return Err(missing());
    }
    let query = Query::Record { table: TableId::PreparedQuery, key: key.as_str().into() };
    let answer = blocking::read(&ask.site, &ask.caller, options, &query).await?;
    let row = find(&answer.at).ok_or_else(missing)?;
    if row.record.is_named() && !may_read(&answer.authority, &row.record) {
        return Err(Refusal::Forbidden.into());
    }
    let shown = [shown(ask, &answer.authority, &row, &row.record)];
    Ok(Reply::json(&shown).meta(Meta::with_consistency(&answer, options)))
}

// === resolving ===

async fn explain(ask: Ask, name: &str) -> Result<Reply, Reject> {
    let options = ask.read_options()?;
    limit(&ask)?;
    explained(&ask, &options, name).await.map_err(Reject::queried)
}

async fn explained(ask: &Ask, options: &ReadOptions, name: &str) -> Result<Reply, Reject> {
    let index = resolvable(ask, options).await?;
    let Resolved { row, query } = resolve(&index, name)?;
    let authority = ask.authority()?;
    if !may_read(&authority, &query) {
        return Err(Refusal::Forbidden.into());
    }
    let (meta, told) = told(ask, options, false);
    let query = shown(ask, &authority, row, &query);
    Ok(Reply::json(&ExplainedOut { query, meta: told }).meta(meta))
}

async fn execute(ask: Ask, name: &str) -> Result<Reply, Reject> {
    let options = ask.read_options()?;
    let limit = limit(&ask)?;
    let connect = match ask.params.first("connect") {
        "" => false,
        text => parse_bool(text).ok_or_else(|| DiscoveryFault::ConnectFlag(text.to_owned()))?,
    };
    let near = ask.params.first("near");
    let identity = &ask.site.settings.identity;
    let ip = ask.source_address();
    let wanted = Wanted {
        limit: usize::try_from(limit).unwrap_or(0),
        connect,
        near,
        ip: &ip,
        agent: &identity.node,
        datacenter: &identity.datacenter,
    };
    executed(&ask, &options, name, &wanted).await.map_err(Reject::queried)
}

async fn executed(
    ask: &Ask,
    options: &ReadOptions,
    name: &str,
    wanted: &Wanted<'_>,
) -> Result<Reply, Reject> {
    let index = resolvable(ask, options).await?;
    let Resolved { row, query } = resolve(&index, name)?;
    let authority = authority_of(ask, row)?;
    let mut found: Found = query.execute(&index, &authority, wanted, &mut rand::rng());
    if found.instances.is_empty() {
        fail_over(ask, (row, &query), &authority, wanted, &mut found).await;
    }
    let filtered = found.filtered && authority.has_token();
    let (meta, told) = told(ask, options, filtered);
    Ok(Reply::json(&ExecutedOut::new(&query, &found, told)).meta(meta.cacheable(options)))
}

/// Asks the datacenters that adjacencies lead to, one after the other, until one has something.
async fn fail_over(
    ask: &Ask,
    (row, query): (&Row<PreparedQuery>, &PreparedQuery),
    authority: &Authority,
    wanted: &Wanted<'_>,
    found: &mut Found,
) {
    let handle = &ask.site.handle;
    if !handle.has_adjacencies() {
        return;
    }
    let own = row.record.token.as_ref().and_then(|sealed| handle.unseal(sealed));
    let token = own.or_else(|| ask.caller.token.clone());
    let caller = Caller { token, ..ask.caller.clone() };
    let name = query.service.service.as_ref().into();
    let connect = query.service.connect || wanted.connect;
    let asked = if connect { Query::HealthConnect(name) } else { Query::Health(name) };
    for datacenter in query.elsewhere(&blocking::datacenters(&ask.site)) {
        let Ok(target) = ScopePath::parse(&datacenter) else { continue };
        found.failovers += 1;
        let wait = Wait { after: 0, patience: Duration::ZERO, travel: HTTP_PATIENCE };
        // Who does not answer, or lets nothing out, is passed over.
        let Ok(answer) = handle.lookup_far(&caller, &target, &asked, wait).await else { continue };
        let wanted = Wanted { datacenter: &datacenter, ..*wanted };
        let there = query.execute(&answer.at, authority, &wanted, &mut rand::rng());
        if !there.instances.is_empty() {
            *found = Found { failovers: found.failovers, datacenter, ..there };
            return;
        }
    }
}

/// A query that has a token of its own is executed with that.
fn authority_of(ask: &Ask, row: &Row<PreparedQuery>) -> Result<Authority, Reject> {
    let own = row.record.token.as_ref().and_then(|sealed| ask.site.handle.unseal(sealed));
    match own {
        None => ask.authority(),
        Some(token) => {
            let caller = Caller { token: Some(token), ..ask.caller.clone() };
            Ok(ask.site.handle.authority(&caller)?)
        }
    }
}

/// The index in which a name is resolved, when it may be.
async fn resolvable(ask: &Ask, options: &ReadOptions) -> Result<std::sync::Arc<Index>, Reject> {
    blocking::own_datacenter(&ask.site, options)?;
    if options.consistency != Consistency::Stale {
        blocking::await_leader(&ask.site).await?;
    }
    Ok(ask.site.handle.snapshot())
}

fn resolve<'a>(index: &'a Index, name: &str) -> Result<Resolved<'a>, Reject> {
    // The community edition's agents are in the one segment that has no name.
    const SEGMENT: &str = "";
    let found = index.resolve_query(name, SEGMENT).map_err(DiscoveryFault::Unresolved)?;
    found.ok_or_else(|| DiscoveryFault::QueryNotFound.into())
}

/// What is known about the read, for the headers and for the body. It waits for nothing and has no index.
fn told(ask: &Ask, options: &ReadOptions, filtered: bool) -> (Meta, QueryMetaOut) {
    let known_leader = ask.site.handle.has_leader();
    let meta = Meta {
        index: 1,
        known_leader,
        consistency: Some(options.consistency),
        filtered,
        ..Meta::default()
    };
    let told = QueryMetaOut {
        index: 1,
        known_leader,
        consistency_level: options.consistency.as_str(),
        results_filtered: filtered,
        ..QueryMetaOut::default()
    };
    (meta, told)
}

fn limit(ask: &Ask) -> Result<i64, Reject> {
    match ask.params.first("limit") {
        "" => Ok(0),
        text => Ok(parse_int(text).ok_or_else(|| DiscoveryFault::Limit(text.to_owned()))?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_refused_in_consuls_words() {
        let cases = [
            ("{}", "Must be bound to a session"),
            (r#"{"Name":"a"}"#, "Must provide a Service name to query"),
            (
                r#"{"Name":"a","Token":"<hidden>"}"#,
                "Bad Token '<hidden>', it looks like a query definition with a redacted token was submitted",
            ),
            (
                r#"{"Name":"a","Service":{"Service":"s","Failover":{"NearestN":-1}}}"#,
                "Bad NearestN '-1', must be >= 0",
            ),
            (
                r#"{"Name":"a","Service":{"Service":"s","Failover":{"NearestN":1,"Targets":[{}]}}}"#,
                "Targets cannot be populated with NearestN or Datacenters",
            ),
            (
                r#"{"Name":"a","Service":{"Service":"s","SamenessGroup":"x"}}"#,
                "sameness-groups are an enterprise-only feature",
            ),
            (
                r#"{"Name":"a","Service":{"Service":"s"},"DNS":{"TTL":"x"}}"#,
                "Bad DNS TTL 'x': time: invalid duration \"x\"",
            ),
            (
                r#"{"Name":"a","Service":{"Service":"s"},"DNS":{"TTL":"-5s"}}"#,
                "DNS TTL '-5000000000', must be >=0",
            ),
            (r#"{"Template":{"Type":"x"},"Service":{"Service":"s"},"DNS":{"TTL":"5s"}}"#, ""),
        ];
        for (text, told) in cases {
            let form = body::<QueryForm>(text.as_bytes(), Hint::None).unwrap();
            assert_eq!(check(&form).err().unwrap_or_default(), told, "{text}");
        }
    }
}
