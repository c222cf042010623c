//! Reads JSON as Go's `encoding/json` does: its syntax errors word for word, numbers kept as written, keys in their order.

use crate::go::text::{lossy, quote_byte};
use crate::limits::JSON_DEPTH_MAX;

/// A JSON value as it was written.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Json {
    #[default]
    Null,
    Bool(bool),
    /// As written: whether it fits is decided by whoever wants a number.
    Number(Box<str>),
    Text(String),
    Array(Vec<Self>),
    Object(Vec<(String, Self)>),
}

/// Why a text is no JSON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SyntaxError {
    /// Nothing at all.
    #[error("EOF")]
    Empty,
    /// It stops in the middle.
    #[error("unexpected EOF")]
    Cut,
    /// A character that cannot stand there.
    #[error("invalid character {} {place}", quote_byte(*.byte))]
    Character {
        /// The character's byte.
        byte: u8,
        /// Where it stands.
        place: &'static str,
    },
}

/// Reads the first value of a text; what follows it is ignored, as Go's decoder does.
pub(crate) fn parse(text: &[u8]) -> Result<Json, SyntaxError> {
    let mut reader = Reader { text, at: 0 };
    reader.skip_space();
    if reader.peek().is_none() {
        return Err(SyntaxError::Empty);
    }
    reader.value(JSON_DEPTH_MAX)
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

const VALUE: &str = "looking for beginning of value";
const KEY: &str = "looking for beginning of object key string";
const AFTER_KEY: &str = "after object key";
const AFTER_PAIR: &str = "after object key:value pair";
const AFTER_ELEMENT: &str = "after array element";
const IN_STRING: &str = "in string literal";
const IN_ESCAPE: &str = "in string escape code";
const IN_HEX: &str = "in \\u hexadecimal character escape";
const IN_NUMBER: &str = "in numeric literal";
const AFTER_POINT: &str = "after decimal point in numeric literal";
const IN_EXPONENT: &str = "in exponent of numeric literal";
const TOO_DEEP: &str = "exceeded max depth";

/// Each literal with what Go says when its second, third … letter is another.
const TRUE: (&[u8], &[&str]) = (
    b"true",
    &[
        "in literal true (expecting 'r')",
        "in literal true (expecting 'u')",
        "in literal true (expecting 'e')",
    ],
);
const FALSE: (&[u8], &[&str]) = (
    b"false",
    &[
        "in literal false (expecting 'a')",
        "in literal false (expecting 'l')",
        "in literal false (expecting 's')",
        "in literal false (expecting 'e')",
    ],
);
const NULL: (&[u8], &[&str]) = (
    b"null",
    &[
        "in literal null (expecting 'u')",
        "in literal null (expecting 'l')",
        "in literal null (expecting 'l')",
    ],
);

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// The next byte, which must be there.
    fn next(&mut self) -> Result<u8, SyntaxError> {
        let byte = self.peek().ok_or(SyntaxError::Cut)?;
        self.at += 1;
        Ok(byte)
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// The next byte that is no white space.
    fn next_token(&mut self) -> Result<u8, SyntaxError> {
        self.skip_space();
        self.next()
    }

    fn value(&mut self, depth: usize) -> Result<Json, SyntaxError> {
        let byte = self.next_token()?;
        match byte {
            b'{' | b'[' if depth == 0 => Err(SyntaxError::Character { byte, place: TOO_DEEP }),
            b'{' => self.object(depth - 1),
            b'[' => self.array(depth - 1),
            b'"' => self.text().map(Json::Text),
            b'-' | b'0'..=b'9' => self.number(byte),
            b't' => self.literal(TRUE, Json::Bool(true)),
            b'f' => self.literal(FALSE, Json::Bool(false)),
            b'n' => self.literal(NULL, Json::Null),
            _ => Err(SyntaxError::Character { byte, place: VALUE }),
        }
    }

    fn literal(
        &mut self,
        (letters, places): (&[u8], &[&'static str]),
        value: Json,
    ) -> Result<Json, SyntaxError> {
        for (letter, place) in letters[1..].iter().zip(places) {
            let byte = self.next()?;
            if byte != *letter {
                return Err(SyntaxError::Character { byte, place });
            }
        }
        Ok(value)
    }

    fn object(&mut self, depth: usize) -> Result<Json, SyntaxError> {
        let mut pairs = Vec::new();
        let mut byte = self.next_token()?;
        if byte == b'}' {
            return Ok(Json::Object(pairs));
        }
        loop {
            if byte != b'"' {
                return Err(SyntaxError::Character { byte, place: KEY });
            }
            let key = self.text()?;
            match self.next_token()? {
                b':' => {}
                byte => return Err(SyntaxError::Character { byte, place: AFTER_KEY }),
            }
            pairs.push((key, self.value(depth)?));
            match self.next_token()? {
                b',' => byte = self.next_token()?,
                b'}' => return Ok(Json::Object(pairs)),
                byte => return Err(SyntaxError::Character { byte, place: AFTER_PAIR }),
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json, SyntaxError> {
        let mut items = Vec::new();
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value(depth)?);
            match self.next_token()? {
                b',' => {}
                b']' => return Ok(Json::Array(items)),
                byte => return Err(SyntaxError::Character { byte, place: AFTER_ELEMENT }),
            }
        }
    }

    /// A string whose opening quote has been read.
    fn text(&mut self) -> Result<String, SyntaxError> {
        let start = self.at;
        let mut escaped = false;
        loop {
            match self.next()? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.escape()?;
                }
                byte @ 0..0x20 => return Err(SyntaxError::Character { byte, place: IN_STRING }),
                _ => {}
            }
        }
        let raw = &self.text[start..self.at - 1];
        Ok(if escaped { unescape(raw) } else { lossy(raw) })
    }

    fn escape(&mut self) -> Result<(), SyntaxError> {
        match self.next()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(()),
            b'u' => (0..4).try_for_each(|_| match self.next()? {
                byte if byte.is_ascii_hexdigit() => Ok(()),
                byte => Err(SyntaxError::Character { byte, place: IN_HEX }),
            }),
            byte => Err(SyntaxError::Character { byte, place: IN_ESCAPE }),
        }
    }

    /// A number whose first byte has been read.
    fn number(&mut self, first: u8) -> Result<Json, SyntaxError> {
        let start = self.at - 1;
        let lead = if first == b'-' { self.digit(IN_NUMBER)? } else { first };
        if lead != b'0' {
            self.digits();
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digit(AFTER_POINT)?;
            self.digits();
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digit(IN_EXPONENT)?;
            self.digits();
        }
        Ok(Json::Number(lossy(&self.text[start..self.at]).into()))
    }

    fn digit(&mut self, place: &'static str) -> Result<u8, SyntaxError> {
        match self.next()? {
            byte if byte.is_ascii_digit() => Ok(byte),
            byte => Err(SyntaxError::Character { byte, place }),
        }
    }

    fn digits(&mut self) {
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
    }
}

/// The text of a string between its quotes, whose escapes have been checked.
fn unescape(raw: &[u8]) -> String {
    let mut out: Vec<u8> = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((&byte, after)) = rest.split_first() {
        if byte != b'\\' {
            out.push(byte);
            rest = after;
            continue;
        }
        let (letter, after) =
            after.split_first().expect("escapes were checked when the string was read");
        rest = after;
        match letter {
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' => rest = unicode_escape(after, &mut out),
            plain => out.push(*plain),
        }
    }
    lossy(&out)
}

/// Writes the character of a `\u` escape (of a pair of them, for the two halves of one) and returns what follows.
fn unicode_escape<'a>(hex: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let (unit, after) = hex_unit(hex);
    let (c, after) = match (unit, after) {
        (0xd800..0xdc00, [b'\\', b'u', low @ ..]) => match hex_unit(low) {
            (low_unit @ 0xdc00..0xe000, end) => {
                let code = 0x1_0000 + ((unit - 0xd800) << 10) + (low_unit - 0xdc00);
                (char::from_u32(code), end)
            }
            _ => (None, after),
        },
        _ => (char::from_u32(unit), after),
    };
    let c = c.unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    after
}

