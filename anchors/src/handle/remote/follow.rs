//! Reads of another scope: the first one travels, the further ones are answered by what is followed.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::judge::TABLES;
use super::kept::{Followed, Known, State};
use super::{FRESH_MAX, Handle};
use crate::acl::Authority;
use crate::caller::Caller;
use crate::clock::Time;
use crate::credential::Adjacency;
use crate::error::Refusal;
use crate::handle::Answer;
use crate::index::{Index, WatchKey};
use crate::outcome::Outcome;
use crate::policy;
use crate::query::Query;
use crate::scope::{OnPartition, ScopePath};
use crate::traversal::adjacency::{self, Standing};
use crate::traversal::{
    Asked, Decided, HOP_RESERVE, Question, Request, Step, Subject, Verdict, Walk, Way,
};

/// How long the owner holds the question of whoever follows.
const FOLLOW_WAIT: Duration = Duration::from_secs(60);
/// How much longer that question may take.
const FOLLOW_SLACK: Duration = Duration::from_secs(5);
/// After a follow broke, the next try comes so much later.
const FOLLOW_PAUSE: Duration = Duration::from_millis(500);
/// That asking led nowhere is told to whoever asks within this time, without asking again.
const FAILURE_KEPT: Duration = Duration::from_millis(500);
/// A scope that is known not to be there is not waited for longer.
const GONE_PATIENCE: Duration = Duration::from_secs(1);

/// For what a read waits, and how long.
#[derive(Clone, Copy, Debug)]
pub struct Wait {
    /// For an index above this; 0 waits for nothing.
    pub after: u64,
    /// How long for that.
    pub patience: Duration,
    /// How long the question itself may travel.
    pub travel: Duration,
}

/// Why a read of another scope has no answer.
#[derive(Debug, thiserror::Error)]
pub enum FarFault {
    /// There is no way to it, or nothing is known of it while nobody answers.
    #[error("no path to scope {0}")]
    NoPath(ScopePath),
    /// It, or a scope on the way, does not decide yet, and nothing is known of it.
    #[error("scope {0} does not answer yet")]
    NotReady(ScopePath),
    /// The caller is not known.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// A caller's question, and what is decided about it here.
pub(super) struct Journey {
    pub(super) question: Question,
    pub(super) id: u128,
    pub(super) own: Decided,
    travel: Duration,
}

/// What a caller is told of another scope.
pub(super) struct View {
    pub(super) index: u64,
    pub(super) at: Arc<Index>,
    pub(super) bytes: Option<Arc<[u8]>>,
    pub(super) outcome: Outcome,
    pub(super) known_leader: bool,
    pub(super) filtered: bool,
    pub(super) age: Duration,
    pub(super) way: Arc<Way>,
    /// Whether it was known without asking anybody.
    pub(super) warm: bool,
}

impl Handle {
    /// Answers a read of another scope: when its index is above the one that is waited for, or when the patience is over.
    ///
    /// # Errors
    /// [`FarFault`].
    pub async fn lookup_far(
        &self,
        caller: &Caller,
        target: &ScopePath,
        query: &Query,
        wait: Wait,
    ) -> Result<Answer, FarFault> {
        let subject = Subject::Read(query.clone());
        if wait.after == 0 {
            let (journey, authority) =
                self.journey(caller, target, &subject, "read", wait.travel)?;
            let followed = self.0.remote.kept.of(&journey.question);
            return Ok(self.view(&followed, &journey).await?.into_answer(authority));
        }
        let patience = tokio::time::sleep(wait.patience);
        tokio::pin!(patience);
        loop {
            let mut here = self.0.board.watches.subscribe(TABLES.map(WatchKey::Table).into());
            let (journey, authority) =
                self.journey(caller, target, &subject, "read", wait.travel)?;
            let followed = self.0.remote.kept.of(&journey.question);
            let mut changes = followed.changed.subscribe();
            let view = self.view(&followed, &journey).await?;
            if view.index > wait.after || patience.is_elapsed() {
                return Ok(view.into_answer(authority));
            }
            drop(view);
            tokio::select! {
                _ = changes.changed() => {}
                () = here.woken() => {}
                () = &mut patience => {}
            }
        }
    }

