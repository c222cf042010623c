//! `/v1/anchor/policies`, `/v1/anchor/policy/<name>`: by what the scopes decide.

use http::Method;
use proconsul_anchors::acl::{Act, Denial};
use proconsul_anchors::change::Change;
use proconsul_anchors::handle::{Handle, Inquiry};
use proconsul_anchors::index::Index;
use proconsul_anchors::policy::Target;
use proconsul_anchors::query::Query;
use proconsul_anchors::record::{AnyRecord, RecordChange, TableId, When};
use proconsul_anchors::scope::{ScopePath, ScopePolicy};

use super::credentials::options;
use crate::blocking;
use crate::extract::body::read_json;
use crate::extract::{Ask, Tenancy};
use crate::reject::{AnchorFault, Reject};
use crate::reply::{Meta, Reply};
use crate::wire::anchor::policies::{
    ExplainedOut, InquiryForm, Kind, PolicyForm, PolicyLine, PolicyOut,
};
use crate::wire::decode::{Hint, body};

/// By what somebody may write policies.
enum Writer {
    /// By the rules of access control: all.
    Operator,
    /// By a credential: those of its scope. All others are refused as these rules do.
    Credentialed { accessor: Box<str>, denial: Denial },
}

/// Characters of a policy's name.
const NAME_CHARS_MAX: usize = 128;

/// `GET /v1/anchor/policies`.
pub(crate) async fn list(ask: Ask) -> Result<Reply, Reject> {
    let options = options(&ask)?;
    let query = Query::Table(TableId::ScopePolicy);
    let answer = blocking::read(&ask.site, &ask.caller, &options, &query).await?;
    let rows = answer.at.records::<ScopePolicy>();
    let shown: Vec<PolicyLine<'_>> = rows.map(|row| PolicyLine::new(row)).collect();
    Ok(Reply::json(&shown).meta(Meta::of(&answer)))
}

/// `GET`, `PUT` and `DELETE /v1/anchor/policy/<name>`.
pub(crate) async fn one(ask: Ask) -> Result<Reply, Reject> {
    let name = ask.rest().to_owned();
    match ask.method {
        Method::PUT => write(ask, &name).await,
        Method::DELETE => delete(&ask, &name).await,
        _ => read(&ask, &name).await,
    }
}

/// `PUT /v1/anchor/policies/explain`.
pub(crate) async fn explain(mut ask: Ask) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    ask.demand(Act::operator_read())?;
    let text = read_json(ask.take_body(), ask.headers.content_length).await?;
    let asked = body::<InquiryForm>(&text, Hint::None)?.asked()?;
    let target = match &asked.kind {
        Kind::Instance(of) => Target::Instance(&of.0, &of.1),
        Kind::Service(name) => Target::Service(name),
        Kind::Key(name) => Target::Key(name, None),
        Kind::Node(name) => Target::Node(name),
        Kind::Session(name) => Target::Session(name),
        Kind::Other(kind, name) => Target::Other(kind, name),
    };
    let explained = ask.site.handle.explain_policies(Inquiry {
        accessor: asked.accessor.as_deref(),
        listener: asked.listener.as_deref(),
        source: asked.source,
        action: asked.action,
        target,
        scope: asked.scope.as_ref(),
    })?;
    Ok(Reply::json(&ExplainedOut::new(&explained)))
}

// === impl Writer ===

impl Writer {
    fn may(
        self,
        handle: &Handle,
        index: &Index,
        name: &str,
        scope: &ScopePath,
    ) -> Result<(), Reject> {
        let Self::Credentialed { accessor, denial } = self else { return Ok(()) };
        let may = handle.may_write_policy(index, &accessor, name, scope)?;
        if may { Ok(()) } else { Err(denial.into()) }
    }
}

fn missing(name: &str) -> Reject {
    AnchorFault::Missing { what: "policy", name: name.chars().take(NAME_CHARS_MAX).collect() }
        .into()
}

