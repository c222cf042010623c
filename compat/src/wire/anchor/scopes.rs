//! Forms of `/v1/anchor/scopes`.

use proconsul_anchors::duration;
use proconsul_anchors::index::{Row, Usage};
use proconsul_anchors::scope::{Budget, CallerRule, NameRange, OnPartition, Scope, ScopePath};
use serde::Serialize;

use crate::reject::AnchorFault;
use crate::wire::decode::form;

const SECOND: i64 = 1_000_000_000;

/// A scope as it is written.
#[derive(Debug, Default)]
pub(crate) struct ScopeForm {
    path: String,
    owner: String,
    services: Vec<String>,
    keys: Vec<String>,
    callers: Vec<CallerForm>,
    policy: String,
    inherit: String,
    budget: BudgetForm,
    on_partition: String,
    max_stale: String,
    retention: String,
    depth: Option<u64>,
}

form!(ScopeForm, "anchor.Scope", plain "Scope", refuse, {
    "Path" => path, "Owner" => owner, "Services" => services, "Keys" => keys,
    "Callers" => callers, "Policy" => policy, "Inherit" => inherit, "Budget" => budget,
    "OnPartition" => on_partition, "MaxStale" => max_stale, "Retention" => retention,
    "Depth" => depth,
});

/// By what a caller is known.
#[derive(Debug, Default)]
pub(crate) struct CallerForm {
    accessor: String,
    policy: String,
    role: String,
    auth_method: String,
    listener: String,
    source: String,
}

form!(CallerForm, "anchor.Caller", plain "Caller", refuse, {
    "Accessor" => accessor, "Policy" => policy, "Role" => role, "AuthMethod" => auth_method,
    "Listener" => listener, "Source" => source,
});

/// What a scope may hold.
#[derive(Debug, Default)]
pub(crate) struct BudgetForm {
    services: Option<u64>,
    instances: Option<u64>,
    writes_per_second: Option<u64>,
    kv_bytes: Option<u64>,
}

form!(BudgetForm, "anchor.Budget", plain "Budget", refuse, {
    "Services" => services, "Instances" => instances,
    "WritesPerSecond" => writes_per_second, "KVBytes" => kv_bytes,
});

/// A scope as it is printed, and what it holds now.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ScopeOut<'a> {
    path: &'a ScopePath,
    owner: &'a str,
    services: Vec<String>,
    keys: &'a [Box<str>],
    callers: Vec<CallerOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inherit: Option<&'a str>,
    budget: BudgetOut,
    on_partition: OnPartition,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_stale: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retention: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    depth: Option<u32>,
    from_configuration: bool,
    usage: UsageOut,
    create_index: u64,
    modify_index: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct CallerOut<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    accessor: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    listener: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct BudgetOut {
    #[serde(skip_serializing_if = "Option::is_none")]
    services: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instances: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    writes_per_second: Option<u64>,
    #[serde(rename = "KVBytes", skip_serializing_if = "Option::is_none")]
    kv_bytes: Option<u64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct UsageOut {
    services: u64,
    instances: u64,
    keys: u64,
    #[serde(rename = "KVBytes")]
    kv_bytes: u64,
}

// === impl ScopeForm ===

impl ScopeForm {
    /// The scope of a path as the form has it.
    ///
    /// # Errors
    /// [`AnchorFault::Field`].
    pub(crate) fn asked(self, path: ScopePath) -> Result<Scope, AnchorFault> {
        if !self.path.is_empty() && self.path != path.as_str() {
            return Err(AnchorFault::scope("Path", "is not that of the request"));
        }
        let depth = self.depth.map(|depth| {
            u32::try_from(depth).map_err(|_| AnchorFault::scope("Depth", "is too large"))
        });
        Ok(Scope {
            path,
            owner: self.owner.into(),
            services: self.services.iter().map(|name| NameRange::parse(name)).collect(),
            keys: self.keys.into_iter().map(Into::into).collect(),
            callers: self.callers.into_iter().map(Into::into).collect(),
            policy: given(self.policy),
            inherit: given(self.inherit),
            budget: self.budget.into(),
            on_partition: on_partition(&self.on_partition)?,
            max_stale_seconds: seconds("MaxStale", &self.max_stale)?,
            retention_seconds: seconds("Retention", &self.retention)?,
            depth: depth.transpose()?,
            from_configuration: false,
        })
    }
}

fn given(text: String) -> Option<Box<str>> {
    (!text.is_empty()).then(|| text.into())
}

fn on_partition(text: &str) -> Result<OnPartition, AnchorFault> {
    match text {
        "" | "stale" => Ok(OnPartition::Stale),
        "empty" => Ok(OnPartition::Empty),
        "error" => Ok(OnPartition::Error),
        _ => Err(AnchorFault::scope("OnPartition", "must be stale, empty or error")),
    }
}

fn seconds(field: &'static str, text: &str) -> Result<u64, AnchorFault> {
    if text.is_empty() {
        return Ok(0);
    }
    let nanos = duration::parse(text).map_err(|error| AnchorFault::scope(field, error))?;
    u64::try_from(nanos / SECOND).map_err(|_| AnchorFault::scope(field, "must not be negative"))
}

impl From<CallerForm> for CallerRule {
    fn from(form: CallerForm) -> Self {
        Self {
            accessor: given(form.accessor),
            policy: given(form.policy),
            role: given(form.role),
            auth_method: given(form.auth_method),
            listener: given(form.listener),
            source: given(form.source),
        }
    }
}

impl From<BudgetForm> for Budget {
    fn from(form: BudgetForm) -> Self {
        let BudgetForm { services, instances, writes_per_second, kv_bytes } = form;
        Self { services, instances, writes_per_second, kv_bytes }
    }
}

// === impl ScopeOut ===

impl<'a> ScopeOut<'a> {
    pub(crate) fn new(row: &'a Row<Scope>, usage: Usage) -> Self {
        let scope = &row.record;
        Self {
            path: &scope.path,
            owner: &scope.owner,
            services: scope.services.iter().map(ToString::to_string).collect(),
            keys: &scope.keys,
            callers: scope.callers.iter().map(CallerOut::new).collect(),
            policy: scope.policy.as_deref(),
            inherit: scope.inherit.as_deref(),
            budget: BudgetOut::new(&scope.budget),
            on_partition: scope.on_partition,
            max_stale: shown(scope.max_stale_seconds),
            retention: shown(scope.retention_seconds),
            depth: scope.depth,
            from_configuration: scope.from_configuration,
            usage: UsageOut {
                services: usage.services,
                instances: usage.instances,
                keys: usage.keys,
                kv_bytes: usage.kv_bytes,
            },
            create_index: row.created,
            modify_index: row.modified,
        }
    }
}

/// As Consul writes durations; nothing for one that says nothing.
fn shown(seconds: u64) -> Option<String> {
    let nanos = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(SECOND);
    (seconds > 0).then(|| duration::show(nanos))
}

impl<'a> CallerOut<'a> {
    fn new(rule: &'a CallerRule) -> Self {
        Self {
            accessor: rule.accessor.as_deref(),
            policy: rule.policy.as_deref(),
            role: rule.role.as_deref(),
            auth_method: rule.auth_method.as_deref(),
            listener: rule.listener.as_deref(),
            source: rule.source.as_deref(),
        }
    }
}

impl BudgetOut {
    fn new(budget: &Budget) -> Self {
        let Budget { services, instances, writes_per_second, kv_bytes } = *budget;
        Self { services, instances, writes_per_second, kv_bytes }
    }
}
