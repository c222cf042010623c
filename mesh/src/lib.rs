//! Consul's service mesh as values: configuration entries, intentions, discovery chains.
//!
//! ```text
//!   JSON ─▶ entries (read, settle, judge) ─▶ text that is stored ─▶ entries ─▶ JSON
//!                                              │
//!                  catalogue of them ──────────┼─▶ chain   (what a service's name leads to)
//!                                              ├─▶ graph   (does a write break a chain?)
//!                                              └─▶ intentions (who may speak with whom)
//! ```
//! Nothing here does I/O, asks the clock or throws dice: what it takes of the world is handed in ([`Outside`]).
#![warn(missing_docs)]

pub mod chain;
mod entries;
mod graph;
pub mod intentions;
mod library;
#[cfg(test)]
mod testing;
mod text;
mod wire;

pub use entries::{Entry, Kind, Outside, Right};
pub use graph::{check_delete, check_write};
pub use library::{Library, exported, imported};
pub use text::Invalid;
