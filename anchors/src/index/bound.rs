//! Records that hang on others: queries on sessions, coordinates on nodes.

use std::sync::Arc;

use super::Index;
use super::write::Write;
use crate::error::Refusal;
use crate::name::Caseless;
use crate::prepared::{PreparedQuery, is_uuid};
use crate::record::{AnyRecord, Coordinate, Record, TableId, When};

impl Index {
    /// Whether a query may be written. It is looked up by id and by name, so that no name may be another's id.
    ///
    /// # Errors
    /// [`Refusal::NameTaken`], [`Refusal::NameIsId`], [`Refusal::UnknownSession`].
    pub fn takes_query(&self, query: &PreparedQuery) -> Result<(), Refusal> {
        let taken = |name: &str| {
            let holder = self.record_named::<PreparedQuery>(name);
            holder.is_some_and(|row| row.record.id != query.id)
        };
        if query.name().is_some_and(|name| taken(&name)) {
            return Err(Refusal::NameTaken {
                table: TableId::PreparedQuery,
                name: query.name.clone(),
            });
        }
        let lower = query.name.to_ascii_lowercase();
        if is_uuid(&query.name) && self.record::<PreparedQuery>(&lower).is_some() {
            return Err(Refusal::NameIsId(query.name.clone()));
        }
        if !query.session.is_empty() && !self.sessions.contains_key(&*query.session) {
            return Err(Refusal::UnknownSession(query.session.clone()));
        }
        Ok(())
    }
}

impl Write<'_> {
    /// Whether a record is written at all: a coordinate is not while its node is unknown.
    pub(super) fn is_wanted(&self, record: &AnyRecord) -> Result<bool, Refusal> {
        match record {
            AnyRecord::PreparedQuery(query) => self.index.takes_query(query).map(|()| true),
            AnyRecord::Coordinate(coordinate) => {
                Ok(self.index.nodes.contains_key(coordinate.node.key()))
            }
            _ => Ok(true),
        }
    }

    /// The end of a session ends the queries that are bound to it.
    pub(super) fn remove_queries_of(&mut self, session: &str) {
        let bound: Vec<Arc<str>> = self
            .index
            .records::<PreparedQuery>()
            .filter(|row| *row.record.session == *session)
            .map(|row| row.record.key())
            .collect();
        for key in bound {
            self.remove_record::<PreparedQuery>(&key, When::Always);
        }
    }

    /// A node that goes takes its coordinates along.
    pub(super) fn remove_coordinates_of(&mut self, node: &Caseless) {
        let all = Coordinate::key_of(node, "");
        let keys: Vec<Arc<str>> =
            self.index.records_under::<Coordinate>(&all).map(|row| row.record.key()).collect();
        for key in keys {
            self.remove_record::<Coordinate>(&key, When::Always);
        }
    }
}
