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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Change;
    use crate::index::Stamp;
    use crate::record::AnyRecord;
    use crate::sealed::Sealer;

    fn token(number: usize, expires: Option<u64>) -> RecordChange {
        let secret = Sealer::of_seed(&[1; 32]).seal(&number.to_string(), [1; 12]);
        let blank = Token::blank(format!("t{number:04}"), secret, Time(1));
        let token = Token { expires: expires.map(Time), ..blank };
        RecordChange::Put { record: AnyRecord::Token(token.into()), when: When::Always }
    }

    fn check(expires: &[Option<u64>], now: u64, due: usize, next: Option<u64>) {
        let tokens = expires.iter().enumerate().map(|(at, expires)| token(at, *expires)).collect();
        let mut index = Index::new();
        let stamp = Stamp { revision: 1, seq: 1, at: Time(1), salt: [0; 16] };
        assert!(index.apply(&stamp, &Change::Records(tokens)).verdict.is_ok());
        let found = expiring(&index, Time(now));
        assert_eq!((found.due.len(), found.next), (due, next.map(Time)), "at {now}");
        let stamp = Stamp { revision: 2, ..stamp };
        index.apply(&stamp, &Change::Records(found.due));
        assert_eq!(index.records::<Token>().len(), expires.len() - due);
    }

    #[test]
    fn tokens_go_when_their_time_is_over() {
        check(&[None, Some(10), Some(20)], 5, 0, Some(10));
        check(&[None, Some(10), Some(20)], 10, 0, Some(10));
        check(&[None, Some(10), Some(20)], 11, 1, Some(20));
        check(&[None, Some(10), Some(20)], 21, 2, None);
    }

    #[test]
    fn many_go_in_turns() {
        check(&[Some(10); EXPIRED_TOKENS_MAX + 1], 11, EXPIRED_TOKENS_MAX, Some(11));
    }
}
