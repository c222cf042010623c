//! Tokens.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proconsul_anchors::acl::Token;
use proconsul_anchors::index::{Index, Row};
use serde::Serialize;

use crate::acl::hash;
use crate::go::time::show_time;
use crate::wire::acl::links::{
    LinkOut, MomentForm, NodeIdentities, NodeIdentityOut, ServiceIdentities, ServiceIdentityOut,
    TemplatedPolicies, TemplatedPolicyOut, TokenPolicyLink, TokenRoleLink, each, policy_links,
    role_links,
};
use crate::wire::acl::policy::PolicyOut;
use crate::wire::acl::role::RoleOut;
use crate::wire::decode::{Nanos, form};

/// What stands for the secret of a token that the caller may not see.
pub(crate) const HIDDEN: &str = "<hidden>";

/// The body of a token's write. It and those below have no `Debug`: they hold secrets.
#[derive(Default)]
pub(crate) struct TokenForm {
    pub(crate) name: String,
    pub(crate) accessor: String,
    pub(crate) secret: String,
    pub(crate) description: String,
    pub(crate) policies: Vec<TokenPolicyLink>,
    pub(crate) roles: Vec<TokenRoleLink>,
    pub(crate) service_identities: ServiceIdentities,
    pub(crate) node_identities: NodeIdentities,
    pub(crate) templated_policies: TemplatedPolicies,
    pub(crate) local: bool,
    pub(crate) auth_method: String,
    pub(crate) expires: MomentForm,
    pub(crate) ttl: Nanos,
    made: MomentForm,
    hash: String,
    index: u64,
}

form!(TokenForm, "struct { ExpirationTTL interface {}; Hash string; *structs.Alias }", custom, refuse, {
    "Name" => name, "AccessorID" => accessor, "SecretID" => secret, "Description" => description,
    "Policies" => policies, "Roles" => roles, "ServiceIdentities" => service_identities,
    "NodeIdentities" => node_identities, "TemplatedPolicies" => templated_policies, "Local" => local,
    "AuthMethod" => auth_method, "ExpirationTime" => expires, "CreateTime" => made, "CreateIndex" => index,
    "ModifyIndex" => index,
} own {
    "ExpirationTTL" => ttl, "Hash" => hash,
});

/// The body of `PUT /v1/acl/bootstrap`.
#[derive(Default)]
pub(crate) struct BootstrapForm {
    pub(crate) secret: String,
}

form!(BootstrapForm, "api.BootstrapRequest", plain "BootstrapRequest", refuse, { "BootstrapSecret" => secret });

/// The body of `PUT /v1/agent/token/…`.
#[derive(Default)]
pub(crate) struct AgentTokenForm {
    pub(crate) token: String,
}

form!(AgentTokenForm, "api.AgentToken", plain "AgentToken", refuse, { "Token" => token });

/// A token. Its links carry the names as they are now; a link to what is gone is left out.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TokenOut<'a> {
    /// The secret again, in the answer to a bootstrap.
    #[serde(rename = "ID", skip_serializing_if = "Option::is_none")]
    bootstrapped: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(rename = "AccessorID")]
    accessor: &'a str,
    #[serde(rename = "SecretID")]
    secret: &'a str,
    description: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    policies: Vec<LinkOut<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    roles: Vec<LinkOut<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    service_identities: Vec<ServiceIdentityOut<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    node_identities: Vec<NodeIdentityOut<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    templated_policies: Vec<TemplatedPolicyOut<'a>>,
    local: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    auth_method: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration_time: Option<String>,
    create_time: String,
    hash: String,
    create_index: u64,
    modify_index: u64,
    #[serde(flatten)]
    expanded: Option<ExpandedOut<'a>>,
}

/// What stands behind a token (`?expanded`).
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ExpandedOut<'a> {
    /// `null` for none, as are the lists below.
    pub(crate) expanded_policies: Option<Vec<PolicyOut<'a>>>,
    pub(crate) expanded_roles: Option<Vec<RoleOut<'a>>>,
    #[serde(rename = "NamespaceDefaultPolicyIDs")]
    pub(crate) namespace_policies: (),
    #[serde(rename = "NamespaceDefaultRoleIDs")]
    pub(crate) namespace_roles: (),
    #[serde(rename = "AgentACLDefaultPolicy")]
    pub(crate) default_policy: &'a str,
    #[serde(rename = "AgentACLDownPolicy")]
    pub(crate) down_policy: &'a str,
    pub(crate) resolved_by_agent: &'a str,
}

// === impl TokenOut ===

impl<'a> TokenOut<'a> {
    /// A token with its secret, or with what stands for it.
    pub(crate) fn new(index: &'a Index, row: &'a Row<Token>, secret: &'a str) -> Self {
        let token = &row.record;
        Self {
            bootstrapped: None,
            name: &token.name,
            accessor: &token.accessor,
            secret,
            description: &token.description,
            policies: policy_links(index, &token.policies),
            roles: role_links(index, &token.roles),
            service_identities: each(&token.service_identities),
            node_identities: each(&token.node_identities),
            templated_policies: each(&token.templated_policies),
            local: token.local,
            auth_method: &token.auth_method,
            expiration_time: token.expires.map(show_time),
            create_time: show_time(token.made),
            hash: STANDARD.encode(hash::token(token)),
            create_index: row.created,
            modify_index: row.modified,
            expanded: None,
        }
    }

    /// The same as the answer to a bootstrap.
    pub(crate) fn bootstrapped(self) -> Self {
        Self { bootstrapped: Some(self.secret), ..self }
    }

    /// The same with what stands behind it.
    pub(crate) fn expanded(self, expanded: ExpandedOut<'a>) -> Self {
        Self { expanded: Some(expanded), ..self }
    }
}
