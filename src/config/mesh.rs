//! What the configuration says of the mesh.

use serde_json::{Map, Value};

use super::Config;
use super::raw::Item;

impl Config {
    /// `default_intention_policy`: whether what no intention speaks of may speak; `None` when nothing is said.
    pub(crate) fn default_intentions(&self) -> Option<bool> {
        match self.raw.text("default_intention_policy") {
            None | Some("") => None,
            Some(policy) => Some(policy == "allow"),
        }
    }

    /// `config_entries.bootstrap`: entries to write where there is none of their kind and name.
    pub(crate) fn bootstrap_entries(&self) -> Vec<Map<String, Value>> {
        match self.raw.block("config_entries").item("bootstrap") {
            Some(Item::FreeList(entries)) => entries.clone(),
            _ => Vec::new(),
        }
    }
}