    /// A question of a caller, judged by the own policy: also what is answered from what is kept is judged each time.
    pub(super) fn journey(
        &self,
        caller: &Caller,
        target: &ScopePath,
        subject: &Subject,
        action: &str,
        travel: Duration,
    ) -> Result<(Journey, Authority), Refusal> {
        let index = self.snapshot();
        let authority = self.authority_at(caller, &index)?;
        let asker = self.asker(caller, &authority, &index);
        let question = Question {
            target: target.clone(),
            action: action.into(),
            subject: subject.clone(),
            asker,
        };
        let own = self.own_decision(&index, &question);
        let id = Followed::id_of(&question.asker);
        Ok((Journey { question, id, own, travel }, authority))
    }

    /// By the own policy, and by what became of the adjacency where no other way is left.
    fn own_decision(&self, index: &Index, question: &Question) -> Decided {
        let now = self.now();
        let mut own = self.judge_leaving(index, question, now);
        let there = index.record::<Adjacency>(question.target.datacenter());
        let ended = there.map(|row| adjacency::standing(&row.record, now));
        let rule = match ended {
            Some(Standing::Revoked) => "adjacency/revoked",
            Some(Standing::Expired) => "adjacency/expired",
            _ => return own,
        };
        if self.ways(&question.target).is_empty() {
            own = Decided { outcome: Outcome::Refuse, rule: rule.into(), ..own };
        }
        own
    }

    pub(super) async fn view(
        &self,
        followed: &Arc<Followed>,
        journey: &Journey,
    ) -> Result<View, FarFault> {
        let lets = journey.own.outcome != Outcome::Refuse;
        followed.state().judged_here(journey.id, lets);
        if !lets {
            return Ok(self.refused_here(followed, journey));
        }
        if let Some(view) = self.warm(followed, journey) {
            return view;
        }
        let flight = followed.flight.lock();
        let Ok(_flight) = tokio::time::timeout(journey.travel, flight).await else {
            return self.last_known(followed, journey);
        };
        // Somebody else may have asked the same meanwhile.
        if let Some(view) = self.warm(followed, journey) {
            return view;
        }
        self.cold(followed, journey).await
    }

    /// What can be told without asking; nothing when somebody has to be asked.
    fn warm(&self, followed: &Followed, journey: &Journey) -> Option<Result<View, FarFault>> {
        let now = self.now();
        if journey.own.outcome == Outcome::Defer {
            return Some(self.last_known(followed, journey));
        }
        let fresh = self.age(followed).is_some_and(|age| age <= FRESH_MAX);
        let state = followed.state();
        let recently = |failed: Time| now.since(failed) < FAILURE_KEPT;
        if state.failed.is_some_and(recently) {
            drop(state);
            return Some(self.last_known(followed, journey));
        }
        let known = state.known(journey.id)?;
        if !fresh {
            drop(state);
            return Some(self.last_known(followed, journey));
        }
        if !state.is_followed() || known.until <= now {
            return None;
        }
        if known.outcome == Outcome::Defer {
            drop(state);
            return Some(self.last_known(followed, journey));
        }
        Some(Ok(View::of(&state, known, known.outcome, Duration::ZERO)))
    }

