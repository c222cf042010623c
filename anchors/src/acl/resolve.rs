//! Who a secret stands for, and what the policies, roles and identities of its token add up to.

use super::act::Resource;
use super::authority::{Authority, Unsaid};
use super::authorizer::Authorizer;
use super::identity::{ANONYMOUS, ANONYMOUS_SECRET};
use super::records::{NodeIdentity, Policy, Role, ServiceIdentity, TemplatedPolicy, Token};
use super::rules::{Level, Match, Rule, Rules, RulesError};
use super::tokens::AgentTokens;
use crate::caller::Secret;
use crate::clock::Time;
use crate::error::Refusal;
use crate::index::Index;
use crate::record::{AnyRecord, RecordChange, Setting, When};

/// The setting that is there once access control was bootstrapped; its index is the one to reset it with.
pub const BOOTSTRAP_SETTING: &str = "acl-bootstrap";

/// How access control is run. The default is Consul's: off.
#[derive(Clone, Debug, Default)]
pub struct AclSettings {
    /// `acl.enabled`.
    pub enabled: bool,
    /// `acl.default_policy`: what holds where no rule speaks.
    pub default_policy: DefaultPolicy,
    /// `acl.down_policy`: what holds while tokens cannot be looked up. Here they always can: it is only told.
    pub down_policy: DownPolicy,
    /// `acl.enable_key_list_policy`: whether listing keys takes more than reading them.
    pub key_list_policy: bool,
    /// The datacenter: policies may hold in some only.
    pub datacenter: Box<str>,
    /// The node that the recovery token may move.
    pub node: Box<str>,
    /// The agent's own tokens.
    pub tokens: AgentTokens,
    /// `acl.tokens.initial_management`: a manager's secret that is made at the first start.
    pub initial_management: Option<Secret>,
}

/// What holds where no rule speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DefaultPolicy {
    /// Everything but access control itself is allowed.
    #[default]
    Allow,
    /// Nothing is allowed.
    Deny,
}

/// What holds while tokens cannot be looked up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DownPolicy {
    /// Everything is allowed.
    Allow,
    /// Nothing is allowed.
    Deny,
    /// What was known before holds on.
    #[default]
    ExtendCache,
    /// The same, and it is looked up meanwhile.
    AsyncCache,
}

/// What a secret was resolved to.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// What its bearer may do.
    pub authority: Authority,
    /// Until when at most.
    pub until: Option<Time>,
    /// Whether it depends on more than the records: it must not be kept.
    pub passing: bool,
}

/// What a token and its roles add up to.
#[derive(Default)]
struct Links<'a> {
    policies: Vec<&'a str>,
    services: Vec<&'a ServiceIdentity>,
    nodes: Vec<&'a NodeIdentity>,
    templates: Vec<&'a TemplatedPolicy>,
}

/// Resolves a secret; nothing stands for the anonymous one. `digest` is the one by which tokens are found.
///
/// # Errors
/// [`Refusal::UnknownToken`] or [`Refusal::ExpiredToken`].
pub fn resolve(
    index: &Index,
    settings: &AclSettings,
    secret: Option<&Secret>,
    digest: impl FnOnce(&str) -> Box<str>,
    now: Time,
) -> Result<Resolved, Refusal> {
    if let Some(secret) = secret
        && settings.tokens.now().agent_recovery.as_ref() == Some(secret)
    {
        return Ok(recovery(settings));
    }
    let text = secret.map_or(ANONYMOUS_SECRET, Secret::expose);
    let Some(row) = index.record_named::<Token>(&digest(text)) else {
        return match text {
            ANONYMOUS_SECRET => Ok(settings.resolved(None, Authorizer::default(), None)),
            _ => Err(Refusal::UnknownToken { bootstrapped: is_bootstrapped(index) }),
        };
    };
    let token = &row.record;
    if token.expires.is_some_and(|end| end <= now) {
        return Err(Refusal::ExpiredToken);
    }
    let accessor = (&*token.accessor != ANONYMOUS).then(|| token.accessor.clone());
    Ok(match authorizer(index, settings, token) {
        Ok(authorizer) => settings.resolved(accessor, authorizer, token.expires),
        // Rules are read before they are kept: these were kept by another version.
        Err(error) => {
            tracing::warn!(accessor = %token.accessor, %error, "a token's rules cannot be read");
            Resolved { authority: Authority::nothing(), until: None, passing: false }
        }
    })
}

