//! What the index has to do with a question, told or left out, and why.

use std::sync::Arc;

use proconsul_anchors::index::connect::Gateway;
use proconsul_anchors::index::{CheckRow, Instance, NodeRow};
use proconsul_anchors::name::Caseless;
use proconsul_anchors::service::Status;

use super::View;
use crate::explain::Row;
use crate::limits::EXPLAINED_ROWS_MAX;
use crate::question::{Ask, Place};

/// The rows of a question, and how many access control keeps from the asker.
pub(crate) fn rows(view: View<'_>, place: &Place) -> (Vec<Row>, usize) {
    let Place::Ask { ask, .. } = place else { return (Vec::new(), 0) };
    match ask {
        Ask::Service { name, tag, .. } => {
            let row = view.index.service(name).into_iter();
            instances(view, row.flat_map(|row| row.instances.values()), tag.as_deref())
        }
        Ask::Connect { name, .. } => {
            instances(view, view.index.reaching(&Caseless::from(name.as_str())).into_iter(), None)
        }
        Ask::Ingress { name, .. } => {
            let gateways = view.index.gateways_of(&Caseless::from(name.as_str()), Gateway::Ingress);
            let found = gateways.into_iter().flat_map(|row| row.instances.values());
            instances(view, found, None)
        }
        Ask::Node { name, .. } => match view.index.node_by_name_or_id(name) {
            Some(row) if view.shows_node(row) => (vec![node(row)], 0),
            row => (Vec::new(), usize::from(row.is_some())),
        },
        Ask::Query { name, .. } => match view.index.resolve_query(name, "").ok().flatten() {
            Some(resolved) => {
                let service = &resolved.query.service.service;
                let row = view.index.service(service).into_iter();
                instances(view, row.flat_map(|row| row.instances.values()), None)
            }
            None => (Vec::new(), 0),
        },
        Ask::Zone | Ask::Transfer | Ask::Virtual { .. } | Ask::Address { .. } => (Vec::new(), 0),
    }
}

fn node(row: &NodeRow) -> Row {
    let (node, address) = (row.node.name.to_string(), row.node.address.to_string());
    Row { node, service: String::new(), address, left_out: None }
}

fn instances<'a>(
    view: View<'a>,
    found: impl Iterator<Item = &'a Arc<Instance>>,
    tag: Option<&str>,
) -> (Vec<Row>, usize) {
    let (mut rows, mut hidden) = (Vec::new(), 0);
    for instance in found {
        let Some(node) = view.index.node(instance.node.key()) else { continue };
        if !view.shows(node, instance) {
            hidden += 1;
        } else if rows.len() < EXPLAINED_ROWS_MAX {
            rows.push(row(view, node, instance, tag));
        }
    }
    (rows, hidden)
}

fn row(view: View<'_>, node: &NodeRow, instance: &Instance, tag: Option<&str>) -> Row {
    let service = &instance.service;
    let own = Some(service.address.as_ref()).filter(|address| !address.is_empty());
    Row {
        node: node.node.name.to_string(),
        service: service.id.to_string(),
        address: format!("{}:{}", own.unwrap_or(&node.node.address), service.default_port()),
        left_out: without_tag(instance, tag).or_else(|| unfit(view, node, instance)),
    }
}

fn without_tag(instance: &Instance, tag: Option<&str>) -> Option<String> {
    let tag = tag?;
    let tags = &instance.service.tags;
    let has = tags.iter().any(|have| have.eq_ignore_ascii_case(tag));
    (!has).then(|| format!("because its tags ({}) lack {tag}", tags.join(", ")))
}

fn unfit(view: View<'_>, node: &NodeRow, instance: &Instance) -> Option<String> {
    let checks = node.node_checks().chain(node.checks_of(&instance.service.id));
    let spoils = |row: &&Arc<CheckRow>| match row.check.status {
        Status::Critical => true,
        Status::Passing => false,
        Status::Warning | Status::Other(_) => view.settings.only_passing,
    };
    let row = checks.into_iter().find(spoils)?;
    let (id, status) = (&row.check.id, row.check.status.as_str());
    let strict = if status == "critical" { "" } else { " and only_passing is set" };
    Some(format!("because its check {id} is {status}{strict}"))
}
