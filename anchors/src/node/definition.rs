//! What a client or a configuration file registers, and Consul's reasons for refusing it.
//!
//! A definition is as flat as it arrives: Consul lets kinds be mixed and then takes one by precedence, and
//! [`CheckDefinition::spec`] is where that happens. The texts of [`InvalidCheck`] and [`InvalidService`] are
//! those that Consul 1.22 answers.

mod mesh;
mod ports;

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(crate) use self::mesh::join_host_port;
pub use self::mesh::{InvalidMesh, InvalidUpstream, SidecarAsked, UpstreamKey};
pub use self::ports::InvalidPort;
use self::ports::port_faults;
use super::NodeError;
use crate::caller::{Secret, Way};
use crate::pairs::Pairs;
use crate::service::{Service, Status, Weights};

/// Consul's bound on pairs in a meta map.
pub const META_PAIRS_MAX: usize = 64;
/// Consul's bound on the bytes of a meta key.
pub const META_KEY_BYTES_MAX: usize = 128;
/// Consul's bound on the bytes of a meta value.
pub const META_VALUE_BYTES_MAX: usize = 512;
/// SRV weights are 16 bits wide (RFC 2782).
pub const WEIGHT_MAX: i64 = 65_535;

/// A service with its checks, as registered.
#[derive(Clone, Debug, Default)]
pub struct ServiceDefinition {
    /// The service; an empty id takes the name.
    pub service: Service,
    /// Its checks, in the given order: positions name those without an id.
    pub checks: Vec<CheckDefinition>,
    /// The token to register it with upwards.
    pub token: Option<Secret>,
    /// By which way whoever registers it came, where scopes ask for it.
    pub way: Way,
    /// A proxy to register with it; what it does not say follows from the service.
    pub sidecar: Option<Box<Self>>,
}

/// A check, as registered. Which kind it is follows from the fields that are set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(
    missing_docs,
    reason = "the fields of Consul's check definition, named as its reference names them"
)]
pub struct CheckDefinition {
    pub id: Box<str>,
    pub name: Box<str>,
    pub notes: Box<str>,
    /// The first status; critical when not given.
    pub status: Option<Status>,
    /// Whose check it is; empty for the node's. Ignored inside a service.
    pub service_id: Box<str>,
    pub script_args: Vec<Box<str>>,
    pub http: Box<str>,
    pub header: Pairs<Vec<Box<str>>>,
    pub method: Box<str>,
    pub body: Box<str>,
    pub disable_redirects: bool,
    pub tcp: Box<str>,
    pub tcp_use_tls: bool,
    pub udp: Box<str>,
    pub h2ping: Box<str>,
    pub h2ping_use_tls: bool,
    pub grpc: Box<str>,
    pub grpc_use_tls: bool,
    pub os_service: Box<str>,
    pub docker_container_id: Box<str>,
    pub shell: Box<str>,
    pub alias_node: Box<str>,
    pub alias_service: Box<str>,
    pub tls_server_name: Box<str>,
    pub tls_skip_verify: bool,
    pub interval: Duration,
    pub timeout: Duration,
    pub ttl: Duration,
    pub success_before_passing: i64,
    pub failures_before_warning: i64,
    pub failures_before_critical: i64,
    pub deregister_critical_service_after: Duration,
    /// Bytes; 0 means the agent's own bound.
    pub output_max_size: i64,
}

