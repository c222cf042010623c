//! Reads an expression into a tree.
//!
//! ```text
//! either    = both { _ "or" _ both }
//! both      = negation { _ "and" _ negation }
//! negation  = { "not" _ } ( "(" either ")" | match )
//! match     = selector ( "==" | "!=" | contains | matches | not contains | not matches ) value
//!           | selector is [not] empty
//!           | value [not] in selector
//! selector  = identifier { "." identifier | "[" string "]" }
//! value     = selector | number | string
//! ```
//! Alternatives are tried in that order. What a bracket holds is read once only, so the time is linear in the length.

use super::cursor::{Class, Cursor, Fault};
use super::strconv;

/// Brackets deeper than this are refused: the reader recurses for each, and Consul's own needs seconds from nine on.
pub const DEPTH_MAX: usize = 64;

/// How a selector is compared with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    In,
    NotIn,
    Matches,
    NotMatches,
    IsEmpty,
    IsNotEmpty,
}

/// One comparison, as written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Comparison {
    pub(super) selector: Vec<String>,
    pub(super) operator: Operator,
    /// Empty for the operators that take none.
    pub(super) value: String,
}

/// An expression as written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Tree {
    Any(Vec<Self>),
    All(Vec<Self>),
    Not(Box<Self>),
    Compare(Comparison),
}

/// Why an expression could not be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unread {
    Faults(Vec<Fault>),
    TooDeep,
}

pub(super) fn parse(text: &str) -> Result<Tree, Unread> {
    let mut reader = Reader { cursor: Cursor::new(text), depth: 0, too_deep: false };
    reader.cursor.blanks();
    let tree = reader.either().filter(|_| {
        reader.cursor.blanks();
        reader.cursor.end()
    });
    if reader.too_deep {
        return Err(Unread::TooDeep);
    }
    let faults = reader.cursor.into_faults(tree.is_some());
    match tree {
        Some(tree) if faults.is_empty() => Ok(tree),
        _ => Err(Unread::Faults(faults)),
    }
}

const LETTER: Class = Class { name: "[a-zA-Z]", holds: |c| c.is_ascii_alphabetic() };
const WORD: Class =
    Class { name: "[a-zA-Z0-9_]", holds: |c| c.is_ascii_alphanumeric() || c == '_' };
const DIGIT: Class = Class { name: "[0-9]", holds: |c| c.is_ascii_digit() };
const FIRST_DIGIT: Class = Class { name: "[1-9]", holds: |c| matches!(c, '1'..='9') };

struct Reader<'a> {
    cursor: Cursor<'a>,
    depth: usize,
    too_deep: bool,
}

// === logic ===

impl Reader<'_> {
    fn either(&mut self) -> Option<Tree> {
        self.chain("or", Self::both, Tree::Any)
    }

    fn both(&mut self) -> Option<Tree> {
        self.chain("and", Self::negation, Tree::All)
    }

    /// One or more of `part` with `word` between them; a word that no part follows is left unread.
    fn chain(
        &mut self,
        word: &str,
        part: fn(&mut Self) -> Option<Tree>,
        join: fn(Vec<Tree>) -> Tree,
    ) -> Option<Tree> {
        let first = part(self)?;
        let mut parts = vec![first];
        loop {
            let start = self.cursor.here();
            let next = if self.spaced(&[word]) && self.cursor.blanks() { part(self) } else { None };
            match next {
                Some(next) => parts.push(next),
                None => {
                    self.cursor.back_to(start);
                    break;
                }
            }
        }
        if parts.len() == 1 { parts.pop() } else { Some(join(parts)) }
    }

    /// `not` is also a fine name for a field, so each one is tried again as such when nothing sensible follows it.
    fn negation(&mut self) -> Option<Tree> {
        let mut nots = Vec::new();
        loop {
            let start = self.cursor.here();
            if !(self.cursor.word("not") && self.cursor.blanks()) {
                self.cursor.back_to(start);
                break;
            }
            nots.push(start);
        }
        loop {
            if let Some(tree) = self.operand() {
                let odd = nots.len() % 2 == 1;
                return Some(if odd { Tree::Not(Box::new(tree)) } else { tree });
            }
            self.cursor.back_to(nots.pop()?);
        }
    }

    fn operand(&mut self) -> Option<Tree> {
        let start = self.cursor.here();
        if self.cursor.word("(") {
            return self.grouping().or_else(|| {
                self.cursor.back_to(start);
                None
            });
        }
        self.comparison().map(Tree::Compare)
    }

    fn grouping(&mut self) -> Option<Tree> {
        if self.depth == DEPTH_MAX {
            self.too_deep = true;
            return None;
        }
        self.depth += 1;
        self.cursor.blanks();
        let inner = self.either();
        self.depth -= 1;
        let inner = inner?;
        self.cursor.blanks();
        if !self.cursor.word(")") {
            self.cursor.fault(self.cursor.here(), "grouping", "Unmatched parentheses");
            return None;
        }
        Some(inner)
    }
}

// === comparisons ===

