//! One change being carried out.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Applied, Index, RowId, Stamp, Touched, WatchKey};
use crate::change::{Change, Removal};
use crate::error::Refusal;
use crate::txn::TxnResult;

/// The index while one change is carried out, and what the change touched so far.
pub(super) struct Write<'a> {
    pub(super) index: &'a mut Index,
    pub(super) stamp: &'a Stamp,
    touched: Touched,
    subject: Option<(Uuid, Option<u64>)>,
    results: Vec<TxnResult>,
    minted: u32,
}

// === impl Index ===

impl Index {
    /// Carries out one change. On a refusal nothing has changed but the revision.
    pub fn apply(&mut self, stamp: &Stamp, change: &Change) -> Applied {
        debug_assert!(stamp.revision > self.revision, "revisions rise");
        self.revision = stamp.revision;
        let mut write = Write::new(self, stamp);
        let verdict = write.carry_out(change);
        write.finish(verdict)
    }
}

// === impl Write ===

impl<'a> Write<'a> {
    fn new(index: &'a mut Index, stamp: &'a Stamp) -> Self {
        // As many as a registration of a service with a check touches.
        let (keys, rows) = (Vec::with_capacity(16), Vec::with_capacity(8));
        let touched = Touched { keys, rows, ..Touched::default() };
        Self { index, stamp, touched, subject: None, results: Vec::new(), minted: 0 }
    }

    fn carry_out(&mut self, change: &Change) -> Result<bool, Refusal> {
        match change {
            Change::Register(registration) => self.register(registration).map(|()| true),
            Change::Deregister(Removal::Node { node }) => Ok(self.remove_node(node)),
            Change::Deregister(Removal::Service { node, id }) => Ok(self.remove_service(node, id)),
            Change::Deregister(Removal::Check { node, id }) => Ok(self.remove_check(node, id)),
            Change::Kv(change) => self.write_key(change),
            Change::OpenSession(session) => self.open_session(session).map(|()| true),
            Change::CloseSession { id } => Ok(self.close_session(id)),
            Change::Records(changes) => self.write_records(changes),
            Change::Govern(change) => self.govern(change),
            Change::Txn(ops) => self.write_txn(ops),
            Change::Restore(restore) => self.restore(restore),
            // The lineage has it; the index does not.
            Change::Note(_) | Change::Prune(_) => Ok(true),
        }
    }

    fn finish(mut self, verdict: Result<bool, Refusal>) -> Applied {
        self.write_row(RowId::Marks);
        let (uid, previous) = match self.subject {
            Some((uid, previous)) => (Some(uid), previous),
            None => (None, None),
        };
        Applied { verdict, uid, previous, touched: self.touched, results: self.results }
    }

    /// Nothing was touched after all: the index was put back.
    pub(super) fn forget(&mut self) {
        self.touched = Touched::default();
        self.subject = None;
    }

    /// What a transaction's operations tell.
    pub(super) fn tell(&mut self, results: Vec<TxnResult>) {
        self.results = results;
    }

    pub(super) fn revision(&self) -> u64 {
        self.stamp.revision
    }

    /// Names the record that the change speaks of; the first named stays.
    pub(super) fn speaks_of(&mut self, uid: Uuid, previous: Option<u64>) {
        self.subject.get_or_insert((uid, previous));
    }

    pub(super) fn touch(&mut self, key: WatchKey) {
        self.touched.keys.push(key);
    }

    pub(super) fn write_row(&mut self, row: RowId) {
        self.touched.rows.push(row);
    }

    /// A record is not there any more.
    pub(super) fn goes(&mut self, uid: Uuid, row: RowId) {
        self.touched.gone.push((uid, row));
    }

    /// The whole index is another.
    pub(super) fn replaced(&mut self) {
        self.touched.all = true;
    }

    pub(super) fn set_free(&mut self, key: Arc<str>, lock_delay: std::time::Duration) {
        self.touched.freed.push((key, lock_delay));
    }

    /// A new uid: version 7 (RFC 9562), its time the change's, its randomness drawn from the change's salt.
    pub(super) fn mint(&mut self) -> Uuid {
        let mut hash = Sha256::new();
        hash.update(self.stamp.salt);
        hash.update(self.minted.to_be_bytes());
        self.minted += 1;
        let digest = hash.finalize();
        let mut random = [0; 10];
        random.copy_from_slice(&digest[..10]);
        uuid::Builder::from_unix_timestamp_millis(self.stamp.at.as_millis(), &random).into_uuid()
    }
}
