//! What a scope's owner decides about a read or a write.

use crate::caller::Caller;
use crate::change::Change;
use crate::outcome::Outcome;
use crate::query::Query;

/// The name of the rule that lets everything through: a scope without a policy of its own.
const OPEN: &str = "open";

/// A decision and the rule that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What was decided.
    pub outcome: Outcome,
    /// The rule, by name.
    pub rule: &'static str,
}

/// Whether a caller may write this. A scope that was not configured is open, as Consul is without ACLs.
pub fn admit(_caller: &Caller, _change: &Change) -> Decision {
    Decision { outcome: Outcome::Resolve, rule: OPEN }
}

/// Whether a caller may read this.
pub fn resolve(_caller: &Caller, _query: &Query) -> Decision {
    Decision { outcome: Outcome::Resolve, rule: OPEN }
}
