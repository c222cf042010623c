//! Consul's HTTP API over an index, letter for letter.
//!
//! ```text
//!   socket ─ server ─▶ dispatch (path, method, who) ─▶ routes/… ─▶ wire (JSON → Change | Query) ─▶ Handle
//!                                                        │
//!   socket ◀─ server ◀─ reply | reject (all headers) ◀───┘ wire (records → JSON)
//! ```
//!
//! [`serve`] is given a listener and a [`Site`]: the door to the index, what the program tells of itself ([`Settings`]), and
//! what the agent's pages may ask of the program ([`Control`]). Handlers return values; nothing below `reply` and
//! `reject` writes to a response. `wire` alone knows Consul's JSON, `go` alone what Go's standard library prints.
#![warn(missing_docs)]

mod acl;
mod attest;
mod blocking;
mod cached;
mod control;
mod counts;
mod dispatch;
mod extract;
mod fallback;
pub mod filter;
#[cfg(any(fuzzing, test))]
pub mod fuzzing;
mod go;
mod gzip;
mod issuer;
mod limits;
mod login;
mod reject;
mod reply;
mod routes;
mod server;
mod settings;
mod wire;

use std::sync::Arc;

use proconsul_anchors::acl::AgentTokens;
use proconsul_anchors::agent::Agent;
use proconsul_anchors::events::Events;
use proconsul_anchors::handle::Handle;
use proconsul_anchors::survey::Survey;

pub use crate::cached::Remembered;
pub use crate::control::{
    Control, DnsQuestion, Explained, Explaining, Forward, Forwarded, Forwarding, Profile,
    Profiling, Reloading, Stats,
};
pub use crate::counts::tell_counts;
pub use crate::extract::HOPS_HEADER;
pub use crate::fallback::{Asking, Elsewhere, Fallback, Found, Host, Instances};
pub use crate::issuer::{CaError, CaSettings, Issuer};
pub use crate::login::{Fetch, FetchError, FetchRequest, Fetched, Fetching, Logins};
pub use crate::reply::Pieces;
pub use crate::routes::AUTOPILOT_SETTING;
pub use crate::server::{Api, Certificates, Listener, serve};
pub use crate::settings::{Identity, LimitMode, MetricsProxy, RequestLimits, Settings, Timeouts};
pub use proconsul_anchors::network::Network;

/// Writes the entries of `config_entries.bootstrap`, in their order, each where there is none of its kind and name.
///
/// # Errors
/// Why the first of them that cannot be written cannot.
pub async fn bootstrap_entries(
    site: &Site,
    entries: &[serde_json::Map<String, serde_json::Value>],
) -> Result<(), String> {
    routes::config::bootstrap(site, entries).await.map_err(|fault| fault.to_string())
}

/// All that answers come from.
///
/// Invariant: clones share every part but the settings. A reload puts a clone with other settings in the place of the
/// one before.
#[derive(Clone)]
pub struct Site {
    /// The door to the index.
    pub handle: Handle,
    /// This node's own services and checks.
    pub agent: Agent,
    /// The latest events that were for this node.
    pub events: Events,
    /// Coordinates that wait to be written.
    pub survey: Survey,
    /// What was asked for with `?cached`.
    pub remembered: Remembered,
    /// The tokens that this node itself uses.
    pub tokens: AgentTokens,
    /// What the program tells of itself.
    pub settings: Settings,
    /// Verifies what clients log in with.
    pub logins: Logins,
    /// The mesh's certificate authority.
    pub issuer: Issuer,
    /// What is known elsewhere of services that are unknown here.
    pub fallback: Fallback,
    /// What the agent's pages may ask of the program.
    pub control: Arc<dyn Control>,
}
