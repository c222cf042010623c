//! What one source says, checked against the table of keys: nothing unknown, every kind right, every key optional.
//!
//! ```text
//! proconsul_hcl::Node ──read──▶ Raw ──merge──▶ Raw ──check──▶ Config
//! ```

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::keys::{Key, Kind};
use proconsul_hcl::{Node, Value};

/// The values of one block, by the table's spelling of their keys.
#[derive(Clone, Debug)]
pub(crate) struct Raw {
    keys: &'static [Key],
    items: BTreeMap<&'static str, Item>,
}

/// A value of the kind that the table asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Item {
    /// `Kind::Bool`
    Bool(bool),
    /// `Kind::Int`
    Int(i64),
    /// `Kind::Uint` and its widths
    Uint(u64),
    /// `Kind::Float`
    Float(f64),
    /// `Kind::Text`
    Text(String),
    /// `Kind::Texts`
    Texts(Vec<String>),
    /// `Kind::TextMap`
    TextMap(BTreeMap<String, String>),
    /// `Kind::TextsMap`
    TextsMap(BTreeMap<String, Vec<String>>),
    /// `Kind::Free`
    Free(Map<String, Json>),
    /// `Kind::FreeList`
    FreeList(Vec<Map<String, Json>>),
    /// `Kind::Block`
    Block(Raw),
    /// `Kind::Single`
    Single(Raw),
    /// `Kind::Blocks`
    Blocks(Vec<Raw>),
    /// `Kind::BlockMap`
    BlockMap(BTreeMap<String, Raw>),
}

/// Blocks are equal when they say the same; a block of a name has one table.
impl PartialEq for Raw {
    fn eq(&self, other: &Self) -> bool {
        self.items == other.items
    }
}

/// Everything of one source that cannot be read, with the lines.
#[derive(Debug, Default)]
pub(crate) struct Unreadable {
    /// Values of a wrong kind.
    kinds: Vec<String>,
    /// Keys that the table does not have.
    unknown: Vec<String>,
}

impl Unreadable {
    fn is_empty(&self) -> bool {
        self.kinds.is_empty() && self.unknown.is_empty()
    }

    /// Consul's report, with the lines added: wrong kinds alone, if there are any, else the unknown keys.
    pub(crate) fn report(&self) -> String {
        if self.kinds.is_empty() {
            super::faults::listed(&self.unknown)
        } else {
            format!("decoding failed due to the following error(s):\n\n{}", self.kinds.join("\n"))
        }
    }
}

/// Reads a source against a table.
///
/// # Errors
/// All of its unknown keys and wrong kinds.
pub(crate) fn read(node: &Node, keys: &'static [Key]) -> Result<Raw, Unreadable> {
    let mut reader = Reader::default();
    let raw = reader.block(node, keys, "").unwrap_or_else(|| Raw::empty(keys));
    if reader.faults.is_empty() { Ok(raw) } else { Err(reader.faults) }
}

#[derive(Default)]
struct Reader {
    faults: Unreadable,
}

// === impl Reader ===

impl Reader {
    fn wrong(&mut self, node: &Node, at: &str, expected: &str) {
        let told = format!(
            "'{at}' expected type '{expected}', got unconvertible type '{}'",
            go_type(&node.value)
        );
        self.complain(node, &told);
    }

    fn complain(&mut self, node: &Node, told: &str) {
        self.faults.kinds.push(format!("{told} (line {})", node.line));
    }

    fn block(&mut self, node: &Node, keys: &'static [Key], at: &str) -> Option<Raw> {
        let node = node.single();
        let fields = match &node.value {
            Value::Object(fields) => fields,
            Value::Null => return None,
            other => {
                self.complain(
                    node,
                    &format!("'{at}' expected a map or struct, got \"{}\"", other.kind()),
                );
                return None;
            }
        };
        let mut raw = Raw::empty(keys);
        for key in keys {
            let said = fields.iter().rev().find(|(word, _)| key.is(word));
            let item = said.and_then(|(_, value)| self.item(value, key.kind, &join(at, key.name)));
            raw.items.extend(item.map(|item| (key.name, item)));
        }
        self.unknown(fields, keys, at);
        Some(raw)
    }

