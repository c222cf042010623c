//! `/v1/config…`: configuration entries; `/v1/exported-services` and `/v1/imported-services`, which are read off them.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode};
use proconsul_anchors::acl::{Act, Authority};
use proconsul_anchors::caller::Caller;
use proconsul_anchors::change::Change;
use proconsul_anchors::handle::Answer;
use proconsul_anchors::query::Query;
use proconsul_anchors::record::{AnyRecord, ConfigEntry, RecordChange, TableId, When};
use proconsul_mesh::{Entry, Kind, Right, check_delete, check_write, exported, imported};
use serde::Serialize;
use tokio::sync::Mutex;

use crate::Site;
use crate::blocking;
use crate::extract::body::read_json;
use crate::extract::{Ask, ReadOptions, Tenancy};
use crate::filter::{Filter, SERVICE_DEFAULTS};
use crate::go::print::json;
use crate::go::text::{parse_uint, quote};
use crate::reject::{MeshFault, Reject};
use crate::reply::{Meta, Reply, TEXT_UTF8};
use crate::routes::changed::{Seen, read_changed};
use crate::wire::entries::{Judge, Shelf, raw};

/// Whoever validates an entry against the others holds this until it is written: two writes that are fine alone may not be
/// fine together. It orders the writes of this process; behind several members each orders its own.
static WRITES: Mutex<()> = Mutex::const_new(());

/// `GET` and `DELETE /v1/config/<kind>[/<name>]`.
pub(crate) async fn entry(ask: Ask) -> Result<Reply, Reject> {
    if ask.method == Method::DELETE {
        return delete(ask).await;
    }
    let options = ask.read_options()?;
    ask.refuse_enterprise(Tenancy::Both)?;
    match ask.rest().split_once('/') {
        Some((kind, name)) => get(&ask, &options, kind, name).await,
        None => list(&ask, &options, ask.rest()).await,
    }
}

async fn get(ask: &Ask, options: &ReadOptions, kind: &str, name: &str) -> Result<Reply, Reject> {
    blocking::own_datacenter(&ask.site, options)?;
    let authority = ask.authority()?;
    let known = Kind::parse(kind).map_err(MeshFault::from)?;
    demand_any(&authority, &known.reader(name))?;
    let key = ConfigEntry::key_of(kind, name);
    let query = Query::Record { table: TableId::ConfigEntry, key: key.as_ref().into() };
    let answer = blocking::read(&ask.site, &ask.caller, options, &query).await?;
    let meta = Meta::of(&answer);
    match Shelf(&answer.at).find(known, name) {
        Some(entry) => Ok(Reply::json(&entry).meta(meta)),
        None => {
            let text = format!("Config entry not found for {} / {}", quote(kind), quote(name));
            Ok(Reply::plain(text, TEXT_UTF8).status(StatusCode::NOT_FOUND).meta(meta))
        }
    }
}

async fn list(ask: &Ask, options: &ReadOptions, kind: &str) -> Result<Reply, Reject> {
    blocking::own_datacenter(&ask.site, options)?;
    ask.authority()?;
    let mut kinds = match kind {
        "" => Kind::ALL.to_vec(),
        kind => vec![Kind::parse(kind).map_err(MeshFault::from)?],
    };
    kinds.sort_by_key(|kind| kind.as_str());
    let filter = filter(options, kind)?;
    let query = Query::Table(TableId::ConfigEntry);
    let show = |answer: &Answer| {
        let all = kinds.iter().flat_map(|kind| Shelf(&answer.at).of(*kind));
        let may = |entry: &Entry| allows_any(&answer.authority, &entry.reader());
        let (seen, hidden): (Vec<Entry>, Vec<Entry>) = all.partition(may);
        Seen { found: !seen.is_empty(), index: answer.index, shown: (seen, !hidden.is_empty()) }
    };
    let (answer, (entries, left_out)) =
        read_changed(&ask.site, &ask.caller, options, &query, show).await?;
    let kept = entries.into_iter().filter_map(|entry| takes(filter.as_ref(), entry).transpose());
    let kept: Vec<Entry> = kept.collect::<Result<_, Reject>>()?;
    Ok(Reply::json(&kept).meta(Meta::of(&answer).filtered(&answer.authority, left_out)))
}

/// What a list is filtered by: only the defaults of services can be.
fn filter(options: &ReadOptions, kind: &str) -> Result<Option<Filter>, Reject> {
    match options.filter.as_str() {
        "" => Ok(None),
        text if kind == Kind::ServiceDefaults.as_str() => {
            Ok(Some(Filter::compile(text, &SERVICE_DEFAULTS).map_err(Reject::Filter)?))
        }
        _ => Err(MeshFault::NoFilter(kind.to_owned()).into()),
    }
}

fn takes(filter: Option<&Filter>, entry: Entry) -> Result<Option<Entry>, Reject> {
    let Some(filter) = filter else { return Ok(Some(entry)) };
    let value = serde_json::to_value(&entry).expect("entries have text keys only");
    Ok(filter.matches(&value).map_err(Reject::Filter)?.then_some(entry))
}

