//! The records of access control, as Consul's API knows them.

use serde::{Deserialize, Serialize};

use crate::clock::Time;
use crate::sealed::SealedSecret;

/// A token (`/v1/acl/token`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Its public id, a UUID.
    pub accessor: Box<str>,
    /// What callers show.
    pub secret: SealedSecret,
    /// A name (since 1.22.7); empty for none.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub name: Box<str>,
    /// Free text.
    pub description: Box<str>,
    /// The ids of its policies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<Box<str>>,
    /// The ids of its roles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Box<str>>,
    /// Services for which it may speak.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub service_identities: Vec<ServiceIdentity>,
    /// Nodes for which it may speak.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub node_identities: Vec<NodeIdentity>,
    /// Policies made from templates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub templated_policies: Vec<TemplatedPolicy>,
    /// Whether it belongs to this datacenter alone.
    #[serde(default)]
    pub local: bool,
    /// The auth method that it came from; empty for none.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub auth_method: Box<str>,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Time>,
    /// When it was made.
    pub made: Time,
}

/// A policy (`/v1/acl/policy`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// A UUID.
    pub id: Box<str>,
    /// Unique whatever the case.
    pub name: Box<str>,
    /// Free text.
    pub description: Box<str>,
    /// The rules as written, HCL or JSON.
    pub rules: Box<str>,
    /// Where it holds; `None` was never given and means everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datacenters: Option<Vec<Box<str>>>,
}

/// A role (`/v1/acl/role`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// A UUID.
    pub id: Box<str>,
    /// Unique whatever the case.
    pub name: Box<str>,
    /// Free text.
    pub description: Box<str>,
    /// The ids of its policies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<Box<str>>,
    /// Services for which it may speak.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub service_identities: Vec<ServiceIdentity>,
    /// Nodes for which it may speak.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub node_identities: Vec<NodeIdentity>,
    /// Policies made from templates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub templated_policies: Vec<TemplatedPolicy>,
}

/// Leave to be a service: `service:write` on it and its sidecar, reads of what it may call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceIdentity {
    /// The service.
    pub service: Box<str>,
    /// Where; `None` was never given and means everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datacenters: Option<Vec<Box<str>>>,
}

/// Leave to be a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeIdentity {
    /// The node.
    pub node: Box<str>,
    /// Where.
    pub datacenter: Box<str>,
}

/// A policy made from one of Consul's templates (`builtin/service`, `builtin/node` …).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplatedPolicy {
    /// The template's name.
    pub template: Box<str>,
    /// The variable `name`; `None` where the template takes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Box<str>>,
    /// Where; `None` was never given and means everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datacenters: Option<Vec<Box<str>>>,
}

/// A binding rule (`/v1/acl/binding-rule`): what a login through a method becomes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindingRule {
    /// A UUID.
    pub id: Box<str>,
    /// Free text.
    pub description: Box<str>,
    /// The method that it belongs to.
    pub method: Box<str>,
    /// A filter over the identity's selectable fields; empty for all.
    pub selector: Box<str>,
    /// `service`, `role`, `node`, `policy` or `templated-policy`.
    pub bind_type: Box<str>,
    /// A name with `${…}` in it.
    pub bind_name: Box<str>,
    /// The variable `name` of a templated policy, with `${…}` in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bind_vars: Option<Box<str>>,
}

/// An auth method (`/v1/acl/auth-method`): who may vouch for callers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthMethod {
    /// Its name.
    pub name: Box<str>,
    /// `jwt`, `kubernetes` …
    pub kind: Box<str>,
    /// For people.
    pub display_name: Box<str>,
    /// Free text.
    pub description: Box<str>,
    /// How long tokens from it live, in nanoseconds; 0 for as long as nobody ends them.
    pub max_token_ttl: u64,
    /// `local` or `global`; empty is `local`.
    pub token_locality: Box<str>,
    /// The pattern of the names of its tokens (since 1.22.7); empty for none.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub token_name_format: Box<str>,
    /// The settings of its kind, a JSON object, sealed: they may hold secrets.
    pub config: SealedSecret,
}

// === impl Token ===

impl Token {
    /// A token that may do nothing.
    pub fn blank(accessor: impl Into<Box<str>>, secret: SealedSecret, made: Time) -> Self {
        Self {
            accessor: accessor.into(),
            secret,
            name: "".into(),
            description: "".into(),
            policies: Vec::new(),
            roles: Vec::new(),
            service_identities: Vec::new(),
            node_identities: Vec::new(),
            templated_policies: Vec::new(),
            local: false,
            auth_method: "".into(),
            expires: None,
            made,
        }
    }
}