/// How a check is performed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckSpec {
    /// By whoever registered it, within this time.
    Ttl(Duration),
    /// An HTTP request.
    Http(HttpSpec),
    /// A TCP connection.
    Tcp {
        /// `host:port`.
        address: Box<str>,
        /// TLS on top of it.
        tls: Option<TlsSpec>,
    },
    /// A datagram.
    Udp {
        /// `host:port`.
        address: Box<str>,
    },
    /// gRPC's health protocol.
    Grpc {
        /// `host:port[/service]`.
        target: Box<str>,
        /// TLS below it.
        tls: Option<TlsSpec>,
    },
    /// A command inside a container.
    Docker {
        /// The container's name or id.
        container: Box<str>,
        /// The program and its arguments; never empty.
        args: Vec<Box<str>>,
    },
    /// A unit of the operating system (not performed: Consul does so on Windows only).
    OsService,
    /// A command.
    Script {
        /// The program and its arguments; never empty.
        args: Vec<Box<str>>,
    },
    /// An HTTP/2 ping.
    H2ping {
        /// `host:port`.
        address: Box<str>,
        /// TLS below it.
        tls: Option<TlsSpec>,
    },
    /// The health of another service or node.
    Alias {
        /// The node; empty for the own.
        node: Box<str>,
        /// The service's id; empty for the node's own checks.
        service: Box<str>,
    },
}

/// The request of an HTTP check.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the field of the definition of the same name")]
pub struct HttpSpec {
    pub url: Box<str>,
    /// Empty means GET.
    pub method: Box<str>,
    pub header: Pairs<Vec<Box<str>>>,
    pub body: Box<str>,
    pub follow_redirects: bool,
    pub tls: TlsSpec,
}

/// Whom a TLS handshake of a check trusts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TlsSpec {
    /// The name to ask and to verify; empty means the host's.
    pub server_name: Box<str>,
    /// Trust whatever certificate comes.
    pub skip_verify: bool,
}

/// Why a check cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the text says it")]
pub enum InvalidCheck {
    #[error("Interval and TTL cannot both be specified")]
    IntervalAndTtl,
    #[error("Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks")]
    NoInterval,
    #[error("Interval cannot be set for Alias checks")]
    AliasWithProbe,
    #[error("TTL must be not be set for Alias checks")]
    AliasWithTtl,
    #[error("TTL must be > 0 for TTL checks")]
    NoTtl,
    #[error("MaxOutputMaxSize must be positive")]
    OutputMaxSize,
    #[error("FailuresBeforeWarning can't be higher than FailuresBeforeCritical")]
    WarningAfterCritical,
}

