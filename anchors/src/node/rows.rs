//! How the leaf is kept: one row a service, one a check.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{CheckDefinition, Leaf, LeafCheck, LeafService, Source};
use crate::caller::{Secret, Way};
use crate::clock::Time;
use crate::service::{Check, Service, Status};

/// Names a row of the leaf.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RowKey {
    /// A service by id.
    Service(Arc<str>),
    /// A check by id.
    Check(Arc<str>),
}

/// A row that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("row {key:?} of the node's leaf cannot be read: {reason}")]
pub struct LeafRowError {
    key: String,
    reason: serde_json::Error,
}

#[derive(Serialize, Deserialize)]
struct ServiceRow {
    service: Service,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Way::is_unknown")]
    way: Way,
    #[serde(default, skip_serializing_if = "is_false")]
    sidecar: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

#[derive(Serialize, Deserialize)]
struct CheckRow {
    check: Check,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    definition: Option<CheckDefinition>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    valid_until: Option<Time>,
}

// === impl RowKey ===

const SERVICE: &str = "service/";
const CHECK: &str = "check/";

impl fmt::Display for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(id) => write!(f, "{SERVICE}{id}"),
            Self::Check(id) => write!(f, "{CHECK}{id}"),
        }
    }
}

// === impl Leaf ===

impl Leaf {
    /// What is to be kept under a key now; `None` when nothing is (gone, or a configuration file's).
    pub fn row(&self, key: &RowKey) -> Option<Vec<u8>> {
        let bytes = match key {
            RowKey::Service(id) => serde_json::to_vec(&ServiceRow::of(self.services.get(id)?)?),
            RowKey::Check(id) => serde_json::to_vec(&CheckRow::of(self.checks.get(id)?)?),
        };
        Some(bytes.expect("rows are plain data"))
    }

    /// Takes kept rows back in. A check is critical until it is performed, but for a TTL check that still holds: a
    /// service whose state is not known must not get traffic. Rows of other parts of the store are left alone. Returns the
    /// checks that are not taken back: commands that the program may not run any more, and what has lost its service.
    ///
    /// # Errors
    /// A row that is no row of this program's.
    pub fn restore(
        &mut self,
        rows: impl IntoIterator<Item = (String, Vec<u8>)>,
        now: Time,
    ) -> Result<Vec<RowKey>, LeafRowError> {
        let mut checks = Vec::new();
        for (key, bytes) in rows {
            let bad = |reason| LeafRowError { key: key.clone(), reason };
            if key.starts_with(SERVICE) {
                let row: ServiceRow = serde_json::from_slice(&bytes).map_err(bad)?;
                let id = row.service.id.as_str().into();
                self.services.insert(id, Arc::new(row.into()));
            } else if key.starts_with(CHECK) {
                checks.push(serde_json::from_slice::<CheckRow>(&bytes).map_err(bad)?);
            }
        }
        let refused =
            checks.into_iter().filter_map(|row| self.restore_check(row.into(), now)).collect();
        self.follow_all_aliases(now, &mut super::Moved::default());
        Ok(refused)
    }

    fn restore_check(&mut self, mut entry: LeafCheck, now: Time) -> Option<RowKey> {
        let is_orphan = entry.service_id().is_some_and(|of| !self.services.contains_key(of));
        let is_script = entry.definition.as_deref().is_some_and(CheckDefinition::is_script);
        if is_orphan || (is_script && !self.settings.remote_scripts) {
            return Some(RowKey::Check(entry.check.id.as_str().into()));
        }
        if entry.valid_until.is_none_or(|until| until <= now) {
            entry.check.status = Status::Critical;
            entry.check.output = Box::default();
            entry.valid_until = None;
        }
        let id: Arc<str> = entry.check.id.as_str().into();
        let definition = entry.definition.clone();
        self.put_check(entry);
        if let Some(definition) = definition {
            self.plan(&id, &definition, now);
        }
        None
    }
}

// === impl ServiceRow ===

impl ServiceRow {
    fn of(entry: &LeafService) -> Option<Self> {
        let token = entry.token.as_ref().map(|token| token.expose().into());
        (entry.source == Source::Api).then(|| Self {
            service: entry.service.clone(),
            token,
            way: entry.way.clone(),
            sidecar: entry.sidecar,
        })
    }
}

impl From<ServiceRow> for LeafService {
    fn from(row: ServiceRow) -> Self {
        let token = row.token.as_deref().map(Secret::new);
        let (service, way, sidecar) = (row.service, row.way, row.sidecar);
        Self { service, token, way, source: Source::Api, sidecar }
    }
}

// === impl CheckRow ===

impl CheckRow {
    fn of(entry: &LeafCheck) -> Option<Self> {
        (entry.source == Source::Api).then(|| Self {
            check: entry.check.clone(),
            definition: entry.definition.as_deref().cloned(),
            token: entry.token.as_ref().map(|token| token.expose().into()),
            valid_until: entry.valid_until,
        })
    }
}

impl From<CheckRow> for LeafCheck {
    fn from(row: CheckRow) -> Self {
        Self {
            check: row.check,
            definition: row.definition.map(Arc::new),
            token: row.token.as_deref().map(Secret::new),
            source: Source::Api,
            critical_since: None,
            valid_until: row.valid_until,
        }
    }
}
