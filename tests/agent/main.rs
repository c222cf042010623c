//! The binary, end to end, as a stranger starts it.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

mod acl;
mod containers;
mod disk;
mod files;
mod harness;
mod limits;
mod ports;
mod scopes;
mod service;
mod signals;
mod tls;
mod unix;
