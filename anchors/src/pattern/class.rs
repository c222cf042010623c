//! Character classes and escapes of Go's regular expressions, told to the `regex` crate.

use regex::Regex;

use super::Refused;

/// Not at a boundary between ASCII words. In Go `\B` may stand inside a character; here it need not, texts have no halves.
pub(super) const NO_BOUNDARY: &str = r"(?-u:\B)";

const BAD_RANGE: &str = "invalid character class range";
const BAD_ESCAPE: &str = "invalid escape sequence";
const OPEN_CLASS: &str = "missing closing ]";

/// A class that holds nothing.
const NOTHING: &str = "[a&&b]";

/// A class that holds everything.
const EVERYTHING: &str = "[^a&&b]";

/// How many characters there are at most.
pub(super) const CODES: usize = 0x11_0000;

/// A class in the crate's spelling.
pub(super) struct Class {
    pub(super) written: String,
    /// How many characters it holds, at most, before it is turned into its opposite.
    pub(super) codes: usize,
}

impl Class {
    fn small(written: &str) -> Self {
        Self { written: written.to_owned(), codes: 0 }
    }
}

/// What follows a backslash, outside and inside of brackets.
pub(super) enum Escape {
    Class(Class),
    /// A character, by its code; Go allows codes that are no characters.
    Code(u32),
}

/// A character on its own, in the crate's spelling.
pub(super) fn literal(code: u32) -> String {
    match char::from_u32(code) {
        Some(c) if c.is_ascii_alphanumeric() => c.to_string(),
        Some(_) => format!(r"\x{{{code:X}}}"),
        None => NOTHING.to_owned(),
    }
}

/// Reads an escape at its backslash; hands back the text after it.
pub(super) fn escape(text: &str) -> Result<(Escape, &str), Refused> {
    if let Some((class, rest)) = unicode(text)? {
        return Ok((Escape::Class(class), rest));
    }
    if let Some((class, rest)) = perl(text) {
        return Ok((Escape::Class(Class::small(class)), rest));
    }
    code(text).map(|(code, rest)| (Escape::Code(code), rest))
}

fn perl(text: &str) -> Option<(&'static str, &str)> {
    let class = match text.strip_prefix('\\')?.chars().next()? {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        's' => r"[\t\n\x0C\r ]",
        'S' => r"[^\t\n\x0C\r ]",
        'w' => "[0-9A-Za-z_]",
        'W' => "[^0-9A-Za-z_]",
        _ => return None,
    };
    Some((class, &text[2..]))
}

/// `\pN`, `\p{Name}`, `\p{^Name}` and the same with `\P`.
fn unicode(text: &str) -> Result<Option<(Class, &str)>, Refused> {
    if !(text.starts_with(r"\p") || text.starts_with(r"\P")) {
        return Ok(None);
    }
    let Some(first) = text[2..].chars().next() else {
        return Err(Refused::new(BAD_RANGE, text));
    };
    let (name, length) = if first == '{' {
        let end = text.find('}').ok_or_else(|| Refused::new(BAD_RANGE, text))?;
        (&text[3..end], end + 1)
    } else {
        (&text[2..2 + first.len_utf8()], 2 + first.len_utf8())
    };
    let (whole, rest) = text.split_at(length);
    let (opposite, name) = name.strip_prefix('^').map_or((false, name), |name| (true, name));
    let letter = if text.starts_with(r"\P") == opposite { 'p' } else { 'P' };
    let known = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let written = format!(r"\{letter}{{{name}}}");
    if name.is_empty() || !known || Regex::new(&written).is_err() {
        return Err(Refused::new(BAD_RANGE, whole));
    }
    Ok(Some((Class { written, codes: CODES }, rest)))
}

/// Reads an escaped character at its backslash.
fn code(text: &str) -> Result<(u32, &str), Refused> {
    let mut rest = text[1..].chars();
    let refuse = |rest: &str| Err(Refused::new(BAD_ESCAPE, &text[..text.len() - rest.len()]));
    let Some(c) = rest.next() else {
        return Err(Refused::new("trailing backslash at end of expression", ""));
    };
    let after = rest.as_str();
    let code = match c {
        'x' => return hexadecimal(text, after),
        '0' => return Ok(octal(0, after)),
        '1'..='7' if after.starts_with(|c| matches!(c, '0'..='7')) => {
            return Ok(octal(u32::from(c) - u32::from('0'), after));
        }
        'a' => 0x07,
        'f' => 0x0c,
        'n' => 0x0a,
        'r' => 0x0d,
        't' => 0x09,
        'v' => 0x0b,
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => u32::from(c),
        _ => return refuse(after),
    };
    Ok((code, after))
}

