//! `/v1/acl/token…`.

use http::Method;
use proconsul_anchors::acl::identity::ANONYMOUS;
use proconsul_anchors::acl::{Act, Policy, Role, Token};
use proconsul_anchors::caller::{Caller, Secret};
use proconsul_anchors::index::{Index, Row};
use proconsul_anchors::query::Query;
use proconsul_anchors::record::{AnyRecord, TableId, When};

use super::{demand_removal, form, fresh, put, read, read_by_id, remove, rest, written};
use crate::Site;
use crate::acl::token::{Desk, is_expired};
use crate::acl::{templates, uuid};
use crate::blocking;
use crate::extract::{Ask, Tenancy};
use crate::reject::Reject;
use crate::reject::acl::{AclReject, Kind};
use crate::reply::{Meta, Reply};
use crate::wire::acl::policy::PolicyOut;
use crate::wire::acl::role::RoleOut;
use crate::wire::acl::token::{ExpandedOut, HIDDEN, TokenForm, TokenOut};
use crate::wire::decode::Hint;

const DECODING: &str = "Token decoding failed";
/// The end of the path of a copy.
const CLONE: &str = "/clone";

/// What a list of tokens is narrowed to.
enum Only {
    All,
    Policy(String),
    Role(String),
    Service(String),
    Method(String),
}

/// `GET /v1/acl/tokens`.
pub(crate) async fn list(ask: Ask) -> Result<Reply, Reject> {
    let answer = read(&ask, Query::Table(TableId::Token)).await?;
    let only = Only::of(&ask).map_err(|reject| Reject::from(reject).queried())?;
    let now = ask.site.handle.now();
    let rows = answer.at.records::<Token>();
    let live = rows.filter(|row| !is_expired(&row.record, now) && only.has(&row.record));
    let mut tokens: Vec<(Secret, &Row<Token>)> =
        live.map(|row| (secret(&ask.site, row), &**row)).collect();
    // By secret, as Consul's table is.
    tokens.sort_by(|a, b| a.0.expose().cmp(b.0.expose()));
    let shown = shows_secrets(&ask);
    let tokens: Vec<_> =
        tokens.iter().map(|(secret, row)| print(&answer.at, row, secret, shown)).collect();
    Ok(Reply::json(&tokens).meta(Meta::of(&answer)))
}

fn secret(site: &Site, row: &Row<Token>) -> Secret {
    site.handle.unseal(&row.record.secret).unwrap_or_else(|| Secret::new(""))
}

/// Whether the caller may see secrets.
fn shows_secrets(ask: &Ask) -> bool {
    ask.authority().is_ok_and(|authority| authority.allows(Act::acl_write()))
}

fn print<'a>(
    index: &'a Index,
    row: &'a Row<Token>,
    secret: &'a Secret,
    shown: bool,
) -> TokenOut<'a> {
    TokenOut::new(index, row, if shown { secret.expose() } else { HIDDEN })
}

/// The answer to a write: the token as it is kept.
pub(super) fn reply(site: &Site, index: &Index, accessor: &str) -> Result<Reply, Reject> {
    let row = written::<Token>(index, &accessor.to_ascii_lowercase(), Kind::Token)?;
    Ok(Reply::json(&print(index, row, &secret(site, row), true)))
}

/// `GET /v1/acl/token/self`.
pub(crate) async fn own(ask: Ask) -> Result<Reply, Reject> {
    let options = ask.read_options()?;
    let none = Secret::new("");
    let own = ask.caller.token.as_ref().unwrap_or(&none);
    let digest = ask.site.handle.digest(own);
    let snapshot = ask.site.handle.snapshot();
    let query = match snapshot.record_named::<Token>(&digest) {
        Some(row) => Query::Record {
            table: TableId::Token,
            key: row.record.accessor.to_ascii_lowercase().into(),
        },
        None => return Err(Reject::from(AclReject::NoToken).queried()),
    };
    // Whoever has the secret may read the token.
    let answer = blocking::read(&ask.site, &Caller::own(), &options, &query).await;
    let answer = answer.map_err(Reject::queried)?;
    let row = live(&ask, answer.at.record_named::<Token>(&digest).map(|row| &**row))?;
    Ok(Reply::json(&print(&answer.at, row, own, true)).meta(Meta::of(&answer)))
}

