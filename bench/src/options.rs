//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

/// Runs the same work against proconsul, the real Consul and the physical limit, and prints a table for each.
#[derive(Debug, Parser)]
#[command(name = "proconsul-bench", args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    /// The real Consul; without it: what `conformance-tests/peers/build consul` has built, then `consul` on PATH.
    #[arg(long, value_name = "PATH")]
    pub(crate) consul: Option<PathBuf>,
    /// The proconsul to measure; without it: the one beside this program.
    #[arg(long, value_name = "PATH")]
    pub(crate) proconsul: Option<PathBuf>,
    /// Only this work (may be given more than once).
    #[arg(long, value_name = "NAME", value_enum)]
    pub(crate) only: Vec<Work>,
    /// Length of a round; works that count instead of timing scale with it.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=60))]
    pub(crate) seconds: u64,
    /// How often each subject has its turn.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=50))]
    pub(crate) rounds: u64,
    /// Where the servers keep their data and the fsync loop writes; without it: the system's folder for temporary files.
    #[arg(long, value_name = "PATH")]
    pub(crate) dir: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) limit: Option<Limit>,
}

/// The works, in the order in which they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    Health,
    Acl,
    Policy,
    Register,
    Memory,
    Watchers,
    Dns,
    DnsLarge,
    DnsTcp,
    DnsVisible,
    Remote,
}

/// The limits that have to be processes of their own, so that their CPU and memory can be read like a subject's.
#[derive(Debug, Subcommand)]
pub(crate) enum Limit {
    /// Answers every GET with the bytes and headers kept in a file; `/park/N` waits for more than N `PUT /wake`.
    LimitHttp {
        /// A whole HTTP/1.1 answer.
        reply: PathBuf,
        /// Where to listen.
        #[arg(long)]
        address: SocketAddr,
    },
    /// Sends every datagram back, made as long as an answer.
    LimitUdp {
        /// How long what is sent back is, in bytes.
        #[arg(long)]
        bytes: usize,
        /// Where to listen.
        #[arg(long)]
        address: SocketAddr,
    },
}
