//! `/v1/kv/…`: keys and values.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use hyper::body::Incoming;
use proconsul_anchors::acl::Act;
use proconsul_anchors::change::{Change, KvChange, PutWhen};
use proconsul_anchors::handle::Answer;
use proconsul_anchors::index::KeyRow;
use proconsul_anchors::outcome::Outcome;
use proconsul_anchors::query::Query;

use crate::blocking;
use crate::extract::body::{self, TooLong};
use crate::extract::path::{clean_key, unescape};
use crate::extract::{Ask, ReadOptions, Tenancy};
use crate::go::text::parse_uint;
use crate::reject::Reject;
use crate::reply::{Meta, Reply, TEXT_UTF8};
use crate::wire::catalog::list;
use crate::wire::kv::KeyOut;

const WARNING: HeaderName = HeaderName::from_static("x-consul-kv-warning");
const NO_SNIFFING: (HeaderName, HeaderValue) =
    (http::header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
const SANDBOX: (HeaderName, HeaderValue) =
    (http::header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));

/// Every method of a key.
pub(crate) async fn key(ask: Ask) -> Result<Reply, Reject> {
    let options = ask.read_options()?;
    let key = clean_key(ask.rest());
    let warning = match check_key(&key) {
        Err(reject) if ask.site.settings.check_kv_keys => return Err(reject),
        Err(reject) => Some(reject),
        Ok(()) => None,
    };
    let reply = match ask.method {
        Method::PUT => put(ask, options, key).await,
        Method::DELETE => delete(ask, options, key).await,
        _ if ask.params.has("keys") => names(ask, options, key).await,
        _ if ask.params.has("recurse") => tree(ask, options, key).await,
        _ => one(ask, options, key).await,
    };
    reply.map(|reply| warned(reply, warning.as_ref()))
}

fn warned(reply: Reply, warning: Option<&Reject>) -> Reply {
    let text = warning.map(|reject| {
        format!(
            "KV key validation bypassed: {reject}. Consider enabling key validation for security."
        )
    });
    match text.and_then(|text| HeaderValue::from_str(&text).ok()) {
        Some(value) => reply.header(WARNING, value),
        None => reply,
    }
}

/// Consul's rules for keys that come in a path.
fn check_key(key: &str) -> Result<(), Reject> {
    if key.starts_with(' ') || key.ends_with(' ') {
        return Err(Reject::KeySpaces);
    }
    if key.split('/').any(|segment| segment == "..") {
        return Err(Reject::KeyTraversal);
    }
    match unescape(key) {
        Some(again) if again != key && again.contains("..") => Err(Reject::KeyTraversal),
        Some(again) if again != key && again.contains(' ') => Err(Reject::KeySpaces),
        _ => Ok(()),
    }
}

async fn one(ask: Ask, options: ReadOptions, key: String) -> Result<Reply, Reject> {
    if key.is_empty() {
        return Err(Reject::MissingKeyName);
    }
    ask.refuse_enterprise(Tenancy::Both)?;
    blocking::known_datacenter(&ask.site, &options)?;
    ask.demand(Act::key_read(&key))?;
    let query = Query::Key(key.as_str().into());
    let answer = blocking::read(&ask.site, &ask.caller, &options, &query).await?;
    if answer.outcome == Outcome::Refuse {
        return Ok(refused(&ask, &answer));
    }
    // It may have been taken away during a wait.
    answer.authority.demand(Act::key_read(&key))?;
    let meta = Meta::of(&answer);
    let Some(row) = answer.at.key(&key) else { return Ok(Reply::absent().meta(meta)) };
    if ask.params.has("raw") {
        let reply = Reply::plain(row.value.clone(), TEXT_UTF8).meta(meta);
        return Ok(reply.header(NO_SNIFFING.0, NO_SNIFFING.1).header(SANDBOX.0, SANDBOX.1));
    }
    Ok(Reply::json(&[KeyOut::from(&**row)]).meta(meta))
}