fn hex_unit(hex: &[u8]) -> (u32, &[u8]) {
    let (digits, after) = hex.split_at(hex.len().min(4));
    let unit = digits
        .iter()
        .fold(0, |unit, digit| unit * 16 + char::from(*digit).to_digit(16).unwrap_or(0));
    (unit, after)
}

// === impl Json ===

impl Json {
    /// What Go calls this kind of value in its errors.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Number(_) => "number",
            Self::Text(_) => "string",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_told_in_gos_words() {
        let cases: &[(&[u8], &str)] = &[
            (b"", "EOF"),
            (b" \n", "EOF"),
            (b"{", "unexpected EOF"),
            (br#"{"a""#, "unexpected EOF"),
            (br#"{"Name":"a""#, "unexpected EOF"),
            (br#"{"Name":tru}"#, "invalid character '}' in literal true (expecting 'e')"),
            (b"{Name:1}", "invalid character 'N' looking for beginning of object key string"),
            (
                br#"{"Name":"a",}"#,
                "invalid character '}' looking for beginning of object key string",
            ),
            (br#"{"Name":"a"x}"#, "invalid character 'x' after object key:value pair"),
            (b"x", "invalid character 'x' looking for beginning of value"),
            (br#"{"Name":"\q"}"#, "invalid character 'q' in string escape code"),
            (br#"{"Name":01}"#, "invalid character '1' after object key:value pair"),
            (br#"{"Name":-}"#, "invalid character '}' in numeric literal"),
            (b"{\"Name\":\"a\x01b\"}", r"invalid character '\x01' in string literal"),
            (b"[1 2]", "invalid character '2' after array element"),
            (br#"{"a" 1}"#, "invalid character '1' after object key"),
            (b"[1,]", "invalid character ']' looking for beginning of value"),
        ];
        for (text, told) in cases {
            assert_eq!(parse(text).map_err(|error| error.to_string()), Err((*told).to_owned()));
        }
        let deep = vec![b'['; 100_000];
        let told = "invalid character '[' exceeded max depth";
        assert_eq!(parse(&deep).map_err(|error| error.to_string()), Err(told.to_owned()));
    }

    #[test]
    fn values_are_kept_as_written() {
        let text = r#"{"b":[1e3,true,null],"a":"x\u00e9\ud83d\ude00\ud800\n"} trailing"#;
        let value = Json::Object(vec![
            (
                "b".into(),
                Json::Array(vec![Json::Number("1e3".into()), Json::Bool(true), Json::Null]),
            ),
            ("a".into(), Json::Text("xé😀\u{fffd}\n".into())),
        ]);
        assert_eq!(parse(text.as_bytes()), Ok(value));
        assert_eq!(
            parse(b"\"a\xff\xe2\x82b\""),
            Ok(Json::Text("a\u{fffd}\u{fffd}\u{fffd}b".into()))
        );
    }
}
