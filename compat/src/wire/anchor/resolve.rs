//! Forms of `/v1/anchor/alias` and `/v1/anchor/explain`.

use std::collections::BTreeMap;

use proconsul_anchors::credential::Alias;
use proconsul_anchors::handle::{Explanation, Told};
use proconsul_anchors::outcome::Outcome;
use proconsul_anchors::scope::{OnPartition, ScopePath};
use proconsul_anchors::traversal::resolve::by_action;
use serde::Serialize;
use uuid::Uuid;

use crate::reject::AnchorFault;
use crate::wire::decode::form;

/// What was decided at a hop.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct HopOut<'a> {
    scope: &'a ScopePath,
    outcome: Outcome,
    rule: &'a str,
    #[serde(rename = "TTLSeconds")]
    ttl_seconds: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
}

/// An alias as it is written.
#[derive(Debug, Default)]
pub(crate) struct AliasForm {
    scope: String,
    target: String,
    by_action: BTreeMap<String, String>,
}

form!(AliasForm, "anchor.Alias", plain "Alias", refuse, {
    "Scope" => scope, "Target" => target, "ByAction" => by_action,
});

/// An alias as it is told.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AliasOut<'a> {
    path: &'a str,
    scope: &'a ScopePath,
    target: &'a str,
    by_action: BTreeMap<Box<str>, Outcome>,
    version: u64,
}

/// The way of a question.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ExplainedOut<'a> {
    service: &'a str,
    owner: &'a ScopePath,
    outcome: Outcome,
    source: &'static str,
    index: u64,
    age_seconds: u64,
    asker: AskerOut<'a>,
    #[serde(rename = "ACLAllows")]
    acl: bool,
    hops: Vec<HopOut<'a>>,
    policies: Vec<VerdictOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    adjacency: Option<&'static str>,
    on_partition: OnPartition,
    instances: Vec<InstanceOut<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct AskerOut<'a> {
    scope: &'a ScopePath,
    #[serde(rename = "AccessorID")]
    accessor: Option<&'a str>,
    policies: &'a [Box<str>],
    roles: &'a [Box<str>],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct VerdictOut<'a> {
    scope: &'a ScopePath,
    policy: &'a str,
    version: u64,
    inherited: bool,
    outcome: Outcome,
    rule: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct InstanceOut<'a> {
    node: &'a str,
    #[serde(rename = "ServiceID")]
    id: &'a str,
    #[serde(rename = "UID")]
    uid: Uuid,
    entry: u64,
}

// === impl AliasForm ===

impl AliasForm {
    /// The alias that is to be written at a path, after the one that is there.
    ///
    /// # Errors
    /// [`AnchorFault::Field`].
    pub(crate) fn into_alias(
        self,
        path: &str,
        root: ScopePath,
        there: u64,
    ) -> Result<Alias, AnchorFault> {
        let fault = |field, why: String| AnchorFault::Field { what: "alias", field, why };
        let scope = match self.scope.as_str() {
            "" => root,
            text => ScopePath::parse(text).map_err(|error| fault("Scope", error.to_string()))?,
        };
        if self.target.is_empty() {
            let why = "is missing: a service's name, or / and the path of another alias";
            return Err(fault("Target", why.to_owned()));
        }
        let outcome = |text: &str| serde_json::from_value::<Outcome>(text.into()).ok();
        let bad = self.by_action.values().find(|text| outcome(text).is_none());
        if let Some(text) = bad {
            let why = format!("{text:?} is none of resolve, attest, defer and refuse");
            return Err(fault("ByAction", why));
        }
        let by_action = serde_json::to_string(&self.by_action).expect("it has text keys only");
        Ok(Alias {
            path: path.into(),
            scope,
            target: self.target.into(),
            by_action: by_action.into(),
            version: there + 1,
        })
    }
}

// === forms of values ===

impl<'a> From<&'a Alias> for AliasOut<'a> {
    fn from(alias: &'a Alias) -> Self {
        Self {
            path: &alias.path,
            scope: &alias.scope,
            target: &alias.target,
            by_action: by_action(alias),
            version: alias.version,
        }
    }
}

impl<'a> From<&'a Told> for HopOut<'a> {
    fn from(told: &'a Told) -> Self {
        Self {
            scope: &told.scope,
            outcome: told.outcome,
            rule: &told.rule,
            ttl_seconds: told.ttl_seconds,
            key: told.key.as_deref(),
        }
    }
}

impl<'a> ExplainedOut<'a> {
    pub(crate) fn new(service: &'a str, told: &'a Explanation) -> Self {
        let verdicts = told.verdicts.iter().map(|verdict| VerdictOut {
            scope: &verdict.scope,
            policy: &verdict.policy,
            version: verdict.version,
            inherited: verdict.inherited,
            outcome: verdict.decided.outcome,
            rule: &verdict.decided.rule,
        });
        let instances = told.instances.iter();
        let instances = instances.map(|(node, id, uid, entry)| InstanceOut {
            node,
            id,
            uid: *uid,
            entry: *entry,
        });
        Self {
            service,
            owner: &told.owner,
            outcome: told.outcome,
            source: told.source.as_str(),
            index: told.index,
            age_seconds: told.age.as_secs(),
            asker: AskerOut {
                scope: &told.asker.scope,
                accessor: told.asker.accessor.as_deref(),
                policies: &told.asker.policies,
                roles: &told.asker.roles,
            },
            acl: told.acl,
            hops: told.hops.iter().map(HopOut::from).collect(),
            policies: verdicts.collect(),
            adjacency: told.adjacency.map(|standing| standing.as_str()),
            on_partition: told.on_partition,
            instances: instances.collect(),
        }
    }
}
