//! Sessions: bound to a node and its checks, holders of keys.

use std::sync::Arc;

use super::write::Write;
use super::{RowId, SessionRow, WatchKey};
use crate::error::Refusal;
use crate::name::Caseless;
use crate::service::{Behavior, Session, Status};

impl Session {
    /// The ids of all checks that it is bound to.
    pub fn bound_checks(&self) -> impl Iterator<Item = &str> {
        let plain = self.node_checks.iter().chain(self.checks.iter()).flatten().map(AsRef::as_ref);
        plain.chain(self.service_checks.iter().flatten().map(|check| check.id.as_ref()))
    }
}

impl Write<'_> {
    pub(super) fn open_session(&mut self, session: &Session) -> Result<(), Refusal> {
        self.can_be_bound(session)?;
        let revision = self.revision();
        let row = SessionRow {
            uid: self.mint(),
            session: session.clone(),
            created: revision,
            modified: revision,
            entry: self.stamp.seq,
        };
        self.speaks_of(row.uid, None);
        let id: Arc<str> = session.id.as_ref().into();
        let of_node = self.index.node_sessions.entry(session.node.shared_key()).or_default();
        of_node.insert(Arc::clone(&id));
        self.index.sessions.insert(Arc::clone(&id), Arc::new(row));
        self.session_moved(id);
        Ok(())
    }

    fn can_be_bound(&self, session: &Session) -> Result<(), Refusal> {
        let Some(node) = self.index.nodes.get(session.node.key()) else {
            return Err(Refusal::UnknownNode(session.node.clone()));
        };
        for id in session.bound_checks() {
            match node.checks.get(Caseless::from(id).key()) {
                None => return Err(Refusal::UnknownCheck(id.into())),
                Some(row) if row.check.status == Status::Critical => {
                    return Err(Refusal::CriticalCheck(id.into()));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    pub(super) fn close_session(&mut self, id: &str) -> bool {
        if let Some(row) = self.index.sessions.get(id).cloned() {
            self.speaks_of(row.uid, Some(row.entry));
            self.take_session(&row);
        }
        true
    }

    fn take_session(&mut self, row: &SessionRow) {
        let session = &row.session;
        let id: Arc<str> = session.id.as_ref().into();
        self.index.sessions.remove(&id);
        self.goes(row.uid, RowId::Session(Arc::clone(&id)));
        let node = session.node.shared_key();
        if let Some(of_node) = self.index.node_sessions.get_mut(&node) {
            of_node.remove(&id);
            if of_node.is_empty() {
                self.index.node_sessions.remove(&node);
            }
        }
        self.remove_queries_of(&id);
        let held = self.index.held.get(&id).cloned().unwrap_or_default();
        for key in held {
            self.free_key(&key, session.behavior == Behavior::Delete);
            self.set_free(key, session.lock_delay);
        }
        self.session_moved(id);
    }

    fn session_moved(&mut self, id: Arc<str>) {
        self.index.marks.sessions = self.revision();
        self.touch(WatchKey::Sessions);
        self.touch(WatchKey::Session(Arc::clone(&id)));
        self.write_row(RowId::Session(id));
    }

    /// A check that turned critical, or went, ends the sessions that are bound to it.
    pub(super) fn close_sessions_bound_to(&mut self, node: &Caseless, check: &Caseless) {
        self.close_sessions_where(node, |session| {
            session.bound_checks().any(|id| Caseless::from(id) == *check)
        });
    }

    /// A node that goes ends all its sessions.
    pub(super) fn close_sessions_of(&mut self, node: &Caseless) {
        self.close_sessions_where(node, |_| true);
    }

    fn close_sessions_where(&mut self, node: &Caseless, ends: impl Fn(&Session) -> bool) {
        let ending: Vec<Arc<SessionRow>> = self
            .index
            .node_sessions(node.key())
            .filter(|row| ends(&row.session))
            .cloned()
            .collect();
        for row in ending {
            self.take_session(&row);
        }
    }
}
