//! `service-intentions`: who may speak with a service.

use std::collections::{BTreeMap, BTreeSet};

use crate::entries::Outside;
use crate::entries::shared::{
    META_KEY_BYTES_MAX, META_VALUE_BYTES_MAX, Meta, WILDCARD, check_meta, meta_pairs_max,
};
use crate::text::{Verdict, quote, refuse};
use crate::wire::{Indexes, List, Moment, record};

mod permission;

pub(crate) use permission::{JwtRequirement, Permission};

record! {
    /// Who may speak with a service.
    ServiceIntentions = "ServiceIntentionsConfigEntry" tenant {
        kind: String = "Kind" always,
        name: String = "Name" always,
        sources: List<Source> = "Sources" always,
        jwt: Option<Box<JwtRequirement>> = "JWT" omit,
        meta: Meta = "Meta" omit,
        hash: u64 = "Hash" hash,
        rows: Indexes = "RaftIndex" rows,
    }
}

record! {
    /// Who, and whether it may.
    Source = "SourceIntention" tenant {
        name: String = "Name" always,
        action: String = "Action" omit,
        permissions: Vec<Permission> = "Permissions" omit,
        precedence: i64 = "Precedence" always,
        legacy_id: String = "LegacyID" | "legacy_id" omit,
        kind: String = "Type" always,
        description: String = "Description" omit,
        legacy_meta: Meta = "LegacyMeta" | "legacy_meta" omit,
        legacy_created: Option<Box<Moment>> = "LegacyCreateTime" | "legacy_create_time" omit,
        legacy_updated: Option<Box<Moment>> = "LegacyUpdateTime" | "legacy_update_time" omit,
        peer: String = "Peer" omit,
        sameness_group: String = "SamenessGroup" | "sameness_group" omit,
    }
}

/// Through which of the two interfaces intentions are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// As an entry, or by their exact names.
    Entry,
    /// By their ids.
    ById,
}

// === impl ServiceIntentions ===

impl ServiceIntentions {
    pub(crate) fn normalize(&mut self) -> Verdict {
        self.settle(Manner::Entry);
        Ok(())
    }

    pub(crate) fn settle(&mut self, manner: Manner) {
        "service-intentions".clone_into(&mut self.kind);
        let exact = i64::from(self.name != WILDCARD);
        for source in self.sources.iter_mut() {
            if source.kind.is_empty() {
                "consul".clone_into(&mut source.kind);
            }
            source.precedence = 5 + 3 * exact + i64::from(source.name != WILDCARD);
            if manner == Manner::Entry {
                source.legacy_id.clear();
                source.legacy_created = None;
                source.legacy_updated = None;
            }
            for permission in &mut source.permissions {
                let methods = permission.http.iter_mut().flat_map(|http| http.methods.iter_mut());
                methods.for_each(|method| *method = method.to_uppercase());
            }
        }
        self.sources.sort_by_key(|source| std::cmp::Reverse(source.precedence));
    }

    pub(crate) fn validate(&self, _: &dyn Outside) -> Verdict {
        self.check(Manner::Entry)
    }

    pub(crate) fn check(&self, manner: Manner) -> Verdict {
        if self.name.is_empty() {
            refuse!("Name is required");
        }
        check_wildcard(&self.name)?;
        self.jwt.as_ref().map_or(Ok(()), |jwt| jwt.validate())?;
        if manner == Manner::Entry {
            check_meta(&self.meta).verdict()?;
        } else if !self.meta.is_empty() {
            refuse!("Meta must be omitted for legacy intention writes");
        }
        if self.sources.is_empty() {
            refuse!("At least one source is required");
        }
        let mut seen = BTreeSet::new();
        for (at, source) in self.sources.iter().enumerate() {
            source.check(at, manner, self.name == WILDCARD)?;
            if seen.insert((&source.name, &source.peer)) {
                continue;
            }
            let name = quote(&source.name);
            if source.peer.is_empty() {
                refuse!("Sources[{at}] defines {name} more than once");
            }
            refuse!("Sources[{at}] defines peer({}) {name} more than once", quote(&source.peer));
        }
        Ok(())
    }

