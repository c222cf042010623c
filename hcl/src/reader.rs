//! The first HashiCorp configuration language, in which Consul's files are written.
//!
//! It is not the language that Terraform speaks today (HCL 2, what the crates of that name read). Users write things
//! that only the first one has: several keys of a block on one line (`ports { http = 1 dns = 2 }`), quoted or dotted
//! keys (`node_meta { "x-y" = "1" a.b = "2" }`), octal and hexadecimal numbers, `${…}` as plain text.
//!
//! ```text
//! source ──lex──▶ tokens ──parse──▶ Node (document.rs)
//! ```
//! As Consul's own reader does, every object becomes a list of one object, and blocks of one name gather in one list.

mod lex;

use std::collections::HashSet;

use lex::{Kind, Lexer, Place, Token};

use crate::document::{Node, Value};

/// Objects and lists nested deeper than this are a mistake or an attack; Consul's own deepest key has six levels.
const DEPTH_MAX: usize = 64;

/// Reads a whole source. A source that begins with `{` is JSON, as for Consul.
///
/// # Errors
/// Consul's sentence with the place, `At 1:17: literal not terminated`.
pub fn read(source: &str) -> Result<Node, String> {
    read_with(source, Twice::Replaces)
}

/// The same for access control rules: a key of one object that is assigned twice is a fault.
///
/// # Errors
/// As [`read`].
pub fn read_once(source: &str) -> Result<Node, String> {
    read_with(source, Twice::Fails)
}

fn read_with(source: &str, twice: Twice) -> Result<Node, String> {
    if source.trim_start().starts_with('{') {
        return crate::json::read(source);
    }
    let source = source.replace("\r\n", "\n");
    let mut parser = Parser { lexer: Lexer::new(&source), ahead: None, depth: 0, twice };
    let fields = parser.fields(Ends::AtEnd).map_err(|fault| fault.told())?;
    Ok(Node { line: 1, value: Value::Object(fields) })
}

/// What an assignment does to an earlier one of the same key.
#[derive(Clone, Copy, PartialEq)]
enum Twice {
    Replaces,
    Fails,
}

/// What stopped the reading, and where.
#[derive(Debug)]
struct Fault {
    at: Place,
    what: String,
    /// Whether the sentence names its place itself.
    placed: bool,
}

fn fault<T>(at: Place, what: impl Into<String>) -> Result<T, Fault> {
    Err(Fault { at, what: what.into(), placed: false })
}

impl Fault {
    fn told(&self) -> String {
        if self.placed { self.what.clone() } else { format!("At {}: {}", self.at, self.what) }
    }
}

/// What ends a run of fields.
#[derive(Clone, Copy, PartialEq)]
enum Ends {
    /// The end of the source.
    AtEnd,
    /// A closing brace.
    AtBrace,
}

type Fields = Vec<(String, Node)>;

struct Parser<'a> {
    lexer: Lexer<'a>,
    /// A token that was looked at and not taken.
    ahead: Option<Token<'a>>,
    depth: usize,
    twice: Twice,
}

// === impl Parser ===

