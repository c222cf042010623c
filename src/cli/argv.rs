//! Go's flags rewritten to clap's, from clap's own description of a command.
//!
//! Go: one dash or two alike; `-flag value` or `-flag=value`; a boolean takes its value only after `=`; the first word
//! that is no flag ends them, and so does `--`. Known flags only, so a value may begin with a dash.

use std::any::TypeId;
use std::fmt;

use clap::builder::ValueParser;
use clap::{Arg, Command};
use proconsul_anchors::duration;

use super::go::Span;
use crate::config::SETTINGS;

/// Flags that Go's parser does not take.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// No such flag.
    Undefined(String),
    /// The last word, and it takes a value.
    NeedsArgument(String),
    /// `---x`, `-=x`
    Syntax(String),
    /// A value that its flag does not take.
    Value { flag: String, value: String, boolean: bool, why: String },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undefined(flag) => write!(f, "flag provided but not defined: -{flag}"),
            Self::NeedsArgument(flag) => write!(f, "flag needs an argument: -{flag}"),
            Self::Syntax(word) => write!(f, "bad flag syntax: {word}"),
            Self::Value { flag, value, boolean: true, why } => {
                write!(f, "invalid boolean value {value:?} for -{flag}: {why}")
            }
            Self::Value { flag, value, boolean: false, why } => {
                write!(f, "invalid value {value:?} for flag -{flag}: {why}")
            }
        }
    }
}

/// Rewrites a command's words: `--flag=value` each, then `--` and the rest as it is.
///
/// # Errors
/// The first flag that Go's parser would not take.
pub(super) fn rewrite(command: &Command, words: &[String]) -> Result<Vec<String>, Fault> {
    let mut rewritten = Vec::new();
    let mut rest = words.iter();
    loop {
        let after = rest.as_slice();
        let Some(word) = rest.next() else { break };
        if word == "--" {
            break;
        }
        let Some(body) = flag_body(word) else {
            rest = after.iter();
            break;
        };
        let body = body.map_err(|()| Fault::Syntax(word.clone()))?;
        let (name, said) =
            body.split_once('=').map_or((body, None), |(name, said)| (name, Some(said)));
        let flag = find(command, name).ok_or_else(|| Fault::Undefined(name.to_owned()))?;
        let value = match said {
            Some(said) => said.to_owned(),
            None if is_boolean(flag) => "true".to_owned(),
            None => rest.next().ok_or_else(|| Fault::NeedsArgument(name.to_owned()))?.clone(),
        };
        rewritten.push(format!("--{name}={}", checked(flag, name, value)?));
    }
    rewritten.push("--".to_owned());
    rewritten.extend(rest.cloned());
    Ok(rewritten)
}

/// What follows the dashes of a flag; nothing when the word is none, and a fault when it only looks like one.
fn flag_body(word: &str) -> Option<Result<&str, ()>> {
    let body = word.strip_prefix('-').filter(|body| !body.is_empty())?;
    let body = body.strip_prefix('-').unwrap_or(body);
    Some(if body.is_empty() || body.starts_with(['-', '=']) { Err(()) } else { Ok(body) })
}

fn find<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    command.get_arguments().find(|arg| arg.get_long() == Some(name))
}

fn takes<T: 'static>(parser: &ValueParser) -> bool {
    parser.type_id() == TypeId::of::<T>()
}

/// Whether a flag takes its value only after `=`.
pub(super) fn is_boolean(flag: &Arg) -> bool {
    takes::<bool>(flag.get_value_parser())
}

/// A value in clap's spelling.
fn checked(flag: &Arg, name: &str, value: String) -> Result<String, Fault> {
    let parser = flag.get_value_parser();
    // Settings tell what Go's conversion says, a command's own flags only that it failed.
    let setting = flag.get_help_heading() == Some(SETTINGS);
    let fault = |boolean, why: String| {
        let why = if setting { why } else { "parse error".to_owned() };
        Fault::Value { flag: name.to_owned(), value: value.clone(), boolean, why }
    };
    let lacks_value = || Fault::Value {
        flag: name.to_owned(),
        value: value.clone(),
        boolean: false,
        why: format!("Missing \"=\" value in argument: {value}"),
    };
    if takes::<bool>(parser) {
        let spelt = go_bool(&value);
        spelt.ok_or_else(|| {
            fault(true, format!("strconv.ParseBool: parsing {value:?}: invalid syntax"))
        })
    } else if takes::<i64>(parser) {
        let number = value.parse::<i64>().map_err(|_| {
            fault(false, format!("strconv.Atoi: parsing {value:?}: invalid syntax"))
        })?;
        Ok(number.to_string())
    } else if takes::<u64>(parser) {
        let number = go_uint(&value).ok_or_else(|| {
            fault(false, format!("strconv.ParseUint: parsing {value:?}: invalid syntax"))
        })?;
        Ok(number.to_string())
    } else if takes::<Span>(parser) {
        let nanos = duration::parse(&value).map_err(|why| fault(false, why.to_string()))?;
        Ok(nanos.to_string())
    } else if flag
        .get_value_names()
        .is_some_and(|names| names.iter().any(|name| name.as_str() == "key=value"))
    {
        if value.contains('=') { Ok(value) } else { Err(lacks_value()) }
    } else {
        Ok(value)
    }
}

/// Go's spellings of a boolean.
pub(super) fn go_bool(text: &str) -> Option<String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some("true".to_owned()),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some("false".to_owned()),
        _ => None,
    }
}

/// The same with a sign.
pub(super) fn go_int(text: &str) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    i64::try_from(go_uint(digits)?).ok().map(|number| sign * number)
}

/// Go's spellings of an unsigned number: decimal, hexadecimal, octal, binary.
fn go_uint(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let digits = |prefix: &str, radix| {
        lower.strip_prefix(prefix).map(|digits| u64::from_str_radix(digits, radix).ok())
    };
    let other = digits("0x", 16).or_else(|| digits("0b", 2)).or_else(|| digits("0o", 8));
    other.unwrap_or_else(|| match lower.strip_prefix('0').filter(|rest| !rest.is_empty()) {
        Some(octal) => u64::from_str_radix(octal, 8).ok(),
        None => text.parse().ok().filter(|_| !text.starts_with('+')),
    })
}
