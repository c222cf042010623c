//! Consul's filter language: what `?filter=` asks of each record of a list.
//!
//! A [`Filter`] is compiled once for a request, against the [`Schema`] of the list's records, and then asked of each record in
//! its JSON form. Everything that can be wrong with an expression is found by compiling: an unknown selector is refused also
//! when the list is empty.
//!
//! Handlers answer 500 for every [`FilterError`]. Its text is Consul's without the words
//! `Failed to create boolean expression evaluator: `, which all endpoints put before it except `/v1/agent/checks` and health
//! answers from the streaming backend. `/v1/agent/checks` does not look at the expression at all while it has no checks. An
//! empty expression is no filter, and is not to be compiled.
//!
//! ```text
//! text ─ parse (cursor, strconv) → Tree ─ compile (schema, pattern) → Condition ─ evaluate(record) → yes or no
//! ```

mod cursor;
mod evaluate;
mod mesh;
mod parse;
mod schema;
mod schemas;
mod strconv;

use serde_json::Value;

pub use mesh::{INTENTION, SERVICE_DEFAULTS};
pub use parse::DEPTH_MAX;
pub use proconsul_anchors::pattern::{CLASS_CODES_MAX, GROUPS_MAX};
pub use schema::{Field, Kind, Schema};
pub use schemas::{
    AGENT_SERVICE, CHECK_SERVICE_NODE, HEALTH_CHECK, MEMBER, NODE, NODE_SERVICE, SERVICE_NODE,
    UI_NODE,
};

use evaluate::{Clause, Condition, Test};
use parse::{Comparison, Operator, Tree, Unread};
use proconsul_anchors::pattern::{self, Allowance};
use strconv::quote;

/// Longer expressions are refused, in bytes. Consul's limit is that of a request's head; this leaves room for thousands of
/// comparisons and bounds what one request can make us hold.
pub const EXPRESSION_BYTES_MAX: usize = 256 * 1024;

/// The patterns of an expression share this much memory, in bytes, in equal parts; the time of a match grows with it too. It is
/// enough for two of `.{1000}`. A pattern that needs more than its part is refused with Go's words for one that is too large,
/// although Go takes larger ones.
pub const PATTERNS_BYTES_MAX: usize = 1024 * 1024;

/// A compiled expression, to be asked of records of one type.
#[derive(Debug)]
pub struct Filter {
    condition: Condition,
}

/// Why an expression cannot be used. Displays as Consul's text, without the prefix that the handlers add.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct FilterError(#[from] Reason);