impl<'a> Parser<'a> {
    fn take(&mut self) -> Result<Token<'a>, Fault> {
        match self.ahead.take() {
            Some(token) => Ok(token),
            None => self.lexer.next(),
        }
    }

    fn peek(&mut self) -> Result<Kind, Fault> {
        let token = self.take()?;
        self.ahead = Some(token);
        Ok(token.kind)
    }

    /// `key = value`, `key { … }`, `key "label" { … }`, separated by anything or by commas.
    fn fields(&mut self, ends: Ends) -> Result<Fields, Fault> {
        let mut fields = Fields::new();
        let mut assigned = HashSet::new();
        loop {
            if ends == Ends::AtBrace && self.peek()? == Kind::RightBrace {
                return Ok(fields);
            }
            let Some((keys, value, by)) = self.field()? else { return Ok(fields) };
            if by == Kind::Assign && self.twice == Twice::Fails {
                assigned_once(&keys, &mut assigned)?;
            }
            gather(&mut fields, keys, value);
            if self.peek()? == Kind::Comma {
                self.take()?;
            }
        }
    }

    /// One field; nothing at the end of the source, also when a value was still to come (Consul ignores such a key).
    /// Tells also by which token its value began.
    fn field(&mut self) -> Result<Option<(Vec<Token<'a>>, Node, Kind)>, Fault> {
        let mut keys = Vec::new();
        loop {
            let token = self.take()?;
            match token.kind {
                Kind::Name | Kind::Bool | Kind::Text if token.kind != Kind::Bool => {
                    keys.push(token)
                }
                Kind::Assign => {
                    Self::assignable(&keys, &token)?;
                    return Ok(self.value()?.map(|value| (keys, value, Kind::Assign)));
                }
                Kind::LeftBrace if keys.is_empty() => {
                    return fault(token.at, "expected: IDENT | STRING got: LBRACE");
                }
                Kind::LeftBrace => {
                    let value = self.object(token.at)?;
                    return Ok(Some((keys, value, Kind::LeftBrace)));
                }
                Kind::End if keys.is_empty() => return Ok(None),
                Kind::End | Kind::RightBrace if !keys.is_empty() => {
                    return Err(unassigned(&keys, token.at));
                }
                other => {
                    return fault(
                        token.at,
                        format!("expected: IDENT | STRING | ASSIGN | LBRACE got: {}", other.name()),
                    );
                }
            }
        }
    }

    fn assignable(keys: &[Token<'_>], assign: &Token<'_>) -> Result<(), Fault> {
        match keys.len() {
            0 => fault(assign.at, "no object keys found!"),
            1 => Ok(()),
            _ => fault(assign.at, "nested object expected: LBRACE got: ASSIGN"),
        }
    }

    fn value(&mut self) -> Result<Option<Node>, Fault> {
        let token = self.take()?;
        match token.kind {
            Kind::LeftBrace => self.object(token.at).map(Some),
            Kind::LeftBracket => self.list(token.at).map(Some),
            Kind::End => Ok(None),
            _ => self.scalar(&token).map(Some),
        }
    }

    fn scalar(&self, token: &Token<'_>) -> Result<Node, Fault> {
        match token.value() {
            Some(Ok(value)) => Ok(Node { line: token.at.line, value }),
            Some(Err(what)) => fault(token.at, what),
            None => fault(
                token.at,
                format!("Unknown token: {} {} {}", token.at, token.kind.name(), token.text),
            ),
        }
    }

    fn deeper(&mut self, at: Place) -> Result<(), Fault> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            fault(at, format!("nested deeper than {DEPTH_MAX} levels"))
        } else {
            Ok(())
        }
    }

    /// What stands between braces, as the list of one object that it is for Consul.
    fn object(&mut self, at: Place) -> Result<Node, Fault> {
        self.deeper(at)?;
        let fields = self.fields(Ends::AtBrace)?;
        let close = self.take()?;
        if close.kind != Kind::RightBrace {
            return fault(
                close.at,
                format!("object expected closing RBRACE got: {}", close.kind.name()),
            );
        }
        self.depth -= 1;
        let object = Node { line: at.line, value: Value::Object(fields) };
        Ok(Node { line: at.line, value: Value::List(vec![object]) })
    }

    fn list(&mut self, at: Place) -> Result<Node, Fault> {
        self.deeper(at)?;
        let mut items = Vec::new();
        let mut needs_comma = false;
        loop {
            let token = self.take()?;
            match token.kind {
                Kind::RightBracket => break,
                Kind::Comma => needs_comma = false,
                other if needs_comma => {
                    return fault(
                        token.at,
                        format!(
                            "error parsing list, expected comma or list end, got: {}",
                            other.name()
                        ),
                    );
                }
                _ => {
                    items.push(self.item(&token)?);
                    needs_comma = true;
                }
            }
        }
        self.depth -= 1;
        Ok(Node { line: at.line, value: Value::List(items) })
    }

    fn item(&mut self, token: &Token<'a>) -> Result<Node, Fault> {
        match token.kind {
            Kind::LeftBrace => self
                .object(token.at)
                .map(|list| list.single().clone())
                .map_err(|inner| inside(token.at, "object", &inner)),
            Kind::LeftBracket => {
                self.list(token.at).map_err(|inner| inside(token.at, "list", &inner))
            }
            Kind::Name
            | Kind::Text
            | Kind::Number
            | Kind::Fraction
            | Kind::Bool
            | Kind::Heredoc
                if token.value().is_some() =>
            {
                self.scalar(token)
            }
            other => {
                fault(token.at, format!("unexpected token while parsing list: {}", other.name()))
            }
        }
    }
}

/// A fault inside a list is told with the place of what it spoils.
fn inside(at: Place, what: &str, inner: &Fault) -> Fault {
    let what =
        format!("error while trying to parse {what} within list: At {}: {}", inner.at, inner.what);
    Fault { at, what, placed: false }
}

fn assigned_once<'a>(keys: &[Token<'a>], assigned: &mut HashSet<&'a str>) -> Result<(), Fault> {
    for key in keys {
        if !assigned.insert(key.text) {
            let what = format!(
                "The argument {:?} at {} was already set. Each argument can only be defined once",
                key.text, key.at
            );
            return Err(Fault { at: key.at, what, placed: true });
        }
    }
    Ok(())
}

fn unassigned(keys: &[Token<'_>], at: Place) -> Fault {
    let keys: Vec<&str> = keys.iter().map(|key| key.text).collect();
    let what =
        format!("key '{}' expected start of object ('{{') or assignment ('=')", keys.join(" "));
    Fault { at, what, placed: false }
}

/// Adds a field: labels nest, objects of one name gather in one list, anything else said twice counts once.
fn gather(fields: &mut Fields, keys: Vec<Token<'_>>, mut value: Node) {
    let mut keys = keys.into_iter().map(|key| key.key());
    let Some(first) = keys.next() else { return };
    for label in keys.rev() {
        let line = value.line;
        let object = Node { line, value: Value::Object(vec![(label, value)]) };
        value = Node { line, value: Value::List(vec![object]) };
    }
    match fields.iter_mut().find(|(key, _)| *key == first) {
        None => fields.push((first, value)),
        Some((_, earlier)) => match (&mut earlier.value, value.value) {
            (Value::List(before), Value::List(more))
                if all_objects(before) && all_objects(&more) =>
            {
                before.extend(more)
            }
            (_, said) => *earlier = Node { line: value.line, value: said },
        },
    }
}

fn all_objects(items: &[Node]) -> bool {
    !items.is_empty() && items.iter().all(|item| matches!(item.value, Value::Object(_)))
}

#[cfg(test)]
mod tests;
