//! `/v1/connect/intentions…`: who may speak with whom. They are kept as the sources of `service-intentions` entries.

use std::collections::BTreeMap;

use http::Method;
use proconsul_anchors::acl::{Act, Authority, DefaultPolicy};
use proconsul_anchors::handle::Answer;
use proconsul_anchors::index::Index;
use proconsul_anchors::query::Query;
use proconsul_anchors::record::TableId;
use proconsul_mesh::Kind;
use proconsul_mesh::intentions::{self, Draft, Mutation, Shown, Side};
use serde_json::Value;
use uuid::Uuid;

use crate::blocking;
use crate::extract::body::read_json;
use crate::extract::{Ask, Tenancy};
use crate::filter::{Filter, INTENTION};
use crate::go::text::quote;
use crate::go::time::show_time;
use crate::reject::{Faults, MeshFault, Reject};
use crate::reply::{Meta, Reply};
use crate::routes::changed::{Seen, read_changed};
use crate::routes::config::{in_order, put, remove};
use crate::wire::decode::{Hint, body};
use crate::wire::entries::Shelf;
use crate::wire::intention::{CheckedOut, CreatedOut, IntentionForm};

const TABLE: Query = Query::Table(TableId::ConfigEntry);

/// `GET` and `POST /v1/connect/intentions`.
pub(crate) async fn all(ask: Ask) -> Result<Reply, Reject> {
    if ask.method == Method::POST { create(ask).await } else { list(ask).await }
}

async fn list(ask: Ask) -> Result<Reply, Reject> {
    let options = ask.read_options()?;
    ask.refuse_enterprise(Tenancy::Both)?;
    let found = async {
        ask.site.issuer.on()?;
        blocking::own_datacenter(&ask.site, &options)?;
        let filter = match options.filter.as_str() {
            "" => None,
            text => Some(Filter::compile(text, &INTENTION).map_err(Reject::Filter)?),
        };
        let show = |answer: &Answer| Seen {
            found: true,
            index: answer.index,
            shown: Values(intentions::list(&Shelf(&answer.at))),
        };
        let (answer, shown) = read_changed(&ask.site, &ask.caller, &options, &TABLE, show).await?;
        let before = shown.0.len();
        let may = |intention: &Shown| may_read(&answer.authority, intention);
        let seen: Vec<Shown> = shown.0.into_iter().filter(may).collect();
        let left_out = seen.len() < before;
        let mut kept = Vec::new();
        for intention in seen {
            let value = serde_json::to_value(&intention).expect("intentions have text keys only");
            let wanted = filter.as_ref().map_or(Ok(true), |filter| filter.matches(&value));
            if wanted.map_err(Reject::Filter)? {
                kept.push(intention);
            }
        }
        let meta = Meta::of(&answer).filtered(&answer.authority, left_out);
        Ok(Reply::json(&kept).meta(meta))
    };
    found.await.map_err(Reject::queried)
}

/// Intentions that are compared as they print.
struct Values(Vec<Shown>);

impl PartialEq for Values {
    fn eq(&self, other: &Self) -> bool {
        crate::go::print::json(&self.0) == crate::go::print::json(&other.0)
    }
}

/// Whoever may read the intentions of one of its ends may read it.
pub(crate) fn may_read(authority: &Authority, intention: &Shown) -> bool {
    let own = !intention.source().is_empty() && !intention.is_foreign();
    (own && authority.allows(Act::intention_read(intention.source())))
        || authority.allows(Act::intention_read(intention.destination()))
}

async fn create(mut ask: Ask) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    let text = read_json(ask.take_body(), ask.headers.content_length).await?;
    let form: IntentionForm = body(&text, Hint::None).map_err(MeshFault::Create)?;
    check_partitions(&form)?;
    for (what, namespace) in
        [("SourceNS", &form.source_namespace), ("DestinationNS", &form.destination_namespace)]
    {
        if !is_default(namespace) {
            return Err(MeshFault::FormNamespace { what, namespace: namespace.clone() }.into());
        }
    }
    ask.site.issuer.on()?;
    check_peer(&form)?;
    demand_write(&ask.authority()?, &form.destination)?;
    if !form.id.is_empty() {
        return Err(MeshFault::GivenId.into());
    }
    let id = Uuid::new_v4().to_string();
    let now = show_time(ask.site.handle.now());
    let _order = in_order().await;
    let index = ask.site.handle.snapshot();
    let mutation = intentions::create(&Shelf(&index), Draft::from(form), &id, &now);
    carry_out(&ask, mutation.map_err(MeshFault::from)?).await?;
    Ok(Reply::json(&CreatedOut { id: &id }))
}

