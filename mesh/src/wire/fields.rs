//! The members of an object that is read into a form.

use serde_json::Value;

use crate::text::{Invalid, Reasons, quote};
use crate::wire::{Wire, kind_of, read};

/// What went wrong while a form was read, and which keys nothing took.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Whether what is read was printed by us: then it is taken as it stands.
    pub(crate) ours: bool,
    faults: Vec<String>,
    unused: Vec<String>,
}

/// The members of an object, each to be taken by one field.
pub(crate) struct Fields<'a> {
    at: &'a str,
    members: Vec<(String, &'a Value, bool)>,
}

// === impl Report ===

impl Report {
    /// For what was printed by us.
    pub(crate) fn of_ours() -> Self {
        Self { ours: true, ..Self::default() }
    }

    /// How many faults there are so far.
    pub(crate) fn faults(&self) -> usize {
        self.faults.len()
    }

    /// Notes a fault of the value that stands at a place.
    pub(crate) fn fault(&mut self, at: &str, reason: impl std::fmt::Display) {
        self.faults.push(format!("'{at}' {reason}"));
    }

    /// What is to be told: the faults, else the keys that nothing took and that are not tolerated.
    pub(crate) fn verdict(self) -> Result<(), Invalid> {
        if !self.faults.is_empty() {
            return Err(self.told());
        }
        let mut reasons = Reasons::default();
        for key in &self.unused {
            let lower = key.to_lowercase();
            match key.as_str() {
                "CreateIndex" | "ModifyIndex" | "kind" | "Kind" => {}
                _ if lower.ends_with("namespace") => reasons.add(format!(
                    "invalid config key {}, namespaces are a consul enterprise feature",
                    quote(key)
                )),
                _ if lower.contains("jwt") => reasons.add(format!(
                    "invalid config key {}, api-gateway jwt validation is a consul enterprise feature",
                    quote(key)
                )),
                _ => reasons.add(format!("invalid config key {}", quote(key))),
            }
        }
        reasons.verdict()
    }

    /// The same where unknown keys do not matter.
    pub(crate) fn lenient(self) -> Result<(), Invalid> {
        if self.faults.is_empty() { Ok(()) } else { Err(self.told()) }
    }

    fn told(&self) -> Invalid {
        Invalid(format!(
            "decoding failed due to the following error(s):\n\n{}",
            self.faults.join("\n")
        ))
    }
}

// === impl Fields ===

impl<'a> Fields<'a> {
    /// The members of an object, their other names (`aliases`: other name, field) replaced.
    pub(crate) fn open(
        value: &'a Value,
        aliases: &[(&str, &str)],
        at: &'a str,
        report: &mut Report,
    ) -> Option<Self> {
        let Value::Object(map) = value else {
            let kind = quote(kind_of(value));
            report.fault(at, format_args!("expected a map or struct, got {kind}"));
            return None;
        };
        let mut members: Vec<(String, &Value, bool)> = Vec::with_capacity(map.len());
        for (key, value) in map {
            let lower = key.to_lowercase();
            let (key, value) = match aliases.iter().find(|(alias, _)| *alias == lower) {
                Some((_, field)) => {
                    let canon = field.to_lowercase();
                    let value = map.get(&canon).unwrap_or(value);
                    (canon, value)
                }
                None => (key.clone(), value),
            };
            if !members.iter().any(|(have, ..)| *have == key) {
                members.push((key, value, false));
            }
        }
        Some(Self { at, members })
    }

    /// Reads the member of this name, if there is one, into its place.
    pub(crate) fn read<T: Wire>(&mut self, name: &str, slot: &mut T, report: &mut Report) {
        let exact = self.members.iter().position(|(key, ..)| key == name);
        let found = exact.or_else(|| {
            self.members.iter().position(|(key, ..)| key.to_lowercase() == name.to_lowercase())
        });
        let Some(found) = found else { return };
        let (_, value, used) = &mut self.members[found];
        *used = true;
        read(slot, value, &within(self.at, name), report);
    }

    /// Notes what nothing took.
    pub(crate) fn close(self, report: &mut Report) {
        let at = self.at;
        let unused = self.members.into_iter().filter(|(.., used)| !used);
        report.unused.extend(unused.map(|(key, ..)| within(at, &key)));
    }
}

fn within(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}
