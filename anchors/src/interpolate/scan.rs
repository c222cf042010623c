//! Words of the interpolation language.

use std::fmt;

use super::{Position, Unreadable};

/// A word of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Name(Box<str>),
    Whole(Box<str>),
    Broken(Box<str>),
    Truth(bool),
    Operator(Operator),
    Bang,
    Question,
    Colon,
    Comma,
    Open,
    Close,
    OpenBracket,
    CloseBracket,
    Quote,
    End,
    Nothing,
    Invalid(Box<str>),
}

/// What stands between two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    More,
    AtLeast,
    Less,
    AtMost,
    Plus,
    Minus,
    Times,
    Over,
    Modulo,
}

/// A literal, and whether the text or the quotation ends behind it; else an expression begins.
pub(super) struct Literal {
    pub(super) text: Box<str>,
    pub(super) ends: bool,
}

/// Reads words.
pub(super) struct Scanner<'a> {
    rest: &'a str,
    at: Position,
}

impl Operator {
    /// How many levels of precedence there are.
    pub(super) const LEVELS: usize = 6;

    fn level(self) -> usize {
        match self {
            Self::Or => 0,
            Self::And => 1,
            Self::Equal | Self::NotEqual => 2,
            Self::More | Self::AtLeast | Self::Less | Self::AtMost => 3,
            Self::Plus | Self::Minus => 4,
            Self::Times | Self::Over | Self::Modulo => 5,
        }
    }
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text, at: Position { line: 1, column: 1 } }
    }

    fn advance(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        for c in taken.chars() {
            if c == '\n' {
                self.at = Position { line: self.at.line + 1, column: 1 };
            } else {
                self.at.column += 1;
            }
        }
        self.rest = rest;
        taken
    }

    /// What stands before the next expression, with its escapes resolved.
    pub(super) fn literal(&mut self, quoted: bool) -> Result<Literal, Unreadable> {
        let (began, whole) = (self.at, self.rest);
        let mut text = String::new();
        loop {
            let Some(next) = self.rest.chars().next() else {
                if quoted {
                    let reason = format!("expected \"${{\" but found invalid sequence {whole:?}");
                    return Err(Unreadable { at: began, reason: reason.into() });
                }
                return Ok(Literal { text: text.into(), ends: true });
            };
            match next {
                '$' if self.rest.starts_with("${") => {
                    self.advance(2);
                    return Ok(Literal { text: text.into(), ends: false });
                }
                '$' if self.rest.starts_with("$$") => {
                    self.advance(2);
                    text.push('$');
                }
                '"' if quoted => {
                    self.advance(1);
                    return Ok(Literal { text: text.into(), ends: true });
                }
                '\\' if quoted => text.push(self.escaped()?),
                other => {
                    self.advance(other.len_utf8());
                    text.push(other);
                }
            }
        }
    }

    fn escaped(&mut self) -> Result<char, Unreadable> {
        let (at, mut following) = (self.at, self.rest.chars().skip(1));
        let (c, reason) = match following.next() {
            Some('n') => ('\n', ""),
            Some(c @ ('\\' | '"')) => (c, ""),
            Some(_) => (' ', "invalid backslash escape sequence"),
            None => (' ', "unfinished backslash escape sequence"),
        };
        if !reason.is_empty() {
            return Err(Unreadable { at, reason: reason.into() });
        }
        self.advance(2);
        Ok(c)
    }

    /// The next word and its place.
    pub(super) fn next(&mut self) -> (Position, Token) {
        let spaces = self.rest.len() - self.rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
        self.advance(spaces);
        let at = self.at;
        let (token, bytes) = word(self.rest);
        self.advance(bytes);
        (at, token)
    }

    fn peek(&self) -> Token {
        Scanner { rest: self.rest, at: self.at }.next().1
    }

    pub(super) fn is_at(&self, token: &Token) -> bool {
        self.peek() == *token
    }

    /// Takes the next word when it is this.
    pub(super) fn take(&mut self, token: &Token) -> bool {
        let is_next = self.is_at(token);
        if is_next {
            self.next();
        }
        is_next
    }

    /// Takes the next word when it is an operator of this level.
    pub(super) fn operator_of(&mut self, level: usize) -> Option<Operator> {
        match self.peek() {
            Token::Operator(operator) if operator.level() == level => {
                self.next();
                Some(operator)
            }
            _ => None,
        }
    }
}

