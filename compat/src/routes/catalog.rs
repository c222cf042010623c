//! `/v1/catalog/…`: nodes and services as they are registered.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use proconsul_anchors::change::{Change, Registration, Removal};
use proconsul_anchors::index::{Index, Instance, NodeRow};
use proconsul_anchors::name::Caseless;
use proconsul_anchors::node::definition::{
    SidecarAsked, is_any_address, service_faults, validate_service_meta,
};
use proconsul_anchors::query::Query;
use proconsul_anchors::service::{Check, Service};
use serde::Serialize;

use crate::acl::uuid;
use crate::blocking;
use crate::extract::body::read_json;
use crate::extract::{Ask, ReadOptions, Tenancy};
use crate::fallback;
use crate::filter::{NODE, NODE_SERVICE, SERVICE_NODE};
use crate::go::json::Json;
use crate::go::print::{json, write_json};
use crate::reject::{Faults, Reject};
use crate::reply::{Meta, Reply, TEXT_UTF8, cache_headers};
use crate::routes::narrow::{Narrow, has_tags};
use crate::routes::sight::Sight;
use crate::wire::catalog::{
    NodeOut, NodeServiceOut, ServiceNodeOut, instances, list, write_catalog,
};
use crate::wire::decode::{Hint, body};
use crate::wire::register::{DeregisterForm, HealthCheckForm, NodeServiceForm, RegisterForm};

/// `PUT /v1/catalog/register`.
pub(crate) async fn register(mut ask: Ask) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    let text = read_json(ask.take_body(), ask.headers.content_length).await?;
    let form: RegisterForm = body(&text, Hint::Namespaces)?;
    drop(text);
    // Who asks is looked at before what is asked.
    ask.authority()?;
    let own = &ask.site.settings.identity.datacenter;
    let registration = registration(form, own)?;
    let (node, service) = (registration.node.name.clone(), registration.service.as_ref());
    let service = service.map(|service| service.id.clone());
    let change = Change::Register(Box::new(registration));
    let committed = blocking::write(&ask.site, &ask.caller, change).await?;
    let what = (node.as_str(), service.as_ref());
    Ok(Reply::json(&true).receipt(&ask.site, committed.outcome, what))
}

/// The registration that a form asks for, when Consul would take it.
pub(crate) fn registration(
    mut form: RegisterForm,
    own_datacenter: &str,
) -> Result<Registration, Reject> {
    refuse_peers(&form)?;
    if !form.datacenter.is_empty() && form.datacenter != own_datacenter {
        return Err(Reject::NoPathToDatacenter);
    }
    check_node(&form)?;
    let request_node = form.node.clone();
    let service =
        form.service.take().map(|service| catalog_service(*service, &request_node)).transpose()?;
    let mut checks = std::mem::take(&mut form.checks.0);
    checks.extend(form.check.take().map(|check| *check));
    let checks: Result<Vec<Check>, Reject> =
        checks.into_iter().map(|check| catalog_check(check, &request_node)).collect();
    Ok(Registration {
        skip_node_update: form.skip_node_update,
        node: form.node(own_datacenter),
        service,
        checks: checks?,
        ..Registration::default()
    })
}

fn refuse_peers(form: &RegisterForm) -> Result<(), Reject> {
    let service = form.service.as_ref().is_some_and(|service| !service.peer_name.is_empty());
    let mut checks = form.check.iter().map(|check| &**check).chain(&form.checks.0);
    let check = checks.any(|check| !check.peer_name.is_empty());
    if service || check || !form.peer_name.is_empty() { Err(Reject::PeerName) } else { Ok(()) }
}

fn check_node(form: &RegisterForm) -> Result<(), Reject> {
    if form.node.is_empty() {
        return Err(Reject::NoNode);
    }
    if !form.id.is_empty() {
        uuid::check(&form.id).map_err(Reject::NodeId)?;
    }
    if form.address.is_empty() && !form.skip_node_update {
        return Err(Reject::NoAddress);
    }
    Ok(())
}

