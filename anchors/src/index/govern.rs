//! What follows from other rules: instances that are held or released, and answers that show something else to somebody.

use super::write::Write;
use super::{CheckRow, RowId, WatchKey};
use crate::change::{Governing, Restanding, Subject};
use crate::error::Refusal;
use crate::name::Caseless;

impl Write<'_> {
    /// Records with all that follows from them, as one change. Where a condition does not hold nothing is done.
    pub(super) fn govern(&mut self, change: &Governing) -> Result<bool, Refusal> {
        if !change.records.is_empty() && !self.write_records(&change.records)? {
            return Ok(false);
        }
        for restanding in &change.standings {
            self.restand(restanding);
        }
        for subject in &change.moved {
            self.move_subject(subject);
        }
        Ok(true)
    }

    /// Holds an instance or lets it go. One that went meanwhile is left alone; one that was registered anew was judged anew.
    fn restand(&mut self, restanding: &Restanding) {
        let Restanding { node, id, uid, hold } = restanding;
        let row = self.index.node(node.as_str()).and_then(|row| row.services.get(id.key()));
        let Some(row) = row.filter(|row| row.uid == *uid && row.hold != *hold).cloned() else {
            return;
        };
        let mut standing = row.standing();
        standing.hold.clone_from(hold);
        self.put_service(&row.node, &row.service, &standing);
    }

    /// The checks of an instance tell what its hold says.
    pub(super) fn hold_checks(&mut self, node: &Caseless, id: &Caseless) {
        let Some(row) = self.index.node(node.as_str()).cloned() else { return };
        let held = row.held(id);
        let others = row.checks_of(id).filter(|check| check.held != held);
        for check in others {
            let check = CheckRow {
                modified: self.revision(),
                entry: self.stamp.seq,
                held: held.clone(),
                ..CheckRow::clone(check)
            };
            self.store_check(node, check, None);
        }
    }

    /// The visible answer about something may be another, though nothing of it was written.
    fn move_subject(&mut self, subject: &Subject) {
        match subject {
            Subject::Service(name) => self.show_service_anew(name),
            Subject::Node(name) => self.show_node_anew(name),
            Subject::Key(key) => {
                self.index.marks.governed_keys = self.revision();
                self.touch(WatchKey::Key(key.as_ref().into()));
            }
            Subject::Sessions => {
                self.index.marks.sessions = self.revision();
                self.touch(WatchKey::Sessions);
            }
        }
    }

    fn show_service_anew(&mut self, name: &Caseless) {
        let Some(row) = self.index.service(name.as_str()).cloned() else { return };
        self.move_service(name);
        for instance in row.instances.values() {
            self.move_node(&instance.node);
            self.services_moved(&instance.node);
            self.checks_moved(&instance.node);
        }
        if self.index.connect(name.as_str()).is_some() {
            self.index.connect_row(name).index = self.stamp.revision;
            self.write_row(RowId::ConnectMark(name.shared_key()));
            self.touch(WatchKey::Connect(name.shared_key()));
        }
    }
}
