//! Proofs of answers: where a policy wants answers about a name attested, the anchor attests them for whoever asks for it.

use std::sync::Arc;

use proconsul_anchors::policy::Decided;

use super::{Asking, Door, Look, Service, query};
use crate::answer::{self, Draft, Manner};
use crate::extended::{ErrorCode, ExtendedError};
use crate::fallback::{Whom, whom};
use crate::message::Reply;
use crate::proof;
use crate::question::{self, Place};
use crate::settings::Settings;

/// What is to be proven.
pub(super) struct Subject {
    /// The questions whose answers are.
    questions: Vec<Asking>,
    look: Look,
    decided: Decided,
}

impl<D: Door> Service<D> {
    /// What a query wants proven; nothing unless a policy decided that answers about that name are attested.
    pub(super) fn subject(&self, asking: &Asking) -> Option<Subject> {
        let Asking { settings, from, caller, asker, since, .. } = asking;
        let mut questions = Vec::new();
        for question in proof::questions(&asking.question) {
            let place = question::parse(&question, settings);
            let is_here = whom(&place, question.kind, settings) == Whom::Index;
            if is_here && matches!(place, Place::Ask { .. }) {
                let (settings, caller) = (whole(settings), caller.clone());
                let (from, asker, since) = (*from, asker.clone(), *since);
                questions.push(Asking { settings, from, caller, question, asker, place, since });
            }
        }
        let query = query(&questions.first()?.place)?;
        let (look, decided) = self.door.attested(*from, caller.as_ref(), &query)?;
        Some(Subject { questions, look, decided })
    }

    /// Tells where the attestations are. About what nothing is answered, nothing is attested: then the query goes its
    /// ordinary way.
    pub(super) async fn prove(&self, asking: &Asking, subject: Subject) -> Reply {
        let Subject { questions, look, decided } = subject;
        let (datacenter, owner) = (&asking.settings.datacenter, &asking.question.name);
        let mut answer = Vec::new();
        for asked in questions {
            let draft = self.put_together(&asked, &look, datacenter).await;
            if draft.answer.is_empty() {
                continue;
            }
            let set = proof::canonical(&draft.answer);
            let query = proof::query(&asked.question);
            let Some(id) = self.door.attest(&decided, &query, &set).await else {
                let error = ExtendedError::new(ErrorCode::NOT_READY, "it cannot be attested now");
                return self.reply(asking, answer::failure(Manner::Zone, error));
            };
            answer.push(proof::record(owner, asked.question.kind, &set, &decided, &id));
        }
        if answer.is_empty() {
            let look = self.look(asking);
            let draft = self.put_together(asking, &look, datacenter).await;
            return self.reply(asking, draft);
        }
        self.reply(asking, Draft { answer, ..Draft::default() })
    }
}

/// A record set is attested whole: chance may not choose which addresses of it are.
fn whole(settings: &Arc<Settings>) -> Arc<Settings> {
    match settings.a_record_limit {
        0 => Arc::clone(settings),
        _ => Arc::new(Settings { a_record_limit: 0, ..Settings::clone(settings) }),
    }
}
