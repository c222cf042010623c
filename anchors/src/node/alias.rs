//! Alias checks: a check that says what the checks of another service or node say.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::definition::CheckSpec;
use super::{Leaf, Moved};
use crate::clock::Time;
use crate::index::NodeRow;
use crate::service::{Check, Status};

/// Whom an alias follows.
struct Followed<'a> {
    /// The alias itself.
    own: &'a str,
    /// The node as it was given; empty for the own.
    node: &'a str,
    /// The service's id; empty for the node's own checks.
    service: &'a str,
}

impl Leaf {
    /// The aliases that follow a node by name: the rim watches these nodes and tells by [`Leaf::heard_alias`].
    pub fn remote_aliases(&self) -> &BTreeMap<Arc<str>, Box<str>> {
        &self.remote_aliases
    }

    /// What the catalog says of the node that an alias follows; `None` when it does not know it.
    pub fn heard_alias(&mut self, id: &Arc<str>, row: Option<&NodeRow>, now: Time) -> Moved {
        let mut moved = Moved::default();
        if let Some((node, service)) = self.alias(id) {
            let followed = Followed { own: id, node: &node, service: &service };
            let checks =
                row.into_iter().flat_map(|row| row.checks.values()).map(|entry| &entry.check);
            let exists = || row.is_none_or(|row| has_service(row, &service));
            let (status, output) = followed.judge(checks, exists);
            self.set_state(id, status, output, now, &mut moved);
            self.follow_aliases(now, &mut moved);
        }
        moved
    }

    /// Brings the aliases up to date that follow what moved, or moved themselves. Aliases may follow aliases, so it goes
    /// round until none moves; a circle of them ends when each had its turn.
    pub(super) fn follow_aliases(&mut self, now: Time, moved: &mut Moved) {
        let mut last = moved.clone();
        for _ in 0..=self.aliases.len() {
            let concerned: Vec<_> =
                self.aliases.iter().filter(|(id, of)| last.concerns(id, of)).collect();
            let found: Vec<_> =
                concerned.into_iter().filter_map(|(id, of)| self.follow(id, of)).collect();
            if found.is_empty() {
                return;
            }
            last = Moved::default();
            for (id, status, output) in found {
                self.set_state(&id, status, output, now, &mut last);
            }
            moved.merge(last.clone());
        }
    }

    /// Brings every alias up to date.
    pub(super) fn follow_all_aliases(&mut self, now: Time, moved: &mut Moved) {
        let found: Vec<_> =
            self.aliases.iter().filter_map(|(id, of)| self.follow(id, of)).collect();
        for (id, status, output) in found {
            self.set_state(&id, status, output, now, moved);
        }
        self.follow_aliases(now, moved);
    }

    /// What an alias has to say now, when it says something else.
    fn follow(&self, id: &Arc<str>, service: &str) -> Option<(Arc<str>, Status, String)> {
        let followed = Followed { own: id, node: "", service };
        let ids = self.ids_of("").chain(self.ids_of(service));
        let checks = ids.filter_map(|id| self.checks.get(id)).map(|entry| &entry.check);
        let (status, output) = followed.judge(checks, || self.services.contains_key(service));
        let says = &self.checks.get(id)?.check;
        let quiet = says.status == status
            && (*says.output == *output || self.settings.discard_check_output);
        (!quiet).then(|| (Arc::clone(id), status, output))
    }

    fn alias(&self, id: &str) -> Option<(Box<str>, Box<str>)> {
        match self.checks.get(id)?.definition.as_deref()?.spec()? {
            CheckSpec::Alias { node, service } => Some((node, service)),
            _ => None,
        }
    }
}

impl Moved {
    /// Whether an alias has to look again: what it follows moved, or the node's own checks did, or itself.
    fn concerns(&self, alias: &str, followed: &str) -> bool {
        self.groups.contains_key(followed)
            || self.groups.contains_key("")
            || self.groups.values().any(|group| group.checks.contains(alias))
    }
}

impl Followed<'_> {
    /// The first critical check decides, else the last warning one.
    fn judge<'c>(
        &self,
        checks: impl Iterator<Item = &'c Check>,
        exists: impl FnOnce() -> bool,
    ) -> (Status, String) {
        let (mut status, mut output) = (Status::Passing, "No checks found.".to_owned());
        let mut found = false;
        for check in checks {
            let of = check.service_id().map_or("", |id| id.as_str());
            if !of.is_empty() && of != self.service {
                continue;
            }
            found |= of == self.service;
            match check.status {
                Status::Critical | Status::Warning => {
                    status = check.status.clone();
                    output =
                        format!("Aliased check {:?} failing: {}", check.name, self.said_by(check));
                    if status == Status::Critical {
                        break;
                    }
                }
                _ if status == Status::Passing => output = "All checks passing.".into(),
                _ => {}
            }
        }
        if !found && !exists() {
            return (
                Status::Critical,
                format!("Service {} could not be found on node {}", self.service, self.node),
            );
        }
        (status, output)
    }

    /// An alias among the node's own checks follows itself too. It does not repeat what it said, or its output would
    /// grow at each turn.
    fn said_by<'c>(&self, check: &'c Check) -> &'c str {
        if check.id.as_str() == self.own { "" } else { &check.output }
    }
}

fn has_service(row: &NodeRow, id: &str) -> bool {
    row.services.values().any(|instance| instance.service.id.as_str() == id)
}
