//! Quoting and the small parsers of Go's `strconv`.

use std::fmt::Write as _;

/// A text in double quotes as `strconv.Quote` and `%q` print it.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        quoted_char(&mut out, c, '"');
    }
    out.push('"');
    out
}

/// One byte in single quotes, as Go's JSON scanner names the character that it stumbled over.
pub(crate) fn quote_byte(byte: u8) -> String {
    let mut out = String::from("'");
    quoted_char(&mut out, char::from(byte), '\'');
    out.push('\'');
    out
}

fn quoted_char(out: &mut String, c: char, quote: char) {
    match c {
        '\\' => out.push_str("\\\\"),
        _ if c == quote => {
            out.push('\\');
            out.push(c);
        }
        '\x07' => out.push_str("\\a"),
        '\x08' => out.push_str("\\b"),
        '\x0c' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x0b' => out.push_str("\\v"),
        _ if printable(c) => out.push(c),
        _ => unprintable(out, u32::from(c)),
    }
}

fn unprintable(out: &mut String, code: u32) {
    let _ = match code {
        0..0x20 | 0x7f => write!(out, "\\x{code:02x}"),
        0x20..0x1_0000 => write!(out, "\\u{code:04x}"),
        _ => write!(out, "\\U{code:08x}"),
    };
}

/// Whether Go calls a character printable: letters, marks, numbers, punctuation, symbols and the plain space.
pub(crate) fn printable(c: char) -> bool {
    if c.is_ascii() {
        return (' '..='~').contains(&c);
    }
    // The standard library tells it only by what it escapes; behind another character it spares the marks.
    let pair: String = ['a', c].into_iter().collect();
    pair.escape_debug().nth(1) == Some(c)
}

/// Why a number was not understood, in the words of `strconv`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("strconv.{function}: parsing {}: {reason}", quote(.text))]
pub(crate) struct NumberError {
    function: &'static str,
    text: Box<str>,
    reason: &'static str,
}

/// `strconv.ParseUint(text, 10, 64)`.
pub(crate) fn parse_uint(text: &str) -> Result<u64, NumberError> {
    let fault = |reason| NumberError { function: "ParseUint", text: text.into(), reason };
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(fault("invalid syntax"));
    }
    text.parse().map_err(|_| fault("value out of range"))
}

/// `strconv.Atoi`, the value alone.
pub(crate) fn parse_int(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// `strconv.ParseBool`.
pub(crate) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// Bytes as Go's JSON reader takes them into a text: each byte that is no UTF-8 becomes one U+FFFD.
pub(crate) fn lossy(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted() {
        for (text, quoted) in [
            ("a", "\"a\""),
            ("a\"b\\", r#""a\"b\\""#),
            ("\n\u{1}é\u{200b}", "\"\\n\\x01é\\u200b\""),
        ] {
            assert_eq!(quote(text), quoted);
        }
        for (byte, quoted) in
            [(b'}', "'}'"), (b'\'', r"'\''"), (b'"', "'\"'"), (1, r"'\x01'"), (0xc3, "'Ã'")]
        {
            assert_eq!(quote_byte(byte), quoted);
        }
    }

    #[test]
    fn printable_is_what_go_says() {
        for (c, is) in [
            ('a', true),
            (' ', true),
            ('\u{301}', true),
            ('é', true),
            ('\u{fffd}', true),
            ('\u{a0}', false),
            ('\u{200b}', false),
            ('\x7f', false),
            ('\u{e000}', false),
        ] {
            assert_eq!(printable(c), is, "{c:?}");
        }
    }

    #[test]
    fn numbers_fail_in_gos_words() {
        let cases = [
            ("x", r#"strconv.ParseUint: parsing "x": invalid syntax"#),
            ("", r#"strconv.ParseUint: parsing "": invalid syntax"#),
            ("-1", r#"strconv.ParseUint: parsing "-1": invalid syntax"#),
            (
                "99999999999999999999",
                r#"strconv.ParseUint: parsing "99999999999999999999": value out of range"#,
            ),
        ];
        for (text, told) in cases {
            assert_eq!(parse_uint(text).map_err(|error| error.to_string()), Err(told.to_owned()));
        }
        assert_eq!(parse_uint("7"), Ok(7));
    }
}
