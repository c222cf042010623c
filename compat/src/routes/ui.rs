//! `/v1/internal/ui/…`: what the web interface reads, and `/v1/internal/federation-state…`.

use proconsul_anchors::acl::{Act, Denial};
use proconsul_anchors::index::Index;
use proconsul_anchors::index::connect::Gateway;
use proconsul_anchors::query::Query;
use proconsul_anchors::record::ConfigEntry;
use serde::Serialize;

use crate::blocking;
use crate::extract::{Ask, ReadOptions, Tenancy};
use crate::filter::{CHECK_SERVICE_NODE, UI_NODE};
use crate::go::time::show_time;
use crate::reject::{OperatorFault, Reject};
use crate::reply::{Meta, Reply};
use crate::routes::narrow::Narrow;
use crate::wire::catalog::{CheckServiceNodeOut, instances};
use crate::wire::ui::{OverviewOut, Summaries, UiNodeOut};

/// The whole catalog: every page below is woken by any of its tables.
fn catalog() -> Query {
    Query::Several(vec![
        Query::Nodes,
        Query::Services { by_node_meta: false },
        Query::Checks { by_node_meta: false },
        Query::GatewayServices { any: true },
    ])
}

/// `GET /v1/internal/ui/nodes`.
pub(crate) async fn nodes(ask: Ask) -> Result<Reply, Reject> {
    let options = ask.read_options()?;
    ask.refuse_enterprise(Tenancy::Both)?;
    list_nodes(&ask, &options).await.map_err(Reject::queried)
}

async fn list_nodes(ask: &Ask, options: &ReadOptions) -> Result<Reply, Reject> {
    let narrow = Narrow::by_filter(&ask.site, options, &UI_NODE)?;
    let answer = blocking::read(&ask.site, &ask.caller, options, &catalog()).await?;
    let (mut kept, mut left_out) = (Vec::new(), false);
    for row in answer.at.nodes() {
        match visible(UiNodeOut::from(&**row), &answer.authority, &mut left_out) {
            Some(form) if narrow.takes(&form)? => kept.push(form),
            _ => {}
        }
    }
    Ok(Reply::json(&kept).meta(Meta::of(&answer).filtered(&answer.authority, left_out)))
}

/// `GET /v1/internal/ui/node/<name>`.
pub(crate) async fn node(ask: Ask) -> Result<Reply, Reject> {
    let options = ask.read_options()?;
    ask.refuse_enterprise(Tenancy::Both)?;
    let name = ask.named(Reject::MissingNodeName)?;
    // Of another cluster there is nothing.
    let elsewhere = !ask.params.first("peer").is_empty();
    let query = catalog();
    let read = blocking::read(&ask.site, &ask.caller, &options, &query);
    let answer = read.await.map_err(Reject::queried)?;
    let mut left_out = false;
    let found = answer.at.node(name).filter(|_| !elsewhere);
    let found =
        found.and_then(|row| visible(UiNodeOut::from(&**row), &answer.authority, &mut left_out));
    let meta = Meta::of(&answer).filtered(&answer.authority, left_out);
    Ok(found.map_or_else(Reply::absent, |form| Reply::json(&form).meta(meta)))
}

/// What a caller may see of a node.
fn visible<'a>(
    mut form: UiNodeOut<'a>,
    authority: &proconsul_anchors::acl::Authority,
    left_out: &mut bool,
) -> Option<UiNodeOut<'a>> {
    if authority.is_open() {
        return Some(form);
    }
    if !authority.allows(Act::node_read(form.name())) {
        *left_out = true;
        return None;
    }
    let before = form.services.len() + form.checks.len();
    form.services.retain(|service| authority.allows(Act::service_read(service.name())));
    form.checks.retain(|check| {
        check.service_name().is_empty() || authority.allows(Act::service_read(check.service_name()))
    });
    *left_out |= form.services.len() + form.checks.len() < before;
    Some(form)
}

/// `GET /v1/internal/ui/services`.
pub(crate) async fn services(ask: Ask) -> Result<Reply, Reject> {
    let options = ask.read_options()?;
    ask.refuse_enterprise(Tenancy::Both)?;
    list_services(&ask, &options).await.map_err(Reject::queried)
}

async fn list_services(ask: &Ask, options: &ReadOptions) -> Result<Reply, Reject> {
    let narrow = Narrow::by_filter(&ask.site, options, &CHECK_SERVICE_NODE)?;
    let elsewhere = !ask.params.first("peer").is_empty();
    let answer = blocking::read(&ask.site, &ask.caller, options, &catalog()).await?;
    let (mut summaries, mut left_out) = (Summaries::default(), false);
    let services = answer.at.services().filter(|_| !elsewhere);
    for (node, row) in services.flat_map(|service| instances(&answer.at, service)) {
        let may = answer.authority.allows(Act::node_read(node.node.name.as_str()))
            && answer.authority.allows(Act::service_read(row.service.name.as_str()));
        if !may {
            left_out = true;
        } else if narrow.is_open() || narrow.takes(&CheckServiceNodeOut::new(node, row))? {
            summaries.add(node, row);
        }
    }
    let meta = Meta::of(&answer).filtered(&answer.authority, left_out);
    Ok(Reply::json(&summaries.listed(&links(&answer.at))).meta(meta))
}

