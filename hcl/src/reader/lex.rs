//! Tokens of the first HashiCorp configuration language.

use std::fmt;

use super::{Fault, fault};
use crate::document::Value;

/// A place in a source: both counts begin with 1, columns count characters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    End,
    Name,
    Number,
    Fraction,
    Bool,
    Text,
    Heredoc,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    Comma,
    Assign,
    Period,
    Plus,
    Minus,
}

impl Kind {
    /// The word that Consul's messages use.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::End => "EOF",
            Self::Name => "IDENT",
            Self::Number => "NUMBER",
            Self::Fraction => "FLOAT",
            Self::Bool => "BOOL",
            Self::Text => "STRING",
            Self::Heredoc => "HEREDOC",
            Self::LeftBrace => "LBRACE",
            Self::RightBrace => "RBRACE",
            Self::LeftBracket => "LBRACK",
            Self::RightBracket => "RBRACK",
            Self::Comma => "COMMA",
            Self::Assign => "ASSIGN",
            Self::Period => "PERIOD",
            Self::Plus => "ADD",
            Self::Minus => "SUB",
        }
    }
}

/// A token with its text, quotes included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) at: Place,
    pub(super) text: &'a str,
}

impl Token<'_> {
    /// The text of a key: a string's without its quotes.
    pub(super) fn key(&self) -> String {
        match self.value() {
            Some(Ok(Value::Text(text))) => text,
            _ => self.text.to_owned(),
        }
    }

    /// What a literal stands for; `None` when the token is no literal.
    pub(super) fn value(&self) -> Option<Result<Value, String>> {
        match self.kind {
            Kind::Bool => Some(Ok(Value::Bool(self.text == "true"))),
            Kind::Text => Some(unquote(self.text).map(Value::Text)),
            Kind::Heredoc => Some(Ok(Value::Text(heredoc(self.text)))),
            Kind::Number => Some(
                whole(self.text)
                    .map(Value::Int)
                    .ok_or_else(|| format!("illegal number {}", self.text)),
            ),
            Kind::Fraction => Some(
                self.text
                    .parse()
                    .map(Value::Float)
                    .map_err(|_| format!("illegal number {}", self.text)),
            ),
            _ => None,
        }
    }
}

/// Hexadecimal after `0x`, octal after `0`, else decimal.
fn whole(text: &str) -> Option<i64> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let hexadecimal = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    let number = match (hexadecimal, digits) {
        (Some(digits), _) => i64::from_str_radix(digits, 16),
        (None, "0") => Ok(0),
        (None, digits) => digits
            .strip_prefix('0')
            .map_or_else(|| digits.parse(), |octal| i64::from_str_radix(octal, 8)),
    };
    number.ok().map(|number| if negative { -number } else { number })
}

/// A string without its quotes and escapes; `${…}` stays as written.
fn unquote(quoted: &str) -> Result<String, String> {
    let inner = &quoted[1..quoted.len() - 1];
    let mut text = String::with_capacity(inner.len());
    let mut rest = inner.chars();
    let mut braces = 0_u32;
    while let Some(letter) = rest.next() {
        match letter {
            '$' if rest.as_str().starts_with('{') && braces == 0 => {
                text.push_str("${");
                rest.next();
                braces = 1;
            }
            '{' if braces > 0 => {
                braces += 1;
                text.push('{');
            }
            '}' if braces > 0 => {
                braces -= 1;
                text.push('}');
            }
            '\\' if braces == 0 => text.push(escaped(&mut rest).ok_or("literal has a bad escape")?),
            other => text.push(other),
        }
    }
    Ok(text)
}

fn escaped(rest: &mut std::str::Chars<'_>) -> Option<char> {
    let code = |digits: usize, rest: &mut std::str::Chars<'_>| {
        let text: String = rest.by_ref().take(digits).collect();
        u32::from_str_radix(&text, 16).ok().and_then(char::from_u32)
    };
    match rest.next()? {
        'n' => Some('\n'),
        't' => Some('\t'),
        'r' => Some('\r'),
        'a' => Some('\u{7}'),
        'b' => Some('\u{8}'),
        'f' => Some('\u{c}'),
        'v' => Some('\u{b}'),
        'x' => code(2, rest),
        'u' => code(4, rest),
        'U' => code(8, rest),
        letter @ ('\\' | '"') => Some(letter),
        _ => None,
    }
}

/// The lines between the markers; after `<<-` without the indentation of the closing marker, when all lines have it.
fn heredoc(text: &str) -> String {
    let (marker, body) = text.split_once('\n').unwrap_or((text, ""));
    let (lines, closing) =
        body.rsplit_once('\n').map_or(("", body), |(lines, closing)| (lines, closing));
    if body == closing {
        return String::new();
    }
    let indent = &closing[..closing.len() - closing.trim_start().len()];
    let hanging =
        marker.starts_with("<<-") && lines.split('\n').all(|line| line.starts_with(indent));
    let cut = if hanging { indent.len() } else { 0 };
    lines.split('\n').flat_map(|line| [&line[cut..], "\n"]).collect()
}

/// How often Consul's reader looks behind the end of the source to find the end of a token there. Each look moves the place
/// that it tells next.
fn looks_behind(kind: Kind) -> usize {
    match kind {
        Kind::Number | Kind::Fraction => 2,
        Kind::End | Kind::Name | Kind::Bool => 1,
        _ => 0,
    }
}

/// Reads one token after the other.
pub(super) struct Lexer<'a> {
    rest: &'a str,
    at: Place,
}

// === impl Lexer ===

