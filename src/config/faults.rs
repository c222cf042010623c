//! Faults that are collected and told at once, in the layout that Consul's users know.

use std::time::Duration;

use proconsul_anchors::duration;

/// What is wrong with a merged configuration, in the order in which it was found.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    told: Vec<String>,
}

/// `1 error occurred:` and a line each; Consul ends such a list with an empty line.
pub(crate) fn listed(told: &[String]) -> String {
    let head = if told.len() == 1 {
        "1 error occurred:".to_owned()
    } else {
        format!("{} errors occurred:", told.len())
    };
    let lines: String = told.iter().flat_map(|fault| ["\n\t* ", fault.as_str()]).collect();
    format!("{head}{lines}\n\n")
}

impl Faults {
    /// Adds one.
    pub(crate) fn push(&mut self, fault: impl Into<String>) {
        self.told.push(fault.into());
    }

    /// The report of all; nothing when there is none.
    ///
    /// # Errors
    /// When there are any.
    pub(crate) fn done(&self) -> Result<(), String> {
        if self.told.is_empty() { Ok(()) } else { Err(listed(&self.told)) }
    }

    /// A duration under a key, or what it is when nothing is said. A faulty one counts as zero.
    pub(crate) fn duration(
        &mut self,
        key: &str,
        said: Option<&str>,
        otherwise: Duration,
    ) -> Duration {
        let Some(said) = said else { return otherwise };
        match duration::parse(said) {
            // A negative one does what zero does: Consul compares with "at most 0" everywhere.
            Ok(nanos) => Duration::from_nanos(u64::try_from(nanos).unwrap_or(0)),
            Err(fault) => {
                self.push(format!("{key}: invalid duration: {said:?}: {fault}"));
                Duration::ZERO
            }
        }
    }

    /// A port: what is not above 0 means off and becomes -1.
    pub(crate) fn port(&mut self, key: &str, said: Option<i64>) -> i32 {
        let port = said.unwrap_or(-1);
        if port > i64::from(u16::MAX) {
            self.push(format!("{key}: invalid port: {port}"));
        }
        if port <= 0 { -1 } else { i32::try_from(port).unwrap_or(-1) }
    }
}
