//! What the tests of several modules need: entries out of JSON, and a library of them.

use std::sync::Arc;

use serde_json::Value;

use crate::{Entry, Kind, Library, Outside};

/// An outside that lets everything pass.
pub(crate) struct Anything;

impl Outside for Anything {
    fn expression(&self, text: &str) -> Result<(), String> {
        if text == "bad" { Err("told".to_owned()) } else { Ok(()) }
    }

    fn json(&self, _: &str) -> Result<(), String> {
        Ok(())
    }

    fn key_pair(&self, certificate: &str, key: &str) -> Result<Vec<String>, String> {
        if (certificate, key) == ("x", "y") {
            return Err("failed to parse private key PEM".to_owned());
        }
        Ok(vec![certificate.to_owned()])
    }
}

/// Reads, settles and judges an entry.
pub(crate) fn entry(text: &str) -> Result<Entry, String> {
    let Ok(Value::Object(raw)) = serde_json::from_str(text) else { panic!("no object: {text}") };
    let mut entry = Entry::decode(&raw).map_err(|reason| reason.to_string())?;
    entry.normalize().map_err(|reason| reason.to_string())?;
    entry.validate(&Anything).map_err(|reason| reason.to_string())?;
    Ok(entry)
}

/// A library of the entries in lines of JSON.
pub(crate) struct Lines(Vec<Arc<Entry>>);

impl Lines {
    pub(crate) fn of(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        Self(lines.map(|line| Arc::new(entry(line).unwrap())).collect())
    }
}

impl Library for Lines {
    fn entry(&self, kind: Kind, name: &str) -> Option<Arc<Entry>> {
        self.0.iter().find(|entry| entry.kind() == kind && entry.name() == name).cloned()
    }

    fn entries(&self, kind: Kind) -> Vec<Arc<Entry>> {
        self.0.iter().filter(|entry| entry.kind() == kind).cloned().collect()
    }
}
