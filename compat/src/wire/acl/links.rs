//! What tokens and roles have in common: links to policies and roles, identities, templated policies.

use proconsul_anchors::acl::{NodeIdentity, Policy, Role, ServiceIdentity, TemplatedPolicy};
use proconsul_anchors::index::{Index, Kept};
use serde::Serialize;

use crate::go::json::Json;
use crate::go::time::{Moment, ZERO, parse};
use crate::wire::decode::{DecodeError, Place, Read, form, list_form};

/// A link by id or by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) id: String,
    pub(crate) name: String,
}

/// A form that reads as a [`Link`], under Go's name for where it stands.
macro_rules! link_form {
    ($form:ident, $go_type:literal, $name:literal, $doc:literal) => {
        #[doc = $doc]
        #[derive(Debug, Default)]
        pub(crate) struct $form(pub(crate) Link);
        form!($form, $go_type, plain $name, refuse, { "ID" => 0.id, "Name" => 0.name });
        impl From<$form> for Link {
            fn from(form: $form) -> Self {
                form.0
            }
        }
    };
}

link_form!(
    TokenPolicyLink,
    "structs.ACLTokenPolicyLink",
    "ACLTokenPolicyLink",
    "A token's policy."
);
link_form!(TokenRoleLink, "structs.ACLTokenRoleLink", "ACLTokenRoleLink", "A token's role.");
link_form!(RolePolicyLink, "structs.ACLRolePolicyLink", "ACLRolePolicyLink", "A role's policy.");

/// A service identity.
#[derive(Debug, Default)]
pub(crate) struct ServiceIdentityForm {
    pub(crate) service: String,
    pub(crate) datacenters: Option<Vec<String>>,
}

form!(ServiceIdentityForm, "structs.ACLServiceIdentity", plain "ACLServiceIdentity", refuse, {
    "ServiceName" => service, "Datacenters" => datacenters,
});

/// Service identities.
#[derive(Debug, Default)]
pub(crate) struct ServiceIdentities(pub(crate) Vec<ServiceIdentityForm>);

list_form!(ServiceIdentities, "structs.ACLServiceIdentities");

/// A node identity.
#[derive(Debug, Default)]
pub(crate) struct NodeIdentityForm {
    pub(crate) node: String,
    pub(crate) datacenter: String,
}

form!(NodeIdentityForm, "structs.ACLNodeIdentity", plain "ACLNodeIdentity", refuse, {
    "NodeName" => node, "Datacenter" => datacenter,
});

/// Node identities.
#[derive(Debug, Default)]
pub(crate) struct NodeIdentities(pub(crate) Vec<NodeIdentityForm>);

list_form!(NodeIdentities, "structs.ACLNodeIdentities");

/// The variables of a templated policy.
#[derive(Clone, Debug, Default)]
pub(crate) struct VariablesForm {
    pub(crate) name: String,
}

form!(VariablesForm, "structs.ACLTemplatedPolicyVariables", plain "ACLTemplatedPolicyVariables", refuse, { "name" => name });

/// A templated policy.
#[derive(Debug, Default)]
pub(crate) struct TemplatedPolicyForm {
    template_id: String,
    pub(crate) template: String,
    pub(crate) variables: Option<VariablesForm>,
    pub(crate) datacenters: Option<Vec<String>>,
}

form!(TemplatedPolicyForm, "structs.ACLTemplatedPolicy", plain "ACLTemplatedPolicy", refuse, {
    "TemplateID" => template_id, "TemplateName" => template, "TemplateVariables" => variables, "Datacenters" => datacenters,
});

/// Templated policies.
#[derive(Debug, Default)]
pub(crate) struct TemplatedPolicies(pub(crate) Vec<TemplatedPolicyForm>);

list_form!(TemplatedPolicies, "structs.ACLTemplatedPolicies");

/// A moment; nothing for Go's zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MomentForm(pub(crate) Option<Moment>);

impl Read for MomentForm {
    fn go_type() -> std::borrow::Cow<'static, str> {
        "time.Time".into()
    }

    fn read(&mut self, value: &Json, _: &Place<'_>) -> Result<(), DecodeError> {
        match value {
            Json::Null => {}
            Json::Text(text) => self.0 = Some(parse(text)?).filter(|moment| *moment != ZERO),
            _ => return Err(DecodeError::NoTime),
        }
        Ok(())
    }
}

/// A link as it is printed.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct LinkOut<'a> {
    #[serde(rename = "ID")]
    pub(crate) id: &'a str,
    pub(crate) name: &'a str,
}

/// A service identity.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ServiceIdentityOut<'a> {
    service_name: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    datacenters: &'a [Box<str>],
}

/// A node identity.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct NodeIdentityOut<'a> {
    node_name: &'a str,
    datacenter: &'a str,
}

/// The variables of a templated policy.
#[derive(Serialize)]
pub(crate) struct VariablesOut<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) name: &'a str,
}

/// A templated policy.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TemplatedPolicyOut<'a> {
    #[serde(rename = "TemplateID", skip_serializing_if = "str::is_empty")]
    template_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    template_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    template_variables: Option<VariablesOut<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    datacenters: &'a [Box<str>],
}

impl<'a> From<&'a ServiceIdentity> for ServiceIdentityOut<'a> {
    fn from(identity: &'a ServiceIdentity) -> Self {
        let datacenters = identity.datacenters.as_deref().unwrap_or_default();
        Self { service_name: &identity.service, datacenters }
    }
}

impl<'a> From<&'a NodeIdentity> for NodeIdentityOut<'a> {
    fn from(identity: &'a NodeIdentity) -> Self {
        Self { node_name: &identity.node, datacenter: &identity.datacenter }
    }
}

impl<'a> From<&'a TemplatedPolicy> for TemplatedPolicyOut<'a> {
    fn from(policy: &'a TemplatedPolicy) -> Self {
        Self {
            template_id: crate::acl::template_id(&policy.template),
            template_name: &policy.template,
            template_variables: policy.name.as_deref().map(|name| VariablesOut { name }),
            datacenters: policy.datacenters.as_deref().unwrap_or_default(),
        }
    }
}

/// Prints each.
pub(crate) fn each<'a, T, O: From<&'a T>>(items: &'a [T]) -> Vec<O> {
    items.iter().map(O::from).collect()
}

/// Links to the policies of these ids that are still there.
pub(crate) fn policy_links<'a>(index: &'a Index, ids: &'a [Box<str>]) -> Vec<LinkOut<'a>> {
    links(index, ids, |policy: &Policy| &policy.name)
}

/// Links to the roles of these ids that are still there.
pub(crate) fn role_links<'a>(index: &'a Index, ids: &'a [Box<str>]) -> Vec<LinkOut<'a>> {
    links(index, ids, |role: &Role| &role.name)
}

fn links<'a, T: Kept + 'a>(
    index: &'a Index,
    ids: &'a [Box<str>],
    name: impl Fn(&'a T) -> &'a str,
) -> Vec<LinkOut<'a>> {
    let link = |id: &'a str| Some(LinkOut { id, name: name(&index.record::<T>(id)?.record) });
    ids.iter().map(AsRef::as_ref).filter_map(link).collect()
}
