//! Forms of `/v1/anchor/policies`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use proconsul_anchors::duration;
use proconsul_anchors::handle::Reasons;
use proconsul_anchors::index::Row;
use proconsul_anchors::outcome::Outcome;
use proconsul_anchors::policy::{Action, Decided, Module, Verdict};
use proconsul_anchors::scope::{ScopePath, ScopePolicy};
use proconsul_anchors::service::{Node, Service, Tags};
use serde::Serialize;

use crate::reject::AnchorFault;
use crate::wire::decode::form;

/// A policy as it is written.
#[derive(Debug, Default)]
pub(crate) struct PolicyForm {
    scope: String,
    rego: String,
}

form!(PolicyForm, "anchor.Policy", plain "Policy", refuse, {
    "Scope" => scope, "Rego" => rego,
});

/// What the policies are to be asked.
#[derive(Debug, Default)]
pub(crate) struct InquiryForm {
    accessor: String,
    listener: String,
    source: String,
    action: String,
    kind: String,
    name: String,
    scope: String,
    tags: Vec<String>,
    port: i64,
    address: String,
    node: String,
    meta: BTreeMap<String, String>,
}

form!(InquiryForm, "anchor.Inquiry", plain "Inquiry", refuse, {
    "Accessor" => accessor, "Listener" => listener, "Source" => source, "Action" => action,
    "Kind" => kind, "Name" => name, "Scope" => scope, "Tags" => tags, "Port" => port,
    "Address" => address, "Node" => node, "Meta" => meta,
});

/// A policy in a list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PolicyLine<'a> {
    pub(crate) name: &'a str,
    scope: &'a ScopePath,
    version: u64,
    /// Where its text is; it is changed there alone.
    from_configuration: bool,
    create_index: u64,
    modify_index: u64,
}

/// A policy with its text.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PolicyOut<'a> {
    #[serde(flatten)]
    line: PolicyLine<'a>,
    rego: &'a str,
}

/// A decision.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct DecidedOut<'a> {
    outcome: Outcome,
    rule: &'a str,
    #[serde(rename = "TTL", skip_serializing_if = "Option::is_none")]
    ttl: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<&'a str>,
}

/// What one policy decides.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct VerdictOut<'a> {
    scope: &'a ScopePath,
    policy: &'a str,
    version: u64,
    /// Whether a scope above hands it down.
    inherited: bool,
    #[serde(flatten)]
    decided: DecidedOut<'a>,
}

/// What all of them decide, and about what.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ExplainedOut<'a> {
    scope: &'a ScopePath,
    #[serde(flatten)]
    decided: DecidedOut<'a>,
    policies: Vec<VerdictOut<'a>>,
    input: &'a serde_json::Value,
}

/// An inquiry that was read.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) accessor: Option<String>,
    pub(crate) listener: Option<String>,
    pub(crate) source: Option<IpAddr>,
    pub(crate) action: Action,
    pub(crate) kind: Kind,
    pub(crate) scope: Option<ScopePath>,
}

/// With what something would be done.
#[derive(Debug)]
pub(crate) enum Kind {
    Instance(Box<(Service, Node)>),
    Service(String),
    Key(String),
    Node(String),
    Session(String),
    Other(String, String),
}

fn fault(field: &'static str, why: impl ToString) -> AnchorFault {
    AnchorFault::Field { what: "policy", field, why: why.to_string() }
}

