//! `replay --check`: is the stored projection what the lineage says?

use std::path::Path;

use clap::Arg;
use proconsul_anchors::replay;

use super::{Call, Entry, FAILED, boolean, print_err, print_out, text};

pub(super) const ENTRIES: &[Entry] = &[Entry {
    path: &["replay"],
    words: "",
    about: "Rebuilds the catalog from its lineage and compares it with what is stored; changes nothing",
    flags,
    run,
}];

/// The exit code when something differs.
const DIFFERS: u8 = 2;

fn flags() -> Vec<Arg> {
    vec![
        boolean("check", "Compares; the only thing that replay does yet."),
        text("data-dir", "value", "The agent's folder."),
    ]
}

fn run(call: &Call) -> u8 {
    let Some(folder) =
        call.text("data-dir").filter(|folder| !folder.is_empty() && call.flag("check"))
    else {
        print_err("Usage: replay -check -data-dir <folder>");
        return FAILED;
    };
    match replay::check(Path::new(folder)) {
        Err(fault) => {
            print_err(&format!("Error replaying {folder}: {fault}"));
            FAILED
        }
        Ok(report) => {
            print_out(&report.to_string());
            if report.is_clean() { 0 } else { DIFFERS }
        }
    }
}
