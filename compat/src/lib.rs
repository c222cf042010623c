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

mod blocking;
mod control;
mod dispatch;
mod extract;
pub mod filter;
mod go;
mod gzip;
mod limits;
mod reject;
mod reply;
mod routes;
mod server;
mod settings;
mod wire;

use std::sync::Arc;

use proconsul_anchors::acl::AgentTokens;
use proconsul_anchors::agent::Agent;
use proconsul_anchors::handle::Handle;

pub use crate::control::{Control, Reloading, Stats};
pub use crate::reply::Pieces;
pub use crate::routes::AUTOPILOT_SETTING;
pub use crate::server::{Api, Certificates, Listener, serve};
pub use crate::settings::{Identity, LimitMode, Network, RequestLimits, Settings, Timeouts};

/// All that answers come from.
#[derive(Clone)]
pub struct Site {
    /// The door to the index.
    pub handle: Handle,
    /// This node's own services and checks.
    pub agent: Agent,
    /// The tokens that this node itself uses.
    pub tokens: AgentTokens,
    /// What the program tells of itself.
    pub settings: Settings,
    /// What the agent's pages may ask of the program.
    pub control: Arc<dyn Control>,
}
