//! The rules of several policies, merged and laid out so that a question is answered at once.
//!
//! About one name the strongest of the rules wins (deny, write, list, read). The rule of the name itself comes before those of
//! its beginnings, and a longer beginning before a shorter one. What no rule speaks of is decided elsewhere: [`Verdict::Unsaid`].

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use super::act::{Access, Act, Reach, Resource};
use super::rules::{Level, Match, Rule, Rules};

/// What rules say to an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Some rule gives it.
    Allowed,
    /// Some rule withholds it.
    Denied,
    /// No rule speaks of it.
    Unsaid,
}

/// The merged rules of some policies.
#[derive(Debug, Default)]
pub struct Authorizer {
    whole: BTreeMap<Resource, Level>,
    named: BTreeMap<Resource, Segments>,
}

/// The rules of a resource, by name, in the order of the bytes.
#[derive(Debug, Default)]
struct Segments(Box<[Row]>);

/// The rules that have one text for their name.
#[derive(Debug, Default)]
struct Row {
    text: Box<str>,
    exact: Option<Level>,
    prefix: Option<Level>,
    /// The row of the longest shorter beginning of the text that has a prefix rule.
    parent: Option<usize>,
}

/// The rules of a text before they are laid out.
#[derive(Clone, Copy, Debug, Default)]
struct Merged {
    exact: Option<Given>,
    prefix: Option<Given>,
}

/// What merged rules give.
#[derive(Clone, Copy, Debug)]
struct Given {
    level: Level,
    intentions: Option<Level>,
}

/// The name that stands for all services in questions about intentions.
const EVERY_SERVICE: &str = "*";

// === impl Authorizer ===

impl Authorizer {
    /// Merges the rules of policies.
    pub fn of<'a>(policies: impl IntoIterator<Item = &'a Rules>) -> Self {
        let mut whole: BTreeMap<Resource, Level> = BTreeMap::new();
        let mut named: BTreeMap<Resource, BTreeMap<&str, Merged>> = BTreeMap::new();
        for rules in policies {
            for (resource, level) in &rules.whole {
                let there = whole.entry(*resource).or_insert(*level);
                *there = (*there).max(*level);
            }
            for rule in &rules.named {
                let rows = named.entry(rule.resource).or_default();
                rows.entry(&rule.name).or_default().merge(rule);
            }
        }
        let mut authorizer = Self { whole, named: BTreeMap::new() };
        for (resource, rows) in &named {
            authorizer.named.insert(*resource, Segments::of(rows, |given| given.level));
        }
        if let Some(services) = named.get(&Resource::Service) {
            let intentions = Segments::of(services, |given| given.for_intentions());
            authorizer.named.insert(Resource::Intention, intentions);
        }
        authorizer
    }

    /// What the rules say.
    pub fn ask(&self, act: Act<'_>) -> Verdict {
        let Act { resource, access, reach } = act;
        match reach {
            Reach::Whole => self.ask_whole(resource, access),
            Reach::Named(EVERY_SERVICE) if resource == Resource::Intention => {
                let reach = if access == Access::Write { Reach::All } else { Reach::Any };
                self.ask_named(resource, access, reach)
            }
            reach => self.ask_named(resource, access, reach),
        }
    }

    /// The mesh and peerings are the operators' where no rule speaks of them.
    fn ask_whole(&self, resource: Resource, access: Access) -> Verdict {
        let level = self.whole.get(&resource).or_else(|| match resource {
            Resource::Mesh | Resource::Peering => self.whole.get(&Resource::Operator),
            _ => None,
        });
        verdict(level.copied(), access)
    }

    fn ask_named(&self, resource: Resource, access: Access, reach: Reach<'_>) -> Verdict {
        let Some(segments) = self.named.get(&resource) else { return Verdict::Unsaid };
        match reach {
            Reach::Whole => Verdict::Unsaid,
            Reach::Named(name) => verdict(segments.level(name), access),
            Reach::Under(prefix) => segments.under(prefix, access),
            Reach::Any => segments.any(access),
            Reach::All => segments.all(access),
        }
    }
}

