//! `/v1/connect/ca/…` and `/v1/agent/connect/…`: the mesh's certificates, and who may connect to whom.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use proconsul_anchors::acl::Act;
use proconsul_anchors::caller::Caller;
use proconsul_anchors::handle::Answer;
use proconsul_anchors::query::Query;
use proconsul_ca::{Identity, Root, TrustDomain};
use proconsul_mesh::intentions::{Shown, Side, matching};

use crate::blocking;
use crate::cached::Cache;
use crate::extract::body::read_json;
use crate::extract::{Ask, ReadOptions, Tenancy};
use crate::go::text::parse_bool;
use crate::issuer::{CaError, Wanted, kept, roots};
use crate::reject::Reject;
use crate::reply::{Meta, Reply};
use crate::routes::intention::unsaid;
use crate::wire::ca::{
    AuthorizeForm, AuthorizedOut, ConfigurationForm, ConfigurationOut, LeafOut, RootOut, RootsOut,
};
use crate::wire::decode::{Hint, body};
use crate::wire::entries::Shelf;

const PEM_CHAIN: &str = "application/pem-certificate-chain";
const AGE: HeaderName = HeaderName::from_static("age");
const CACHE: HeaderName = HeaderName::from_static("x-cache");
const INDEX: HeaderName = HeaderName::from_static("x-consul-index");

/// `GET /v1/connect/ca/roots`.
pub(crate) async fn ca_roots(ask: Ask) -> Result<Reply, Reject> {
    let options = ask.read_options()?;
    let pem = match ask.params.first("pem") {
        "" => false,
        text => parse_bool(text).ok_or(Reject::PemFlag)?,
    };
    let answer = read_roots(&ask, &options).await.map_err(Reject::queried)?;
    if !pem {
        return Ok(shown_roots(&answer)?.meta(Meta::of(&answer)));
    }
    let mut text = String::new();
    for (_, root) in roots(&answer.at) {
        text.push_str(&root.certificate);
        root.intermediates.iter().for_each(|one| text.push_str(one));
    }
    Ok(Reply::plain(Bytes::from(text), PEM_CHAIN))
}

/// `GET /v1/agent/connect/ca/roots`.
pub(crate) async fn agent_roots(ask: Ask) -> Result<Reply, Reject> {
    let options = ask.read_options()?;
    let answer = read_roots(&ask, &options).await?;
    let cache = ask.site.remembered.look_up("connect-ca-roots", "", &ask.caller);
    Ok(from_cache(shown_roots(&answer)?.meta(Meta::of(&answer)), cache == Cache::Hit, 0))
}

async fn read_roots(ask: &Ask, options: &ReadOptions) -> Result<Answer, Reject> {
    blocking::own_datacenter(&ask.site, options)?;
    ask.site.issuer.on()?;
    // They are for everybody: nobody's token is looked at.
    blocking::read(&ask.site, &Caller::own(), options, &Query::CaRoots).await
}

fn shown_roots(answer: &Answer) -> Result<Reply, Reject> {
    let all: Vec<((u64, u64), Root)> =
        roots(&answer.at).map(|(row, root)| ((row.created, row.modified), root)).collect();
    let cluster = kept(&answer.at).map(|(_, kept)| kept.cluster).unwrap_or_default();
    let domain = TrustDomain::of_cluster(&cluster);
    let active = all.iter().find(|(_, root)| root.active);
    Ok(Reply::json(&RootsOut {
        active_root_id: active.map_or("", |(_, root)| &root.id),
        trust_domain: domain.as_str(),
        roots: all.iter().map(|(stamps, root)| RootOut::new(root, *stamps)).collect(),
    }))
}

/// Tells whether an answer was kept, and for how many seconds.
fn from_cache(reply: Reply, was_kept: bool, age: u64) -> Reply {
    if was_kept {
        reply.header(CACHE, HeaderValue::from_static("HIT")).header(AGE, age.into())
    } else {
        reply.header(CACHE, HeaderValue::from_static("MISS"))
    }
}