/// All gateways with the services that they lead to.
fn links(index: &Index) -> Vec<(Box<str>, Box<str>)> {
    let gateways = Gateway::ALL.into_iter().flat_map(|kind| {
        let entries = index.records::<ConfigEntry>();
        entries.filter(move |row| &*row.record.kind == kind.as_str()).map(|row| &row.record.name)
    });
    let linked = gateways.filter_map(|name| Some((name, index.links_of(name)?)));
    let pairs = linked.flat_map(|(name, linked)| {
        linked.links.into_iter().map(move |link| (name.clone(), link.service))
    });
    pairs.collect()
}

/// `GET /v1/internal/ui/catalog-overview`.
pub(crate) async fn catalog_overview(ask: Ask) -> Result<Reply, Reject> {
    let options = ask.read_options()?;
    blocking::own_datacenter(&ask.site, &options)?;
    // Consul does not tell here who was refused.
    let nobody = |denial| Denial { accessor: Some("".into()), ..denial };
    ask.authority()?.demand(Act::operator_read()).map_err(nobody)?;
    let index = ask.site.handle.snapshot();
    Ok(Reply::json(&OverviewOut::of(index.nodes().map(|row| &**row))))
}

/// `GET /v1/internal/ui/exported-services`: nothing is exported to anybody.
pub(crate) async fn exported_services(ask: Ask) -> Result<Reply, Reject> {
    let options = ask.read_options()?;
    ask.refuse_enterprise(Tenancy::Both)?;
    ask.authority()?;
    if ask.params.first("peer").is_empty() {
        return Err(Reject::from(OperatorFault::MissingPeer).queried());
    }
    nothing(&ask, &options).await
}

/// A list in which nothing ever is.
async fn nothing(ask: &Ask, options: &ReadOptions) -> Result<Reply, Reject> {
    blocking::for_nothing(&ask.site, options).await.map_err(Reject::queried)?;
    let known_leader = ask.site.handle.has_leader();
    Ok(Reply::json::<[u8]>(&[]).meta(Meta { index: 1, known_leader, ..Meta::default() }))
}

/// The state of a datacenter's federation: its mesh gateways, of which there are none.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct FederationOut<'a> {
    datacenter: &'a str,
    updated_at: String,
    primary_modify_index: u64,
    create_index: u64,
    modify_index: u64,
}

/// One of these with what is known of the read.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct FederationStateOut<'a> {
    state: FederationOut<'a>,
    index: u64,
    last_contact: u64,
    known_leader: bool,
    consistency_level: &'static str,
    not_modified: bool,
    backend: u8,
    #[serde(rename = "ResultsFilteredByACLs")]
    filtered: bool,
}

/// The revision that states of federation are told with: they never change.
const FEDERATED_AT: u64 = 1;

fn federation(ask: &Ask) -> FederationOut<'_> {
    FederationOut {
        datacenter: &ask.site.settings.identity.datacenter,
        updated_at: show_time(ask.site.handle.leads().since),
        primary_modify_index: FEDERATED_AT,
        create_index: FEDERATED_AT,
        modify_index: FEDERATED_AT,
    }
}

async fn federated(ask: &Ask) -> Result<Meta, Reject> {
    let options = ask.read_options()?;
    blocking::own_datacenter(&ask.site, &options).map_err(Reject::queried)?;
    blocking::for_nothing(&ask.site, &options).await.map_err(Reject::queried)?;
    let known_leader = ask.site.handle.has_leader();
    Ok(Meta { index: FEDERATED_AT, known_leader, ..Meta::default() })
}

/// `GET /v1/internal/federation-states`.
pub(crate) async fn federation_states(ask: Ask) -> Result<Reply, Reject> {
    let meta = federated(&ask).await?;
    ask.demand(Act::operator_read()).map_err(Reject::queried)?;
    Ok(Reply::json(&[federation(&ask)]).meta(meta))
}

/// `GET /v1/internal/federation-states/mesh-gateways`.
pub(crate) async fn federated_gateways(ask: Ask) -> Result<Reply, Reject> {
    let meta = federated(&ask).await?;
    Ok(Reply::encoded("{}".into()).meta(meta))
}

/// `GET /v1/internal/federation-state/<datacenter>`.
pub(crate) async fn federation_state(ask: Ask) -> Result<Reply, Reject> {
    let asked = ask.named(OperatorFault::MissingDatacenter.into())?.to_owned();
    let meta = federated(&ask).await?;
    ask.demand(Act::operator_read()).map_err(Reject::queried)?;
    let state = federation(&ask);
    if state.datacenter != asked {
        return Ok(Reply::absent());
    }
    let form = FederationStateOut {
        state,
        index: meta.index,
        last_contact: 0,
        known_leader: meta.known_leader,
        consistency_level: "",
        not_modified: false,
        backend: 0,
        filtered: false,
    };
    Ok(Reply::json(&form).meta(meta))
}