    /// A word that no key takes, or that says again in other letters what another has said.
    fn unknown(&mut self, fields: &[(String, Node)], keys: &[Key], at: &str) {
        for (place, (word, value)) in fields.iter().enumerate() {
            let known = keys.iter().find(|key| key.is(word));
            let again =
                known.is_some_and(|key| fields[place + 1..].iter().any(|(later, _)| key.is(later)));
            if known.is_none() || again {
                self.faults.unknown.push(format!(
                    "invalid config key {} (line {})",
                    join(at, word),
                    value.line
                ));
            }
        }
    }

    fn item(&mut self, node: &Node, kind: Kind, at: &str) -> Option<Item> {
        if node.value == Value::Null {
            return None;
        }
        match kind {
            Kind::Bool => self.boolean(node, at).map(Item::Bool),
            Kind::Int => self.whole(node, at).map(Item::Int),
            Kind::Uint => self.unsigned(node, at, "uint").map(Item::Uint),
            Kind::Uint32 => self.unsigned(node, at, "uint32").map(Item::Uint),
            Kind::Uint64 => self.unsigned(node, at, "uint64").map(Item::Uint),
            Kind::Float => self.float(node, at).map(Item::Float),
            Kind::Text => self.text(node, at).map(Item::Text),
            Kind::Texts => self.texts(node, at).map(Item::Texts),
            Kind::TextMap => self.map(node, at, "string", Self::text_or_empty).map(Item::TextMap),
            Kind::TextsMap => self.map(node, at, "[]string", Self::texts).map(Item::TextsMap),
            Kind::Free => self.free(node, at).map(Item::Free),
            Kind::FreeList => self.list(node, at, Self::free).map(Item::FreeList),
            Kind::Block(keys) => self.block(node, keys, at).map(Item::Block),
            Kind::Single(keys) => self.block(node, keys, at).map(Item::Single),
            Kind::Blocks(keys) => self
                .list(node, at, |reader, item, at| reader.block_or_empty(item, keys, at))
                .map(Item::Blocks),
            Kind::BlockMap(keys) => self.named(node, keys, at).map(Item::BlockMap),
        }
    }

    /// Blocks by name: in HCL each may stand alone.
    fn named(
        &mut self,
        node: &Node,
        keys: &'static [Key],
        at: &str,
    ) -> Option<BTreeMap<String, Raw>> {
        let parts = match &node.value {
            Value::List(parts) => parts.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let mut all = BTreeMap::new();
        for part in parts {
            let blocks = self
                .map(part, at, "object", |reader, item, at| reader.block_or_empty(item, keys, at));
            for (name, block) in blocks? {
                if all.contains_key(&name) {
                    let told =
                        format!("invalid config key {} (line {})", join(at, &name), part.line);
                    self.faults.unknown.push(told);
                }
                all.insert(name, block);
            }
        }
        Some(all)
    }

    fn block_or_empty(&mut self, node: &Node, keys: &'static [Key], at: &str) -> Option<Raw> {
        if node.value == Value::Null { Some(Raw::empty(keys)) } else { self.block(node, keys, at) }
    }

    fn boolean(&mut self, node: &Node, at: &str) -> Option<bool> {
        match node.single().value {
            Value::Bool(flag) => Some(flag),
            _ => {
                self.wrong(node.single(), at, "bool");
                None
            }
        }
    }

    fn whole(&mut self, node: &Node, at: &str) -> Option<i64> {
        match node.single().value {
            Value::Int(number) => Some(number),
            #[expect(
                clippy::cast_possible_truncation,
                reason = "fractions are cut off, as Consul does"
            )]
            Value::Float(number) => Some(number as i64),
            _ => {
                self.wrong(node.single(), at, "int");
                None
            }
        }
    }

    fn unsigned(&mut self, node: &Node, at: &str, width: &str) -> Option<u64> {
        let node = node.single();
        if !matches!(node.value, Value::Int(_) | Value::Float(_)) {
            self.wrong(node, at, width);
            return None;
        }
        let number = self.whole(node, at)?;
        let fits = u64::try_from(number)
            .ok()
            .filter(|number| width != "uint32" || u32::try_from(*number).is_ok());
        if fits.is_none() {
            let shown = if let Value::Float(number) = node.value {
                format!("{number:.6}")
            } else {
                number.to_string()
            };
            self.complain(
                node,
                &format!("'{at}' cannot parse value as '{width}': {shown} overflows uint"),
            );
        }
        fits
    }

    fn float(&mut self, node: &Node, at: &str) -> Option<f64> {
        match node.single().value {
            #[expect(clippy::cast_precision_loss, reason = "rates are small")]
            Value::Int(number) => Some(number as f64),
            Value::Float(number) => Some(number),
            _ => {
                self.wrong(node.single(), at, "float64");
                None
            }
        }
    }

    fn text(&mut self, node: &Node, at: &str) -> Option<String> {
        match &node.single().value {
            Value::Text(text) => Some(text.clone()),
            _ => {
                self.wrong(node.single(), at, "string");
                None
            }
        }
    }

    fn text_or_empty(&mut self, node: &Node, at: &str) -> Option<String> {
        if node.value == Value::Null { Some(String::new()) } else { self.text(node, at) }
    }

    fn texts(&mut self, node: &Node, at: &str) -> Option<Vec<String>> {
        self.list(node, at, Self::text_or_empty)
    }

    fn list<T>(
        &mut self,
        node: &Node,
        at: &str,
        mut each: impl FnMut(&mut Self, &Node, &str) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Value::List(items) = &node.value else {
            let told =
                format!("'{at}' source data must be an array or slice, got {}", node.value.kind());
            self.complain(node, &told);
            return None;
        };
        let items = items.iter().enumerate();
        Some(
            items.filter_map(|(place, item)| each(self, item, &format!("{at}[{place}]"))).collect(),
        )
    }

    fn map<T>(
        &mut self,
        node: &Node,
        at: &str,
        of: &str,
        mut each: impl FnMut(&mut Self, &Node, &str) -> Option<T>,
    ) -> Option<BTreeMap<String, T>> {
        let node = node.single();
        let Value::Object(fields) = &node.value else {
            self.wrong(node, at, &format!("map[string]{of}"));
            return None;
        };
        let fields = fields.iter();
        Some(
            fields
                .filter_map(|(word, value)| {
                    Some((word.clone(), each(self, value, &format!("{at}[{word}]"))?))
                })
                .collect(),
        )
    }

    fn free(&mut self, node: &Node, at: &str) -> Option<Map<String, Json>> {
        match node.single().to_json() {
            Json::Object(fields) => Some(fields),
            _ => {
                self.wrong(node.single(), at, "map[string]interface {}");
                None
            }
        }
    }
}

