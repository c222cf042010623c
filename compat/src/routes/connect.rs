//! Who reaches a service through the mesh, and by which gateways: `/v1/catalog/connect/`, `/v1/catalog/gateway-services/`,
//! `/v1/health/connect/`, `/v1/health/ingress/`, `/v1/internal/service-virtual-ip`.

use std::collections::BTreeSet;
use std::net::IpAddr;

use proconsul_anchors::acl::Act;
use proconsul_anchors::change::Change;
use proconsul_anchors::error::Refusal;
use proconsul_anchors::index::connect::{Gateway, Link, Linked};
use proconsul_anchors::index::{Index, Instance, NodeRow, Row};
use proconsul_anchors::name::Caseless;
use proconsul_anchors::query::Query;
use proconsul_anchors::record::{AnyRecord, RecordChange, TableId, VirtualIp, When};
use proconsul_mesh::chain::{Compiled, Place, Wishes};

use crate::blocking;
use crate::extract::body::read_json;
use crate::extract::{Ask, ReadOptions, Tenancy};
use crate::filter::{CHECK_SERVICE_NODE, SERVICE_NODE};
use crate::reject::Reject;
use crate::reply::{Meta, Reply};
use crate::routes::catalog::{narrowed, nobody};
use crate::routes::health::{Order, drop_unfit, passing, refuse_groups, service_options};
use crate::routes::narrow::Narrow;
use crate::routes::sight::Sight;
use crate::wire::catalog::{
    CheckServiceNodeOut, ServiceNodeOut, list, write_catalog, write_health,
};
use crate::wire::decode::{Hint, body};
use crate::wire::entries::Shelf;
use crate::wire::gateway::{AssignedOut, GatewayServiceOut, PeeredNameOut, VirtualIpForm};

/// As many addresses may be given to a service by hand: Consul's bound.
const MANUAL_ADDRESSES_MAX: usize = 8;
/// How often a change of addresses is tried again when others change them meanwhile.
const TRIES_MAX: usize = 8;

/// `GET /v1/catalog/connect/<name>`.
pub(crate) async fn catalog(ask: Ask) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    let options = ask.read_options()?;
    let name = Caseless::from(ask.named(Reject::MissingServiceName)?);
    if !ask.params.first("peer").is_empty() {
        return nobody(&ask.site, &options).await;
    }
    list_catalog(&ask, &options, name).await.map_err(Reject::queried)
}

async fn list_catalog(ask: &Ask, options: &ReadOptions, name: Caseless) -> Result<Reply, Reject> {
    let narrow = Narrow::of(&ask.site, options, &SERVICE_NODE)?;
    if !ask.authority()?.allows(Act::service_read(name.as_str())) {
        let meta = Meta { index: 1, consistency: Some(options.consistency), ..Meta::default() };
        return Ok(Reply::encoded(bytes::Bytes::from_static(b"[]")).meta(meta));
    }
    let query = Query::Connect(name.clone());
    let answer = blocking::read(&ask.site, &ask.caller, options, &query).await?;
    let found = with_nodes(&answer.at, answer.at.reaching(&name));
    let sight = Sight::of(&answer.authority);
    let mut kept = narrowed(&narrow, &sight, found.into_iter(), ServiceNodeOut::new)?;
    narrow.order_instances(&answer.at, &mut kept);
    let meta = Meta::with_consistency(&answer, options).cacheable(options);
    Ok(Reply::encoded(list(kept.into_iter(), write_catalog))
        .meta(meta.filtered(&answer.authority, sight.left_out())))
}

/// `GET /v1/health/connect/<name>`.
pub(crate) async fn health(ask: Ask) -> Result<Reply, Reject> {
    let options = service_options(&ask)?;
    let name = Caseless::from(ask.named(Reject::MissingServiceName)?);
    let only_passing = passing(&ask)?;
    refuse_groups(&ask)?;
    if !ask.params.first("peer").is_empty() {
        return nobody(&ask.site, &options).await;
    }
    demand_service(&ask, &name)?;
    let query = Query::HealthConnect(name.clone());
    let find = |index: &'_ Index| index.reaching(&name).into_iter().cloned().collect();
    list_health(&ask, &options, query, only_passing, find).await
}

