//! The flags of `agent`: which key each one sets.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, value_parser};

use super::keys::TOP;
use super::raw::{Item, Raw};
use super::source::{Format, Sources};

/// The heading of these flags: whoever reads them tells faults in the words of Go's conversions.
pub(crate) const SETTINGS: &str = "settings";

/// A flag that sets a key.
struct Flag {
    name: &'static str,
    /// Of the key, with dots between blocks.
    path: &'static str,
    takes: Takes,
    help: &'static str,
}

/// What a flag takes.
#[derive(Clone, Copy, PartialEq)]
enum Takes {
    /// Nothing, or `=true` and `=false`.
    Bool,
    /// A whole number.
    Int,
    /// Any text.
    Text,
    /// Any text, and again.
    Texts,
    /// `key:value`, and again.
    Pairs,
}

const fn flag(name: &'static str, path: &'static str, takes: Takes, help: &'static str) -> Flag {
    Flag { name, path, takes, help }
}

use Takes::{Bool, Int, Pairs, Text, Texts};

const FLAGS: &[Flag] = &[
    flag("advertise", "advertise_addr", Text, "Address that other nodes are told."),
    flag(
        "advertise-wan",
        "advertise_addr_wan",
        Text,
        "Address that other datacenters are told, when it is another one.",
    ),
    flag(
        "allow-write-http-from",
        "http_config.allow_write_http_from",
        Texts,
        "Network (CIDR) from which writes are taken. May be given several times.",
    ),
    flag("alt-domain", "alt_domain", Text, "A second domain for DNS."),
    flag("auto-reload-config", "auto_reload_config", Bool, "Reloads when the files change."),
    flag("bind", "bind_addr", Text, "Address for traffic between servers."),
    flag("bootstrap", "bootstrap", Bool, "Starts a group of one."),
    flag("bootstrap-expect", "bootstrap_expect", Int, "How many servers make the group."),
    flag(
        "check_output_max_size",
        "check_output_max_size",
        Int,
        "Bytes of output kept of each check.",
    ),
    flag("client", "client_addr", Text, "Address for clients: HTTP and DNS."),
    flag("data-dir", "data_dir", Text, "Folder that keeps the state."),
    flag("datacenter", "datacenter", Text, "Name of the datacenter."),
    flag(
        "default-query-time",
        "default_query_time",
        Text,
        "How long a blocking query waits that does not say.",
    ),
    flag(
        "disable-host-node-id",
        "disable_host_node_id",
        Bool,
        "Makes a random node id instead of the machine's.",
    ),
    flag("disable-keyring-file", "disable_keyring_file", Bool, "Accepted; there is no keyring."),
    flag("dns-port", "ports.dns", Int, "Port for DNS; -1 is off."),
    flag("domain", "domain", Text, "Domain for DNS."),
    flag(
        "enable-local-script-checks",
        "enable_local_script_checks",
        Bool,
        "Allows script checks in configuration.",
    ),
    flag(
        "enable-script-checks",
        "enable_script_checks",
        Bool,
        "Allows script checks, over HTTP too.",
    ),
    flag("encrypt", "encrypt", Text, "Accepted; there is no gossip to encrypt."),
    flag("grpc-port", "ports.grpc", Int, "Port for gRPC; -1 is off."),
    flag("grpc-tls-port", "ports.grpc_tls", Int, "Port for gRPC with TLS; -1 is off."),
    flag("http-port", "ports.http", Int, "Port for HTTP; -1 is off."),
    flag("https-port", "ports.https", Int, "Port for HTTPS; -1 is off."),
    flag("join", "start_join", Texts, "(deprecated) The same as -retry-join."),
    flag("join-wan", "start_join_wan", Texts, "(deprecated) The same as -retry-join-wan."),
    flag("log-file", "log_file", Text, "File that gets the log too."),
    flag("log-json", "log_json", Bool, "Logs a JSON object a line."),
    flag("log-level", "log_level", Text, "TRACE, DEBUG, INFO, WARN or ERROR."),
    flag("log-rotate-bytes", "log_rotate_bytes", Int, "Size at which a new log file begins."),
    flag(
        "log-rotate-duration",
        "log_rotate_duration",
        Text,
        "Time after which a new log file begins.",
    ),
    flag("log-rotate-max-files", "log_rotate_max_files", Int, "How many older log files are kept."),
    flag("max-query-time", "max_query_time", Text, "How long a blocking query may wait at most."),
    flag("node", "node_name", Text, "Name of this node; unique in the datacenter."),
    flag("node-id", "node_id", Text, "UUID of this node; by default one is made and kept."),
    flag(
        "node-meta",
        "node_meta",
        Pairs,
        "A pair `key:value` for this node. May be given several times.",
    ),
    flag(
        "non-voting-server",
        "read_replica",
        Bool,
        "(enterprise) The older name of -read-replica.",
    ),
    flag("pid-file", "pid_file", Text, "File that gets the process id."),
    flag("primary-gateway", "primary_gateways", Texts, "Accepted; there are no mesh gateways."),
    flag("protocol", "protocol", Int, "Accepted; there is one protocol."),
    flag("raft-protocol", "raft_protocol", Int, "Only 3."),
    flag("read-replica", "read_replica", Bool, "(enterprise) A server that does not vote."),
    flag(
        "recursor",
        "recursors",
        Texts,
        "Address of a DNS server for other names. May be given several times.",
    ),
    flag("rejoin", "rejoin_after_leave", Bool, "Accepted; a server stands alone."),
    flag("retry-interval", "retry_interval", Text, "Time between attempts to join."),
    flag(
        "retry-interval-wan",
        "retry_interval_wan",
        Text,
        "Time between attempts to join other datacenters.",
    ),
    flag(
        "retry-join",
        "retry_join",
        Texts,
        "Address of a server to join. May be given several times.",
    ),
    flag(
        "retry-join-wan",
        "retry_join_wan",
        Texts,
        "Address of a server of another datacenter. May be given several times.",
    ),
    flag("retry-max", "retry_max", Int, "How many attempts to join."),
    flag("retry-max-wan", "retry_max_wan", Int, "How many attempts to join other datacenters."),
    flag("segment", "segment", Text, "(enterprise) Network segment."),
    flag(
        "serf-lan-allowed-cidrs",
        "serf_lan_allowed_cidrs",
        Texts,
        "Accepted; there is no gossip.",
    ),
    flag("serf-lan-bind", "serf_lan", Text, "Accepted; there is no gossip."),
    flag("serf-lan-port", "ports.serf_lan", Int, "Port that members' answers name."),
    flag(
        "serf-wan-allowed-cidrs",
        "serf_wan_allowed_cidrs",
        Texts,
        "Accepted; there is no gossip.",
    ),
    flag("serf-wan-bind", "serf_wan", Text, "Accepted; there is no gossip."),
    flag("serf-wan-port", "ports.serf_wan", Int, "Port that members' answers name."),
    flag("server", "server", Bool, "Keeps the catalog."),
    flag("server-port", "ports.server", Int, "Port for traffic between servers."),
    flag("syslog", "enable_syslog", Bool, "Logs to the machine's log, too."),
    flag("ui", "ui_config.enabled", Bool, "Asks for the web interface."),
    flag("ui-content-path", "ui_config.content_path", Text, "Path of the web interface."),
    flag("ui-dir", "ui_config.dir", Text, "Folder with a web interface."),
];