fn said(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

fn path(text: &str) -> Result<ScopePath, AnchorFault> {
    ScopePath::parse(text).map_err(|error| fault("Scope", error))
}

impl PolicyForm {
    /// For which scope it is: the datacenter's own unless said.
    pub(crate) fn scope(&self, root: ScopePath) -> Result<ScopePath, AnchorFault> {
        if self.scope.is_empty() { Ok(root) } else { path(&self.scope) }
    }

    /// The record of this name.
    pub(crate) fn record(self, name: &str, root: ScopePath) -> Result<ScopePolicy, AnchorFault> {
        let scope = self.scope(root)?;
        Module::check(name, &self.rego).map_err(|error| fault("Rego", error))?;
        let (name, rego) = (name.into(), self.rego.into());
        Ok(ScopePolicy { name, scope, rego, ..ScopePolicy::default() })
    }
}

impl InquiryForm {
    /// What is asked.
    pub(crate) fn asked(self) -> Result<Asked, AnchorFault> {
        let names: Vec<&str> = Action::ALL.iter().map(|action| action.as_str()).collect();
        let unknown = || fault("Action", format!("is none of {}", names.join(", ")));
        let action = Action::parse(&self.action).ok_or_else(unknown)?;
        let source = match self.source.as_str() {
            "" => None,
            text => Some(text.parse().map_err(|_| fault("Source", "is no IP address"))?),
        };
        let scope = said(self.scope.clone()).map(|text| path(&text)).transpose()?;
        let (accessor, listener) = (said(self.accessor.clone()), said(self.listener.clone()));
        Ok(Asked { accessor, listener, source, action, kind: self.kind(action), scope })
    }

    fn kind(self, action: Action) -> Kind {
        match (self.kind.as_str(), action) {
            (_, Action::RegisterService) => Kind::Instance(Box::new(self.instance())),
            ("key", _) | ("", Action::ReadKey | Action::WriteKey) => Kind::Key(self.name),
            ("node", _) | ("", Action::ReadNode | Action::WriteNode) => Kind::Node(self.name),
            ("session", _) | ("", Action::ReadSession | Action::WriteSession) => {
                Kind::Session(self.name)
            }
            ("service" | "", _) => Kind::Service(self.name),
            _ => Kind::Other(self.kind, self.name),
        }
    }

    fn instance(self) -> (Service, Node) {
        let pairs = self.meta.iter().map(|(key, value)| (key.as_str(), value.as_str().into()));
        let service = Service {
            id: self.name.as_str().into(),
            name: self.name.as_str().into(),
            tags: self.tags.iter().map(String::as_str).collect::<Tags>(),
            port: self.port,
            address: self.address.as_str().into(),
            meta: Some(pairs.collect()),
            ..Service::default()
        };
        let node = Node { name: self.node.as_str().into(), ..Node::default() };
        (service, node)
    }
}

impl<'a> PolicyLine<'a> {
    pub(crate) fn new(row: &'a Row<ScopePolicy>) -> Self {
        let ScopePolicy { name, scope, version, from_configuration, .. } = &row.record;
        let (create_index, modify_index) = (row.created, row.modified);
        let (version, from_configuration) = (*version, *from_configuration);
        Self { name, scope, version, from_configuration, create_index, modify_index }
    }
}

impl<'a> PolicyOut<'a> {
    pub(crate) fn new(row: &'a Row<ScopePolicy>) -> Self {
        Self { line: PolicyLine::new(row), rego: &row.record.rego }
    }
}

impl<'a> DecidedOut<'a> {
    fn new(decided: &'a Decided) -> Self {
        Self {
            outcome: decided.outcome,
            rule: &decided.rule,
            ttl: decided.ttl.map(duration::show_wait),
            fault: decided.fault.as_deref(),
        }
    }
}

impl<'a> VerdictOut<'a> {
    fn new(verdict: &'a Verdict) -> Self {
        let Verdict { scope, policy, version, inherited, decided } = verdict;
        let decided = DecidedOut::new(decided);
        Self { scope, policy, version: *version, inherited: *inherited, decided }
    }
}

impl<'a> ExplainedOut<'a> {
    pub(crate) fn new(explained: &'a Reasons) -> Self {
        Self {
            scope: &explained.scope,
            decided: DecidedOut::new(&explained.decided),
            policies: explained.verdicts.iter().map(VerdictOut::new).collect(),
            input: &explained.input,
        }
    }
}
