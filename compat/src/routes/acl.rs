//! `/v1/acl/…`: who may do what, and who may decide that. While access control is off, all of it says so.

pub(crate) mod agent_token;
pub(crate) mod auth_method;
pub(crate) mod authorize;
pub(crate) mod binding_rule;
pub(crate) mod bootstrap;
pub(crate) mod login;
pub(crate) mod policy;
pub(crate) mod role;
pub(crate) mod templated;
pub(crate) mod token;

use std::future::Future;
use std::sync::Arc;

use proconsul_anchors::acl::Act;
use proconsul_anchors::change::Change;
use proconsul_anchors::error::Refusal;
use proconsul_anchors::handle::Answer;
use proconsul_anchors::index::{Index, Kept};
use proconsul_anchors::query::Query;
use proconsul_anchors::record::{AnyRecord, RecordChange, TableId, When};
use serde::Serialize;

use crate::acl::uuid;
use crate::blocking;
use crate::extract::body::read_json;
use crate::extract::{Ask, Tenancy};
use crate::go::time::ZERO_TEXT;
use crate::reject::Reject;
use crate::reject::acl::{AclReject, Kind};
use crate::reply::Reply;
use crate::wire::decode::{DecodeError, Hint, Read, body_into};

/// Runs a handler of the access control, if that is on.
pub(crate) async fn guarded<F>(ask: Ask, handler: fn(Ask) -> F) -> Result<Reply, Reject>
where
    F: Future<Output = Result<Reply, Reject>>,
{
    if !ask.site.handle.acl().enabled {
        return Err(Reject::AclDisabled);
    }
    handler(ask).await
}

/// Reads records that whoever may read the access control may see.
async fn read(ask: &Ask, query: Query) -> Result<Answer, Reject> {
    let options = ask.read_options()?;
    ask.refuse_enterprise(Tenancy::Both)?;
    let found = async {
        ask.own_datacenter(&options.datacenter)?;
        ask.demand(Act::acl_read())?;
        blocking::read(&ask.site, &ask.caller, &options, &query).await
    };
    found.await.map_err(Reject::queried)
}

/// Reads one record, which is looked up by its UUID.
async fn read_by_id<T: Kept>(ask: &Ask, id: &str, kind: Kind) -> Result<(Answer, String), Reject> {
    // What is no UUID is found out where the records are: after everything else.
    let key = uuid::key(id);
    let query = match &key {
        Ok(key) => Query::Record { table: T::TABLE, key: key.as_str().into() },
        Err(_) => Query::Table(T::TABLE),
    };
    match key {
        Ok(key) => Ok((read(ask, query).await?, key)),
        Err(fault) => {
            read_now(ask).await?;
            Err(Reject::from(AclReject::Lookup { kind, fault }).queried())
        }
    }
}

/// All that is found out about a read before it is carried out.
async fn read_now(ask: &Ask) -> Result<(), Reject> {
    let options = ask.read_options()?;
    ask.refuse_enterprise(Tenancy::Both)?;
    let known = ask.own_datacenter(&options.datacenter).and_then(|()| ask.demand(Act::acl_read()));
    known.map_err(Reject::queried)
}

/// Which record a second name leads to now.
fn by_name<T: Kept>(ask: &Ask, name: &str) -> Query {
    match ask.site.handle.snapshot().record_named::<T>(&name.to_lowercase()) {
        Some(row) => Query::Record { table: T::TABLE, key: row.record.key().as_ref().into() },
        None => Query::Table(T::TABLE),
    }
}

/// The body of a write, with the words that Consul puts before what is wrong with it.
async fn form<T: Read>(ask: &mut Ask, what: &'static str, hint: Hint) -> Result<T, Reject> {
    let mut form = T::default();
    form_into(ask, &mut form, what, hint).await?;
    Ok(form)
}

