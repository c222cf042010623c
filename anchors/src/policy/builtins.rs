//! Functions of policies that the interpreter does not have, or has without a bound.
//!
//! A function that makes much of little (`numbers.range(1, 1e12)`, `replace`, `sprintf` with a width) is done within bounds
//! here, or not offered at all.

use std::net::IpAddr;
use std::sync::Arc;

use anyhow::{Result, anyhow, bail, ensure};
use regorus::{Engine, Value};

use super::budget::spend;
use crate::network::Network;

/// Bytes of a text that a policy builds.
const TEXT_BYTES_MAX: usize = 4 << 10;

/// Members of a list that a policy builds at once.
const ITEMS_MAX: usize = 4096;

/// Bytes of text whose making counts as one step.
const STEP_BYTES: usize = 64;

/// What is not offered, because no policy of a catalog needs it and it has no bound.
pub(super) const NOT_OFFERED: &[&str] = &[
    "bits.lsh",
    "format_int",
    "json.marshal",
    "json.marshal_with_options",
    "json.unmarshal",
    "numbers.range_step",
    "print",
    "product",
    "regex.replace",
    "strings.replace_n",
    "trace",
    "walk",
];

type Call = fn(&[Value]) -> Result<Value>;

const OFFERED: &[(&str, u8, Call)] = &[
    ("array.concat", 2, array_concat),
    ("concat", 2, concat),
    ("net.cidr_contains", 2, cidr_contains),
    ("numbers.range", 2, range),
    ("replace", 3, replace),
    ("sprintf", 2, sprintf),
];

/// Gives an engine these functions instead of its own.
pub(super) fn bind(engine: &mut Engine) -> Result<()> {
    for (name, arity, call) in OFFERED {
        let call = *call;
        let call = move |arguments: Vec<Value>| call(&arguments);
        engine.add_extension((*name).to_owned(), *arity, Box::new(call))?;
    }
    Ok(())
}

fn made(text: String) -> Result<Value> {
    spend(text.len() / STEP_BYTES)?;
    ensure!(text.len() <= TEXT_BYTES_MAX, "a text of more than {TEXT_BYTES_MAX} bytes was built");
    Ok(Value::from(text))
}

fn listed(items: Vec<Value>) -> Result<Value> {
    spend(items.len())?;
    ensure!(items.len() <= ITEMS_MAX, "a list of more than {ITEMS_MAX} members was built");
    Ok(Value::from(items))
}

fn array_concat(arguments: &[Value]) -> Result<Value> {
    let (first, second) = (arguments[0].as_array()?, arguments[1].as_array()?);
    ensure!(first.len() + second.len() <= ITEMS_MAX, "a list of more than {ITEMS_MAX} members");
    listed(first.iter().chain(second).cloned().collect())
}

fn concat(arguments: &[Value]) -> Result<Value> {
    let between = arguments[0].as_string()?;
    let parts: Vec<&Arc<str>> = match &arguments[1] {
        Value::Array(parts) => parts.iter().map(Value::as_string).collect::<Result<_>>()?,
        Value::Set(parts) => parts.iter().map(Value::as_string).collect::<Result<_>>()?,
        _ => bail!("concat joins a list or a set of texts"),
    };
    let bytes: usize = parts.iter().map(|part| part.len() + between.len()).sum();
    ensure!(bytes <= 2 * TEXT_BYTES_MAX, "a text of more than {TEXT_BYTES_MAX} bytes was built");
    let mut text = String::new();
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            text.push_str(between);
        }
        text.push_str(part);
    }
    made(text)
}

fn replace(arguments: &[Value]) -> Result<Value> {
    let (text, old, new) =
        (arguments[0].as_string()?, arguments[1].as_string()?, arguments[2].as_string()?);
    let bytes = (text.len() + 1).saturating_mul(new.len() + 1);
    ensure!(
        bytes <= 16 * TEXT_BYTES_MAX,
        "a text of more than {TEXT_BYTES_MAX} bytes may be built"
    );
    made(text.replace(&**old, new))
}

fn range(arguments: &[Value]) -> Result<Value> {
    let (from, to) = (arguments[0].as_i64()?, arguments[1].as_i64()?);
    let items = usize::try_from(from.abs_diff(to)).unwrap_or(usize::MAX);
    ensure!(items < ITEMS_MAX, "a list of more than {ITEMS_MAX} members was built");
    let numbers: Vec<Value> = if from <= to {
        (from..=to).map(Value::from).collect()
    } else {
        (to..=from).rev().map(Value::from).collect()
    };
    listed(numbers)
}

fn cidr_contains(arguments: &[Value]) -> Result<Value> {
    let (outer, inner) = (arguments[0].as_string()?, arguments[1].as_string()?);
    let outer =
        Network::parse(outer).ok_or_else(|| anyhow!("{outer:?} is no range of addresses"))?;
    // As a range within a range, or an address within one; whatever is neither is in none.
    let contained = match (inner.parse::<IpAddr>(), Network::parse(inner)) {
        (Ok(address), _) => outer.contains(address),
        (Err(_), Some(inner)) => inner.prefix >= outer.prefix && outer.contains(inner.address),
        (Err(_), None) => false,
    };
    Ok(Value::from(contained))
}

/// `%s`, `%v`, `%d`, `%q` and `%%`, without flags or widths.
fn sprintf(arguments: &[Value]) -> Result<Value> {
    let (format, values) = (arguments[0].as_string()?, arguments[1].as_array()?);
    let mut values = values.iter();
    let mut text = String::new();
    let mut rest = format.chars();
    while let Some(character) = rest.next() {
        if character != '%' {
            text.push(character);
            continue;
        }
        match rest.next() {
            Some('%') => text.push('%'),
            Some(verb @ ('s' | 'v' | 'd' | 'q')) => {
                let value =
                    values.next().ok_or_else(|| anyhow!("sprintf lacks a value for %{verb}"))?;
                text.push_str(&shown(verb, value)?);
            }
            other => bail!("sprintf knows %s, %v, %d and %q, not %{}", other.unwrap_or(' ')),
        }
        ensure!(
            text.len() <= TEXT_BYTES_MAX,
            "a text of more than {TEXT_BYTES_MAX} bytes was built"
        );
    }
    made(text)
}

fn shown(verb: char, value: &Value) -> Result<String> {
    match value {
        Value::String(text) if verb != 'q' => Ok(text.as_ref().to_owned()),
        Value::String(_) | Value::Number(_) | Value::Bool(_) | Value::Null => Ok(value.to_string()),
        // A value may be shared with itself many times over: printing it has no bound.
        _ => bail!("sprintf prints texts, numbers, booleans and null; join lists with concat"),
    }
}