/// The row, unless there is none or its token has expired.
fn live<'a>(ask: &Ask, row: Option<&'a Row<Token>>) -> Result<&'a Row<Token>, Reject> {
    let row = row.ok_or_else(|| Reject::from(AclReject::NoToken).queried())?;
    if is_expired(&row.record, ask.site.handle.now()) {
        return Err(Reject::from(AclReject::HasExpired).queried());
    }
    Ok(row)
}

/// `PUT /v1/acl/token`.
pub(crate) async fn create(mut ask: Ask) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    let form: TokenForm = form(&mut ask, DECODING, Hint::Namespaces).await?;
    ask.demand(Act::acl_write())?;
    make(&ask, When::Index(0), |desk| desk.create(form)).await
}

/// `/v1/acl/token/<accessor>`, and `/clone` below it.
pub(crate) async fn one(ask: Ask) -> Result<Reply, Reject> {
    let path = rest(&ask);
    match ask.method {
        Method::PUT => match path.strip_suffix(CLONE) {
            Some(accessor) => copy(ask, accessor.to_owned()).await,
            None => update(ask, path).await,
        },
        _ if path.is_empty() => Err(AclReject::Missing("token AccessorID").into()),
        Method::DELETE => delete(&ask, &path).await,
        _ => by_accessor(&ask, &path).await,
    }
}

async fn by_accessor(ask: &Ask, accessor: &str) -> Result<Reply, Reject> {
    let (answer, key) = read_by_id::<Token>(ask, accessor, Kind::Token).await?;
    let row = live(ask, answer.at.record::<Token>(&key).map(|row| &**row))?;
    let secret = secret(&ask.site, row);
    let mut printed = print(&answer.at, row, &secret, shows_secrets(ask));
    if ask.params.has("expanded") {
        printed = printed.expanded(expanded(&ask.site, &answer.at, &row.record));
    }
    Ok(Reply::json(&printed).meta(Meta::of(&answer)))
}

/// All that a token and its roles are linked with, and how it was resolved.
fn expanded<'a>(site: &'a Site, index: &'a Index, token: &'a Token) -> ExpandedOut<'a> {
    let roles: Vec<&Row<Role>> =
        token.roles.iter().filter_map(|id| index.record::<Role>(id).map(|row| &**row)).collect();
    let mut ids: Vec<&str> = token.policies.iter().map(AsRef::as_ref).collect();
    ids.extend(roles.iter().flat_map(|row| &row.record.policies).map(AsRef::as_ref));
    ids.sort_unstable();
    ids.dedup();
    let kept = ids.into_iter().filter_map(|id| index.record::<Policy>(id));
    let of = |row: &&'a Row<Role>| &row.record;
    let services = token
        .service_identities
        .iter()
        .chain(roles.iter().flat_map(|row| &of(row).service_identities))
        .filter_map(templates::of_service);
    let nodes = token
        .node_identities
        .iter()
        .chain(roles.iter().flat_map(|row| &of(row).node_identities))
        .filter_map(templates::of_node);
    let templated = token
        .templated_policies
        .iter()
        .chain(roles.iter().flat_map(|row| &of(row).templated_policies))
        .filter_map(templates::of_templated);
    let mut policies: Vec<PolicyOut<'_>> = kept.map(|row| PolicyOut::from(&**row)).collect();
    policies.extend(services.chain(nodes).chain(templated).map(PolicyOut::from));
    let roles: Vec<RoleOut<'_>> = roles.iter().map(|row| RoleOut::new(index, row)).collect();
    let settings = site.handle.acl();
    ExpandedOut {
        expanded_policies: (!policies.is_empty()).then_some(policies),
        expanded_roles: (!roles.is_empty()).then_some(roles),
        namespace_policies: (),
        namespace_roles: (),
        default_policy: settings.default_policy.as_str(),
        down_policy: settings.down_policy.as_str(),
        resolved_by_agent: &site.settings.identity.node,
    }
}

async fn update(mut ask: Ask, accessor: String) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    let mut form: TokenForm = form(&mut ask, DECODING, Hint::Namespaces).await?;
    if form.accessor.is_empty() {
        form.accessor = accessor;
    } else if form.accessor != accessor {
        return Err(AclReject::Mismatch("Token Accessor ID").into());
    }
    ask.demand(Act::acl_write())?;
    if form.accessor.is_empty() {
        return make(&ask, When::Index(0), |desk| desk.create(form)).await;
    }
    make(&ask, When::Always, |desk| desk.update(form)).await
}