/// `GET /v1/health/ingress/<name>`.
pub(crate) async fn ingress(ask: Ask) -> Result<Reply, Reject> {
    let options = service_options(&ask)?;
    let name = Caseless::from(ask.named(Reject::MissingServiceName)?);
    let only_passing = passing(&ask)?;
    refuse_groups(&ask)?;
    demand_service(&ask, &name)?;
    let query = Query::HealthIngress(name.clone());
    let find = |index: &'_ Index| {
        let gateways = index.gateways_of(&name, Gateway::Ingress);
        gateways.into_iter().flat_map(|row| row.instances.values()).cloned().collect()
    };
    list_health(&ask, &options, query, only_passing, find).await
}

async fn list_health(
    ask: &Ask,
    options: &ReadOptions,
    query: Query,
    only_passing: bool,
    find: impl Fn(&Index) -> Vec<std::sync::Arc<Instance>>,
) -> Result<Reply, Reject> {
    let narrow = Narrow::of(&ask.site, options, &CHECK_SERVICE_NODE)?;
    let answer = blocking::read(&ask.site, &ask.caller, options, &query).await?;
    let found = find(&answer.at);
    let found = with_nodes(&answer.at, found.iter().collect());
    let sight = Sight::of(&answer.authority);
    let mut kept = narrowed(&narrow, &sight, found.into_iter(), CheckServiceNodeOut::new)?;
    if only_passing {
        drop_unfit(&mut kept, if options.after > 0 { Order::Kept } else { Order::LastFillsIn });
    }
    narrow.order_instances(&answer.at, &mut kept);
    let meta = Meta::with_consistency(&answer, options).cacheable(options);
    Ok(Reply::encoded(list(kept.into_iter(), write_health))
        .meta(meta.filtered(&answer.authority, sight.left_out())))
}

/// Whoever may not read the service is refused, and told no more.
fn demand_service(ask: &Ask, name: &Caseless) -> Result<(), Reject> {
    let may = ask.authority()?.allows(Act::service_read(name.as_str()));
    if may { Ok(()) } else { Err(Refusal::Forbidden.into()) }
}

type Found<'a> = Vec<(&'a NodeRow, &'a Instance)>;

fn with_nodes<'a>(index: &'a Index, found: Vec<&'a std::sync::Arc<Instance>>) -> Found<'a> {
    let node = |row: &'a Instance| Some((&**index.node(row.node.key())?, row));
    found.into_iter().filter_map(|row| node(row)).collect()
}

/// `GET /v1/catalog/gateway-services/<name>`.
pub(crate) async fn gateway_services(ask: Ask) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    let options = ask.read_options()?;
    let name = ask.named(Reject::MissingGatewayName)?.to_owned();
    list_links(&ask, &options, &name).await.map_err(Reject::queried)
}

async fn list_links(ask: &Ask, options: &ReadOptions, name: &str) -> Result<Reply, Reject> {
    let any = ask.site.handle.snapshot().links_any(name);
    // Where all services are linked, what they speak matters, too.
    let spoken = any.then_some(Query::Table(TableId::ConfigEntry));
    let query =
        Query::Several([Query::GatewayServices { any }].into_iter().chain(spoken).collect());
    let answer = blocking::read(&ask.site, &ask.caller, options, &query).await?;
    answer.authority.demand(Act::service_read(name))?;
    let linked = answer.at.links_of(name);
    let own = &ask.site.settings.identity.datacenter;
    let links = linked.iter().flat_map(|linked| {
        let links = linked.links.iter().filter(|link| speaks(linked, link, &answer.at, own));
        links.map(|link| GatewayServiceOut::new(linked, link, &answer.at))
    });
    let (kept, hidden): (Vec<_>, Vec<_>) =
        links.partition(|link| answer.authority.allows(Act::service_read(link.service())));
    let meta = Meta::with_consistency(&answer, options);
    Ok(Reply::json(&kept).meta(meta.filtered(&answer.authority, !hidden.is_empty())))
}

