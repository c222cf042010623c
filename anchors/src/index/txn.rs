//! Transactions: every operation is tried, and when one of them fails nothing has happened.

use std::sync::Arc;

use super::write::Write;
use super::{CheckRow, Index, Instance, KeyRow, NodeRow};
use crate::change::{KvChange, PutWhen, Registration};
use crate::error::{Misfit, Refusal, TxnFault};
use crate::name::Caseless;
use crate::node::definition::validate_service_meta;
use crate::txn::{CheckOp, KeyOp, KeyVerb, NodeOp, ServiceOp, TxnOp, TxnResult, Verb};

/// What one operation tells.
type Told = Result<Vec<TxnResult>, Misfit>;

impl Index {
    /// Carries out the operations that read. One that writes tells nothing.
    ///
    /// # Errors
    /// All operations that failed.
    pub fn read_txn(&self, ops: &[TxnOp]) -> Result<Vec<TxnResult>, Vec<TxnFault>> {
        all_of(ops, |op| self.read_op(op))
    }

    fn read_op(&self, op: &TxnOp) -> Told {
        match op {
            TxnOp::Key(op) => self.read_key(op),
            TxnOp::Node(op) if op.verb == Verb::Get => {
                let row = self.txn_node(op).ok_or_else(|| Misfit::NoNode(op.node.name.clone()))?;
                Ok(vec![TxnResult::Node(Arc::clone(row))])
            }
            TxnOp::Service(op) if op.verb == Verb::Get => {
                let missing =
                    || Misfit::NoService { node: op.node.clone(), id: op.service.id.clone() };
                let row = self.txn_service(op).ok_or_else(missing)?;
                Ok(vec![TxnResult::Service(Arc::clone(row))])
            }
            TxnOp::Check(op) if op.verb == Verb::Get => {
                named(op)?;
                let missing = || Misfit::NoCheck { node: op.node.clone(), id: op.check.id.clone() };
                let row = self.txn_check(op).ok_or_else(missing)?;
                Ok(vec![TxnResult::Check(Arc::clone(row))])
            }
            TxnOp::Node(_) | TxnOp::Service(_) | TxnOp::Check(_) => Ok(Vec::new()),
        }
    }

    fn read_key(&self, op: &KeyOp) -> Told {
        let key = || op.key.clone();
        let row = self.key(&op.key);
        let there = |missing: Misfit| row.ok_or(missing);
        match op.verb {
            KeyVerb::Get => Ok(vec![TxnResult::Key(Arc::clone(there(Misfit::NoKey(key()))?))]),
            KeyVerb::GetOrEmpty => Ok(vec![match row {
                Some(row) => TxnResult::Key(Arc::clone(row)),
                None => TxnResult::Absent(Box::new(op.clone())),
            }]),
            KeyVerb::GetTree => Ok(self.keys(&op.key).cloned().map(TxnResult::Key).collect()),
            KeyVerb::CheckIndex => {
                index_is(there(Misfit::NoKeyForIndex(key()))?, op).map(|row| vec![row])
            }
            KeyVerb::CheckSession => {
                session_is(there(Misfit::NoKeyForSession(key()))?, op).map(|row| vec![row])
            }
            KeyVerb::CheckNotExists if row.is_some() => Err(Misfit::KeyExists(key())),
            KeyVerb::CheckNotExists
            | KeyVerb::Set
            | KeyVerb::Cas
            | KeyVerb::Lock
            | KeyVerb::Unlock
            | KeyVerb::Delete
            | KeyVerb::DeleteTree
            | KeyVerb::DeleteCas => Ok(Vec::new()),
        }
    }

    /// By id where one is given, else by name.
    fn txn_node(&self, op: &NodeOp) -> Option<&Arc<NodeRow>> {
        match &*op.node.id {
            "" => self.nodes.get(op.node.name.key()),
            id => self.node_by_id(id),
        }
    }

    fn txn_service(&self, op: &ServiceOp) -> Option<&Arc<Instance>> {
        self.nodes.get(op.node.key())?.services.get(op.service.id.key())
    }

    fn txn_check(&self, op: &CheckOp) -> Option<&Arc<CheckRow>> {
        self.nodes.get(op.node.key())?.checks.get(op.check.id.key())
    }
}

