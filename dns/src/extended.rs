//! Extended errors (RFC 8914): why an answer is not what it could be, for who can read it.
//!
//! They go only to clients that speak EDNS, and only with answers that are none, or not fresh: what is answered as usual is
//! not commented.

use std::borrow::Cow;

use crate::limits::EXTENDED_TEXT_BYTES_MAX;

/// A reason by its registered number (RFC 8914 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ErrorCode(pub u16);

/// A reason, with words for people.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExtendedError {
    /// Which one.
    pub code: ErrorCode,
    /// In words; cut to what a message has room for.
    pub text: Cow<'static, str>,
}

// === impl ErrorCode ===

impl ErrorCode {
    /// None of the others.
    pub const OTHER: Self = Self(0);
    /// Old data, because newer data could not be had.
    pub const STALE_ANSWER: Self = Self(3);
    /// Validation failed.
    pub const DNSSEC_BOGUS: Self = Self(6);
    /// A signature that is required is not there.
    pub const RRSIGS_MISSING: Self = Self(10);
    /// The server does not have what it needs yet.
    pub const NOT_READY: Self = Self(14);
    /// A rule says no.
    pub const PROHIBITED: Self = Self(18);
    /// Nobody who could know answered, or none of them well.
    pub const NO_REACHABLE_AUTHORITY: Self = Self(22);
    /// The network failed on the way to who could know.
    pub const NETWORK_ERROR: Self = Self(23);

    /// Its registered name, for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::STALE_ANSWER => "Stale Answer",
            Self::DNSSEC_BOGUS => "DNSSEC Bogus",
            Self::RRSIGS_MISSING => "RRSIGs Missing",
            Self::NOT_READY => "Not Ready",
            Self::PROHIBITED => "Prohibited",
            Self::NO_REACHABLE_AUTHORITY => "No Reachable Authority",
            Self::NETWORK_ERROR => "Network Error",
            _ => "Other Error",
        }
    }
}

// === impl ExtendedError ===

impl ExtendedError {
    /// A reason with words.
    pub fn new(code: ErrorCode, text: impl Into<Cow<'static, str>>) -> Self {
        Self { code, text: text.into() }
    }

    /// The words as they go on the wire: UTF-8, not cut within a character.
    pub fn told_text(&self) -> &str {
        let most = self.text.len().min(EXTENDED_TEXT_BYTES_MAX);
        let end = (0..=most).rev().find(|at| self.text.is_char_boundary(*at)).unwrap_or(0);
        &self.text[..end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_between_characters() {
        let error = ExtendedError::new(ErrorCode::OTHER, "ü".repeat(EXTENDED_TEXT_BYTES_MAX));
        assert_eq!(error.told_text().len(), EXTENDED_TEXT_BYTES_MAX / 2 * 2);
        assert_eq!(ExtendedError::new(ErrorCode::OTHER, "short").told_text(), "short");
    }
}
