//! Nodes, services and checks: what a registration writes and what a deregistration removes.

use std::sync::Arc;

use super::write::Write;
use super::{Bodies, CheckRow, Instance, NodeRow, Roster, RowId, ServiceRow, WatchKey, share};
use crate::change::Registration;
use crate::error::Refusal;
use crate::name::Caseless;
use crate::scope::Standing;
use crate::service::{Check, Node, Service, Status};

/// The check that tells whether a node is alive. A dead node's name may be taken over.
pub const NODE_ALIVE_CHECK: &str = "serfHealth";

impl Write<'_> {
    /// Everything that can be refused is looked at before anything is written.
    pub(super) fn register(&mut self, registration: &Registration) -> Result<(), Refusal> {
        self.node_name_is_free(registration)?;
        self.checks_have_services(registration)?;
        if let Some(service) = &registration.service {
            self.index.admits(registration.scope.as_ref(), &registration.node.name, service)?;
        }
        let node = registration.node.name.clone();
        let before = self.index.nodes.get(node.key()).map(|row| row.entry);
        self.put_node(registration);
        let node = self.as_kept(node);
        if let Some(service) = &registration.service {
            self.put_service(&node, service, &registration.standing());
        }
        for check in &registration.checks {
            self.put_check(&node, check);
        }
        // A registration speaks of its service, else of its first check, else of its node.
        if let Some(uid) = self.index.nodes.get(node.key()).map(|row| row.uid) {
            self.speaks_of(uid, before);
        }
        Ok(())
    }

    /// A node's name in the copy that its row has.
    pub(super) fn as_kept(&self, mut node: Caseless) -> Caseless {
        if let Some(row) = self.index.nodes.get(node.key()) {
            share::name(&mut node, &row.node.name);
        }
        node
    }

    fn node_name_is_free(&self, registration: &Registration) -> Result<(), Refusal> {
        let asked = &registration.node;
        let Some(holder) = self.index.nodes.get(asked.name.key()) else { return Ok(()) };
        let same = asked.id.is_empty() || asked.id.eq_ignore_ascii_case(&holder.node.id);
        if same || registration.skip_node_update || holder.node.id.is_empty() || !is_alive(holder) {
            return Ok(());
        }
        Err(Refusal::NodeNameTaken {
            name: asked.name.clone(),
            former: self.index.node_by_id(&asked.id).map(|row| row.node.address.clone()),
            id: asked.id.clone(),
            holder: holder.node.id.clone(),
            holder_name: holder.node.name.as_str().into(),
            holder_address: holder.node.address.clone(),
        })
    }

    fn checks_have_services(&self, registration: &Registration) -> Result<(), Refusal> {
        let node = &registration.node.name;
        let row = self.index.nodes.get(node.key());
        for check in &registration.checks {
            if check.id.is_empty() {
                return Err(Refusal::NamelessCheck { node: node.clone() });
            }
            let Some(service) = check.service_id() else { continue };
            let comes = registration.service.as_ref().is_some_and(|coming| coming.id == *service);
            if !comes && !row.is_some_and(|row| row.services.contains_key(service.key())) {
                return Err(Refusal::UnknownService {
                    node: node.clone(),
                    service: service.clone(),
                    check: check.id.clone(),
                });
            }
        }
        Ok(())
    }

    fn put_node(&mut self, registration: &Registration) {
        let node = &registration.node;
        let there = self.index.nodes.get(node.name.key()).cloned();
        if there.is_some() && registration.skip_node_update {
            return;
        }
        let former = self.leave_former_name(node);
        match there {
            // A new spelling of the name alone is no change; it comes along with the next one.
            Some(row) if *row.node == *node && former.is_none() => {}
            Some(row) => self.change_node(&row, node, former.as_deref()),
            None => self.add_node(node, former.as_deref()),
        }
    }

    /// The same id under another name is a rename: what was registered under the old name goes, and the node is the one
    /// that it was.
    fn leave_former_name(&mut self, node: &Node) -> Option<Arc<NodeRow>> {
        if node.id.is_empty() {
            return None;
        }
        let former =
            self.index.node_by_id(&node.id).filter(|row| row.node.name != node.name).cloned()?;
        self.take_node(&former.node.name);
        Some(former)
    }

    fn add_node(&mut self, node: &Node, former: Option<&NodeRow>) {
        let revision = self.revision();
        let row = NodeRow {
            uid: former.map_or_else(|| self.mint(), |row| row.uid),
            node: Arc::new(node.clone()),
            created: former.map_or(revision, |row| row.created),
            modified: revision,
            index: revision,
            entry: self.stamp.seq,
            services: Roster::default(),
            checks: Roster::default(),
        };
        self.store_node(row);
        self.touch_node(&node.name);
    }

    fn change_node(&mut self, there: &NodeRow, node: &Node, former: Option<&NodeRow>) {
        let revision = self.revision();
        if !there.node.id.eq_ignore_ascii_case(&node.id) {
            self.index.node_ids.remove(there.node.id.to_ascii_lowercase().as_str());
        }
        let identity = former.unwrap_or(there);
        let row = NodeRow {
            uid: identity.uid,
            created: identity.created,
            node: Arc::new(node.clone()),
            modified: revision,
            index: revision,
            entry: self.stamp.seq,
            ..there.clone()
        };
        self.store_node(row);
        self.touch_node(&node.name);
        self.touch(WatchKey::NodeChecks(node.name.shared_key()));
        self.move_services_of(&node.name);
    }

    fn touch_node(&mut self, name: &Caseless) {
        self.index.marks.nodes = self.revision();
        self.touch(WatchKey::Nodes);
        self.touch(WatchKey::Node(name.shared_key()));
    }

    fn store_node(&mut self, row: NodeRow) {
        let key = row.node.name.shared_key();
        if !row.node.id.is_empty() {
            self.index.node_ids.insert(row.node.id.to_ascii_lowercase().into(), Arc::clone(&key));
        }
        self.index.nodes.insert(Arc::clone(&key), Arc::new(row));
        self.write_row(RowId::Node(key));
    }

    /// Changes a node's row in place; the caller says what that touches.
    pub(super) fn edit_node(&mut self, name: &Caseless, edit: impl FnOnce(&mut NodeRow)) {
        if let Some(row) = self.index.nodes.get_mut(name.key()) {
            edit(Arc::make_mut(row));
        }
    }

    pub(super) fn put_service(&mut self, node: &Caseless, service: &Service, standing: &Standing) {
        let there = self
            .index
            .nodes
            .get(node.key())
            .and_then(|row| row.services.get(service.id.key()))
            .cloned();
        let uid = there.as_ref().map_or_else(|| self.mint(), |row| row.uid);
        self.speaks_of(uid, there.as_ref().map(|row| row.entry));
        let service = self.with_virtual_address(service);
        if let Some(row) = &there {
            if same_service(&row.service, &service)
                && row.hold == standing.hold
                && (row.scope == standing.scope || self.move_to_scope(row, standing))
            {
                return;
            }
            if row.service.name != service.name {
                self.leave_former_service(&row.service.name, node, &service.id);
            }
        }
        let revision = self.revision();
        let mut service = service.into_owned();
        let of = self.index.services.get(service.name.key());
        share::instance(&mut service, there.as_deref(), of.map(AsRef::as_ref));
        let row = Arc::new(Instance {
            uid,
            node: node.clone(),
            service,
            created: there.as_ref().map_or(revision, |row| row.created),
            modified: revision,
            entry: self.stamp.seq,
            scope: standing.scope.clone(),
            hold: standing.hold.clone(),
        });
        self.store_service(node, Arc::clone(&row));
        self.reach(there.as_deref(), Some(&row));
        if there.is_some_and(|there| there.hold != row.hold) {
            self.hold_checks(node, &row.service.id);
        }
    }

    /// An instance that is registered under another name leaves the former service. Its index stays, as in Consul, also
    /// when nobody is left: then an empty row keeps it.
    fn leave_former_service(&mut self, name: &Caseless, node: &Caseless, id: &Caseless) {
        let mut row = self.service_row(name);
        let left = row.instances.remove(&(node.shared_key(), id.shared_key()));
        let last = row.instances.is_empty();
        self.replace_service_row(row);
        if let Some(left) = left {
            self.index.instance_went(&left, last);
        }
    }

    fn store_service(&mut self, node: &Caseless, row: Arc<Instance>) {
        let revision = self.revision();
        let (id, name) = (row.service.id.shared_key(), row.service.name.clone());
        let mut service = self.service_row(&name);
        let first = service.instances.is_empty();
        let key = (node.shared_key(), Arc::clone(&id));
        let before = service.instances.insert(key, Arc::clone(&row));
        self.store_service_row(service);
        self.index.instance_came(before.as_deref(), &row, first);
        self.edit_node(node, |there| {
            there.index = revision;
            there.services.insert(row);
        });
        self.write_row(RowId::Node(node.shared_key()));
        self.write_row(RowId::Service(node.shared_key(), id));
        self.services_moved(node);
    }

    /// A node's answers may show something else, though the node is the same.
    pub(super) fn show_node_anew(&mut self, name: &Caseless) {
        self.move_node(name);
        self.touch_node(name);
        self.checks_moved(name);
        self.move_services_of(name);
    }

    /// Moves the index of a node with its services.
    pub(super) fn move_node(&mut self, name: &Caseless) {
        let revision = self.revision();
        self.edit_node(name, |there| there.index = revision);
        self.write_row(RowId::Node(name.shared_key()));
    }

    /// The list of services may print differently, and so does the node with its services. The list of nodes prints as
    /// before, but Consul moves its index too.
    pub(super) fn services_moved(&mut self, node: &Caseless) {
        let revision = self.revision();
        self.index.marks.services = revision;
        self.index.marks.nodes = revision;
        self.touch(WatchKey::Services);
        self.touch(WatchKey::Node(node.shared_key()));
    }

    /// A copy of the service's row, to be changed; a new one where there is none.
    fn service_row(&self, name: &Caseless) -> ServiceRow {
        match self.index.services.get(name.key()) {
            Some(row) => ServiceRow::clone(row),
            None => ServiceRow {
                name: name.clone(),
                index: 0,
                instances: imbl::OrdMap::new(),
                bodies: Bodies::default(),
            },
        }
    }

    fn store_service_row(&mut self, mut row: ServiceRow) {
        row.index = self.revision();
        self.replace_service_row(row);
    }

    fn replace_service_row(&mut self, row: ServiceRow) {
        let key = row.name.shared_key();
        self.touch(WatchKey::Service(Arc::clone(&key)));
        self.write_row(RowId::ServiceMark(Arc::clone(&key)));
        self.index.services.insert(key, Arc::new(row));
    }

    /// Moves the index of a service whose instances, nodes or checks print differently now.
    pub(super) fn move_service(&mut self, name: &Caseless) {
        if self.index.services.contains_key(name.key()) {
            let row = self.service_row(name);
            self.store_service_row(row);
        }
    }

    fn move_services_of(&mut self, node: &Caseless) {
        for name in self.names_on(node) {
            self.move_service(&name);
        }
    }

    fn names_on(&self, node: &Caseless) -> Vec<Caseless> {
        let Some(row) = self.index.nodes.get(node.key()) else { return Vec::new() };
        let mut names: Vec<Caseless> =
            row.services.values().map(|row| row.service.name.clone()).collect();
        names.sort();
        names.dedup();
        names
    }

    /// Takes an instance out of its service; the last one takes the service's row along. Whether it was the last.
    fn leave_service(&mut self, name: &Caseless, node: &Caseless, id: &Caseless) -> bool {
        let mut row = self.service_row(name);
        let left = row.instances.remove(&(node.shared_key(), id.shared_key()));
        let last = row.instances.is_empty();
        if !last {
            self.store_service_row(row);
        } else {
            self.index.services.remove(name.key());
        }
        if let Some(left) = left {
            self.index.instance_went(&left, last);
        }
        if !last {
            return false;
        }
        let key = name.shared_key();
        self.touch(WatchKey::Service(Arc::clone(&key)));
        self.write_row(RowId::ServiceMark(key));
        true
    }

    pub(super) fn put_check(&mut self, node: &Caseless, check: &Check) {
        let Some(row) = self.index.nodes.get(node.key()) else { return };
        let check = with_service(row, check);
        let held = check.service_id().and_then(|id| row.held(id));
        let there = row.checks.get(check.id.key()).cloned();
        if check.status == Status::Critical {
            self.close_sessions_bound_to(node, &check.id);
        }
        if let Some(row) = &there {
            self.speaks_of(row.uid, Some(row.entry));
            if same_check(&row.check, &check) && row.held == held {
                return;
            }
        }
        let revision = self.revision();
        let row = CheckRow {
            uid: there.as_ref().map_or_else(|| self.mint(), |row| row.uid),
            node: node.clone(),
            created: there.as_ref().map_or(revision, |row| row.created),
            modified: revision,
            entry: self.stamp.seq,
            check,
            held,
        };
        self.speaks_of(row.uid, None);
        self.store_check(node, row, there.as_deref());
    }

    pub(super) fn store_check(&mut self, node: &Caseless, row: CheckRow, there: Option<&CheckRow>) {
        let key = row.check.id.shared_key();
        let former = there.and_then(|row| row.check.service_id().cloned());
        let service = row.check.service_id().cloned();
        self.edit_node(node, |there| {
            there.checks.insert(Arc::new(row));
        });
        self.write_row(RowId::Check(node.shared_key(), key));
        self.check_moved(node, service.as_ref());
        if there.is_some() && former != service {
            self.forget_bodies(node, former.as_ref());
        }
    }

    /// What was encoded of a service prints otherwise now, though Consul leaves its index.
    fn forget_bodies(&mut self, node: &Caseless, service: Option<&Caseless>) {
        let names = match service {
            Some(id) => self.name_of(node, id).into_iter().collect(),
            // It was a check of the node, which prints with every service on it.
            None => self.names_on(node),
        };
        for name in names {
            let row = self.service_row(&name);
            self.replace_service_row(row);
        }
    }

    /// The name under which a service of a node is registered now.
    fn name_of(&self, node: &Caseless, id: &Caseless) -> Option<Caseless> {
        let row = self.index.nodes.get(node.key())?.services.get(id.key())?;
        Some(row.service.name.clone())
    }

    pub(super) fn checks_moved(&mut self, node: &Caseless) {
        self.index.marks.checks = self.revision();
        self.touch(WatchKey::Checks);
        self.touch(WatchKey::NodeChecks(node.shared_key()));
    }

    /// A check of a service moves that service; a check of the node moves all services on it.
    fn check_moved(&mut self, node: &Caseless, service: Option<&Caseless>) {
        self.checks_moved(node);
        match service {
            None => self.move_services_of(node),
            Some(id) => {
                let row =
                    self.index.nodes.get(node.key()).and_then(|row| row.services.get(id.key()));
                if let Some(name) = row.map(|row| row.service.name.clone()) {
                    self.move_service(&name);
                }
            }
        }
    }

    pub(super) fn remove_check(&mut self, node: &Caseless, id: &Caseless) -> bool {
        let there =
            self.index.nodes.get(node.key()).and_then(|row| row.checks.get(id.key())).cloned();
        if let Some(row) = there {
            self.speaks_of(row.uid, Some(row.entry));
            self.take_check(node, &row);
        }
        true
    }

    fn take_check(&mut self, node: &Caseless, row: &CheckRow) {
        let key = row.check.id.shared_key();
        self.close_sessions_bound_to(node, &row.check.id);
        self.edit_node(node, |there| {
            there.checks.remove(&key);
        });
        self.goes(row.uid, RowId::Check(node.shared_key(), Arc::clone(&key)));
        self.write_row(RowId::Check(node.shared_key(), key));
        self.check_gone(node, row);
        if row.check.service.is_none() {
            // No answer of that table shows it, but Consul moves its index when a check of a node goes.
            self.index.marks.services = self.revision();
        }
    }

    /// A check that goes moves the service by the name that it was written with, which may be a former one.
    fn check_gone(&mut self, node: &Caseless, row: &CheckRow) {
        match &row.check.service {
            Some(of) if self.name_of(node, &of.id).is_some_and(|name| name != of.name) => {
                self.checks_moved(node);
                self.move_service(&of.name);
                self.forget_bodies(node, Some(&of.id));
            }
            of => self.check_moved(node, of.as_ref().map(|of| &of.id)),
        }
    }

    pub(super) fn remove_service(&mut self, node: &Caseless, id: &Caseless) -> bool {
        let there =
            self.index.nodes.get(node.key()).and_then(|row| row.services.get(id.key())).cloned();
        if let Some(row) = there {
            self.speaks_of(row.uid, Some(row.entry));
            self.take_service(node, &row);
        }
        true
    }

    fn take_service(&mut self, node: &Caseless, instance: &Instance) {
        let revision = self.revision();
        let id = &instance.service.id;
        let row = self.index.nodes.get(node.key()).cloned();
        for check in row.iter().flat_map(|row| row.checks_of(id)) {
            self.take_check(node, check);
        }
        self.index.marks.checks = revision;
        self.touch(WatchKey::Checks);
        self.edit_node(node, |there| {
            there.index = revision;
            there.services.remove(id.key());
        });
        self.write_row(RowId::Node(node.shared_key()));
        self.write_row(RowId::Service(node.shared_key(), id.shared_key()));
        self.goes(instance.uid, RowId::Service(node.shared_key(), id.shared_key()));
        if self.leave_service(&instance.service.name, node, id) {
            self.index.marks.service_extinction = revision;
            self.free_virtual_address(&instance.service.name);
        }
        self.reach(Some(instance), None);
        self.services_moved(node);
    }

    pub(super) fn remove_node(&mut self, node: &Caseless) -> bool {
        if let Some(row) = self.index.nodes.get(node.key()) {
            let (uid, entry) = (row.uid, row.entry);
            self.speaks_of(uid, Some(entry));
            self.take_node(node);
        }
        true
    }

    fn take_node(&mut self, node: &Caseless) {
        self.close_sessions_of(node);
        let Some(row) = self.index.nodes.get(node.key()).cloned() else { return };
        for instance in row.services.values() {
            self.take_service(node, instance);
        }
        for check in row.node_checks() {
            self.take_check(node, check);
        }
        self.remove_coordinates_of(node);
        let key = node.shared_key();
        self.index.nodes.remove(&key);
        self.goes(row.uid, RowId::Node(Arc::clone(&key)));
        self.index.node_ids.remove(row.node.id.to_ascii_lowercase().as_str());
        self.index.marks.node_extinction = self.revision();
        self.write_row(RowId::Node(key));
        self.touch_node(node);
    }
}