#[derive(Debug, thiserror::Error)]
enum Reason {
    #[error("{}", lines(.0))]
    Unread(Vec<cursor::Fault>),
    #[error("expression is longer than {EXPRESSION_BYTES_MAX} bytes")]
    TooLong,
    #[error("expression nests parentheses deeper than {DEPTH_MAX}")]
    TooDeep,
    #[error("Selector {} is not valid", quote(.0))]
    Selector(String),
    #[error("Invalid match operator \"{operator}\" for selector {}", quote(.selector))]
    Operator { operator: &'static str, selector: String },
    #[error("Failed to coerce value {} for selector {}: {reason}", quote(.value), quote(.selector))]
    Value { value: String, selector: String, reason: strconv::Unreadable },
    #[error("Failed to compile regular expression {}: {reason}", quote(.pattern))]
    Pattern { pattern: String, reason: pattern::Refused },
    #[error("record has no such form that selector {} could be asked of it", quote(.0))]
    Record(String),
}

fn lines(faults: &[cursor::Fault]) -> String {
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

// === impl FilterError ===

impl FilterError {
    /// Whether the expression could not be read at all, as against one that asks for what is not there.
    pub fn is_syntax(&self) -> bool {
        matches!(self.0, Reason::Unread(_) | Reason::TooLong | Reason::TooDeep)
    }
}

// === impl Filter ===

impl Filter {
    /// Reads an expression and settles what each of its selectors stands for.
    ///
    /// # Errors
    /// The expression has no meaning for records of this schema, or is beyond a limit.
    pub fn compile(expression: &str, schema: &'static Schema) -> Result<Self, FilterError> {
        if expression.len() > EXPRESSION_BYTES_MAX {
            return Err(Reason::TooLong.into());
        }
        let tree = parse::parse(expression).map_err(|unread| match unread {
            Unread::Faults(faults) => Reason::Unread(faults),
            Unread::TooDeep => Reason::TooDeep,
        })?;
        let bytes = PATTERNS_BYTES_MAX / patterns(&tree).max(1);
        let allowance = Allowance { bytes, codes: CLASS_CODES_MAX };
        let mut compiler = Compiler { schema, allowance };
        Ok(Self { condition: compiler.condition(tree)? })
    }

    /// Whether a record, in its JSON form, is what the expression asks for.
    ///
    /// # Errors
    /// The record is not of the schema's form. Records that we print ourselves always are.
    pub fn matches(&self, record: &Value) -> Result<bool, FilterError> {
        self.condition.holds(record).map_err(|selector| Reason::Record(selector).into())
    }
}

/// How many patterns the expression has.
fn patterns(tree: &Tree) -> usize {
    match tree {
        Tree::Any(parts) | Tree::All(parts) => parts.iter().map(patterns).sum(),
        Tree::Not(part) => patterns(part),
        Tree::Compare(comparison) => {
            usize::from(matches!(comparison.operator, Operator::Matches | Operator::NotMatches))
        }
    }
}

struct Compiler {
    schema: &'static Schema,
    allowance: Allowance,
}

// === impl Compiler ===

impl Compiler {
    fn condition(&mut self, tree: Tree) -> Result<Condition, Reason> {
        Ok(match tree {
            Tree::Any(parts) => Condition::Any(self.conditions(parts)?),
            Tree::All(parts) => Condition::All(self.conditions(parts)?),
            Tree::Not(part) => Condition::Not(Box::new(self.condition(*part)?)),
            Tree::Compare(comparison) => Condition::Clause(self.clause(comparison)?),
        })
    }

    fn conditions(&mut self, parts: Vec<Tree>) -> Result<Vec<Condition>, Reason> {
        parts.into_iter().map(|part| self.condition(part)).collect()
    }

    fn clause(&mut self, comparison: Comparison) -> Result<Clause, Reason> {
        let Comparison { selector: path, operator, value } = comparison;
        let selected = self
            .schema
            .select(&path)
            .map_err(|followed| Reason::Selector(path[..followed].join(".")))?;
        let selector = path.join(".");
        let test = match self.test(operator, selected.kind, value.clone()) {
            Ok(test) => test,
            Err(Unfit::Operator) => {
                return Err(Reason::Operator { operator: operator.name(), selector });
            }
            Err(Unfit::Value(reason)) => return Err(Reason::Value { value, selector, reason }),
            Err(Unfit::Pattern(reason)) => return Err(Reason::Pattern { pattern: value, reason }),
        };
        let negated = operator.negated();
        Ok(Clause { selector, steps: selected.steps, kind: selected.kind, test, negated })
    }

    /// What the operator asks of a value of this kind.
    fn test(&mut self, operator: Operator, kind: &Kind, value: String) -> Result<Test, Unfit> {
        use Operator as Op;
        Ok(match (operator, kind) {
            (Op::Equal | Op::NotEqual, Kind::Text) => Test::Text(value),
            (Op::Equal | Op::NotEqual, Kind::Bool) => Test::Bool(strconv::boolean(&value)?),
            (Op::Equal | Op::NotEqual, Kind::Int) => Test::Int(strconv::integer(&value)?),
            (Op::Equal | Op::NotEqual, Kind::Uint(max)) => {
                Test::Uint(strconv::unsigned(&value, *max)?)
            }
            (Op::In | Op::NotIn, Kind::Text) => Test::Part(value),
            (Op::In | Op::NotIn, Kind::Texts) => Test::Element(value),
            (Op::In | Op::NotIn, Kind::Octets) => Test::Octet(octet(&value)?),
            (Op::In | Op::NotIn, Kind::Map(_)) => Test::Key(value),
            (
                Op::IsEmpty | Op::IsNotEmpty,
                Kind::Texts | Kind::Octets | Kind::Map(_) | Kind::Records(_),
            ) => Test::Empty,
            (Op::Matches | Op::NotMatches, Kind::Text) => Test::Pattern(
                pattern::compile(&value, &mut self.allowance).map_err(Unfit::Pattern)?,
            ),
            _ => return Err(Unfit::Operator),
        })
    }
}

fn octet(value: &str) -> Result<u8, strconv::Unreadable> {
    let number = strconv::unsigned(value, u8::MAX.into())?;
    Ok(u8::try_from(number).expect("a number read with this greatest value fits"))
}

/// Why an operator and a value cannot be asked of a kind.
enum Unfit {
    Operator,
    Value(strconv::Unreadable),
    Pattern(pattern::Refused),
}

impl From<strconv::Unreadable> for Unfit {
    fn from(reason: strconv::Unreadable) -> Self {
        Self::Value(reason)
    }
}

// === impl Operator ===

impl Operator {
    /// Its name in Consul's errors.
    fn name(self) -> &'static str {
        match self {
            Self::Equal => "Equal",
            Self::NotEqual => "Not Equal",
            Self::In => "In",
            Self::NotIn => "Not In",
            Self::Matches => "Matches",
            Self::NotMatches => "Not Matches",
            Self::IsEmpty => "Is Empty",
            Self::IsNotEmpty => "Is Not Empty",
        }
    }

    fn negated(self) -> bool {
        matches!(self, Self::NotEqual | Self::NotIn | Self::NotMatches | Self::IsNotEmpty)
    }
}

#[cfg(test)]
mod tests;
