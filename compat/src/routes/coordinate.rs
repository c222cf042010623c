//! `/v1/coordinate/…`: where nodes lie in the network.

use proconsul_anchors::acl::{Act, Authority};
use proconsul_anchors::coordinate::{BadCoordinate, Point};
use proconsul_anchors::index::{Index, Row};
use proconsul_anchors::name::Caseless;
use proconsul_anchors::query::Query;
use proconsul_anchors::record::{Coordinate, TableId};

use crate::blocking;
use crate::extract::body::read_json;
use crate::extract::{Ask, ReadOptions, Tenancy};
use crate::reject::{DiscoveryFault, Reject};
use crate::reply::{Meta, Reply};
use crate::wire::coordinate::{CoordinateOut, DatacenterOut, UpdateForm};
use crate::wire::decode::{Hint, body};

/// `GET /v1/coordinate/datacenters`.
pub(crate) async fn datacenters(ask: Ask) -> Result<Reply, Reject> {
    refuse_disabled(&ask)?;
    let identity = &ask.site.settings.identity;
    // Servers of several datacenters measure each other; here is one, and nothing to measure.
    let own = Point::default().of_node((&*identity.node).into(), "");
    let coordinates = vec![CoordinateOut::from(&own)];
    Ok(Reply::json(&[DatacenterOut::new(&identity.datacenter, coordinates)]))
}

fn refuse_disabled(ask: &Ask) -> Result<(), Reject> {
    if ask.site.settings.coordinates {
        Ok(())
    } else {
        Err(DiscoveryFault::CoordinatesDisabled.into())
    }
}

/// `GET /v1/coordinate/nodes`.
pub(crate) async fn nodes(ask: Ask) -> Result<Reply, Reject> {
    let options = options(&ask)?;
    list(&ask, &options).await.map_err(Reject::queried)
}

/// Namespaces have no say in where a node lies.
fn options(ask: &Ask) -> Result<ReadOptions, Reject> {
    refuse_disabled(ask)?;
    let options = ask.read_options()?;
    ask.refuse_enterprise(Tenancy::Partition)?;
    Ok(options)
}

async fn list(ask: &Ask, options: &ReadOptions) -> Result<Reply, Reject> {
    let query = Query::Table(TableId::Coordinate);
    let answer = blocking::read(&ask.site, &ask.caller, options, &query).await?;
    let all: Vec<&Coordinate> = answer.at.records().map(record).collect();
    let authority = &answer.authority;
    let filtered = all.iter().any(|coordinate| !may_see(authority, coordinate));
    let shown: Vec<CoordinateOut<'_>> = all
        .into_iter()
        .filter(|coordinate| may_see(authority, coordinate) && in_segment(ask, coordinate))
        .map(Into::into)
        .collect();
    Ok(Reply::json(&shown).meta(Meta::of(&answer).filtered(authority, filtered)))
}

fn record(row: &std::sync::Arc<Row<Coordinate>>) -> &Coordinate {
    &row.record
}

fn may_see(authority: &Authority, coordinate: &Coordinate) -> bool {
    authority.allows(Act::node_read(coordinate.node.as_str()))
}

fn in_segment(ask: &Ask, coordinate: &Coordinate) -> bool {
    ask.params.given("segment").is_none_or(|segment| *segment == *coordinate.segment)
}

/// `GET /v1/coordinate/node/<name>`.
pub(crate) async fn node(ask: Ask) -> Result<Reply, Reject> {
    let options = options(&ask)?;
    let name = ask.rest().to_owned();
    one(&ask, &options, &name).await.map_err(Reject::queried)
}

async fn one(ask: &Ask, options: &ReadOptions, name: &str) -> Result<Reply, Reject> {
    blocking::own_datacenter(&ask.site, options)?;
    ask.demand(Act::node_read(name))?;
    let query = Query::Table(TableId::Coordinate);
    let answer = blocking::read(&ask.site, &ask.caller, options, &query).await?;
    let found = of_node(&answer.at, name);
    let shown: Vec<CoordinateOut<'_>> = found
        .into_iter()
        .filter(|coordinate| in_segment(ask, coordinate))
        .map(|coordinate| CoordinateOut::spelt(coordinate, name))
        .collect();
    if shown.is_empty() {
        return Ok(Reply::absent());
    }
    Ok(Reply::json(&shown).meta(Meta::of(&answer)))
}

fn of_node<'a>(index: &'a Index, name: &str) -> Vec<&'a Coordinate> {
    let name = Caseless::from(name);
    index.records().map(record).filter(|coordinate| coordinate.node == name).collect()
}

/// `PUT /v1/coordinate/update`: written some time later, with those of others.
pub(crate) async fn update(mut ask: Ask) -> Result<Reply, Reject> {
    refuse_disabled(&ask)?;
    let text = read_json(ask.take_body(), ask.headers.content_length).await?;
    let form: UpdateForm = body(&text, Hint::None)?;
    ask.refuse_enterprise(Tenancy::Both)?;
    ask.own_datacenter(ask.datacenter())?;
    // Consul breaks off the connection when there is none at all.
    let coordinate = form.coordinate().ok_or(BadCoordinate::Incompatible);
    let coordinate = coordinate.map_err(DiscoveryFault::Coordinate)?;
    Point::try_from(&coordinate).map_err(DiscoveryFault::Coordinate)?;
    ask.demand(Act::node_write(coordinate.node.as_str()))?;
    ask.site.survey.tell(coordinate);
    Ok(Reply::nothing())
}
