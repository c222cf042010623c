//! What `/v1/operator` reads and prints.

use std::collections::BTreeMap;

use proconsul_anchors::clock::Time;
use proconsul_anchors::duration::show;
use proconsul_anchors::index::Index;
use proconsul_anchors::pairs::Pairs;
use proconsul_anchors::service::mesh::{CONNECT_PROXY, GATEWAYS};
use serde::{Deserialize, Serialize};

use crate::go::json::Json;
use crate::go::time::{rounded, show_time};
use crate::wire::decode::{DecodeError, Ignored, Nanos, Place, Read, form};

/// The members of the group (`raft/configuration`).
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RaftOut<'a> {
    pub(crate) servers: [RaftServerOut<'a>; 1],
    /// Consul prints the index of the configuration, which it always gives as 0.
    pub(crate) index: u64,
}

/// A member of the group.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RaftServerOut<'a> {
    #[serde(rename = "ID")]
    pub(crate) id: &'a str,
    pub(crate) node: &'a str,
    pub(crate) address: String,
    pub(crate) leader: bool,
    pub(crate) protocol_version: &'static str,
    pub(crate) voter: bool,
    pub(crate) last_index: u64,
}

/// What is known of the only server, for the pages of autopilot.
pub(crate) struct ServerHealth<'a> {
    pub(crate) id: &'a str,
    pub(crate) name: &'a str,
    pub(crate) address: String,
    pub(crate) version: &'a str,
    pub(crate) leads: bool,
    pub(crate) term: u64,
    pub(crate) index: u64,
    pub(crate) since: Time,
    pub(crate) meta: &'a Pairs,
}

/// `autopilot/health`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct HealthOut<'a> {
    healthy: bool,
    failure_tolerance: u64,
    servers: [ServerHealthOut<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ServerHealthOut<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    name: &'a str,
    address: &'a str,
    serf_status: &'static str,
    version: &'a str,
    leader: bool,
    last_contact: &'static str,
    last_term: u64,
    last_index: u64,
    healthy: bool,
    voter: bool,
    stable_since: String,
}

/// `autopilot/state`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct StateOut<'a> {
    healthy: bool,
    failure_tolerance: u64,
    optimistic_failure_tolerance: u64,
    servers: BTreeMap<&'a str, ServerStateOut<'a>>,
    leader: &'a str,
    voters: [&'a str; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ServerStateOut<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    name: &'a str,
    address: &'a str,
    node_status: &'static str,
    version: &'a str,
    last_contact: &'static str,
    last_term: u64,
    last_index: u64,
    healthy: bool,
    stable_since: String,
    read_replica: bool,
    status: &'static str,
    meta: &'a Pairs,
    node_type: &'static str,
}

/// The configuration of autopilot, as it is kept and printed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Autopilot {
    cleanup_dead_servers: bool,
    last_contact_threshold: String,
    max_trailing_logs: u64,
    min_quorum: u64,
    server_stabilization_time: String,
    redundancy_zone_tag: String,
    disable_upgrade_migration: bool,
    upgrade_version_tag: String,
}

/// The same with its indexes.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AutopilotOut {
    #[serde(flatten)]
    pub(crate) autopilot: Autopilot,
    pub(crate) create_index: u64,
    pub(crate) modify_index: u64,
}

/// The body of a write of it, over Consul's defaults.
#[derive(Debug)]
pub(crate) struct AutopilotForm {
    cleanup_dead_servers: bool,
    last_contact_threshold: Nanos,
    max_trailing_logs: u64,
    min_quorum: Uint,
    server_stabilization_time: Nanos,
    redundancy_zone_tag: String,
    disable_upgrade_migration: bool,
    upgrade_version_tag: String,
    ignored: Ignored,
}

form!(AutopilotForm, "api.AutopilotConfiguration", plain "AutopilotConfiguration", refuse, {
    "CleanupDeadServers" => cleanup_dead_servers, "LastContactThreshold" => last_contact_threshold,
    "MaxTrailingLogs" => max_trailing_logs, "MinQuorum" => min_quorum,
    "ServerStabilizationTime" => server_stabilization_time, "RedundancyZoneTag" => redundancy_zone_tag,
    "DisableUpgradeMigration" => disable_upgrade_migration, "UpgradeVersionTag" => upgrade_version_tag,
    "CreateIndex" => ignored, "ModifyIndex" => ignored,
});

/// A number that Go keeps in a `uint`.
#[derive(Clone, Copy, Debug, Default)]
struct Uint(u64);

impl Read for Uint {
    fn go_type() -> std::borrow::Cow<'static, str> {
        "uint".into()
    }

    fn read(&mut self, value: &Json, place: &Place<'_>) -> Result<(), DecodeError> {
        self.0.read(value, place).map_err(|error| match error {
            DecodeError::Clash { value, place, .. } => {
                DecodeError::Clash { value, place, expected: Self::go_type() }
            }
            other => other,
        })
    }
}

