//! What the scopes decide about a write, after the rules of access control allowed it.

use crate::acl::Authority;
use crate::caller::Caller;
use crate::change::Change;
use crate::error::Refusal;
use crate::index::Index;
use crate::outcome::Outcome;
use crate::record::TableId;
use crate::scope::ScopePath;

/// Decides for the scopes of an index.
pub(super) struct Governance {
    root: ScopePath,
}

/// What was decided about a write, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// Never [`Outcome::Refuse`]: that is an error.
    pub outcome: Outcome,
    /// The rule that decided.
    pub rule: Box<str>,
    /// The scope that decided, where it is not the datacenter's own.
    pub scope: Option<ScopePath>,
    /// The credential under which it was admitted, by id.
    pub credential: Option<Box<str>>,
}

// === impl Governance ===

impl Governance {
    pub(super) fn new(root: ScopePath) -> Self {
        Self { root }
    }

    /// The scope of the datacenter itself.
    pub(super) fn root(&self) -> &ScopePath {
        &self.root
    }

    /// Finds whose a write is, writes that into it, and has its scope decide. `rule` is the rule of access control that let
    /// it through.
    ///
    /// # Errors
    /// [`Refusal::Denied`] with the scope and its rule.
    pub(super) fn admit(
        &self,
        _caller: &Caller,
        _authority: &Authority,
        index: &Index,
        _change: &mut Change,
        rule: &str,
    ) -> Result<Ruling, Refusal> {
        debug_assert_eq!(index.table_mark(TableId::Scope), 0, "no scope can be configured yet");
        Ok(Ruling { outcome: Outcome::Resolve, rule: rule.into(), scope: None, credential: None })
    }
}
