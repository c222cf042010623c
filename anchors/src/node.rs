//! The leaf scope of one node: its own services and checks, as registered with its agent.
//!
//! ```text
//!   register, deregister, update_ttl ─▶ Leaf ─▶ Moved ─▶ (rim) rows kept ─▶ sync::difference ─▶ [Change] upwards
//!   next_due ◀─ Leaf ◀─ take_due ─▶ Run ─▶ (rim) performed ─▶ heard ─▶ Moved
//! ```
//!
//! Ids are compared with their case here, as in Consul's agent; the catalog above compares without. Pure: it is told
//! the time and dealt its dice, and says in [`Moved`] what the rim has to keep and to tell.

mod alias;
mod bearer;
pub mod checks;
mod configure;
mod content_hash;
pub mod definition;
mod register;
mod rows;
mod sidecar;
mod state;
pub mod sync;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use imbl::{OrdMap, OrdSet};

use self::checks::{Deadlines, Dice, Schedule, TtlBook};
pub use self::configure::Misconfigured;
use self::definition::{
    CheckDefinition, CheckSpec, InvalidCheck, InvalidService, ServiceDefinition,
};
pub use self::register::Maintenance;
pub use self::rows::{LeafRowError, RowKey};
use crate::caller::{Secret, Way};
use crate::clock::Time;
use crate::service::{Check, Node, Service, Status};

/// The id of the check that maintenance puts on the node.
pub const NODE_MAINTENANCE: &str = "_node_maintenance";
/// What the id of the check that maintenance puts on a service starts with; its service's id follows.
pub const SERVICE_MAINTENANCE_PREFIX: &str = "_service_maintenance:";

/// What the program settles for its node. Defaults are Consul's.
#[derive(Clone, Debug)]
pub struct LeafSettings {
    /// How the node registers itself.
    pub node: Node,
    /// Set when the node is a server: what the catalog says of it as a member.
    pub server: Option<Server>,
    /// How long a change of nothing but output may wait before it is told upwards; zero tells at once.
    pub check_update_interval: Duration,
    /// Drop what checks say.
    pub discard_check_output: bool,
    /// Bytes of output that a check may say.
    pub check_output_max: usize,
    /// What `deregister_critical_service_after` is raised to.
    pub deregister_after_min: Duration,
    /// How often services that were critical for too long are looked for.
    pub reap_interval: Duration,
    /// Whether configuration files may define scripts.
    pub local_scripts: bool,
    /// Whether the API may define scripts.
    pub remote_scripts: bool,
    /// The first and the last port that sidecars are given; `None` when they have to bring one.
    pub sidecar_ports: Option<(i64, i64)>,
}

/// What the catalog tells of a server beside its node: the service `consul` and the check of the membership.
#[derive(Clone, Debug, Default)]
pub struct Server {
    /// The port of its anchor-to-anchor calls.
    pub port: u16,
    /// Meta of the service `consul`.
    pub meta: crate::pairs::Pairs,
}

/// A node's own services and checks.
#[derive(Clone, Debug)]
pub struct Leaf {
    settings: LeafSettings,
    services: OrdMap<Arc<str>, Arc<LeafService>>,
    checks: OrdMap<Arc<str>, Arc<LeafCheck>>,
    /// Service id to the ids of its checks; the empty id has the node's own. Invariant: it names exactly `checks`.
    checks_of: OrdMap<Arc<str>, OrdSet<Arc<str>>>,
    schedule: Schedule,
    ttls: TtlBook,
    /// Checks whose output changed and was not told yet.
    held: Deadlines,
    /// Checks that follow services of this node, and the id of the service that each follows.
    aliases: BTreeMap<Arc<str>, Box<str>>,
    /// Checks that follow a node by name, and that name.
    remote_aliases: BTreeMap<Arc<str>, Box<str>>,
    /// When services that are critical for too long are looked for again.
    reap_at: Time,
    dice: Dice,
}

