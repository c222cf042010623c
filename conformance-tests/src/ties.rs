//! What may differ between two runs of the same exchanges, tied together: this id there is that id here, for good, and
//! indexes keep their order.

use std::collections::BTreeMap;

/// Below and at this index, what a start wrote; zero and one mean "nothing yet" and are compared as they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Start {
    /// On the left (recorded, or the real program).
    pub left: u64,
    /// On the right (the subject).
    pub right: u64,
}

/// Where an index was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A row's own: it says when a write was done.
    Row,
    /// An answer's: a maximum over rows and tables.
    Answer,
}

/// The ties of one run. A pair that contradicts them is a difference. When rows say so, it replaces what it contradicts, so
/// that one wrong write is not told a hundred times; when an answer says so, it is forgotten, so that it makes no others wrong.
#[derive(Debug, Clone, Default)]
pub struct Ties {
    start: Start,
    indexes: BTreeMap<u64, u64>,
    words: BTreeMap<String, String>,
    words_back: BTreeMap<String, String>,
}

impl Ties {
    /// Ties of two runs that began at these indexes.
    #[must_use]
    pub fn new(start: Start) -> Self {
        Self { start, ..Self::default() }
    }

    /// Whether two indexes may stand for the same moment.
    pub fn index(&mut self, left: u64, right: u64, source: Source) -> bool {
        if left <= 1 || right <= 1 {
            return left == right;
        }
        match (left <= self.start.left, right <= self.start.right) {
            (true, true) => return true,
            (false, false) => {}
            _ => return false,
        }
        let before = self.indexes.range(..left).next_back().is_none_or(|(_, &known)| known < right);
        let after = self.indexes.range(left + 1..).next().is_none_or(|(_, &known)| right < known);
        let same = self.indexes.get(&left).is_none_or(|&known| known == right);
        let fits = before && after && same;
        if !fits && source == Source::Answer {
            return false;
        }
        if !fits {
            self.indexes.retain(|&l, &mut r| (l < left && r < right) || (l > left && r > right));
        }
        self.indexes.insert(left, right);
        fits
    }

    /// Whether two opaque words (ids, hashes) may stand for the same thing.
    pub fn word(&mut self, left: &str, right: &str) -> bool {
        let known = self.words.insert(left.to_owned(), right.to_owned());
        let back = self.words_back.insert(right.to_owned(), left.to_owned());
        known.is_none_or(|known| known == right) && back.is_none_or(|back| back == left)
    }

    /// Whether two texts are equal when the UUIDs in them are tied.
    pub fn text(&mut self, left: &str, right: &str) -> bool {
        if left == right {
            return true;
        }
        let (left, right) = (split_ids(left), split_ids(right));
        left.len() == right.len()
            && left.iter().zip(&right).all(|(l, r)| match (l, r) {
                (Piece::Plain(l), Piece::Plain(r)) => l == r,
                (Piece::Id(l), Piece::Id(r)) => self.word(l, r),
                _ => false,
            })
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Piece<'a> {
    Plain(&'a str),
    Id(&'a str),
}

const ID_LENGTH: usize = 36;

fn split_ids(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut plain, mut at) = (0, 0);
    while at + ID_LENGTH <= text.len() {
        if is_id(&text.as_bytes()[at..at + ID_LENGTH]) {
            pieces.push(Piece::Plain(&text[plain..at]));
            pieces.push(Piece::Id(&text[at..at + ID_LENGTH]));
            at += ID_LENGTH;
            plain = at;
        } else {
            at += 1;
        }
    }
    pieces.push(Piece::Plain(&text[plain..]));
    pieces
}

/// A text to sort by that is the same on both sides: no ids, and numbers of one width.
#[must_use]
pub fn sort_key(text: &str) -> String {
    let pieces = split_ids(text).into_iter();
    let plain =
        pieces.filter_map(|piece| if let Piece::Plain(plain) = piece { Some(plain) } else { None });
    plain
        .flat_map(|plain| plain.split_inclusive(|c: char| !c.is_ascii_digit()))
        .map(widened)
        .collect()
}

/// A run of digits and the letter after it, the run filled up with zeros.
fn widened(run: &str) -> String {
    let digits = run.trim_end_matches(|c: char| !c.is_ascii_digit());
    if digits.is_empty() {
        run.to_owned()
    } else {
        format!("{digits:0>20}{}", &run[digits.len()..])
    }
}

fn is_id(bytes: &[u8]) -> bool {
    bytes.iter().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    })
}

#[cfg(test)]
mod tests {
    use super::{Source, Start, Ties};

    #[test]
    fn indexes_keep_their_order() {
        let mut ties = Ties::new(Start { left: 15, right: 8 });
        let lines: [(u64, u64, bool); 9] = [
            (12, 3, true),  // both from the start
            (1, 1, true),   // nothing yet
            (1, 2, false),  // something is not nothing
            (12, 9, false), // the start is not later than the start
            (20, 9, true),
            (20, 9, true),
            (25, 9, false), // later there, the same here; told once
            (30, 40, true),
            (28, 39, true),
        ];
        for (left, right, fits) in lines {
            assert_eq!(ties.index(left, right, Source::Row), fits, "{left} {right}");
        }
    }

    #[test]
    fn ids_are_tied_for_good() {
        let (a, b) =
            ("a2659592-651c-8013-0279-ac202f1c6a38", "b2659592-651c-8013-0279-ac202f1c6a38");
        let mut ties = Ties::default();
        assert!(
            ties.text(&format!("invalid session \"{a}\""), &format!("invalid session \"{b}\""))
        );
        assert!(ties.text(a, b));
        assert!(!ties.text(a, "c2659592-651c-8013-0279-ac202f1c6a38"));
        assert!(!ties.text("x", "y"));
    }
}
