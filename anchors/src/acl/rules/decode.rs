//! A policy's source as its blocks: texts that nobody has looked at yet.

use proconsul_hcl::{Node, Value};

use super::{BLOCKS, Block, WHOLE_FIRST, WHOLE_LAST};

/// A rule as it was written.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Written {
    pub(super) name: String,
    pub(super) policy: String,
    pub(super) intentions: String,
}

/// A policy as it was written.
pub(super) struct Policy {
    whole: Vec<(&'static str, String)>,
    pub(super) blocks: Vec<(&'static Block, Vec<Written>)>,
}

/// Fields in the order of the source.
type Fields = [(String, Node)];

/// A value of a shape that has no meaning where it stands.
pub(super) struct Misplaced {
    line: usize,
    what: String,
}

// === impl Misplaced ===

impl Misplaced {
    /// Consul's sentence. It knows no places in JSON; here columns are not known.
    pub(super) fn told(&self, is_json: bool) -> String {
        let Self { line, what } = self;
        if is_json { format!("At -: {what}") } else { format!("At {line}:1: {what}") }
    }
}

// === impl Policy ===

impl Policy {
    pub(super) fn of(node: &Node) -> Result<Self, Misplaced> {
        let none: &Fields = &[];
        let fields = if let Value::Object(fields) = &node.value { fields } else { none };
        let mut policy = Self { whole: Vec::new(), blocks: Vec::new() };
        for (key, _) in WHOLE_FIRST.iter().chain(&WHOLE_LAST) {
            for value in of_key(fields, key) {
                policy.whole.push((key, text(value, &format!("root.{key}"))?));
            }
        }
        for block in &BLOCKS {
            let mut rules = Vec::new();
            for value in of_key(fields, block.key) {
                collect(value, &format!("root.{}", block.key), &mut rules)?;
            }
            policy.blocks.push((block, rules));
        }
        Ok(policy)
    }

    /// What is written for a key without names; the last one counts.
    pub(super) fn whole(&self, key: &str) -> Option<&str> {
        self.whole.iter().rev().find(|(name, _)| *name == key).map(|(_, text)| text.as_str())
    }
}

/// Keys are found whatever their case.
fn of_key<'a>(fields: &'a Fields, key: &'a str) -> impl Iterator<Item = &'a Node> {
    fields.iter().filter(move |(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value)
}

/// The rules of a block: objects whose keys are the names.
fn collect(value: &Node, path: &str, rules: &mut Vec<Written>) -> Result<(), Misplaced> {
    match &value.value {
        Value::Object(names) => {
            for (name, body) in names {
                let at = format!("{path}[{}]", rules.len());
                rule(name, body, &at, rules)?;
            }
            Ok(())
        }
        Value::List(items) => items.iter().try_for_each(|item| match item.value {
            Value::Object(_) => collect(item, path, rules),
            _ => Err(shape(item, &format!("{path}[{}]", rules.len()))),
        }),
        _ => Err(misplaced(value, "unknown slice type: *ast.LiteralType".to_owned())),
    }
}

fn rule(name: &str, body: &Node, path: &str, rules: &mut Vec<Written>) -> Result<(), Misplaced> {
    match &body.value {
        Value::Object(fields) => {
            rules.push(written(name, fields, path)?);
            Ok(())
        }
        Value::List(items) if !items.is_empty() => {
            items.iter().try_for_each(|item| match item.value {
                Value::Object(_) => rule(name, item, path, rules),
                _ => Err(shape(body, path)),
            })
        }
        Value::List(_) => Err(shape(body, path)),
        // A block without a label: its fields are taken for names.
        _ => {
            let field = (name.to_owned(), body.clone());
            rules.push(written(name, &[field], path)?);
            Ok(())
        }
    }
}

fn written(name: &str, fields: &Fields, path: &str) -> Result<Written, Misplaced> {
    let last = |key: &str, title: &str| {
        let value = of_key(fields, key).last();
        value.map_or(Ok(String::new()), |value| text(value, &format!("{path}.{title}")))
    };
    Ok(Written {
        name: name.to_owned(),
        policy: last("policy", "Policy")?,
        intentions: last("intentions", "Intentions")?,
    })
}

fn text(value: &Node, path: &str) -> Result<String, Misplaced> {
    match &value.value {
        Value::Text(text) => Ok(text.clone()),
        Value::Int(number) => Ok(number.to_string()),
        Value::Float(number) if number.fract() == 0.0 => Ok(number.to_string()),
        Value::Null => Ok(String::new()),
        Value::Bool(_) | Value::Float(_) | Value::List(_) | Value::Object(_) => {
            Err(misplaced(value, format!("{path}: unknown type for string {}", kind(value))))
        }
    }
}

fn shape(value: &Node, path: &str) -> Misplaced {
    misplaced(value, format!("{path}: not an object type for struct ({})", kind(value)))
}

fn misplaced(value: &Node, what: String) -> Misplaced {
    Misplaced { line: value.line, what }
}

/// How Consul's reader names a value that it has no use for.
fn kind(value: &Node) -> &'static str {
    match &value.value {
        Value::Object(_) => "*ast.ObjectList",
        Value::List(items) if items.iter().any(|item| matches!(item.value, Value::Object(_))) => {
            "*ast.ObjectList"
        }
        Value::List(_) => "*ast.ListType",
        _ => "*ast.LiteralType",
    }
}
