//! The table of refusals: each with Consul's status and its exact words.

pub(crate) mod acl;
mod anchor;
pub(crate) mod discovery;
mod lineage;
pub(crate) mod mesh;
mod operator;

use std::fmt;

use http::{Method, StatusCode};
use proconsul_anchors::acl::Denial;
use proconsul_anchors::error::Refusal;
use proconsul_anchors::node::NodeError;
use proconsul_anchors::record::TableId;

use crate::acl::uuid::UuidFault;
use crate::go::text::{NumberError, quote};
use crate::issuer::CaError;
use crate::wire::decode::{BodyFault, DecodeError};

pub(crate) use self::anchor::AnchorFault;
pub(crate) use self::discovery::DiscoveryFault;
pub(crate) use self::lineage::LineageFault;
pub(crate) use self::mesh::MeshFault;
pub(crate) use self::operator::OperatorFault;

/// Why a request is not carried out, in the words that the client reads.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Reject {
    // --- the request itself ---
    /// A bad escape or a semicolon in the query string: Consul answers 500 without a word.
    #[error("")]
    QueryString,
    #[error("Endpoint is blocked by agent configuration")]
    Blocked,
    #[error("Access is restricted")]
    Restricted,
    #[error("method {asked} not allowed")]
    Method { asked: Method, allowed: Vec<Method> },
    #[error("Invalid header: \"X-Consul-Namespace\" - Namespaces are a Consul Enterprise feature")]
    NamespaceHeader,
    #[error("Invalid query parameter: \"ns\" - Namespaces are a Consul Enterprise feature")]
    NamespaceParam,
    #[error("Invalid header: \"X-Consul-Partition\" - Partitions are a Consul Enterprise feature")]
    PartitionHeader,
    #[error("Invalid query parameter: \"partition\" - Partitions are a Consul Enterprise feature")]
    PartitionParam,
    #[error("Cannot specify ?stale with ?consistent, conflicting semantics.")]
    StaleAndConsistent,
    #[error("Cannot specify ?cached with ?consistent, conflicting semantics.")]
    CachedAndConsistent,
    #[error("Invalid max_stale value {0}")]
    MaxStale(String),
    #[error("Invalid wait time")]
    WaitTime,
    #[error("Invalid index")]
    Index,
    #[error("Invalid Cache-Control header.")]
    CacheControl,
    #[error("Invalid value for ?passing")]
    Passing,
    #[error("peer-name and sameness-group are mutually exclusive")]
    PeerAndSamenessGroup,
    #[error("sameness groups are not supported in consul CE")]
    SamenessGroup,
    #[error("Request decode failed: {0}")]
    Decode(#[from] DecodeError),
    /// Consul takes a body of any size; here it is bounded.
    #[error("Request body too large, max size: {max} bytes.")]
    BodyTooLarge { max: u64 },
    /// The body could not be read to its end.
    #[error("{0}")]
    Body(BodyFault),

    // --- names that are missing ---
    #[error("Missing service name")]
    MissingServiceName,
    #[error("Missing node name")]
    MissingNodeName,
    #[error("Missing gateway name")]
    MissingGatewayName,
    #[error("Missing check state")]
    MissingCheckState,
    #[error("Missing key name")]
    MissingKeyName,
    #[error("Missing session")]
    MissingSession,

    // --- while the query or write is carried out ---
    /// The inner one was found when the query's headers had been set already.
    #[error("{0}")]
    Queried(Box<Self>),
    /// Who asks whether a service may be called is not known.
    #[error("Could not resolve token to authorizer: {0}")]
    AuthorizerToken(Box<Self>),
    #[error("No path to datacenter")]
    NoPathToDatacenter,
    #[error("No cluster leader")]
    NoLeader,
    #[error("Failed to create boolean expression evaluator: {0}")]
    Filter(crate::filter::FilterError),
    #[error("{0}")]
    BareFilter(crate::filter::FilterError),
    #[error("{0}")]
    Number(#[from] NumberError),
    #[error("{}", refusal(.0))]
    Refused(Box<Refusal>),

    // --- catalog ---
    #[error("Must provide node")]
    NoNode,
    #[error("Must provide address if SkipNodeUpdate is not set")]
    NoAddress,
    #[error("Bad node ID: {0}")]
    NodeId(UuidFault),
    #[error(
        "service name (Service.Service) is required; both Service ID (Service.ID) and Service Name cannot be empty"
    )]
    NoServiceNameOrId,
    #[error("Must provide service name (Service.Service) when service ID is provided")]
    NoServiceName,
    #[error("Invalid service address")]
    ServiceAddress,
    #[error("cannot register requests with PeerName in them")]
    PeerName,
    #[error("Node '{node}' for check '{check}' doesn't match register request node '{request}'")]
    CheckNode { node: String, check: String, request: String },
    #[error(
        "failed inserting service: Invalid Service Meta for node {node} and serviceID {service}: {reason}"
    )]
    CatalogServiceMeta { node: String, service: String, reason: String },
    #[error(
        "Service.Connect.SidecarService is for the agent alone: the catalog registers no sidecars"
    )]
    CatalogSidecar,

    #[error("cannot associate more than {0} manual virtual IPs with the same service")]
    ManualAddresses(usize),
    #[error("The 'pem' query parameter must be a boolean value")]
    PemFlag,
    #[error("URI must be either service, agent, server, or kind")]
    NoLeafService,
    #[error("Target service must be specified")]
    NoTarget,
    #[error("ClientCertURI not a valid Connect identifier")]
    NotConnectId,
    #[error("ClientCertURI not a valid Service identifier")]
    NotServiceId,
    #[error("{0}")]
    Ca(#[from] CaError),
    /// Consul names the address that it could not read.
    #[error("\"<nil>\" is not a valid ip address")]
    ManualAddress,
    #[error("the records were changed meanwhile by others, again and again")]
    Contended,

    // --- keys ---
    #[error("invalid key name, leading/trailing spaces are not allowed")]
    KeySpaces,
    #[error("invalid key name, path traversal is not allowed")]
    KeyTraversal,
    #[error("Conflicting flags: {0}\n")]
    ConflictingFlags(String),
    #[error(
        "Request body({length} bytes) too large, max size: {max} bytes. See https://developer.hashicorp.com/docs/agent/config/config-files#kv_max_value_size."
    )]
    ValueTooLarge { length: u64, max: u64 },
    #[error("Request body too large. Max allowed is {max} bytes.")]
    UnsizedValueTooLarge { max: u64 },

    // --- sessions ---
    #[error("Must provide Node")]
    SessionNode,
    #[error("Session id '{0}' not found")]
    UnknownSession(String),
    #[error("Invalid Session TTL '{nanos}', must be between [{min}=24h0m0s]")]
    SessionTtl { nanos: i64, min: String },
    #[error("Session TTL '{text}' invalid: {reason}")]
    SessionTtlText { text: String, reason: String },
    #[error("Invalid Behavior setting '{0}'")]
    SessionBehavior(String),

    // --- agent ---
    #[error("{0}")]
    Agent(#[from] NodeError),
    #[error("unknown service ID: {0}")]
    NoAgentService(String),
    #[error("{0}")]
    Faults(Faults),
    #[error("Invalid check status: '{0}'")]
    CheckStatus(String),
    #[error("Missing service ID")]
    MissingServiceId,
    #[error("Missing value for enable")]
    MissingEnable,
    #[error("Invalid value for enable: {0}")]
    Enable(String),
    #[error("Missing serviceID")]
    MissingHealthId,
    #[error("Missing service Name")]
    MissingHealthName,
    #[error("Cannot provide a segment with wan=true")]
    SegmentOfWan,
    #[error("Network segments are not supported in this version of Consul")]
    Segments,
    #[error("Unknown log level: {0}")]
    LogLevel(String),
    #[error("agent: No node found with name '{0}'")]
    UnknownMember(String),
    #[error("{0}")]
    Reload(String),
    #[error("the configuration cannot be shown")]
    DebugConfig,

    #[error("{0}")]
    Operator(#[from] OperatorFault),
    #[error(transparent)]
    Lineage(#[from] LineageFault),
    #[error("{0}")]
    Mesh(#[from] MeshFault),

    #[error("{0}")]
    Discovery(#[from] DiscoveryFault),

    #[error(transparent)]
    Anchor(#[from] AnchorFault),

    // --- limits ---
    #[error("RPC rate limit exceeded")]
    RpcRate,
    #[error("rate limit exceeded, try again later or against a different server")]
    RetryElsewhere,
    #[error(
        "rate limit exceeded for operation that can only be performed by the leader, try again later"
    )]
    RetryLater,

    // --- access control ---
    #[error(transparent)]
    Acl(#[from] acl::AclReject),

    // --- what is not there ---
    #[error("ACL support disabled")]
    AclDisabled,
    #[error("operator utilization requires Consul Enterprise")]
    Utilization,
    #[error(
        "{method} {route} is not supported yet by proconsul: see the README's table of what is supported"
    )]
    NotBuilt { method: Method, route: &'static str },
}

// === impl Reject ===

impl Reject {
    /// The status that goes with it.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Queried(inner) | Self::AuthorizerToken(inner) => inner.status(),
            Self::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::AclDisabled => StatusCode::UNAUTHORIZED,
            Self::Acl(reject) => reject.status(),
            Self::RpcRate | Self::RetryElsewhere => StatusCode::TOO_MANY_REQUESTS,
            Self::RetryLater => StatusCode::SERVICE_UNAVAILABLE,
            Self::Blocked | Self::Restricted => StatusCode::FORBIDDEN,
            Self::Refused(refusal) => refusal_status(refusal),
            Self::Discovery(fault) => fault.status(),
            Self::Anchor(fault) => fault.status(),
            Self::Agent(error) => agent_status(error),
            Self::Operator(fault) => fault.status(),
            Self::Lineage(fault) => fault.status(),
            Self::Mesh(fault) => fault.status(),
            Self::UnknownSession(_) | Self::NoAgentService(_) | Self::Utilization => {
                StatusCode::NOT_FOUND
            }
            Self::BodyTooLarge { .. }
            | Self::ValueTooLarge { .. }
            | Self::UnsizedValueTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotBuilt { .. } | Self::CatalogSidecar => StatusCode::NOT_IMPLEMENTED,
            _ if self.is_bad_request() => StatusCode::BAD_REQUEST,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn is_bad_request(&self) -> bool {
        matches!(
            self,
            Self::NamespaceHeader
                | Self::NamespaceParam
                | Self::PartitionHeader
                | Self::PartitionParam
                | Self::StaleAndConsistent
                | Self::CachedAndConsistent
                | Self::MaxStale(_)
                | Self::WaitTime
                | Self::Index
                | Self::CacheControl
                | Self::Passing
                | Self::PemFlag
                | Self::NoTarget
                | Self::NotConnectId
                | Self::NotServiceId
                | Self::Ca(CaError::StateReadOnly)
                | Self::PeerAndSamenessGroup
                | Self::Decode(_)
                | Self::MissingServiceName
                | Self::MissingNodeName
                | Self::MissingGatewayName
                | Self::MissingCheckState
                | Self::MissingKeyName
                | Self::MissingSession
                | Self::ConflictingFlags(_)
                | Self::CheckStatus(_)
                | Self::MissingServiceId
                | Self::MissingEnable
                | Self::Enable(_)
                | Self::SegmentOfWan
                | Self::LogLevel(_)
        )
    }

    /// The methods to name in `Allow`.
    pub(crate) fn allowed(&self) -> Option<&[Method]> {
        match self {
            Self::Method { allowed, .. } => Some(allowed),
            _ => None,
        }
    }

    /// Whether the query's headers go out with it.
    pub(crate) fn met_the_query(&self) -> bool {
        matches!(self, Self::Queried(_))
    }

    /// Whether the rest of the request is not worth reading.
    pub(crate) fn closes(&self) -> bool {
        match self {
            Self::BodyTooLarge { .. }
            | Self::ValueTooLarge { .. }
            | Self::UnsizedValueTooLarge { .. } => true,
            Self::Discovery(fault) => fault.closes(),
            _ => false,
        }
    }

    /// Marks it as found during the query, on pages that tell the query's headers then too.
    pub(crate) fn queried(self) -> Self {
        Self::Queried(Box::new(self))
    }
}

/// Several faults, printed as Consul prints them.
#[derive(Debug)]
pub(crate) struct Faults(pub(crate) Vec<String>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("1 error occurred:\n")?,
            several => writeln!(f, "{several} errors occurred:")?,
        }
        self.0.iter().try_for_each(|fault| writeln!(f, "\t* {fault}"))?;
        f.write_str("\n")
    }
}

impl From<Refusal> for Reject {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NoLeader => Self::NoLeader,
            refusal => Self::Refused(Box::new(refusal)),
        }
    }
}

