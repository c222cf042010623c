//! Policies: what may be created and what may be changed.

use std::sync::Arc;

use proconsul_anchors::acl::Policy;
use proconsul_anchors::acl::rules::Rules;
use proconsul_anchors::index::{Index, Row};

use crate::acl::{names, uuid};
use crate::reject::acl::{AclReject, Kind};
use crate::wire::acl::policy::PolicyForm;

/// The policies that Consul brings along: their ids and the names that they are called by in errors.
const BUILTIN: [(&str, &str); 2] = [
    ("00000000-0000-0000-0000-000000000001", "global-management"),
    ("00000000-0000-0000-0000-000000000002", "builtin/global-read-only"),
];

fn builtin(id: &str) -> Option<&'static str> {
    BUILTIN.iter().find(|(builtin, _)| *builtin == id).map(|(_, name)| *name)
}

/// The policy that a form writes; a new one gets the fresh id.
pub(crate) fn write(
    index: &Index,
    form: PolicyForm,
    fresh: impl FnOnce() -> String,
) -> Result<Policy, AclReject> {
    if form.name.is_empty() {
        return Err(AclReject::NoPolicyName);
    }
    names::check_policy(&form.name)?;
    let id = if form.id.is_empty() {
        if index.record_named::<Policy>(&form.name.to_lowercase()).is_some() {
            return Err(AclReject::NewPolicyNameTaken(form.name));
        }
        fresh()
    } else {
        check_change(index, &form)?
    };
    Rules::parse(&form.rules)?;
    Ok(Policy {
        id: id.into(),
        name: form.name.into(),
        description: form.description.into(),
        rules: form.rules.into(),
        datacenters: form.datacenters.map(|names| names.into_iter().map(Into::into).collect()),
    })
}

/// The id of the policy that a form changes.
fn check_change(index: &Index, form: &PolicyForm) -> Result<String, AclReject> {
    uuid::check(&form.id).map_err(|_| AclReject::PolicyId)?;
    let key = form.id.to_ascii_lowercase();
    let Some(row) = index.record::<Policy>(&key) else {
        return Err(AclReject::UnknownPolicy(form.id.clone()));
    };
    let taken = index.record_named::<Policy>(&form.name.to_lowercase());
    if *row.record.name != *form.name && taken.is_some() {
        return Err(AclReject::PolicyNameTaken(form.name.clone()));
    }
    if let Some(name) = builtin(&key) {
        if form.datacenters.is_some() {
            return Err(AclReject::BuiltinDatacenters(name));
        }
        if *form.rules != *row.record.rules {
            return Err(AclReject::BuiltinRules(name));
        }
    }
    Ok(key)
}

/// The policy to remove.
pub(crate) fn remove<'a>(index: &'a Index, id: &str) -> Result<&'a Arc<Row<Policy>>, AclReject> {
    let kind = Kind::Policy;
    let key = uuid::key(id).map_err(|fault| AclReject::Lookup { kind, fault })?;
    let row = index.record::<Policy>(&key).ok_or(AclReject::Undeletable(kind))?;
    match builtin(&key) {
        Some(name) => Err(AclReject::BuiltinDeleted(name)),
        None => Ok(row),
    }
}