    async fn cold(&self, followed: &Arc<Followed>, journey: &Journey) -> Result<View, FarFault> {
        let gone = self.age(followed).is_some_and(|age| age > FRESH_MAX);
        let travel = if gone { journey.travel.min(GONE_PATIENCE) } else { journey.travel };
        let have = followed.state().poll().and_then(|poll| poll.have);
        let asked = Asked::new(journey.question.clone());
        let request = Request::own(asked, rand::random(), self.now(), travel);
        // The mark of nobody: the owner answers at once, and leaves out what is there.
        let request = request.waiting(have, u64::MAX, Duration::ZERO);
        let verdict = self.ask_far(request, journey.own.clone()).await;
        match &verdict {
            Verdict::Ended { .. } => {
                self.take(followed, &journey.question, &verdict);
                self.keep_following(followed, &journey.question);
                let told = told_now(&followed.state(), journey.id);
                match told {
                    Some(view) => Ok(View { warm: false, ..view }),
                    None => self.last_known(followed, journey),
                }
            }
            Verdict::Unreachable | Verdict::Again | Verdict::Unknown => {
                followed.state().failed = Some(self.now());
                self.last_known(followed, journey)
            }
        }
    }

    /// What is told while nobody can be asked, by the rule of the scope that was asked last.
    fn last_known(&self, followed: &Followed, journey: &Journey) -> Result<View, FarFault> {
        let target = || journey.question.target.clone();
        let deferred = journey.own.outcome == Outcome::Defer;
        let age = self.age(followed).unwrap_or(Duration::ZERO);
        let state = followed.state();
        let known = state.known(journey.id);
        let deferred = deferred || known.is_some_and(|known| known.outcome == Outcome::Defer);
        let nothing = || {
            if deferred { FarFault::NotReady(target()) } else { FarFault::NoPath(target()) }
        };
        let known = known.ok_or_else(nothing)?;
        if known.outcome == Outcome::Refuse {
            return Ok(View::of(&state, known, Outcome::Refuse, Duration::ZERO));
        }
        let max = state.terms.max_stale_seconds;
        let too_old = max > 0 && age > Duration::from_secs(max);
        match state.terms.on_partition {
            OnPartition::Stale if !too_old && state.data.is_some() => {
                Ok(View::of(&state, known, Outcome::Defer, age))
            }
            OnPartition::Empty => {
                let view = View::of(&state, known, Outcome::Defer, age);
                Ok(View { at: Arc::default(), bytes: None, ..view })
            }
            OnPartition::Stale | OnPartition::Error => Err(nothing()),
        }
    }

    /// How long ago the scope of an answer was heard of; nothing when it never was.
    fn age(&self, followed: &Followed) -> Option<Duration> {
        let heard = followed.state().heard.map(|heard| self.now().since(heard));
        let told = self.age_of(&followed.target);
        heard.into_iter().chain(told).min()
    }

    /// What the own policy refuses is not asked for, and is told with the one hop that refused it.
    fn refused_here(&self, followed: &Followed, journey: &Journey) -> View {
        let (root, now) = (self.root(), self.now());
        let asked = Asked::new(journey.question.clone());
        let request = Request::own(asked, rand::random(), now, journey.travel);
        let mut walk = Walk::begin(self.me(&root), request, journey.own.clone(), Vec::new());
        let way = match walk.next(now) {
            Step::Done(verdict) => verdict.way(),
            Step::Ask(_) | Step::Read => None,
        };
        let known = Known {
            asker: journey.question.asker.clone(),
            outcome: Outcome::Refuse,
            until: now,
            way: way.unwrap_or_default().into(),
        };
        View::of(&followed.state(), &known, Outcome::Refuse, Duration::ZERO)
    }

    /// Takes what a way ended with. Whether it did.
    fn take(&self, followed: &Followed, question: &Question, verdict: &Verdict) -> bool {
        let Verdict::Ended { answer, links } = verdict else { return false };
        let Some(way) = verdict.way() else { return false };
        let id = Followed::id_of(&question.asker);
        let mut state = followed.state();
        let mut moved = false;
        if let Some(bytes) = answer {
            match state.take(bytes, &question.subject) {
                Ok(other) => moved |= other,
                Err(error) => {
                    tracing::warn!(target = %question.target, %error, "an answer is not taken");
                    return false;
                }
            }
        }
        if let Some(terms) = links.last().and_then(|link| link.hop.terms.clone()) {
            if terms.mark != state.terms.mark {
                state.forget_but(Some(id));
                moved = true;
            }
            state.terms = terms;
        }
        (state.heard, state.failed, state.broken) = (Some(self.now()), None, false);
        let until = self.now() + Duration::from_secs(way.ttl_seconds());
        let known =
            Known { asker: question.asker.clone(), outcome: way.outcome(), until, way: way.into() };
        moved |= state.decide(id, known);
        drop(state);
        self.0.remote.kept.note(followed);
        if moved {
            followed.wake();
        }
        true
    }

