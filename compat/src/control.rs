//! What the HTTP side asks of the program around it.

use std::collections::BTreeMap;

/// Sections of `/v1/agent/self`'s `Stats`, each with its pairs.
pub type Stats = BTreeMap<String, BTreeMap<String, String>>;

/// The program, as far as the agent's pages can move it.
pub trait Control: Send + Sync + 'static {
    /// Reads the configuration again (`PUT /v1/agent/reload`).
    ///
    /// # Errors
    /// The text to answer with when the configuration is not taken.
    fn reload(&self) -> Result<(), String>;

    /// Leaves and stops, after the reply has gone out (`PUT /v1/agent/leave`).
    fn leave(&self);

    /// The numbers of `/v1/agent/metrics`, in Consul's JSON form.
    fn metrics_json(&self) -> String;

    /// The same as Prometheus text.
    fn metrics_prometheus(&self) -> String;

    /// `Stats` of `/v1/agent/self`.
    fn stats(&self) -> Stats;

    /// The host of `/v1/agent/host`, as JSON.
    fn host_json(&self) -> String;
}
