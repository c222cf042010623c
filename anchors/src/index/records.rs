//! Records: read and written in the tables that hold their kinds, stamped, with one index for each whole table.

use std::ops::Bound;
use std::sync::Arc;

use uuid::Uuid;

use super::write::Write;
use super::{Index, Row, RowId, Table, WatchKey};
use crate::acl::{AuthMethod, BindingRule, Policy, Role, Token};
use crate::credential::{Adjacency, Alias, CredentialRecord};
use crate::error::Refusal;
use crate::record::{
    AnyRecord, CaRoot, ConfigEntry, Coordinate, PreparedQuery, Record, RecordChange, Setting,
    TableId, VirtualIp, When,
};
use crate::scope::{Scope, ScopePolicy};

/// A record that has a table.
pub trait Kept: Record {
    #[doc(hidden)]
    fn table(index: &Index) -> &Table<Self>;
    #[doc(hidden)]
    fn table_mut(index: &mut Index) -> &mut Table<Self>;
}

/// What the tables do, whatever they hold.
macro_rules! kept {
    ($($variant:ident: $record:ty => $table:ident;)*) => {
        $(impl Kept for $record {
            fn table(index: &Index) -> &Table<Self> {
                &index.tables.$table
            }
            fn table_mut(index: &mut Index) -> &mut Table<Self> {
                &mut index.tables.$table
            }
        })*

        impl Write<'_> {
            fn put_any(&mut self, record: &AnyRecord, when: When) -> Result<bool, Refusal> {
                match record {
                    $(AnyRecord::$variant(record) => self.put_record(&**record, when),)*
                }
            }

            fn remove_any(&mut self, table: TableId, key: &str, when: When) -> bool {
                match table {
                    $(TableId::$variant => self.remove_record::<$record>(key, when),)*
                }
            }
        }

        impl Index {
            /// Writes a record's row. Whether there is one.
            pub(super) fn write_record(&self, table: TableId, key: &str, out: &mut Vec<u8>) -> bool {
                match table {
                    $(TableId::$variant => write_row(self.record::<$record>(key), out),)*
                }
            }

            /// Whether a table has a record of this key.
            pub fn has_record(&self, table: TableId, key: &str) -> bool {
                match table {
                    $(TableId::$variant => self.record::<$record>(key).is_some(),)*
                }
            }

            /// The uid of a record, and the entry that last spoke of it.
            pub(super) fn record_stamp(&self, table: TableId, key: &str) -> Option<(Uuid, u64)> {
                match table {
                    $(TableId::$variant => {
                        self.record::<$record>(key).map(|row| (row.uid, row.entry))
                    })*
                }
            }

            /// Takes a record's row back.
            pub(super) fn put_record_row(
                &mut self,
                table: TableId,
                value: &[u8],
            ) -> Result<(), serde_json::Error> {
                match table {
                    $(TableId::$variant => {
                        <$record>::table_mut(self).insert(Arc::new(serde_json::from_slice(value)?));
                    })*
                }
                Ok(())
            }

            /// The rows of all tables.
            pub(crate) fn record_ids(&self) -> impl Iterator<Item = RowId> {
                std::iter::empty()$(.chain(
                    self.tables.$table.rows.keys()
                        .map(|key| RowId::Record(TableId::$variant, Arc::clone(key)))
                ))*
            }
        }
    };
}

kept! {
    Token: Token => tokens;
    Policy: Policy => policies;
    Role: Role => roles;
    BindingRule: BindingRule => binding_rules;
    AuthMethod: AuthMethod => auth_methods;
    ConfigEntry: ConfigEntry => config_entries;
    PreparedQuery: PreparedQuery => queries;
    Coordinate: Coordinate => coordinates;
    CaRoot: CaRoot => ca_roots;
    Setting: Setting => settings;
    VirtualIp: VirtualIp => virtual_ips;
    Scope: Scope => scopes;
    ScopePolicy: ScopePolicy => scope_policies;
    Credential: CredentialRecord => credentials;
    Adjacency: Adjacency => adjacencies;
    Alias: Alias => aliases;
}

fn write_row<T: Record>(row: Option<&Arc<Row<T>>>, out: &mut Vec<u8>) -> bool {
    let Some(row) = row else { return false };
    serde_json::to_writer(out, &**row).expect("a record has text keys only");
    true
}

// === impl Index ===

