//! Equal parts of records, kept once.
//!
//! The instances of a service carry the same name, tags and meta, and everything on a node carries its name. Each
//! registration brings its own copy; the index keeps the one that it has.

use super::{Instance, NodeRow, ServiceRow};
use crate::name::Caseless;
use crate::service::{Checked, Service};

/// The name as another record spells it, where it is spelled so.
pub(super) fn name(name: &mut Caseless, other: &Caseless) {
    if name.same_spelling(other) {
        name.clone_from(other);
    }
}

/// The parts that an instance has in common with the one that it replaces, or else with one of its service.
pub(super) fn instance(new: &mut Service, before: Option<&Instance>, of: Option<&ServiceRow>) {
    let sibling = || of.and_then(|row| row.instances.get_min()).map(|(_, row)| row.as_ref());
    if let Some(other) = before.or_else(sibling) {
        parts(new, &other.service);
    }
}

fn parts(new: &mut Service, other: &Service) {
    name(&mut new.name, &other.name);
    if new.tags == other.tags {
        new.tags.clone_from(&other.tags);
    }
    if new.meta == other.meta {
        new.meta.clone_from(&other.meta);
    }
    if new.tagged_addresses == other.tagged_addresses {
        new.tagged_addresses.clone_from(&other.tagged_addresses);
    }
}

/// What a check says of its service, as the service itself says it.
pub(super) fn checked(new: &mut Checked, node: &NodeRow) {
    let Some(row) = node.services.get(new.id.key()) else { return };
    name(&mut new.id, &row.service.id);
    name(&mut new.name, &row.service.name);
    if new.tags == row.service.tags {
        new.tags.clone_from(&row.service.tags);
    }
}