fn is_alive(row: &NodeRow) -> bool {
    let alive = row.checks.get(Caseless::from(NODE_ALIVE_CHECK).key());
    alive.is_some_and(|row| row.check.status != Status::Critical)
}

/// Ids and names compare without case, but a new spelling is a change: it prints differently.
fn same_service(there: &Service, new: &Service) -> bool {
    there == new && there.id.same_spelling(&new.id) && there.name.same_spelling(&new.name)
}

/// As Consul compares: a type, interval, timeout or exposed port alone is no change, and goes with the next one.
fn same_check(there: &Check, new: &Check) -> bool {
    // Taken apart so that no field is forgotten.
    let Check {
        id,
        name,
        status,
        notes,
        output,
        service,
        definition,
        kind: _,
        interval: _,
        timeout: _,
        exposed_port: _,
    } = new;
    there.id == *id
        && there.name == *name
        && there.status == *status
        && there.notes == *notes
        && there.output == *output
        && there.service == *service
        && there.definition == *definition
        && same_spellings(there, new)
}

fn same_spellings(there: &Check, new: &Check) -> bool {
    let spelled = |check: &Check| {
        check.service.as_ref().map(|service| (service.id.to_string(), service.name.to_string()))
    };
    there.id.same_spelling(&new.id) && spelled(there) == spelled(new)
}

/// The check with the name and tags that its service has now.
fn with_service(node: &NodeRow, check: &Check) -> Check {
    let mut check = check.clone();
    if let Some(named) = &mut check.service
        && let Some(row) = node.services.get(named.id.key())
    {
        named.name = row.service.name.clone();
        named.tags = row.service.tags.clone();
        share::name(&mut named.id, &row.service.id);
    }
    check
}
