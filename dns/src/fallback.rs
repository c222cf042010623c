//! Whom to ask about a name, as a value: the server performs it.
//!
//! Only names outside our zones may ever lead elsewhere. A refusal never does: a fallback must not launder it.

use crate::question::Place;

/// Who can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// The index of the scope.
    Index,
    /// Nobody that we know: the question is refused.
    Nobody,
}

/// Whom to ask about what a question leads to.
pub fn whom(place: &Place) -> Whom {
    match place {
        Place::Ask { .. } | Place::Reverse | Place::Malformed => Whom::Index,
        Place::Foreign => Whom::Nobody,
    }
}
