//! The types of consensus, bound once, and how a batch is written down.

use std::fmt;
use std::sync::Arc;

use openraft::{BasicNode, Config, SnapshotPolicy};
use redb::ReadTransaction;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::{Sealed, Terms};
use crate::change::Committed;
use crate::error::Refusal;
use crate::limits;

openraft::declare_raft_types!(
    /// A scope's group.
    pub(crate) Types:
        D = Batch,
        R = Verdicts,
        NodeId = u64,
        Node = BasicNode,
        Entry = openraft::Entry<Types>,
        SnapshotData = Image,
        AsyncRuntime = openraft::TokioRuntime,
);

/// The id of the member of a group of one.
pub(super) const ALONE: u64 = 1;

pub(super) type LogId = openraft::LogId<u64>;
pub(super) type RaftEntry = openraft::Entry<Types>;
pub(super) type Membership = openraft::StoredMembership<u64, BasicNode>;
pub(super) type StorageError = openraft::StorageError<u64>;

/// What one raft entry holds. Shared, so that the log's cache and the machine have the same one.
#[derive(Clone, Debug)]
pub(crate) struct Batch(pub(super) Arc<[Sealed]>);

/// What became of a batch, one verdict a proposal. It goes from the machine to the keeper in memory and is never written
/// down: the lineage tells what became of each.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Verdicts(#[serde(skip)] pub(super) Vec<Result<Committed, Refusal>>);

/// A snapshot: everything as of one applied entry, read when somebody asks. `None` is one that nothing was put in yet.
#[derive(Default)]
pub(crate) struct Image(pub(super) Option<ReadTransaction>);

/// How a group of one runs: nothing to hear from, nobody to be heard by, so that no timer ever has a reason. The election
/// is triggered at the start.
pub(super) fn config(scope: &str) -> Config {
    const HOUR_MS: u64 = 3_600_000;
    Config {
        cluster_name: scope.to_owned(),
        enable_tick: false,
        enable_heartbeat: false,
        heartbeat_interval: HOUR_MS,
        election_timeout_min: 2 * HOUR_MS,
        election_timeout_max: 3 * HOUR_MS,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(limits::RAFT_ENTRIES_MAX),
        max_in_snapshot_log_to_keep: 0,
        purge_batch_size: 1,
        ..Config::default()
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Image(view)" } else { "Image(empty)" })
    }
}

impl Serialize for Batch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter())
    }
}

impl<'de> Deserialize<'de> for Batch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Vec::<Sealed>::deserialize(deserializer)?.into()))
    }
}

/// The change is written once, as the bytes that its digest covers, after what is told of it.
impl Serialize for Sealed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.terms, &self.payload).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Sealed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (terms, payload) = <(Terms, Box<RawValue>)>::deserialize(deserializer)?;
        let change = serde_json::from_str(payload.get()).map_err(D::Error::custom)?;
        Ok(Self { terms, change, payload })
    }
}
