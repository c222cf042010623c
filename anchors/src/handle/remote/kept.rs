//! What is kept of other scopes: answers, which are followed, and apart from them what was decided about each caller.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::sync::Cache;
use tokio::sync::watch;

use crate::clock::Time;
use crate::handle::governance::decisions::digest;
use crate::index::Index;
use crate::outcome::Outcome;
use crate::scope::ScopePath;
use crate::traversal::{
    Asker, Fragment, FragmentFault, Question, Subject, Terms, Way, answer_digest,
};

/// Answers that are followed at most; the ones that nobody asks for make room.
const FOLLOWED_MAX: u64 = 4_096;
/// An answer that nobody asked for during this time is followed no longer.
const IDLE_MAX: Duration = Duration::from_secs(600);
/// Indexes that are remembered of answers that are followed no longer, so that theirs never falls.
const FLOORS_MAX: u64 = 65_536;
/// Callers of one answer whose decisions are kept.
const CALLERS_MAX: usize = 1_024;

/// All that is kept.
pub(super) struct Kept {
    /// By [`key_of`].
    followed: Cache<u128, Arc<Followed>>,
    floors: Cache<u128, Floor>,
}

/// Where an answer stood when it was let go.
#[derive(Clone)]
struct Floor {
    shown: u64,
    digest: Option<Box<str>>,
}

/// One answer of another scope, for all who ask for it.
pub(super) struct Followed {
    key: u128,
    pub(super) target: ScopePath,
    state: Mutex<State>,
    /// Counts what may have changed for anybody.
    pub(super) changed: watch::Sender<u64>,
    /// Held by whoever asks: others wait for the same reply.
    pub(super) flight: tokio::sync::Mutex<()>,
}

/// What is known of an answer.
#[derive(Default)]
pub(super) struct State {
    pub(super) data: Option<Data>,
    pub(super) terms: Terms,
    /// By asker: see [`Followed::id_of`].
    callers: HashMap<u128, Known>,
    /// Whom the own policy refused the last time.
    refused_here: HashSet<u128>,
    /// The index that was shown last, and how far it is above the owner's.
    shown: u64,
    lift: u64,
    digest: Option<Box<str>>,
    /// Whether somebody follows it.
    pub(super) following: bool,
    /// Whether whoever follows was told nothing the last time: what is kept may be old.
    pub(super) broken: bool,
    /// When asking led nowhere.
    pub(super) failed: Option<Time>,
    /// When the owner was heard.
    pub(super) heard: Option<Time>,
}

/// An answer.
#[derive(Clone)]
pub(super) struct Data {
    pub(super) at: Arc<Index>,
    /// The bytes, where they are no rows.
    pub(super) bytes: Option<Arc<[u8]>>,
    pub(super) known_leader: bool,
    pub(super) filtered: bool,
}

/// What was decided about one caller.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) asker: Asker,
    pub(super) outcome: Outcome,
    /// Until when it may be kept.
    pub(super) until: Time,
    pub(super) way: Arc<Way>,
}

/// What the next question of whoever follows is.
pub(super) struct Poll {
    pub(super) asker: Asker,
    pub(super) have: Option<Box<str>>,
    pub(super) mark: u64,
}

impl Default for Kept {
    fn default() -> Self {
        let followed = Cache::builder().max_capacity(FOLLOWED_MAX).time_to_idle(IDLE_MAX).build();
        Self { followed, floors: Cache::new(FLOORS_MAX) }
    }
}

// === impl Kept ===

impl Kept {
    /// What is kept of an answer. It is one for all askers where they all get the same rows.
    pub(super) fn of(&self, question: &Question) -> Arc<Followed> {
        let key = key_of(question);
        self.followed.get_with(key, || Arc::new(self.made(key, &question.target)))
    }

    fn made(&self, key: u128, target: &ScopePath) -> Followed {
        let floor = self.floors.get(&key);
        let (shown, digest) = floor.map_or((0, None), |floor| (floor.shown, floor.digest));
        let state = State { shown, digest, ..State::default() };
        Followed {
            key,
            target: target.clone(),
            state: Mutex::new(state),
            changed: watch::Sender::default(),
            flight: tokio::sync::Mutex::default(),
        }
    }

