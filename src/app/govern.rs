//! Scopes and policies of the configuration become records of the index, at the start and on each reload.

use std::collections::BTreeSet;
use std::fs;

use proconsul_anchors::caller::Caller;
use proconsul_anchors::change::Change;
use proconsul_anchors::handle::Handle;
use proconsul_anchors::index::Index;
use proconsul_anchors::policy::Module;
use proconsul_anchors::record::{AnyRecord, Record as _, RecordChange, TableId, When};
use proconsul_anchors::scope::{Scope, ScopePath, ScopePolicy};

use crate::config::{Governed, PolicyEntry, PolicySource, reason};

/// Writes what the configuration says and is not there like that, and removes what it said before and does not any more.
/// All of it, or nothing.
///
/// # Errors
/// The block at fault and why. Nothing has changed then.
pub(super) async fn settle(handle: &Handle, governed: &Governed) -> Result<(), String> {
    let policies: Result<Vec<_>, String> = governed.policies.iter().map(policy).collect();
    let changes =
        difference(&handle.snapshot(), governed.scopes.clone(), policies?, &handle.root());
    let found = !governed.scopes.is_empty();
    if !changes.is_empty() {
        let change = Change::Records(changes);
        handle.submit(&Caller::own(), change).await.map_err(|refusal| refusal.to_string())?;
    }
    handle.set_default_scope(governed.default.clone());
    if found && let Err(error) = handle.found_trust().await {
        return Err(format!("the anchor has no credential: {error}"));
    }
    Ok(())
}

/// A policy with its text, which is compiled once to see that it can be.
fn policy(entry: &PolicyEntry) -> Result<ScopePolicy, String> {
    let name = &entry.name;
    let (rego, at) = match &entry.source {
        PolicySource::Text(text) => (text.clone(), "rego".to_owned()),
        PolicySource::File(path) => {
            let failed =
                |fault| format!("policy {name:?}: file {}: {}", path.display(), reason(&fault));
            (fs::read_to_string(path).map_err(failed)?, format!("file {}", path.display()))
        }
    };
    Module::check(name, &rego).map_err(|fault| format!("policy {name:?}: {at}: {fault}"))?;
    Ok(ScopePolicy {
        name: name.as_str().into(),
        scope: entry.scope.clone().unwrap_or_default(),
        rego: rego.into(),
        version: 0,
        from_configuration: true,
    })
}

fn difference(
    index: &Index,
    scopes: Vec<Scope>,
    policies: Vec<ScopePolicy>,
    root: &ScopePath,
) -> Vec<RecordChange> {
    let mut wanted = BTreeSet::new();
    let mut changes = Vec::new();
    let put = |record| RecordChange::Put { record, when: When::Always };
    for policy in policies {
        let there = index.record::<ScopePolicy>(&policy.name).map(|row| &row.record);
        let scope =
            if policy.scope == ScopePath::default() { root.clone() } else { policy.scope.clone() };
        let version = there.map_or(0, |there| there.version);
        let same = ScopePolicy { scope, version, ..policy };
        wanted.insert((TableId::ScopePolicy, same.key()));
        if there != Some(&same) {
            changes.push(put(AnyRecord::ScopePolicy(Box::new(ScopePolicy {
                version: version + 1,
                ..same
            }))));
        }
    }
    for scope in scopes {
        wanted.insert((TableId::Scope, scope.key()));
        if index.record::<Scope>(&scope.key()).is_none_or(|row| row.record != scope) {
            changes.push(put(AnyRecord::Scope(Box::new(scope))));
        }
    }
    let scopes = index.records::<Scope>().filter(|row| row.record.from_configuration);
    let scopes = scopes.map(|row| (TableId::Scope, row.record.key()));
    let policies = index.records::<ScopePolicy>().filter(|row| row.record.from_configuration);
    let policies = policies.map(|row| (TableId::ScopePolicy, row.record.key()));
    let gone = scopes.chain(policies).filter(|id| !wanted.contains(id));
    changes.extend(gone.map(|(table, key)| RecordChange::Remove {
        table,
        key: key.as_ref().into(),
        when: When::Always,
    }));
    changes
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proconsul_anchors::acl::AclSettings;
    use proconsul_anchors::group::GroupSettings;
    use proconsul_anchors::store::Store;

    use super::*;

    fn scope(path: &str, policy: Option<&str>) -> Scope {
        let (path, policy) = (path.parse().unwrap(), policy.map(Into::into));
        Scope { path, policy, from_configuration: true, ..Scope::default() }
    }

    fn text(name: &str, rego: &str) -> PolicyEntry {
        let (name, source) = (name.to_owned(), PolicySource::Text(rego.to_owned()));
        PolicyEntry { name, scope: None, source }
    }

    /// Every record with its revision.
    fn records(handle: &Handle) -> Vec<(String, u64)> {
        let index = handle.snapshot();
        let scopes =
            index.records::<Scope>().map(|row| (row.record.path.to_string(), row.modified));
        let policies = index
            .records::<ScopePolicy>()
            .map(|row| (format!("{}@{}", row.record.name, row.record.version), row.modified));
        scopes.chain(policies).collect()
    }

    #[tokio::test]
    async fn what_the_configuration_says_is_there_and_what_it_said_is_not() {
        let settings = GroupSettings { scope: "dc1".into(), member: "n1".into() };
        let (store, clock) =
            (Arc::new(Store::in_memory().unwrap()), Arc::new(super::super::SystemClock));
        let handle = Handle::open(store, settings, AclSettings::default(), clock).await.unwrap();
        let rego = "package p\ndefault decision := {\"outcome\": \"resolve\", \"rule\": \"r\"}\n";
        let mut governed = Governed {
            scopes: vec![scope("dc1/a", Some("p")), scope("dc1/a/b", None)],
            policies: vec![text("p", rego)],
            default: None,
        };
        settle(&handle, &governed).await.unwrap();
        let first = records(&handle);
        let names: Vec<&str> = first.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["dc1/a", "dc1/a/b", "p@1"]);
        settle(&handle, &governed).await.unwrap();
        assert_eq!(records(&handle), first, "the same again writes nothing");
        governed.scopes = vec![scope("dc1/a", Some("q"))];
        let missing = settle(&handle, &governed).await.unwrap_err();
        assert_eq!(missing, "scope dc1/a: policy: there is no policy \"q\"");
        governed.policies = vec![text("q", "package p\nnonsense")];
        let broken = settle(&handle, &governed).await.unwrap_err();
        assert!(broken.starts_with("policy \"q\": rego: "), "{broken}");
        assert_eq!(records(&handle), first, "a fault changes nothing");
        governed.policies = vec![text("q", rego)];
        settle(&handle, &governed).await.unwrap();
        let names: Vec<String> = records(&handle).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["dc1/a", "q@1"]);
    }
}
