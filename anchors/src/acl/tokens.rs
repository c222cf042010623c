//! The tokens that an agent itself uses (`acl.tokens`, `/v1/agent/token/`).

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::caller::Secret;

/// An agent's tokens; may be replaced while it runs. Cheap to clone.
#[derive(Clone, Default)]
pub struct AgentTokens(Arc<ArcSwap<Tokens>>);

/// A set of an agent's tokens. None is ever printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tokens {
    /// For requests that bring none.
    pub default: Option<Secret>,
    /// For the agent's own writes.
    pub agent: Option<Secret>,
    /// For when the servers cannot be reached: it may move this agent alone.
    pub agent_recovery: Option<Secret>,
    /// For replication between datacenters.
    pub replication: Option<Secret>,
    /// For services and checks of configuration files.
    pub config_file_service_registration: Option<Secret>,
    /// For DNS.
    pub dns: Option<Secret>,
}

// === impl AgentTokens ===

impl AgentTokens {
    /// These tokens.
    pub fn new(tokens: Tokens) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(tokens)))
    }

    /// The tokens as they are now.
    pub fn now(&self) -> Arc<Tokens> {
        self.0.load_full()
    }

    /// Replaces some of them.
    pub fn change(&self, change: impl Fn(&mut Tokens)) {
        self.0.rcu(|tokens| {
            let mut tokens = Tokens::clone(tokens);
            change(&mut tokens);
            tokens
        });
    }

    /// What a request acts with: its own token, else the default one.
    pub fn or_default(&self, own: Option<Secret>) -> Option<Secret> {
        own.or_else(|| self.0.load().default.clone())
    }

    /// What DNS acts with.
    pub fn for_dns(&self) -> Option<Secret> {
        let tokens = self.0.load();
        tokens.dns.clone().or_else(|| tokens.default.clone())
    }

    /// What the agent's own writes act with.
    pub fn for_agent(&self) -> Option<Secret> {
        let tokens = self.0.load();
        tokens.agent.clone().or_else(|| tokens.default.clone())
    }
}

impl fmt::Debug for AgentTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<hidden>")
    }
}
