//! `/v1/health/…`: checks, and services with what their checks say.

use std::future::ready;
use std::sync::Arc;

use bytes::Bytes;
use proconsul_anchors::caller::Caller;
use proconsul_anchors::handle::Answer;
use proconsul_anchors::index::{CheckRow, Index, Instance, NodeRow};
use proconsul_anchors::name::Caseless;
use proconsul_anchors::query::Query;

use super::Working;
use crate::Site;
use crate::blocking;
use crate::extract::{Ask, ReadOptions, Tenancy};
use crate::fallback;
use crate::filter::{CHECK_SERVICE_NODE, HEALTH_CHECK};
use crate::reject::Reject;
use crate::reply::{Meta, Reply};
use crate::routes::catalog::{narrowed, nobody};
use crate::routes::narrow::{Narrow, has_tags};
use crate::routes::sight::Sight;
use crate::wire::catalog::{CheckServiceNodeOut, instances, is_passing, list, write_health};
use crate::wire::check::HealthCheckOut;

/// `GET /v1/health/node/<name>`.
pub(crate) async fn node(ask: Ask) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    let options = ask.read_options()?;
    let name = Caseless::from(ask.named(Reject::MissingNodeName)?);
    let narrow = Narrow::by_filter(&ask.site, &options, &HEALTH_CHECK);
    let checks = |index: &Index| -> Vec<Arc<CheckRow>> {
        index.node(name.key()).into_iter().flat_map(|row| row.checks.values()).cloned().collect()
    };
    list_checks(
        &ask,
        &options,
        (narrow, Asked::OfWhatIsSeen),
        Query::NodeChecks(name.clone()),
        checks,
    )
    .await
    .map_err(Reject::queried)
}

/// `GET /v1/health/checks/<service>`.
pub(crate) async fn checks(ask: Ask) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    let options = ask.read_options()?;
    let service = Caseless::from(ask.named(Reject::MissingServiceName)?);
    let narrow = Narrow::of(&ask.site, &options, &HEALTH_CHECK);
    let query = Query::ServiceChecks {
        service: service.clone(),
        by_node_meta: !options.node_meta.is_empty(),
    };
    let of_service =
        |row: &CheckRow| row.check.service.as_ref().is_some_and(|checked| checked.name == service);
    let checks = |index: &Index| all_checks(index, of_service);
    // Consul asks the expression first on this page, and so tells of nothing that it did not want.
    list_checks(&ask, &options, (narrow, Asked::First), query, checks)
        .await
        .map_err(Reject::queried)
}

/// `GET /v1/health/state/<state>`.
pub(crate) async fn state(ask: Ask) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    let options = ask.read_options()?;
    let state = ask.named(Reject::MissingCheckState)?.to_owned();
    let narrow = Narrow::of(&ask.site, &options, &HEALTH_CHECK);
    // Node meta decides which checks are shown, but their table's index stays the answer's.
    let query = Query::Checks { by_node_meta: false };
    let in_state = |row: &CheckRow| state == "any" || row.status().as_str() == state;
    let checks = |index: &Index| all_checks(index, in_state);
    list_checks(&ask, &options, (narrow, Asked::OfWhatIsSeen), query, checks)
        .await
        .map_err(Reject::queried)
}

fn all_checks(index: &Index, wanted: impl Fn(&CheckRow) -> bool) -> Vec<Arc<CheckRow>> {
    index.nodes().flat_map(|row| row.checks.values()).filter(|row| wanted(row)).cloned().collect()
}

/// When an expression is asked.
#[derive(Clone, Copy)]
enum Asked {
    /// Before the rules of the caller.
    First,
    /// After them.
    OfWhatIsSeen,
}

async fn list_checks(
    ask: &Ask,
    options: &ReadOptions,
    (narrow, asked): (Result<Narrow, Reject>, Asked),
    query: Query,
    checks: impl Fn(&Index) -> Vec<Arc<CheckRow>>,
) -> Result<Reply, Reject> {
    let narrow = narrow?;
    let answer = blocking::read(&ask.site, &ask.caller, options, &query).await?;
    let mut rows = checks(&answer.at);
    narrow.order(&answer.at, &mut rows, |row| row.node.key());
    let sight = Sight::of(&answer.authority);
    let mut kept: Vec<HealthCheckOut<'_>> = Vec::new();
    let rows = rows.iter().filter(|row| on_wanted_node(&answer, &narrow, row));
    for row in rows {
        let record = HealthCheckOut::from(&**row);
        let shown = match asked {
            Asked::First => {
                let taken = narrow.takes(&record)?;
                taken && sight.check(row)
            }
            Asked::OfWhatIsSeen => sight.check(row) && narrow.takes(&record)?,
        };
        if shown {
            kept.push(record);
        }
    }
    let meta = Meta::with_consistency(&answer, options);
    Ok(Reply::json(&kept).meta(meta.filtered(&answer.authority, sight.left_out())))
}

fn on_wanted_node(answer: &Answer, narrow: &Narrow, row: &CheckRow) -> bool {
    !narrow.by_node_meta()
        || answer.at.node(row.node.key()).is_some_and(|node| narrow.takes_node(&node.node))
}

