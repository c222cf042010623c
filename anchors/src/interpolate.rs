//! Texts with `${…}` in them, as Consul's templates of queries and of bind names are written (HashiCorp's interpolation
//! language).
//!
//! Known are the names that whoever fills a text in gives, one function (`match(N)`) where there is a pattern, literals,
//! arithmetic, comparisons and `a ? b : c`. `$${` stands for `${`.

mod scan;

use std::fmt;

use self::scan::{Operator, Scanner, Token};

/// Expressions in each other that a text may have: each is a call of the reader.
pub const DEPTH_MAX: usize = 64;

/// What the names in a text stand for.
#[derive(Clone, Copy)]
pub struct Names<'a> {
    /// The value of a name; nothing when it is not known.
    pub value: &'a dyn Fn(&str) -> Option<String>,
    /// What a pattern matched, the whole match first; nothing where there is no pattern.
    pub matches: Option<&'a [Box<str>]>,
}

/// Why a text cannot be filled in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FillError {
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// It stands for nothing.
    #[error(transparent)]
    Meaningless(#[from] Meaningless),
}

/// A place in a text, from 1, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    line: usize,
    column: usize,
}

/// Why a text cannot be read. Printed in Consul's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("parse error at {at}: {reason}")]
pub struct Unreadable {
    at: Position,
    reason: Box<str>,
}

/// Why a text that can be read stands for nothing. Printed in Consul's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Meaningless {
    /// There is no such name.
    #[error("{0}: unknown variable accessed: {1}")]
    Name(Position, Box<str>),
    /// There is no such function.
    #[error("{0}: unknown function called: {1}")]
    Function(Position, Box<str>),
    /// A function takes one argument.
    #[error("{at}: {function}: expected 1 arguments, got {given}")]
    Arguments {
        /// Where it is called.
        at: Position,
        /// Which.
        function: Box<str>,
        /// How many it got.
        given: usize,
    },
    /// Texts are no lists.
    #[error("At column {}, line {}: invalid index operation into non-indexable type: TypeString", .0.column, .0.line)]
    Index(Position),
    /// A number was wanted.
    #[error("__builtin_StringToInt: strconv.ParseInt: parsing {0:?}: invalid syntax")]
    Number(Box<str>),
    /// A truth was wanted.
    #[error("__builtin_StringToBool: strconv.ParseBool: parsing {0:?}: invalid syntax")]
    Truth(Box<str>),
    /// Nothing can be divided by zero.
    #[error("divide by zero")]
    ZeroDivision,
}

/// A text that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Text(Node);

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Value(Value),
    Sequence(Vec<Self>),
    Name(Position, Box<str>),
    Index(Position),
    Call(Position, Box<str>, Vec<Self>),
    Binary(Operator, Box<Self>, Box<Self>),
    Choice(Box<Self>, Box<Self>, Box<Self>),
}

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Text(Box<str>),
    Whole(i64),
    Broken(f64),
    Truth(bool),
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

impl Text {
    /// Reads a text.
    ///
    /// # Errors
    /// [`Unreadable`] where an expression is not well formed.
    pub fn parse(text: &str) -> Result<Self, Unreadable> {
        let mut reader = Reader { scanner: Scanner::new(text), depth: 0 };
        reader.sequence(false).map(Self)
    }

    /// The text with everything put in.
    ///
    /// # Errors
    /// [`Meaningless`] where something in it is not known or is of the wrong type.
    pub fn fill(&self, names: &Names<'_>) -> Result<String, Meaningless> {
        evaluate(&self.0, names).map(|value| value.to_string())
    }
}

/// Reads a text and puts everything in.
///
/// # Errors
/// [`FillError`].
pub fn fill(text: &str, names: &Names<'_>) -> Result<String, FillError> {
    Ok(Text::parse(text)?.fill(names)?)
}

// === reading ===

struct Reader<'a> {
    scanner: Scanner<'a>,
    depth: usize,
}

