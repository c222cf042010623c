//! `agent`: configuration from flags and files, then the program itself.

use std::fs;
use std::path::Path;

use super::{Call, Entry, FAILED, print_err};
use crate::app;
use crate::config::{Config, Host, Sources, agent_arguments, reason, sources_from};

pub(super) const ENTRIES: &[Entry] = &[Entry {
    path: &["agent"],
    words: "",
    about: "Runs the agent until it is interrupted",
    flags: agent_arguments,
    run,
}];

fn run(call: &Call) -> u8 {
    match ready(call).and_then(|(config, sources)| start(config, sources)) {
        Ok(()) => 0,
        Err(fault) => {
            print_err(&format!("==> {fault}"));
            FAILED
        }
    }
}

fn ready(call: &Call) -> Result<(Config, Sources), String> {
    let words = call.words();
    if !words.is_empty() {
        return Err(format!("Unexpected extra arguments: [{}]", words.join(" ")));
    }
    let sources = sources_from(&call.matches)?;
    let loaded = Config::load(&sources, &Host::ask())?;
    loaded.warnings.iter().for_each(|warning| print_err(warning));
    loaded.config.startable()?;
    Ok((loaded.config, sources))
}

fn start(config: Config, sources: Sources) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|fault| format!("cannot start: {fault}"))?;
    let pid_file = config.pid_file.clone();
    pid_file.as_deref().map_or(Ok(()), write_pid)?;
    let done = runtime.block_on(app::run(config, sources));
    if let Some(path) = &pid_file {
        // Somebody may have taken it away while we ran.
        let _gone = fs::remove_file(path);
    }
    done
}

/// Writes the process id for those who send signals by it.
fn write_pid(path: &Path) -> Result<(), String> {
    let written = fs::write(path, std::process::id().to_string());
    written.map_err(|fault| {
        format!("Could not open pid file: open {}: {}", path.display(), reason(&fault))
    })
}