/// Up to two more octal digits.
fn octal(first: u32, text: &str) -> (u32, &str) {
    let digits = text.bytes().take(2).take_while(|b| matches!(b, b'0'..=b'7')).count();
    let code = text[..digits].bytes().fold(first, |code, b| code * 8 + u32::from(b - b'0'));
    (code, &text[digits..])
}

/// `\xHH` or `\x{H…}`; `text` starts at the backslash, `after` behind the `x`.
fn hexadecimal<'a>(text: &str, after: &'a str) -> Result<(u32, &'a str), Refused> {
    let refuse = |rest: &str| Refused::new(BAD_ESCAPE, &text[..text.len() - rest.len()]);
    let mut rest = after.chars();
    let Some(inner) = after.strip_prefix('{') else {
        let digits = [rest.next(), rest.next()].map(|c| c.and_then(|c| c.to_digit(16)));
        return match digits {
            [Some(high), Some(low)] => Ok((high * 16 + low, rest.as_str())),
            _ => Err(refuse(rest.as_str())),
        };
    };
    let mut rest = inner.chars();
    let mut code = None;
    loop {
        let next = rest.next();
        if next == Some('}') {
            return code.map(|code| (code, rest.as_str())).ok_or_else(|| refuse(rest.as_str()));
        }
        let digit = next.and_then(|c| c.to_digit(16)).ok_or_else(|| refuse(rest.as_str()))?;
        let more = code.unwrap_or(0) * 16 + digit;
        if more > u32::from(char::MAX) {
            return Err(refuse(rest.as_str()));
        }
        code = Some(more);
    }
}

/// Reads a class at its opening bracket; hands back the crate's spelling and the text after it.
pub(super) fn bracketed(text: &str) -> Result<(Class, &str), Refused> {
    let inner = &text[1..];
    let (negated, mut rest) = inner.strip_prefix('^').map_or((false, inner), |rest| (true, rest));
    let mut items = Class::small("");
    let mut first = true;
    while first || !rest.starts_with(']') {
        first = false;
        let (item, after) = item(rest, text)?;
        items.written.push_str(&item.written);
        items.codes = items.codes.saturating_add(item.codes);
        rest = after;
    }
    let Class { written: items, codes } = items;
    let written = match (items.is_empty(), negated) {
        (true, false) => NOTHING.to_owned(),
        (true, true) => EVERYTHING.to_owned(),
        (false, false) => format!("[{items}]"),
        (false, true) => format!("[^{items}]"),
    };
    Ok((Class { written, codes }, &rest[1..]))
}

/// Reads a named class, an escaped class, a character or a range; `whole` starts at the opening bracket.
fn item<'a>(text: &'a str, whole: &str) -> Result<(Class, &'a str), Refused> {
    if let Some(found) = posix(text)? {
        return Ok(found);
    }
    if let Some(found) = unicode(text)? {
        return Ok(found);
    }
    if let Some((class, rest)) = perl(text) {
        return Ok((Class::small(class), rest));
    }
    let (low, mut rest) = member(text, whole)?;
    let mut high = low;
    if let Some(after) =
        rest.strip_prefix('-').filter(|after| !after.is_empty() && !after.starts_with(']'))
    {
        (high, rest) = member(after, whole)?;
        if high < low {
            return Err(Refused::new(BAD_RANGE, &text[..text.len() - rest.len()]));
        }
    }
    Ok((range(low, high), rest))
}

/// A range without the codes that are no characters.
fn range(low: u32, high: u32) -> Class {
    let low = if char::from_u32(low).is_some() { low } else { 0xE000 };
    let high = if char::from_u32(high).is_some() { high } else { 0xD7FF };
    match high.checked_sub(low) {
        None => Class::small(""),
        Some(further) => Class {
            written: format!(r"\x{{{low:X}}}-\x{{{high:X}}}"),
            codes: usize::try_from(further).unwrap_or(CODES),
        },
    }
}

fn member<'a>(text: &'a str, whole: &str) -> Result<(u32, &'a str), Refused> {
    match text.chars().next() {
        None => Err(Refused::new(OPEN_CLASS, whole)),
        Some('\\') => code(text),
        Some(c) => Ok((c.into(), &text[c.len_utf8()..])),
    }
}

/// `[:name:]` or `[:^name:]`.
fn posix(text: &str) -> Result<Option<(Class, &str)>, Refused> {
    const NAMES: [&str; 14] = [
        "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
        "space", "upper", "word", "xdigit",
    ];
    let Some(length) = text.strip_prefix("[:").and_then(|inner| inner.find(":]")) else {
        return Ok(None);
    };
    let (whole, rest) = text.split_at(length + 4);
    let name = &whole[2..whole.len() - 2];
    if NAMES.contains(&name.strip_prefix('^').unwrap_or(name)) {
        Ok(Some((Class::small(whole), rest)))
    } else {
        Err(Refused::new(BAD_RANGE, whole))
    }
}
