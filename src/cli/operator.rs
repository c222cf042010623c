//! `operator …`: the servers as a group, and what they count.

mod autopilot;
mod raft;
mod usage;

use clap::Arg;

pub(super) use raft::peers;

use super::client::Api;
use super::{Call, Entry};

pub(super) const ENTRIES: &[&[Entry]] =
    &[autopilot::ENTRIES, raft::ENTRIES, usage::ENTRIES, UTILIZATION];

/// A command that the community edition refuses.
const UTILIZATION: &[Entry] = &[Entry {
    path: &["operator", "utilization"],
    words: "",
    about: "Refused: reports of use are the enterprise edition's",
    flags: Vec::<Arg>::new,
    run: |_| super::told(Err("operator utilization requires Consul Enterprise".to_owned())),
}];

/// The agent; a fault of the flags is told in this family's words.
fn api(call: &Call) -> Result<Api, String> {
    Api::of(call).map_err(|fault| {
        let cause = fault.strip_prefix("Error connecting to Consul agent: ").unwrap_or(&fault);
        format!("Error initializing client: {cause}")
    })
}
