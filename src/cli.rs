//! The command line: argv → command → exit code, with the texts, streams and codes of Consul's own program.
//!
//! ```text
//! argv ──dispatch──▶ command ──argv::rewrite──▶ clap ──▶ matches ──run──▶ exit code
//! ```
//! Flags are Go's: one dash or two, `-flag=value` or `-flag value`, ended by the first word that is none. [`argv`]
//! rewrites them to what clap reads, from clap's own tree of commands.

mod agent;
mod argv;
mod catalog;
mod client;
mod dispatch;
mod kv;
mod members;
mod operate;
mod replay;
mod services;
mod table;
mod usage;
mod validate;
mod version;

use clap::{Arg, ArgAction, ArgMatches, Command};

/// The exit code of everything that went wrong, but for an unknown command.
const FAILED: u8 = 1;
/// The exit code of an unknown command.
const UNKNOWN: u8 = 127;

/// The id under which the words after the flags are kept.
const WORDS: &str = "words";

/// A command that can be run.
struct Entry {
    /// Its words, `["kv", "put"]`.
    path: &'static [&'static str],
    /// What follows the flags, for its usage.
    words: &'static str,
    /// A line for the list of commands.
    about: &'static str,
    /// Its flags.
    flags: fn() -> Vec<Arg>,
    /// What it does.
    run: fn(&Call) -> u8,
}

/// A command with its flags and words.
struct Call {
    matches: ArgMatches,
    entry: &'static Entry,
}

/// Words that only lead to further ones.
struct Group {
    name: &'static str,
    about: &'static str,
}

const GROUPS: &[Group] = &[
    Group { name: "catalog", about: "Reads the catalog" },
    Group { name: "kv", about: "Reads and writes keys" },
    Group { name: "services", about: "Registers services with the agent" },
];

const ENTRIES: &[&[Entry]] = &[
    agent::ENTRIES,
    catalog::ENTRIES,
    operate::ENTRIES,
    kv::ENTRIES,
    members::ENTRIES,
    replay::ENTRIES,
    services::ENTRIES,
    validate::ENTRIES,
    version::ENTRIES,
];

/// Consul's commands that are not here yet.
const LATER: &[&str] = &[
    "acl",
    "config",
    "connect",
    "debug",
    "event",
    "exec",
    "force-leave",
    "intention",
    "join",
    "keygen",
    "keyring",
    "lock",
    "login",
    "logout",
    "maint",
    "monitor",
    "operator",
    "peering",
    "resource",
    "rtt",
    "services export",
    "services exported-services",
    "services imported-services",
    "snapshot",
    "tls",
    "troubleshoot",
    "watch",
];

/// Runs a command line; its first word is the program's name.
pub(crate) fn run(argv: &[String]) -> u8 {
    let program = argv.first().map_or("proconsul", |word| word.rsplit('/').next().unwrap_or(word));
    dispatch::run(program, argv.get(1..).unwrap_or(&[]))
}

fn entries() -> impl Iterator<Item = &'static Entry> {
    ENTRIES.iter().copied().flatten()
}

// === impl Entry ===

impl Entry {
    /// Its words as one.
    fn name(&self) -> String {
        self.path.join(" ")
    }

    /// Its form for clap.
    fn command(&self) -> Command {
        let words = Arg::new(WORDS).action(ArgAction::Append).num_args(0..).trailing_var_arg(true);
        Command::new(self.name()).disable_help_flag(true).args((self.flags)()).arg(words)
    }
}

// === impl Call ===

impl Call {
    /// The words after the flags.
    fn words(&self) -> Vec<&str> {
        self.texts(WORDS)
    }

    fn text(&self, flag: &str) -> Option<&str> {
        self.matches.get_one::<String>(flag).map(String::as_str)
    }

    fn texts(&self, flag: &str) -> Vec<&str> {
        self.matches.get_many::<String>(flag).into_iter().flatten().map(String::as_str).collect()
    }

    fn flag(&self, flag: &str) -> bool {
        self.matches.get_one::<bool>(flag).copied().unwrap_or(false)
    }

    fn number(&self, flag: &str) -> u64 {
        self.matches.get_one::<u64>(flag).copied().unwrap_or(0)
    }
}

/// A flag that takes nothing, or `=true` and `=false`.
fn boolean(name: &'static str, help: &'static str) -> Arg {
    text(name, "", help)
        .value_parser(clap::value_parser!(bool))
        .num_args(0..=1)
        .default_missing_value("true")
}

/// A flag that takes a text; of several the last one counts.
fn text(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .help(help)
        .value_name(value)
        .action(ArgAction::Set)
        .overrides_with(name)
}

/// A flag that may be given several times.
fn texts(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).help(help).value_name(value).action(ArgAction::Append)
}

/// A flag that takes a number that is not negative.
fn number(name: &'static str, help: &'static str) -> Arg {
    text(name, "uint", help).value_parser(clap::value_parser!(u64))
}

/// Prints what a command says: its text to standard output, or its fault to standard error.
fn told(result: Result<String, String>) -> u8 {
    match result {
        Ok(text) => {
            print_out(&text);
            0
        }
        Err(fault) => {
            print_err(&fault);
            FAILED
        }
    }
}

/// A line on standard output. A reader that went away is no fault.
fn print_out(text: &str) {
    print_bytes(text.as_bytes());
}

/// The same for bytes of any kind.
fn print_bytes(bytes: &[u8]) {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    let _gone = out.write_all(bytes).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
}

/// A line on standard error.
fn print_err(text: &str) {
    use std::io::Write as _;
    let _gone = writeln!(std::io::stderr().lock(), "{text}");
}

#[cfg(test)]
mod tests;