/// What a policy refuses is no error: templates give up after some of those, and take their task along.
fn refused(ask: &Ask, answer: &Answer) -> Reply {
    let reply = match ask.params.has("raw") {
        true => Reply::plain(Bytes::new(), TEXT_UTF8),
        false => Reply::encoded(Bytes::from_static(b"[]")),
    };
    reply.meta(Meta::of(answer))
}

async fn tree(ask: Ask, options: ReadOptions, prefix: String) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    demand_list(&ask, &options, &prefix)?;
    let query = Query::Keys(prefix.as_str().into());
    let answer = blocking::read(&ask.site, &ask.caller, &options, &query).await?;
    let visible = Visible::of(&answer, &prefix);
    let meta = Meta::of(&answer).filtered(&answer.authority, visible.left_out);
    let mut rows = visible.rows().peekable();
    if rows.peek().is_none() && visible.left_out && answer.authority.is_narrowed() {
        return Ok(Reply::encoded(Bytes::from_static(b"[]")).meta(meta));
    }
    if rows.peek().is_none() {
        return Ok(Reply::absent().meta(meta));
    }
    let body = list(rows, |out, row| crate::go::print::write_json(out, &KeyOut::from(&**row)));
    Ok(Reply::encoded(body).meta(meta))
}

async fn names(ask: Ask, options: ReadOptions, prefix: String) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    let separator = ask.params.given("separator").unwrap_or_else(|| ask.params.first("seperator"));
    demand_list(&ask, &options, &prefix)?;
    let query = Query::Keys(prefix.as_str().into());
    let answer = blocking::read(&ask.site, &ask.caller, &options, &query).await?;
    let visible = Visible::of(&answer, &prefix);
    let meta = Meta::of(&answer).filtered(&answer.authority, visible.left_out);
    let names = cut_names(visible.rows().map(|row| &*row.key), &prefix, separator);
    let is_refused = visible.left_out && answer.authority.is_narrowed();
    if names.is_empty() && !prefix.is_empty() && !is_refused {
        return Ok(Reply::absent().meta(meta));
    }
    Ok(Reply::json(&names).meta(meta))
}

/// Listing takes more than reading where it is configured so.
fn demand_list(ask: &Ask, options: &ReadOptions, prefix: &str) -> Result<(), Reject> {
    blocking::known_datacenter(&ask.site, options)?;
    if ask.site.handle.acl().key_list_policy { ask.demand(Act::key_list(prefix)) } else { Ok(()) }
}

/// The keys under a prefix that a caller may read.
struct Visible<'a> {
    answer: &'a Answer,
    prefix: &'a str,
    /// Whether there are others.
    left_out: bool,
}

impl<'a> Visible<'a> {
    fn of(answer: &'a Answer, prefix: &'a str) -> Self {
        let mut visible = Self { answer, prefix, left_out: false };
        visible.left_out =
            !answer.authority.is_open() && answer.at.keys(prefix).any(|row| !visible.sees(row));
        visible
    }

    fn sees(&self, row: &KeyRow) -> bool {
        self.answer.authority.allows(Act::key_read(&row.key))
    }

    fn rows(&self) -> impl Iterator<Item = &'a Arc<KeyRow>> {
        let all = !self.left_out;
        self.answer.at.keys(self.prefix).filter(move |row| all || self.sees(row))
    }
}

/// Keys in order, each cut behind the first separator after the prefix, each once.
fn cut_names<'a>(
    keys: impl Iterator<Item = &'a str>,
    prefix: &str,
    separator: &str,
) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for key in keys {
        let cut = match key[prefix.len()..].find(separator) {
            Some(at) if !separator.is_empty() => prefix.len() + at + separator.len(),
            _ => key.len(),
        };
        let name = &key[..cut];
        if names.last() != Some(&name) {
            names.push(name);
        }
    }
    names
}