fn check_partitions(form: &IntentionForm) -> Result<(), Reject> {
    for (what, partition) in
        [("destination", &form.destination_partition), ("source", &form.source_partition)]
    {
        if !matches!(partition.as_str(), "" | "default") {
            return Err(MeshFault::FormPartition(what).into());
        }
    }
    Ok(())
}

fn check_peer(form: &IntentionForm) -> Result<(), Reject> {
    if form.source_peer.is_empty() { Ok(()) } else { Err(MeshFault::SourcePeer.into()) }
}

fn is_default(name: &str) -> bool {
    name.is_empty() || name.eq_ignore_ascii_case("default")
}

/// Whoever may write the intentions of the destination may write it.
fn demand_write(authority: &Authority, destination: &str) -> Result<(), Reject> {
    let may = !destination.is_empty() && authority.allows(Act::intention_write(destination));
    if may { Ok(()) } else { Err(MeshFault::Denied.into()) }
}

/// Does to the entries what a write of an intention asks for. The caller holds their order.
async fn carry_out(ask: &Ask, mutation: Mutation) -> Result<(), Reject> {
    match mutation {
        Mutation::Put(entry) => put(&ask.site, &ask.caller, entry, None).await?,
        Mutation::Delete(name) => {
            remove(&ask.site, &ask.caller, Kind::ServiceIntentions, &name, None).await?
        }
        Mutation::Nothing => true,
    };
    Ok(())
}

/// A name with the cluster, partition and namespace that may stand before it.
#[derive(Debug, Default)]
struct Named {
    peer: String,
    partition: String,
    namespace: String,
    name: String,
}

impl Named {
    fn parse(what: &'static str, text: &str, peers: bool) -> Result<Self, Reject> {
        let fault = |reason| MeshFault::Name { what, text: text.to_owned(), reason }.into();
        if text.starts_with("peer:") && !peers {
            return Err(fault("cannot specify a peer here"));
        }
        let own = str::to_owned;
        let parts: Vec<&str> = text.split('/').collect();
        Ok(match parts[..] {
            [name] if name.starts_with("peer:") => {
                return Err(fault("need to specify the service name as well"));
            }
            [name] => Self { name: own(name), ..Self::default() },
            [first, name] => match first.strip_prefix("peer:") {
                Some(peer) => Self { peer: own(peer), name: own(name), ..Self::default() },
                None => Self { namespace: own(first), name: own(name), ..Self::default() },
            },
            [first, namespace, name] => {
                let (namespace, name) = (own(namespace), own(name));
                match first.strip_prefix("peer:") {
                    Some(peer) => Self { peer: own(peer), namespace, name, ..Self::default() },
                    None => Self { partition: own(first), namespace, name, ..Self::default() },
                }
            }
            _ => return Err(fault("input can contain at most two '/'")),
        })
    }

    /// Refuses a namespace that there is not.
    fn check_namespace(&self, what: &'static str) -> Result<(), Reject> {
        if is_default(&self.namespace) {
            return Ok(());
        }
        Err(MeshFault::Namespace { what, namespace: self.namespace.clone() }.into())
    }
}

/// The only value of a parameter.
fn only<'a>(ask: &'a Ask, name: &'static str) -> Result<&'a str, Reject> {
    let mut values = ask.params.all(name);
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(value),
        _ => Err(MeshFault::MissingParam(name).into()),
    }
}

