//! proconsul: arguments, configuration, program, exit code.

mod app;
mod config;
mod probes;
mod roles;
mod telemetry;

use std::process::ExitCode;

fn main() -> ExitCode {
    let matches = clap::Command::new("proconsul")
        .subcommand(
            clap::Command::new("agent").args(config::agent_arguments()).disable_help_flag(true),
        )
        .get_matches_from(std::env::args().map(|argument| match argument.strip_prefix('-') {
            Some(rest) if !rest.starts_with('-') => format!("--{rest}"),
            _ => argument,
        }));
    let Some(("agent", matches)) = matches.subcommand() else { return ExitCode::from(127) };
    let sources = config::sources_from(matches).expect("checked by the parser");
    let loaded = match config::Config::load(&sources, &config::Host::ask()) {
        Ok(loaded) => loaded,
        Err(error) => {
            eprintln!("==> {error}");
            return ExitCode::FAILURE;
        }
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be started");
    match runtime.block_on(app::run(loaded.config, sources)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("==> {error}");
            ExitCode::FAILURE
        }
    }
}
