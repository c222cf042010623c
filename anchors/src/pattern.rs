//! Go's regular expressions, told to the `regex` crate.
//!
//! Both are RE2 in spirit, so what is left is spelling: Go's `\d`, `\w`, `\s` and `\b` know ASCII only, a `{` that starts no
//! repetition is a character, a class knows no set operations, and each refusal has its own words. A `Translator` reads a
//! pattern as Go does, refuses what Go refuses, and writes every atom in a form that has one meaning for the crate.

mod class;

use std::fmt;

use regex::{Regex, RegexBuilder};

use self::class::{Class, Escape};

/// Groups deeper than this are refused. Go stops at 1000; the crate compiles groups by recursion and stops at this by default.
pub const GROUPS_MAX: usize = 250;

/// No repetition, nested ones multiplied, may ask for more copies than this: Go's own limit.
const COPIES_MAX: usize = 1000;

/// Why a pattern is refused: Go's reason and the part of the pattern that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    reason: &'static str,
    about: String,
}

impl Refused {
    fn new(reason: &'static str, about: &str) -> Self {
        Self { reason, about: about.to_owned() }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error parsing regexp: {}: `{}`", self.reason, self.about)
    }
}

/// The classes in the patterns of an expression may together hold this many characters, 64 times all there are: to fold the
/// case of a class, the crate visits each of its characters. A Unicode class counts as all there are.
pub const CLASS_CODES_MAX: usize = 64 * class::CODES;

const TOO_LARGE: &str = "expression too large";

/// What patterns may still cost.
#[derive(Debug)]
pub struct Allowance {
    /// How many bytes of memory each may take.
    pub bytes: usize,
    /// How many characters the classes of those still to come may hold together.
    pub codes: usize,
}

/// Compiles a pattern within the allowance, and takes from that what it costs.
///
/// # Errors
/// [`Refused`] with Go's words.
pub fn compile(pattern: &str, allowance: &mut Allowance) -> Result<Regex, Refused> {
    build(pattern, allowance, UNTOLD)
}

/// How a group begins whose match nobody asks for.
const UNTOLD: &str = "(?:";

fn build(pattern: &str, allowance: &mut Allowance, group: &'static str) -> Result<Regex, Refused> {
    let translated = Translator::new(pattern, allowance, group).translate()?;
    RegexBuilder::new(&translated)
        .size_limit(allowance.bytes)
        .build()
        .map_err(|_| Refused::new(TOO_LARGE, pattern))
}

/// A pattern that stands alone may take this much memory, in bytes.
const ALONE_BYTES_MAX: usize = 1024 * 1024;

/// Compiles a pattern that shares its allowance with no other, and whose groups tell what they matched.
///
/// # Errors
/// [`Refused`] with Go's words.
pub fn compile_alone(pattern: &str) -> Result<Regex, Refused> {
    build(pattern, &mut Allowance { bytes: ALONE_BYTES_MAX, codes: CLASS_CODES_MAX }, "(")
}

struct Translator<'a> {
    allowance: &'a mut Allowance,
    /// How a group begins.
    group: &'static str,
    pattern: &'a str,
    rest: &'a str,
    written: String,
    /// Flags to write before the next atom: a repetition between them and it is still that of the atom before.
    flags: String,
    /// The branches that are open: the pattern itself and the groups around the place reached.
    open: Vec<Branch>,
    /// The text from the last repetition on, when nothing stands between it and the place reached.
    repeated: Option<&'a str>,
}

/// What is known of the current branch of a group.
#[derive(Default)]
struct Branch {
    /// How many copies the last atom makes of something in it; none when there is nothing to repeat.
    last: Option<usize>,
    /// The most copies that any atom of the group makes.
    most: usize,
}

impl Branch {
    fn atom(&mut self, copies: usize) {
        self.last = Some(copies);
        self.most = self.most.max(copies);
    }
}

impl<'a> Translator<'a> {
    fn new(pattern: &'a str, allowance: &'a mut Allowance, group: &'static str) -> Self {
        let written = String::with_capacity(pattern.len() * 2);
        let open = vec![Branch::default()];
        Self {
            allowance,
            group,
            pattern,
            rest: pattern,
            written,
            flags: String::new(),
            open,
            repeated: None,
        }
    }