/// `GET /v1/connect/intentions/match`.
pub(crate) async fn matching(ask: Ask) -> Result<Reply, Reject> {
    let options = ask.read_options()?;
    ask.refuse_enterprise(Tenancy::Both)?;
    let side = match only(&ask, "by")? {
        "source" => Side::Source,
        "destination" => Side::Destination,
        _ => return Err(MeshFault::By.into()),
    };
    let texts: Vec<&str> = ask.params.all("name").collect();
    if texts.is_empty() {
        return Err(MeshFault::MissingParam("name").into());
    }
    let names: Vec<Named> = texts
        .iter()
        .map(|text| Named::parse("name", text, false))
        .collect::<Result<_, Reject>>()?;
    let found = async {
        ask.site.issuer.on()?;
        blocking::own_datacenter(&ask.site, &options)?;
        let authority = ask.authority()?;
        for named in &names {
            named.check_namespace("match entry namespace")?;
            if !is_default(&named.partition) {
                let partition = named.partition.clone();
                let what = "match entry partition";
                return Err(MeshFault::Partition { what, partition }.into());
            }
        }
        for named in names.iter().filter(|named| !named.name.is_empty()) {
            authority.demand(Act::intention_read(&named.name))?;
        }
        let show = |answer: &Answer| {
            let shelf = Shelf(&answer.at);
            let instances = |name: &str| has_instances(&answer.at, name);
            let each = names.iter().map(|named| {
                let found = intentions::matching(&shelf, side, &named.name, &instances);
                serde_json::to_value(found).expect("intentions have text keys only")
            });
            let shown: Vec<Value> = each.collect();
            Seen {
                index: answer.index,
                found: shown.iter().any(|one| one.as_array().is_some_and(|all| !all.is_empty())),
                shown,
            }
        };
        let (answer, _) = read_changed(&ask.site, &ask.caller, &options, &TABLE, show).await?;
        let mut out: BTreeMap<&str, Option<Vec<Shown>>> = BTreeMap::new();
        for (text, named) in texts.iter().zip(&names) {
            let instances = |name: &str| has_instances(&answer.at, name);
            let found = intentions::matching(&Shelf(&answer.at), side, &named.name, &instances);
            out.insert(text, Some(found).filter(|found| !found.is_empty()));
        }
        Ok(Reply::json(&out).meta(Meta::with_consistency(&answer, &options).cacheable(&options)))
    };
    found.await.map_err(Reject::queried)
}

fn has_instances(index: &Index, name: &str) -> bool {
    index.service(name).is_some()
}

/// `GET /v1/connect/intentions/check`.
pub(crate) async fn check(ask: Ask) -> Result<Reply, Reject> {
    let options = ask.read_options()?;
    ask.refuse_enterprise(Tenancy::Both)?;
    let source_type = ask.params.given("source-type").unwrap_or("consul");
    let (source, destination) = (only(&ask, "source")?, only(&ask, "destination")?);
    let source = if source_type == "consul" {
        Named::parse("source", source, false)?
    } else {
        Named { name: source.to_owned(), ..Named::default() }
    };
    let destination = Named::parse("destination", destination, false)?;
    ask.site.issuer.on()?;
    blocking::own_datacenter(&ask.site, &options)?;
    let authority = ask.authority()?;
    source.check_namespace("source namespace")?;
    destination.check_namespace("destination namespace")?;
    if source_type != "consul" {
        return Err(MeshFault::SourceType(source_type.to_owned()).into());
    }
    if !destination.name.is_empty() {
        authority.demand(Act::service_read(&destination.name))?;
    }
    let index = ask.site.handle.snapshot();
    let default = unsaid(&ask);
    let instances = |name: &str| has_instances(&index, name);
    let allowed =
        intentions::allowed(&Shelf(&index), &source.name, &destination.name, default, &instances);
    Ok(Reply::json(&CheckedOut { allowed }))
}

/// Whether what no intention speaks of may speak.
pub(crate) fn unsaid(ask: &Ask) -> bool {
    let acl = ask.site.handle.acl();
    let open = !acl.enabled || acl.default_policy == DefaultPolicy::Allow;
    ask.site.settings.default_intentions.unwrap_or(open)
}

/// `GET`, `PUT` and `DELETE /v1/connect/intentions/exact`.
pub(crate) async fn exact(ask: Ask) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    match ask.method {
        Method::PUT => put_exact(ask).await,
        Method::DELETE => delete_exact(ask).await,
        _ => get_exact(ask).await,
    }
}