fn catalog_service(form: NodeServiceForm, node: &str) -> Result<Service, Reject> {
    let sidecars = [&form.connect.sidecar, &form.connect.sidecar_snake];
    if sidecars.into_iter().any(|sidecar| *sidecar != Json::Null) {
        return Err(Reject::CatalogSidecar);
    }
    let service = Service::from(form);
    check_service(&service)?;
    validate_service_meta(&service).map_err(|reason| Reject::CatalogServiceMeta {
        node: node.to_owned(),
        service: service.id.as_str().to_owned(),
        reason: reason.to_string(),
    })?;
    Ok(service)
}

/// What the catalog refuses of a service, its meta aside.
pub(crate) fn check_service(service: &Service) -> Result<(), Reject> {
    let faults = catalog_faults(service);
    if !faults.is_empty() {
        return Err(Reject::Faults(Faults(faults)));
    }
    match (service.id.is_empty(), service.name.is_empty()) {
        (true, true) => return Err(Reject::NoServiceNameOrId),
        (false, true) => return Err(Reject::NoServiceName),
        _ => {}
    }
    if is_any_address(&service.address) {
        return Err(Reject::ServiceAddress);
    }
    Ok(())
}

/// All that the catalog finds wrong with a service before it looks at its names.
fn catalog_faults(service: &Service) -> Vec<String> {
    let faults = service_faults(service, SidecarAsked::default());
    faults.iter().map(ToString::to_string).collect()
}

fn catalog_check(form: HealthCheckForm, request_node: &str) -> Result<Check, Reject> {
    let stray =
        !form.node.is_empty() && Caseless::from(form.node.as_str()) != Caseless::from(request_node);
    if stray {
        return Err(Reject::CheckNode {
            check: if form.check_id.0.is_empty() { form.name } else { form.check_id.0 },
            node: form.node,
            request: request_node.to_owned(),
        });
    }
    Ok(form.into())
}

/// `PUT /v1/catalog/deregister`.
pub(crate) async fn deregister(ask: Ask) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    let text = read_json(ask.body, ask.headers.content_length).await?;
    let form: DeregisterForm = body(&text, Hint::Namespaces)?;
    let own = &ask.site.settings.identity.datacenter;
    if !form.datacenter.is_empty() && form.datacenter != **own {
        return Err(Reject::NoPathToDatacenter);
    }
    if form.node.is_empty() {
        return Err(Reject::NoNode);
    }
    blocking::write(&ask.site, &ask.caller, Change::Deregister(removal(form))).await?;
    Ok(Reply::json(&true))
}

fn removal(form: DeregisterForm) -> Removal {
    let node = Caseless::from(form.node);
    match (form.service_id.as_str(), form.check_id.0.as_str()) {
        ("", "") => Removal::Node { node },
        ("", check) => Removal::Check { node, id: check.into() },
        (service, _) => Removal::Service { node, id: service.into() },
    }
}

/// `GET /v1/catalog/datacenters`.
pub(crate) async fn datacenters(ask: Ask) -> Result<Reply, Reject> {
    let mut datacenters = vec![ask.site.settings.identity.datacenter.clone()];
    datacenters.extend(blocking::datacenters(&ask.site));
    match ask.read_options() {
        // Consul writes the refusal and then the answer behind it.
        Err(
            reject @ (Reject::StaleAndConsistent
            | Reject::CachedAndConsistent
            | Reject::MaxStale(_)
            | Reject::CacheControl),
        ) => {
            let mut text = reject.to_string().into_bytes();
            text.extend_from_slice(&json(&datacenters));
            Ok(Reply::plain(text, TEXT_UTF8).status(StatusCode::BAD_REQUEST))
        }
        Ok(options) => {
            let headers = cache_headers(options.cache);
            Ok(Reply { headers, ..Reply::json(&datacenters) })
        }
        _ => Ok(Reply::json(&datacenters)),
    }
}

/// `GET /v1/catalog/nodes`.
pub(crate) async fn nodes(ask: Ask) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Partition)?;
    let options = ask.read_options()?;
    list_nodes(ask, options).await.map_err(Reject::queried)
}

async fn list_nodes(ask: Ask, options: ReadOptions) -> Result<Reply, Reject> {
    let narrow = Narrow::of(&ask.site, &options, &NODE)?;
    let answer = blocking::read(&ask.site, &ask.caller, &options, &Query::Nodes).await?;
    let sight = Sight::of(&answer.authority);
    let mut kept: Vec<NodeOut<'_>> = Vec::new();
    let mut rows: Vec<_> = answer.at.nodes().filter(|row| narrow.takes_node(&row.node)).collect();
    narrow.order(&answer.at, &mut rows, |row| row.node.name.key());
    for row in rows.into_iter().filter(|row| sight.node(row)) {
        let record = NodeOut::from(&**row);
        if narrow.takes(&record)? {
            kept.push(record);
        }
    }
    let meta = Meta::with_consistency(&answer, &options);
    Ok(Reply::json(&kept).meta(meta.filtered(&answer.authority, sight.left_out())))
}