impl From<Denial> for Reject {
    fn from(denial: Denial) -> Self {
        Refusal::from(denial).into()
    }
}

/// Consul's words for what the access control does not allow.
fn denied(denial: &Denial) -> String {
    let Denial { accessor, resource, access, name } = denial;
    let of = name.as_deref().map(|name| format!(" on {}", quote(name))).unwrap_or_default();
    match accessor {
        Some(accessor) => format!(
            "Permission denied: token with AccessorID '{accessor}' lacks permission '{resource}:{access}'{of}"
        ),
        None => format!(
            "Permission denied: anonymous token lacks permission '{resource}:{access}'{of}. The anonymous token is used implicitly when a request does not specify a token."
        ),
    }
}

/// The status of what the agent refuses.
fn agent_status(error: &NodeError) -> StatusCode {
    match error {
        NodeError::InvalidService(_)
        | NodeError::InvalidCheck(_)
        | NodeError::NoCheckName
        | NodeError::BadCheckStatus => StatusCode::BAD_REQUEST,
        NodeError::NoServiceForCheck(_)
        | NodeError::UnknownService(_)
        | NodeError::UnknownCheck(_) => StatusCode::NOT_FOUND,
        NodeError::Unsupported(_) => StatusCode::NOT_IMPLEMENTED,
        NodeError::TaggedAddress { .. }
        | NodeError::NoTtl(_)
        | NodeError::RemoteScripts
        | NodeError::LocalScripts
        | NodeError::NoOsServices
        | NodeError::SidecarPortsOff
        | NodeError::NoSidecarPort { .. }
        | NodeError::Storage(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The status of what the core refuses.
fn refusal_status(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::Denied { .. }
        | Refusal::OtherOwner { .. }
        | Refusal::UnknownToken { .. }
        | Refusal::ExpiredToken
        | Refusal::NotAllowed(_)
        | Refusal::Forbidden => StatusCode::FORBIDDEN,
        Refusal::Scope(_) => StatusCode::BAD_REQUEST,
        Refusal::TooFast { .. } => StatusCode::TOO_MANY_REQUESTS,
        Refusal::Overloaded | Refusal::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Consul's words for what the core refuses.
fn refusal(refusal: &Refusal) -> String {
    match refusal {
        Refusal::UnknownNode(_) => "apply failed: Missing node registration".to_owned(),
        Refusal::UnknownService { service, check, .. } => {
            format!("Unknown service ID '{service}' for check ID '{check}'")
        }
        Refusal::NamelessCheck { node } => format!(
            "failed inserting check on node {}: failed health check lookup: index error: object is missing a value for this index",
            quote(node.as_str())
        ),
        Refusal::NodeNameTaken { name, former, id, holder, holder_name, holder_address } => {
            let former =
                former.as_deref().map(|address| format!(" ({address})")).unwrap_or_default();
            format!(
                "failed inserting node: Error while renaming Node ID: {}{former}: Node name {name} is reserved by node {holder} with name {holder_name} ({holder_address})",
                quote(id)
            )
        }
        Refusal::UnknownCheck(check) => {
            format!("apply failed: Missing check '{check}' registration")
        }
        Refusal::CriticalCheck(check) => {
            format!("apply failed: Check '{check}' is in critical state")
        }
        Refusal::Snapshot(reason) => format!("failed to restore snapshot: {reason}"),
        Refusal::UnknownSession(session) => {
            format!("raft apply failed: invalid session {}", quote(session))
        }
        Refusal::MissingSession => "raft apply failed: missing session".to_owned(),
        Refusal::NoLeader => "No cluster leader".to_owned(),
        Refusal::UnknownToken { bootstrapped: true } | Refusal::ExpiredToken => {
            "ACL not found".to_owned()
        }
        Refusal::Forbidden => "Permission denied".to_owned(),
        Refusal::ReservedSecret => "Cannot resolve root ACL".to_owned(),
        Refusal::NoService(id) => format!("Unknown service ID '{id}'"),
        Refusal::NoCheck(id) => format!("Unknown check ID '{id}'"),
        Refusal::UnknownToken { bootstrapped: false } => "ACL system must be bootstrapped before making any requests that require authorization: ACL not found".to_owned(),
        Refusal::NotAllowed(denial) => denied(denial),
        Refusal::NameIsId(name) => {
            format!("raft apply failed: name '{name}' aliases an existing query ID")
        }
        Refusal::NameTaken { table: TableId::PreparedQuery, name } => match &**name {
            "" => "raft apply failed: a query template with an empty name already exists".to_owned(),
            name => format!("raft apply failed: name '{name}' aliases an existing query name"),
        },
        Refusal::NameTaken { name, .. } => format!("the name {} is taken", quote(name)),
        Refusal::Deferred { .. } => Reject::NoPathToDatacenter.to_string(),
        Refusal::Denied { .. } | Refusal::OtherOwner { .. } => format!("Permission denied: {refusal}"),
        Refusal::Scope(_) | Refusal::TooFast { .. } | Refusal::Txn(_) | Refusal::Storage(_) | Refusal::Overloaded | Refusal::Stopping => {
            refusal.to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_consuls_status_and_words() {
        let taken = Refusal::NodeNameTaken {
            name: "b".into(),
            former: Some("10.0.0.1".into()),
            id: "i1".into(),
            holder: "i2".into(),
            holder_name: "B".into(),
            holder_address: "10.0.0.2".into(),
        };
        let renaming = "failed inserting node: Error while renaming Node ID: \"i1\" (10.0.0.1): Node name b is reserved by node i2 with name B (10.0.0.2)";
        let nameless = "failed inserting check on node \"n\": failed health check lookup: index error: object is missing a value for this index";
        let cases = [
            (Refusal::UnknownNode("n".into()), 500, "apply failed: Missing node registration"),
            (
                Refusal::UnknownCheck("c".into()),
                500,
                "apply failed: Missing check 'c' registration",
            ),
            (
                Refusal::CriticalCheck("c".into()),
                500,
                "apply failed: Check 'c' is in critical state",
            ),
            (Refusal::UnknownSession("s".into()), 500, "raft apply failed: invalid session \"s\""),
            (Refusal::MissingSession, 500, "raft apply failed: missing session"),
            (Refusal::NamelessCheck { node: "n".into() }, 500, nameless),
            (Refusal::NoLeader, 500, "No cluster leader"),
            (
                Refusal::Denied {
                    scope: proconsul_anchors::scope::ScopePath::default(),
                    rule: "r".into(),
                },
                403,
                "Permission denied: scope dc1 refuses by rule r",
            ),
            (taken, 500, renaming),
        ];
        for (refusal, status, text) in cases {
            let reject = Reject::Refused(Box::new(refusal));
            assert_eq!((reject.status().as_u16(), reject.to_string().as_str()), (status, text));
        }
    }

    #[test]
    fn what_is_found_during_a_query_keeps_its_status() {
        let reject = Reject::NoPathToDatacenter.queried();
        assert_eq!(reject.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(reject.met_the_query() && reject.to_string() == "No path to datacenter");
        assert!(!Reject::WaitTime.met_the_query());
    }
}
