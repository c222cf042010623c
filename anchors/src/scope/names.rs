//! Which scope a name is delegated to: the most specific of all that was delegated.

use std::collections::{BTreeMap, HashMap};

use super::NameRange;

/// What follows the beginning that names have in common.
const PREFIX: char = '*';

/// What stands between the first name and the one that is none any more.
const RANGE: &str = "..";

/// Delegated names, each with whom it belongs to: `T`, the greater of two that were given the same.
#[derive(Clone, Debug)]
pub(super) struct Delegated<T> {
    exact: HashMap<Box<str>, T>,
    prefixes: BTreeMap<Box<str>, T>,
    /// The narrowest first of those that have a name in common: by their beginnings, falling, then by their ends.
    ranges: Vec<(Box<str>, Box<str>, T)>,
}

/// The names from `from` on, below `below`; without an end when there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: Vec<u8>,
    pub(super) below: Option<Vec<u8>>,
}

// === impl Delegated ===

impl<T: Copy + Ord> Delegated<T> {
    pub(super) fn new(all: impl IntoIterator<Item = (NameRange, T)>) -> Self {
        let mut names =
            Self { exact: HashMap::new(), prefixes: BTreeMap::new(), ranges: Vec::new() };
        for (range, to) in all {
            names.add(range, to);
        }
        names.ranges.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)).then(b.2.cmp(&a.2)));
        names
    }

    fn add(&mut self, range: NameRange, to: T) {
        let greater = |there: &mut T| *there = to.max(*there);
        match range {
            NameRange::Exact(name) => {
                self.exact.entry(name).and_modify(greater).or_insert(to);
            }
            NameRange::Prefix(prefix) => {
                self.prefixes.entry(prefix).and_modify(greater).or_insert(to);
            }
            NameRange::Range(from, below) => self.ranges.push((from, below, to)),
        }
    }

    /// Whom a name is delegated to: by the name itself, else by the longest prefix, else by the narrowest range.
    pub(super) fn of(&self, name: &str) -> Option<T> {
        let exact = self.exact.get(name).copied();
        exact.or_else(|| self.by_prefix(name)).or_else(|| self.by_range(name))
    }

    /// The greatest prefix that is not above the name is the longest one of it, or differs from it somewhere: then the
    /// longest one is not above what both have in common.
    fn by_prefix(&self, name: &str) -> Option<T> {
        let mut rest = name;
        loop {
            let upto = (std::ops::Bound::Unbounded, std::ops::Bound::Included(rest));
            let (prefix, to) = self.prefixes.range::<str, _>(upto).next_back()?;
            if name.starts_with(&**prefix) {
                return Some(*to);
            }
            rest = common(prefix, name);
        }
    }

    fn by_range(&self, name: &str) -> Option<T> {
        let first = self.ranges.partition_point(|(from, ..)| **from > *name);
        self.ranges[first..].iter().find(|(_, below, _)| *name < **below).map(|(.., to)| *to)
    }
}

/// The beginning that two texts have in common.
fn common<'a>(a: &str, b: &'a str) -> &'a str {
    let mut chars = a.chars().zip(b.char_indices());
    let differs = chars.find(|(a, (_, b))| a != b);
    &b[..differs.map_or_else(|| a.len().min(b.len()), |(_, (at, _))| at)]
}

// === impl Span ===

impl Span {
    /// The names of a range.
    pub(super) fn of(range: &NameRange) -> Self {
        match range {
            NameRange::Exact(name) => {
                let below = [name.as_bytes(), &[0]].concat();
                Self { from: name.as_bytes().to_vec(), below: Some(below) }
            }
            NameRange::Prefix(prefix) => Self {
                from: prefix.as_bytes().to_vec(),
                below: successor(prefix.as_bytes().to_vec()),
            },
            NameRange::Range(from, below) => {
                Self { from: from.as_bytes().to_vec(), below: Some(below.as_bytes().to_vec()) }
            }
        }
    }

    /// Whether it has any name.
    pub(super) fn is_empty(&self) -> bool {
        self.below.as_ref().is_some_and(|below| *below <= self.from)
    }

    /// Whether it ends at or before a name.
    pub(super) fn is_below(&self, name: &[u8]) -> bool {
        self.below.as_ref().is_some_and(|below| **below <= *name)
    }
}

/// What follows all that begin so; nothing when they go on to the end.
fn successor(mut prefix: Vec<u8>) -> Option<Vec<u8>> {
    while let Some(last) = prefix.pop() {
        if last < u8::MAX {
            prefix.push(last + 1);
            return Some(prefix);
        }
    }
    None
}

// === impl NameRange ===

impl NameRange {
    /// Reads `web`, `pay-*` or `a..m`, whatever their case.
    pub fn parse(text: &str) -> Self {
        let text = text.to_lowercase();
        match (text.strip_suffix(PREFIX), text.split_once(RANGE)) {
            (Some(prefix), _) => Self::Prefix(prefix.into()),
            (None, Some((from, below))) => Self::Range(from.into(), below.into()),
            (None, None) => Self::Exact(text.into()),
        }
    }

    /// Whether a name in lower case is one of them.
    pub fn contains(&self, name: &str) -> bool {
        match self {
            Self::Exact(exact) => **exact == *name,
            Self::Prefix(prefix) => name.starts_with(&**prefix),
            Self::Range(from, below) => **from <= *name && *name < **below,
        }
    }
}

impl std::fmt::Display for NameRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Prefix(prefix) => write!(f, "{prefix}{PREFIX}"),
            Self::Range(from, below) => write!(f, "{from}{RANGE}{below}"),
        }
    }
}
