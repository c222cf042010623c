//! What is known of whoever asks, and the rules by which that makes him a scope's own.

use std::net::IpAddr;
use std::sync::Arc;

use super::{CallerRule, ScopePath};
use crate::credential::CredentialRecord;
use crate::network::Network;

/// What is known of a caller when a scope decides. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct CallerFacts {
    /// The accessor of its token; nothing for the anonymous one, and while access control is off.
    pub accessor: Option<Arc<str>>,
    /// The policies of access control that its token is linked with, its roles' included, by name.
    pub policies: Arc<[Box<str>]>,
    /// The roles that its token is linked with, by name.
    pub roles: Arc<[Box<str>]>,
    /// The method by which it logged in.
    pub auth_method: Option<Arc<str>>,
    /// The listener by which it came.
    pub listener: Option<Arc<str>>,
    /// The address that it came from.
    pub source: Option<IpAddr>,
    /// The credential that speaks for it, where it has one that holds.
    pub credential: Option<Arc<CredentialRecord>>,
    /// The scope that vouches for it, where it came over an adjacency.
    pub home: Option<Arc<str>>,
}

/// A caller rule that was read.
#[derive(Clone, Debug)]
pub(super) struct Binding {
    rule: CallerRule,
    source: Option<Network>,
    /// The scope for which such a caller speaks.
    pub(super) scope: ScopePath,
}

// === impl Binding ===

impl Binding {
    /// Reads a rule; nothing when its network is none.
    pub(super) fn of(rule: &CallerRule, scope: &ScopePath) -> Option<Self> {
        let source = match &rule.source {
            Some(text) => Some(Network::parse(text)?),
            None => None,
        };
        Some(Self { rule: rule.clone(), source, scope: scope.clone() })
    }

    /// Whether all that it says holds.
    pub(super) fn holds(&self, facts: &CallerFacts) -> bool {
        let rule = &self.rule;
        let is = |wanted: &Option<Box<str>>, fact: Option<&Arc<str>>| {
            wanted.as_ref().is_none_or(|wanted| fact.is_some_and(|fact| **fact == **wanted))
        };
        let among = |wanted: &Option<Box<str>>, facts: &[Box<str>]| {
            wanted.as_ref().is_none_or(|wanted| facts.contains(wanted))
        };
        let from = |network: Network| facts.source.is_some_and(|source| network.contains(source));
        is(&rule.accessor, facts.accessor.as_ref())
            && is(&rule.auth_method, facts.auth_method.as_ref())
            && is(&rule.listener, facts.listener.as_ref())
            && among(&rule.policy, &facts.policies)
            && among(&rule.role, &facts.roles)
            && self.source.is_none_or(from)
    }

    /// How much a rule tells: of two that hold, the one that tells more of who it is counts. A token tells more than a
    /// listener, a listener more than an address.
    pub(super) fn strength(&self) -> (u8, u8, usize) {
        let CallerRule { accessor, policy, role, auth_method, listener, source } = &self.rule;
        let said = [accessor, role, policy, auth_method, listener, source];
        let told = said.iter().fold(0, |told, one| told << 1 | u8::from(one.is_some()));
        (told, self.source.map_or(0, |network| network.prefix), self.scope.depth())
    }
}
