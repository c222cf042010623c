//! Replies that are kept and sent again: the way of most queries.
//!
//! ```text
//!   bytes after the number ──▶ kept? still true? ──▶ one of its replies, with the new number
//!                                 │ no
//!                                 ▼
//!                              the ordinary way ──▶ kept, if it depends on nothing but the index
//! ```
//!
//! A reply is a function of the message after its number, of the index, of the settings and of chance (the order of the
//! answers). So a few replies are kept for each message, and one of them is made anew now and then: askers go on seeing
//! every instance of a service first in turn. What was made is true as long as the row of its service is the same one.
//! Nothing is kept that somebody's rights, the clock or who asks had a part in.

use std::collections::HashMap;
use std::sync::Arc;

use proconsul_anchors::index::{Index, ServiceRow};
use rand::{Rng as _, RngCore};

use crate::limits::{
    KEPT_KEY_BYTES_MAX, KEPT_MESSAGES_MAX, KEPT_REPLIES_MAX, KEPT_SERVINGS_MAX, KEPT_SERVINGS_MIN,
    QUERY_BYTES_MIN,
};
use crate::message::Reply;
use crate::question::{Ask, Place};
use crate::record::{Data, Kind, Rcode};
use crate::settings::Settings;

/// The replies of a listener.
#[derive(Default)]
pub(super) struct Kept {
    messages: HashMap<Box<[u8]>, Message>,
    index: Arc<Index>,
    settings: Arc<Settings>,
    /// Moves with the index.
    moment: u64,
}

/// What is kept for one message.
struct Message {
    basis: Basis,
    /// When the basis was last looked at.
    moment: u64,
    replies: Vec<Box<[u8]>>,
    /// How many replies are kept.
    replies_max: usize,
    /// Since one was made.
    servings: usize,
    servings_max: usize,
    counted: Counted,
}

/// What replies were made from.
#[derive(Clone)]
pub(super) enum Basis {
    /// From the row of one service.
    Service(Box<str>, Arc<ServiceRow>),
    /// From more of the index than one row; so many answers.
    Index(usize),
}

/// How a reply came to be.
pub(super) struct Made {
    pub(super) index: Arc<Index>,
    pub(super) basis: Basis,
    pub(super) counted: Counted,
}

/// Under what a query is counted.
#[derive(Clone, Copy)]
pub(super) struct Counted {
    pub(super) reverse: bool,
    pub(super) kind: Kind,
}

// === impl Kept ===

impl Kept {
    /// Takes the index and the settings of the moment. Other settings, and nothing holds any more.
    pub(super) fn turn(&mut self, index: Arc<Index>, settings: &Arc<Settings>) {
        if !Arc::ptr_eq(&self.settings, settings) {
            self.settings = Arc::clone(settings);
            self.messages.clear();
        }
        if !Arc::ptr_eq(&self.index, &index) {
            self.index = index;
            self.moment += 1;
        }
    }

    /// Nothing that is kept holds any more.
    pub(super) fn forget(&mut self) {
        self.messages.clear();
    }

    /// Messages of which replies are kept.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.messages.len()
    }

    /// The settings that replies are made with.
    pub(super) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings)
    }

    /// Writes a kept reply to a message, with its number. `None` when it has to go the ordinary way.
    pub(super) fn reply(
        &mut self,
        bytes: &[u8],
        chance: &mut dyn RngCore,
        out: &mut Vec<u8>,
    ) -> Option<Counted> {
        let (number, key) = split(bytes)?;
        let message = self.messages.get_mut(key)?;
        if message.moment != self.moment {
            if !message.basis.holds(&self.index) {
                self.messages.remove(key);
                return None;
            }
            message.moment = self.moment;
        }
        message.servings += 1;
        if message.replies.len() < message.replies_max || message.servings > message.servings_max {
            return None;
        }
        let reply = &message.replies[chance.random_range(0..message.replies.len())];
        out.extend_from_slice(number);
        out.extend_from_slice(reply);
        Some(message.counted)
    }

    /// Keeps a reply that was made the ordinary way.
    pub(super) fn keep(&mut self, bytes: &[u8], reply: &[u8], made: Made) {
        let (Some((_, key)), Some(rest)) = (split(bytes), reply.get(2..)) else { return };
        let Made { index, basis, counted } = made;
        if !Arc::ptr_eq(&index, &self.index) {
            return;
        }
        if self.messages.len() >= KEPT_MESSAGES_MAX && !self.messages.contains_key(key) {
            self.messages.clear();
        }
        let moment = self.moment;
        let fresh = || Message::new(basis, moment, counted);
        let message = self.messages.entry(key.into()).or_insert_with(fresh);
        if message.replies.len() >= message.replies_max {
            // The oldest goes.
            message.replies.remove(0);
        }
        message.replies.push(rest.into());
        message.servings = 0;
    }
}

/// The number of a query and what follows it; nothing when no reply to it is ever kept.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let fits = (QUERY_BYTES_MIN..=KEPT_KEY_BYTES_MAX).contains(&bytes.len());
    fits.then(|| bytes.split_at(2))
}

// === impl Message ===

impl Message {
    /// The more instances there are, the more replies are kept, and the sooner one is made anew: with many of them,
    /// askers see nearly as many orders as there would be without keeping any.
    fn new(basis: Basis, moment: u64, counted: Counted) -> Self {
        let instances = match &basis {
            Basis::Service(_, row) => row.instances.len().max(1),
            Basis::Index(answers) => (*answers).max(1),
        };
        let replies_max = (4 * instances).min(KEPT_REPLIES_MAX);
        let servings_max = (KEPT_SERVINGS_MAX / instances).max(KEPT_SERVINGS_MIN);
        Self { basis, moment, replies: Vec::new(), replies_max, servings: 0, servings_max, counted }
    }
}

// === impl Basis ===

impl Basis {
    /// What a reply was made from; nothing when more than the index had a part in it.
    pub(super) fn of(place: &Place, reply: &Reply, index: &Index) -> Option<Self> {
        let Place::Ask { ask, .. } = place else {
            return (*place == Place::Reverse && is_plain(reply)).then_some(Self::Index(1));
        };
        if !is_plain(reply) {
            return None;
        }
        match ask {
            Ask::Service { name, .. } if !follows_names(reply) => {
                let row = index.service(name)?;
                Some(Self::Service(name.as_str().into(), Arc::clone(row)))
            }
            Ask::Service { .. }
            | Ask::Connect { .. }
            | Ask::Ingress { .. }
            | Ask::Virtual { .. }
            | Ask::Node { .. }
            | Ask::Address { .. } => Some(Self::Index(reply.answer.len())),
            Ask::Zone | Ask::Transfer | Ask::Query { .. } => None,
        }
    }

    fn holds(&self, index: &Index) -> bool {
        match self {
            Self::Service(name, row) => {
                index.service(name).is_some_and(|now| Arc::ptr_eq(now, row))
            }
            // Made from the index of the moment, and looked at again only when that moved.
            Self::Index(_) => false,
        }
    }
}

/// Whether the clock had no part in it: the start of a zone tells the time.
fn is_plain(reply: &Reply) -> bool {
    let records = reply.answer.iter().chain(&reply.additional);
    let timeless = !records.into_iter().any(|record| matches!(record.data, Data::Soa(_)));
    reply.header.rcode == Rcode::NoError && reply.authority.is_empty() && timeless
}

/// Whether names were followed to other rows.
fn follows_names(reply: &Reply) -> bool {
    let mut records = reply.answer.iter().chain(&reply.additional);
    records.any(|record| matches!(record.data, Data::Cname(_)))
}
