//! `/v1/anchor/resolve/<path>`, `/v1/anchor/alias/<path>`, `/v1/anchor/explain`: where a path leads, and the way of a question.

use http::{HeaderValue, Method, StatusCode};
use proconsul_anchors::acl::Act;
use proconsul_anchors::change::Change;
use proconsul_anchors::credential::Alias;
use proconsul_anchors::outcome::Outcome;
use proconsul_anchors::record::{AnyRecord, RecordChange, TableId, When};
use proconsul_anchors::scope::ScopePath;
use proconsul_anchors::traversal::HTTP_PATIENCE;
use proconsul_anchors::traversal::resolve::READ;

use super::credentials::options;
use crate::blocking;
use crate::extract::body::read_json;
use crate::extract::{Ask, Tenancy};
use crate::reject::{AnchorFault, Reject};
use crate::reply::Reply;
use crate::wire::anchor::resolve::{AliasForm, AliasOut, ExplainedOut};
use crate::wire::decode::{Hint, body};

/// A signed answer.
const DSSE: &str = "application/vnd.dsse.envelope.v1+json";

/// In so many seconds a deferred question may be asked again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// `GET /v1/anchor/resolve/<path>`.
pub(crate) async fn resolve(ask: Ask) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    let path = ask.rest().trim_matches('/').to_owned();
    let action = match ask.params.first("action") {
        "" => READ,
        action => action,
    };
    let handle = &ask.site.handle;
    let found = handle.resolve_path(&ask.caller, &path, action, HTTP_PATIENCE).await?;
    let reply = match found.outcome {
        Outcome::Attest => Reply::plain(handle.sign_resolution(&found, action).to_json(), DSSE),
        _ => Reply::json(&found.document()),
    };
    let nothing = found.matched.as_ref().is_some_and(|matched| matched.kind.is_none());
    Ok(match found.outcome {
        Outcome::Refuse => reply.status(StatusCode::FORBIDDEN),
        Outcome::Defer => {
            reply.status(StatusCode::ACCEPTED).header(http::header::RETRY_AFTER, RETRY_AFTER)
        }
        _ if nothing => reply.status(StatusCode::NOT_FOUND),
        Outcome::Resolve | Outcome::Attest => reply,
    })
}

/// `GET /v1/anchor/aliases`.
pub(crate) async fn aliases(ask: Ask) -> Result<Reply, Reject> {
    options(&ask)?;
    let index = ask.site.handle.snapshot();
    let shown: Vec<AliasOut<'_>> =
        index.records::<Alias>().map(|row| AliasOut::from(&row.record)).collect();
    Ok(Reply::json(&shown))
}

/// `GET`, `PUT` and `DELETE /v1/anchor/alias/<path>`.
pub(crate) async fn alias(ask: Ask) -> Result<Reply, Reject> {
    let path = ask.rest().trim_matches('/').to_owned();
    match ask.method {
        Method::PUT => put_alias(ask, &path).await,
        Method::DELETE => {
            demand_write(&ask)?;
            let gone = RecordChange::Remove {
                table: TableId::Alias,
                key: path.as_str().into(),
                when: When::Always,
            };
            blocking::write(&ask.site, &ask.caller, Change::Records(vec![gone])).await?;
            Ok(Reply::json(&true))
        }
        _ => {
            options(&ask)?;
            shown(&ask, &path)
        }
    }
}

async fn put_alias(mut ask: Ask, path: &str) -> Result<Reply, Reject> {
    demand_write(&ask)?;
    let labels = path.split('/').all(|label| !label.is_empty() && label.len() <= 63);
    if !labels || path.len() > 255 {
        let why = "is 1 to 255 letters in labels of at most 63, parted by slashes".to_owned();
        return Err(AnchorFault::Field { what: "alias", field: "path", why }.into());
    }
    let text = read_json(ask.take_body(), ask.headers.content_length).await?;
    let form: AliasForm = body(&text, Hint::None)?;
    let handle = &ask.site.handle;
    let there = handle.snapshot().record::<Alias>(path).map_or(0, |row| row.record.version);
    let alias = form.into_alias(path, handle.root(), there)?;
    let record = AnyRecord::Alias(alias.into());
    let put = RecordChange::Put { record, when: When::Always };
    blocking::write(&ask.site, &ask.caller, Change::Records(vec![put])).await?;
    shown(&ask, path)
}

fn shown(ask: &Ask, path: &str) -> Result<Reply, Reject> {
    let index = ask.site.handle.snapshot();
    let missing = || AnchorFault::Missing { what: "alias", name: path.chars().take(64).collect() };
    let row = index.record::<Alias>(path).ok_or_else(missing)?;
    Ok(Reply::json(&AliasOut::from(&row.record)))
}

fn demand_write(ask: &Ask) -> Result<(), Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    ask.own_datacenter(ask.params.first("dc"))?;
    ask.demand(Act::operator_write())
}

/// `GET /v1/anchor/explain?service=<name>&dc=<datacenter>`: in the name of whose token comes along.
pub(crate) async fn explain(ask: Ask) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    let service = ask.params.first("service");
    if service.is_empty() {
        return Err(Reject::MissingServiceName);
    }
    let handle = &ask.site.handle;
    let target = match ask.datacenter() {
        "" => handle.root(),
        text => ScopePath::parse(text).map_err(|_| Reject::NoPathToDatacenter)?,
    };
    let mut told = handle.explain(&ask.caller, &target, service, HTTP_PATIENCE).await?;
    // What each policy says is told to operators; others are told what was decided.
    if !ask.authority()?.allows(Act::operator_read()) {
        told.verdicts.clear();
    }
    Ok(Reply::json(&ExplainedOut::new(service, &told)))
}
