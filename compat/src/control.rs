//! What the HTTP side asks of the program around it.

use std::collections::BTreeMap;
use std::fs::File;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use proconsul_anchors::caller::Caller;

use crate::reply::Pieces;

/// Sections of `/v1/agent/self`'s `Stats`, each with its pairs.
pub type Stats = BTreeMap<String, BTreeMap<String, String>>;

/// A reload under way.
pub type Reloading<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// A profile under way: what it found, in pprof's format or as text, or why there is none.
pub type Profiling<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, String>> + Send + 'a>>;

/// A question that is handed on as it is: a `GET`. No `Debug`: it may hold secrets.
#[derive(Clone)]
pub struct Forward {
    /// Where to.
    pub url: String,
    /// Its headers; with a `Host` when another than the URL's is meant.
    pub headers: HeaderMap,
}

/// What came back, whatever its status.
pub struct Forwarded {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, as it comes.
    pub body: Pieces,
}

/// A question under way that was handed on: the answer, or why there is none, with no secret in it.
pub type Forwarding<'a> = Pin<Box<dyn Future<Output = Result<Forwarded, String>> + Send + 'a>>;

/// A question of DNS whose answer is to be explained.
#[derive(Clone, Debug)]
pub struct DnsQuestion {
    /// The name.
    pub name: String,
    /// The type: `A`, `SRV` …
    pub kind: String,
    /// Whether it is asked by TCP.
    pub tcp: bool,
    /// The size that the client tells by EDNS.
    pub udp_size: Option<u16>,
    /// For whom.
    pub caller: Caller,
}

/// The way that an answer took.
#[derive(Clone, Debug)]
pub struct Explained {
    /// For people.
    pub text: String,
    /// As JSON.
    pub json: String,
}

/// An explanation under way, or what of the question is none.
pub type Explaining<'a> = Pin<Box<dyn Future<Output = Result<Explained, String>> + Send + 'a>>;

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Profile {
    /// Where the processors are during so long.
    Processor(Duration),
    /// Who holds memory.
    Heap,
    /// The threads.
    Threads,
    /// The same for people.
    ThreadsText,
}

/// The program, as far as the agent's pages can move it.
pub trait Control: Send + Sync + 'static {
    /// Reads the configuration again (`PUT /v1/agent/reload`); done when services and checks are registered anew.
    ///
    /// # Errors
    /// The text to answer with when the configuration is not taken.
    fn reload(&self) -> Reloading<'_>;

    /// Leaves and stops, after the reply has gone out (`PUT /v1/agent/leave`).
    fn leave(&self);

    /// The numbers of `/v1/agent/metrics`, in Consul's JSON form.
    fn metrics_json(&self) -> String;

    /// The same as Prometheus text.
    fn metrics_prometheus(&self) -> String;

    /// The first of these again whenever an interval is over, indented, each with a line break (`metrics/stream`).
    fn metrics_stream(&self) -> Pieces;

    /// The log from now on, line by line, at a level that Consul knows; as JSON where that is wanted.
    fn monitor(&self, level: &str, json: bool) -> Pieces;

    /// Takes a profile (`/debug/pprof/`).
    fn profile(&self, profile: Profile) -> Profiling<'_>;

    /// Hands a question on to another server (`/v1/internal/ui/metrics-proxy/`). Redirects are answers.
    fn forward(&self, question: Forward) -> Forwarding<'_>;

    /// Tells the way of a DNS answer (`/v1/anchor/dns/explain`).
    fn explain_dns(&self, question: DnsQuestion) -> Explaining<'_>;

    /// The file of a zone in which public names appear; nothing when there is none of this name.
    fn zone_file(&self, zone: &str) -> Option<String>;

    /// The words that the program was started with, each followed by a zero byte.
    fn command_line(&self) -> Vec<u8>;

    /// An empty file for what is too large for memory, gone when it is closed.
    ///
    /// # Errors
    /// When there is no place for it.
    fn spool(&self) -> io::Result<File>;

    /// The catalog was replaced: what this node knows of itself is told again.
    fn restored(&self);

    /// `Stats` of `/v1/agent/self`.
    fn stats(&self) -> Stats;

    /// The host of `/v1/agent/host`, as JSON.
    fn host_json(&self) -> String;

    /// The index that the file `acl-bootstrap-reset` of the data folder holds; 0 when there is none.
    fn bootstrap_reset(&self) -> u64;

    /// Removes that file.
    fn forget_bootstrap_reset(&self);
}