/// `GET /v1/catalog/services`.
pub(crate) async fn services(ask: Ask) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    let options = ask.read_options()?;
    list_services(ask, options).await.map_err(Reject::queried)
}

async fn list_services(ask: Ask, options: ReadOptions) -> Result<Reply, Reject> {
    let narrow = Narrow::of(&ask.site, &options, &SERVICE_NODE)?;
    let query = Query::Services { by_node_meta: narrow.by_node_meta() };
    let answer = blocking::read(&ask.site, &ask.caller, &options, &query).await?;
    let sight = Sight::of(&answer.authority);
    let body = json(&names_and_tags(&answer.at, &narrow, &sight)?);
    let meta = Meta::with_consistency(&answer, &options).cacheable(&options);
    Ok(Reply::encoded(body).meta(meta.filtered(&answer.authority, sight.left_out())))
}

/// Service names as they are written, each with the tags of its instances, every tag once.
fn names_and_tags<'a>(
    index: &'a Index,
    narrow: &Narrow,
    sight: &Sight<'_>,
) -> Result<BTreeMap<&'a str, Vec<&'a str>>, Reject> {
    let mut names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let open = narrow.is_open();
    for service in index.services() {
        for (node, row) in instances(index, service) {
            let wanted = (open || narrow.takes_node(&node.node))
                && sight.instance(node, row)
                && (open || narrow.takes(&ServiceNodeOut::new(node, row))?);
            if !wanted {
                continue;
            }
            let tags = names.entry(row.service.name.as_str()).or_default();
            for tag in row.service.tags.iter() {
                if !tags.contains(&&**tag) {
                    tags.push(tag);
                }
            }
        }
    }
    Ok(names)
}

/// `GET /v1/catalog/service/<name>`.
pub(crate) async fn service(ask: Ask) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    let options = ask.read_options()?;
    let name = ask.named(Reject::MissingServiceName)?.to_owned();
    if !ask.params.first("peer").is_empty() {
        return nobody(&ask.site, &options).await;
    }
    let tags: Vec<String> = ask.params.all("tag").map(str::to_owned).collect();
    list_service(ask, options, name, tags).await.map_err(Reject::queried)
}

async fn list_service(
    ask: Ask,
    options: ReadOptions,
    name: String,
    tags: Vec<String>,
) -> Result<Reply, Reject> {
    let narrow = Narrow::of(&ask.site, &options, &SERVICE_NODE)?;
    let query = Query::Service(name.as_str().into());
    let asked = (name.as_str(), ask.headers.hops);
    let fallback::Told { answer, source } =
        fallback::read(&ask.site, &ask.caller, &options, &query, asked).await?;
    let sight = Sight::of(&answer.authority);
    let reply = match answer.at.service(&name) {
        None => Reply::encoded(Bytes::from_static(b"[]")),
        Some(row)
            if narrow.is_open() && tags.is_empty() && sight.all(instances(&answer.at, row)) =>
        {
            let encode = || list(instances(&answer.at, row), write_catalog);
            Reply::shared(row.bodies.catalog.get_or_make(encode))
        }
        Some(row) => {
            let found =
                instances(&answer.at, row).filter(|(_, row)| has_tags(&row.service.tags, &tags));
            let mut kept = narrowed(&narrow, &sight, found, ServiceNodeOut::new)?;
            narrow.order_instances(&answer.at, &mut kept);
            Reply::encoded(list(kept.into_iter(), write_catalog))
        }
    };
    let meta = Meta::with_consistency(&answer, &options).cacheable(&options);
    Ok(reply.meta(meta.filtered(&answer.authority, sight.left_out())).source(source))
}

