//! `/v1/anchor/record/<uid>`: a record through all its versions, whatever it is: a service, a check, a node, a key, a
//! configuration entry, a policy, a scope.
//!
//! ```text
//! GET    /v1/anchor/record/<uid>[?version=n]           what it is, or was
//! GET    /v1/anchor/record/<uid>/versions[?from=n]     the entries that made it so
//! GET    /v1/anchor/record/<uid>/diff[?from=&to=]      RFC 6902
//! GET    /v1/anchor/record/<uid>/proof[?version=n]     the entry, that it is in the tree, and what signs the tree
//! PUT    /v1/anchor/record/<uid>/rollback?version=n    a new write of what it was
//! DELETE /v1/anchor/record/<uid>/payloads[?before=t]   what it was is not kept any more
//! ```

mod rollback;

use http::{Method, StatusCode};
use proconsul_anchors::acl::{Act, Authority};
use proconsul_anchors::change::Change;
use proconsul_anchors::handle::Handle;
use proconsul_anchors::lineage::body::Body;
use proconsul_anchors::lineage::export::Exported;
use proconsul_anchors::lineage::query::Line;
use proconsul_anchors::lineage::tiles::LineageError;
use proconsul_anchors::lineage::verify::RecordProof;
use proconsul_anchors::lineage::versions::Version;
use proconsul_anchors::scope::ScopePath;
use serde_json::Value;
use uuid::Uuid;

use super::lineage::{blocking, moment, tells};
use crate::blocking::write;
use crate::extract::Ask;
use crate::reject::{LineageFault, Reject};
use crate::reply::Reply;
use crate::wire::anchor::lineage::EntryOut;
use crate::wire::anchor::record::{PrunedOut, RecordOut, RolledBackOut, VersionOut};

/// Versions that are looked back for what a version without a body of its own is.
const BODIES_BACK_MAX: u64 = 32;

/// A version of a record with its entry.
pub(super) struct Kept {
    number: u64,
    /// The number of the newest one.
    newest: u64,
    version: Version,
    scope: ScopePath,
    line: Line,
}

/// `/v1/anchor/record/<uid>…`.
pub(crate) async fn one(ask: Ask) -> Result<Reply, Reject> {
    let (uid, page) = ask.rest().split_once('/').unwrap_or((ask.rest(), ""));
    let uid: Uuid = uid.parse().map_err(|error: uuid::Error| LineageFault::Parameter {
        name: "uid",
        why: error.to_string(),
    })?;
    let (needs, allowed) = match page {
        "" | "versions" | "diff" | "proof" => (Act::operator_read(), Method::GET),
        "rollback" => (Act::operator_write(), Method::PUT),
        "payloads" => (Act::operator_write(), Method::DELETE),
        other => return Err(LineageFault::NoPage(other.chars().take(80).collect()).into()),
    };
    if ask.method != allowed {
        return Err(Reject::Method { asked: ask.method.clone(), allowed: vec![allowed] });
    }
    ask.demand(needs)?;
    match page {
        "versions" => versions(&ask, uid).await,
        "diff" => diff(&ask, uid).await,
        "proof" => proof(&ask, uid).await,
        "rollback" => roll_back(&ask, uid).await,
        "payloads" => prune(&ask, uid).await,
        _ => record(&ask, uid).await,
    }
}

/// What is not there any more is told with 410: that it was, and what is still known of it.
async fn record(ask: &Ask, uid: Uuid) -> Result<Reply, Reject> {
    let kept = kept(ask, uid, asked_version(ask)?).await?;
    let gone = !kept.version.alive || kept.line.payload.is_none();
    let body = match gone {
        true => None,
        false => Some(body_of(ask, &kept).await?),
    };
    let reply = Reply::json(&RecordOut::of(uid, kept, body));
    Ok(if gone { reply.status(StatusCode::GONE) } else { reply })
}

async fn versions(ask: &Ask, uid: Uuid) -> Result<Reply, Reject> {
    let from = number(ask, "from")?.unwrap_or_default();
    let handle = ask.site.handle.clone();
    let listed = blocking(move || {
        let lineage = handle.lineage(&handle.root());
        let mut listed = Vec::new();
        for (number, version) in lineage.versions(uid, from)? {
            let Some((scope, line)) = lineage.entry_at(version.order)? else { continue };
            let scope = scope.unwrap_or_else(|| handle.root());
            listed.push(VersionOut::of(number, &version, scope, line));
        }
        Ok(listed)
    });
    let listed = listed.await?;
    if listed.is_empty() {
        return Err(LineageFault::UnknownRecord(uid).into());
    }
    Ok(Reply::json(&listed))
}

async fn diff(ask: &Ask, uid: Uuid) -> Result<Reply, Reject> {
    let to = kept(ask, uid, number(ask, "to")?).await?;
    let from = number(ask, "from")?.unwrap_or(to.number.saturating_sub(1));
    let from = kept(ask, uid, Some(from)).await?;
    let [from, to] = [body_of(ask, &from).await?, body_of(ask, &to).await?];
    Ok(Reply::json(&json_patch::diff(&from, &to)))
}

async fn proof(ask: &Ask, uid: Uuid) -> Result<Reply, Reject> {
    let kept = kept(ask, uid, asked_version(ask)?).await?;
    let told = tells(&ask.authority()?, &kept.line);
    let Kept { scope, line, .. } = kept;
    let checkpoint = ask.site.handle.checkpoint(&scope).await?;
    // It is our own: its second line is the size.
    let size = checkpoint.lines().nth(1).and_then(|size| size.parse().ok()).unwrap_or_default();
    let (lineage, seq) = (ask.site.handle.lineage(&scope), line.entry.seq);
    let verifier_key = lineage.verifier_key(scope.as_str()).into();
    let inclusion = blocking(move || lineage.inclusion_text(size, seq)).await?;
    let Exported { leaf, payload, salt, .. } = Exported::of(&line, told);
    let lineage = scope.as_str().into();
    let proof =
        RecordProof { lineage, verifier_key, seq, leaf, payload, salt, inclusion, checkpoint };
    Ok(Reply::json(&proof))
}

