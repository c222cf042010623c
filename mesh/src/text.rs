//! Texts as Go prints them, and why something is refused.

use std::fmt::{self, Write as _};

/// Why an entry, an intention or a graph is refused, in the words that Consul's clients read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub(crate) String);

/// Returns that something is invalid, in these words.
macro_rules! refuse {
    ($($words:tt)*) => { return Err($crate::text::Invalid(format!($($words)*))) };
}
pub(crate) use refuse;

/// Whether it may be: nothing to tell, or why not.
pub(crate) type Verdict = Result<(), Invalid>;

/// Several reasons, printed as a list that tells its length.
#[derive(Debug, Default)]
pub(crate) struct Reasons(Vec<String>);

// === impl Invalid ===

impl Invalid {
    /// The same with words before it.
    pub(crate) fn under(self, before: impl fmt::Display) -> Self {
        Self(format!("{before}{}", self.0))
    }
}

// === impl Reasons ===

impl Reasons {
    /// Adds one.
    pub(crate) fn add(&mut self, reason: impl Into<String>) {
        self.0.push(reason.into());
    }

    /// Adds those of another list.
    pub(crate) fn append(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Adds why not, if not.
    pub(crate) fn check(&mut self, verdict: Verdict) {
        if let Err(Invalid(reason)) = verdict {
            self.0.push(reason);
        }
    }

    /// Nothing, or all of them as one.
    pub(crate) fn verdict(self) -> Verdict {
        if self.0.is_empty() { Ok(()) } else { Err(Invalid(self.to_string())) }
    }
}

impl fmt::Display for Reasons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("1 error occurred:\n")?,
            several => writeln!(f, "{several} errors occurred:")?,
        }
        self.0.iter().try_for_each(|reason| writeln!(f, "\t* {reason}"))?;
        f.write_str("\n")
    }
}

/// A text in double quotes as `%q` prints it.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0b' => out.push_str("\\v"),
            '\x0c' => out.push_str("\\f"),
            _ if c.is_ascii_control() => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            _ if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_tell_their_number() {
        let mut reasons = Reasons::default();
        reasons.add("a");
        assert_eq!(reasons.to_string(), "1 error occurred:\n\t* a\n\n");
        reasons.add("b");
        assert_eq!(reasons.to_string(), "2 errors occurred:\n\t* a\n\t* b\n\n");
    }

    #[test]
    fn texts_are_quoted() {
        for (text, quoted) in [("a\"b", r#""a\"b""#), ("\n\x01é", "\"\\n\\x01é\"")] {
            assert_eq!(quote(text), quoted);
        }
    }
}
