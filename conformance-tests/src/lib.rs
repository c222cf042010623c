//! Proof from outside: two programs that claim the same interface are asked the same things.
//!
//! This crate knows no crate of the workspace. It starts a *subject* (proconsul, or the real Consul), speaks HTTP and DNS
//! to it, and compares what comes back, with what was recorded or with what the other program says at the same time.
//!
//! ```text
//!  fixtures/http/*.txt ── script ── play ──┐
//!                                          ├── http ── subject (a process)
//!  seed ── traffic ────────────────────────┘
//!                       differ (ties: this id there is that id here; indexes keep their order)
//! ```
//!
//! Nothing here is normalised in place: recorded answers are what the real program said, letter for letter, and the
//! comparison alone knows what may vary from run to run.

pub mod bind;
pub mod differ;
pub mod dns;
pub mod fixtures;
pub mod http;
pub mod json;
pub mod meddler;
pub mod nomad;
pub mod play;
pub mod proxy;
pub mod script;
pub mod subject;
pub mod ties;
pub mod traffic;
pub mod wait;