fn fault(field: &'static str, why: &str) -> Reject {
    AnchorFault::Field { what: "policy", field, why: why.to_owned() }.into()
}

async fn read(ask: &Ask, name: &str) -> Result<Reply, Reject> {
    let options = options(ask)?;
    let query = Query::Record { table: TableId::ScopePolicy, key: name.into() };
    let answer = blocking::read(&ask.site, &ask.caller, &options, &query).await?;
    let row = answer.at.record::<ScopePolicy>(name).ok_or_else(|| missing(name))?;
    Ok(Reply::json(&PolicyOut::new(row)).meta(Meta::of(&answer)))
}

/// Refuses a write by whoever is no operator and has no credential for policies: which ones, is asked later.
fn demand_write(ask: &Ask) -> Result<Writer, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    ask.own_datacenter(ask.params.first("dc"))?;
    let authority = ask.authority()?;
    let Err(denial) = authority.demand(Act::operator_write()) else { return Ok(Writer::Operator) };
    let accessor = authority.accessor();
    match accessor.filter(|accessor| ask.site.handle.has_policy_credential(accessor)) {
        Some(accessor) => Ok(Writer::Credentialed { accessor: accessor.into(), denial }),
        None => Err(denial.into()),
    }
}

async fn write(mut ask: Ask, name: &str) -> Result<Reply, Reject> {
    let writer = demand_write(&ask)?;
    let fits = !name.is_empty()
        && name.len() <= NAME_CHARS_MAX
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if !fits {
        return Err(fault("Name", "is of letters, digits, dashes, underscores and points alone"));
    }
    let text = read_json(ask.take_body(), ask.headers.content_length).await?;
    let form: PolicyForm = body(&text, Hint::None)?;
    let handle = &ask.site.handle;
    let index = handle.snapshot();
    writer.may(handle, &index, name, &form.scope(handle.root())?)?;
    let record = form.record(name, handle.root())?;
    let there = index.record::<ScopePolicy>(name);
    unless_configured(there.map(|row| &row.record))?;
    let version = match there.map(|row| &row.record) {
        Some(there) if there.rego == record.rego && there.scope == record.scope => there.version,
        there => there.map_or(0, |there| there.version) + 1,
    };
    let record = AnyRecord::ScopePolicy(Box::new(ScopePolicy { version, ..record }));
    // Two versions of one number would be taken for the same.
    let when = When::Index(there.map_or(0, |row| row.modified));
    let change = Change::Records(vec![RecordChange::Put { record, when }]);
    if !blocking::write(&ask.site, &ask.caller, change).await?.yes {
        return Err(fault("Version", "was written by somebody else at the same time: try again"));
    }
    let index = handle.snapshot();
    let row = index.record::<ScopePolicy>(name).ok_or_else(|| missing(name))?;
    Ok(Reply::json(&PolicyOut::new(row)))
}

async fn delete(ask: &Ask, name: &str) -> Result<Reply, Reject> {
    let writer = demand_write(ask)?;
    let index = ask.site.handle.snapshot();
    let there = index.record::<ScopePolicy>(name).ok_or_else(|| missing(name))?;
    writer.may(&ask.site.handle, &index, name, &there.record.scope)?;
    unless_configured(Some(&there.record))?;
    let (table, key, when) = (TableId::ScopePolicy, name.into(), When::Index(there.modified));
    let change = Change::Records(vec![RecordChange::Remove { table, key, when }]);
    if !blocking::write(&ask.site, &ask.caller, change).await?.yes {
        return Err(fault("Version", "was written by somebody else at the same time: try again"));
    }
    Ok(Reply::json(&true))
}

/// The next reading of the configuration would undo it.
fn unless_configured(there: Option<&ScopePolicy>) -> Result<(), Reject> {
    match there {
        Some(there) if there.from_configuration => {
            Err(fault("Name", "comes from the configuration: change its file and reload"))
        }
        _ => Ok(()),
    }
}
