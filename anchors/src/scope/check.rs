//! Whether scopes fit together: what one record says against what the others say.

use serde::{Deserialize, Serialize};

use super::facts::Binding;
use super::names::Span;
use super::{Budget, NameRange, Scope, ScopePath, Scopes};
use crate::limits::{SCOPE_LABELS, SCOPE_NAMES_MAX, SCOPE_TEXT_BYTES_MAX, SCOPES_MAX};

/// Why scopes do not fit together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum ScopeFault {
    /// It lies in another datacenter.
    #[error("scope {path}: its first label must be this datacenter's name, {datacenter}")]
    Datacenter {
        /// The scope.
        path: ScopePath,
        /// This datacenter.
        datacenter: Box<str>,
    },
    /// It would lie under a scope that is not there.
    #[error(
        "scope {path}: there is no scope {parent} that it could lie under; write that one first"
    )]
    Parent {
        /// The scope.
        path: ScopePath,
        /// The missing one.
        parent: ScopePath,
    },
    /// It lies too deep.
    #[error("scope {path}: only {depth} labels may lie under {above}; see the depth of that scope")]
    Depth {
        /// The scope.
        path: ScopePath,
        /// The one that bounds it.
        above: ScopePath,
        /// How many labels that one allows.
        depth: u32,
    },
    /// A name would have two owners.
    #[error(
        "scope {path}: {kind} {range:?} has names of scope {other}, {theirs:?}: a name has one owner"
    )]
    Taken {
        /// The scope.
        path: ScopePath,
        /// `services` or `keys`.
        kind: Box<str>,
        /// What it would have.
        range: Box<str>,
        /// Whose it is.
        other: ScopePath,
        /// What that one has.
        theirs: Box<str>,
    },
    /// Instances of a name belong to a scope that lies elsewhere.
    #[error(
        "scope {path}: instances of service {name} belong to scope {owner}; deregister them first"
    )]
    InUse {
        /// The scope.
        path: ScopePath,
        /// The name.
        name: Box<str>,
        /// Whose the instances are.
        owner: ScopePath,
    },
    /// It has instances.
    #[error("scope {path} has {instances} instances of services; deregister them first")]
    Occupied {
        /// The scope.
        path: ScopePath,
        /// How many.
        instances: u64,
    },
    /// A field cannot be as it is.
    #[error("scope {path}: {field}: {why}")]
    Field {
        /// The scope.
        path: ScopePath,
        /// The field.
        field: Box<str>,
        /// What is wrong, and what would be right.
        why: Box<str>,
    },
    /// There are too many.
    #[error("{count} scopes are too many; at most {SCOPES_MAX} are possible")]
    Many {
        /// As many as there would be.
        count: usize,
    },
}

// === impl Scopes ===

impl Scopes {
    /// All that does not fit together. `is_policy` tells whether a policy of this name is there.
    pub fn faults(&self, is_policy: impl Fn(&str) -> bool) -> Vec<ScopeFault> {
        let all: Vec<&Scope> = self.all_under(self.root()).map(AsRef::as_ref).collect();
        if self.len() > SCOPES_MAX {
            return vec![ScopeFault::Many { count: self.len() }];
        }
        let mut faults: Vec<ScopeFault> = self.strangers().collect();
        for scope in &all {
            faults.extend(self.place_fault(scope));
            faults.extend(field_faults(scope, &is_policy));
            faults.extend(self.budget_fault(scope));
        }
        let services = |scope: &&'_ Scope| scope.services.clone();
        let keys = |scope: &&Scope| scope.keys.iter().cloned().map(NameRange::Prefix).collect();
        faults.extend(two_owners(&all, "services", services));
        faults.extend(two_owners(&all, "keys", keys));
        faults
    }

    fn strangers(&self) -> impl Iterator<Item = ScopeFault> {
        let elsewhere = self.paths().iter().filter(|path| !path.is_within(self.root()));
        elsewhere.map(|path| ScopeFault::Datacenter {
            path: path.clone(),
            datacenter: self.root().as_str().into(),
        })
    }

    fn place_fault(&self, scope: &Scope) -> Option<ScopeFault> {
        let path = scope.path.clone();
        if let Some(parent) = path.parent()
            && self.get(&parent).is_none()
        {
            return Some(ScopeFault::Parent { path, parent });
        }
        let bounds = self.chain(&path).iter().filter_map(|above| {
            let depth = above.depth.or((above.path == *self.root()).then_some(SCOPE_LABELS))?;
            Some((above.path.clone(), depth))
        });
        let mut broken =
            bounds.filter(|(above, depth)| path.depth() - above.depth() > *depth as usize);
        let (above, depth) = broken.next()?;
        Some(ScopeFault::Depth { path, above, depth })
    }