    /// Takes over what an entry that is written anew keeps of the one before it.
    pub(crate) fn follow(&mut self, former: &Self) -> Verdict {
        let by_id: BTreeMap<&str, &Source> =
            former.sources.iter().map(|source| (source.legacy_id.as_str(), source)).collect();
        for (at, source) in self.sources.iter_mut().enumerate() {
            if source.legacy_id.is_empty() {
                continue;
            }
            let before = former
                .sources
                .iter()
                .find(|before| before.name == source.name && before.peer == source.peer);
            if before.is_some_and(|before| before.legacy_id.is_empty()) {
                refuse!("Sources[{at}].LegacyID: cannot set this field");
            }
            if before.is_some_and(|before| before.legacy_id != source.legacy_id) {
                refuse!("Sources[{at}].LegacyID: cannot set this field to a different value");
            }
            let created = by_id.get(source.legacy_id.as_str());
            if let Some(created) = created.and_then(|before| before.legacy_created.clone()) {
                source.legacy_created = Some(created);
            }
        }
        Ok(())
    }

    /// Whether requests are told apart.
    pub(crate) fn has_permissions(&self) -> bool {
        self.sources.iter().any(|source| !source.permissions.is_empty())
    }

    /// The signers of tokens that are asked for.
    pub(crate) fn providers(&self) -> BTreeSet<&str> {
        let permissions = self.sources.iter().flat_map(|source| &source.permissions);
        let below = permissions.filter_map(|permission| permission.jwt.as_ref());
        let all = self.jwt.iter().chain(below);
        all.flat_map(|jwt| &jwt.providers).map(|provider| provider.name.as_str()).collect()
    }
}

/// Whether a wildcard stands alone.
pub(crate) fn check_wildcard(name: &str) -> Verdict {
    if name != WILDCARD && name.contains('*') {
        refuse!("Name: wildcard character '*' cannot be used with partial values");
    }
    Ok(())
}

// === impl Source ===

impl Source {
    fn check(&self, at: usize, manner: Manner, to_all: bool) -> Verdict {
        let place = format!("Sources[{at}]");
        if self.name.is_empty() {
            refuse!("{place}.Name is required");
        }
        if !self.sameness_group.is_empty() {
            refuse!("{place}.SamenessGroup: Sameness groups are a Consul Enterprise feature. ");
        }
        check_wildcard(&self.name).map_err(|reason| reason.under(format!("{place}.")))?;
        if self.peer.contains('*') {
            refuse!("{place}.Peer: cannot use wildcard '*' in peer");
        }
        if self.description.len() > META_VALUE_BYTES_MAX {
            refuse!("{place}.Description exceeds maximum length {META_VALUE_BYTES_MAX}");
        }
        match manner {
            Manner::ById => self.check_legacy(&place)?,
            Manner::Entry if !self.legacy_meta.is_empty() => {
                refuse!("{place}.LegacyMeta must be omitted")
            }
            Manner::Entry => {}
        }
        let acts = matches!(self.action.as_str(), "allow" | "deny");
        if (manner == Manner::ById || self.permissions.is_empty()) && !acts {
            refuse!("{place}.Action must be set to 'allow' or 'deny'");
        }
        if !self.permissions.is_empty() && !self.action.is_empty() {
            refuse!("{place}.Action must be omitted if Permissions are specified");
        }
        if to_all && !self.permissions.is_empty() {
            refuse!(
                "{place}.Permissions cannot be specified on intentions with wildcarded destinations"
            );
        }
        if self.kind != "consul" {
            refuse!("{place}.Type must be set to 'consul'");
        }
        let mut numbered = self.permissions.iter().enumerate();
        numbered.try_for_each(|(at, permission)| {
            permission.validate(&format!("{place}.Permissions[{at}]"))
        })
    }

    fn check_legacy(&self, place: &str) -> Verdict {
        if !self.peer.is_empty() {
            refuse!("{place}.Peer cannot be set by legacy intentions");
        }
        if self.legacy_meta.len() > meta_pairs_max() {
            refuse!("{place}.Meta exceeds maximum element count {}", meta_pairs_max());
        }
        for (key, value) in &self.legacy_meta {
            let quoted = quote(key);
            if key.len() > META_KEY_BYTES_MAX {
                refuse!("{place}.Meta key {quoted} exceeds maximum length {META_KEY_BYTES_MAX}");
            }
            if value.len() > META_VALUE_BYTES_MAX {
                refuse!(
                    "{place}.Meta value for key {quoted} exceeds maximum length {META_VALUE_BYTES_MAX}"
                );
            }
        }
        if self.legacy_id.is_empty() {
            refuse!("{place}.LegacyID must be set");
        }
        Ok(())
    }
}