fn join(at: &str, word: &str) -> String {
    if at.is_empty() { word.to_owned() } else { format!("{at}.{word}") }
}

/// The type of a value as a Go program prints it.
fn go_type(value: &Value) -> &'static str {
    match value {
        Value::List(items) if items.iter().any(|item| matches!(item.value, Value::Object(_))) => {
            "[]map[string]interface {}"
        }
        Value::List(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
        other => other.kind(),
    }
}

// === impl Item ===

impl Item {
    fn to_json(&self) -> Json {
        match self {
            Self::Bool(flag) => (*flag).into(),
            Self::Int(number) => (*number).into(),
            Self::Uint(number) => (*number).into(),
            Self::Float(number) => (*number).into(),
            Self::Text(text) => text.as_str().into(),
            Self::Texts(texts) => texts.as_slice().into(),
            Self::TextMap(map) => map
                .iter()
                .map(|(key, text)| (key.clone(), text.as_str().into()))
                .collect::<Map<_, _>>()
                .into(),
            Self::TextsMap(map) => map
                .iter()
                .map(|(key, texts)| (key.clone(), texts.as_slice().into()))
                .collect::<Map<_, _>>()
                .into(),
            Self::Free(map) => map.clone().into(),
            Self::FreeList(list) => list.iter().cloned().map(Json::Object).collect(),
            Self::Block(block) | Self::Single(block) => block.to_json().into(),
            Self::Blocks(blocks) => {
                blocks.iter().map(|block| Json::Object(block.to_json())).collect()
            }
            Self::BlockMap(map) => map
                .iter()
                .map(|(key, block)| (key.clone(), block.to_json().into()))
                .collect::<Map<_, _>>()
                .into(),
        }
    }
}

// === impl Raw ===

impl Raw {
    /// A block in which nothing is said.
    pub(crate) fn empty(keys: &'static [Key]) -> Self {
        Self { keys, items: BTreeMap::new() }
    }

    /// The block as JSON, by the table's spelling of its keys.
    pub(crate) fn to_json(&self) -> Map<String, Json> {
        self.items.iter().map(|(name, item)| ((*name).to_owned(), item.to_json())).collect()
    }

    /// Everything that is said.
    pub(crate) fn into_items(self) -> impl Iterator<Item = (&'static str, Item)> {
        self.items.into_iter()
    }