/// A service of the node.
#[derive(Clone, Debug)]
pub struct LeafService {
    /// What was registered, with Consul's defaults filled in.
    pub service: Service,
    /// The token to register it with upwards.
    pub token: Option<Secret>,
    /// By which way whoever registered it came, where scopes ask for it.
    pub way: Way,
    /// Who registered it.
    pub source: Source,
    /// Registered with another service, with which it goes.
    pub sidecar: bool,
}

/// A check of the node or of one of its services.
#[derive(Clone, Debug)]
pub struct LeafCheck {
    /// Its state.
    pub check: Check,
    /// How it is performed; `None` for maintenance.
    pub definition: Option<Arc<CheckDefinition>>,
    /// The token to register it with upwards.
    pub token: Option<Secret>,
    /// Who registered it.
    pub source: Source,
    /// Since when it was heard to be critical.
    pub critical_since: Option<Time>,
    /// Until when a TTL check stays as it was last told, over a restart.
    pub valid_until: Option<Time>,
}

/// Who registered something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A client: it is kept over restarts.
    Api,
    /// A configuration file: it is read again at the next start.
    Configured,
}

/// What a registration does with checks of the service that it does not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// They stay.
    Keep,
    /// They go (`?replace-existing-checks`).
    Replace,
}

/// What a write moved: what is to be told upwards, and which rows are to be kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// By service id; the empty id stands for the node itself.
    pub groups: BTreeMap<Arc<str>, Group>,
    /// Rows that were written or removed.
    pub rows: BTreeSet<RowKey>,
}

/// What moved of one service, or of the node's own checks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// The service itself.
    pub service: bool,
    /// Its checks.
    pub checks: BTreeSet<Arc<str>>,
}

/// A check to perform now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its id.
    pub check: Arc<str>,
    /// Which plan it belongs to: the result of an older plan is dropped.
    pub number: u64,
    /// What to do.
    pub spec: CheckSpec,
    /// How long it may take.
    pub timeout: Duration,
    /// Bytes of output to keep.
    pub output_max: usize,
}

/// What performing a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeResult {
    /// Fit or not.
    pub status: Status,
    /// What it said.
    pub output: String,
    /// Applies at once, whatever the thresholds are (a command that could not be started or took too long).
    pub certain: bool,
}

/// The health of a service with its checks and its node's.
#[derive(Clone, Debug)]
pub struct ServiceHealth {
    /// The service.
    pub service: Arc<LeafService>,
    /// The node's own checks and the service's, by id.
    pub checks: Vec<Arc<LeafCheck>>,
    /// All of them in one word.
    pub status: Aggregate,
}

/// Several checks in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "Consul's words, from the best to the worst")]
pub enum Aggregate {
    Passing,
    Warning,
    Critical,
    Maintenance,
}

/// Why the agent says no. The text is the whole of what Consul answers; the status is in each variant's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// 400.
    #[error(transparent)]
    InvalidService(#[from] InvalidService),
    /// 400.
    #[error("Invalid check: {0}")]
    InvalidCheck(#[from] InvalidCheck),
    /// 400.
    #[error("Missing check name")]
    NoCheckName,
    /// 400.
    #[error("Bad check status")]
    BadCheckStatus,
    /// 500.
    #[error("Service tagged address {tag:?} must be a valid ipv{version} address")]
    TaggedAddress {
        /// Which one.
        tag: &'static str,
        /// 4 or 6.
        version: u8,
    },
    /// 404: a check for a service that is not here.
    #[error("ServiceID {0:?} does not exist")]
    NoServiceForCheck(Box<str>),
    /// 404.
    #[error(
        "Unknown service ID {0:?}. Ensure that the service ID is passed, not the service name."
    )]
    UnknownService(Box<str>),
    /// 404.
    #[error("Unknown check ID {0:?}. Ensure that the check ID is passed, not the check name.")]
    UnknownCheck(Box<str>),
    /// 500.
    #[error("CheckID {0:?} does not have associated TTL")]
    NoTtl(Box<str>),
    /// 500.
    #[error(
        "Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true"
    )]
    RemoteScripts,
    /// The start or reload fails.
    #[error(
        "Scripts are disabled on this agent; to enable, configure 'enable_script_checks' or 'enable_local_script_checks' to true"
    )]
    LocalScripts,
    /// 500.
    #[error("no port provided for sidecar_service and auto-assignment disabled in config")]
    SidecarPortsOff,
    /// 500.
    #[error(
        "no port provided for sidecar_service and none left in the configured range [{min}, {max}]"
    )]
    NoSidecarPort {
        /// The first of the range.
        min: i64,
        /// The last of it.
        max: i64,
    },
    /// 500: on this operating system Consul has none either.
    #[error("not implemented")]
    NoOsServices,
    /// 501: no text of Consul's, which performs them.
    #[error("{0} checks are not supported yet")]
    Unsupported(&'static str),
    /// 500.
    #[error("the agent could not keep the registration: {0}")]
    Storage(Box<str>),
}

