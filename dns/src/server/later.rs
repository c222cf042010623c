//! Queries under way elsewhere: somebody else is asked, and what the index says is put together with what they said.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _};
use rand::rngs::StdRng;
use rand::{RngCore as _, SeedableRng as _};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::prove::Subject;
use super::{Asking, Door, Look, Service, bytes_max};
use crate::answer::{self, Beyond, Draft, Manner};
use crate::extended::{ErrorCode, ExtendedError};
use crate::fallback::{Whom, instead};
use crate::limits::{LATER_WAIT_MAX, NAMES_ASKED_AT_ONCE, NAMES_ASKED_MAX};
use crate::message::Reply;
use crate::name::Name;
use crate::settings::Settings;
use crate::upstream::{Asked, Told, upstream};

/// A query under way.
pub(super) struct Errand<D> {
    pub(super) service: Arc<Service<D>>,
    pub(super) asking: Asking,
    pub(super) message: Box<[u8]>,
    pub(super) step: Step,
    /// One of the places that there are; free again when this is dropped.
    pub(super) permit: OwnedSemaphorePermit,
}

/// What is to be done for it.
pub(super) enum Step {
    /// To look at the index of another datacenter.
    Look(String, BoxFuture<'static, Look>),
    /// To find the host names to which the answer of a datacenter's index leads.
    Names(String, Look),
    /// To ask somebody else.
    Ask(Whom),
    /// To attest what is answered.
    Prove(Box<Subject>),
}

// === impl Step ===

impl Step {
    /// In which manner a failure is told.
    pub(super) fn manner(&self) -> Manner {
        match self {
            Self::Look(..) | Self::Names(..) | Self::Prove(_) => Manner::Zone,
            Self::Ask(whom) => manner(whom),
        }
    }
}

/// Recursors fail without authority; for everybody else we are the authority.
fn manner(whom: &Whom) -> Manner {
    match whom {
        Whom::Recursors => Manner::Failure,
        Whom::Index | Whom::Far(_) | Whom::Fallback(_) | Whom::Nobody => Manner::Zone,
    }
}

// === impl Errand ===

impl<D: Door> Errand<D> {
    /// Comes back with a reply, in time.
    pub(super) async fn run(self) -> Vec<u8> {
        let Self { service, asking, message, step, permit } = self;
        let (transport, manner) = (asking.asker.transport, step.manner());
        let way = service.go(&asking, message, step);
        let reply = match timeout(patience(&asking.settings), way).await {
            Ok(reply) => reply,
            Err(_) => {
                let error = ExtendedError::new(ErrorCode::NO_REACHABLE_AUTHORITY, "out of time");
                service.reply(&asking, answer::failure(manner, error))
            }
        };
        drop(permit);
        reply.to_bytes_within(bytes_max(transport))
    }
}

/// How long a query may be under way: the recursors' own time comes before ours.
fn patience(settings: &Settings) -> Duration {
    let recursors = upstream(&Whom::Recursors, settings).map(|recursors| recursors.patience());
    // They stop by themselves; ours is for what they do not count.
    recursors.map_or(LATER_WAIT_MAX, |recursors| LATER_WAIT_MAX.saturating_add(recursors))
}

impl<D: Door> Service<D> {
    async fn go(&self, asking: &Asking, message: Box<[u8]>, step: Step) -> Reply {
        let (datacenter, look) = match step {
            Step::Ask(whom) => return self.ask(asking, message, &whom).await,
            Step::Prove(subject) => return self.prove(asking, *subject).await,
            Step::Look(datacenter, look) => (datacenter, look.await),
            Step::Names(datacenter, look) => (datacenter, look),
        };
        let draft = self.put_together(asking, &look, &datacenter).await;
        let hops = || crate::hops::told(&message);
        match instead(&asking.place, &asking.question, &draft, &asking.settings, hops) {
            Some(whom) => self.ask(asking, message, &whom).await,
            None => self.reply(asking, draft),
        }
    }

    /// What an index says, with the host names to which it leads. It is asked again once they are known: with the same
    /// chance it says the same.
    pub(super) async fn put_together(
        &self,
        asking: &Asking,
        look: &Look,
        datacenter: &str,
    ) -> Draft {
        let seed = rand::rng().next_u64();
        let draft = |beyond: Option<&Beyond>| {
            self.draft(asking, look, datacenter, beyond, &mut StdRng::seed_from_u64(seed))
        };
        let without = draft(None);
        match &asking.settings.recursors {
            Some(recursors) if !without.wants.is_empty() => {
                let names = distinct(without.wants);
                let ask = |name: Name| async move {
                    let addresses = recursors.addresses(&name).await;
                    (name, addresses)
                };
                let asked = stream::iter(names.into_iter().map(ask));
                let beyond = asked.buffer_unordered(NAMES_ASKED_AT_ONCE).collect().await;
                draft(Some(&beyond))
            }
            _ => without,
        }
    }

    /// Asks somebody else.
    pub(super) async fn ask(&self, asking: &Asking, message: Box<[u8]>, whom: &Whom) -> Reply {
        let Asking { settings, question, asker, from, .. } = asking;
        let (question, from, asker) = (question.clone(), *from, asker.clone());
        let (place, hops) = (asking.place.clone(), crate::hops::told(&message));
        let asked = Asked { message, question, asker, from, place, hops };
        let told = match (upstream(whom, settings), whom) {
            (Some(recursors), Whom::Recursors) => self.relays.ask(recursors, asked).await,
            (Some(upstream), _) => upstream.ask(&asked).await,
            (None, _) => {
                Err(ExtendedError::new(ErrorCode::NOT_READY, "nobody is configured to be asked"))
            }
        };
        match told {
            Ok(Told::Reply(mut reply)) => {
                self.timers.served(asking);
                reply.header.id = asking.asker.id;
                reply.compress = !settings.disable_compression;
                reply
            }
            Ok(Told::Draft(draft)) => self.reply(asking, draft),
            Ok(Told::Nothing) => {
                let look = self.look(asking);
                let here = &settings.datacenter;
                self.reply(asking, self.draft(asking, &look, here, None, &mut rand::rng()))
            }
            Err(error) => self.reply(asking, answer::failure(manner(whom), error)),
        }
    }
}

/// Each name once, and not too many.
fn distinct(mut names: Vec<Name>) -> Vec<Name> {
    names.sort_by(|a, b| a.wire().cmp(b.wire()));
    names.dedup();
    if names.len() > NAMES_ASKED_MAX {
        tracing::warn!(names = names.len(), "an answer leads to too many host names");
        names.truncate(NAMES_ASKED_MAX);
    }
    names
}
