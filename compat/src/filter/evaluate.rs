//! Decides whether a record is what an expression asks for.

use serde_json::Value;

use super::schema::{Kind, Step};

/// A compiled expression.
#[derive(Debug)]
pub(super) enum Condition {
    Any(Vec<Self>),
    All(Vec<Self>),
    Not(Box<Self>),
    Clause(Clause),
}

/// A compiled comparison.
#[derive(Debug)]
pub(super) struct Clause {
    /// As written, for faults.
    pub(super) selector: String,
    pub(super) steps: Vec<Step>,
    pub(super) kind: &'static Kind,
    pub(super) test: Test,
    pub(super) negated: bool,
}

/// What is asked of the selected value. Each goes with certain kinds only; compiling sees to that.
#[derive(Debug)]
pub(super) enum Test {
    Text(String),
    Bool(bool),
    Int(i64),
    Uint(u64),
    /// Whether a string contains this one.
    Part(String),
    /// Whether a list of strings has this element.
    Element(String),
    /// Whether an address has this byte.
    Octet(u8),
    /// Whether a map has this key.
    Key(String),
    /// Whether there is nothing in a list or a map.
    Empty,
    Pattern(regex::Regex),
}

/// The record's JSON form is not that of its schema.
#[derive(Debug)]
pub(super) struct Misshapen;

/// What stands where a field is absent.
static ABSENT: Value = Value::Null;

impl Condition {
    /// # Errors
    /// The selector whose value is not of its schema's kind.
    pub(super) fn holds(&self, record: &Value) -> Result<bool, String> {
        match self {
            Self::Any(parts) => until(parts, true, record),
            Self::All(parts) => until(parts, false, record),
            Self::Not(part) => part.holds(record).map(|holds| !holds),
            Self::Clause(clause) => {
                clause.holds(&clause.steps, record).map_err(|Misshapen| clause.selector.clone())
            }
        }
    }
}

/// Asks the parts in order until one answers `decisive`.
fn until(parts: &[Condition], decisive: bool, record: &Value) -> Result<bool, String> {
    for part in parts {
        if part.holds(record)? == decisive {
            return Ok(decisive);
        }
    }
    Ok(!decisive)
}

impl Clause {
    fn holds(&self, steps: &[Step], value: &Value) -> Result<bool, Misshapen> {
        let Some((step, further)) = steps.split_first() else {
            return Ok(self.test.holds(self.kind, value)? != self.negated);
        };
        match (step, value) {
            // Also when negated: `!=` asks whether any element differs.
            (Step::Any, Value::Array(items)) => {
                for item in items {
                    if self.holds(further, item)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            (Step::Any, Value::Null) => Ok(false),
            (Step::Field(name), Value::Object(fields)) => {
                self.holds(further, fields.get(*name).unwrap_or(&ABSENT))
            }
            (Step::Field(_), Value::Null) => self.holds(further, &ABSENT),
            (Step::Key(key), Value::Object(entries)) => match entries.get(key) {
                Some(entry) => self.holds(further, entry),
                None => Ok(self.without_key()),
            },
            (Step::Key(_), Value::Null) => Ok(self.without_key()),
            _ => Err(Misshapen),
        }
    }

    /// A missing key differs from everything, contains nothing, and passes for a match of any pattern.
    fn without_key(&self) -> bool {
        self.negated || matches!(self.test, Test::Pattern(_))
    }
}

impl Test {
    fn holds(&self, kind: &Kind, value: &Value) -> Result<bool, Misshapen> {
        Ok(match self {
            Self::Text(wanted) => text(value)? == wanted,
            Self::Part(part) => text(value)?.contains(part.as_str()),
            Self::Pattern(pattern) => pattern.is_match(text(value)?),
            Self::Bool(wanted) => match value {
                Value::Null => !wanted,
                value => value.as_bool().ok_or(Misshapen)? == *wanted,
            },
            Self::Int(wanted) => match value {
                Value::Null => *wanted == 0,
                value => value.as_i64().ok_or(Misshapen)? == *wanted,
            },
            Self::Uint(wanted) => match value {
                Value::Null => *wanted == 0,
                value => value.as_u64().ok_or(Misshapen)? == *wanted,
            },
            Self::Element(element) => match value {
                Value::Null => false,
                value => value.as_array().ok_or(Misshapen)?.iter().any(|item| item == element),
            },
            Self::Octet(octet) => octets(value)?.contains(octet),
            Self::Key(key) => match value {
                Value::Null => false,
                value => value.as_object().ok_or(Misshapen)?.contains_key(key),
            },
            Self::Empty if matches!(kind, Kind::Octets) => octets(value)?.is_empty(),
            Self::Empty => empty(value)?,
        })
    }
}

fn text(value: &Value) -> Result<&str, Misshapen> {
    match value {
        Value::Null => Ok(""),
        value => value.as_str().ok_or(Misshapen),
    }
}

fn empty(value: &Value) -> Result<bool, Misshapen> {
    match value {
        Value::Null => Ok(true),
        Value::Array(items) => Ok(items.is_empty()),
        Value::Object(entries) => Ok(entries.is_empty()),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => Err(Misshapen),
    }
}

fn octets(value: &Value) -> Result<Vec<u8>, Misshapen> {
    let address = text(value)?;
    if address.is_empty() {
        return Ok(Vec::new());
    }
    Ok(match address.parse().map_err(|_| Misshapen)? {
        std::net::IpAddr::V4(address) => address.octets().to_vec(),
        std::net::IpAddr::V6(address) => address.octets().to_vec(),
    })
}