/// `PUT /v1/config`.
pub(crate) async fn apply(mut ask: Ask) -> Result<Reply, Reject> {
    let text = read_json(ask.take_body(), ask.headers.content_length).await?;
    let raw = raw(&text).map_err(MeshFault::from)?;
    let mut entry = Entry::decode(&raw).map_err(MeshFault::Undecoded)?;
    drop((text, raw));
    ask.refuse_enterprise(Tenancy::Both)?;
    let cas = cas(&ask)?;
    let datacenter = ask.datacenter();
    let own = &*ask.site.settings.identity.datacenter;
    if entry.kind() == Kind::ExportedServices && !datacenter.is_empty() && datacenter != own {
        return Err(MeshFault::Elsewhere.into());
    }
    let authority = ask.authority()?;
    if entry.kind() == Kind::ServiceIntentions {
        ask.site.issuer.on()?;
    }
    entry.normalize().map_err(MeshFault::from)?;
    entry.validate(&Judge).map_err(MeshFault::from)?;
    for warning in entry.warnings() {
        tracing::warn!(kind = %entry.kind(), name = entry.name(), "{warning}");
    }
    demand_all(&authority, &entry.writer())?;
    let _order = WRITES.lock().await;
    Ok(Reply::json(&put(&ask.site, &ask.caller, entry, cas).await?))
}

/// `?cas`, when it is given.
fn cas(ask: &Ask) -> Result<Option<u64>, Reject> {
    match ask.params.first("cas") {
        "" => Ok(None),
        text => Ok(Some(parse_uint(text)?)),
    }
}

/// Holds the order of writes of entries until it is dropped.
pub(crate) async fn in_order() -> tokio::sync::MutexGuard<'static, ()> {
    WRITES.lock().await
}

/// Writes an entry that is valid alone, if it is valid among the others, too. Whether its condition held. The caller holds the
/// order of writes.
pub(crate) async fn put(
    site: &Site,
    caller: &Caller,
    mut entry: Entry,
    cas: Option<u64>,
) -> Result<bool, Reject> {
    blocking::await_leader(site).await?;
    let index = site.handle.snapshot();
    let shelf = Shelf(&index);
    let former = shelf.find(entry.kind(), entry.name());
    if former.as_ref().is_some_and(|former| entry.is_same(former)) {
        return Ok(true);
    }
    let key = ConfigEntry::key_of(entry.kind().as_str(), entry.name());
    let modified = index.record::<ConfigEntry>(&key).map_or(0, |row| row.modified);
    if cas.is_some_and(|cas| cas != modified) {
        return Ok(false);
    }
    entry.follow(former.as_ref()).map_err(MeshFault::from)?;
    let entry = Arc::new(entry);
    check_write(&shelf, &entry, former.as_ref()).map_err(MeshFault::from)?;
    drop((former, index));
    let record = ConfigEntry {
        kind: entry.kind().as_str().into(),
        name: entry.name().into(),
        body: entry.stored().into(),
    };
    let record = AnyRecord::ConfigEntry(Box::new(record));
    let change = RecordChange::Put { record, when: when(cas) };
    Ok(blocking::write(site, caller, Change::Records(vec![change])).await?.yes)
}

fn when(cas: Option<u64>) -> When {
    cas.map_or(When::Always, When::Index)
}

/// `DELETE /v1/config/<kind>/<name>`.
async fn delete(ask: Ask) -> Result<Reply, Reject> {
    let (kind, name) = ask.rest().split_once('/').ok_or(MeshFault::NoKindAndName)?;
    let kind = Kind::parse(kind).map_err(MeshFault::UnknownKind)?;
    ask.refuse_enterprise(Tenancy::Both)?;
    let cas = cas(&ask)?;
    let authority = ask.authority()?;
    let mut entry = Entry::named(kind, name);
    entry.normalize().map_err(MeshFault::from)?;
    demand_all(&authority, &entry.writer())?;
    let _order = WRITES.lock().await;
    let deleted = remove(&ask.site, &ask.caller, kind, entry.name(), cas).await?;
    Ok(match cas {
        Some(_) => Reply::json(&deleted),
        None => Reply::encoded(Bytes::from_static(b"{}")),
    })
}

/// Deletes an entry if the others can do without it. Whether its condition held. The caller holds the order of writes.
pub(crate) async fn remove(
    site: &Site,
    caller: &Caller,
    kind: Kind,
    name: &str,
    cas: Option<u64>,
) -> Result<bool, Reject> {
    blocking::await_leader(site).await?;
    let index = site.handle.snapshot();
    let key = ConfigEntry::key_of(kind.as_str(), name);
    let Some(row) = index.record::<ConfigEntry>(&key) else { return Ok(true) };
    if cas.is_some_and(|cas| cas != row.modified) {
        return Ok(false);
    }
    check_delete(&Shelf(&index), kind, name).map_err(MeshFault::from)?;
    drop(index);
    let key = key.as_ref().into();
    let change = RecordChange::Remove { table: TableId::ConfigEntry, key, when: when(cas) };
    Ok(blocking::write(site, caller, Change::Records(vec![change])).await?.yes)
}

