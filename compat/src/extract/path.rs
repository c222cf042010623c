//! Paths of requests: cleaned and matched as Go's `ServeMux` does, taken apart as Consul's handlers do.

use crate::go::text::{lossy, printable};

/// A path that was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A bad percent escape.
    Malformed,
    /// It should be asked for under this, still escaped, path.
    Elsewhere(String),
    /// As it can be looked up.
    Here(Path),
}

/// A clean path in two forms.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Path {
    /// Decoded: what handlers cut their arguments from.
    pub(crate) decoded: String,
    /// As routes are matched: decoded, but with `%2F` kept apart from a real slash. `None` where both are the same.
    matched: Option<String>,
}

/// Stands for `%2F` while routes are matched: no route contains it.
const ESCAPED_SLASH: u8 = 0;

/// Reads the raw path of a request line.
pub(crate) fn read(raw: &str) -> Asked {
    let clean = clean(raw);
    if clean.as_deref().is_some_and(|clean| clean != raw) {
        return Asked::Elsewhere(clean.unwrap_or_default());
    }
    if !raw.contains('%') {
        return Asked::Here(Path { decoded: raw.to_owned(), matched: None });
    }
    let Some(decoded) = decode(raw.as_bytes(), b'/') else { return Asked::Malformed };
    let matched = decode(raw.as_bytes(), ESCAPED_SLASH).map(|bytes| lossy(&bytes));
    Asked::Here(Path { decoded: lossy(&decoded), matched })
}

/// The bytes of a percent-encoded text; nothing when an escape is cut or no hex.
fn decode(text: &[u8], slash: u8) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let high = char::from(*bytes.next()?).to_digit(16)?;
        let low = char::from(*bytes.next()?).to_digit(16)?;
        let value = u8::try_from(high * 16 + low).ok()?;
        out.push(if value == b'/' { slash } else { value });
    }
    Some(out)
}

/// The path without empty, `.` and `..` segments, with its trailing slash. `None` when it is clean already.
fn clean(raw: &str) -> Option<String> {
    let dirty = !raw.starts_with('/') || raw.contains("//") || raw.contains("/.");
    dirty.then(|| {
        let mut kept: Vec<&str> = Vec::new();
        for segment in raw.split('/') {
            match segment {
                "" | "." => {}
                ".." => {
                    kept.pop();
                }
                _ => kept.push(segment),
            }
        }
        let mut path = String::from("/") + &kept.join("/");
        if raw.ends_with('/') && path.len() > 1 {
            path.push('/');
        }
        path
    })
}

/// A key of the KV store as Consul cleans it (`path.Clean`, with one trailing slash kept).
pub(crate) fn clean_key(raw: &str) -> String {
    if raw.is_empty() {
        return String::new();
    }
    let rooted = raw.starts_with('/');
    let mut kept: Vec<&str> = Vec::new();
    for segment in raw.split('/') {
        match segment {
            "" | "." => {}
            ".." if kept.last().is_some_and(|last| *last != "..") => {
                kept.pop();
            }
            ".." if rooted => {}
            _ => kept.push(segment),
        }
    }
    let mut key = if rooted { String::from("/") } else { String::new() } + &kept.join("/");
    if key.is_empty() {
        key.push('.');
    }
    if raw.ends_with('/') && !key.ends_with('/') {
        key.push('/');
    }
    key
}

/// Once more unescaped, as Go's `url.PathUnescape`; nothing when it is not escaped well.
pub(crate) fn unescape(text: &str) -> Option<String> {
    decode(text.as_bytes(), b'/').map(|bytes| lossy(&bytes))
}

// === impl Path ===

impl Path {
    /// The form in which routes are matched.
    pub(crate) fn matched(&self) -> &str {
        self.matched.as_deref().unwrap_or(&self.decoded)
    }

    /// Whether it holds only what Go calls printable.
    pub(crate) fn is_printable(&self) -> bool {
        self.decoded.chars().all(printable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_by_asking_elsewhere() {
        for (raw, clean) in [
            ("/v1//kv/a", "/v1/kv/a"),
            ("/v1/./kv/", "/v1/kv/"),
            ("/v1/x/../kv/a", "/v1/kv/a"),
            ("//", "/"),
            ("/a/..", "/"),
        ] {
            assert_eq!(read(raw), Asked::Elsewhere(clean.into()), "{raw}");
        }
    }

    #[test]
    fn escaped_slashes_are_slashes_to_handlers_only() {
        let Asked::Here(path) = read("/v1/kv/a%2Fb%20c") else { panic!("clean") };
        assert_eq!(path.decoded, "/v1/kv/a/b c");
        assert_eq!(path.matched(), "/v1/kv/a\0b c");
        assert_eq!(read("/v1/kv/%zz"), Asked::Malformed);
        assert_eq!(read("/v1/kv/%2"), Asked::Malformed);
    }

    #[test]
    fn unprintable_paths_are_seen() {
        for (raw, fine) in [
            ("/v1/kv/a%01b", false),
            ("/v1/kv/%C3%A9", true),
            ("/v1/kv/%ff", true),
            ("/v1/kv/%C2%A0", false),
        ] {
            let Asked::Here(path) = read(raw) else { panic!("clean") };
            assert_eq!(path.is_printable(), fine, "{raw}");
        }
    }

    #[test]
    fn keys_are_cleaned_as_consul_cleans_them() {
        let cases = [
            ("", ""),
            ("a//b", "a/b"),
            ("a/../b", "b"),
            ("a/..", "."),
            ("a/", "a/"),
            ("/a", "/a"),
            ("../a", "../a"),
            ("/../a", "/a"),
            ("a/./b//", "a/b/"),
            (".", "."),
            ("/", "/"),
            ("a..b", "a..b"),
        ];
        for (raw, key) in cases {
            assert_eq!(clean_key(raw), key, "{raw}");
        }
    }
}
