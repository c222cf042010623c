//! All lineages of a store, read in the one order of the group.

use std::collections::BTreeMap;

use redb::{ReadTransaction, TableError};

use super::{At, ReplayError};
use crate::entry::Entry;
use crate::lineage::tiles::kept_checkpoint;
use crate::lineage::{Leaves, Log, Place, find, scopes};
use crate::scope::ScopePath;
use crate::store::Fault;
use crate::store::tables::ORDERS;

/// The lineages of a store.
pub(super) struct Logs {
    own: Log,
    scoped: BTreeMap<ScopePath, Log>,
    /// Whether the store has what lineages of scopes need: one of an earlier version has not.
    complete: bool,
}

/// The entries of all lineages, by their order. What the index of orders says is not asked.
pub(super) struct Merged<'a> {
    logs: &'a Logs,
    /// By order: the next entry of each lineage.
    heads: BTreeMap<u64, Head>,
    expected: u64,
}

/// The next entry of a lineage, and those after it.
struct Head {
    scope: Option<ScopePath>,
    seq: u64,
    leaf: Vec<u8>,
    entry: Entry,
    rest: Leaves,
}

type Next = Result<(At, Vec<u8>, Entry), ReplayError>;

// === impl Logs ===

impl Logs {
    pub(super) fn open(tx: &ReadTransaction) -> Result<Self, Fault> {
        let complete = !matches!(tx.open_table(ORDERS), Err(TableError::TableDoesNotExist(_)));
        let mut scoped = BTreeMap::new();
        for path in scopes(tx)? {
            let log = Log::open(tx, Some(&path))?;
            scoped.insert(path, log);
        }
        Ok(Self { own: Log::open(tx, None)?, scoped, complete })
    }

    /// Whose lineages there are.
    pub(super) fn scopes(&self) -> Vec<Option<ScopePath>> {
        std::iter::once(None).chain(self.scoped.keys().cloned().map(Some)).collect()
    }

    pub(super) fn of(&self, scope: Option<&ScopePath>) -> &Log {
        scope.and_then(|path| self.scoped.get(path)).unwrap_or(&self.own)
    }

    /// Whether the index of orders leads to an entry.
    pub(super) fn finds(&self, tx: &ReadTransaction, at: &At, place: Place) -> Result<bool, Fault> {
        let found = if self.complete { find(tx, place.order)? } else { return Ok(true) };
        Ok(found.is_some_and(|(scope, found)| scope == at.scope && found == place))
    }

    pub(super) fn checkpoint(
        &self,
        tx: &ReadTransaction,
        scope: Option<&ScopePath>,
    ) -> Result<Option<Box<str>>, Fault> {
        kept_checkpoint(tx, scope)
    }
}

// === impl Merged ===

impl<'a> Merged<'a> {
    pub(super) fn over(logs: &'a Logs) -> Self {
        Self { logs, heads: BTreeMap::new(), expected: 0 }
    }

    /// The next entry in the order.
    pub(super) fn next(&mut self) -> Result<Option<Next>, Fault> {
        if self.expected == 0
            && let Err(error) = self.begin()?
        {
            return Ok(Some(Err(error)));
        }
        let Some((order, head)) = self.heads.pop_first() else { return Ok(None) };
        if order != self.expected {
            let at = At { scope: None, seq: self.expected };
            let reason = "no lineage has the entry of this order".to_owned();
            return Ok(Some(Err(ReplayError::Entry { at, reason })));
        }
        self.expected += 1;
        let at = At { scope: head.scope.clone(), seq: head.seq };
        if let Err(error) = self.advance(head.scope, head.seq + 1, head.rest)? {
            return Ok(Some(Err(error)));
        }
        Ok(Some(Ok((at, head.leaf, head.entry))))
    }

    fn begin(&mut self) -> Result<Result<(), ReplayError>, Fault> {
        for scope in self.logs.scopes() {
            let leaves = self.logs.of(scope.as_ref()).leaves(0..u64::MAX)?;
            if let Err(error) = self.advance(scope, 0, leaves)? {
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }

    /// Reads the next entry of a lineage.
    fn advance(
        &mut self,
        scope: Option<ScopePath>,
        seq: u64,
        mut rest: Leaves,
    ) -> Result<Result<(), ReplayError>, Fault> {
        let Some((found, leaf)) = rest.next().transpose()? else { return Ok(Ok(())) };
        let at = At { scope: scope.clone(), seq };
        let fault = |reason| Ok(Err(ReplayError::Entry { at, reason }));
        if found != seq {
            return fault("it is missing".to_owned());
        }
        let entry: Entry = match serde_json::from_slice(&leaf) {
            Ok(entry) => entry,
            Err(error) => return fault(format!("it is damaged: {error}")),
        };
        let order = entry.place();
        let head = Head { scope, seq, leaf, entry, rest };
        if self.heads.insert(order, head).is_some() {
            return fault(format!("another entry has the order {order}, too"));
        }
        Ok(Ok(()))
    }
}