async fn get_exact(ask: Ask) -> Result<Reply, Reject> {
    let options = ask.read_options()?;
    let (source, destination) = (only(&ask, "source")?, only(&ask, "destination")?);
    let source = Named::parse("source", source, true)?;
    let destination = Named::parse("destination", destination, false)?;
    ask.site.issuer.on()?;
    blocking::own_datacenter(&ask.site, &options)?;
    ask.authority()?;
    source.check_namespace("SourceNS")?;
    destination.check_namespace("DestinationNS")?;
    let faults = [("SourceName", &source.name), ("DestinationName", &destination.name)];
    let faults = faults.into_iter().filter(|(_, name)| name.is_empty());
    let faults: Vec<String> = faults.map(|(what, _)| format!("{what} is missing")).collect();
    if !faults.is_empty() {
        return Err(MeshFault::Missing(Faults(faults)).into());
    }
    let find = |index: &Index| {
        intentions::exact(&Shelf(index), &source.name, &source.peer, &destination.name)
    };
    one(&ask, &options, find).await
}

/// Answers with one intention. What is not there is told at once, also to whoever would wait for it.
async fn one(
    ask: &Ask,
    options: &crate::extract::ReadOptions,
    find: impl Fn(&Index) -> Option<Shown>,
) -> Result<Reply, Reject> {
    if find(&ask.site.handle.snapshot()).is_none() {
        return Err(MeshFault::NoIntention.into());
    }
    let show = |answer: &Answer| {
        let found = Values(find(&answer.at).into_iter().collect());
        Seen { found: !found.0.is_empty(), index: answer.index, shown: found }
    };
    let (answer, mut found) = read_changed(&ask.site, &ask.caller, options, &TABLE, show).await?;
    let found = found.0.pop().ok_or(MeshFault::NoIntention)?;
    if !may_read(&answer.authority, &found) {
        return Err(MeshFault::Denied.into());
    }
    Ok(Reply::json(&found))
}

/// The two ends of an intention that is written.
fn ends(ask: &Ask) -> Result<(Named, Named), Reject> {
    let given = |name: &'static str| match only(ask, name)? {
        "" => Err(MeshFault::MissingParam(name).into()),
        text => Ok::<&str, Reject>(text),
    };
    let (source, destination) = (given("source")?, given("destination")?);
    Ok((Named::parse("source", source, false)?, Named::parse("destination", destination, false)?))
}

async fn put_exact(mut ask: Ask) -> Result<Reply, Reject> {
    let (source, destination) = ends(&ask)?;
    let text = read_json(ask.take_body(), ask.headers.content_length).await?;
    let form: IntentionForm = body(&text, Hint::None)?;
    ask.site.issuer.on()?;
    check_peer(&form)?;
    demand_write(&ask.authority()?, &destination.name)?;
    let draft = Draft { source: source.name, destination: destination.name, ..form.into() };
    let _order = in_order().await;
    let index = ask.site.handle.snapshot();
    let mutation = intentions::upsert(&Shelf(&index), draft).map_err(MeshFault::from)?;
    carry_out(&ask, mutation).await?;
    Ok(Reply::json(&true))
}

async fn delete_exact(ask: Ask) -> Result<Reply, Reject> {
    let (source, destination) = ends(&ask)?;
    ask.site.issuer.on()?;
    demand_write(&ask.authority()?, &destination.name)?;
    let _order = in_order().await;
    let index = ask.site.handle.snapshot();
    let mutation = intentions::delete(&Shelf(&index), &source.name, &destination.name);
    carry_out(&ask, mutation.map_err(MeshFault::from)?).await?;
    Ok(Reply::json(&true))
}

/// `GET`, `PUT` and `DELETE /v1/connect/intentions/<id>`.
pub(crate) async fn by_id(ask: Ask) -> Result<Reply, Reject> {
    match ask.method {
        Method::PUT => update(ask).await,
        Method::DELETE => delete_by_id(ask).await,
        _ => get_by_id(ask).await,
    }
}

async fn get_by_id(ask: Ask) -> Result<Reply, Reject> {
    let options = ask.read_options()?;
    let id = ask.rest().to_owned();
    ask.site.issuer.on()?;
    blocking::own_datacenter(&ask.site, &options)?;
    ask.authority()?;
    if !id.is_empty() {
        check_id(&id).map_err(MeshFault::Id)?;
    }
    one(&ask, &options, |index| intentions::by_id(&Shelf(index), &id)).await
}

