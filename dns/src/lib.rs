//! Names in, answers out: Consul's DNS over the index of a scope.
//!
//! ```text
//!   server      bytes ─▶ question and asker                                  I/O
//!   question    name ─▶ Ask | Reverse | Malformed | Foreign                  pure
//!   fallback    ─▶ whom to ask, and whom when the index does not know        pure
//!   upstream    asks them                                                    I/O
//!   anchors     the door: lookup(caller, query) ─▶ one snapshot of the index
//!   answer      snapshot ─▶ Draft                                            pure
//!   shape       Draft ─▶ what this asker can carry                           pure
//!   message     ─▶ bytes                                                     pure
//! ```
//!
//! Only `server` and `upstream` know sockets, and only `server` the DNS library. The rest is told the time and the randomness.
#![warn(missing_docs)]

pub mod answer;
pub mod bridge;
pub mod explain;
pub mod extended;
pub mod fallback;
mod hops;
pub mod limits;
pub mod message;
pub mod name;
mod proof;
pub mod question;
mod reader;
pub mod record;
pub mod server;
pub mod settings;
pub mod shape;
pub mod upstream;

pub use self::server::{
    Certificates, NoQuic, Service, serve_https, serve_quic, serve_tcp, serve_tls, serve_udp,
};
pub use self::settings::{Recursors, ServiceTtl, Settings, SoaTimes, Strategy, Zone};

#[cfg(any(fuzzing, test))]
pub use self::server::fuzzing;

#[cfg(any(fuzzing, test))]
#[expect(clippy::unwrap_used, reason = "a line that is none ends the test")]
mod testing;
#[cfg(test)]
mod tests;
