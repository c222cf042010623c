//! Whose the things are that a change writes.

use std::collections::BTreeSet;

use crate::change::{Change, KvChange, Registration, Removal, Restanding};
use crate::error::{Misfit, Refusal, TxnFault};
use crate::index::{Index, Instance, KeyRow, NodeRow};
use crate::name::Caseless;
use crate::policy::{Action, Target};
use crate::record::{AnyRecord, RecordChange, TableId};
use crate::scope::{ScopePath, Scopes};
use crate::service::{Node, Service};
use crate::txn::{KeyOp, KeyVerb, ServiceOp, TxnOp, Verb};

/// The rule by which a name is kept to the scope that it is delegated to.
const DELEGATION: &str = "delegation";

/// The rule by which a service's meta may choose a scope inside that of its caller.
const META_SCOPE: &str = "meta.scope";

/// The pair of a service's meta that names its scope.
const SCOPE_META: &str = "scope";

/// Something that a change does to a scope.
pub(super) struct Part<'a> {
    pub(super) action: Action,
    pub(super) target: Target<'a>,
    pub(super) scope: ScopePath,
    /// Whether the change is written down in this scope's lineage.
    pub(super) leads: bool,
    /// The operation of a transaction.
    pub(super) op: usize,
}

/// Who asks, among which scopes.
pub(super) struct Placing<'a> {
    pub(super) scopes: &'a Scopes,
    pub(super) index: &'a Index,
    /// The scope for which the caller speaks.
    pub(super) asks: Option<&'a ScopePath>,
    /// Where things go that are nobody's.
    pub(super) default: Option<&'a ScopePath>,
}

// === impl Placing ===

impl<'a> Placing<'a> {
    /// Writes into a change whose the things are that it makes.
    ///
    /// # Errors
    /// [`Refusal::Denied`] where a name is another's.
    pub(super) fn place(&self, change: &mut Change) -> Result<(), Refusal> {
        match change {
            Change::Register(registration) => {
                if let Some(service) = &registration.service {
                    registration.scope = self.written(self.of_service(service)?);
                }
                Ok(())
            }
            Change::Kv(KvChange::Put { key, scope, .. }) => {
                *scope = self.written(self.of_key(key)?);
                Ok(())
            }
            Change::Txn(ops) => each_op(ops.iter_mut(), |op| self.place_op(op)).map(drop),
            _ => Ok(()),
        }
    }

    fn place_op(&self, op: &mut TxnOp) -> Result<(), Refusal> {
        match op {
            TxnOp::Service(op) if is_write(op.verb) => {
                op.standing.scope = self.written(self.of_service(&op.service)?);
            }
            TxnOp::Key(op) if is_put(op.verb) => op.scope = self.written(self.of_key(&op.key)?),
            _ => {}
        }
        Ok(())
    }