async fn put(ask: Ask, options: ReadOptions, key: String) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    if key.is_empty() {
        return Err(Reject::MissingKeyName);
    }
    refuse_several(&ask, &["cas", "acquire", "release"])?;
    let flags = ask.params.given("flags").map(parse_uint).transpose()?.unwrap_or(0);
    let when = condition(&ask)?;
    let value =
        value(ask.body, ask.headers.content_length, ask.site.settings.kv_value_bytes_max).await?;
    if !options.datacenter.is_empty()
        && options.datacenter != *ask.site.settings.identity.datacenter
    {
        return Err(Reject::NoPathToDatacenter);
    }
    let (key, value) = (key.into(), value.into());
    let change = Change::Kv(KvChange::Put { key, value, flags, when, scope: None });
    let committed = blocking::write(&ask.site, &ask.caller, change).await?;
    Ok(Reply::json(&committed.yes))
}

fn condition(ask: &Ask) -> Result<PutWhen, Reject> {
    let params = &ask.params;
    if let Some(index) = params.given("cas") {
        return Ok(PutWhen::Index(parse_uint(index)?));
    }
    let acquire = params.given("acquire").map(|session| PutWhen::Acquire(session.into()));
    let release = params.given("release").map(|session| PutWhen::Release(session.into()));
    Ok(acquire.or(release).unwrap_or(PutWhen::Always))
}

/// The value that a request brings. Without an announced length one byte more than the bound is taken, as Consul does.
async fn value(
    incoming: Option<Incoming>,
    announced: Option<u64>,
    max: u64,
) -> Result<Bytes, Reject> {
    let announced = announced.filter(|length| *length > 0);
    let bound = if announced.is_some() { max } else { max + 1 };
    body::read(incoming, announced, bound, |too_long| match too_long {
        TooLong::Announced(length) => Reject::ValueTooLarge { length, max },
        TooLong::Unannounced => Reject::UnsizedValueTooLarge { max },
    })
    .await
}

async fn delete(ask: Ask, options: ReadOptions, key: String) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    refuse_several(&ask, &["recurse", "cas"])?;
    let recurse = ask.params.has("recurse");
    if key.is_empty() && !recurse {
        return Err(Reject::MissingKeyName);
    }
    let cas = ask.params.given("cas").map(parse_uint).transpose()?;
    let kv = if recurse {
        KvChange::DeleteTree { prefix: key.into() }
    } else {
        KvChange::Delete { key: key.into(), cas }
    };
    ask.own_datacenter(&options.datacenter)?;
    let committed = blocking::write(&ask.site, &ask.caller, Change::Kv(kv)).await?;
    Ok(Reply::json(&committed.yes))
}

fn refuse_several(ask: &Ask, flags: &[&str]) -> Result<(), Reject> {
    let given = flags.iter().filter(|flag| ask.params.has(flag)).count();
    if given > 1 { Err(Reject::ConflictingFlags(ask.params.encode())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_checked_as_consul_checks_them() {
        let cases = [
            ("a/b", None),
            ("a..b", None),
            ("a/.../b", None),
            (" a", Some("invalid key name, leading/trailing spaces are not allowed")),
            ("a ", Some("invalid key name, leading/trailing spaces are not allowed")),
            ("a b", None),
            ("../a", Some("invalid key name, path traversal is not allowed")),
            ("a%2F..%2Fb", Some("invalid key name, path traversal is not allowed")),
            ("a%20b", Some("invalid key name, leading/trailing spaces are not allowed")),
            ("100%", None),
        ];
        for (key, told) in cases {
            assert_eq!(
                check_key(key).err().map(|reject| reject.to_string()).as_deref(),
                told,
                "{key}"
            );
        }
    }

    #[test]
    fn names_are_cut_behind_the_separator() {
        let keys = ["app/a", "app/b/c", "app/b/d", "app/e/"];
        assert_eq!(cut_names(keys.into_iter(), "app/", "/"), ["app/a", "app/b/", "app/e/"]);
        assert_eq!(cut_names(keys.into_iter(), "", ""), keys);
        assert_eq!(cut_names(keys.into_iter(), "app", "/"), ["app/"]);
    }
}
