//! Go's spelling of values: how Consul reads numbers, booleans and quoted strings, and how it quotes them in its answers.

use std::fmt;

/// Why a value could not be read, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unreadable {
    function: &'static str,
    input: String,
    reason: &'static str,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "strconv.{}: parsing {}: {}", self.function, quote(&self.input), self.reason)
    }
}

const SYNTAX: &str = "invalid syntax";
const RANGE: &str = "value out of range";

/// Reads a boolean: `1`, `t`, `T`, `true`, `True`, `TRUE` and their opposites.
pub(super) fn boolean(input: &str) -> Result<bool, Unreadable> {
    match input {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(Unreadable { function: "ParseBool", input: input.to_owned(), reason: SYNTAX }),
    }
}

/// Reads a signed number of 64 bits in any base that a prefix names.
pub(super) fn integer(input: &str) -> Result<i64, Unreadable> {
    let refuse = |reason| Unreadable { function: "ParseInt", input: input.to_owned(), reason };
    let (negative, digits) = match input.as_bytes().first() {
        Some(b'-') => (true, &input[1..]),
        Some(b'+') => (false, &input[1..]),
        _ => (false, input),
    };
    let size = magnitude(digits, u64::MAX).map_err(refuse)?;
    let signed = if negative { -i128::from(size) } else { i128::from(size) };
    i64::try_from(signed).map_err(|_| refuse(RANGE))
}

/// Reads an unsigned number of at most `max` in any base that a prefix names.
pub(super) fn unsigned(input: &str, max: u64) -> Result<u64, Unreadable> {
    let refuse = |reason| Unreadable { function: "ParseUint", input: input.to_owned(), reason };
    magnitude(input, max).map_err(refuse)
}

/// Digits with Go's prefixes `0x`, `0o`, `0b`, `0` and its rule for underscores (between digits, or after the prefix).
fn magnitude(input: &str, max: u64) -> Result<u64, &'static str> {
    let lower = input.to_ascii_lowercase();
    let (base, digits) = match lower.as_bytes() {
        [b'0', b'x', _, ..] => (16, &lower[2..]),
        [b'0', b'o', _, ..] => (8, &lower[2..]),
        [b'0', b'b', _, ..] => (2, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    let first_too = base == 10 && digits.starts_with('_');
    let misplaced = first_too || digits.ends_with('_') || digits.contains("__");
    if digits.is_empty() {
        return Err(SYNTAX);
    }
    let mut number: u64 = 0;
    for c in digits.chars().filter(|c| *c != '_') {
        let digit = c.to_digit(base).ok_or(SYNTAX)?;
        let next = number.checked_mul(u64::from(base)).and_then(|n| n.checked_add(digit.into()));
        number = next.filter(|next| *next <= max).ok_or(RANGE)?;
    }
    if misplaced { Err(SYNTAX) } else { Ok(number) }
}

/// What a literal in double quotes or backquotes stands for; none when an escape in it is not Go's.
pub(super) fn unquote(literal: &str) -> Option<String> {
    let inner = &literal[1..literal.len() - 1];
    if literal.starts_with('`') {
        return Some(inner.replace('\r', ""));
    }
    if inner.contains('\n') {
        return None;
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(c) = rest.next() {
        if c == '\\' {
            unescape(&mut rest, &mut bytes)?;
        } else {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    // Escapes may spell single bytes that are no text; what is compared with them always is.
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Reads one escape after its backslash.
fn unescape(rest: &mut std::str::Chars<'_>, bytes: &mut Vec<u8>) -> Option<()> {
    let byte = match rest.next()? {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' => b'\\',
        'x' => u8::try_from(digits(rest, 2, 16, 0)?).ok()?,
        first @ '0'..='7' => u8::try_from(digits(rest, 2, 8, first.to_digit(8)?)?).ok()?,
        wide @ ('u' | 'U') => {
            let length = if wide == 'u' { 4 } else { 8 };
            let c = char::from_u32(digits(rest, length, 16, 0)?)?;
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            return Some(());
        }
        _ => return None,
    };
    bytes.push(byte);
    Some(())
}

fn digits(rest: &mut std::str::Chars<'_>, length: usize, base: u32, first: u32) -> Option<u32> {
    (0..length).try_fold(first, |number, _| {
        let digit = rest.next()?.to_digit(base)?;
        number.checked_mul(base)?.checked_add(digit)
    })
}

/// The text in double quotes with Go's escapes for what cannot be printed.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\x07' => quoted.push_str("\\a"),
            '\x08' => quoted.push_str("\\b"),
            '\x0c' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\x0b' => quoted.push_str("\\v"),
            c if printable(c) => quoted.push(c),
            c => quoted.push_str(&numbered(c)),
        }
    }
    quoted.push('"');
    quoted
}

fn numbered(c: char) -> String {
    match u32::from(c) {
        code @ 0..=0x7f => format!("\\x{code:02x}"),
        code @ 0x80..=0xffff => format!("\\u{code:04x}"),
        code => format!("\\U{code:08x}"),
    }
}

/// Go prints letters, marks, numbers, symbols, punctuation and the plain space. The standard library's debug form agrees, but
/// for marks, which it escapes where they come first and prints after a letter.
fn printable(c: char) -> bool {
    if c.is_control() || (c.is_whitespace() && c != ' ') {
        return false;
    }
    let mut pair = String::from("a");
    pair.push(c);
    !pair.escape_debug().skip(1).collect::<String>().starts_with("\\u{")
}
