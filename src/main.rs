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

use std::process::ExitCode;

fn main() -> ExitCode {
    let argv: Vec<String> =
        std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    ExitCode::from(cli::run(&argv))
}