    fn translate(mut self) -> Result<String, Refused> {
        while let Some(c) = self.rest.chars().next() {
            let repeated = self.repeated.take();
            match c {
                '(' => self.group()?,
                ')' => self.close()?,
                '|' => {
                    self.take(1);
                    self.write("|");
                    self.branch().last = None;
                }
                '*' | '+' | '?' => {
                    let after = &self.rest[1..];
                    self.repetition(after, None, repeated)?;
                }
                '{' => self.counted(repeated)?,
                '^' | '$' | '.' => {
                    let atom = self.take(1);
                    self.atom(atom);
                }
                '[' => {
                    let (class, rest) = class::bracketed(self.rest)?;
                    self.rest = rest;
                    self.class(&class)?;
                }
                '\\' => self.escaped()?,
                c => {
                    self.take(c.len_utf8());
                    self.atom(&class::literal(c.into()));
                }
            }
        }
        if self.open.len() > 1 {
            return Err(Refused::new("missing closing )", self.pattern));
        }
        Ok(self.written)
    }

    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }

    fn branch(&mut self) -> &mut Branch {
        self.open.last_mut().expect("the pattern itself is never closed")
    }

    fn write(&mut self, text: &str) {
        self.written.push_str(&std::mem::take(&mut self.flags));
        self.written.push_str(text);
    }

    fn atom(&mut self, written: &str) {
        self.write(written);
        self.branch().atom(1);
    }
}

// === classes ===

impl Translator<'_> {
    fn class(&mut self, class: &Class) -> Result<(), Refused> {
        let left = self.allowance.codes.checked_sub(class.codes);
        self.allowance.codes = left.ok_or_else(|| Refused::new(TOO_LARGE, self.pattern))?;
        self.atom(&class.written);
        Ok(())
    }
}

// === groups ===

impl<'a> Translator<'a> {
    fn group(&mut self) -> Result<(), Refused> {
        let opening = if self.rest.starts_with("(?") {
            match self.named()? {
                Some(opening) => opening,
                None => return self.flags(),
            }
        } else {
            self.take(1);
            self.group.to_owned()
        };
        self.enter(&opening)
    }

    fn enter(&mut self, opening: &str) -> Result<(), Refused> {
        if self.open.len() > GROUPS_MAX {
            return Err(Refused::new("expression nests too deeply", self.pattern));
        }
        self.write(opening);
        self.open.push(Branch::default());
        Ok(())
    }

    fn close(&mut self) -> Result<(), Refused> {
        if self.open.len() == 1 {
            return Err(Refused::new("unexpected )", self.pattern));
        }
        let copies = self.open.pop().map_or(1, |group| group.most.max(1));
        self.take(1);
        self.write(")");
        self.branch().atom(copies);
        Ok(())
    }

    /// A named group; nothing here asks for groups by name, so that is only judged.
    fn named(&mut self) -> Result<Option<String>, Refused> {
        const REASON: &str = "invalid named capture";
        let prefix = match self.rest.strip_prefix("(?") {
            Some(after) if after.starts_with("P<") && after.len() > 2 => 4,
            Some(after) if after.starts_with('<') && after.len() > 1 => 3,
            _ => return Ok(None),
        };
        let Some(end) = self.rest.find('>') else {
            return Err(Refused::new(REASON, self.rest));
        };
        let name = &self.rest[prefix..end];
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(Refused::new(REASON, &self.rest[..=end]));
        }
        self.take(end + 1);
        Ok(Some(self.group.to_owned()))
    }

    /// `(?flags)`, `(?flags:` and both with flags taken back after a minus.
    fn flags(&mut self) -> Result<(), Refused> {
        let start = self.rest;
        self.take(2);
        let mut flags = String::new();
        while let Some(c) = self.rest.chars().next() {
            self.take(c.len_utf8());
            match c {
                'i' | 'm' | 's' | 'U' => flags.push(c),
                '-' if !flags.contains('-') => flags.push(c),
                ':' | ')' if !flags.ends_with('-') => return self.flagged(&flags, c),
                _ => break,
            }
        }
        let read = &start[..start.len() - self.rest.len()];
        Err(Refused::new("invalid or unsupported Perl syntax", read))
    }

    fn flagged(&mut self, flags: &str, end: char) -> Result<(), Refused> {
        let flags = distinct(flags);
        if end == ':' {
            return self.enter(&format!("(?{flags}:"));
        }
        if !flags.is_empty() {
            self.flags.push_str(&format!("(?{flags})"));
        }
        Ok(())
    }
}

/// The flags, each once: the crate refuses to be told twice. What is taken back was never set.
fn distinct(flags: &str) -> String {
    let (set, unset) = flags.split_once('-').unwrap_or((flags, ""));
    let once = |flags: &str, but: &str| -> String {
        "imsU".chars().filter(|c| flags.contains(*c) && !but.contains(*c)).collect()
    };
    let (set, unset) = (once(set, unset), once(unset, ""));
    if unset.is_empty() { set } else { format!("{set}-{unset}") }
}

// === repetitions ===

