//! The published taxonomy: which roles there are, and which of them issues which.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::Role::{self, Anchor, Approver, Peer, Policy, Root, Witness, Workload};

/// What is said of a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Competence {
    /// The role.
    pub role: Role,
    /// What it is for.
    pub about: &'static str,
    /// Which roles it issues for its scope and those under it.
    pub issues: &'static [Role],
    /// Which roles it issues for scopes under its own only.
    pub issues_below: &'static [Role],
    /// Whether its subject must be a key.
    pub needs_key: bool,
    /// For how many hours one holds, unless its issuer says otherwise.
    pub hours: u64,
}

/// Hours of a year and of a month, as credentials count them.
const YEAR: u64 = 365 * 24;
const MONTH: u64 = 30 * 24;

/// The rules, by role.
pub const TAXONOMY: [Competence; 7] = [
    Competence {
        role: Root,
        about: "signs itself; trust begins there",
        issues: &[Policy, Anchor, Peer, Workload, Approver, Witness],
        issues_below: &[],
        needs_key: true,
        hours: 10 * YEAR,
    },
    Competence {
        role: Policy,
        about: "writes a scope's policies",
        issues: &[Approver],
        issues_below: &[],
        needs_key: false,
        hours: YEAR,
    },
    Competence {
        role: Anchor,
        about: "governs a scope: admits, signs its lineage, answers for it",
        issues: &[Peer, Workload, Witness],
        issues_below: &[Anchor],
        needs_key: true,
        hours: YEAR,
    },
    Competence {
        role: Peer,
        about: "an anchor of another scope, over an adjacency",
        issues: &[],
        issues_below: &[],
        needs_key: true,
        hours: YEAR,
    },
    Competence {
        role: Workload,
        about: "registers and looks up for a scope",
        issues: &[],
        issues_below: &[],
        needs_key: false,
        hours: MONTH,
    },
    Competence {
        role: Approver,
        about: "approves what a policy held for it",
        issues: &[],
        issues_below: &[],
        needs_key: false,
        hours: YEAR,
    },
    Competence {
        role: Witness,
        about: "cosigns checkpoints",
        issues: &[],
        issues_below: &[],
        needs_key: true,
        hours: YEAR,
    },
];

// === impl Role ===

impl Role {
    /// Its name, as it is written everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Policy => "policy",
            Self::Anchor => "anchor",
            Self::Peer => "peer",
            Self::Workload => "workload",
            Self::Approver => "approver",
            Self::Witness => "witness",
        }
    }

    /// What the taxonomy says of it.
    pub fn competence(self) -> &'static Competence {
        TAXONOMY.iter().find(|rule| rule.role == self).expect("the taxonomy has every role")
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is no role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be one of root, policy, anchor, peer, workload, approver and witness")]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = |rule: &&Competence| rule.role.as_str() == text;
        TAXONOMY.iter().find(named).map(|rule| rule.role).ok_or(UnknownRole)
    }
}
