//! Names in, answers out: Consul's DNS over the index of a scope.
//!
//! ```text
//!   server      bytes ─▶ question and asker                                  I/O
//!   question    name ─▶ Ask | Reverse | Malformed | Foreign                  pure
//!   fallback    ─▶ whom to ask                                               pure
//!   anchors     the door: lookup(caller, query) ─▶ one snapshot of the index
//!   answer      snapshot ─▶ Draft                                            pure
//!   shape       Draft ─▶ what this asker can carry                           pure
//!   message     ─▶ bytes                                                     pure
//! ```
//!
//! Only `server` knows sockets and the DNS library. The rest is told the time and the randomness.
#![warn(missing_docs)]

pub mod answer;
pub mod fallback;
pub mod limits;
pub mod message;
pub mod name;
pub mod question;
pub mod record;
pub mod server;
pub mod settings;
pub mod shape;

pub use self::server::{serve_tcp, serve_udp};
pub use self::settings::{ServiceTtl, Settings, SoaTimes, Zone};

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