/// Why a service cannot be. The text is the whole of what Consul answers, with status 400.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the text says it")]
pub enum InvalidService {
    #[error("Missing service name")]
    NoName,
    #[error("Invalid service address")]
    AnyAddress,
    #[error("Invalid Weights: {0}")]
    Weights(InvalidWeights),
    #[error("Invalid Service Meta: {0}")]
    Meta(InvalidMeta),
    #[error("Validation failed: {0}")]
    Parts(InvalidParts),
    #[error("Invalid check: {0}")]
    Check(#[from] InvalidCheck),
    #[error("Status for checks must 'passing', 'warning', 'critical'")]
    CheckStatus,
    #[error("MultiPort cannot be used with Consul Connect.")]
    PortsAndSidecar,
    #[error("Invalid check in sidecar_service: {0}")]
    SidecarCheck(InvalidCheck),
    #[error("Invalid SidecarService: {0}")]
    SidecarMeta(InvalidMeta),
    #[error("Failed Validation: {0}")]
    Sidecar(InvalidParts),
}

/// Why weights cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the text says it")]
pub enum InvalidWeights {
    #[error("Passing must be greater than 0")]
    Passing,
    #[error("Warning must be greater or equal than 0")]
    Warning,
    #[error("DNS Weight must be between 0 and 65535")]
    TooLarge,
}

/// Why a meta map cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the text says it")]
pub enum InvalidMeta {
    #[error("Node metadata cannot contain more than {META_PAIRS_MAX} key/value pairs")]
    TooMany,
    #[error("Couldn't load metadata pair ('{key}', '{value}'): {reason}")]
    Pair { key: Box<str>, value: Box<str>, reason: InvalidPair },
}

/// Why one pair of a meta map cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the text says it")]
pub enum InvalidPair {
    #[error("Key cannot be blank")]
    Blank,
    #[error("Key contains invalid characters")]
    Characters,
    #[error("Key is too long (limit: {META_KEY_BYTES_MAX} characters)")]
    KeyTooLong,
    #[error("Key prefix 'consul-' is reserved for internal use")]
    Reserved,
    #[error("Value is too long (limit: {META_VALUE_BYTES_MAX} characters)")]
    ValueTooLong,
}

/// All that is wrong with the parts of a service, printed as Consul prints several errors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidParts(pub Vec<InvalidPart>);

/// One thing that is wrong with a part of a service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the text says it")]
pub enum InvalidPart {
    #[error("zone cannot be set without region")]
    ZoneAlone,
    #[error(transparent)]
    Mesh(#[from] InvalidMesh),
    #[error(transparent)]
    Port(#[from] InvalidPort),
}

// === impl ServiceDefinition ===

impl ServiceDefinition {
    /// Whether Consul would register it, in the order in which Consul looks.
    pub fn validate(&self) -> Result<(), InvalidService> {
        let service = &self.service;
        if service.name.is_empty() {
            return Err(InvalidService::NoName);
        }
        if is_any_address(&service.address) {
            return Err(InvalidService::AnyAddress);
        }
        validate_weights(service.weights).map_err(InvalidService::Weights)?;
        validate_service_meta(service).map_err(InvalidService::Meta)?;
        let sidecar = self.sidecar.as_deref();
        parts(service_faults(service, SidecarAsked::of(sidecar))).map_err(InvalidService::Parts)?;
        for check in &self.checks {
            check.validate()?;
        }
        self.check_statuses()?;
        match sidecar {
            Some(_) if !service.ports().is_empty() => Err(InvalidService::PortsAndSidecar),
            Some(sidecar) => sidecar.validate_as_asked(),
            None => Ok(()),
        }
    }

    fn check_statuses(&self) -> Result<(), InvalidService> {
        let odd = self.checks.iter().any(CheckDefinition::has_odd_status);
        if odd { Err(InvalidService::CheckStatus) } else { Ok(()) }
    }

    /// Whether it can be a sidecar, before the rest of it is filled in.
    fn validate_as_asked(&self) -> Result<(), InvalidService> {
        for check in &self.checks {
            check.validate().map_err(InvalidService::SidecarCheck)?;
        }
        self.check_statuses()?;
        validate_service_meta(&self.service).map_err(InvalidService::SidecarMeta)
    }

    /// Whether it can be a sidecar, with all filled in but its port.
    pub(super) fn validate_as_sidecar(&self) -> Result<(), InvalidService> {
        let faults = mesh::mesh_faults(&self.service, SidecarAsked::of(self.sidecar.as_deref()));
        parts(faults).map_err(InvalidService::Sidecar)
    }
}

// === impl CheckDefinition ===

impl CheckDefinition {
    /// Whether it can be registered without a service around it, which is looked at before anybody's rights are.
    ///
    /// # Errors
    /// What is missing or does not fit.
    pub fn validate_alone(&self) -> Result<(), NodeError> {
        if self.name.is_empty() {
            return Err(NodeError::NoCheckName);
        }
        if self.has_odd_status() {
            return Err(NodeError::BadCheckStatus);
        }
        Ok(self.validate()?)
    }

    /// Whether nothing at all was given: Consul then ignores the `Check` of a service.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether Consul would take it, in the order in which Consul looks.
    pub fn validate(&self) -> Result<(), InvalidCheck> {
        let has_interval = !self.interval.is_zero();
        let has_ttl = !self.ttl.is_zero();
        match (self.is_probed(), self.is_alias()) {
            _ if has_interval && has_ttl => return Err(InvalidCheck::IntervalAndTtl),
            (true, _) if !has_interval => return Err(InvalidCheck::NoInterval),
            (true, true) => return Err(InvalidCheck::AliasWithProbe),
            (_, true) if has_ttl => return Err(InvalidCheck::AliasWithTtl),
            (false, false) if !has_ttl => return Err(InvalidCheck::NoTtl),
            _ => {}
        }
        if self.output_max_size < 0 {
            return Err(InvalidCheck::OutputMaxSize);
        }
        if self.failures_before_warning > self.failures_before_critical {
            return Err(InvalidCheck::WarningAfterCritical);
        }
        Ok(())
    }

    /// How it is performed, when it is valid. Consul's precedence, where several kinds are given.
    pub fn spec(&self) -> Option<CheckSpec> {
        if !self.ttl.is_zero() {
            return Some(CheckSpec::Ttl(self.ttl));
        }
        if self.is_alias() {
            let (node, service) = (self.alias_node.clone(), self.alias_service.clone());
            return Some(CheckSpec::Alias { node, service });
        }
        if self.interval.is_zero() {
            return None;
        }
        Some(match () {
            () if !self.http.is_empty() => CheckSpec::Http(self.http_spec()),
            () if !self.tcp.is_empty() => {
                CheckSpec::Tcp { address: self.tcp.clone(), tls: self.tls(self.tcp_use_tls) }
            }
            () if !self.udp.is_empty() => CheckSpec::Udp { address: self.udp.clone() },
            () if !self.grpc.is_empty() => {
                CheckSpec::Grpc { target: self.grpc.clone(), tls: self.tls(self.grpc_use_tls) }
            }
            () if self.is_script() && !self.docker_container_id.is_empty() => CheckSpec::Docker {
                container: self.docker_container_id.clone(),
                args: self.script_args.clone(),
            },
            () if !self.os_service.is_empty() => CheckSpec::OsService,
            () if self.is_script() => CheckSpec::Script { args: self.script_args.clone() },
            () if !self.h2ping.is_empty() => CheckSpec::H2ping {
                address: self.h2ping.clone(),
                tls: self.tls(self.h2ping_use_tls),
            },
            () => return None,
        })
    }

    /// What Consul prints as its type. Its precedence differs from the one by which it is performed.
    pub fn kind(&self) -> &'static str {
        let probed = !self.interval.is_zero();
        match () {
            () if probed && !self.grpc.is_empty() => "grpc",
            () if probed && !self.http.is_empty() => "http",
            () if !self.ttl.is_zero() => "ttl",
            () if probed && !self.tcp.is_empty() => "tcp",
            () if probed && !self.udp.is_empty() => "udp",
            () if self.is_alias() => "alias",
            () if probed && self.is_script() && !self.docker_container_id.is_empty() => "docker",
            () if self.is_script() => "script",
            () if probed && !self.h2ping.is_empty() => "h2ping",
            () if probed && !self.os_service.is_empty() => "os_service",
            () => "",
        }
    }

    /// Whether it runs a command.
    pub fn is_script(&self) -> bool {
        !self.script_args.is_empty()
    }

    /// Whether its first status is none of Consul's three.
    pub fn has_odd_status(&self) -> bool {
        matches!(self.status, Some(Status::Other(_)))
    }

    fn is_alias(&self) -> bool {
        !self.alias_node.is_empty() || !self.alias_service.is_empty()
    }

    fn is_probed(&self) -> bool {
        let targets =
            [&self.http, &self.tcp, &self.udp, &self.grpc, &self.h2ping, &self.os_service];
        self.is_script() || targets.iter().any(|target| !target.is_empty())
    }

    fn tls(&self, wanted: bool) -> Option<TlsSpec> {
        wanted.then(|| TlsSpec {
            server_name: self.tls_server_name.clone(),
            skip_verify: self.tls_skip_verify,
        })
    }

    fn http_spec(&self) -> HttpSpec {
        HttpSpec {
            url: self.http.clone(),
            method: self.method.clone(),
            header: self.header.clone(),
            body: self.body.clone(),
            follow_redirects: !self.disable_redirects,
            tls: self.tls(true).unwrap_or_default(),
        }
    }
}

// === impl CheckSpec ===

impl CheckSpec {
    /// Whether this program performs it (TTL and alias checks included).
    pub fn is_supported(&self) -> bool {
        !matches!(self, Self::OsService)
    }