    /// What a scope may hold is no more than what each above it may.
    fn budget_fault(&self, scope: &Scope) -> Option<ScopeFault> {
        let above = self.chain(&scope.path).iter().rev().skip(1);
        above.into_iter().find_map(|above| {
            let (field, ours, theirs) = looser(&scope.budget, &above.budget)?;
            let why = format!(
                "{ours} is more than scope {}, under which it lies, may hold: {theirs}",
                above.path
            );
            Some(fault(scope, &format!("budget.{field}"), &why))
        })
    }
}

fn looser(ours: &Budget, theirs: &Budget) -> Option<(&'static str, u64, u64)> {
    let both = [
        ("services", ours.services, theirs.services),
        ("instances", ours.instances, theirs.instances),
        ("writes_per_second", ours.writes_per_second, theirs.writes_per_second),
        ("kv_bytes", ours.kv_bytes, theirs.kv_bytes),
    ];
    let told = both.into_iter().filter_map(|(name, a, b)| Some((name, a?, b?)));
    told.into_iter().find(|(_, ours, theirs)| ours > theirs)
}

fn fault(scope: &Scope, field: &str, why: &str) -> ScopeFault {
    ScopeFault::Field { path: scope.path.clone(), field: field.into(), why: why.into() }
}

fn field_faults(scope: &Scope, is_policy: &impl Fn(&str) -> bool) -> Vec<ScopeFault> {
    let mut faults = Vec::new();
    for (field, policy) in [("policy", &scope.policy), ("inherit", &scope.inherit)] {
        if let Some(name) = policy
            && !is_policy(name)
        {
            faults.push(fault(scope, field, &format!("there is no policy {name:?}")));
        }
    }
    let count = scope.services.len() + scope.keys.len() + scope.callers.len();
    if count > SCOPE_NAMES_MAX {
        let why = format!("{count} are too many; at most {SCOPE_NAMES_MAX} are possible");
        faults.push(fault(scope, "services, keys and callers", &why));
    }
    let services = scope.services.iter().filter_map(|range| Some(("services", name_fault(range)?)));
    let keys = scope.keys.iter().filter_map(|key| Some(("keys", text_fault(key)?)));
    let callers = scope.callers.iter().filter_map(|rule| {
        let why = match Binding::of(rule, &scope.path) {
            None => "source must be a network such as 10.0.0.0/8",
            Some(_) if *rule == super::CallerRule::default() => "it must say who it is",
            Some(_) => return None,
        };
        Some(("callers", why.to_owned()))
    });
    let owner = text_fault(&scope.owner).filter(|_| !scope.owner.is_empty());
    let found = services.chain(keys).chain(callers).chain(owner.map(|why| ("owner", why)));
    faults.extend(found.map(|(field, why)| fault(scope, field, &why)));
    faults
}

fn name_fault(range: &NameRange) -> Option<String> {
    let (NameRange::Exact(name) | NameRange::Prefix(name) | NameRange::Range(name, _)) = range;
    let last = if let NameRange::Range(_, below) = range { below } else { name };
    if matches!(range, NameRange::Exact(name) if name.is_empty()) {
        return Some("a name must not be empty".to_owned());
    }
    if Span::of(range).is_empty() {
        let text = range.to_string();
        return Some(format!("{text:?} has no names: its end must come after its beginning"));
    }
    [name, last].into_iter().find_map(|name| {
        let lower = *name.to_lowercase() == **name;
        if lower { text_fault(name) } else { Some(format!("{name:?} must be in lower case")) }
    })
}

fn text_fault(text: &str) -> Option<String> {
    (text.len() > SCOPE_TEXT_BYTES_MAX).then(|| {
        format!("{} bytes are too long; at most {SCOPE_TEXT_BYTES_MAX} are possible", text.len())
    })
}

/// Names that two scopes have of which neither lies under the other.
fn two_owners(
    all: &[&Scope],
    kind: &str,
    ranges: impl Fn(&&Scope) -> Vec<NameRange>,
) -> Vec<ScopeFault> {
    let spans = all.iter().flat_map(|scope| {
        ranges(scope).into_iter().map(move |range| (Span::of(&range), range, &scope.path))
    });
    let mut spans: Vec<(Span, NameRange, &ScopePath)> = spans.collect();
    spans.sort_by(|a, b| a.0.from.cmp(&b.0.from).then(a.2.cmp(b.2)));
    let mut faults = Vec::new();
    for (at, (span, range, path)) in spans.iter().enumerate() {
        let later = spans[at + 1..].iter().take_while(|(other, ..)| !span.is_below(&other.from));
        let mut stranger = later.filter(|(.., other)| !related(path, other));
        if let Some((_, theirs, other)) = stranger.next() {
            faults.push(ScopeFault::Taken {
                path: (*other).clone(),
                kind: kind.into(),
                range: theirs.to_string().into(),
                other: (*path).clone(),
                theirs: range.to_string().into(),
            });
        }
    }
    faults
}

/// Whether one of both is the other or lies under it.
pub(crate) fn related(a: &ScopePath, b: &ScopePath) -> bool {
    a.is_within(b) || b.is_within(a)
}
