//! Prepared queries: which instances of a service are wanted, kept under a name (`/v1/query`, `<name>.query` on DNS).
//!
//! Finding the query of a name, filling in a template and choosing the instances are pure; chance is handed in.

pub mod execute;
mod template;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::template::BadTemplate;
use crate::duration;
use crate::index::{Index, Row};
use crate::pairs::Pairs;
use crate::record::{Record, TableId};
use crate::sealed::SealedSecret;

/// A prepared query (`/v1/query`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PreparedQuery {
    /// A UUID.
    pub id: Box<str>,
    /// What it may be executed by; empty for none. Unique whatever the case.
    pub name: Box<str>,
    /// The session with which it goes; empty for none.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub session: Box<str>,
    /// The token with which it is executed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<SealedSecret>,
    /// Whether and how its name is a beginning of names.
    #[serde(skip_serializing_if = "is_default")]
    pub template: Template,
    /// Which instances are wanted.
    pub service: ServiceQuery,
    /// How long answers on DNS may be kept: the text of a duration; empty for the service's own.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub dns_ttl: Box<str>,
}

/// Whether and how a query's name is a beginning of names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Template {
    /// Empty for a query that is no template, else [`NAME_PREFIX_MATCH`].
    pub kind: Box<str>,
    /// What is matched against the whole name; empty for nothing.
    pub regexp: Box<str>,
    /// Whether tags that come out empty are left away.
    pub remove_empty_tags: bool,
}

/// The kind of templates that there is: the longest name that the asked one begins with.
pub const NAME_PREFIX_MATCH: &str = "name_prefix_match";

/// Which instances are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceQuery {
    /// The service.
    pub service: Box<str>,
    /// What is tried when there is none.
    #[serde(skip_serializing_if = "is_default")]
    pub failover: Failover,
    /// Whether an instance with a warning is left out, too.
    #[serde(skip_serializing_if = "is_default")]
    pub only_passing: bool,
    /// Checks that do not count. `None` was never given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_check_ids: Option<Vec<Box<str>>>,
    /// The node near to which; `_agent` and `_ip` mean who asks. Empty for any order.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub near: Box<str>,
    /// Tags that must be there, or with a `!` before them must not. `None` was never given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<Box<str>>>,
    /// Pairs that the node must have. `None` was never given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_meta: Option<Pairs>,
    /// Pairs that the instance must have. `None` was never given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_meta: Option<Pairs>,
    /// Whether those are wanted through which the mesh reaches the service.
    #[serde(skip_serializing_if = "is_default")]
    pub connect: bool,
    /// The peer whose service it is; empty for the own one.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub peer: Box<str>,
}

/// What is tried when there is no instance here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Failover {
    /// So many other datacenters, the nearest first.
    pub nearest_n: i64,
    /// Then these. `None` was never given.
    pub datacenters: Option<Vec<Box<str>>>,
    /// Or these in their place. `None` was never given.
    pub targets: Option<Vec<Target>>,
}

/// A place where a service may be found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Target {
    /// A peer.
    pub peer: Box<str>,
    /// A datacenter.
    pub datacenter: Box<str>,
}

/// Why a name leads to no query that can be executed. Printed in Consul's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unresolved {
    /// The id is a template's.
    #[error("prepared query templates can only be resolved up by name, not by ID")]
    TemplateById,
    /// The template cannot be filled in for this name.
    #[error(transparent)]
    Template(#[from] BadTemplate),
}

/// The length of a UUID in text.
const UUID_LEN: usize = 36;

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Whether a text is a UUID, in any case.
pub fn is_uuid(text: &str) -> bool {
    let fits = |(at, byte): (usize, u8)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    text.len() == UUID_LEN && text.bytes().enumerate().all(fits)
}

impl Record for PreparedQuery {
    const TABLE: TableId = TableId::PreparedQuery;
    const MOVES_ALWAYS: bool = true;

    fn key(&self) -> Arc<str> {
        self.id.as_ref().into()
    }

    /// A template may have the empty name.
    fn name(&self) -> Option<Arc<str>> {
        self.is_named().then(|| self.name.to_lowercase().into())
    }
}

impl PreparedQuery {
    /// Whether it answers to names.
    pub fn is_template(&self) -> bool {
        !self.template.kind.is_empty()
    }

    /// Whether rules on names of queries speak of it: others are known to who made them.
    pub fn is_named(&self) -> bool {
        !self.name.is_empty() || self.is_template()
    }

    /// How long answers on DNS may be kept; nothing when it does not say.
    pub fn ttl(&self) -> Option<Duration> {
        match &*self.dns_ttl {
            "" => None,
            text => Some(duration::parse_wait(text).unwrap_or_default()),
        }
    }
}

/// A query that was found for a name, filled in for it.
#[derive(Clone, Debug)]
pub struct Resolved<'a> {
    /// As it is kept.
    pub row: &'a Arc<Row<PreparedQuery>>,
    /// As it is executed.
    pub query: Cow<'a, PreparedQuery>,
}

impl Index {
    /// The query of an id or a name: the one of this name, else the template whose name is the longest beginning of it,
    /// filled in. Whatever the case.
    ///
    /// # Errors
    /// See [`Unresolved`].
    pub fn resolve_query(
        &self,
        text: &str,
        segment: &str,
    ) -> Result<Option<Resolved<'_>>, Unresolved> {
        if text.is_empty() {
            return Ok(None);
        }
        let lower = text.to_lowercase();
        if is_uuid(text)
            && let Some(row) = self.record::<PreparedQuery>(&lower)
        {
            let query = Cow::Borrowed(&row.record);
            return if row.record.is_template() {
                Err(Unresolved::TemplateById)
            } else {
                Ok(Some(Resolved { row, query }))
            };
        }
        // The empty name is a template's, too.
        let beginnings = lower.char_indices().map(|(at, _)| at).rev().map(|at| &lower[..at]);
        let templates = beginnings
            .filter_map(|beginning| self.record_named::<PreparedQuery>(beginning))
            .filter(|row| row.record.is_template());
        let Some(row) = self.record_named(&lower).into_iter().chain(templates).next() else {
            return Ok(None);
        };
        let query = if row.record.is_template() {
            Cow::Owned(row.record.rendered(text, segment)?)
        } else {
            Cow::Borrowed(&row.record)
        };
        Ok(Some(Resolved { row, query }))
    }
}
