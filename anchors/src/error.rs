//! Why the core says no. What a client reads for it is decided by whoever speaks to the client.

use serde::{Deserialize, Serialize};

use crate::acl::Denial;
use crate::name::Caseless;
use crate::record::TableId;
use crate::scope::{ScopeFault, ScopePath};
use crate::txn::Verb;

/// A write or a read that was not carried out, and why. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Refusal {
    /// The node named by a write is not in the catalog.
    #[error("node {0} is not registered")]
    UnknownNode(Caseless),
    /// A check names a service that its node does not have.
    #[error("node {node} has no service {service} for check {check}")]
    UnknownService {
        /// The node.
        node: Caseless,
        /// The service's id.
        service: Caseless,
        /// The check's id.
        check: Caseless,
    },
    /// A check has neither id nor name.
    #[error("a check of node {node} has neither id nor name")]
    NamelessCheck {
        /// The node.
        node: Caseless,
    },
    /// A node may not take the name of another one that is alive.
    #[error("node name {name} is reserved by node {holder}")]
    NodeNameTaken {
        /// The name asked for.
        name: Caseless,
        /// The address of the node that had the id before; `None` when the id is new.
        former: Option<Box<str>>,
        /// The id that asked.
        id: Box<str>,
        /// The id of the node that holds the name.
        holder: Box<str>,
        /// How the holder is spelt.
        holder_name: Box<str>,
        /// The holder's address.
        holder_address: Box<str>,
    },
    /// A session names a check that its node does not have.
    #[error("check {0} is not registered")]
    UnknownCheck(Box<str>),
    /// A session names a check that is critical.
    #[error("check {0} is critical")]
    CriticalCheck(Box<str>),
    /// A lock names a session that does not exist.
    #[error("session {0} does not exist")]
    UnknownSession(Box<str>),
    /// A lock names no session.
    #[error("no session was named")]
    MissingSession,
    /// Operations of a transaction failed: these.
    #[error("{} operations of the transaction failed", .0.len())]
    Txn(Vec<TxnFault>),
    /// What a snapshot holds cannot be restored: why. Nothing of it is kept.
    #[error("{0}")]
    Snapshot(Box<str>),
    /// The group has no leader to order the write.
    #[error("the group has no leader")]
    NoLeader,
    /// Another record of the table has this name.
    #[error("the name {name} is taken")]
    NameTaken {
        /// The table.
        table: TableId,
        /// The name: a second name of the record, see `record::Record::name`.
        name: Box<str>,
    },
    /// The name of a query is another's id.
    #[error("the name {0} is the id of a query")]
    NameIsId(Box<str>),
    /// The caller's token is not known; nobody has one before the access control is bootstrapped.
    #[error("the token is not known")]
    UnknownToken {
        /// Whether the access control was bootstrapped.
        bootstrapped: bool,
    },
    /// The caller's token has expired.
    #[error("the token has expired")]
    ExpiredToken,
    /// The access control does not allow it.
    #[error(transparent)]
    NotAllowed(#[from] Denial),
    /// The same, and nothing more is told.
    #[error("not allowed")]
    Forbidden,
    /// The secret is a word that once stood for a policy.
    #[error("the secret is reserved")]
    ReservedSecret,
    /// Whoever may not write the node removes a service that it does not have.
    #[error("no service {0}")]
    NoService(Caseless),
    /// Whoever may not write the node removes a check that it does not have.
    #[error("no check {0}")]
    NoCheck(Caseless),
    /// The policy of the owning scope does not answer now, and whoever asks was never answered before.
    #[error("scope {scope} defers by rule {rule}, and nothing is known from before")]
    Deferred {
        /// The scope.
        scope: ScopePath,
        /// The rule.
        rule: Box<str>,
    },
    /// The policy of the owning scope refuses.
    #[error("scope {scope} refuses by rule {rule}")]
    Denied {
        /// The scope.
        scope: ScopePath,
        /// The rule.
        rule: Box<str>,
    },
    /// A service name belongs to another scope: a name has one owner in a datacenter.
    #[error("service name {name} belongs to scope {owner}")]
    OtherOwner {
        /// The name.
        name: Caseless,
        /// Whose it is.
        owner: ScopePath,
    },
    /// More writes came than the scope takes. It may be asked again a moment later.
    #[error("scope {scope} takes {per_second} writes a second (budget/writes_per_second)")]
    TooFast {
        /// The scope.
        scope: ScopePath,
        /// Its budget.
        per_second: u64,
    },
    /// Scopes that do not fit together, or not with what they hold.
    #[error(transparent)]
    Scope(Box<ScopeFault>),
    /// The disk did not take the write; nothing of it is kept.
    #[error("the store did not take the write: {0}")]
    Storage(Box<str>),
    /// More writes wait than the group takes (see `limits::WRITES_WAITING_MAX`).
    #[error("too many writes are waiting")]
    Overloaded,
    /// The group is stopping.
    #[error("the group is stopping")]
    Stopping,
}