/// Whether a text can be an id, in the words of Consul's table.
fn check_id(id: &str) -> Result<(), String> {
    if id.len() != 36 {
        return Err("UUID must be 36 characters".to_owned());
    }
    let hyphens = id.matches('-').count();
    if hyphens > 4 {
        return Err(format!("UUID should have maximum of 4 {}; got {hyphens}", quote("-")));
    }
    let digits: Vec<char> = id.chars().filter(|c| *c != '-').collect();
    if !digits.len().is_multiple_of(2) {
        return Err("Invalid UUID: must be even length".to_owned());
    }
    match digits.iter().find(|c| !c.is_ascii_hexdigit()) {
        Some(c) => {
            let code = u32::from(*c);
            Err(format!("Invalid UUID: encoding/hex: invalid byte: U+{code:04X} '{c}'"))
        }
        None => Ok(()),
    }
}

/// The intention of an id that is to be written, if the caller may.
fn writable(ask: &Ask, index: &Index, id: &str) -> Result<(), Reject> {
    let authority = ask.authority()?;
    check_id(id).map_err(MeshFault::WrittenId)?;
    match intentions::by_id(&Shelf(index), id) {
        Some(intention) => demand_write(&authority, intention.destination()),
        // What is wrong is told when it is written.
        None => Ok(()),
    }
}

async fn update(mut ask: Ask) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    let text = read_json(ask.take_body(), ask.headers.content_length).await?;
    let form: IntentionForm = body(&text, Hint::None)?;
    check_partitions(&form)?;
    ask.site.issuer.on()?;
    check_peer(&form)?;
    let id = ask.rest().to_owned();
    let now = show_time(ask.site.handle.now());
    let _order = in_order().await;
    let index = ask.site.handle.snapshot();
    writable(&ask, &index, &id)?;
    let mutation = intentions::update(&Shelf(&index), Draft::from(form), &id, &now);
    carry_out(&ask, mutation.map_err(MeshFault::from)?).await?;
    Ok(Reply::json(&CreatedOut { id: &id }))
}

async fn delete_by_id(ask: Ask) -> Result<Reply, Reject> {
    let id = ask.rest().to_owned();
    ask.site.issuer.on()?;
    if id.is_empty() {
        // Consul takes it for a deletion by names, of which there are none.
        return Err(MeshFault::Denied.into());
    }
    let _order = in_order().await;
    let index = ask.site.handle.snapshot();
    writable(&ask, &index, &id)?;
    let mutation = intentions::delete_by_id(&Shelf(&index), &id).map_err(MeshFault::from)?;
    carry_out(&ask, mutation).await?;
    Ok(Reply::json(&true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        for (text, peers, told) in [
            ("a", false, Ok(("", "", "", "a"))),
            ("n/a", false, Ok(("", "", "n", "a"))),
            ("p/n/a", false, Ok(("", "p", "n", "a"))),
            ("peer:x/a", true, Ok(("x", "", "", "a"))),
            ("peer:x/n/a", true, Ok(("x", "", "n", "a"))),
            ("peer:x/a", false, Err("source \"peer:x/a\" is invalid: cannot specify a peer here")),
            (
                "a/b/c/d",
                false,
                Err("source \"a/b/c/d\" is invalid: input can contain at most two '/'"),
            ),
        ] {
            let named = Named::parse("source", text, peers);
            let read = named
                .as_ref()
                .map(|named| (&*named.peer, &*named.partition, &*named.namespace, &*named.name));
            assert_eq!(read.map_err(ToString::to_string), told.map_err(str::to_owned));
        }
    }

    #[test]
    fn ids_are_uuids() {
        for (id, told) in [
            ("foo", Err("UUID must be 36 characters")),
            (
                "11111111-2222-3333-4444-55555555555x",
                Err("Invalid UUID: encoding/hex: invalid byte: U+0078 'x'"),
            ),
            ("11111111-2222-3333-4444-555555555555", Ok(())),
        ] {
            assert_eq!(check_id(id), told.map_err(str::to_owned));
        }
    }
}