impl Write<'_> {
    /// All of them, or none.
    pub(super) fn write_txn(&mut self, ops: &[TxnOp]) -> Result<bool, Refusal> {
        let before = self.index.clone();
        match all_of(ops, |op| self.write_op(op)) {
            Ok(results) => {
                self.tell(results);
                Ok(true)
            }
            Err(faults) => {
                *self.index = before;
                self.forget();
                Err(Refusal::Txn(faults))
            }
        }
    }

    fn write_op(&mut self, op: &TxnOp) -> Told {
        match op {
            TxnOp::Key(op) => self.key_op(op),
            TxnOp::Node(of) if of.verb != Verb::Get => self.node_op(of),
            TxnOp::Service(of) if of.verb != Verb::Get => self.service_op(of),
            TxnOp::Check(of) if of.verb != Verb::Get => self.check_op(of),
            read => self.index.read_op(read),
        }
    }

    fn key_op(&mut self, op: &KeyOp) -> Told {
        let key = || op.key.clone();
        let put = |when| KvChange::Put {
            key: op.key.clone(),
            value: op.value.clone(),
            flags: op.flags,
            when,
            scope: op.scope.clone(),
        };
        let (change, misfit) = match op.verb {
            KeyVerb::Set => (put(PutWhen::Always), Misfit::StaleKey(key())),
            KeyVerb::Cas => (put(PutWhen::Index(op.index)), Misfit::StaleKey(key())),
            KeyVerb::Lock => (put(PutWhen::Acquire(op.session.clone())), Misfit::LockHeld(key())),
            KeyVerb::Unlock => {
                (put(PutWhen::Release(op.session.clone())), Misfit::LockNotHeld(key()))
            }
            KeyVerb::Delete | KeyVerb::DeleteCas => {
                let cas = (op.verb == KeyVerb::DeleteCas).then_some(op.index);
                (KvChange::Delete { key: key(), cas }, Misfit::StaleKeyDelete(key()))
            }
            KeyVerb::DeleteTree => {
                (KvChange::DeleteTree { prefix: key() }, Misfit::StaleKeyDelete(key()))
            }
            KeyVerb::Get
            | KeyVerb::GetOrEmpty
            | KeyVerb::GetTree
            | KeyVerb::CheckIndex
            | KeyVerb::CheckSession
            | KeyVerb::CheckNotExists => return self.index.read_key(op),
        };
        if !self.write_key(&change)? {
            return Err(misfit);
        }
        let written = matches!(change, KvChange::Put { .. }).then(|| self.index.key(&op.key));
        Ok(written.flatten().cloned().map(TxnResult::KeyAlone).into_iter().collect())
    }

    fn node_op(&mut self, op: &NodeOp) -> Told {
        let name = &op.node.name;
        let modified = self.index.nodes.get(name.key()).map(|row| row.modified);
        match op.verb {
            Verb::Delete | Verb::DeleteCas => {
                if !may_delete(op.verb, op.index, modified) {
                    return Err(Misfit::StaleNodeDelete(name.clone()));
                }
                self.remove_node(name);
                Ok(Vec::new())
            }
            Verb::Get | Verb::Set | Verb::Cas => {
                if !may_write(op.verb, op.index, modified) {
                    return Err(Misfit::StaleNode(name.clone()));
                }
                let node = op.node.clone();
                let registered = self.register(&Registration { node, ..Registration::default() });
                unless_compared(op.verb, registered.map_err(Misfit::from))?;
                let row = self.index.txn_node(op).cloned();
                Ok(row.map(TxnResult::Node).into_iter().collect())
            }
        }
    }

    fn service_op(&mut self, op: &ServiceOp) -> Told {
        let ids = || (op.node.clone(), op.service.id.clone());
        let modified = self.index.txn_service(op).map(|row| row.modified);
        match op.verb {
            Verb::Delete | Verb::DeleteCas => {
                if !may_delete(op.verb, op.index, modified) {
                    let (node, id) = ids();
                    return Err(Misfit::StaleServiceDelete { node, id });
                }
                self.remove_service(&op.node, &op.service.id);
                Ok(Vec::new())
            }
            Verb::Get | Verb::Set | Verb::Cas => {
                if !may_write(op.verb, op.index, modified) {
                    let (node, id) = ids();
                    return Err(Misfit::StaleService { node, id });
                }
                self.set_service(op)?;
                let row = self.index.txn_service(op).cloned();
                Ok(row.map(TxnResult::Service).into_iter().collect())
            }
        }
    }

    /// Unlike a registration it never makes the node.
    fn set_service(&mut self, op: &ServiceOp) -> Result<(), Misfit> {
        validate_service_meta(&op.service).map_err(|reason| Misfit::ServiceMeta {
            node: op.node.clone(),
            id: op.service.id.clone(),
            reason: reason.to_string().into(),
        })?;
        let node = self.registered(&op.node)?;
        self.index.admits(op.standing.scope.as_ref(), &node, &op.service)?;
        self.put_service(&node, &op.service, &op.standing);
        Ok(())
    }

    fn check_op(&mut self, op: &CheckOp) -> Told {
        named(op)?;
        let ids = || (op.node.clone(), op.check.id.clone());
        let modified = self.index.txn_check(op).map(|row| row.modified);
        match op.verb {
            Verb::Delete | Verb::DeleteCas => {
                if !may_delete(op.verb, op.index, modified) {
                    let (node, id) = ids();
                    return Err(Misfit::StaleCheckDelete { node, id });
                }
                self.remove_check(&op.node, &op.check.id);
                Ok(Vec::new())
            }
            Verb::Get | Verb::Set | Verb::Cas => {
                if !may_write(op.verb, op.index, modified) {
                    let (node, id) = ids();
                    return Err(Misfit::StaleCheck { node, id });
                }
                let written = self.set_check(op);
                unless_compared(op.verb, written)?;
                let row = self.index.txn_check(op).cloned();
                Ok(row.map(TxnResult::Check).into_iter().collect())
            }
        }
    }

    fn set_check(&mut self, op: &CheckOp) -> Result<(), Misfit> {
        let node = self.registered(&op.node)?;
        if let Some(service) = op.check.service_id() {
            let row = self.index.nodes.get(node.key());
            if !row.is_some_and(|row| row.services.contains_key(service.key())) {
                return Err(Refusal::UnknownService {
                    node,
                    service: service.clone(),
                    check: op.check.id.clone(),
                }
                .into());
            }
        }
        self.put_check(&node, &op.check);
        Ok(())
    }

    /// A node's name in the copy that its row has.
    fn registered(&self, node: &Caseless) -> Result<Caseless, Refusal> {
        if self.index.nodes.contains_key(node.key()) {
            Ok(self.as_kept(node.clone()))
        } else {
            Err(Refusal::UnknownNode(node.clone()))
        }
    }
}

