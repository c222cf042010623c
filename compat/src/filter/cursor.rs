//! A place in an expression, and what was hoped for at the furthest place reached.
//!
//! Consul's parser tries alternatives in order, goes back when one fails, and in the end reports the furthest place at which
//! anything failed, with everything that it would have taken there. A [`Cursor`] keeps that account, so that the rules in
//! `parse` only say what they try. Faults that a rule raises itself (a literal cut short, say) go before that report.

use std::fmt;

/// A fault that makes the expression unusable, with the place where it was seen.
///
/// Displays as `line:column (offset): [rule "name": ]message`: lines from 1, columns in characters, offsets in bytes from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    line: usize,
    column: usize,
    offset: usize,
    rule: Option<&'static str>,
    message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} ({}): ", self.line, self.column, self.offset)?;
        if let Some(rule) = self.rule {
            write!(f, "rule \"{rule}\": ")?;
        }
        f.write_str(&self.message)
    }
}

/// So many faults are told of one expression; Consul tells all, but nobody reads them.
const FAULTS_MAX: usize = 100;

/// What stands for the end of the expression among the expected things; it is always named last.
const END: &str = "EOF";

/// What stands for blanks among the expected things.
const BLANK: &str = r"[ \t\r\n]";

/// A set of characters: how it is named to the user, and what belongs to it.
pub(super) struct Class {
    pub(super) name: &'static str,
    pub(super) holds: fn(char) -> bool,
}

const BLANKS: Class = Class { name: BLANK, holds: |c| matches!(c, ' ' | '\t' | '\r' | '\n') };

/// The text of an expression, how far it was read, and the account of failures.
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
    furthest: usize,
    expected: Vec<String>,
    faults: Vec<Fault>,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, furthest: 0, expected: Vec::new(), faults: Vec::new() }
    }

    /// The byte offset reached; hand it to [`Cursor::back_to`] to try something else from there.
    pub(super) fn here(&self) -> usize {
        self.at
    }

    pub(super) fn back_to(&mut self, place: usize) {
        self.at = place;
    }

    /// What was read since `start`.
    pub(super) fn since(&self, start: usize) -> &'a str {
        &self.text[start..self.at]
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Reads `word` exactly, or stays.
    pub(super) fn word(&mut self, word: &str) -> bool {
        if self.rest().starts_with(word) {
            self.at += word.len();
            return true;
        }
        self.hoped(|| quoted(word));
        false
    }

    /// Reads one character of the class, or stays.
    pub(super) fn one(&mut self, class: &Class) -> bool {
        match self.rest().chars().next() {
            Some(c) if (class.holds)(c) => {
                self.at += c.len_utf8();
                true
            }
            _ => {
                self.hoped(|| class.name.to_owned());
                false
            }
        }
    }

    /// Reads as many characters of the class as there are; tells whether there was any.
    pub(super) fn many(&mut self, class: &Class) -> bool {
        let start = self.at;
        while self.one(class) {}
        self.at > start
    }

    /// Reads blanks; tells whether there was any.
    pub(super) fn blanks(&mut self) -> bool {
        self.many(&BLANKS)
    }

    /// Whether everything was read.
    pub(super) fn end(&mut self) -> bool {
        let end = self.rest().is_empty();
        if !end {
            self.hoped(|| END.to_owned());
        }
        end
    }

    /// Reads up to the next `mark` and over it; without one, reads everything and tells so.
    pub(super) fn through(&mut self, mark: char) -> bool {
        match self.rest().find(mark) {
            Some(length) => {
                self.at += length + mark.len_utf8();
                true
            }
            None => {
                self.at = self.text.len();
                false
            }
        }
    }

    /// Notes a fault of `rule` at `place`; the same fault is noted once.
    pub(super) fn fault(&mut self, place: usize, rule: &'static str, message: &str) {
        if self.faults.len() == FAULTS_MAX {
            return;
        }
        let fault = self.placed(place, Some(rule), message.to_owned());
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    /// The faults noted; without any, and when nothing was `understood`, the report of what was expected where.
    pub(super) fn into_faults(mut self, understood: bool) -> Vec<Fault> {
        if self.faults.is_empty() && !understood {
            let message = format!("no match found, expected: {}", listed(&self.expected));
            let fault = self.placed(self.furthest, None, message);
            self.faults.push(fault);
        }
        self.faults
    }

    fn hoped(&mut self, what: impl FnOnce() -> String) {
        if self.at < self.furthest {
            return;
        }
        if self.at > self.furthest {
            self.furthest = self.at;
            self.expected.clear();
        }
        let what = what();
        if !self.expected.contains(&what) {
            self.expected.push(what);
        }
    }

    /// A line feed already counts as the next line, at column 0: that is how Consul counts.
    fn placed(&self, offset: usize, rule: Option<&'static str>, message: String) -> Fault {
        let upto = self.text[offset..].chars().next().map_or(offset, |c| offset + c.len_utf8());
        let read = &self.text[..upto];
        let line = 1 + read.matches('\n').count();
        let last = read.rsplit('\n').next().unwrap_or_default();
        let past_the_end = usize::from(upto == offset);
        Fault { line, column: last.chars().count() + past_the_end, offset, rule, message }
    }
}

fn quoted(word: &str) -> String {
    format!("\"{}\"", word.replace('"', "\\\""))
}

/// `a, b or c`, in byte order, the end of the expression last.
fn listed(expected: &[String]) -> String {
    let mut names: Vec<&str> = expected.iter().map(String::as_str).collect();
    names.sort_unstable_by_key(|name| (*name == END, *name));
    match names.split_last() {
        None => String::new(),
        Some((only, [])) => (*only).to_owned(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
    }
}
