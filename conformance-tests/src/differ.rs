//! Two answers to the same request: are they equal, save for what may vary from run to run?

use crate::{
    http::Answer,
    json::Json,
    ties::{Source, Ties, sort_key},
};

/// Headers that speak of the connection or the clock, not of the answer.
const HEADERS_FREE: &[&str] = &["date", "content-length", "transfer-encoding", "connection", "age"];
/// JSON members whose numbers are indexes.
const INDEX_KEYS: &[&str] = &["CreateIndex", "ModifyIndex"];
/// JSON members and headers that clients take as opaque.
const OPAQUE_KEYS: &[&str] =
    &["ContentHash", "Hash", "X-Consul-Contenthash", "X-Consul-ContentHash"];

/// One place in which two answers differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// `status`, `header X` or a place in the body.
    pub place: String,
    /// What stands on the left; empty when nothing.
    pub left: String,
    /// What stands on the right; empty when nothing.
    pub right: String,
}

/// How an answer is compared, from the `~` lines of an exchange.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Places (`status`, `body`, `header X`, `/a/*/b`) that are not looked at.
    pub ignored: Vec<String>,
    /// Lists are compared as sets.
    pub unordered: bool,
    /// Only names and sorts of JSON values count.
    pub shape: bool,
    /// More on the right is no difference (for open sets such as debug listings).
    pub at_least: bool,
}

impl Rules {
    /// Reads `~` lines: `ignore PLACE`, `unordered`, `shape`, `at least`.
    ///
    /// # Errors
    /// The line that is none of these.
    pub fn parse(lines: &[String]) -> Result<Self, String> {
        let mut rules = Self::default();
        for line in lines {
            match line.split_once(' ') {
                Some(("ignore", place)) => rules.ignored.push(place.to_owned()),
                Some(("at", "least")) => rules.at_least = true,
                Some(("differs", _)) => {}
                None if line == "unordered" => rules.unordered = true,
                None if line == "shape" => rules.shape = true,
                _ => return Err(format!("unknown rule {line:?}")),
            }
        }
        Ok(rules)
    }

    /// The value without what is not looked at: there is no point in recording it.
    #[must_use]
    pub fn pruned(&self, place: &str, value: &Json) -> Json {
        match value {
            Json::Object(members) => {
                let at = |key: &str| format!("{place}/{key}");
                let kept = members.iter().filter(|(key, _)| !self.ignores(&at(key)));
                Json::Object(kept.map(|(key, v)| (key.clone(), self.pruned(&at(key), v))).collect())
            }
            Json::List(items) => {
                let each = items.iter().enumerate();
                Json::List(each.map(|(n, v)| self.pruned(&format!("{place}/{n}"), v)).collect())
            }
            plain => plain.clone(),
        }
    }

    /// Whether that place is not looked at.
    #[must_use]
    pub fn ignores(&self, place: &str) -> bool {
        self.ignored.iter().any(|pattern| matches(pattern, place))
    }
}

/// Whether `/a/*/b` means `/a/7/b`.
fn matches(pattern: &str, place: &str) -> bool {
    let mut steps = place.split('/');
    let all =
        pattern.split('/').all(|want| steps.next().is_some_and(|have| want == "*" || want == have));
    all && steps.next().is_none()
}

/// All places in which they differ; empty when they are equal.
#[must_use]
pub fn compare(left: &Answer, right: &Answer, ties: &mut Ties, rules: &Rules) -> Vec<Difference> {
    let mut found = Vec::new();
    if left.status != right.status && !rules.ignores("status") {
        found.push(difference("status", &left.status.to_string(), &right.status.to_string()));
    }
    compare_headers(left, right, ties, rules, &mut found);
    compare_bodies(left, right, ties, rules, &mut found);
    found
}

fn difference(place: &str, left: &str, right: &str) -> Difference {
    Difference { place: place.to_owned(), left: left.to_owned(), right: right.to_owned() }
}

