//! The command line: argv → command → exit code, with the texts, streams and codes of Consul's own program.
//!
//! ```text
//! argv ──dispatch──▶ command ──argv::rewrite──▶ clap ──▶ matches ──run──▶ exit code
//! ```
//! Flags are Go's: one dash or two, `-flag=value` or `-flag value`, ended by the first word that is none. [`argv`]
//! rewrites them to what clap reads, from clap's own tree of commands.

mod acl;
mod adjacency;
mod agent;
mod argv;
mod bridge;
mod catalog;
mod child;
mod client;
mod cluster;
mod config_entry;
mod connect;
mod credential;
mod debug;
mod dispatch;
mod dns;
mod explain;
mod form;
mod go;
mod intention;
mod json;
mod keygen;
mod keyring;
mod kv;
mod lineage;
mod lock;
mod login;
mod maint;
mod members;
mod monitor;
mod operate;
mod operator;
mod peering;
mod policy;
mod replay;
mod scope;
mod services;
mod sink;
mod snapshot;
mod table;
mod tls;
mod troubleshoot;
mod usage;
mod validate;
mod version;
mod watch;

use std::collections::BTreeMap;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

/// The exit code of everything that went wrong, but for an unknown command.
const FAILED: u8 = 1;
/// The exit code of a failure where 1 is an answer.
const FAILED_OTHERWISE: u8 = 2;
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
    Group { name: "acl", about: "Reads and writes tokens and what they may" },
    Group { name: "acl auth-method", about: "Reads and writes auth methods" },
    Group { name: "acl binding-rule", about: "Reads and writes binding rules" },
    Group { name: "acl policy", about: "Reads and writes policies" },
    Group { name: "acl role", about: "Reads and writes roles" },
    Group { name: "acl templated-policy", about: "Reads templated policies" },
    Group { name: "acl token", about: "Reads and writes tokens" },
    Group { name: "bridge", about: "Reads the zones in which public names appear" },
    Group { name: "adjacency", about: "Looks after the ways to other scopes" },
    Group { name: "catalog", about: "Reads the catalog" },
    Group { name: "config", about: "Reads and writes configuration entries" },
    Group { name: "connect", about: "Reads and writes how services prove who they are" },
    Group { name: "connect ca", about: "Reads and writes who signs certificates" },
    Group { name: "dns", about: "Looks at how DNS questions are answered" },
    Group { name: "credential", about: "Reads, issues and verifies who vouches for whom" },
    Group { name: "policy", about: "Reads, writes, tests and explains by what scopes decide" },
    Group { name: "intention", about: "Reads and writes who may connect to whom" },
    Group { name: "kv", about: "Reads and writes keys" },
    Group { name: "lineage", about: "Reads and verifies what was done" },
    Group { name: "operator", about: "Looks after the servers" },
    Group { name: "operator autopilot", about: "Reads and writes how servers are looked after" },
    Group { name: "operator raft", about: "Looks after the servers that decide together" },
    Group { name: "operator usage", about: "Counts what is used" },
    Group { name: "peering", about: "Looks after other clusters" },
    Group { name: "troubleshoot", about: "Finds out why something cannot be reached" },
    Group { name: "snapshot", about: "Saves and restores everything" },
    Group { name: "tls", about: "Makes certificates for agents" },
    Group { name: "tls ca", about: "Makes CAs" },
    Group { name: "tls cert", about: "Makes certificates" },
    Group { name: "scope", about: "Reads and writes who governs which names" },
    Group { name: "services", about: "Registers services with the agent" },
];

/// Every command, by the file that has it.
fn entries() -> impl Iterator<Item = &'static Entry> {
    ENTRIES.iter().chain(acl::ENTRIES).chain(operator::ENTRIES).copied().flatten()
}