/// `GET /v1/health/service/<name>`. Thousands may wait in it: nothing of the request is kept but what is looked up.
pub(crate) fn service(ask: Ask) -> Working {
    match Lookup::of(&ask) {
        Ok(lookup) => Box::pin(async move { lookup.answer().await }),
        Err(reject) => Box::pin(ready(Err(reject))),
    }
}

/// A lookup of a service's instances.
struct Lookup {
    site: Arc<Site>,
    caller: Caller,
    options: ReadOptions,
    name: Caseless,
    query: Query,
    /// The service is another cluster's, of which there are none.
    elsewhere: bool,
    /// Through how many servers with fallbacks the question has come.
    hops: u8,
    wanted: Wanted,
}

/// Which instances of a service are asked for.
struct Wanted {
    narrow: Narrow,
    tags: Vec<String>,
    passing: bool,
}

impl Lookup {
    fn of(ask: &Ask) -> Result<Self, Reject> {
        let options = service_options(ask)?;
        let name = Caseless::from(ask.named(Reject::MissingServiceName)?);
        let passing = passing(ask)?;
        refuse_groups(ask)?;
        let narrow = Narrow::of(&ask.site, &options, &CHECK_SERVICE_NODE)?;
        let tags = ask.params.all("tag").map(str::to_owned).collect();
        Ok(Self {
            site: Arc::clone(&ask.site),
            caller: ask.caller.clone(),
            options,
            query: Query::Health(name.clone()),
            name,
            hops: ask.headers.hops,
            elsewhere: !ask.params.first("peer").is_empty(),
            wanted: Wanted { narrow, tags, passing },
        })
    }

    async fn answer(&self) -> Result<Reply, Reject> {
        if self.elsewhere {
            return Box::pin(nobody(&self.site, &self.options)).await;
        }
        // Consul's view of a service knows no distances.
        let viewed = self.options.after > 0 && !self.wanted.narrow.has_order();
        let asked = (self.name.as_str(), self.hops);
        let fallback::Told { answer, source } =
            fallback::read(&self.site, &self.caller, &self.options, &self.query, asked).await?;
        let order = if viewed { Order::Kept } else { Order::LastFillsIn };
        let sight = Sight::of(&answer.authority);
        let reply = encode(&answer, &sight, &self.name, &self.wanted, order)?;
        let meta = Meta::with_consistency(&answer, &self.options).cacheable(&self.options);
        Ok(reply.meta(meta.filtered(&answer.authority, sight.left_out())).source(source))
    }
}

fn encode(
    answer: &Answer,
    sight: &Sight<'_>,
    name: &Caseless,
    wanted: &Wanted,
    order: Order,
) -> Result<Reply, Reject> {
    let Some(row) = answer.at.service(name.key()) else {
        return Ok(Reply::encoded(Bytes::from_static(b"[]")));
    };
    let found = || instances(&answer.at, row);
    let all_fit = !wanted.passing || found().all(|(node, row)| is_passing(node, row));
    let open = wanted.narrow.is_open() && wanted.tags.is_empty() && sight.all(found());
    match order {
        _ if open && all_fit => {
            Ok(Reply::shared(row.bodies.health.get_or_make(|| list(found(), write_health))))
        }
        Order::Kept if open => {
            let fit = found().filter(|(node, row)| is_passing(node, row));
            Ok(Reply::shared(row.bodies.passing.get_or_make(|| list(fit, write_health))))
        }
        _ => {
            let tagged = found().filter(|(_, row)| has_tags(&row.service.tags, &wanted.tags));
            let mut kept = narrowed(&wanted.narrow, sight, tagged, CheckServiceNodeOut::new)?;
            if wanted.passing {
                drop_unfit(&mut kept, order);
            }
            wanted.narrow.order_instances(&answer.at, &mut kept);
            Ok(Reply::encoded(list(kept.into_iter(), write_health)))
        }
    }
}

/// In which order the fit instances stand when others are left out.
#[derive(Clone, Copy)]
pub(crate) enum Order {
    /// As they stood: Consul's view for whoever waits.
    Kept,
    /// The last one takes the place of each that goes: Consul's answer at once.
    LastFillsIn,
}

pub(crate) fn drop_unfit(kept: &mut Vec<(&NodeRow, &Instance)>, order: Order) {
    let Order::LastFillsIn = order else {
        return kept.retain(|(node, row)| is_passing(node, row));
    };
    let mut at = 0;
    while let Some((node, row)) = kept.get(at) {
        if is_passing(node, row) {
            at += 1;
        } else {
            kept.swap_remove(at);
        }
    }
}

pub(crate) fn service_options(ask: &Ask) -> Result<ReadOptions, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    let options = ask.read_options()?;
    if !sameness_group(ask).is_empty() && !ask.params.first("peer").is_empty() {
        return Err(Reject::PeerAndSamenessGroup);
    }
    Ok(options)
}

fn sameness_group(ask: &Ask) -> &str {
    match ask.params.first("sg") {
        "" => ask.params.first("sameness-group"),
        short => short,
    }
}

pub(crate) fn refuse_groups(ask: &Ask) -> Result<(), Reject> {
    if sameness_group(ask).is_empty() { Ok(()) } else { Err(Reject::SamenessGroup) }
}

pub(crate) fn passing(ask: &Ask) -> Result<bool, Reject> {
    ask.flag("passing").ok_or(Reject::Passing)
}