impl Reader<'_> {
    /// Literals and expressions, up to the end or to the closing quote.
    fn sequence(&mut self, quoted: bool) -> Result<Node, Unreadable> {
        let mut parts = Vec::new();
        loop {
            let literal = self.scanner.literal(quoted)?;
            if !literal.text.is_empty() {
                parts.push(Node::Value(Value::Text(literal.text)));
            }
            if literal.ends {
                break;
            }
            parts.push(self.expression()?);
            self.expect(&Token::End, "\"}\"")?;
        }
        Ok(match parts.len() {
            0 => Node::Value(Value::Text("".into())),
            _ => Node::Sequence(parts),
        })
    }

    fn expect(&mut self, wanted: &Token, name: &str) -> Result<(), Unreadable> {
        let (at, token) = self.scanner.next();
        if token == *wanted { Ok(()) } else { Err(expected(at, name, &token)) }
    }

    fn expression(&mut self) -> Result<Node, Unreadable> {
        self.depth += 1;
        let condition = self.binary(0)?;
        let node = if self.scanner.take(&Token::Question) {
            let yes = self.expression()?;
            self.expect(&Token::Colon, ":")?;
            let no = self.expression()?;
            Node::Choice(Box::new(condition), Box::new(yes), Box::new(no))
        } else {
            condition
        };
        self.depth -= 1;
        Ok(node)
    }

    /// Operators of one level of precedence, from the left.
    fn binary(&mut self, level: usize) -> Result<Node, Unreadable> {
        if level == Operator::LEVELS {
            return self.term();
        }
        let mut left = self.binary(level + 1)?;
        while let Some(operator) = self.scanner.operator_of(level) {
            let right = self.binary(level + 1)?;
            left = Node::Binary(operator, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn term(&mut self) -> Result<Node, Unreadable> {
        let (at, token) = self.scanner.next();
        if self.depth > DEPTH_MAX {
            return Err(expected(at, "expression", &token));
        }
        match token {
            Token::Open => {
                let inner = self.expression()?;
                self.expect(&Token::Close, "\")\"")?;
                Ok(inner)
            }
            Token::Quote => {
                self.depth += 1;
                let inner = self.sequence(true)?;
                self.depth -= 1;
                Ok(inner)
            }
            Token::Whole(text) => match text.parse() {
                Ok(number) => Ok(Node::Value(Value::Whole(number))),
                Err(_) => Err(Unreadable {
                    at,
                    reason: format!(
                        "invalid integer: strconv.Atoi: parsing {text:?}: value out of range"
                    )
                    .into(),
                }),
            },
            Token::Broken(text) => {
                Ok(Node::Value(Value::Broken(text.parse().unwrap_or(f64::INFINITY))))
            }
            Token::Truth(truth) => Ok(Node::Value(Value::Truth(truth))),
            Token::Operator(Operator::Minus) => self.negated(Operator::Minus, Value::Whole(0)),
            Token::Bang => self.negated(Operator::Equal, Value::Truth(false)),
            Token::Name(name) => self.named(at, name),
            other => Err(expected(at, "expression", &other)),
        }
    }

    /// `-x` is `0 - x`, `!x` is `false == x`.
    fn negated(&mut self, operator: Operator, from: Value) -> Result<Node, Unreadable> {
        self.depth += 1;
        let operand = self.term()?;
        self.depth -= 1;
        Ok(Node::Binary(operator, Box::new(Node::Value(from)), Box::new(operand)))
    }

    fn named(&mut self, at: Position, name: Box<str>) -> Result<Node, Unreadable> {
        if self.scanner.take(&Token::Open) {
            let mut arguments = Vec::new();
            if !self.scanner.is_at(&Token::Close) {
                arguments.push(self.expression()?);
                while self.scanner.take(&Token::Comma) && !self.scanner.is_at(&Token::Close) {
                    arguments.push(self.expression()?);
                }
            }
            self.expect(&Token::Close, "\")\"")?;
            return Ok(Node::Call(at, name, arguments));
        }
        if self.scanner.is_at(&Token::OpenBracket) {
            let (at, _) = self.scanner.next();
            self.expression()?;
            self.expect(&Token::CloseBracket, "\"]\"")?;
            return Ok(Node::Index(at));
        }
        Ok(Node::Name(at, name))
    }
}

fn expected(at: Position, wanted: &str, found: &Token) -> Unreadable {
    Unreadable { at, reason: format!("expected {wanted} but found {found}").into() }
}

// === filling in ===

fn evaluate(node: &Node, names: &Names<'_>) -> Result<Value, Meaningless> {
    match node {
        Node::Value(value) => Ok(value.clone()),
        Node::Sequence(parts) => {
            let mut whole = String::new();
            for part in parts {
                whole.push_str(&evaluate(part, names)?.to_string());
            }
            Ok(Value::Text(whole.into()))
        }
        Node::Name(at, name) => {
            let value = (names.value)(name).map(|value| Value::Text(value.into()));
            value.ok_or_else(|| Meaningless::Name(*at, name.clone()))
        }
        Node::Index(at) => Err(Meaningless::Index(*at)),
        Node::Call(at, name, arguments) => call(*at, name, arguments, names),
        Node::Binary(operator, left, right) => {
            compute(*operator, evaluate(left, names)?, evaluate(right, names)?)
        }
        Node::Choice(condition, yes, no) => {
            let chosen = if evaluate(condition, names)?.truth()? { yes } else { no };
            evaluate(chosen, names)
        }
    }
}

/// `match(N)`: what the N-th group of the pattern matched; nothing where there is none.
fn call(
    at: Position,
    name: &str,
    arguments: &[Node],
    names: &Names<'_>,
) -> Result<Value, Meaningless> {
    let Some(matches) = names.matches.filter(|_| name == "match") else {
        return Err(Meaningless::Function(at, name.into()));
    };
    let [argument] = arguments else {
        let given = arguments.len();
        return Err(Meaningless::Arguments { at, function: name.into(), given });
    };
    let nth = usize::try_from(evaluate(argument, names)?.whole()?).ok();
    let matched = nth.and_then(|nth| matches.get(nth)).cloned();
    Ok(Value::Text(matched.unwrap_or_default()))
}

fn compute(operator: Operator, left: Value, right: Value) -> Result<Value, Meaningless> {
    use Operator as Op;
    match (operator, left, right) {
        (Op::And, left, right) => Ok(Value::Truth(left.truth()? && right.truth()?)),
        (Op::Or, left, right) => Ok(Value::Truth(left.truth()? || right.truth()?)),
        (Op::Equal, left, right) => Ok(Value::Truth(left.equals(&right))),
        (Op::NotEqual, left, right) => Ok(Value::Truth(!left.equals(&right))),
        (operator, left @ Value::Broken(_), right) | (operator, left, right @ Value::Broken(_)) => {
            Ok(operator.of_broken(left.broken()?, right.broken()?))
        }
        (operator, left, right) => operator.of_whole(left.whole()?, right.whole()?),
    }
}

impl Operator {
    fn of_whole(self, left: i64, right: i64) -> Result<Value, Meaningless> {
        let divided = |value: Option<i64>| value.map(Value::Whole).ok_or(Meaningless::ZeroDivision);
        Ok(match self {
            Self::Plus => Value::Whole(left.wrapping_add(right)),
            Self::Minus => Value::Whole(left.wrapping_sub(right)),
            Self::Times => Value::Whole(left.wrapping_mul(right)),
            Self::Over => return divided(left.checked_div(right)),
            Self::Modulo => return divided(left.checked_rem(right)),
            Self::Less => Value::Truth(left < right),
            Self::AtMost => Value::Truth(left <= right),
            Self::More => Value::Truth(left > right),
            Self::AtLeast => Value::Truth(left >= right),
            Self::Equal => Value::Truth(left == right),
            Self::NotEqual => Value::Truth(left != right),
            Self::And | Self::Or => Value::Truth(false),
        })
    }

    fn of_broken(self, left: f64, right: f64) -> Value {
        match self {
            Self::Plus => Value::Broken(left + right),
            Self::Minus => Value::Broken(left - right),
            Self::Times => Value::Broken(left * right),
            Self::Over => Value::Broken(left / right),
            Self::Modulo => Value::Broken(left % right),
            Self::Less => Value::Truth(left < right),
            Self::AtMost => Value::Truth(left <= right),
            Self::More => Value::Truth(left > right),
            Self::AtLeast => Value::Truth(left >= right),
            Self::Equal | Self::NotEqual | Self::And | Self::Or => Value::Truth(false),
        }
    }
}

impl Value {
    #[expect(clippy::cast_possible_truncation, reason = "numbers are cut, as the language says")]
    fn whole(&self) -> Result<i64, Meaningless> {
        match self {
            Self::Whole(number) => Ok(*number),
            Self::Broken(number) => Ok(*number as i64),
            Self::Truth(truth) => Err(Meaningless::Number(truth.to_string().into())),
            Self::Text(text) => text.parse().map_err(|_| Meaningless::Number(text.clone())),
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "the language has no exact numbers of this size"
    )]
    fn broken(&self) -> Result<f64, Meaningless> {
        match self {
            Self::Broken(number) => Ok(*number),
            Self::Text(text) => text.parse().map_err(|_| Meaningless::Number(text.clone())),
            other => other.whole().map(|number| number as f64),
        }
    }

    fn truth(&self) -> Result<bool, Meaningless> {
        match self {
            Self::Truth(truth) => Ok(*truth),
            other => match other.to_string().as_str() {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
                "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
                text => Err(Meaningless::Truth(text.into())),
            },
        }
    }

    fn equals(&self, other: &Self) -> bool {
        self == other || self.to_string() == other.to_string()
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Whole(number) => write!(f, "{number}"),
            Self::Broken(number) => write!(f, "{number}"),
            Self::Truth(truth) => write!(f, "{truth}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> String {
        let value = |of: &str| match of {
            "name.full" => Some("tp-xyz".to_owned()),
            "name.prefix" => Some("tp-".to_owned()),
            "name.suffix" => Some("xyz".to_owned()),
            _ => None,
        };
        let matches = ["tp-xyz".into(), "z".into()];
        match fill(text, &Names { value: &value, matches: Some(&matches) }) {
            Ok(text) => text,
            Err(FillError::Unreadable(unreadable)) => format!("! {unreadable}"),
            Err(FillError::Meaningless(meaningless)) => format!("? {meaningless}"),
        }
    }

    #[test]
    fn texts_are_filled_as_consul_fills_them() {
        for (text, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("${name.full}-x", "tp-xyz-x"),
            ("${name.suffix}.${name.prefix}", "xyz.tp-"),
            ("$${a}", "${a}"),
            ("}", "}"),
            ("${name.full}}", "tp-xyz}"),
            ("$", "$"),
            ("$a", "$a"),
            ("${1+1}x", "2x"),
            ("${1 + 2 * 3}", "7"),
            ("${\"a\"}", "a"),
            ("${\"a${name.suffix}\\\"\"}", "axyz\""),
            ("${1.5}x", "1.5x"),
            ("${true}x", "truex"),
            ("${-1}x", "-1x"),
            ("${ match( 1 ) }", "z"),
            ("${match(\"1\")}${match(2)}${match(-1)}", "z"),
            ("${1==1 ? \"a\" : \"b\"}", "a"),
            ("${!true ? 1 : 2}", "2"),
        ] {
            assert_eq!(filled(text), expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_filled_is_told_in_consuls_words() {
        for (text, told) in [
            ("${", "! parse error at 1:3: expected expression but found end of string"),
            ("${}", "! parse error at 1:3: expected expression but found \"}\""),
            ("${name.full", "! parse error at 1:12: expected \"}\" but found end of string"),
            ("${match(}", "! parse error at 1:9: expected expression but found \"}\""),
            (
                "${name.full name.full}",
                "! parse error at 1:13: expected \"}\" but found \"name.full\"",
            ),
            ("${foo}", "? 1:3: unknown variable accessed: foo"),
            ("${match(x)}", "? 1:9: unknown variable accessed: x"),
            ("${foo(1)}", "? 1:3: unknown function called: foo"),
            ("${match()}", "? 1:3: match: expected 1 arguments, got 0"),
            ("${match(1,2)}", "? 1:3: match: expected 1 arguments, got 2"),
            (
                "${match(\"x\")}",
                "? __builtin_StringToInt: strconv.ParseInt: parsing \"x\": invalid syntax",
            ),
            (
                "${name.full[0]}",
                "? At column 12, line 1: invalid index operation into non-indexable type: TypeString",
            ),
        ] {
            assert_eq!(filled(text), told, "{text}");
        }
    }

    #[test]
    fn depth_has_a_bound() {
        let deep = format!("${{{}1{}}}", "(".repeat(10_000), ")".repeat(10_000));
        assert!(filled(&deep).starts_with('!'));
        assert!(filled(&format!("${{{}1}}", "-".repeat(10_000))).starts_with('!'));
        assert!(filled(&"${\"".repeat(10_000)).starts_with('!'));
    }
}
