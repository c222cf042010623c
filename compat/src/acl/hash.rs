//! The hash that Consul prints with a policy, a role or a token: BLAKE2b-256 over what can be changed of it.

use blake2::digest::consts::U32;
use blake2::{Blake2b, Digest as _};
use proconsul_anchors::acl::{NodeIdentity, Policy, Role, ServiceIdentity, TemplatedPolicy, Token};

use crate::acl::template_id;

/// A hash.
pub(crate) type Hash = [u8; 32];

struct Hasher(Blake2b<U32>);

/// The hash of a policy.
pub(crate) fn policy(policy: &Policy) -> Hash {
    let mut hasher = Hasher::new();
    hasher.add([&*policy.name, &*policy.description, &*policy.rules]);
    hasher.add(policy.datacenters.iter().flatten().map(AsRef::as_ref));
    hasher.end()
}

/// The hash of a role.
pub(crate) fn role(role: &Role) -> Hash {
    let mut hasher = Hasher::new();
    hasher.add([&*role.name, &*role.description]);
    hasher.add(role.policies.iter().map(AsRef::as_ref));
    hasher.identities(&role.service_identities, &role.node_identities, &role.templated_policies);
    hasher.end()
}

/// The hash of a token.
pub(crate) fn token(token: &Token) -> Hash {
    let mut hasher = Hasher::new();
    hasher.add([&*token.description, if token.local { "local" } else { "global" }]);
    hasher.add(token.policies.iter().chain(&token.roles).map(AsRef::as_ref));
    hasher.identities(&token.service_identities, &token.node_identities, &token.templated_policies);
    hasher.end()
}

// === impl Hasher ===

impl Hasher {
    fn new() -> Self {
        Self(Blake2b::new())
    }

    fn add<'a>(&mut self, texts: impl IntoIterator<Item = &'a str>) {
        texts.into_iter().for_each(|text| self.0.update(text));
    }

    fn identities(
        &mut self,
        services: &[ServiceIdentity],
        nodes: &[NodeIdentity],
        templated: &[TemplatedPolicy],
    ) {
        for identity in services {
            self.add([&*identity.service]);
            self.add(identity.datacenters.iter().flatten().map(AsRef::as_ref));
        }
        for identity in nodes {
            self.add([&*identity.node, &*identity.datacenter]);
        }
        for policy in templated {
            self.add([template_id(&policy.template), &*policy.template]);
            self.add(policy.name.as_deref());
            self.add(policy.datacenters.iter().flatten().map(AsRef::as_ref));
        }
    }

    fn end(self) -> Hash {
        self.0.finalize().into()
    }
}