/// All flags of `agent`.
pub(crate) fn agent_arguments() -> Vec<Arg> {
    let mut arguments: Vec<Arg> = FLAGS.iter().map(argument).collect();
    arguments.extend([
        texts(
            "config-dir",
            "Folder whose .hcl and .json files are read by name. May be given several times.",
        ),
        texts("config-file", "File of configuration, .hcl or .json. May be given several times."),
        named("config-format", "Language of all files, whatever their names: `hcl` or `json`.")
            .value_name("string"),
        boolean("dev", "Everything in one process and in memory, for development."),
        texts("hcl", "A piece of HCL configuration. May be given several times."),
    ]);
    arguments.sort_by(|a, b| a.get_id().cmp(b.get_id()));
    arguments.into_iter().map(|argument| argument.help_heading(SETTINGS)).collect()
}

fn argument(flag: &Flag) -> Arg {
    match flag.takes {
        Bool => boolean(flag.name, flag.help),
        Int => named(flag.name, flag.help).value_parser(value_parser!(i64)),
        Text => named(flag.name, flag.help),
        Texts => texts(flag.name, flag.help),
        Pairs => texts(flag.name, flag.help).value_name("key:value"),
    }
}

fn named(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .help(help)
        .value_name("value")
        .action(ArgAction::Set)
        .overrides_with(name)
}

fn boolean(name: &'static str, help: &'static str) -> Arg {
    named(name, help)
        .value_parser(value_parser!(bool))
        .num_args(0..=1)
        .default_missing_value("true")
}

fn texts(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).help(help).value_name("value").action(ArgAction::Append)
}

/// What a command line says about configuration. Files and folders keep the order in which they were given.
///
/// # Errors
/// A `-config-format` that is none.
pub(crate) fn sources_from(matches: &ArgMatches) -> Result<Sources, String> {
    let texts = |name| matches.get_many::<String>(name).into_iter().flatten().cloned();
    let mut raw = Raw::empty(TOP);
    for flag in FLAGS {
        if let Some(item) = item(flag, matches) {
            set(&mut raw, flag.path, item);
        }
    }
    let mut paths: Vec<(usize, PathBuf)> = ["config-file", "config-dir"]
        .iter()
        .flat_map(|name| {
            matches.indices_of(name).into_iter().flatten().zip(texts(name).map(PathBuf::from))
        })
        .collect();
    paths.sort();
    Ok(Sources {
        paths: paths.into_iter().map(|(_, path)| path).collect(),
        format: Format::named(
            matches.get_one::<String>("config-format").map_or("", String::as_str),
        )?,
        fragments: texts("hcl").collect(),
        flags: Some(raw),
        dev: matches.get_one::<bool>("dev").copied().unwrap_or(false),
    })
}

fn item(flag: &Flag, matches: &ArgMatches) -> Option<Item> {
    let texts =
        || matches.get_many::<String>(flag.name).map(|said| said.cloned().collect::<Vec<_>>());
    match flag.takes {
        Bool => matches.get_one(flag.name).copied().map(Item::Bool),
        Int => matches.get_one(flag.name).copied().map(Item::Int),
        Text => matches.get_one::<String>(flag.name).cloned().map(Item::Text),
        Texts => texts().map(Item::Texts),
        Pairs => texts().map(|pairs| {
            Item::TextMap(pairs.iter().map(|pair| split(pair)).collect::<BTreeMap<_, _>>())
        }),
    }
}

/// A pair without a colon has an empty value.
fn split(pair: &str) -> (String, String) {
    let (key, value) = pair.split_once(':').unwrap_or((pair, ""));
    (key.to_owned(), value.to_owned())
}

fn set(raw: &mut Raw, path: &str, item: Item) {
    match path.split_once('.') {
        Some((block, key)) => {
            if let Some(block) = raw.block_mut(block) {
                set(block, key, item);
            }
        }
        None => raw.set(path, item),
    }
}