    /// What it may take when nothing was said: Consul's defaults.
    pub fn default_timeout(&self) -> Duration {
        match self {
            Self::Script { .. } => Duration::from_secs(30),
            _ => Duration::from_secs(10),
        }
    }
}

// === impl InvalidParts ===

impl fmt::Display for InvalidParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("1 error occurred:\n")?,
            several => writeln!(f, "{several} errors occurred:")?,
        }
        self.0.iter().try_for_each(|one| writeln!(f, "\t* {one}"))?;
        f.write_str("\n")
    }
}

impl std::error::Error for InvalidParts {}

/// Whether an address names every address (`0.0.0.0`, `::`), which no client could reach.
pub fn is_any_address(address: &str) -> bool {
    address.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified())
}

/// The key with Consul's prefix that mesh gateways may carry.
const WAN_FEDERATION: &str = "consul-wan-federation";

/// Consul's rules for the meta of services.
pub fn validate_service_meta(service: &Service) -> Result<(), InvalidMeta> {
    let allowed = if service.kind() == "mesh-gateway" { WAN_FEDERATION } else { "" };
    validate_meta_but(service.meta.as_ref(), allowed)
}

/// Consul's rules for the meta of the agent's own node.
pub fn validate_meta(meta: Option<&Pairs>) -> Result<(), InvalidMeta> {
    validate_meta_but(meta, "")
}

