//! An intention as a client writes it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::entries::service_intentions::Source;
use crate::entries::shared::{META_KEY_BYTES_MAX, META_VALUE_BYTES_MAX, WILDCARD, meta_pairs_max};
use crate::intentions::permissions;
use crate::text::{Invalid, Reasons, Verdict, quote};

/// An intention as a client writes it.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// The source's name.
    pub source: String,
    /// The destination's name.
    pub destination: String,
    /// What the source is; empty for a service.
    pub source_type: String,
    /// `allow` or `deny`.
    pub action: String,
    /// What it is for.
    pub description: String,
    /// Requests that are told apart, as JSON.
    pub permissions: Value,
    /// Pairs of the writer.
    pub meta: BTreeMap<String, String>,
}

// === impl Draft ===

impl Draft {
    /// Whether it is fit for the interface that knows intentions by their ids.
    pub(super) fn check(&self) -> Verdict {
        let mut reasons = Reasons::default();
        for (what, name) in [("SourceName", &self.source), ("DestinationName", &self.destination)] {
            if name.is_empty() {
                reasons.add(format!("{what} must be set"));
            }
        }
        for (what, name) in [("SourceName", &self.source), ("DestinationName", &self.destination)] {
            if name != WILDCARD && name.contains('*') {
                reasons.add(format!(
                    "{what}: wildcard character '*' cannot be used with partial values"
                ));
            }
        }
        if self.description.len() > META_VALUE_BYTES_MAX {
            reasons.add(format!("Description exceeds maximum length {META_VALUE_BYTES_MAX}"));
        }
        self.check_meta(&mut reasons);
        if !matches!(self.action.as_str(), "allow" | "deny") {
            reasons.add("Action must be set to 'allow' or 'deny'");
        }
        if self.permissions.as_array().is_some_and(|permissions| !permissions.is_empty()) {
            reasons.add("Permissions must not be set when using the legacy APIs");
        }
        if !matches!(self.source_type.as_str(), "" | "consul") {
            reasons.add("SourceType must be set to 'consul'");
        }
        reasons.verdict()
    }

    fn check_meta(&self, reasons: &mut Reasons) {
        if self.meta.len() > meta_pairs_max() {
            reasons.add(format!("Meta exceeds maximum element count {}", meta_pairs_max()));
        }
        for (key, value) in &self.meta {
            let quoted = quote(key);
            if key.len() > META_KEY_BYTES_MAX {
                reasons
                    .add(format!("Meta key {quoted} exceeds maximum length {META_KEY_BYTES_MAX}"));
            }
            if value.len() > META_VALUE_BYTES_MAX {
                reasons.add(format!(
                    "Meta value for key {quoted} exceeds maximum length {META_VALUE_BYTES_MAX}"
                ));
            }
        }
    }

    /// The source that it makes; its requests are told apart where that is wanted.
    pub(super) fn into_source(self, with_permissions: bool) -> Result<Source, Invalid> {
        let permissions = match self.permissions {
            Value::Null => Vec::new(),
            given if with_permissions => permissions(&given)?,
            _ => Vec::new(),
        };
        Ok(Source {
            name: self.source,
            action: self.action,
            permissions,
            kind: self.source_type,
            description: self.description,
            legacy_meta: self.meta,
            ..Source::default()
        })
    }
}