    /// The value of a key.
    ///
    /// # Panics
    /// In debug builds when the table has no such key: a slip in our own code.
    pub(crate) fn item(&self, name: &str) -> Option<&Item> {
        debug_assert!(self.keys.iter().any(|key| key.name == name), "the table has no key {name}");
        self.items.get(name)
    }

    /// Says a key; a name that the table does not have is ignored.
    pub(crate) fn set(&mut self, name: &str, item: Item) {
        debug_assert!(self.keys.iter().any(|key| key.name == name), "the table has no key {name}");
        if let Some(key) = self.keys.iter().find(|key| key.name == name) {
            self.items.insert(key.name, item);
        }
    }

    /// Takes a key's value away.
    pub(crate) fn take(&mut self, name: &str) -> Option<Item> {
        self.items.remove(name)
    }

    /// A block inside this one, made when it is not there.
    pub(crate) fn block_mut(&mut self, name: &str) -> Option<&mut Self> {
        let key = self.keys.iter().find(|key| key.name == name)?;
        let Kind::Block(keys) = key.kind else { return None };
        match self.items.entry(key.name).or_insert_with(|| Item::Block(Self::empty(keys))) {
            Item::Block(block) => Some(block),
            _ => None,
        }
    }

    /// A block inside this one; an empty one when nothing of it is said.
    pub(crate) fn block(&self, name: &str) -> Self {
        match self.item(name) {
            Some(Item::Block(block) | Item::Single(block)) => block.clone(),
            _ => Self::empty(self.keys_of(name)),
        }
    }

    /// A block that is there or not.
    pub(crate) fn single(&self, name: &str) -> Option<&Self> {
        match self.item(name) {
            Some(Item::Single(block) | Item::Block(block)) => Some(block),
            _ => None,
        }
    }

    fn keys_of(&self, name: &str) -> &'static [Key] {
        match self.keys.iter().find(|key| key.name == name).map(|key| key.kind) {
            Some(
                Kind::Block(keys) | Kind::Single(keys) | Kind::Blocks(keys) | Kind::BlockMap(keys),
            ) => keys,
            _ => &[],
        }
    }

    /// A boolean.
    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        if let Some(Item::Bool(flag)) = self.item(name) { Some(*flag) } else { None }
    }

    /// A whole number, of either sign or unsigned.
    pub(crate) fn int(&self, name: &str) -> Option<i64> {
        match self.item(name) {
            Some(Item::Int(number)) => Some(*number),
            Some(Item::Uint(number)) => Some(i64::try_from(*number).unwrap_or(i64::MAX)),
            _ => None,
        }
    }

    /// An unsigned number.
    pub(crate) fn uint(&self, name: &str) -> Option<u64> {
        if let Some(Item::Uint(number)) = self.item(name) { Some(*number) } else { None }
    }

    /// A number.
    pub(crate) fn float(&self, name: &str) -> Option<f64> {
        if let Some(Item::Float(number)) = self.item(name) { Some(*number) } else { None }
    }

    /// A string.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        if let Some(Item::Text(text)) = self.item(name) { Some(text) } else { None }
    }

    /// A string; empty when not said.
    pub(crate) fn text_or_empty(&self, name: &str) -> String {
        self.text(name).unwrap_or("").to_owned()
    }

    /// A list of strings; empty when not said.
    pub(crate) fn texts(&self, name: &str) -> Vec<String> {
        if let Some(Item::Texts(texts)) = self.item(name) { texts.clone() } else { Vec::new() }
    }

    /// Strings by name; empty when not said.
    pub(crate) fn text_map(&self, name: &str) -> BTreeMap<String, String> {
        if let Some(Item::TextMap(map)) = self.item(name) { map.clone() } else { BTreeMap::new() }
    }

    /// Lists of strings by name; empty when not said.
    pub(crate) fn texts_map(&self, name: &str) -> BTreeMap<String, Vec<String>> {
        if let Some(Item::TextsMap(map)) = self.item(name) { map.clone() } else { BTreeMap::new() }
    }

    /// Blocks in their order.
    pub(crate) fn blocks(&self, name: &str) -> &[Self] {
        if let Some(Item::Blocks(blocks)) = self.item(name) { blocks } else { &[] }
    }

    /// Blocks by name.
    pub(crate) fn block_map(&self, name: &str) -> impl Iterator<Item = (&String, &Self)> {
        let map = if let Some(Item::BlockMap(map)) = self.item(name) { Some(map) } else { None };
        map.into_iter().flatten()
    }
}
