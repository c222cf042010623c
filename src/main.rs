//! proconsul: a server that speaks Consul's HTTP API and DNS, over a governed, event-sourced index.
//!
//! This is the program: the only crate that binds sockets, spawns, reads the environment and exits.
//!
//! ```text
//! argv ─▶ cli ─▶ config ─▶ app ─▶ exit code
//! ```

mod app;
mod cli;
mod config;
mod probes;
mod roles;
mod telemetry;
mod transport;

use std::process::ExitCode;

/// Short-lived buffers of the HTTP side and long-lived rows of the index are kept apart: with the C library's allocator the
/// same index takes half as much memory again (docs/adr/0012).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let argv: Vec<String> =
        std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    ExitCode::from(cli::run(&argv))
}
