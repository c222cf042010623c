//! The four outcomes of a lookup or of an admission.

use serde::{Deserialize, Serialize};

/// What an anchor decided. A chain's outcome is the maximum of its hops: adding a hop can only make it stricter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Answered, or admitted.
    #[default]
    Resolve,
    /// The same, with a statement that a stranger can verify.
    Attest,
    /// Not now: the last known answer, or held until a reason goes.
    Defer,
    /// No.
    Refuse,
}

impl Outcome {
    /// The outcome of a chain that has both hops.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.max(other)
    }

    /// Its name, as policies and headers write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Attest => "attest",
            Self::Defer => "defer",
            Self::Refuse => "refuse",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Outcome::{Attest, Defer, Refuse, Resolve};

    #[test]
    fn a_hop_can_only_make_it_stricter() {
        let all = [Resolve, Attest, Defer, Refuse];
        for a in all {
            for b in all {
                assert!(a.and(b) >= a && a.and(b) == b.and(a));
            }
        }
    }
}
