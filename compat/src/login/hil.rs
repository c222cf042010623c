//! The templates of bind names and token names: text with `${name}` in it (of HashiCorp's interpolation language, what
//! stands for one variable or one quoted text).

use std::collections::BTreeMap;

/// Why a template cannot be filled, in Consul's words. Places are line and column, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HilFault {
    #[error("{line}:{column}: unknown variable accessed: {name}")]
    Unknown { line: usize, column: usize, name: String },
    #[error("parse error at {line}:{column}: expected expression but found {found}")]
    Expected { line: usize, column: usize, found: String },
    #[error("parse error at {line}:{column}: expected \"}}\" but found {found}")]
    Unclosed { line: usize, column: usize, found: String },
}

/// Fills a template; the values in lower case where names must be.
pub(crate) fn fill(
    template: &str,
    vars: &BTreeMap<String, String>,
    lower_case: bool,
) -> Result<String, HilFault> {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    if !template.contains("${") {
        return Ok(template.to_owned());
    }
    while let Some(at) = rest.find("${") {
        let (text, after) = (&rest[..at], &rest[at + 2..]);
        if let Some(text) = text.strip_suffix('$') {
            // `$${` stands for itself.
            out.push_str(text);
            out.push_str("${");
            rest = after;
            continue;
        }
        out.push_str(text);
        let (value, after) = expression(template, after, vars)?;
        out.push_str(&if lower_case { value.to_lowercase() } else { value });
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// The value of an expression and what follows its closing brace.
fn expression<'a>(
    template: &str,
    text: &'a str,
    vars: &BTreeMap<String, String>,
) -> Result<(String, &'a str), HilFault> {
    let start = text.trim_start();
    let (line, column) = place(template, start);
    let (value, after) = if let Some(quoted) = start.strip_prefix('"') {
        let end = quoted.find('"').ok_or_else(|| expected(template, start))?;
        (quoted[..end].to_owned(), &quoted[end + 1..])
    } else {
        let end = start.find(|c: char| !is_name(c)).unwrap_or(start.len());
        let (name, after) = start.split_at(end);
        if name.is_empty() || name.starts_with(|c: char| !c.is_alphabetic() && c != '_') {
            return Err(expected(template, start));
        }
        let unknown = || HilFault::Unknown { line, column, name: name.to_owned() };
        (vars.get(name).cloned().ok_or_else(unknown)?, after)
    };
    let after = after.trim_start();
    match after.strip_prefix('}') {
        Some(after) => Ok((value, after)),
        None => {
            let (line, column) = place(template, after);
            Err(HilFault::Unclosed { line, column, found: found(after) })
        }
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '*')
}

fn expected(template: &str, rest: &str) -> HilFault {
    let (line, column) = place(template, rest);
    HilFault::Expected { line, column, found: found(rest) }
}

fn found(rest: &str) -> String {
    rest.chars()
        .next()
        .map_or_else(|| "end of string".to_owned(), |c| format!("{:?}", c.to_string()))
}

/// Line and column of where `rest`, the end of the template, begins.
fn place(template: &str, rest: &str) -> (usize, usize) {
    let before = &template[..template.len() - rest.len()];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_filled() {
        let vars = [("value.a", "Web"), ("serviceaccount.name", "db")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let check = |template: &str, lower: bool, filled: Result<&str, &str>| {
            let found = fill(template, &vars, lower).map_err(|fault| fault.to_string());
            assert_eq!(found, filled.map(str::to_owned).map_err(str::to_owned), "{template}");
        };
        check("plain", false, Ok("plain"));
        check("x-${value.a}-${ serviceaccount.name }", true, Ok("x-web-db"));
        check("X-${value.a}", false, Ok("X-Web"));
        check("$${value.a}", false, Ok("${value.a}"));
        check("${\"q\"}", false, Ok("q"));
        check("$${", false, Ok("${"));
        check("${x}", false, Err("1:3: unknown variable accessed: x"));
        check("a\n ${x}", false, Err("2:4: unknown variable accessed: x"));
        check("${", false, Err("parse error at 1:3: expected expression but found end of string"));
        check(
            "${value.a",
            false,
            Err("parse error at 1:10: expected \"}\" but found end of string"),
        );
    }
}
