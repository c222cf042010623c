//! What the HTTP side asks of the program around it.

use std::collections::BTreeMap;
use std::fs::File;
use std::future::Future;
use std::io;
use std::pin::Pin;

use crate::reply::Pieces;

/// Sections of `/v1/agent/self`'s `Stats`, each with its pairs.
pub type Stats = BTreeMap<String, BTreeMap<String, String>>;

/// A reload under way.
pub type Reloading<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

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
}