// === rights ===

fn act(right: &Right) -> Option<Act<'_>> {
    Some(match right {
        Right::Anyone | Right::Controller => return None,
        Right::ServiceRead(name) => Act::service_read(name),
        Right::ServiceWrite(name) => Act::service_write(name),
        Right::ServiceWriteAny => Act::service_write_any(),
        Right::IntentionRead(name) => Act::intention_read(name),
        Right::IntentionWrite(name) => Act::intention_write(name),
        Right::MeshRead => Act::mesh_read(),
        Right::MeshWrite => Act::mesh_write(),
    })
}

/// Refuses whoever lacks one of these rights.
fn demand_all(authority: &Authority, rights: &[Right]) -> Result<(), Reject> {
    for right in rights {
        if *right == Right::Controller {
            return Err(MeshFault::Controller.into());
        }
        act(right).map_or(Ok(()), |act| authority.demand(act))?;
    }
    Ok(())
}

fn allows_any(authority: &Authority, rights: &[Right]) -> bool {
    authority.is_open()
        || rights.iter().any(|right| act(right).is_none_or(|act| authority.allows(act)))
}

/// Refuses whoever lacks all of these rights.
fn demand_any(authority: &Authority, rights: &[Right]) -> Result<(), Reject> {
    if allows_any(authority, rights) {
        return Ok(());
    }
    let last = rights.last().and_then(act);
    Ok(last.map_or(Ok(()), |act| authority.demand(act))?)
}

// === other clusters ===

#[derive(Serialize)]
struct ExportedOut {
    #[serde(rename = "Service")]
    service: String,
    #[serde(rename = "Consumers")]
    consumers: ConsumersOut,
}

#[derive(Serialize)]
struct ConsumersOut {
    #[serde(rename = "Peers", skip_serializing_if = "Vec::is_empty")]
    peers: Vec<String>,
}

#[derive(Serialize)]
struct ImportedOut {
    #[serde(rename = "Service")]
    service: String,
    #[serde(rename = "SourcePeer")]
    peer: String,
}

/// `GET /v1/exported-services`.
pub(crate) async fn exported_services(ask: Ask) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Partition)?;
    let options = ReadOptions { datacenter: String::new(), ..ask.read_options()? };
    ask.demand(Act::mesh_read())?;
    // A wildcard stands for the services that there are: their coming and going is waited for, too.
    let services = Query::Services { by_node_meta: false };
    let query = Query::Several(vec![Query::Table(TableId::ConfigEntry), services]);
    let show = |answer: &Answer| {
        let typical = answer.at.services().filter(|row| {
            row.instances.values().next().is_some_and(|row| row.service.kind().is_empty())
        });
        let names: Vec<&str> = typical.map(|row| row.name.as_str()).collect();
        let shown = exported(&Shelf(&answer.at), names.into_iter());
        let index = answer.at.table_mark(TableId::ConfigEntry);
        Seen { found: true, index, shown }
    };
    let (answer, exported) = read_changed(&ask.site, &ask.caller, &options, &query, show).await?;
    let out = exported.into_iter().map(|(service, peers)| ExportedOut {
        service,
        consumers: ConsumersOut { peers: peers.into_iter().collect() },
    });
    Ok(Reply::encoded(json(&out.collect::<Vec<_>>())).meta(Meta::of(&answer)))
}

/// `GET /v1/imported-services`.
pub(crate) async fn imported_services(ask: Ask) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Partition)?;
    let options = ReadOptions { datacenter: String::new(), ..ask.read_options()? };
    ask.demand(Act::mesh_read())?;
    let query = Query::Table(TableId::ConfigEntry);
    let show = |answer: &Answer| {
        let kind = format!("{}\n", Kind::ServiceIntentions);
        let rows = answer.at.records_under::<ConfigEntry>(&kind);
        let index = rows.map(|row| row.modified).max().unwrap_or(0).max(1);
        Seen { found: true, index, shown: imported(&Shelf(&answer.at)) }
    };
    let (answer, imported) = read_changed(&ask.site, &ask.caller, &options, &query, show).await?;
    let out = imported.into_iter().map(|(service, peer)| ImportedOut { service, peer });
    Ok(Reply::json(&out.collect::<Vec<_>>()).meta(Meta::of(&answer)))
}

/// Writes entries of the program's own configuration, in their order, each where there is none of its kind and name.
///
/// # Errors
/// The first entry that cannot be written, and why.
pub(crate) async fn bootstrap(
    site: &Site,
    entries: &[serde_json::Map<String, serde_json::Value>],
) -> Result<(), Reject> {
    let _order = WRITES.lock().await;
    for raw in entries {
        let mut entry = Entry::decode(raw).map_err(MeshFault::from)?;
        entry.normalize().map_err(MeshFault::from)?;
        entry.validate(&Judge).map_err(MeshFault::from)?;
        put(site, &Caller::own(), entry, Some(0)).await?;
    }
    Ok(())
}
