//! Prints JSON as Go's `encoding/json` does.

use std::io::{self, Write};

use bytes::Bytes;
use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// A value as compact JSON, with Go's escapes.
pub(crate) fn json<T: Serialize + ?Sized>(value: &T) -> Bytes {
    let mut out = Vec::with_capacity(256);
    write_json(&mut out, value);
    out.into()
}

/// Appends a value as compact JSON.
pub(crate) fn write_json<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    let mut serializer = Serializer::with_formatter(out, Escapes);
    value
        .serialize(&mut serializer)
        .expect("our forms have text keys only, and memory takes every byte");
}

/// The escapes that Go adds so that JSON can stand inside HTML and JavaScript, and its way with floats.
struct Escapes;

impl Formatter for Escapes {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let bytes = fragment.as_bytes();
        let mut written = 0;
        for at in 0..bytes.len() {
            let (escape, width): (&[u8], usize) = match bytes[at] {
                b'<' => (b"\\u003c", 1),
                b'>' => (b"\\u003e", 1),
                b'&' => (b"\\u0026", 1),
                0xe2 if bytes[at..].starts_with("\u{2028}".as_bytes()) => (b"\\u2028", 3),
                0xe2 if bytes[at..].starts_with("\u{2029}".as_bytes()) => (b"\\u2029", 3),
                _ => continue,
            };
            writer.write_all(&bytes[written..at])?;
            writer.write_all(escape)?;
            written = at + width;
        }
        writer.write_all(&bytes[written..])
    }

    fn write_f64<W: ?Sized + Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        let magnitude = value.abs();
        if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
            let text = format!("{value:e}");
            let (number, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let sign = if exponent.starts_with('-') { "" } else { "+" };
            return write!(writer, "{number}e{sign}{exponent}");
        }
        write!(writer, "{value}")
    }
}

/// Compact JSON with line breaks and four spaces a level; empty lists and objects stay closed.
pub(crate) fn indent(compact: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(compact.len() * 2);
    let (mut depth, mut quoted, mut escaped) = (0, false, false);
    for (at, &byte) in compact.iter().enumerate() {
        if quoted {
            out.push(byte);
            (quoted, escaped) = (escaped || byte != b'"', !escaped && byte == b'\\');
            continue;
        }
        let empty = matches!(compact.get(at + 1), Some(b'}' | b']'));
        let closes_empty = at > 0 && matches!(compact[at - 1], b'{' | b'[');
        match byte {
            b'{' | b'[' => {
                out.push(byte);
                depth += 1;
                if !empty {
                    new_line(&mut out, depth);
                }
            }
            b'}' | b']' => {
                depth -= 1;
                if !closes_empty {
                    new_line(&mut out, depth);
                }
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                new_line(&mut out, depth);
            }
            b':' => out.extend_from_slice(b": "),
            _ => {
                quoted = byte == b'"';
                out.push(byte);
            }
        }
    }
    out
}

fn new_line(out: &mut Vec<u8>, depth: usize) {
    out.push(b'\n');
    out.resize(out.len() + 4 * depth, b' ');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped_as_go_escapes() {
        let text = "<a href=\"x\">&\u{2028}\u{2029}\u{1}\n\té\u{7f}";
        assert_eq!(
            json(text),
            r#""\u003ca href=\"x\"\u003e\u0026\u2028\u2029\u0001\n\té"#.to_owned() + "\u{7f}\""
        );
    }

    #[test]
    fn floats_are_printed_as_go_prints() {
        for (value, shown) in [
            (0.0, "0"),
            (1.5, "1.5"),
            (0.00001, "0.00001"),
            (1e-7, "1e-7"),
            (1e21, "1e+21"),
            (100.0, "100"),
        ] {
            assert_eq!(json(&value), shown);
        }
    }

    #[test]
    fn pretty_is_four_spaces() {
        let pretty = indent(br#"{"a":[],"b":{"c":["x:,{",1]},"d":{}}"#);
        let shown = "{\n    \"a\": [],\n    \"b\": {\n        \"c\": [\n            \"x:,{\",\n            1\n        ]\n    },\n    \"d\": {}\n}";
        assert_eq!(String::from_utf8(pretty).unwrap(), shown);
    }
}
