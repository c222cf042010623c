//! Whether a caller's rules let it write.
//!
//! Writes are vetted against the caller's rules and the index as it is, as Consul vets them: whoever re-registers a
//! service sends its node along and need not be allowed to write the node when nothing of it changes. What is read is decided by
//! whoever prints the answer: it leaves out what the [`Authority`] does not allow.

use super::{Act, Authority};
use crate::change::{Change, KvChange, Registration, Removal};
use crate::error::{Refusal, TxnFault};
use crate::index::{Index, NodeRow};
use crate::node::sync::CONSUL_SERVICE;
use crate::service::{Check, Node, Service};
use crate::txn::{CheckOp, KeyOp, KeyVerb, ServiceOp, TxnOp, Verb};

/// The name of the rule that lets everything through: a scope without a policy of its own.
pub(crate) const OPEN: &str = "open";

/// The name of the rule that lets through what the caller's rules allow.
const ACL: &str = "acl";

/// The kind of service that stands before another.
const SIDECAR: &str = "connect-proxy";

/// Whether a caller may write this, by which rule.
///
/// Further records are let through: what a write of one takes depends on what it means, which their handlers know. They ask
/// before they submit.
///
/// # Errors
/// [`Refusal::NotAllowed`], or what Consul finds out about the write while it is vetted.
pub fn admit(
    authority: &Authority,
    index: &Index,
    change: &Change,
) -> Result<&'static str, Refusal> {
    if authority.is_open() {
        return Ok(OPEN);
    }
    match change {
        Change::Register(registration) => vet_registration(authority, index, registration)?,
        Change::Deregister(removal) => vet_removal(authority, index, removal)?,
        Change::Kv(change) => authority.demand(key_act(change))?,
        Change::OpenSession(session) => {
            authority.demand(Act::session_write(session.node.as_str()))?;
        }
        Change::CloseSession { id } => {
            if let Some(row) = index.session(id) {
                authority.demand(Act::session_write(row.session.node.as_str()))?;
            }
        }
        Change::Records(_) | Change::Govern(_) | Change::Note(_) => {}
        Change::Restore(_) => authority.demand(Act::acl_write())?,
        Change::Prune(_) => authority.demand(Act::operator_write())?,
        Change::Txn(ops) => vet_transaction(authority, ops)?,
    }
    Ok(ACL)
}

fn key_act(change: &KvChange) -> Act<'_> {
    match change {
        KvChange::Put { key, .. } | KvChange::Delete { key, .. } => Act::key_write(key),
        KvChange::DeleteTree { prefix } => Act::key_write_under(prefix),
    }
}

fn vet_registration(
    authority: &Authority,
    index: &Index,
    registration: &Registration,
) -> Result<(), Refusal> {
    let row = index.node(registration.node.name.as_str());
    if let Some(service) = &registration.service {
        vet_service(authority, service)?;
    }
    if row
        .is_none_or(|row| !registration.skip_node_update && differs(&row.node, &registration.node))
    {
        authority.demand(Act::node_write(registration.node.name.as_str()))?;
    }
    if let Some(service) = &registration.service {
        authority.demand(Act::service_write(service.name.as_str()))?;
        // The id may be another service's, which goes by this.
        let there = row.and_then(|row| row.services.get(service.id.key()));
        if there.is_some_and(|there| !may_write(authority, &there.service)) {
            return Err(Refusal::Forbidden);
        }
    }
    registration
        .checks
        .iter()
        .try_for_each(|check| vet_check(authority, registration, row.map(|row| &**row), check))
}

/// The service that servers register of themselves takes no leave here, and a sidecar that of its service too.
fn vet_service(authority: &Authority, service: &Service) -> Result<(), Refusal> {
    if service.name.as_str() != CONSUL_SERVICE {
        authority.demand(Act::service_write(service.name.as_str()))?;
    }
    if service.kind() == SIDECAR {
        let of = service.mesh().map_or("", |mesh| &mesh.proxy.destination_service_name);
        authority.demand(Act::service_write(of))?;
    }
    Ok(())
}

fn vet_check(
    authority: &Authority,
    registration: &Registration,
    row: Option<&NodeRow>,
    check: &Check,
) -> Result<(), Refusal> {
    let Some(checked) = &check.service else {
        return Ok(authority.demand(Act::node_write(registration.node.name.as_str()))?);
    };
    if registration.service.as_ref().is_some_and(|service| service.id == checked.id) {
        return Ok(());
    }
    let there = row.and_then(|row| row.services.get(checked.id.key()));
    let unknown = || Refusal::UnknownService {
        node: registration.node.name.clone(),
        service: checked.id.clone(),
        check: check.id.clone(),
    };
    let there = there.ok_or_else(unknown)?;
    Ok(authority.demand(Act::service_write(there.service.name.as_str()))?)
}

