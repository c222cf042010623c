//! The refusals of `/v1/acl`: each with Consul's status and its exact words.

use std::fmt;

use http::StatusCode;
use proconsul_anchors::acl::rules::RulesError;

use crate::acl::names::PolicyNameFault;
use crate::acl::templates::TemplateFault;
use crate::acl::uuid::UuidFault;
use crate::go::text::quote;
use crate::login::LoginFault;
use crate::wire::decode::DecodeError;

/// A record of the access control, as errors call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Token,
    Policy,
    Role,
    BindingRule,
    AuthMethod,
}

/// Whose links are wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Token,
    Role,
}

/// Why `/v1/acl` does not do it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AclReject {
    // --- the request ---
    #[error("{what}: {error}")]
    Decode { what: &'static str, error: DecodeError },
    #[error("Missing {0}")]
    Missing(&'static str),
    #[error("{0} in URL and payload do not match")]
    Mismatch(&'static str),
    #[error("Cannot specify the ID when creating a new policy")]
    IdOfNewPolicy,
    #[error("can only filter by one of policy, role, serviceName, or methodName at a time")]
    Filters,
    #[error("Refusing to process more than {0} authorizations at once")]
    Questions(usize),
    #[error("{0}")]
    Question(String),

    // --- what is not there ---
    #[error("Requested {0} does not exist: ACL not found")]
    Absent(Kind),
    #[error("Cannot find {0} to delete")]
    Undeletable(Kind),
    #[error("token does not exist: ACL not found")]
    NoToken,
    #[error("token is expired: ACL not found")]
    Expired,
    #[error("token has expired: ACL not found")]
    HasExpired,
    #[error("Supplied token does not exist")]
    NoTokenSupplied,
    #[error("failed acl {kind} lookup: {fault}")]
    Lookup { kind: Kind, fault: UuidFault },

    // --- bootstrap ---
    #[error("Permission denied: ACL bootstrap no longer allowed (reset index: {0})")]
    Bootstrapped(u64),
    #[error("Invalid bootstrap reset index (specified {given}, reset index: {wanted})")]
    ResetIndex { given: u64, wanted: u64 },
    #[error("{0}")]
    BootstrapSecret(UuidFault),
    #[error("Provided token cannot be used because a token with that secret already exists.")]
    BootstrapSecretTaken,

    // --- tokens ---
    #[error("Invalid Token: {0} is already in use")]
    TokenIdTaken(&'static str),
    #[error("Invalid Token: {0} - not a valid UUID")]
    TokenId(&'static str),
    #[error(
        "Invalid Token: {0} - UUIDs with the prefix \"00000000-0000-0000-0000-0000000000\" are reserved"
    )]
    TokenIdReserved(&'static str),
    #[error("Token Expiration TTL '{0}' should be > 0")]
    NegativeTtl(String),
    #[error("Token Expiration TTL and Expiration Time cannot both be set")]
    TtlAndTime,
    #[error("ExpirationTime cannot be before CreateTime")]
    ExpiresBefore,
    #[error("ExpirationTime cannot be less than {min} in the future (was {was})")]
    ExpiresSoon { min: String, was: String },
    #[error("AuthMethod field is disallowed outside of login")]
    MethodOutsideLogin,
    #[error("AccessorID is not a valid UUID")]
    Accessor,
    #[error("Permission denied: Cannot modify root ACL")]
    RootSecret,
    #[error("Cannot find token {}", quote(.0))]
    UnknownToken(String),
    #[error("Changing a token's SecretID is not permitted")]
    SecretChanged,
    #[error("Cannot toggle local mode of {0}")]
    LocalChanged(String),
    #[error("Cannot change AuthMethod of {0}")]
    MethodChanged(String),
    #[error("Cannot change expiration time of {0}")]
    ExpiryChanged(String),
    #[error("Cannot clone a token created from an auth method")]
    CloneOfLogin,
    #[error("Accessor ID is missing or an invalid UUID")]
    DeletedAccessor,
    #[error("Delete operation not permitted on the anonymous token")]
    AnonymousDeleted,
    #[error("Deletion of the request's authorization token is not permitted")]
    OwnDeleted,

    // --- links and identities ---
    #[error("No such ACL {kind} with name {}", quote(.name))]
    LinkName { kind: Kind, name: String },
    #[error("No such ACL {kind} with ID {}", quote(.id))]
    LinkId { kind: Kind, id: String },
    #[error("Error looking up {kind} for ID: {}: failed acl {kind} lookup: {fault}", quote(.id))]
    LinkLookup { kind: Kind, id: String, fault: UuidFault },
    #[error("Failed to apply role upsert request: No such policy with ID: {0}")]
    RoleLinkId(String),
    #[error("Failed to apply role upsert request: failed acl policy lookup: {0}")]
    RoleLinkLookup(UuidFault),
    #[error("Service identity is missing the service name field on this {0}")]
    NoServiceName(Owner),
    #[error("Service identity {} cannot specify a list of datacenters on a local token", quote(.0))]
    LocalDatacenters(String),
    #[error(
        "Service identity {} has an invalid name. Only lowercase alphanumeric characters, '-' and '_' are allowed",
        quote(.0)
    )]
    ServiceName(String),
    #[error("Node identity is missing the {field} field on this {owner}")]
    NodeField { field: &'static str, owner: Owner },
    #[error(
        "Node identity has an invalid name. Only lowercase alphanumeric characters, '-' and '_' are allowed"
    )]
    NodeName,
    #[error("templated policy is missing the template name field on this {0}")]
    NoTemplateName(Owner),
    #[error("no such ACL templated policy with Name {}", quote(.0))]
    TokenTemplate(String),
    #[error("templated policy with an invalid templated name: {0} for this role")]
    RoleTemplate(String),
    #[error("validation error for templated policy {}: {fault}", quote(.template))]
    TokenVariables { template: String, fault: TemplateFault },
    #[error("encountered role with invalid templated policy: {0}")]
    RoleVariables(TemplateFault),

    // --- policies ---
    #[error("Invalid Policy: no Name is set")]
    NoPolicyName,
    #[error("Invalid Policy: invalid Name. {0}")]
    PolicyName(#[from] PolicyNameFault),
    #[error("Policy ID invalid UUID")]
    PolicyId,
    #[error("Invalid Policy: A Policy with Name {} already exists", quote(.0))]
    NewPolicyNameTaken(String),
    #[error("Invalid Policy: A policy with name {} already exists", quote(.0))]
    PolicyNameTaken(String),
    #[error("Failed to apply policy upsert request: A policy with name {} already exists", quote(.0))]
    PolicyNameTook(Box<str>),
    #[error("cannot find policy {0}")]
    UnknownPolicy(String),
    #[error("Changing the Datacenters of the {0} policy is not permitted")]
    BuiltinDatacenters(&'static str),
    #[error("Changing the Rules for the builtin {0} policy is not permitted")]
    BuiltinRules(&'static str),
    #[error("Delete operation not permitted on the builtin {0} policy")]
    BuiltinDeleted(&'static str),
    #[error("{0}")]
    Rules(#[from] RulesError),

    // --- roles ---
    #[error("Invalid Role: no Name is set")]
    NoRoleName,
    #[error("Invalid Role: invalid Name. Only alphanumeric characters, '-' and '_' are allowed")]
    RoleName,
    #[error("Role ID invalid UUID")]
    RoleId,
    #[error("Invalid Role: A Role with Name {} already exists", quote(.0))]
    NewRoleNameTaken(String),
    #[error("Invalid Role: A role with name {} already exists", quote(.0))]
    RoleNameTaken(String),
    #[error("Failed to apply role upsert request: A role with name {} already exists", quote(.0))]
    RoleNameTook(Box<str>),
    #[error("cannot find role {0}")]
    UnknownRole(String),

    // --- binding rules ---
    #[error("Binding Rule ID invalid UUID")]
    RuleId,
    #[error("cannot find binding rule {0}")]
    UnknownRule(String),
    #[error("the AuthMethod field of an Binding Rule is immutable")]
    RuleMethodChanged,
    #[error("Invalid Binding Rule: no {0} is set")]
    RuleWithout(&'static str),
    #[error("cannot find auth method with name {}", quote(.0))]
    RuleMethod(String),
    #[error("invalid Binding Rule: Selector is invalid: {0}")]
    Selector(crate::filter::FilterError),
    #[error("invalid Binding Rule: BindVars cannot be set when bind type is not templated-policy.")]
    BindVars,
    #[error("Invalid Binding Rule: invalid BindName or BindVars: {0}")]
    Binding(String),

    // --- auth methods ---
    #[error("Invalid Auth Method: no Name is set")]
    NoMethodName,
    #[error(
        "Invalid Auth Method: invalid Name. Only alphanumeric characters, '-' and '_' are allowed"
    )]
    MethodName,
    #[error("the Type field of an Auth Method is immutable")]
    MethodKindChanged,
    #[error("Invalid Auth Method: Type should be one of: [aws-iam jwt kubernetes]")]
    MethodKind,
    /// Consul has it, this program does not.
    #[error(
        "Invalid Auth Method: type \"aws-iam\" is not supported by proconsul (see the README's table of what is supported)"
    )]
    AwsIam,
    #[error("MaxTokenTTL {ttl} cannot be less than {min}")]
    MaxTokenTtl { ttl: String, min: String },
    #[error("Failed to validate token-format-name: failed to generate ACL token name: {0}")]
    TokenNameFormat(String),
    #[error("Invalid Auth Method: TokenLocality should be one of 'local' or 'global'")]
    TokenLocality,
    #[error("Invalid Auth Method: {0}")]
    MethodSettings(String),

    // --- templates ---
    #[error("Invalid templated policy Name: {0}")]
    TemplateName(String),
    #[error("templated policy {} does not exist", quote(.0))]
    UnknownTemplate(String),
    #[error("validation error for templated policy: {}: {fault}", quote(.template))]
    Preview { template: String, fault: TemplateFault },

    // --- logins ---
    #[error("Invalid Login request: Missing auth parameters")]
    NoLogin,
    #[error("ACL not found: auth method {} not found", quote(.0))]
    UnknownMethod(String),
    #[error("{0}")]
    Login(#[from] LoginFault),
    #[error("Permission denied")]
    NothingBinds,
    #[error("ACL not found")]
    UnknownLogin,
    #[error("Permission denied: token wasn't created via login")]
    NoLoginToken,

    // --- the agent's own tokens ---
    #[error("Token {} is unknown", quote(.0))]
    AgentToken(String),
    #[error("{0}")]
    Program(String),
}

// === impl AclReject ===

impl AclReject {
    /// The status that goes with it.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Decode { .. }
            | Self::Missing(_)
            | Self::Mismatch(_)
            | Self::IdOfNewPolicy
            | Self::Questions(_)
            | Self::Question(_)
            | Self::TemplateName(_)
            | Self::UnknownTemplate(_)
            | Self::Preview { .. } => StatusCode::BAD_REQUEST,
            Self::NoTokenSupplied => StatusCode::UNAUTHORIZED,
            Self::NoToken
            | Self::Expired
            | Self::HasExpired
            | Self::Bootstrapped(_)
            | Self::RootSecret
            | Self::UnknownMethod(_)
            | Self::NothingBinds
            | Self::UnknownLogin
            | Self::NoLoginToken => StatusCode::FORBIDDEN,
            Self::Absent(_) | Self::Undeletable(_) | Self::AgentToken(_) => StatusCode::NOT_FOUND,
            Self::AwsIam => StatusCode::NOT_IMPLEMENTED,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token => "token",
            Self::Policy => "policy",
            Self::Role => "role",
            Self::BindingRule => "binding rule",
            Self::AuthMethod => "auth method",
        })
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token => "token",
            Self::Role => "role",
        })
    }
}