    /// Remembers where an answer stands.
    pub(super) fn note(&self, followed: &Followed) {
        let state = followed.state();
        let floor = Floor { shown: state.shown, digest: state.digest.clone() };
        drop(state);
        self.floors.insert(followed.key, floor);
    }

    /// How many answers are kept, and how many are being followed.
    pub(super) fn count(&self) -> (u64, usize) {
        self.followed.run_pending_tasks();
        let following = self.followed.iter().filter(|(_, one)| one.state().following).count();
        (self.followed.entry_count(), following)
    }
}

// === impl Followed ===

impl Followed {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes all who wait for it.
    pub(super) fn wake(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    /// By what an asker is known among the callers.
    pub(super) fn id_of(asker: &Asker) -> u128 {
        digest(asker)
    }
}

/// By what an answer is known: it is one for all askers of a scope where they all get the same rows.
fn key_of(question: &Question) -> u128 {
    let Question { target, action, subject, asker } = question;
    if subject.is_one_for_all() {
        digest(&(target, action, subject, &asker.scope))
    } else {
        digest(&(target, action, subject, asker))
    }
}

// === impl State ===

impl State {
    /// The index to show; above 0.
    pub(super) fn index(&self) -> u64 {
        self.shown.max(1)
    }

    /// Whether what is kept is what the owner would answer.
    pub(super) fn is_followed(&self) -> bool {
        self.following && !self.broken
    }

    pub(super) fn known(&self, id: u128) -> Option<&Known> {
        self.callers.get(&id)
    }

    /// In whose name is followed: somebody who may have the answer. Nobody when nobody may.
    pub(super) fn poll(&self) -> Option<Poll> {
        let allowed = self.callers.values().filter(|known| known.outcome <= Outcome::Attest);
        let known = allowed.max_by_key(|known| known.until)?;
        Some(Poll {
            asker: known.asker.clone(),
            have: self.data.as_ref().and(self.digest.clone()),
            mark: self.terms.mark,
        })
    }

    /// Takes an answer; whether it is another than before.
    ///
    /// # Errors
    /// [`FragmentFault`]: the owner signed what cannot be used.
    pub(super) fn take(&mut self, bytes: &[u8], subject: &Subject) -> Result<bool, FragmentFault> {
        let digest = answer_digest(bytes);
        let (data, index) = read(bytes, subject)?;
        let same = self.digest.as_deref() == Some(&*digest);
        if !same {
            let natural = index.saturating_add(self.lift);
            self.shown = if natural > self.shown { natural } else { self.shown + 1 };
        }
        // Also where the owner's began again: from here on both move alike.
        self.lift = self.shown.saturating_sub(index);
        (self.data, self.digest) = (Some(data), Some(digest));
        Ok(!same)
    }

    /// Takes what was decided about a caller; whether it is told otherwise than before.
    pub(super) fn decide(&mut self, id: u128, known: Known) -> bool {
        let before = self.callers.get(&id).map(|before| before.outcome);
        let lets = |outcome: Outcome| outcome <= Outcome::Attest;
        let differs = before.is_some_and(|before| lets(before) != lets(known.outcome));
        if self.callers.len() >= CALLERS_MAX && before.is_none() {
            self.callers.retain(|_, kept| kept.until > known.until);
            self.callers.shrink_to(CALLERS_MAX / 2);
        }
        if self.callers.len() < CALLERS_MAX || before.is_some() {
            self.callers.insert(id, known);
        }
        if differs {
            self.moved();
        }
        differs
    }

    /// Forgets what was decided about all but one: they are decided about again when they ask. What is known of them while
    /// nobody can be asked stays.
    pub(super) fn forget_but(&mut self, id: Option<u128>) {
        for (_, known) in self.callers.iter_mut().filter(|(other, _)| Some(**other) != id) {
            known.until = Time::default();
        }
    }