// === impl LeafSettings ===

impl LeafSettings {
    /// Consul's defaults for a node.
    pub fn new(node: Node) -> Self {
        Self {
            node,
            server: None,
            check_update_interval: Duration::from_secs(300),
            discard_check_output: false,
            check_output_max: 4096,
            deregister_after_min: Duration::from_secs(60),
            reap_interval: Duration::from_secs(30),
            local_scripts: false,
            remote_scripts: false,
            sidecar_ports: Some((21_000, 21_255)),
        }
    }
}

// === impl Leaf ===

impl Leaf {
    /// A node without services. The seed decides when checks run first.
    pub fn new(settings: LeafSettings, seed: u64, now: Time) -> Self {
        let reap_at = now + settings.reap_interval;
        Self {
            settings,
            services: OrdMap::new(),
            checks: OrdMap::new(),
            checks_of: OrdMap::new(),
            schedule: Schedule::default(),
            ttls: TtlBook::default(),
            held: Deadlines::default(),
            aliases: BTreeMap::new(),
            remote_aliases: BTreeMap::new(),
            reap_at,
            dice: Dice::new(seed),
        }
    }

    /// What the program settled.
    pub fn settings(&self) -> &LeafSettings {
        &self.settings
    }

    /// Settles anew (a reload). Checks keep their schedules.
    pub fn settle(&mut self, settings: LeafSettings) {
        self.settings = settings;
    }

    /// The services by id.
    pub fn services(&self) -> &OrdMap<Arc<str>, Arc<LeafService>> {
        &self.services
    }

    /// The checks by id, maintenance included.
    pub fn checks(&self) -> &OrdMap<Arc<str>, Arc<LeafCheck>> {
        &self.checks
    }

    /// How many checks are probed, and how many are TTL checks.
    pub fn check_counts(&self) -> (usize, usize) {
        let is_ttl = |check: &&Arc<LeafCheck>| check.ttl().is_some();
        (self.schedule.len(), self.checks.values().filter(is_ttl).count())
    }

    /// The health of one service.
    pub fn health(&self, id: &str) -> Option<ServiceHealth> {
        let service = Arc::clone(self.services.get(id)?);
        let ids: BTreeSet<&Arc<str>> = self.ids_of("").chain(self.ids_of(id)).collect();
        let checks: Vec<_> =
            ids.into_iter().filter_map(|id| self.checks.get(id).cloned()).collect();
        let status = Aggregate::of(&checks);
        Some(ServiceHealth { service, checks, status })
    }

    /// The health of every instance of a service name, by id.
    pub fn health_by_name(&self, name: &str) -> Vec<ServiceHealth> {
        let named =
            |(_, entry): &(&Arc<str>, &Arc<LeafService>)| entry.service.name.as_str() == name;
        self.services.iter().filter(named).filter_map(|(id, _)| self.health(id)).collect()
    }

