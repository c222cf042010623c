//! Finding a node by its id, or by the start of it.

use std::ops::Bound;
use std::sync::Arc;

use super::{Index, NodeRow};

/// Fewer characters than this are no id prefix.
const PREFIX_MIN: usize = 2;
/// The length of a whole UUID in text.
const UUID_LEN: usize = 36;

impl Index {
    /// The node of this name, or of this id, or the only one whose id starts so (two characters at least, an odd one
    /// cut, an even number of hexadecimal digits beside the hyphens): Consul's rule for `/v1/catalog/node/`.
    pub fn node_by_name_or_id(&self, text: &str) -> Option<&Arc<NodeRow>> {
        self.node(text).or_else(|| self.node_by_id_prefix(text))
    }

    /// The node of this id, whatever the case.
    pub fn node_by_id(&self, id: &str) -> Option<&Arc<NodeRow>> {
        self.node_ids.get(id.to_ascii_lowercase().as_str()).and_then(|key| self.nodes.get(key))
    }

    /// The only node whose id starts with this text.
    pub fn node_by_id_prefix(&self, text: &str) -> Option<&Arc<NodeRow>> {
        let prefix = id_prefix(text)?;
        let mut found = self
            .node_ids
            .range::<_, str>((Bound::Included(prefix.as_str()), Bound::Unbounded))
            .take_while(|(id, _)| id.starts_with(prefix.as_str()));
        let (_, key) = found.next()?;
        if found.next().is_some() { None } else { self.nodes.get(key) }
    }
}

/// The lower-case prefix that the text stands for, if it can stand for one.
fn id_prefix(text: &str) -> Option<String> {
    let even = if text.len() >= UUID_LEN { text } else { text.get(..text.len() & !1)? };
    let digits = even.bytes().filter(|byte| *byte != b'-').count();
    let hexadecimal = even.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
    (even.len() >= PREFIX_MIN && digits % 2 == 0 && hexadecimal).then(|| even.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::id_prefix;

    #[test]
    fn prefixes_as_consul_reads_them() {
        for (text, prefix) in [
            ("aabb", Some("aabb")),
            ("AABBC", Some("aabb")),
            ("a", None),
            ("web", None),
            ("bbbbbbbb-1111-22", Some("bbbbbbbb-1111-22")),
            ("bbbbbbbb-1111", None),
        ] {
            assert_eq!(id_prefix(text).as_deref(), prefix, "{text}");
        }
    }
}