// === headers ===

fn compare_headers(
    left: &Answer,
    right: &Answer,
    ties: &mut Ties,
    rules: &Rules,
    found: &mut Vec<Difference>,
) {
    let names = left.headers.iter().chain(&right.headers).map(|(name, _)| name);
    let mut names: Vec<&String> = names.collect();
    names.sort();
    names.dedup();
    for name in names {
        let place = format!("header {name}");
        if HEADERS_FREE.contains(&name.to_lowercase().as_str()) || rules.ignores(&place) {
            continue;
        }
        let (l, r) = (exact(left, name), exact(right, name));
        let equal = match (&l[..], &r[..]) {
            ([l], [r]) if name == "X-Consul-Index" => index_text(l, r, ties, Source::Answer),
            ([l], [r]) if OPAQUE_KEYS.contains(&name.as_str()) => ties.word(l, r),
            ([l], [r]) => ties.text(l, r),
            (l, r) => l == r,
        };
        if !equal {
            found.push(difference(&place, &l.join(", "), &r.join(", ")));
        }
    }
}

/// The values of a header whose name is spelled exactly so.
fn exact<'a>(answer: &'a Answer, name: &str) -> Vec<&'a str> {
    answer.headers.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str()).collect()
}

fn index_text(left: &str, right: &str, ties: &mut Ties, source: Source) -> bool {
    match (left.parse(), right.parse()) {
        (Ok(l), Ok(r)) => ties.index(l, r, source),
        _ => left == right,
    }
}

// === bodies ===

fn compare_bodies(
    left: &Answer,
    right: &Answer,
    ties: &mut Ties,
    rules: &Rules,
    found: &mut Vec<Difference>,
) {
    if rules.ignores("body") {
        return;
    }
    let (l, r) = (left.text(), right.text());
    match (Json::parse(&l), Json::parse(&r)) {
        (Some(left), Some(right)) => {
            let before = found.len();
            Walk { ties, rules, found }.value("", &left, &right);
            let spaced = space_of(&l) != space_of(&r) && !rules.shape && !rules.at_least;
            if spaced && found.len() == before {
                found.push(difference("body white space", &l, &r));
            }
        }
        _ if rules.shape && l.is_empty() == r.is_empty() => {}
        _ if ties.text(&l, &r) => {}
        _ => found.push(difference("body", &l, &r)),
    }
}

/// How a JSON text is laid out: compact, indented, with a final newline.
fn space_of(text: &str) -> (bool, bool) {
    (text.trim_end().contains("\n    "), text.ends_with('\n'))
}

struct Walk<'a> {
    ties: &'a mut Ties,
    rules: &'a Rules,
    found: &'a mut Vec<Difference>,
}