const ENTRIES: &[&[Entry]] = &[
    adjacency::ENTRIES,
    agent::ENTRIES,
    catalog::ENTRIES,
    cluster::ENTRIES,
    config_entry::ENTRIES,
    connect::ENTRIES,
    credential::ENTRIES,
    policy::ENTRIES,
    debug::ENTRIES,
    dns::ENTRIES,
    explain::ENTRIES,
    intention::ENTRIES,
    keygen::ENTRIES,
    keyring::ENTRIES,
    kv::ENTRIES,
    lineage::ENTRIES,
    lock::ENTRIES,
    login::ENTRIES,
    maint::ENTRIES,
    members::ENTRIES,
    monitor::ENTRIES,
    operate::ENTRIES,
    peering::ENTRIES,
    bridge::ENTRIES,
    replay::ENTRIES,
    scope::ENTRIES,
    services::ENTRIES,
    services::EXPORTED,
    snapshot::ENTRIES,
    tls::ENTRIES,
    troubleshoot::ENTRIES,
    validate::ENTRIES,
    version::ENTRIES,
    watch::ENTRIES,
];

/// Consul's commands that are not here yet.
const LATER: &[&str] = &[
    "connect envoy",
    "connect proxy",
    "connect redirect-traffic",
    "exec",
    "resource",
    "snapshot decode",
    "troubleshoot proxy",
    "troubleshoot upstreams",
];

/// Runs a command line; its first word is the program's name.
pub(crate) fn run(argv: &[String]) -> u8 {
    let program = argv.first().map_or("proconsul", |word| word.rsplit('/').next().unwrap_or(word));
    dispatch::run(program, argv.get(1..).unwrap_or(&[]))
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
        self.matches.try_get_one::<String>(flag).ok().flatten().map(String::as_str)
    }

    fn texts(&self, flag: &str) -> Vec<&str> {
        let said = self.matches.try_get_many::<String>(flag).ok().flatten();
        said.into_iter().flatten().map(String::as_str).collect()
    }

    fn flag(&self, flag: &str) -> bool {
        self.matches.try_get_one::<bool>(flag).ok().flatten().copied().unwrap_or(false)
    }

    /// A text that says something.
    fn said(&self, flag: &str) -> Option<&str> {
        self.text(flag).filter(|text| !text.is_empty())
    }

    /// Whether a flag was given, whatever its value.
    fn is_given(&self, flag: &str) -> bool {
        self.matches.value_source(flag) == Some(ValueSource::CommandLine)
    }

    /// A duration in nanoseconds, 0 when it was not given.
    fn nanos(&self, flag: &str) -> i64 {
        self.matches.get_one::<go::Span>(flag).map_or(0, |span| span.0)
    }

    /// A whole number, 0 when it was not given.
    fn integer(&self, flag: &str) -> i64 {
        self.matches.get_one::<i64>(flag).copied().unwrap_or(0)
    }

    /// `key=value` pairs; of a key that is given twice the last one counts.
    fn pairs(&self, flag: &str) -> BTreeMap<String, String> {
        let pairs = self.texts(flag);
        let pairs = pairs.iter().filter_map(|pair| pair.split_once('='));
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    /// No words may follow the flags.
    ///
    /// # Errors
    /// Consul's sentence when some do.
    fn no_words(&self) -> Result<(), String> {
        match self.words().len() {
            0 => Ok(()),
            count => Err(format!("Too many arguments (expected 0, got {count})")),
        }
    }

    /// A fault, and the page of the command on standard error.
    fn with_page(&self, fault: &str) -> String {
        format!("{fault}\n{}", usage::command("consul", self.entry).trim_end())
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

/// A flag that takes a whole number.
fn integer(name: &'static str, help: &'static str) -> Arg {
    text(name, "int", help).value_parser(clap::value_parser!(i64))
}

/// A flag that takes a duration, `1h30m`.
fn span(name: &'static str, help: &'static str) -> Arg {
    text(name, "duration", help).value_parser(clap::value_parser!(go::Span))
}

/// A flag that takes `key=value`, and may be given several times.
fn pairs(name: &'static str, help: &'static str) -> Arg {
    texts(name, "key=value", help)
}

/// Prints what a command says, where saying nothing prints no line.
fn told_if_any(result: Result<String, String>) -> u8 {
    match result {
        Ok(text) if text.is_empty() => 0,
        other => told(other),
    }
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
