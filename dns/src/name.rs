//! Domain names as they go on the wire, spelt as they were given.
//!
//! Text and wire meet by the master-file rules (RFC 1035 §5.1): a backslash before a character takes it as it is,
//! before three digits it is a byte.

use std::fmt;
use std::sync::Arc;

use crate::limits::{LABEL_BYTES_MAX, NAME_BYTES_MAX};

/// A name: labels with their lengths, ended by the root. Cloning it shares the bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name {
    /// Invariant: uncompressed, every label of 1 to 63 bytes, ended by a zero, 255 bytes at most.
    wire: Arc<[u8]>,
}

/// Why a text is no name. Nothing of the kind can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Two dots in a row, or one in front.
    #[error("a label is empty")]
    EmptyLabel,
    /// A label of more than 63 bytes.
    #[error("a label is longer than {LABEL_BYTES_MAX} bytes")]
    LongLabel,
    /// More than 255 bytes in all.
    #[error("the name is longer than {NAME_BYTES_MAX} bytes")]
    LongName,
}

// === impl Name ===

impl Name {
    /// The root, `.`.
    pub fn root() -> Self {
        Self { wire: Arc::from([0_u8].as_slice()) }
    }

    /// Reads a text such as `web.service.consul`, with or without the last dot.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        Self::under(text, &Self::root())
    }

    /// Puts the labels of a text in front of a name.
    pub fn under(text: &str, suffix: &Self) -> Result<Self, NameError> {
        let mut wire = Vec::with_capacity(text.len() + 1 + suffix.wire.len());
        push_labels(text, &mut wire)?;
        wire.extend_from_slice(&suffix.wire);
        Self::from_wire(&wire)
    }

    /// Takes labels that are known to be well formed: the caller has read them one by one.
    pub(crate) fn from_wire(wire: &[u8]) -> Result<Self, NameError> {
        if wire.len() > NAME_BYTES_MAX {
            return Err(NameError::LongName);
        }
        Ok(Self { wire: wire.into() })
    }

    /// The bytes for the wire, uncompressed.
    pub fn wire(&self) -> &[u8] {
        &self.wire
    }

    /// The labels from left to right, without the root.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        self.suffixes().map(|suffix| &suffix[1..=usize::from(suffix[0])])
    }

    /// The name itself, its parent, and so on, without the root: what a compression pointer may stand for.
    pub fn suffixes(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.wire.as_ref();
        std::iter::from_fn(move || {
            let here = rest;
            let length = usize::from(*here.first()?);
            rest = here.get(length + 1..)?;
            (length > 0).then_some(here)
        })
    }

    /// Whether `other` is this name or lies above it, without regard to case; its spelling here when it does.
    pub fn suffix_like(&self, other: &Self) -> Option<Self> {
        if other.wire.len() == 1 {
            return Some(Self::root());
        }
        let found = self.suffixes().find(|suffix| suffix.eq_ignore_ascii_case(&other.wire))?;
        Some(Self { wire: found.into() })
    }

    /// The same name in lower case.
    #[must_use]
    pub fn to_lower(&self) -> Self {
        // Lengths are below 64 and so never letters.
        Self { wire: self.wire.to_ascii_lowercase().into() }
    }

    /// Whether both are the same name: case does not matter (RFC 1035 §2.3.3).
    pub fn is(&self, other: &Self) -> bool {
        self.wire.eq_ignore_ascii_case(&other.wire)
    }
}

/// A label as text, escaped as in a master file.
pub fn label_text(label: &[u8]) -> String {
    let mut text = String::with_capacity(label.len());
    for &byte in label {
        match byte {
            b'.' | b' ' | b'\'' | b'@' | b';' | b'(' | b')' | b'"' | b'\\' => {
                text.push('\\');
                text.push(char::from(byte));
            }
            b'!'..=b'~' => text.push(char::from(byte)),
            _ => text.push_str(&format!("\\{byte:03}")),
        }
    }
    text
}

/// The next byte of an escaped text and what is left of it.
pub(crate) fn next_byte(text: &[u8]) -> Option<(u8, &[u8])> {
    match text {
        [b'\\', a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] => {
            let digit = |digit: &u8| u32::from(digit - b'0');
            let value = digit(a) * 100 + digit(b) * 10 + digit(c);
            Some((value.to_le_bytes()[0], rest))
        }
        [b'\\', byte, rest @ ..] | [byte, rest @ ..] => Some((*byte, rest)),
        [] => None,
    }
}

fn push_labels(text: &str, wire: &mut Vec<u8>) -> Result<(), NameError> {
    let mut rest = text.as_bytes();
    if rest == b"." {
        return Ok(());
    }
    while !rest.is_empty() {
        let start = wire.len();
        wire.push(0);
        rest = push_label(rest, wire);
        let length = wire.len() - start - 1;
        if length == 0 {
            return Err(NameError::EmptyLabel);
        }
        wire[start] = u8::try_from(length)
            .ok()
            .filter(|_| length <= LABEL_BYTES_MAX)
            .ok_or(NameError::LongLabel)?;
    }
    Ok(())
}

/// Moves one label over, up to the dot that ends it.
fn push_label<'a>(mut rest: &'a [u8], wire: &mut Vec<u8>) -> &'a [u8] {
    loop {
        if let [b'.', after @ ..] = rest {
            return after;
        }
        let Some((byte, after)) = next_byte(rest) else { return rest };
        wire.push(byte);
        rest = after;
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.wire.len() == 1 {
            return f.write_str(".");
        }
        self.labels().try_for_each(|label| write!(f, "{}.", label_text(label)))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_wire_meet() {
        for (text, shown) in [
            ("web.service.consul", "web.service.consul."),
            ("Web.Service.CONSUL.", "Web.Service.CONSUL."),
            (".", "."),
            ("", "."),
            ("a\\.b.c", "a\\.b.c."),
            ("a b.c", "a\\ b.c."),
            ("\\097\\300", "a,."),
            ("ü", "\\195\\188."),
        ] {
            assert_eq!(Name::parse(text).unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn what_does_not_pack_is_refused() {
        let long = format!("{}.consul", "x".repeat(64));
        let deep = "a.".repeat(130);
        for (text, why) in [
            ("a..b", NameError::EmptyLabel),
            (".a", NameError::EmptyLabel),
            (long.as_str(), NameError::LongLabel),
            (deep.as_str(), NameError::LongName),
        ] {
            assert_eq!(Name::parse(text), Err(why), "{text}");
        }
    }

    #[test]
    fn a_suffix_keeps_its_spelling() {
        let zone = Name::parse("consul").unwrap();
        let name = Name::parse("Web.Service.CONSUL").unwrap();
        assert_eq!(name.suffix_like(&zone).unwrap().to_string(), "CONSUL.");
        assert_eq!(Name::parse("web.notconsul").unwrap().suffix_like(&zone), None);
    }
}