/// Whether access control was bootstrapped.
pub fn is_bootstrapped(index: &Index) -> bool {
    index.record::<Setting>(BOOTSTRAP_SETTING).is_some()
}

/// The first manager's token, and that access control was bootstrapped. The setting is another one each time, so that its
/// index moves: with it a reset names the bootstrap that it ends.
pub fn bootstrap(token: Token) -> Vec<RecordChange> {
    let setting = Setting {
        name: BOOTSTRAP_SETTING.into(),
        body: serde_json::Value::from(&*token.accessor).to_string().into(),
    };
    let put = |record| RecordChange::Put { record, when: When::Always };
    vec![put(AnyRecord::Token(token.into())), put(AnyRecord::Setting(setting.into()))]
}

/// The recovery token moves this agent and looks at nodes, whatever the default policy says.
fn recovery(settings: &AclSettings) -> Resolved {
    let rule = |resource, matches, name: &str, level| Rule {
        resource,
        matches,
        name: name.into(),
        level,
        intentions: None,
    };
    let rules = Rules {
        whole: Vec::new(),
        named: vec![
            rule(Resource::Agent, Match::Exact, &settings.node, Level::Write),
            rule(Resource::Node, Match::Prefix, "", Level::Read),
        ],
    };
    let accessor = Some(format!("agent-recovery:{}", settings.node).into());
    let authority = Authority::of(accessor, false, Authorizer::of([&rules]), Unsaid::Denied);
    Resolved { authority, until: None, passing: true }
}

fn authorizer(
    index: &Index,
    settings: &AclSettings,
    token: &Token,
) -> Result<Authorizer, RulesError> {
    let links = Links::of(index, token);
    let here = |places: Option<&[Box<str>]>| {
        places.is_none_or(|places| places.is_empty() || places.contains(&settings.datacenter))
    };
    let policies = links.policies.iter().filter_map(|id| index.record::<Policy>(id));
    let policies = policies
        .filter(|row| here(row.record.datacenters.as_deref()))
        .map(|row| row.record.rules.to_string());
    let services = links.services.iter().filter(|one| here(one.datacenters.as_deref()));
    let nodes = links.nodes.iter().filter(|one| one.datacenter == settings.datacenter);
    let templates = links.templates.iter().filter(|one| here(one.datacenters.as_deref()));
    let rules = policies
        .chain(services.map(|one| one.rules()))
        .chain(nodes.map(|one| one.rules()))
        .chain(templates.filter_map(|one| one.rules()))
        .map(|source| Rules::parse(&source))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Authorizer::of(&rules))
}

// === impl Links ===

impl<'a> Links<'a> {
    /// What a token links to, directly and by its roles. What is not there any more gives nothing.
    fn of(index: &'a Index, token: &'a Token) -> Self {
        let mut links = Self::default();
        links.add(
            &token.policies,
            &token.service_identities,
            &token.node_identities,
            &token.templated_policies,
        );
        for role in token.roles.iter().filter_map(|id| index.record::<Role>(id)) {
            let role = &role.record;
            links.add(
                &role.policies,
                &role.service_identities,
                &role.node_identities,
                &role.templated_policies,
            );
        }
        links.policies.sort_unstable();
        links.policies.dedup();
        links
    }

    fn add(
        &mut self,
        policies: &'a [Box<str>],
        services: &'a [ServiceIdentity],
        nodes: &'a [NodeIdentity],
        templates: &'a [TemplatedPolicy],
    ) {
        self.policies.extend(policies.iter().map(|id| &**id));
        self.services.extend(services);
        self.nodes.extend(nodes);
        self.templates.extend(templates);
    }
}

// === impl AclSettings ===

impl AclSettings {
    fn resolved(
        &self,
        accessor: Option<Box<str>>,
        authorizer: Authorizer,
        until: Option<Time>,
    ) -> Resolved {
        let unsaid = match self.default_policy {
            DefaultPolicy::Allow => Unsaid::Allowed,
            DefaultPolicy::Deny => Unsaid::Denied,
        };
        let is_token = accessor.is_some();
        let authority = Authority::of(accessor, is_token, authorizer, unsaid);
        Resolved { authority, until, passing: false }
    }
}

// === impl DefaultPolicy ===

impl DefaultPolicy {
    /// Consul's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

// === impl DownPolicy ===

impl DownPolicy {
    /// Consul's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::ExtendCache => "extend-cache",
            Self::AsyncCache => "async-cache",
        }
    }
}
