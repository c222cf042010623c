//! Scopes in the index: who owns what, how much each of them holds, and what still fits into their budgets.

use std::sync::{Arc, OnceLock};

use imbl::{OrdMap, OrdSet};

use super::write::Write;
use super::{Index, Instance, KeyRow, NodeRow, RowId};
use crate::error::Refusal;
use crate::name::Caseless;
use crate::record::{RecordChange, TableId};
use crate::scope::check::related;
use crate::scope::{Hold, Scope, ScopeFault, ScopePath, ScopePolicy, Scopes, Standing};
use crate::service::Service;

/// What a scope holds, those under it included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Service names.
    pub services: u64,
    /// Instances of services.
    pub instances: u64,
    /// Keys.
    pub keys: u64,
    /// Bytes of keys and values.
    pub kv_bytes: u64,
}

/// What follows from the rows and is kept beside them.
#[derive(Clone, Debug, Default)]
pub(super) struct Governed {
    /// Made when it is first asked for after a record changed.
    scopes: OnceLock<Arc<Scopes>>,
    /// Of the whole datacenter.
    whole: Usage,
    /// Of what belongs to scopes under that of the datacenter; nothing where it would be nothing.
    by_scope: OrdMap<ScopePath, Usage>,
    /// Instances that are held, by node key and id key.
    held: OrdSet<(Arc<str>, Arc<str>)>,
}

fn place(row: &Instance) -> (Arc<str>, Arc<str>) {
    (row.node.shared_key(), row.service.id.shared_key())
}

/// The tables that must fit together.
fn is_governed(table: TableId) -> bool {
    matches!(table, TableId::Scope | TableId::ScopePolicy)
}

// === impl Index ===

impl Index {
    /// All scopes together; nothing while none is configured.
    pub fn scopes(&self) -> Option<&Arc<Scopes>> {
        let first = self.records::<Scope>().next()?;
        let make = || {
            let root = ScopePath::parse(first.record.path.datacenter()).unwrap_or_default();
            Arc::new(Scopes::of(self, &root))
        };
        Some(self.governed.scopes.get_or_init(make))
    }

    /// Instances that are held, with their nodes and why.
    pub fn held(&self) -> impl Iterator<Item = (&NodeRow, &Instance, &Arc<Hold>)> {
        self.governed.held.iter().filter_map(|(node, id)| {
            let node = self.nodes.get(node)?;
            let instance = node.services.get(id)?;
            Some((&**node, &**instance, instance.hold.as_ref()?))
        })
    }

    /// The records of scopes are others now.
    pub(super) fn scopes_moved(&mut self) {
        self.governed.scopes = OnceLock::new();
    }

    /// What a scope holds, those under it included. The datacenter's own holds everything.
    pub fn usage(&self, path: &ScopePath) -> Usage {
        if path.parent().is_none() {
            return self.governed.whole;
        }
        self.governed.by_scope.get(path).copied().unwrap_or_default()
    }

    /// Whether an instance may come here: its name is its scope's, and its scope has room for it.
    ///
    /// # Errors
    /// [`Refusal::OtherOwner`], or [`Refusal::Denied`] by the scope whose budget is spent.
    pub fn admits(
        &self,
        scope: Option<&ScopePath>,
        node: &Caseless,
        service: &Service,
    ) -> Result<(), Refusal> {
        self.is_owned_by(scope, node, service)?;
        self.instance_fits(scope, node, service)
    }

    /// Whether an instance still fits into the budgets of a scope and of those above it; nothing stands for the
    /// datacenter's own.
    ///
    /// # Errors
    /// [`Refusal::Denied`] by the scope whose budget is spent.
    fn instance_fits(
        &self,
        scope: Option<&ScopePath>,
        node: &Caseless,
        service: &Service,
    ) -> Result<(), Refusal> {
        let Some(scopes) = self.scopes() else { return Ok(()) };
        let there = self.nodes.get(node.key()).and_then(|row| row.services.get(service.id.key()));
        let named = self.services.get(service.name.key());
        for above in scopes.chain(scope.unwrap_or(scopes.root())) {
            let used = self.usage(&above.path);
            let inside = |row: &Instance| is_inside(row.scope.as_ref(), &above.path);
            let instances =
                above.budget.instances.filter(|_| !there.is_some_and(|row| inside(row)));
            fits(above, "budget/instances", instances, used.instances + 1)?;
            let known = || named.is_some_and(|row| row.instances.values().any(|row| inside(row)));
            let services = above.budget.services.filter(|_| !known());
            fits(above, "budget/services", services, used.services + 1)?;
        }
        Ok(())
    }