fn validate_meta_but(meta: Option<&Pairs>, allowed: &str) -> Result<(), InvalidMeta> {
    let Some(meta) = meta else { return Ok(()) };
    if meta.len() > META_PAIRS_MAX {
        return Err(InvalidMeta::TooMany);
    }
    for (key, value) in meta.iter().filter(|(key, _)| allowed.is_empty() || *key != allowed) {
        validate_pair(key, value).map_err(|reason| InvalidMeta::Pair {
            key: key.into(),
            value: value.clone(),
            reason,
        })?;
    }
    Ok(())
}

fn validate_pair(key: &str, value: &str) -> Result<(), InvalidPair> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if key.is_empty() {
        return Err(InvalidPair::Blank);
    }
    if !key.bytes().all(allowed) {
        return Err(InvalidPair::Characters);
    }
    if key.len() > META_KEY_BYTES_MAX {
        return Err(InvalidPair::KeyTooLong);
    }
    if key.starts_with("consul-") {
        return Err(InvalidPair::Reserved);
    }
    if value.len() > META_VALUE_BYTES_MAX {
        return Err(InvalidPair::ValueTooLong);
    }
    Ok(())
}

/// Consul's rules for the weights of a service.
pub fn validate_weights(weights: Weights) -> Result<(), InvalidWeights> {
    let Weights { passing, warning } = weights;
    if passing < 1 {
        return Err(InvalidWeights::Passing);
    }
    if warning < 0 {
        return Err(InvalidWeights::Warning);
    }
    if passing > WEIGHT_MAX || warning > WEIGHT_MAX {
        return Err(InvalidWeights::TooLarge);
    }
    Ok(())
}

fn parts(faults: Vec<InvalidPart>) -> Result<(), InvalidParts> {
    if faults.is_empty() { Ok(()) } else { Err(InvalidParts(faults)) }
}

/// All that Consul finds wrong with the parts of a service, in its order.
pub fn service_faults(service: &Service, sidecar: SidecarAsked) -> Vec<InvalidPart> {
    let locality = service.rare.as_deref().and_then(|rare| rare.locality.as_ref());
    let zone_alone =
        locality.is_some_and(|locality| locality.region.is_empty() && !locality.zone.is_empty());
    let mut faults: Vec<InvalidPart> = Vec::new();
    faults.extend(zone_alone.then_some(InvalidPart::ZoneAlone));
    faults.extend(mesh::place_faults(service));
    faults.extend(mesh::mesh_faults(service, sidecar));
    faults.extend(port_faults(service.port, service.ports()).into_iter().map(InvalidPart::Port));
    faults
}

#[cfg(test)]
mod tests;
