//! What a configuration file says, before anybody asks whether it makes sense: values that remember their lines.

/// A value and the line on which it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// 1 is the first line of the source.
    pub line: usize,
    /// What is said there.
    pub value: Value,
}

/// A value of either language. What only one of them has is told apart where it matters.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// JSON's `null`; HCL has none.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// HCL's whole number.
    Int(i64),
    /// Every number of JSON, and HCL's with a fraction or exponent.
    Float(f64),
    /// A string or heredoc.
    Text(String),
    /// A list. HCL's blocks of one name are a list of objects, also when there is one only.
    List(Vec<Node>),
    /// Keys as written, in their order.
    Object(Vec<(String, Node)>),
}

impl Value {
    /// The word for the kind in messages, as a Go program names it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nil",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::List(_) => "slice",
            Self::Object(_) => "map",
        }
    }
}

impl Node {
    /// The value itself, or the only element of a list of one: HCL writes every object as such a list.
    pub fn single(&self) -> &Self {
        match &self.value {
            Value::List(items) => match items.as_slice() {
                [only] => only,
                _ => self,
            },
            _ => self,
        }
    }

    /// The same as plain JSON; HCL's lists of one object become the object.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(flag) => (*flag).into(),
            Value::Int(number) => (*number).into(),
            Value::Float(number) => float_to_json(*number),
            Value::Text(text) => text.as_str().into(),
            Value::List(items) => match items.as_slice() {
                [only] if matches!(only.value, Value::Object(_)) => only.to_json(),
                _ => items.iter().map(Self::to_json).collect(),
            },
            Value::Object(fields) => fields
                .iter()
                .map(|(key, field)| (key.clone(), field.to_json()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }
}

/// Whole numbers are printed without a fraction, as Go prints a `float64` that has none.
fn float_to_json(number: f64) -> serde_json::Value {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the comparison below tells whether anything was lost"
    )]
    let whole = number as i64;
    #[expect(clippy::cast_precision_loss, reason = "compared with the number itself")]
    let same = whole as f64 == number;
    if same { whole.into() } else { number.into() }
}

/// The line of a place in a text; 1 is the first.
pub(crate) fn line_at(text: &str, offset: usize) -> usize {
    1 + text.as_bytes()[..offset.min(text.len())].iter().filter(|byte| **byte == b'\n').count()
}