    /// What a change does, scope by scope. It was placed before.
    ///
    /// # Errors
    /// [`Refusal::Denied`] or [`Refusal::OtherOwner`] where something is another's, or a budget is spent.
    pub(super) fn parts(&self, change: &'a Change) -> Result<Vec<Part<'a>>, Refusal> {
        match change {
            Change::Register(registration) => self.registration(registration),
            Change::Deregister(removal) => self.removal(removal),
            Change::Kv(change) => self.key_change(change),
            Change::OpenSession(session) => Ok(vec![
                self.at_large(Action::WriteSession, Target::Session(session.node.as_str())),
            ]),
            Change::CloseSession { id } => {
                let row = self.index.session(id);
                let node = row.map(|row| Target::Session(row.session.node.as_str()));
                Ok(node
                    .map(|target| self.at_large(Action::WriteSession, target))
                    .into_iter()
                    .collect())
            }
            Change::Records(changes) => {
                let parts: Result<Vec<_>, _> = changes.iter().map(|one| self.record(one)).collect();
                Ok(parts?.into_iter().flatten().collect())
            }
            Change::Txn(ops) => {
                let parts = each_op(ops.iter(), |op| self.op(op))?;
                let numbered = parts.into_iter().enumerate();
                let of = |(op, parts): (usize, Vec<Part<'a>>)| {
                    parts.into_iter().map(move |part| Part { op, ..part })
                };
                Ok(numbered.flat_map(of).collect())
            }
            Change::Govern(change) => Ok(self.standings(&change.standings)),
            _ => Ok(Vec::new()),
        }
    }

    /// Whose the instances are that are held or released.
    fn standings(&self, standings: &'a [Restanding]) -> Vec<Part<'a>> {
        let part = |restanding: &'a Restanding| {
            let row = self.index.node(restanding.node.as_str())?;
            let scope = row.services.get(restanding.id.key())?.scope.clone()?;
            let (action, target) =
                (Action::RegisterService, Target::Node(restanding.node.as_str()));
            Some(Part { op: 0, action, target, scope, leads: true })
        };
        standings.iter().filter_map(part).collect()
    }

    fn op(&self, op: &'a TxnOp) -> Result<Vec<Part<'a>>, Refusal> {
        match op {
            TxnOp::Key(op) => self.key_op(op),
            TxnOp::Service(op) => self.service_op(op),
            TxnOp::Node(op) if op.verb == Verb::Get => Ok(Vec::new()),
            TxnOp::Node(op) if is_write(op.verb) => Ok(vec![self.node(&op.node)]),
            TxnOp::Node(op) => self.node_goes(&op.node.name),
            TxnOp::Check(op) if op.verb == Verb::Get => Ok(Vec::new()),
            TxnOp::Check(op) => {
                let row = self.index.node(op.node.as_str());
                let service = op.check.service_id().and_then(|id| row?.services.get(id.key()));
                service.map_or(Ok(()), |row| self.may_touch(row))?;
                Ok(Vec::new())
            }
        }
    }

    // --- services and nodes

    fn registration(&self, registration: &'a Registration) -> Result<Vec<Part<'a>>, Refusal> {
        let row = self.index.node(registration.node.name.as_str());
        let mut parts = Vec::with_capacity(1);
        if let Some(service) = &registration.service {
            let scope = registration.scope.as_ref();
            parts.push(self.service(service, &registration.node, scope)?);
        }
        for check in &registration.checks {
            let of = check.service_id().and_then(|id| row?.services.get(id.key()));
            of.map_or(Ok(()), |row| self.may_touch(row))?;
        }
        if changes_node(registration, row.map(|row| &**row)) {
            let leads = parts.is_empty();
            parts.push(Part { leads, ..self.node(&registration.node) });
        }
        Ok(parts)
    }

    /// An instance that comes: its name is its scope's, its scope has room, and what it replaces may be replaced.
    fn service(
        &self,
        service: &'a Service,
        node: &'a Node,
        scope: Option<&ScopePath>,
    ) -> Result<Part<'a>, Refusal> {
        let row = self.index.node(node.name.as_str());
        if let Some(there) = row.and_then(|row| row.services.get(service.id.key())) {
            self.may_touch(there)?;
        }
        self.index.admits(scope, &node.name, service)?;
        Ok(Part {
            action: Action::RegisterService,
            target: Target::Instance(service, node),
            scope: scope.unwrap_or(self.scopes.root()).clone(),
            leads: true,
            op: 0,
        })
    }

    fn service_op(&self, op: &'a ServiceOp) -> Result<Vec<Part<'a>>, Refusal> {
        let row = self.index.node(op.node.as_str());
        match op.verb {
            Verb::Get => Ok(Vec::new()),
            Verb::Set | Verb::Cas => match row {
                // It fails when it is carried out.
                None => Ok(Vec::new()),
                Some(row) => {
                    let scope = op.standing.scope.as_ref();
                    Ok(vec![self.service(&op.service, &row.node, scope)?])
                }
            },
            Verb::Delete | Verb::DeleteCas => self.service_goes(&op.node, &op.service.id),
        }
    }

    fn removal(&self, removal: &'a Removal) -> Result<Vec<Part<'a>>, Refusal> {
        match removal {
            Removal::Node { node } => self.node_goes(node),
            Removal::Service { node, id } => self.service_goes(node, id),
            Removal::Check { node, id } => {
                let row = self.index.node(node.as_str());
                let check = row.and_then(|row| row.checks.get(id.key()));
                let of = check.and_then(|row| row.check.service_id().cloned());
                let service = of.and_then(|id| row?.services.get(id.key()));
                service.map_or(Ok(()), |row| self.may_touch(row))?;
                Ok(Vec::new())
            }
        }
    }

    fn service_goes(&self, node: &Caseless, id: &Caseless) -> Result<Vec<Part<'a>>, Refusal> {
        let row = self.index.node(node.as_str());
        let Some(there) = row.and_then(|row| row.services.get(id.key())) else {
            return Ok(Vec::new());
        };
        self.may_touch(there)?;
        Ok(vec![Part {
            action: Action::DeregisterService,
            target: Target::Service(there.service.name.as_str()),
            scope: there.scope.as_ref().unwrap_or(self.scopes.root()).clone(),
            leads: true,
            op: 0,
        }])
    }

    /// A node goes with everything on it.
    fn node_goes(&self, node: &'a Caseless) -> Result<Vec<Part<'a>>, Refusal> {
        let row = self.index.node(node.as_str());
        row.iter().flat_map(|row| row.services.values()).try_for_each(|row| self.may_touch(row))?;
        Ok(vec![self.at_large(Action::WriteNode, Target::Node(node.as_str()))])
    }

    fn node(&self, node: &'a Node) -> Part<'a> {
        self.at_large(Action::WriteNode, Target::Node(node.name.as_str()))
    }

    /// What no scope under that of the datacenter owns.
    fn at_large(&self, action: Action, target: Target<'a>) -> Part<'a> {
        let scope = self.default.unwrap_or(self.scopes.root()).clone();
        Part { action, target, scope, leads: true, op: 0 }
    }

    // --- keys

    fn key_change(&self, change: &'a KvChange) -> Result<Vec<Part<'a>>, Refusal> {
        match change {
            KvChange::Put { key, value, scope, .. } => self.key_comes(key, value, scope.as_ref()),
            KvChange::Delete { key, .. } => self.key_goes(key),
            KvChange::DeleteTree { prefix } => self.keys_go(prefix),
        }
    }

    fn key_op(&self, op: &'a KeyOp) -> Result<Vec<Part<'a>>, Refusal> {
        match op.verb {
            verb if is_put(verb) => self.key_comes(&op.key, &op.value, op.scope.as_ref()),
            KeyVerb::Delete | KeyVerb::DeleteCas => self.key_goes(&op.key),
            KeyVerb::DeleteTree => self.keys_go(&op.key),
            _ => Ok(Vec::new()),
        }
    }

    fn key_comes(
        &self,
        key: &'a str,
        value: &[u8],
        scope: Option<&ScopePath>,
    ) -> Result<Vec<Part<'a>>, Refusal> {
        self.index.key_fits(scope, key, value.len())?;
        let scope = scope.unwrap_or(self.scopes.root()).clone();
        Ok(vec![key_part(key, Some(value.len()), scope)])
    }

    fn key_goes(&self, key: &'a str) -> Result<Vec<Part<'a>>, Refusal> {
        let Some(row) = self.index.key(key) else { return Ok(Vec::new()) };
        Ok(vec![key_part(key, None, self.may_touch_key(row)?)])
    }

    fn keys_go(&self, prefix: &'a str) -> Result<Vec<Part<'a>>, Refusal> {
        let owners: Result<BTreeSet<ScopePath>, Refusal> =
            self.index.keys(prefix).map(|row| self.may_touch_key(row)).collect();
        Ok(owners?.into_iter().map(|scope| key_part(prefix, None, scope)).collect())
    }

    // --- records

    /// Records of governance belong to scopes, and all others to the datacenter's own, which no policy decides about.
    fn record(&self, change: &'a RecordChange) -> Result<Option<Part<'a>>, Refusal> {
        let table = match change {
            RecordChange::Put { record, .. } => record.table(),
            RecordChange::Remove { table, .. } => *table,
        };
        let root = || self.scopes.root().clone();
        let (kind, scope) = match (table, change) {
            (TableId::Scope, RecordChange::Put { record: AnyRecord::Scope(scope), .. }) => {
                ("scope", scope.path.parent().unwrap_or_else(root))
            }
            (TableId::Scope, RecordChange::Remove { key, .. }) => {
                let parent = ScopePath::parse(key).ok().and_then(|path| path.parent());
                ("scope", parent.unwrap_or_else(root))
            }
            (TableId::ScopePolicy, _) => ("policy", self.of_record(change)),
            (TableId::Credential, _) => ("credential", self.of_record(change)),
            (TableId::Alias, _) => ("alias", self.of_record(change)),
            _ => return Ok(None),
        };
        if let Some(asks) = self.asks
            && !scope.is_within(asks)
        {
            return Err(denied(&scope, DELEGATION));
        }
        let name = match change {
            RecordChange::Put { record: AnyRecord::Scope(scope), .. } => scope.path.as_str(),
            RecordChange::Put { record: AnyRecord::ScopePolicy(policy), .. } => &policy.name,
            RecordChange::Put { record: AnyRecord::Credential(credential), .. } => &credential.id,
            RecordChange::Put { record: AnyRecord::Alias(alias), .. } => &alias.path,
            RecordChange::Put { .. } => "",
            RecordChange::Remove { key, .. } => key,
        };
        let target = Target::Other(kind, name);
        Ok(Some(Part { action: Action::WriteScope, target, scope, leads: true, op: 0 }))
    }

    /// The scope that a record names: a new one's, else that of the one that is there.
    fn of_record(&self, change: &RecordChange) -> ScopePath {
        use crate::credential::{Alias, CredentialRecord};
        use crate::scope::ScopePolicy;
        let scope = match change {
            RecordChange::Put { record: AnyRecord::ScopePolicy(policy), .. } => Some(&policy.scope),
            RecordChange::Put { record: AnyRecord::Credential(one), .. } => Some(&one.scope),
            RecordChange::Put { record: AnyRecord::Alias(alias), .. } => Some(&alias.scope),
            RecordChange::Put { .. } => None,
            RecordChange::Remove { table: TableId::ScopePolicy, key, .. } => {
                self.index.record::<ScopePolicy>(key).map(|row| &row.record.scope)
            }
            RecordChange::Remove { table: TableId::Credential, key, .. } => {
                self.index.record::<CredentialRecord>(key).map(|row| &row.record.scope)
            }
            RecordChange::Remove { key, .. } => {
                self.index.record::<Alias>(key).map(|row| &row.record.scope)
            }
        };
        scope.unwrap_or(self.scopes.root()).clone()
    }

    // --- owners

    /// The scope of an instance that comes: whoever its name is delegated to; else what its meta chooses, the caller's
    /// own, that of its name's other instances, the default.
    fn of_service(&self, service: &Service) -> Result<ScopePath, Refusal> {
        let chosen = self.chosen(service);
        let name = service.name.as_str();
        if let Some(owner) = self.scopes.owner_of_service(name) {
            self.may_write(owner)?;
            let elsewhere = chosen.is_some_and(|chosen| chosen != *owner);
            return if elsewhere { Err(denied(owner, META_SCOPE)) } else { Ok(owner.clone()) };
        }
        if let Some(chosen) = chosen {
            let inside = self.asks.is_none_or(|asks| chosen.is_within(asks));
            let there = self.scopes.get(&chosen).is_some();
            return if inside && there { Ok(chosen) } else { Err(denied(&chosen, META_SCOPE)) };
        }
        let first = || {
            let row = self.index.service(name)?;
            row.instances.values().next()?.scope.clone()
        };
        Ok(self.asks.cloned().or_else(first).unwrap_or_else(|| self.nobodys()))
    }

    /// The scope that a service's meta names. Any other text in that place is the service's own affair.
    fn chosen(&self, service: &Service) -> Option<ScopePath> {
        let text = service.meta.as_ref()?.get(SCOPE_META)?;
        ScopePath::parse(text).ok().filter(|path| path.is_within(self.scopes.root()))
    }

    fn of_key(&self, key: &str) -> Result<ScopePath, Refusal> {
        if let Some(owner) = self.scopes.owner_of_key(key) {
            self.may_write(owner)?;
            return Ok(owner.clone());
        }
        let there = self.index.key(key).and_then(|row| row.scope.clone());
        // A scope that is gone has left its keys to nobody.
        let there = there.filter(|owner| self.scopes.get(owner).is_some());
        match (there, self.asks) {
            (Some(owner), _) => {
                self.may_write(&owner)?;
                Ok(owner)
            }
            (None, Some(asks)) => Ok(asks.clone()),
            (None, None) => Ok(self.nobodys()),
        }
    }

    fn nobodys(&self) -> ScopePath {
        self.default.unwrap_or(self.scopes.root()).clone()
    }

    /// Whoever speaks for a scope writes what is its own or under it.
    fn may_write(&self, owner: &ScopePath) -> Result<(), Refusal> {
        match self.asks {
            Some(asks) if !owner.is_within(asks) => Err(denied(owner, DELEGATION)),
            _ => Ok(()),
        }
    }

    /// An instance may also be touched by whoever its name was delegated to since; one that is nobody's by anyone.
    fn may_touch(&self, row: &Instance) -> Result<(), Refusal> {
        let delegated = self.scopes.owner_of_service(row.service.name.as_str());
        delegated.or(row.scope.as_ref()).map_or(Ok(()), |owner| self.may_write(owner))
    }

    fn may_touch_key(&self, row: &KeyRow) -> Result<ScopePath, Refusal> {
        let owner = self.scopes.owner_of_key(&row.key).or(row.scope.as_ref());
        owner.map_or(Ok(()), |owner| self.may_write(owner))?;
        Ok(owner.unwrap_or(self.scopes.root()).clone())
    }

    /// As it is written into a change: nothing stands for the datacenter's own.
    fn written(&self, scope: ScopePath) -> Option<ScopePath> {
        (scope != *self.scopes.root()).then_some(scope)
    }
}

fn key_part(key: &str, bytes: Option<usize>, scope: ScopePath) -> Part<'_> {
    let target = Target::Key(key, bytes);
    Part { action: Action::WriteKey, target, scope, leads: true, op: 0 }
}

pub(super) fn denied(scope: &ScopePath, rule: &str) -> Refusal {
    Refusal::Denied { scope: scope.clone(), rule: rule.into() }
}

fn changes_node(registration: &Registration, row: Option<&NodeRow>) -> bool {
    row.is_none_or(|row| !registration.skip_node_update && *row.node != registration.node)
}

fn is_write(verb: Verb) -> bool {
    matches!(verb, Verb::Set | Verb::Cas)
}

fn is_put(verb: KeyVerb) -> bool {
    matches!(verb, KeyVerb::Set | KeyVerb::Cas | KeyVerb::Lock | KeyVerb::Unlock)
}

/// What each operation gives, or all that are refused.
fn each_op<T, U>(
    ops: impl Iterator<Item = T>,
    mut one: impl FnMut(T) -> Result<U, Refusal>,
) -> Result<Vec<U>, Refusal> {
    let (mut all, mut faults) = (Vec::new(), Vec::new());
    for (op, of) in ops.enumerate() {
        match one(of) {
            Ok(given) => all.push(given),
            Err(why) => faults.push(TxnFault { op, why: Misfit::from(why) }),
        }
    }
    if faults.is_empty() { Ok(all) } else { Err(Refusal::Txn(faults)) }
}
