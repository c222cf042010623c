//! The mesh's certificate authority: Consul's built-in provider.
//!
//! ```text
//!   Settings (/v1/connect/ca/configuration) ─▶ Root (self-signed, the old one signs it too) ─▶ Leaf (a service's certificate)
//! ```
//!
//! It is told the time, serial numbers and keys, and knows neither a network nor a store: whoever uses it keeps the roots
//! and their keys. Only [`PrivateKey::generate`] draws from the system's randomness.

mod certificate;
mod der;
mod issue;
mod keys;
pub mod pair;
mod root;
mod settings;
mod spiffe;

pub use self::certificate::IssueError;
pub use self::issue::Leaf;
pub use self::keys::{KeyError, KeyKind, PrivateKey};
pub use self::root::{NewRoot, Root};
pub use self::settings::{InvalidSettings, Settings};
pub use self::spiffe::{Identity, NoIdentity, TrustDomain};
