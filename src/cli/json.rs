//! JSON as a Go program writes it: fields in a given order, `<`, `>` and `&` escaped, an indentation of choice.

use std::io;

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::Value;
use serde_json::ser::{Formatter, PrettyFormatter};

/// A value whose objects keep the order in which they were made.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tree {
    /// A value as it is; Go prints its objects sorted, and so does it.
    Plain(Value),
    Object(Vec<(String, Self)>),
    List(Vec<Self>),
}

impl Serialize for Tree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Plain(value) => value.serialize(serializer),
            Self::Object(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (name, value) in fields {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
            Self::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(item)?;
                }
                list.end()
            }
        }
    }
}

/// Reads JSON.
///
/// # Errors
/// Go's sentence for what is wrong, as far as it is one of the common ones.
pub(super) fn read(bytes: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(bytes).map_err(|fault| {
        if fault.is_eof() {
            return "unexpected end of JSON input".to_owned();
        }
        let lines = bytes.split_inclusive(|byte| *byte == b'\n');
        let before: usize = lines.take(fault.line().saturating_sub(1)).map(<[u8]>::len).sum();
        let at = (before + fault.column()).saturating_sub(1);
        match bytes.get(at) {
            Some(byte) => {
                format!("invalid character {:?} looking for beginning of value", char::from(*byte))
            }
            None => fault.to_string(),
        }
    })
}

/// On one line.
pub(super) fn line<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    let formatter = Escaping { inner: serde_json::ser::CompactFormatter };
    write(value, &mut bytes, formatter);
    bytes
}

/// With an indentation of one's own.
pub(super) fn indented<T: Serialize>(value: &T, indent: &str) -> String {
    let mut bytes = Vec::new();
    let formatter = Escaping { inner: PrettyFormatter::with_indent(indent.as_bytes()) };
    write(value, &mut bytes, formatter);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn write<T: Serialize, F: Formatter>(value: &T, bytes: &mut Vec<u8>, formatter: F) {
    let mut serializer = serde_json::Serializer::with_formatter(bytes, formatter);
    value
        .serialize(&mut serializer)
        .expect("values of texts, numbers and lists are written to memory");
}

/// Another formatter whose texts have Go's escapes.
struct Escaping<F> {
    inner: F,
}

impl<F: Formatter> Formatter for Escaping<F> {
    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.inner.begin_array(writer)
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.inner.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.inner.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.inner.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.inner.begin_object(writer)
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.inner.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.inner.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.inner.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.inner.end_object_value(writer)
    }

    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let special = ['<', '>', '&', '\u{2028}', '\u{2029}'];
        for piece in fragment.split_inclusive(special) {
            let last = piece.chars().next_back().filter(|letter| special.contains(letter));
            let plain = &piece[..piece.len() - last.map_or(0, char::len_utf8)];
            writer.write_all(plain.as_bytes())?;
            if let Some(letter) = last {
                write!(writer, "\\u{:04x}", u32::from(letter))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_are_escaped_as_go_escapes_them() {
        for (value, expected) in [
            (json!("a<b>&c"), r#""a\u003cb\u003e\u0026c""#),
            (json!("\u{2028}ü\n\""), r#""\u2028ü\n\"""#),
            (json!({"b": [], "a": {}}), r#"{"a":{},"b":[]}"#),
        ] {
            assert_eq!(String::from_utf8(line(&value)).unwrap(), expected);
        }
        assert_eq!(indented(&json!({"a": [1]}), "  "), "{\n  \"a\": [\n    1\n  ]\n}");
    }
}