/// The same over a form that has its defaults.
async fn form_into<T: Read>(
    ask: &mut Ask,
    form: &mut T,
    what: &'static str,
    hint: Hint,
) -> Result<(), Reject> {
    let undecoded = |error: DecodeError| Reject::from(AclReject::Decode { what, error });
    let text = match read_json(ask.take_body(), ask.headers.content_length).await {
        Err(Reject::Decode(error)) => return Err(undecoded(error)),
        read => read?,
    };
    body_into(form, &text, hint).map_err(undecoded)
}

/// The decoded path behind the route's own.
fn rest(ask: &Ask) -> String {
    ask.rest().to_owned()
}

/// A UUID that nobody has.
fn fresh() -> String {
    ::uuid::Uuid::new_v4().to_string()
}

/// Writes a record, and hands back the index that has it.
async fn put(ask: &Ask, record: AnyRecord, when: When) -> Result<Arc<Index>, Reject> {
    submit(ask, vec![RecordChange::Put { record, when }]).await
}

/// Whether the caller may remove a record. Consul takes the words about a token that it does not know for those about a
/// record that is not there.
fn demand_removal(ask: &Ask, kind: Kind) -> Result<(), Reject> {
    match ask.authority() {
        Ok(authority) => Ok(authority.demand(Act::acl_write())?),
        Err(Reject::Refused(refusal))
            if matches!(*refusal, Refusal::UnknownToken { .. } | Refusal::ExpiredToken) =>
        {
            Err(AclReject::Undeletable(kind).into())
        }
        Err(reject) => Err(reject),
    }
}

/// Removes a record.
async fn remove(ask: &Ask, table: TableId, key: &str) -> Result<Reply, Reject> {
    let key = key.into();
    submit(ask, vec![RecordChange::Remove { table, key, when: When::Always }]).await?;
    Ok(Reply::json(&true))
}

async fn submit(ask: &Ask, changes: Vec<RecordChange>) -> Result<Arc<Index>, Reject> {
    let written = blocking::write(&ask.site, &ask.caller, Change::Records(changes)).await;
    match written {
        // Somebody else wrote it between the look at the records and the write.
        Ok(committed) if !committed.yes => Err(AclReject::TokenIdTaken("AccessorID").into()),
        Ok(_) => Ok(ask.site.handle.snapshot()),
        Err(Reject::Refused(refusal)) => Err(taken(*refusal)),
        Err(reject) => Err(reject),
    }
}

/// Consul's words for a name that somebody else took in the meantime.
fn taken(refusal: Refusal) -> Reject {
    match refusal {
        Refusal::NameTaken { table: TableId::Policy, name } => {
            AclReject::PolicyNameTook(name).into()
        }
        Refusal::NameTaken { table: TableId::Role, name } => AclReject::RoleNameTook(name).into(),
        Refusal::NameTaken { table: TableId::Token, .. } => {
            AclReject::TokenIdTaken("SecretID").into()
        }
        refusal => refusal.into(),
    }
}

/// The record of this key as it was just written.
fn written<'a, T: Kept>(
    index: &'a Index,
    key: &str,
    kind: Kind,
) -> Result<&'a Arc<proconsul_anchors::index::Row<T>>, Reject> {
    // Only somebody else who removed it in this moment could have taken it away.
    index.record::<T>(key).ok_or_else(|| AclReject::Absent(kind).into())
}

/// `GET /v1/acl/replication`: there is one datacenter, from which nothing is replicated.
pub(crate) async fn replication(ask: Ask) -> Result<Reply, Reject> {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Status {
        enabled: bool,
        running: bool,
        source_datacenter: &'static str,
        replication_type: &'static str,
        replicated_index: u64,
        replicated_role_index: u64,
        replicated_token_index: u64,
        last_success: &'static str,
        last_error: &'static str,
        last_error_message: &'static str,
    }
    let options = ask.read_options()?;
    ask.own_datacenter(&options.datacenter)?;
    Ok(Reply::json(&Status {
        enabled: false,
        running: false,
        source_datacenter: "",
        replication_type: "",
        replicated_index: 0,
        replicated_role_index: 0,
        replicated_token_index: 0,
        last_success: ZERO_TEXT,
        last_error: ZERO_TEXT,
        last_error_message: "",
    }))
}
