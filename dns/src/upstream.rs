//! Others who are asked: `fallback` says whom, this asks them.
//!
//! Whoever is asked gets the query as the client sent it, and says what the client is told. Each has its own idea of how long that
//! may take; the server has the last word ([`crate::limits::LATER_WAIT_MAX`]).

mod exchange;
mod fallback;
mod proofs;
mod recursors;
mod reply;

pub use self::fallback::{Fallback, Host, Hosts};
pub use self::proofs::{Proofs, ProofsError};
#[cfg(any(fuzzing, test))]
pub use self::reply::survives;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::answer::Draft;
use crate::extended::ExtendedError;
use crate::fallback::Whom;
use crate::message::Reply;
use crate::question::{Place, Question};
use crate::settings::Settings;
use crate::shape::Asker;

/// A query for somebody else.
#[derive(Clone, Debug)]
pub struct Asked {
    /// As it came.
    pub message: Box<[u8]>,
    /// What it asks.
    pub question: Question,
    /// Who asks.
    pub asker: Asker,
    /// From where.
    pub from: Option<IpAddr>,
    /// Where the question leads.
    pub place: Place,
    /// Through how many servers that asked somebody else it has come.
    pub hops: u8,
}

/// What somebody else said.
#[derive(Clone, Debug)]
pub enum Told {
    /// A whole reply, which goes as it is, with the client's number.
    Reply(Reply),
    /// An answer, to be made into a reply as one of ours.
    Draft(Draft),
    /// It knows no more than we do.
    Nothing,
}

/// Somebody who can be asked.
pub trait Upstream: Send + Sync + 'static {
    /// Asks.
    ///
    /// # Errors
    /// Why there is no answer: the client is told SERVFAIL, and this if it can read it.
    fn ask<'a>(&'a self, asked: &'a Asked) -> BoxFuture<'a, Result<Told, ExtendedError>>;

    /// How long it may take.
    fn patience(&self) -> Duration;
}

/// Who that is.
pub fn upstream(whom: &Whom, settings: &Settings) -> Option<Arc<dyn Upstream>> {
    match whom {
        Whom::Recursors => settings.recursors.clone().map(|recursors| recursors as _),
        Whom::Fallback(at) => settings.fallbacks.get(*at).cloned().map(|fallback| fallback as _),
        Whom::Index | Whom::Far(_) | Whom::Nobody => None,
    }
}

#[cfg(test)]
mod tests;