impl Walk<'_> {
    fn value(&mut self, place: &str, left: &Json, right: &Json) {
        if self.rules.ignores(place) {
            return;
        }
        match (left, right) {
            (Json::Object(l), Json::Object(r)) => self.object(place, l, r),
            (Json::List(l), Json::List(r)) => self.list(place, l, r),
            _ if self.rules.shape => {
                if left.sort() != right.sort() {
                    self.differ(place, left.sort(), right.sort());
                }
            }
            (Json::Text(l), Json::Text(r)) => {
                let equal = match place.rsplit('/').next() {
                    Some(key) if OPAQUE_KEYS.contains(&key) => self.ties.word(l, r),
                    _ => self.ties.text(l, r),
                };
                if !equal {
                    self.differ(place, l, r);
                }
            }
            (Json::Number(l), Json::Number(r)) if is_index(place) => {
                if !index_text(l, r, self.ties, Source::Row) {
                    self.differ(place, l, r);
                }
            }
            _ if left == right => {}
            _ => self.differ(place, &left.to_string(), &right.to_string()),
        }
    }

    fn object(&mut self, place: &str, left: &[(String, Json)], right: &[(String, Json)]) {
        for (key, value) in left {
            match right.iter().find(|(k, _)| k == key) {
                Some((_, other)) => self.value(&format!("{place}/{key}"), value, other),
                None if self.rules.ignores(&format!("{place}/{key}")) => {}
                None => self.differ(&format!("{place}/{key}"), &value.to_string(), ""),
            }
        }
        for (key, value) in right.iter().filter(|_| !self.rules.at_least) {
            let there = left.iter().any(|(k, _)| k == key);
            if !there && !self.rules.ignores(&format!("{place}/{key}")) {
                self.differ(&format!("{place}/{key}"), "", &value.to_string());
            }
        }
        let keys =
            |members: &[(String, Json)]| members.iter().map(|(k, _)| k.clone()).collect::<Vec<_>>();
        let (l, r) = (keys(left), keys(right));
        let same_set = l.len() == r.len() && l.iter().all(|key| r.contains(key));
        if same_set && l != r && !self.rules.shape {
            self.differ(&format!("{place} key order"), &l.join(","), &r.join(","));
        }
    }

    fn list(&mut self, place: &str, left: &[Json], right: &[Json]) {
        if self.rules.shape {
            if let (Some(l), Some(r)) = (left.first(), right.first()) {
                self.value(&format!("{place}/0"), l, r);
            }
            return;
        }
        if left.len() != right.len() {
            let print = |items: &[Json]| Json::List(items.to_vec()).to_string();
            self.differ(&format!("{place} length"), &print(left), &print(right));
            return;
        }
        let sorted = |items: &[Json]| {
            let mut items: Vec<Json> = items.to_vec();
            if self.rules.unordered {
                items.sort_by_key(|item| sort_key(&item.to_string()));
            }
            items
        };
        for (n, (l, r)) in sorted(left).iter().zip(&sorted(right)).enumerate() {
            self.value(&format!("{place}/{n}"), l, r);
        }
    }

    fn differ(&mut self, place: &str, left: &str, right: &str) {
        let place = if place.is_empty() { "body" } else { place };
        if !self.rules.ignores(place) {
            self.found.push(difference(place, left, right));
        }
    }
}

fn is_index(place: &str) -> bool {
    place.rsplit('/').next().is_some_and(|key| INDEX_KEYS.contains(&key))
}

#[cfg(test)]
mod tests {
    use super::{Rules, compare};
    use crate::{http::Answer, ties::Ties};

    fn check(rules: &[&str], left: &str, right: &str, places: &[&str]) {
        let answer = |body: &str| Answer { status: 200, headers: vec![], body: body.into() };
        let lines: Vec<String> = rules.iter().map(|&r| r.to_owned()).collect();
        let rules = Rules::parse(&lines).unwrap();
        let found = compare(&answer(left), &answer(right), &mut Ties::default(), &rules);
        assert_eq!(found.iter().map(|d| d.place.as_str()).collect::<Vec<_>>(), places);
    }

    #[test]
    fn bodies() {
        check(&[], r#"{"a":1}"#, r#"{"a":1}"#, &[]);
        check(&[], r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#, &[" key order"]);
        check(&[], "[]", "null", &["body"]);
        check(&[], "[1,2]", "[2,1]", &["/0", "/1"]);
        check(&["unordered"], "[1,2]", "[2,1]", &[]);
        check(&["ignore /*/a"], r#"[{"a":1}]"#, r#"[{"a":2}]"#, &[]);
        check(&["shape"], r#"{"a":"x"}"#, r#"{"a":"y"}"#, &[]);
        check(&["shape"], r#"{"a":"x"}"#, r#"{"a":1}"#, &["/a"]);
        check(&[], r#"{"ModifyIndex":20}"#, r#"{"ModifyIndex":33}"#, &[]);
        check(&[], "{\n    \"a\": 1\n}", r#"{"a":1}"#, &["body white space"]);
        check(&[], "a\n", "a", &["body"]);
    }
}
