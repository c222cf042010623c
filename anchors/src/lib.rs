//! The adaptive index of a scope, and the door to it.
//!
//! ```text
//!   submit(Change) ─▶ policy ─▶ group (one order, one fsync a batch) ─▶ Index::apply ─▶ publish ─▶ wake the touched
//!   lookup(Query)  ─▶ the published Index (immutable, lock-free) ─▶ policy ─▶ Answer
//! ```
//!
//! The pure half (names, records, changes, queries, the index, the node's leaf) is told the time and the randomness and
//! does no I/O. The rim (handle, group, lineage, store, agent) performs.
#![warn(missing_docs)]

// Pure.
pub mod acl;
pub mod caller;
pub mod change;
pub mod clock;
pub mod coordinate;
pub mod credential;
pub mod duration;
pub mod encoding;
pub mod entry;
pub mod error;
pub mod index;
pub mod interpolate;
pub mod name;
pub mod network;
pub mod node;
pub mod outcome;
pub mod pairs;
pub mod pattern;
pub mod policy;
pub mod prepared;
pub mod query;
pub mod record;
pub mod scope;
pub mod sealed;
pub mod service;
pub mod tar;
pub mod traversal;
pub mod txn;

// Rim.
pub mod agent;
pub mod events;
pub mod group;
pub mod handle;
pub mod keys;
pub mod limits;
pub mod lineage;
pub mod replay;
pub mod snapshot;
pub mod store;
pub mod survey;
#[cfg(test)]
mod testing;
