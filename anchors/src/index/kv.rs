//! Keys, their values and the locks on them.

use std::sync::Arc;

use bytes::Bytes;

use super::write::Write;
use super::{Grave, KeyRow, RowId, WatchKey};
use crate::change::{KvChange, PutWhen};
use crate::error::Refusal;
use crate::scope::ScopePath;

/// What a put writes, beside the value.
struct Put<'a> {
    key: &'a str,
    value: &'a [u8],
    flags: u64,
    scope: Option<&'a ScopePath>,
}

/// What a put makes of the lock on its key.
struct Lock {
    index: u64,
    session: Option<Arc<str>>,
}

impl Write<'_> {
    pub(super) fn write_key(&mut self, change: &KvChange) -> Result<bool, Refusal> {
        match change {
            KvChange::Put { key, value, flags, when, scope } => {
                self.put_key(&Put { key, value, flags: *flags, scope: scope.as_ref() }, when)
            }
            KvChange::Delete { key, cas } => Ok(self.delete_key(key, *cas)),
            KvChange::DeleteTree { prefix } => Ok(self.delete_keys(prefix)),
        }
    }

    fn put_key(&mut self, put: &Put<'_>, when: &PutWhen) -> Result<bool, Refusal> {
        let there = self.index.keys.get(put.key).cloned();
        let lock = match when {
            PutWhen::Always => Some(unlocked(there.as_deref())),
            PutWhen::Index(index) => {
                let now = there.as_ref().map_or(0, |row| row.modified);
                (now == *index).then(|| unlocked(there.as_deref()))
            }
            PutWhen::Acquire(session) => self.acquired(there.as_deref(), session)?,
            PutWhen::Release(session) => released(there.as_deref(), session)?,
        };
        let verdict = lock.is_some();
        match lock {
            Some(lock) => {
                self.index.key_fits(put.scope, put.key, put.value.len())?;
                self.store_key(put, lock, there.as_deref());
            }
            None => {
                if let Some(row) = there {
                    self.speaks_of(row.uid, Some(row.entry));
                }
            }
        }
        Ok(verdict)
    }

    /// The lock after its session took it, or nothing when another session holds it.
    fn acquired(&self, there: Option<&KeyRow>, session: &str) -> Result<Option<Lock>, Refusal> {
        if session.is_empty() {
            return Err(Refusal::MissingSession);
        }
        let Some((id, _)) = self.index.sessions.get_key_value(session) else {
            return Err(Refusal::UnknownSession(session.into()));
        };
        let index = there.map_or(0, |row| row.lock_index);
        let taken = |index| Some(Lock { index, session: Some(Arc::clone(id)) });
        Ok(match there.and_then(|row| row.session.as_deref()) {
            None => taken(index + 1),
            Some(holder) if holder == session => taken(index),
            Some(_) => None,
        })
    }

    fn store_key(&mut self, put: &Put<'_>, lock: Lock, there: Option<&KeyRow>) {
        let revision = self.revision();
        let uid = there.map_or_else(|| self.mint(), |row| row.uid);
        self.speaks_of(uid, there.map(|row| row.entry));
        let same = there.is_some_and(|row| {
            row.value == put.value
                && row.flags == put.flags
                && row.lock_index == lock.index
                && row.session == lock.session
                && row.scope.as_ref() == put.scope
        });
        if same {
            return;
        }
        self.rewrite_key(KeyRow {
            uid,
            key: there.map_or_else(|| put.key.into(), |row| Arc::clone(&row.key)),
            value: Bytes::copy_from_slice(put.value),
            flags: put.flags,
            lock_index: lock.index,
            session: lock.session,
            created: there.map_or(revision, |row| row.created),
            modified: revision,
            entry: self.stamp.seq,
            scope: put.scope.cloned(),
        });
    }

    /// Stores a row and keeps the list of what each session holds true.
    fn rewrite_key(&mut self, row: KeyRow) {
        let key = Arc::clone(&row.key);
        let former = self.index.keys.get(&key).and_then(|row| row.session.clone());
        if former != row.session {
            self.let_go(former.as_ref(), &key);
            if let Some(session) = &row.session {
                self.index.held.entry(Arc::clone(session)).or_default().insert(Arc::clone(&key));
            }
        }
        let row = Arc::new(row);
        let before = self.index.keys.insert(Arc::clone(&key), Arc::clone(&row));
        self.index.key_counts(before.as_deref(), Some(&row));
        self.key_moved(key);
    }

    fn let_go(&mut self, session: Option<&Arc<str>>, key: &Arc<str>) {
        let Some(session) = session else { return };
        let Some(held) = self.index.held.get_mut(session) else { return };
        held.remove(key);
        if held.is_empty() {
            self.index.held.remove(session);
        }
    }

    fn key_moved(&mut self, key: Arc<str>) {
        self.index.marks.keys = self.revision();
        self.touch(WatchKey::Key(Arc::clone(&key)));
        self.write_row(RowId::Key(key));
    }

    fn delete_key(&mut self, key: &str, cas: Option<u64>) -> bool {
        let Some(row) = self.index.keys.get(key).cloned() else { return true };
        self.speaks_of(row.uid, Some(row.entry));
        if cas.is_some_and(|index| index != row.modified) {
            return false;
        }
        self.take_key(&row);
        self.bury(Arc::clone(&row.key), None);
        true
    }

    fn delete_keys(&mut self, prefix: &str) -> bool {
        let rows: Vec<Arc<KeyRow>> = self.index.keys(prefix).cloned().collect();
        let tree: Arc<str> = prefix.into();
        for row in &rows {
            self.take_key(row);
            // Each on its own: a longer prefix than the one that was deleted must not fall either.
            self.bury(Arc::clone(&row.key), Some(&tree));
        }
        true
    }

    fn take_key(&mut self, row: &KeyRow) {
        self.let_go(row.session.as_ref(), &row.key);
        self.index.keys.remove(&row.key);
        self.goes(row.uid, RowId::Key(Arc::clone(&row.key)));
        self.index.key_counts(Some(row), None);
        self.key_moved(Arc::clone(&row.key));
    }

    fn bury(&mut self, key: Arc<str>, tree: Option<&Arc<str>>) {
        let older = self.index.graves.get(&key);
        // What shows a deletion goes on showing it: of two ways in which a key was deleted, the narrower one stays.
        let tree = match older {
            None => tree.cloned(),
            Some(older) => older
                .tree
                .as_ref()
                .zip(tree)
                .map(|(a, b)| Arc::clone(if a.len() > b.len() { a } else { b })),
        };
        self.index.graves.insert(Arc::clone(&key), Grave { at: self.stamp.revision, tree });
        self.write_row(RowId::Grave(key));
    }

    /// What the end of a session does to a key that it held.
    pub(super) fn free_key(&mut self, key: &Arc<str>, delete: bool) {
        let Some(row) = self.index.keys.get(key).cloned() else { return };
        if delete {
            self.take_key(&row);
            self.bury(Arc::clone(key), None);
        } else {
            let (modified, entry) = (self.revision(), self.stamp.seq);
            self.rewrite_key(KeyRow { session: None, modified, entry, ..KeyRow::clone(&row) });
        }
    }
}

/// A plain put leaves the holder of the lock, which is advisory, and counts its takings anew: Consul does so.
fn unlocked(there: Option<&KeyRow>) -> Lock {
    Lock { index: 0, session: there.and_then(|row| row.session.clone()) }
}

/// The lock after its session gave it back, or nothing when that session does not hold it.
fn released(there: Option<&KeyRow>, session: &str) -> Result<Option<Lock>, Refusal> {
    if session.is_empty() {
        return Err(Refusal::MissingSession);
    }
    let held = there.filter(|row| row.session.as_deref() == Some(session));
    Ok(held.map(|row| Lock { index: row.lock_index, session: None }))
}