fn may_write(authority: &Authority, service: &Service) -> bool {
    authority.allows(Act::service_write(service.name.as_str()))
}

/// Whether a registration changes its node.
fn differs(there: &Node, node: &Node) -> bool {
    there.id != node.id
        || there.address != node.address
        || there.datacenter != node.datacenter
        || there.tagged_addresses != node.tagged_addresses
        || there.meta != node.meta
}

/// Who may write the node may remove what is on it.
fn vet_removal(authority: &Authority, index: &Index, removal: &Removal) -> Result<(), Refusal> {
    let (Removal::Node { node } | Removal::Service { node, .. } | Removal::Check { node, .. }) =
        removal;
    let of_node = authority.demand(Act::node_write(node.as_str()));
    if of_node.is_ok() {
        return Ok(());
    }
    let row = index.node(node.as_str());
    let name = match removal {
        Removal::Node { .. } => return Ok(of_node?),
        Removal::Service { id, .. } => {
            let there = row.and_then(|row| row.services.get(id.key()));
            let there = there.ok_or_else(|| Refusal::NoService(id.clone()))?;
            there.service.name.clone()
        }
        Removal::Check { id, .. } => {
            let there = row.and_then(|row| row.checks.get(id.key()));
            let there = there.ok_or_else(|| Refusal::NoCheck(id.clone()))?;
            match &there.check.service {
                Some(checked) => checked.name.clone(),
                None => return Ok(of_node?),
            }
        }
    };
    Ok(authority.demand(Act::service_write(name.as_str()))?)
}

/// All that a transaction may not do. What it reads is left out by whoever prints it.
fn vet_transaction(authority: &Authority, ops: &[TxnOp]) -> Result<(), Refusal> {
    let fault = |(op, of): (usize, &TxnOp)| {
        let why = vet_op(authority, of).err()?;
        Some(TxnFault { op, why: why.into() })
    };
    let faults: Vec<TxnFault> = ops.iter().enumerate().filter_map(fault).collect();
    if faults.is_empty() { Ok(()) } else { Err(Refusal::Txn(faults)) }
}

/// Whether a caller may have one operation of a transaction carried out.
///
/// # Errors
/// [`Refusal::NotAllowed`].
pub fn vet_op(authority: &Authority, op: &TxnOp) -> Result<(), Refusal> {
    match op {
        TxnOp::Key(op) => vet_key_op(authority, op),
        TxnOp::Node(op) if op.verb == Verb::Get => Ok(()),
        TxnOp::Node(op) => Ok(authority.demand(Act::node_write(op.node.name.as_str()))?),
        TxnOp::Service(op) => vet_service_op(authority, op),
        TxnOp::Check(op) => vet_check_op(authority, op),
    }
}

/// Comparisons tell what is there: they take what a read takes, and one that a key is absent what a write takes.
fn vet_key_op(authority: &Authority, op: &KeyOp) -> Result<(), Refusal> {
    let act = match op.verb {
        KeyVerb::Get | KeyVerb::GetOrEmpty | KeyVerb::GetTree => return Ok(()),
        KeyVerb::CheckIndex | KeyVerb::CheckSession => Act::key_read(&op.key),
        KeyVerb::DeleteTree => Act::key_write_under(&op.key),
        KeyVerb::CheckNotExists
        | KeyVerb::Set
        | KeyVerb::Cas
        | KeyVerb::Lock
        | KeyVerb::Unlock
        | KeyVerb::Delete
        | KeyVerb::DeleteCas => Act::key_write(&op.key),
    };
    Ok(authority.demand(act)?)
}

fn vet_service_op(authority: &Authority, op: &ServiceOp) -> Result<(), Refusal> {
    if op.verb == Verb::Get { Ok(()) } else { vet_service(authority, &op.service) }
}

fn vet_check_op(authority: &Authority, op: &CheckOp) -> Result<(), Refusal> {
    let act = match &op.check.service {
        _ if op.verb == Verb::Get => return Ok(()),
        Some(checked) => Act::service_write(checked.name.as_str()),
        None => Act::node_write(op.node.as_str()),
    };
    Ok(authority.demand(act)?)
}