    /// The ids of the checks of one service, or of the node (the empty id).
    fn ids_of(&self, service: &str) -> impl Iterator<Item = &Arc<str>> {
        self.checks_of.get(service).into_iter().flatten()
    }

    fn put_check(&mut self, entry: LeafCheck) {
        let id: Arc<str> = entry.check.id.as_str().into();
        self.take_check(&id);
        let of = entry.service_id().unwrap_or_default().into();
        self.checks_of.entry(of).or_default().insert(Arc::clone(&id));
        self.checks.insert(id, Arc::new(entry));
    }

    fn take_check(&mut self, id: &str) -> Option<Arc<LeafCheck>> {
        let entry = self.checks.remove(id)?;
        let of = entry.service_id().unwrap_or_default();
        if let Some(ids) = self.checks_of.get_mut(of) {
            ids.remove(id);
            if ids.is_empty() {
                self.checks_of.remove(of);
            }
        }
        Some(entry)
    }
}

// === impl LeafService ===

impl LeafService {
    /// Names the content: the same content has the same hash, and that is all that may be asked of it. Tags and meta that
    /// were never given are shown as empty ones, and so are the same.
    pub fn content_hash(&self) -> String {
        content_hash::of(&self.service)
    }
}

// === impl LeafCheck ===

impl LeafCheck {
    /// The id of its service; `None` for a check of the node.
    pub fn service_id(&self) -> Option<&str> {
        self.check.service_id().map(|id| id.as_str())
    }

    /// The time within which it has to be heard of, when somebody else performs it.
    pub fn ttl(&self) -> Option<Duration> {
        let definition = self.definition.as_deref()?;
        (!definition.ttl.is_zero()).then_some(definition.ttl)
    }

    /// Whether it stands for maintenance.
    pub fn is_maintenance(&self) -> bool {
        let id = self.check.id.as_str();
        id == NODE_MAINTENANCE || id.starts_with(SERVICE_MAINTENANCE_PREFIX)
    }
}

// === impl Moved ===

impl Moved {
    /// Adds what another write moved.
    pub fn merge(&mut self, other: Self) {
        self.rows.extend(other.rows);
        for (id, group) in other.groups {
            let mine = self.groups.entry(id).or_default();
            mine.service |= group.service;
            mine.checks.extend(group.checks);
        }
    }

    /// Whether nothing moved.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.rows.is_empty()
    }

    fn service(&mut self, id: &Arc<str>) {
        self.groups.entry(Arc::clone(id)).or_default().service = true;
        self.rows.insert(RowKey::Service(Arc::clone(id)));
    }

    fn check(&mut self, id: &Arc<str>, of: Option<&str>) {
        self.groups.entry(of.unwrap_or_default().into()).or_default().checks.insert(Arc::clone(id));
    }

    fn check_row(&mut self, id: &Arc<str>) {
        self.rows.insert(RowKey::Check(Arc::clone(id)));
    }
}

// === impl Aggregate ===

impl Aggregate {
    /// The worst of them; none at all pass.
    pub fn of(checks: &[Arc<LeafCheck>]) -> Self {
        checks.iter().map(|check| Self::of_one(check)).max().unwrap_or(Self::Passing)
    }

    fn of_one(check: &LeafCheck) -> Self {
        match check.check.status {
            _ if check.is_maintenance() => Self::Maintenance,
            Status::Passing => Self::Passing,
            Status::Warning => Self::Warning,
            Status::Critical | Status::Other(_) => Self::Critical,
        }
    }

    /// Consul's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passing => "passing",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::Maintenance => "maintenance",
        }
    }
}

impl fmt::Display for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl ProbeResult ===

impl ProbeResult {
    /// A result that the thresholds count.
    pub fn counted(status: Status, output: impl Into<String>) -> Self {
        Self { status, output: output.into(), certain: false }
    }

    /// A failure that applies at once.
    pub fn certain(output: impl Into<String>) -> Self {
        Self { status: Status::Critical, output: output.into(), certain: true }
    }
}

#[cfg(test)]
mod tests;