/// The first word of a text and its length in bytes.
fn word(text: &str) -> (Token, usize) {
    const SYMBOLS: [(&str, Token); 23] = [
        ("==", Token::Operator(Operator::Equal)),
        ("!=", Token::Operator(Operator::NotEqual)),
        ("<=", Token::Operator(Operator::AtMost)),
        (">=", Token::Operator(Operator::AtLeast)),
        ("&&", Token::Operator(Operator::And)),
        ("||", Token::Operator(Operator::Or)),
        ("<", Token::Operator(Operator::Less)),
        (">", Token::Operator(Operator::More)),
        ("+", Token::Operator(Operator::Plus)),
        ("-", Token::Operator(Operator::Minus)),
        ("*", Token::Operator(Operator::Times)),
        ("/", Token::Operator(Operator::Over)),
        ("%", Token::Operator(Operator::Modulo)),
        ("!", Token::Bang),
        ("?", Token::Question),
        (":", Token::Colon),
        (",", Token::Comma),
        ("(", Token::Open),
        (")", Token::Close),
        ("[", Token::OpenBracket),
        ("]", Token::CloseBracket),
        ("\"", Token::Quote),
        ("}", Token::End),
    ];
    let Some(first) = text.chars().next() else { return (Token::Nothing, 0) };
    let symbol = SYMBOLS.iter().find(|(symbol, _)| text.starts_with(symbol));
    if let Some((symbol, token)) = symbol {
        return (token.clone(), symbol.len());
    }
    if first.is_ascii_digit() {
        return number(text);
    }
    if first.is_alphabetic() || first == '_' {
        let inside = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        let name = &text[..text.find(|c| !inside(c)).unwrap_or(text.len())];
        let token = match name {
            "true" => Token::Truth(true),
            "false" => Token::Truth(false),
            _ => Token::Name(name.into()),
        };
        return (token, name.len());
    }
    let bytes = first.len_utf8();
    (Token::Invalid(text[..bytes].into()), bytes)
}

fn number(text: &str) -> (Token, usize) {
    let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let whole = digits(text);
    let fraction = text[whole..].strip_prefix('.').map_or(0, digits);
    match fraction {
        0 => (Token::Whole(text[..whole].into()), whole),
        _ => {
            let end = whole + 1 + fraction;
            (Token::Broken(text[..end].into()), end)
        }
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let symbol = match self {
            Self::Nothing => return f.write_str("end of string"),
            Self::Invalid(text) => return write!(f, "invalid sequence {text:?}"),
            Self::Whole(text) => return write!(f, "integer {text}"),
            Self::Broken(text) => return write!(f, "float {text}"),
            Self::Quote => return f.write_str("opening quote"),
            Self::Operator(Operator::And) => return f.write_str("&&"),
            Self::Operator(Operator::Or) => return f.write_str("||"),
            Self::Operator(Operator::NotEqual) => return f.write_str("!="),
            Self::Operator(Operator::AtLeast) => return f.write_str(">="),
            Self::Operator(Operator::AtMost) => return f.write_str("<="),
            Self::Name(name) => name,
            Self::Truth(true) => "true",
            Self::Truth(false) => "false",
            Self::Operator(Operator::Equal) => "==",
            Self::Operator(Operator::More) => ">",
            Self::Operator(Operator::Less) => "<",
            Self::Operator(Operator::Plus) => "+",
            Self::Operator(Operator::Minus) => "-",
            Self::Operator(Operator::Times) => "*",
            Self::Operator(Operator::Over) => "/",
            Self::Operator(Operator::Modulo) => "%",
            Self::Bang => "!",
            Self::Question => "?",
            Self::Colon => ":",
            Self::Comma => ",",
            Self::Open => "(",
            Self::Close => ")",
            Self::OpenBracket => "[",
            Self::CloseBracket => "]",
            Self::End => "}",
        };
        write!(f, "{symbol:?}")
    }
}
