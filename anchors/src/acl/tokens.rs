//! The tokens that an agent itself uses (`acl.tokens`, `/v1/agent/token/`).

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::caller::Secret;

/// An agent's tokens; may be replaced while it runs. Cheap to clone.
#[derive(Clone, Default)]
pub struct AgentTokens(Arc<Inner>);

#[derive(Default)]
struct Inner {
    now: ArcSwap<Tokens>,
    /// Keeps tokens that were replaced over a restart; nothing when they are not kept. Held while they are replaced: what is
    /// kept last is what was set last.
    keep: Mutex<Option<Keep>>,
}

/// Writes tokens down; the text tells why it could not.
type Keep = Box<dyn Fn(&Tokens) -> Result<(), String> + Send>;

/// Tokens were replaced, and are not kept over a restart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the tokens could not be kept: {0}")]
pub struct TokensNotKept(pub Box<str>);

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
        Self(Arc::new(Inner { now: ArcSwap::from_pointee(tokens), keep: Mutex::default() }))
    }

    /// From now on tokens that are replaced are kept so.
    pub fn keep(&self, keep: impl Fn(&Tokens) -> Result<(), String> + Send + 'static) {
        *self.0.keep.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(keep));
    }

    /// The tokens as they are now.
    pub fn now(&self) -> Arc<Tokens> {
        self.0.now.load_full()
    }

    /// Replaces some of them, and keeps them where they are kept.
    ///
    /// # Errors
    /// They are replaced, but not kept.
    pub fn change(&self, change: impl FnOnce(&mut Tokens)) -> Result<(), TokensNotKept> {
        let keep = self.0.keep.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tokens = Tokens::clone(&self.0.now.load());
        change(&mut tokens);
        let tokens = Arc::new(tokens);
        self.0.now.store(Arc::clone(&tokens));
        let kept = keep.as_ref().map_or(Ok(()), |keep| keep(&tokens));
        kept.map_err(|fault| TokensNotKept(fault.into()))
    }

    /// Replaces all of them with what the configuration says (a reload). Nothing is kept of that.
    pub fn settle(&self, tokens: Tokens) {
        let _in_turn = self.0.keep.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.now.store(Arc::new(tokens));
    }

    /// What a request acts with: its own token, else the default one.
    pub fn or_default(&self, own: Option<Secret>) -> Option<Secret> {
        own.or_else(|| self.0.now.load().default.clone())
    }

    /// What DNS acts with.
    pub fn for_dns(&self) -> Option<Secret> {
        let tokens = self.0.now.load();
        tokens.dns.clone().or_else(|| tokens.default.clone())
    }

    /// What the agent's own writes act with.
    pub fn for_agent(&self) -> Option<Secret> {
        let tokens = self.0.now.load();
        tokens.agent.clone().or_else(|| tokens.default.clone())
    }
}

impl fmt::Debug for AgentTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<hidden>")
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<hidden>")
    }
}