    /// Whether a key's value still fits into the budgets of a scope and of those above it.
    ///
    /// # Errors
    /// [`Refusal::Denied`] by the scope whose budget is spent.
    pub fn key_fits(
        &self,
        scope: Option<&ScopePath>,
        key: &str,
        value: usize,
    ) -> Result<(), Refusal> {
        let Some(scopes) = self.scopes() else { return Ok(()) };
        let there = self.keys.get(key);
        let bytes = (key.len() + value) as u64;
        for above in scopes.chain(scope.unwrap_or(scopes.root())) {
            let there = there.filter(|row| is_inside(row.scope.as_ref(), &above.path));
            let before = there.map_or(0, |row| bytes_of(row));
            // What does not grow fits, also where a budget was lowered.
            let limit = above.budget.kv_bytes.filter(|_| bytes > before);
            let after = self.usage(&above.path).kv_bytes - before + bytes;
            fits(above, "budget/kv_bytes", limit, after)?;
        }
        Ok(())
    }

    /// Whether a service name may have an instance in this scope.
    fn is_owned_by(
        &self,
        scope: Option<&ScopePath>,
        node: &Caseless,
        service: &Service,
    ) -> Result<(), Refusal> {
        let Some(scopes) = self.scopes() else { return Ok(()) };
        let scope = scope.unwrap_or(scopes.root());
        let refused = |owner: &ScopePath| {
            Err(Refusal::OtherOwner { name: service.name.clone(), owner: owner.clone() })
        };
        match scopes.owner_of_service(service.name.as_str()) {
            Some(owner) if owner == scope => return Ok(()),
            Some(owner) => return refused(owner),
            None => {}
        }
        // Delegated to nobody: it belongs to whoever was there first. One's own registration may be taken along downwards.
        let named = self.services.get(service.name.key());
        for row in named.iter().flat_map(|row| row.instances.values()) {
            let owner = row.scope.as_ref().unwrap_or(scopes.root());
            let itself = row.node == *node && row.service.id == service.id;
            if owner != scope && !(itself && scope.is_within(owner)) {
                return refused(owner);
            }
        }
        Ok(())
    }

    /// An instance came to its service's row, in the place of another or as the first one.
    pub(super) fn instance_came(&mut self, before: Option<&Instance>, row: &Instance, first: bool) {
        self.governed.whole.instances += u64::from(before.is_none());
        self.governed.whole.services += u64::from(first);
        if row.hold.is_some() {
            self.governed.held.insert(place(row));
        } else if before.is_some_and(|before| before.hold.is_some()) {
            self.governed.held.remove(&place(row));
        }
        if before.is_some_and(|before| before.scope == row.scope) {
            return;
        }
        if let Some(before) = before {
            self.count(before, |count, by| *count -= by);
        }
        self.count(row, |count, by| *count += by);
    }

    /// An instance left its service's row, maybe as the last one.
    pub(super) fn instance_went(&mut self, row: &Instance, last: bool) {
        self.governed.whole.instances -= 1;
        self.governed.whole.services -= u64::from(last);
        if row.hold.is_some() {
            self.governed.held.remove(&place(row));
        }
        self.count(row, |count, by| *count -= by);
    }

    fn count(&mut self, row: &Instance, change: impl Fn(&mut u64, u64)) {
        for above in row.scope.iter().flat_map(ScopePath::lineage) {
            let is_other = |other: &Instance| {
                let itself = other.node == row.node && other.service.id == row.service.id;
                !itself && is_inside(other.scope.as_ref(), &above)
            };
            let named = self.services.get(row.service.name.key());
            let others = named.is_some_and(|row| row.instances.values().any(|row| is_other(row)));
            self.governed.edit(above, |usage| {
                change(&mut usage.instances, 1);
                change(&mut usage.services, u64::from(!others));
            });
        }
    }

    /// A key is another, came or went.
    pub(super) fn key_counts(&mut self, before: Option<&KeyRow>, after: Option<&KeyRow>) {
        self.count_key(after, |bytes, by| *bytes += by);
        self.count_key(before, |bytes, by| *bytes -= by);
    }

    fn count_key(&mut self, row: Option<&KeyRow>, change: impl Fn(&mut u64, u64)) {
        let Some(row) = row else { return };
        let count = |usage: &mut Usage| {
            change(&mut usage.keys, 1);
            change(&mut usage.kv_bytes, bytes_of(row));
        };
        count(&mut self.governed.whole);
        for above in row.scope.iter().flat_map(ScopePath::lineage) {
            self.governed.edit(above, count);
        }
    }

