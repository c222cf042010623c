//! What is known of whoever asks: his token's links, looked up once and kept while nothing of them changes.

use std::sync::Arc;

use arc_swap::ArcSwap;
use imbl::HashMap;

use crate::acl::{Authority, Policy, Role, Token};
use crate::caller::Caller;
use crate::index::Index;
use crate::limits::AUTHORITIES_MAX;
use crate::record::TableId;
use crate::scope::{CallerFacts, Registrant};

/// The tables on which facts depend.
const TABLES: [TableId; 3] = [TableId::Token, TableId::Policy, TableId::Role];

/// What is known of tokens.
#[derive(Default)]
pub(super) struct Askers(ArcSwap<Kept>);

#[derive(Clone, Default)]
struct Kept {
    marks: [u64; TABLES.len()],
    by_accessor: HashMap<Box<str>, CallerFacts>,
}

// === impl Askers ===

impl Askers {
    /// What is known of a caller, by its token, its listener and its address.
    pub(super) fn of(&self, caller: &Caller, authority: &Authority, index: &Index) -> CallerFacts {
        let mut facts = match authority.accessor() {
            Some(accessor) => self.of_token(accessor, index),
            None => CallerFacts::default(),
        };
        facts.listener.clone_from(&caller.listener);
        facts.source = caller.address;
        facts
    }

    /// What is known now of somebody who was here before.
    pub(super) fn again(&self, registrant: &Registrant, index: &Index) -> CallerFacts {
        let facts = match &registrant.accessor {
            Some(accessor) => self.of_token(accessor, index),
            None => CallerFacts::default(),
        };
        let (listener, source) = (registrant.listener.clone(), registrant.source);
        CallerFacts { listener, source, ..facts }
    }

    fn of_token(&self, accessor: &str, index: &Index) -> CallerFacts {
        let marks = TABLES.map(|table| index.table_mark(table));
        let kept = self.0.load();
        if kept.marks == marks
            && let Some(facts) = kept.by_accessor.get(accessor)
        {
            return facts.clone();
        }
        let facts = look_up(accessor, index);
        self.0.rcu(|kept| {
            let current = kept.marks == marks && kept.by_accessor.len() < AUTHORITIES_MAX;
            let by_accessor = if current { kept.by_accessor.clone() } else { HashMap::new() };
            let by_accessor = by_accessor.update(accessor.into(), facts.clone());
            Arc::new(Kept { marks, by_accessor })
        });
        facts
    }
}

fn look_up(accessor: &str, index: &Index) -> CallerFacts {
    let known = CallerFacts { accessor: Some(accessor.into()), ..CallerFacts::default() };
    let Some(row) = index.record::<Token>(&accessor.to_ascii_lowercase()) else { return known };
    let token = &row.record;
    let roles: Vec<&Role> =
        token.roles.iter().filter_map(|id| Some(&index.record::<Role>(id)?.record)).collect();
    let policies = roles.iter().flat_map(|role| &role.policies).chain(&token.policies);
    let mut policies: Vec<Box<str>> =
        policies.filter_map(|id| Some(index.record::<Policy>(id)?.record.name.clone())).collect();
    policies.sort_unstable();
    policies.dedup();
    CallerFacts {
        policies: policies.into(),
        roles: roles.iter().map(|role| role.name.clone()).collect(),
        auth_method: (!token.auth_method.is_empty()).then(|| (&*token.auth_method).into()),
        ..known
    }
}
