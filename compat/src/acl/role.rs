//! Roles: what may be created and what may be changed.

use proconsul_anchors::acl::Role;
use proconsul_anchors::index::Index;

use crate::acl::{links, names, uuid};
use crate::reject::acl::{AclReject, Owner};
use crate::wire::acl::role::RoleForm;

/// The role that a form writes; a new one gets the fresh id.
pub(crate) fn write(
    index: &Index,
    form: RoleForm,
    fresh: impl FnOnce() -> String,
) -> Result<Role, AclReject> {
    if form.name.is_empty() {
        return Err(AclReject::NoRoleName);
    }
    if !names::is_role(&form.name) {
        return Err(AclReject::RoleName);
    }
    let id = if form.id.is_empty() {
        if index.record_named::<Role>(&form.name.to_lowercase()).is_some() {
            return Err(AclReject::NewRoleNameTaken(form.name));
        }
        fresh()
    } else {
        check_change(index, &form)?
    };
    // Links by name are resolved first; ids are looked up when all else is fine.
    let (by_id, by_name): (Vec<_>, Vec<_>) =
        form.policies.iter().map(|link| link.0.clone()).partition(|link| !link.id.is_empty());
    links::policies(index, by_name.into_iter(), Owner::Role)?;
    let service_identities = links::services(form.service_identities.0, Owner::Role, false)?;
    let node_identities = links::nodes(form.node_identities.0, Owner::Role)?;
    let templated_policies = links::templated(form.templated_policies.0, Owner::Role)?;
    links::policies(index, by_id.into_iter(), Owner::Role)?;
    let policies = links::policies(index, form.policies.into_iter().map(Into::into), Owner::Role)?;
    Ok(Role {
        id: id.into(),
        name: form.name.into(),
        description: form.description.into(),
        policies,
        service_identities,
        node_identities,
        templated_policies,
    })
}

/// The id of the role that a form changes.
fn check_change(index: &Index, form: &RoleForm) -> Result<String, AclReject> {
    uuid::check(&form.id).map_err(|_| AclReject::RoleId)?;
    let key = form.id.to_ascii_lowercase();
    let Some(row) = index.record::<Role>(&key) else {
        return Err(AclReject::UnknownRole(form.id.clone()));
    };
    let taken = index.record_named::<Role>(&form.name.to_lowercase());
    if *row.record.name != *form.name && taken.is_some() {
        return Err(AclReject::RoleNameTaken(form.name.clone()));
    }
    Ok(key)
}
