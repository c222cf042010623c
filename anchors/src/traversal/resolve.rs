//! Best match: how far a path leads, and what is left of it.
//!
//! What a caller may not see is left out before anything is matched, so that not even the length of the match tells of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::resolution::Recorded;
use crate::credential::Alias;
use crate::index::Index;
use crate::outcome::Outcome;
use crate::scope::{Scope, ScopePath, Scopes};

/// The action that needs no word of the alias.
pub const READ: &str = "read";
/// Aliases that lead to aliases, at most.
const ALIASES_MAX: usize = 8;
/// The rule that refuses an action of which an alias knows nothing.
pub const UNKNOWN_ACTION: &str = "alias/unknown-action";
/// The rule of an alias that leads to itself.
const CIRCLE: &str = "alias/circle";

/// How far a path leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matched {
    /// What it leads to; nothing when to nothing.
    pub kind: Option<Kind>,
    /// The part that was found.
    pub matched: Box<str>,
    /// What is left.
    pub rest: Box<str>,
    /// Whose it is.
    pub owner: ScopePath,
    /// What is found there is kept under this.
    pub uid: Option<Uuid>,
    /// The service that an alias stands for in the end.
    pub target: Option<Box<str>>,
    /// The instances of that service which the caller may see.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<Recorded>,
    /// What is decided about it, beside what was decided on the way.
    pub outcome: Outcome,
    /// By which rule.
    pub rule: Box<str>,
}

/// What a path can lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A scope.
    Scope,
    /// An alias.
    Alias,
    /// A service.
    Service,
}

/// A thing that a path may name, and whose it is.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// What.
    pub kind: Kind,
    /// Under which name.
    pub name: &'a str,
    /// Whose.
    pub owner: &'a ScopePath,
    /// The service that it is or stands for.
    pub service: Option<&'a str>,
}

/// What a policy says about a candidate.
pub type Said = (Outcome, Box<str>);