/// `GET /v1/agent/connect/ca/leaf/<service>`.
pub(crate) async fn leaf(ask: Ask) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    let options = ask.read_options()?;
    blocking::own_datacenter(&ask.site, &options)?;
    let service = ask.rest();
    if service.is_empty() {
        return Err(Reject::NoLeafService);
    }
    ask.site.issuer.on()?;
    ask.demand(Act::service_write(service))?;
    let datacenter = &ask.site.settings.identity.datacenter;
    let (issued, was_kept) =
        ask.site.issuer.leaf(datacenter, service, options.after, options.patience).await?;
    let age = ask.site.handle.now().since(issued.at).as_secs();
    let reply = Reply::json(&LeafOut::new(service, &issued)).header(INDEX, issued.index.into());
    Ok(from_cache(reply, was_kept, age))
}

/// `GET` and `PUT /v1/connect/ca/configuration`.
pub(crate) async fn configuration(ask: Ask) -> Result<Reply, Reject> {
    if ask.method == Method::PUT { configure(ask).await } else { configured(&ask).await }
}

async fn configured(ask: &Ask) -> Result<Reply, Reject> {
    let options = ask.read_options()?;
    blocking::own_datacenter(&ask.site, &options)?;
    let issuer = &ask.site.issuer;
    issuer.on()?;
    ask.demand(Act::operator_write())?;
    let index = ask.site.handle.snapshot();
    let (row, kept) = kept(&index).ok_or(CaError::NoRoot)?;
    let config = issuer.with_key(&kept);
    let shown = ConfigurationOut::new(&kept, config, (row.created, row.modified));
    Ok(Reply::json(&shown))
}

async fn configure(mut ask: Ask) -> Result<Reply, Reject> {
    let text = read_json(ask.take_body(), ask.headers.content_length).await?;
    let form: ConfigurationForm = body(&text, Hint::None)?;
    let asked = ask.params.first("dc");
    if !asked.is_empty() && asked != &*ask.site.settings.identity.datacenter {
        return Err(Reject::NoPathToDatacenter);
    }
    ask.site.issuer.on()?;
    ask.demand(Act::operator_write())?;
    ask.site.issuer.configure(Wanted::from(form)).await?;
    Ok(Reply::nothing())
}

/// `POST /v1/agent/connect/authorize`.
pub(crate) async fn authorize(mut ask: Ask) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    let text = read_json(ask.take_body(), ask.headers.content_length).await?;
    let form: AuthorizeForm = body(&text, Hint::None)?;
    if form.target.is_empty() {
        return Err(Reject::NoTarget);
    }
    let client = Identity::parse(&form.client_uri).map_err(|_| Reject::NotConnectId)?;
    let Identity::Service { service, .. } = client else { return Err(Reject::NotServiceId) };
    let unknown = |reject| Reject::AuthorizerToken(Box::new(reject));
    let authority = ask.authority().map_err(unknown)?;
    authority.demand(Act::service_write(&form.target))?;
    let index = ask.site.handle.snapshot();
    let has_instances = |name: &str| index.service(name).is_some();
    let found = matching(&Shelf(&index), Side::Destination, &form.target, &has_instances);
    let found = found.iter().find(|one| matches!(one.source(), "*") || one.source() == &*service);
    let (authorized, reason) = match found {
        Some(intention) => (intention.allows(), told(intention)),
        None => (unsaid(&ask), DEFAULT.to_owned()),
    };
    let cache = ask.site.remembered.look_up("intention-match", &form.target, &ask.caller);
    let reply = Reply::json(&AuthorizedOut { authorized, reason: &reason });
    Ok(from_cache(reply, cache == Cache::Hit, 0))
}

/// Why something is allowed or not when no intention speaks of it.
const DEFAULT: &str = "Default behavior configured by ACLs";

/// An intention that decided, as Consul tells it. Whoever only looks at the connection takes permissions for requests as a no.
fn told(intention: &Shown) -> String {
    let names = format!("default/{} => default/{}", intention.source(), intention.destination());
    let precedence = intention.precedence();
    match intention.permissions() {
        0 => {
            let action = if intention.allows() { "ALLOW" } else { "DENY" };
            format!("Matched L4 intention: {names} (Precedence: {precedence}, Action: {action})")
        }
        permissions => format!(
            "Matched L7 intention: {names} (Precedence: {precedence}, Permissions: {permissions})"
        ),
    }
}