impl Index {
    /// The records of a kind, by key.
    pub fn records<T: Kept>(&self) -> impl ExactSizeIterator<Item = &Arc<Row<T>>> {
        T::table(self).rows.values()
    }

    /// The records of a kind whose keys begin so, by key.
    pub fn records_under<'a, T: Kept>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = &'a Arc<Row<T>>> {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        T::table(self)
            .rows
            .range::<_, str>(from)
            .take_while(move |(key, _)| key.starts_with(prefix))
            .map(|(_, row)| row)
    }

    /// One record.
    pub fn record<T: Kept>(&self, key: &str) -> Option<&Arc<Row<T>>> {
        T::table(self).rows.get(key)
    }

    /// One record by its second name.
    pub fn record_named<T: Kept>(&self, name: &str) -> Option<&Arc<Row<T>>> {
        let table = T::table(self);
        table.rows.get(table.names.get(name)?)
    }

    /// The revision that last moved a table.
    pub fn table_mark(&self, table: TableId) -> u64 {
        self.marks.tables.get(table)
    }
}

// === impl Write ===

impl Write<'_> {
    /// All of them, or none: the first condition that does not hold, and nothing is written.
    pub(super) fn write_records(&mut self, changes: &[RecordChange]) -> Result<bool, Refusal> {
        let before = self.index.clone();
        for change in changes {
            let done = match change {
                RecordChange::Put { record, when } => match self.is_wanted(record) {
                    Ok(true) => self.put_any(record, *when),
                    Ok(false) => Ok(true),
                    Err(refusal) => Err(refusal),
                },
                RecordChange::Remove { table, key, when } => {
                    Ok(self.remove_any(*table, key, *when))
                }
            };
            if !matches!(done, Ok(true)) {
                *self.index = before;
                self.forget();
                return done;
            }
            self.entry_written(change);
        }
        if let Err(refusal) = self.scopes_fit(changes) {
            *self.index = before;
            self.forget();
            return Err(refusal);
        }
        Ok(true)
    }

    /// Whether the condition held. The same record again moves nothing, unless its kind says so.
    pub(super) fn put_record<T: Kept>(&mut self, record: &T, when: When) -> Result<bool, Refusal> {
        let key = record.key();
        let there = self.index.record::<T>(&key).cloned();
        if !holds(there.as_deref(), when) {
            return Ok(false);
        }
        if let Some(name) = record.name()
            && self.index.record_named::<T>(&name).is_some_and(|other| other.record.key() != key)
        {
            return Err(Refusal::NameTaken { table: T::TABLE, name: name.as_ref().into() });
        }
        let uid = there.as_ref().map_or_else(|| self.mint(), |row| row.uid);
        self.speaks_of(uid, there.as_ref().map(|row| row.entry));
        if !T::MOVES_ALWAYS && there.as_ref().is_some_and(|row| row.record == *record) {
            return Ok(true);
        }
        let revision = self.revision();
        let row = Row {
            uid,
            created: there.map_or(revision, |row| row.created),
            modified: revision,
            entry: self.stamp.seq,
            record: record.clone(),
        };
        T::table_mut(self.index).insert(Arc::new(row));
        self.record_moved(T::TABLE, key);
        Ok(true)
    }

    /// Whether the condition held.
    pub(super) fn remove_record<T: Kept>(&mut self, key: &str, when: When) -> bool {
        let there = self.index.record::<T>(key).cloned();
        if !holds(there.as_deref(), when) {
            return false;
        }
        if let Some(row) = T::table_mut(self.index).remove(key) {
            self.speaks_of(row.uid, Some(row.entry));
            self.goes(row.uid, RowId::Record(T::TABLE, key.into()));
            self.record_moved(T::TABLE, key.into());
        }
        true
    }

    fn record_moved(&mut self, table: TableId, key: Arc<str>) {
        if table == TableId::Scope {
            self.index.scopes_moved();
        }
        self.index.marks.tables.set(table, self.revision());
        self.touch(WatchKey::Table(table));
        self.touch(WatchKey::Record(table, Arc::clone(&key)));
        self.write_row(RowId::Record(table, key));
    }
}

fn holds<T>(there: Option<&Row<T>>, when: When) -> bool {
    match when {
        When::Always => true,
        When::Index(index) => there.map_or(0, |row| row.modified) == index,
    }
}