impl Reader<'_> {
    fn comparison(&mut self) -> Option<Comparison> {
        let start = self.cursor.here();
        for attempt in [Self::selector_first, Self::value_first] {
            if let Some(found) = attempt(self) {
                return Some(found);
            }
            self.cursor.back_to(start);
        }
        None
    }

    fn selector_first(&mut self) -> Option<Comparison> {
        let selector = self.selector()?;
        let after = self.cursor.here();
        if let Some(operator) = self.operator()
            && let Some(value) = self.value()
        {
            return Some(Comparison { selector, operator, value });
        }
        self.cursor.back_to(after);
        let operator = self.emptiness()?;
        Some(Comparison { selector, operator, value: String::new() })
    }

    /// Reads an operator that a value follows, up to the value.
    fn operator(&mut self) -> Option<Operator> {
        let start = self.cursor.here();
        for (word, operator) in [("==", Operator::Equal), ("!=", Operator::NotEqual)] {
            self.cursor.blanks();
            if self.cursor.word(word) {
                self.cursor.blanks();
                return Some(operator);
            }
            self.cursor.back_to(start);
        }
        self.spelled(&[
            (&["contains"], Operator::In),
            (&["not", "contains"], Operator::NotIn),
            (&["matches"], Operator::Matches),
            (&["not", "matches"], Operator::NotMatches),
        ])
    }

    fn emptiness(&mut self) -> Option<Operator> {
        let start = self.cursor.here();
        for (words, operator) in [
            (&["is", "empty"][..], Operator::IsEmpty),
            (&["is", "not", "empty"][..], Operator::IsNotEmpty),
        ] {
            if self.spaced(words) {
                return Some(operator);
            }
            self.cursor.back_to(start);
        }
        None
    }

    fn value_first(&mut self) -> Option<Comparison> {
        let value = self.value()?;
        let operator =
            self.spelled(&[(&["in"], Operator::In), (&["not", "in"], Operator::NotIn)])?;
        let place = self.cursor.here();
        let Some(selector) = self.selector() else {
            self.cursor.fault(place, "match", "Invalid selector");
            return None;
        };
        Some(Comparison { selector, operator, value })
    }

    /// Reads the first of these spellings that is followed by blanks, and the blanks.
    fn spelled(&mut self, spellings: &[(&[&str], Operator)]) -> Option<Operator> {
        let start = self.cursor.here();
        for (words, operator) in spellings {
            if self.spaced(words) && self.cursor.blanks() {
                return Some(*operator);
            }
            self.cursor.back_to(start);
        }
        None
    }

    /// Reads the words, each with blanks before it.
    fn spaced(&mut self, words: &[&str]) -> bool {
        words.iter().all(|word| self.cursor.blanks() && self.cursor.word(word))
    }
}

// === selectors and values ===

impl Reader<'_> {
    fn selector(&mut self) -> Option<Vec<String>> {
        let mut path = vec![self.identifier()?];
        loop {
            let start = self.cursor.here();
            let next = if self.cursor.word(".") { self.identifier() } else { self.index() };
            match next {
                Some(name) => path.push(name),
                None => {
                    self.cursor.back_to(start);
                    return Some(path);
                }
            }
        }
    }

    fn identifier(&mut self) -> Option<String> {
        let start = self.cursor.here();
        if !self.cursor.one(&LETTER) {
            return None;
        }
        self.cursor.many(&WORD);
        Some(self.cursor.since(start).to_owned())
    }

    fn index(&mut self) -> Option<String> {
        if !self.cursor.word("[") {
            return None;
        }
        self.cursor.blanks();
        let place = self.cursor.here();
        let Some(name) = self.string() else {
            self.cursor.fault(place, "index", "Invalid index");
            return None;
        };
        self.cursor.blanks();
        if !self.cursor.word("]") {
            self.cursor.fault(self.cursor.here(), "index", "Unclosed index expression");
            return None;
        }
        Some(name)
    }

    /// A selector as a value is its names with dots between them.
    fn value(&mut self) -> Option<String> {
        let start = self.cursor.here();
        if let Some(path) = self.selector() {
            return Some(path.join("."));
        }
        for attempt in [Self::number, Self::string] {
            self.cursor.back_to(start);
            if let Some(value) = attempt(self) {
                return Some(value);
            }
        }
        None
    }

    fn number(&mut self) -> Option<String> {
        let start = self.cursor.here();
        self.cursor.word("-");
        if !self.cursor.word("0") {
            if !self.cursor.one(&FIRST_DIGIT) {
                return None;
            }
            self.cursor.many(&DIGIT);
        }
        let whole = self.cursor.here();
        if !(self.cursor.word(".") && self.cursor.many(&DIGIT)) {
            self.cursor.back_to(whole);
        }
        let end = self.cursor.here();
        let clean = self.cursor.blanks() || self.cursor.end() || self.cursor.word(")");
        self.cursor.back_to(end);
        if !clean {
            self.cursor.fault(end, "number", "Invalid number literal");
            return None;
        }
        Some(self.cursor.since(start).to_owned())
    }

    fn string(&mut self) -> Option<String> {
        let start = self.cursor.here();
        let quote = if self.cursor.word("`") {
            '`'
        } else if self.cursor.word("\"") {
            '"'
        } else {
            return None;
        };
        if !self.cursor.through(quote) {
            self.cursor.fault(self.cursor.here(), "string", "Unterminated string literal");
            return None;
        }
        let value = strconv::unquote(self.cursor.since(start));
        if value.is_none() {
            self.cursor.fault(start, "string", "invalid syntax");
        }
        // The fault is on record; reading goes on, so that later faults are told as well.
        Some(value.unwrap_or_default())
    }
}
