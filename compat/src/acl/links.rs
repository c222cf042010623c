//! What tokens and roles are given: links by id or name become ids, identities are checked, doubles are left out.

use proconsul_anchors::acl::{NodeIdentity, Policy, Role, ServiceIdentity, TemplatedPolicy};
use proconsul_anchors::index::{Index, Kept};

use crate::acl::names::is_identity;
use crate::acl::templates;
use crate::acl::uuid;
use crate::reject::acl::{AclReject, Kind, Owner};
use crate::wire::acl::links::{Link, NodeIdentityForm, ServiceIdentityForm, TemplatedPolicyForm};

/// The ids of the policies that these links name.
pub(crate) fn policies(
    index: &Index,
    links: impl Iterator<Item = Link>,
    owner: Owner,
) -> Result<Vec<Box<str>>, AclReject> {
    unique(links.map(|link| resolve::<Policy>(index, link, Kind::Policy, owner)))
}

/// The ids of the roles that these links name.
pub(crate) fn roles(
    index: &Index,
    links: impl Iterator<Item = Link>,
) -> Result<Vec<Box<str>>, AclReject> {
    unique(links.map(|link| resolve::<Role>(index, link, Kind::Role, Owner::Token)))
}

fn unique(
    ids: impl Iterator<Item = Result<Box<str>, AclReject>>,
) -> Result<Vec<Box<str>>, AclReject> {
    let mut found = Vec::new();
    for id in ids {
        let id = id?;
        if !found.contains(&id) {
            found.push(id);
        }
    }
    Ok(found)
}

fn resolve<T: Kept>(
    index: &Index,
    link: Link,
    kind: Kind,
    owner: Owner,
) -> Result<Box<str>, AclReject> {
    if link.id.is_empty() {
        let row = index.record_named::<T>(&link.name.to_lowercase());
        let name = link.name;
        return row
            .map(|row| row.record.key().as_ref().into())
            .ok_or(AclReject::LinkName { kind, name });
    }
    let id = link.id;
    match (uuid::key(&id), owner) {
        (Ok(key), _) if index.record::<T>(&key).is_some() => Ok(key.into()),
        (Ok(_), Owner::Token) => Err(AclReject::LinkId { kind, id }),
        (Ok(_), Owner::Role) => Err(AclReject::RoleLinkId(id)),
        (Err(fault), Owner::Token) => Err(AclReject::LinkLookup { kind, id, fault }),
        (Err(fault), Owner::Role) => Err(AclReject::RoleLinkLookup(fault)),
    }
}

/// The services for which somebody may speak; those of one name are joined with all their datacenters.
pub(crate) fn services(
    forms: Vec<ServiceIdentityForm>,
    owner: Owner,
    local: bool,
) -> Result<Vec<ServiceIdentity>, AclReject> {
    let mut found: Vec<ServiceIdentity> = Vec::new();
    for form in forms {
        check_service(&form, owner, local)?;
        let mut datacenters: Vec<Box<str>> =
            form.datacenters.into_iter().flatten().map(Into::into).collect();
        let same = found.iter_mut().find(|identity| *identity.service == *form.service);
        datacenters
            .extend(same.as_ref().into_iter().flat_map(|same| same.datacenters.clone()).flatten());
        datacenters.sort();
        datacenters.dedup();
        let datacenters = (!datacenters.is_empty()).then_some(datacenters);
        match same {
            Some(same) => same.datacenters = datacenters,
            None => found.push(ServiceIdentity { service: form.service.into(), datacenters }),
        }
    }
    Ok(found)
}

fn check_service(form: &ServiceIdentityForm, owner: Owner, local: bool) -> Result<(), AclReject> {
    let datacenters = form.datacenters.as_ref().is_some_and(|names| !names.is_empty());
    if form.service.is_empty() {
        Err(AclReject::NoServiceName(owner))
    } else if local && datacenters {
        Err(AclReject::LocalDatacenters(form.service.clone()))
    } else if !is_identity(&form.service) {
        Err(AclReject::ServiceName(form.service.clone()))
    } else {
        Ok(())
    }
}

/// The nodes for which somebody may speak.
pub(crate) fn nodes(
    forms: Vec<NodeIdentityForm>,
    owner: Owner,
) -> Result<Vec<NodeIdentity>, AclReject> {
    let mut found = Vec::new();
    for form in forms {
        if form.node.is_empty() {
            return Err(AclReject::NodeField { field: "node name", owner });
        }
        if form.datacenter.is_empty() {
            return Err(AclReject::NodeField { field: "datacenter", owner });
        }
        if !is_identity(&form.node) {
            return Err(AclReject::NodeName);
        }
        let identity = NodeIdentity { node: form.node.into(), datacenter: form.datacenter.into() };
        if !found.contains(&identity) {
            found.push(identity);
        }
    }
    Ok(found)
}

/// The policies made from templates; of those with equal variables the first.
pub(crate) fn templated(
    forms: Vec<TemplatedPolicyForm>,
    owner: Owner,
) -> Result<Vec<TemplatedPolicy>, AclReject> {
    let mut found: Vec<TemplatedPolicy> = Vec::new();
    for form in forms {
        let takes_name = check_template(&form, owner)?;
        let policy = TemplatedPolicy {
            template: form.template.into(),
            name: form.variables.map(|variables| variables.name.into()),
            datacenters: form
                .datacenters
                .filter(|names| !names.is_empty())
                .map(|names| names.into_iter().map(Into::into).collect()),
        };
        let same = |other: &TemplatedPolicy| {
            other.template == policy.template && (!takes_name || other.name == policy.name)
        };
        if !found.iter().any(same) {
            found.push(policy);
        }
    }
    Ok(found)
}

/// Whether the template takes a name.
fn check_template(form: &TemplatedPolicyForm, owner: Owner) -> Result<bool, AclReject> {
    if form.template.is_empty() {
        return Err(AclReject::NoTemplateName(owner));
    }
    let name = form.template.clone();
    let Some(template) = templates::find(&name) else {
        return Err(match owner {
            Owner::Token => AclReject::TokenTemplate(name),
            Owner::Role => AclReject::RoleTemplate(name),
        });
    };
    let variables = form.variables.as_ref().map(|variables| variables.name.as_str());
    templates::check(template, variables).map_err(|fault| match owner {
        Owner::Token => AclReject::TokenVariables { template: name, fault },
        Owner::Role => AclReject::RoleVariables(fault),
    })?;
    Ok(!template.schema.is_empty())
}