impl<'a> Translator<'a> {
    /// `{n}`, `{n,}` or `{n,m}`; anything else is a plain brace.
    fn counted(&mut self, repeated: Option<&'a str>) -> Result<(), Refused> {
        let Some((min, max, after)) = counts(self.rest) else {
            self.take(1);
            self.atom(&class::literal('{'.into()));
            return Ok(());
        };
        let too_many = min > COPIES_MAX || max.is_some_and(|max| max > COPIES_MAX || min > max);
        if too_many {
            return Err(self.bad_count(after));
        }
        self.repetition(after, Some((min, max)), repeated)
    }

    fn bad_count(&self, after: &str) -> Refused {
        let text = &self.rest[..self.rest.len() - after.len()];
        Refused::new("invalid repeat count", text)
    }

    /// Repeats the last atom by what stands between here and `after`, with an optional `?` after that.
    fn repetition(
        &mut self,
        after: &'a str,
        counts: Option<(usize, Option<usize>)>,
        repeated: Option<&'a str>,
    ) -> Result<(), Refused> {
        let start = self.rest;
        let after = after.strip_prefix('?').unwrap_or(after);
        if let Some(repeated) = repeated {
            let text = &repeated[..repeated.len() - after.len()];
            return Err(Refused::new("invalid nested repetition operator", text));
        }
        let text = &start[..start.len() - after.len()];
        let Some(inner) = self.branch().last else {
            return Err(Refused::new("missing argument to repetition operator", text));
        };
        let copies = match counts {
            None => inner,
            Some((min, max)) => max.unwrap_or(min) * inner,
        };
        let counted_up = counts.is_some_and(|(min, max)| min >= 2 || max.is_some_and(|m| m >= 2));
        if counted_up && copies > COPIES_MAX {
            return Err(self.bad_count(after));
        }
        // A question mark right after another repetition, with only flags between them in Go, would make that one lazy here.
        match text.strip_prefix('?') {
            Some(lazy) => self.written.extend(["{0,1}", lazy]),
            None => self.written.push_str(text),
        }
        self.rest = after;
        self.branch().atom(copies);
        self.repeated = Some(start);
        Ok(())
    }
}

/// The counts of a repetition in braces, and what follows it.
fn counts(text: &str) -> Option<(usize, Option<usize>, &str)> {
    let (min, rest) = count(text.strip_prefix('{')?)?;
    let (max, rest) = match rest.strip_prefix(',') {
        None => (Some(min), rest),
        Some(rest) if rest.starts_with('}') => (None, rest),
        Some(rest) => count(rest).map(|(max, rest)| (Some(max), rest))?,
    };
    Some((min, max, rest.strip_prefix('}')?))
}

/// A number without leading zeros, and what follows it.
fn count(text: &str) -> Option<(usize, &str)> {
    let length = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at(length);
    if digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    // What does not fit is beyond every limit.
    Some((digits.parse().unwrap_or(usize::MAX), rest))
}

// === escapes ===

impl Translator<'_> {
    fn escaped(&mut self) -> Result<(), Refused> {
        if let Some(quoted) = self.rest.strip_prefix(r"\Q") {
            self.quoted(quoted);
            return Ok(());
        }
        for (go, crates) in [(r"\A", r"\A"), (r"\z", r"\z"), (r"\b", r"(?-u:\b)")] {
            if self.rest.starts_with(go) {
                self.take(go.len());
                self.atom(crates);
                return Ok(());
            }
        }
        if self.rest.starts_with(r"\B") {
            self.take(2);
            self.atom(class::NO_BOUNDARY);
            return Ok(());
        }
        let (escape, rest) = class::escape(self.rest)?;
        self.rest = rest;
        match escape {
            Escape::Class(class) => self.class(&class),
            Escape::Code(code) => {
                self.atom(&class::literal(code));
                Ok(())
            }
        }
    }

    /// `\Q` makes characters of everything up to `\E` or the end.
    fn quoted(&mut self, text: &str) {
        let length = text.find(r"\E").unwrap_or(text.len());
        for c in text[..length].chars() {
            self.atom(&class::literal(c.into()));
        }
        let skipped = 2 + length;
        let closed = if text.len() > length { 2 } else { 0 };
        self.take(skipped + closed);
    }
}

#[cfg(test)]
mod tests {
    use super::compile_alone;

    #[test]
    fn groups_tell_what_they_matched() {
        let pattern = compile_alone("^(.+?)-(?P<rest>(?:v)\\d+)(x)?$").unwrap();
        let captures = pattern.captures("web-v12").unwrap();
        let told: Vec<&str> =
            captures.iter().map(|group| group.map_or("", |group| group.as_str())).collect();
        assert_eq!(told, ["web-v12", "web", "v12", ""]);
    }
}
