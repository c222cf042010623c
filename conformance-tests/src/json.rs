//! JSON as it was written: key order, number spelling and string escapes are kept, because they are part of what is compared.

use std::fmt;

/// One JSON value, spelled as in its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// The digits as written.
    Number(String),
    /// What stands between the quotes, escapes untouched.
    Text(String),
    /// A list.
    List(Vec<Self>),
    /// Members in the order of the source; doubled keys stay doubled.
    Object(Vec<(String, Self)>),
}

/// Deeper texts are not ours: the recorded answers stay below ten.
const DEPTH_MAX: usize = 64;

impl Json {
    /// Reads exactly one value with nothing but white space around it.
    #[must_use]
    pub fn parse(source: &str) -> Option<Self> {
        let mut reader = Reader { rest: source };
        let value = reader.value(0)?;
        reader.space();
        reader.rest.is_empty().then_some(value)
    }

    /// The member of an object.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    /// Follows `/a/0/b`.
    #[must_use]
    pub fn at(&self, pointer: &str) -> Option<&Self> {
        pointer.split('/').filter(|step| !step.is_empty()).try_fold(self, |here, step| match here {
            Self::List(items) => items.get(step.parse::<usize>().ok()?),
            _ => here.get(step),
        })
    }

    /// The text of a string or number; empty for the rest.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Number(text) => text,
            _ => "",
        }
    }

    /// The items of a list; none for the rest.
    #[must_use]
    pub fn items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    /// The members of an object; none for the rest.
    #[must_use]
    pub fn members(&self) -> &[(String, Self)] {
        match self {
            Self::Object(members) => members,
            _ => &[],
        }
    }

    /// What sort of value it is, for comparing shapes.
    #[must_use]
    pub fn sort(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Number(_) => "number",
            Self::Text(_) => "string",
            Self::List(_) => "list",
            Self::Object(_) => "object",
        }
    }
}

impl fmt::Display for Json {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => out.write_str("null"),
            Self::Bool(value) => write!(out, "{value}"),
            Self::Number(digits) => out.write_str(digits),
            Self::Text(text) => write!(out, "\"{text}\""),
            Self::List(items) => {
                for (n, item) in items.iter().enumerate() {
                    write!(out, "{}{item}", if n == 0 { '[' } else { ',' })?;
                }
                out.write_str(if items.is_empty() { "[]" } else { "]" })
            }
            Self::Object(members) => {
                for (n, (key, value)) in members.iter().enumerate() {
                    write!(out, "{}\"{key}\":{value}", if n == 0 { '{' } else { ',' })?;
                }
                out.write_str(if members.is_empty() { "{}" } else { "}" })
            }
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
    }

    fn eat(&mut self, token: &str) -> bool {
        self.space();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self, depth: usize) -> Option<Json> {
        if depth > DEPTH_MAX {
            return None;
        }
        self.space();
        match self.rest.bytes().next()? {
            b'{' => self.object(depth),
            b'[' => self.list(depth),
            b'"' => self.string().map(Json::Text),
            b'n' => self.eat("null").then_some(Json::Null),
            b't' => self.eat("true").then_some(Json::Bool(true)),
            b'f' => self.eat("false").then_some(Json::Bool(false)),
            _ => self.number(),
        }
    }

    fn object(&mut self, depth: usize) -> Option<Json> {
        let mut members = Vec::new();
        self.eat("{");
        if self.eat("}") {
            return Some(Json::Object(members));
        }
        loop {
            self.space();
            let key = self.string()?;
            if !self.eat(":") {
                return None;
            }
            members.push((key, self.value(depth + 1)?));
            if self.eat("}") {
                return Some(Json::Object(members));
            }
            if !self.eat(",") {
                return None;
            }
        }
    }

    fn list(&mut self, depth: usize) -> Option<Json> {
        let mut items = Vec::new();
        self.eat("[");
        if self.eat("]") {
            return Some(Json::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.eat("]") {
                return Some(Json::List(items));
            }
            if !self.eat(",") {
                return None;
            }
        }
    }

    fn string(&mut self) -> Option<String> {
        let inner = self.rest.strip_prefix('"')?;
        let mut escaped = false;
        for (at, letter) in inner.char_indices() {
            match letter {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => {
                    self.rest = &inner[at + 1..];
                    return Some(inner[..at].to_owned());
                }
                _ => {}
            }
        }
        None
    }

    fn number(&mut self) -> Option<Json> {
        let end = self
            .rest
            .find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E'))
            .unwrap_or(self.rest.len());
        let digits = &self.rest[..end];
        digits.parse::<f64>().ok()?;
        self.rest = &self.rest[end..];
        Some(Json::Number(digits.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::Json;

    #[test]
    fn what_was_read_is_printed_again() {
        for text in ["null", "[]", "{}", r#"{"b":[1,2.50,-3e1],"a":"x\"\u003cé"}"#, "[true,false]"]
        {
            assert_eq!(Json::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn half_a_value_is_none() {
        for text in ["", "{", "[1", "\"a", "{\"a\"}", "1 2", "nul", "[1,]"] {
            assert_eq!(Json::parse(text), None, "{text}");
        }
    }

    #[test]
    fn pointers_are_followed() {
        let json = Json::parse(r#"[{"ID":"x"}]"#).unwrap();
        assert_eq!(json.at("/0/ID").unwrap().text(), "x");
        assert_eq!(json.at("/1/ID"), None);
    }
}
