//! Tokens that have run out.

use super::records::Token;
use crate::clock::Time;
use crate::index::Index;
use crate::record::{RecordChange, TableId, When};

/// Tokens that are removed as one write.
pub const EXPIRED_TOKENS_MAX: usize = 1_024;

/// What the clock asks of the tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expiring {
    /// Those to remove now, at most [`EXPIRED_TOKENS_MAX`].
    pub due: Vec<RecordChange>,
    /// When the next one runs out.
    pub next: Option<Time>,
}

/// Which tokens have run out, and when the next one will.
pub fn expiring(index: &Index, now: Time) -> Expiring {
    let mut expiring = Expiring::default();
    for row in index.records::<Token>() {
        let Some(expires) = row.record.expires else { continue };
        if expires >= now {
            expiring.next = Some(expiring.next.map_or(expires, |next| next.min(expires)));
        } else if expiring.due.len() < EXPIRED_TOKENS_MAX {
            let key = row.record.accessor.to_ascii_lowercase().into();
            let when = When::Index(row.modified);
            expiring.due.push(RecordChange::Remove { table: TableId::Token, key, when });
        } else {
            expiring.next = Some(now);
        }
    }
    expiring
}