/// Whether the service of a link speaks what the gateway listens for, which has to be so where an ingress gateway is
/// linked with all services.
fn speaks(linked: &Linked<'_>, link: &Link, index: &Index, datacenter: &str) -> bool {
    if !link.from_any || linked.kind != Gateway::Ingress {
        return true;
    }
    let place = Place { datacenter: datacenter.to_owned(), trust_domain: String::new() };
    let chain = Compiled::of(&link.service, &place, &Wishes::default(), &Shelf(index));
    chain.is_ok_and(|chain| chain.protocol() == &*link.protocol)
}

/// `PUT /v1/internal/service-virtual-ip`.
pub(crate) async fn assign_virtual_ips(mut ask: Ask) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    let text = read_json(ask.take_body(), ask.headers.content_length).await?;
    let form: VirtualIpForm = body(&text, Hint::Namespaces)?;
    let own = &*ask.site.settings.identity.datacenter;
    if !form.datacenter.is_empty() && form.datacenter != own {
        return Err(Reject::NoPathToDatacenter);
    }
    ask.demand(Act::mesh_write())?;
    if form.manual.len() > MANUAL_ADDRESSES_MAX {
        return Err(Reject::ManualAddresses(MANUAL_ADDRESSES_MAX));
    }
    if form.manual.iter().any(|address| address.parse::<IpAddr>().is_err()) {
        return Err(Reject::ManualAddress);
    }
    let addresses: BTreeSet<Box<str>> = form.manual.into_iter().map(Into::into).collect();
    let service = Caseless::from(form.service);
    for _ in 0..TRIES_MAX {
        let index = ask.site.handle.snapshot();
        let Some(row) = index.virtual_ip(&service) else {
            return Ok(Reply::json(&AssignedOut { found: false, unassigned_from: None }));
        };
        let (changes, losers) = reassigned(&index, row, &addresses);
        let done = changes.is_empty()
            || blocking::write(&ask.site, &ask.caller, Change::Records(changes)).await?.yes;
        if done {
            let losers = losers.iter().map(|loser| PeeredNameOut::own(loser.as_str()));
            let losers: Vec<_> = losers.collect();
            let unassigned_from = Some(losers).filter(|losers| !losers.is_empty());
            return Ok(Reply::json(&AssignedOut { found: true, unassigned_from }));
        }
    }
    Err(Reject::Contended)
}

/// What has to be written so that a service has exactly these addresses and nobody else has one of them; and who loses some.
fn reassigned(
    index: &Index,
    row: &Row<VirtualIp>,
    addresses: &BTreeSet<Box<str>>,
) -> (Vec<RecordChange>, Vec<Caseless>) {
    let put = |row: &Row<VirtualIp>, manual: Vec<Box<str>>| RecordChange::Put {
        record: AnyRecord::VirtualIp(Box::new(VirtualIp { manual, ..row.record.clone() })),
        when: When::Index(row.modified),
    };
    let wanted: Vec<Box<str>> = addresses.iter().cloned().collect();
    let mut changes = Vec::new();
    let mut losers = Vec::new();
    if row.record.manual == wanted {
        return (changes, losers);
    }
    changes.push(put(row, wanted));
    for other in index.records::<VirtualIp>() {
        let loses = other.record.manual.iter().any(|address| addresses.contains(address));
        if loses && other.record.service != row.record.service {
            let kept = other.record.manual.iter().filter(|one| !addresses.contains(*one));
            changes.push(put(other, kept.cloned().collect()));
            losers.push(other.record.service.clone());
        }
    }
    (changes, losers)
}
