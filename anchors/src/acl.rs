//! Consul's access control: who a secret stands for, and what its policies let it do.
//!
//! ```text
//!   Secret ─digest─▶ Token ─▶ policies, roles, identities ─▶ rules ─▶ Authority ─▶ may it? (Act)
//! ```
//!
//! The records are Consul's (tokens, policies, roles, binding rules, auth methods). An [`Authority`] answers for one caller;
//! while access control is off it lets everything through. Source: Consul's ACL documentation and the facts measured on 1.22.7.

mod act;
mod authority;
pub mod authorizer;
pub mod expiry;
pub mod identity;
mod records;
mod resolve;
pub mod rules;
mod tokens;
pub mod vet;

pub use self::act::{Access, Act, Reach, Resource};
pub use self::authority::{Authority, Denial};
pub use self::records::{
    AuthMethod, BindingRule, NodeIdentity, Policy, Role, ServiceIdentity, TemplatedPolicy, Token,
};
pub use self::resolve::{
    AclSettings, BOOTSTRAP_SETTING, DefaultPolicy, DownPolicy, Resolved, bootstrap,
    is_bootstrapped, resolve,
};
pub use self::tokens::{AgentTokens, Tokens, TokensNotKept};
