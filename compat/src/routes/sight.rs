//! What a caller may see of the catalog: nodes by their names, services by theirs, a check when both may be seen.

use std::cell::Cell;

use proconsul_anchors::acl::{Act, Authority};
use proconsul_anchors::index::{CheckRow, Instance, NodeRow};

/// What one caller may see, and whether anything was kept from it.
pub(crate) struct Sight<'a> {
    authority: &'a Authority,
    /// Whether no node is kept from it: then nobody asks for each.
    every_node: bool,
    left_out: Cell<bool>,
}

impl<'a> Sight<'a> {
    pub(crate) fn of(authority: &'a Authority) -> Self {
        let every_node = authority.is_open() || authority.allows(Act::node_read_all());
        Self { authority, every_node, left_out: Cell::new(false) }
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
        name.is_empty() || self.authority.allows(Act::service_read(name))
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

    /// Whether all of these are seen: then an answer that was made for everybody will do. Instances of one service have
    /// one name, mostly: it is asked for once.
    pub(crate) fn all<'b>(
        &self,
        found: impl IntoIterator<Item = (&'b NodeRow, &'b Instance)>,
    ) -> bool {
        if self.authority.is_open() {
            return true;
        }
        let mut seen = "";
        found.into_iter().all(|(node, row)| {
            let name = row.service.name.as_str();
            if seen != name && !self.sees_service(name) {
                return false;
            }
            seen = name;
            self.sees_node(node.node.name.as_str())
        })
    }
}
