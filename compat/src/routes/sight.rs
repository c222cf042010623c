//! What a caller may see of the catalog: nodes by their names, services by theirs, a check when both may be seen.

use std::cell::{Cell, RefCell};

use proconsul_anchors::acl::{Act, Authority};
use proconsul_anchors::index::{CheckRow, Instance, NodeRow};

/// What one caller may see, and whether anything was kept from it.
pub(crate) struct Sight<'a> {
    authority: &'a Authority,
    /// Whether no node is kept from it: then nobody asks for each.
    every_node: bool,
    left_out: Cell<bool>,
    /// The service that was asked for last: instances of one service come one after the other.
    last: RefCell<(String, bool)>,
}

impl<'a> Sight<'a> {
    pub(crate) fn of(authority: &'a Authority) -> Self {
        let every_node = authority.is_open() || authority.allows(Act::node_read_all());
        let last = RefCell::new((String::new(), true));
        Self { authority, every_node, left_out: Cell::new(false), last }
    }

    /// Whether something was kept from the caller.
    pub(crate) fn left_out(&self) -> bool {
        self.left_out.get()
    }

    fn tell(&self, seen: bool) -> bool {
        if !seen {
            self.left_out.set(true);
        }
        seen
    }

    fn sees_node(&self, name: &str) -> bool {
        self.every_node || self.authority.allows(Act::node_read(name))
    }

    /// What belongs to no service is seen with its node.
    fn sees_service(&self, name: &str) -> bool {
        if name.is_empty() {
            return true;
        }
        let (last, seen) = &mut *self.last.borrow_mut();
        if last != name {
            name.clone_into(last);
            *seen = self.authority.allows(Act::service_read(name));
        }
        *seen
    }

    pub(crate) fn node(&self, row: &NodeRow) -> bool {
        self.tell(self.sees_node(row.node.name.as_str()))
    }

    pub(crate) fn service(&self, name: &str) -> bool {
        self.tell(self.sees_service(name))
    }

    pub(crate) fn instance(&self, node: &NodeRow, row: &Instance) -> bool {
        let name = row.service.name.as_str();
        self.tell(self.sees_node(node.node.name.as_str()) && self.sees_service(name))
    }

    pub(crate) fn check(&self, row: &CheckRow) -> bool {
        let service = row.check.service.as_ref().map_or("", |checked| checked.name.as_str());
        self.tell(self.sees_node(row.node.as_str()) && self.sees_service(service))
    }

    /// Whether all of these are seen: then an answer that was made for everybody will do.
    pub(crate) fn all<'b>(
        &self,
        found: impl IntoIterator<Item = (&'b NodeRow, &'b Instance)>,
    ) -> bool {
        if self.authority.is_open() {
            return true;
        }
        found.into_iter().all(|(node, row)| {
            self.sees_service(row.service.name.as_str()) && self.sees_node(node.node.name.as_str())
        })
    }
}

#[cfg(test)]
mod tests {
    use proconsul_anchors::acl::rules::Rules;

    use super::*;

    #[test]
    fn what_belongs_to_no_service_is_seen_with_its_node() {
        let rules = Rules::parse("service_prefix \"w\" { policy = \"read\" }").unwrap();
        let authority = Authority::of_rules([&rules]);
        let sight = Sight::of(&authority);
        for (name, seen) in [("web", true), ("db", false), ("", true), ("db", false), ("w", true)] {
            assert_eq!(sight.service(name), seen, "{name:?}");
        }
        assert!(sight.left_out() && !sight.sees_node("n1"));
        let all = Rules::parse("node_prefix \"\" { policy = \"read\" }").unwrap();
        let authority = Authority::of_rules([&all]);
        let sight = Sight::of(&authority);
        assert!(sight.every_node && sight.sees_node("n1") && !sight.left_out());
    }
}
