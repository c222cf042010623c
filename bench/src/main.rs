//! Side-by-side benchmarks: proconsul, the real Consul and the physical limit do the same work in one run.
//!
//! ```text
//! options ─→ bench (binaries, rounds) ─→ works/* ─→ findings ─→ report
//!                     │                    │
//!                  server (starts, ends)   ├ load, http   TCP clients        ├ limits   what the machine can do at all
//!                     └ process (CPU, RSS) └ dns          UDP clients        └ stats    medians, percentiles
//! ```
//!
//! It knows no other crate of the workspace: a subject is a process with an HTTP and a DNS port.

mod bench;
mod catalog;
mod dns;
mod findings;
mod http;
mod limits;
mod load;
mod options;
mod process;
mod report;
mod server;
mod stats;
mod works;

use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use crate::options::{Limit, Options};

/// What went wrong, told to a person; nobody tells one from another.
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let options = Options::parse();
    let done = match &options.limit {
        Some(Limit::LimitHttp { reply, address }) => limits::serve_http(reply, *address),
        Some(Limit::LimitUdp { bytes, address }) => limits::echo_udp(*address, *bytes),
        None => measure(options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// One thread drives all the load: what the clients cost is then the same for every subject, and the rest of the machine is the subject's.
fn measure(options: Options) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        // Dropping the run ends the servers that it started.
        tokio::select! {
            done = works::run(options) => done,
            _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
            _ = terminate.recv() => Err("terminated".into()),
        }
    })
}