fn verdict(level: Option<Level>, access: Access) -> Verdict {
    match level {
        None => Verdict::Unsaid,
        Some(level) if level.gives(access) => Verdict::Allowed,
        Some(_) => Verdict::Denied,
    }
}

// === impl Merged ===

impl Merged {
    fn merge(&mut self, rule: &Rule) {
        let slot = match rule.matches {
            Match::Exact => &mut self.exact,
            Match::Prefix => &mut self.prefix,
        };
        let Rule { level, intentions, .. } = *rule;
        *slot = Some(slot.map_or(Given { level, intentions }, |there| Given {
            level: there.level.max(level),
            intentions: there.intentions.max(intentions),
        }));
    }
}

impl Given {
    /// Whoever may look at a service may look at its intentions.
    fn for_intentions(&self) -> Level {
        self.intentions.unwrap_or(match self.level {
            Level::Read | Level::Write => Level::Read,
            Level::List | Level::Deny => Level::Deny,
        })
    }
}

// === impl Segments ===

impl Segments {
    fn of(merged: &BTreeMap<&str, Merged>, level: impl Fn(&Given) -> Level) -> Self {
        let mut rows: Vec<Row> = Vec::with_capacity(merged.len());
        for (text, merged) in merged {
            let parent = prefix_row(&rows, text);
            rows.push(Row {
                text: (*text).into(),
                exact: merged.exact.as_ref().map(&level),
                prefix: merged.prefix.as_ref().map(&level),
                parent,
            });
        }
        Self(rows.into())
    }

    /// What the most specific rule about a name gives.
    fn level(&self, name: &str) -> Option<Level> {
        let before = self.0.partition_point(|row| &*row.text <= name);
        let row = self.0.get(before.checked_sub(1)?)?;
        if row.exact.is_some() && &*row.text == name {
            return row.exact;
        }
        self.prefix_level(before, name)
    }

    /// What the longest beginning of a name gives; the rows before `before` are not greater than the name.
    fn prefix_level(&self, before: usize, name: &str) -> Option<Level> {
        prefix_row(&self.0[..before], name).and_then(|at| self.0[at].prefix)
    }

    /// Every name that begins so: the rule about the beginning gives it, and none about a longer name withholds it.
    fn under(&self, prefix: &str, access: Access) -> Verdict {
        let before = self.0.partition_point(|row| &*row.text <= prefix);
        let base = verdict(self.prefix_level(before, prefix), access);
        if base == Verdict::Denied {
            return base;
        }
        let first = self.0.partition_point(|row| &*row.text < prefix);
        let below = self.0[first..].iter().take_while(|row| row.text.starts_with(prefix));
        let withheld = |row: &Row| row.levels().any(|level| !level.gives(access));
        if below.into_iter().any(withheld) { Verdict::Denied } else { base }
    }

    /// Some name: a rule gives it.
    fn any(&self, access: Access) -> Verdict {
        if self.0.iter().flat_map(Row::levels).any(|level| level.gives(access)) {
            return Verdict::Allowed;
        }
        verdict(self.for_all(), access)
    }

    /// All names: the rule about all gives it, and no other withholds it.
    fn all(&self, access: Access) -> Verdict {
        if self.0.iter().flat_map(Row::levels).any(|level| !level.gives(access)) {
            return Verdict::Denied;
        }
        verdict(self.for_all(), access)
    }

    /// What the rule about the empty beginning gives.
    fn for_all(&self) -> Option<Level> {
        self.0.first().filter(|row| row.text.is_empty()).and_then(|row| row.prefix)
    }
}

/// The row of the longest beginning of a text among rows that are not greater than it.
///
/// Whatever stands between a beginning of the text and the text has the same beginning: the last row's parents lead to it.
fn prefix_row(rows: &[Row], text: &str) -> Option<usize> {
    let mut at = rows.len().checked_sub(1);
    while let Some(index) = at {
        let row = &rows[index];
        if row.prefix.is_some() && text.starts_with(&*row.text) {
            return at;
        }
        at = row.parent;
    }
    None
}

// === impl Row ===

impl Row {
    fn levels(&self) -> impl Iterator<Item = Level> {
        self.exact.into_iter().chain(self.prefix)
    }
}
