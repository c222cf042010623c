//! Tables of records that are all kept alike: by key and by a second name.

use std::sync::Arc;

use imbl::OrdMap;

use super::Row;
use crate::acl::{AuthMethod, BindingRule, Policy, Role, Token};
use crate::credential::{Adjacency, Alias, CredentialRecord};
use crate::record::{CaRoot, ConfigEntry, Coordinate, PreparedQuery, Record, Setting, VirtualIp};
use crate::scope::{Scope, ScopePolicy};

/// The records of a kind.
#[derive(Clone, Debug)]
pub struct Table<T> {
    pub(super) rows: OrdMap<Arc<str>, Arc<Row<T>>>,
    /// Second names to keys.
    pub(super) names: OrdMap<Arc<str>, Arc<str>>,
}

/// All tables.
#[derive(Clone, Debug, Default)]
pub(super) struct Tables {
    pub(super) tokens: Table<Token>,
    pub(super) policies: Table<Policy>,
    pub(super) roles: Table<Role>,
    pub(super) binding_rules: Table<BindingRule>,
    pub(super) auth_methods: Table<AuthMethod>,
    pub(super) config_entries: Table<ConfigEntry>,
    pub(super) queries: Table<PreparedQuery>,
    pub(super) coordinates: Table<Coordinate>,
    pub(super) ca_roots: Table<CaRoot>,
    pub(super) settings: Table<Setting>,
    pub(super) virtual_ips: Table<VirtualIp>,
    pub(super) scopes: Table<Scope>,
    pub(super) scope_policies: Table<ScopePolicy>,
    pub(super) credentials: Table<CredentialRecord>,
    pub(super) adjacencies: Table<Adjacency>,
    pub(super) aliases: Table<Alias>,
}

// === impl Table ===

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { rows: OrdMap::new(), names: OrdMap::new() }
    }
}

impl<T: Record> Table<T> {
    pub(super) fn insert(&mut self, row: Arc<Row<T>>) {
        let key = row.record.key();
        if let Some(name) = self.rows.get(&key).and_then(|before| before.record.name()) {
            self.names.remove(&name);
        }
        if let Some(name) = row.record.name() {
            self.names.insert(name, Arc::clone(&key));
        }
        self.rows.insert(key, row);
    }

    pub(super) fn remove(&mut self, key: &str) -> Option<Arc<Row<T>>> {
        let row = self.rows.remove(key)?;
        if let Some(name) = row.record.name() {
            self.names.remove(&name);
        }
        Some(row)
    }
}