/// The body of a change of the gossip keys.
#[derive(Debug, Default)]
pub(crate) struct KeyForm {
    pub(crate) key: String,
    token: String,
    ignored: Ignored,
}

form!(KeyForm, "agent.keyringArgs", plain "keyringArgs", refuse, {
    "Key" => key, "Token" => token, "RelayFactor" => ignored, "LocalOnly" => ignored,
});

/// `usage`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct UsageOut<'a> {
    pub(crate) usage: BTreeMap<&'a str, Usage>,
    pub(crate) index: u64,
    pub(crate) last_contact: u64,
    pub(crate) known_leader: bool,
    pub(crate) consistency_level: &'static str,
    pub(crate) not_modified: bool,
    pub(crate) backend: u8,
    #[serde(rename = "ResultsFilteredByACLs")]
    pub(crate) filtered: bool,
}

/// How much there is in a datacenter.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Usage {
    services: usize,
    service_instances: usize,
    connect_service_instances: BTreeMap<&'static str, usize>,
    billable_service_instances: usize,
    nodes: usize,
}

/// The service that every server registers, which nobody pays for.
const OWN_SERVICE: &str = "consul";
const CONNECT_NATIVE: &str = "connect-native";

// === impl Usage ===

impl Usage {
    /// Counts what an index holds.
    pub(crate) fn of(index: &Index) -> Self {
        let kinds = GATEWAYS.into_iter().chain([CONNECT_PROXY, CONNECT_NATIVE]);
        let mut usage = Self {
            services: index.services().count(),
            nodes: index.nodes().len(),
            connect_service_instances: kinds.map(|kind| (kind, 0)).collect(),
            ..Self::default()
        };
        for instance in index.services().flat_map(|row| row.instances.values()) {
            let service = &instance.service;
            let native = service.mesh().is_some_and(|mesh| mesh.native);
            usage.service_instances += 1;
            let typical = service.kind().is_empty() && service.name.as_str() != OWN_SERVICE;
            usage.billable_service_instances += usize::from(typical);
            let mut count = |kind: &str| {
                if let Some(count) = usage.connect_service_instances.get_mut(kind) {
                    *count += 1;
                }
            };
            count(service.kind());
            if native {
                count(CONNECT_NATIVE);
            }
        }
        usage
    }
}

// === impl ServerHealth ===

impl ServerHealth<'_> {
    /// As `autopilot/health` prints it.
    pub(crate) fn health(&self) -> HealthOut<'_> {
        let server = ServerHealthOut {
            id: self.id,
            name: self.name,
            address: &self.address,
            serf_status: "alive",
            version: self.version,
            leader: self.leads,
            last_contact: "0s",
            last_term: self.term,
            last_index: self.index,
            healthy: self.leads,
            voter: true,
            stable_since: show_time(rounded(self.since)),
        };
        HealthOut { healthy: self.leads, failure_tolerance: 0, servers: [server] }
    }

    /// As `autopilot/state` prints it.
    pub(crate) fn state(&self) -> StateOut<'_> {
        let server = ServerStateOut {
            id: self.id,
            name: self.name,
            address: &self.address,
            node_status: "alive",
            version: self.version,
            last_contact: "0s",
            last_term: self.term,
            last_index: self.index,
            healthy: self.leads,
            stable_since: show_time(self.since),
            read_replica: false,
            status: if self.leads { "leader" } else { "voter" },
            meta: self.meta,
            node_type: "voter",
        };
        StateOut {
            healthy: self.leads,
            failure_tolerance: 0,
            optimistic_failure_tolerance: 0,
            servers: BTreeMap::from([(self.id, server)]),
            leader: if self.leads { self.id } else { "" },
            voters: [self.id],
        }
    }
}

// === impl Autopilot ===

impl Default for Autopilot {
    fn default() -> Self {
        AutopilotForm::default().into()
    }
}

impl From<AutopilotForm> for Autopilot {
    fn from(form: AutopilotForm) -> Self {
        Self {
            cleanup_dead_servers: form.cleanup_dead_servers,
            last_contact_threshold: show(form.last_contact_threshold.0),
            max_trailing_logs: form.max_trailing_logs,
            min_quorum: form.min_quorum.0,
            server_stabilization_time: show(form.server_stabilization_time.0),
            redundancy_zone_tag: form.redundancy_zone_tag,
            disable_upgrade_migration: form.disable_upgrade_migration,
            upgrade_version_tag: form.upgrade_version_tag,
        }
    }
}

impl Default for AutopilotForm {
    fn default() -> Self {
        const MILLISECOND: i64 = 1_000_000;
        Self {
            cleanup_dead_servers: true,
            last_contact_threshold: Nanos(200 * MILLISECOND),
            max_trailing_logs: 250,
            min_quorum: Uint(0),
            server_stabilization_time: Nanos(10_000 * MILLISECOND),
            redundancy_zone_tag: String::new(),
            disable_upgrade_migration: false,
            upgrade_version_tag: String::new(),
            ignored: Ignored,
        }
    }
}