    /// What is known of one is forgotten.
    pub(super) fn forget(&mut self, id: u128) {
        self.callers.remove(&id);
    }

    /// Notes whether the own policy lets a caller ask.
    pub(super) fn judged_here(&mut self, id: u128, lets: bool) {
        let before = !self.refused_here.contains(&id);
        if before == lets {
            return;
        }
        if lets {
            self.refused_here.remove(&id);
        } else if self.refused_here.len() < CALLERS_MAX {
            self.refused_here.insert(id);
        }
        self.moved();
    }

    /// Somebody sees something else than before, though the answer is the same.
    fn moved(&mut self) {
        self.shown += 1;
        self.lift += 1;
    }
}

fn read(bytes: &[u8], subject: &Subject) -> Result<(Data, u64), FragmentFault> {
    match subject {
        Subject::Read(_) => {
            let fragment = Fragment::parse(bytes)?;
            let data = Data {
                at: Arc::new(fragment.restore()?),
                bytes: None,
                known_leader: fragment.known_leader,
                filtered: fragment.filtered,
            };
            Ok((data, fragment.index))
        }
        Subject::Resolve(_) => {
            let data = Data {
                at: Arc::default(),
                bytes: Some(bytes.into()),
                known_leader: true,
                filtered: false,
            };
            Ok((data, 1))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acl::Authority;
    use crate::query::Query;

    fn bytes(index: u64) -> Vec<u8> {
        let query = Query::Health("web".into());
        let mut fragment = Fragment::of(&Index::new(), &query, &Authority::open(), true);
        fragment.index = index;
        fragment.to_bytes().unwrap()
    }

    #[test]
    fn an_answer_is_one_for_all_where_all_get_the_same_rows() {
        let of = |query: Query, accessor: &str| {
            let asker = Asker { accessor: Some(accessor.into()), ..Asker::default() };
            let target = ScopePath::parse("payments").unwrap();
            key_of(&Question {
                target,
                action: "read".into(),
                subject: Subject::Read(query),
                asker,
            })
        };
        let health = |name: &str| Query::Health(name.into());
        assert_eq!(of(health("web"), "a"), of(health("WEB"), "b"));
        assert_ne!(of(health("web"), "a"), of(health("db"), "a"));
        assert_ne!(of(health("web"), "a"), of(Query::Service("web".into()), "a"));
        assert_ne!(of(Query::Nodes, "a"), of(Query::Nodes, "b"));
    }

    fn known(outcome: Outcome) -> Known {
        Known { asker: Asker::default(), outcome, until: Time(9), way: Arc::default() }
    }

    #[test]
    fn an_index_never_falls_and_moves_when_something_does() {
        let subject = Subject::Read(Query::Health("web".into()));
        let mut state = State::default();
        let take = |state: &mut State, index| {
            let moved = state.take(&bytes(index), &subject).unwrap();
            (moved, state.index())
        };
        assert_eq!(take(&mut state, 10), (true, 10));
        assert_eq!(take(&mut state, 10), (false, 10));
        assert_eq!(take(&mut state, 15), (true, 15));
        // The owner began again.
        assert_eq!(take(&mut state, 3), (true, 16));
        assert_eq!(take(&mut state, 4), (true, 17));
        assert!(!state.decide(1, known(Outcome::Resolve)), "its first");
        assert!(!state.decide(1, known(Outcome::Attest)), "it sees the same");
        assert!(state.decide(1, known(Outcome::Refuse)) && state.index() == 18);
        assert_eq!(take(&mut state, 5), (true, 19));
    }

    #[test]
    fn it_is_followed_for_whoever_may_have_it() {
        let mut state = State::default();
        assert!(state.poll().is_none());
        state.decide(1, known(Outcome::Refuse));
        assert!(state.poll().is_none());
        let asker = Asker { accessor: Some("b".into()), ..Asker::default() };
        state.decide(2, Known { asker: asker.clone(), ..known(Outcome::Attest) });
        assert_eq!(state.poll().unwrap().asker, asker);
        state.forget_but(Some(1));
        assert_eq!(state.known(2).unwrap().until, Time::default());
    }
}