    /// A name that is delegated past a scope which has instances of it.
    fn name_in_use(&self, scopes: &Scopes) -> Option<ScopeFault> {
        if self.governed.by_scope.is_empty() {
            return None;
        }
        self.services().find_map(|row| {
            let owner = scopes.owner_of_service(row.name.as_str())?;
            let elsewhere =
                |row: &Arc<Instance>| row.scope.clone().filter(|scope| !related(scope, owner));
            let stranger = row.instances.values().find_map(elsewhere)?;
            Some(ScopeFault::InUse {
                path: owner.clone(),
                name: row.name.as_str().into(),
                owner: stranger,
            })
        })
    }
}

fn fits(scope: &Scope, rule: &str, limit: Option<u64>, needed: u64) -> Result<(), Refusal> {
    match limit {
        Some(limit) if needed > limit => {
            Err(Refusal::Denied { scope: scope.path.clone(), rule: rule.into() })
        }
        _ => Ok(()),
    }
}

/// Everything lies in a datacenter's own scope.
fn is_inside(scope: Option<&ScopePath>, above: &ScopePath) -> bool {
    above.parent().is_none() || scope.is_some_and(|scope| scope.is_within(above))
}

fn bytes_of(row: &KeyRow) -> u64 {
    (row.key.len() + row.value.len()) as u64
}

// === impl Governed ===

impl Governed {
    fn edit(&mut self, path: ScopePath, edit: impl FnOnce(&mut Usage)) {
        let mut usage = self.by_scope.get(&path).copied().unwrap_or_default();
        edit(&mut usage);
        if usage == Usage::default() {
            self.by_scope.remove(&path);
        } else {
            self.by_scope.insert(path, usage);
        }
    }
}

// === impl Write ===

impl Write<'_> {
    /// An instance belongs to another scope now. No answer shows that, so that no index moves. Whether it could be done so: what
    /// reaches another service is kept in a second place.
    pub(super) fn move_to_scope(&mut self, there: &Arc<Instance>, standing: &Standing) -> bool {
        if there.service.reaches().is_some() {
            return false;
        }
        let (scope, entry) = (standing.scope.clone(), self.stamp.seq);
        let row = Arc::new(Instance { scope, entry, ..Instance::clone(there) });
        let key = (row.node.shared_key(), row.service.id.shared_key());
        if let Some(service) = self.index.services.get_mut(row.service.name.key()) {
            Arc::make_mut(service).instances.insert(key.clone(), Arc::clone(&row));
        }
        let inserted = Arc::clone(&row);
        self.edit_node(&row.node, |node| {
            node.services.insert(inserted);
        });
        self.write_row(RowId::Service(key.0, key.1));
        self.index.instance_came(Some(there), &row, false);
        true
    }

    /// Whether the scopes fit together after records were written, and with what they hold.
    pub(super) fn scopes_fit(&self, changes: &[RecordChange]) -> Result<(), Refusal> {
        let table = |change: &RecordChange| match change {
            RecordChange::Put { record, .. } => record.table(),
            RecordChange::Remove { table, .. } => *table,
        };
        if !changes.iter().any(|change| is_governed(table(change))) {
            return Ok(());
        }
        let gone = changes.iter().find_map(|change| self.left_behind(change));
        let Some(scopes) = self.index.scopes() else { return gone.map_or(Ok(()), refused) };
        let is_policy = |name: &str| self.index.record::<ScopePolicy>(name).is_some();
        let fault = scopes.faults(is_policy).into_iter().next();
        match fault.or(gone).or_else(|| self.index.name_in_use(scopes)) {
            Some(fault) => refused(fault),
            None => Ok(()),
        }
    }

    /// A scope goes that still has instances.
    fn left_behind(&self, change: &RecordChange) -> Option<ScopeFault> {
        let RecordChange::Remove { table: TableId::Scope, key, .. } = change else { return None };
        let path = ScopePath::parse(key).ok().filter(|path| path.parent().is_some())?;
        let instances = self.index.usage(&path).instances;
        let gone = self.index.record::<Scope>(key).is_none();
        (gone && instances > 0).then_some(ScopeFault::Occupied { path, instances })
    }
}

fn refused(fault: ScopeFault) -> Result<(), Refusal> {
    Err(Refusal::Scope(Box::new(fault)))
}

#[cfg(test)]
mod tests;
