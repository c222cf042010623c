//! Roles.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proconsul_anchors::acl::Role;
use proconsul_anchors::index::{Index, Row};
use serde::Serialize;

use crate::acl::hash;
use crate::wire::acl::links::{
    LinkOut, NodeIdentities, NodeIdentityOut, RolePolicyLink, ServiceIdentities,
    ServiceIdentityOut, TemplatedPolicies, TemplatedPolicyOut, each, policy_links,
};
use crate::wire::decode::form;

/// The body of a role's write.
#[derive(Debug, Default)]
pub(crate) struct RoleForm {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) policies: Vec<RolePolicyLink>,
    pub(crate) service_identities: ServiceIdentities,
    pub(crate) node_identities: NodeIdentities,
    pub(crate) templated_policies: TemplatedPolicies,
    hash: String,
    index: u64,
}

form!(RoleForm, "struct { Hash string; *structs.Alias }", custom, refuse, {
    "ID" => id, "Name" => name, "Description" => description, "Policies" => policies,
    "ServiceIdentities" => service_identities, "NodeIdentities" => node_identities,
    "TemplatedPolicies" => templated_policies, "CreateIndex" => index, "ModifyIndex" => index,
} own {
    "Hash" => hash,
});

/// A role.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RoleOut<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    name: &'a str,
    description: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    policies: Vec<LinkOut<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    service_identities: Vec<ServiceIdentityOut<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    node_identities: Vec<NodeIdentityOut<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    templated_policies: Vec<TemplatedPolicyOut<'a>>,
    hash: String,
    create_index: u64,
    modify_index: u64,
}

impl<'a> RoleOut<'a> {
    /// A role with the names of its policies as they are now.
    pub(crate) fn new(index: &'a Index, row: &'a Row<Role>) -> Self {
        let role = &row.record;
        Self {
            id: &role.id,
            name: &role.name,
            description: &role.description,
            policies: policy_links(index, &role.policies),
            service_identities: each(&role.service_identities),
            node_identities: each(&role.node_identities),
            templated_policies: each(&role.templated_policies),
            hash: STANDARD.encode(hash::role(role)),
            create_index: row.created,
            modify_index: row.modified,
        }
    }
}