async fn roll_back(ask: &Ask, uid: Uuid) -> Result<Reply, Reject> {
    let Some(version) = number(ask, "version")? else {
        let why = "say which one to go back to".to_owned();
        return Err(LineageFault::Parameter { name: "version", why }.into());
    };
    let kept = kept(ask, uid, Some(version)).await?;
    let body = find_body(ask, &kept).await?;
    let change = rollback::change(ask, &body, &kept.scope)?;
    let committed = write(&ask.site, &ask.caller, change).await?;
    let (row, index) = (kept.version.row, ask.site.handle.snapshot());
    let uid = index.stamp_of(&row).map(|(uid, _)| uid.to_string());
    let (entry, index) = (committed.entry, committed.revision);
    Ok(Reply::json(&RolledBackOut { uid, version, entry, index }))
}

async fn prune(ask: &Ask, uid: Uuid) -> Result<Reply, Reject> {
    let before = match ask.params.first("before") {
        "" => ask.site.handle.now(),
        text => moment("before", text)?,
    };
    // A record that never was is told so.
    kept(ask, uid, None).await?;
    let pruned = ask.site.handle.prune_record(&ask.caller, uid, before).await?;
    Ok(Reply::json(&PrunedOut { pruned }))
}

/// A version, or the newest one.
async fn kept(ask: &Ask, uid: Uuid, number: Option<u64>) -> Result<Kept, Reject> {
    let handle = ask.site.handle.clone();
    let found = blocking(move || find(&handle, uid, number)).await?;
    match found {
        Ok(kept) => Ok(kept),
        Err(fault) => Err(fault.into()),
    }
}

fn find(
    handle: &Handle,
    uid: Uuid,
    number: Option<u64>,
) -> Result<Result<Kept, LineageFault>, LineageError> {
    let lineage = handle.lineage(&handle.root());
    let Some((newest, last)) = lineage.last_version(uid)? else {
        return Ok(Err(LineageFault::UnknownRecord(uid)));
    };
    let asked = number.unwrap_or(newest);
    let version = match asked == newest {
        true => Some(last),
        false => lineage.version(uid, asked)?,
    };
    let entry = version.as_ref().map(|version| lineage.entry_at(version.order)).transpose()?;
    let (Some(version), Some((scope, line))) = (version, entry.flatten()) else {
        return Ok(Err(LineageFault::UnknownVersion { uid, asked, newest }));
    };
    let scope = scope.unwrap_or_else(|| handle.root());
    Ok(Ok(Kept { number: asked, newest, version, scope, line }))
}

/// What a version is, as JSON.
async fn body_of(ask: &Ask, kept: &Kept) -> Result<Value, Reject> {
    let body = find_body(ask, kept).await?;
    serde_json::to_value(&body).map_err(|error| LineageFault::Unreadable(error.to_string()).into())
}

/// A version without a body of its own, as a key has whose lock was given back by the end of a session, is what the one
/// before it is.
async fn find_body(ask: &Ask, kept: &Kept) -> Result<Body, Reject> {
    let authority = ask.authority()?;
    if !kept.version.alive {
        return Err(LineageFault::Removed { version: kept.number }.into());
    }
    if let Some(body) = own_body(&authority, kept)? {
        return Ok(body);
    }
    let (uid, number) = (kept.version.uid, kept.number);
    for before in (number.saturating_sub(BODIES_BACK_MAX).max(1)..number).rev() {
        let kept = self::kept(ask, uid, Some(before)).await?;
        if let Some(body) = own_body(&authority, &kept)? {
            return Ok(body);
        }
    }
    Err(LineageFault::NoBody { version: number }.into())
}

fn own_body(authority: &Authority, kept: &Kept) -> Result<Option<Body>, Reject> {
    let Some(payload) = &kept.line.payload else {
        return Err(LineageFault::PrunedVersion { version: kept.number }.into());
    };
    if !tells(authority, &kept.line) {
        authority.demand(Act::acl_write())?;
    }
    let change: Change = serde_json::from_slice(&payload.change)
        .map_err(|error| LineageFault::Unreadable(error.to_string()))?;
    Ok(Body::of(&change, &kept.version.row))
}

fn asked_version(ask: &Ask) -> Result<Option<u64>, LineageFault> {
    number(ask, "version")
}

fn number(ask: &Ask, name: &'static str) -> Result<Option<u64>, LineageFault> {
    let text = ask.params.given(name).filter(|text| !text.is_empty());
    let number = text.map(str::parse).transpose();
    number.map_err(|_| LineageFault::Parameter { name, why: "it must be a number".to_owned() })
}

// === impl RecordOut ===

impl RecordOut {
    fn of(uid: Uuid, kept: Kept, body: Option<Value>) -> Self {
        let Kept { number, newest, version, scope, line } = kept;
        let leaf_hash = Exported::of(&line, false).hash;
        Self {
            uid: uid.to_string(),
            at: format!("{:?}", version.row),
            version: number,
            newest,
            removed: !version.alive,
            scope,
            leaf_hash,
            entry: EntryOut::of(line, false),
            body,
        }
    }
}

impl VersionOut {
    fn of(number: u64, version: &Version, scope: ScopePath, line: Line) -> Self {
        let leaf_hash = Exported::of(&line, false).hash;
        let entry = EntryOut::of(line, false);
        Self { version: number, removed: !version.alive, scope, leaf_hash, entry }
    }
}