async fn copy(mut ask: Ask, accessor: String) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    let form: TokenForm = form(&mut ask, DECODING, Hint::Namespaces).await?;
    ask.demand(Act::acl_write())?;
    let kind = Kind::Token;
    let key = uuid::key(&accessor).map_err(|fault| AclReject::Lookup { kind, fault })?;
    make(&ask, When::Index(0), |desk| {
        let row = desk.index.record::<Token>(&key).ok_or(AclReject::NoToken)?;
        desk.copy(&row.record, form.description)
    })
    .await
}

/// Keeps the token that the desk hands out.
async fn make(
    ask: &Ask,
    when: When,
    token: impl FnOnce(&Desk<'_>) -> Result<Token, AclReject>,
) -> Result<Reply, Reject> {
    let token = with_desk(&ask.site, token)?;
    let accessor = token.accessor.clone();
    let index = put(ask, AnyRecord::Token(token.into()), when).await?;
    reply(&ask.site, &index, &accessor)
}

/// Asks the desk about the records as they are now.
pub(super) fn with_desk<T>(site: &Site, ask: impl FnOnce(&Desk<'_>) -> T) -> T {
    let handle = &site.handle;
    ask(&Desk {
        index: &handle.snapshot(),
        now: handle.now(),
        digest: &|secret| handle.digest(&Secret::new(secret)),
        seal: &|secret| handle.seal(&Secret::new(secret)),
        fresh: &fresh,
    })
}

async fn delete(ask: &Ask, accessor: &str) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    demand_removal(ask, Kind::Token)?;
    uuid::check(accessor).map_err(|_| AclReject::DeletedAccessor)?;
    let key = accessor.to_ascii_lowercase();
    if key == ANONYMOUS {
        return Err(AclReject::AnonymousDeleted.into());
    }
    let index = ask.site.handle.snapshot();
    let row = index.record::<Token>(&key).ok_or(AclReject::Undeletable(Kind::Token))?;
    let own = ask.caller.token.as_ref().map(|own| ask.site.handle.digest(own));
    if own.as_deref() == Some(row.record.secret.digest()) {
        return Err(AclReject::OwnDeleted.into());
    }
    remove(ask, TableId::Token, &key).await
}

// === impl Only ===

impl Only {
    fn of(ask: &Ask) -> Result<Self, AclReject> {
        let kind = Kind::Token;
        let given = |name: &str| ask.params.first(name).to_owned();
        let id = |text: String| uuid::key(&text).map_err(|fault| AclReject::Lookup { kind, fault });
        let (policy, role) = (given("policy"), given("role"));
        let (service, method) = (given("servicename"), given("authmethod"));
        match [&policy, &role, &service, &method].map(|text| !text.is_empty()) {
            [false, false, false, false] => Ok(Self::All),
            [true, false, false, false] => id(policy).map(Self::Policy),
            [false, true, false, false] => id(role).map(Self::Role),
            [false, false, true, false] => Ok(Self::Service(service.to_lowercase())),
            [false, false, false, true] => Ok(Self::Method(method.to_lowercase())),
            _ => Err(AclReject::Filters),
        }
    }

    fn has(&self, token: &Token) -> bool {
        let linked = |ids: &[Box<str>], id: &str| ids.iter().any(|own| **own == *id);
        match self {
            Self::All => true,
            Self::Policy(id) => linked(&token.policies, id),
            Self::Role(id) => linked(&token.roles, id),
            Self::Service(name) => speaks_for(token, name),
            Self::Method(name) => token.auth_method.to_lowercase() == *name,
        }
    }
}

fn speaks_for(token: &Token, service: &str) -> bool {
    let same = |name: &str| name.to_lowercase() == service;
    let named = |template: &str| template == templates::SERVICE;
    token.service_identities.iter().any(|identity| same(&identity.service))
        || token
            .templated_policies
            .iter()
            .filter(|policy| named(&policy.template))
            .any(|policy| policy.name.as_deref().is_some_and(same))
}