impl<'a> Lexer<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        Self { rest: source, at: Place { line: 1, column: 1 } }
    }

    /// The next token; `End` for ever once the source is used up.
    pub(super) fn next(&mut self) -> Result<Token<'a>, Fault> {
        self.skip_blanks()?;
        let (kind, length) = self.measure()?;
        let (text, at) = (&self.rest[..length], self.at);
        self.advance(length);
        if self.rest.is_empty() {
            self.at.column += looks_behind(kind);
        }
        Ok(Token { kind, at, text })
    }

    fn advance(&mut self, length: usize) {
        for letter in self.rest[..length].chars() {
            if letter == '\n' {
                self.at = Place { line: self.at.line + 1, column: 1 };
            } else {
                self.at.column += 1;
            }
        }
        self.rest = &self.rest[length..];
    }

    /// White space and the three kinds of comments.
    fn skip_blanks(&mut self) -> Result<(), Fault> {
        loop {
            let blank =
                self.rest.len() - self.rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
            self.advance(blank);
            if self.rest.starts_with('#') || self.rest.starts_with("//") {
                self.advance(self.rest.find('\n').unwrap_or(self.rest.len()));
            } else if self.rest.starts_with("/*") {
                let Some(end) = self.rest[2..].find("*/") else {
                    return fault(self.at, "comment not terminated");
                };
                self.advance(end + 4);
            } else if self.rest.starts_with('/') {
                return fault(self.at, "expected '/' for comment");
            } else {
                return Ok(());
            }
        }
    }

    /// What comes next, and how many bytes of it.
    fn measure(&self) -> Result<(Kind, usize), Fault> {
        let Some(first) = self.rest.chars().next() else { return Ok((Kind::End, 0)) };
        let mark = |kind| Ok((kind, 1));
        match first {
            '{' => mark(Kind::LeftBrace),
            '}' => mark(Kind::RightBrace),
            '[' => mark(Kind::LeftBracket),
            ']' => mark(Kind::RightBracket),
            ',' => mark(Kind::Comma),
            '=' => mark(Kind::Assign),
            '+' => mark(Kind::Plus),
            '"' => self.string(),
            '<' => self.here(),
            '.' | '-' | '0'..='9' => Ok(self.number(first)),
            letter if letter.is_alphabetic() || letter == '_' => Ok(self.name()),
            _ => fault(self.at, "illegal char"),
        }
    }

    fn name(&self) -> (Kind, usize) {
        let ends = |letter: char| !(letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.'));
        let length = self.rest.find(ends).unwrap_or(self.rest.len());
        let kind =
            if matches!(&self.rest[..length], "true" | "false") { Kind::Bool } else { Kind::Name };
        (kind, length)
    }

    fn number(&self, first: char) -> (Kind, usize) {
        let digits = self.rest.strip_prefix('-').unwrap_or(self.rest);
        let number = digits.strip_prefix('.').filter(|_| first == '.').unwrap_or(digits);
        if !number.starts_with(|letter: char| letter.is_ascii_digit()) {
            return (if first == '.' { Kind::Period } else { Kind::Minus }, 1);
        }
        let sign = self.rest.len() - digits.len();
        let hexadecimal = digits.starts_with("0x") || digits.starts_with("0X");
        let mut before = ' ';
        let length = digits.find(|letter: char| {
            let exponent_sign =
                matches!(letter, '+' | '-') && matches!(before, 'e' | 'E') && !hexadecimal;
            before = letter;
            let part = letter.is_ascii_digit() || matches!(letter, '.' | 'e' | 'E');
            !(part
                || exponent_sign
                || (hexadecimal && (letter.is_ascii_hexdigit() || matches!(letter, 'x' | 'X'))))
        });
        let length = length.unwrap_or(digits.len());
        let fraction = !hexadecimal && digits[..length].contains(['.', 'e', 'E']);
        (if fraction { Kind::Fraction } else { Kind::Number }, sign + length)
    }

    /// A string ends at its quote on the same line; inside `${…}` quotes and line ends belong to it.
    fn string(&self) -> Result<(Kind, usize), Fault> {
        let mut braces = 0_u32;
        let mut letters = self.rest.char_indices().skip(1).peekable();
        while let Some((place, letter)) = letters.next() {
            match letter {
                '"' if braces == 0 => return Ok((Kind::Text, place + 1)),
                '\n' if braces == 0 => break,
                '\\' if braces == 0 => drop(letters.next()),
                '$' if braces == 0 && letters.peek().is_some_and(|(_, next)| *next == '{') => {
                    letters.next();
                    braces = 1;
                }
                '{' if braces > 0 => braces += 1,
                '}' if braces > 0 => braces -= 1,
                _ => {}
            }
        }
        let seen = self.rest.split('\n').next().unwrap_or("").chars().count();
        fault(Place { line: self.at.line, column: self.at.column + seen }, "literal not terminated")
    }

    /// `<<NAME`, lines, and a line that holds the name alone.
    fn here(&self) -> Result<(Kind, usize), Fault> {
        if !self.rest.starts_with("<<") {
            return fault(self.at, "heredoc expected second '<', didn't see it");
        }
        let Some((head, body)) = self.rest.split_once('\n') else {
            return fault(self.at, "heredoc not terminated");
        };
        let name = head[2..].trim_start_matches('-');
        if name.is_empty() {
            return fault(self.at, "zero-length heredoc anchor");
        }
        let mut length = head.len() + 1;
        for line in body.split('\n') {
            length += line.len();
            if line.trim_start() == name {
                return Ok((Kind::Heredoc, length));
            }
            length += 1;
        }
        fault(self.at, "heredoc not terminated")
    }
}
