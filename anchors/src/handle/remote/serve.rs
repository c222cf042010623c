//! What other anchors ask of this one.

use std::sync::Arc;
use std::time::Duration;

use super::Handle;
use super::judge::{TABLES, mark};
use crate::credential::Adjacency;
use crate::error::Refusal;
use crate::index::{Index, WatchKey};
use crate::outcome::Outcome;
use crate::traversal::adjacency::{self, Standing};
use crate::traversal::{
    Ask, ChainFault, Contact, Decided, Fragment, FragmentFault, HOP_RESERVE, Question, Reply,
    ReplyKind, Request, Step, Subject, Verdict, Walk, answer_digest,
};

/// What a policy decides for a moment alone is not judged again sooner than this for whoever waits.
const JUDGED_AGAIN_MIN: Duration = Duration::from_millis(500);

/// Why a question of another anchor is not looked at.
#[derive(Debug, thiserror::Error)]
pub enum AskFault {
    /// No adjacency has this key.
    #[error("no adjacency has the key {0}")]
    Stranger(Box<str>),
    /// Its hops are not believed.
    #[error("the question is not believed: {0}")]
    Chain(#[from] ChainFault),
    /// It came before.
    #[error("the question came before")]
    Replayed,
    /// It cannot be answered.
    #[error("the question cannot be answered: {0}")]
    Answer(#[from] FragmentFault),
    /// Whoever asks is not known.
    #[error("the question cannot be answered: {0}")]
    Refusal(#[from] Refusal),
}

/// What is to be done about a question at a revision.
enum Now {
    Reply(Reply),
    /// Nothing is new to whoever waits.
    Unmoved,
}

impl Handle {
    /// What a neighbour is told of this anchor; nothing when it is none.
    pub fn contact(&self, key: &str) -> Option<Contact> {
        let adjacency = self.adjacency_of(key)?;
        let live = adjacency::standing(&adjacency, self.now()) == Standing::Live;
        live.then(|| Contact { scope: self.root(), reaches: self.reached() })
    }

    /// Answers a question that came from the anchor of this key.
    ///
    /// # Errors
    /// [`AskFault`]: nothing is said but that.
    pub async fn hop(&self, key: &str, ask: Ask) -> Result<Reply, AskFault> {
        let stranger = || AskFault::Stranger(key.into());
        let adjacency = self.adjacency_of(key).ok_or_else(stranger)?;
        let (root, now) = (self.root(), self.now());
        let request = Request::received(ask, &adjacency::peer(&adjacency), self.me(&root), now)?;
        if !self.0.remote.seen().is_first(request.last(), now) {
            return Err(AskFault::Replayed);
        }
        let left = request.until().since(now).saturating_sub(HOP_RESERVE * 2);
        let waited = tokio::time::sleep(request.wait().min(left));
        tokio::pin!(waited);
        let mut over = request.wait().is_zero();
        loop {
            let keys = self.watched(&request.asked.question);
            let mut subscription = self.0.board.watches.subscribe(keys);
            let adjacency = self.adjacency_of(key).ok_or_else(stranger)?;
            let index = self.snapshot();
            let decided =
                self.judge_coming(&index, &adjacency, &request.asked.question, self.now());
            if decided.outcome <= Outcome::Attest && !self.is_here(&request.asked.question) {
                return Ok(self.pass_on(request, decided, &mut subscription).await);
            }
            let holds = decided.ttl;
            if let Now::Reply(reply) = self.answer(&index, &adjacency, &request, decided, over)? {
                return Ok(reply);
            }
            drop(index);
            tokio::select! {
                () = subscription.woken() => {}
                () = tokio::time::sleep(holds.max(JUDGED_AGAIN_MIN)) => {}
                () = &mut waited => over = true,
            }
        }
    }

    /// Asks further; when what is decided here may change meanwhile, whoever waits is told to ask again.
    async fn pass_on(
        &self,
        request: Request,
        decided: Decided,
        subscription: &mut super::super::watches::Subscription,
    ) -> Reply {
        let holds = decided.ttl;
        let passes = async move { self.ask_far(request, decided).await.into_reply() };
        tokio::select! {
            reply = passes => reply,
            () = subscription.woken() => Reply::of(ReplyKind::Again),
            () = tokio::time::sleep(holds.max(JUDGED_AGAIN_MIN)) => Reply::of(ReplyKind::Again),
        }
    }

    fn is_here(&self, question: &Question) -> bool {
        question.target.datacenter() == self.root().as_str()
    }

    /// What must move for another answer.
    fn watched(&self, question: &Question) -> Vec<WatchKey> {
        let mut keys = match &question.subject {
            Subject::Read(query) if self.is_here(question) => self.snapshot().watched_by(query),
            // Whatever service it leads to.
            Subject::Resolve(_) if self.is_here(question) => vec![WatchKey::Services],
            _ => Vec::new(),
        };
        keys.extend(TABLES.map(WatchKey::Table));
        keys
    }

    /// The answer of the own index, or of the own policy, signed.
    fn answer(
        &self,
        index: &Arc<Index>,
        adjacency: &Adjacency,
        request: &Request,
        decided: Decided,
        over: bool,
    ) -> Result<Now, AskFault> {
        let (root, question) = (self.root(), &request.asked.question);
        let lets = decided.outcome <= Outcome::Attest;
        let found =
            if lets { Some(self.read(index, adjacency, question, &decided)?) } else { None };
        let terms = self.terms(index, question);
        let same = found.as_deref().is_some_and(|found| {
            request.have() == Some(&*answer_digest(found)) && request.mark() == mark(index)
        });
        if same && !over {
            return Ok(Now::Unmoved);
        }
        let now = self.now();
        let mut walk = Walk::begin(self.me(&root), request.clone(), decided, Vec::new());
        if let Some(found) = found {
            walk.found(found, terms, now);
        }
        match walk.next(now) {
            Step::Done(verdict) => Ok(Now::Reply(verdict.into_reply())),
            Step::Ask(_) | Step::Read => Ok(Now::Reply(Verdict::Unreachable.into_reply())),
        }
    }

    fn read(
        &self,
        index: &Arc<Index>,
        adjacency: &Adjacency,
        question: &Question,
        decided: &Decided,
    ) -> Result<Vec<u8>, AskFault> {
        let authority = self.authority_over(index, adjacency)?;
        match &question.subject {
            // Of one thing it is decided as a whole, and the rows are the same for all.
            Subject::Read(query) if question.subject.is_one_for_all() => {
                Ok(Fragment::of(index, query, &authority, self.has_leader()).to_bytes()?)
            }
            Subject::Read(query) => {
                let authority = self.narrowed(index, authority, &question.asker);
                Ok(Fragment::of(index, query, &authority, self.has_leader()).to_bytes()?)
            }
            Subject::Resolve(path) => {
                let action = &question.action;
                let found = self.matched(index, path, (&question.asker, &authority), action);
                let told = self.told_of_path(found, action, (decided.outcome, &decided.rule));
                Ok(serde_json::to_vec(&told).expect("a match has text keys only"))
            }
        }
    }
}