    /// Sees to it that somebody follows an answer that somebody may have.
    fn keep_following(&self, followed: &Arc<Followed>, question: &Question) {
        let mut state = followed.state();
        if state.following || state.poll().is_none() {
            return;
        }
        state.following = true;
        drop(state);
        let (handle, followed, question) =
            (self.clone(), Arc::downgrade(followed), question.clone());
        tokio::spawn(async move { handle.follow(followed, question).await });
    }

    /// Follows an answer as long as it is kept and somebody may have it.
    async fn follow(self, followed: Weak<Followed>, mut question: Question) {
        loop {
            let Some(poll) = followed.upgrade().and_then(|kept| stop_or_poll(&kept)) else {
                return;
            };
            question.asker = poll.asker;
            let now = self.now();
            let own = self.own_decision(&self.snapshot(), &question);
            if own.outcome > Outcome::Attest {
                // Nothing is asked in the name of somebody who may not; it is judged again when it asks.
                let Some(kept) = followed.upgrade() else { return };
                kept.state().forget(Followed::id_of(&question.asker));
                continue;
            }
            let travel = FOLLOW_WAIT + FOLLOW_SLACK;
            let request = Request::own(Asked::new(question.clone()), rand::random(), now, travel)
                .waiting(poll.have, poll.mark, FOLLOW_WAIT - HOP_RESERVE);
            let verdict = self.ask_far(request, own).await;
            let Some(kept) = followed.upgrade() else { return };
            if verdict == Verdict::Again {
                kept.state().forget_but(None);
                kept.wake();
            }
            if !self.take(&kept, &question, &verdict) {
                kept.state().broken = true;
                drop(kept);
                tokio::time::sleep(FOLLOW_PAUSE).await;
            }
        }
    }

    /// How many answers of other scopes are kept, and how many of them are followed.
    pub fn kept_of_others(&self) -> (u64, usize) {
        self.0.remote.kept.count()
    }
}

/// What is told to a caller about whom was just decided; nothing when it is to be told what was known before.
fn told_now(state: &State, id: u128) -> Option<View> {
    let known = state.known(id).filter(|known| known.outcome != Outcome::Defer)?;
    Some(View::of(state, known, known.outcome, Duration::ZERO))
}

fn stop_or_poll(followed: &Followed) -> Option<super::kept::Poll> {
    let mut state = followed.state();
    let poll = state.poll();
    state.following = poll.is_some();
    poll
}

// === impl View ===

impl View {
    fn of(state: &State, known: &Known, outcome: Outcome, age: Duration) -> Self {
        let data = state.data.as_ref().filter(|_| outcome != Outcome::Refuse);
        Self {
            index: state.index(),
            at: data.map(|data| Arc::clone(&data.at)).unwrap_or_default(),
            bytes: data.and_then(|data| data.bytes.clone()),
            outcome,
            known_leader: data.is_none_or(|data| data.known_leader),
            filtered: outcome == Outcome::Refuse || data.is_some_and(|data| data.filtered),
            age,
            way: Arc::clone(&known.way),
            warm: true,
        }
    }

    fn into_answer(self, authority: Authority) -> Answer {
        // Which answers are attested here is what the way decided.
        let decisive = self.way.decisive();
        let decided = decisive.map(|hop| policy::Decided::rule(self.outcome, &hop.rule));
        Answer {
            index: self.index,
            at: self.at,
            outcome: self.outcome,
            decided,
            known_leader: self.known_leader,
            age: self.age,
            authority,
            way: Some(self.way),
            filtered: self.filtered,
        }
    }
}