/// An operation that keeps the whole transaction from being carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TxnFault {
    /// Its place in the transaction, from 0.
    pub op: usize,
    /// Why.
    pub why: Misfit,
}

/// Why an operation cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Misfit {
    /// A key was changed by another.
    #[error("key {0} was changed")]
    StaleKey(Box<str>),
    /// The same, where it was to be deleted.
    #[error("key {0} was changed and is not deleted")]
    StaleKeyDelete(Box<str>),
    /// Another session holds the lock.
    #[error("the lock on key {0} is held")]
    LockHeld(Box<str>),
    /// The key's last holder ended a moment ago.
    #[error("the lock on key {0} is delayed")]
    LockDelayed(Box<str>),
    /// The session does not hold the lock.
    #[error("the lock on key {0} is not held by this session")]
    LockNotHeld(Box<str>),
    /// No such key.
    #[error("no key {0}")]
    NoKey(Box<str>),
    /// There is such a key.
    #[error("key {0} exists")]
    KeyExists(Box<str>),
    /// No such key, whose index was to be compared.
    #[error("no key {0} with an index")]
    NoKeyForIndex(Box<str>),
    /// No such key, whose session was to be compared.
    #[error("no key {0} with a session")]
    NoKeyForSession(Box<str>),
    /// A key's index is another.
    #[error("the index of key {key} is {is}, not {asked}")]
    KeyIndex {
        /// The key.
        key: Box<str>,
        /// Its modify index.
        is: u64,
        /// The one that was asked for.
        asked: u64,
    },
    /// A key's holder is another.
    #[error("key {key} is held by {is:?}, not {asked:?}")]
    KeySession {
        /// The key.
        key: Box<str>,
        /// Its holder; empty for none.
        is: Box<str>,
        /// The one that was asked for.
        asked: Box<str>,
    },
    /// No such node.
    #[error("no node {0}")]
    NoNode(Caseless),
    /// A node was changed by another.
    #[error("node {0} was changed")]
    StaleNode(Caseless),
    /// The same, where it was to be deleted.
    #[error("node {0} was changed and is not deleted")]
    StaleNodeDelete(Caseless),
    /// No such service.
    #[error("no service {id} on node {node}")]
    NoService {
        /// The node.
        node: Caseless,
        /// The service's id.
        id: Caseless,
    },
    /// A service was changed by another.
    #[error("service {id} on node {node} was changed")]
    StaleService {
        /// The node.
        node: Caseless,
        /// The service's id.
        id: Caseless,
    },
    /// The same, where it was to be deleted.
    #[error("service {id} on node {node} was changed and is not deleted")]
    StaleServiceDelete {
        /// The node.
        node: Caseless,
        /// The service's id.
        id: Caseless,
    },
    /// A service's meta breaks the rules.
    #[error("the meta of service {id} on node {node} is invalid: {reason}")]
    ServiceMeta {
        /// The node.
        node: Caseless,
        /// The service's id.
        id: Caseless,
        /// Which rule.
        reason: Box<str>,
    },
    /// No such check.
    #[error("no check {id} on node {node}")]
    NoCheck {
        /// The node.
        node: Caseless,
        /// The check's id.
        id: Caseless,
    },
    /// A check was changed by another.
    #[error("check {id} on node {node} was changed")]
    StaleCheck {
        /// The node.
        node: Caseless,
        /// The check's id.
        id: Caseless,
    },
    /// The same, where it was to be deleted.
    #[error("check {id} on node {node} was changed and is not deleted")]
    StaleCheckDelete {
        /// The node.
        node: Caseless,
        /// The check's id.
        id: Caseless,
    },
    /// A check has no id, or no node.
    #[error("a check without an id or without a node cannot be looked up")]
    NamelessCheck(Verb),
    /// As the same write alone is refused.
    #[error(transparent)]
    Refused(Box<Refusal>),
}

impl From<Refusal> for Misfit {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}
