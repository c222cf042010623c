//! The query string, as Go's `url.ParseQuery` reads it.

use crate::go::text::lossy;
use crate::limits::PARAMS_MAX;

/// Names and values in the order in which they came.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Params(Vec<(String, String)>);

/// A bad percent escape, a semicolon or too many parameters.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Reads a query string.
pub(crate) fn read(raw: &str) -> Result<Params, Malformed> {
    if raw.bytes().filter(|byte| *byte == b'&').count() >= PARAMS_MAX {
        return Err(Malformed);
    }
    let mut pairs = Vec::new();
    for part in raw.split('&').filter(|part| !part.is_empty()) {
        if part.contains(';') {
            return Err(Malformed);
        }
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        pairs.push((decode(name)?, decode(value)?));
    }
    Ok(Params(pairs))
}

/// A text without its escapes.
pub(crate) fn decode(text: &str) -> Result<String, Malformed> {
    if !text.contains(['%', '+']) {
        return Ok(text.to_owned());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => hex(bytes.next())
                .zip(hex(bytes.next()))
                .map(|(high, low)| high * 16 + low)
                .ok_or(Malformed)?,
            _ => byte,
        });
    }
    Ok(lossy(&out))
}

fn hex(digit: Option<u8>) -> Option<u8> {
    char::from(digit?).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

// === impl Params ===

impl Params {
    /// Whether the name was given, with or without a value.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(have, _)| have == name)
    }

    /// The first value of a name; empty when it was not given.
    pub(crate) fn first(&self, name: &str) -> &str {
        self.0.iter().find(|(have, _)| have == name).map_or("", |(_, value)| value)
    }

    /// The first value of a name that was given.
    pub(crate) fn given(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    /// All values of a name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    /// All names with their values, as they were given.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The names in order, escaped again, as Go's `Values.Encode` prints them.
    pub(crate) fn encode(&self) -> String {
        self.encode_without(&[])
    }

    /// The same without some of them.
    pub(crate) fn encode_without(&self, left_out: &[&str]) -> String {
        let kept = self.0.iter().filter(|(name, _)| !left_out.contains(&name.as_str()));
        let mut pairs: Vec<&(String, String)> = kept.collect();
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        let shown: Vec<String> = pairs
            .into_iter()
            .map(|(name, value)| format!("{}={}", escape(name), escape(value)))
            .collect();
        shown.join("&")
    }
}

fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            b' ' => "+".to_owned(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read() {
        let params = read("a=1&b&a=2&c=x+y%26&&d=%C3%A9").unwrap();
        assert_eq!(params.all("a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!((params.first("b"), params.has("b"), params.has("z")), ("", true, false));
        assert_eq!((params.first("c"), params.first("d")), ("x y&", "é"));
        assert_eq!(params.encode(), "a=1&a=2&b=&c=x+y%26&d=%C3%A9");
        for bad in ["a=%zz", "a;b=1", "%2", "a=%"] {
            assert_eq!(read(bad), Err(Malformed), "{bad}");
        }
    }
}
