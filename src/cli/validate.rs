//! `validate`: is this a configuration that the agent would take?

use std::path::PathBuf;

use clap::Arg;

use super::{Call, Entry, boolean, print_err, text, told};
use crate::config::{Config, Format, Host, Sources};

pub(super) const ENTRIES: &[Entry] = &[Entry {
    path: &["validate"],
    words: "FILE_OR_DIRECTORY...",
    about: "Checks configuration as the agent would",
    flags,
    run,
}];

fn flags() -> Vec<Arg> {
    vec![
        text(
            "config-format",
            "string",
            "Language of all files, whatever their names: `hcl` or `json`.",
        ),
        boolean("quiet", "Prints nothing but faults."),
    ]
}

fn run(call: &Call) -> u8 {
    match valid(call) {
        Ok(()) if call.flag("quiet") => 0,
        Ok(()) => told(Ok("Configuration is valid!".to_owned())),
        Err(fault) => told(Err(fault)),
    }
}

fn valid(call: &Call) -> Result<(), String> {
    let paths: Vec<PathBuf> = call.words().iter().map(PathBuf::from).collect();
    if paths.is_empty() {
        return Err("Must specify at least one config file or directory".to_owned());
    }
    let format = call.text("config-format").unwrap_or("");
    let format = Format::named(format)
        .map_err(|_| "-config-format must be either 'hcl' or 'json".to_owned())?;
    let sources = Sources { paths, format, ..Sources::default() };
    let loaded = Config::load(&sources, &Host::ask())
        .map_err(|fault| format!("Config validation failed: {fault}"))?;
    if !call.flag("quiet") {
        loaded.warnings.iter().for_each(|warning| print_err(warning));
    }
    Ok(())
}