/// The instances that are wanted and may be seen, in the order that is wanted. Nobody's expression is asked of what they may
/// not see.
pub(crate) fn narrowed<'a, T: Serialize>(
    narrow: &Narrow,
    sight: &Sight<'_>,
    found: impl Iterator<Item = (&'a NodeRow, &'a Instance)>,
    form: impl Fn(&'a NodeRow, &'a Instance) -> T,
) -> Result<Vec<(&'a NodeRow, &'a Instance)>, Reject> {
    let mut kept = Vec::new();
    for (node, row) in found.filter(|(node, _)| narrow.takes_node(&node.node)) {
        if sight.instance(node, row) && narrow.takes(&form(node, row))? {
            kept.push((node, row));
        }
    }
    Ok(kept)
}

/// The empty answer of a read that nothing can change.
pub(crate) async fn nobody(site: &crate::Site, options: &ReadOptions) -> Result<Reply, Reject> {
    blocking::for_nothing(site, options).await?;
    let meta = Meta {
        index: 1,
        known_leader: true,
        consistency: Some(options.consistency),
        ..Meta::default()
    };
    Ok(Reply::encoded(Bytes::from_static(b"[]")).meta(meta))
}

/// `GET /v1/catalog/node/<name>`.
pub(crate) async fn node(ask: Ask) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    let options = ask.read_options()?;
    let name = ask.named(Reject::MissingNodeName)?.to_owned();
    // Consul asks here by the ids of the services.
    one_node(ask, options, &name, |row| row.service.id.as_str(), services_by_id)
        .await
        .map_err(Reject::queried)
}

/// `GET /v1/catalog/node-services/<name>`.
pub(crate) async fn node_services(ask: Ask) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    let options = ask.read_options()?;
    let name = ask.named(Reject::MissingNodeName)?.to_owned();
    one_node(ask, options, &name, |row| row.service.name.as_str(), services_in_order)
        .await
        .map_err(Reject::queried)
}

/// Prints a node with its services; a list that an expression made is told from one that is empty by itself.
type Print = fn(Option<(&NodeRow, Vec<NodeServiceOut<'_>>)>, narrowed: bool) -> Bytes;

async fn one_node(
    ask: Ask,
    options: ReadOptions,
    name: &str,
    seen_by: fn(&Instance) -> &str,
    print: Print,
) -> Result<Reply, Reject> {
    let narrow = Narrow::by_filter(&ask.site, &options, &NODE_SERVICE)?;
    let answer =
        blocking::read(&ask.site, &ask.caller, &options, &Query::Node(name.into())).await?;
    let sight = Sight::of(&answer.authority);
    let row = answer.at.node_by_name_or_id(name).filter(|row| sight.node(row));
    let body = match row {
        None => print(None, !narrow.is_open()),
        Some(row) => {
            let mut kept = Vec::new();
            let seen = |row: &&Arc<Instance>| sight.service(seen_by(row));
            for instance in row.services.values().filter(seen) {
                let record = NodeServiceOut::from(&**instance);
                if narrow.takes(&record)? {
                    kept.push(record);
                }
            }
            print(Some((row, kept)), !narrow.is_open())
        }
    };
    let meta = Meta::with_consistency(&answer, &options);
    Ok(Reply::encoded(body).meta(meta.filtered(&answer.authority, sight.left_out())))
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct NodeWith<'a, S> {
    node: Option<NodeOut<'a>>,
    services: Option<S>,
}

/// An object of services by id; `null` for a node that is not there.
fn services_by_id(found: Option<(&NodeRow, Vec<NodeServiceOut<'_>>)>, _: bool) -> Bytes {
    let Some((row, services)) = found else { return Bytes::from_static(b"null") };
    let services: BTreeMap<String, NodeServiceOut<'_>> =
        services.into_iter().map(|service| (service.id().to_owned(), service)).collect();
    json(&NodeWith { node: Some(row.into()), services: Some(services) })
}

/// A list of services; both fields `null` for a node that is not there.
fn services_in_order(found: Option<(&NodeRow, Vec<NodeServiceOut<'_>>)>, narrowed: bool) -> Bytes {
    let form = match found {
        None => NodeWith { node: None, services: narrowed.then(Vec::new) },
        Some((row, services)) => {
            let registered = narrowed || !row.services.is_empty();
            NodeWith { node: Some(row.into()), services: registered.then_some(services) }
        }
    };
    let mut out = Vec::new();
    write_json(&mut out, &form);
    out.into()
}