/// Follows a path as far as the caller may see. Whoever asks adds the records.
pub fn resolve(
    index: &Index,
    scopes: &Scopes,
    path: &str,
    action: &str,
    says: impl Fn(Candidate<'_>) -> Said,
) -> Matched {
    let root = scopes.root();
    let labels: Vec<&str> = path.split('/').filter(|label| !label.is_empty()).collect();
    for end in (1..=labels.len()).rev() {
        let (found, rest) = labels.split_at(end);
        let (found, rest) = (found.join("/"), rest.join("/"));
        for (candidate, uid, target) in named(index, scopes, &found) {
            let (kind, name, owner) = (candidate.0, &*candidate.1, &candidate.2);
            let (outcome, rule) = says(Candidate { kind, name, owner, service: target.as_deref() });
            if outcome == Outcome::Refuse {
                continue;
            }
            let (outcome, rule) = match candidate.0 {
                Kind::Alias => narrowed(index, &candidate.1, action, (outcome, rule)),
                Kind::Scope | Kind::Service => (outcome, rule),
            };
            let (matched, rest) = (found.into(), rest.into());
            let (kind, owner) = (Some(candidate.0), candidate.2);
            let records = Vec::new();
            return Matched { kind, matched, rest, owner, uid, target, records, outcome, rule };
        }
    }
    Matched {
        kind: None,
        matched: "".into(),
        rest: labels.join("/").into(),
        owner: root.clone(),
        uid: None,
        target: None,
        records: Vec::new(),
        outcome: Outcome::Resolve,
        rule: "unknown".into(),
    }
}

type Owned = (Kind, Box<str>, ScopePath);
type Found = (Owned, Option<Uuid>, Option<Box<str>>);

/// All that goes by a path: an alias first, then a service of the scope before it, then a scope.
fn named(index: &Index, scopes: &Scopes, path: &str) -> Vec<Found> {
    let root = scopes.root();
    let inner = path.strip_prefix(root.as_str()).and_then(|rest| rest.strip_prefix('/'));
    let mut found: Vec<Found> = Vec::new();
    let alias = index.record::<Alias>(path).or_else(|| index.record::<Alias>(inner?));
    if let Some(row) = alias {
        let target = service_of(index, &row.record);
        let owned = (Kind::Alias, row.record.path.clone(), row.record.scope.clone());
        found.push((owned, Some(row.uid), target));
    }
    let (before, name) = path.rsplit_once('/').unwrap_or(("", path));
    let scope = scope_at(scopes, before);
    if let (Some(scope), Some(row)) = (scope, index.service(name)) {
        let owner = scopes.owner_of_service(row.name.key()).unwrap_or(root);
        if *owner == scope {
            let owned = (Kind::Service, row.name.as_str().into(), scope);
            found.push((owned, None, Some(row.name.as_str().into())));
        }
    }
    if let Some(scope) = scope_at(scopes, path).filter(|_| !path.is_empty()) {
        let uid = index.record::<Scope>(scope.as_str()).map(|row| row.uid);
        found.push(((Kind::Scope, scope.as_str().into(), scope), uid, None));
    }
    found
}

/// The scope of a path, with the datacenter's label or without; the datacenter's own of an empty one.
fn scope_at(scopes: &Scopes, path: &str) -> Option<ScopePath> {
    let root = scopes.root();
    if path.is_empty() || path == root.as_str() {
        return Some(root.clone());
    }
    let known = |text: &str| {
        let path = ScopePath::parse(text).ok()?;
        scopes.get(&path).map(|scope| scope.path.clone())
    };
    known(path).or_else(|| known(&format!("{root}/{path}")))
}

/// The service that an alias leads to in the end; nothing when it leads nowhere.
fn service_of(index: &Index, alias: &Alias) -> Option<Box<str>> {
    let mut target = alias.target.clone();
    for _ in 0..ALIASES_MAX {
        let Some(next) = target.strip_prefix('/') else { return Some(target) };
        target = index.record::<Alias>(next)?.record.target.clone();
    }
    None
}

/// What an alias lets be done: never more than the policy.
fn narrowed(index: &Index, path: &str, action: &str, (outcome, rule): Said) -> Said {
    let Some(row) = index.record::<Alias>(path) else { return (outcome, rule) };
    if service_of(index, &row.record).is_none() {
        return (Outcome::Defer.and(outcome), CIRCLE.into());
    }
    match by_action(&row.record).get(action) {
        Some(said) if *said > outcome => (*said, format!("alias/{action}").into()),
        None if action != READ => (Outcome::Refuse, UNKNOWN_ACTION.into()),
        _ => (outcome, rule),
    }
}

/// The outcomes that an alias states by action.
pub fn by_action(alias: &Alias) -> BTreeMap<Box<str>, Outcome> {
    serde_json::from_str(&alias.by_action).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Change;
    use crate::clock::Time;
    use crate::index::Stamp;
    use crate::record::{AnyRecord, RecordChange, When};
    use crate::traversal::tests::index_with_services;

    fn alias(path: &str, target: &str, by_action: &str) -> AnyRecord {
        let alias = Alias {
            path: path.into(),
            scope: ScopePath::default(),
            target: target.into(),
            by_action: by_action.into(),
            version: 1,
        };
        AnyRecord::Alias(alias.into())
    }

    fn index() -> Index {
        let mut index = index_with_services();
        let records = [
            alias("geo", "web", "{}"),
            alias("geo/db", "db", r#"{"write": "refuse", "claim": "resolve"}"#),
            alias("hop", "/geo/db", "{}"),
            alias("round", "/round", "{}"),
        ];
        let put = |record| RecordChange::Put { record, when: When::Always };
        let stamp = Stamp { revision: 9, seq: 9, at: Time(9), salt: [1; 16] };
        index.apply(&stamp, &Change::Records(records.map(put).into()));
        index
    }

    #[test]
    fn the_longest_part_that_may_be_seen_is_matched() {
        let index = index();
        let root = ScopePath::default();
        let scopes = Scopes::of(&index, &root);
        let hidden = |name: &'static str| {
            move |candidate: Candidate<'_>| {
                let outcome =
                    if candidate.name == name { Outcome::Refuse } else { Outcome::Resolve };
                (outcome, "test".into())
            }
        };
        let cases = [
            ("geo/db/fr/x", "", "read", "geo/db", "fr/x", Outcome::Resolve),
            ("geo/db/fr/x", "geo/db", "read", "geo", "db/fr/x", Outcome::Resolve),
            ("geo/nothing", "geo/db", "read", "geo", "nothing", Outcome::Resolve),
            ("dc1/geo/db", "", "read", "dc1/geo/db", "", Outcome::Resolve),
            ("dc1/web/3", "", "read", "dc1/web", "3", Outcome::Resolve),
            ("dc1/none", "", "read", "dc1", "none", Outcome::Resolve),
            ("none/x", "", "read", "", "none/x", Outcome::Resolve),
            ("geo/db", "", "write", "geo/db", "", Outcome::Refuse),
            ("geo/db", "", "claim", "geo/db", "", Outcome::Resolve),
            ("geo/db", "", "fly", "geo/db", "", Outcome::Refuse),
            ("round", "", "read", "round", "", Outcome::Defer),
        ];
        for (path, hide, action, matched, rest, outcome) in cases {
            let found = resolve(&index, &scopes, path, action, hidden(hide));
            let told = (&*found.matched, &*found.rest, found.outcome);
            assert_eq!(told, (matched, rest, outcome), "{path} {action} without {hide:?}");
        }
        let target = |path| resolve(&index, &scopes, path, "read", hidden("")).target;
        assert_eq!(target("hop").as_deref(), Some("db"));
    }
}