fn named(op: &CheckOp) -> Result<(), Misfit> {
    let nameless = op.check.id.is_empty() || op.node.is_empty();
    if nameless { Err(Misfit::NamelessCheck(op.verb)) } else { Ok(()) }
}

/// Where an index was compared first, Consul loses what then kept it from writing a node or a check: nothing is written and
/// nothing is said.
fn unless_compared(verb: Verb, written: Result<(), Misfit>) -> Result<(), Misfit> {
    if verb == Verb::Cas { Ok(()) } else { written }
}

/// What all operations tell, or all that failed.
fn all_of(
    ops: &[TxnOp],
    mut one: impl FnMut(&TxnOp) -> Told,
) -> Result<Vec<TxnResult>, Vec<TxnFault>> {
    let (mut results, mut faults) = (Vec::with_capacity(ops.len()), Vec::new());
    for (op, of) in ops.iter().enumerate() {
        match one(of) {
            Ok(told) => results.extend(told),
            Err(why) => faults.push(TxnFault { op, why }),
        }
    }
    if faults.is_empty() { Ok(results) } else { Err(faults) }
}

fn index_is(row: &Arc<KeyRow>, op: &KeyOp) -> Result<TxnResult, Misfit> {
    if row.modified == op.index {
        return Ok(TxnResult::KeyAlone(Arc::clone(row)));
    }
    Err(Misfit::KeyIndex { key: op.key.clone(), is: row.modified, asked: op.index })
}

fn session_is(row: &Arc<KeyRow>, op: &KeyOp) -> Result<TxnResult, Misfit> {
    let is = row.session.as_deref().unwrap_or("");
    if *is == *op.session {
        return Ok(TxnResult::KeyAlone(Arc::clone(row)));
    }
    Err(Misfit::KeySession { key: op.key.clone(), is: is.into(), asked: op.session.clone() })
}

/// An index of 0 stands for a record that is not there.
fn may_write(verb: Verb, asked: u64, modified: Option<u64>) -> bool {
    verb != Verb::Cas || modified.unwrap_or(0) == asked
}

fn may_delete(verb: Verb, asked: u64, modified: Option<u64>) -> bool {
    verb != Verb::DeleteCas || modified == Some(asked)
}
